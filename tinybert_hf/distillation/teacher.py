"""Opening a teacher, and matching its labels with the student's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import TeacherError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


def load_teacher(
    model: str,
    *,
    label_names: Sequence[str] | None = None,
    problem_type: str | None = None,
    new_head: bool = False,
    dtype: str | None = None,
    **kwargs: Any,
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Open a sequence classifier and its tokenizer, and refuse one whose head was never trained.

    Args:
        model: a folder or a Hub id.
        label_names: the labels of the data; only used for a new head.
        problem_type: as in a transformers configuration; only used for a new head.
        new_head: make a fresh head for `label_names` where the checkpoint has none that fits (to be fine-tuned next).
        dtype: "float32", "bfloat16", "float16"; None: as saved.
        **kwargs: passed on to `from_pretrained` (revision, trust_remote_code, ...).

    Returns:
        The model in eval mode and its tokenizer.

    Raises:
        TeacherError: it cannot be opened, has no tokenizer, or its head is untrained.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    options: dict[str, Any] = dict(kwargs)
    if dtype is not None:
        options["dtype"] = dtype
    if new_head:
        names = list(label_names or [])
        options.update(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
        options.update(problem_type=problem_type, ignore_mismatched_sizes=True)
    try:
        teacher, info = AutoModelForSequenceClassification.from_pretrained(model, output_loading_info=True, **options)
        tokenizer = AutoTokenizer.from_pretrained(model, **kwargs)
    except (OSError, ValueError) as error:
        first_line = str(error).strip().splitlines()[0]
        raise TeacherError(
            f"The teacher {model!r} cannot be opened: {first_line}\nGive a folder written by save_pretrained "
            "(model and "
            "tokenizer) or the id of a sequence classifier on the Hub."
        ) from error
    if len(set(tokenizer.get_vocab()) - set(tokenizer.all_special_tokens)) == 0:
        # transformers makes an empty tokenizer where the folder has none, and reads every word as unknown.
        raise TeacherError(
            f"The teacher {model!r} comes without a tokenizer: only {len(tokenizer)} special tokens are there, "
            "and the "
            f"model embeds {teacher.config.vocab_size}. Save its tokenizer into the same folder."
        )
    missing = sorted(info["missing_keys"])
    if missing and not new_head:
        raise TeacherError(
            f"The teacher {model!r} is a pretrained model whose head was never trained ({', '.join(missing[:4])} "
            "are not "
            "in the checkpoint), so it knows nothing about your labels. Fine-tune it first: add "
            "--finetune-teacher, or "
            "run `tinybert finetune` and give its output folder as --teacher."
        )
    teacher.eval()
    return teacher, tokenizer


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
        TeacherError: other numbers of labels, or names that do not match; both lists are in the message.
    """
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


def _names(config: PreTrainedConfig) -> list[str]:
    return [str(config.id2label[i]) for i in sorted(config.id2label)]


def _generic(names: Sequence[str]) -> bool:
    return all(name.upper() == f"LABEL_{i}" for i, name in enumerate(names))


def _both_lists(problem: str, student: Sequence[str], teacher: Sequence[str]) -> str:
    return (
        f"The student and the teacher {problem}, so the teacher's predictions cannot be used.\n"
        f"  student: {', '.join(student)}\n  teacher: {', '.join(teacher)}\n"
        "Take a teacher that was fine-tuned on these labels, or give the label names (label_names) that the "
        "teacher uses."
    )
