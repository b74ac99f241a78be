"""What the weights of a BERT-shaped checkpoint are called, and what each is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from torch import Tensor

from tinybert_hf.errors import TinyBertError

_BODY = ("embeddings.", "encoder.layer.", "pooler.")
_HEADS = ("cls.predictions.", "classifier.", "qa_outputs.")
_NO_WEIGHTS = {
    "embeddings.position_ids": "the numbers of the positions",
    "cls.seq_relationship.": "next-sentence prediction, which no TinyBERT has",
}


@dataclass
class Sorted:
    """The tensors of a checkpoint under the names that BERT's modules have in transformers.

    Attributes:
        body: embeddings, layers, pooler, without the prefix `bert.`.
        head: of all heads.
        projections: student layer -> (weight, bias), as `Projections` names them: "shared", "0", "1", ...
        left_out: what is known and not needed, with the reason.
        unknown: everything else.
    """

    body: dict[str, Tensor] = field(default_factory=dict)
    head: dict[str, Tensor] = field(default_factory=dict)
    projections: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def sort_weights(tensors: dict[str, Tensor]) -> Sorted:
    """Tell body, head and projections apart.

    Args:
        tensors: as they stand in the file: with or without `bert.` and what wrappers put before it (`module.`,
            `_orig_mod.`, `model.`), LayerNorm as `gamma` and `beta` or as `weight` and `bias`.

    Raises:
        TinyBertError: two tensors have one name after that.
    """
    found = Sorted()
    seen: dict[str, str] = {}
    for key, tensor in tensors.items():
        name = plain_name(key)
        if name in seen:
            raise TinyBertError(
                f"The weights hold {name} twice: as {seen[name]} and as {key}. Remove one of them from the file."
            )
        seen[name] = key
        reason = next((why for start, why in _NO_WEIGHTS.items() if name.startswith(start)), None)
        projection = re.fullmatch(r"fit_dense(?:s\.(\d+))?\.(weight|bias)", name)
        if reason is not None:
            found.left_out[key] = reason
        elif projection is not None:
            found.projections.setdefault(projection[1] or "shared", {})[projection[2]] = tensor
        elif name.startswith(_BODY):
            found.body[name] = tensor
        elif name.startswith(_HEADS):
            found.head[name] = tensor
        else:
            found.unknown.append(key)
    return found


def plain_name(key: str) -> str:
    """A name without the prefixes of wrappers and trunk, LayerNorm as it is called now."""
    name = re.sub(r"^(?:(?:_orig_mod|module|model)\.)+", "", key).removeprefix("bert.")
    return re.sub(r"(LayerNorm)\.(gamma|beta)$", lambda found: f"{found[1]}.{_NOW[found[2]]}", name)


_NOW = {"gamma": "weight", "beta": "bias"}


def layer_count(names: Iterable[str]) -> int:
    """How many layers the weights of a body have."""
    numbers = [int(found[1]) for name in names if (found := re.match(r"encoder\.layer\.(\d+)\.", name))]
    return max(numbers, default=-1) + 1
