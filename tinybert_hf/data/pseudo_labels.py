"""Sequence-level distillation: the teacher's translations, written as a data set that a student learns from."""

import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.files import read_file
from tinybert_hf.data.generation import decoder_start_token
from tinybert_hf.data.held_folder import held_folder
from tinybert_hf.data.model_fingerprint import model_fingerprint
from tinybert_hf.data.pseudo_label_filters import LengthBand
from tinybert_hf.data.pseudo_label_rows import PseudoLabelSettings, RowMaker
from tinybert_hf.data.raw_rows import columns_named_by
from tinybert_hf.data.shard_folder import MANIFEST, ShardFolder, file_digest
from tinybert_hf.data.single_file import PARTS, beside, finished_file, place_single
from tinybert_hf.data.source_texts import texts_or_blank
from tinybert_hf.data.tasks.base import dataset_of
from tinybert_hf.errors import DataError, OutputFolderError

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

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
        "content of input_file": file_digest(Path(settings.input_file))[:16],
        "teacher": model_fingerprint(model, tokenizer),
    }
    single = output.name.lower().endswith(SINGLE_FILES)
    finished = finished_file(output, identity) if single else None
    if finished is not None:
        shutil.rmtree(beside(output, PARTS), ignore_errors=True)
        return _report(output, finished)
    parts = beside(output, PARTS) if single else output
    with held_folder(parts, str(output)):
        folder = ShardFolder.claim(parts, identity, suffix, count)
        band = LengthBand.from_references(sources, references, settings.max_length_factor)
        maker = RowMaker(model, tokenizer, settings, batch_size, band)
        done = len(sources) - sum(len(sources[_rows_of(index, settings)]) for index in folder.missing)

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            if progress is not None:
                progress(done, len(sources))

        advance(0)
        for index in folder.missing:
            own = _rows_of(index, settings)
            rows, notes = maker.make(sources[own], references[own] if references else None, advance)
            folder.write(index, rows, notes)
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
