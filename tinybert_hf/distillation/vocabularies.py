"""Whether two tokenizers mean the same by the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def different_tokens(teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase, shown: int = 4) -> list[str]:
    """Some tokens that do not have the same id in both tokenizers, with their ids; empty where there are none.

    Sizes say nothing: two vocabularies of one size may have no word in common.

    Args:
        teacher: a tokenizer; with `get_target_vocab` where the target has a vocabulary of its own.
        student: the same.
        shown: how many at most.
    """
    found: list[str] = []
    for theirs, ours in zip(_vocabularies(teacher), _vocabularies(student), strict=True):
        if theirs == ours:
            continue
        for token in sorted({*theirs, *ours}, key=str):
            pair = f"{token!r} ({theirs.get(token)} and {ours.get(token)})"
            if theirs.get(token) != ours.get(token) and len(found) < shown and pair not in found:
                found.append(pair)
    return found


def _vocabularies(tokenizer: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Of source and target."""
    source = tokenizer.get_vocab()
    own = getattr(tokenizer, "get_target_vocab", None)
    return source, source if own is None else own()
