"""The trained vocabulary of a translator: nothing is unknown, and texts come back as they were."""

import json
import re
import unicodedata
from itertools import pairwise

import pytest

from tinybert_hf.data import train_translation_tokenizer
from tinybert_hf.data.demo_translation import demo_translation
from tinybert_hf.errors import DataError

GERMAN = [
    "Der Zug fährt um zwölf Uhr ab.",
    "Größe, Übermut – und „Anführungszeichen“ …",
    "Die Donaudampfschifffahrtsgesellschaft hat 1.250 Schiffe (fast) verkauft!",
    "Geht's dir gut?",
]
CHINESE = [
    "火车中午出发。",
    "“别走！”她说：‘好的，我等你……’",
    "他用３８元买了《ＡＢＣ》（第2版）；你呢？",
    "他昨天买了一部iPhone手机，花了8999块钱。",
    "你好 world，再见",
]
ENGLISH = ["The train leaves at noon.", "I don't know: 3,450 people?", "He said “no”.", '"Yes", she said.']
ROWS = demo_translation(600)
SOURCES, TARGETS = [row["source"] for row in ROWS] + ENGLISH, [row["target"] for row in ROWS] + CHINESE + GERMAN
UNSEEN = ["𠮷野家的牛丼🙂", "Съешь ещё этих булок", "ẞ ñ ğ", "\u200bhidden", "a\u0301\u0323", "👩‍👩‍👧"]


@pytest.fixture(scope="module", params=[None, 1000], ids=["shared", "separate"])
def tokenizer(request):
    return train_translation_tokenizer(
        SOURCES, TARGETS, vocab_size=1400, target_vocab_size=request.param, max_length=64
    )


@pytest.fixture(scope="module")
def shared():
    return train_translation_tokenizer(SOURCES, TARGETS, vocab_size=1400)


def as_target(tokenizer, text, **options):
    return tokenizer(text_target=text, **options)["input_ids"]


def test_special_tokens(tokenizer):
    found = [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id]
    is_shared = not hasattr(tokenizer, "target_vocab_size")
    assert found == ([len(tokenizer) - 1, 0, 1, 2] if is_shared else [0, 1, 2, 3])
    assert tokenizer.is_fast
    assert tokenizer.model_max_length == 64
    assert list(tokenizer("a", text_target="b")) == ["input_ids", "attention_mask", "labels"]
    assert tokenizer("a")["input_ids"][-1] == as_target(tokenizer, "b")[-1] == tokenizer.eos_token_id


def test_vocabularies_are_as_large_as_asked_for(tokenizer):
    assert len(tokenizer) <= 1400
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))
    if hasattr(tokenizer, "target_vocab_size"):
        assert tokenizer.target_vocab_size == len(tokenizer.get_target_vocab()) <= 1000


def test_a_large_text_fills_the_vocabulary():
    tokenizer = train_translation_tokenizer(SOURCES, TARGETS, vocab_size=600, target_vocab_size=540)
    assert (len(tokenizer), tokenizer.target_vocab_size) == (600, 540)


def test_texts_come_back_and_nothing_is_unknown(tokenizer):
    for text in SOURCES:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True, use_source_tokenizer=True) == text
    for text in TARGETS:
        ids = as_target(tokenizer, text)
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("text", UNSEEN)
def test_unseen_characters_are_spelled_in_bytes(tokenizer, text):
    ids = as_target(tokenizer, text)
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == unicodedata.normalize("NFC", text)


def test_rare_characters_are_left_to_the_bytes():
    common = ["山水山水山水"] * 4000
    tokenizer = train_translation_tokenizer(["mountain"], [*common, "龘"], vocab_size=600, target_vocab_size=600)
    assert "山" in tokenizer.get_target_vocab()
    assert "龘" not in tokenizer.get_target_vocab()
    assert tokenizer.decode(as_target(tokenizer, "山龘水"), skip_special_tokens=True) == "山龘水"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  two \t spaces\n", "two spaces"),
        ("　你好　！", "你好 ！"),
        ("a\u00a0b", "a b"),
        ("u\u0308ber", "über"),
        ("，。！？；：（）％１２ＡＢ", "，。！？；：（）％１２ＡＢ"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_how_texts_are_normalized(tokenizer, text, expected):
    assert tokenizer.decode(as_target(tokenizer, text), skip_special_tokens=True) == expected


@pytest.mark.parametrize("text", ["a </s> b", "<pad>", "<unk><s>", "<0x41>", "</s>"])
def test_nobody_can_write_a_special_token(tokenizer, text):
    ids = as_target(tokenizer, text)
    assert set(ids[:-1]).isdisjoint(range(4))
    assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_batches_are_padded_and_cut(tokenizer):
    texts = [TARGETS[0], "好", ""]
    batch = tokenizer(text_target=texts, padding=True)
    for ids, mask, text in zip(batch["input_ids"], batch["attention_mask"], texts, strict=True):
        own = as_target(tokenizer, text)
        assert ids == own + [tokenizer.pad_token_id] * (len(ids) - len(own))
        assert mask == [1] * len(own) + [0] * (len(ids) - len(own))
    assert tokenizer.batch_decode(batch["input_ids"], skip_special_tokens=True) == texts
    cut = as_target(tokenizer, "好" * 999, truncation=True)
    assert len(cut) == 64
    assert cut[-1] == tokenizer.eos_token_id


def test_words_digits_and_signs_are_apart(shared):
    assert re.findall(r"▁?\d", "".join(shared.tokenize("In 2024"))) == ["▁2", "0", "2", "4"]
    for piece in shared.get_vocab():
        inner = piece.removeprefix("▁")
        if re.fullmatch("<0x..>|</?[a-z]+>", piece):
            continue
        assert " " not in piece
        assert "▁" not in inner
        kinds = {"digit" if c.isdigit() else "letter" if c.isalpha() or c in "'’" else "sign" for c in inner}
        assert len(kinds) <= 1 or re.fullmatch(r"[^\w]+", inner), piece
        assert len(re.findall(r"\d", inner)) <= 1, piece


def test_chinese_pieces_are_words_and_no_phrases(shared):
    pieces = [piece for piece in shared.get_vocab() if re.search(r"[\u4e00-\u9fff]", piece)]
    assert max(len(re.findall(r"[\u4e00-\u9fff]", piece)) for piece in pieces) == 4
    # No space was in the text, so none is in a piece: a word is the same where it begins a sentence.
    assert not [piece for piece in pieces if piece.startswith("▁")]


def test_pieces_are_those_of_a_plain_loop(shared):
    """Byte-pair encoding, one merge at a time, the earliest learnt first."""
    state = json.loads(shared.backend_tokenizer.to_str())
    ranks = {tuple(merge): rank for rank, merge in enumerate(state["model"]["merges"])}
    vocabulary = shared.get_vocab()
    pattern = r"▁?[^\W\d_▁]+(?:['’][^\W\d_▁]+)*|▁?\d|▁?[^\w▁]+|▁"
    for text in [*SOURCES[:40], *TARGETS[:40], *GERMAN, *CHINESE]:
        spaced = text.replace(" ", "▁")
        spaced = spaced if re.match(r"[\u4e00-\u9fff]", text) else f"▁{spaced}"
        expected = []
        for word in re.findall(pattern, spaced):
            pieces = list(word)
            while pairs := [pair for pair in pairwise(pieces) if pair in ranks]:
                first = min(pairs, key=ranks.__getitem__)
                at = next(i for i in range(len(pieces)) if tuple(pieces[i : i + 2]) == first)
                pieces[at : at + 2] = ["".join(first)]
            for piece in pieces:
                in_bytes = [f"<0x{byte:02X}>" for byte in piece.encode()]
                expected += [piece] if piece in vocabulary else in_bytes
        assert shared.tokenize(text) == expected


def test_frequent_words_are_one_piece(shared):
    assert shared.tokenize("My father yesterday") == ["▁My", "▁father", "▁yesterday"]
    assert shared.tokenize("昨天") == ["昨天"]


@pytest.mark.parametrize(
    ("sources", "targets", "options", "message"),
    [
        ([], ["a"], {}, "the source texts hold no character"),
        (["a"], [" ", "\n"], {}, "the target texts hold no character"),
        (["a"], ["b"], {"vocab_size": 300}, "vocab_size is 300; it must be 520 or more"),
        (["a"], ["b"], {"target_vocab_size": 519}, "target_vocab_size is 519"),
    ],
)
def test_what_cannot_be_trained_on(sources, targets, options, message):
    with pytest.raises(DataError, match=message):
        train_translation_tokenizer(sources, targets, **options)


def test_opens_again(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer(["a", "b c"], padding=True, truncation=True)  # must leave nothing behind in the file
    tokenizer.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    texts = [*SOURCES[:20], *UNSEEN]
    targets = [*TARGETS[:20], *UNSEEN]
    assert opened(texts, text_target=targets).data == tokenizer(texts, text_target=targets).data
    assert opened.model_max_length == 64
    assert opened.get_vocab() == tokenizer.get_vocab()
    labels = tokenizer(text_target=targets)["input_ids"]
    assert opened.batch_decode(labels) == tokenizer.batch_decode(labels)
    assert as_target(opened, "</s>") == as_target(tokenizer, "</s>")
