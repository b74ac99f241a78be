"""Several teachers against plain loops; what one of them cannot teach is refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny_models import batch_of, bert
from tiny_seq2seq import student as translating_student
from tiny_seq2seq import teacher as translator
from torch import Tensor, nn
from transformers import BertTokenizer

from tinybert_hf import Teachers, distillation_losses
from tinybert_hf.distillation.batch import Counts, Masks
from tinybert_hf.distillation.losses.prediction import mixed_logits, prediction_loss
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.projections import JointProjections, Projections
from tinybert_hf.distillation.teachers import resolve_teachers
from tinybert_hf.errors import LayerMapError, TeacherError, TinyBertError

LAYERS = ("attention_loss", "hidden_state_loss", "embedding_loss")
KINDS = ("single_label_classification", "multi_label_classification", "regression")


@pytest.mark.parametrize("kind", KINDS)
def test_the_prediction_loss_is_towards_the_mean_of_the_probabilities(kind: str) -> None:
    student, teachers, weights, temperature = (
        torch.randn(4, 3),
        [3 * torch.randn(4, 3) for _ in range(3)],
        (6, 3, 1),
        2,
    )
    found = prediction_loss(
        student, teachers, problem_type=kind, temperature=temperature, teacher_weights=[w / 10 for w in weights]
    )
    total = 0.0
    for row in range(4):
        ours = [float(x) / temperature for x in student[row]]
        for label in range(3):
            aim = 0.0
            for weight, teacher in zip(weights, teachers, strict=True):
                theirs = [float(x) / temperature for x in teacher[row]]
                if kind == "regression":
                    aim += weight / 10 * theirs[label] * temperature
                elif kind == "multi_label_classification":
                    aim += weight / 10 / (1 + math.exp(-theirs[label]))
                else:
                    aim += weight / 10 * math.exp(theirs[label]) / sum(math.exp(x) for x in theirs)
            if kind == "regression":
                total += (float(student[row, label]) - aim) ** 2 / 3
            elif kind == "multi_label_classification":
                ours_says = 1 / (1 + math.exp(-ours[label]))
                total -= (aim * math.log(ours_says) + (1 - aim) * math.log(1 - ours_says)) / 3
            else:
                total -= aim * (ours[label] - math.log(sum(math.exp(x) for x in ours)))
    assert found.item() == pytest.approx(total / 4, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_of_the_mixture_say_its_probabilities(kind: str) -> None:
    first, second = torch.randn(5, 3), torch.randn(5, 3)
    mixed = mixed_logits([first, second], (0.75, 0.25), kind)
    says = {"regression": lambda x: x, "multi_label_classification": torch.sigmoid}.get(kind, lambda x: x.softmax(-1))
    torch.testing.assert_close(says(mixed), 0.75 * says(first) + 0.25 * says(second))
    sure = torch.tensor([[200.0, -200.0, 0.0]])
    assert mixed_logits([sure, sure], (0.5, 0.5), kind).isfinite().all()


def losses_of(student: Any, teachers: Teachers, batch: dict[str, Tensor], losses: Any, maps: Any) -> dict[str, Tensor]:
    objective = Objective.between(student, teachers, losses=losses)
    return objective.compute(
        objective.capture_student(student, batch),
        objective.capture_teachers(teachers, batch),
        Masks(batch["attention_mask"]),
        JointProjections(maps),
        Counts.of(batch["attention_mask"]),
    )


def test_losses_between_layers_are_the_weighted_mean_of_those_towards_each_teacher() -> None:
    student, batch = bert(), batch_of([5, 9, 7])
    models = [bert(layers=4, hidden=32), bert(layers=3, hidden=40)]
    teachers = Teachers(models, [2, 1], layer_maps=[None, "1:3"])
    layers = [(0, 1, 2), (0, 1)]
    maps = [Projections("per_layer", 24, 32, layers[0]), Projections("per_layer", 24, 40, layers[1])]
    found = losses_of(student, teachers, batch, (*LAYERS, "prediction_loss"), maps)
    single = [
        distillation_losses(student, model, batch, layer_map, {layer: own.of_layer(layer) for layer in mapped})
        for model, layer_map, own, mapped in zip(models, ("uniform", "1:3"), maps, layers, strict=True)
    ]
    assert list(found) == [*LAYERS, "prediction_loss"]
    for name in LAYERS:
        expected = 2 / 3 * single[0][name] + 1 / 3 * single[1][name]
        torch.testing.assert_close(found[name], expected)
        assert abs(single[0][name] - single[1][name]) > 0.001
    mean = sum(w * m(**batch).logits.softmax(-1) for w, m in zip((2 / 3, 1 / 3), models, strict=True))
    expected = -(mean * F.log_softmax(student(**batch).logits, -1)).sum(-1).mean()
    torch.testing.assert_close(found["prediction_loss"], expected)


def test_a_teacher_without_layers_leaves_them_to_the_others() -> None:
    student, batch = bert(), batch_of([5, 9])
    deep, flat = bert(layers=4, hidden=32), bert(layers=1, hidden=20, heads=2, initializer_range=0.1)
    own = Projections("per_layer", 24, 32, (0, 1, 2))
    both = [own, Projections("none", 24, 24, ())]
    found = losses_of(student, Teachers([deep, flat], [1, 3], layer_maps=[None, "none"]), batch, LAYERS, both)
    expected = distillation_losses(student, deep, batch, projections={k: own.of_layer(k) for k in (0, 1, 2)})
    for name in LAYERS:
        torch.testing.assert_close(found[name], expected[name])


def test_labels_are_matched_by_name_for_each_teacher() -> None:
    names = {0: "no", 1: "yes", 2: "perhaps"}
    turned = {0: "perhaps", 1: "no", 2: "yes"}
    student, batch = bert(id2label=names), batch_of([5, 9])
    first, second = bert(id2label=names, layers=3), bert(id2label=turned, hidden=32)
    found = losses_of(
        student, Teachers([first, second]), batch, ("prediction_loss",), [Projections("none", 1, 1, ())] * 2
    )
    mean = (first(**batch).logits.softmax(-1) + second(**batch).logits.softmax(-1)[:, [1, 2, 0]]) / 2
    expected = -(mean * F.log_softmax(student(**batch).logits, -1)).sum(-1).mean()
    torch.testing.assert_close(found["prediction_loss"], expected)


def test_one_teacher_alone_is_the_model_itself(tiny_tokenizer: BertTokenizer) -> None:
    model = bert()
    assert resolve_teachers([model], None) is model
    assert resolve_teachers(Teachers([model], [5], tokenizers=[tiny_tokenizer]), tiny_tokenizer) is model
    assert isinstance(resolve_teachers([model, model], None), Teachers)


def other_tokenizer(tokenizer: BertTokenizer) -> BertTokenizer:
    """As many tokens, two of them with each other's ids."""
    vocabulary = dict(tokenizer.get_vocab())
    vocabulary["film"], vocabulary["plot"] = vocabulary["plot"], vocabulary["film"]
    return BertTokenizer(vocab=vocabulary, model_max_length=64)


def test_vocabularies_are_compared_and_not_their_sizes(tiny_tokenizer: BertTokenizer) -> None:
    other = other_tokenizer(tiny_tokenizer)
    assert len(other) == len(tiny_tokenizer)
    teachers = resolve_teachers(Teachers([bert(), bert()], tokenizers=[None, other]), tiny_tokenizer)
    with pytest.raises(TeacherError, match=r"teachers\[1\] \(Bert.*'film' \(8 and 7\).*embedding_loss_weight to 0"):
        Objective.between(bert(), teachers, losses=(*LAYERS, "prediction_loss"))
    Objective.between(bert(), teachers, losses=("prediction_loss", "label_loss"))
    spared = resolve_teachers(
        Teachers([bert(), bert()], layer_maps=[None, "none"], tokenizers=[None, other]), tiny_tokenizer
    )
    Objective.between(bert(), spared, losses=(*LAYERS, "prediction_loss"))
    with pytest.raises(TeacherError, match="processing_class"):
        resolve_teachers(Teachers([bert()], tokenizers=[other]), None)


def test_a_translators_teacher_with_other_tokens_teaches_by_its_translations(tiny_tokenizer: BertTokenizer) -> None:
    teachers = resolve_teachers(
        Teachers([translator("marian")], tokenizers=[other_tokenizer(tiny_tokenizer)]), tiny_tokenizer
    )
    with pytest.raises(TeacherError, match="pseudo-label"):
        Objective.between(translating_student(), teachers, losses=("prediction_loss",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": []}, "list of teachers is empty"),
        ({"weights": [1]}, "2 teachers and 1 weights"),
        ({"weights": [1, 0]}, r"weight of teachers\[1\] is 0"),
        ({"weights": [-2, 1]}, r"weight of teachers\[0\] is -2"),
        ({"weights": [float("nan"), 1]}, r"weight of teachers\[0\] is nan"),
        ({"layer_maps": ["top"]}, "2 teachers and 1 layer maps"),
        ({"tokenizers": []}, "2 teachers and 0 tokenizers"),
    ],
)
def test_teachers_that_are_not_given_rightly(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TeacherError, match=message):
        Teachers(**{"models": [bert(), bert()], **arguments})


@pytest.mark.parametrize(
    ("second", "layer_maps", "kind", "message"),
    [
        (lambda: bert(num_labels=2), None, TeacherError, "different numbers of labels"),
        (lambda: bert(id2label={0: "x", 1: "y", 2: "z"}), None, TeacherError, "different label names"),
        (lambda: translator("marian"), None, TinyBertError, "both must be of one kind"),
        (bert, [None, "1:9"], LayerMapError, "teacher layer 9"),
        (lambda: bert(hidden=35, heads=5), None, TinyBertError, "heads"),
        (bert, ["none", "none"], TeacherError, "nobody to learn from"),
    ],
)
def test_a_teacher_that_does_not_fit_is_named(second: Any, layer_maps: Any, kind: Any, message: str) -> None:
    names = {0: "no", 1: "yes", 2: "perhaps"}
    teachers = Teachers([bert(id2label=names), second()], layer_maps=layer_maps)
    with pytest.raises(kind, match=rf"(?s){'' if 'nobody' in message else 'teachers.1. '}.*{message}"):
        Objective.between(bert(id2label=names), teachers, losses=(*LAYERS, "prediction_loss"))


def test_translators_have_several_teachers_too() -> None:
    from tiny_seq2seq import translation_batch

    student, models, batch = translating_student(), [translator("marian"), translator("m2m100")], translation_batch()
    objective = Objective.between(student, Teachers(models, [1, 3]), losses=("prediction_loss",))
    masks = Masks(batch["attention_mask"], batch["labels"] != -100)
    found = objective.compute(
        objective.capture_student(student, batch),
        objective.capture_teachers(Teachers(models), batch),
        masks,
        JointProjections([Projections("none", 1, 1, ())] * 2),
        Counts.of(masks.source, masks.target),
    )
    each = [
        distillation_losses(student, model, batch, losses=["prediction_loss"])["prediction_loss"] for model in models
    ]
    torch.testing.assert_close(found["prediction_loss"], each[0] / 4 + each[1] * 3 / 4)  # linear in the probabilities


def test_projections_of_other_teachers_are_not_gone_on_with() -> None:
    def one(width: int) -> Projections:
        return Projections("per_layer", 24, width, (0, 1))

    both = JointProjections([one(32), one(40)])
    assert both.same_as(JointProjections([one(32), one(40)]))
    assert not both.same_as(JointProjections([one(40), one(32)]))
    assert not both.same_as(JointProjections([one(32)]))
    assert not both.same_as(one(32))
    assert not one(32).same_as(both)
    assert {name.split(".")[1] for name in both.state_dict()} == {"0", "1"}
    assert not both.is_empty
    assert JointProjections([Projections("none", 1, 1, ())]).is_empty
    assert isinstance(both.each()[0].of_layer(1), nn.Linear)
