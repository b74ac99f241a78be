"""TinyBertForSeq2Seq: shapes and tying, what it computes, what it writes, what it saves, and what it refuses."""

import copy
import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM, BertConfig, BertModel, set_seed
from transformers.modeling_outputs import BaseModelOutput

from tinybert_hf.model import PRESETS, TinyBertConfig, TinyBertForSeq2Seq, TinyBertModel
from tinybert_hf.model.modeling_tinybert_seq2seq import CACHE_NAME

SOURCE = "tinybert.embeddings.word_embeddings.weight"
TARGET = "decoder.embeddings.word_embeddings.weight"
OUTPUT = "lm_head.weight"
HALVES = {"is_encoder_decoder": True, "num_decoder_layers": 2, "eos_token_id": 1, "type_vocab_size": 1}
OTHER_DECODER = {
    "num_decoder_layers": 3,
    "decoder_hidden_size": 24,
    "decoder_num_attention_heads": 2,
    "decoder_intermediate_size": 20,
}
SHAPES = {
    "all": {},
    "target": {"tie_embeddings": "target"},
    "none": {"tie_embeddings": "none"},
    "own target vocabulary": {"decoder_vocab_size": 50},
    "other decoder": OTHER_DECODER,
}
STORED = {
    "all": {SOURCE},
    "target": {SOURCE, TARGET},
    "none": {SOURCE, TARGET, OUTPUT},
    "own target vocabulary": {SOURCE, TARGET},
    "other decoder": {SOURCE, TARGET},
}
LENGTHS, TARGET_LENGTHS = [7, 3, 5], [4, 6, 1]
# A random model would say one word for ever; so each step gives another one.
VARIED = {"no_repeat_ngram_size": 1, "max_new_tokens": 9, "max_length": None}


@pytest.fixture(scope="module")
def translator_config(tiny_config):
    """Make a configuration with two halves; nothing is dropped, so that training mode can be compared."""

    def make(**overrides):
        exact = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        return tiny_config(**{"vocab_size": 40, "max_position_embeddings": 32, **HALVES, **exact, **overrides})

    return make


@pytest.fixture(scope="module")
def made(translator_config):
    """One model of each shape; a test that changes one copies it first."""
    models = {}
    for name, overrides in SHAPES.items():
        torch.manual_seed(0)
        models[name] = TinyBertForSeq2Seq(translator_config(**overrides)).eval()
    return models


@pytest.fixture(params=SHAPES)
def shape(request):
    """The name of each shape in turn."""
    return request.param


def _source(lengths=LENGTHS, width=None):
    """Source rows; anything may stand where the mask is 0."""
    ids = torch.randint(4, 40, (len(lengths), width or max(lengths)), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(ids.shape[1]) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask}


def _labels(lengths=TARGET_LENGTHS, width=None):
    labels = torch.randint(4, 40, (len(lengths), width or max(lengths)), generator=torch.Generator().manual_seed(2))
    for row, length in zip(labels, lengths, strict=True):
        row[length:] = -100
    return labels


def _shifted(labels, start=0, padding=0):
    """What the decoder reads, written plainly."""
    rows = [[start, *(padding if label == -100 else label for label in row[:-1])] for row in labels.tolist()]
    return torch.tensor(rows)


class TestShapes:
    def test_which_matrices_are_one(self, made, shape):
        model, config = made[shape], made[shape].config
        matrices = {
            SOURCE: model.tinybert.embeddings.word_embeddings.weight,
            TARGET: model.decoder.embeddings.word_embeddings.weight,
            OUTPUT: model.lm_head.weight,
        }
        assert len({id(matrix) for matrix in matrices.values()}) == len(STORED[shape])
        assert (matrices[TARGET] is matrices[OUTPUT]) == (shape != "none")
        assert matrices[SOURCE].shape == (40, 32)
        assert matrices[TARGET].shape == (config.decoder_vocab_size or 40, config.decoder_hidden_size or 32)
        assert model.get_output_embeddings() is model.lm_head
        assert model.get_input_embeddings().weight is matrices[SOURCE]

    def test_each_half_has_its_own_depth_width_and_heads(self, made):
        model = made["other decoder"]
        encoder, decoder = model.get_encoder(), model.get_decoder()
        assert (len(encoder.encoder.layer), len(decoder.encoder.layer)) == (2, 3)
        assert not hasattr(encoder.encoder.layer[0], "crossattention")
        layer = decoder.encoder.layer[2]
        assert layer.intermediate.dense.weight.shape == (20, 24)
        assert layer.crossattention.self.num_attention_heads == layer.attention.self.num_attention_heads == 2
        assert encoder.encoder.layer[0].attention.self.num_attention_heads == 4
        assert model.bridge.weight.shape == (24, 32)
        assert isinstance(made["all"].bridge, nn.Identity)

    @pytest.mark.parametrize("preset", [name for name in PRESETS if name.startswith("seq2seq")])
    def test_presets_have_the_parameters_of_their_shape(self, preset):
        config = TinyBertConfig.from_preset(preset)
        with torch.device("meta"):
            model = TinyBertForSeq2Seq(config)
        width, inner = config.hidden_size, config.intermediate_size
        norm, attention = 2 * width, 4 * (width * width + width)
        feed = 2 * width * inner + inner + width
        embeddings = 2 * ((config.max_position_embeddings + 1) * width + norm)  # positions, one segment; each half's
        encoder = config.num_hidden_layers * (attention + feed + 2 * norm)
        decoder = config.num_decoder_layers * (2 * attention + feed + 3 * norm)
        assert model.num_parameters() == config.vocab_size * width + embeddings + encoder + decoder
        assert preset == f"seq2seq-{config.num_hidden_layers}-{config.num_decoder_layers}-{width}d"


class TestForward:
    @pytest.mark.parametrize("attention", ["eager", "sdpa"])
    def test_equals_two_berts(self, attention, made, shape):
        ours = copy.deepcopy(made[shape])
        ours.set_attn_implementation(attention)
        config = ours.config
        sizes = {"max_position_embeddings": 32, "type_vocab_size": 1, "attn_implementation": "eager"}
        encoder = BertModel(
            BertConfig(vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48,
                       **sizes), add_pooling_layer=False,
        ).eval()  # fmt: skip
        decoder = BertModel(
            BertConfig(
                vocab_size=config.decoder_vocab_size or 40,
                hidden_size=config.decoder_hidden_size or 32,
                num_hidden_layers=config.num_decoder_layers,
                num_attention_heads=config.decoder_num_attention_heads or 4,
                intermediate_size=config.decoder_intermediate_size or 48,
                is_decoder=True,
                add_cross_attention=True,
                **sizes,
            ),
            add_pooling_layer=False,
        ).eval()
        encoder.load_state_dict(ours.tinybert.state_dict())
        decoder.load_state_dict(ours.decoder.state_dict())
        source, labels = _source(), _labels()
        read = encoder(**source).last_hidden_state
        written = decoder(
            _shifted(labels),
            encoder_hidden_states=ours.bridge(read),
            encoder_attention_mask=source["attention_mask"],
            use_cache=False,
        ).last_hidden_state
        outputs = ours(**source, labels=labels)
        torch.testing.assert_close(outputs.encoder_last_hidden_state, read, rtol=0, atol=1e-5)
        torch.testing.assert_close(outputs.logits, written @ ours.lm_head.weight.T, rtol=0, atol=1e-4)
        assert outputs.logits.shape == (3, 6, config.decoder_vocab_size or 40)
        assert outputs.logits.std() > 0.5

    def test_loss_is_the_plain_cross_entropy(self, made):
        model, source, labels = made["own target vocabulary"], _source(), _labels()
        outputs = model(**source, labels=labels)
        costs = []
        for row, length in enumerate(TARGET_LENGTHS):
            for place in range(length):
                scores = outputs.logits[row, place].tolist()
                normaliser = math.log(sum(math.exp(score) for score in scores))
                costs.append(normaliser - scores[labels[row, place]])
        assert outputs.loss.item() == pytest.approx(sum(costs) / len(costs), rel=1e-5)
        whole = model(**source, labels=labels, num_items_in_batch=torch.tensor(40)).loss
        assert whole.item() == pytest.approx(sum(costs) / 40, rel=1e-5)
        nothing = model(**source, labels=torch.full_like(labels, -100)).loss
        assert nothing.item() == 0
        assert model(**source, decoder_input_ids=_shifted(labels)).loss is None

    @pytest.mark.parametrize(("settings", "start"), [({}, 0), ({"decoder_start_token_id": 3}, 3)])
    def test_the_decoder_reads_the_labels_one_place_later(self, settings, start, translator_config):
        model, labels = TinyBertForSeq2Seq(translator_config(**settings)).eval(), _labels()
        expected = _shifted(labels, start=start)
        assert torch.equal(model.prepare_decoder_input_ids_from_labels(labels=labels), expected)
        given = model(**_source(), decoder_input_ids=expected).logits
        torch.testing.assert_close(model(**_source(), labels=labels).logits, given, rtol=0, atol=1e-5)
        assert model.generate(**_source(), max_length=3)[:, 0].tolist() == [start] * 3

    def test_no_place_sees_a_later_one_and_every_place_sees_the_source(self, made):
        model, source, target = made["all"], _source([7, 7, 7]), _shifted(_labels([6, 6, 6]))
        before = model(**source, decoder_input_ids=target).logits
        later = target.clone()
        later[:, 4] = (later[:, 4] + 1) % 40
        after = model(**source, decoder_input_ids=later).logits
        torch.testing.assert_close(after[:, :4], before[:, :4], rtol=0, atol=1e-5)
        assert ((after - before).abs().amax(-1)[:, 4:] > 1e-3).all()
        source["input_ids"][:, 6] = (source["input_ids"][:, 6] + 1) % 40
        other = model(**source, decoder_input_ids=target).logits
        assert ((other - before).abs().amax(-1) > 1e-3).all()

    def test_padding_of_source_and_target_changes_nothing(self, made):
        model = made["other decoder"]
        narrow = model(**_source(), labels=_labels())
        padded = {**_source(width=7), "labels": nn.functional.pad(_labels(), (0, 5), value=-100)}
        padded["input_ids"] = nn.functional.pad(_source()["input_ids"], (0, 4), value=9)
        padded["attention_mask"] = nn.functional.pad(_source()["attention_mask"], (0, 4))
        wide = model(**padded)
        torch.testing.assert_close(wide.loss, narrow.loss, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(wide.logits[:, :6], narrow.logits, rtol=0, atol=1e-5)

    def test_padding_before_the_target_is_left_out_with_its_mask(self, made):
        model, source, target = made["all"], _source(), _shifted(_labels([6, 6, 6]))
        expected = model(**source, decoder_input_ids=target).logits
        padded = nn.functional.pad(target, (3, 0), value=9)
        mask = nn.functional.pad(torch.ones_like(target), (3, 0))
        places = (mask.cumsum(-1) - 1).clamp(min=0)
        found = model(
            **source, decoder_input_ids=padded, decoder_attention_mask=mask, decoder_position_ids=places
        ).logits
        torch.testing.assert_close(found[:, 3:], expected, rtol=0, atol=1e-5)

    def test_every_way_of_giving_the_inputs(self, made):
        model, source, labels = made["other decoder"], _source(), _labels()
        expected = model(**source, labels=labels, output_hidden_states=True)
        as_tuple = model(**source, labels=labels, return_dict=False)
        assert torch.equal(as_tuple[0], expected.loss)
        assert torch.equal(as_tuple[1], expected.logits)
        read = expected.encoder_last_hidden_state
        vectors = model.get_input_embeddings()(source["input_ids"])
        target_vectors = model.get_decoder().embeddings.word_embeddings(_shifted(labels))
        for given in (
            {"encoder_outputs": BaseModelOutput(read)},
            {"encoder_outputs": (read,)},
            {"inputs_embeds": vectors},
            {"input_ids": source["input_ids"], "decoder_inputs_embeds": target_vectors},
        ):
            outputs = model(**given, attention_mask=source["attention_mask"], labels=labels)
            torch.testing.assert_close(outputs.loss, expected.loss)

    def test_states_and_attention_of_both_halves_are_recorded(self, made):
        model = copy.deepcopy(made["other decoder"])
        model.set_attn_implementation("eager")
        outputs = model(**_source(), labels=_labels(), output_hidden_states=True, output_attentions=True)
        assert [state.shape for state in outputs.encoder_hidden_states] == [(3, 7, 32)] * 3
        assert [state.shape for state in outputs.decoder_hidden_states] == [(3, 6, 24)] * 4
        assert [weights.shape for weights in outputs.encoder_attentions] == [(3, 4, 7, 7)] * 2
        assert [weights.shape for weights in outputs.decoder_attentions] == [(3, 2, 6, 6)] * 3
        assert [weights.shape for weights in outputs.cross_attentions] == [(3, 2, 6, 7)] * 3
        padding = _source()["attention_mask"][:, None, None] == 0
        for weights in outputs.cross_attentions:
            torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 6))
            assert (weights.masked_select(padding) < 1e-6).all()
        assert all((weights.triu(1) < 1e-6).all() for weights in outputs.decoder_attentions)

    @pytest.mark.filterwarnings("ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning")  # until v6
    def test_gradient_checkpointing_gives_the_same_gradients(self, made):
        model, runs = copy.deepcopy(made["other decoder"]).train(), []
        for half in (model.tinybert, model.decoder):
            half.encoder.layer[0].intermediate.register_forward_hook(lambda *_: runs.append(1))

        def gradients():
            model.zero_grad()
            model(**_source(), labels=_labels()).loss.backward()
            return {name: weight.grad.clone() for name, weight in model.named_parameters()}

        plain = gradients()
        model.gradient_checkpointing_enable()
        checkpointed = gradients()
        assert len(runs) == 6, "the layers of both halves must run again in the backward pass"
        for name, gradient in plain.items():
            torch.testing.assert_close(checkpointed[name], gradient, msg=name)

    @pytest.mark.slow
    def test_graph_is_whole_under_compile(self, made):
        model, batch = made["other decoder"], {**_source(), "labels": _labels()}
        torch.compiler.reset()
        compiled = torch.compile(model, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(**batch).loss, model(**batch).loss)


class TestGenerate:
    def test_a_step_with_the_cache_scores_as_the_whole_does(self, made, shape):
        model, source, target = made[shape], _source(), _shifted(_labels([6, 6, 6]))
        whole = model(**source, decoder_input_ids=target).logits
        read = model.get_encoder()(**source)
        cache, steps = None, []
        with torch.no_grad():
            for place in range(6):
                outputs = model(
                    attention_mask=source["attention_mask"],
                    encoder_outputs=read,
                    decoder_input_ids=target[:, place : place + 1],
                    use_cache=True,
                    **{CACHE_NAME: cache},
                )
                cache = outputs[CACHE_NAME]
                steps.append(outputs.logits)
        torch.testing.assert_close(torch.cat(steps, dim=1), whole, rtol=0, atol=1e-4)

    @pytest.mark.skipif(CACHE_NAME == "past_key_values", reason="this transformers knows no other name")
    def test_the_old_name_of_the_cache_works_and_warns(self, made):
        model, source, target = made["all"], _source(), _shifted(_labels([6, 6, 6]))
        step = {**source, "decoder_input_ids": target[:, 3:4]}
        with torch.no_grad():
            kept = model(**source, decoder_input_ids=target[:, :3], use_cache=True)[CACHE_NAME]
            new = model(**step, **{CACHE_NAME: copy.deepcopy(kept)}).logits
            with pytest.warns(FutureWarning, match=r"`past_key_values` is deprecated.*Use `cache`"):
                old = model(**step, past_key_values=kept).logits
        assert torch.equal(old, new)

    @pytest.mark.parametrize(
        "way", [{}, {"num_beams": 4}, {"do_sample": True, "top_k": 0}], ids=["greedy", "beam", "sampling"]
    )
    def test_with_and_without_cache_the_same_tokens(self, way, made, shape):
        written = []
        for use_cache in (True, False):
            set_seed(3)
            written.append(made[shape].generate(**_source(), **VARIED, **way, use_cache=use_cache))
        assert torch.equal(*written)
        assert len(written[0].unique()) > 9, "rows of one word would be the same with a broken cache"

    @pytest.mark.parametrize("beams", [1, 3])
    def test_a_plain_step_is_a_step_of_the_decoder(self, beams, made, shape, monkeypatch):
        model, scores, whole_steps = made[shape], [], []
        options = {"num_beams": beams, "output_logits": True, "return_dict_in_generate": True}
        hook = model.decoder.register_forward_hook(lambda *_: whole_steps.append(1))
        for is_plain in (True, False):
            if not is_plain:
                monkeypatch.setattr(TinyBertForSeq2Seq, "_is_plain_step", lambda *_: False)
            scores.append(torch.stack(model.generate(**_source(), **VARIED, **options).logits))
        hook.remove()
        assert scores[0].shape[0] == 9
        assert torch.equal(*scores), "the same modules in the same order give the same bits"
        assert len(whole_steps) == 1 + 9, "only the first of the plain steps is one of the whole decoder"

    def test_what_a_plain_step_does_not_give_is_not_lost(self, made):
        model = made["other decoder"]
        asked = {"output_attentions": True, "output_hidden_states": True, "return_dict_in_generate": True}
        eager = copy.deepcopy(model)
        eager.set_attn_implementation("eager")
        given = eager.generate(**_source(), **VARIED, **asked)
        assert [len(step) for step in given.decoder_hidden_states] == [4] * 9
        assert [len(step) for step in given.cross_attentions] == [3] * 9
        assert torch.equal(given.sequences, model.generate(**_source(), **VARIED))

    def test_hidden_states_of_every_step_are_given_where_they_are_asked_for(self, made):
        model = made["other decoder"]
        given = model.generate(**_source(), **VARIED, output_hidden_states=True, return_dict_in_generate=True)
        assert [len(step) for step in given.decoder_hidden_states] == [4] * 9
        assert all(state is not None for step in given.decoder_hidden_states for state in step)

    @pytest.mark.parametrize("shape", ["all", "other decoder"])
    def test_static_cache_writes_the_same(self, made, shape):
        options = {**_source(), **VARIED}
        static = made[shape].generate(**options, cache_implementation="static", disable_compile=True)
        assert torch.equal(static, made[shape].generate(**options))

    @pytest.mark.parametrize("beams", [1, 4])
    def test_each_row_is_written_as_if_it_were_alone(self, beams, made):
        model, source = made["other decoder"], _source()
        together = model.generate(**source, **VARIED, num_beams=beams)
        for row, length in enumerate(LENGTHS):
            one = {name: value[row : row + 1, :length] for name, value in source.items()}
            alone = model.generate(**one, **VARIED, num_beams=beams)[0]
            assert torch.equal(together[row, : len(alone)], alone)
            assert (together[row, len(alone) :] == 0).all()

    def test_what_never_ends_stops_with_the_positions(self, made):
        model = made["target"]
        written = model.generate(**_source(), suppress_tokens=[1])
        assert written.shape == (3, 32)
        assert model.generation_config.max_length == model.config.max_position_embeddings == 32


class TestSaving:
    def test_every_bit_comes_back_and_tied_weights_are_stored_once(self, made, shape, tmp_path):
        model = made[shape]
        model.save_pretrained(tmp_path)
        words = {name for name in load_file(tmp_path / "model.safetensors") if name in (SOURCE, TARGET, OUTPUT)}
        assert words == STORED[shape]
        loaded, info = AutoModelForSeq2SeqLM.from_pretrained(tmp_path, output_loading_info=True)
        assert type(loaded) is TinyBertForSeq2Seq
        assert not any(info.values())
        assert loaded.state_dict().keys() == model.state_dict().keys()
        for name, weight in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], weight), name
        assert len({id(weight) for weight in loaded.parameters()}) == len(
            {id(weight) for weight in model.parameters()}
        )
        batch = {**_source(), "labels": _labels()}
        assert torch.equal(loaded(**batch).loss, model(**batch).loss)
        assert torch.equal(loaded.generate(**_source(), **VARIED), model.generate(**_source(), **VARIED))

    def test_auto_model_opens_the_encoder(self, made, tmp_path):
        model = made["other decoder"]
        model.save_pretrained(tmp_path)
        encoder = AutoModel.from_pretrained(tmp_path).eval()
        assert type(encoder) is TinyBertModel
        expected = model(**_source(), labels=_labels()).encoder_last_hidden_state
        torch.testing.assert_close(encoder(**_source()).last_hidden_state, expected, rtol=0, atol=1e-6)

    def test_saved_configuration_is_read_back(self, translator_config, tmp_path):
        config = translator_config(**OTHER_DECODER, decoder_vocab_size=50, decoder_start_token_id=3)
        config.save_pretrained(tmp_path)
        loaded = AutoConfig.from_pretrained(tmp_path)
        assert type(loaded) is TinyBertConfig
        assert {**loaded.to_dict(), "_name_or_path": ""} == config.to_dict()
        decoder, whole = loaded.get_text_config(decoder=True), loaded.get_text_config()
        assert (decoder.num_hidden_layers, decoder.hidden_size, decoder.num_attention_heads) == (3, 24, 2)
        assert (decoder.vocab_size, decoder.intermediate_size, decoder.is_decoder) == (50, 20, True)
        assert whole is loaded
        expected = config.decoder_config().to_dict()
        assert {**loaded.decoder_config().to_dict(), "_name_or_path": ""} == expected

    def test_resizing_keeps_the_three_matrices_one(self, made, tmp_path):
        model = copy.deepcopy(made["all"])
        before = model(**_source(), labels=_labels()).logits
        model.resize_token_embeddings(45, mean_resizing=False)
        words = model.get_input_embeddings().weight
        assert words.shape == (45, 32)
        assert words is model.lm_head.weight
        assert words is model.decoder.embeddings.word_embeddings.weight
        logits = model(**_source(), labels=_labels()).logits
        torch.testing.assert_close(logits[..., :40], before, rtol=0, atol=1e-5)
        assert logits.shape[-1] == model.config.vocab_size == model.decoder.config.vocab_size == 45
        assert model.decoder.embeddings.word_embeddings.num_embeddings == 45
        with torch.no_grad():
            words[40:] = 0
            words[42] = 100 * words[41]
        model.save_pretrained(tmp_path)
        loaded = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
        batch = {**_source(), "labels": torch.full((3, 2), 44)}
        assert torch.equal(loaded(**batch).loss, model(**batch).loss)


class TestRefused:
    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            (
                {"tie_embeddings": "all", "decoder_vocab_size": 50},
                r'tie_embeddings is "all".*40 x 32.*50 x 32.*different shapes.*"target"',
            ),
            ({"tie_embeddings": "all", "decoder_hidden_size": 24}, r"40 x 32.*40 x 24"),
            ({"tie_embeddings": "both"}, "tie_embeddings"),
            (
                {"decoder_num_attention_heads": 5},
                "decoder_hidden_size 32 is not a multiple of decoder_num_attention_heads 5.*heads to 4",
            ),
            (
                {"decoder_hidden_size": 30, "decoder_num_attention_heads": 4},
                "decoder_hidden_size 30 is not a multiple.*4.*hidden_size to 32",
            ),
            ({"num_decoder_layers": 0}, "num_decoder_layers is 0"),
            ({"decoder_vocab_size": -1}, "decoder_vocab_size is -1"),
        ],
    )
    def test_halves_that_do_not_fit(self, settings, message, translator_config):
        with pytest.raises(StrictDataclassError, match=f"(?s){message}"):
            translator_config(**settings)

    @pytest.mark.parametrize("settings", [{"num_decoder_layers": None}, {"is_encoder_decoder": False}])
    def test_no_decoder(self, settings, translator_config):
        with pytest.raises(ValueError, match=r"has no decoder.*num_decoder_layers.*seq2seq-6-2-256d"):
            TinyBertForSeq2Seq(translator_config(**settings))

    @pytest.mark.parametrize("shape", ["target", "own target vocabulary"])
    def test_resizing_one_of_two_vocabularies(self, made, shape):
        with pytest.raises(ValueError, match=r'tie_embeddings is "target".*not clear which'):
            made[shape].resize_token_embeddings(45)
