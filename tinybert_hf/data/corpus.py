"""Any amount of text as blocks of tokens: tokenised once, packed, and read from the disk."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from tinybert_hf.checkpoints.integrity import write_atomically, write_json
from tinybert_hf.data.corpus_sources import Line, Source, Sources
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.data.shards import MANIFEST, read_manifest, tokens_of
from tinybert_hf.errors import DataError, OutputFolderError
from tinybert_hf.messages import counted

# Packs whole lines of tokens into blocks.


@dataclass(frozen=True)
class SpecialTokens:
    """What a tokenizer puts around a text, and what stands between two lines of a block.

    Attributes:
        prefix: before the first line: [CLS].
        joint: between two lines: [SEP]; nothing where the tokenizer has no such token.
        suffix: after the last line: [SEP].
    """

    prefix: tuple[int, ...]
    joint: tuple[int, ...]
    suffix: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: Any) -> SpecialTokens:
        """As the tokenizer writes a single text."""
        bare = tokenizer("a", add_special_tokens=False)["input_ids"]
        whole = tokenizer("a")["input_ids"]
        start = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
        prefix, suffix = tuple(whole[:start]), tuple(whole[start + len(bare) :])
        separator = tokenizer.sep_token_id if tokenizer.sep_token_id is not None else tokenizer.eos_token_id
        return cls(prefix, () if separator is None else (int(separator),), suffix)


@dataclass
class Packer:
    """Joins lines until the next does not fit; a line that is longer than a block is cut into windows.

    Attributes:
        special: of the tokenizer.
        block_size: tokens of a block at most, special tokens included.
        cross_documents: whether a block may go on with the next document.
        pending: tokens of the block that is not full yet, without what stands around them.
    """

    special: SpecialTokens
    block_size: int
    cross_documents: bool = True
    pending: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room = self.block_size - len(self.special.prefix) - len(self.special.suffix)

    def add(self, line: Sequence[int], begins_document: bool = False) -> Iterator[list[int]]:
        """Takes a line and yields the blocks that are full by it.

        Args:
            line: tokens without special ones; may be empty.
            begins_document: it is the first line of a document.
        """
        if begins_document and not self.cross_documents:
            yield from self.flush()
        if not line:
            return
        joint = self.special.joint
        if self.pending and len(self.pending) + len(joint) + len(line) > self.room:
            yield from self.flush()
        full = (len(line) - 1) // self.room * self.room  # the last window, whole or not, stays open
        for start in range(0, full, self.room):
            yield self._block(line[start : start + self.room])
        if self.pending:
            self.pending += joint
        self.pending += line[full:]

    def flush(self) -> Iterator[list[int]]:
        """Yields the open block, if there is one."""
        if self.pending:
            yield self._block(self.pending)
            self.pending = []

    def _block(self, tokens: Sequence[int]) -> list[int]:
        return [*self.special.prefix, *tokens, *self.special.suffix]


# Tokenises a corpus once, into shards of packed blocks on the disk; a killed run goes on after the last whole shard.
#
# A shard is two files: the tokens of its blocks, one after the other, and the length of each block. It is there when
# the manifest names it with the size that it has. The manifest keeps, with each shard, the place in the corpus up to
# which it was made and the tokens of the block that was open there, so that the blocks do not depend on where a run
# was stopped.

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
            SpecialTokens.of(tokenizer), settings.block_size, settings.cross_documents, self.done.pending
        )
        if self.packer.room < 1:
            raise DataError(f"block_size {settings.block_size} leaves no room beside the special tokens.")

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
            needed = min(needed, self.settings.max_blocks * self.settings.block_size * self.kind.itemsize)
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
                write_atomically(self.folder / f"{name}.{ending}", content.tofile)
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
        self.manifest |= {"token_type": self.kind.name, "settings": _settings_of(self.settings), "suffix": ".tokens"}
        self.manifest["totals"] = {
            "sources": len(self.sources),
            "empty_sources": self.done.empty,
            "documents": self.done.documents,
            "lines": self.done.lines,
            "blocks": self.done.blocks,
            "tokens": self.done.tokens,
        }
        write_json(self.folder / MANIFEST, self.manifest)


def _settings_of(settings: CorpusSettings) -> dict[str, Any]:
    return {"block_size": settings.block_size, "cross_documents": settings.cross_documents}


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


# The blocks of a tokenised corpus as rows, read from the disk where they lie.

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class CorpusBlocks:
    """Rows of unequal length; nothing is held in memory but the length of each.

    Behaves like a dataset of the library `datasets` as far as the trainer goes: rows, slices and columns, `select`
    and `select_columns`. Every second block whose text has several lines shows its second half as a second segment,
    as pretraining does, so that a student learns both segments.

    Attributes:
        folder: of the shards.
        column_names: what a row has.
    """

    def __init__(self, folder: str | Path, *, separator: int | None = None, with_segments: bool = False) -> None:
        """Opens a folder that `tokenise_corpus` has completed.

        Args:
            folder: of the shards.
            separator: token between two lines.
            with_segments: rows have token_type_ids.

        Raises:
            DataError: it is not complete.
        """
        self.folder = Path(folder)
        manifest = read_manifest(self.folder / MANIFEST, DataError)
        if not manifest["complete"]:
            raise DataError(f"{folder} is not complete; the command that began it goes on with it.")
        self.totals: dict[str, Any] = manifest["totals"]
        self._kind = np.dtype(manifest["token_type"])
        self._names = [shard["name"] for shard in manifest["shards"]]
        self._lengths = np.concatenate([np.fromfile(self.folder / f"{name}.lengths", LENGTH) for name in self._names])
        self._firsts = [0, *accumulate(shard["blocks"] for shard in manifest["shards"])]
        self._starts = np.concatenate([_starts(self._lengths[a:b]) for a, b in pairwise(self._firsts)])
        self._separator, self._with_segments = separator, with_segments
        self._chosen: Any = range(len(self._lengths))
        self.column_names = [name for name in INPUTS if with_segments or name != "token_type_ids"] + ["length"]
        self._shards: list[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        chosen = self._chosen
        return self._lengths[chosen.start : chosen.stop] if isinstance(chosen, range) else self._lengths[chosen]

    @property
    def tokens(self) -> int:
        """Of all rows."""
        return int(self.lengths.sum(dtype=np.int64))

    def __getitem__(self, which: Any) -> Any:
        """A row by its number; the columns of a slice or of numbers; a whole column by its name."""
        if isinstance(which, str):
            if which == "length":
                return self.lengths
            return [self[number][which] for number in range(len(self))]
        if isinstance(which, slice | Sequence):
            numbers = range(len(self))[which] if isinstance(which, slice) else which
            rows = [self[number] for number in numbers]
            return {name: [_plain(row[name]) for row in rows] for name in self.column_names}
        row = self._row(int(self._chosen[which]))
        return {name: row[name] for name in self.column_names}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[number] for number in range(len(self)))

    def select(self, numbers: Sequence[int] | range | np.ndarray) -> CorpusBlocks:
        """Some of the rows, in this order; the same files."""
        one = self._copy()
        if isinstance(numbers, range) and numbers.step == 1 and isinstance(self._chosen, range):
            one._chosen = self._chosen[numbers.start : numbers.stop]
        else:
            one._chosen = np.asarray(self._chosen)[list(numbers)]
        return one

    def select_columns(self, names: Sequence[str]) -> CorpusBlocks:
        """The same rows with some of the columns."""
        one = self._copy()
        one.column_names = list(names)
        return one

    def _copy(self) -> CorpusBlocks:
        one = object.__new__(type(self))
        one.__dict__ = dict(self.__dict__)
        return one

    def _row(self, block: int) -> dict[str, Any]:
        if self._shards is None:
            # As plain arrays: a slice of a memmap object costs as much as the rest of a row.
            files = (np.memmap(self.folder / f"{name}.tokens", self._kind, mode="r") for name in self._names)
            self._shards = [file.view(np.ndarray) for file in files]
        shard = bisect_right(self._firsts, block) - 1
        length, start = int(self._lengths[block]), int(self._starts[block])
        tokens = self._shards[shard][start : start + length].astype(np.int64)
        row: dict[str, Any] = {"input_ids": tokens, "attention_mask": np.ones(length, np.int64), "length": length}
        if self._with_segments:
            row["token_type_ids"] = self._segments(block, tokens)
        return row

    def _segments(self, block: int, tokens: np.ndarray) -> np.ndarray:
        types = np.zeros(len(tokens), np.int64)
        if block % 2 and self._separator is not None:
            between = np.flatnonzero(tokens[:-1] == self._separator)
            if len(between):
                types[between[len(between) // 2] + 1 :] = 1
        return types

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": None}  # another process maps the files itself


def _starts(lengths: np.ndarray) -> np.ndarray:
    ends = np.cumsum(lengths, dtype=np.int64)
    return ends - lengths


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


# Batches of blocks, masked where that is asked for.

NOT_ASKED = -100


class BlockCollator:
    """Pads blocks to the longest of a batch; with a share above 0 it masks tokens, and `labels` hold what was there.

    Of the chosen tokens 80 % become the mask, 10 % another token and 10 % stay, as in BERT's pretraining. Special
    tokens are never chosen. What is masked in a row depends on the row's own seed alone, so that it is the same in
    whatever batch and process the row is.

    Attributes:
        takes_row_seeds: a caller with seeds of its own gives them.
    """

    takes_row_seeds = True

    def __init__(self, tokenizer: Any, masked_share: float = 0.0) -> None:
        """Keeps what is needed of the tokenizer.

        Args:
            tokenizer: with a padding token.
            masked_share: of the tokens; 0: no masking and no labels.
        """
        self.padding = {"input_ids": int(tokenizer.pad_token_id), "labels": NOT_ASKED}
        self.masked_share = masked_share
        self._mask = tokenizer.mask_token_id
        self._size = len(tokenizer)
        self._special = np.array(sorted(tokenizer.all_special_ids))

    def __call__(self, rows: Sequence[dict[str, Any]], seeds: Sequence[int] | None = None) -> dict[str, Tensor]:
        """A batch.

        Args:
            rows: of `CorpusBlocks`.
            seeds: of the masking, one a row; None: drawn from torch's global generator.
        """
        if self.masked_share:
            if seeds is None:
                seeds = torch.randint(2**63 - 1, (len(rows),)).tolist()
            rows = [self._masked(row, seed) for row, seed in zip(rows, seeds, strict=True)]
        longest = max(len(row["input_ids"]) for row in rows)
        batch = {}
        for name in (name for name in rows[0] if name != "length"):
            values = np.full((len(rows), longest), self.padding.get(name, 0), np.int64)
            for place, row in zip(values, rows, strict=True):
                place[: len(row[name])] = row[name]
            batch[name] = torch.from_numpy(values)
        return batch

    def _masked(self, row: dict[str, Any], seed: int) -> dict[str, Any]:
        tokens = np.asarray(row["input_ids"])
        draw = np.random.default_rng(seed)
        chosen = (draw.random(len(tokens)) < self.masked_share) & ~np.isin(tokens, self._special)
        kind = draw.random(len(tokens))
        others = draw.integers(0, self._size, len(tokens))
        seen = np.where(chosen & (kind < 0.8), self._mask, tokens)
        seen = np.where(chosen & (kind >= 0.8) & (kind < 0.9), others, seen)
        return {**row, "input_ids": seen, "labels": np.where(chosen, tokens, NOT_ASKED)}


# Opens a corpus: tokenised now, or by an earlier run.

MOST_HELD_OUT = 1000


@dataclass(frozen=True)
class Corpus:
    """The rows of a general distillation.

    Attributes:
        train: blocks to learn from.
        validation: blocks to measure on.
        report: what there is: sources, documents, lines, blocks, tokens, and the share of padding that blocks of full
            length would have.
        folder: where the tokens lie.
    """

    train: CorpusBlocks
    validation: CorpusBlocks
    report: dict[str, Any]
    folder: str


def open_blocks(
    sources: Sources,
    tokenizer: Any,
    settings: CorpusSettings,
    *,
    with_segments: bool = False,
    progress: Progress | None = None,
) -> CorpusBlocks:
    """The blocks of some sources; tokenised first where no earlier run has done that.

    Of several processes one tokenises, and the others wait.

    Args:
        sources: from `find_sources`.
        tokenizer: of the teacher.
        settings: of the corpus.
        with_segments: rows have token_type_ids.
        progress: called with the share that is done and the tokens so far.

    Raises:
        DataError: a source cannot be read, or there is no text.
        OutputFolderError: the disk is too small, or the folder cannot be written.
    """
    folder = cache_folder(settings) / _fingerprint(sources, tokenizer, settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            tokenise_corpus(folder, sources.found, tokenizer, settings, progress)
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise OutputFolderError(
            f"corpus cache {folder.parent} cannot be written ({error.strerror}); name another folder (corpus.cache, "
            "--corpus-cache)."
        ) from error
    joint = SpecialTokens.of(tokenizer).joint
    return CorpusBlocks(folder, separator=joint[0] if joint else None, with_segments=with_segments)


def split_corpus(blocks: CorpusBlocks, validation: CorpusBlocks | None, sources: Sources) -> Corpus:
    """Holds out the last 1 % of the blocks where there is no held-out text.

    Args:
        blocks: of the corpus.
        validation: of the held-out text, or None.
        sources: of the corpus.

    Raises:
        DataError: there is but one block.
    """
    train = blocks
    if validation is None:
        if len(blocks) < 2:
            raise DataError(
                f"The corpus has {len(blocks)} block of {blocks.tokens} tokens, and one is held out to measure on. "
                "Give more text, or held-out text of its own (--validation-file)."
            )
        held_out = min(max(1, len(blocks) // 100), MOST_HELD_OUT)
        train = blocks.select(range(len(blocks) - held_out))
        validation = blocks.select(range(len(blocks) - held_out, len(blocks)))
    report = {
        **blocks.totals,
        "left_out": list(sources.left_out),
        "train_blocks": len(train),
        "train_tokens": train.tokens,
        "validation_blocks": len(validation),
        "validation_tokens": validation.tokens,
    }
    return Corpus(train, validation, report, str(blocks.folder))


def cache_folder(settings: CorpusSettings) -> Path:
    """Where tokenised corpora are kept."""
    if settings.cache is not None:
        return Path(settings.cache).expanduser()
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "tinybert_hf" / "corpora"


def _fingerprint(sources: Sources, tokenizer: Any, settings: CorpusSettings) -> str:
    """Of all that decides the blocks."""
    special = SpecialTokens.of(tokenizer)
    names = ("block_size", "cross_documents", "max_blocks", "text_column", "document_column")
    content = [sources.digest, tokens_of(tokenizer), vars(special), {name: getattr(settings, name) for name in names}]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
