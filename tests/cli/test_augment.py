"""`tinybert augment`: from a file and a masked-LM to rows; a dry run; bad input; the same command again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_masked_lm
from tiny_run import make_teacher
from transformers import AutoTokenizer, BertConfig, BertForMaskedLM
from typer.testing import Result

from tinybert_hf.data.files import read_whole_file

Cli = Callable[..., Result]


@pytest.fixture(scope="module")
def masked_lm(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_masked_lm.save(tmp_path_factory.mktemp("masked-lm"))


@pytest.fixture
def augment(tinybert: Cli, tmp_path: Path, masked_lm: str, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Augment good rows with a good model; later options win over these."""
    monkeypatch.chdir(tmp_path)
    rows = [{"sentence": text, "pair": f"of {text}", "label": 1} for text in tiny_masked_lm.sentences(5)]
    tiny_masked_lm.write_rows(tmp_path / "a.jsonl", [*rows, {"sentence": "", "pair": "the", "label": 0}])
    usual = ["--train-file", "a.jsonl", "--text-column", "sentence", "--copies", "3", "--model", masked_lm]
    return lambda *words: tinybert("augment", *usual, "--output", "aug.jsonl", "--cpu", *words)


def test_a_file(augment: Cli) -> None:
    result = augment()
    assert result.exit_code == 0, result.output
    assert "21 rows written to aug.jsonl: 6 and their copies." in result.stdout
    assert "rows without a copy: 1" in result.stdout
    assert result.stderr == ""
    written = read_whole_file("aug.jsonl").columns
    assert written["is_augmented"] == [*[False, True, True, True] * 5, False]
    again = augment("--batch-size", "1")
    assert "Nothing to do: aug.jsonl is complete, 21 rows: 6 and their copies." in again.stdout
    assert "written" not in again.stdout
    other = augment("--batch-size", "1", "--output", "other.jsonl")
    assert other.exit_code == 0
    assert Path("other.jsonl").read_bytes() == Path("aug.jsonl").read_bytes()


def test_every_option_reaches_the_settings(augment: Cli) -> None:
    options: dict[str, Any] = {"text-pair-column": "pair", "probability": 0.7, "candidates": 4, "seed": 3}
    options |= {"max-rows": 4, "shard-rows": 2, "max-length": 30, "context": 20, "copies": 2}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    result = augment(*words, "--neighbours-only", "--output", "aug.parquet")
    assert result.exit_code == 0, result.output
    manifest = json.loads(Path("aug.parquet.manifest.json").read_text())
    settings = {name.replace("_", "-"): value for name, value in manifest["settings"].items()}
    assert options.items() <= settings.items()
    assert settings["neighbours-only"] is True


def test_a_dry_run(augment: Cli) -> None:
    result = augment("--dry-run")
    assert result.exit_code == 0, result.output
    assert "21 rows would be written: 6 and their copies." in result.stdout
    assert result.stdout.count("    -> ") == 9
    assert not list(Path().glob("aug*"))


def test_word_vectors(augment: Cli) -> None:
    pytest.importorskip("gensim")
    Path("glove.txt").write_text("sequels 1 2\nprequels 1 2.1\nfilms 0 1\nbroken 1\n")
    result = augment("--glove", "glove.txt", "--probability", "1")
    assert result.exit_code == 0, result.output
    assert "Note: glove.txt: 1 line left out, not 2 numbers wide." in result.stderr
    texts = read_whole_file("aug.jsonl").columns["sentence"]
    assert {text.split()[-1] for text in texts if text} == {"Sequels!", "Prequels!", "Films!"}
    Path("glove.txt").write_text("sequels 1 2\nprequels 1 2.2\n")
    refused = augment("--glove", "glove.txt", "--probability", "1")
    assert refused.exit_code == 2
    assert "content of the word vectors" in refused.stderr


def test_bad_input(augment: Cli, tmp_path: Path, masked_lm: str) -> None:
    without_head = make_teacher(tmp_path / "classifier", head=False)
    without_mask, tokenizer = tmp_path / "no-mask", AutoTokenizer.from_pretrained(masked_lm)
    vocabulary = {piece: number for piece, number in tokenizer.get_vocab().items() if piece != "[MASK]"}
    BertForMaskedLM(BertConfig(vocab_size=200, hidden_size=8, num_attention_heads=2)).save_pretrained(without_mask)
    write_plain_tokenizer(without_mask, vocabulary)
    (tmp_path / "other.jsonl").write_text("{}")
    before = sorted(path.name for path in tmp_path.iterdir())
    for words, expected in (
        (["--text-column", "sentense"], ["no column 'sentense'", "Did you mean 'sentence'"]),
        (["--text-pair-column", "x"], ["no column 'x'"]),
        (["--text-column", "label"], ["1 is neither a text nor a list of words"]),
        (["--train-file", "b.jsonl"], ["b.jsonl does not exist"]),
        (["--output", "aug.csv"], ["'.csv'", ".parquet, .jsonl"]),
        (["--output", "aug"], ["'no suffix'"]),
        (["--output", "other.jsonl"], ["was not written by this command"]),
        (["--model", without_head], ["has no masked-LM head", "--neighbours-only"]),
        (["--model", str(without_mask)], ["has no mask token", "--neighbours-only"]),
        (["--model", "./nowhere"], ["does not exist"]),
        (["--probability", "0"], ["probability is 0"]),
        (["--probability", "1.1"], ["probability is 1.1"]),
        (["--glove", "no.txt"], ["no.txt"]),
    ):
        result = augment(*words)
        assert result.exit_code == 2, (words, result.output)
        assert any(line.startswith("error: ") for line in result.stderr.splitlines())
        for word in expected:
            assert word in result.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == before
    none = augment("--copies", "0")
    assert none.exit_code == 2
    assert "--copies" in none.stderr
    for model in (without_head, str(without_mask)):
        assert augment("--model", model, "--neighbours-only", "--output", f"{Path(model).name}.jsonl").exit_code == 0


def write_plain_tokenizer(folder: Path, vocabulary: dict[str, int]) -> None:
    """Without a mask token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordPiece({piece: at for at, piece in enumerate(vocabulary)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)


def test_a_stop_and_other_settings(augment: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinybert_hf.data.augmentation_candidates import Predictions

    words, calls = Predictions.words, []

    def stopping(*given: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return words(*given, **options)

    monkeypatch.setattr(Predictions, "words", stopping)
    stopped = augment("--shard-rows", "2")
    assert stopped.exit_code == 130
    assert "goes on" in stopped.stderr
    refused = augment("--shard-rows", "2", "--copies", "4")
    assert refused.exit_code == 2
    assert "copies: 3 there, 4 now" in refused.stderr
    assert augment("--shard-rows", "2").exit_code == 0
    assert len(calls) == 4
    again = augment("--shard-rows", "2")
    assert "Nothing to do: aug.jsonl is complete, 21 rows" in again.stdout
    assert len(calls) == 4
    assert augment("--output", "whole.jsonl").exit_code == 0
    assert Path("whole.jsonl").read_bytes() == Path("aug.jsonl").read_bytes()
