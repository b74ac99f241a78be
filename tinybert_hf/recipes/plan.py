"""Everything about a run that can be known before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import check_folder_files, check_length, refusing
from tinybert_hf.checkpoints.loading import translates
from tinybert_hf.data import TASKS, TaskData, train_wordpiece_tokenizer
from tinybert_hf.data.augmentation_candidates import check_predicts_words
from tinybert_hf.data.corpus_sources import Sources, find_files, find_sources
from tinybert_hf.data.files import read_file
from tinybert_hf.data.generation import decoder_start_token
from tinybert_hf.data.raw_rows import columns_named_by
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.data.token_classification import marks_entities
from tinybert_hf.data.translation import set_languages
from tinybert_hf.distillation import LayerMap, Objective, label_order, resolve_layer_map
from tinybert_hf.distillation.architecture import encoder_shape
from tinybert_hf.distillation.layer_map import NO_MAP, compares_nothing
from tinybert_hf.distillation.losses import MAPS_OF_LOSSES, map_of
from tinybert_hf.distillation.losses.attention import common_heads
from tinybert_hf.distillation.teachers import different_tokens, trained_problem_type
from tinybert_hf.errors import DataError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.evaluation import check_can_count
from tinybert_hf.model import PRESETS, TinyBertConfig, TinyBertForMaskedLM, TinyBertForSeq2Seq, TinyBertModel
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.loader import unknown_name
from tinybert_hf.recipes.models import (
    JointTeachers,
    check_corpus,
    corpus_files,
    made_translator,
    open_tokenizer,
    plan_joint_teachers,
)
from tinybert_hf.recipes.plan_base import (
    Plan,
    Size,
    bytes_needed,
    check_lengths,
    check_metrics,
    check_phase_arguments,
    check_schedulers,
    check_start,
    check_students_tokens,
    check_training_arguments,
    first_line,
    in_phase,
    made_config,
    open_encoder_config,
    open_student_config,
    open_teacher_config,
    preset_config,
    with_epochs,
    with_learning_rates,
)
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.tasks import GENERAL, HEADS, TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION, TRANSLATION
from tinybert_hf.training.setup import new_projections

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


# The plan of a run with an encoder and a head: labels of texts, labels of words, answers.


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


# The plan of a general distillation.


@dataclass(frozen=True)
class GeneralPlan(Plan):
    """A plan with what a general distillation needs.

    Attributes:
        layer_maps: for each phase, the map of the hidden states and the map of the attention.
        sources: of the corpus.
        validation: of the held-out text; None: a part of the corpus is held out.
    """

    layer_maps: tuple[tuple[LayerMap, LayerMap], ...]
    sources: Sources
    validation: Sources | None

    @property
    def makers(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """Encoders; the student with the head for masked tokens where a loss needs it."""
        from transformers import AutoModel

        return self.student_class, AutoModel.from_config

    @property
    def corpus(self) -> CorpusSettings:
        """Of the recipe."""
        assert self.recipe.corpus is not None
        return self.recipe.corpus

    @property
    def student_class(self) -> type[TinyBertModel] | type[TinyBertForMaskedLM]:
        """With the head for masked tokens where a loss needs it."""
        masked = any("label_loss" in phase.loss_weights() for phase in self.recipe.phases)
        return TinyBertForMaskedLM if masked else TinyBertModel

    @property
    def with_segments(self) -> bool:
        """Whether both models tell two segments of a text apart."""
        return all(getattr(one, "type_vocab_size", 0) >= 2 for one in (self.teacher_config, self.student_config))


def corpus_content(recipe: Recipe) -> dict[str, Any]:
    """What makes two runs the same: the settings of the corpus without its place on the disk, and its content.

    Raises:
        DataError: a file is not there.
    """
    corpus = dict(recipe.as_dict()["corpus"])
    corpus.pop("cache")
    found, held_out = _sources(recipe)
    content = {"content of the corpus": found.digest[:16]}
    if held_out is not None:
        content["content of the held-out text"] = held_out.digest[:16]
    return {"corpus": corpus, **content}


def plan_general(recipe: Recipe, folder: RunFolder) -> GeneralPlan:
    """Check a general distillation against the world; the text is looked for, and not yet read.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    sources, validation = _sources(recipe)
    assert recipe.teacher.model is not None
    teacher = open_masked_lm_config(recipe.teacher.model)
    if recipe.student.model is not None:
        student = open_student_config(recipe.student.model)
    else:
        student = preset_config(recipe, {"vocab_size": teacher.vocab_size, "pad_token_id": teacher.pad_token_id})
    check_students_tokens(recipe, open_tokenizer(recipe.teacher.model, "teacher", teacher), student)
    recipe = with_epochs(recipe, student, None)
    maps = layer_maps(recipe, student, teacher)
    data = TaskData(None, None, (), GENERAL)
    plan = GeneralPlan(recipe, folder, data, teacher, None, student, maps, sources, validation)
    _check_sizes(plan)
    folder.check(bytes_needed=bytes_needed(recipe, _general_weights(plan), 0))
    return plan


def open_masked_lm_config(model: str) -> PreTrainedConfig:
    """The configuration of a teacher of which the encoder is wanted.

    Raises:
        TeacherError: there is none, its weights were changed after they were saved, or it has no encoder alone.
    """
    config = open_teacher_config(model)
    check_folder_files(model, TeacherError)
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "num_decoder_layers", None) is not None:
        raise TeacherError(
            f"teacher {model} is a translator or another model with a decoder ({config.model_type}); a general "
            "distillation wants an encoder that is built like BERT."
        )
    return config


def _sources(recipe: Recipe) -> tuple[Sources, Sources | None]:
    assert recipe.corpus is not None
    held_out = recipe.corpus.validation_files
    validation = find_files(held_out, "corpus.validation_files (--validation-file)") if held_out else None
    return find_sources(recipe.corpus), validation


def _check_sizes(plan: GeneralPlan) -> None:
    student, teacher, length = plan.student_config, plan.teacher_config, plan.corpus.block_size
    check_length("corpus.block_size", length, RecipeError, option="--block-size", teacher=teacher, student=student)
    if student.num_decoder_layers is not None or student.is_encoder_decoder:
        raise RecipeError("student: a general distillation makes an encoder, and this student has a decoder")
    check_start(plan)


def _general_weights(plan: GeneralPlan) -> int:
    from torch import device

    config: TinyBertConfig = plan.student_config
    with device("meta"):
        return sum(parameter.numel() for parameter in plan.student_class(config).parameters())


# The plan of a translation.

_LABELS_ALONE = {"label_loss"}
TRANSLATORS = tuple(name for name, shape in PRESETS.items() if shape.get("is_encoder_decoder"))
"""Presets of students that translate, the largest first."""


@dataclass(frozen=True)
class TranslationPlan(Plan):
    """A plan with what translators need.

    Attributes:
        objectives: of each phase, with its layer maps; None where it has no loss that looks at the teacher.
        different_tokens: tokens that mean something else to an existing student than to the teacher; where there are
            any, the student keeps its own tokenizer and learns from the teacher's translations alone.
        unlabelled_rows: of the file with further source text.
    """

    objectives: tuple[Objective | None, ...]
    different_tokens: tuple[str, ...] = ()
    unlabelled_rows: int = 0

    @property
    def makers(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """Translators."""
        from transformers import AutoModelForSeq2SeqLM

        return TinyBertForSeq2Seq, AutoModelForSeq2SeqLM.from_config

    @property
    def needs_teacher(self) -> bool:
        """Whether a loss looks at the teacher; its translations are another matter."""
        return any(objective is not None for objective in self.objectives)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know before the run, a sentence each."""
        notes = list(super().notes)
        if self.recipe.pseudo_labels is None and not self.needs_teacher:
            notes.append(
                "This is plain training: pseudo_labels is off and no phase has a loss that looks at the teacher, so "
                "the student learns nothing from it."
            )
        if self.recipe.teacher.prefix and self.needs_teacher:
            notes.append(
                f"teacher.prefix ({self.recipe.teacher.prefix!r}) stands before what the teacher translates. The "
                "losses that look at the teacher show it the sources as the student reads them, without it."
            )
        if self.different_tokens:
            notes.append(
                f"The student {self.recipe.student.model} keeps its own tokenizer; from the teacher it learns the "
                "translations alone."
            )
        return tuple(notes)


def plan_translation(recipe: Recipe, folder: RunFolder) -> TranslationPlan:
    """Check a translation against the world.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    data = TASKS[recipe.task].load(recipe.data)
    unlabelled = _count_unlabelled(recipe)
    assert data.train is not None
    teacher, tokenizer = _teacher(recipe, data.train)
    teacher_config = teacher.config
    recipe = _with_student(recipe, teacher)
    student_config = _translator_config(recipe, teacher)
    recipe = with_epochs(recipe, student_config, len(data.train))
    check_lengths(recipe.data, teacher=teacher, student=student_config)
    student = _empty(TinyBertForSeq2Seq, student_config)
    different: tuple[str, ...] = ()
    if recipe.student.model is not None:
        different = tuple(different_tokens(tokenizer, open_tokenizer(recipe.student.model, "student", student_config)))
    objectives = _objectives(recipe, student, teacher, different)
    folder.check(bytes_needed=bytes_needed(recipe, _translator_weights(student), _translator_weights(teacher)))
    made = tokenizer if recipe.teacher.config is not None else None
    return TranslationPlan(
        recipe, folder, data, teacher_config, made, student_config, objectives, different, unlabelled
    )


def _count_unlabelled(recipe: Recipe) -> int:
    labels = recipe.pseudo_labels
    if labels is None or labels.unlabelled_file is None:
        return 0
    with columns_named_by("Name it with --unlabelled-column; in a recipe, pseudo_labels.unlabelled_column."):
        return len(read_file(labels.unlabelled_file, [labels.unlabelled_column or recipe.data.source_column]))


def _teacher(recipe: Recipe, pairs: Dataset) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher without its weights, to ask what it is, and its tokenizer."""
    from transformers import AutoModelForSeq2SeqLM, GenerationConfig

    teacher = recipe.teacher
    if teacher.config is not None:
        sizes = teacher.vocabulary_size, teacher.target_vocabulary_size
        config, tokenizer = made_translator(teacher.config, pairs, *sizes)
        return _empty(AutoModelForSeq2SeqLM.from_config, config), tokenizer
    assert teacher.model is not None
    config = open_teacher_config(teacher.model)
    if not translates(config):
        raise TeacherError(
            f"The teacher {teacher.model} is no translator: a {config.model_type} model of "
            f"{(config.architectures or ['an unknown class'])[0]} writes no text. Give a sequence-to-sequence model: "
            "Marian, NLLB, M2M100, mBART, or a TinyBertForSeq2Seq."
        )
    try:
        skeleton = _empty(AutoModelForSeq2SeqLM.from_config, config)
    except ValueError as error:
        raise TeacherError(f"The teacher {teacher.model} is no translator: {first_line(error)}") from error
    what = f"The teacher {teacher.model}: generation_config.json cannot be used"
    # An old checkpoint keeps all of it in config.json.
    with refusing(what, TeacherError), suppress(OSError):
        skeleton.generation_config = GenerationConfig.from_pretrained(teacher.model)
    tokenizer = open_tokenizer(teacher.model, "teacher", config)
    set_languages(skeleton, tokenizer, teacher.source_language, teacher.target_language)
    decoder_start_token(skeleton)
    return skeleton, tokenizer


def _empty(make: Any, config: PreTrainedConfig) -> PreTrainedModel:
    from torch import device

    with device("meta"):
        return make(config)


def _translator_weights(model: PreTrainedModel) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _with_student(recipe: Recipe, teacher: PreTrainedModel) -> Recipe:
    """The recipe with a student: where it names none, the first preset that is smaller and faster than the teacher.

    Where none is, the smallest of them.
    """
    if recipe.student.preset is not None or recipe.student.model is not None:
        return recipe
    from transformers import AutoModelForSeq2SeqLM

    limit = Size.of(AutoModelForSeq2SeqLM.from_config, teacher.config)
    for preset in TRANSLATORS:
        chosen = replace(recipe, student=replace(recipe.student, preset=preset))
        if Size.of(TinyBertForSeq2Seq, _translator_config(chosen, teacher)).is_below(limit):
            break
    return chosen


def _translator_config(recipe: Recipe, teacher: PreTrainedModel) -> TinyBertConfig:
    name = recipe.student.model
    if name is not None:
        config = open_student_config(name)
        if not config.is_encoder_decoder or config.num_decoder_layers is None:
            raise RecipeError(f"student.model {name}: that TinyBERT has no decoder, so it cannot translate")
        return config
    config = preset_config(recipe, _from_teacher(teacher))
    sizes = teacher.config.vocab_size, _target_size(teacher.config)
    if (config.vocab_size, config.decoder_vocab_size or config.vocab_size) != sizes:
        raise RecipeError(
            f"student.overrides: the student would embed {config.vocab_size} tokens of the source and "
            f"{config.decoder_vocab_size or config.vocab_size} of the target, but the teacher's tokenizer gives "
            f"{sizes[0]} and {sizes[1]}. Leave vocab_size and decoder_vocab_size out, so that they are the teacher's"
        )
    return config


def _from_teacher(teacher: PreTrainedModel) -> dict[str, Any]:
    """What a student from a preset takes over: the vocabularies and the tokens with a meaning."""
    config = teacher.config
    end = config.eos_token_id
    fields = {
        "vocab_size": config.vocab_size,
        "pad_token_id": config.pad_token_id,
        "eos_token_id": end[0] if isinstance(end, list | tuple) else end,
        "decoder_start_token_id": decoder_start_token(teacher),
    }
    shared = getattr(config, "share_encoder_decoder_embeddings", None)
    if shared is None and isinstance(config, TinyBertConfig):
        shared = config.decoder_vocab_size is None or config.tied_embeddings == "all"
    if shared is False or _target_size(config) != config.vocab_size:
        # Two vocabularies may be of one size and still have no word in common.
        fields |= {"decoder_vocab_size": _target_size(config), "tie_embeddings": "target"}
    return fields


def _target_size(config: PreTrainedConfig) -> int:
    return int(getattr(config, "decoder_vocab_size", None) or config.vocab_size)


def _objectives(
    recipe: Recipe, student: PreTrainedModel, teacher: PreTrainedModel, different: tuple[str, ...]
) -> tuple[Objective | None, ...]:
    objectives: list[Objective | None] = []
    for index, phase in enumerate(recipe.phases):
        losses = phase.loss_weights(has_decoder=True)
        if losses.keys() == _LABELS_ALONE:
            objectives.append(None)
            continue
        if different:
            raise TeacherError(_other_tokenizer(recipe, index, [*losses.keys() - _LABELS_ALONE], different))
        try:
            objective = Objective.between(
                student, teacher, losses=tuple(losses), temperature=phase.temperature, **phase.layer_maps
            )
            new_projections(phase.projection, student, teacher, objective)
        except TinyBertError as error:
            raise in_phase(index, phase.name, error) from error
        objectives.append(objective)
    return tuple(objectives)


def _other_tokenizer(recipe: Recipe, index: int, losses: list[str], different: tuple[str, ...]) -> str:
    weights = ", ".join(f"{name}_weight: 0" for name in sorted(losses))
    return (
        f"phases.{index}: the teacher's tokenizer is not the one of the student {recipe.student.model}: the same ids "
        f"would mean other words, for example {', '.join(different)}. So their losses per token and per layer cannot "
        f"be compared. The student can still learn from the teacher's translations (sequence-level): set {weights}, "
        "label_loss_weight: 1 in the phase, and the section pseudo_labels. Or take a student from a preset, which "
        "takes over the teacher's tokenizer."
    )


_A_CLASSIFIER = "a BERT that was fine-tuned on these labels, or any pretrained one together with --finetune-teacher"
_EXAMPLES = {
    TRANSLATION: "a translator of these languages, or one that `tinybert finetune` has trained on your pairs",
    GENERAL: "a pretrained BERT",
}
# Said about a run, not part of what it computes.
_NOT_COMPARED = ("name", "description", "output_dir", "card")


def named_models(recipe: Recipe) -> dict[str, str | None]:
    """Field -> folder or id of each model that a recipe names."""
    named = {"teacher.model": recipe.teacher.model, "student.model": recipe.student.model}
    named |= {f"further_teachers.{index}.model": one.model for index, one in enumerate(recipe.further_teachers)}
    return named if recipe.augmentation is None else {**named, "augmentation.model": recipe.augmentation.model}


def make_plan(recipe: Recipe) -> EncoderPlan | TranslationPlan | GeneralPlan:
    """Check a recipe against the world: data, teacher, student, layer maps, output folder, disk. Writes nothing.

    Raises:
        TinyBertError: anything that would stop the run later.
    """
    known = (*TASKS, GENERAL)
    if recipe.task not in known:
        raise RecipeError(unknown_name("task", recipe.task, known))
    check_training_arguments(recipe.training_arguments)
    check_schedulers(recipe)
    if recipe.teacher.model is None and recipe.teacher.config is None:
        raise RecipeError(
            "teacher.model: no teacher is given; name a folder or a Hub id (--teacher), for example "
            f"{_EXAMPLES.get(recipe.task, _A_CLASSIFIER)}"
        )
    recipe = with_learning_rates(recipe)
    settings = {name: value for name, value in recipe.as_dict().items() if name not in _NOT_COMPARED}
    if recipe.is_general:
        settings |= corpus_content(recipe)
    unlabelled = recipe.pseudo_labels.unlabelled_file if recipe.pseudo_labels is not None else None
    vectors = recipe.augmentation.glove_file if recipe.augmentation is not None else None
    further = (
        *recipe.data.further_validation_files.values(),
        *(file for file in (recipe.data.unlabelled_file, unlabelled, vectors) if file),
        *corpus_files(recipe),
    )
    folder = RunFolder(recipe.folder, settings, recipe.data, further_files=further, models=named_models(recipe))
    folder.check()
    check_corpus(recipe)
    if recipe.is_general:
        general = plan_general(recipe, folder)
        check_phase_arguments(general, None)
        return general
    plan = plan_translation(recipe, folder) if recipe.is_translation else plan_encoder(recipe, folder)
    check_metrics(recipe, plan.data.problem_type)
    check_phase_arguments(plan, None if recipe.is_translation else plan.data)
    return plan


__all__ = ["EncoderPlan", "GeneralPlan", "Plan", "TranslationPlan", "check_training_arguments", "make_plan"]
