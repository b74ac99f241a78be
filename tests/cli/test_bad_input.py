"""Bad input: one screen on standard error that says what to do, exit status 2 (130 for Ctrl-C), nothing written."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_teacher, rows, write_rows
from typer.testing import Result

from tinybert_hf.cli.screen import explain
from tinybert_hf.errors import DataError, TinyBertError

Cli = Callable[..., Result]
SMALL = "student.overrides={hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 32}"


@pytest.fixture
def distill(tinybert: Cli, work: Path, teacher: str) -> Cli:
    """Distil good rows with a good teacher; later options win over these."""
    write_rows(work / "train.jsonl", rows())
    write_rows(work / "validation.jsonl", rows(16))
    usual = ["--train-file", "train.jsonl", "--validation-file", "validation.jsonl"]
    usual += ["--max-length", "16", "--output-dir", "out", "--cpu", "--set", SMALL]
    return lambda *words: tinybert(
        "distill", *usual, *(() if "--teacher" in words else ("--teacher", teacher)), *words
    )


def assert_refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: "), result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.splitlines()) < 20
    assert max(len(line) for line in result.stderr.splitlines()) < 1200
    for word in words:
        assert word in result.stderr
    assert not Path("out").exists()


def replaced(index: int, **values: Any) -> list[dict[str, Any]]:
    changed = rows()
    changed[index].update(values)
    return changed


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], ["bad.jsonl", "empty"]),
        ([{"text": "a"}, {"text": "b"}], ["'label'", "text"]),
        (replaced(5, text=None), ["bad.jsonl", "row 6"]),
        (replaced(5, text=3), ["bad.jsonl", "row 6"]),
        (replaced(5, label=None), ["bad.jsonl", "row 6"]),
        ([{**row, "label": "positive"} for row in rows()], ["one label only"]),
        (replaced(5, label="neutral"), ["neutral"]),
    ],
    ids=["empty", "no column", "text is None", "text is a number", "label is None", "one label", "a third label"],
)
def test_rows_that_cannot_be_used(distill: Cli, work: Path, content: list[dict[str, Any]], words: list[str]) -> None:
    write_rows(work / "bad.jsonl", content)
    assert_refused(distill("--train-file", "bad.jsonl"), *words)


def test_labels_of_train_and_validation_differ(distill: Cli, work: Path) -> None:
    write_rows(work / "other.jsonl", rows(16, labels=("no", "yes")))
    assert_refused(distill("--validation-file", "other.jsonl"), "negative, positive", "no, yes")


def test_a_message_names_the_flag_before_the_field_of_a_recipe(distill: Cli, work: Path) -> None:
    write_rows(work / "lacks.jsonl", [row for row in rows(16) if row["label"] == "positive"])
    fractions = write_rows(work / "fractions.jsonl", [{**row, "label": 0.5 * i} for i, row in enumerate(rows(16))])
    for words, flag, field in (
        (["--validation-file", "lacks.jsonl"], '--label-names "negative,positive"', "data.label_names"),
        (["--train-file", "lacks.jsonl"], "--label-column", "data.label_column"),
        (["--train-file", fractions, "--validation-file", fractions], "--label-column", "data.problem_type"),
        (["--text-column", "txt"], "--text-column", "data.text_column"),
    ):
        wanted = ["--set", "data.problem_type=single_label_classification"] if "problem" in field else []
        result = distill(*words, *wanted)
        assert_refused(result, flag, field)
        assert result.stderr.index(flag) < result.stderr.index(field)
    # Doing what the first of them says helps.
    assert (
        distill("--validation-file", "lacks.jsonl", "--label-names", "negative,positive", "--dry-run").exit_code == 0
    )


def test_a_missing_file_and_its_neighbour(distill: Cli) -> None:
    assert_refused(distill("--train-file", "trian.jsonl"), "trian.jsonl does not exist", "Did you mean train.jsonl?")


def test_broken_json_and_an_unknown_kind_of_file(distill: Cli, work: Path) -> None:
    (work / "broken.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": \n')
    assert_refused(distill("--train-file", "broken.jsonl"), "broken.jsonl", "line 2")
    (work / "rows.docx").write_text("x")
    assert_refused(distill("--train-file", "rows.docx"), "rows.docx", ".jsonl")


@pytest.mark.slow
def test_a_row_of_100_000_characters_is_cut(distill: Cli, work: Path) -> None:
    write_rows(work / "long.jsonl", replaced(3, text="good " * 20_000))
    result = distill("--train-file", "long.jsonl", "--no-baseline")
    assert result.exit_code == 0, result.output


def test_teachers_that_do_not_fit(distill: Cli, work: Path, headless: str) -> None:
    assert_refused(distill("--teacher", headless), "never trained", "--finetune-teacher")
    assert_refused(distill("--teacher", "nowhere"), "teacher nowhere", "no such folder")
    make_teacher(work / "moods", labels=("glad", "sad"))
    assert_refused(distill("--teacher", "moods"), "negative, positive", "glad, sad")
    make_teacher(work / "three", labels=("a", "b", "c"))
    assert_refused(distill("--teacher", "three"), "negative, positive", "a, b, c")


def test_shapes_that_do_not_fit(distill: Cli) -> None:
    deep = SMALL.replace("num_hidden_layers: 2", "num_hidden_layers: 6")
    assert_refused(distill("--set", deep), "6 layers and the teacher 4", "at most 4")
    assert_refused(distill("--set", "phases.0.layer_map=[2, 7]"), "teacher layer 7", "layers 1 to 4")
    heads = SMALL.replace("hidden_size: 16", "hidden_size: 18").replace("heads: 4", "heads: 3")
    assert_refused(distill("--set", heads), "heads")
    assert_refused(distill("--max-length", "100"), "100 tokens are more than the 64 positions of the teacher")


def test_a_student_that_reads_other_tokens(distill: Cli, work: Path, teacher: str) -> None:
    from tinybert_hf.model import TinyBertConfig, TinyBertForSequenceClassification

    other = make_teacher(work / "other", texts=["entirely different words stand here", "and there"])
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(other)
    config = TinyBertConfig(vocab_size=120, hidden_size=16, num_hidden_layers=2, num_attention_heads=4)
    TinyBertForSequenceClassification(config).save_pretrained(work / "general")
    tokenizer.save_pretrained(work / "general")
    result = distill("--student", "./general", "--set", "student.overrides={}")
    assert result.exit_code == 2
    assert "its tokenizer is not the student's" in result.stderr


def test_an_output_folder_that_holds_something_else(distill: Cli, work: Path) -> None:
    (work / "mine").mkdir()
    (work / "mine" / "notes.txt").write_text("x")
    assert_refused(distill("--output-dir", "mine"), "holds something else (notes.txt)", "--output-dir")
    assert [path.name for path in (work / "mine").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dmo"], "did you mean demo"),
        (["demo", "--set", "phases.0.learning_rat=1"], "did you mean learning_rate"),
        (["demo", "--set", "phases.5.epochs=1"], "phases.0 (intermediate), phases.1 (prediction)"),
        (["demo", "--student", "4l-321d"], "did you mean 4l-312d"),
        (["demo", "--init", "techer"], "did you mean teacher"),
        (["sst2"], "--teacher"),
        (["mine.yaml"], "there is no such file"),
        (["broken.yaml"], "broken.yaml, line 2"),
    ],
)
def test_recipes_that_cannot_be_used(tinybert: Cli, work: Path, words: list[str], said: str) -> None:
    (work / "broken.yaml").write_text("name: x\nphases: [}\n")
    assert_refused(tinybert("distill", *words), said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--init", "random", "--student", "owner/name"], "--init goes with a preset"),
        (["--teacher", "a/b", "--teacher", "c/d", "--finetune-teacher"], "fine-tunes one teacher"),
    ],
)
def test_options_that_do_not_go_together(tinybert: Cli, words: list[str], said: str) -> None:
    result = tinybert("distill", "demo", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_nothing_to_distil(tinybert: Cli, work: Path) -> None:
    result = tinybert("distill", "--teacher", "x")
    assert result.exit_code == 2
    assert "give a recipe" in result.output


def test_evaluating_what_is_no_classifier(tinybert: Cli, work: Path, headless: str) -> None:
    write_rows(work / "rows.jsonl", rows(16))
    assert_refused(tinybert("evaluate", "nowhere", "--validation-file", "rows.jsonl"), "nowhere does not exist")
    assert_refused(tinybert("evaluate", headless, "--validation-file", "rows.jsonl"), "not trained")


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise error

    monkeypatch.setattr("tinybert_hf.recipes.run.run_phases", fail)


def test_ctrl_c_says_how_to_go_on(distill: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        failing(patch, KeyboardInterrupt())
        result = distill("--no-baseline")
    assert result.exit_code == 130
    assert "The same command goes on" in result.stderr
    assert not Path("out/config.json").exists()
    result = distill("--no-baseline")
    assert result.exit_code == 0, result.output
    assert "Going on with the run in out" in result.output
    assert Path("out/config.json").exists()


def test_a_disk_that_fills_up(distill: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device"))
    result = distill("--no-baseline")
    assert result.exit_code == 2
    assert "the disk is full" in result.stderr
    assert "same command" in result.stderr
    assert not Path("out/config.json").exists()


def test_a_fault_of_the_program_keeps_its_traceback(distill: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, ZeroDivisionError("a bug"))
    assert isinstance(distill("--no-baseline").exception, ZeroDivisionError)


def test_debug_keeps_the_traceback(tinybert: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(tinybert("--debug", "distill", "dmo").exception, TinyBertError)
    assert isinstance(tinybert("distill", "dmo").exception, SystemExit)
    monkeypatch.setenv("TINYBERT_DEBUG", "1")
    assert isinstance(tinybert("distill", "dmo").exception, TinyBertError)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (DataError("row 3 is odd"), "row 3 is odd"),
        (RuntimeError("I/O error: No space left on device (os error 28)"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: '/x'"),
        (MemoryError(), "smaller --batch-size or --max-length; in a recipe, batch_size"),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), None),
        (KeyError("x"), None),
    ],
)
def test_what_is_explained(error: Exception, message: str | None) -> None:
    said = explain(error)
    assert (said is None) if message is None else (said is not None and message in said)


def test_the_writer_of_torch_on_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 0

    monkeypatch.setattr("tinybert_hf.cli.screen.shutil.disk_usage", lambda path: Usage())
    said = explain(RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"))
    assert said is not None
    assert "the disk is full" in said


def test_options_that_say_what_labels_are(distill: Cli, tinybert: Cli, work: Path, headless: str) -> None:
    several = [{**row, "label": f"all, {row['label']}"} for row in rows(16)]
    file = write_rows(work / "several.jsonl", several)
    given = ["--train-file", file, "--validation-file", file, "--teacher", headless, "--finetune-teacher", "--dry-run"]
    assert_refused(
        distill(*given, "--problem-type", "multi_label_classification"), "--label-separator", "all, negative"
    )
    found = distill(*given, "--problem-type", "multi_label_classification", "--label-separator", ",")
    assert found.exit_code == 0, found.output
    assert "labels: all, negative, positive" in found.output
    assert "there is no problem type 'multi'" in distill(*given, "--problem-type", "multi").output
    assert "a name with a comma" in distill(*given, "--label-names", "a,").output.replace("\n", " ")
    missing = write_rows(
        work / "missing.jsonl", [{**row, "label": ("0", "1", "nan")[i % 3]} for i, row in enumerate(rows(16))]
    )
    wanted = ["--train-file", missing, "--validation-file", missing]
    assert_refused(tinybert("finetune", "--model", headless, *wanted, "--output-dir", "out"), "row 3", "is missing")
