"""Teachers: opened, several at once, with their labels, their tokens and the precision that they compute in."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from torch import Tensor, nn

from tinybert_hf.checkpoints import open_model, open_tokenizer
from tinybert_hf.distillation.architecture import encoder_shape
from tinybert_hf.distillation.choices import INT8
from tinybert_hf.distillation.layer_map import LayerMapSpec
from tinybert_hf.errors import CaptureError, TeacherError, check_number
from tinybert_hf.tasks import HEADS, TASKS, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase


# A model's matrix products in bfloat16, on processors that multiply such numbers faster.

# Instructions that multiply in bfloat16. Other processors go through fp32, and are slower so than with fp32 itself.
INSTRUCTIONS = ("avx512_bf16", "amx_bf16")
# Below it, casting takes what the products gain (`python benchmarks/teacher_precision.py`).
LEAST_WIDTH = 192


def bfloat16_products(model: nn.Module, wanted: bool | None) -> AbstractContextManager[Any]:
    """A context in which the model's forward multiplies in bfloat16, where that is wanted.

    It is torch's autocast: weights stay as they are, and sums of layers, norms and the hidden states in fp32.

    Args:
        model: a frozen teacher, or a student.
        wanted: None: where it is faster, see `multiplies_in_bfloat16`.
    """
    if not multiplies_in_bfloat16(model, wanted):
        return nullcontext()
    return torch.autocast(next(model.parameters()).device.type, torch.bfloat16)


def multiplies_in_bfloat16(model: nn.Module, wanted: bool | None = None) -> bool:
    """Whether a model's forward is to multiply in bfloat16.

    Never for a model whose numbers are not in fp32, nor within another autocast.

    Args:
        model: a frozen teacher, or a student.
        wanted: None: on a CPU that has the instructions for it, for encoders at least 192 wide. Not for ALBERT and
            ELECTRA, which begin with a product, so that their hidden states would be in its format; nor for DeBERTa,
            which cannot; nor for translators, with which nothing was measured.
    """
    first = next(model.parameters())
    if wanted is None:
        quick = first.device.type == "cpu" and _is_native() and _gains(model.config)
    else:
        quick = wanted
    return quick and first.dtype == torch.float32 and not torch.is_autocast_enabled(first.device.type)


def _gains(config: PreTrainedConfig) -> bool:
    if getattr(config, "is_encoder_decoder", False) or hasattr(config, "embedding_size"):
        return False
    if config.model_type == "deberta":  # which masks its scores with a number that bfloat16 does not have
        return False
    return encoder_shape(config).width >= LEAST_WIDTH


def _is_native() -> bool:
    """Whether this CPU has the instructions; False where torch is too old to say."""
    ask: Callable[[], Mapping[str, Any]] = getattr(torch.cpu, "get_capabilities", dict)
    capabilities = ask()
    return any(capabilities.get(name, False) for name in INSTRUCTIONS)


# A frozen model with its linear maps in int8: a quarter of their memory, on any device, every loss as before.

LARGEST = 127


class Int8Linear(nn.Linear):
    """A linear map that keeps whole numbers and one scale an output, and multiplies in floating point.

    What a layer gives differs by the rounding of its weights alone. `weight` is made anew at each use, which costs
    little beside the product with a batch of rows; so everything that reads a linear map (a forward, a student's
    start) finds an ordinary one. It cannot be trained.
    """

    def __init__(self, linear: nn.Linear) -> None:
        """Round a map.

        Args:
            linear: left as it is; weight (Q, P).
        """
        nn.Module.__init__(self)  # nn.Linear's own would make a weight of full size
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        scale = (weight.abs().amax(dim=1, keepdim=True) / LARGEST).clamp_min(torch.finfo(weight.dtype).tiny)
        self.rounded = nn.Parameter((weight / scale).round().to(torch.int8), requires_grad=False)
        self.register_buffer("scale", scale)
        self.bias = None if linear.bias is None else nn.Parameter(linear.bias.detach().clone(), requires_grad=False)

    @property
    def weight(self) -> Tensor:  # type: ignore[override]
        """The weight (Q, P) in floating point, within half a scale of the one that was given."""
        scale = self.scale
        assert isinstance(scale, Tensor)
        return self.rounded.to(scale.dtype) * scale


def round_to_int8(model: nn.Module) -> int:
    """Put an Int8Linear in the place of every linear map, in place; embeddings and norms stay as they are.

    A map that shares its weight with an embedding stays too: rounded, it would be one tensor more.

    Args:
        model: a model that is not to be trained.

    Returns:
        How many maps were replaced.
    """
    embeddings = {id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)}
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Linear) and not isinstance(child, Int8Linear) and id(child.weight) not in embeddings
    ]
    made: dict[int, Int8Linear] = {}  # a map that stands in several places stays one map
    for parent, name, child in places:
        setattr(parent, name, made.setdefault(id(child), Int8Linear(child)))
    return len(made)


# Whether two tokenizers mean the same by the same numbers.


def different_tokens(teacher: PreTrainedTokenizerBase, student: PreTrainedTokenizerBase, shown: int = 4) -> list[str]:
    """Some tokens that do not have the same id in both tokenizers, with their ids; empty where there are none.

    Sizes say nothing: two vocabularies of one size may have no word in common.

    Args:
        teacher: a tokenizer; with `get_target_vocab` where the target has a vocabulary of its own.
        student: the same.
        shown: how many at most.
    """
    found: list[str] = []
    for teacher_ids, student_ids in zip(_vocabularies(teacher), _vocabularies(student), strict=True):
        if teacher_ids == student_ids:
            continue
        for token in sorted({*teacher_ids, *student_ids}, key=str):
            pair = f"{token!r} ({teacher_ids.get(token)} and {student_ids.get(token)})"
            if teacher_ids.get(token) != student_ids.get(token) and len(found) < shown and pair not in found:
                found.append(pair)
    return found


def _vocabularies(tokenizer: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Of source and target."""
    source = tokenizer.get_vocab()
    own = getattr(tokenizer, "get_target_vocab", None)
    return source, source if own is None else own()


# Opening a teacher, and matching its labels with the student's.


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
        task: a name in `HEADS`: what head it has; "general": none.
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
    head = TASKS[task]
    options: dict[str, Any] = dict(kwargs)
    if dtype is not None:
        options["dtype"] = "float32" if dtype == INT8 else dtype
    if new_head:
        if label_names:
            options.update(id2label=dict(enumerate(label_names)), label2id={n: i for i, n in enumerate(label_names)})
        options.update(problem_type=problem_type)
        if head.width is not None:
            options["num_labels"] = head.width
    what = (
        f"The teacher {str(model)!r} cannot be opened. Give a folder written by save_pretrained (config.json, weights "
        f"and tokenizer), or the id of {head.kind} on the Hub"
    )
    headless = (
        f"The teacher {model!r} is a pretrained model whose head was never trained ({{missing}} are not in the "
        "checkpoint), so it knows nothing about your labels. Fine-tune it first: add --finetune-teacher, or run "
        "`tinybert finetune` and give its output folder as --teacher."
    )
    headless = headless if head.head else ""
    teacher = open_model(model, head.opener, TeacherError, what, new_head=new_head, headless=headless, **options)
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
    metrics: Mapping[str, Any], who: str, teacher: PreTrainedConfig, student: PreTrainedConfig
) -> str | None:
    """What to say of a teacher that would be much better if its outputs meant other labels than they are called.

    Args:
        metrics: accuracy, and better_label_order (order, accuracy) where `better_label_order` has found one.
        who: as for `majority_warning`.
        teacher: its configuration.
        student: with the labels of the data.
    """
    better = metrics.get("better_label_order")
    if better is None:
        return None
    teacher_names, student_names, matched = _names(teacher), _names(student), label_order(student, teacher)
    meant = {matched[output]: student_names[label] for label, output in enumerate(better["order"])}
    names = ", ".join(f"{teacher_names[output]} = {meant[output]}" for output in sorted(meant))
    return (
        f"{who}'s accuracy is {metrics['accuracy']:.4f}, and would be {better['accuracy']:.4f} if its outputs meant "
        f"other labels than now: {names}. If it was fine-tuned so, write these names into id2label and label2id of "
        "its config.json; as it is now it teaches wrong answers."
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
    student_names, teacher_names = _names(student), _names(teacher)
    if len(student_names) != len(teacher_names):
        raise TeacherError(_both_lists("have different numbers of labels", student_names, teacher_names))
    if _generic(student_names) or _generic(teacher_names) or student_names == teacher_names:
        return list(range(len(student_names)))
    index = {name.strip().casefold(): i for i, name in enumerate(teacher_names)}
    wanted = [name.strip().casefold() for name in student_names]
    if sorted(wanted) != sorted(index):
        raise TeacherError(_both_lists("have different label names", student_names, teacher_names))
    return [index[name] for name in wanted]


def problem_type_of(config: PreTrainedConfig) -> str:
    """The problem type of a configuration, with transformers' own rule where it is not set."""
    if config.problem_type is not None:
        return str(config.problem_type)
    return "regression" if config.num_labels == 1 else "single_label_classification"


def trained_problem_type(config: PreTrainedConfig) -> str | None:
    """The problem type of a classifier of texts that was trained; None of a model that is about to get its head."""
    trained = any(name.endswith(HEADS[TEXT_CLASSIFICATION].ending) for name in config.architectures or ())
    return problem_type_of(config) if trained else None


def _check_problem_types(student: PreTrainedConfig, teacher: PreTrainedConfig) -> None:
    """Refuse a teacher whose logits mean something else: a share of one, a probability each, or a number."""
    if problem_type_of(student) == problem_type_of(teacher):
        return
    unset = any(config.problem_type is None for config in (student, teacher))
    raise TeacherError(
        f"The student is for {problem_type_of(student)} and the teacher for {problem_type_of(teacher)}, so the "
        "teacher's predictions cannot be used.\n"
        f"  student: {_format_problem(student)}\n  teacher: {_format_problem(teacher)}\n"
        "Take a teacher of the student's problem type, or fine-tune it first (--finetune-teacher); in Python, make "
        "the student with the teacher's problem_type and num_labels."
        + (" Where a config.json lacks problem_type and the rule is wrong, write it there." if unset else "")
    )


def _format_problem(config: PreTrainedConfig) -> str:
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


# Several teachers at once, and teachers that read tokens of their own.

AnyTeacher: TypeAlias = "PreTrainedModel | Teachers"


class Teachers(nn.Module):
    """Models that a student learns from together.

    The prediction loss is towards the weighted mean of their probabilities (of their values in a regression), a loss
    between layers the weighted mean of the losses towards each. Only the proportions of the weights matter.

    Attributes:
        models: the teachers.
        weights: of each, with the sum 1.
        layer_maps: of each; None: as the student's arguments say; "none": no loss between layers for this one.
        tokenizers: of each; None: it reads the student's tokens.
        differences: of each, tokens with another id than in the student's tokenizer; where there are any, the
            teacher reads columns of its own (see `columns_of`).
    """

    def __init__(
        self,
        models: Sequence[PreTrainedModel],
        weights: Sequence[float] | None = None,
        *,
        layer_maps: Sequence[LayerMapSpec | None] | None = None,
        tokenizers: Sequence[Any] | None = None,
    ) -> None:
        """Check that there is one of everything for each teacher.

        Args:
            models: one or more, fine-tuned on the same labels; their order of the labels may differ.
            weights: above 0; None: all the same.
            layer_maps: any form that `resolve_layer_map` reads, None, or "none".
            tokenizers: where a teacher may have another one than the student.

        Raises:
            TeacherError: no teacher, another number of anything than of teachers, or a weight that is not above 0.
        """
        super().__init__()
        if not models:
            raise TeacherError("The list of teachers is empty: give one model or more.")
        for name, given in (("weights", weights), ("layer_maps", layer_maps), ("tokenizers", tokenizers)):
            if given is not None and len(given) != len(models):
                raise TeacherError(
                    f"There are {len(models)} teachers and {len(given)} {name.replace('_', ' ')}: give one for each "
                    "teacher, in their order."
                )
        self.models = nn.ModuleList(models)
        self.weights = shares([1.0] * len(models) if weights is None else weights)
        self.layer_maps = tuple(layer_maps or [None] * len(models))
        self.tokenizers = tuple(tokenizers or [None] * len(models))
        self.differences: tuple[tuple[str, ...], ...] = ((),) * len(models)

    def beside(self, tokenizer: Any) -> Teachers:
        """The same teachers, their vocabularies compared with the student's.

        Args:
            tokenizer: of the student.

        Returns:
            Others with the same models, and `differences` filled in.

        Raises:
            TeacherError: a teacher's tokenizer is given, and the student's is not.
        """
        other = Teachers(
            list(self.models),  # type: ignore[arg-type]
            self.weights,
            layer_maps=self.layer_maps,
            tokenizers=self.tokenizers,
        )
        if any(own is not None for own in self.tokenizers) and not hasattr(tokenizer, "get_vocab"):
            raise TeacherError(
                "Teachers were given with their tokenizers, to be compared with the student's, which is not given: "
                "add processing_class=tokenizer."
            )
        other.differences = tuple(
            () if own is None else tuple(different_tokens(own, tokenizer)) for own in self.tokenizers
        )
        return other

    def name_of(self, index: int) -> str:
        """A teacher in the words of a message."""
        return f"teachers[{index}] ({type(self.models[index]).__name__})"

    def batch_of(self, index: int, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a teacher reads of a batch: the student's tokens, or its own.

        Args:
            index: of the teacher.
            batch: as the collator makes it.

        Returns:
            The batch itself, or the columns of this teacher under their usual names.

        Raises:
            CaptureError: the batch lacks the tokens of a teacher that has its own.
        """
        if not self.differences[index]:
            return batch
        prefix = columns_of(index)
        own = {name.removeprefix(prefix): value for name, value in batch.items() if name.startswith(prefix)}
        if "input_ids" not in own:
            raise CaptureError(
                f"{self.name_of(index)} reads other tokens than the student, for example "
                f"{', '.join(self.differences[index])} (its id and the student's), and the rows have no column "
                f"{prefix}input_ids. Add what its tokenizer makes of each row: "
                f"with_teacher_tokens(rows, its_rows, teacher={index})."
            )
        return own


def columns_of(index: int) -> str:
    """What the columns with a teacher's own tokens begin with."""
    return f"teacher_{index}_"


def resolve_teachers(teacher: AnyTeacher | Sequence[PreTrainedModel], tokenizer: Any) -> AnyTeacher:
    """The teachers beside the student's tokenizer; one that reads the same tokens is the model itself.

    Args:
        teacher: a model, several, or `Teachers`.
        tokenizer: of the student; None: not known.

    Raises:
        TeacherError: as Teachers.
    """
    if isinstance(teacher, Sequence):
        teacher = Teachers(teacher)
    if not isinstance(teacher, Teachers):
        return teacher
    teacher = teacher.beside(tokenizer)
    if len(teacher.models) == 1 and teacher.layer_maps == (None,) and not any(teacher.differences):
        only: Any = teacher.models[0]
        return only  # type: ignore[no-any-return]
    return teacher


def as_teachers(teacher: AnyTeacher | Sequence[PreTrainedModel]) -> Teachers:
    """Any kind of teacher as `Teachers`: one model as a tuple of one."""
    if isinstance(teacher, Teachers):
        return teacher
    return Teachers(teacher if isinstance(teacher, Sequence) else [teacher])


def each_teacher(teacher: Any) -> list[PreTrainedModel]:
    """The models of any kind of teacher."""
    return list(teacher.models) if isinstance(teacher, Teachers) else [teacher]


def shares(weights: Sequence[float]) -> tuple[float, ...]:
    """Weights with the sum 1.

    Raises:
        TeacherError: one of them is not above 0 and finite.
    """
    for index, weight in enumerate(weights):
        # A teacher that is not to count is left out.
        check_number(weight, f"The weight of teachers[{index}]", error=TeacherError)
    return tuple(weight / math.fsum(weights) for weight in weights)
