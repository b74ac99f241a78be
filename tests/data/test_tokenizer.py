"""The trained vocabulary: it covers its texts and opens with AutoTokenizer."""

import pytest

from tinybert_hf.data import demo_sentiment, train_wordpiece_tokenizer
from tinybert_hf.errors import DataError

TEXTS = [row["text"] for row in demo_sentiment(300)]


def test_trained_tokenizer():
    tokenizer = train_wordpiece_tokenizer(TEXTS, vocab_size=400, max_length=40)
    assert tokenizer.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]
    assert len(tokenizer) <= 400
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
    assert tokenizer.model_max_length == 40
    assert tokenizer.is_fast
    encoded = tokenizer("The plot is GOOD", "a film")
    assert tokenizer.decode(encoded["input_ids"]) == "[CLS] the plot is good [SEP] a film [SEP]"
    assert set(encoded["token_type_ids"]) == {0, 1}
    assert tokenizer.tokenize("filmé") == tokenizer.tokenize("filme")
    assert tokenizer.tokenize("[MASK] film")[0] == "[MASK]"
    assert sum(token == "[UNK]" for text in TEXTS for token in tokenizer.tokenize(text)) == 0


def test_cased():
    tokenizer = train_wordpiece_tokenizer(["Film film"] * 3, lowercase=False)
    assert tokenizer.tokenize("Film") != tokenizer.tokenize("film")


def test_opens_again_without_remote_code(tmp_path):
    from transformers import AutoTokenizer

    tokenizer = train_wordpiece_tokenizer(TEXTS, vocab_size=300)
    tokenizer.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    assert opened.get_vocab() == tokenizer.get_vocab()
    assert [opened(text) for text in TEXTS[:20]] == [tokenizer(text) for text in TEXTS[:20]]


@pytest.mark.parametrize("texts", [[], ["", "  "]])
def test_no_words(texts):
    with pytest.raises(DataError, match="no word"):
        train_wordpiece_tokenizer(texts)


def test_each_chinese_character_is_a_word():
    """More characters than the usual alphabet holds: as in BERT each is a token, and none of these is unknown."""
    characters = [chr(0x4E00 + number) for number in range(2400)]
    texts = ["".join(characters[start : start + 12]) + "，" for start in range(0, 2400, 6)]
    tokenizer = train_wordpiece_tokenizer([*texts, *TEXTS], vocab_size=4000)
    assert tokenizer.tokenize("一丁七the film") == ["一", "丁", "七", "the", "film"]
    pieces = [piece for text in texts for piece in tokenizer.tokenize(text)]
    assert pieces.count("[UNK]") <= len(pieces) // 200
    small = train_wordpiece_tokenizer(texts, vocab_size=1500)
    assert len(small) <= 1500


def test_rare_characters_leave_room_for_words():
    """A few thousand symbols among English words, each once, take the share of the room that they have of the text."""
    symbols = [chr(0x4E00 + number) for number in range(2400)]
    texts = [f"{text} {symbol}" for text, symbol in zip(TEXTS * 8, symbols, strict=True)]
    tokenizer = train_wordpiece_tokenizer(texts, vocab_size=2000)
    assert tokenizer.tokenize(TEXTS[0]) == train_wordpiece_tokenizer(TEXTS, vocab_size=2000).tokenize(TEXTS[0])
