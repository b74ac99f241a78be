"""A frozen model with its linear maps in int8: a quarter of their memory, on any device, every loss as before."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LARGEST = 127


class Int8Linear(nn.Linear):
    """A linear map that keeps whole numbers and one scale an output, and multiplies in floating point.

    What a layer gives differs by the rounding of its weights alone. `weight` is made anew at each use, which costs
    little beside the product with a batch of rows; so everything that reads a linear map (a forward, a student's
    start) finds an ordinary one. It cannot be trained.
    """

    def __init__(self, linear: nn.Linear) -> None:
        """Round a map.

        Args:
            linear: left as it is; weight (Q, P).
        """
        nn.Module.__init__(self)  # nn.Linear's own would make a weight of full size
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        scale = (weight.abs().amax(dim=1, keepdim=True) / LARGEST).clamp_min(torch.finfo(weight.dtype).tiny)
        self.rounded = nn.Parameter((weight / scale).round().to(torch.int8), requires_grad=False)
        self.register_buffer("scale", scale)
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone(), requires_grad=False)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The weight (Q, P) in floating point, within half a scale of the one that was given."""
        scale = self.scale
        assert isinstance(scale, Tensor)
        return self.rounded.to(scale.dtype) * scale


def round_to_int8(model: nn.Module) -> int:
    """Put an Int8Linear in the place of every linear map, in place; embeddings and norms stay as they are.

    A map that shares its weight with an embedding stays too: rounded, it would be one tensor more.

    Args:
        model: a model that is not to be trained.

    Returns:
        How many maps were replaced.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and not isinstance(child, Int8Linear) and id(child.weight) not in embeddings
    ]
    made: dict[int, Int8Linear] = {}  # a map that stands in several places stays one map
    for parent, name, child in places:
        setattr(parent, name, made.setdefault(id(child), Int8Linear(child)))
    return len(made)
