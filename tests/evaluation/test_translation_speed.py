"""Sizes against the saved file; speeds against a clock that the test sets."""

import pytest
import torch
from safetensors.torch import load_file
from tiny_translator import make_model, sentence

from tinybert_hf import TinyBertForSeq2Seq
from tinybert_hf.data.generation import Translations
from tinybert_hf.errors import DataError
from tinybert_hf.evaluation import TranslationEntry, int8_megabytes, measure_translation_costs, parameter_count
from tinybert_hf.evaluation import cost as translation_speed
from tinybert_hf.evaluation.cost import Clock

TEXTS = ["dog runs", "the cat", "tree", "and", "the dog sees the cat", "cat sees"]
OWN = {"is_encoder_decoder": True, "num_decoder_layers": 1, "eos_token_id": 1}


@pytest.fixture(params=["marian", "own, tied", "own, two vocabularies"])
def model(request, tiny_config):
    if request.param == "marian":
        return make_model()
    if request.param == "own, tied":
        return TinyBertForSeq2Seq(tiny_config(**OWN))
    return TinyBertForSeq2Seq(tiny_config(**OWN, decoder_vocab_size=40, tie_embeddings="target"))


def test_size_is_that_of_the_saved_file(model, tmp_path, tokenizer):
    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "model.safetensors").values()
    matrices = sum(tensor.numel() + 4 * tensor.shape[0] for tensor in saved if tensor.dim() == 2)
    vectors = sum(4 * tensor.numel() for tensor in saved if tensor.dim() == 1)
    assert matrices > vectors > 0
    assert int8_megabytes(model) == pytest.approx((matrices + vectors) / 1e6)
    cost = measure_translation_costs({"it": TranslationEntry(model, tokenizer)}, TEXTS[:1], rounds=1)["it"]
    assert cost.megabytes == pytest.approx(sum(tensor.numel() * 4 for tensor in saved) / 1e6)
    assert cost.int8_megabytes == int8_megabytes(model)
    assert int8_megabytes(model.to(torch.bfloat16)) == cost.int8_megabytes


def test_parameters_by_hand():
    width, inner, words, positions = 32, 64, 17, 24
    attention, norm = 4 * (width * width + width), 2 * width
    feed_forward = 2 * width * inner + inner + width
    encoder = attention + feed_forward + 2 * norm
    decoder = 2 * attention + feed_forward + 3 * norm
    ffn = {"encoder_ffn_dim": inner, "decoder_ffn_dim": inner}
    model = make_model(d_model=width, vocab_size=words, max_position_embeddings=positions, **ffn)
    assert parameter_count(model) == words * width + 2 * positions * width + encoder + decoder


def test_tied_tensors_count_once_even_as_objects_of_their_own(tiny_config):
    tied, untied = (TinyBertForSeq2Seq(tiny_config(**OWN, tie_embeddings=how)) for how in ("all", "none"))
    count, size = parameter_count(tied), int8_megabytes(tied)
    assert parameter_count(untied) > count
    assert int8_megabytes(untied) > size
    tied.lm_head.weight = torch.nn.Parameter(tied.lm_head.weight.detach())
    assert sum(parameter.numel() for parameter in tied.parameters()) > count
    assert parameter_count(tied) == count
    assert int8_megabytes(tied) == size


def test_sizes_without_memory(tiny_config):
    real = TinyBertForSeq2Seq(tiny_config(**OWN))
    with torch.device("meta"):
        planned = TinyBertForSeq2Seq(tiny_config(**OWN))
    assert parameter_count(planned) == parameter_count(real)
    assert int8_megabytes(planned) == int8_megabytes(real)


class _Clock:
    """Stands in for `translate_texts`: writes down who is called, and takes the seconds that it is told."""

    now = 0.0

    def __init__(self, seconds):
        self.seconds = {key: iter(values) for key, values in seconds.items()}
        self.calls = []

    def __call__(self, model, tokenizer, texts, *, batch_size, num_beams, prefix):
        self.calls.append((tokenizer, batch_size, len(texts), num_beams, prefix))
        seconds = next(self.seconds[tokenizer, batch_size])
        self.now += seconds
        best = [["x" * (3 if tokenizer == "a" else 5)] for _ in texts]
        return Translations(best, [[False]] * len(texts), [False] * len(texts), seconds)

    @property
    def time(self):
        """What `timed_rounds` looks at."""
        return Clock(lambda: self.now, lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    clock = _Clock(
        {
            # The first figure is the warm-up's. In the second round the machine is slow, for both.
            ("a", 1): [100.0, 6.0, 60.0, 3.0],
            ("b", 1): [100.0, 1.0, 12.0, 1.0],
            ("a", 32): [100.0, 2.0, 2.0, 2.0],
            ("b", 32): [100.0, 1.0, 0.5, 1.0],
        }
    )
    monkeypatch.setattr(translation_speed, "translate_texts", clock)
    return clock


def _entries():
    return {
        "teacher": TranslationEntry(make_model(), "a", num_beams=5, prefix="> "),
        "student": TranslationEntry(make_model(d_model=16), "b"),
    }


def test_medians_spread_and_ratios(clock):
    models = _entries()
    costs = measure_translation_costs(models, TEXTS, clock=clock.time)
    assert list(costs) == ["teacher", "student"]
    teacher, student = costs["teacher"], costs["student"]
    spread = teacher.sentences_per_second[1]
    assert (spread.median, spread.lowest, spread.highest) == (1, pytest.approx(0.1), 2)
    assert student.sentences_per_second[1].median == 6
    # Ratios of each round are 6, 5, 3 and 2, 4, 2: not those of the medians, 6 and 2.
    assert student.speedup[1].median == pytest.approx(5)
    assert (student.speedup[1].lowest, student.speedup[1].highest) == (pytest.approx(3), pytest.approx(6))
    assert student.speedup[32].median == 2
    assert student.speedup[32].highest == 4
    assert (teacher.speedup[1].lowest, teacher.speedup[1].highest) == (1, 1)
    assert (teacher.num_beams, student.num_beams) == (5, 1)
    assert (teacher.characters, student.characters) == (3, 5)
    assert teacher.size_ratio == 1
    sizes = [parameter_count(entry.model) for entry in models.values()]
    assert [teacher.parameters, student.parameters] == sizes
    assert student.size_ratio == sizes[1] / sizes[0] < 1


def test_models_take_turns(clock):
    costs = measure_translation_costs(_entries(), TEXTS, warm_up_texts=2, threads=1, clock=clock.time)
    turns = [f"{name}{size}" if texts == 6 else f"({name}{size})" for name, size, texts, *_ in clock.calls]
    assert " ".join(turns) == "(a1) (b1) a1 b1 b1 a1 a1 b1 (a32) (b32) a32 b32 b32 a32 a32 b32"
    assert {(call[0], *call[3:]) for call in clock.calls} == {("a", 5, "> "), ("b", 1, "")}
    assert {cost.threads for cost in costs.values()} == {1}


def test_real_translators(translator, tokenizer):
    texts = [sentence(1 + row % 5, row) for row in range(8)]
    models = {
        "beam": TranslationEntry(translator, tokenizer, 4),
        "greedy": TranslationEntry(translator, tokenizer),
    }
    costs = measure_translation_costs(models, texts, batch_sizes=(2,), rounds=2)
    assert list(costs["greedy"].sentences_per_second) == [2]
    assert costs["greedy"].sentences_per_second[2].lowest > 0
    assert costs["greedy"].characters == pytest.approx(costs["beam"].characters, abs=3)
    assert costs["greedy"].size_ratio == 1


def test_nothing_to_measure(translator, tokenizer):
    entry = {"it": TranslationEntry(translator, tokenizer)}
    for texts in ([], [" "]):
        with pytest.raises(DataError, match="no texts"):
            measure_translation_costs(entry, texts)
    for wrong in ({"models": {}}, {"batch_sizes": ()}, {"rounds": 0}):
        with pytest.raises(ValueError, match="a model, a batch size and a round"):
            measure_translation_costs(**{"models": entry, "texts": TEXTS, **wrong})
