from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_models import FAMILIES, UNFIT, batch_of, bert, make
from transformers import EuroBertConfig

from tinybert_hf.distillation import capture, distillation_losses
from tinybert_hf.distillation.capturing import Wanted
from tinybert_hf.errors import CaptureError


@pytest.mark.parametrize("own", ["eager", "sdpa"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_captured_queries_and_keys_give_the_models_own_attention_weights(family: str, own: str) -> None:
    model = make(FAMILIES[family]())
    batch = batch_of([7, 4])
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(**batch, output_attentions=True)
        model.set_attn_implementation(own)
        seen = capture(model, batch, attention_layers=[1, 2, 3, 4], hidden_state_layers=[0, 2, 4])
    masked = (1 - batch["attention_mask"])[:, None, None, :].bool()
    for layer, probabilities in enumerate(expected.attentions, start=1):
        record = seen.attention[layer]
        scores = record.scaling * record.query @ record.key.transpose(-1, -2)
        torch.testing.assert_close(scores.masked_fill(masked, float("-inf")).softmax(-1), probabilities)
    torch.testing.assert_close(seen.logits, expected.logits)
    assert model.config._attn_implementation == own


def test_a_scaling_of_the_models_own_is_kept() -> None:
    model, batch = bert(layers=1), batch_of([7, 4])
    model.bert.encoder.layer[0].attention.self.scaling = 0.05
    record = capture(model, batch, attention_layers=[1]).attention[1]
    model.set_attn_implementation("eager")
    expected = model(**batch, output_attentions=True).attentions[0][0]
    torch.testing.assert_close((record.scaling * record.query @ record.key.transpose(-1, -2))[0].softmax(-1), expected)


def test_one_key_head_for_several_query_heads() -> None:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2}
    tokens = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "mask_token_id": 4}
    model = make(
        EuroBertConfig(vocab_size=60, num_labels=3, num_hidden_layers=2, initializer_range=0.3, **sizes, **tokens)
    )
    batch = batch_of([7])
    records = capture(model, batch, attention_layers=[1, 2]).attention
    model.set_attn_implementation("eager")
    for layer, probabilities in enumerate(model(**batch, output_attentions=True).attentions, start=1):
        record = records[layer]
        assert record.key.shape == record.query.shape
        scores = record.scaling * record.query @ record.key.transpose(-1, -2)
        torch.testing.assert_close(scores.softmax(-1), probabilities)


@pytest.mark.parametrize("own", ["eager", "sdpa"])
def test_recording_changes_no_output_and_no_gradient(own: str) -> None:
    model, batch = bert(), batch_of([7, 4])
    model.set_attn_implementation(own)
    plain = model(**batch, output_hidden_states=True)
    plain.logits.sum().backward()
    gradients = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    seen = capture(model, batch, attention_layers=[1, 2], hidden_state_layers=[0, 1, 2])
    seen.logits.sum().backward()
    assert torch.equal(plain.logits, seen.logits)
    for layer in range(3):
        assert torch.equal(plain.hidden_states[layer], seen.hidden_states[layer])
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))


def test_only_the_asked_for_layers_are_kept() -> None:
    seen = capture(bert(), batch_of([5]), attention_layers=[2], hidden_state_layers=[1])
    assert set(seen.attention) == {2}
    assert set(seen.hidden_states) == {1}


@pytest.mark.parametrize("family", sorted(UNFIT))
def test_a_model_that_cannot_be_captured_is_named_with_what_still_works(family: str) -> None:
    student, teacher, batch = bert(), make(UNFIT[family]()), batch_of([7, 7])
    with pytest.raises(CaptureError) as error:
        distillation_losses(student, teacher, batch, losses=["attention_loss"], layer_map="1:1")
    assert type(teacher).__name__.split("For")[0] in str(error.value)
    assert "attention loss weight to 0" in str(error.value)


def test_after_an_error_the_model_is_as_it_was() -> None:
    student, batch = bert(), batch_of([5])
    batch["input_ids"][0, 0] = 10_000
    with pytest.raises(IndexError):
        capture(student, batch, attention_layers=[1])
    assert student.config._attn_implementation == "sdpa"
    assert capture(student, batch_of([5]), attention_layers=[1]).attention


def test_reentrant_checkpointing_is_refused_and_the_default_kind_gives_the_same_gradients() -> None:
    teacher, batch = bert(layers=4, hidden=32), batch_of([7, 4])
    projection = torch.nn.Linear(24, 32)

    def gradients(**checkpointing: object) -> list[torch.Tensor]:
        student = bert().train()
        if checkpointing:
            student.activation_checkpointing_enable(activation_checkpointing_kwargs=checkpointing)
        losses = distillation_losses(student, teacher, batch, projections=projection)
        return list(torch.autograd.grad(sum(losses.values()), list(student.parameters())))

    for plain, checkpointed in zip(gradients(), gradients(use_reentrant=False), strict=True):
        torch.testing.assert_close(plain, checkpointed)
    with pytest.raises(CaptureError, match="use_reentrant"):
        gradients(use_reentrant=True)


def test_a_causal_model_is_refused() -> None:
    from transformers import GPT2Config

    teacher = make(GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=4, num_labels=3, pad_token_id=1))
    with pytest.raises(CaptureError, match="causal"):
        distillation_losses(bert(), teacher, batch_of([5, 5]), losses=["attention_loss"])


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_without_an_answer_no_later_layer_runs_and_the_earlier_ones_give_the_same(family: str) -> None:
    model, batch = make(FAMILIES[family]()), batch_of([7, 4])
    wanted = Wanted(attention=(1, 2), hidden_states=(0, 2))
    ran: list[int] = []
    layers = model.base_model.transformer.layer if family == "distilbert" else model.base_model.encoder.layer
    for number, layer in enumerate(layers, 1):
        layer.register_forward_hook(lambda *_, number=number: ran.append(number))
    with torch.no_grad():
        whole = capture(model, batch, wanted=wanted)
        assert ran == [1, 2, 3, 4]
        short = capture(model, batch, wanted=replace(wanted, answer=False))
        assert ran == [1, 2, 3, 4, 1, 2]
        torch.testing.assert_close(model(**batch).logits, whole.logits)  # the model is whole again
    assert short.logits is None
    for layer in (0, 2):
        torch.testing.assert_close(short.hidden_states[layer], whole.hidden_states[layer], rtol=0, atol=0)
    for layer in (1, 2):
        torch.testing.assert_close(short.attention[layer].query, whole.attention[layer].query, rtol=0, atol=0)
        torch.testing.assert_close(short.attention[layer].key, whole.attention[layer].key, rtol=0, atol=0)


def test_a_model_is_whole_again_after_a_forward_that_failed() -> None:
    model = bert(layers=3)
    with pytest.raises(AttributeError), torch.no_grad():
        capture(model, {"input_ids": "no tensor"}, wanted=Wanted(hidden_states=(1,), answer=False))  # type: ignore[dict-item]
    assert len(model.bert.encoder.layer) == 3


def test_a_model_that_is_built_otherwise_runs_whole() -> None:
    model, batch = make(FAMILIES["albert"]()), batch_of([7, 4])
    wanted = Wanted(hidden_states=(0, 2))
    with torch.no_grad():
        whole, short = (
            capture(model, batch, wanted=wanted),
            capture(model, batch, wanted=replace(wanted, answer=False)),
        )
    torch.testing.assert_close(short.hidden_states[2], whole.hidden_states[2])
