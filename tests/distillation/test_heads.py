"""A teacher's head that reads a student's states through a linear map; the oracle is the teacher's own forward."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import FAMILIES, batch_of
from torch import Tensor
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    PreTrainedModel,
)

from tinybert_hf import (
    TinyBertConfig,
    TinyBertForQuestionAnswering,
    TinyBertForSequenceClassification,
    TinyBertForTokenClassification,
    TinyBertModel,
)
from tinybert_hf.distillation.architecture import head_of
from tinybert_hf.distillation.heads import AffineMap, HeadToTake

KINDS: dict[str, Any] = {
    "texts": (AutoModelForSequenceClassification, TinyBertForSequenceClassification),
    "words": (AutoModelForTokenClassification, TinyBertForTokenClassification),
    "answers": (AutoModelForQuestionAnswering, TinyBertForQuestionAnswering),
}
BATCH = batch_of([9, 12, 7] * 40)


def teacher_of(kind: str, family: str, **more: Any) -> PreTrainedModel:
    config = FAMILIES[family]()
    if kind == "answers":
        config.num_labels = 2
    for name, value in more.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    model: PreTrainedModel = KINDS[kind][0].from_config(config)
    for parameter in model.parameters():  # biases count, too
        if parameter.dim() == 1 and parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def student_of(kind: str, width: int = 32, **more: Any) -> PreTrainedModel:
    torch.manual_seed(1)
    shape = {"hidden_size": width, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    model: PreTrainedModel = KINDS[kind][1](TinyBertConfig(vocab_size=60, **{"num_labels": 3, **shape, **more}))
    return model.eval()


def seen(model: PreTrainedModel) -> tuple[Tensor, Tensor]:
    """Last hidden states (B, L, H), and logits."""
    with torch.no_grad():
        output = model(**BATCH, output_hidden_states=True)
    logits = output.get("logits")
    if logits is None:
        logits = torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output.hidden_states[-1], logits


def taken(student: PreTrainedModel, teacher: PreTrainedModel, read: AffineMap) -> bool:
    states, _ = seen(teacher)
    head = HeadToTake.between(student, teacher, states[:, 0])
    if head is None:
        return False
    for layer, state in head.weights_for(student, read).items():
        layer.load_state_dict(state)
    return True


def mapped(student: int, teacher: int) -> AffineMap:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(teacher, student, generator=generator, dtype=torch.double) * student**-0.5
    return AffineMap(weight, torch.randn(teacher, generator=generator, dtype=torch.double))


def read_by(student: PreTrainedModel, states: Tensor) -> Tensor:
    """The student's head on its states, by the layers' own arithmetic."""
    head = head_of(student)
    assert head is not None
    with torch.no_grad():
        if head.dense is None:
            return head.last(states)
        return head.last(torch.tanh(head.dense(states)))


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_known_head_is_what_the_model_computes(kind: str, family: str) -> None:
    teacher = teacher_of(kind, family)
    states, logits = seen(teacher)
    head = head_of(teacher)
    assert head is not None
    with torch.no_grad():
        torch.testing.assert_close(head(states if head.reads_every_token else states[:, 0]), logits)


def test_the_published_classifier_is_known_too() -> None:
    student = student_of("texts", classifier_activation="relu")
    states, logits = seen(student)
    head = head_of(student)
    assert head is not None
    with torch.no_grad():
        torch.testing.assert_close(head(states[:, 0]), logits)


@pytest.mark.parametrize(
    ("kind", "family"),
    [(kind, family) for kind in KINDS for family in ("bert", "roberta", "electra", "distilbert")
     if kind != "texts" or family in ("bert", "roberta")],
)  # fmt: skip
def test_a_head_that_has_room_answers_as_the_teachers_does(kind: str, family: str) -> None:
    """Where the map gives exactly the teacher's states, the logits are the teacher's."""
    teacher, student = teacher_of(kind, family), student_of(kind)
    read = mapped(32, 32)
    assert taken(student, teacher, read)
    states, logits = seen(teacher)
    wanted = states if kind != "texts" else states[:, 0]
    own = torch.linalg.solve(read.weight, (wanted.double() - read.bias).unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(read_by(student, own.float()), logits, rtol=1e-3, atol=1e-3)


def test_without_room_for_all_units_the_others_are_constants() -> None:
    """Of 32 units of the teacher a student of width 20 takes those that move the logits most."""
    teacher, student = teacher_of("texts", "bert"), student_of("texts", width=20)
    read = mapped(20, 32)
    assert taken(student, teacher, read)
    states, _ = seen(teacher)
    own = torch.randn(5, 20, generator=torch.Generator().manual_seed(4))
    dense, last = teacher.bert.pooler.dense, teacher.classifier
    with torch.no_grad():
        on_rows = torch.tanh(dense(states[:, 0]))
        units = torch.tanh(dense((own.double() @ read.weight.T + read.bias).float()))
        moved = [float(on_rows[:, i].var() * last.weight[:, i].square().sum()) for i in range(32)]
        least = sorted(range(32), key=lambda i: moved[i])[:12]
        for i in least:
            units[:, i] = on_rows[:, i].mean()
        torch.testing.assert_close(read_by(student, own), last(units), rtol=1e-4, atol=1e-4)


def test_a_wider_student_leaves_units_without_effect() -> None:
    teacher, student = teacher_of("texts", "bert"), student_of("texts", width=40)
    read = mapped(40, 32)
    assert taken(student, teacher, read)
    own = torch.randn(5, 40, generator=torch.Generator().manual_seed(4))
    head = head_of(teacher)
    assert head is not None
    with torch.no_grad():
        wanted = head((own.double() @ read.weight.T + read.bias).float())
        torch.testing.assert_close(read_by(student, own), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["electra", "distilbert"])
def test_units_of_another_form_are_weighed_anew(family: str) -> None:
    """A student has tanh where these teachers have gelu or relu: the last layer is solved on the rows."""
    teacher, student = teacher_of("texts", family), student_of("texts")
    identity = AffineMap(torch.eye(32, dtype=torch.double), torch.zeros(32, dtype=torch.double))
    before, (states, logits) = read_by(student, seen(teacher)[0][:, 0]), seen(teacher)
    assert taken(student, teacher, identity)
    error = (read_by(student, states[:, 0]) - logits).square().mean()
    assert error < 0.1 * logits.var(0).mean()
    assert error < 0.1 * (before - logits).square().mean()


def test_no_random_number_is_drawn() -> None:
    teacher, student = teacher_of("texts", "distilbert"), student_of("texts")
    identity = AffineMap(torch.eye(32, dtype=torch.double), torch.zeros(32, dtype=torch.double))
    before = torch.get_rng_state()
    assert taken(student, teacher, identity)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_labels_come_in_the_students_order() -> None:
    names = {0: "a", 1: "b", 2: "c"}
    teacher = teacher_of("texts", "bert", id2label=names, label2id={name: i for i, name in names.items()})
    student = student_of("texts", id2label={0: "c", 1: "a", 2: "b"}, label2id={"c": 0, "a": 1, "b": 2})
    identity = AffineMap(torch.eye(32, dtype=torch.double), torch.zeros(32, dtype=torch.double))
    assert taken(student, teacher, identity)
    states, logits = seen(teacher)
    torch.testing.assert_close(read_by(student, states[:, 0]), logits[:, [2, 0, 1]], rtol=1e-4, atol=1e-4)


def test_heads_that_answer_otherwise_are_not_taken() -> None:
    identity = AffineMap(torch.eye(32, dtype=torch.double), torch.zeros(32, dtype=torch.double))
    for kind, student in (
        ("texts", student_of("words")),
        ("words", student_of("texts")),
        ("words", student_of("answers")),
    ):
        assert not taken(student, teacher_of(kind, "bert"), identity), kind
    assert not taken(student_of("answers"), teacher_of("words", "bert", num_labels=2), identity)
    assert not taken(student_of("words", num_labels=2), teacher_of("answers", "bert"), identity)
    assert not taken(student_of("texts", num_labels=2), teacher_of("texts", "bert"), identity)
    names = {"id2label": {0: "x", 1: "y", 2: "z"}, "label2id": {"x": 0, "y": 1, "z": 2}}
    named = {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}}
    assert not taken(student_of("texts", **named), teacher_of("texts", "bert", **names), identity)
    torch.manual_seed(0)
    base = TinyBertModel(TinyBertConfig(vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=4))
    assert head_of(base) is None
