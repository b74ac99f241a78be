"""What is captured of translators: the attention weights that they compute themselves, and nothing changed by it."""

from __future__ import annotations

import pytest
import torch
from tiny_seq2seq import FAMILIES, decoder_inputs, student, teacher, translation_batch
from torch import Tensor
from transformers import PreTrainedModel

from tinybert_hf.distillation import AttentionRecord, capture, distillation_losses
from tinybert_hf.distillation.capturing import Capture, Wanted, model_inputs

EVERYTHING = Wanted(
    attention=(1, 2),
    hidden_states=(0, 2),
    decoder_attention=(1, 2),
    cross_attention=(1, 2),
    decoder_hidden_states=(0, 1, 2),
)


def model_of(family: str) -> PreTrainedModel:
    return student() if family == "tinybert" else teacher(family)


def seen_of(model: PreTrainedModel, wanted: Wanted = EVERYTHING) -> Capture:
    return capture(model, model_inputs(model, translation_batch()), wanted=wanted)


def weights_of(record: AttentionRecord, hidden: Tensor) -> Tensor:
    """The softmax of a record's scores, without what is hidden (B, 1, Q or 1, K)."""
    scores = record.scaling * record.query @ record.key.transpose(-1, -2)
    return scores.masked_fill(hidden, float("-inf")).softmax(-1)


@pytest.mark.parametrize("own", ["eager", "sdpa"])
@pytest.mark.parametrize("family", [*sorted(FAMILIES), "tinybert"])
def test_captured_queries_and_keys_give_the_models_own_attention_weights(family: str, own: str) -> None:
    model, batch = model_of(family), translation_batch()
    labels = batch.pop("labels")
    model.set_attn_implementation("eager")
    with torch.no_grad():
        expected = model(
            **batch,
            decoder_input_ids=decoder_inputs(family, labels),
            output_attentions=True,
            output_hidden_states=True,
            use_cache=False,
        )
        model.set_attn_implementation(own)
        seen = seen_of(model)
    padding = batch["attention_mask"][:, None, None] == 0
    later = torch.ones(labels.shape[1], labels.shape[1]).triu(1).bool()
    for records, weights, hidden in (
        (seen.attention, expected.encoder_attentions, padding),
        (seen.decoder_attention, expected.decoder_attentions, later),
        (seen.cross_attention, expected.cross_attentions, padding),
    ):
        assert set(records) == {1, 2}
        for layer, record in records.items():
            torch.testing.assert_close(weights_of(record, hidden), weights[layer - 1], rtol=1e-4, atol=1e-5)
    assert set(seen.hidden_states) == {0, 2}
    for states, theirs in (
        (seen.hidden_states, expected.encoder_hidden_states),
        (seen.decoder_hidden_states, expected.decoder_hidden_states),
    ):
        for layer, state in states.items():
            torch.testing.assert_close(state, theirs[layer], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(seen.logits, expected.logits, rtol=1e-4, atol=1e-3)
    assert model.config._attn_implementation == own


@pytest.mark.parametrize("family", [*sorted(FAMILIES), "tinybert"])
def test_recording_changes_no_output_and_no_gradient(family: str) -> None:
    model = model_of(family)
    inputs = model_inputs(model, translation_batch())
    plain = model(**inputs, use_cache=False)
    plain.logits.sum().backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    seen = seen_of(model)
    seen.logits.sum().backward()
    assert torch.equal(plain.logits, seen.logits)
    for name, gradient in gradients.items():
        assert torch.equal(model.get_parameter(name).grad, gradient), name


def test_only_the_asked_for_layers_are_kept() -> None:
    seen = seen_of(student(), Wanted(cross_attention=(2,), decoder_hidden_states=(1,)))
    assert (set(seen.cross_attention), set(seen.decoder_hidden_states)) == ({2}, {1})
    assert not seen.attention
    assert not seen.decoder_attention
    assert not seen.hidden_states


def test_encoder_without_decoder_is_captured_as_an_encoder() -> None:
    model, batch = student(), translation_batch()
    encoder = model.get_encoder()
    source = {"input_ids": batch["input_ids"], "attention_mask": batch["attention_mask"]}
    alone = capture(encoder, source, attention_layers=[2], hidden_state_layers=[1])
    whole = seen_of(model, Wanted(attention=(2,), hidden_states=(1,)))
    torch.testing.assert_close(alone.attention[2].query, whole.attention[2].query)
    torch.testing.assert_close(alone.hidden_states[1], whole.hidden_states[1])


def test_activation_checkpointing_of_both_halves_gives_the_same_gradients() -> None:
    other, batch = teacher("marian"), translation_batch()
    maps = {"projections": torch.nn.Linear(24, 32), "decoder_projections": torch.nn.Linear(16, 32)}

    def gradients(checkpointing: bool) -> list[Tensor]:
        model = student().train()
        if checkpointing:
            model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": False})
        losses = distillation_losses(model, other, batch, **maps)
        return list(torch.autograd.grad(sum(losses.values()), list(model.parameters())))

    for plain, checkpointed in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(plain, checkpointed)
