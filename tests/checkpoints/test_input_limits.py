"""Whether a tokenizer fits the tables of a model; the oracle of every limit is a forward of the model."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_translator
import torch
from tiny_models import FAMILIES, batch_of, make
from tokenizers import Tokenizer, models
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertTokenizer,
    PreTrainedTokenizerFast,
    XLNetConfig,
)

from tinybert_hf.checkpoints import (
    check_batch,
    check_ids,
    check_length,
    check_tokens,
    fit_tokenizer,
    limits_of,
    open_tokenizer,
    save_atomically,
    with_fitting_settings,
)
from tinybert_hf.checkpoints.input_limits import without_unread_segments
from tinybert_hf.errors import DataError, OpeningWarning, TinyBertError
from tinybert_hf.model import TinyBertConfig, TinyBertSeq2SeqTokenizer

ROWS, WORDS = 20, 40
SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
COMMON = {"vocab_size": WORDS, "max_position_embeddings": ROWS, "pad_token_id": 1}
ENCODER = {**SIZES, **COMMON}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 2}
MARIAN = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, **COMMON, **SPECIAL,
    "decoder_start_token_id": 1,
}  # fmt: skip

# RoBERTa's kin counts from behind the padding token's number; the others from 0.
SKIPS = ("roberta", "xlm-roberta", "camembert", "data2vec-text", "longformer", "mpnet", "xmod", "ibert", "esm")
COUNTS = ("bert", "tinybert", "electra", "albert", "nystromformer", "deberta-v2", "roformer", "distilbert", "gpt2")
OWN: dict[str, dict[str, Any]] = {
    "longformer": {**ENCODER, "attention_window": 4},
    "esm": {**ENCODER, "position_embedding_type": "absolute", "mask_token_id": 3},
    "xmod": {**ENCODER, "default_language": "en_XX"},
    "distilbert": {**COMMON, "dim": 16, "n_heads": 2, "n_layers": 1, "hidden_dim": 16},
    "gpt2": {"vocab_size": WORDS, "n_positions": ROWS, "n_embd": 16, "n_layer": 1, "n_head": 2, **SPECIAL},
}


def runs(model: Any, length: int, **more: Any) -> bool:
    ids = torch.full((1, length), 7)
    try:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=torch.ones_like(ids), **more)
    except (IndexError, RuntimeError):
        return False
    return True


@pytest.mark.parametrize("family", [*SKIPS, *COUNTS])
def test_positions_are_as_many_as_a_forward_takes(family: str) -> None:
    config = CONFIG_MAPPING[family](**OWN.get(family, ENCODER))
    model = AutoModel.from_config(config).eval()
    limits = limits_of(model)
    assert limits.positions == (ROWS - 2 if family in SKIPS else ROWS)
    assert limits.no_place == (1 if family in SKIPS else None)
    assert runs(model, limits.positions)
    assert not runs(model, limits.positions + 1)
    assert limits.tokens == WORDS
    assert limits_of(config) == limits  # without weights


@pytest.mark.parametrize("family", ["marian", "mbart", "tinybert"])
def test_a_translator_has_positions_for_both_sides(family: str) -> None:
    from transformers import AutoModelForSeq2SeqLM

    fields = MARIAN
    if family == "tinybert":
        fields = {**ENCODER, "pad_token_id": 0, "num_decoder_layers": 1, "is_encoder_decoder": True, "eos_token_id": 1}
    config = CONFIG_MAPPING[family](**fields)
    model = AutoModelForSeq2SeqLM.from_config(config).eval()
    limits = limits_of(model)
    assert (limits.positions, limits.target_positions) == (ROWS, ROWS)
    assert (limits.tokens, limits.target_tokens, limits.segments) == (WORDS, WORDS, 0)
    for longer in (0, 1):
        target = {"decoder_input_ids": torch.full((1, limits.target_positions + longer), 7)}
        assert runs(model, limits.positions, **target) is not bool(longer)
    assert not runs(model, limits.positions + 1, decoder_input_ids=torch.full((1, 2), 7))
    assert limits_of(config) == limits


@pytest.mark.parametrize(
    ("family", "fields"),
    [
        ("deberta-v2", {**ENCODER, "position_biased_input": False, "relative_attention": True}),
        ("modernbert", {**ENCODER, **SPECIAL, "cls_token_id": 3, "sep_token_id": 4}),
        ("esm", {**ENCODER, "position_embedding_type": "rotary", "mask_token_id": 3}),
        ("xlnet", {"vocab_size": WORDS, "d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 16}),
        ("m2m_100", MARIAN),
        ("t5", {"vocab_size": WORDS, "d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}),
    ],
)
def test_a_model_without_a_table_of_positions_is_not_refused(family: str, fields: dict[str, Any]) -> None:
    model = AutoModel.from_config(CONFIG_MAPPING[family](**fields)).eval()
    limits = limits_of(model)
    more = {"decoder_input_ids": torch.full((1, 3 * ROWS), 7)} if model.config.is_encoder_decoder else {}
    assert limits.positions is None
    assert limits.target_positions is None
    assert runs(model, 3 * ROWS, **more)
    check_length("max_length", 3 * ROWS, model=model)
    # Where nobody says how long a text may be, what the configuration speaks of is taken.
    assert limits.length == (None if family in ("xlnet", "t5") else ROWS)


def test_a_length_beyond_the_positions_is_refused_with_the_one_that_works() -> None:
    roberta = CONFIG_MAPPING["xlm-roberta"](**{**ENCODER, "max_position_embeddings": 66})
    check_length("max_length", 64, model=roberta)
    with pytest.raises(DataError, match=r"65 tokens.* the 64 positions of the teacher; .*--max-length.*64"):
        check_length("max_length", 65, DataError, option="--max-length", student=BertConfig(), teacher=roberta)


def test_limits_draw_no_random_number() -> None:
    state = torch.get_rng_state()
    limits_of(BertConfig(**ENCODER))
    assert torch.equal(torch.get_rng_state(), state)


def test_tokens_beyond_the_embeddings_are_named_with_what_helps(tiny_tokenizer: BertTokenizer) -> None:
    size = len(tiny_tokenizer)
    tokenizer = BertTokenizer(vocab=tiny_tokenizer.get_vocab())
    check_tokens(tokenizer, limited(size), "m")
    check_tokens(tokenizer, limited(size + 7), "m")  # a table that was padded to a multiple of 8 is right
    tokenizer.add_tokens(["[USER]", "[URL]"])
    check_tokens(tokenizer, limited(size + 2), "m")
    words = rf"'\[USER\]' \({size}\), '\[URL\]' \({size + 1}\)\. .*resize_token_embeddings\({size + 2}\)"
    with pytest.raises(DataError, match=rf"^folder embeds {size} tokens.*2 without an embedding: {words}"):
        fit_tokenizer(tokenizer, limited(size), "folder", DataError)
    with pytest.raises(TinyBertError, match=rf"1 without an embedding: '\[URL\]' \({size + 1}\)\. Do this\.$"):
        check_tokens(tokenizer, limited(size + 1), "m", advice="Do this.")
    with pytest.raises(TinyBertError, match=r"and the rows hold 1 without an embedding: '\[USER\]'"):
        check_ids([0, size], limited(size), "m", tokenizer=tokenizer)


@pytest.mark.parametrize("hole", [30, 5])
def test_ids_that_no_token_has_do_not_hide_one_that_is_too_high(hole: int) -> None:
    """As many tokens as embeddings, and one of them beyond the table; holes within it are harmless."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "a": 2, "film": 3, "good": hole}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]")
    check_tokens(tokenizer, limited(hole + 1), "m")
    with pytest.raises(TinyBertError, match=rf"'good' \({hole}\)"):
        check_tokens(tokenizer, limited(5), "m")


def test_each_side_of_a_translator_has_its_table() -> None:
    sides = {"tokenizer_object": word_level("a"), "target_tokenizer_object": word_level("b", "c", "d")}
    tokenizer = TinyBertSeq2SeqTokenizer(**sides, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    two = {**SIZES, "is_encoder_decoder": True, "num_decoder_layers": 1, "eos_token_id": 1, "vocab_size": 4}
    check_tokens(tokenizer, TinyBertConfig(**two, decoder_vocab_size=6), "m")
    with pytest.raises(TinyBertError, match=r"embeds 5 tokens of the target .*: 'd' \(5\)"):
        check_tokens(tokenizer, TinyBertConfig(**two, decoder_vocab_size=5), "m")
    with pytest.raises(TinyBertError, match=r"embeds 3 tokens \(ids 0 to 2\).*: 'a' \(3\)"):
        check_tokens(tokenizer, TinyBertConfig(**{**two, "vocab_size": 3}, decoder_vocab_size=6), "m")
    shared = tiny_translator.make_tokenizer()
    check_tokens(shared, tiny_translator.make_model(), "m")


@pytest.mark.parametrize(("own", "expected"), [(int(1e30), 18), (20, 18), (19, 18), (18, 18), (12, 12)])
def test_the_length_is_the_models_where_the_tokenizer_says_none_or_more(
    tiny_tokenizer: BertTokenizer, own: int, expected: int
) -> None:
    tokenizer = BertTokenizer(vocab=tiny_tokenizer.get_vocab(), model_max_length=own)
    roberta = CONFIG_MAPPING["roberta"](**ENCODER)
    fitted = fit_tokenizer(tokenizer, roberta, "m")
    assert fitted.model_max_length == expected
    assert len(fitted("film " * 99, truncation=True)["input_ids"]) == expected
    assert tokenizer.model_max_length == own  # the one that was given is left as it was


def test_a_model_with_one_segment_is_given_none(tiny_tokenizer: BertTokenizer) -> None:
    pair = ("a film", "a plot")
    assert max(tiny_tokenizer(*pair)["token_type_ids"]) == 1
    for config, gives in (
        (BertConfig(**ENCODER, type_vocab_size=1), False),
        (BertConfig(**ENCODER), True),
        (CONFIG_MAPPING["distilbert"](**OWN["distilbert"]), False),  # it takes no segments
        (CONFIG_MAPPING["deberta-v2"](**ENCODER), True),  # it passes them over
    ):
        fitted = fit_tokenizer(tiny_tokenizer, config, "m")
        assert ("token_type_ids" in fitted(*pair)) is gives
        model = AutoModel.from_config(config).eval()
        model(**fitted(*pair, return_tensors="pt"))
    with pytest.raises(TinyBertError, match=r"knows 2 segments \(type_vocab_size.*gives 3"):
        fit_tokenizer(three_segments(), BertConfig(**ENCODER), "m")
    fit_tokenizer(three_segments(), BertConfig(**ENCODER, type_vocab_size=3), "m")


def test_segments_of_a_file_that_a_class_without_a_family_leaves_out(
    tiny_tokenizer: BertTokenizer, tmp_path: Path
) -> None:
    """transformers 4 gave them; the oracle is the class of the family."""
    tiny_tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    for named in ("PreTrainedTokenizerFast", "TokenizersBackend", "NoSuchTokenizer"):
        content = {**json.loads(file.read_text()), "tokenizer_class": named}
        file.write_text(json.dumps(content))
        with pytest.warns(OpeningWarning, match=r"2 segments.*write \"model_input_names\": \[\"input_ids\", \"token"):
            opened = open_tokenizer(tmp_path, config=BertConfig(**ENCODER))
        assert opened("a film", "a plot") == tiny_tokenizer("a film", "a plot")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit_tokenizer(opened, BertConfig(**ENCODER), "m")  # it is said once
        for config in (BertConfig(**ENCODER, type_vocab_size=1), CONFIG_MAPPING["distilbert"](**OWN["distilbert"])):
            assert "token_type_ids" not in open_tokenizer(tmp_path, config=config)("a film", "a plot")
        names = ["input_ids", "attention_mask"]
        file.write_text(json.dumps({**content, "model_input_names": names}))
        assert open_tokenizer(tmp_path, config=BertConfig(**ENCODER)).model_input_names == names


def test_a_padding_token_is_named_by_one_of_the_two_files(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    tiny_tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer_config.json"
    content = {**json.loads(file.read_text()), "tokenizer_class": "PreTrainedTokenizerFast"}
    del content["pad_token"]
    file.write_text(json.dumps({**content, "model_input_names": ["input_ids", "attention_mask"]}))
    index = tiny_tokenizer.pad_token_id
    with pytest.warns(OpeningWarning, match=r"'\[PAD\]' is taken.*write \"pad_token\": \"\[PAD\]\""):
        opened = open_tokenizer(tmp_path, config=BertConfig(**{**ENCODER, "pad_token_id": index}))
    assert opened.pad_token_id == index
    opened.save_pretrained(tmp_path / "again")
    assert AutoTokenizer.from_pretrained(tmp_path / "again").pad_token == "[PAD]"
    word = tiny_tokenizer.convert_tokens_to_ids("film")
    for wrong in (None, word):  # a word does not become a special token
        with pytest.raises(TinyBertError, match="no padding token, which batches need"):
            open_tokenizer(tmp_path, config=BertConfig(**{**ENCODER, "pad_token_id": wrong}))


def test_a_batch_loses_segments_that_a_model_cannot_tell_apart() -> None:
    batch = {**batch_of([4]), "token_type_ids": torch.ones(1, 4, dtype=torch.long)}
    assert "token_type_ids" not in without_unread_segments(BertConfig(type_vocab_size=1), batch)
    assert without_unread_segments(BertConfig(), batch) is batch


def test_padding_stands_where_the_head_does_not_look(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    left = BertTokenizer(vocab=tiny_tokenizer.get_vocab(), padding_side="left", model_max_length=16)
    xlnet = XLNetConfig(vocab_size=WORDS, d_model=16, n_layer=1, n_head=2, d_inner=16)  # it looks at the last place
    assert fit_tokenizer(left, BertConfig(**ENCODER), "m").padding_side == "right"
    assert fit_tokenizer(left, xlnet, "m").padding_side == "left"
    assert fit_tokenizer(tiny_tokenizer, xlnet, "m").padding_side == "left"
    assert left.padding_side == "left"
    save_atomically(make(FAMILIES["bert"]()), left, tmp_path / "model")
    assert AutoTokenizer.from_pretrained(tmp_path / "model").padding_side == "right"


def test_what_is_saved_fits_too(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    tokenizer = BertTokenizer(vocab=tiny_tokenizer.get_vocab(), padding_side="left")
    config = BertConfig(**ENCODER, type_vocab_size=1)
    AutoModel.from_config(config).save_pretrained(tmp_path / "from")
    tokenizer.save_pretrained(tmp_path / "from")
    opened = open_tokenizer(tmp_path / "from", config=config)
    opened.save_pretrained(tmp_path / "to")
    again = AutoTokenizer.from_pretrained(tmp_path / "to")
    assert (again.padding_side, again.model_max_length) == ("right", ROWS)
    assert "token_type_ids" not in again("a film", "a plot")
    assert again.get_vocab() == tokenizer.get_vocab()
    assert with_fitting_settings(again, config) is again
    assert with_fitting_settings(None, config) is None


def test_padding_and_truncation_of_tokenizer_json_are_kept(tiny_tokenizer: BertTokenizer, tmp_path: Path) -> None:
    """A call of a tokenizer takes them away, and other programs read them; the side alone follows the model."""
    tokenizer = BertTokenizer(vocab=tiny_tokenizer.get_vocab(), padding_side="left", model_max_length=64)
    tokenizer.backend_tokenizer.enable_truncation(12)
    tokenizer.backend_tokenizer.enable_padding(direction="left", length=16)
    fit_tokenizer(tokenizer, BertConfig(**ENCODER), "m").save_pretrained(tmp_path)
    saved = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert saved.truncation["max_length"] == 12
    assert (saved.padding["length"], saved.padding["direction"]) == (16, "right")


def case(change: Callable[[dict[str, Any]], Any], *words: str) -> Any:
    return change, words


@pytest.mark.parametrize(
    ("change", "words"),
    [
        case(lambda b: b["input_ids"].__setitem__((0, 1), 60), r"embeds 60 tokens", r"hold 1 without.*: 60\."),
        case(lambda b: b["input_ids"].__setitem__((0, 1), -1), r"hold 1 without an embedding: -1\. A number below 0"),
        case(lambda b: b.update(batch_of([81])), r"has 80 positions.*81 tokens", "max_length=80"),
        case(lambda b: b["token_type_ids"].fill_(2), r"knows 2 segments.*segment id 2"),
        case(lambda b: b.update({n: v.flip(1) for n, v in b.items()}), r"first place.*padded before", '"right"'),
    ],
)
def test_a_batch_beyond_a_table_is_refused(change: Any, words: tuple[str, ...]) -> None:
    model = make(BertConfig(vocab_size=60, max_position_embeddings=80, **SIZES))
    batch = batch_of([5, 3, 0])  # a row without a token is none that is padded before its tokens
    batch["token_type_ids"] = torch.zeros_like(batch["input_ids"])
    check_batch(model, batch, "The student", DataError)
    change(batch)
    with pytest.raises(DataError, match="^The student .*" + ".*".join(words)):
        check_batch(model, batch, "The student", DataError)


def test_padding_takes_no_position_of_a_roberta() -> None:
    model = make(CONFIG_MAPPING["roberta"](**{**ENCODER, "vocab_size": 60}))
    padded = batch_of([18, 4], padded_to=24)  # padded to a multiple of 8 with token 1, which is its padding
    model(**padded)
    check_batch(model, padded, "m")
    with pytest.raises(TinyBertError, match="18 positions, and a row has 19"):
        check_batch(model, batch_of([19, 4], padded_to=24), "m")


def test_the_target_of_a_batch_is_looked_at() -> None:
    model = tiny_translator.make_model()
    size = model.config.vocab_size
    batch = {**batch_of([3]), "labels": torch.tensor([[3, size - 1, -100]])}
    batch["input_ids"] %= size
    check_batch(model, batch, "m")
    batch["labels"][0, 1] = size
    with pytest.raises(TinyBertError, match=rf"embeds {size} tokens of the target .*: {size}\."):
        check_batch(model, batch, "m")


def limited(tokens: int) -> BertConfig:
    return BertConfig(**{**ENCODER, "vocab_size": tokens})


def word_level(*words: str) -> Tokenizer:
    backend = Tokenizer(models.WordLevel({w: i for i, w in enumerate(["<pad>", "</s>", "<unk>", *words])}, "<unk>"))
    backend.add_special_tokens(["<pad>", "</s>", "<unk>"])
    return backend


def three_segments() -> PreTrainedTokenizerFast:
    from tokenizers import processors

    backend = word_level("a")
    backend.post_processor = processors.TemplateProcessing("$A:0", "$A:0 $B:1 </s>:2", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer
