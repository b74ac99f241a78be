"""A student by its speed: the most accurate preset that is as fast as was asked, measured on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.architecture import encoder_shape
from tinybert_hf.errors import RecipeError
from tinybert_hf.evaluation.cost import time_models
from tinybert_hf.model import PRESETS
from tinybert_hf.recipes.plan import Size, preset_config
from tinybert_hf.tasks import TASKS

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.schema import Recipe

CHOICE = "student by its speed"
_TEACHER = "teacher"
_TOKENS, _SECONDS, _ROUNDS = 32, 5.0, 12  # as the table at the end of a run
_SMALLER = 0.8  # of the time of the next larger one: what rounds differ by without other work
_MEASURED: dict[tuple[Any, ...], dict[str, float]] = {}  # a dry run and a run plan more than once


@dataclass(frozen=True)
class Choice:
    """The preset that was taken, and what it was taken by.

    Attributes:
        preset: its name.
        target_speedup: times the teacher's speed that were asked for; None: a latency was.
        target_latency_ms: likewise, in milliseconds.
        latencies_ms: of the teacher and of every preset that could be its student, the largest first: one row of 32
            tokens on one thread, with random weights, the fastest of several forwards: other work on the machine
            moves that least.
        device: where that was measured.
    """

    preset: str
    target_speedup: float | None
    target_latency_ms: float | None
    latencies_ms: dict[str, float]
    device: str

    @property
    def limit_ms(self) -> float:
        """The latency that the student may have."""
        if self.target_latency_ms is not None:
            return self.target_latency_ms
        assert self.target_speedup is not None
        return self.latencies_ms[_TEACHER] / self.target_speedup

    @property
    def asked(self) -> str:
        """What was asked for, in words."""
        if self.target_latency_ms is not None:
            return f"at most {self.target_latency_ms:g} ms for a text"
        return f"at least {self.target_speedup:g} times the teacher's speed"

    def said(self) -> str:
        """Why this preset, for a reader who waits for the run."""
        teacher = self.latencies_ms[_TEACHER]
        others = ", ".join(
            f"{name} {value:.2f} ms ({teacher / value:.1f}x)"
            for name, value in self.latencies_ms.items()
            if name != _TEACHER
        )
        busy = "" if self._in_order() else " The machine is busy: a smaller preset took longer than a larger one."
        return (
            f"The student is {self.preset}, the largest preset with {self.asked}. One text of 32 tokens takes the "
            f"teacher {teacher:.2f} ms here ({self.device}, one thread); {others}.{busy}"
        )

    def _in_order(self) -> bool:
        values = list(self.latencies_ms.values())
        return all(larger >= _SMALLER * smaller for larger, smaller in pairwise(values))


def latencies_ms(models: Mapping[str, PreTrainedModel]) -> dict[str, float]:
    """What a text of 32 tokens takes each model on one thread: the fastest of several forwards, side by side.

    On a CPU it is the time that it computes: a long forward is interrupted more often than a short one, so that on a
    machine with other work the time that passes would favour small models.
    """
    times, _ = time_models(models, 1, _TOKENS, threads=1, seconds=_SECONDS, most=_ROUNDS)
    on_cpu = all(model.device.type == "cpu" for model in models.values())
    return {name: 1000 * min(one.all_cpu if on_cpu else one.all_wall) for name, one in times.items()}


def reached(budget: Mapping[str, Any]) -> str:
    """What the student of a run reached of what was asked for, in words.

    Args:
        budget: a `Choice` as plain values, and `reached_ms` of the trained teacher and student.
    """
    teacher, student = (budget["reached_ms"][name] for name in (_TEACHER, "student"))
    choice = _choice_of(budget)
    limit = teacher / choice.target_speedup if choice.target_speedup is not None else choice.limit_ms
    missed = "" if student <= limit else " That is missed: the machine was busy, or is another one by now."
    return (
        f"Asked for {choice.asked}: the trained student takes {student:.2f} ms for the teacher's {teacher:.2f} ms "
        f"({choice.device}, one thread), {teacher / student:.1f} times as fast.{missed}"
    )


def _choice_of(kept: Mapping[str, Any]) -> Choice:
    return Choice(**{one.name: kept[one.name] for one in fields(Choice)})


def with_student_by_speed(
    recipe: Recipe, teacher: PreTrainedConfig, folder: RunFolder, device: str
) -> tuple[Recipe, Choice | None]:
    """The recipe with a preset, where it names a speed in its place; a run that goes on keeps the one it has.

    Args:
        recipe: of the run.
        teacher: the first one's configuration.
        folder: of the run.
        device: where it runs.

    Returns:
        The recipe; and the choice, None where none was to be made.

    Raises:
        RecipeError: no preset is as fast; the message names the nearest.
    """
    student = recipe.student
    if not student.by_speed:
        return recipe, None
    kept = folder.result_of(CHOICE) or (folder.read_report().get("budget") if folder.is_finished else None)
    choice = _choice_of(kept) if kept else _choose(recipe, teacher, device)
    return _with_preset(recipe, choice.preset), choice


def _with_preset(recipe: Recipe, name: str) -> Recipe:
    return replace(recipe, student=replace(recipe.student, preset=name, target_speedup=None, target_latency_ms=None))


def _choose(recipe: Recipe, teacher: PreTrainedConfig, device: str) -> Choice:
    student, presets = recipe.student, _candidates(recipe, teacher)
    asked = student.target_speedup, student.target_latency_ms
    if not presets:
        raise RecipeError(
            f"{_field(recipe)}: no preset can start from a teacher {encoder_shape(teacher).width} wide with "
            f"{encoder_shape(teacher).heads} heads; name a student (--student)"
        )
    latencies = _latencies(recipe, teacher, presets, device)
    open_choice = Choice("", *asked, latencies, device)
    fast = [name for name in presets if latencies[name] <= open_choice.limit_ms]
    if not fast:
        nearest = min(presets, key=latencies.__getitem__)
        times = latencies[_TEACHER] / latencies[nearest]
        raise RecipeError(
            f"{_field(recipe)}: no preset has "
            f"{open_choice.asked}. The nearest is {nearest}: {latencies[nearest]:.2f} ms for the teacher's "
            f"{latencies[_TEACHER]:.2f} ms here ({device}), {times:.1f} times as fast. Ask for less, or export the "
            "student (tinybert export --to onnx-int8), which is faster than PyTorch"
        )
    return replace(open_choice, preset=fast[0])


def _field(recipe: Recipe) -> str:
    return f"student.{'target_speedup' if recipe.student.target_latency_ms is None else 'target_latency_ms'}"


def _candidates(recipe: Recipe, teacher: PreTrainedConfig) -> list[str]:
    """Encoder presets that can start from the teacher, the largest first; of equal shapes the first."""
    theirs, sizes, shapes = encoder_shape(teacher), {}, set()
    spec = TASKS[recipe.task]
    for name, preset in PRESETS.items():
        if preset.get("is_encoder_decoder"):
            continue
        config = _config(recipe, teacher, name)
        shape = encoder_shape(config)
        few, many = sorted((theirs.heads, shape.heads))
        starts = shape.width <= theirs.width and not many % few
        if config.to_json_string() in shapes or shape.layers > theirs.layers:
            continue
        if not starts and recipe.student.init != "random":
            continue
        shapes.add(config.to_json_string())
        sizes[name] = Size.of(spec.student_class, config).flops or 0
    return sorted(sizes, key=sizes.__getitem__, reverse=True)


def _config(recipe: Recipe, teacher: PreTrainedConfig, preset: str) -> Any:
    return preset_config(
        _with_preset(recipe, preset), {"vocab_size": teacher.vocab_size, "pad_token_id": teacher.pad_token_id}
    )


def _latencies(recipe: Recipe, teacher: PreTrainedConfig, presets: list[str], device: str) -> dict[str, float]:
    """Of the teacher and of each preset, with random weights; measured once for all plans of a process."""
    import torch
    from transformers import set_seed

    spec = TASKS[recipe.task]
    key = (recipe.task, teacher.to_json_string(), recipe.teacher.dtype, str(recipe.student), tuple(presets), device)
    if key not in _MEASURED:
        set_seed(recipe.seed)
        # As a run opens it, whatever the format of its file.
        number = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(recipe.teacher.dtype or "", torch.float32)
        models = {_TEACHER: spec.opener.from_config(teacher, dtype=number)}
        models |= {name: spec.student_class(_config(recipe, teacher, name)) for name in presets}
        _MEASURED[key] = latencies_ms({name: model.to(device) for name, model in models.items()})
    return _MEASURED[key]
