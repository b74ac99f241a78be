from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import batch_of, bert
from torch import nn
from transformers import BertForMaskedLM

from tinybert_hf.distillation import Projections, distillation_losses, label_order, load_teacher
from tinybert_hf.distillation.losses import ENCODER_LOSSES, LOSSES, prediction_loss, span_prediction_loss
from tinybert_hf.errors import CaptureError, LayerMapError, TeacherError


def test_every_way_of_giving_projections_and_maps() -> None:
    student, teacher, batch = bert(), bert(layers=4, hidden=32), batch_of([5, 3])
    shared = nn.Linear(24, 32)
    losses = distillation_losses(student, teacher, batch, projections=shared)
    assert set(losses) == {*(name for name in ENCODER_LOSSES if LOSSES[name].phases), "prediction_loss"}
    for other in ([shared] * 3, nn.ModuleList([shared] * 3), {0: shared, 1: shared, 2: shared}):
        assert torch.equal(
            distillation_losses(student, teacher, batch, projections=other)["hidden_state_loss"],
            losses["hidden_state_loss"],
        )
    per_layer = Projections("per_layer", 24, 32, (0, 1, 2))
    assert distillation_losses(student, teacher, batch, [2, 4], per_layer).keys() == losses.keys()
    by_layer = {layer: per_layer.of_layer(layer) for layer in (0, 1, 2)}
    assert len({id(projection) for projection in by_layer.values()}) == 3
    torch.testing.assert_close(
        distillation_losses(student, teacher, batch, projections=per_layer),
        distillation_losses(student, teacher, batch, projections=by_layer),
    )
    assert torch.equal(
        distillation_losses(student, teacher, batch, "1:2,2:4", shared)["attention_loss"], losses["attention_loss"]
    )
    one = distillation_losses(student, teacher, batch, {2: 4}, shared)["hidden_state_loss"]
    rest = distillation_losses(student, teacher, batch, {1: 2}, shared)["hidden_state_loss"]
    torch.testing.assert_close(one + rest, losses["hidden_state_loss"])
    with pytest.raises(LayerMapError, match="2 projections were given for 3 layers"):
        distillation_losses(student, teacher, batch, projections=[shared, shared])


def test_attention_has_a_map_of_its_own() -> None:
    student, teacher, batch = bert(), bert(layers=4, hidden=32), batch_of([5, 3])
    options = {"projections": nn.Linear(24, 32)}
    both = distillation_losses(student, teacher, batch, "top", attention_layer_map="bottom", **options)
    top = distillation_losses(student, teacher, batch, "top", **options)
    bottom = distillation_losses(student, teacher, batch, "bottom", **options)
    assert torch.equal(both["attention_loss"], bottom["attention_loss"])
    assert torch.equal(both["hidden_state_loss"], top["hidden_state_loss"])
    assert not torch.equal(top["attention_loss"], bottom["attention_loss"])


def test_models_are_left_as_they_were_found() -> None:
    student, teacher = (
        bert(hidden_dropout_prob=0.1).train(),
        bert(layers=4, hidden=24, hidden_dropout_prob=0.1).train(),
    )
    teacher.bert.embeddings.eval()
    modes = [m.training for m in teacher.modules()]
    before = torch.random.get_rng_state()
    distillation_losses(student.eval(), teacher, batch_of([5, 3]))
    assert torch.equal(before, torch.random.get_rng_state()), "the teacher ran with dropout"
    assert [m.training for m in teacher.modules()] == modes
    assert all(p.requires_grad for p in teacher.parameters())
    assert student.config._attn_implementation == teacher.config._attn_implementation == "sdpa"


def test_what_does_not_fit_is_refused_with_what_to_do() -> None:
    batch = batch_of([5, 3])
    with pytest.raises(CaptureError, match="neither divides the other"):
        distillation_losses(bert(heads=4), bert(hidden=30, heads=6), batch)
    with pytest.raises(CaptureError, match="give a projection"):
        distillation_losses(bert(), bert(hidden=32), batch)
    with pytest.raises(CaptureError, match=r"use nn.Linear\(24, 32\)"):
        distillation_losses(bert(), bert(hidden=32), batch, projections=nn.Linear(32, 24))
    with pytest.raises(LayerMapError, match="no deeper"):
        distillation_losses(bert(layers=3), bert(layers=2), batch)
    with pytest.raises(CaptureError, match="Unknown loss 'hidden_loss'"):
        distillation_losses(bert(), bert(), batch, losses=["hidden_loss"])
    with pytest.raises(CaptureError, match="temperature"):
        distillation_losses(bert(), bert(), batch, temperature=0)
    for temperature in (1e-40, 1e-5, 1e7, 1e300):
        with pytest.raises(CaptureError, match=r"must be from 0\.0001 to 1e"):
            distillation_losses(bert(), bert(), batch, temperature=temperature)
        with pytest.raises(CaptureError, match=r"must be from 0\.0001 to 1e"):
            prediction_loss(torch.zeros(1, 2), torch.zeros(1, 2), temperature=temperature)
        with pytest.raises(CaptureError, match=r"must be from 0\.0001 to 1e"):
            span_prediction_loss(*[torch.zeros(1, 2, 2)] * 2, torch.ones(1, 2), temperature=temperature)
    for temperature in (1e-4, 1e6):
        loss = prediction_loss(torch.tensor([[3.0, -3.0]]), torch.tensor([[3.0, -3.0]]), temperature=temperature)
        assert loss.isfinite()
    for temperature in (float("inf"), float("nan"), -1.0):
        with pytest.raises(CaptureError, match=f"The temperature is {temperature}; it must be above 0"):
            distillation_losses(bert(), bert(), batch, temperature=temperature)
        with pytest.raises(CaptureError, match="The temperature"):
            prediction_loss(torch.zeros(1, 2), torch.zeros(1, 2), temperature=temperature)
        with pytest.raises(CaptureError, match="The temperature"):
            span_prediction_loss(*[torch.zeros(1, 2, 2)] * 2, torch.ones(1, 2), temperature=temperature)
    with pytest.raises(CaptureError, match="no head"):
        distillation_losses(bert().bert, bert().bert, batch)
    headless = distillation_losses(bert().bert, bert().bert, batch, losses=["attention_loss", "hidden_state_loss"])
    assert sum(headless.values()).item() < 1e-9


def test_a_map_is_resolved_where_a_loss_goes_by_it() -> None:
    """A student that is deeper than its teacher, in width and heads that fit nowhere either."""
    batch, deep = batch_of([5, 3]), bert(layers=5, hidden=24, heads=4)
    teacher = bert(layers=2, hidden=30, heads=6)
    losses = distillation_losses(deep, teacher, batch, losses=["prediction_loss"])
    assert losses.keys() == {"prediction_loss"}
    teacher = bert(layers=2)
    maps = {"layer_map": "1:1,5:2", "attention_layer_map": "uniform"}
    assert distillation_losses(deep, teacher, batch, losses=["hidden_state_loss"], **maps)["hidden_state_loss"] > 0
    maps = {"layer_map": "uniform", "attention_layer_map": "1:1,5:2"}
    assert distillation_losses(deep, teacher, batch, losses=["attention_loss"], **maps)["attention_loss"] > 0
    for maps in ({"layer_map": "uniform"}, {"layer_map": "1:9"}):
        with pytest.raises(LayerMapError):
            distillation_losses(deep, teacher, batch, losses=["hidden_state_loss"], **maps)


@pytest.mark.parametrize(
    ("maps", "left"),
    [
        ({"layer_map": "none"}, {"prediction_loss"}),
        ({"layer_map": "none", "attention_layer_map": "1:2"}, {"attention_loss", "prediction_loss"}),
        ({"attention_layer_map": "None"}, {"hidden_state_loss", "embedding_loss", "prediction_loss"}),
    ],
)
def test_none_is_no_loss_between_layers(maps: dict[str, str], left: set[str]) -> None:
    student, teacher, batch = bert(), bert(layers=4), batch_of([5, 3])
    found, plain = (distillation_losses(student, teacher, batch, **one) for one in (maps, {"layer_map": [2, 4]}))
    assert found.keys() == left
    assert found["prediction_loss"] == plain["prediction_loss"]
    for name in plain.keys() - left:
        with pytest.raises(LayerMapError, match=f'layer_map is "none".*{name}'):
            distillation_losses(student, teacher, batch, losses=[name], **maps)


def test_labels_are_matched_by_name() -> None:
    student, teacher = bert(), bert(layers=4)
    student.config.id2label = {0: "entailment", 1: "neutral", 2: "contradiction"}
    teacher.config.id2label = {0: "CONTRADICTION", 1: "ENTAILMENT", 2: "NEUTRAL"}
    assert label_order(student.config, teacher.config) == [1, 2, 0]
    batch = batch_of([5, 3])
    permuted = distillation_losses(student, teacher, batch)["prediction_loss"]
    logits, wanted = student(**batch).logits, teacher(**batch).logits[:, [1, 2, 0]]
    expected = -(wanted.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
    torch.testing.assert_close(permuted, expected)


def test_labels_that_cannot_be_matched_are_both_printed() -> None:
    student, teacher = bert(), bert(layers=4)
    student.config.id2label = {0: "good", 1: "bad", 2: "so-so"}
    assert label_order(student.config, teacher.config) == [0, 1, 2]  # LABEL_0 ... say nothing
    teacher.config.id2label = {0: "positive", 1: "negative", 2: "neutral"}
    with pytest.raises(TeacherError) as error:
        distillation_losses(student, teacher, batch_of([5]))
    assert "good, bad, so-so" in str(error.value)
    assert "positive, negative, neutral" in str(error.value)
    teacher.config.id2label = {0: "good", 1: "bad"}
    with pytest.raises(TeacherError, match="different numbers of labels"):
        label_order(student.config, teacher.config)


SINGLE, MULTI, REGRESSION = "single_label_classification", "multi_label_classification", "regression"


@pytest.mark.parametrize("student", [(SINGLE, 3), (MULTI, 3), (REGRESSION, 3), (None, 3), (MULTI, 1), (None, 1)])
@pytest.mark.parametrize("teacher", [(SINGLE, 3), (MULTI, 3), (REGRESSION, 3), (None, 3), (MULTI, 1), (None, 1)])
def test_a_teacher_of_another_problem_type_is_refused(student: Any, teacher: Any) -> None:
    """The same logits would mean other things; where none is set, transformers' rule says which it is."""
    meant = [problem or (REGRESSION if labels == 1 else SINGLE) for problem, labels in (student, teacher)]
    one, other = (bert(problem_type=problem, num_labels=labels) for problem, labels in (student, teacher))
    if meant[0] == meant[1] and student[1] == teacher[1]:
        assert label_order(one.config, other.config) == list(range(student[1]))
        return
    with pytest.raises(TeacherError) as error:
        distillation_losses(one, other, batch_of([5]))
    if meant[0] != meant[1]:
        assert f"student: {meant[0]}" in str(error.value)
        assert f"teacher: {meant[1]}" in str(error.value)
        assert ("write it there" in str(error.value)) == (None in (student[0], teacher[0]))
    # Where no logits are compared, they may mean anything.
    assert distillation_losses(one, other, batch_of([5]), losses=["attention_loss"])


def test_least_squares_finds_the_projection_that_is_there() -> None:
    states = {layer: torch.randn(500, 8) for layer in (0, 1)}
    hidden = nn.Linear(8, 12)
    with torch.no_grad():
        targets = {layer: hidden(x) for layer, x in states.items()}
    for mode in ("per_layer", "shared"):
        projections = Projections(mode, 8, 12, (0, 1))
        projections.fit(states, targets, ridge=1e-9)
        torch.testing.assert_close(projections.of_layer(1).weight, hidden.weight, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(projections.of_layer(0).bias, hidden.bias, rtol=1e-4, atol=1e-4)
    with pytest.raises(LayerMapError, match="needs equal widths"):
        Projections("none", 8, 12, (0, 1))
    with pytest.raises(LayerMapError, match="Unknown projection"):
        Projections("both", 8, 12, (0, 1))


def test_a_teacher_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    bert(layers=2).save_pretrained(tmp_path)
    with pytest.raises(TeacherError, match="comes without a tokenizer"):
        load_teacher(str(tmp_path))


def test_masked_language_models_compare_their_whole_vocabulary() -> None:
    """Their configurations have labels too, usually two, which their logits are not of."""
    student, teacher = (BertForMaskedLM(bert(layers=layers, num_labels=2).config).eval() for layers in (2, 4))
    batch = batch_of([5, 3])
    found = distillation_losses(student, teacher, batch, losses=["prediction_loss"])["prediction_loss"]
    ours, theirs = (model(**batch).logits[batch["attention_mask"].bool()] for model in (student, teacher))
    torch.testing.assert_close(found, -(theirs.softmax(-1) * ours.log_softmax(-1)).sum(-1).mean())
