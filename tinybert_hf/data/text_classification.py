"""Single label, multi-label and regression over one text or a pair of texts; and texts without labels."""

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.demo import demo_sentiment_rows
from tinybert_hf.data.files import SUFFIXES, absent, read_file, read_hub, stream_lines
from tinybert_hf.data.labels import labels_without_rows, resolve_labels
from tinybert_hf.data.raw_rows import RawRows, check_texts, columns_named_by
from tinybert_hf.data.settings import DEMO_SENTIMENT, MULTI_LABEL, SINGLE_LABEL, DataSettings
from tinybert_hf.data.tasks import TaskData, add_tokenizing_notes, dataset_of, holds_out
from tinybert_hf.errors import DataError
from tinybert_hf.messages import counted

if TYPE_CHECKING:
    from datasets import Dataset, Features


# Rows without labels, which a student learns from as its teacher answers them.


def read_unlabelled(settings: DataSettings, columns: Sequence[str], *, as_lines: bool = False) -> RawRows:
    """Reads `settings.unlabelled_file`, unchecked.

    Args:
        settings: the file, and how many rows of it.
        columns: that are needed, as the training rows call them.
        as_lines: one column is needed, and its values are texts: each line of a .txt file that is not blank is one.

    Raises:
        DataError: the file cannot be read, has no rows, or lacks a column.
    """
    file = settings.unlabelled_file
    assert file is not None
    if file.lower().removesuffix(".gz").endswith(".txt"):
        table = _lines(file, columns, settings.max_unlabelled_rows, as_lines)
    else:
        with columns_named_by("Rows without labels need the columns of the training rows, under the same names."):
            table = read_file(file, columns, settings.max_unlabelled_rows)
    if not len(table):
        raise DataError(f"{file} has no rows. Leave it out (--unlabelled-file), or name another file.")
    return table


def _lines(file: str, columns: Sequence[str], most: int | None, as_lines: bool) -> RawRows:
    if not as_lines:
        raise DataError(
            f"{file}: the lines of a text file are single texts, and the rows of this task have "
            f"{' and '.join(repr(name) for name in columns)}. Give {', '.join(SUFFIXES)} with these columns, or let "
            "sentences of any text be such rows (--text-corpus)."
        )
    read = list(islice(((number, text.strip()) for number, text in stream_lines(file) if text.strip()), most))
    return RawRows(file, {columns[0]: [text for _, text in read]}, [number for number, _ in read])


# Single label, multi-label and regression over one text or a pair of texts.


class TextClassificationTask:
    """Rows with a text (or two) and a label."""

    @holds_out
    def load(
        self,
        settings: DataSettings,
        *,
        need_train: bool = True,
        need_validation: bool = True,
        label_names: Sequence[str] | None = None,
    ) -> TaskData:
        """Reads and checks the rows.

        Args:
            settings: where the rows are.
            need_train: read the train split.
            need_validation: read the validation split.
            label_names: labels of a trained model: text labels are found among them by name (in any case where that
                is unambiguous), whole numbers by their place. None where the data decides.

        Returns:
            Columns text, text_pair where there is one, and label: an id, a float, or a list of 0.0 and 1.0.

        Raises:
            DataError: anything about the rows that cannot be used, with its place.
        """
        parts = [part for part, needed in (("train", need_train), ("validation", need_validation)) if needed]
        if not parts:
            raise ValueError("load was asked for neither train nor validation rows.")
        # Further rows are measured at the end of a run; a model alone is measured on the rows that are named.
        further = settings.further_parts if need_train and need_validation else ()
        tables = {part: _read(settings, part) for part in (*parts, *further)}
        texts = {part: _texts(table, settings) for part, table in tables.items()}
        labels = resolve_labels(list(tables.values()), settings, label_names)
        ready = {
            part: _dataset(texts[part], ids, labels.problem_type) for part, ids in zip(tables, labels.ids, strict=True)
        }
        measured = {tables[part].source: ids for part, ids in zip(tables, labels.ids, strict=True) if part != "train"}
        return TaskData(
            ready.get("train"),
            ready.get("validation"),
            labels.names,
            labels.problem_type,
            notes=(
                *labels.notes,
                *labels_without_rows(measured, labels),
                *(_not_measured(settings) if need_train and need_validation else ()),
            ),
            further_validation={part: ready[part] for part in further},
            unlabelled=_unlabelled(settings) if need_train and settings.unlabelled_file else None,
        )

    def tokenize(self, rows: "Dataset", tokenizer: Any, settings: DataSettings) -> "Dataset":
        """Turns checked rows into what a model takes.

        Args:
            rows: from `load`; without the column label they get no `labels`.
            tokenizer: of the model; its own length limit holds too.
            settings: says how many tokens to keep.

        Returns:
            What the tokenizer gives, not padded, with `labels`, and `length` (tokens) for batches grouped by length.
            In memory: nothing is written beside the user's data or into a cache.
        """
        from datasets.fingerprint import generate_random_fingerprint

        max_length = min(settings.max_length, tokenizer.model_max_length)

        def encode(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
            pairs = batch.get("text_pair")
            encoded = tokenizer(batch["text"], pairs, truncation=True, max_length=max_length)
            labels = {"labels": batch["label"]} if "label" in batch else {}
            return {**encoded, **labels, "length": [len(ids) for ids in encoded["input_ids"]]}

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
        full = sum(length == max_length for length in ready["length"]) if max_length < settings.max_length else 0
        if full:
            add_tokenizing_notes(
                ready,
                [
                    f"{counted(full, 'row fills', 'rows fill')} the {max_length} tokens that the tokenizer reads "
                    f"(model_max_length); what is behind is not read, though max_length is {settings.max_length}."
                ],
            )
        return ready


@columns_named_by(
    "Name the columns with --text-column, --text-pair-column and --label-column; in a recipe, data.text_column and "
    "so on."
)
def _read(settings: DataSettings, part: str) -> RawRows:
    files = {"train": settings.train_file, "validation": settings.validation_file, **settings.further_validation_files}
    splits = {
        "train": settings.train_split,
        "validation": str(settings.validation_split),
        **settings.further_validation,
    }
    file, split = files.get(part), splits.get(part)
    max_rows = settings.max_train_rows if part == "train" else settings.max_validation_rows
    if file is not None:
        return read_file(str(file), settings.columns, max_rows)
    if settings.has_files or not settings.dataset or split is None:
        raise DataError(absent(part, settings))
    if settings.dataset == DEMO_SENTIMENT:
        if part in settings.further_validation:
            raise DataError(f"The dataset {DEMO_SENTIMENT!r} has no further rows {part!r}: data.further_validation.")
        return demo_sentiment_rows(part, settings.columns, (settings.max_train_rows, settings.max_validation_rows))
    return read_hub(settings.dataset, settings.dataset_config, split, settings.columns, max_rows)


def _not_measured(settings: DataSettings) -> list[str]:
    """Splits of the Hub that a recipe measures on, where the rows come from files and these are not among them."""
    absent = settings.further_validation.keys() - settings.further_validation_files.keys()
    return [
        f"Nothing is measured on the rows {name!r}, since the rows come from files and no file of these is given "
        f"(--set data.further_validation_files.{name}=FILE)."
        for name in (sorted(absent) if settings.has_files else ())
    ]


def _texts(table: RawRows, settings: DataSettings) -> dict[str, list[str]]:
    texts = {"text": check_texts(table, settings.text_column)}
    if settings.text_pair_column:
        texts["text_pair"] = check_texts(table, settings.text_pair_column)
    return texts


def _unlabelled(settings: DataSettings) -> "Dataset":
    from datasets import Features, Value

    columns = settings.columns[:-1]
    texts = _texts(read_unlabelled(settings, columns, as_lines=len(columns) == 1), settings)
    return dataset_of(texts, Features({name: Value("string") for name in texts}))


def _dataset(texts: dict[str, list[str]], ids: list[Any], problem_type: str) -> "Dataset":
    return dataset_of({**texts, "label": ids}, _features(texts, problem_type))


def _features(texts: dict[str, list[str]], problem_type: str) -> "Features":
    from datasets import Features, List, Value

    number = Value("int64") if problem_type == SINGLE_LABEL else Value("float32")
    label = List(number) if problem_type == MULTI_LABEL else number
    return Features({**{name: Value("string") for name in texts}, "label": label})
