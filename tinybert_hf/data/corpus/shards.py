"""Tokenises a corpus once, into shards of packed blocks on the disk; a killed run goes on after the last whole shard.

A shard is two files: the tokens of its blocks, one after the other, and the length of each block. It is there when
the manifest names it with the size that it has. The manifest keeps, with each shard, the place in the corpus up to
which it was made and the tokens of the block that was open there, so that the blocks do not depend on where a run was
stopped.
"""

import errno
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from tinybert_hf.data.corpus.lines import Line
from tinybert_hf.data.corpus.packing import Packer, SpecialTokens
from tinybert_hf.data.corpus.settings import CorpusSettings
from tinybert_hf.data.corpus.sources import Source
from tinybert_hf.data.shard_folder import MANIFEST, read_manifest, replace_file
from tinybert_hf.errors import DataError, OutputFolderError
from tinybert_hf.wording import counted

# Tokens after which a shard is closed: at most some tens of seconds of work are lost by a kill.
SHARD_TOKENS = 1 << 24
_LINES_AT_ONCE, _CHARACTERS_AT_ONCE = 1000, 1 << 20
# Tokens for each byte of text: fewer than any usual tokenizer makes.
_FEWEST_TOKENS = 0.15
LENGTH = np.dtype("uint16")

Progress = Callable[[float, int], None]


@dataclass
class _Done:
    """How far a corpus is tokenised: the next source and line, and what was counted so far."""

    source: int = 0
    line: int = 0
    lines: int = 0
    documents: int = 0
    blocks: int = 0
    tokens: int = 0
    pending: list[int] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


@dataclass
class _OpenShard:
    """Blocks that are not written yet."""

    tokens: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(self, block: Sequence[int], kind: np.dtype) -> None:
        self.tokens.append(np.array(block, kind))
        self.count += len(block)


def token_type(vocabulary: int) -> np.dtype:
    """Two bytes a token where they are enough."""
    return np.dtype("uint16" if vocabulary <= 1 << 16 else "uint32")


def tokenise_corpus(
    folder: Path, sources: Sequence[Source], tokenizer: Any, settings: CorpusSettings, progress: Progress | None = None
) -> None:
    """Writes the shards of a corpus, or those that are still missing.

    Args:
        folder: of this corpus with this tokenizer and these settings, and of nothing else.
        sources: in order.
        tokenizer: of the teacher.
        settings: of the corpus.
        progress: called with the share that is done, from 0 to 1, and the tokens so far.

    Raises:
        DataError: a source cannot be read, or the corpus has no text.
        OutputFolderError: the disk is too small or the folder cannot be written.
    """
    writer = _Writer(folder, tokenizer, settings, sources)
    if writer.is_complete:
        return
    writer.check_disk()
    weights = [max(1, source.text_bytes) for source in sources]
    for index in range(writer.done.source, len(sources)):
        before = writer.done.lines
        for batch in _batches(islice(sources[index].lines(settings), writer.done.line, None)):
            writer.add(batch)
            if progress is not None:
                read = sum(weights[:index]) + weights[index] * batch[-1].share
                progress(read / sum(weights), writer.done.tokens)
            if writer.is_full:
                writer.finish()
                return
            writer.close_full_shard()
        writer.end_source(before)
    writer.finish()


class _Writer:
    """Packs batches of lines into the shards of a folder."""

    def __init__(self, folder: Path, tokenizer: Any, settings: CorpusSettings, sources: Sequence[Source]) -> None:
        self.folder, self.tokenizer, self.settings, self.sources = folder, tokenizer, settings, sources
        self.kind = token_type(len(tokenizer))
        self.manifest = _whole_shards(folder, self.kind)
        last = self.manifest["shards"][-1]["done"] if self.manifest["shards"] else {}
        self.done = _Done(**last)
        self.shard = _OpenShard()
        self.packer = Packer(
            SpecialTokens.of(tokenizer), settings.block_length, settings.cross_documents, self.done.pending
        )
        if self.packer.room < 1:
            raise DataError(f"block_length {settings.block_length} leaves no room beside the special tokens.")

    @property
    def is_complete(self) -> bool:
        return bool(self.manifest["complete"])

    @property
    def is_full(self) -> bool:
        most = self.settings.max_blocks
        return most is not None and self.done.blocks >= most

    def check_disk(self) -> None:
        """Refuse a disk that the corpus cannot fit on, before hours have gone into it."""
        text = sum(source.text_bytes for source in self.sources[self.done.source :])
        needed = int(text * _FEWEST_TOKENS * self.kind.itemsize)
        if self.settings.max_blocks is not None:
            needed = min(needed, self.settings.max_blocks * self.settings.block_length * self.kind.itemsize)
        self._refuse_full_disk(needed)

    def _refuse_full_disk(self, needed: int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            raise OutputFolderError(
                f"{self.folder}: the tokenised corpus needs at least {needed / 1e6:,.0f} MB, but only "
                f"{free / 1e6:,.0f} MB are free on that disk. Free some, name a folder on another disk (corpus.cache, "
                "--corpus-cache), or take only a part of the text (corpus.max_blocks)."
            )

    def add(self, batch: Sequence[Line]) -> None:
        """Tokenise lines, and pack them."""
        encoded = self.tokenizer(
            [line.text for line in batch],
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # a line may be longer than the model reads: it is cut into windows
        )["input_ids"]
        for line, tokens in zip(batch, encoded, strict=True):
            self.done.documents += line.begins_document
            for block in self.packer.add(tokens, line.begins_document):
                self._take(block)
        self.done.line += len(batch)
        self.done.lines += len(batch)

    def _take(self, block: Sequence[int]) -> None:
        if not self.is_full:
            self.shard.add(block, self.kind)
            self.done.blocks += 1
            self.done.tokens += len(block)

    def end_source(self, lines_before: int) -> None:
        """Go on with the next source."""
        if self.done.line == 0 and self.done.lines == lines_before:
            self.done.empty.append(self.sources[self.done.source].name)
        self.done.source, self.done.line = self.done.source + 1, 0

    def close_full_shard(self) -> None:
        """Write the open shard if it is large enough."""
        if self.shard.count >= SHARD_TOKENS:
            self._write_shard()

    def finish(self) -> None:
        """Write what is open, and say that all is there."""
        for block in self.packer.flush():
            self._take(block)
        if not self.done.blocks:
            raise DataError(
                f"The corpus has no text: {counted(len(self.sources), 'source')} and not a single line that is not "
                f"blank. The first is {self.sources[0].name}."
            )
        if self.shard.tokens:
            self._write_shard()
        self.manifest["complete"] = True
        self._note()

    def _write_shard(self) -> None:
        name = f"shard-{len(self.manifest['shards']):05d}"
        lengths = np.array([len(block) for block in self.shard.tokens], LENGTH)
        self._refuse_full_disk(self.shard.count * self.kind.itemsize + lengths.nbytes)
        tokens = np.concatenate(self.shard.tokens)
        try:
            for ending, content in (("tokens", tokens), ("lengths", lengths)):
                replace_file(self.folder / f"{name}.{ending}", content.tofile)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, None):
                raise
            kept = counted(len(self.manifest["shards"]), "shard is", "shards are")
            raise OutputFolderError(
                f"{self.folder}: the disk is full ({error}). {kept} kept: make room, and the same command goes on."
            ) from error
        self.done.pending = list(self.packer.pending)
        done = {**vars(self.done), "empty": list(self.done.empty)}
        self.manifest["shards"].append({"name": name, "blocks": len(lengths), "tokens": len(tokens), "done": done})
        self.shard = _OpenShard()
        self._note()

    def _note(self) -> None:
        import json

        self.manifest |= {"token_type": self.kind.name, "settings": _settings_of(self.settings), "suffix": ".tokens"}
        self.manifest["totals"] = {
            "sources": len(self.sources),
            "empty_sources": self.done.empty,
            "documents": self.done.documents,
            "lines": self.done.lines,
            "blocks": self.done.blocks,
            "tokens": self.done.tokens,
        }
        text = json.dumps(self.manifest, ensure_ascii=False) + "\n"
        replace_file(self.folder / MANIFEST, lambda handle: handle.write(text.encode()))


def _settings_of(settings: CorpusSettings) -> dict[str, Any]:
    return {"block_length": settings.block_length, "cross_documents": settings.cross_documents}


def _whole_shards(folder: Path, kind: np.dtype) -> dict[str, Any]:
    """The manifest of a folder, with the shards up to the first that is not whole."""
    empty: dict[str, Any] = {"shards": [], "complete": False}
    if not (folder / MANIFEST).is_file():
        return empty
    manifest = read_manifest(folder / MANIFEST, OutputFolderError)
    kept = []
    for shard in manifest["shards"]:
        sizes = {"tokens": shard["tokens"] * kind.itemsize, "lengths": shard["blocks"] * LENGTH.itemsize}
        files = {folder / f"{shard['name']}.{ending}": size for ending, size in sizes.items()}
        if not all(file.is_file() and file.stat().st_size == size for file, size in files.items()):
            break
        kept.append(shard)
    whole = manifest["complete"] and len(kept) == len(manifest["shards"])
    return {**manifest, "shards": kept, "complete": whole}


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    batch: list[Line] = []
    characters = 0
    for line in lines:
        batch.append(line)
        characters += len(line.text)
        if len(batch) == _LINES_AT_ONCE or characters >= _CHARACTERS_AT_ONCE:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
