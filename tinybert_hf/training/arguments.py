"""The settings of a distillation run, on top of transformers' own: which are possible, usual, best."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from transformers import EarlyStoppingCallback, Seq2SeqTrainingArguments, TrainingArguments
from transformers.trainer_utils import IntervalStrategy, SaveStrategy

from tinybert_hf.data.settings import setting, setting_of
from tinybert_hf.distillation.choices import PROJECTIONS
from tinybert_hf.errors import RecipeError, TinyBertError
from tinybert_hf.training.phase_losses import check_cached_losses, learns_answers, resolve_loss_weights
from tinybert_hf.training.settings import (
    PROJECTION_STARTS,
    DistillationSettings,
    Seq2SeqDistillationSettings,
    check_numbers,
)

if TYPE_CHECKING:
    from tinybert_hf.training.resumable import ResumableTrainer


def count_rows(dataset: Any) -> int | None:
    """Of a data set; None of a stream."""
    return len(dataset) if hasattr(dataset, "__len__") else None


# Which checkpoint is the best one, and when a training stops early because none gets better.
#
# In a phase that only brings the layers together the head does not learn, so what it answers says nothing about the
# student: there the best checkpoint is the one with the least distillation loss on the held-out rows.

DISTILLATION_LOSS = "distillation_loss"
OF_EVALUATION = (
    "load_best_model_at_end",
    "metric_for_best_model",
    "greater_is_better",
    "eval_strategy",
    "eval_steps",
    "eval_delay",
    "eval_on_start",
)
"""TrainingArguments that a training without rows to evaluate on has no use for."""


def plain_name(metric: str | None) -> str:
    """A metric without the prefix that evaluations give it."""
    return (metric or "").removeprefix("eval_")


def matching_strategies(given: Mapping[str, Any], *, has_eval: bool) -> dict[str, Any]:
    """TrainingArguments with which each evaluation has its checkpoint, where the best one is wanted.

    Args:
        given: by the caller; what it names is checked, the rest is filled in.
        has_eval: there are rows to evaluate on.

    Raises:
        RecipeError: nothing is evaluated, or checkpoints are written at other steps.
    """
    if not given.get("load_best_model_at_end"):
        return {}
    evaluates = IntervalStrategy(given.get("eval_strategy", "epoch" if has_eval else "no")).value
    if evaluates == "no" or not has_eval:
        why = "there are no rows to evaluate on (eval_dataset)" if not has_eval else "eval_strategy is 'no'"
        raise RecipeError(f"load_best_model_at_end: no checkpoint can be called the best, since {why}. Leave it out")
    saves = SaveStrategy(given.get("save_strategy", evaluates)).value
    if saves not in (evaluates, "best"):
        raise RecipeError(
            f"load_best_model_at_end: the model is evaluated by eval_strategy {evaluates!r} and saved by "
            f"save_strategy {saves!r}, so the best one may not be there. Leave save_strategy out, or say the "
            "same for both"
        )
    if evaluates != "steps":
        return {"save_strategy": saves}
    steps = given.get("eval_steps") or given.get("save_steps") or 0.2  # a fifth of the run
    return {"save_strategy": saves, "eval_steps": steps, "save_steps": steps}


@contextmanager
def refused_arguments() -> Iterator[None]:
    """What TrainingArguments says of values that do not go together, as an error that a user can mend."""
    try:
        yield
    except TinyBertError:
        raise
    except (ValueError, TypeError, ImportError) as error:
        raise RecipeError(f"training_arguments: {str(error).strip()}") from error


def best_by(losses: Collection[str], metric: str | None, *, head_follows: bool = False) -> str:
    """The metric that the best checkpoint is chosen by; without the head, the distillation loss.

    Args:
        losses: that are computed.
        metric: that was asked for; None: the usual one.
        head_follows: where no loss reaches the head, it follows the states; its metrics say something then.

    Raises:
        RecipeError: a metric of a head that does not learn.
    """
    name = plain_name(metric)
    if learns_answers(losses) or name in (DISTILLATION_LOSS, *losses):
        return metric or "loss"
    if name in ("", "loss"):
        return DISTILLATION_LOSS
    if head_follows:
        return str(metric)
    raise RecipeError(
        f"metric_for_best_model is {metric!r}: it is a metric of the head, and no loss of this phase "
        f"({', '.join(losses)}) teaches the head, which does not follow either. Leave it out (then "
        f"{DISTILLATION_LOSS} on the evaluation rows decides), or choose one of "
        f"{', '.join((DISTILLATION_LOSS, *losses))}"
    )


def check_best_model(trainer: ResumableTrainer) -> None:
    """Refuse before training what could not choose the best checkpoint, or stop early.

    Raises:
        RecipeError: no rows, no metric of that name, or one of a head that does not learn.
    """
    args, stops = trainer.args, stops_early(trainer)
    if not (args.load_best_model_at_end or stops or args.save_strategy == SaveStrategy.BEST):
        return
    wanted = "early stopping" if stops else "load_best_model_at_end"
    if trainer.eval_dataset is None or args.eval_strategy == IntervalStrategy.NO:
        why = "no eval_dataset is given" if trainer.eval_dataset is None else "eval_strategy is 'no'"
        raise RecipeError(f"{wanted}: nothing is evaluated, since {why}. Give what is missing, or leave it out")
    if args.metric_for_best_model is None:
        raise RecipeError(f"{wanted}: metric_for_best_model is not given. Name it, or set load_best_model_at_end")
    known = trainer.evaluation_metrics()
    if known is not None and plain_name(args.metric_for_best_model) not in known:
        raise no_such_metric(args.metric_for_best_model, known)


def no_such_metric(metric: str, known: Collection[str]) -> RecipeError:
    """The error for a metric that no evaluation gives."""
    kept = sorted(name for name in known if not name.endswith(("runtime", "_per_second", "_compilation_time")))
    labels = " (a loss on the labels needs rows with labels)" if plain_name(metric) == "loss" else ""
    return RecipeError(
        f"metric_for_best_model is {metric!r}, which the evaluation does not give{labels}. It gives: "
        f"{', '.join(kept) or 'nothing'}"
    )


def resume_early_stopping(trainer: ResumableTrainer) -> None:
    """Count again, from the log, how often nothing got better: a checkpoint does not bring that number back.

    A training that had stopped already is not gone on with.
    """
    args, key = trainer.args, f"eval_{plain_name(trainer.args.metric_for_best_model)}"
    values = [entry[key] for entry in trainer.state.log_history if key in entry and entry["step"] > 0]
    better = np.greater if args.greater_is_better else np.less
    for callback in stops_early(trainer):
        best, count = None, 0
        for value in values:
            gained = best is None or (better(value, best) and abs(value - best) > callback.early_stopping_threshold)
            count = 0 if gained else count + 1
            best = value if best is None or better(value, best) else best
        callback.early_stopping_patience_counter = count
        if count >= callback.early_stopping_patience:
            trainer.control.should_training_stop = True


def stops_early(trainer: ResumableTrainer) -> list[EarlyStoppingCallback]:
    """The callbacks that stop a training once it gets no better; none: it does not stop early."""
    return [one for one in trainer.callback_handler.callbacks if isinstance(one, EarlyStoppingCallback)]


# The settings of a distillation run, on top of transformers' own TrainingArguments.


@dataclass
class DistillationArguments(DistillationSettings, TrainingArguments):
    """TrainingArguments with a weight per loss, the layer map and the projections: see DistillationSettings.

    Attributes:
        logging_nan_inf_filter: off: the trainer stops at a loss that is not finite instead of hiding it from the log.
        train_sampling_strategy: batches of rows of like length, so that little padding is computed.
    """

    has_decoder: ClassVar[bool] = False

    phase: str = setting(
        "joint",
        "intermediate (attention, hidden-state and embedding losses), prediction (soft cross-entropy), joint, or "
        "extra (none but those with a weight, and the trainer's extra_losses).",
    )
    # Of texts alone, since an argument of a command line has one type.
    layer_map: str = setting_of(DistillationSettings, "layer_map")
    attention_layer_map: str | None = setting_of(DistillationSettings, "attention_layer_map")
    teacher_bf16: bool | None = setting(
        None,
        "The teacher's matrix products are computed in bfloat16, its weights and hidden states stay in fp32. None: "
        "where that is faster: on a CPU with instructions for it, for a teacher in fp32 that is at least 192 wide.",
    )
    student_bf16: bool | None = setting(
        None,
        "The student learns with matrix products in bfloat16, forwards and backwards; its weights, hidden states and "
        "losses stay in fp32, and it is evaluated in fp32. None: where that is faster, as for the teacher; False "
        "turns it off, which `bf16=False`, the default of transformers, does not.",
    )
    teacher_cache: str | None = setting(
        None,
        "Folder that keeps the teacher's logits, so that the teacher runs once over the rows and not once an epoch; "
        "None: it runs in each step.",
    )
    learning_rate: float = setting(3e-4, "Of the student, the highest of the schedule.")
    logging_nan_inf_filter: bool = setting(False, "The trainer stops at such a loss.")
    train_sampling_strategy: str = setting("group_by_length", "See TrainingArguments.")

    def __post_init__(self) -> None:
        losses = self.loss_weights  # raises early on a wrong weight or phase
        given: str | None = vars(self)["metric_for_best_model"]
        if self.load_best_model_at_end or self.save_strategy == "best":
            self.metric_for_best_model = best_by(losses, given, head_follows=self.follow_head)
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
        for name in ("teacher_bf16", "student_bf16"):
            if getattr(self, name) not in (None, True, False):
                raise RecipeError(f"{name} is {getattr(self, name)!r}; give true, false, or none: where it is faster.")
        if self.teacher_cache is not None and losses:
            check_cached_losses(dict.fromkeys(losses), self.teacher_cache_hidden_states)

    @property
    def loss_weights(self) -> dict[str, float]:
        """The losses that are computed, with their weights."""
        return resolve_loss_weights(self.phase, self.given_weights, self.layer_maps, has_decoder=self.has_decoder)


@dataclass
class Seq2SeqDistillationArguments(DistillationArguments, Seq2SeqDistillationSettings, Seq2SeqTrainingArguments):
    """DistillationArguments for translators: the losses between the decoders, with layer maps of their own."""

    has_decoder: ClassVar[bool] = True

    decoder_layer_map: str = setting_of(Seq2SeqDistillationSettings, "decoder_layer_map")
    decoder_attention_layer_map: str | None = setting_of(Seq2SeqDistillationSettings, "decoder_attention_layer_map")
    cross_attention_layer_map: str | None = setting_of(Seq2SeqDistillationSettings, "cross_attention_layer_map")
