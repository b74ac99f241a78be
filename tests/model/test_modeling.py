"""The models themselves: BERT's outputs from BERT's weights, masks, labels, and what transformers asks of a model."""

import copy

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertModel

from tinybert_hf.model import TinyBertForMaskedLM, TinyBertForSequenceClassification, TinyBertModel


def _bert_config(config, **overrides):
    shared = {key: value for key, value in config.to_dict().items() if key != "model_type"}
    return BertConfig(**{**shared, **overrides})


def _logits(outputs):
    return {key: value for key, value in outputs.items() if key.endswith("logits")}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_encoder_equals_bert(attention, tiny_config, heads):
    config = tiny_config(attn_implementation=attention)
    model = TinyBertModel(config).eval()
    bert = BertModel(_bert_config(config, attn_implementation="eager")).eval()
    bert.load_state_dict(model.state_dict())
    inputs = heads[0].inputs()
    ours, theirs = model(**inputs), bert(**inputs)
    torch.testing.assert_close(ours.last_hidden_state, theirs.last_hidden_state, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.pooler_output, theirs.pooler_output, rtol=0, atol=1e-5)
    assert ours.last_hidden_state.std() > 0.5


def test_head_equals_bert(head, tiny_config):
    config = tiny_config(num_labels=2 if head.name == "QuestionAnswering" else 4)
    model = head.tinybert(config).eval()
    bert = head.bert(_bert_config(config)).eval()
    weights = model.state_dict()
    bert.load_state_dict({key.replace("tinybert.", "bert.").removeprefix("choice_"): weights[key] for key in weights})
    batch = head.batch()
    ours, theirs = model(**batch), bert(**batch)
    assert set(ours.keys()) == set(theirs.keys())
    for key in theirs:
        torch.testing.assert_close(ours[key], theirs[key], rtol=0, atol=1e-5)


def test_padding_changes_nothing(head, tiny_config):
    model = head.tinybert(tiny_config(num_labels=4)).eval()
    inputs = head.inputs()
    padding = head.inputs(length=5)
    padding["attention_mask"][:] = 0
    padded = {key: torch.cat([inputs[key], padding[key]], dim=-1) for key in inputs}
    real = inputs["attention_mask"].bool()
    before, after = _logits(model(**inputs)), _logits(model(**padded))
    for key, logits in before.items():
        if logits.shape[: real.dim()] == real.shape:
            torch.testing.assert_close(logits[real], after[key][:, : real.shape[-1]][real], rtol=0, atol=1e-5)
        else:
            torch.testing.assert_close(logits, after[key], rtol=0, atol=1e-5)


def test_loss_depends_on_the_labels(head, tiny_config):
    model = head.tinybert(tiny_config(num_labels=4)).eval()
    batch = head.batch()
    loss = model(**batch).loss
    for name in head.labels():
        other = batch[name].clone()
        other[0] = torch.where(other[0] == 0, 1, 0).where(other[0] != -100, -100)
        assert not torch.isclose(loss, model(**{**batch, name: other}).loss)
    assert model(**head.inputs()).loss is None


def test_tuple_and_word_vectors_give_the_same(head, tiny_config):
    model = head.tinybert(tiny_config(num_labels=4)).eval()
    batch = head.batch()
    expected = model(**batch)
    assert torch.equal(model(**batch, return_dict=False)[1], expected[1])
    vectors = model.get_input_embeddings()(batch.pop("input_ids"))
    torch.testing.assert_close(model(inputs_embeds=vectors, **batch).loss, expected.loss)


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification", "regression", "one"])
@pytest.mark.parametrize("stated", [True, False])
def test_sequence_loss_is_the_formula(problem, stated, tiny_config, heads):
    count = 1 if problem == "one" else 4
    labels = {
        "single_label_classification": torch.randint(0, 4, (8,)),
        "multi_label_classification": torch.randint(0, 2, (8, 4)).float(),
        "regression": torch.randn(8, 4),
        "one": torch.randn(8),
    }[problem]
    problem_type = "regression" if problem == "one" else problem
    # Numbers for several labels cannot be told from 0/1 labels: regression on them must be stated.
    stated = stated or problem == "regression"
    config = tiny_config(num_labels=count, problem_type=problem_type if stated else None)
    model = TinyBertForSequenceClassification(config).eval()
    outputs = model(**heads[1].inputs(), labels=labels)
    logits = outputs.logits.double()
    if problem_type == "single_label_classification":
        expected = torch.stack(
            [row.logsumexp(0) - row[label] for row, label in zip(logits, labels, strict=True)]
        ).mean()
    elif problem_type == "regression":
        expected = ((logits - labels.view(8, count)) ** 2).mean()
    else:
        chance = torch.sigmoid(logits)
        expected = -(labels * chance.log() + (1 - labels) * (1 - chance).log()).mean()
    torch.testing.assert_close(outputs.loss.double(), expected, rtol=1e-5, atol=1e-6)
    assert model.config.problem_type == problem_type


def test_published_classifier_rectifies_and_never_drops(tiny_config, heads):
    model = TinyBertForSequenceClassification(tiny_config(num_labels=4, classifier_activation="relu")).eval()
    inputs = heads[1].inputs()
    pooled = model.tinybert(**inputs).pooler_output
    assert (pooled < 0).any()
    torch.testing.assert_close(model(**inputs).logits, model.classifier(pooled.clamp(min=0)))
    assert not any(isinstance(module, nn.Dropout) for name, module in model.named_children() if name != "tinybert")


def test_masked_language_model_ties_its_output(tiny_config):
    model = TinyBertForMaskedLM(tiny_config())
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    model.resize_token_embeddings(70)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.get_output_embeddings().bias.shape == (70,)


def test_batch_without_masked_tokens_costs_nothing(tiny_config, heads):
    model = TinyBertForMaskedLM(tiny_config())
    loss = model(**heads[0].inputs(), labels=torch.full((8, 10), -100)).loss
    loss.backward()
    assert loss == 0
    assert all(torch.isfinite(weight.grad).all() for weight in model.parameters() if weight.grad is not None)


def test_answers_outside_the_text_count_for_nothing(tiny_config, heads):
    model = heads[3].tinybert(tiny_config()).eval()
    inputs, start, end = heads[3].inputs(), torch.arange(8), torch.arange(8) + 1
    start[4:], end[4:] = 40, 41
    first = {key: value[:4] for key, value in inputs.items()}
    expected = model(**first, start_positions=start[:4], end_positions=end[:4]).loss
    torch.testing.assert_close(model(**inputs, start_positions=start, end_positions=end).loss, expected)


def test_hidden_states_and_attentions_are_recorded(head, tiny_config):
    model = head.tinybert(tiny_config(num_labels=4, attn_implementation="eager")).eval()
    inputs = head.inputs()
    everything = model(**inputs, output_hidden_states=True, output_attentions=True)
    assert len(everything.hidden_states) == 3
    assert len(everything.attentions) == 2
    torch.testing.assert_close(everything.attentions[0].sum(-1), torch.ones_like(everything.attentions[0][..., 0]))
    some = model(**inputs, output_hidden_states=[0, 2]).hidden_states
    assert some[1] is None
    assert torch.equal(some[0], everything.hidden_states[0])
    assert torch.equal(some[2], everything.hidden_states[2])


@pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")  # until v6
def test_gradient_checkpointing_gives_the_same_gradients(head, tiny_config):
    model = head.tinybert(
        tiny_config(num_labels=4, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, use_cache=False)
    ).train()
    batch, runs = head.batch(), []
    model.tinybert.encoder.layer[0].intermediate.register_forward_hook(lambda *_: runs.append(1))

    def gradients():
        model.zero_grad()
        model(**batch).loss.backward()
        return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}

    plain = gradients()
    model.gradient_checkpointing_enable()
    checkpointed = gradients()
    assert len(runs) == 3, "the layer must run again in the backward pass"
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, msg=name)


def test_graph_is_whole_under_compile(head, tiny_config):
    model = head.tinybert(tiny_config(num_labels=4)).eval()
    batch = head.batch()
    # From a copy: an eager call settles the problem type in the configuration, and the graph must not need one.
    expected = copy.deepcopy(model)(**batch)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(**batch).loss, expected.loss)


@pytest.mark.slow
def test_compiled_model_gives_the_same_gradients(tiny_config, heads):
    model = TinyBertForSequenceClassification(
        tiny_config(num_labels=4, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    )
    batch = heads[1].batch()
    model(**batch).loss.backward()
    expected = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    torch.compile(model, fullgraph=True)(**batch).loss.backward()
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, rtol=1e-4, atol=1e-5)


def test_attention_implementation_can_be_changed(tiny_config, heads):
    model = TinyBertModel(tiny_config()).eval()
    assert model._supports_flash_attn
    assert model._supports_flex_attn
    assert model.config._attn_implementation == "sdpa"
    inputs = heads[0].inputs()
    expected = model(**inputs).last_hidden_state
    model.set_attn_implementation("eager")
    torch.testing.assert_close(model(**inputs).last_hidden_state, expected, rtol=0, atol=1e-5)


def test_buffers_survive_a_start_without_memory(tiny_config, tmp_path):
    model = TinyBertModel(tiny_config())
    model.save_pretrained(tmp_path)
    loaded = TinyBertModel.from_pretrained(tmp_path)
    assert dict(model.named_buffers()).keys() == dict(loaded.named_buffers()).keys()
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, loaded.get_buffer(name)), name
