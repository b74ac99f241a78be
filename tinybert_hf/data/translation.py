"""Pairs of sentences, a text and its translation, and the languages of a multilingual translator."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.demo_translation import demo_translation_rows
from tinybert_hf.data.files import absent, read_file, read_hub
from tinybert_hf.data.raw_rows import RawRows, check_texts, columns_named_by
from tinybert_hf.data.settings import DEMO_TRANSLATION, DataSettings
from tinybert_hf.data.tasks import TaskData, add_tokenizing_notes, dataset_of, holds_out
from tinybert_hf.data.tokenizers import script_of, script_of_language, usual_script
from tinybert_hf.errors import DataError, TeacherError
from tinybert_hf.messages import did_you_mean
from tinybert_hf.tasks import TRANSLATION

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


# Source and target language of a multilingual translator (NLLB, M2M100, mBART): set, or asked for.

# NLLB's codes: language and script.
_NLLB_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
_SHOWN = 12


def language_codes(tokenizer: Any) -> dict[str, int]:
    """The languages that a tokenizer has tokens for: code -> token; empty for a tokenizer of one pair of languages."""
    known = getattr(tokenizer, "lang_code_to_id", None)
    if known:
        return dict(known)
    if not hasattr(tokenizer, "src_lang"):
        return {}
    codes = [str(token) for token in tokenizer.all_special_tokens if _NLLB_CODE.fullmatch(str(token))]
    return {code: tokenizer.convert_tokens_to_ids(code) for code in codes}


def set_languages(
    model: "PreTrainedModel", tokenizer: Any, source: str | None = None, target: str | None = None
) -> None:
    """Tells a multilingual translator what it reads and what it should write; leaves any other as it is.

    The tokenizer's `src_lang` and `tgt_lang` are set, and the token that the model's translations begin with. Where
    the model has such a token already (a student, or a model fine-tuned on one pair), the languages may be left away.

    Args:
        model: the translator; its generation_config is changed.
        tokenizer: of the model.
        source: code of the source language, as the tokenizer calls it.
        target: code of the target language.

    Raises:
        TeacherError: a language is missing or unknown, or given to a model that knows only one pair.
    """
    codes = language_codes(tokenizer)
    name = model.config.name_or_path or type(model).__name__
    if not codes:
        if source or target:
            raise TeacherError(
                f"{name} has no tokens for languages: leave the languages away.{_marian_hint(tokenizer)}"
            )
        return
    if source is None and target is None and not _must_be_told(model, codes):
        return
    if source is None or target is None:
        raise TeacherError(
            f"{name} translates between {len(codes)} languages. Give both, as --source-language and --target-language "
            f"(in Python, set_languages), for instance {_example(codes)}. {_listing(codes)}"
        )
    for language in (source, target):
        if language not in codes:
            hint = did_you_mean(language, codes, most=3, cutoff=0.4)
            raise TeacherError(f"{name} has no language {language!r}.{hint} {_listing(codes)}")
    tokenizer.tgt_lang = target
    tokenizer.src_lang = source  # last: it also sets the tokens around a source text
    if model.generation_config.decoder_start_token_id in codes.values():
        model.generation_config.decoder_start_token_id = codes[target]
    else:
        model.generation_config.forced_bos_token_id = codes[target]


def _must_be_told(model: "PreTrainedModel", codes: dict[str, int]) -> bool:
    """Whether nothing says yet in which language the model should write. A student writes its own token first."""
    settings = model.generation_config
    given = {settings.forced_bos_token_id, settings.decoder_start_token_id}
    return model.config.model_type != "tinybert" and given.isdisjoint(codes.values())


def _example(codes: dict[str, int]) -> str:
    english = next((code for code in codes if code.startswith("en")), next(iter(codes)))
    other = next((code for code in codes if code.startswith(("zh", "de"))), list(codes)[-1])
    return f"--source-language {english} --target-language {other}"


def _listing(codes: dict[str, int]) -> str:
    shown = sorted(codes)[:_SHOWN]
    more = f" and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else ""
    return f"Its languages: {', '.join(shown)}{more}."


def _marian_hint(tokenizer: Any) -> str:
    codes = getattr(tokenizer, "supported_language_codes", None)
    if not codes:
        return ""
    return f' This one takes the target language in front of each text: --prefix "{codes[0]} ".'


# Pairs of sentences: a text and its translation.

SIDES = ("source", "target")


class TranslationTask:
    """Rows with a text and its translation."""

    @holds_out
    def load(
        self,
        settings: DataSettings,
        *,
        need_train: bool = True,
        need_validation: bool = True,
        label_names: Sequence[str] | None = None,
    ) -> TaskData:
        """Reads and checks the pairs.

        Args:
            settings: where the rows are.
            need_train: read the train split.
            need_validation: read the validation split.
            label_names: not used: a translation has no labels.

        Returns:
            Columns source and target, without the pairs of which a side is empty. The notes count those, and say where
            a side is written in another script than its column's name or the other rows let expect.

        Raises:
            DataError: anything about the rows that cannot be used, with its place; a split of which nothing is left.
        """
        parts = [part for part, needed in (("train", need_train), ("validation", need_validation)) if needed]
        if not parts:
            raise ValueError("load was asked for neither train nor validation rows.")
        pairs, notes, usual = {}, [], {}
        for part in parts:
            table = _read(settings, part)
            pairs[part], skipped = _texts(table, settings)
            usual[part], suspects = _check_scripts(table, pairs[part], settings)
            notes += [*skipped, *suspects]
        notes += _compare_splits(usual)
        ready = {part: _dataset(texts) for part, texts in pairs.items()}
        return TaskData(ready.get("train"), ready.get("validation"), (), TRANSLATION, tuple(notes))

    def tokenize(self, rows: "Dataset", tokenizer: Any, settings: DataSettings) -> "Dataset":
        """Turns checked pairs into what a model takes.

        Args:
            rows: from `load`.
            tokenizer: of the model; its own length limit holds too.
            settings: says how many tokens to keep of a source and of a target.

        Returns:
            What the tokenizer gives for the source, not padded, with `labels` (the target's ids, with the tokenizer's
            own end token), and `length` (tokens of both sides) for batches grouped by length. `tokenizing_notes` says
            how many texts were cut. In memory: nothing is written beside the user's data or into a cache.
        """
        from datasets.fingerprint import generate_random_fingerprint

        limits = [min(limit, tokenizer.model_max_length) for limit in (settings.max_length, _target_length(settings))]
        cut = [0, 0]

        def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
            sides = []
            for i, (argument, side) in enumerate(zip(("text", "text_target"), SIDES, strict=True)):
                encoded = tokenizer(**{argument: batch[side]}, truncation=True, max_length=limits[i])
                full = [row for row, ids in enumerate(encoded["input_ids"]) if len(ids) >= limits[i]]
                if full:
                    # A full row may have fitted exactly: the tokenizer alone knows how many tokens are its own.
                    texts = [batch[side][row] for row in full]
                    whole = tokenizer(**{argument: texts}, truncation=False, verbose=False)["input_ids"]
                    cut[i] += sum(len(ids) > limits[i] for ids in whole)
                sides.append(encoded)
            source, labels = sides[0], sides[1]["input_ids"]
            lengths = [len(ids) + len(own) for ids, own in zip(source["input_ids"], labels, strict=True)]
            return {**source, "labels": labels, "length": lengths}

        # A fingerprint of our own saves hashing the tokenizer, which can take longer than short data takes to encode.
        ready = rows.map(
            encode,
            batched=True,
            remove_columns=rows.column_names,
            keep_in_memory=True,
            load_from_cache_file=False,
            new_fingerprint=generate_random_fingerprint(),
            desc="Tokenizing",
        )
        add_tokenizing_notes(ready, list(_cut_notes(cut, limits, len(rows))))
        return ready


def _target_length(settings: DataSettings) -> int:
    return settings.max_length if settings.max_target_length is None else settings.max_target_length


def _cut_notes(cut: Sequence[int], limits: Sequence[int], rows: int) -> Iterator[str]:
    for side, field, count, limit in zip(SIDES, ("max_length", "max_target_length"), cut, limits, strict=True):
        if count:
            yield (
                f"{count:,} of {rows:,} {side} texts are longer than {limit} tokens and were cut there: what stands "
                f"behind is not seen. Raise {field} or leave such pairs out."
            )


@columns_named_by(
    "Name the columns with --source-column and --target-column; in a recipe, data.source_column and so on."
)
def _read(settings: DataSettings, part: str) -> RawRows:
    file = settings.train_file if part == "train" else settings.validation_file
    split = settings.train_split if part == "train" else str(settings.validation_split)
    max_rows = settings.max_train_rows if part == "train" else settings.max_validation_rows
    columns: tuple[str, ...] = (settings.source_column, settings.target_column)
    if file is None or not str(file).lower().removesuffix(".gz").endswith((".csv", ".tsv")):  # these hold text only
        columns = tuple(dict.fromkeys(column.partition(".")[0] for column in columns))
    if file is not None:
        return read_file(str(file), columns, max_rows)
    if settings.train_file or settings.validation_file or not settings.dataset:
        raise DataError(absent(part, settings))
    if settings.dataset == DEMO_TRANSLATION:
        return demo_translation_rows(part, columns, (settings.max_train_rows, settings.max_validation_rows))
    return read_hub(settings.dataset, settings.dataset_config, split, columns, max_rows)


def _values(table: RawRows, column: str) -> list[Any]:
    """The values of a column; of "translation.en" the value of "en" in each dictionary of the column "translation"."""
    if column in table.columns:
        return table.columns[column]
    holder, _, key = column.partition(".")
    values = table.columns[holder]
    for row, value in enumerate(values):
        if not isinstance(value, dict) or key not in value:
            found = f"the keys {', '.join(value)}" if isinstance(value, dict) else f"{value!r:.60}"
            table.refuse(row, holder, f"{column!r} names the key {key!r} in it, but there is {found}.")
    return [value[key] for value in values]


def _texts(table: RawRows, settings: DataSettings) -> tuple[dict[str, list[str]], list[str]]:
    """The checked texts of both sides without the pairs that lack one, and notes on those."""
    columns = (settings.source_column, settings.target_column)
    values = {column: _values(table, column) for column in columns}
    lacking = {
        row: column
        for column in reversed(columns)
        for row, text in enumerate(values[column])
        if text is None or (isinstance(text, str) and not text.strip())
    }
    # The pairs that will go stay in, so that a message about another one names the right place.
    filled = {column: ["-" if i in lacking else text for i, text in enumerate(values[column])] for column in columns}
    checked = [check_texts(replace(table, columns=filled), column) for column in columns]
    if len(lacking) == len(table):
        raise DataError(
            f"{table.source}: in each of the {len(table):,} pairs a side is empty, so no pair is left. Are "
            f"{columns[0]!r} and {columns[1]!r} the columns of the text and of its translation?"
        )
    notes = []
    if lacking:
        first = min(lacking)
        notes.append(
            f"{len(lacking):,} of {len(table):,} pairs in {table.source} were left out, because a side is empty; "
            f"the first: {table.place(first)}, column {lacking[first]!r}."
        )
    sides = {
        side: [text for row, text in enumerate(texts) if row not in lacking]
        for side, texts in zip(SIDES, checked, strict=True)
    }
    return sides, notes


Scripts = tuple[str | None, str | None]


def _check_scripts(table: RawRows, pairs: dict[str, list[str]], settings: DataSettings) -> tuple[Scripts, list[str]]:
    """The usual scripts of the two sides, and notes on columns and pairs that do not fit.

    A pair counts as swapped only if both its sides are written as the other one usually is: a name or a number that
    stays as it was in a Chinese text is no mistake.
    """
    columns = (settings.source_column, settings.target_column)
    scripts = [[script_of(text) for text in pairs[side]] for side in SIDES]
    usual = (usual_script(scripts[0]), usual_script(scripts[1]))
    expected = tuple(script_of_language(column) for column in columns)
    notes = []
    if usual[0] != usual[1] and usual == expected[::-1] and None not in usual:
        notes.append(
            f"The sides of {table.source} look swapped: {columns[0]!r} is written in {usual[0]}, {columns[1]!r} in "
            f"{usual[1]}. Exchange the names of the columns."
        )
    else:
        notes += [
            f"{table.source}: column {column!r} is written in {found}; its name lets expect {script}."
            for column, found, script in zip(columns, usual, expected, strict=True)
            if None not in (found, script) and found != script
        ]
    if usual[0] != usual[1] and None not in usual:
        swapped = [row for row, own in enumerate(zip(*scripts, strict=True)) if own == usual[::-1]]
        if swapped:
            text = pairs["source"][swapped[0]]
            notes.append(
                f"{len(swapped):,} of {len(scripts[0]):,} pairs in {table.source} look swapped: their source is in "
                f"{usual[1]} and their target in {usual[0]}, the other way round than in most pairs. The first begins "
                f"{text!r:.40}. They are kept: repair or remove them."
            )
    return usual, notes


def _compare_splits(usual: dict[str, Scripts]) -> list[str]:
    splits = [scripts for scripts in usual.values() if None not in scripts]
    if len(splits) == 2 and splits[0] == splits[1][::-1] != splits[1]:
        return [
            f"The validation rows look swapped: the train rows go from {splits[0][0]} to {splits[0][1]}, the "
            "validation rows the other way round. Exchange the columns of one of them."
        ]
    return []


def _dataset(texts: dict[str, list[str]]) -> "Dataset":
    from datasets import Features, Value

    return dataset_of(texts, Features({side: Value("string") for side in SIDES}))
