"""Packs whole lines of tokens into blocks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


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
    def of(cls, tokenizer: Any) -> "SpecialTokens":
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
        block_length: tokens of a block at most, special tokens included.
        cross_documents: whether a block may go on with the next document.
        pending: tokens of the block that is not full yet, without what stands around them.
    """

    special: SpecialTokens
    block_length: int
    cross_documents: bool = True
    pending: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room = self.block_length - len(self.special.prefix) - len(self.special.suffix)

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
