"""TinyBERT's data augmentation: copies of a text with some of its words replaced.

Source:
    Jiao et al. 2020, TinyBERT, Algorithm 1.
"""

import random
import shutil
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.augmentation_candidates import ReadText, WordSource
from tinybert_hf.data.augmentation_words import ReplacementSettings, Text, with_words
from tinybert_hf.data.files import read_file, read_whole_file
from tinybert_hf.data.raw_rows import RawRows, columns_named_by
from tinybert_hf.data.shards import (
    PARTS,
    WHOLE,
    ShardFolder,
    Share,
    beside,
    finished_file,
    held_folder,
    place_single,
    refuse_unknown_suffix,
)
from tinybert_hf.errors import DataError
from tinybert_hf.model.manifest_tinybert import sha256_of

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]


# Copies of rows with some words replaced.

Row = Sequence[Text | None]
"""The texts of a row: one, or the two of a pair."""

NOTHING_TO_REPLACE = "rows_without_a_copy"
WORDS_BEYOND, WORDS_UNKNOWN = "words_behind_max_length", "words_without_neighbours"
_TRIES = 100


@dataclass(frozen=True)
class Copy:
    """A row with another text on one of its sides.

    Attributes:
        side: 0, or 1 for the second text of a pair; the other side is the original.
        text: with other words.
    """

    side: int
    text: Text


@dataclass(frozen=True)
class _Draw:
    side: int
    words: list[tuple[int, float]] = field(default_factory=list)
    """Which word, and a number from 0 to 1 that chooses among its candidates."""


class Augmenter:
    """Makes copies of rows; those of a row depend on nothing but the row, its number and the settings."""

    def __init__(self, source: WordSource, settings: ReplacementSettings) -> None:
        """For words of a source."""
        self._source, self._settings = source, settings

    def count(self, rows: Sequence[Row]) -> tuple[int, Counter[str]]:
        """How many copies the rows will get, and what will be left as it is; no model is asked."""
        read = self._read(rows)
        copies = [len(self._draws([_of(read, text) for text in row], 0)) for row in rows]
        return sum(copies), self._notes(rows, read, copies)

    def augment(
        self, rows: Sequence[Row], first_row: int = 0, progress: Callable[[int, int], None] | None = None
    ) -> tuple[list[list[Copy]], Counter[str]]:
        """Makes the copies.

        Args:
            rows: all of one or all of two texts.
            first_row: number of the first of them, from 0.
            progress: called with (words done, words in all) of these rows.

        Returns:
            The copies of each row: as many as the settings say, or none where no word can be replaced. And counts of
            what was left as it is.
        """
        read = self._read(rows)
        draws = [self._draws([_of(read, text) for text in row], first_row + index) for index, row in enumerate(rows)]
        wanted = dict.fromkeys(
            (_key(row[draw.side]), index)
            for row, drawn in zip(rows, draws, strict=True)
            for draw in drawn
            for index, _ in draw.words
        )
        done = 0

        def advance(words: int) -> None:
            nonlocal done
            done += words
            if progress is not None:
                progress(done, len(wanted))

        candidates = self._source.candidates(read, list(wanted), self._settings, advance)
        copies = [
            [self._copy(row[draw.side], read, draw, candidates) for draw in drawn]
            for row, drawn in zip(rows, draws, strict=True)
        ]
        return copies, self._notes(rows, read, [len(made) for made in copies])

    def _read(self, rows: Sequence[Row]) -> dict[Hashable, ReadText]:
        """Every text once, though a list of words may read like a text."""
        texts = {_key(text): text for row in rows for text in row}
        return dict(zip(texts, self._source.read(list(texts.values()), self._settings), strict=True))

    def _draws(self, sides: Sequence[ReadText], row: int) -> list[_Draw]:
        """Which words of which side each copy replaces."""
        able = [index for index, side in enumerate(sides) if side.words]
        if not able:
            return []
        generator = random.Random(f"{self._settings.seed} {row}")
        first = int(generator.random() * len(able))
        return [
            self._draw(generator, able[(first + copy) % len(able)], sides) for copy in range(self._settings.copies)
        ]

    def _draw(self, generator: random.Random, side: int, sides: Sequence[ReadText]) -> _Draw:
        count = len(sides[side].words)
        for _ in range(_TRIES):
            drawn = [index for index in range(count) if generator.random() < self._settings.probability]
            if drawn:
                break
        else:  # of one word and a small probability
            drawn = [int(generator.random() * count)]
        return _Draw(side, [(index, generator.random()) for index in drawn])

    def _copy(
        self,
        text: Text | None,
        read: dict[Hashable, ReadText],
        draw: _Draw,
        candidates: dict[tuple[Hashable, int], list[str]],
    ) -> Copy:
        assert text is not None
        key, replaced = _key(text), []
        for index, share in draw.words:
            word, _ = read[key].words[index]
            found = candidates[key, index]
            if found:  # a vocabulary of one word has no other
                chosen = found[int(share * len(found))]
                replaced.append((word, self._source.vocabulary.in_the_case_of(word.text, chosen)))
        return Copy(draw.side, with_words(text, replaced))

    def _notes(self, rows: Sequence[Row], read: dict[Hashable, ReadText], copies: Sequence[int]) -> Counter[str]:
        notes: Counter[str] = Counter()
        for row in rows:
            for text in row:
                notes[WORDS_BEYOND] += _of(read, text).beyond
                notes[WORDS_UNKNOWN] += _of(read, text).unknown
        notes[NOTHING_TO_REPLACE] = sum(not count for count in copies)
        return notes


def _key(text: Text | None) -> Hashable:
    return text if text is None or isinstance(text, str) else tuple(text)


def _of(read: dict[Hashable, ReadText], text: Text | None) -> ReadText:
    return read[_key(text)]


# A file of rows, with the augmented ones behind each: written in shards, and the same after any stop.

IS_AUGMENTED, SOURCE_ROW = "is_augmented", "source_row"
_OUTPUTS = (".parquet", ".jsonl", ".jsonl.gz")


@dataclass(frozen=True)
class FileToAugment:
    """Rows to make copies of.

    Attributes:
        path: .jsonl, .json, .csv, .tsv or .parquet, each also with .gz behind it.
        text_column: with texts, or with lists of words.
        text_pair_column: with the second text of a pair.
        max_rows: take only the first rows.
        shard_rows: rows of one shard; a run that is stopped loses at most one shard.
    """

    path: str
    text_column: str = "text"
    text_pair_column: str | None = None
    max_rows: int | None = None
    shard_rows: int = 500

    def __post_init__(self) -> None:
        """Refuses values that cannot be used.

        Raises:
            DataError: naming the setting.
        """
        for name in ("max_rows", "shard_rows"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if self.text_column == self.text_pair_column:
            raise DataError(f"text_column and text_pair_column are both {self.text_column!r}; they must differ.")

    @property
    def columns(self) -> list[str]:
        """With texts."""
        return [self.text_column, *([self.text_pair_column] if self.text_pair_column else [])]


@dataclass(frozen=True)
class AugmentationReport:
    """What a run wrote.

    Attributes:
        output: the file.
        rows_read: rows of the input.
        rows_written: those and their copies.
        notes: reason -> how many rows got no copy for it, or how many words were never replaced.
        was_there: an earlier start has written the whole file, and nothing was to do.
    """

    output: str
    rows_read: int
    rows_written: int
    notes: dict[str, int]
    was_there: bool = False


def write_augmented(
    source: WordSource,
    file: FileToAugment,
    settings: ReplacementSettings,
    output: str | Path,
    *,
    words_of: Mapping[str, Any],
    progress: Callable[[int, int], None] | None = None,
    share: Share = WHOLE,
) -> AugmentationReport:
    """Writes the rows of a file, each followed by its copies.

    The copies keep the other columns of their row. Two columns are added: is_augmented, and source_row, the number of
    the row in the input, from 0. A run that was stopped, even killed, goes on with the same call and ends with the
    same rows; a complete one is not repeated.

    Args:
        source: of words.
        file: the rows.
        settings: of the replacement.
        output: ends in .parquet, .jsonl or .jsonl.gz.
        words_of: says which source that is, as JSON can hold it: an output of another one is refused.
        progress: called with (rows done, rows in all).
        share: of the shards that this process writes, where several processes call this with equal settings, each
            with its own source (`Share.launched()` under a launcher). All have the same report, when all is there.

    Raises:
        DataError: the rows cannot be used.
        OutputFolderError: the output holds something else, or rows of other settings.
    """
    output = Path(output)
    check_output(output)
    table = read_rows(file)
    suffix = ".parquet" if output.name.lower().endswith(".parquet") else ".jsonl.gz"
    identity = {
        **{name: value for name, value in asdict(file).items() if name != "path"},
        **asdict(settings),
        **words_of,
        "content of the file": sha256_of(Path(file.path))[:16],
    }
    finished = finished_file(output, identity)
    if finished is not None:
        shutil.rmtree(beside(output, PARTS), ignore_errors=True)
        return replace(_report(output, finished), was_there=True)
    parts = beside(output, PARTS)
    with held_folder(parts, str(output)) if share.is_first else nullcontext():
        folder = ShardFolder.claim(parts, identity, suffix, -(-len(table) // file.shard_rows), share)
        augmenter, schema = Augmenter(source, settings), _schema(table, file)
        done = len(table) - sum(len(_rows_of(index, file, len(table))) for index in folder.missing)
        for index in folder.mine:
            rows = _rows_of(index, file, len(table))
            texts = [_texts(table, file, row) for row in rows]
            made, notes = augmenter.augment(texts, rows.start, _share(progress, done, len(rows), len(table)))
            written = _written(table, file, rows, made)
            folder.write(index, written, {"notes": dict(sorted(notes.items()))}, schema=schema)
            done += len(rows)
        if not share.is_first:
            return _report(output, folder.wait_for_first())
        for index in folder.written_by_others():
            done += len(_rows_of(index, file, len(table)))
            if progress is not None:
                progress(done, len(table))
        folder.note(train_file=file.path, rows_read=len(table), complete=True)
        report = _report(output, folder.manifest)
        place_single(folder, output)
        return report


def check_output(output: str | Path) -> None:
    """Refuses a file of a kind that is not written here.

    Raises:
        OutputFolderError: naming those that are.
    """
    refuse_unknown_suffix(Path(output), _OUTPUTS)


def dry_run(
    source: WordSource, file: FileToAugment, settings: ReplacementSettings, examples: int = 3
) -> tuple[AugmentationReport, list[tuple[Row, list[Copy]]]]:
    """What a run would write, and the copies of the first rows that get any; writes nothing."""
    table = read_rows(file)
    augmenter, copies = Augmenter(source, settings), 0
    notes: Counter[str] = Counter()
    shown: list[tuple[Row, list[Copy]]] = []
    for index in range(-(-len(table) // file.shard_rows)):
        rows = _rows_of(index, file, len(table))
        texts = [_texts(table, file, row) for row in rows]
        counted, more = augmenter.count(texts)
        copies += counted
        notes.update(more)
        for row, text in zip(rows, texts, strict=True):
            if len(shown) < examples and augmenter.count([text])[0]:
                shown.append((text, augmenter.augment([text], row)[0][0]))
    return AugmentationReport("", len(table), len(table) + copies, dict(sorted(notes.items()))), shown


def read_rows(file: FileToAugment) -> RawRows:
    """All columns of a file.

    Raises:
        DataError: it cannot be used, a column is missing or not of texts, or it was augmented before.
    """
    with columns_named_by("Name the columns with --text-column and --text-pair-column."):
        read_file(file.path, file.columns, max_rows=1)
    table = read_whole_file(file.path, file.max_rows)
    for name in (IS_AUGMENTED, SOURCE_ROW):
        if name in table.columns:
            raise DataError(
                f"{file.path} has a column {name!r} already, as rows that were augmented before have. Give the rows "
                "that they were made of, or rename it."
            )
    for column in file.columns:
        for row, value in enumerate(table.columns[column]):
            if value is not None and not _is_text(value):
                table.refuse(row, column, f"{value!r:.60} is neither a text nor a list of words.")
    return table


def _is_text(value: Any) -> bool:
    parts = value if isinstance(value, list) else [value]
    return all(_encodes(part) for part in parts)


def _encodes(part: Any) -> bool:
    if not isinstance(part, str):
        return False
    try:
        part.encode()
    except UnicodeEncodeError:
        return False
    return True


def _texts(table: RawRows, file: FileToAugment, row: int) -> list[Any]:
    return [table.columns[column][row] for column in file.columns]


def _rows_of(index: int, file: FileToAugment, total: int) -> range:
    return range(index * file.shard_rows, min(total, (index + 1) * file.shard_rows))


def _written(
    table: RawRows, file: FileToAugment, rows: Sequence[int], made: Sequence[Sequence[Copy]]
) -> list[dict[str, Any]]:
    written = []
    for row, copies in zip(rows, made, strict=True):
        original = {name: values[row] for name, values in table.columns.items()}
        written.append({**original, IS_AUGMENTED: False, SOURCE_ROW: row})
        for copy in copies:
            written.append({**original, file.columns[copy.side]: copy.text, IS_AUGMENTED: True, SOURCE_ROW: row})
    return written


def _schema(table: RawRows, file: FileToAugment) -> "pyarrow.Schema":
    """The types of all rows, so that every shard has the same."""
    import pyarrow

    fields = []
    for name, values in table.columns.items():
        try:
            fields.append((name, pyarrow.array(values).type))
        except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise DataError(
                f"{file.path}, column {name!r}: its values are of several kinds ({str(error).splitlines()[0]}), which "
                "no column of a table can hold. Make them alike, or remove the column."
            ) from error
    return pyarrow.schema([*fields, (IS_AUGMENTED, pyarrow.bool_()), (SOURCE_ROW, pyarrow.int64())])


def _share(
    progress: Callable[[int, int], None] | None, done: int, rows: int, total: int
) -> Callable[[int, int], None] | None:
    """Progress in rows from progress in the words of some rows."""
    if progress is None:
        return None
    progress(done, total)
    return lambda words, all_words: progress(done + rows * words // max(1, all_words), total)


def _report(output: Path, manifest: Mapping[str, Any]) -> AugmentationReport:
    notes: Counter[str] = Counter()
    for shard in manifest["shards"]:
        notes.update(shard["notes"])
    written = sum(shard["rows"] for shard in manifest["shards"])
    return AugmentationReport(str(output), manifest["rows_read"], written, dict(sorted(notes.items())))
