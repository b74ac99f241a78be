"""The plan of a translation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS
from tinybert_hf.data.files import read_file
from tinybert_hf.data.generation import decoder_start_token
from tinybert_hf.data.raw_rows import columns_named_by
from tinybert_hf.data.translation_languages import set_languages
from tinybert_hf.distillation import Objective
from tinybert_hf.distillation.vocabularies import different_tokens
from tinybert_hf.errors import RecipeError, TeacherError, TinyBertError
from tinybert_hf.evaluation.translation import translates
from tinybert_hf.model import PRESETS, TinyBertConfig, TinyBertForSeq2Seq
from tinybert_hf.opening import refusing
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.plan_base import (
    Plan,
    Size,
    bytes_needed,
    check_lengths,
    first_line,
    in_phase,
    open_student_config,
    open_teacher_config,
    preset_config,
)
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.recipes.translators import made_translator, open_tokenizer
from tinybert_hf.recipes.usual_settings import with_epochs
from tinybert_hf.training.preparation import new_projections

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

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
    student_config = _student_config(recipe, teacher)
    recipe = with_epochs(recipe, student_config, len(data.train))
    check_lengths(recipe.data, teacher=teacher, student=student_config)
    student = _empty(TinyBertForSeq2Seq, student_config)
    different: tuple[str, ...] = ()
    if recipe.student.model is not None:
        different = tuple(different_tokens(tokenizer, open_tokenizer(recipe.student.model, "student", student_config)))
    objectives = _objectives(recipe, student, teacher, different)
    folder.check(bytes_needed=bytes_needed(recipe, _weights(student), _weights(teacher)))
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


def _weights(model: PreTrainedModel) -> int:
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
        if Size.of(TinyBertForSeq2Seq, _student_config(chosen, teacher)).is_below(limit):
            break
    return chosen


def _student_config(recipe: Recipe, teacher: PreTrainedModel) -> TinyBertConfig:
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
