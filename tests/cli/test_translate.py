"""`tinybert translate`: the command line, files and standard input; a line out for each text."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_translator
from transformers import BertConfig, BertModel, NllbTokenizer
from typer.testing import CliRunner, Result

from tinybert_hf.cli import app

Cli = Callable[..., Result]
TEXTS = ["the cat sees", "", "dog", "the dog and the cat", "  ", "tree"]
TRANSLATIONS = ["das Katze sieht", "", "Hund", "das Hund und das Katze", "", "Baum"]
LINES = "".join(line + "\n" for line in TRANSLATIONS)


@pytest.fixture
def translate(tinybert: Cli, work: Path, translator: str) -> Cli:
    return lambda *words: tinybert("translate", translator, "--cpu", *words)


def assert_refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) < 20
    for word in words:
        assert word in result.stderr


def test_texts_of_the_command_line(translate: Cli) -> None:
    result = translate("--text", "the cat sees", "--text", "dog", "--num-beams", "3")
    assert result.exit_code == 0, result.output
    assert result.stdout == "das Katze sieht\nHund\n"
    assert result.stderr == ""


@pytest.mark.parametrize("name", ["texts.txt", "texts.en", "texts.txt.gz", "noending"])
def test_a_file_of_lines(translate: Cli, work: Path, name: str) -> None:
    content = "\r\n".join(TEXTS).encode()
    (work / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    result = translate("--input-file", name, "--batch-size", "2")
    assert result.exit_code == 0, result.output
    assert result.stdout == LINES


def test_the_column_that_the_model_was_trained_with(tinybert: Cli, work: Path, translator: str) -> None:
    shutil.copytree(translator, work / "out")
    (work / "out" / "run.json").write_text(json.dumps({"recipe": {"data": {"source_column": "en"}}}))
    (work / "texts.jsonl").write_text('{"en": "dog"}\n')
    result = tinybert("translate", "out", "--cpu", "--input-file", "texts.jsonl")
    assert (result.exit_code, result.stdout) == (0, "Hund\n")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_column_of_a_table(translate: Cli, work: Path, suffix: str) -> None:
    if suffix == ".jsonl":
        (work / "t.jsonl").write_text("".join(json.dumps({"id": 1, "en": text or None}) + "\n" for text in TEXTS))
    elif suffix == ".csv":
        (work / "t.csv").write_text("id,en\n" + "".join(f"1,{text}\n" for text in TEXTS))
    else:
        from datasets import Dataset

        Dataset.from_dict({"id": TEXTS, "en": TEXTS}).to_parquet(work / "t.parquet")
    result = translate("--input-file", f"t{suffix}", "--source-column", "en", "--output-file", "out.txt")
    assert result.exit_code == 0, result.output
    assert (work / "out.txt").read_text() == LINES
    assert result.stdout == ""
    assert "6 texts translated" in result.stderr
    assert sorted(path.name for path in work.iterdir()) == ["out.txt", f"t{suffix}"]


def test_more_texts_than_are_read_at_once(translate: Cli, work: Path) -> None:
    texts = [tiny_translator.sentence(1 + index % 5, index) for index in range(70)]
    (work / "many.txt").write_text("\n".join(texts) + "\n")
    result = translate("--input-file", "many.txt", "--batch-size", "1")
    assert result.stdout.splitlines() == [tiny_translator.in_german(text) for text in texts]


def from_stdin(translator: str, content: bytes, *words: str) -> Result:
    return CliRunner().invoke(app, ["translate", translator, "--cpu", *words], input=content)


@pytest.mark.usefixtures("tinybert")
@pytest.mark.parametrize("batch_size", ["1", "2", "32"])
def test_standard_input_keeps_its_lines(work: Path, translator: str, batch_size: str) -> None:
    result = from_stdin(translator, "\n".join(TEXTS).encode(), "--batch-size", batch_size)
    assert result.exit_code == 0, result.output
    assert result.stdout == LINES
    assert from_stdin(translator, b"").stdout == ""


def test_standard_input_is_answered_while_it_is_open(translator: str) -> None:
    command = [sys.executable, "-m", "tinybert_hf", "translate", translator, "--cpu", "--batch-size", "2"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, env={**os.environ, "OMP_NUM_THREADS": "1"}) as process:
        process.stdin.write(b"dog\n\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"Hund\n"
        assert process.stdout.readline() == b"\n"
        process.stdin.write(b"the cat\n")
        process.stdin.close()
        assert process.stdout.read() == b"das Katze\n"
        assert process.stderr.read() == b""


def test_json_says_what_was_cut(translate: Cli, work: Path) -> None:
    long = " ".join(["dog"] * 100)
    (work / "texts.txt").write_text(f"the cat sees\ndog\n{long}\n")
    result = translate("--input-file", "texts.txt", "--json", "--max-new-tokens", "3")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows[:2] == [
        {"source": "the cat sees", "translation": "das Katze sieht", "cut_off": True, "source_truncated": False},
        {"source": "dog", "translation": "Hund", "cut_off": False, "source_truncated": False},
    ]
    assert rows[2]["source"] == long
    assert rows[2]["source_truncated"]
    assert "1 of 3 texts are longer than the model can read" in result.stderr
    assert "2 of 3 translations did not come to an end" in result.stderr


def test_a_prefix(translate: Cli) -> None:
    assert translate("--text", "cat", "--prefix", "the ").stdout == "das Katze\n"


def test_input_that_cannot_be_used(translate: Cli, work: Path) -> None:
    (work / "t.jsonl").write_text('{"en": "dog"}\n')
    (work / "texts.txt").write_text("dog\n")
    (work / "latin.txt").write_bytes(b"dog\n\xe9\n")
    (work / "broken.txt.gz").write_bytes(b"dog")
    for words, expected in (
        (["--input-file", "t.jsonl"], ["no column 'source'", "Columns there: en"]),
        (["--input-file", "nowhere.txt"], ["nowhere.txt does not exist"]),
        (["--input-file", "nowhere.jsonl"], ["nowhere.jsonl does not exist"]),
        (["--input-file", "."], ["is a folder"]),
        (["--input-file", "latin.txt"], ["latin.txt, line 2", "UTF-8"]),
        (["--input-file", "broken.txt.gz"], ["not a whole gzip file"]),
        (["--input-file", "texts.txt", "--text", "dog"], ["not both"]),
        (["--input-file", "texts.txt", "--source-column", "en"], ["--source-column names a column"]),
        (["--input-file", "texts.txt", "--output-file", "texts.txt"], ["is the file that is read"]),
        (["--text", "dog", "--output-file", "no/out.txt"], ["its folder no does not exist"]),
        (["--text", "dog", "--output-file", "."], ["is a folder"]),
        (["--text", "dog", "--source-language", "en"], ["no tokens for languages"]),
    ):
        assert_refused(translate(*words), *expected)
    assert len(list(work.iterdir())) == 4
    assert (work / "texts.txt").read_text() == "dog\n"


def test_a_failure_leaves_the_old_file(translate: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (work / "out.txt").write_text("old")

    def failing(*args: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("tinybert_hf.data.generation.translate_texts", failing)
    result = translate("--text", "dog", "--output-file", "out.txt")
    assert result.exit_code == 130
    assert [path.name for path in work.iterdir()] == ["out.txt"]
    assert (work / "out.txt").read_text() == "old"


def test_models_that_do_not_translate(tinybert: Cli, work: Path, teacher: str) -> None:
    assert_refused(tinybert("translate", "nowhere", "--text", "dog"), "nowhere")
    assert_refused(tinybert("translate", "./nowhere", "--text", "dog"), "./nowhere does not exist")
    assert_refused(tinybert("translate", teacher, "--text", "dog"), "BertForSequenceClassification", "no decoder")
    (work / "empty").mkdir()
    assert_refused(tinybert("translate", "empty", "--text", "dog"), "no config.json")
    BertModel(BertConfig(vocab_size=9, hidden_size=8, num_hidden_layers=1, num_attention_heads=1)).save_pretrained("b")
    assert_refused(tinybert("translate", "b", "--text", "dog"), "no decoder")
    tiny_translator.make_model().save_pretrained("bare")
    assert_refused(tinybert("translate", "bare", "--text", "dog"), "bare", "tokenizer")


def test_a_multilingual_model_asks_for_its_languages(tinybert: Cli, work: Path) -> None:
    pieces = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "▁dog": 4}
    tokenizer = NllbTokenizer(vocab=pieces, merges=[], extra_special_tokens=["eng_Latn", "zho_Hans"])
    tokenizer.save_pretrained("nllb")
    tiny_translator.make_model(vocab_size=len(tokenizer)).save_pretrained("nllb")
    refused = tinybert("translate", "nllb", "--text", "dog")
    assert_refused(refused, "--source-language eng_Latn --target-language zho_Hans")
    options = ["--source-language", "eng_Latn", "--target-language", "zho_Hans"]
    assert tinybert("translate", "nllb", "--cpu", "--text", "dog", *options).exit_code == 0


def test_evaluate_measures_a_translator(tinybert: Cli, translator: str, tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(
        '{"en": "the cat sees", "xx": "das Katze sieht"}\n{"en": "dog", "xx": "Hund"}\n', encoding="utf-8"
    )
    columns = ["--source-column", "en", "--target-column", "xx"]
    done = tinybert("evaluate", translator, "--validation-file", str(pairs), *columns, "--json", "--cpu")
    assert done.exit_code == 0, done.output
    metrics = json.loads(done.stdout.strip().splitlines()[-1])
    assert metrics["chrf"] == pytest.approx(100)
    assert "tok:13a" in metrics["bleu_signature"]
    missing = tinybert("evaluate", translator, "--validation-file", str(pairs), "--source-column", "english")
    assert missing.exit_code == 2
    assert "english" in missing.stderr
