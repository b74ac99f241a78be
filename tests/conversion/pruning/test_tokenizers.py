"""Whether a text whose pieces all stay becomes the same pieces, and what becomes of another."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from tiny_vocabularies import texts
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, XLMRobertaTokenizer

from tinybert_hf.conversion.pruned_tokenizers import model_of, own_backend, prune_tokenizer, special_ids
from tinybert_hf.conversion.pruning import choose_pieces, count_pieces
from tinybert_hf.errors import TinyBertError


def pruned(tokenizer: Any, corpus: Iterable[str], min_count: int = 1, margin: float = 0.0) -> tuple[Any, list[int]]:
    """A tokenizer with the pieces of a corpus, and their old ids."""
    backend = own_backend(tokenizer)
    pieces = model_of(backend, json.loads(backend.to_str()))
    counts = count_pieces(backend, corpus, len(tokenizer))
    choice = choose_pieces(pieces, counts, special_ids(tokenizer), min_count, margin)
    return prune_tokenizer(tokenizer, pieces, choice.kept), choice.kept


def tokens(tokenizer: Any, text: str) -> list[str]:
    return list(tokenizer.tokenize(text))


@pytest.mark.parametrize("min_count", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_text_inside_the_kept_vocabulary_becomes_the_same_pieces(
    kind: str, seed: int, min_count: int, tokenizer_of: Callable[[str], Any]
) -> None:
    tokenizer = tokenizer_of(kind)
    smaller, kept = pruned(tokenizer, texts(seed, 10 * min_count), min_count=min_count)
    names = set(tokenizer.convert_ids_to_tokens(kept))
    place = {old: new for new, old in enumerate(kept)}
    inside = outside = 0
    for text in texts(100 + seed, 200):
        before = tokens(tokenizer, text)
        if set(before) <= names:
            inside += 1
            assert tokens(smaller, text) == before
            old, new = tokenizer(text, text)["input_ids"], smaller(text, text)["input_ids"]
            assert new == [place[index] for index in old]
        else:
            outside += 1
    assert inside > 10  # or the test would say nothing
    assert outside > 10
    assert len(smaller) < 0.9 * len(tokenizer)


def test_other_text_falls_into_smaller_pieces_and_no_known_character_becomes_unknown(
    kind: str, tokenizer_of: Callable[[str], Any]
) -> None:
    tokenizer = tokenizer_of(kind)
    smaller, _ = pruned(tokenizer, ["ba"])
    more = unknown = 0
    for text in (f"{text} {'' if index % 3 else 'ая'}" for index, text in enumerate(texts(11, 200))):
        before, after = tokenizer(text)["input_ids"], smaller(text)["input_ids"]
        assert after.count(smaller.unk_token_id) == before.count(tokenizer.unk_token_id)
        assert smaller.decode(after) == tokenizer.decode(before)
        more += len(after) > len(before)
        unknown += tokenizer.unk_token_id in before
    assert more > 100
    assert unknown > 20 or kind == "BPE"  # bytes know every character


def test_every_kept_piece_of_random_subsets(kind: str, tokenizer_of: Callable[[str], Any]) -> None:
    """Not only what a corpus would choose: any pieces, closed as the kind wants them."""
    tokenizer = tokenizer_of(kind)
    backend = own_backend(tokenizer)
    pieces = model_of(backend, json.loads(backend.to_str()))
    draw = random.Random(5)
    checked = 0
    for _ in range(5):
        chosen = set(draw.sample(sorted(pieces.ids.values()), k=len(pieces.ids) // 3))
        kept = sorted(pieces.closed(chosen | pieces.indispensable() | special_ids(tokenizer)))
        smaller = prune_tokenizer(tokenizer, pieces, kept)
        names = set(tokenizer.convert_ids_to_tokens(kept))
        for text in (word for line in texts(draw.randrange(1000), 200) for word in line.split()):
            before = tokens(tokenizer, text)
            if set(before) <= names:
                checked += 1
                assert tokens(smaller, text) == before
    assert checked > 500


def test_roles_ids_and_settings_follow(kind: str, tokenizer_of: Callable[[str], Any], corpus: list[str]) -> None:
    tokenizer = tokenizer_of(kind)
    smaller, kept = pruned(tokenizer, corpus)
    assert type(smaller) is type(tokenizer)
    assert smaller.special_tokens_map == tokenizer.special_tokens_map
    assert smaller.model_max_length == tokenizer.model_max_length
    assert sorted(smaller.get_vocab().values()) == list(range(len(kept)))
    # the old order
    assert smaller.convert_ids_to_tokens(list(range(len(kept)))) == tokenizer.convert_ids_to_tokens(kept)
    for role in ("pad_token_id", "unk_token_id", "cls_token_id", "sep_token_id", "mask_token_id"):
        assert getattr(smaller, role) == kept.index(getattr(tokenizer, role))
    batch = smaller(["ba", "ba ko ri"], padding=True)
    assert batch["input_ids"][0][-1] == smaller.pad_token_id


def test_an_added_token_stays_and_is_found_in_text(
    kind: str, tokenizer_of: Callable[[str], Any], corpus: list[str]
) -> None:
    import copy

    tokenizer = copy.deepcopy(tokenizer_of(kind))
    tokenizer.add_tokens(["<user>", "zzqq"])
    smaller, kept = pruned(tokenizer, corpus)
    assert tokens(smaller, "ba zzqq <user>") == tokens(tokenizer, "ba zzqq <user>")
    assert smaller.convert_tokens_to_ids("<user>") == kept.index(tokenizer.convert_tokens_to_ids("<user>"))


def test_saved_and_opened_again(
    kind: str, tokenizer_of: Callable[[str], Any], corpus: list[str], tmp_path: Any
) -> None:
    smaller, _ = pruned(tokenizer_of(kind), corpus)
    smaller.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.get_vocab() == smaller.get_vocab()
    assert [again(text)["input_ids"] for text in corpus] == [smaller(text)["input_ids"] for text in corpus]


def test_pruned_again_with_the_same_corpus_nothing_changes(
    kind: str, tokenizer_of: Callable[[str], Any], corpus: list[str]
) -> None:
    smaller, _ = pruned(tokenizer_of(kind), corpus)
    twice, kept = pruned(smaller, corpus)
    assert twice.get_vocab() == smaller.get_vocab()
    less, _ = pruned(smaller, corpus[:5])
    assert len(less) < len(twice) == len(kept)


def test_the_tokenizer_that_was_given_is_as_it_was(
    kind: str, tokenizer_of: Callable[[str], Any], corpus: list[str]
) -> None:
    tokenizer = tokenizer_of(kind)
    tokenizer(["ba"] * 2, truncation=True, max_length=3, padding="max_length")  # leaves both switched on below
    before = tokenizer.backend_tokenizer.to_str()
    long = "\n".join(corpus)
    _, kept = pruned(tokenizer, [long])  # not cut at 3
    assert tokenizer.backend_tokenizer.to_str() == before
    assert len(kept) == len(pruned(tokenizer, corpus)[1])


def test_what_no_text_can_become_is_left_out(tokenizer_of: Callable[[str], Any]) -> None:
    tokenizer = tokenizer_of("WordPiece")
    smaller, _ = pruned(tokenizer, ["ba"], margin=1.0)
    gone = set(tokenizer.get_vocab()) - set(smaller.get_vocab())
    assert {"[unused0]", "[unused1]"} <= gone
    assert all(one.startswith(("[unused", "##")) for one in gone)
    assert not any(set(tokens(tokenizer, text)) & gone for text in texts(3, 500))


def test_a_bpe_with_end_marks_is_refused() -> None:
    model = models.BPE(vocab={"a": 0, "b</w>": 1, "<unk>": 2}, merges=[], unk_token="<unk>", end_of_word_suffix="</w>")
    backend = Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    with pytest.raises(TinyBertError, match="end_of_word_suffix"):
        pruned(tokenizer, ["a b"])


def test_a_kind_that_is_not_known_is_refused() -> None:
    backend = Tokenizer(models.WordLevel({"a": 0, "<unk>": 1}, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(TinyBertError, match=r"'WordLevel'.*WordPiece, Unigram, BPE"):
        pruned(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>"), ["a"])


def test_the_price_of_an_unknown_character_stays() -> None:
    """Unigram takes it from the least probable piece; were that one gone, `uvw` and an unknown X would be cheaper."""
    scores = {"\u2581": -5, "u": -20, "v": -20, "w": -20, "uv": -20, "wX": -20, "uvw": -1, "z": -15, "zz": -100}
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    pieces = [*special, *((token, float(score)) for token, score in scores.items()), ("<mask>", 0.0)]
    tokenizer = XLMRobertaTokenizer(vocab=pieces)
    smaller, _ = pruned(tokenizer, ["uvwX uvw"])
    assert tokens(tokenizer, "uvwX") == ["\u2581", "uv", "wX"]
    assert tokens(smaller, "uvwX") == ["\u2581", "uv", "wX"]


def test_what_its_class_would_make_anew_stays(tokenizer_of: Callable[[str], Any], corpus: list[str]) -> None:
    import copy

    tokenizer = copy.deepcopy(tokenizer_of("WordPiece"))
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()  # a BertTokenizer that is opened has BERT's
    smaller, kept = pruned(tokenizer, corpus)
    assert isinstance(smaller.backend_tokenizer.normalizer, normalizers.NFC)
    place = {old: new for new, old in enumerate(kept)}
    for text in corpus:
        assert smaller(text)["input_ids"] == [place[index] for index in tokenizer(text)["input_ids"]]
