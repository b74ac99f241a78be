"""Whether student and teachers fit together, asked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from tinybert_hf.distillation.losses import DistillationLoss
from tinybert_hf.distillation.shapes import is_translator
from tinybert_hf.distillation.teachers import AnyTeacher, Teachers, each_teacher
from tinybert_hf.errors import DataError, RecipeError, TeacherError, TinyBertError
from tinybert_hf.opening import check_batch, check_tokens, limits_of
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


def check_own_modules(losses: Mapping[str, DistillationLoss], teacher: AnyTeacher) -> None:
    """Refuse a loss of one's own that holds a teacher as a part: its weights would be trained.

    Raises:
        TinyBertError: naming the loss.
    """
    of_teachers = {id(parameter) for one in each_teacher(teacher) for parameter in one.parameters()}
    for name, loss in losses.items():
        if isinstance(loss.function, nn.Module) and any(id(one) in of_teachers for one in loss.function.parameters()):
            raise TinyBertError(
                f"{name} holds weights of the teacher, which would be trained with its own. It is given what the "
                "teacher shows; leave the model out of the module."
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
    known = hasattr(tokenizer, "get_vocab")
    if known:
        advice = (
            "Both models must read the teacher's tokenizer: make the student with "
            "vocab_size=teacher.config.vocab_size, and a teacher whose tokenizer was extended with "
            "teacher.resize_token_embeddings(...)."
        )
        for whose, model in (("student", student), ("teacher", teacher)):
            check_tokens(tokenizer, model, f"The {whose}", TeacherError, advice)
    limits = {"student": limits_of(student), "teacher": limits_of(teacher)}
    halves = [] if known else [("", {whose: one.tokens for whose, one in limits.items()})]
    if is_translator(student) and is_translator(teacher):
        halves.append((" of the target", {whose: one.target_tokens for whose, one in limits.items()}))
    for which, sizes in halves:
        if sizes["student"] != sizes["teacher"]:
            raise TeacherError(
                f"The student embeds {sizes['student']} tokens and the teacher {sizes['teacher']}{which}: they do not "
                "read the same tokenizer. Make the student with the vocabulary sizes of the teacher."
                + (
                    " With a tokenizer of its own it can still learn from the teacher's translations: "
                    "`tinybert pseudo-label`."
                    if is_translator(student)
                    else ""
                )
            )


def check_rows(student: PreTrainedModel, teacher: AnyTeacher, batch: Mapping[str, Any], tokenizer: Any) -> None:
    """Refuse rows with numbers that a table of the student, or of a teacher that reads them, does not hold.

    Args:
        student: the model that learns.
        teacher: `settled`.
        batch: some rows, as the collator makes them.
        tokenizer: of the student, to call tokens by name; None: not known.

    Raises:
        DataError: naming the model, what is beyond its table, and what to do.
    """
    tokenizer = tokenizer if hasattr(tokenizer, "get_vocab") else None
    check_batch(student, batch, "The student", DataError, tokenizer)
    if not isinstance(teacher, Teachers):
        check_batch(teacher, batch, "The teacher", DataError, tokenizer)
        return
    for index, one in enumerate(teacher.models):
        own = teacher.tokenizers[index] if teacher.differences[index] else tokenizer
        check_batch(one, teacher.batch_of(index, batch), teacher.name_of(index), DataError, own)
