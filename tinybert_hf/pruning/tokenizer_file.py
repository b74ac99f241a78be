"""Writes a tokenizer with fewer pieces: tokenizer.json is changed, and opened again as any user will open it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import OpeningWarning, TinyBertError
from tinybert_hf.opening.tokenizer_file import as_its_file_says
from tinybert_hf.pruning.tokenizer_models import TokenizerModel

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

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
