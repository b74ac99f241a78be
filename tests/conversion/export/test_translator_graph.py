"""A translator's two graphs write what the model writes, greedily and with beams."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_seq2seq
import torch

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tinybert_hf.checkpoints.exported import ExportedTranslator, OnnxGraph
from tinybert_hf.conversion.export.onnx_translator import translator_models, write_with_shared_weights
from tinybert_hf.errors import TinyBertError

MODELS = {
    "tinybert": lambda: tiny_seq2seq.student(),
    "tinybert, one width": lambda: tiny_seq2seq.student(decoder_hidden_size=24, decoder_num_attention_heads=4),
    "marian": lambda: tiny_seq2seq.teacher("marian"),
    "marian, scaled, biased": lambda: _biased(tiny_seq2seq.teacher("marian", scale_embedding=True)),
}


def _biased(model: Any) -> Any:
    model.final_logits_bias.normal_()
    return model


def exported(model: Any, folder: Path, *, int8: bool = False) -> ExportedTranslator:
    files = write_with_shared_weights(translator_models(model, int8=int8), folder)
    model.generation_config.save_pretrained(folder)
    graphs = {part: OnnxGraph(folder / name, 1) for part, name in files.items()}
    return ExportedTranslator(model.config, graphs["encoder"], graphs["decoder"], folder)


def source_batch() -> dict[str, torch.Tensor]:
    batch = tiny_seq2seq.translation_batch()
    del batch["labels"]
    return batch


@pytest.mark.parametrize("name", MODELS)
def test_same_logits_and_same_tokens(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    other, batch = exported(model, tmp_path), source_batch()
    fixed: dict[str, Any] = {"do_sample": False, "max_new_tokens": 12, "max_length": None}
    with torch.inference_mode():
        for beams in (1, 3):
            written = model.generate(**batch, num_beams=beams, **fixed)
            assert torch.equal(other.generate(**batch, num_beams=beams, **fixed), written)
            assert written.shape[1] > 4
        gap = model(**batch, decoder_input_ids=written).logits - other(**batch, decoder_input_ids=written).logits
    assert gap.abs().max() < 1e-4


def test_greedy_search_is_that_of_transformers(tmp_path: Path) -> None:
    """Rows that end at different places, a target that is begun, and what asks for more than tokens."""
    model = MODELS["tinybert"]()
    other, batch = exported(model, tmp_path), source_batch()
    written = model.generate(**batch, do_sample=False, max_new_tokens=12, max_length=None, eos_token_id=None)
    fixed: dict[str, Any] = {"do_sample": False, "max_new_tokens": 12, "max_length": None}
    fixed["eos_token_id"] = sorted({int(row[4 + place]) for place, row in enumerate(written[:2])})
    cases: list[dict[str, Any]] = [
        {},
        {"decoder_input_ids": written[:, :3]},
        {"use_cache": False},
        {"min_new_tokens": 6},
        {"repetition_penalty": 3.0},
    ]
    with torch.inference_mode():
        for case in cases:
            expected = model.generate(**batch, **fixed, **case)
            assert torch.equal(other.generate(**batch, **fixed, **case), expected), case
        expected = model.generate(**batch, **fixed)
        assert (expected[:, -1] == tiny_seq2seq.PAD).any()
        assert expected.shape[1] > 5
        found = other.generate(**batch, **fixed, return_dict_in_generate=True, output_scores=True)
    assert torch.equal(found.sequences, expected)
    assert len(found.scores) == expected.shape[1] - 1


def test_greedy_search_leaves_the_scores_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, batch = exported(MODELS["tinybert"](), tmp_path), source_batch()
    asked: list[int] = []
    monkeypatch.setattr(ExportedTranslator, "forward", lambda *_, **__: asked.append(1))
    other.generate(**batch, do_sample=False, max_new_tokens=4, max_length=None)
    assert not asked


def test_the_cache_changes_nothing(tmp_path: Path) -> None:
    model = MODELS["tinybert"]()
    other, batch = exported(model, tmp_path), source_batch()
    target = torch.randint(6, tiny_seq2seq.VOCABULARY, (3, 5))
    with torch.inference_mode():
        first = other(**batch, decoder_input_ids=target[:, :2])
        kept = first.get("cache", first.get("past_key_values"))
        last = other(**batch, decoder_input_ids=target[:, 2:], cache=kept).logits
        whole = model(**batch, decoder_input_ids=target).logits
    assert torch.allclose(torch.cat([first.logits, last], dim=1), whole, atol=1e-4)


def test_weights_of_both_halves_stand_in_the_file_once(tmp_path: Path) -> None:
    model = MODELS["marian"]()  # one table for both languages and the output
    for int8, bytes_each in ((False, 4), (True, 1)):
        exported(model, tmp_path, int8=int8)
        weights = sum(one.numel() for one in model.parameters())
        assert (tmp_path / "model.onnx.data").stat().st_size < 1.1 * bytes_each * weights


def test_int8_is_near(tmp_path: Path) -> None:
    model = MODELS["marian"]()
    other, batch = exported(model, tmp_path, int8=True), source_batch()
    target = torch.randint(6, tiny_seq2seq.VOCABULARY, (3, 5))
    with torch.inference_mode():
        expected, found = (one(**batch, decoder_input_ids=target).logits for one in (model, other))
    assert 1e-4 < float((expected - found).abs().max()) < 0.1 * float(expected.abs().max())


@pytest.mark.filterwarnings("ignore:the float32 number")  # what float16 has not
def test_a_converter_to_float16_gives_what_runs(tmp_path: Path) -> None:
    float16 = pytest.importorskip("onnxconverter_common.float16")
    model, batch = MODELS["tinybert"](), source_batch()
    graphs = {}
    for part, whole in translator_models(model, int8=False).items():
        half = float16.convert_float_to_float16(whole, keep_io_types=True)
        (tmp_path / f"{part}.onnx").write_bytes(half.SerializeToString())
        graphs[part] = OnnxGraph(tmp_path / f"{part}.onnx", 1)
    other = ExportedTranslator(model.config, graphs["encoder"], graphs["decoder"], tmp_path)
    target = torch.randint(6, tiny_seq2seq.VOCABULARY, (3, 5))
    with torch.inference_mode():
        expected, found = (one(**batch, decoder_input_ids=target).logits for one in (model, other))
    assert (expected - found).abs().max() < 0.01 * expected.abs().max()


def test_another_family_is_refused_by_name() -> None:
    with pytest.raises(TinyBertError, match=r"'m2m_100'.*MarianMTModel"):
        translator_models(tiny_seq2seq.teacher("m2m100"), int8=False)
