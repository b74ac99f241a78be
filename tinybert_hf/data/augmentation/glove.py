"""Word vectors from a text file, as GloVe and word2vec write them."""

import gzip
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from tinybert_hf.data.augmentation.neighbours import WordTable
from tinybert_hf.data.augmentation.words import is_lettered, is_word
from tinybert_hf.errors import DataError
from tinybert_hf.wording import counted

_HEADER = re.compile(rb"\s*\d+ +\d+\s*")
_NUMBERS = re.compile(rb"(?: [-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)+")
_LOOKED_AT = 1000
_FEWEST = 2
_TWICE = "of a word that stands there already (its first vector is taken)"


@dataclass(frozen=True)
class _Scan:
    width: int
    rows: int
    has_header: bool
    left_out: Counter[str]


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
        try:
            scan = _scan(Path(file))
            vectors = _load(Path(file), scan)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{file} is not a whole gzip file ({error}). Make or download it again.") from error
        words = list(vectors.index_to_key)
        kept = [place for place, word in enumerate(words) if is_word(word) and is_lettered(word)]
        if len(kept) < _FEWEST:
            raise DataError(f"{file} holds no words: its {len(words):,} entries are numbers or signs.")
        self._table = WordTable([words[place] for place in kept], torch.from_numpy(vectors.vectors[kept]))
        self._vectors = torch.from_numpy(vectors.vectors)
        self._places = {word: place for place, word in reversed(list(enumerate(words)))}
        self._known: dict[tuple[str, int], list[str]] = {}
        self.notes = [
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
    from gensim.models import KeyedVectors  # type: ignore[import-not-found,import-untyped,unused-ignore]

    with tempfile.TemporaryDirectory() as folder:
        clean = Path(folder) / "vectors.txt"
        with clean.open("wb") as handle:
            handle.write(b"%d %d\n" % (scan.rows, scan.width))  # where it has to count them, gensim leaves files open
            handle.writelines(line for line, reason in _lines(file, scan.width, scan.has_header) if reason is None)
        return KeyedVectors.load_word2vec_format(str(clean), binary=False)


def _scan(file: Path) -> _Scan:
    """How wide the vectors are, and which lines cannot be used."""
    if not file.is_file():
        raise DataError(f"{file} does not exist (looked from {Path.cwd()}): no word vectors.")
    with _open(file) as handle:
        first = [line for _, line in zip(range(_LOOKED_AT), handle, strict=False)]
    has_header = bool(first) and _HEADER.fullmatch(first[0]) is not None
    widths = Counter(line.rstrip().count(b" ") for line in first[int(has_header) :] if line.strip())
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
            "word and its numbers, with single spaces between them, as GloVe and word2vec write them."
        )
    return _Scan(width, rows, has_header, left_out)


def _lines(file: Path, width: int, has_header: bool) -> Iterator[tuple[bytes, str | None]]:
    """Each line as gensim takes it, and why it cannot be used."""
    seen: set[bytes] = set()
    with _open(file) as handle:
        for number, line in enumerate(handle):
            if (number == 0 and has_header) or not line.strip():
                continue
            line = line.rstrip() + b"\n"
            reason = _reason(line, width)
            if reason is None:
                word = line.partition(b" ")[0]
                reason = _TWICE if word in seen else None
                seen.add(word)
            yield line, reason


def _reason(line: bytes, width: int) -> str | None:
    word, _, numbers = line.rstrip().partition(b" ")
    if not word or _NUMBERS.fullmatch(b" " + numbers) is None:
        return "not a word and its numbers"
    if numbers.count(b" ") + 1 != width:
        return f"not {width} numbers wide"
    try:
        word.decode()
    except UnicodeDecodeError:
        return "not UTF-8"
    return None


def _open(file: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb"))
