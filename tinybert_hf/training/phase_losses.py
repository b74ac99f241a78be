"""Which losses a phase computes, with which weights, and whether a teacher cache can serve them.

A recipe is checked by this, so it loads no torch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.layer_map import NO_LAYERS, contradiction
from tinybert_hf.distillation.losses import ANSWER_LOSSES, DECODER_LOSSES, LOSSES, Loss, turned_off
from tinybert_hf.distillation.losses.entry import HEADS
from tinybert_hf.errors import RecipeError, check_number

if TYPE_CHECKING:
    from tinybert_hf.distillation.losses import DistillationLoss

EXTRA = "extra"
# What a phase computes where no weight is given: Jiao et al. 2020, section 3.2; "joint" does both phases at once, and
# "extra" has the losses of a user's own.
PHASE_LOSSES = {
    phase: tuple(name for name, loss in LOSSES.items() if phase in loss.phases)
    for phase in ("intermediate", "prediction", "joint", EXTRA)
}


def learns_answers(losses: Collection[str]) -> bool:
    """Whether a loss reaches the head, so that its answers are those of this training."""
    return not set(ANSWER_LOSSES).isdisjoint(losses)


def resolve_loss_weights(
    phase: str,
    given: Mapping[str, float | None],
    layer_maps: Mapping[str, Any] | None = None,
    *,
    has_decoder: bool = False,
) -> dict[str, float]:
    """The weight of each loss that is computed.

    Args:
        phase: "intermediate", "prediction", "joint" or "extra".
        given: loss name -> weight; None: 1 where the phase has that loss and its map is not "none", else 0.
        layer_maps: by name; None: as usual.
        has_decoder: the models are translators: phases with losses between layers have those between the decoders'.

    Returns:
        The losses with a weight above 0.

    Raises:
        RecipeError: an unknown phase, a negative weight, a weight of a loss whose map is "none", or no loss left but
            in the phase "extra".
    """
    if phase not in PHASE_LOSSES:
        raise RecipeError(f"Unknown phase {phase!r}; choose one of {', '.join(PHASE_LOSSES)}.")
    usual = tuple(name for name in PHASE_LOSSES[phase] if has_decoder or name not in DECODER_LOSSES)
    off = turned_off(usual, layer_maps or {})
    usual = tuple(name for name in usual if name not in off)
    weights = {}
    for name, weight in given.items():
        check_number(weight, f"{name}_weight", zero=True)
        value = float(name in usual) if weight is None else float(weight)
        if value > 0:
            weights[name] = value
    misplaced = sorted(set(weights) & set(DECODER_LOSSES))
    if misplaced and not has_decoder:
        raise RecipeError(f"{misplaced[0]}_weight is for translators; an encoder has no decoder. Leave it out.")
    for name, map_name in turned_off(weights, layer_maps or {}).items():
        raise RecipeError(contradiction(f"{name} ({name}_weight: {given[name]})", map_name))
    if not weights and phase != EXTRA and off:
        raise RecipeError(
            f'{next(iter(off.values()))} is "{NO_LAYERS}", and the phase {phase!r} has no loss but those between '
            'layers, so there is nothing to learn. Take the phase "prediction" or "joint", or give a layer map.'
        )
    if not weights and phase != EXTRA:
        raise RecipeError(
            f"Every loss of the phase {phase!r} has weight 0, so there is nothing to learn. (For losses of your own "
            f"alone: the phase {EXTRA!r}.)"
        )
    return weights


def losses_of_phase(losses: Mapping[str, DistillationLoss], phase: str) -> dict[str, DistillationLoss]:
    """The losses of a user's own that a phase computes.

    Raises:
        RecipeError: a loss names a phase that is none.
    """
    for name, loss in losses.items():
        unknown = [one for one in loss.phases or () if one not in PHASE_LOSSES]
        if unknown:
            raise RecipeError(
                f"extra_losses: {name} is for the phase {unknown[0]!r}; choose of {', '.join(PHASE_LOSSES)}."
            )
    return {name: loss for name, loss in losses.items() if loss.phases is None or phase in loss.phases}


def check_cached_losses(losses: Mapping[str, DistillationLoss | None], hidden_states: bool) -> None:
    """Refuse losses that a teacher cache cannot serve.

    Args:
        losses: those that are computed, by name; None: one of ours.
        hidden_states: the cache holds hidden states too.

    Raises:
        RecipeError: naming the loss, and what to do.
    """
    entries: dict[str, Loss] = {name: LOSSES[name] if own is None else own for name, own in losses.items()}
    for name, loss in entries.items():
        without = f"set {name}_weight to 0" if losses[name] is None else f"leave {name} out of it"
        for captured in loss.captured:
            if captured in HEADS:
                raise RecipeError(
                    f"teacher_cache does not go with {name}: it needs the teacher's queries and keys of every layer, "
                    f"which are too large to keep. Leave teacher_cache out of this phase, or {without}."
                )
            if captured != "hidden_states":
                raise RecipeError(
                    f"teacher_cache does not go with {name}: a cache keeps hidden states of encoders only. Leave "
                    f"teacher_cache out of this phase, or {without}."
                )
            if not hidden_states:
                raise RecipeError(
                    f"teacher_cache keeps logits, and {name} needs hidden states. Ask for them with "
                    "teacher_cache_hidden_states=True (in float16, two bytes for each unit of each mapped layer at "
                    f"each token), leave teacher_cache out of this phase, or {without}."
                )
    if not any(loss.needs_teacher for loss in entries.values()):
        raise RecipeError("teacher_cache: no loss of this phase looks at the teacher. Leave it out.")
