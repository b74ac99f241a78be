"""Everything about a run that can be known before anything is trained."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub.errors import StrictDataclassError

from tinybert_hf.data import TASKS, TaskData, train_wordpiece_tokenizer
from tinybert_hf.distillation import LayerMap, label_order, resolve_layer_map
from tinybert_hf.distillation.losses.attention import common_heads
from tinybert_hf.errors import RecipeError, TeacherError, TinyBertError
from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification
from tinybert_hf.recipes.fields import unknown_name
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.schema import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

# Fields of TrainingArguments that the recipe says in another place, or that a run needs as they are.
_RESERVED = (
    "output_dir",
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "lr_scheduler_type",
    "warmup_steps",
    "weight_decay",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "seed",
    "resume_from_checkpoint",
    "push_to_hub",
)
# Said about a run, not part of what it computes.
_NOT_COMPARED = ("name", "description", "output_dir")
_BYTES_PER_WEIGHT = 4


@dataclass(frozen=True)
class Plan:
    """A recipe with everything resolved that needs no training.

    Attributes:
        recipe: what was asked for.
        folder: where it goes.
        data: checked rows.
        teacher_config: configuration of the teacher, with the labels of the data where it is fine-tuned here.
        teacher_tokenizer: of a teacher that is made here; None where the teacher brings its own.
        student_config: configuration of the student.
        layer_maps: for each phase, the map of the hidden states and the map of the attention.
    """

    recipe: Recipe
    folder: RunFolder
    data: TaskData
    teacher_config: PreTrainedConfig
    teacher_tokenizer: PreTrainedTokenizerBase | None
    student_config: TinyBertConfig
    layer_maps: tuple[tuple[LayerMap, LayerMap], ...]

    @property
    def label_order(self) -> list[int]:
        """The teacher's index of each of the student's labels."""
        return label_order(self.student_config, self.teacher_config)


def make_plan(recipe: Recipe) -> Plan:
    """Check a recipe against the world: data, teacher, student, layer maps, output folder, disk. Writes nothing.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    if recipe.task not in TASKS:
        raise RecipeError(unknown_name("task", recipe.task, TASKS))
    check_training_arguments(recipe.training_arguments)
    _check_schedulers(recipe)
    settings = {name: value for name, value in recipe.as_dict().items() if name not in _NOT_COMPARED}
    folder = RunFolder(recipe.folder, settings, recipe.data)
    folder.check()
    if recipe.teacher.model is None and recipe.teacher.config is None:
        raise RecipeError(
            "teacher.model: no teacher is given; name a folder or a Hub id (--teacher), for example a BERT that was "
            "fine-tuned on these labels, or any pretrained one together with --finetune-teacher"
        )
    data = TASKS[recipe.task].load(recipe.data)
    teacher_config, tokenizer = _teacher_config(recipe, data), None
    if recipe.teacher.config is not None:
        positions = teacher_config.max_position_embeddings
        tokenizer = train_wordpiece_tokenizer(_texts_of(data), recipe.teacher.vocabulary_size, max_length=positions)
        teacher_config.vocab_size = len(tokenizer)
    student_config = _student_config(recipe, data, teacher_config)
    maps = _layer_maps(recipe, student_config, teacher_config)
    plan = Plan(recipe, folder, data, teacher_config, tokenizer, student_config, maps)
    _check_lengths(plan)
    _check_start(plan)
    label_order(student_config, teacher_config)
    folder.check(bytes_needed=_bytes_needed(plan))
    return plan


def check_training_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse names that TrainingArguments does not have, and those that a recipe says elsewhere.

    Raises:
        RecipeError: with the nearest names.
    """
    from transformers import TrainingArguments

    known = [field.name for field in dataclasses.fields(TrainingArguments) if field.init]
    for name in arguments:
        path = f"training_arguments.{name}"
        if name in _RESERVED:
            raise RecipeError(f"{path}: a recipe says this in its own fields (phases, baseline, seed, output_dir)")
        if name not in known:
            message = unknown_name(path, name, known)
            raise RecipeError(message.split("Known:")[0] + "Known: the fields of transformers.TrainingArguments")


def labels_of(names: tuple[str, ...]) -> dict[str, Any]:
    """The two label tables of a configuration."""
    return {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}


def _check_schedulers(recipe: Recipe) -> None:
    from transformers.trainer_utils import SchedulerType

    known = [kind.value for kind in SchedulerType]
    settings: dict[str, Any] = {f"phases.{index}": phase for index, phase in enumerate(recipe.phases)}
    settings |= {"teacher.finetune": recipe.teacher.finetune, "baseline": recipe.baseline}
    for path, one in settings.items():
        if one is not None and one.lr_scheduler_type not in known:
            raise RecipeError(unknown_name(f"{path}.lr_scheduler_type", one.lr_scheduler_type, known))


def _teacher_config(recipe: Recipe, data: TaskData) -> PreTrainedConfig:
    from transformers import AutoConfig, BertConfig

    teacher, new = recipe.teacher, {**labels_of(data.label_names), "problem_type": data.problem_type}
    if teacher.config is not None:
        known = [field.name for field in dataclasses.fields(BertConfig)]
        for name in teacher.config:
            if name not in known:
                raise RecipeError(unknown_name(f"teacher.config.{name}", name, known))
        try:
            config = BertConfig(vocab_size=teacher.vocabulary_size, **{**teacher.config, **new})
        except (TypeError, ValueError, StrictDataclassError) as error:
            raise RecipeError(f"teacher.config: {_first_line(error)}") from error
        if config.hidden_size % config.num_attention_heads:
            raise RecipeError(
                f"teacher.config: hidden_size {config.hidden_size} is not a multiple of num_attention_heads "
                f"{config.num_attention_heads}"
            )
        return config
    assert teacher.model is not None
    try:
        return AutoConfig.from_pretrained(teacher.model, **(new if teacher.finetune is not None else {}))
    except (OSError, ValueError, StrictDataclassError) as error:
        there = Path(teacher.model).is_dir()
        reason = "the folder holds no model" if there else "there is no such folder, nor such a model in reach"
        raise TeacherError(
            f"teacher {teacher.model}: {reason} ({_first_line(error)}). Give a folder written by save_pretrained or a "
            "Hub id."
        ) from error


def _student_config(recipe: Recipe, data: TaskData, teacher: PreTrainedConfig) -> TinyBertConfig:
    from transformers import AutoConfig

    student = recipe.student
    generic = tuple(f"LABEL_{index}" for index in range(data.num_labels))
    names = data.label_names
    if names == generic and teacher.num_labels == len(names):
        # Numbers without names: what the teacher calls its outputs is what the student learns to say.
        names = tuple(str(teacher.id2label[index]) for index in range(len(names)))
    labels = {**labels_of(names), "problem_type": data.problem_type}
    if student.model is not None:
        try:
            config = AutoConfig.from_pretrained(student.model, **labels)
        except (OSError, ValueError, StrictDataclassError) as error:
            raise RecipeError(
                f"student.model {student.model}: it is not the name of a preset, and no TinyBERT can be opened there "
                f"({_first_line(error)})"
            ) from error
        if not isinstance(config, TinyBertConfig):
            raise RecipeError(f"student.model {student.model}: that is a {config.model_type} model, not a TinyBERT")
        return config
    assert student.preset is not None
    from_teacher = {"vocab_size": teacher.vocab_size, "pad_token_id": teacher.pad_token_id}
    try:
        return TinyBertConfig.from_preset(student.preset, **{**from_teacher, **student.overrides, **labels})
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise RecipeError(f"student.overrides: {_first_line(error)}") from error


def _layer_maps(
    recipe: Recipe, student: TinyBertConfig, teacher: PreTrainedConfig
) -> tuple[tuple[LayerMap, LayerMap], ...]:
    depths = student.num_hidden_layers, teacher.num_hidden_layers
    maps = []
    for index, phase in enumerate(recipe.phases):
        attention = phase.layer_map if phase.attention_layer_map is None else phase.attention_layer_map
        try:
            maps.append((resolve_layer_map(phase.layer_map, *depths), resolve_layer_map(attention, *depths)))
            losses = phase.loss_weights
            if "attention_loss" in losses:
                common_heads(student.num_attention_heads, teacher.num_attention_heads)
        except TinyBertError as error:
            raise type(error)(f"phases.{index} ({phase.name}): {error}") from error
        compared = {"hidden_state_loss", "embedding_loss"} & losses.keys()
        if phase.projection == "none" and compared and student.hidden_size != teacher.hidden_size:
            raise RecipeError(
                f"phases.{index}.projection: 'none' needs equal widths, but the student has {student.hidden_size} and "
                f"the teacher {teacher.hidden_size}; choose per_layer or shared"
            )
    return tuple(maps)


def _texts_of(data: TaskData) -> Iterator[str]:
    """Every training text, second texts of pairs included."""
    assert data.train is not None
    for column in ("text", "text_pair"):
        if column in data.train.column_names:
            yield from data.train[column]


def _check_lengths(plan: Plan) -> None:
    wanted = plan.recipe.data.max_length
    for name, config in (("teacher", plan.teacher_config), ("student", plan.student_config)):
        positions = getattr(config, "max_position_embeddings", None)
        if positions is not None and 0 < positions < wanted:
            raise RecipeError(
                f"data.max_length: {wanted} tokens are more than the {positions} positions of the {name}; set "
                f"data.max_length (--max-length) to {positions} or less"
            )


def _check_start(plan: Plan) -> None:
    student, teacher = plan.student_config, plan.teacher_config
    settings = plan.recipe.student
    if settings.model is None and settings.start == "teacher" and student.hidden_size > teacher.hidden_size:
        raise RecipeError(
            f"student.start: the student is {student.hidden_size} wide and the teacher only {teacher.hidden_size}, so "
            "the student cannot start from it. Take a narrower student, or student.start: random (--start random)."
        )


def _bytes_needed(plan: Plan) -> int:
    """A low estimate, to refuse only what must fail: the start, a checkpoint with its optimizer, the result."""
    from torch import device

    with device("meta"):
        student = TinyBertForSequenceClassification(plan.student_config)
    weights = sum(parameter.numel() for parameter in student.parameters())
    copies = 6 if plan.recipe.baseline is None else 8
    total = copies * weights
    if plan.recipe.teacher.finetune is not None:
        config = plan.teacher_config
        width, depth = config.hidden_size, config.num_hidden_layers
        total += 4 * (config.vocab_size * width + 12 * depth * width * width)
    return total * _BYTES_PER_WEIGHT


def _first_line(error: Exception) -> str:
    # Errors of @strict configurations tell their reason in the last line, others in the first.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return re.sub(r"^\w+Error: ", "", lines[-1]) if "alidation" in lines[0] else lines[0]
