"""The settings of a distillation, of one phase of it, and of a training on the labels alone.

Each is declared here once, with its default and what it means: `Phase` and `DistillationArguments` inherit the
settings of a distillation, and the commands take their options from here. So this file loads neither torch nor
transformers; what needs the losses imports them where it runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tinybert_hf.data.settings import setting
from tinybert_hf.errors import RecipeError, check_number, check_temperature

if TYPE_CHECKING:
    from tinybert_hf.training.arguments import DistillationArguments

PROJECTION_STARTS = ("least_squares", "random")
USUAL_LEARNING_RATE = 5e-5
NARROW = 192
"""Up to this width a student wants higher rates, and of few rows more epochs (docs/choosing.md)."""
_RATES = {"between layers": (2e-3, 4e-4), "answers alone": (5e-4, 1e-4)}  # up to NARROW, above it
_OF_TRANSLATORS = 3e-4
_EPOCHS_OF_TRANSLATORS = 10.0


# How often a training that names no epochs goes over its rows: the fewer there are, the more often.


class Readings(NamedTuple):
    """What a training is to read.

    Attributes:
        rows: together, over all its epochs.
        least: epochs, however many rows there are.
        most: epochs, however few there are.
    """

    rows: int
    least: int
    most: int

    def epochs(self, rows: int | None) -> float:
        """Over so many rows; None: they cannot be counted, as in a stream, or do not matter."""
        if not rows:
            return float(self.least)
        return float(min(self.most, max(self.least, math.ceil(self.rows / rows))))


_READINGS = {"between layers": Readings(6_000, 2, 12), "answers alone": Readings(9_000, 3, 18)}
_OF_FINETUNING = Readings(10_000, 3, 10)


# Which numbers a training can have; with another it would end at once and look like a finished one.

_WEIGHT = "_loss_weight"
_ABOVE_ZERO = ("epochs", "teacher_cache_limit_gb")
# A step of Adam moves each weight by about the rate: above this nothing of a start is left after one.
_HIGHEST_RATE = 1.0
_COUNTS = ("batch_size", "gradient_accumulation_steps", "train_rows", "early_stopping_patience")
_ZERO_OR_MORE = (
    "weight_decay",
    "num_train_epochs",
    "warmup_steps",
    "early_stopping_threshold",
)


def check_numbers(settings: Any, *, of: str = "", rate_may_be_zero: bool = False) -> None:
    """Refuse settings of a training with a number that none can have, whichever of these fields they have.

    Args:
        settings: a phase, a fine-tuning, or arguments of a trainer.
        of: whose they are, in front of each name in a message.
        rate_may_be_zero: a learning rate of 0 is allowed, as transformers allows it.

    Raises:
        RecipeError: naming the field.
    """
    for name in _ABOVE_ZERO:
        check_number(getattr(settings, name, None), of + name)
    for name in _COUNTS:
        check_number(getattr(settings, name, None), of + name, whole=True)
    check_temperature(getattr(settings, "temperature", None), of + "temperature", error=RecipeError)
    for name in (*_ZERO_OR_MORE, *(one for one in vars(settings) if one.endswith(_WEIGHT))):
        check_number(getattr(settings, name, None), of + name, zero=True)
    for name, zero in (("learning_rate", rate_may_be_zero), ("projection_learning_rate", False)):
        check_number(getattr(settings, name, None), of + name, zero=zero, most=_HIGHEST_RATE)
    check_number(getattr(settings, "warmup_ratio", None), f"{of}warmup_ratio", zero=True, below=1.0)


def known_epochs(epochs: float | None) -> float:
    """Epochs that are not open any more.

    Raises:
        RecipeError: they are.
    """
    if epochs is None:
        raise RecipeError("The epochs of a training are still open; with_epochs fills them in.")
    return epochs


# What a distillation can be told, whoever tells it.


@dataclass(kw_only=True)
class DistillationSettings:
    """Losses, layer maps and projections. A weight of None takes what the phase says; 0 leaves the loss out."""

    attention_loss_weight: float | None = setting(
        None, "Of the squared difference between attention scores, before the softmax."
    )
    hidden_state_loss_weight: float | None = setting(
        None, "Of the squared difference between projected hidden states."
    )
    embedding_loss_weight: float | None = setting(None, "Of the same between embedding outputs.")
    prediction_loss_weight: float | None = setting(
        None, "Of the cross-entropy against the teacher's probabilities; for a regression, of the squared difference."
    )
    label_loss_weight: float | None = setting(
        None, "Of the student's own loss on the labels, or on the target text; no phase has it by itself."
    )
    temperature: float = setting(1.0, "Of the prediction loss; above 1 the teacher's answers are softer.")
    layer_map: str | list[int] = setting(
        "uniform",
        "Which teacher layer each student layer learns: uniform, top, bottom, a list, or pairs such as 1:3,2:6; none: "
        "no loss between layers.",
    )
    attention_layer_map: str | list[int] | None = setting(None, "For the attention loss; None: as layer_map.")
    projection: str = setting(
        "per_layer",
        "From the student's width to the teacher's: per_layer, shared (one for all layers), or none between equal "
        "widths.",
    )
    projection_start: str = setting(
        "least_squares", "least_squares: fitted on some rows before the first step; random."
    )
    projection_learning_rate: float | None = setting(None, "Of the projections; None: as learning_rate.")
    follow_head: bool = setting(
        True,
        "Where no loss reaches the student's head, as in the intermediate phase: make it of the teacher's head, seen "
        "through a map between their last states, at each evaluation and checkpoint and at the end. false: the head "
        "stays as it was while the states turn away from it, as published.",
    )
    teacher_cache_hidden_states: bool = setting(
        False, "Keep the mapped hidden states too, in float16: for phases whose losses need them."
    )
    teacher_cache_limit_gb: float | None = setting(
        None, "How large the folder may become. None: 10, and nothing for translators."
    )

    @property
    def given_weights(self) -> dict[str, float | None]:
        """The weight of each loss, as it was given."""
        from tinybert_hf.distillation.losses import LOSSES

        return {name: getattr(self, f"{name}_weight", None) for name in LOSSES}

    @property
    def named_losses(self) -> tuple[str, ...]:
        """The losses that were given a weight, and are not only those of the phase."""
        return tuple(name for name, weight in self.given_weights.items() if weight)

    @property
    def layer_maps(self) -> dict[str, Any]:
        """The layer maps, by the names that `Objective.between` has for them."""
        from tinybert_hf.distillation.losses import MAP_NAMES

        return {name: getattr(self, name) for name in MAP_NAMES if hasattr(self, name)}


@dataclass(kw_only=True)
class Seq2SeqDistillationSettings(DistillationSettings):
    """The same for translators: with losses and layer maps between the decoders."""

    decoder_attention_loss_weight: float | None = setting(
        None, "Translators: between the decoders' attention scores, later places left out."
    )
    cross_attention_loss_weight: float | None = setting(
        None, "Translators: between the scores of target places and source places."
    )
    decoder_hidden_state_loss_weight: float | None = setting(
        None, "Translators: between projected hidden states of the decoders."
    )
    decoder_layer_map: str | list[int] = setting("uniform", "Translators: the same between the decoders.")
    decoder_attention_layer_map: str | list[int] | None = setting(
        None, "Translators: for the decoder's attention; None: as decoder_layer_map."
    )
    cross_attention_layer_map: str | list[int] | None = setting(
        None, "Translators: for the cross-attention; None: as decoder_layer_map."
    )


# One phase of a run.


@dataclass
class PhaseSchedule:
    """What a phase is called, how long and how fast it learns: TrainingArguments has other names for these."""

    name: str = setting(
        help="intermediate (attention, hidden states, embeddings), prediction (the teacher's answers) or joint (all). "
        "From Python also extra: losses of your own alone."
    )
    epochs: float | None = setting(
        None,
        "Passes over the rows; may be a fraction. None: 2 with a loss between layers and 3 without; of students up "
        "to 192 wide more where rows are few, until 6,000 and 9,000 have been read, at most 12 and 18. Of translators "
        "10.",
    )
    learning_rate: float | None = setting(
        None,
        "Of the student, the highest of the schedule. None: 4e-4 with a loss between layers and 1e-4 without, of "
        "students up to 192 wide 2e-3 and 5e-4; of translators 3e-4.",
    )
    lr_scheduler_type: str = setting(
        "linear", "A schedule of transformers: linear, cosine, constant, constant_with_warmup, ..."
    )
    warmup_ratio: float = setting(0.1, "Share of the steps in which the learning rate rises.")
    weight_decay: float = setting(0.0, "As in AdamW; never of the projections.")
    batch_size: int = setting(32, "Rows of a forward, of each process.")
    gradient_accumulation_steps: int = setting(1, "Forwards of a step.")


@dataclass
class Phase(Seq2SeqDistillationSettings, PhaseSchedule):
    """One phase of a run. A weight of None takes what the phase's name says; 0 leaves the loss out.

    The losses and layer maps of a decoder are for translators. Epochs and learning rate may be left open: `run_phases`
    fills them in by the rows and the student's width, and keeps them in phase.json in the folder of the phase;
    `with_epochs` and `with_learning_rate` tell them beforehand.
    """

    train_rows: int | None = setting(
        None, "Only the first rows; None: all, as it has to be where copies or unlabelled rows stand behind them."
    )
    teacher_cache: bool | str | None = setting(
        None,
        "Run the teacher once over the rows instead of once an epoch: true, or a folder that is kept for other runs; "
        "false: never. None: where a phase of several epochs needs only the logits of a classifier, or of answers.",
    )
    early_stopping_patience: int | None = setting(
        None,
        "Early stopping: end the phase after so many evaluations without a better one, and keep the best checkpoint. "
        "By training_arguments.metric_for_best_model, else the loss on the labels; where no loss reaches the head, by "
        "the distillation loss on the validation rows. None: all epochs are trained.",
    )
    early_stopping_threshold: float | None = setting(
        None, "By how much the metric has to get better to count. None: by anything."
    )

    def __post_init__(self) -> None:
        check_numbers(self, of=f"Phase {self.name!r}: ")
        self.loss_weights(has_decoder=True)  # raises early on a wrong weight or name
        patience, threshold = self.early_stopping_patience, self.early_stopping_threshold
        if threshold is not None and patience is None:
            raise RecipeError(
                f"Phase {self.name!r}: early_stopping_threshold is {threshold}, and there is no "
                "early_stopping_patience."
            )

    def usual_learning_rate(self, width: int, *, has_decoder: bool = False) -> float:
        """The rate of a phase that names none.

        Args:
            width: of the student.
            has_decoder: between translators, of which nothing is known: their recipes name their rates.

        Source:
            `benchmarks/tasks.py`; docs/choosing.md, "Learning rates".
        """
        if has_decoder:
            return _OF_TRANSLATORS
        narrow, wide = _RATES[self._kind]
        return narrow if width <= NARROW else wide

    @property
    def _kind(self) -> str:
        """What the losses compare."""
        from tinybert_hf.distillation.losses import ANSWER_LOSSES

        alone = self.loss_weights().keys() <= set(ANSWER_LOSSES)
        return "answers alone" if alone else "between layers"

    def with_learning_rate(self, width: int, *, has_decoder: bool = False) -> Phase:
        """The phase, its rate filled in where it names none; arguments as for `usual_learning_rate`."""
        if self.learning_rate is not None:
            return self
        return replace(self, learning_rate=self.usual_learning_rate(width, has_decoder=has_decoder))

    def usual_epochs(self, rows: int | None, width: int, *, has_decoder: bool = False) -> float:
        """The epochs of a phase that names none.

        Args:
            rows: that it learns from, or of which it takes the first; None: they cannot be counted.
            width: of the student.
            has_decoder: between translators.

        Source:
            `benchmarks/tasks.py`; docs/choosing.md, "Epochs".
        """
        if has_decoder:
            return _EPOCHS_OF_TRANSLATORS
        if rows is not None and self.train_rows is not None:
            rows = min(rows, self.train_rows)
        return _READINGS[self._kind].epochs(rows if width <= NARROW else None)

    def with_epochs(self, rows: int | None, width: int, *, has_decoder: bool = False) -> Phase:
        """The phase, its epochs filled in where it names none; arguments as for `usual_epochs`."""
        if self.epochs is not None:
            return self
        return replace(self, epochs=self.usual_epochs(rows, width, has_decoder=has_decoder))

    @property
    def known_epochs(self) -> float:
        """The epochs, once they are filled in; before that an error."""
        return known_epochs(self.epochs)

    def check_cache(self, *, has_decoder: bool) -> None:
        """Refuse a teacher cache that was asked for and cannot serve the losses.

        Args:
            has_decoder: between translators.

        Raises:
            RecipeError: naming the loss.
        """
        from tinybert_hf.training.phase_losses import check_cached_losses

        if self.teacher_cache:
            losses = self.loss_weights(has_decoder=has_decoder)
            check_cached_losses(dict.fromkeys(losses), self.teacher_cache_hidden_states)

    def loss_weights(self, *, has_decoder: bool = False) -> dict[str, float]:
        """The losses that this phase computes, with their weights.

        Args:
            has_decoder: between translators.

        Returns:
            Name -> weight, of those above 0.

        Raises:
            RecipeError: a weight that is none or whose layer map is, no loss left, or a decoder's loss between
                encoders.
        """
        from tinybert_hf.training.phase_losses import resolve_loss_weights

        return resolve_loss_weights(self.name, self.given_weights, self.layer_maps, has_decoder=has_decoder)

    def arguments(
        self,
        output_dir: str | Path,
        *,
        seed: int,
        has_eval: bool,
        has_decoder: bool = False,
        teacher_cache: str | None = None,
        training_arguments: Mapping[str, Any] | None = None,
    ) -> DistillationArguments:
        """The trainer's arguments for this phase.

        Args:
            output_dir: where its checkpoints go.
            seed: of shuffling and dropout.
            has_eval: there are rows to evaluate on after each epoch.
            has_decoder: between translators.
            teacher_cache: folder of the cache; None: none.
            training_arguments: further fields of TrainingArguments; they win.

        Returns:
            Arguments of a DistillationTrainer, or of a Seq2SeqDistillationTrainer for translators.

        Raises:
            RecipeError: values that do not go together, or epochs or a learning rate that are still open.
        """
        from tinybert_hf.training.arguments import (
            DISTILLATION_LOSS,
            DistillationArguments,
            Seq2SeqDistillationArguments,
            plain_name,
            refused_arguments,
        )
        from tinybert_hf.training.finetuning import common_arguments
        from tinybert_hf.training.phase_losses import learns_answers

        if self.epochs is None or self.learning_rate is None:
            raise RecipeError(
                f"Phase {self.name!r} leaves its epochs or its learning rate open. run_phases fills them in; "
                "otherwise call with_epochs(rows, width) and with_learning_rate(width) first."
            )
        losses = self.loss_weights(has_decoder=has_decoder)
        given = dict(training_arguments or {})
        if self.early_stopping_patience is not None:
            given.setdefault("load_best_model_at_end", True)
        # One recipe names a metric for all its phases; it is not asked of a head that does not learn.
        if not learns_answers(losses) and plain_name(given.get("metric_for_best_model")) not in (
            DISTILLATION_LOSS,
            *losses,
        ):
            given.pop("metric_for_best_model", None)
            given.pop("greater_is_better", None)
        own = asdict(self)
        for name in ("name", "epochs", "batch_size", "warmup_ratio", "train_rows", "teacher_cache"):
            own.pop(name)
        kind = Seq2SeqDistillationArguments if has_decoder else DistillationArguments
        known = {field.name for field in fields(kind)}
        with refused_arguments():
            return kind(
                output_dir=str(output_dir),
                phase=self.name,
                num_train_epochs=self.epochs,
                per_device_train_batch_size=self.batch_size,
                warmup_steps=self.warmup_ratio,
                teacher_cache=teacher_cache,
                **{name: value for name, value in own.items() if name in known},
                **common_arguments(given, has_eval=has_eval, seed=seed),
            )


TRAINED, FOLLOWED, LEFT = "trained", "followed", "left"


@dataclass(frozen=True)
class PhaseResult:
    """What a phase took and reached. `losses` holds the training losses of the last log, by name; `throughput`, of a
    general distillation, what it read and how fast; `teacher_bf16` says whether a teacher multiplied in bfloat16,
    `student_bf16` whether the student did; `best_step`, of which step the weights are, where those of the best
    checkpoint were kept; `planned_steps`, how many there would have been without an early end; `head`, what became of
    the student's head: TRAINED, FOLLOWED (made of the teacher's, for the states that it reads) or LEFT as it was."""

    name: str
    seconds: float
    steps: int
    metrics: dict[str, float]
    losses: dict[str, float]
    throughput: dict[str, float] = field(default_factory=dict)
    teacher_bf16: bool = False
    student_bf16: bool = False
    best_step: int | None = None
    planned_steps: int | None = None
    head: str = ""

    @property
    def stopped_early(self) -> bool:
        """Whether the training ended before its last step."""
        return self.planned_steps is not None and self.steps < self.planned_steps


# A training on the labels, without a teacher.


@dataclass(frozen=True)
class FinetuneSettings:
    """How a model is trained on the labels. Epochs may be left open; `with_epochs` tells them beforehand."""

    epochs: float | None = setting(
        None,
        "Passes over the rows; may be a fraction. None: until 10,000 rows have been read, at least 3 and at most 10. "
        "Of translators 3; of a recipe's baseline as many as all phases together would take of the rows with labels.",
    )
    learning_rate: float | None = setting(
        None, "The highest of the schedule. None: 5e-5; in a recipe's baseline, that of the last phase."
    )
    batch_size: int = setting(32, "Rows of a step, of each process.")
    warmup_ratio: float = setting(0.1, "Share of the steps in which the learning rate rises.")
    weight_decay: float = setting(0.0, "As in AdamW.")
    lr_scheduler_type: str = setting(
        "linear", "A schedule of transformers: linear, cosine, constant, constant_with_warmup, ..."
    )

    def __post_init__(self) -> None:
        check_numbers(self)

    def with_epochs(self, rows: int | None, *, has_decoder: bool = False) -> FinetuneSettings:
        """The settings, their epochs filled in where they name none.

        Args:
            rows: that are learnt from; None: they cannot be counted.
            has_decoder: of a translator.

        Source:
            `benchmarks/tasks.py`; docs/choosing.md, "Epochs".
        """
        if self.epochs is not None:
            return self
        return replace(self, epochs=float(_OF_FINETUNING.least) if has_decoder else _OF_FINETUNING.epochs(rows))

    @property
    def known_epochs(self) -> float:
        """The epochs, once they are filled in; before that an error."""
        return known_epochs(self.epochs)
