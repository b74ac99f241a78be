"""Whether student and teachers fit together, asked before anything is computed."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedModel

from tinybert_hf.distillation.shapes import is_translator
from tinybert_hf.distillation.teachers import AnyTeacher, Teachers, each_teacher
from tinybert_hf.errors import RecipeError, TeacherError, TinyBertError
from tinybert_hf.training.arguments import DistillationArguments
from tinybert_hf.training.cache_rows import INSTEAD


def check_kind(student: PreTrainedModel, args: DistillationArguments, for_translators: bool) -> None:
    """Refuse a trainer or arguments that are for the other kind of model.

    Raises:
        TinyBertError: naming those that fit.
    """
    translates = is_translator(student)
    if translates != args.has_decoder or translates != for_translators:
        kind, prefix = ("a translator", "Seq2Seq") if translates else ("an encoder", "")
        raise TinyBertError(
            f"{type(student).__name__} is {kind}: use {prefix}DistillationTrainer with {prefix}DistillationArguments."
        )


def check_cache(teacher: AnyTeacher, args: DistillationArguments) -> None:
    """Refuse a cache of what several teachers say.

    Raises:
        RecipeError: it was asked for.
    """
    if args.teacher_cache is not None and isinstance(teacher, Teachers):
        raise RecipeError(
            "teacher_cache keeps what one teacher says to the student's tokens; here are "
            f"{len(teacher.models)} teachers, or one with tokens or a layer map of its own. {INSTEAD}"
        )


def check_vocabularies(student: PreTrainedModel, teacher: AnyTeacher, tokenizer: Any) -> None:
    """Refuse two models that cannot read the same tokens; teachers with tokens of their own are left out.

    Args:
        student: the model that learns.
        teacher: `settled`.
        tokenizer: of the student; None: not known.

    Raises:
        TeacherError: the sizes differ, or are too small for the tokenizer.
    """
    same = each_teacher(teacher)
    if isinstance(teacher, Teachers):
        same = [one for one, other in zip(same, teacher.differences, strict=True) if not other]
    for one in same:
        _check_sizes(student, one, tokenizer)


def _check_sizes(student: PreTrainedModel, teacher: PreTrainedModel, tokenizer: Any) -> None:
    halves = [("source", _vocabulary)]
    if is_translator(student):
        halves.append(("target", _target_vocabulary))
    for which, size_of in halves:
        sizes = {"student": size_of(student), "teacher": size_of(teacher)}
        if which == "source" and tokenizer is not None and hasattr(tokenizer, "__len__"):
            short = [f"the {whose} embeds {size}" for whose, size in sizes.items() if size < len(tokenizer)]
            if short:
                raise TeacherError(
                    f"The tokenizer has {len(tokenizer)} tokens, but {' and '.join(short)}. Both models must read "
                    "the teacher's tokenizer: make the student with vocab_size=teacher.config.vocab_size."
                )
        elif sizes["student"] != sizes["teacher"]:
            raise TeacherError(
                f"The student embeds {sizes['student']} tokens and the teacher {sizes['teacher']}"
                f"{' of the target' if which == 'target' else ''}: they do not read the same tokenizer. Make the "
                "student with the vocabulary sizes of the teacher."
                + (
                    " With a tokenizer of its own it can still learn from the teacher's translations: "
                    "`tinybert pseudo-label`."
                    if is_translator(student)
                    else ""
                )
            )


def _vocabulary(model: PreTrainedModel) -> int:
    return int(model.config.vocab_size)


def _target_vocabulary(model: PreTrainedModel) -> int:
    """Of a translator's output; an encoder has one vocabulary only."""
    size = getattr(model.config, "decoder_vocab_size", None) if is_translator(model) else None
    return _vocabulary(model) if size is None else int(size)
