"""A translator as a stock BART: the same translations, in transformers and in CTranslate2."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_seq2seq
import tiny_translator
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, BartForConditionalGeneration

from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.conversion.export import export_model
from tinybert_hf.data import train_translation_tokenizer
from tinybert_hf.errors import TinyBertError

WORDS = sorted(tiny_translator.WORDS)
TEXTS = [" ".join(random.Random(seed).choices(WORDS, k=3 + seed % 9)) for seed in range(20)]
ONE_WIDTH = {"decoder_hidden_size": None, "decoder_num_attention_heads": None}
SHAPES: dict[str, dict[str, Any]] = {
    "as it comes": {},
    "small weights": {"initializer_range": 0.02},
    "heads and widths of its own": {"decoder_num_attention_heads": 2, "decoder_intermediate_size": 40},
    "another activation, one layer": {"hidden_act": "relu", "num_decoder_layers": 1},
}


def save(folder: str, **changes: Any) -> Any:
    """A translator with random weights and a vocabulary of both languages."""
    german = [tiny_translator.in_german(text) for text in TEXTS]
    tokenizer = train_translation_tokenizer(TEXTS, german, vocab_size=600, max_length=40)
    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    special["decoder_start_token_id"] = tokenizer.pad_token_id
    model = tiny_seq2seq.student(**{"vocab_size": len(tokenizer), **special, **ONE_WIDTH, **changes})
    for one in (model.tinybert, model.decoder):  # a type of tokens that is no zero
        one.embeddings.token_type_embeddings.weight.data.normal_(std=model.config.initializer_range)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


@pytest.mark.parametrize("name", SHAPES)
def test_it_writes_what_the_translator_writes(name: str, work: Path) -> None:
    model = save("made", **SHAPES[name])
    assert "with `--to bart` makes a stock BART" in card_of("made")
    report = export_model("made", "out", "bart", texts=TEXTS)
    assert report.parity.largest_difference < 1e-3
    assert report.parity.equal_answers == 1
    assert len(report.notes) == ("decoder_num_attention_heads" in SHAPES[name])
    assert all("CTranslate2 takes the first number" in note for note in report.notes)
    config = json.loads(Path("out/config.json").read_text())
    assert config["model_type"] == "bart"
    assert "auto_map" not in config
    assert {"forced_eos_token_id": None, "normalize_before": False}.items() <= config.items()
    assert not list(Path("out").glob("*.py"))
    other, tokenizer = AutoModelForSeq2SeqLM.from_pretrained("out").eval(), AutoTokenizer.from_pretrained("out")
    assert type(other) is BartForConditionalGeneration
    assert other.generation_config.max_length == model.generation_config.max_length
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    fixed = {"num_beams": 3, "max_new_tokens": 12, "max_length": None}
    with torch.inference_mode():
        states, own = (one.get_encoder()(**batch).last_hidden_state for one in (other, model))
        # BART's norm behind the embeddings adds more to a variance, which shows where they are small.
        assert (states - own).abs().max() < (1e-3 if name == "small weights" else 1e-4)
        written, expected = other.generate(**batch, **fixed), model.generate(**batch, **fixed)
    assert torch.equal(written, expected)
    assert len({tuple(row) for row in expected.tolist()}) > 1 or name == "small weights"


def test_ctranslate2_writes_what_the_translator_writes(work: Path) -> None:
    ctranslate2 = pytest.importorskip("ctranslate2")
    model = save("made", initializer_range=1.0)  # what it writes differs from text to text
    export_model("made", "out", "bart", texts=TEXTS)
    ctranslate2.converters.TransformersConverter("out").convert("converted")
    translator, tokenizer = ctranslate2.Translator("converted", intra_threads=1), AutoTokenizer.from_pretrained("out")
    tokens = [tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]) for text in TEXTS]
    found = translator.translate_batch(tokens, beam_size=1, max_decoding_length=12)
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        written = model.generate(**batch, num_beams=1, max_new_tokens=12, max_length=None)
    expected = tokenizer.batch_decode(written, skip_special_tokens=True)
    ids = [tokenizer.convert_tokens_to_ids(one.hypotheses[0]) for one in found]
    assert tokenizer.batch_decode(ids, skip_special_tokens=True) == expected
    assert len(set(expected)) > 2


def test_what_bart_has_not_is_refused_by_name(saved: Callable[..., str], work: Path) -> None:
    for changes, said in (
        ({"decoder_hidden_size": 16, "decoder_num_attention_heads": 2}, r"24 wide and its decoder 16.*onnx"),
        ({"tie_embeddings": "target"}, "embeddings of their own.*onnx"),
    ):
        save("made", **changes)
        assert "--to bart" not in card_of("made")
        with pytest.raises(TinyBertError, match=said):
            export_model("made", "out", "bart", texts=TEXTS)
    with pytest.raises(TinyBertError, match=r"no translator.*bert"):
        export_model(saved("text-classification"), "out", "bart", texts=TEXTS)
    tiny_translator.make_model().save_pretrained("marian")
    tiny_translator.make_tokenizer().save_pretrained("marian")
    with pytest.raises(TinyBertError, match="stock MarianMTModel already"):
        export_model("marian", "out", "bart", texts=TEXTS)
    save("made")
    with pytest.raises(TinyBertError, match=r"it is a translator.*bart"):
        export_model("made", "out", "bert", texts=TEXTS)
    assert not Path("out").exists()
