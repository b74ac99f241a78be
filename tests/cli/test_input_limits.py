"""Token ids, positions, segments and padding fit a model's tables before its first forward, in every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_translator
from tiny_run import STUDENT, make_teacher, rows, write_rows
from transformers import AutoTokenizer, RobertaConfig, RobertaForSequenceClassification
from typer.testing import Result

Cli = Callable[..., Result]
ROWS = ["--train-file", "train.jsonl", "--validation-file", "train.jsonl"]
OUT = ["--output-dir", "out"]
SMALL = [word for name, value in STUDENT.items() for word in ("--set", f"student.overrides.{name}={value}")]
PAIRS = ["--text-column", "text", "--text-pair-column", "more"]


def edit(folder: Path, file: str, **changes: Any) -> None:
    """Change a JSON file; None takes a field away."""
    content = {**json.loads((folder / file).read_text()), **changes}
    kept = {name: value for name, value in content.items() if value is not None}
    (folder / file).write_text(json.dumps(kept))


def add_tokens(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["[USER]", "[URL]"])
    tokenizer.save_pretrained(folder)


@pytest.fixture
def files(work: Path) -> Path:
    write_rows(work / "train.jsonl", [{**row, "more": row["text"]} for row in rows(16)])
    (work / "corpus.txt").write_text("\n".join(row["text"] for row in rows()))
    return work


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Models whose tokenizers have two tokens more than they embed."""
    folder = tmp_path_factory.mktemp("extended")
    make_teacher(folder / "classifier")
    tiny_translator.make_model().save_pretrained(folder / "translator")
    tiny_translator.make_tokenizer().save_pretrained(folder / "translator")
    for place in folder.iterdir():
        add_tokens(place)
    return {place.name: str(place) for place in folder.iterdir()}


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "{classifier}", "--validation-file", "train.jsonl"],
        ["finetune", "--model", "{classifier}", *ROWS, *OUT],
        ["distill", "--teacher", "{classifier}", *ROWS, *OUT, *SMALL, "--dry-run"],
        ["distill", "--teacher", "{right}", "--teacher", "{classifier}", *ROWS, *OUT, *SMALL, "--dry-run"],
        ["distill", "--teacher", "{classifier}", "--finetune-teacher", *ROWS, *OUT, *SMALL, "--dry-run"],
        ["distill", "general", "--teacher", "{classifier}", "--corpus", "corpus.txt", *OUT, *SMALL, "--dry-run"],
        ["augment", "--model", "{classifier}", "--train-file", "train.jsonl", "--output", "out.jsonl",
         "--neighbours-only"],
        ["convert", "{classifier}", *OUT],
        ["export", "{classifier}", "--to", "bert", *OUT],
        ["prune-vocabulary", "{classifier}", "--corpus", "corpus.txt", *OUT],
        ["translate", "{translator}", "--text", "dog"],
        ["pseudo-label", "--teacher", "{translator}", "--input-file", "train.jsonl", "--source-column", "text", *OUT],
        ["distill", "translation", "--teacher", "{translator}", "--source-column", "text", "--target-column", "more",
         *ROWS, *OUT, "--dry-run"],
    ],
    ids=lambda words: " ".join(words[:2]),
)  # fmt: skip
def test_tokens_without_an_embedding_are_named_by_every_command(
    tinybert: Cli, files: Path, teacher: str, extended: dict[str, str], words: list[str]
) -> None:
    result = tinybert(*(word.format(**extended, right=teacher) for word in words))
    assert result.exit_code == 2, result.output
    for part in ("2 without an embedding: '[USER]' (", "'[URL]' (", "model.resize_token_embeddings("):
        assert part in result.stderr
    assert not Path("out").exists()


def test_a_student_that_embeds_too_few_tokens(tinybert: Cli, files: Path, teacher: str) -> None:
    few = ["--set", "student.overrides.vocab_size=20"]
    result = tinybert("distill", "--teacher", teacher, *ROWS, *OUT, *SMALL, *few, "--dry-run")
    assert result.exit_code == 2
    assert "The student embeds 20 tokens" in result.stderr
    assert "Leave vocab_size out of student.overrides" in result.stderr


@pytest.fixture
def roberta(files: Path) -> str:
    """66 positions, of which 64 can be used, one segment; a tokenizer without a length that pads on the left."""
    make_teacher(files / "roberta")
    size = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    config = RobertaConfig(
        vocab_size=len(AutoTokenizer.from_pretrained(files / "roberta")), max_position_embeddings=66,
        type_vocab_size=1, initializer_range=0.3, pad_token_id=1, id2label={0: "negative", 1: "positive"},
        label2id={"negative": 0, "positive": 1}, **size,
    )  # fmt: skip
    RobertaForSequenceClassification(config).save_pretrained(files / "roberta")
    edit(files / "roberta", "tokenizer_config.json", model_max_length=None, padding_side="left")
    long = [{**row, "text": " ".join([row["text"]] * 20), "more": row["text"]} for row in rows(16)]
    write_rows(files / "train.jsonl", long)
    return "roberta"


def test_the_length_that_is_advised_works(tinybert: Cli, roberta: str) -> None:
    commands = {
        "evaluate": ["evaluate", roberta, "--validation-file", "train.jsonl"],
        "finetune": ["finetune", "--model", roberta, *ROWS, *OUT, "--epochs", 1],
        "distill": ["distill", "--teacher", roberta, *ROWS, "--output-dir", "other", *SMALL, "--dry-run"],
    }
    for words in commands.values():
        result = tinybert(*words, "--max-length", 65)
        assert result.exit_code == 2, result.output
        assert "65 tokens are more than the 64 positions" in result.stderr
        assert "(--max-length) to 64 or less" in result.stderr
    for name, words in commands.items():
        length = ["--max-length", 64] if name == "distill" else []  # elsewhere the model's is taken
        result = tinybert(*words, *length, "--cpu")
        assert result.exit_code == 0, (name, result.output)


def test_the_batch_size_changes_no_figure_where_the_tokenizer_pads_on_the_left(tinybert: Cli, roberta: str) -> None:
    metrics = set()
    for size in (1, 5, 64):
        done = tinybert("evaluate", roberta, "--validation-file", "train.jsonl", "--batch-size", size, "--json")
        metrics.add(done.stdout)
    assert len(metrics) == 1


def test_a_student_of_such_a_teacher_is_saved_with_a_tokenizer_that_fits_it(tinybert: Cli, roberta: str) -> None:
    result = tinybert(
        "distill", "--teacher", roberta, *ROWS, *PAIRS, *OUT, *SMALL, "--set", "student.overrides.type_vocab_size=1",
        "--set", "student.overrides.max_position_embeddings=48", "--max-length", 48, "--epochs", 1,
        "--no-baseline", "--cpu",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    saved = AutoTokenizer.from_pretrained("out")
    assert (saved.model_max_length, saved.padding_side) == (48, "right")
    assert "token_type_ids" not in saved("the film", "the plot")


def test_a_student_of_one_segment_learns_from_a_teacher_of_two(tinybert: Cli, files: Path, teacher: str) -> None:
    """The teacher reads the segments of a pair, and the student, its baseline and its evaluation do without."""
    result = tinybert(
        "distill", "--teacher", teacher, *ROWS, *PAIRS, *OUT, *SMALL, "--set", "student.overrides.type_vocab_size=1",
        "--max-length", 32, "--epochs", 1, "--baseline-epochs", 1, "--cpu",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "token_type_ids" not in AutoTokenizer.from_pretrained("out")("the film", "the plot")
