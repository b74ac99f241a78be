"""The lines of a file that may be packed, of any size, in blocks that fit the memory."""

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from tinybert_hf.errors import DataError

MAX_LINE_BYTES = 64 << 20
"""A text of so many bytes is no example, and a few kilobytes of gzip can hold a line that fills the memory."""
# Text packs 3 to 20 times, the same few sentences over and over 40 times, one row again and again 250 to 350 times.
# The rule holds for every packed format: .gz here, and what a Parquet file holds for each of its bytes.
MOST_UNPACKED = 100
UNPACKED_ANYWAY = 32 << 20
# Some hundred lines: a line that a reader has to look at by itself holds up few others.
_PIECE = 1 << 15
_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def unpacks_too_far(unpacked: int, packed: int) -> bool:
    """Whether so many bytes of so many packed ones are no text, but something that fills the memory."""
    return unpacked > max(UNPACKED_ANYWAY, MOST_UNPACKED * packed)


class _Unpacked(gzip.GzipFile):
    """A gzip file that may not grow without bound: a few kilobytes can hold gigabytes of one letter."""

    def __init__(self, path: str) -> None:
        super().__init__(path, "rb")
        self._packed = Path(path).stat().st_size
        # The last four bytes of a gzip file say how much it holds. They may lie, or the file may be cut, so that is
        # only the reason to look before any row of it is made.
        with Path(path).open("rb") as raw:
            raw.seek(max(0, self._packed - 4))
            said = int.from_bytes(raw.read(4), "little")
        if unpacks_too_far(said, self._packed):
            while self.read(_PIECE):
                pass
            self.seek(0)

    def _checked(self, data: bytes) -> bytes:
        read = getattr(self, "fileobj", None)
        if unpacks_too_far(self.tell(), min(self._packed, read.tell()) if read is not None else self._packed):
            raise DataError(
                f"{self.name} unpacks to more than {MOST_UNPACKED} times its size, as no text does. If it is right, "
                "unpack it yourself and give the unpacked file."
            )
        return data

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(_PIECE), b""))
        return self._checked(super().read(size))

    def read1(self, size: int = -1) -> bytes:
        return self._checked(super().read1(_PIECE if size < 0 else size))

    def readline(self, size: int | None = -1) -> bytes:
        return self._checked(super().readline(size))


def open_file(path: str) -> IO[bytes]:
    """Opens a file; one that ends in .gz gives its content, which may not grow without bound."""
    return cast("IO[bytes]", _Unpacked(path) if path.lower().endswith(".gz") else Path(path).open("rb"))


@contextmanager
def reading(path: str) -> Iterator[IO[bytes]]:
    """Around what reads a file: what the system says about it becomes one of our errors.

    Args:
        path: of the file; one that ends in .gz is unpacked.

    Raises:
        DataError: it cannot be read, or is not a whole gzip file.
    """
    try:
        with open_file(path) as handle:
            yield handle
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}). Make or download it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def byte_blocks(handle: IO[bytes], source: str, size: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Yields a file in blocks of whole lines, without the last line feed.

    Args:
        handle: a file or a terminal.
        source: what messages call it.
        size: of a block, in bytes; None: a block is what is there, so that lines of a terminal are not waited for.

    Yields:
        The number of the first line of the block, counted from 1, and the lines.

    Raises:
        DataError: a file in UTF-16, or a line longer than any example.
    """
    number = 1
    unfinished: list[bytes] = []
    held = 0
    read = getattr(handle, "read1", handle.read) if size is None else handle.read
    while piece := read(size or _PIECE):
        if number == 1 and not held:
            piece = _without_mark(piece, source)
        cut = piece.rfind(b"\n")
        if cut < 0:
            unfinished.append(piece)
            held += len(piece)
            if held > MAX_LINE_BYTES:
                raise DataError(
                    f"{source}, line {number}: longer than {MAX_LINE_BYTES >> 20} MB. Split or remove the row."
                )
            continue
        block = b"".join([*unfinished, piece[:cut]])
        unfinished, held = [piece[cut + 1 :]], len(piece) - cut - 1
        yield number, block
        number += block.count(b"\n") + 1
    if held:
        yield number, b"".join(unfinished)


def text_blocks(handle: IO[bytes], source: str) -> Iterator[tuple[int, str]]:
    """Yields a UTF-8 file in blocks of whole lines, as `byte_blocks`.

    Raises:
        DataError: as there, and for a line that is not UTF-8.
    """
    for number, block in byte_blocks(handle, source):
        yield number, decoded(block, source, number)


def line_blocks(handle: IO[bytes], source: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the lines of a UTF-8 file in blocks, without line feeds.

    Yields:
        The number of the first line of the block, counted from 1, and its lines.

    Raises:
        DataError: as `text_blocks`.
    """
    for number, text in text_blocks(handle, source):
        yield number, text.split("\n")


def text_lines(handle: IO[bytes], source: str) -> Iterator[tuple[int, str]]:
    """Yields the lines of a UTF-8 file one by one, with their numbers, counted from 1.

    Raises:
        DataError: as `text_blocks`.
    """
    for number, lines in line_blocks(handle, source):
        yield from enumerate(lines, start=number)


def _without_mark(piece: bytes, source: str) -> bytes:
    for mark, encoding in _MARKS.items():
        if piece.startswith(mark):
            raise DataError(
                f'{source}, line 1: the file is {encoding}, as Excel\'s "Unicode Text" is, and not UTF-8. Save it as '
                '"CSV UTF-8", or write it anew: iconv -f UTF-16 -t UTF-8 OLD > NEW.'
            )
    return piece.removeprefix(codecs.BOM_UTF8)


def decoded(data: bytes, source: str, number: int) -> str:
    """Lines as text.

    Args:
        data: whole lines.
        source: what messages call their file.
        number: of the first line.

    Raises:
        DataError: they are not UTF-8, with the line.
    """
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}, line {number + data.count(10, 0, error.start)}: byte {data[error.start]:#04x} is not UTF-8. "
            "Save the file as UTF-8."
        ) from error
