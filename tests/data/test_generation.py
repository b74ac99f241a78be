"""Translating texts: the same as one text at a time, in order, and what is cut is counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import tiny_translator
import torch
from transformers import (
    BertConfig,
    BertModel,
    MarianMTModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from tinybert_hf.data.generation import translate_texts
from tinybert_hf.errors import TeacherError
from tinybert_hf.model import TinyBertConfig, TinyBertForSeq2Seq

END, PAD, POSITIONS = tiny_translator.END, tiny_translator.PAD, tiny_translator.POSITIONS
TEXTS = [tiny_translator.sentence(1 + index % 5, index) for index in range(23)]


@pytest.fixture(scope="module")
def model() -> MarianMTModel:
    return tiny_translator.trained()


@pytest.fixture(scope="module")
def confused_model() -> MarianMTModel:
    """Its weights are disturbed, so that it makes mistakes of many kinds."""
    model = tiny_translator.trained()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.08 * torch.randn(weight.shape, generator=generator)
    return model


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return tiny_translator.make_tokenizer()


@contextmanager
def changed(thing: Any, **values: Any) -> Iterator[None]:
    before = {name: getattr(thing, name) for name in values}
    for name, value in values.items():
        setattr(thing, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(thing, name, value)


@contextmanager
def endless(model: MarianMTModel) -> Iterator[None]:
    """The model writes words only, and never its end token."""
    model.final_logits_bias[:, [PAD, END, tiny_translator.UNKNOWN]] = -1e9
    try:
        yield
    finally:
        model.final_logits_bias.zero_()


def one_by_one(model: Any, tokenizer: Any, texts: list[str], beams: int, limit: int) -> list[list[str]]:
    """The oracle: no batch, no padding."""
    found = []
    for text in texts:
        ids = tokenizer(text, return_tensors="pt").input_ids
        written = model.generate(
            input_ids=ids, num_beams=beams, num_return_sequences=beams, max_new_tokens=limit, do_sample=False
        )
        found.append([line.strip() for line in tokenizer.batch_decode(written, skip_special_tokens=True)])
    return found


def test_a_trained_model_translates(model: Any, tokenizer: Any) -> None:
    made = translate_texts(model, tokenizer, TEXTS, batch_size=4)
    assert made.best == [tiny_translator.in_german(text) for text in TEXTS]
    assert list(made) == [[text] for text in made.best]
    assert (made.cut_off_count, made.truncated_count) == (0, 0)
    assert made.seconds > 0


@pytest.mark.parametrize("beams", [1, 4])
@pytest.mark.parametrize("batch_size", [1, 5, 64])
def test_the_same_as_one_text_at_a_time(confused_model: Any, tokenizer: Any, beams: int, batch_size: int) -> None:
    made = translate_texts(
        confused_model, tokenizer, TEXTS, batch_size=batch_size, num_beams=beams, candidates=beams, max_new_tokens=9
    )
    assert list(made) == one_by_one(confused_model, tokenizer, TEXTS, beams, 9)
    assert len({text for candidates in made for text in candidates}) > 8  # or the oracle says nothing


def test_fewer_candidates_are_the_best_ones(confused_model: Any, tokenizer: Any) -> None:
    many = translate_texts(confused_model, tokenizer, TEXTS, num_beams=4, candidates=4)
    few = translate_texts(confused_model, tokenizer, TEXTS, num_beams=4, candidates=2)
    assert list(few) == [candidates[:2] for candidates in many]
    assert few.cut_off == [flags[:2] for flags in many.cut_off]


def test_batches_are_sorted_by_length(model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    generate, shapes, done = model.generate, [], []

    def recording(**inputs: Any) -> Any:
        lengths = inputs["attention_mask"].sum(dim=1)
        shapes.append((lengths.min().item(), *inputs["input_ids"].shape, inputs["max_new_tokens"]))
        return generate(**inputs)

    monkeypatch.setattr(model, "generate", recording)
    texts = [tiny_translator.sentence(length, 0) for length in (1, 5, 2, 5, 1, 2)]
    translate_texts(model, tokenizer, [*texts, " "], batch_size=2, progress=done.append)
    # shortest of the batch, rows, padded width, limit of 2 x width + 10
    assert shapes == [(6, 2, 6, 22), (3, 2, 3, 16), (2, 2, 2, 14)]
    assert done == [1, 2, 2, 2]


def test_modes_and_random_state_are_left_alone(model: Any, tokenizer: Any) -> None:
    model.train()
    model.model.encoder.eval()
    with changed(model.model.decoder, dropout=0.9):
        state = torch.get_rng_state()
        made = translate_texts(model, tokenizer, TEXTS[:4])
        assert torch.equal(torch.get_rng_state(), state)
    assert made.best == [tiny_translator.in_german(text) for text in TEXTS[:4]]
    assert model.training
    assert model.model.decoder.layers[0].training
    assert not model.model.encoder.layers[0].training
    model.eval()


def test_modes_come_back_after_a_failure(model: Any, tokenizer: Any) -> None:
    model.train()

    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        translate_texts(model, tokenizer, TEXTS, progress=stop)
    assert model.training
    model.eval()


def test_a_checkpoint_that_samples_does_not(model: Any, tokenizer: Any) -> None:
    with changed(model.generation_config, do_sample=True, temperature=50.0, num_beams=3, num_return_sequences=3):
        made = translate_texts(model, tokenizer, TEXTS[:6])
    assert list(made) == [[tiny_translator.in_german(text)] for text in TEXTS[:6]]


def test_a_text_that_is_too_long_is_counted(model: Any, tokenizer: Any) -> None:
    fitting = " ".join(["dog"] * (POSITIONS - 1))  # and the end token
    made = translate_texts(model, tokenizer, ["the cat", fitting, fitting + " cat", "dog " * 500])
    assert made.truncated == [False, False, True, True]
    assert made.truncated_count == 2
    # What is read keeps its end token, so it is the same text.
    assert made[1] == made[2] == made[3]


def test_a_model_with_fewer_positions_than_its_tokenizer_says(model: Any, tokenizer: Any) -> None:
    with changed(tokenizer, model_max_length=int(1e30)):
        assert translate_texts(model, tokenizer, ["dog " * 500]).truncated == [True]


@pytest.mark.parametrize("forced", [None, END])
@pytest.mark.parametrize("beams", [1, 3])
def test_generation_that_never_ends_is_cut_and_counted(
    model: Any, tokenizer: Any, beams: int, forced: int | None
) -> None:
    texts = ["the", "the cat sees", ""]
    # Marian and BART force the end token at the limit, which must not pass for an end of the model's own.
    with endless(model), changed(model.generation_config, forced_eos_token_id=forced):
        made = translate_texts(model, tokenizer, texts, num_beams=beams, batch_size=1)
        assert made.cut_off == [[True], [True], [False]]
        assert made.cut_off_count == 2
        assert [len(text.split()) for text in made.best] == [2 * 2 + 10, 2 * 4 + 10, 0]
        long = translate_texts(model, tokenizer, ["the " * 20], max_new_tokens=1000)
        assert len(long.best[0].split()) == POSITIONS


def test_a_start_token_that_is_the_end_token_is_no_end(model: Any, tokenizer: Any) -> None:
    with endless(model), changed(model.generation_config, decoder_start_token_id=END):  # as BART, mBART, M2M100
        assert translate_texts(model, tokenizer, ["the cat"]).cut_off == [[True]]


def test_a_translation_that_just_fits_is_not_cut(model: Any, tokenizer: Any) -> None:
    texts = ["the cat sees", "dog"]
    just = translate_texts(model, tokenizer, texts, max_new_tokens=4)
    assert (just.best, just.cut_off) == (["das Katze sieht", "Hund"], [[False], [False]])
    short = translate_texts(model, tokenizer, texts, max_new_tokens=3)
    assert (short.best, short.cut_off) == (["das Katze sieht", "Hund"], [[True], [False]])


def test_blank_texts_stay_blank(model: Any, tokenizer: Any) -> None:
    made = translate_texts(model, tokenizer, ["", "cat", " \t"], num_beams=2, candidates=2)
    assert [made[0], made[2]] == [["", ""], ["", ""]]
    assert made[1][0] == "Katze"
    assert list(translate_texts(model, tokenizer, [])) == []


def test_a_prefix_is_read_too(model: Any, tokenizer: Any) -> None:
    assert translate_texts(model, tokenizer, ["cat", ""], prefix="the ").best == ["das Katze", ""]


def test_a_tinybert_translates() -> None:
    size = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = TinyBertConfig(
        **size,
        vocab_size=len(tiny_translator.make_tokenizer()),
        num_decoder_layers=1,
        is_encoder_decoder=True,
        max_position_embeddings=16,
        eos_token_id=END,
        initializer_range=0.7,
    )
    model, tokenizer = TinyBertForSeq2Seq(config).eval(), tiny_translator.make_tokenizer()
    made = translate_texts(model, tokenizer, [*TEXTS, "dog " * 30], batch_size=3)
    assert made.best[:-1] == [line for (line,) in one_by_one(model, tokenizer, TEXTS, 1, 16)] or made.cut_off_count
    assert made.truncated_count == 1


def test_models_that_cannot_begin(model: Any, tokenizer: Any) -> None:
    t5 = T5ForConditionalGeneration(T5Config(vocab_size=17, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2))
    t5.generation_config.bos_token_id = 3  # transformers would begin with this one, which the model never saw
    with pytest.raises(TeacherError, match=r"no decoder start token.*generation_config\.decoder_start_token_id"):
        translate_texts(t5, tokenizer, TEXTS)
    with (
        changed(model.generation_config, decoder_start_token_id=58100),
        pytest.raises(TeacherError, match=r"58100, outside its vocabulary of 17 tokens"),
    ):
        translate_texts(model, tokenizer, TEXTS)
    with changed(
        model.generation_config, decoder_start_token_id=None
    ):  # config.json alone has it: as transformers 4 saved it
        assert translate_texts(model, tokenizer, ["cat"]).best == ["Katze"]


def test_a_model_without_a_decoder(tokenizer: Any) -> None:
    bert = BertModel(BertConfig(vocab_size=17, hidden_size=16, num_hidden_layers=1, num_attention_heads=2))
    with pytest.raises(TeacherError, match="BertModel, which has no decoder"):
        translate_texts(bert, tokenizer, TEXTS)


def test_the_tokenizer_of_another_model(tokenizer: Any) -> None:
    with pytest.raises(TeacherError, match=r"MarianMTModel embeds 6 tokens.*'sees' \(6\), .*'tree' \(9\)"):
        translate_texts(tiny_translator.make_model(vocab_size=6), tokenizer, [" ".join(tiny_translator.WORDS)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"candidates": 3, "num_beams": 2}, "candidates is 3"),
        ({"candidates": 0}, "candidates is 0"),
        ({"num_beams": 0}, "num_beams 0"),
        ({"batch_size": 0}, "batch_size 0"),
        ({"max_new_tokens": 0}, "max_new_tokens 0"),
    ],
)
def test_sizes_that_make_no_sense(model: Any, tokenizer: Any, options: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        translate_texts(model, tokenizer, TEXTS, **options)


def test_one_text_alone(model: Any, tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"write \[text\]"):
        translate_texts(model, tokenizer, "the cat")
