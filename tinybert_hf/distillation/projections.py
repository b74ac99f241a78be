"""Learnable maps from the student's width to the teacher's; they exist only while distilling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from tinybert_hf.distillation.choices import PROJECTIONS
from tinybert_hf.errors import LayerMapError


class Projections(nn.Module):
    """One linear map for every layer, one for all of them, or none.

    Layer 0 is the embedding output. The published checkpoints call these `fit_dense` (shared) or `fit_denses` (one a
    layer).
    """

    def __init__(
        self,
        mode: str,
        student_width: int,
        teacher_width: int,
        layers: Sequence[int],
        decoder: Projections | None = None,
    ) -> None:
        """Make the maps with PyTorch's own random start.

        Args:
            mode: "per_layer", "shared" or "none".
            student_width: Hs.
            teacher_width: Ht.
            layers: the student layers that will be projected, 0 included where the embedding loss is on.
            decoder: the maps between the decoders of two translators.

        Raises:
            LayerMapError: an unknown mode, or "none" between different widths.
        """
        super().__init__()
        if mode not in PROJECTIONS:
            raise LayerMapError(f"Unknown projection {mode!r}; choose one of {', '.join(PROJECTIONS)}.")
        if mode == "none" and student_width != teacher_width:
            raise LayerMapError(
                f'projection "none" needs equal widths, but the student is {student_width} wide and the teacher '
                f'{teacher_width}. Use "per_layer" or "shared".'
            )
        self.mode = mode
        keys = {"per_layer": [str(layer) for layer in layers], "shared": ["shared"], "none": []}[mode]
        self.maps = nn.ModuleDict({key: nn.Linear(student_width, teacher_width) for key in keys})
        self.decoder = decoder

    @property
    def is_empty(self) -> bool:
        """Whether nothing is projected, so that nothing has to be kept."""
        return not any(True for _ in self.parameters())

    def same_as(self, other: AnyProjections) -> bool:
        """Whether both project the same layers in the same way, so that one can go on where the other ended."""
        if not isinstance(other, Projections):
            return False
        mine = {name: tensor.shape for name, tensor in self.state_dict().items()}
        return self.mode == other.mode and mine == {n: t.shape for n, t in other.state_dict().items()}

    def each(self) -> list[Projections]:
        """Those towards each teacher: of one, these."""
        return [self]

    def of_layer(self, layer: int) -> nn.Module | None:
        """The map of a student layer; None where the widths agree and nothing is projected."""
        if self.mode == "none":
            return None
        return self.maps["shared" if self.mode == "shared" else str(layer)]

    @torch.no_grad()
    def fit(self, student: Mapping[int, Tensor], teacher: Mapping[int, Tensor], ridge: float = 1e-3) -> None:
        """Set every map to the least-squares solution on example states, so that training starts from a good
        projection.

        Args:
            student: layer -> (T, Hs), states of real tokens.
            teacher: the student's layer -> (T, Ht), the states that it is to meet.
            ridge: keeps the solution finite where there are few tokens, as a share of the mean variance.
        """
        for key, linear in self.maps.items():
            layers = list(student) if key == "shared" else [int(key)]
            x = torch.cat([student[layer] for layer in layers]).double()
            y = torch.cat([teacher[layer] for layer in layers]).double()
            weight, bias = least_squares(x, y, ridge)
            linear.weight.copy_(weight)
            linear.bias.copy_(bias)


class JointProjections(nn.Module):
    """The maps towards each of several teachers."""

    def __init__(self, of_teacher: Sequence[Projections]) -> None:
        super().__init__()
        self.of_teacher = nn.ModuleList(of_teacher)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is projected, so that nothing has to be kept."""
        return not any(True for _ in self.parameters())

    def same_as(self, other: AnyProjections) -> bool:
        """Whether both project the same layers towards as many teachers in the same way."""
        if not isinstance(other, JointProjections) or len(self.of_teacher) != len(other.of_teacher):
            return False
        pairs = zip(self.each(), other.each(), strict=True)
        return all(mine.same_as(theirs) for mine, theirs in pairs)

    def each(self) -> list[Projections]:
        """Those towards each teacher, in order."""
        return list(self.of_teacher)  # type: ignore[arg-type]


AnyProjections: TypeAlias = Projections | JointProjections


def least_squares(x: Tensor, y: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    """Ridge regression of y on x.

    Args:
        x: (T, P).
        y: (T, Q).
        ridge: added to the diagonal of the covariance, as a share of its mean.

    Returns:
        Weight (Q, P) and bias (Q), as `nn.Linear` holds them.
    """
    x_mean, y_mean = x.mean(0), y.mean(0)
    centred = x - x_mean
    covariance = centred.T @ centred
    covariance.diagonal().add_(ridge * covariance.diagonal().mean() + torch.finfo(x.dtype).tiny)
    weight = torch.linalg.solve(covariance, centred.T @ (y - y_mean)).T
    return weight, y_mean - weight @ x_mean


def as_lookup(
    projections: Projections
    | nn.Module
    | Sequence[nn.Module]
    | Mapping[int, nn.Module]
    | Mapping[int, nn.Module | None]
    | None,
    layers: Sequence[int],
) -> Mapping[int, nn.Module | None]:
    """Read any way of giving projections as student layer -> module.

    Args:
        projections: None; one module for all layers; one for each layer in order; a mapping from the student layer;
            or `Projections`.
        layers: the student layers; 0 is the embedding output.

    Raises:
        LayerMapError: a sequence of the wrong length, or a mapping without a layer that is needed.
    """
    if projections is None:
        return dict.fromkeys(layers)
    if isinstance(projections, Projections):
        return {layer: projections.of_layer(layer) for layer in layers if _has(projections, layer)}
    if isinstance(projections, Mapping):
        return projections
    if isinstance(projections, Sequence | nn.ModuleList):
        if len(projections) != len(layers):
            raise LayerMapError(
                f"{len(projections)} projections were given for {len(layers)} layers, one for each: "
                f"{', '.join(map(str, layers))} (0 is the embedding output, the others are the mapped student layers)."
            )
        return dict(zip(layers, projections, strict=True))
    return dict.fromkeys(layers, projections)


def _has(projections: Projections, layer: int) -> bool:
    return projections.mode != "per_layer" or str(layer) in projections.maps
