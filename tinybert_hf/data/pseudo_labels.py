"""Sequence-level distillation: the teacher's translations, written as a data set that a student learns from."""

import math
import re
import shutil
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.files import read_file, texts_or_blank
from tinybert_hf.data.generation import decoder_start_token, translate_texts
from tinybert_hf.data.raw_rows import columns_named_by
from tinybert_hf.data.settings import BEST, NEAREST, SearchSettings
from tinybert_hf.data.shards import (
    MANIFEST,
    PARTS,
    WHOLE,
    ShardFolder,
    Share,
    beside,
    finished_file,
    held_folder,
    model_fingerprint,
    place_single,
)
from tinybert_hf.data.tasks import dataset_of
from tinybert_hf.errors import DataError, OutputFolderError
from tinybert_hf.model.manifest_tinybert import sha256_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel


# Which of a teacher's translations are fit to learn from. Each rule has a name, under which its rows are counted.

EMPTY_SOURCE = "empty_source"
SOURCE_TOO_LONG = "source_too_long"
EMPTY = "empty"
CUT_OFF = "cut_off"
REPETITION = "repetition"
LENGTH_RATIO = "length_ratio"
REASONS = (EMPTY_SOURCE, SOURCE_TOO_LONG, EMPTY, CUT_OFF, REPETITION, LENGTH_RATIO)

# A band around a ratio means little for a text of two words: the band is that of a source this much longer or shorter.
_SLACK_CHARACTERS = 10
_SLACK_TOKENS = 5
_NGRAM = 4
# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, kana, Han.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
# One unit: a character of those, a word of any other script, or a punctuation mark.
_UNIT = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


@dataclass(frozen=True)
class LengthBand:
    """How long a translation may be, given its source.

    With references, lengths are characters and `ratio` is the median of (characters of the reference / characters of
    its source) over the data set. Without, lengths are tokens of the teacher's own tokenizer and `ratio` is 1. A
    translation of length t of a source of length s is kept where
    ratio x (s - slack) / factor <= t <= ratio x (s + slack) x factor, with a slack of 10 characters or 5 tokens.

    Attributes:
        ratio: the usual length of a translation per unit of its source.
        factor: how far from the usual a translation may be, either way.
        in_tokens: lengths are tokens, not characters.
    """

    ratio: float
    factor: float
    in_tokens: bool

    @classmethod
    def from_references(cls, sources: Sequence[str], references: Sequence[str] | None, factor: float) -> "LengthBand":
        """The band that a data set's own pairs suggest; pairs with a blank side do not count."""
        pairs = zip(sources, references or (), strict=bool(references))
        ratios = [len(there.strip()) / len(here.strip()) for here, there in pairs if here.strip() and there.strip()]
        return cls(statistics.median(ratios) if ratios else 1.0, factor, in_tokens=not ratios)

    def lengths(self, tokenizer: Any, texts: Sequence[str], *, target: bool) -> list[int]:
        """The lengths of source texts, or of translations, in the band's unit."""
        if not self.in_tokens or not texts:
            return [len(text.strip()) for text in texts]
        side = {"text_target" if target else "text": list(texts)}
        return [len(ids) for ids in tokenizer(**side, add_special_tokens=False, verbose=False)["input_ids"]]

    def holds(self, source_length: int, length: int) -> bool:
        """Whether a translation of this length is within the band."""
        slack = _SLACK_TOKENS if self.in_tokens else _SLACK_CHARACTERS
        lowest = self.ratio * (source_length - slack) / self.factor
        return lowest <= length <= self.ratio * (source_length + slack) * self.factor


def is_repetitive(source: str, translation: str, max_repeats: int) -> bool:
    """Whether a translation goes round in circles.

    It does when one n-gram of 4 units (words; in scripts without spaces, characters) stands there more than
    `max_repeats` times, overlaps counted, and more often than any stands in the source.

    Args:
        source: may repeat itself as well, and then allows it.
        translation: of it.
        max_repeats: how often an n-gram may stand there.
    """
    most = _most_repeats(translation)
    return most > max_repeats and most > _most_repeats(source)


def _most_repeats(text: str) -> int:
    units = _UNIT.findall(text.casefold())
    grams = Counter(tuple(units[start : start + _NGRAM]) for start in range(len(units) - _NGRAM + 1))
    return max(grams.values(), default=0)


# The rows of one shard: translated, chosen from the beam, filtered.
#
# Source:
#     Kim & Rush 2016, Sequence-Level Knowledge Distillation: the best of the beam (section 3.2), or the hypothesis of
#     the beam that is nearest to the reference (sequence-level interpolation, section 3.3; here by sentence chrF).


@dataclass(frozen=True)
class PseudoLabelSettings(SearchSettings):
    """What decides the rows; a folder that was begun with other settings is refused.

    The rest is as in SearchSettings: num_beams, select, max_length_factor (`LengthBand`), max_repeats
    (`is_repetitive`).

    Attributes:
        input_file: rows to translate: .jsonl, .json, .csv, .tsv or .parquet, each also with .gz behind it.
        source_column: column with the text to translate.
        target_column: column with the reference, where there is one; a row may lack its own.
        max_rows: take only the first rows.
        max_new_tokens: tokens of a translation at most; None: 2 x the tokens of the longest source of a batch + 10.
        prefix: put before each text for the teacher, not written to the rows.
        shard_rows: source rows of one shard; a run that is stopped loses at most one shard.
    """

    input_file: str
    source_column: str = "source"
    target_column: str | None = None
    max_rows: int | None = None
    max_new_tokens: int | None = None
    prefix: str = ""
    shard_rows: int = 2000

    def __post_init__(self) -> None:
        """Refuses values that cannot be used.

        Raises:
            DataError: naming the setting.
        """
        if self.select not in (BEST, NEAREST):
            raise DataError(f"select is {self.select!r}; known are {BEST!r} and {NEAREST!r}.")
        if self.select == NEAREST and self.target_column is None:
            raise DataError(
                f"select is {NEAREST!r}, which compares with a reference: give target_column (--target-column), or "
                f"select {BEST!r}."
            )
        for name in ("num_beams", "shard_rows", "max_rows", "max_new_tokens"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if self.max_repeats < 0 or not (self.max_length_factor == 0 or 1 <= self.max_length_factor < math.inf):
            raise DataError(
                f"max_repeats is {self.max_repeats} and max_length_factor {self.max_length_factor}; the first must be "
                "0 (off) or more, the second 0 (off) or at least 1."
            )


@dataclass(frozen=True)
class RowMaker:
    """Translates source texts to rows.

    Attributes:
        model: the teacher.
        tokenizer: of the teacher.
        settings: what decides the rows.
        batch_size: texts at once.
        band: how long a translation may be.
    """

    model: "PreTrainedModel"
    tokenizer: Any
    settings: PseudoLabelSettings
    batch_size: int
    band: LengthBand

    def make(
        self, sources: Sequence[str], references: Sequence[str] | None, progress: Callable[[int], None] | None = None
    ) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """Translates and filters.

        Args:
            sources: the texts; blank ones are counted.
            references: of each source, blank where there is none.
            progress: called after each batch with the number of its texts.

        Returns:
            The rows to learn from, in the order of `sources`; and the notes: how many were filtered for which reason,
            and the seconds that the teacher took.
        """
        settings = self.settings
        made = translate_texts(
            self.model,
            self.tokenizer,
            sources,
            batch_size=self.batch_size,
            num_beams=settings.num_beams,
            candidates=settings.num_beams if settings.select == NEAREST else 1,
            max_new_tokens=settings.max_new_tokens,
            prefix=settings.prefix,
            progress=progress,
        )
        chosen = [0] * len(made)
        if settings.select == NEAREST and references is not None:
            chosen = nearest_hypotheses(made, references)
        targets = [hypotheses[choice] for hypotheses, choice in zip(made, chosen, strict=True)]
        cut_off = [flags[choice] for flags, choice in zip(made.cut_off, chosen, strict=True)]
        fits = self._fits(sources, targets)
        rows: list[dict[str, str]] = []
        filtered: Counter[str] = Counter()
        for pair in zip(sources, targets, made.truncated, cut_off, fits, strict=True):
            reason = self._reason(*pair)
            if reason is None:
                rows.append({"source": pair[0], "target": pair[1]})
            else:
                filtered[reason] += 1
        return rows, {"filtered": dict(sorted(filtered.items())), "seconds": round(made.seconds, 2)}

    def _fits(self, sources: Sequence[str], targets: Sequence[str]) -> list[bool]:
        if not self.settings.max_length_factor:
            return [True] * len(targets)
        here = self.band.lengths(self.tokenizer, sources, target=False)
        there = self.band.lengths(self.tokenizer, targets, target=True)
        return [self.band.holds(*lengths) for lengths in zip(here, there, strict=True)]

    def _reason(self, source: str, target: str, truncated: bool, cut_off: bool, fits: bool) -> str | None:
        """The first reason to leave a row out; None where it is fit."""
        most = self.settings.max_repeats
        reasons = {
            EMPTY_SOURCE: not source.strip(),
            SOURCE_TOO_LONG: truncated,
            EMPTY: not target,
            CUT_OFF: cut_off,
            REPETITION: bool(most) and is_repetitive(source, target, most),
            LENGTH_RATIO: not fits,
        }
        return next((reason for reason, found in reasons.items() if found), None)


def nearest_hypotheses(hypotheses: Sequence[Sequence[str]], references: Sequence[str]) -> list[int]:
    """For each text the hypothesis nearest to its reference by sentence chrF.

    Args:
        hypotheses: of each text, best first.
        references: of each text; a blank one chooses the best.

    Returns:
        Indices; between equals the teacher's own order decides.
    """
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    chosen = []
    for candidates, reference in zip(hypotheses, references, strict=True):
        scores = [0.0]
        if reference.strip():
            scores = [metric.sentence_score(candidate, [reference]).score for candidate in candidates]
        chosen.append(scores.index(max(scores)))
    return chosen


FORMATS = {"jsonl": ".jsonl.gz", "parquet": ".parquet"}
SINGLE_FILES = (".jsonl", ".jsonl.gz", ".parquet")

# A short answer may fit some sources, never a twentieth of them.
_FEW, _SHARE = 10, 0.05


@dataclass(frozen=True)
class PseudoLabelReport:
    """What a run wrote.

    Attributes:
        output: the folder or the file.
        rows_read: source rows.
        rows_written: rows with a translation to learn from.
        filtered: reason -> rows that were left out for it; their sum and rows_written make rows_read.
        seconds: time the teacher took, over all starts of the run.
        length_ratio: characters of a reference per character of its source, the median; None without references.
    """

    output: str
    rows_read: int
    rows_written: int
    filtered: dict[str, int]
    seconds: float
    length_ratio: float | None


def write_pseudo_labels(
    model: "PreTrainedModel",
    tokenizer: Any,
    settings: PseudoLabelSettings,
    output: str | Path,
    *,
    file_format: str | None = None,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
    share: Share = WHOLE,
) -> PseudoLabelReport:
    """Translates a file with the teacher and writes what is fit to learn from.

    The rows have the columns source and target, in the order of the file. A run that was stopped, even killed, goes on
    with the same call and ends with the same rows; a complete one is not repeated.

    Args:
        model: the teacher, on its device.
        tokenizer: of the teacher; a multilingual one with its languages set (`set_languages`).
        settings: what decides the rows.
        output: a folder for shards; or one file, ending in .jsonl, .jsonl.gz or .parquet.
        file_format: "jsonl" or "parquet"; None takes that of the file, and "jsonl" for a folder.
        batch_size: texts at once. It may change from one start to the next, for instance when memory was short.
        progress: called with (rows done, rows in all) at the start and after each batch.
        share: of the shards that this process writes, where several processes call this with equal settings, each
            with its own teacher (`Share.launched()` under a launcher). All have the same report, when all is there.

    Returns:
        The counts, which manifest.json keeps as well.

    Raises:
        DataError: the file cannot be used, or no translation passes the filters.
        TeacherError: the teacher cannot translate.
        OutputFolderError: the output holds something else, or rows written with other settings.
    """
    output = Path(output)
    suffix = _shard_suffix(output, file_format)
    decoder_start_token(model)
    sources, references = _read(settings)
    count = -(-len(sources) // settings.shard_rows)
    identity = {
        **{name: value for name, value in asdict(settings).items() if name != "input_file"},
        "format": suffix,
        "content of input_file": sha256_of(Path(settings.input_file))[:16],
        "teacher": model_fingerprint(model, tokenizer),
    }
    single = output.name.lower().endswith(SINGLE_FILES)
    finished = finished_file(output, identity) if single else None
    if finished is not None:
        shutil.rmtree(beside(output, PARTS), ignore_errors=True)
        return _report(output, finished)
    parts = beside(output, PARTS) if single else output
    with held_folder(parts, str(output)) if share.is_first else nullcontext():
        folder = ShardFolder.claim(parts, identity, suffix, count, share)
        band = LengthBand.from_references(sources, references, settings.max_length_factor)
        maker = RowMaker(model, tokenizer, settings, batch_size, band)
        done = len(sources) - sum(len(sources[_rows_of(index, settings)]) for index in folder.missing)

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            if progress is not None:
                progress(done, len(sources))

        advance(0)
        for index in folder.mine:
            own = _rows_of(index, settings)
            rows, notes = maker.make(sources[own], references[own] if references else None, advance)
            folder.write(index, rows, notes)
        if not share.is_first:
            return _report(output, folder.wait_for_first())
        for index in folder.written_by_others():
            advance(len(sources[_rows_of(index, settings)]))
        if not folder.manifest["complete"]:
            named = {"input_file": settings.input_file, "teacher_name": model.config.name_or_path}
            ratio = None if band.in_tokens else round(band.ratio, 4)
            folder.note(**named, rows_read=len(sources), length_ratio=ratio, complete=True)
        report = _report(output, folder.manifest)
        if report.rows_written == 0:
            raise DataError(
                f"{output}: no translation is fit to learn from ({_counts(report.filtered)}). Look at the teacher and "
                "its languages. What is cut off or empty is never kept; the rest is with max_length_factor 0 and "
                "max_repeats 0 (in a recipe, pseudo_labels.max_length_factor and so on; pseudo_labels: null does "
                "without such rows)."
            )
        if single:
            place_single(folder, output)
        return report


def read_pseudo_labels(folder: str | Path) -> "Dataset":
    """Reads the rows that `write_pseudo_labels` wrote to a folder.

    Args:
        folder: with manifest.json and shards.

    Returns:
        A dataset with the columns source and target, in the order of the file that was translated.

    Raises:
        DataError: no such folder, not complete, changed, or without a row.
    """
    from datasets import Features, Value

    files = ShardFolder.open_complete(Path(folder)).files()
    if not files:
        raise DataError(f"{folder} has no rows: every translation was filtered out; {MANIFEST} counts the reasons.")
    columns: dict[str, list[str]] = {"source": [], "target": []}
    for file in files:
        rows = read_file(str(file), list(columns))
        for name, values in columns.items():
            values.extend(rows.columns[name])
    return dataset_of(columns, Features({name: Value("string") for name in columns}))


@columns_named_by("Name the columns with --source-column and --target-column.")
def _read(settings: PseudoLabelSettings) -> tuple[list[str], list[str] | None]:
    columns = [settings.source_column] + ([settings.target_column] if settings.target_column else [])
    rows = read_file(str(settings.input_file), columns, settings.max_rows)
    texts = [texts_or_blank(rows, column) for column in columns]
    return texts[0], texts[1] if settings.target_column else None


def _rows_of(index: int, settings: PseudoLabelSettings) -> slice:
    return slice(index * settings.shard_rows, (index + 1) * settings.shard_rows)


def _shard_suffix(output: Path, file_format: str | None) -> str:
    if file_format is not None and file_format not in FORMATS:
        raise OutputFolderError(f"the format {file_format!r} is unknown; known are {', '.join(FORMATS)}.")
    if not output.name.lower().endswith(SINGLE_FILES):
        return FORMATS[file_format or "jsonl"]
    own = "parquet" if output.name.lower().endswith(".parquet") else "jsonl"
    if file_format not in (None, own):
        raise OutputFolderError(f"output {output} ends in {output.suffix}, but the format is {file_format}.")
    return FORMATS[own]


def repeated_target(rows: Any) -> tuple[str, int] | None:
    """The translation that stands at more rows than it can be right for; None where there is none such.

    A teacher that has not learnt to look at its source writes one sentence for whatever it reads.

    Args:
        rows: a dataset or a mapping with the columns source and target.

    Returns:
        The text, and at how many different sources it stands.
    """
    pairs = set(zip(rows["source"], rows["target"], strict=True))
    counts = Counter(target for _, target in pairs)
    if not counts:
        return None
    (target, count), *_ = counts.most_common(1)
    return (target, count) if count > max(_FEW, _SHARE * len(pairs)) else None


def _counts(filtered: Mapping[str, int]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in filtered.items())


def _report(output: Path, manifest: Mapping[str, Any]) -> PseudoLabelReport:
    shards = manifest["shards"]
    filtered: Counter[str] = Counter()
    for shard in shards:
        filtered.update(shard["filtered"])
    return PseudoLabelReport(
        output=str(output),
        rows_read=manifest["rows_read"],
        rows_written=sum(shard["rows"] for shard in shards),
        filtered=dict(filtered.most_common()),
        seconds=round(sum(shard["seconds"] for shard in shards), 2),
        length_ratio=manifest["length_ratio"],
    )
