"""A masked-LM's words: those of one call a word, whatever the batch; near ties; windows; other families."""

from typing import Any

import pytest
import tiny_masked_lm
import torch
from transformers import AlbertConfig, AutoModelForMaskedLM, DistilBertConfig, ElectraConfig, RobertaConfig

from tinybert_hf import TinyBertConfig
from tinybert_hf.checkpoints import limits_of
from tinybert_hf.data.augmentation_candidates import DOUBTFUL, MaskedText, Predictions, words_from
from tinybert_hf.data.augmentation_words import Masking, ReplacementSettings, Vocabulary

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
TEXTS = [*tiny_masked_lm.sentences(25), "电影很好看", "music", "这部 film 难听"]


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    return tiny_masked_lm.make()


def one_at_a_time(model: Any, tokenizer: Any, text: str, word: str, count: int) -> set[str]:
    """The plain way: mask the word in the text, one call of the whole model, sort the whole vocabulary."""
    before, behind = text.split(word, 1)
    inputs = tokenizer(f"{before} [MASK] {behind}", return_tensors="pt")
    place = inputs["input_ids"][0].tolist().index(tokenizer.mask_token_id)
    with torch.no_grad():
        scores = model(**inputs).logits[0, place]
    found: list[str] = []
    for number in scores.argsort(descending=True).tolist():
        piece = tokenizer.convert_ids_to_tokens(number)
        is_chinese = "\u4e00" <= piece[0] <= "\u9fff"
        if piece.isalpha() and piece != word.lower() and is_chinese == ("\u4e00" <= word[0] <= "\u9fff"):
            found.append(piece)
    return set(found[:count])


def candidates(model: Any, tokenizer: Any, texts: list[str], batch_size: int, **settings: Any) -> dict[Any, list[str]]:
    options = ReplacementSettings(candidates=5, **settings)
    source = words_from(model, tokenizer, batch_size=batch_size)
    read = dict(zip(texts, source.read(texts, options), strict=True))
    wanted = [(text, index) for text in texts for index in range(len(read[text].words))]
    return source.candidates(read, wanted, options)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_words_of_one_call_a_word(pair: tuple[Any, Any], batch_size: int) -> None:
    model, tokenizer = pair
    found = candidates(model, tokenizer, TEXTS, batch_size)
    source = words_from(model, tokenizer)
    checked = 0
    for text in TEXTS:
        for index, (word, pieces) in enumerate(source.read([text], ReplacementSettings())[0].words):
            # The plain way finds the first place of a word; "songs" is of two pieces, and has neighbours instead.
            if len(pieces) == 1 and text.index(word.text) == word.start:
                assert set(found[text, index]) == one_at_a_time(model, tokenizer, text, word.text, 5), (text, word)
                checked += 1
    assert checked > 120
    assert found["电影很好看", 0]
    assert all("\u4e00" <= word <= "\u9fff" for word in found["电影很好看", 0])


def test_scores_of_any_batch_differ_less_than_what_is_doubted(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    finder = Predictions(model, tokenizer, Vocabulary(tokenizer), 64)
    masking = Masking(tokenizer, 64)
    texts = [MaskedText(*masking.masked(encoded, 1, 64), "good") for encoded in masking.encode(TEXTS[:25])]
    together = finder._scores(model, texts)
    exact = torch.cat([finder._scores(finder._exact_model(), [text]) for text in texts])
    real = together.isfinite()
    assert torch.equal(real, exact.isfinite())
    error = (together.double() - exact)[real].abs().max() / together[real].abs().max()
    assert error < DOUBTFUL / 4


def test_near_ties_are_decided_with_all_digits(pair: tuple[Any, Any]) -> None:
    """Two words with the same vector tie in every text: the batch must not decide between them."""
    _, tokenizer = pair
    model, _ = tiny_masked_lm.make()
    ids = [tokenizer.convert_tokens_to_ids(word) for word in tiny_masked_lm.WORDS]
    with torch.no_grad():
        embedded = model.get_input_embeddings().weight
        # Of all words but the first, alternating signs of rounding: as near as float32 can tell, or nearer.
        embedded[ids[1:]] = embedded[ids[1]] * (1 + 2e-8 * torch.arange(len(ids) - 1)[:, None])
    runs = [candidates(model, tokenizer, TEXTS, batch_size) for batch_size in (1, 3, 64)]
    assert runs[0] == runs[1] == runs[2]


def test_without_the_second_look_the_batch_decides(pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    asked = []
    exact = Predictions._exact_model
    monkeypatch.setattr(Predictions, "_exact_model", lambda self: asked.append(1) or exact(self))
    test_near_ties_are_decided_with_all_digits(pair)
    assert asked


def test_a_word_is_masked_in_a_window_of_a_long_text(pair: tuple[Any, Any]) -> None:
    model, tokenizer = pair
    masking = Masking(tokenizer, limits_of(model).positions)
    (long,) = masking.encode(["good film " * 300])
    for token in (0, 1, 299, 598, 599):
        ids, place = masking.masked(long, token, 512)
        assert len(ids) == 64
        assert ids[place] == tokenizer.mask_token_id
        assert ids.count(tokenizer.mask_token_id) == 1
        assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
        start = max(0, min(token - 31, 600 - 62))
        assert place == token - start + 1
        assert ids[1:place] + ids[place + 1 : -1] == long.ids[start:token] + long.ids[token + 1 : start + 62]
    assert len(masking.masked(long, 300, 16)[0]) == 16
    found = candidates(model, tokenizer, ["good film " * 300], 32)
    assert len(found) == 512
    assert len(candidates(model, tokenizer, ["good film " * 300], 32, max_length=50)) == 50


FAMILIES = {
    "roberta": lambda size: RobertaConfig(vocab_size=size, max_position_embeddings=66, **SIZES),
    "electra": lambda size: ElectraConfig(vocab_size=size, embedding_size=16, **SIZES),
    "distilbert": lambda size: DistilBertConfig(vocab_size=size, dim=32, hidden_dim=48, n_heads=4, n_layers=2),
    "albert": lambda size: AlbertConfig(vocab_size=size, embedding_size=16, **SIZES),
    "tinybert": lambda size: TinyBertConfig(vocab_size=size, max_position_embeddings=64, **SIZES),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_give_the_masked_places_alone(pair: tuple[Any, Any], family: str) -> None:
    _, tokenizer = pair
    torch.manual_seed(0)
    config = FAMILIES[family](len(tokenizer))
    config.pad_token_id = 0
    model = AutoModelForMaskedLM.from_config(config).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    finder = Predictions(model, tokenizer, Vocabulary(tokenizer), 64)
    texts = [MaskedText([2, 70, 4, 90, 3], 2, "good"), MaskedText([2, 4, 3], 1, "good")]
    scores = finder._scores(model, texts)
    for row, text in zip(scores, texts, strict=True):
        with torch.no_grad():
            whole = model(input_ids=torch.tensor([text.ids])).logits[0, text.place]
        real = row.isfinite()
        torch.testing.assert_close(row[real], whole[real], rtol=1e-4, atol=1e-5)
    assert limits_of(model).positions == {"roberta": 66 - 1, "tinybert": 64}.get(family, 512)
