"""The plan of a run with an encoder and a head: labels of texts, labels of words, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS, TaskData, train_wordpiece_tokenizer
from tinybert_hf.data.augmentation import check_predicts_words
from tinybert_hf.data.bio import marks_entities
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.distillation import LayerMap, label_order, resolve_layer_map
from tinybert_hf.distillation.layer_map import NO_MAP, compares_nothing
from tinybert_hf.distillation.losses import MAPS_OF_LOSSES, map_of
from tinybert_hf.distillation.losses.attention import common_heads
from tinybert_hf.distillation.shapes import encoder_shape
from tinybert_hf.distillation.teacher import trained_problem_type
from tinybert_hf.errors import DataError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.evaluation import check_can_count
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.opening import HEADS, TEXT_CLASSIFICATION
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.joint_teachers import JointTeachers, plan_joint_teachers
from tinybert_hf.recipes.plan_base import (
    Plan,
    bytes_needed,
    check_lengths,
    check_start,
    check_students_tokens,
    in_phase,
    made_config,
    open_encoder_config,
    open_student_config,
    preset_config,
)
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.recipes.translators import open_tokenizer
from tinybert_hf.recipes.usual_settings import with_epochs

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedConfig


@dataclass(frozen=True)
class EncoderPlan(Plan):
    """A plan with what encoders with a head need.

    Attributes:
        layer_maps: for each phase, the map of the hidden states and the map of the attention; of the first teacher.
            Empty where no loss goes by it.
        joint: where there are several teachers, or one that does not read the student's tokens.
    """

    layer_maps: tuple[tuple[LayerMap, LayerMap], ...]
    joint: JointTeachers | None = None

    @property
    def makers(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """With the head of the task."""
        head = HEADS[self.recipe.task]
        return head.student_class, head.opener.from_config

    @property
    def teacher_configs(self) -> tuple[PreTrainedConfig, ...]:
        """Of all teachers."""
        return (self.teacher_config,) if self.joint is None else self.joint.configs

    @property
    def label_order(self) -> list[int]:
        """The teacher's index of each of the student's labels."""
        return label_order(self.student_config, self.teacher_config)


def plan_encoder(recipe: Recipe, folder: RunFolder) -> EncoderPlan:
    """Check a classification against the world.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    trained = _trained_teacher(recipe)
    data = _load_rows(recipe, trained)
    check_can_count(entities=recipe.task == TOKEN_CLASSIFICATION and marks_entities(data.label_names))
    teacher_config, tokenizer = _new_teacher(recipe, data) if trained is None else trained, None
    if recipe.teacher.config is not None:
        positions = teacher_config.max_position_embeddings
        tokenizer = train_wordpiece_tokenizer(
            texts_of(data.part("train")), recipe.teacher.vocabulary_size, max_length=positions
        )
        teacher_config.vocab_size = len(tokenizer)
    read = tokenizer or open_tokenizer(str(recipe.teacher.model), "teacher", teacher_config)
    student_config = _student_config(recipe, data, teacher_config)
    recipe = _with_epochs(recipe, student_config, data)
    maps = layer_maps(recipe, student_config, teacher_config)
    if data.label_names:
        label_order(student_config, teacher_config)
    joint = plan_joint_teachers(recipe, teacher_config, read, student_config)
    check_students_tokens(recipe, read if joint is None else joint.student_tokenizer, student_config)
    _check_same_tokens(recipe, joint)
    plan = EncoderPlan(recipe, folder, data, teacher_config, tokenizer, student_config, maps, joint)
    for config in (teacher_config,) if joint is None else joint.configs:
        check_lengths(recipe.data, teacher=config, student=student_config)
    check_start(plan)
    words = recipe.augmentation
    if words is not None and words.model is not None and not words.neighbours_only:
        check_predicts_words(words.model)
    folder.check(bytes_needed=_bytes_needed(plan))
    return plan


def _with_epochs(recipe: Recipe, student: TinyBertConfig, data: TaskData) -> Recipe:
    rows = len(data.part("train"))
    copies = 0 if recipe.augmentation is None else recipe.augmentation.copies * rows
    unlabelled = 0 if data.unlabelled is None else len(data.unlabelled)
    return with_epochs(recipe, student, rows, copies + unlabelled)


def _trained_teacher(recipe: Recipe) -> PreTrainedConfig | None:
    """The configuration of a teacher that has learnt the task already; None of one that is made or fine-tuned here."""
    teacher = recipe.teacher
    if teacher.config is not None or teacher.finetune is not None:
        return None
    assert teacher.model is not None
    config = open_encoder_config(teacher.model, recipe.task)
    _check_head(teacher.model, config, recipe.task)
    return config


def _new_teacher(recipe: Recipe, data: TaskData) -> PreTrainedConfig:
    from transformers import BertConfig

    teacher, new = recipe.teacher, data.config_fields
    if teacher.config is not None:
        return made_config(BertConfig, teacher.config, {"num_attention_heads": "hidden_size"}, **new)
    assert teacher.model is not None
    return open_encoder_config(teacher.model, recipe.task, **new)


def _load_rows(recipe: Recipe, teacher: PreTrainedConfig | None) -> TaskData:
    """The rows; where the recipe does not say what their labels are, a trained teacher does.

    Raises:
        TinyBertError: the rows cannot be used, or their labels are not of the teacher's problem type.
    """
    task = TASKS[recipe.task]
    if teacher is None or recipe.task != TEXT_CLASSIFICATION or recipe.data.problem_type is not None:
        return task.load(recipe.data)
    problem = trained_problem_type(teacher)
    try:
        return task.load(replace(recipe.data, problem_type=problem))
    except DataError as error:
        found = task.load(recipe.data).problem_type  # the rows themselves may be what is wrong
        raise TeacherError(
            f"teacher {recipe.teacher.model} was trained for {problem}, and the labels of the rows are {found}, so "
            f"its predictions cannot be used: {error}"
        ) from error


def _check_head(model: str, config: PreTrainedConfig, task: str) -> None:
    """Refuse a teacher that was fine-tuned for another task; one without any head is refused where it is opened."""
    for other, head in HEADS.items():
        ends = head.auto_class.removeprefix("AutoModel")
        if other != task and any(name.endswith(ends) for name in config.architectures or ()):
            raise TeacherError(
                f"teacher {model} is {head.kind}, and the task is {task.replace('-', ' ')}. Give {HEADS[task].kind}, "
                "or let this one get a new head first: --finetune-teacher"
            )


def _student_config(recipe: Recipe, data: TaskData, teacher: PreTrainedConfig) -> TinyBertConfig:
    generic = tuple(f"LABEL_{index}" for index in range(data.num_labels))
    names = data.label_names
    if names and names == generic and teacher.num_labels == len(names):
        # Numbers without names: what the teacher calls its outputs is what the student learns to say.
        names = tuple(str(teacher.id2label[index]) for index in range(len(names)))
    labels = replace(data, label_names=names).config_fields
    if recipe.student.model is not None:
        return open_student_config(recipe.student.model, **labels)
    from_teacher = {"vocab_size": teacher.vocab_size, "pad_token_id": teacher.pad_token_id}
    return preset_config(recipe, from_teacher, **labels)


def layer_maps(
    recipe: Recipe, student: TinyBertConfig, teacher: PreTrainedConfig
) -> tuple[tuple[LayerMap, LayerMap], ...]:
    """For each phase, the map of the hidden states and the map of the attention; of the first teacher.

    Raises:
        TinyBertError: a map, the heads or the widths do not fit; the message names the phase.
    """
    depths = student.num_hidden_layers, teacher.num_hidden_layers
    own = recipe.teacher.layer_map
    maps = []
    for index, phase in enumerate(recipe.phases):
        losses = phase.loss_weights()
        given = phase.layer_maps if own is None else {"layer_map": own}
        try:
            resolved = {
                loss: resolve_layer_map(map_of(loss, given)[1], *depths)
                for loss in losses
                if loss in MAPS_OF_LOSSES and loss != "embedding_loss" and not compares_nothing(own)
            }
            if "attention_loss" in resolved:
                common_heads(encoder_shape(student).heads, encoder_shape(teacher).heads)
        except TinyBertError as error:
            raise in_phase(index, phase.name, error) from error
        maps.append((resolved.get("hidden_state_loss", NO_MAP), resolved.get("attention_loss", NO_MAP)))
        compared = {"hidden_state_loss", "embedding_loss"} & losses.keys()
        if phase.projection == "none" and compared and student.hidden_size != teacher.hidden_size:
            raise RecipeError(
                f"phases.{index}.projection: 'none' needs equal widths, but the student has {student.hidden_size} and "
                f"the teacher {teacher.hidden_size}; choose per_layer or shared"
            )
    return tuple(maps)


def texts_of(rows: Dataset) -> Iterator[str]:
    """Every text of checked rows, second texts of pairs included."""
    if "tokens" in rows.column_names:
        yield from (" ".join(words) for words in rows["tokens"])
    for column in ("text", "text_pair", "question", "context"):
        if column in rows.column_names:
            yield from rows[column]


def _check_same_tokens(recipe: Recipe, joint: JointTeachers | None) -> None:
    if recipe.task == TOKEN_CLASSIFICATION and joint is not None and any(joint.differences):
        raise TeacherError(
            "A teacher reads other tokens than the student, and the answers of a token classifier stand at tokens, so "
            "they cannot be compared. Take teachers and a student with one tokenizer; a student from a preset has its "
            "teacher's."
        )


def _bytes_needed(plan: EncoderPlan) -> int:
    from torch import device

    with device("meta"):
        student = HEADS[plan.recipe.task].student_class(plan.student_config)
    config = plan.teacher_config
    width, depth = config.hidden_size, config.num_hidden_layers
    teacher = config.vocab_size * width + 12 * depth * width * width
    return bytes_needed(plan.recipe, sum(parameter.numel() for parameter in student.parameters()), teacher)
