"""The prediction loss of models that label words: at first pieces alone, whatever stands beside them."""

from __future__ import annotations

import torch
from tiny_models import COMMON, SIZES, batch_of
from torch import Tensor
from transformers import BertConfig, BertForTokenClassification, PreTrainedModel

from tinybert_hf.distillation.batch import Counts, Masks
from tinybert_hf.distillation.objective import Objective

LENGTHS = [9, 2, 5, 7]


def model(layers: int = 2, seed: int = 0, labels: tuple[str, ...] = ("O", "B-a", "I-a")) -> PreTrainedModel:
    torch.manual_seed(seed)
    names = {"id2label": dict(enumerate(labels)), "label2id": {name: i for i, name in enumerate(labels)}}
    shape = {"vocab_size": COMMON["vocab_size"], "initializer_range": 0.3, **SIZES, **names}
    return BertForTokenClassification(BertConfig(num_hidden_layers=layers, **shape)).eval()


def starts_of(batch: dict[str, Tensor]) -> Tensor:
    """Every second real token, the first of a row left out."""
    starts = batch["attention_mask"].clone()
    starts[:, ::2] = 0
    return starts


def loss_of(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    batch: dict[str, Tensor],
    starts: Tensor,
    counts: Counts | None = None,
) -> Tensor:
    objective = Objective.between(student, teacher, losses=("prediction_loss",))
    seen, made = objective.capture_teachers(teacher, batch), objective.capture_student(student, batch)
    masks = Masks(batch["attention_mask"], word_starts=starts)
    return objective.compute(made, seen, masks, {}, counts)["prediction_loss"]


def test_it_is_the_mean_over_first_pieces_of_a_plain_loop() -> None:
    student, teacher, batch = model(), model(4, seed=1), batch_of(LENGTHS)
    starts = starts_of(batch)
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
    ours, theirs = student(**inputs).logits, teacher(**inputs).logits
    each = [
        -(theirs[row, place].softmax(-1) * ours[row, place].log_softmax(-1)).sum()
        for row, length in enumerate(LENGTHS)
        for place in range(1, length, 2)
    ]
    loss = loss_of(student, teacher, batch, starts)
    torch.testing.assert_close(loss, torch.stack(each).mean())
    (gradient,) = torch.autograd.grad(loss, [student.classifier.bias])
    assert gradient.abs().max() > 0
    assert all(parameter.grad is None for parameter in teacher.parameters())
    torch.testing.assert_close(loss_of(student, teacher, batch_of(LENGTHS, padded_to=20),
                                       starts_of(batch_of(LENGTHS, padded_to=20))), loss)  # fmt: skip


def test_parts_of_a_batch_add_up_to_the_whole() -> None:
    """Rows with unequal numbers of words: a mean of means would differ."""
    student, teacher, whole = model(), model(4, seed=1), batch_of(LENGTHS)
    starts = starts_of(whole)
    counts = Counts.of(whole["attention_mask"], None, starts)
    assert counts.word_starts == starts.sum()
    parts = [
        loss_of(student, teacher, {name: value[part] for name, value in whole.items()}, starts[part], counts)
        for part in (slice(0, 1), slice(1, 4))
    ]
    torch.testing.assert_close(torch.stack(parts).sum(), loss_of(student, teacher, whole, starts))


def test_labels_are_matched_by_name() -> None:
    """A teacher with the same labels in another order teaches the same."""
    student, teacher, batch = model(), model(4, seed=1), batch_of(LENGTHS)
    other = model(4, seed=1, labels=("I-a", "O", "B-a"))
    other.load_state_dict(teacher.state_dict())
    order = [2, 0, 1]  # its labels, as places among the first teacher's
    with torch.no_grad():
        other.classifier.weight.copy_(teacher.classifier.weight[order])
        other.classifier.bias.copy_(teacher.classifier.bias[order])
    starts = starts_of(batch)
    expected = loss_of(student, teacher, batch, starts)
    torch.testing.assert_close(loss_of(student, other, batch, starts), expected)


def test_without_the_column_every_real_token_counts() -> None:
    student, teacher, batch = model(), model(4, seed=1), batch_of(LENGTHS)
    objective = Objective.between(student, teacher, losses=("prediction_loss",))
    seen, made = objective.capture_teachers(teacher, batch), objective.capture_student(student, batch)
    everywhere = objective.compute(made, seen, batch["attention_mask"], {})["prediction_loss"]
    torch.testing.assert_close(everywhere, loss_of(student, teacher, batch, batch["attention_mask"]))
