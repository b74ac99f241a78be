"""The files or the dataset that a corpus is read from: found, compared, and told apart by what they hold."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinybert_hf.data.corpus.lines import Line, file_lines, hub_lines
from tinybert_hf.data.corpus.settings import CorpusSettings
from tinybert_hf.data.finding import files_of
from tinybert_hf.data.hub import dataset_revision, load_split
from tinybert_hf.errors import DataError

# A file up to this size is known by all of its bytes; of a larger one its ends, its size and its date are looked at.
_READ_WHOLE, _END = 64 << 20, 1 << 20
# Text that a gzip file holds, for each of its bytes: a low estimate.
_UNPACKED = 2.5


@dataclass(frozen=True)
class Source:
    """One file, or one split on the Hub.

    Attributes:
        name: of the file or of the dataset.
        digest: two sources with the same one hold the same text.
        size: bytes that are read; 0 where that is not known.
        dataset: of the Hub, opened.
    """

    name: str
    digest: str
    size: int = 0
    dataset: Any = field(default=None, compare=False, repr=False)

    @property
    def text_bytes(self) -> int:
        """About how many bytes of text it holds; a low estimate."""
        return int(self.size * _UNPACKED) if self.name.endswith((".gz", ".parquet")) else self.size

    def lines(self, settings: CorpusSettings) -> Iterator[Line]:
        """Its lines of text, none of them blank.

        Raises:
            DataError: it cannot be read; the message names the place.
        """
        if self.dataset is not None:
            return hub_lines(self.dataset, self.name, settings)
        return file_lines(self.name, settings)


@dataclass(frozen=True)
class Sources:
    """All sources of a corpus, in order.

    Attributes:
        found: each once.
        left_out: files that were named twice, or hold the same as another.
    """

    found: tuple[Source, ...]
    left_out: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Of what all of them hold."""
        return hashlib.sha256(" ".join(source.digest for source in self.found).encode()).hexdigest()

    @property
    def text_bytes(self) -> int:
        """About how many bytes of text there are; 0 where that is not known."""
        return sum(source.text_bytes for source in self.found)


def find_sources(settings: CorpusSettings) -> Sources:
    """The files or the dataset that settings name.

    Raises:
        DataError: nothing is named, a file is not there, or the dataset cannot be reached.
    """
    if settings.dataset is not None:
        return Sources((_hub_source(settings),))
    return find_files(settings.files, "corpus.files (--corpus)")


def find_files(names: Sequence[str], what: str) -> Sources:
    """The files that names, patterns and folders stand for: sorted within each, and each once.

    Args:
        names: as they were given.
        what: the field, for the message.

    Raises:
        DataError: no name is given, or one stands for no file.
    """
    if not names:
        raise DataError(
            f"There is no text: {what} is not given. Name text files, or a dataset on the Hub (--dataset)."
        )
    found: dict[str, Source] = {}
    left_out, seen = [], set()
    for file in (file for name in names for file in files_of(name)):
        resolved = file.resolve()
        digest = _digest(file)
        # Empty files are alike without being the same one given twice; they are counted as empty.
        if resolved in seen or (file.stat().st_size and digest in found):
            left_out.append(str(file))
            continue
        seen.add(resolved)
        found[digest if file.stat().st_size else f"empty {resolved}"] = Source(str(file), digest, file.stat().st_size)
    return Sources(tuple(found.values()), tuple(left_out))


def _digest(file: Path) -> str:
    try:
        status = file.stat()
        digest = hashlib.sha256(f"{status.st_size} ".encode())
        with file.open("rb") as handle:
            if status.st_size <= _READ_WHOLE:
                while piece := handle.read(_END):
                    digest.update(piece)
            else:
                digest.update(f"{status.st_mtime_ns} ".encode() + handle.read(_END))
                handle.seek(-_END, 2)
                digest.update(handle.read())
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror or error}.") from error
    return digest.hexdigest()


def _hub_source(settings: CorpusSettings) -> Source:
    assert settings.dataset is not None
    loaded = load_split(
        settings.dataset,
        settings.dataset_config,
        settings.split,
        "Check dataset, dataset_config and split of the corpus, or give files (--corpus).",
        "corpus.files (--corpus)",
        streaming=settings.streaming,
    )
    name = " ".join(part for part in (settings.dataset, settings.dataset_config, f"[{settings.split}]") if part)
    state = dataset_revision(settings.dataset) if settings.streaming else loaded._fingerprint
    return Source(name, f"{name} {state}", dataset=loaded)
