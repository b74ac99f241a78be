"""Sentences of any text as further rows without labels: single texts, pairs of neighbours, rows of words."""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.corpus_sources import Line, file_lines
from tinybert_hf.data.files import SUFFIXES, checked_suffix, file_columns
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.data.tasks import TaskData, alike, dataset_of, keys_of
from tinybert_hf.data.tokenizers import is_of_spaced_word, script_of, usual_script
from tinybert_hf.errors import DataError
from tinybert_hf.messages import counted

if TYPE_CHECKING:
    from datasets import Dataset

UP_TO_ROWS = 10_000
"""As many rows in all are aimed at, where nothing says how many sentences are taken."""
MOST_FOR_A_ROW = 10
MOST_SENTENCES = 1_000_000
"""What is looked at of a larger corpus: its first ones."""
_DOCUMENT = "document"  # a column that says which rows of a table belong together
_SHARE = 0.05  # of the training rows' texts that are shorter, and that are longer, than what is taken
_ROOM = 0.25  # beyond these: rows of one pattern are all of one length
_LOOKED_AT = 1000  # texts that tell the script
_END = re.compile(
    r"(?<=[.!?])\s+(?![a-z])|(?<=[.!?][\"')\]])\s+(?![a-z])|(?<=[。！？])(?![」』”’）。！？])\s*|(?<=[。！？][」』”’）])\s*"
)
_WORD = re.compile(r"\w+(?:[.'’-]\w+)*|[^\w\s]")


def with_sentences(data: TaskData, file: str, count: int | None) -> tuple[TaskData, tuple[str, ...]]:
    """The rows of a task, with sentences of a text among those without labels.

    The sentences are about as long as the rows' own texts (but for the shortest and the longest twentieth), each is
    taken once, and none that stands among the rows that are measured on. They are drawn by chance, and the same ones
    each time. A pair is made of two neighbours of one document.

    Args:
        data: checked rows with the columns text, or text and text_pair, or tokens.
        file: .txt, or a table with a column text, sentence or content; also .gz.
        count: how many rows are taken; None: as many as bring all rows up to `UP_TO_ROWS`, at most
            `MOST_FOR_A_ROW` for each row with a label.

    Returns:
        The rows; and what to say about them.

    Raises:
        DataError: the file cannot be read, or nothing in it can be taken.
    """
    from datasets import concatenate_datasets

    train = data.train
    assert train is not None
    before = data.unlabelled
    if count is None:
        missing = UP_TO_ROWS - len(train) - (0 if before is None else len(before))
        count = min(missing, MOST_FOR_A_ROW * len(train))
    if count < 1:
        said = (
            f"No sentences of {file} are taken: the rows are {UP_TO_ROWS:,} or more without them. To have some all "
            "the same, say how many: --set data.text_corpus_rows=20000."
        )
        return data, (said,)
    names = [name for name in ("text", "text_pair", "tokens") if name in train.column_names]
    least, most = _usual_lengths(train, names)
    found, left_out = _drawn(file, names, (least, most), _measured(data), count, _splits_characters(train, names))
    if not found:
        unit = "words" if "tokens" in names else "characters"
        raise DataError(
            f"{file}: nothing in it can be a further row ({_said(left_out)}). The rows' own texts have {least} to "
            f"{most} {unit}. Give another text (--text-corpus), or leave it out."
        )
    columns = {name: [row[place] for row in found] for place, name in enumerate(names)}
    rows = dataset_of(columns, train.select_columns(names).features)
    what = ("pair of neighbours", "pairs of neighbours") if "text_pair" in names else ("sentence", "sentences")
    verb = "is" if len(rows) == 1 else "are"
    notes = [f"{counted(len(rows), *what)} of {file} {verb} learnt from without labels ({_said(left_out)})."]
    if len(rows) < count:
        notes[0] += f" {count:,} were wanted: it holds no more."
    here, there = (usual_script(map(script_of, _texts(some, names))) for some in (train, rows))
    if here is not None and there is not None and here != there:
        notes.append(f"{file} is written in {there} and the training rows in {here}: the teacher may not know it.")
    joined = rows if before is None else concatenate_datasets([before, rows.cast(before.features)])
    return replace(data, unlabelled=joined), tuple(notes)


def _usual_lengths(train: "Dataset", names: list[str]) -> tuple[int, int]:
    """Between which lengths most texts of the rows are: in words where they are words, else in characters."""
    lengths = sorted(len(text) for name in names for text in train[name])
    edge = int(_SHARE * len(lengths))
    return max(1, int(lengths[edge] * (1 - _ROOM))), max(1, int(lengths[-1 - edge] * (1 + _ROOM)))


def _measured(data: TaskData) -> set[Any]:
    """What is read of the rows that are measured on."""
    parts = (data.validation, *data.further_validation.values())
    return {key for rows in parts if rows is not None for key in keys_of(rows)}


def _splits_characters(train: "Dataset", names: list[str]) -> bool:
    """Whether each character is a word: of Chinese rows as a rule."""
    if "tokens" not in names:
        return False
    words = [word for row in train["tokens"][:_LOOKED_AT] for word in row]
    unspaced = [word for word in words if not is_of_spaced_word(word[:1]) and word[:1].isalpha()]
    return 2 * len(unspaced) > len(words) and sum(map(len, unspaced)) < 1.2 * len(unspaced)


def _drawn(
    file: str, names: list[str], lengths: tuple[int, int], measured: set[Any], count: int, characters: bool
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Rows in the order of the file, each as likely as the others; and how many were left out for which reason."""
    draw, seen = random.Random(0), set()
    kept: list[tuple[int, tuple[Any, ...]]] = []
    left_out = {"of another length": 0, "measured on": 0, "there twice": 0, "not drawn": 0}
    taken = 0
    for number, row in enumerate(_rows(file, names, characters)):
        key = _key(row)
        if not all(lengths[0] <= len(part) <= lengths[1] for part in row):
            left_out["of another length"] += 1
        elif key in measured:
            left_out["measured on"] += 1
        elif hash(key) in seen:
            left_out["there twice"] += 1
        else:
            seen.add(hash(key))
            taken += 1
            if len(kept) < count:
                kept.append((number, row))
                continue
            left_out["not drawn"] += 1
            place = draw.randrange(taken)
            if place < count:
                kept[place] = number, row
    return [row for _, row in sorted(kept, key=lambda one: one[0])], left_out


def _key(row: tuple[Any, ...]) -> Any:
    """As `keys_of` has it."""
    parts = tuple(alike(" ".join(part) if isinstance(part, list) else part) for part in row)
    return parts[0] if isinstance(row[0], list) else parts


def _rows(file: str, names: list[str], characters: bool) -> Iterator[tuple[Any, ...]]:
    before: str | None = None
    is_table = not checked_suffix(Path(file), (".txt", *SUFFIXES)).startswith(".txt")
    document = _DOCUMENT if is_table and _DOCUMENT in file_columns(file) else None
    lines = file_lines(file, CorpusSettings(files=(file,), document_column=document))
    for number, (sentence, begins) in enumerate(_sentences(lines)):
        if number == MOST_SENTENCES:
            return
        if names == ["text"]:
            yield (sentence,)
        elif names == ["tokens"]:
            yield (list("".join(sentence.split())) if characters else _WORD.findall(sentence),)
        elif before is not None and not begins:
            yield (before, sentence)
            before = None
            continue
        before = sentence


def _sentences(lines: Iterable[Line]) -> Iterator[tuple[str, bool]]:
    """Each with whether a document begins with it."""
    for line in lines:
        begins = line.begins_document
        for part in _END.split(line.text):
            if part.strip():
                yield part.strip(), begins
                begins = False


def _texts(rows: "Dataset", names: list[str]) -> Iterator[str]:
    for text in rows[names[0]][:_LOOKED_AT]:
        yield text if isinstance(text, str) else " ".join(text)


def _said(left_out: Mapping[str, int]) -> str:
    found = ", ".join(f"{number:,} {reason}" for reason, number in left_out.items() if number)
    return f"left out: {found}" if found else "none was left out"
