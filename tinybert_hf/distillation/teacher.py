"""Opening a teacher, and matching its labels with the student's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.distillation.int8 import round_to_int8
from tinybert_hf.errors import TeacherError
from tinybert_hf.opening import HEADS, QUESTION_ANSWERING, TEXT_CLASSIFICATION, open_model, open_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

INT8 = "int8"


def load_teacher(
    model: str,
    *,
    task: str = TEXT_CLASSIFICATION,
    label_names: Sequence[str] | None = None,
    problem_type: str | None = None,
    new_head: bool = False,
    dtype: str | None = None,
    **kwargs: Any,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Open a model with its tokenizer, and refuse one whose head was never trained.

    Args:
        model: a folder or a Hub id.
        task: a name in `HEADS`: what head it has.
        label_names: the labels of the data; only used for a new head.
        problem_type: as in a transformers configuration; only used for a new head.
        new_head: make a fresh head for `label_names` where the checkpoint has none that fits (to be fine-tuned next).
        dtype: "float32", "bfloat16", "float16"; "int8": linear maps in int8, the rest in float32; None: as saved.
        **kwargs: passed on to `from_pretrained` (revision, trust_remote_code, ...).

    Returns:
        The model in eval mode and its tokenizer.

    Raises:
        TeacherError: it cannot be opened, its weights were changed after they were saved, it has no tokenizer or one
            with tokens that it does not embed, or its head is untrained.
    """
    head = HEADS[task]
    options: dict[str, Any] = dict(kwargs)
    if dtype is not None:
        options["dtype"] = "float32" if dtype == INT8 else dtype
    if new_head:
        if label_names:
            options.update(id2label=dict(enumerate(label_names)), label2id={n: i for i, n in enumerate(label_names)})
        options.update(problem_type=problem_type)
        if task == QUESTION_ANSWERING:
            options["num_labels"] = 2  # the width of the head: start and end
    what = (
        f"The teacher {str(model)!r} cannot be opened. Give a folder written by save_pretrained (config.json, weights "
        f"and tokenizer), or the id of {head.kind} on the Hub"
    )
    headless = (
        f"The teacher {model!r} is a pretrained model whose head was never trained ({{missing}} are not in the "
        "checkpoint), so it knows nothing about your labels. Fine-tune it first: add --finetune-teacher, or run "
        "`tinybert finetune` and give its output folder as --teacher."
    )
    teacher = open_model(model, head.opener, TeacherError, what, new_head=new_head, headless=headless, **options)
    tokenizer = open_tokenizer(model, TeacherError, what, teacher, **kwargs)
    teacher.eval()
    if dtype == INT8:
        round_to_int8(teacher)
    return teacher, tokenizer


def load_encoder(
    model: str, *, dtype: str | None = None, **kwargs: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Open an encoder without a head, pretrained or fine-tuned, and its tokenizer.

    Args:
        model: a folder or a Hub id.
        dtype: as for `load_teacher`.
        **kwargs: passed on to `from_pretrained` (revision, trust_remote_code, ...).

    Returns:
        The model in eval mode and its tokenizer.

    Raises:
        TeacherError: it cannot be opened, its weights were changed after they were saved, or it has no tokenizer that
            pads.
    """
    from transformers import AutoModel

    options: dict[str, Any] = dict(kwargs)
    if dtype is not None:
        options["dtype"] = "float32" if dtype == INT8 else dtype
    what = (
        f"The teacher {str(model)!r} cannot be opened. Give a folder written by save_pretrained (config.json, weights "
        "and tokenizer), or the id of an encoder on the Hub"
    )
    teacher = open_model(model, AutoModel, TeacherError, what, **options)
    tokenizer = open_tokenizer(model, TeacherError, what, teacher, **kwargs)
    teacher.eval()
    if dtype == INT8:
        round_to_int8(teacher)
    return teacher, tokenizer


def majority_share(labels: Sequence[int]) -> float:
    """The share of the most frequent label: the accuracy of always answering it."""
    return max(Counter(labels).values()) / len(labels)


def constant_f1(labels: Sequence[Sequence[float]]) -> float:
    """The best micro F1 of giving every row the same labels.

    Args:
        labels: of each row 0 or 1 for each label, (rows, labels).

    Returns:
        0 to 1. Of all sets of k labels, the k most frequent ones are best: they give 2 * right / (given + wanted).
    """
    counts = sorted((sum(column) for column in zip(*labels, strict=True)), reverse=True)
    right, wanted = 0.0, sum(counts)
    best = 0.0
    for given, count in enumerate(counts, start=1):
        right += count
        best = max(best, 2 * right / (given * len(labels) + wanted))
    return best


def constant_answer_warning(f1_micro: float, labels: Sequence[Sequence[float]], who: str) -> str | None:
    """What to say of a model that gives several labels and knows no more than their counts; None of one that does.

    Args:
        f1_micro: of the model on these rows.
        labels: of the rows, (rows, labels).
        who: the model, at the beginning of a sentence's possessive: "the teacher".
    """
    best = constant_f1(labels)
    if f1_micro > best + _ROUNDING or best > 1 - _ROUNDING:  # of rows with the same labels nothing can be said
        return None
    return (
        f"{who}'s f1_micro is {f1_micro:.4f}, no better than always giving the same labels to every row ({best:.4f})."
    )


def majority_warning(
    accuracy: float, labels: Sequence[int], *, who: str, teacher_names: Sequence[str], label_names: Sequence[str]
) -> str | None:
    """What to say of a teacher that knows no more than the most frequent label; None of one that knows more.

    Args:
        accuracy: of the teacher on these rows.
        labels: of the rows.
        who: the teacher, at the beginning of a sentence's possessive: "the teacher".
        teacher_names: its labels, in its order.
        label_names: those of the data.
    """
    majority = majority_share(labels)
    if accuracy > majority:
        return None
    return (
        f"{who}'s accuracy is {accuracy:.4f}, no better than always answering the most frequent label "
        f"({majority:.4f}). Was it fine-tuned on these labels, in this order? Teacher: {', '.join(teacher_names)}. "
        f"Data: {', '.join(label_names)}."
    )


_ROUNDING = 1e-9
# A better order of the labels is only said where it gains this much accuracy, or, on few rows, more than chance would.
_GAIN = 0.1


def better_label_order(
    predictions: Sequence[int], labels: Sequence[int], num_labels: int
) -> tuple[list[int], float] | None:
    """The order of a teacher's outputs that would make it much better: its labels are not those that it names.

    Args:
        predictions: of the teacher, as places in the list of the data's labels.
        labels: of the rows.
        num_labels: of the data.

    Returns:
        For each label of the data the output that means it, and the accuracy in that order; None where the outputs
        are best as they are, or nearly so, and where no order knows more than the label counts.
    """
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    counts = np.zeros((num_labels, num_labels), dtype=int)
    np.add.at(counts, (np.asarray(labels), np.asarray(predictions)), 1)
    _, order = linear_sum_assignment(counts, maximize=True)
    rows = len(labels)
    best, now = counts[np.arange(num_labels), order].sum() / rows, counts.trace() / rows
    if best < max(now, majority_share(labels)) + max(_GAIN, rows**-0.5):
        return None
    return [int(place) for place in order], float(best)


def order_warning(
    figures: Mapping[str, Any], who: str, teacher: PreTrainedConfig, student: PreTrainedConfig
) -> str | None:
    """What to say of a teacher that would be much better if its outputs meant other labels than they are called.

    Args:
        figures: accuracy, and better_label_order (order, accuracy) where `better_label_order` has found one.
        who: as for `majority_warning`.
        teacher: its configuration.
        student: with the labels of the data.
    """
    better = figures.get("better_label_order")
    if better is None:
        return None
    theirs, ours, matched = _names(teacher), _names(student), label_order(student, teacher)
    meant = {matched[output]: ours[label] for label, output in enumerate(better["order"])}
    said = ", ".join(f"{theirs[output]} = {meant[output]}" for output in sorted(meant))
    return (
        f"{who}'s accuracy is {figures['accuracy']:.4f}, and would be {better['accuracy']:.4f} if its outputs meant "
        f"other labels than now: {said}. If it was fine-tuned so, write these names into id2label and label2id of its "
        "config.json; as it is now it teaches wrong answers."
    )


def label_order(student: PreTrainedConfig, teacher: PreTrainedConfig) -> list[int]:
    """The teacher's index of each student label, matched by name.

    Names are compared without case. Where one side has only the generic names LABEL_0, LABEL_1, ..., the indices are
    taken as
    they are, since such names say nothing else.

    Args:
        student: configuration with id2label.
        teacher: the same.

    Returns:
        For each student label, the index of the teacher's logit.

    Raises:
        TeacherError: another problem type, other numbers of labels, or names that do not match; both are in the
            message.
    """
    _check_problem_types(student, teacher)
    ours, theirs = _names(student), _names(teacher)
    if len(ours) != len(theirs):
        raise TeacherError(_both_lists("have different numbers of labels", ours, theirs))
    if _generic(ours) or _generic(theirs) or ours == theirs:
        return list(range(len(ours)))
    index = {name.strip().casefold(): i for i, name in enumerate(theirs)}
    wanted = [name.strip().casefold() for name in ours]
    if sorted(wanted) != sorted(index):
        raise TeacherError(_both_lists("have different label names", ours, theirs))
    return [index[name] for name in wanted]


def problem_type_of(config: PreTrainedConfig) -> str:
    """The problem type of a configuration, with transformers' own rule where it is not set."""
    if config.problem_type is not None:
        return str(config.problem_type)
    return "regression" if config.num_labels == 1 else "single_label_classification"


def trained_problem_type(config: PreTrainedConfig) -> str | None:
    """The problem type of a classifier of texts that was trained; None of a model that is about to get its head."""
    ends = HEADS[TEXT_CLASSIFICATION].auto_class.removeprefix("AutoModel")
    trained = any(name.endswith(ends) for name in config.architectures or ())
    return problem_type_of(config) if trained else None


def _check_problem_types(student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
    """Refuse a teacher whose logits mean something else: a share of one, a probability each, or a number."""
    if problem_type_of(student) == problem_type_of(teacher):
        return
    unset = any(config.problem_type is None for config in (student, teacher))
    raise TeacherError(
        f"The student is for {problem_type_of(student)} and the teacher for {problem_type_of(teacher)}, so the "
        "teacher's predictions cannot be used.\n"
        f"  student: {_problem_in_words(student)}\n  teacher: {_problem_in_words(teacher)}\n"
        "Take a teacher of the student's problem type, or fine-tune it first (--finetune-teacher); in Python, make "
        "the student with the teacher's problem_type and num_labels."
        + (" Where a config.json lacks problem_type and the rule is wrong, write it there." if unset else "")
    )


def _problem_in_words(config: PreTrainedConfig) -> str:
    by_rule = "" if config.problem_type is not None else ", not set in its configuration, so by transformers' rule"
    return f"{problem_type_of(config)}{by_rule} (labels: {', '.join(_names(config))})"


def _names(config: PreTrainedConfig) -> list[str]:
    return [str(config.id2label[i]) for i in sorted(config.id2label)]


def _generic(names: Sequence[str]) -> bool:
    return all(name.upper() == f"LABEL_{i}" for i, name in enumerate(names))


def _both_lists(problem: str, student: Sequence[str], teacher: Sequence[str]) -> str:
    return (
        f"The student and the teacher {problem}, so the teacher's predictions cannot be used.\n"
        f"  student: {', '.join(student)}\n  teacher: {', '.join(teacher)}\n"
        "Take a teacher that was fine-tuned on these labels, or fine-tune it first (--finetune-teacher). Where its "
        "labels mean the same by other names, give those (label_names)."
    )
