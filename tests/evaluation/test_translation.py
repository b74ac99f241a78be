"""Measuring a translator: against one sentence at a time, and folders that hold none."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_translator import in_german, sentence
from transformers import T5Config, T5ForConditionalGeneration, T5ForSequenceClassification

from tinybert_hf import TinyBertForSequenceClassification
from tinybert_hf.data import DataSettings, TaskData
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.evaluation import (
    evaluate_any_checkpoint,
    evaluate_checkpoint,
    evaluate_translation,
    evaluate_translation_checkpoint,
    holds_translator,
    knows_nothing,
    open_translator,
    translation_scores,
)

SOURCES = [sentence(1 + row % 5, row) for row in range(12)]
# Every third reference is another sentence's, so that the scores are neither 0 nor 100 and depend on the order.
REFERENCES = [in_german(SOURCES[row if row % 3 else row // 2]) for row in range(12)]

T5_SIZE = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}


def _one_at_a_time(model, tokenizer, beams=1):
    texts = []
    for source in SOURCES:
        with torch.no_grad():
            ids = model.generate(**tokenizer(source, return_tensors="pt"), num_beams=beams, max_new_tokens=20)
        texts.append(tokenizer.decode(ids[0], skip_special_tokens=True))
    return texts


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [{"en": source, "de": reference} for source, reference in zip(SOURCES, REFERENCES, strict=True)]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return DataSettings(validation_file=str(path), source_column="en", target_column="de")


@pytest.fixture
def copy(translator_folder, tmp_path):
    return Path(shutil.copytree(translator_folder, tmp_path / "copy"))


@pytest.mark.parametrize(("beams", "batch_size"), [(1, 1), (1, 5), (3, 4)])
def test_scores_of_what_the_model_writes(translator, tokenizer, beams, batch_size):
    expected = _one_at_a_time(translator, tokenizer, beams)
    translator.train()
    result = evaluate_translation(translator, tokenizer, SOURCES, REFERENCES, num_beams=beams, batch_size=batch_size)
    assert translator.training
    translator.eval()
    assert result["hypotheses"] == expected
    assert 10 < result["bleu"] < 100
    assert {name: result[name] for name in ("bleu", "chrf", "bleu_signature", "chrf_signature")} == translation_scores(
        expected, REFERENCES
    )
    assert result["sentences_per_second"] > 0
    assert (result["cut_off"], result["truncated"], result["notes"]) == (0, 0, [])


def test_target_language_reaches_the_scores(translator, tokenizer):
    result = evaluate_translation(translator, tokenizer, SOURCES[:2], REFERENCES[:2], target_language="zho_Hans")
    assert "tok:zh" in result["bleu_signature"]


def test_short_translations_are_judged_by_chrf(translator, tokenizer, tmp_path):
    """Two words each: no four in a row, so BLEU is 0 for right ones too."""
    sources = [sentence(2, row) for row in range(6)]
    references = [in_german(source) for source in sources]
    result = evaluate_translation(translator, tokenizer, sources, references)
    assert result["hypotheses"] == references
    assert (result["bleu"], result["chrf"]) == (0.0, 100.0)
    (note,) = result["notes"]
    assert "no translation has as many" in note
    data = TaskData(None, None, (), "translation")
    assert knows_nothing(data, result, "The model") is None
    wrong = evaluate_translation(translator, tokenizer, sources, ["quiz xylophon"] * 6)
    assert "chrF" in (knows_nothing(data, wrong, "The model") or "")
    longer = [*sources, sentence(4, 0)]
    assert evaluate_translation(translator, tokenizer, longer, [in_german(one) for one in longer])["notes"] == []


def test_speed_is_sentences_by_time(translator, tokenizer, monkeypatch):
    from tinybert_hf.evaluation import translation

    def in_two_seconds(*args, **kwargs):
        return translation.Translations([["Hund"]] * 12, [[False]] * 12, [False] * 12, seconds=2.0)

    monkeypatch.setattr(translation, "translate_texts", in_two_seconds)
    assert evaluate_translation(translator, tokenizer, SOURCES, REFERENCES)["sentences_per_second"] == 6


def test_what_was_cut_is_counted(translator, tokenizer):
    long = " ".join(["dog cat tree"] * 10)
    result = evaluate_translation(translator, tokenizer, ["dog", "dog cat tree", long], ["Hund"] * 3, max_new_tokens=2)
    assert (result["cut_off"], result["truncated"]) == (2, 1)
    assert "2 of 3 translations were cut off" in result["notes"][0]
    assert "1 of 3 sources are longer" in result["notes"][1]


def test_pairs_that_are_none(translator, tokenizer):
    with pytest.raises(DataError, match="12 sources, 11 references"):
        evaluate_translation(translator, tokenizer, SOURCES, REFERENCES[1:])
    with pytest.raises(DataError, match="nothing to measure"):
        evaluate_translation(translator, tokenizer, [], [])


def test_checkpoint(translator_folder, translator, tokenizer, pairs):
    result = evaluate_translation_checkpoint(translator_folder, pairs, batch_size=5, device="cpu")
    assert result["hypotheses"] == _one_at_a_time(translator, tokenizer)
    assert result["bleu"] == translation_scores(result["hypotheses"], REFERENCES)["bleu"]


def test_checkpoint_tells_what_was_left_out(translator_folder, tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("source\ttarget\ndog\tHund\ncat\t \n")
    result = evaluate_translation_checkpoint(translator_folder, DataSettings(validation_file=str(path)))
    assert result["hypotheses"] == ["Hund"]
    assert "1 of 2 pairs" in result["notes"][0]


def test_search_and_language_reach_the_model(translator_folder, pairs, monkeypatch):
    from tinybert_hf.evaluation import translation

    searches = []
    real = translation.translate_texts

    def recorded(*args, **kwargs):
        searches.append((kwargs["num_beams"], kwargs["batch_size"]))
        return real(*args, **kwargs)

    monkeypatch.setattr(translation, "translate_texts", recorded)
    metrics = evaluate_any_checkpoint(translator_folder, pairs, num_beams=2, batch_size=3, target_language="zh")
    assert searches == [(2, 3)]
    assert "tok:zh" in metrics["bleu_signature"]


class TestAnyCheckpoint:
    def test_translator(self, translator_folder, pairs):
        metrics = evaluate_any_checkpoint(translator_folder, pairs)
        expected = evaluate_translation_checkpoint(translator_folder, pairs)
        for changing in ("hypotheses", "sentences_per_second"):
            expected.pop(changing)
        assert metrics.pop("sentences_per_second") > 0
        assert ("warnings" in metrics) == (metrics["bleu"] < 2)
        metrics.pop("warnings", None)
        assert metrics == expected
        json.dumps(metrics)

    def test_classifier(self, tmp_path, tiny_config, tiny_tokenizer):
        config = tiny_config(num_labels=2, id2label={0: "NEG", 1: "POS"}, label2id={"NEG": 0, "POS": 1})
        TinyBertForSequenceClassification(config).save_pretrained(tmp_path / "model")
        tiny_tokenizer.save_pretrained(tmp_path / "model")
        path = tmp_path / "rows.csv"
        path.write_text("text,label\nthe film,NEG\ngood,POS\nbad,NEG\n")
        settings = DataSettings(validation_file=str(path))
        assert not holds_translator(str(tmp_path / "model"))
        metrics = evaluate_any_checkpoint(str(tmp_path / "model"), settings)
        assert ("warnings" in metrics) == (metrics["accuracy"] <= 2 / 3)
        metrics.pop("warnings", None)
        assert metrics == evaluate_checkpoint(str(tmp_path / "model"), settings)
        with pytest.raises(
            TinyBertError, match=r"no translator: by its config\.json it holds a TinyBertForSequenceClassification"
        ):
            evaluate_translation_checkpoint(str(tmp_path / "model"), settings)

    def test_our_own_translator(self, tmp_path, tiny_config, tokenizer, pairs):
        from tinybert_hf import TinyBertForSeq2Seq

        config = tiny_config(is_encoder_decoder=True, num_decoder_layers=1, eos_token_id=1)
        TinyBertForSeq2Seq(config).save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        assert holds_translator(str(tmp_path / "model"))
        assert 0 <= evaluate_any_checkpoint(str(tmp_path / "model"), pairs)["chrf"] < 50

    def test_unreadable_configuration(self, copy, pairs):
        (copy / "config.json").write_text('{"model_type": "parrot"}')
        with pytest.raises(TinyBertError, match="cannot be opened as a text classifier or a translator"):
            evaluate_any_checkpoint(str(copy), pairs)

    def test_nowhere(self, tmp_path, pairs):
        with pytest.raises(TinyBertError, match="does not exist"):
            evaluate_any_checkpoint(str(tmp_path / "nowhere"), pairs)


class TestRefused:
    def test_places_without_a_checkpoint(self, pairs, tmp_path):
        (tmp_path / "empty").mkdir()
        for path, message in {"nowhere": "does not exist", "empty": "no config.json. It holds: nothing"}.items():
            with pytest.raises(TinyBertError, match=message):
                evaluate_translation_checkpoint(str(tmp_path / path), pairs)

    def test_classifier_on_an_encoder_decoder(self, tmp_path, tokenizer, pairs):
        # It would open as a translator without a missing weight: its output layer is tied to the embeddings.
        config = T5Config(vocab_size=len(tokenizer), decoder_start_token_id=0, **T5_SIZE)
        T5ForSequenceClassification(config).save_pretrained(tmp_path / "t5")
        tokenizer.save_pretrained(tmp_path / "t5")
        assert not holds_translator(str(tmp_path / "t5"))
        with pytest.raises(TinyBertError, match="a T5ForSequenceClassification, which writes no text"):
            evaluate_translation_checkpoint(str(tmp_path / "t5"), pairs)

    def test_missing_weights(self, copy, pairs):
        weights = load_file(copy / "model.safetensors")
        gone = "model.decoder.layers.0.fc1.weight"
        save_file({n: w for n, w in weights.items() if n != gone}, copy / "model.safetensors", {"format": "pt"})
        with pytest.raises(TinyBertError, match=r"1 tensor is not in the weights.*decoder\.layers\.0\.fc1"):
            evaluate_translation_checkpoint(str(copy), pairs)

    def test_broken_weights(self, copy, pairs):
        (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:100])
        with pytest.raises(TinyBertError, match=r"model\.safetensors cannot be read"):
            evaluate_translation_checkpoint(str(copy), pairs)

    def test_no_tokenizer(self, copy, pairs):
        for file in copy.glob("token*"):
            file.unlink()
        with pytest.raises(TinyBertError, match="has no tokenizer that can be opened"):
            evaluate_translation_checkpoint(str(copy), pairs)

    def test_no_decoder_start_token(self, tmp_path, tokenizer):
        T5ForConditionalGeneration(T5Config(vocab_size=len(tokenizer), **T5_SIZE)).save_pretrained(tmp_path / "model")
        tokenizer.save_pretrained(tmp_path / "model")
        with pytest.raises(TinyBertError, match="no decoder start token"):
            open_translator(str(tmp_path / "model"))

    def test_columns_that_are_not_there(self, translator_folder, pairs):
        with pytest.raises(DataError, match="source"):
            evaluate_translation_checkpoint(translator_folder, DataSettings(validation_file=pairs.validation_file))
