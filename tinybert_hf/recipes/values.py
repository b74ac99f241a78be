"""Whether the values of a recipe lie in their ranges. Their types have been checked by then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.pseudo_label_rows import BEST, NEAREST
from tinybert_hf.distillation.projections import PROJECTIONS
from tinybert_hf.distillation.teacher import INT8
from tinybert_hf.errors import RecipeError, check_number
from tinybert_hf.model import PRESETS
from tinybert_hf.recipes.fields import unknown_name
from tinybert_hf.recipes.values_general import check_general
from tinybert_hf.training.arguments import PROJECTION_STARTS

if TYPE_CHECKING:
    from tinybert_hf.recipes.schema import (
        AugmentationSettings,
        PseudoLabels,
        Recipe,
        StudentSettings,
        TeacherSettings,
        TranslationEvaluation,
        VocabularyPruning,
    )
    from tinybert_hf.training import Phase

_RESERVED_NAMES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
_LONGEST_NAME = 200
STARTS = ("teacher", "random")
DTYPES = ("float32", "float16", "bfloat16", INT8)

# Tasks whose rows make sense without their labels, since a teacher can give others.
_LABELLED = ("text-classification", "token-classification")


def check_values(recipe: Recipe) -> None:
    """Refuse what no run could do.

    Raises:
        RecipeError: a value outside its range, or a name that is not known.
    """
    _check_name(recipe.name)
    _check_models(recipe.teacher, recipe.student)
    _check_further_teachers(recipe)
    if recipe.student.preset is None and recipe.student.model is None and not recipe.is_translation:
        raise RecipeError("student: set either `preset` or `model`")
    if not recipe.phases:
        raise RecipeError("phases: a run needs at least one; the usual ones are intermediate and prediction")
    for index, phase in enumerate(recipe.phases):
        _check_phase(phase, f"phases.{index}", has_decoder=recipe.is_translation)
    if not 0 <= recipe.seed < 2**32:
        raise RecipeError(f"seed: expected a whole number from 0 to {2**32 - 1}, found {recipe.seed}")
    if recipe.prune_vocabulary is not None:
        _check_pruning(recipe.prune_vocabulary, recipe)
    if recipe.augmentation is not None:
        _check_augmentation(recipe, recipe.augmentation)
    if recipe.data.unlabelled_file is not None:
        _check_unlabelled(recipe)
    if recipe.is_translation:
        _check_translation(recipe)
    else:
        _refuse_translation(recipe)
    check_general(recipe)


def _check_name(name: str) -> None:
    """Refuse a name that could not be that of a folder below runs/, or that would lead out of it."""
    if not name.strip():
        raise RecipeError("name: a recipe needs a name; leave the field out to take that of the file")
    reason = None
    if any(letter in name for letter in "/\\") or name[1:2] == ":":
        reason = "it has a separator of paths in it"
    elif name.strip(". ") == "" or name.startswith("~"):
        reason = "it means another folder"
    elif name != name.strip() or name.endswith("."):
        reason = "it begins or ends with a space, or ends with a dot"
    elif any(not letter.isprintable() for letter in name):
        reason = "it has a character that cannot be printed"
    elif name.partition(".")[0].upper() in _RESERVED_NAMES:
        reason = "Windows keeps this name for a device"
    elif len(name.encode()) > _LONGEST_NAME:
        reason = f"it has more than {_LONGEST_NAME} bytes"
    if reason is not None:
        raise RecipeError(
            f"name: {name[:80]!r} cannot be the name of a folder below runs/: {reason}. Where the run writes is "
            "said by output_dir (--output-dir)"
        )


def _check_models(teacher: TeacherSettings, student: StudentSettings) -> None:
    if teacher.model is not None and teacher.config is not None:
        raise RecipeError("teacher: `model` and `config` exclude each other; set one of them to null")
    if teacher.config is not None and teacher.finetune is None:
        raise RecipeError("teacher.finetune: a teacher made from `config` has random weights, so it has to be trained")
    _at_least(100, "teacher", teacher, "vocabulary_size")
    if teacher.dtype is not None:
        _one_of(teacher.dtype, DTYPES, "teacher.dtype")
    if student.preset is not None and student.model is not None:
        raise RecipeError("student: set either `preset` or `model` and not both")
    if student.preset is not None:
        _one_of(student.preset, PRESETS, "student.preset")
    if student.model is not None and student.overrides:
        raise RecipeError("student.overrides: these belong to a preset; the shape of `student.model` is what it is")
    if student.start is not None:
        _one_of(student.start, STARTS, "student.start")


def _check_further_teachers(recipe: Recipe) -> None:
    further = recipe.further_teachers
    for index, one in enumerate(further):
        if one.dtype is not None:
            _one_of(one.dtype, DTYPES, f"further_teachers.{index}.dtype")
        check_number(one.weight, f"further_teachers.{index}.weight")
    check_number(recipe.teacher.weight, "teacher.weight")
    if not further and recipe.teacher.layer_map is not None:
        raise RecipeError("teacher.layer_map: of one teacher, the phases say it (phases.0.layer_map)")
    if further and recipe.is_translation:
        raise RecipeError(
            "further_teachers: a translator learns from the translations of one teacher here; in Python, "
            "Seq2SeqDistillationTrainer takes several"
        )
    for index, phase in enumerate(recipe.phases):
        if further and phase.teacher_cache:
            raise RecipeError(
                f"phases.{index}.teacher_cache: it keeps what one teacher says, and here are {len(further) + 1}; "
                "leave it out"
            )


def _check_augmentation(recipe: Recipe, settings: AugmentationSettings) -> None:
    path = "augmentation"
    if recipe.task not in _LABELLED:
        raise RecipeError(
            f"{path}: words are replaced in texts with labels or a number, and in rows of words with tags; the rows "
            f"of the task {recipe.task} would not be right any more. Leave it out (--augment)"
        )
    _refuse_train_rows(recipe, "the copies that the augmentation makes")
    _at_least(1, path, settings, "copies", "candidates", "batch_size")
    if not 0 < settings.probability <= 1:
        raise RecipeError(f"{path}.probability: expected more than 0 and at most 1, found {settings.probability:g}")
    _refuse_label_loss(
        recipe,
        "the copies that the augmentation makes have none: other words may have another label. Set it to 0, or leave "
        "the augmentation out",
    )


def _check_unlabelled(recipe: Recipe) -> None:
    if recipe.task not in _LABELLED:
        raise RecipeError(
            "data.unlabelled_file: texts with labels or a number, and rows of words with tags, can have further rows "
            f"without them; the task is {recipe.task}. "
            + (
                "A translator's are named by pseudo_labels.unlabelled_file"
                if recipe.is_translation
                else "Leave it out"
            )
        )
    _refuse_train_rows(recipe, "the rows of data.unlabelled_file")
    _refuse_label_loss(
        recipe, "the rows of data.unlabelled_file have none. Set it to 0, or leave the file out (--unlabelled-file)"
    )


def _refuse_train_rows(recipe: Recipe, further: str) -> None:
    for index, phase in enumerate(recipe.phases):
        if phase.train_rows is not None:
            raise RecipeError(
                f"phases.{index}.train_rows: it takes the first rows, and {further} stand behind the training rows, "
                "so that few or none of them would be learnt from. Take fewer training rows (data.max_train_rows) or "
                "fewer epochs instead"
            )


def _refuse_label_loss(recipe: Recipe, reason: str) -> None:
    for index, phase in enumerate(recipe.phases):
        if "label_loss" in phase.loss_weights():
            raise RecipeError(f"phases.{index}.label_loss_weight: it needs labels, and {reason}")


def _check_translation(recipe: Recipe) -> None:
    student, teacher = recipe.student, recipe.teacher
    if student.start == "teacher":
        raise RecipeError(
            "student.start: 'teacher' is not available for translators: the start is computed for encoders that are "
            "built like BERT, and no such way is known here for a decoder and its attention to the source. Leave it "
            "out, or say random (--start random)"
        )
    if student.preset is not None and not _has_decoder(student):
        translators = ", ".join(name for name, shape in PRESETS.items() if shape.get("is_encoder_decoder"))
        raise RecipeError(
            f"student.preset: {student.preset} has no decoder, so it cannot translate; choose one of {translators}"
        )
    _at_least(1, "teacher", teacher, "target_vocabulary_size")
    if recipe.pseudo_labels is not None:
        _check_pseudo_labels(recipe.pseudo_labels)
    evaluation: TranslationEvaluation = recipe.evaluation
    _at_least(1, "evaluation", evaluation, "teacher_beams", "student_beams", "batch_size", "worst_sentences")


def _check_pruning(settings: VocabularyPruning, recipe: Recipe) -> None:
    if recipe.is_translation:
        raise RecipeError(
            "prune_vocabulary: a translator chooses each word that it writes among all pieces of its vocabulary, so "
            "with fewer of them it would write something else; leave the section out"
        )
    if not settings.corpus:
        raise RecipeError("prune_vocabulary.corpus: name at least one file, or train")
    _at_least(1, "prune_vocabulary", settings, "min_count")
    if not 0 <= settings.margin <= 1:
        raise RecipeError(f"prune_vocabulary.margin: expected a share from 0 to 1, found {settings.margin:g}")


def _check_pseudo_labels(settings: PseudoLabels) -> None:
    path = "pseudo_labels"
    _one_of(settings.select, (BEST, NEAREST), f"{path}.select")
    _at_least(1, path, settings, "beams", "batch_size")
    _at_least(0, path, settings, "max_length_factor", "max_repeats")
    if 0 < settings.max_length_factor < 1:
        raise RecipeError(
            f"{path}.max_length_factor: expected 0 (off) or at least 1, found {settings.max_length_factor:g}"
        )
    if settings.unlabelled_column is not None and settings.unlabelled_file is None:
        raise RecipeError(f"{path}.unlabelled_column: there is no unlabelled_file (--unlabelled-file) that has it")


def _has_decoder(student: StudentSettings) -> bool:
    assert student.preset is not None
    shape = {**PRESETS[student.preset], **student.overrides}
    return bool(shape.get("is_encoder_decoder")) and shape.get("num_decoder_layers") is not None


def _refuse_translation(recipe: Recipe) -> None:
    """Refuse what only translators have, where it would be passed over in silence."""
    if recipe.pseudo_labels is not None:
        raise RecipeError("pseudo_labels: these are translations, so they need `task: translation`")
    for name in ("target_vocabulary_size", "prefix", "source_language", "target_language"):
        if getattr(recipe.teacher, name):
            raise RecipeError(f"teacher.{name}: only a translator has one (task: translation)")
    if recipe.student.preset is not None and _has_decoder(recipe.student):
        raise RecipeError(
            f"student.preset: {recipe.student.preset} is a translator, and the task is {recipe.task}; choose an "
            "encoder such as 4l-312d, or set `task: translation`"
        )


def _check_phase(phase: Phase, path: str, *, has_decoder: bool) -> None:
    # What a Phase checks itself (its name, its numbers) was refused before; it does not know the task.
    _one_of(phase.projection, PROJECTIONS, f"{path}.projection")
    _one_of(phase.projection_start, PROJECTION_STARTS, f"{path}.projection_start")
    try:
        losses = phase.loss_weights(has_decoder=has_decoder)
        if losses:
            phase.check_cache(has_decoder=has_decoder)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    if not losses:
        raise RecipeError(
            f"{path}: the phase {phase.name!r} is for losses of your own, which a recipe cannot name: it runs no code "
            "of yours. Give a weight to one of ours, or call run_phases from Python (docs/own-loss.md)"
        )


def _one_of(value: str, known: Iterable[str], path: str) -> None:
    if value not in known:
        raise RecipeError(unknown_name(path, value, known))


def _at_least(least: int, path: str, settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        check_number(value, f"{path}.{name}", zero=True)
        if value is not None and value < least:
            raise RecipeError(f"{path}.{name}: expected {least} or more, found {value}")
