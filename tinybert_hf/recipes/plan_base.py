"""What the plans of all tasks have in common."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub.errors import StrictDataclassError

from tinybert_hf.data import TaskData
from tinybert_hf.data.shared_rows import shared_rows_notes
from tinybert_hf.errors import RecipeError, TeacherError, TinyBertError
from tinybert_hf.evaluation import LOWER_IS_BETTER, metric_names
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.opening import HEADS, TEXT_CLASSIFICATION, check_folder_files, open_config
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
    """

    recipe: Recipe
    folder: RunFolder
    data: TaskData
    teacher_config: PreTrainedConfig
    teacher_tokenizer: PreTrainedTokenizerBase | None
    student_config: TinyBertConfig

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before the run, a sentence each."""
        return (*self.data.notes, *shared_rows_notes(self.data))


def check_training_arguments(arguments: Mapping[str, Any]) -> None:
    """Refuse names that TrainingArguments does not have or a recipe says elsewhere, and bf16 without a device for it.

    Raises:
        RecipeError: with the nearest names, or what to add.
    """
    from transformers import TrainingArguments
    from transformers.utils import is_torch_bf16_gpu_available, is_torch_xla_available

    known = [field.name for field in dataclasses.fields(TrainingArguments) if field.init]
    for name in arguments:
        path = f"training_arguments.{name}"
        if name in _RESERVED:
            raise RecipeError(f"{path}: a recipe says this in its own fields (phases, baseline, seed, output_dir)")
        if name not in known:
            message = unknown_name(path, name, known)
            raise RecipeError(message.split("Known:")[0] + "Known: the fields of transformers.TrainingArguments")
    half = [name for name in ("bf16", "bf16_full_eval") if arguments.get(name)]
    if half and not (arguments.get("use_cpu") or is_torch_bf16_gpu_available() or is_torch_xla_available()):
        raise RecipeError(
            f"training_arguments.{half[0]}: there is no GPU here that computes in bfloat16; to do so on the "
            "processor, say that it is meant (--cpu, or training_arguments.use_cpu: true)"
        )


def check_metrics(recipe: Recipe, problem_type: str) -> None:
    """Refuse figures that nobody counts for this problem.

    Raises:
        RecipeError: with the nearest names.
    """
    known = metric_names(problem_type)
    wanted = {"metric": recipe.metric} if recipe.metric is not None else {}
    wanted |= {f"further_metrics.{index}": name for index, name in enumerate(recipe.further_metrics)}
    for path, name in wanted.items():
        if name not in known:
            raise RecipeError(f"{unknown_name(path, name, known)} (of {problem_type.replace('_', ' ')})")
    if recipe.metric in LOWER_IS_BETTER:
        others = ", ".join(name for name in known if name not in LOWER_IS_BETTER)
        raise RecipeError(
            f"metric: of {recipe.metric} a lower one is better, so it cannot say how much of its teacher a student "
            f"keeps; choose {others}, and name it in further_metrics"
        )


def check_schedulers(recipe: Recipe) -> None:
    """Refuse a learning-rate schedule that transformers does not have.

    Raises:
        RecipeError: with the nearest names.
    """
    from transformers.trainer_utils import SchedulerType

    known = [kind.value for kind in SchedulerType]
    settings: dict[str, Any] = {f"phases.{index}": phase for index, phase in enumerate(recipe.phases)}
    settings |= {"teacher.finetune": recipe.teacher.finetune, "baseline": recipe.baseline}
    for path, one in settings.items():
        if one is not None and one.lr_scheduler_type not in known:
            raise RecipeError(unknown_name(f"{path}.lr_scheduler_type", one.lr_scheduler_type, known))


def made_config(config_class: Any, fields: Mapping[str, Any], heads: Mapping[str, str], **decided: Any) -> Any:
    """The configuration of a teacher that is made here.

    Args:
        config_class: of transformers.
        fields: from the recipe.
        heads: field of a number of heads -> field of the width that they share.
        **decided: fields that the data decides; they win.

    Raises:
        RecipeError: no such field, or a value that cannot be.
    """
    known = [field.name for field in dataclasses.fields(config_class)]
    for name in fields:
        if name not in known:
            raise RecipeError(unknown_name(f"teacher.config.{name}", name, known))
    try:
        config = config_class(**{**fields, **decided})
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise RecipeError(f"teacher.config: {first_line(error)}") from error
    for count, width in heads.items():
        if getattr(config, width) % getattr(config, count):
            raise RecipeError(
                f"teacher.config: {width} {getattr(config, width)} is not a multiple of {count} "
                f"{getattr(config, count)}"
            )
    return config


def open_teacher_config(model: str, **fields: Any) -> PreTrainedConfig:
    """The configuration of a teacher that exists.

    Raises:
        TeacherError: there is none.
    """
    if Path(model).exists():
        reason = "config.json cannot be used"
    else:
        reason = "there is no such folder, nor such a model in reach"
    what = f"teacher {model}: {reason}. Give a folder written by save_pretrained or a Hub id"
    return open_config(model, TeacherError, what, **fields)


def open_encoder_config(model: str, task: str = TEXT_CLASSIFICATION, **fields: Any) -> PreTrainedConfig:
    """The configuration of a teacher that does the task, or that can be given a head for it.

    Args:
        model: folder or Hub id.
        task: a name in `HEADS`.
        **fields: of the configuration, that are to be others.

    Raises:
        TeacherError: there is none, its weights were changed after they were saved, or it is of another kind: a
            translator, for example.
    """
    config = open_teacher_config(model, **fields)
    check_folder_files(model, TeacherError)
    known = HEADS[task].opener._model_mapping
    if type(config) not in known or getattr(config, "num_decoder_layers", None) is not None:
        kind = "a translator" if getattr(config, "is_encoder_decoder", False) else "no encoder with such a head"
        raise TeacherError(
            f"teacher {model} is {kind} ({config.model_type}), and the task is {task.replace('-', ' ')}. Give "
            f"{HEADS[task].kind}, or an encoder such as BERT with --finetune-teacher; to distil a translator: "
            "tinybert distill translation."
        )
    return config


def open_student_config(model: str, **fields: Any) -> TinyBertConfig:
    """The configuration of a student that exists.

    Raises:
        RecipeError: there is none, or it is no TinyBERT.
    """
    if (Path(model) / "config.json").exists():
        what = f"student.model {model}: config.json cannot be used"
    else:
        what = f"student.model {model}: it is not the name of a preset, and no TinyBERT can be opened there"
    config = open_config(model, RecipeError, what, **fields)
    check_folder_files(model, RecipeError)
    if not isinstance(config, TinyBertConfig):
        raise RecipeError(f"student.model {model}: that is a {config.model_type} model, not a TinyBERT")
    return config


def preset_config(recipe: Recipe, from_teacher: Mapping[str, Any], **fixed: Any) -> TinyBertConfig:
    """The configuration of a student that is made from a preset.

    Args:
        recipe: its student has a preset.
        from_teacher: fields that the teacher decides where the recipe does not.
        **fixed: fields that win.

    Raises:
        RecipeError: an override that cannot be.
    """
    student = recipe.student
    assert student.preset is not None
    try:
        return TinyBertConfig.from_preset(student.preset, **{**from_teacher, **student.overrides, **fixed})
    except (TypeError, ValueError, StrictDataclassError) as error:
        raise RecipeError(f"student.overrides: {first_line(error)}") from error


def check_length(field: str, wanted: int, **configs: PreTrainedConfig) -> None:
    """Refuse rows that are longer than a model's positions.

    Args:
        field: of `data`, with the length.
        wanted: tokens.
        **configs: of the models, by name.

    Raises:
        RecipeError: naming the model.
    """
    for name, config in configs.items():
        positions = getattr(config, "max_position_embeddings", None)
        if positions is not None and 0 < positions < wanted:
            option = " (--max-length)" if field == "max_length" else ""
            raise RecipeError(
                f"data.{field}: {wanted} tokens are more than the {positions} positions of the {name}; set "
                f"data.{field}{option} to {positions} or less"
            )


def in_phase(index: int, name: str, error: TinyBertError) -> TinyBertError:
    """The same error with the place of the phase in front."""
    return type(error)(f"phases.{index} ({name}): {error}")


def bytes_needed(recipe: Recipe, student_weights: int, teacher_weights: int) -> int:
    """A low estimate, to refuse only what must fail: the start, a checkpoint with its optimizer, the result."""
    copies = 6 if recipe.baseline is None else 8
    total = copies * student_weights
    if recipe.teacher.finetune is not None:
        total += 4 * teacher_weights
    return total * _BYTES_PER_WEIGHT


def first_line(error: Exception) -> str:
    """The reason of another library's error."""
    # Errors of @strict configurations tell their reason in the last line, others in the first.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return re.sub(r"^\w+Error: ", "", lines[-1]) if "alidation" in lines[0] else lines[0]
