"""Word vectors from a text file, as GloVe and word2vec write them."""

import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from tinybert_hf.data.augmentation.neighbours import WordTable
from tinybert_hf.data.augmentation.words import is_lettered, is_word
from tinybert_hf.data.lines import byte_blocks, reading
from tinybert_hf.errors import DataError
from tinybert_hf.wording import counted

_HEADER = re.compile(rb" *(\d{1,18}) +(\d{1,18})")
# One way only to match a number: a line may be as long as a file.
_NUMBERS = re.compile(rb"(?: [-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)+")
_LOOKED_AT = 1000
_FEWEST = 2
_TWICE = "of a word that stands there already (its first vector is taken)"


@dataclass(frozen=True)
class _Scan:
    width: int
    rows: int
    has_header: bool
    left_out: Counter[str]
    notes: list[str]


class GloveVectors:
    """The nearest words by vectors of a file.

    Attributes:
        notes: what was left out of the file, a sentence each.
    """

    def __init__(self, file: str | Path) -> None:
        """Reads the file with gensim.

        Raises:
            DataError: gensim is not there, or the file is missing, empty, or holds no vectors.
        """
        import torch

        require_gensim()
        scan = _scan(Path(file))
        vectors = _load(Path(file), scan)
        words = list(vectors.index_to_key)
        endless = (~torch.from_numpy(vectors.vectors).isfinite().all(dim=1)).nonzero().flatten().tolist()
        if endless:
            raise DataError(
                f"{file}: the vector of {words[endless[0]]!r:.60} has a number that is too large. Remove its line."
            )
        kept = [place for place, word in enumerate(words) if is_word(word) and is_lettered(word)]
        if len(kept) < _FEWEST:
            raise DataError(f"{file} holds no words: its {len(words):,} entries are numbers or signs.")
        self._table = WordTable([words[place] for place in kept], torch.from_numpy(vectors.vectors[kept]))
        self._vectors = torch.from_numpy(vectors.vectors)
        self._places = {word: place for place, word in reversed(list(enumerate(words)))}
        self._known: dict[tuple[str, int], list[str]] = {}
        self.notes = scan.notes + [
            f"{file}: {counted(count, 'line')} left out, {reason}." for reason, count in scan.left_out.items()
        ]

    def knows(self, word: str) -> bool:
        """Whether the file has a vector for a word, as it is written or in small letters."""
        return word in self._places or word.lower() in self._places

    def words(self, words: Sequence[str], pieces: Sequence[Sequence[int]], count: int) -> list[list[str]]:
        """The nearest words of each that the file knows; none of the others.

        Args:
            words: whose neighbours are wanted.
            pieces: not looked at.
            count: how many.
        """
        new = list(dict.fromkeys(word for word in words if self.knows(word) and (word, count) not in self._known))
        if new:
            places = [self._places.get(word, self._places.get(word.lower(), 0)) for word in new]
            found = self._table.nearest(new, self._vectors[places].double(), count)
            self._known.update({(word, count): near for word, near in zip(new, found, strict=True)})
        return [self._known.get((word, count), []) for word in words]


def require_gensim() -> None:
    """Refuses to go on without the library that reads the file.

    Raises:
        DataError: naming the line that installs it.
    """
    try:
        import gensim  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise DataError('GloVe vectors need gensim: pip install "tinybert_hf[glove]"') from error


def _load(file: Path, scan: _Scan) -> Any:
    import numpy as np
    from gensim.models import KeyedVectors  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "vectors.txt"
        with clean.open("wb") as handle:
            handle.write(b"%d %d\n" % (scan.rows, scan.width))  # where it has to count them, gensim leaves files open
            handle.writelines(line for line, reason in _lines(file, scan.width, scan.has_header) if reason is None)
        with np.errstate(over="ignore"):  # what is too large for float32 is looked for afterwards
            return KeyedVectors.load_word2vec_format(str(clean), binary=False)


def _scan(file: Path) -> _Scan:
    """How wide the vectors are, and which lines cannot be used."""
    if not file.is_file():
        raise DataError(f"{file} does not exist (looked from {Path.cwd()}): no word vectors.")
    header = next((_HEADER.fullmatch(line) for line in _raw_lines(file)), None)
    has_header = header is not None
    first = islice(_raw_lines(file), int(has_header), _LOOKED_AT)
    widths = Counter(line.count(b" ") for line in first if line)
    width = max(widths, key=lambda one: widths[one], default=0)
    left_out: Counter[str] = Counter()
    rows = 0
    for _, reason in _lines(file, width, has_header):
        if reason is None:
            rows += 1
        else:
            left_out[reason] += 1
    if width == 0 or rows < _FEWEST:
        counted = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise DataError(
            f"{file} holds no word vectors{f' ({counted})' if counted else ' (it is empty)'}. Each line must be a "
            "word and its numbers, with single spaces (or tabs) between them, as GloVe and word2vec write them."
        )
    notes = []
    said = (int(header[1]), int(header[2])) if header is not None else None
    there = rows + left_out.total()
    if said is not None and said != (there, width):
        notes.append(
            f"{file}: its first line says {said[0]:,} vectors of {said[1]:,} numbers, and {there:,} of {width:,} "
            "follow. If you did not shorten it yourself, make or download it again."
        )
    return _Scan(width, rows, has_header, left_out, notes)


def _lines(file: Path, width: int, has_header: bool) -> Iterator[tuple[bytes, str | None]]:
    """Each line as gensim takes it, and why it cannot be used."""
    seen: set[bytes] = set()
    for number, line in enumerate(_raw_lines(file)):
        if (number == 0 and has_header) or not line:
            continue
        reason = _reason(line, width)
        if reason is None:
            word = line.partition(b" ")[0]
            reason = _TWICE if word in seen else None
            seen.add(word)
        yield line + b"\n", reason


def _reason(line: bytes, width: int) -> str | None:
    word, _, numbers = line.partition(b" ")
    if not word or _NUMBERS.fullmatch(b" " + numbers) is None:
        return "not a word and its numbers"
    if numbers.count(b" ") + 1 != width:
        return f"not {width} numbers wide"
    try:
        word.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


def _raw_lines(file: Path) -> Iterator[bytes]:
    """The lines without the white space behind them; a tab between a word and its numbers is as good as a space."""
    with reading(str(file)) as handle:
        for _, block in byte_blocks(handle, str(file)):
            for line in block.split(b"\n"):
                yield line.rstrip().replace(b"\t", b" ")
