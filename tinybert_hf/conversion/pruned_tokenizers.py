"""Tokenizers with fewer pieces, of all three kinds of sub-word vocabulary."""

from __future__ import annotations

import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints.tokenizers import as_its_file_says
from tinybert_hf.errors import OpeningWarning, TinyBertError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase


# The three kinds of sub-word vocabulary: what each cannot do without, and what it looks like with fewer pieces.
#
# Each claims: a text whose pieces all stay becomes the same pieces as before. Why, stands with each class.

_SPACE = "\u2581"  # what SentencePiece writes for a space


class TokenizerModel(ABC):
    """The `model` of a tokenizer.json."""

    def __init__(self, backend: Tokenizer, content: Mapping[str, Any]) -> None:
        """Look at a tokenizer.

        Args:
            backend: the tokenizer.
            content: the part of its JSON under `model`.
        """
        self.content = dict(content)
        self.ids = self._ids()
        self._normalizer, self._pre_tokenizer = backend.normalizer, backend.pre_tokenizer

    def _ids(self) -> dict[str, int]:
        return dict(self.content["vocab"])

    @abstractmethod
    def body(self, token: str) -> str:
        """A piece without the mark that says where in a word it stands."""

    @abstractmethod
    def pruned(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """The content with the pieces of `new_ids` (old id -> new id) alone."""

    @property
    def unknown_id(self) -> int | None:
        """Of the token for what the vocabulary does not know; None where there is none."""
        return self.ids.get(self.content.get("unk_token") or "")

    def indispensable(self) -> set[int]:
        """Ids of single characters, of bytes, and of the unknown token."""
        is_single = {token: len(self.body(token)) == 1 for token in self.ids}
        kept = {index for token, index in self.ids.items() if is_single[token]}
        if self.content.get("byte_fallback"):
            kept |= {index for token, index in self.ids.items() if len(token) == 6 and token.startswith("<0x")}
        return kept if self.unknown_id is None else kept | {self.unknown_id}

    def closed(self, kept: set[int]) -> set[int]:
        """The ids, and those without which they could not be found in a text."""
        return kept

    @abstractmethod
    def reachable(self, token: str) -> bool:
        """Whether a text can become this piece."""

    def survives(self, text: str) -> bool:
        """Whether a word comes to the vocabulary as it is: neither changed nor cut before."""
        if self._normalizer is not None:
            normal = self._normalizer.normalize_str(text).strip()  # Chinese characters get spaces around them
            if normal != text:
                return False
        return self._pre_tokenizer is None or len(self._pre_tokenizer.pre_tokenize_str(text)) <= 1


class WordPiece(TokenizerModel):
    """BERT's: from the left, the longest piece that fits.

    The longest piece that fitted is still there, and no longer one has come: each step is the same.
    """

    @property
    def prefix(self) -> str:
        """What a piece within a word begins with."""
        return str(self.content["continuing_subword_prefix"])

    def body(self, token: str) -> str:
        """Without ##."""
        return token.removeprefix(self.prefix) if len(token) > len(self.prefix) else token

    def _is_within(self, token: str) -> bool:
        return len(token) > len(self.prefix) and token.startswith(self.prefix)

    def reachable(self, token: str) -> bool:
        """Not `[unused12]`, which is cut at its brackets; nor `##.` or `##\u4e2d`, which always begin a word."""
        return self.survives(f"a{self.body(token)}" if self._is_within(token) else token)

    def indispensable(self) -> set[int]:
        """Single characters; and where one has no piece of its own at its place, every piece that has it there."""
        starts = {token for token in self.ids if len(token) == 1}
        within = {self.body(token) for token in self.ids if self._is_within(token)}
        kept = set()
        for token in filter(self.reachable, self.ids):
            text, is_start = self.body(token), not self._is_within(token)
            if (is_start and text[0] not in starts) or any(one not in within for one in text[is_start:]):
                kept.add(self.ids[token])
        unreachable = {self.ids[token] for token in self.ids if self._is_within(token) and not self.reachable(token)}
        return kept | (super().indispensable() - unreachable)

    def pruned(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """With a smaller `vocab`."""
        vocabulary = {token: new_ids[index] for token, index in self.ids.items() if index in new_ids}
        return {**self.content, "vocab": vocabulary}


class Unigram(TokenizerModel):
    """SentencePiece's (XLM-R, ALBERT): the most probable way to cut a text.

    The best way is still there with the same score, and every other has the same score or has gone; of equal scores
    the first that is found wins, and the order of the search does not depend on ids. What an unknown character costs
    depends on the least probable piece: so that one stays.
    """

    def _ids(self) -> dict[str, int]:
        return {token: index for index, (token, _) in enumerate(self.content["vocab"])}

    def body(self, token: str) -> str:
        """Without the mark of a space."""
        return token.removeprefix(_SPACE) if len(token) > 1 else token

    def indispensable(self) -> set[int]:
        """Single characters with and without a space before them, the unknown piece, the least probable one."""
        kept = super().indispensable()
        scores = [score for _, score in self.content["vocab"]]
        return kept | {scores.index(min(scores))}

    @property
    def unknown_id(self) -> int | None:
        """Its place in the list."""
        unknown: int | None = self.content.get("unk_id")
        return unknown

    def reachable(self, token: str) -> bool:
        """All are, but for control characters, which are special tokens and stay anyhow."""
        return True

    def pruned(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """With a shorter list; places in it are ids."""
        unknown = self.unknown_id
        vocabulary = [one for index, one in enumerate(self.content["vocab"]) if index in new_ids]
        return {**self.content, "vocab": vocabulary, "unk_id": None if unknown is None else new_ids[unknown]}


class BytePairs(TokenizerModel):
    """BPE (RoBERTa, GPT-2's bytes): of the merges that apply, the first of the list, again and again.

    A merge within the span of a piece never looks beyond it: a merge across its end would have made another piece. So
    the merges that make a piece in a text are those that make it alone. All of them stay, with what they
    make on the way, in the old order: at each step the first that applied is still there, and none has come.
    """

    def __init__(self, backend: Tokenizer, content: Mapping[str, Any]) -> None:
        """Refuse the rare forms for which that does not hold.

        Raises:
            TinyBertError: merges are left out at random, or pieces carry marks.
        """
        super().__init__(backend, content)
        marks = [name for name in ("continuing_subword_prefix", "end_of_word_suffix") if content.get(name)]
        if content.get("dropout"):
            marks.append("dropout")
        if marks:
            raise TinyBertError(
                f"This tokenizer is a BPE with {' and '.join(marks)}; which merges it needs is known here only "
                "without. Its vocabulary was left as it is."
            )
        pairs = [one.split(" ") if isinstance(one, str) else one for one in content["merges"]]
        self._ranks: dict[tuple[str, str], int] = {(first, second): rank for rank, (first, second) in enumerate(pairs)}

    def body(self, token: str) -> str:
        """As it is: a space in front is a character as any other."""
        return token

    def reachable(self, token: str) -> bool:
        """Where its merges lead to it."""
        return self._path(token)[-1] == token

    def closed(self, kept: set[int]) -> set[int]:
        """With every piece that is made on the way to one of these."""
        tokens = {index: token for token, index in self.ids.items()}
        found = set(kept)
        for index in kept:
            path = self._path(tokens[index]) if index in tokens else [""]
            if path[-1]:
                found |= {self.ids[one] for one in path if one in self.ids}
        return found

    def _path(self, token: str) -> list[str]:
        """What is made of the characters of a token, in this order; at the end the token, if it can be made."""
        parts, made = list(token), list(token)
        while len(parts) > 1:
            ranks = [self._ranks.get(pair, len(self._ranks)) for pair in pairwise(parts)]
            at = ranks.index(min(ranks))
            if ranks[at] == len(self._ranks):
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
            made.append(parts[at])
        return made if len(parts) == 1 else [*made, ""]

    def pruned(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """With the merges whose parts and whose result stay."""
        vocabulary = {token: new_ids[index] for token, index in self.ids.items() if index in new_ids}
        merges = [list(pair) for pair in self._ranks if {*pair, "".join(pair)} <= vocabulary.keys()]
        return {**self.content, "vocab": vocabulary, "merges": merges}


KINDS: dict[str, type[TokenizerModel]] = {"WordPiece": WordPiece, "Unigram": Unigram, "BPE": BytePairs}


def model_of(backend: Tokenizer, content: Mapping[str, Any]) -> TokenizerModel:
    """The vocabulary of a tokenizer.

    Args:
        backend: the tokenizer.
        content: its JSON.

    Raises:
        TinyBertError: it is of a kind that is not known here.
    """
    kind = content["model"].get("type")
    if kind not in KINDS:
        raise TinyBertError(
            f"The tokenizer is of the kind {kind!r}; how to take pieces out is known here for {', '.join(KINDS)}."
        )
    return KINDS[kind](backend, content["model"])


# Writes a tokenizer with fewer pieces: tokenizer.json is changed, and opened again as any user will open it.

# Where these lie beside tokenizer.json they hold the whole vocabulary, and an older reader would prefer them.
_OTHER_FILES = ("vocab.txt", "vocab.json", "merges.txt", "*.model", "added_tokens.json")


def own_backend(tokenizer: PreTrainedTokenizerBase) -> Tokenizer:
    """A copy of the tokenizer below, which neither cuts nor pads.

    Raises:
        TinyBertError: there is none.
    """
    import copy

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise TinyBertError(
            f"The tokenizer is a {type(tokenizer).__name__}, which is not made of a tokenizer.json; only those can be "
            "pruned."
        )
    backend = copy.deepcopy(backend)
    backend.no_truncation()
    backend.no_padding()
    return backend


def special_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Ids that stay whatever a corpus holds: special tokens in their roles, and tokens that were added."""
    return {*tokenizer.all_special_ids, *tokenizer.added_tokens_decoder}


def prune_tokenizer(
    tokenizer: PreTrainedTokenizerBase, model: TokenizerModel, kept: Iterable[int]
) -> PreTrainedTokenizerBase:
    """The same tokenizer with fewer pieces, numbered anew in the old order.

    Args:
        tokenizer: it is not changed.
        model: its vocabulary.
        kept: old ids, ascending.

    Raises:
        TinyBertError: opened again, it does not hold what it should.
    """
    new_ids = {old: new for new, old in enumerate(kept)}
    expected = {token: new_ids[old] for token, old in tokenizer.get_vocab().items() if old in new_ids}
    with TemporaryDirectory() as folder:
        place = Path(folder)
        tokenizer.save_pretrained(place)
        _rewrite(place / "tokenizer.json", lambda content: _renumbered(content, model, new_ids))
        _rewrite(place / "tokenizer_config.json", lambda content: _settings(content, new_ids))
        for pattern in _OTHER_FILES:
            for file in place.glob(pattern):
                file.unlink()
        opened = type(tokenizer).from_pretrained(place, local_files_only=True)
        with warnings.catch_warnings():  # its user has set what the class does not know, and need not be told
            warnings.simplefilter("ignore", OpeningWarning)
            pruned: PreTrainedTokenizerBase = as_its_file_says(opened, place, TinyBertError)
    pruned.name_or_path = tokenizer.name_or_path
    if pruned.get_vocab() != expected:
        wrong = sorted({*pruned.get_vocab().items()} ^ {*expected.items()})[:4]
        raise TinyBertError(
            f"A {type(tokenizer).__name__} with fewer pieces does not open as it was written ({wrong}): it cannot be "
            "pruned here."
        )
    return pruned


def _rewrite(file: Path, change: Any) -> None:
    content = change(json.loads(file.read_text(encoding="utf-8")))
    file.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _renumbered(content: dict[str, Any], model: TokenizerModel, new_ids: Mapping[int, int]) -> dict[str, Any]:
    """tokenizer.json with new ids in every place that has one."""
    added = [{**one, "id": new_ids[one["id"]]} for one in content["added_tokens"]]
    content = {**content, "added_tokens": added, "model": model.pruned(new_ids)}
    if content.get("padding"):
        content["padding"] = {**content["padding"], "pad_id": new_ids[content["padding"]["pad_id"]]}
    content["post_processor"] = _processor(content.get("post_processor"), new_ids)
    return content


def _processor(part: Any, new_ids: Mapping[int, int]) -> Any:
    """What puts special tokens around a text: a template, or BERT's and RoBERTa's own; or several in a row."""
    if not isinstance(part, dict):
        return part
    part = dict(part)
    if part.get("type") == "Sequence":
        part["processors"] = [_processor(one, new_ids) for one in part["processors"]]
    elif part.get("type") == "TemplateProcessing":
        part["special_tokens"] = {
            name: {**one, "ids": [new_ids[index] for index in one["ids"]]}
            for name, one in part["special_tokens"].items()
        }
    else:
        for name in ("cls", "sep"):
            if name in part:
                token, index = part[name]
                part[name] = [token, new_ids[index]]
    return part


def _settings(content: dict[str, Any], new_ids: Mapping[int, int]) -> dict[str, Any]:
    added = content.get("added_tokens_decoder")
    if added is not None:
        content = {**content, "added_tokens_decoder": {str(new_ids[int(old)]): one for old, one in added.items()}}
    return content
