"""TinyBertConfig: presets, what it refuses, and what it writes."""

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import AutoConfig, BertConfig

from tinybert_hf.model import PRESETS, TinyBertConfig, TinyBertModel


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [("4l-312d", 14_350_248), ("6l-768d", 66_955_008), ("4l-312d-zh", 11_419_320), ("6l-768d-zh", 59_740_416)],
)
def test_presets_have_the_published_sizes(preset, parameters):
    with torch.device("meta"):
        model = TinyBertModel(TinyBertConfig.from_preset(preset))
    assert model.num_parameters() == parameters


def test_narrow_preset_has_a_tenth_of_the_layers_of_a_small_teacher():
    config = TinyBertConfig.from_preset("2l-192d")
    with torch.device("meta"):
        layers = TinyBertModel(config).encoder
    weights = sum(parameter.numel() for parameter in layers.parameters() if parameter.dim() == 2)
    teacher = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert weights <= teacher / 10
    assert config.hidden_size // config.num_attention_heads == 16


def test_defaults_are_the_published_four_layers():
    assert TinyBertConfig().to_dict() == TinyBertConfig.from_preset("4l-312d").to_dict()


def test_has_every_field_of_bert():
    assert set(BertConfig().to_dict()) <= set(TinyBertConfig().to_dict())


def test_preset_takes_overrides():
    config = TinyBertConfig.from_preset("4l-312d", num_labels=3, num_hidden_layers=5, attn_implementation="eager")
    assert (config.num_labels, config.num_hidden_layers, config.hidden_size) == (3, 5, 312)
    assert config._attn_implementation == "eager"


@pytest.mark.parametrize(("wrong", "meant"), [("4l-312", "4l-312d"), ("6L-768D", "6l-768d"), ("tiny", "")])
def test_unknown_preset_names_the_nearest(wrong, meant):
    with pytest.raises(ValueError, match=f"{wrong}.*did you mean '{meant}") as caught:
        TinyBertConfig.from_preset(wrong)
    assert all(preset in str(caught.value) for preset in PRESETS)


def test_unknown_override_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'hidden_size'"):
        TinyBertConfig.from_preset("4l-312d", hiden_size=300)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_attention_heads": 7}, "312 is not a multiple of num_attention_heads 7.*heads to 6.*hidden_size to 315"),
        ({"hidden_size": "312"}, "'hidden_size' expected int"),
        ({"classifier_activation": "gelu"}, "classifier_activation.*'relu'"),
        ({"num_hidden_layers": 0}, "num_hidden_layers is 0"),
        ({"hidden_dropout_prob": 1.5}, "hidden_dropout_prob is 1.5"),
        ({"pad_token_id": 30522}, "pad_token_id is 30522"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(StrictDataclassError, match=f"(?s){message}"):
        TinyBertConfig(**settings)


@pytest.mark.parametrize("eps", [1.0, 1e-12, 1e-5, 3.5])
def test_an_eps_is_a_number_like_another(eps, tmp_path):
    TinyBertConfig(layer_norm_eps=eps).save_pretrained(tmp_path)
    assert TinyBertConfig.from_pretrained(tmp_path).layer_norm_eps == eps


@pytest.mark.parametrize("eps", [0.0, -1e-12, float("inf"), float("nan")])
def test_an_eps_that_makes_nan_is_refused(eps):
    with pytest.raises(StrictDataclassError, match=r"layer_norm_eps.*above 0 and finite"):
        TinyBertConfig(layer_norm_eps=eps)


@pytest.mark.parametrize(
    ("width", "heads"), [(32, 8), (312, 12), (24, 12), (50, 10), (31, 1), (768, 12), (128, 8), (4, 4)]
)
def test_heads_follow_the_width(width, heads, tmp_path):
    """12 where they divide it, so that a checkpoint that does not write 12 down keeps them."""
    config = TinyBertConfig(hidden_size=width, num_hidden_layers=1, intermediate_size=8, vocab_size=30)
    assert config.num_attention_heads == heads
    model = TinyBertModel(config)
    assert model(torch.tensor([[1, 2]])).last_hidden_state.shape == (1, 2, width)
    model.save_pretrained(tmp_path)
    opened = AutoConfig.from_pretrained(tmp_path)
    assert (opened.hidden_size, opened.num_attention_heads) == (width, heads)
    named = TinyBertConfig(hidden_size=width, num_attention_heads=1)
    named.save_pretrained(tmp_path)
    assert TinyBertConfig.from_pretrained(tmp_path).num_attention_heads == 1


def test_heads_of_a_preset_and_of_a_decoder_follow_too():
    assert TinyBertConfig.from_preset("4l-312d", hidden_size=32).num_attention_heads == 8
    assert TinyBertConfig.from_preset("seq2seq-6-2-256d", hidden_size=64).num_attention_heads == 8
    assert TinyBertConfig.from_preset("4l-312d", hidden_size=36, num_attention_heads=4).num_attention_heads == 4
    config = TinyBertConfig.from_preset("seq2seq-3-1-128d", decoder_hidden_size=30)
    assert (config.num_attention_heads, config.decoder_config().num_attention_heads) == (4, 10)
    assert TinyBertConfig.from_preset("seq2seq-3-1-128d", decoder_hidden_size=64).decoder_num_attention_heads is None


def test_wrong_type_is_refused_on_assignment():
    config = TinyBertConfig()
    with pytest.raises(StrictDataclassError, match="hidden_size"):
        config.hidden_size = 31.5


def test_saved_configuration_is_read_back(tmp_path, tiny_config):
    config = tiny_config(num_labels=3, classifier_activation="relu", classifier_dropout=0.2, problem_type="regression")
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is TinyBertConfig
    assert {**loaded.to_dict(), "_name_or_path": ""} == config.to_dict()
