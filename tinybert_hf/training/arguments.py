"""The settings of a distillation run, on top of transformers' own TrainingArguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import Seq2SeqTrainingArguments, TrainingArguments

from tinybert_hf.distillation.layer_map import NO_LAYERS, contradiction
from tinybert_hf.distillation.losses import DECODER_LOSSES, LOSSES, DistillationLoss, Loss, turned_off
from tinybert_hf.distillation.losses.entry import HEADS
from tinybert_hf.distillation.projections import PROJECTIONS
from tinybert_hf.errors import RecipeError, check_number
from tinybert_hf.training.best_model import best_by
from tinybert_hf.training.possible_numbers import check_numbers

EXTRA = "extra"
# What a phase computes where no weight is given: Jiao et al. 2020, section 3.2; "joint" does both phases at once, and
# "extra" has the losses of a user's own.
PHASE_LOSSES = {
    phase: tuple(name for name, loss in LOSSES.items() if phase in loss.phases)
    for phase in ("intermediate", "prediction", "joint", EXTRA)
}
PROJECTION_STARTS = ("least_squares", "random")


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


@dataclass
class DistillationArguments(TrainingArguments):
    """TrainingArguments with a weight per loss, the layer map and the projections.

    Attributes:
        phase: "intermediate" (attention, hidden-state and embedding losses), "prediction" (soft cross-entropy),
            "joint", or "extra" (none but those with a weight, and the trainer's `extra_losses`).
        attention_loss_weight: 0 leaves the loss out of the computation; None takes what the phase says. So for the
            others.
        label_loss_weight: of the student's loss on the labels themselves; no phase has it unless a weight is given.
        temperature: of the prediction loss.
        layer_map: "uniform", "top", "bottom", "1:3,2:6", or "none": no loss between layers.
        attention_layer_map: the map for attention scores; None: as `layer_map`.
        projection: "per_layer", "shared", or "none" where the widths agree.
        projection_start: "least_squares" (solved on the first rows) or "random".
        projection_learning_rate: None: as `learning_rate`.
        teacher_bf16: the teacher's matrix products are computed in bfloat16, its weights and hidden states stay in
            fp32. None: where that is faster: on a CPU with instructions for it, for a teacher in fp32 that is at
            least 192 wide.
        teacher_cache: folder that keeps the teacher's logits, so that the teacher runs once over the rows and not
            once an epoch; None: it runs in each step.
        teacher_cache_hidden_states: the folder keeps the mapped hidden states too, in float16.
        teacher_cache_limit_gb: how large the folder may become; None: 10, and nothing for translators, whose logits
            are those of a whole vocabulary at each token.
        logging_nan_inf_filter: off: the trainer stops at a loss that is not finite instead of hiding it from the log.
        train_sampling_strategy: batches of rows of like length, so that little padding is computed.
    """

    has_decoder: ClassVar[bool] = False

    phase: str = field(default="joint", metadata={"help": "intermediate, prediction, joint or extra"})
    attention_loss_weight: float | None = field(default=None, metadata={"help": "None: by phase; 0: not computed"})
    hidden_state_loss_weight: float | None = field(default=None, metadata={"help": "None: by phase; 0: not computed"})
    embedding_loss_weight: float | None = field(default=None, metadata={"help": "None: by phase; 0: not computed"})
    prediction_loss_weight: float | None = field(default=None, metadata={"help": "None: by phase; 0: not computed"})
    label_loss_weight: float | None = field(default=None, metadata={"help": "None: not computed"})
    temperature: float = field(default=1.0, metadata={"help": "softens the predictions of both models"})
    layer_map: str = field(default="uniform", metadata={"help": 'uniform, top, bottom, none or pairs "1:3,2:6"'})
    attention_layer_map: str | None = field(default=None, metadata={"help": "None: as layer_map"})
    projection: str = field(default="per_layer", metadata={"help": "per_layer, shared or none"})
    projection_start: str = field(default="least_squares", metadata={"help": "least_squares or random"})
    projection_learning_rate: float | None = field(default=None, metadata={"help": "None: as learning_rate"})
    teacher_bf16: bool | None = field(default=None, metadata={"help": "None: on a CPU where it is faster"})
    teacher_cache: str | None = field(default=None, metadata={"help": "folder; None: the teacher runs in each step"})
    teacher_cache_hidden_states: bool = field(default=False, metadata={"help": "keep hidden states too, in float16"})
    teacher_cache_limit_gb: float | None = field(default=None, metadata={"help": "None: 10; translators: 0"})
    learning_rate: float = field(default=3e-4, metadata={"help": "peak learning rate of the student"})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "the trainer stops at such a loss"})
    train_sampling_strategy: str = field(default="group_by_length", metadata={"help": "see TrainingArguments"})

    def __post_init__(self) -> None:
        losses = self.loss_weights  # raises early on a wrong weight or phase
        given: str | None = vars(self)["metric_for_best_model"]
        if self.load_best_model_at_end or self.save_strategy == "best":
            self.metric_for_best_model = best_by(losses, given)
        super().__post_init__()
        check_numbers(self, rate_may_be_zero=True)
        if self.label_smoothing_factor:
            raise RecipeError(
                f"label_smoothing_factor is {self.label_smoothing_factor}, and distillation has no use for it: the "
                "teacher's own probabilities are the soft labels. Leave it out, or raise the temperature."
            )
        for name, value, known in (
            ("projection", self.projection, PROJECTIONS),
            ("projection_start", self.projection_start, PROJECTION_STARTS),
        ):
            if value not in known:
                raise RecipeError(f"{name} is {value!r}; choose one of {', '.join(known)}.")
        if self.teacher_cache is not None and losses:
            check_cached_losses(dict.fromkeys(losses), self.teacher_cache_hidden_states)

    @property
    def loss_weights(self) -> dict[str, float]:
        """The losses that are computed, with their weights."""
        given: dict[str, Any] = {name: getattr(self, f"{name}_weight", None) for name in LOSSES}
        return resolve_loss_weights(self.phase, given, self.layer_maps, has_decoder=self.has_decoder)

    @property
    def named_losses(self) -> tuple[str, ...]:
        """The losses that were given a weight, and are not only those of the phase."""
        return tuple(name for name in LOSSES if getattr(self, f"{name}_weight", None))

    @property
    def layer_maps(self) -> dict[str, Any]:
        """The layer maps, by the names that `Objective.between` has for them."""
        return {"layer_map": self.layer_map, "attention_layer_map": self.attention_layer_map}


@dataclass
class Seq2SeqDistillationArguments(DistillationArguments, Seq2SeqTrainingArguments):
    """DistillationArguments for translators: the losses between the decoders, with layer maps of their own.

    Attributes:
        decoder_attention_loss_weight: the target's own attention, later places left out. 0, None: as above.
        cross_attention_loss_weight: attention of the target to the source.
        decoder_hidden_state_loss_weight: hidden states of the decoder's layers.
        decoder_layer_map: as `layer_map`, for the decoders.
        decoder_attention_layer_map: None: as `decoder_layer_map`.
        cross_attention_layer_map: None: as `decoder_layer_map`.
    """

    has_decoder: ClassVar[bool] = True

    decoder_attention_loss_weight: float | None = field(default=None, metadata={"help": "None: by phase"})
    cross_attention_loss_weight: float | None = field(default=None, metadata={"help": "None: by phase"})
    decoder_hidden_state_loss_weight: float | None = field(default=None, metadata={"help": "None: by phase"})
    decoder_layer_map: str = field(default="uniform", metadata={"help": "as layer_map, of the decoders"})
    decoder_attention_layer_map: str | None = field(default=None, metadata={"help": "None: as decoder_layer_map"})
    cross_attention_layer_map: str | None = field(default=None, metadata={"help": "None: as decoder_layer_map"})

    @property
    def layer_maps(self) -> dict[str, Any]:
        """The layer maps, by the names that `Objective.between` has for them."""
        names = ("decoder_layer_map", "decoder_attention_layer_map", "cross_attention_layer_map")
        return {**super().layer_maps, **{name: getattr(self, name) for name in names}}
