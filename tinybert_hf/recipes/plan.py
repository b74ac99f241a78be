"""Everything about a run that can be known before anything is trained."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub.errors import StrictDataclassError

from tinybert_hf.checkpoints import check_folder_files, check_length, check_tokens, open_config
from tinybert_hf.data import DataSettings, TaskData
from tinybert_hf.data.corpus_sources import Sources
from tinybert_hf.data.tasks import shared_rows_notes
from tinybert_hf.distillation import LayerMap, Objective, Teachers, resolve_layer_map
from tinybert_hf.distillation.architecture import encoder_shape
from tinybert_hf.distillation.layer_map import compares_nothing
from tinybert_hf.distillation.teachers import AnyTeacher, resolve_teachers
from tinybert_hf.errors import RecipeError, TeacherError, TinyBertError
from tinybert_hf.evaluation import LOWER_IS_BETTER, metric_names
from tinybert_hf.evaluation.cost import forward_flops
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.loader import unknown_name
from tinybert_hf.recipes.models import check_corpus, corpus_files
from tinybert_hf.recipes.schema import Recipe, StudentSettings
from tinybert_hf.tasks import HEADS, TASKS, TEXT_CLASSIFICATION, TaskSpec, found
from tinybert_hf.training import Phase
from tinybert_hf.training.arguments import DISTILLATION_LOSS, no_such_metric, plain_name
from tinybert_hf.training.settings import USUAL_LEARNING_RATE
from tinybert_hf.training.setup import new_projections

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.recipes.budget import Choice
    from tinybert_hf.recipes.steps import Steps


# What a recipe leaves open: learning rates, by the student's width, and epochs, by width and rows.


def device_of(recipe: Recipe) -> str:
    """Where the Trainer of transformers will train."""
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return "cpu" if recipe.training_arguments.get("use_cpu") or accelerator is None else accelerator.type


def with_learning_rates(recipe: Recipe) -> Recipe:
    """The recipe, each phase with the rate that it names or that is usual for the student; teacher and baseline too.

    A baseline that names none learns at that of the last phase. Where that names none either, at the usual one of a
    phase of answers alone, since it learns from labels alone.

    Raises:
        RecipeError: there is no such student.
    """
    student, teacher, baseline = recipe.student, recipe.teacher, recipe.baseline
    if teacher.finetune is not None and teacher.finetune.learning_rate is None:
        teacher = replace(teacher, finetune=replace(teacher.finetune, learning_rate=USUAL_LEARNING_RATE))
        recipe = replace(recipe, teacher=teacher)
    named = [phase.learning_rate for phase in recipe.phases]
    last = named[-1]
    if None in named and not student.by_speed:  # its width is not known yet
        translates = recipe.spec.has_decoder
        # Those of translators do not depend on the width, and a preset may not be chosen yet.
        width = 0 if translates else _width(student, recipe)
        phases = tuple(phase.with_learning_rate(width, has_decoder=translates) for phase in recipe.phases)
        recipe = replace(recipe, phases=phases)
        last = last or Phase("prediction").usual_learning_rate(width, has_decoder=translates)
    if baseline is not None and baseline.learning_rate is None and last is not None:
        recipe = replace(recipe, baseline=replace(baseline, learning_rate=last))
    return recipe


def _width(student: StudentSettings, recipe: Recipe) -> int:
    config = preset_config(recipe, {}) if student.model is None else open_student_config(student.model)
    return encoder_shape(config).width


def with_epochs(recipe: Recipe, student: TinyBertConfig, rows: int | None, further: int = 0) -> Recipe:
    """The recipe, its phases, its teacher and its baseline with the epochs that they name or that are usual.

    A baseline that names none reads the rows with labels as often as all phases together read them, or would without
    the further ones: fewer epochs over more rows are no reason for the student alone to learn less.

    Args:
        recipe: with learning rates or without.
        student: its configuration.
        rows: with labels; None: they are not counted, as in a text.
        further: rows that only the phases learn from.
    """
    translates, width = recipe.spec.has_decoder, encoder_shape(student).width
    all_rows = None if rows is None else rows + further
    phases = tuple(phase.with_epochs(all_rows, width, has_decoder=translates) for phase in recipe.phases)
    teacher, baseline = recipe.teacher, recipe.baseline
    if teacher.finetune is not None:
        teacher = replace(teacher, finetune=teacher.finetune.with_epochs(rows, has_decoder=translates))
    if baseline is not None and baseline.epochs is None:
        each = (_of_all_rows(phase.with_epochs(rows, width, has_decoder=translates), rows) for phase in recipe.phases)
        baseline = replace(baseline, epochs=sum(each))
    return replace(recipe, phases=phases, teacher=teacher, baseline=baseline)


def _of_all_rows(phase: Phase, rows: int | None) -> float:
    """The epochs of a phase, as ones over all rows where it takes only the first of them."""
    epochs = phase.known_epochs
    return epochs * min(1.0, phase.train_rows / rows) if phase.train_rows and rows else epochs


# What the plans of all tasks have in common.

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
_TOKENS = 32  # of the text that two models are compared by
_SIZES: dict[tuple[Any, ...], Size] = {}  # counting takes as long as opening the model, and plans ask again


@dataclass(frozen=True)
class Size:
    """What can be told of a model by its shape.

    Attributes:
        parameters: all of them, shared ones once.
        flops: of the matrix products of one forward over one text of 32 tokens (a translator writes as many); None:
            they cannot be counted.
    """

    parameters: int
    flops: int | None

    @classmethod
    def of(cls, make: Callable[[Any], PreTrainedModel], config: PreTrainedConfig) -> Size:
        """Of a model that is made without its weights.

        Args:
            make: of a configuration.
            config: of the model.
        """
        from torch import device

        key = make, type(config), config.to_json_string()
        if key not in _SIZES:
            config = copy.deepcopy(config)
            config._attn_implementation = "eager"  # products of a fused attention are not counted
            with device("meta"):
                skeleton = make(config)
            length = min(_TOKENS, getattr(config, "max_position_embeddings", None) or _TOKENS)
            parameters = sum(part.numel() for part in skeleton.parameters())
            _SIZES[key] = cls(parameters, forward_flops(skeleton, 1, length))
        return _SIZES[key]

    def is_below(self, other: Size) -> bool:
        """Whether it is smaller and computes less, as far as that is known."""
        slower = self.flops is not None and other.flops is not None and self.flops >= other.flops
        return self.parameters < other.parameters and not slower

    def compared(self, other: Size, name: str) -> str:
        """A student that is not below its teacher, in words.

        Args:
            other: the teacher.
            name: of the teacher.
        """
        sizes = f"{self.parameters / 1e6:.2f} M parameters against {other.parameters / 1e6:.2f} M"
        found = [f"{'not smaller' if self.parameters >= other.parameters else 'smaller'} ({sizes})"]
        if self.flops is not None and other.flops is not None:
            work = f"{self.flops / 1e6:,.1f} MFLOP for a text of {_TOKENS} tokens against {other.flops / 1e6:,.1f}"
            counted = "matrix products, counted by the shapes"
            found.append(f"{'not faster' if self.flops >= other.flops else 'faster'} ({work}; {counted})")
        return f"The student is {' and '.join(found)} than its teacher {name!r}. --student names another one."


@dataclass(frozen=True)
class PlannedTeacher:
    """A teacher, as far as it is known before it is opened.

    Attributes:
        name: folder or Hub id; None: it is made in the run.
        config: of the model, with the labels of the data where it is fine-tuned here.
        tokenizer: that it reads with.
        different: tokens with another id than the student's; where there are any, it reads its own.
    """

    name: str | None
    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerBase
    different: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A recipe with everything resolved that needs no training.

    Attributes:
        recipe: what was asked for.
        folder: where it goes.
        data: checked rows.
        teachers: the first is the main one.
        student_class: of the model that learns.
        student_config: its configuration.
        student_tokenizer: the first teacher's, or that of a student that exists already.
        objectives: of each phase, with its losses and layer maps.
        more_notes: of the task, a sentence each.
        text: of a general distillation.
        choice: the preset that was taken by its speed, and why; None: the recipe names the student.
        unlabelled_rows: of a translation: lines of the file with further source text.
    """

    recipe: Recipe
    folder: RunFolder
    data: TaskData
    teachers: tuple[PlannedTeacher, ...]
    student_class: Any
    student_config: TinyBertConfig
    student_tokenizer: PreTrainedTokenizerBase
    objectives: tuple[Objective, ...]
    more_notes: tuple[str, ...] = ()
    text: PlainText | None = None
    unlabelled_rows: int = 0
    choice: Choice | None = None

    @classmethod
    def between(
        cls,
        recipe: Recipe,
        folder: RunFolder,
        data: TaskData,
        teachers: tuple[PlannedTeacher, ...],
        taught_by: AnyTeacher,
        student: tuple[Any, TinyBertConfig, PreTrainedTokenizerBase],
        **more: Any,
    ) -> Plan:
        """With what each phase computes (see `objectives_between`) between the teachers, without their weights, and a
        student: its class, its configuration and its tokenizer.
        """
        student_class, config, tokenizer = student
        objectives = objectives_between(recipe, skeleton(student_class, config), taught_by)
        return cls(recipe, folder, data, teachers, student_class, config, tokenizer, objectives, **more)

    @property
    def spec(self) -> TaskSpec:
        """The task."""
        return self.recipe.spec

    @property
    def teacher_config(self) -> PreTrainedConfig:
        """Of the first teacher."""
        return self.teachers[0].config

    @property
    def other_tokens(self) -> bool:
        """Whether the first teacher reads a text as other tokens than the student."""
        return bool(self.teachers[0].different)

    @property
    def needs_teacher(self) -> bool:
        """Whether a loss looks at a teacher; what it translates is another matter."""
        return any(objective.needs_teacher for objective in self.objectives)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before the run, a sentence each."""
        chosen = () if self.choice is None else (self.choice.said(),)
        return (*chosen, *self.data.notes, *shared_rows_notes(self.data), *self.size_notes, *self.more_notes)

    @cached_property
    def size_notes(self) -> tuple[str, ...]:
        """A sentence about each teacher that the student is not smaller or not faster than."""
        try:
            student = Size.of(self.student_class, self.student_config)
            teachers = [Size.of(self.spec.opener.from_config, one.config) for one in self.teachers]
        except Exception:  # a family that cannot be made without its weights: a note is not worth a run
            return ()
        pairs = zip((one.name or "made here" for one in self.teachers), teachers, strict=True)
        return tuple(student.compared(teacher, name) for name, teacher in pairs if not student.is_below(teacher))

    @property
    def starts_from_teacher(self) -> bool:
        """Whether the student's first weights are computed from the teacher's: of encoders, unless told otherwise."""
        student = self.recipe.student
        return not self.recipe.spec.has_decoder and student.model is None and student.init in (None, "teacher")

    @property
    def start_map(self) -> LayerMap:
        """The teacher layer that each student layer starts from: as the first phase's map says, whatever its losses.

        A student that is deeper than its teacher starts from the same layer more than once.

        Raises:
            LayerMapError: the map does not fit.
        """
        given = (self.recipe.teacher.layer_map, self.recipe.phases[0].layer_map)
        chosen = next((one for one in given if one is not None and not compares_nothing(one)), "uniform")
        depths = self.student_config.num_hidden_layers, self.teacher_config.num_hidden_layers
        return resolve_layer_map(chosen, *depths, repeated=True)

    @cached_property
    def shapes(self) -> tuple[PreTrainedModel, AnyTeacher]:
        """Student and teachers without their weights, to ask what they are."""
        student = skeleton(self.student_class, self.student_config)
        return student, joined(self.recipe, self.teachers, self.spec, self.student_tokenizer)


@dataclass(frozen=True)
class PlainText:
    """The text of a general distillation.

    Attributes:
        sources: of the corpus.
        validation: of the held-out text; None: a part of the corpus is held out.
    """

    sources: Sources
    validation: Sources | None


# Models without their weights, and the losses between them.


def skeleton(make: Callable[[Any], Any], config: PreTrainedConfig) -> PreTrainedModel:
    """A model without its weights, to ask what it is; of a family that cannot be made so, one with random weights."""
    from torch import device

    try:
        with device("meta"):
            return make(config)  # type: ignore[no-any-return]
    except (RuntimeError, NotImplementedError):
        return make(config)  # type: ignore[no-any-return]


def weights_of(model: PreTrainedModel) -> int:
    """Parameters, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def join(recipe: Recipe, models: Sequence[PreTrainedModel], teachers: Sequence[PlannedTeacher]) -> AnyTeacher:
    """The teachers of a recipe as one value, with its weights and layer maps; one that reads the student's tokens is
    the model itself.
    """
    if len(models) == 1 and not teachers[0].different:
        return models[0]
    settings: list[Any] = [recipe.teacher, *recipe.extra_teachers]
    return Teachers(
        models,
        [one.weight for one in settings],
        layer_maps=[one.layer_map for one in settings],
        tokenizers=[one.tokenizer for one in teachers],
    )


def joined(
    recipe: Recipe, teachers: Sequence[PlannedTeacher], spec: TaskSpec, tokenizer: PreTrainedTokenizerBase
) -> AnyTeacher:
    """As `join`, of models without their weights, beside the student's tokenizer."""
    models = [skeleton(spec.opener.from_config, one.config) for one in teachers]
    return resolve_teachers(join(recipe, models, teachers), tokenizer)


def objectives_between(recipe: Recipe, student: PreTrainedModel, teacher: AnyTeacher) -> tuple[Objective, ...]:
    """What each phase computes.

    Args:
        recipe: with its phases.
        student: a skeleton is enough.
        teacher: likewise; several as `Teachers` from `resolve_teachers`.

    Raises:
        TinyBertError: a map, the heads, the widths or the labels do not fit; the message names the phase.
    """
    found = []
    for index, phase in enumerate(recipe.phases):
        try:
            objective = Objective.between(
                student,
                teacher,
                losses=tuple(phase.loss_weights(has_decoder=recipe.spec.has_decoder)),
                named=phase.named_losses,
                temperature=phase.temperature,
                **phase.layer_maps,
            )
            new_projections(phase.projection, student, teacher, objective)
        except TinyBertError as error:
            raise in_phase(index, phase.name, error) from error
        found.append(objective)
    return tuple(found)


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


def arguments_of_phases(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """TrainingArguments for the phases: of a translator without label smoothing, which is for trainings on labels.

    Args:
        recipe: of the run.
        given: for all of its trainings.
    """
    return {
        name: value for name, value in given.items() if name != "label_smoothing_factor" or not recipe.spec.has_decoder
    }


def check_phase_arguments(plan: Plan) -> None:
    """Refuse values of training_arguments that do not go together, or that name a metric which no phase has.

    Args:
        plan: with the epochs and the rates of its phases.

    Raises:
        RecipeError: naming the phase.
    """
    recipe, data = plan.recipe, plan.data
    counted = plan.spec.head  # at each evaluation; of others there are the losses alone
    metrics = metric_names(data.problem_type, data.label_names) if counted else ()
    for index, phase in enumerate(recipe.phases):
        losses = phase.loss_weights(has_decoder=recipe.spec.has_decoder)
        try:
            arguments = phase.arguments(
                plan.folder.path,
                seed=recipe.seed,
                has_eval=True,
                has_decoder=recipe.spec.has_decoder,
                training_arguments=arguments_of_phases(recipe, recipe.training_arguments),
            )
            known = ("loss", DISTILLATION_LOSS, *losses, *metrics)
            if arguments.load_best_model_at_end and plain_name(arguments.metric_for_best_model) not in known:
                raise no_such_metric(str(arguments.metric_for_best_model), known)
        except RecipeError as error:
            raise in_phase(index, phase.name, error) from error


def check_metrics(plan: Plan) -> None:
    """Refuse metrics that nobody counts for this problem.

    Raises:
        RecipeError: with the nearest names.
    """
    recipe, problem_type = plan.recipe, plan.data.problem_type
    if plan.spec.metrics is None:
        return
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


def student_config_of(recipe: Recipe, teacher: PreTrainedConfig, **fixed: Any) -> TinyBertConfig:
    """Of a student that exists, or of one from a preset for the teacher's tokens; else as `preset_config`."""
    if recipe.student.model is not None:
        return open_student_config(recipe.student.model, **fixed)
    from_teacher = {"vocab_size": teacher.vocab_size, "pad_token_id": teacher.pad_token_id}
    return preset_config(recipe, from_teacher, **fixed)


def check_students_tokens(recipe: Recipe, tokenizer: PreTrainedTokenizerBase, student: TinyBertConfig) -> None:
    """Refuse a student that embeds fewer tokens than it is given.

    Args:
        recipe: of the run.
        tokenizer: that the student reads with.
        student: its configuration.

    Raises:
        RecipeError: with the tokens.
    """
    advice = "Leave vocab_size out of student.overrides, so that it is taken from the teacher."
    if recipe.student.model is not None:
        advice = "Take a student that was made with this vocabulary, or one from a preset."
    check_tokens(tokenizer, student, "The student", RecipeError, advice)


def check_lengths(data: DataSettings, **models: Any) -> None:
    """Refuse rows that are longer than a model's positions.

    Args:
        data: say how many tokens are kept.
        **models: or their configurations, by name.

    Raises:
        RecipeError: naming the model, and the length that works.
    """
    check_length("data.max_length", data.max_length, RecipeError, option="--max-length", **models)
    target = data.max_length if data.max_target_length is None else data.max_target_length
    check_length("data.max_target_length", target, RecipeError, target=True, **models)


def check_start(plan: Plan) -> None:
    """Refuse a start that cannot be taken from the teacher.

    Raises:
        TinyBertError: the student is wider, or a map does not fit.
    """
    if not plan.starts_from_teacher:
        return
    student, teacher = plan.student_config, plan.teacher_config
    if student.hidden_size > teacher.hidden_size:
        raise RecipeError(
            f"student.init: the student is {student.hidden_size} wide and the teacher only {teacher.hidden_size}, so "
            "the student cannot start from it. Take a narrower student, or student.init: random (--init random)."
        )
    try:
        _ = plan.start_map
    except TinyBertError as error:
        raise in_phase(0, plan.recipe.phases[0].name, error) from error


def in_phase(index: int, name: str, error: TinyBertError) -> TinyBertError:
    """The same error with the place of the phase in front."""
    return type(error)(f"phases.{index} ({name}): {error}")


def check_space(plan: Plan, teacher_weights: int = 0) -> None:
    """Refuse only what must fail for lack of space: the start, a checkpoint with its optimizer, the result, and what
    the fine-tuning of a teacher of so many weights adds.
    """
    copies = 6 if plan.recipe.baseline is None else 8
    total = copies * weights_of(skeleton(plan.student_class, plan.student_config))
    if plan.recipe.teacher.finetune is not None:
        total += 4 * teacher_weights
    plan.folder.check(bytes_needed=total * _BYTES_PER_WEIGHT)


def first_line(error: Exception) -> str:
    """The reason of another library's error."""
    # Errors of @strict configurations tell their reason in the last line, others in the first.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return re.sub(r"^\w+Error: ", "", lines[-1]) if "alidation" in lines[0] else lines[0]


# The plan of any recipe.

# Said about a run, not part of what it computes.
_NOT_COMPARED = ("name", "description", "output_dir", "card")


def named_models(recipe: Recipe) -> dict[str, str | None]:
    """Field -> folder or id of each model that a recipe names."""
    named = {"teacher.model": recipe.teacher.model, "student.model": recipe.student.model}
    named |= {f"extra_teachers.{index}.model": one.model for index, one in enumerate(recipe.extra_teachers)}
    return named if recipe.augmentation is None else {**named, "augmentation.model": recipe.augmentation.model}


def _as_begun(recipe: Recipe) -> Recipe:
    """A run that was begun when its recipe gave few rows no copies yet goes on without them."""
    words = recipe.augmentation
    if (
        words is None
        or words.up_to_rows is None
        or not RunFolder(recipe.folder, {}, recipe.data).began_without("augmentation")
    ):
        return recipe
    return replace(recipe, augmentation=None)


def make_plan(recipe: Recipe) -> Plan:
    """Check a recipe against the world: data, teacher, student, layer maps, output folder, disk. Writes nothing.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    if recipe.task not in TASKS:
        raise RecipeError(unknown_name("task", recipe.task, TASKS))
    spec = TASKS[recipe.task]
    check_training_arguments(recipe.training_arguments)
    check_schedulers(recipe)
    if recipe.teacher.model is None and recipe.teacher.config is None:
        raise RecipeError(
            "teacher.model: no teacher is given; name a folder or a Hub id (--teacher), for example " + spec.teacher
        )
    steps: type[Steps] = found(spec.steps)
    recipe = with_learning_rates(_as_begun(recipe))
    settings = {name: value for name, value in recipe.as_dict().items() if name not in _NOT_COMPARED}
    settings |= steps.content(recipe)
    unlabelled = recipe.pseudo_labels.unlabelled_file if recipe.pseudo_labels is not None else None
    vectors = recipe.augmentation.glove_file if recipe.augmentation is not None else None
    further = (
        *recipe.data.further_validation_files.values(),
        *(file for file in (recipe.data.unlabelled_file, recipe.data.text_corpus, unlabelled, vectors) if file),
        *corpus_files(recipe),
    )
    folder = RunFolder(recipe.folder, settings, recipe.data, further_files=further, models=named_models(recipe))
    folder.check()
    check_corpus(recipe)
    plan = steps.make_plan(recipe, folder)
    check_metrics(plan)
    check_phase_arguments(plan)
    return plan


__all__ = ["Plan", "PlannedTeacher", "check_training_arguments", "make_plan"]
