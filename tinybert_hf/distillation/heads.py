"""A student's head made of its teacher's, through a linear map from the student's last states to the teacher's.

Where hidden states are learnt and the head is not, the states turn away from the basis in which the head was made. A
map that is solved on example rows says where they turned to: with it the teacher's head reads the student's states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import skip_init

from tinybert_hf.distillation.architecture import Head, head_of
from tinybert_hf.distillation.projections import least_squares
from tinybert_hf.distillation.teachers import label_order
from tinybert_hf.errors import TeacherError

RIDGE = 1e-2


@dataclass(frozen=True)
class AffineMap:
    """`states @ weight.T + bias`: (..., Hs) -> (..., Ht)."""

    weight: Tensor
    bias: Tensor

    def through(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A layer (P, Ht) that reads what comes out, as a layer (P, Hs) that reads what goes in."""
        return weight @ self.weight, bias + weight @ self.bias


@dataclass(frozen=True)
class HeadToTake:
    """A teacher's head as a student can have it: in the student's form, with its labels, and no wider; fp64, CPU.

    Attributes:
        dense: weight (K, Ht) and bias (K) of the dense layer; None of a head without one.
        last: weight (C, K) and bias (C) of the last layer.
    """

    dense: tuple[Tensor, Tensor] | None
    last: tuple[Tensor, Tensor]

    @classmethod
    def between(cls, student: nn.Module, teacher: nn.Module, states: Tensor) -> HeadToTake | None:
        """What a student can take of its teacher's head.

        Args:
            student: the model that learns.
            teacher: the model whose head it is.
            states: (R, Ht), the teacher's last hidden states at the first token of some rows.

        Returns:
            None where one has no head that is known, or they answer at different places, or with other labels.
        """
        ours, theirs = head_of(student), head_of(teacher)
        if ours is None or theirs is None or ours.reads_every_token != theirs.reads_every_token:
            return None
        order = _order(student, teacher, ours, theirs)
        if order is None:
            return None
        weight, bias = (_exact(one)[order] for one in (theirs.last.weight, theirs.last.bias))
        if ours.dense is None or theirs.dense is None:
            return cls(None, (weight, bias)) if ours.dense is theirs.dense else None
        states = states.to(weight)
        dense = _exact(theirs.dense.weight), _exact(theirs.dense.bias)
        entering = theirs.entering_last(states)
        chosen, left = _most_important(entering, weight, ours.last.in_features)
        dense = dense[0][chosen], dense[1][chosen]
        if (ours.activation, ours.rectified) == (theirs.activation, theirs.rectified):
            # Units for which there is no place: their mean is a constant.
            return cls(dense, (weight[:, chosen], bias + weight[:, left] @ entering[:, left].mean(0)))
        # The student's units are curved in another way: what the last layer makes of them is solved.
        made = _as_head(ours, dense).entering_last(states)
        return cls(dense, least_squares(made, entering @ weight.T + bias, RIDGE))

    @torch.no_grad()
    def weights_for(self, student: nn.Module, read: AffineMap) -> dict[nn.Linear, dict[str, Tensor]]:
        """The weights of the student's head, for its states as they are now.

        Args:
            student: the model; it is not changed.
            read: its last hidden states -> the teacher's.

        Returns:
            Layer of the student -> its whole state.
        """
        ours = head_of(student)
        assert ours is not None
        weight, bias = self.last
        if self.dense is None:
            weight, bias = read.through(weight, bias)
            return {ours.last: {"weight": weight, "bias": bias}}
        assert ours.dense is not None
        dense_weight, dense_bias = read.through(*self.dense)
        missing = ours.last.in_features - weight.shape[1]  # of a student that is wider than its teacher
        return {
            ours.dense: {
                "weight": functional.pad(dense_weight, (0, 0, 0, missing)),
                "bias": functional.pad(dense_bias, (0, missing)),
            },
            ours.last: {"weight": functional.pad(weight, (0, missing)), "bias": bias},
        }


def _exact(value: Tensor) -> Tensor:
    """In fp64, which not every device has."""
    return value.detach().cpu().double()


def _order(student: nn.Module, teacher: nn.Module, ours: Head, theirs: Head) -> list[int] | None:
    """The teacher's output for each of the student's; None where their names or numbers say that there is none."""
    count = ours.last.out_features
    answers = [hasattr(model, "qa_outputs") for model in (student, teacher)]
    if any(answers):
        return list(range(count)) if all(answers) and count == theirs.last.out_features else None
    try:
        order = label_order(student.config, teacher.config)
    except TeacherError:
        return None
    return order if len(order) == count and max(order) < theirs.last.out_features else None


def _most_important(entering: Tensor, weight: Tensor, places: int) -> tuple[Tensor, Tensor]:
    """The units that move the logits most on example rows, and the others.

    Args:
        entering: (R, K), what the last layer reads.
        weight: (C, K) of the last layer.
        places: for so many units there is room.
    """
    moved = entering.var(0, unbiased=False) * weight.square().sum(0)
    ranked = moved.argsort(descending=True, stable=True)
    return ranked[:places].sort().values, ranked[places:].sort().values


def _as_head(form: Head, dense: Sequence[Tensor]) -> Head:
    """A head of another's form with this dense layer; its last layer is not looked at."""
    # Without drawing numbers that nobody would use: a run's own would be others.
    linear = skip_init(nn.Linear, dense[0].shape[1], dense[0].shape[0], dtype=dense[0].dtype)
    linear.load_state_dict({"weight": dense[0], "bias": dense[1]})
    return Head(linear, form.activation, form.rectified, form.last, form.reads_every_token)
