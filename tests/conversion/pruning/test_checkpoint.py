"""A saved model with a smaller vocabulary, and the command that makes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_vocabularies import texts
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner, Result

from tinybert_hf import model as family
from tinybert_hf.checkpoints import PROJECTIONS_FILE, check_folder_files, save_atomically
from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.cli import app
from tinybert_hf.conversion import pruning
from tinybert_hf.conversion.pruning import prune_checkpoint
from tinybert_hf.errors import OutputFolderError, TinyBertError

SCRIPT = Path(__file__).parents[2] / "model" / "open_without_package.py"


@pytest.fixture
def saved(tmp_path: Path, tokenizer_of: Callable[[str], Any], tiny_config: Any) -> Path:
    """A classifier with its tokenizer and projections."""
    tokenizer = tokenizer_of("WordPiece")
    # With three labels the tensors of the file lie across the steps of the processor's registers once it is opened.
    model = family.TinyBertForSequenceClassification(tiny_config(vocab_size=len(tokenizer), num_labels=3))
    save_atomically(model, tokenizer, tmp_path / "saved", {PROJECTIONS_FILE: {"maps.0.weight": torch.ones(2, 2)}})
    return tmp_path / "saved"


@pytest.fixture
def corpus_file(tmp_path: Path, corpus: list[str]) -> Path:
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"sentence": text}) + "\n" for text in corpus))
    return tmp_path / "corpus.jsonl"


def prune(*words: Any) -> Result:
    return CliRunner().invoke(app, ["prune-vocabulary", *map(str, words)], env={"COLUMNS": "200"})


def test_the_folder_is_whole(saved: Path, corpus: list[str], tmp_path: Path) -> None:
    pruned = prune_checkpoint(saved, corpus, tmp_path / "out")
    check_folder_files(tmp_path / "out")  # every file is the one that the manifest names
    assert {file.name for file in (tmp_path / "out").iterdir()} == {file.name for file in saved.iterdir()}
    assert (tmp_path / "out" / PROJECTIONS_FILE).read_bytes() == (saved / PROJECTIONS_FILE).read_bytes()
    assert not list(tmp_path.glob(".*.saving"))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert type(model) is family.TinyBertForSequenceClassification
    assert model.config.vocab_size == pruned.report.pieces_after
    for name, values in pruned.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], values)
    assert AutoTokenizer.from_pretrained(tmp_path / "out").get_vocab() == pruned.tokenizer.get_vocab()
    assert "text-classification" in card_of(tmp_path / "out")
    again = prune_checkpoint(tmp_path / "out", corpus, tmp_path / "again")  # a pruned model can be pruned
    assert again.report.pieces_before == pruned.report.pieces_after
    assert again.report.used == pruned.report.used


@pytest.mark.slow
def test_opens_where_the_package_is_not(saved: Path, corpus: list[str], tmp_path: Path) -> None:
    pruned = prune_checkpoint(saved, [*corpus, "a good film"], tmp_path / "out")
    inputs = dict(pruned.tokenizer(texts(1, 3), padding=True, return_tensors="pt"))
    torch.save(inputs, tmp_path / "out" / "inputs.pt")
    with torch.no_grad():
        expected = pruned.model(**inputs).logits
    job = {
        "again": str(tmp_path / "again"),
        "opened": {"SequenceClassification": ["AutoModelForSequenceClassification"]},
        "folders": {"SequenceClassification": str(tmp_path / "out")},
    }
    (tmp_path / "again").mkdir()
    (tmp_path / "job.json").write_text(json.dumps(job))
    caches = {"HF_HOME": str(tmp_path / "home"), "HF_MODULES_CACHE": str(tmp_path / "modules"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(tmp_path / "job.json")],
        cwd=tmp_path,
        env={**os.environ, **caches},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads((tmp_path / "again" / "report.json").read_text())
    assert report["package"] == "cannot be imported"
    assert report["ids"]["SequenceClassification"][0] == pruned.tokenizer("a good film").input_ids
    found = torch.load(tmp_path / "again" / "outputs.pt")["SequenceClassification/AutoModelForSequenceClassification"]
    torch.testing.assert_close(found["logits"], expected, rtol=0, atol=1e-6)


def test_nothing_is_written_where_outputs_differ(
    saved: Path, corpus: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinybert_hf.conversion import pruning

    cut = pruning.prune_embeddings

    def wrong(model: Any, kept: list[int]) -> Any:
        return cut(model, [*kept[:20], *reversed(kept[20:])])

    monkeypatch.setattr(pruning, "prune_embeddings", wrong)
    with pytest.raises(TinyBertError, match="nothing was saved"):
        prune_checkpoint(saved, corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(saved: Path, corpus_file: Path, tmp_path: Path) -> None:
    dry = prune(saved, "--corpus", corpus_file, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "Nothing was written" in dry.output
    assert not (tmp_path / "out").exists()
    done = prune(saved, "--corpus", corpus_file, "--output-dir", tmp_path / "out", "--margin", 0)
    assert done.exit_code == 0, done.output
    for words in (
        "pieces (",
        "Parameters:",
        "MB ->",
        "100.00% of them keep",
        "bit for bit, on 25 texts",
        "It stands in",
    ):
        assert words in done.stdout
    as_json = prune(saved, "--corpus", corpus_file, "--dry-run", "--json", "--margin", 0)
    report = json.loads(as_json.stdout)
    assert report["pieces_after"] == json.loads((tmp_path / "out" / "config.json").read_text())["vocab_size"]


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for one in words:
        assert one in result.stderr


def test_bad_input(saved: Path, corpus_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    usual = ["--corpus", corpus_file, "--output-dir", out]
    refused(prune(saved, "--corpus", corpus_file), "--output-dir FOLDER", "--dry-run")
    refused(prune(saved, *usual, "--min-count", 0), "error: min_count (--min-count) is 0")
    refused(prune(saved, *usual, "--margin", 2), "error: margin (--margin) is 2")
    refused(prune(saved, *usual, "--text-column", "body"), "no column 'body'", "sentence")
    refused(prune(saved, "--corpus", tmp_path / "corpus.json", "--output-dir", out), "does not exist", "Did you mean")
    refused(prune(tmp_path / "save", *usual), "does not exist", "Did you mean")
    refused(prune(tmp_path, *usual), "is not a checkpoint", "config.json")
    refused(prune(saved, "--corpus", corpus_file, "--output-dir", saved), "is there and not empty")
    (tmp_path / "empty.txt").write_text("\n\n \n")
    refused(prune(saved, "--corpus", tmp_path / "empty.txt", "--output-dir", out), "there is no text in it")
    for file in saved.glob("tokenizer*"):
        file.unlink()
    refused(prune(saved, *usual), "comes without a tokenizer")
    assert not out.exists()


def test_a_foreign_corpus_is_warned_of(saved: Path, tmp_path: Path) -> None:
    (tmp_path / "ru.txt").write_text("ая ая ая\nба\n")
    done = prune(saved, "--corpus", tmp_path / "ru.txt", "--dry-run")
    assert done.exit_code == 0
    assert "WARNING: 100.0% of the corpus' tokens are unknown" in done.stderr


def test_other_architectures_and_translators(
    tmp_path: Path, tokenizer_of: Callable[[str], Any], tiny_config: Any, corpus: list[str]
) -> None:
    tokenizer = tokenizer_of("WordPiece")
    halves = {"is_encoder_decoder": True, "num_decoder_layers": 1, "eos_token_id": 1}
    save_atomically(family.TinyBertForSeq2Seq(tiny_config(vocab_size=len(tokenizer), **halves)), None, tmp_path / "mt")
    with pytest.raises(TinyBertError, match="writes text"):
        prune_checkpoint(tmp_path / "mt", corpus, None)
    config = {"architectures": ["MyOwnModel"], "model_type": "bert"}
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "config.json").write_text(json.dumps(config))
    with pytest.raises(TinyBertError, match="'MyOwnModel'"):
        prune_checkpoint(tmp_path / "own", corpus, None)


def test_a_folder_that_is_full_is_refused_before_anything_is_read(saved: Path) -> None:
    def never() -> Any:
        raise AssertionError("the corpus was read")
        yield

    with pytest.raises(OutputFolderError):
        prune_checkpoint(saved, never(), saved)
    with pytest.raises(TinyBertError, match="min_count"):
        prune_checkpoint(saved, never(), None, min_count=0)
    assert pruning.MARGIN == 0.1
