"""Which weights of a folder found a place in the model, and which must not be missing or left over.

What transformers cannot place it draws at random or leaves out, and only prints a table of both. Here one rule holds
for every command: the body is whole, a head is whole or, where that is asked for, new, and nothing is left over that
the model would have computed with.
"""

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinybert_hf.errors import OpeningWarning, TinyBertError
from tinybert_hf.wording import counted

_POOLER = re.compile(r"(^|\.)pooler\.")
# Numbers that the model counts anew, saved by older versions; the projections of the published TinyBERTs; and the
# class weights of a loss, which no answer reads.
_NO_WEIGHTS = re.compile(
    r"(^|\.)(position_ids|token_type_ids|inv_freq|embed_positions\.weights?)$|^fit_denses?\."
    r"|^(loss(_fct|_fn|_func|_function)?|criterion)\."
)
# Heads that a text was pretrained with; no other head looks at what they compute.
_PRETRAINING = (
    "cls|lm_head|predictions|sop_classifier|discriminator_predictions|generator_predictions|generator_lm_head|"
    "vocab_transform|vocab_layer_norm|vocab_projector|lm_predictions|mask_predictions|lm_loss|pred_layer|decoder|"
    "final_logits_bias"
)
_OUTPUTS = "classifier|qa_outputs|score|logits_proj"
# What BERT was pretrained with beside its masked-LM head, of which the first part of the name is the same.
_BESIDE = re.compile(r"cls\.(?!predictions\.)")
# Parts of names that come from what was put around the model.
_WRAPPERS = {
    "_orig_mod": "torch.compile",
    "module": "DataParallel",
    "_fsdp_wrapped_module": "FSDP",
    "base_model.model": "PEFT",
}
_OTHER_PREFIX = (
    "where a module holds the model, save the model itself with save_pretrained, or take that off the names; where it "
    "is another family's name, config.json is another model's"
)
# By family, what was trained though transformers takes it for zeros where a file lacks it. The checkpoints of BART and
# mBART may lack theirs: there it always is zero.
_TRAINED = {"MarianMTModel": "final_logits_bias"}


@contextmanager
def reporting_all_missing() -> Iterator[None]:
    """Around `from_pretrained`: its report names what a family passes over in silence, though it was trained."""
    import transformers

    classes = {getattr(transformers, name): tensor for name, tensor in _TRAINED.items()}
    kept = {one: one._keys_to_ignore_on_load_missing for one in classes}
    for one, tensor in classes.items():
        one._keys_to_ignore_on_load_missing = [name for name in kept[one] or () if name != tensor]
    try:
        yield
    finally:
        for one, names in kept.items():
            one._keys_to_ignore_on_load_missing = names


def check_loaded(
    path: str | Path,
    model: Any,
    report: dict[str, Any],
    kind: type[TinyBertError],
    *,
    new_head: bool,
    headless: str,
) -> None:
    """Refuses a model of which a part would be random, or of whose weights a part was left out.

    A pooler that the weights do not have is taken off a model without a head, where nothing looks at it.

    Args:
        path: where it was opened.
        model: as it was opened.
        report: what transformers says about its keys.
        kind: the error.
        new_head: whether a head may be new.
        headless: what to say of a model without a trained head; `{missing}` in it becomes the names of its tensors.

    Raises:
        TinyBertError: of that kind.
    """
    names = _Names(model)
    missing = sorted(report["missing_keys"])
    other_shape = sorted({key for key, *_ in report["mismatched_keys"]})
    unexpected = sorted(key for key in report["unexpected_keys"] if not _NO_WEIGHTS.search(key))
    body = [key for key in (*missing, *other_shape) if names.in_body(key)]
    if body:
        raise kind(_incomplete(path, names, body, _shapes(report), unexpected))
    trained = [key for key in missing if key == _TRAINED.get(names.kind)]
    if trained:
        raise kind(
            f"{path}: the weights lack {_some(trained)}, which is added to the score of every word and was trained; "
            "zeros would stand there. Copy or download the file again, or save the model once more."
        )
    lost = _lost(model, missing)
    if lost:
        raise kind(
            f"{path}: the weights lack {_some(lost)}, while the rest of that layer is there, so the file is damaged "
            "or not whole. Copy or download it again, or save the model once more."
        )
    _check_left_over(path, names, unexpected, kind, new_head=new_head or names.is_body)
    # A training that diverged leaves them everywhere; to look at the large tables would take as long as opening them.
    broken = [key for key, one in model.named_parameters() if one.ndim == 1 and bool(one.isnan().any())]
    if broken:
        raise kind(
            f"{path} holds {counted(len(broken), 'tensor')} with NaN, which is no number: {_some(broken)}. "
            "The training that saved them diverged, or the file is damaged. Take an earlier checkpoint."
        )
    if other_shape and not new_head:
        shapes = _some(list(_shapes(report).values()), "; ")
        raise kind(f"{path}: the head of the weights is not the one of config.json: {shapes}.")
    head = [] if new_head else missing
    if head and names.is_body and all(_POOLER.search(key) for key in head):
        model.pooler = None  # it would be random
    elif head:
        text = headless or f"{path}: the weights lack {{missing}}, which would be random."
        raise kind(text.replace("{missing}", _some(head)))
    elif missing and not names.is_body and all(_POOLER.search(key) for key in missing):
        warnings.warn(
            f"{path}: the weights have the head of a {names.kind}, but lack {_some(missing)}, which it reads: drawn "
            "anew, so that it has to be trained once more.",
            OpeningWarning,
            stacklevel=3,
        )


class _Names:
    """What the tensors of a model are called.

    Attributes:
        own: those of the model.
        is_body: whether it has no head.
        kind: the name of its class.
    """

    def __init__(self, model: Any) -> None:
        self.own = set(model.state_dict().keys())
        self.kind = type(model).__name__
        self._prefix = f"{model.base_model_prefix}."
        self.is_body = model.base_model is model
        self._parts = {name for name, _ in model.base_model.named_children()}
        self._heads = {name for name, _ in model.named_children()} - {model.base_model_prefix}

    def in_body(self, key: str) -> bool:
        """Whether a tensor of the model, or one of the file that the model has no place for, is of the body.

        A pooler is not: a classifier may have it drawn anew with its head, and other models do without.
        """
        if _POOLER.search(key):
            return False
        if self.is_body and key in self.own:
            return True
        return key.startswith(self._prefix) or (key not in self.own and key.split(".")[0] in self._parts)

    def of_own_head(self, key: str) -> bool:
        """Whether the model has a head of that name; a pooler counts where the model has one."""
        return key.split(".")[0] in self._heads and not self.is_body

    def before(self, keys: Iterable[str]) -> tuple[str, int]:
        """What stands before the names of the model in most of these keys, and in how many; empty where nothing is."""
        known = {*self.own, *(name.removeprefix(self._prefix) for name in self.own)}
        found: Counter[str] = Counter()
        for key in keys:
            parts = key.split(".")
            place = next((n for n in range(1, len(parts)) if ".".join(parts[n:]) in known), None)
            if place is not None:
                found[".".join(parts[:place]) + "."] += 1
        prefix, count = found.most_common(1)[0] if found else ("", 0)
        own = prefix.removesuffix(self._prefix)
        return own or prefix, count


def _incomplete(
    path: str | Path, names: _Names, body: list[str], shapes: dict[str, str], unexpected: list[str]
) -> str:
    only_shapes = set(body) <= set(shapes)
    fault = "of another shape" if only_shapes else "not in the weights"
    said = (
        f"{path}: the weights and config.json do not describe the same model. "
        f"{counted(len(body), 'tensor is', 'tensors are')} {fault}, and would be random in a {names.kind}: "
        f"{_some([shapes[key] for key in body] if only_shapes else body, '; ' if only_shapes else ', ')}."
    )
    prefix, count = names.before(unexpected)
    if any("lora_" in key or ".base_layer." in key for key in unexpected):
        return f"{said} The file holds a LoRA adapter inside the model: merge it and save model.merge_and_unload()."
    if count:
        who = [wrapper for part, wrapper in _WRAPPERS.items() if f".{part}." in f".{prefix}"]
        inner = f"{' and '.join(who)} {'puts' if len(who) == 1 else 'put'} that there; save model.{prefix[:-1]} with "
        why = f"{inner}save_pretrained" if who else _OTHER_PREFIX
        return f"{said} The file has {counted(count, 'tensor')} under names that begin with {prefix!r}: {why}."
    if unexpected:
        return f"{said} What the file holds instead: {_some(unexpected)}. One of the two files is another model's."
    return f"{said} Copy or download the folder again, or correct config.json."


def _shapes(report: dict[str, Any]) -> dict[str, str]:
    """By the name of a tensor of another shape, what the two shapes are; in the order of the names."""
    found = sorted(report["mismatched_keys"])
    return {key: f"{key} {tuple(there)}, {tuple(ours)} by config.json" for key, there, ours in found}


def _lost(model: Any, missing: list[str]) -> list[str]:
    """Parameters that are missing while others of the same layer are there."""
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    absent = set(missing)
    there = {key.rpartition(".")[0] for key, _ in model.named_parameters() if key not in absent and key not in tied}
    return [key for key in missing if key.rpartition(".")[0] in there and key not in tied]


def _check_left_over(
    path: str | Path, names: _Names, unexpected: list[str], kind: type[TinyBertError], *, new_head: bool
) -> None:
    body = [key for key in unexpected if names.in_body(key)]
    if body:
        raise kind(
            f"{path} holds {counted(len(body), 'tensor')} that a {names.kind} has no place for: {_some(body)}. It "
            f"would answer otherwise than the model that was saved. {_why_left_over(body)}"
        )
    pooler = [key for key in unexpected if _POOLER.search(key) and any(_POOLER.search(own) for own in names.own)]
    head = [key for key in unexpected if not _POOLER.search(key)] + pooler
    harmless = re.compile(rf"({_PRETRAINING}|{_OUTPUTS})(\.|$)")
    odd = [key for key in head if not _BESIDE.match(key) and (names.of_own_head(key) or not harmless.match(key))]
    if odd and not new_head:
        raise kind(
            f"{path} holds {counted(len(odd), 'tensor')} of a head that a {names.kind} does not have: {_some(odd)}. "
            "It would answer otherwise than the model that was saved. Open it with the class that saved it, or "
            "fine-tune it once more."
        )
    strange = [key for key in odd if not harmless.match(key)]
    if strange:
        warnings.warn(
            f"{path}: a {names.kind} has no place for {counted(len(strange), 'tensor')} of the weights, not used "
            f"here: {_some(strange)}.",
            OpeningWarning,
            stacklevel=2,
        )


def _why_left_over(keys: list[str]) -> str:
    if any("distance_embedding" in key for key in keys):
        return (
            "They are relative positions (position_embedding_type in config.json), which transformers 5 no longer "
            "has: take a model with absolute positions."
        )
    return (
        "config.json describes fewer layers or other parts than the weights have: one of the two is another model's."
    )


def _some(keys: list[str], between: str = ", ") -> str:
    return between.join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")
