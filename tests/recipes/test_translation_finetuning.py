"""A translator that is trained on pairs: from one that exists, or from random weights."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from tiny_run import write_rows
from tiny_translation_run import pairs
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from tinybert_hf.data import DataSettings
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint
from tinybert_hf.recipes import finetuning
from tinybert_hf.training import FinetuneSettings

SETTINGS = FinetuneSettings(epochs=1, batch_size=16, learning_rate=1e-3)


def tune(folder: Path, model: str | None, rows: list[dict[str, Any]] | None = None, **more: Any) -> tuple[dict, str]:
    """Its metrics, and what was printed."""
    console = Console(record=True, width=120, file=io.StringIO())
    data = DataSettings(
        train_file=write_rows(folder / "train.jsonl", rows or pairs()),
        validation_file=write_rows(folder / "validation.jsonl", pairs(12, seed=7)),
        source_column="en",
        target_column="de",
        max_length=20,
    )
    metrics = finetuning.finetune_translator(
        model, data, SETTINGS, folder / "tuned", training_arguments={"use_cpu": True}, console=console, **more
    )
    return metrics, console.export_text()


def test_a_translator_that_exists_is_trained_on(work: Path, translator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    real = finetuning.finetune
    monkeypatch.setattr(finetuning, "finetune", lambda *a, **k: (seen.update(k), real(*a, **k)))
    metrics, printed = tune(work, translator, rows=[*pairs(), {"en": "the", "de": " "}])
    assert metrics["bleu"] > 50
    assert "Note: 1 of 41 pairs in" in printed
    assert seen["training_arguments"]["label_smoothing_factor"] == 0.1
    data = json.loads((work / "tuned" / "run.json").read_text())["recipe"]["data"]
    measured = evaluate_any_checkpoint(
        str(work / "tuned"), DataSettings(**{**data, "train_file": None}), num_beams=5, device="cpu"
    )
    assert {name: measured[name] for name in metrics} == metrics
    seen.clear()
    again, said = tune(work, translator, rows=[*pairs(), {"en": "the", "de": " "}])
    assert again == metrics
    assert "holds this run already" in said
    assert not seen


def test_a_small_one_is_made(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(finetuning.SMALL_TRANSLATOR, "d_model", 16)
    monkeypatch.setitem(finetuning.SMALL_TRANSLATOR, "encoder_layers", 1)
    metrics, _ = tune(work, None, vocabulary_size=530, target_vocabulary_size=540)
    assert set(metrics) >= {"bleu", "chrf", "bleu_signature"}
    model, tokenizer = (kind.from_pretrained(work / "tuned") for kind in (AutoModelForSeq2SeqLM, AutoTokenizer))
    assert (model.config.encoder_layers, model.config.decoder_layers) == (1, 3)
    assert model.config.vocab_size == len(tokenizer)
    assert model.config.decoder_vocab_size == tokenizer.target_vocab_size


def test_what_is_no_translator_is_refused(work: Path, headless: str) -> None:
    with pytest.raises(TinyBertError, match="is no translator"):
        tune(work, headless)
    assert not (work / "tuned").exists()
