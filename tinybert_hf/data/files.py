"""Files of rows and of text: found, read whatever their format, or why they cannot be read."""

import glob
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tinybert_hf.data.raw_rows import (
    Block,
    RawRows,
    check_columns,
    check_texts,
    columns_named_by,
    read_json,
    read_json_lines,
    reading,
    text_lines,
)
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tables import (
    class_names_of,
    parquet_class_names,
    parquet_columns,
    read_csv,
    read_parquet,
    read_tsv,
    refuse_changed_values,
)
from tinybert_hf.errors import DataError
from tinybert_hf.messages import does_not_exist

if TYPE_CHECKING:
    from datasets import Dataset


# Reads one file of rows, or says why it cannot be read.

READERS: dict[str, Callable[[IO[bytes], str, Sequence[str]], Iterator[Block]]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
}
SUFFIXES = tuple(READERS)


def read_blocks(path: str, columns: Sequence[str] = ()) -> Iterator[Block]:
    """Reads a file of rows in blocks, so that a file larger than the memory can be read.

    Args:
        path: a file with one of `SUFFIXES`, or one of them with .gz behind it.
        columns: the columns that have to be in each row; of Parquet no others are read.

    Raises:
        DataError: the file is missing, a folder, of an unknown kind, empty, broken, or lacks a column; or so little
            of it unpacks to so much that it is no text.
    """
    suffix = checked_suffix(Path(path))
    size = Path(path).stat().st_size
    is_first = True
    with reading(path) as handle:
        packed: Any = getattr(handle, "fileobj", None) or handle  # of a gzip file the packed bytes count
        for block in READERS[suffix](handle, path, columns):
            if is_first:
                check_columns(path, columns, block.rows[0])
                is_first = False
            yield block if block.share else block._replace(share=min(1.0, packed.tell() / size))


def read_file(path: str, columns: Sequence[str], max_rows: int | None = None) -> RawRows:
    """Reads columns of a file.

    Args:
        path: a file with one of `SUFFIXES`, or one of them with .gz behind it.
        columns: the columns to keep; the last is the label column.
        max_rows: stop after this many rows.

    Returns:
        The rows, with the line of each.

    Raises:
        DataError: as `read_blocks`; or there are no rows.
    """
    kept = RawRows(path, {column: [] for column in columns})
    for block in read_blocks(path, columns):
        for column, values in kept.columns.items():
            values += _values(block, column, path)
        kept.lines += block.lines
        if max_rows is not None and len(kept.lines) >= max_rows:
            del kept.lines[max_rows:]
            for values in kept.columns.values():
                del values[max_rows:]
            break
    if not kept.lines:
        raise DataError(f"{path} has no rows.")
    suffix = checked_suffix(Path(path))
    kept.is_text = suffix in (".csv", ".tsv")
    if suffix == ".parquet" and columns:
        with reading(path) as handle:
            kept.class_names = parquet_class_names(handle, path, columns[-1])
    return kept


def stream_file(path: str, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Reads columns of a file a row at a time.

    Args:
        path: as for `read_blocks`.
        columns: the columns that have to be there.

    Returns:
        The line or number of each row, and the row.

    Raises:
        DataError: as `read_blocks`.
    """
    wanted = set(columns)
    for block in read_blocks(path, columns):
        for line, row in zip(block.lines, block.rows, strict=True):
            if not row.keys() >= wanted:
                check_columns(f"{path}, row {line}", columns, row)
            yield line, row


def stream_lines(path: str) -> Iterator[tuple[int, str]]:
    """Reads the lines of a text file, .txt or .txt.gz, one at a time, without the line feeds.

    Raises:
        DataError: the file is missing, a folder, empty, broken, not UTF-8, or has a line of more than 64 MB.
    """
    checked_suffix(Path(path), (".txt", *SUFFIXES))
    with reading(path) as handle:
        yield from text_lines(handle, path)


def file_columns(path: str) -> list[str]:
    """The columns of a file: those of its first row; none where there is no row.

    Raises:
        DataError: as for `read_blocks`.
    """
    if checked_suffix(Path(path)) == ".parquet":
        with reading(path) as handle:
            return parquet_columns(handle, path)
    first = next(read_blocks(path), None)
    return [] if first is None else list(first.rows[0])


def read_whole_file(path: str, max_rows: int | None = None) -> RawRows:
    """Reads all columns that the first row of a file has.

    Args:
        path: as for `read_file`.
        max_rows: stop after this many rows.

    Raises:
        DataError: as for `read_file`.
    """
    return read_file(path, file_columns(path), max_rows)


def absent(part: str, settings: DataSettings) -> str:
    """The message for rows that nobody has named."""
    share = ", nor a share of the training rows (--validation-split 0.1)" if part == "validation" else ""
    if part == "validation" and settings.has_files and settings.validation_split not in (None, "validation"):
        share = f", and validation_split {settings.validation_split!r} is no share of the training rows, such as 0.1"
    dataset = f", and dataset {settings.dataset!r} is not used" if settings.dataset else ""
    dataset += " once a file is given" if dataset and settings.has_files else ""
    return f"There are no {part} rows: {part}_file (--{part}-file) is not given{share}{dataset}."


def rows_from_dataset(dataset: "Dataset", source: str, columns: Sequence[str], max_rows: int | None) -> RawRows:
    """Takes columns out of a dataset, with the names that it gives to its labels.

    Args:
        dataset: of any origin.
        source: what messages call it.
        columns: the columns to keep; the last is the label column.
        max_rows: keep only the first rows.

    Raises:
        DataError: no rows, a column is missing, or its texts were changed as `datasets` read them.
    """
    check_columns(source, columns, dataset.column_names)
    if dataset.num_rows == 0:
        raise DataError(f"{source} has no rows.")
    kept = dataset.select_columns(list(columns))
    if max_rows is not None:
        kept = kept.select(range(min(max_rows, kept.num_rows)))
    values = {column: list(kept.with_format(None)[column]) for column in columns}
    for column in columns:
        refuse_changed_values(source, column, kept.features[column], values[column])
    return RawRows(source, values, class_names=class_names_of(kept.features[columns[-1]]))


def checked_suffix(path: Path, known: Sequence[str] = SUFFIXES) -> str:
    """The suffix of a file, that of the packing left out.

    Raises:
        DataError: the file is missing, a folder, of an unknown kind, or empty.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    suffix = suffixes[0] if suffixes[-1:] == [".gz"] else (suffixes or [""])[-1]
    if path.is_dir():
        inside = sorted(item.name for item in path.iterdir() if item.is_file())[:5]
        raise DataError(f"{path} is a folder, not a file. Files in it: {', '.join(inside) or 'none'}.")
    if not path.exists():
        raise DataError(does_not_exist(path))
    if suffix not in known:
        raise DataError(
            f"{path} ends in {suffix or 'no suffix'!r}, so its format is unknown. "
            f"Known: {', '.join(known)}, each also with .gz behind it."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty (0 bytes).")
    return suffix


def _values(block: Block, column: str, source: str) -> list[Any]:
    try:
        return block.column(column)
    except KeyError:
        line, row = next((line, row) for line, row in zip(block.lines, block.rows, strict=True) if column not in row)
        raise DataError(f"{source}, line {line}: no column {column!r}, only {', '.join(row) or 'none'}.") from None


# Find the columns that nobody has named, where they have an obvious name.

OBVIOUS_COLUMNS = {"text_column": ("text", "sentence"), "label_column": ("label", "labels")}


def with_obvious_columns(settings: DataSettings, named: Collection[str] = ()) -> DataSettings:
    """Replace a column that the file lacks by one of another obvious name that it has.

    Looks into the train file, or into the validation file where there is no other. What the file has stays as it is,
    so of `text` and `sentence` together the text is the one that the settings name: `text`, unless they say otherwise.

    Args:
        settings: as they were given, with the usual names where nothing was given.
        named: fields of the settings that the user has named: these stay, and so does any name that is not obvious.

    Returns:
        The settings; unchanged where nothing obvious is there, so that reading the file says what it lacks.
    """
    file = settings.train_file or settings.validation_file
    if file is None:
        return settings
    found: dict[str, Any] = {}
    for field, names in OBVIOUS_COLUMNS.items():
        now = getattr(settings, field)
        if field in named or now not in names:
            continue
        there = next((name for name in (now, *names) if _has_column(file, name)), now)
        if there != now:
            found[field] = there
    return replace(settings, **found)


def _has_column(file: str, name: str) -> bool:
    try:
        read_file(file, [name], max_rows=1)
    except DataError:
        return False
    return True


# Which files a name, a pattern or a folder stands for; loads no library, so that a wrong name is said at once.

_TEXTS = (".txt", ".text")


def files_of(name: str) -> list[Path]:
    """The files of plain text or with rows of text, sorted.

    Args:
        name: a file of any name, a folder, or a pattern.

    Raises:
        DataError: it stands for no file.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        known = (*_TEXTS, *SUFFIXES)
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        kept = [file for file in inside if file.name.lower().removesuffix(".gz").endswith(known)]
        if not kept:
            raise DataError(f"The folder {name} holds no file that ends in {', '.join(known)}, also with .gz.")
        return kept
    if glob.has_magic(name):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        kept = [match for match in matches if match.is_file()]
        if not kept:
            raise DataError(f"No file matches {name} (looked from {Path.cwd()}).")
        return kept
    raise DataError(does_not_exist(name))


# Plain text out of files of any size and kind, a piece at a time.

MAX_CHARACTERS = 100_000
"""Longer documents are cut between two words; one without a space, anywhere."""


@dataclass(frozen=True)
class TextFiles:
    """Files that hold nothing but text, or rows with text in one or more columns.

    Attributes:
        files: .txt (every line is a text), .jsonl, .json, .csv, .tsv or .parquet, each also with .gz behind it.
        columns: of the files that have columns; none: text, or else sentence.
    """

    files: tuple[str, ...]
    columns: tuple[str, ...] = ()

    def check(self) -> None:
        """Look at each file's first row, so that a wrong name is found before anything long begins.

        Raises:
            DataError: no files, one that is missing or cannot be read, a column that is not there.
        """
        if not self.files:
            raise DataError("There is no corpus: give at least one file of text.")
        for file in self.files:
            next(iter(_texts_of(file, self.columns)), None)

    def __iter__(self) -> Iterator[str]:
        """Every text that holds more than white space, in pieces of at most `MAX_CHARACTERS`.

        Raises:
            DataError: a file that is missing, damaged or not UTF-8, a column that is not there, a value that is not
                text; or all texts are empty.
        """
        found = False
        for file in self.files:
            for text in _texts_of(file, self.columns):
                if text.strip():
                    found = True
                    yield from pieces(text)
        if not found:
            raise DataError(f"{', '.join(self.files)}: there is no text in it, only empty lines or values.")


def pieces(text: str, most: int = MAX_CHARACTERS) -> Iterator[str]:
    """A text in pieces that are cut in front of white space, so that no word is cut in two.

    Args:
        text: of any length.
        most: characters of a piece.
    """
    start = 0
    while len(text) - start > most:
        spaces = list(re.finditer(r"(?<=\S)\s", text[start : start + most]))
        end = start + (spaces[-1].start() if spaces else most)
        yield text[start:end]
        start = end
    yield text[start:]


def _texts_of(file: str, columns: Sequence[str]) -> Iterator[str]:
    if not file.lower().removesuffix(".gz").endswith(SUFFIXES):  # what is no .txt either, is refused there
        for number, line in stream_lines(file):
            yield checked_text(line.rstrip("\r\n"), f"{file}, line {number}")
        return
    names = tuple(columns) or (obvious_column(file),)
    with columns_named_by("Name the column with --text-column; in a recipe, prune_vocabulary.text_columns."):
        for number, row in stream_file(file, names):
            for name in names:
                value = row[name]
                if value is not None and not isinstance(value, str):
                    raise DataError(
                        f"{file}, row {number}, column {name!r}: {value!r:.60} is no text. Name the column that holds "
                        "the text (--text-column)."
                    )
                yield checked_text(value or "", f"{file}, row {number}, column {name!r}")


def obvious_column(file: str) -> str:
    names = OBVIOUS_COLUMNS["text_column"]
    there = file_columns(file)
    return next((name for name in names if name in there), names[0])


def checked_text(text: str, place: str) -> str:
    """The text, where it can be written in UTF-8.

    Raises:
        DataError: it holds half a surrogate pair; naming the place.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{place}: the text holds half a surrogate pair, which is no character. Repair it.") from error
    return text


# The JSON format in which SQuAD itself is published: articles, paragraphs, questions.

_FIELD = "data"


def read_squad_file(path: str, columns: Sequence[str], max_rows: int | None = None) -> RawRows | None:
    """Read such a file.

    Args:
        path: of the file.
        columns: what question, context and answers are to be called.
        max_rows: stop after this many questions.

    Returns:
        The rows, with `id`; None where the file is of another kind.

    Raises:
        DataError: it begins like such a file, and goes on otherwise.
    """
    if not path.lower().removesuffix(".gz").endswith(".json"):
        return None
    try:
        articles = read_file(path, [_FIELD], max_rows=1).columns[_FIELD][0]
    except DataError:
        return None  # the usual reader says what is wrong
    if not isinstance(articles, list) or not all(isinstance(one, dict) and "paragraphs" in one for one in articles):
        return None
    question, context, answers = columns
    rows: dict[str, list[Any]] = {"id": [], question: [], context: [], answers: []}
    for row in _rows(path, articles):
        for name, value in zip(rows, row, strict=True):
            rows[name].append(value)
        if len(rows["id"]) == max_rows:
            break
    if not rows["id"]:
        raise DataError(f"{path} has no rows.")
    return RawRows(path, rows)


def _rows(path: str, articles: list[dict[str, Any]]) -> Iterator[tuple[Any, Any, Any, Any]]:
    for number, article in enumerate(articles):
        try:
            for paragraph in article["paragraphs"]:
                for one in paragraph["qas"]:
                    yield one.get("id"), one["question"], paragraph["context"], one.get("answers")
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}, article {number + 1}: {type(error).__name__} {error}. In SQuAD's format an article has "
                "paragraphs, each with a context and qas, each with a question and its answers."
            ) from error


# Loads a split of a dataset from the Hub.


def read_hub(
    dataset: str, config: str | None, split: str, columns: Sequence[str], max_rows: int | None = None
) -> RawRows:
    """Loads columns of one split.

    Args:
        dataset: id on the Hub, such as "nyu-mll/glue".
        config: name of the configuration, where the dataset has several.
        split: name of the split.
        columns: the columns to keep; the last is the label column.
        max_rows: keep only the first rows.

    Raises:
        DataError: the Hub is out of reach, or dataset, configuration, split or a column is unknown.
    """
    name = " ".join(part for part in (dataset, config) if part)
    loaded = load_split(
        dataset,
        config,
        split,
        "Check dataset, dataset_config, train_split and validation_split, or give files "
        "(--train-file, --validation-file).",
        "train_file and validation_file (--train-file, --validation-file), or use the dataset 'demo-sentiment'",
    )
    return rows_from_dataset(loaded, f"{name} [{split}]", columns, max_rows)


def load_split(
    dataset: str, config: str | None, split: str, advice: str, offline: str, *, streaming: bool = False
) -> Any:
    """Opens one split.

    Args:
        dataset: id on the Hub.
        config: name of the configuration, where the dataset has several.
        split: name of the split.
        advice: what to look at when it cannot be loaded.
        offline: the files to give without a network.
        streaming: download while it is read.

    Returns:
        A Dataset, or an IterableDataset where it streams.

    Raises:
        DataError: the Hub is out of reach, or dataset, configuration or split is unknown.
    """
    import datasets

    name = " ".join(part for part in (dataset, config) if part)
    options = {"streaming": True} if streaming else {}
    try:
        return datasets.load_dataset(dataset, config, split=split, **options)
    except ConnectionError as error:
        raise DataError(
            f"The dataset {name!r} cannot be fetched: {error}. Without a network give files instead: {offline}."
        ) from error
    except Exception as error:  # the Hub library raises many kinds, and each is a wrong name or a fault of the source
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"The dataset {name!r}, split {split!r}, cannot be loaded: {reason:.300} {advice}") from error


def dataset_revision(dataset: str) -> str | None:
    """The newest commit of a dataset on the Hub; None where it is out of reach, or no such id."""
    from huggingface_hub import HfApi

    try:
        return str(HfApi().dataset_info(dataset).sha)
    except Exception:  # of the network or of the id: loading the dataset says which
        return None


# Texts to translate, of which some may be missing.


def texts_or_blank(rows: RawRows, column: str) -> list[str]:
    """The texts of a column, a missing one as a blank: whoever translates skips those, and counts them.

    Raises:
        DataError: a value that is no text.
    """
    filled = [" " if value in (None, "") else value for value in rows.columns[column]]
    return check_texts(replace(rows, columns={column: filled}), column)
