"""A model's folder that does not exist: said as such, with the folder of a like name."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_run import rows, write_rows
from typer.testing import Result

from tinybert_hf.cli.screen import opens_models
from tinybert_hf.errors import OutputFolderError, TeacherError, TinyBertError

Cli = Callable[..., Result]
FILES = ["--train-file", "rows.jsonl", "--validation-file", "rows.jsonl"]


@pytest.fixture(autouse=True)
def _folders(work: Path) -> None:
    write_rows(work / "rows.jsonl", rows(16))
    for folder in ("good", "runs/sst2", ".goood.hidden"):
        (work / folder).mkdir(parents=True)


@pytest.mark.parametrize(
    "words",
    [
        ["evaluate", "./goood", "--validation-file", "rows.jsonl"],
        ["distill", *FILES, "--teacher", "./goood"],
        ["distill", *FILES, "--teacher", "./goood", "--dry-run"],
        ["distill", *FILES, "--teacher", "./good", "--student", "./goood"],
        ["finetune", *FILES, "--model", "./goood", "--output-dir", "out"],
    ],
    ids=" ".join,
)
def test_every_command_says_it(tinybert: Cli, words: list[str]) -> None:
    result = tinybert(*words)
    assert result.exit_code == 2, result.output
    assert "./goood does not exist" in result.stderr
    assert "Did you mean ./good?" in result.stderr
    assert "token" not in result.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./unlike", "./unlike does not exist"),
        ("runs/sst2/checkpoint", "runs/sst2/checkpoint does not exist"),
        ("goood/", "Did you mean good?"),
        ("./runs/sts2", "Did you mean ./runs/sst2?"),
        ("./nowhere/model", "Its folder nowhere does not exist either."),
    ],
)
def test_what_can_only_be_a_folder(name: str, said: str) -> None:
    with pytest.raises(TinyBertError) as refused, opens_models(None, name):
        pytest.fail("the block ran")
    assert said in str(refused.value)
    assert ("Did you mean" in str(refused.value)) == ("Did you mean" in said)


def test_what_may_be_on_the_hub_is_tried_first() -> None:
    for name in ("goood", "runs/sts2"):
        with opens_models(name):
            pass
        with pytest.raises(TeacherError, match=rf"no {name} here Did you mean (good|runs/sst2)\?"), opens_models(name):
            raise TeacherError(f"no {name} here")
    # An error about something else keeps its words.
    with pytest.raises(TinyBertError) as other, opens_models("goood"):
        raise TinyBertError("row 3 is odd.")
    assert str(other.value) == "row 3 is odd."


def test_a_folder_of_another_run_is_no_misspelt_model(work: Path) -> None:
    (work / "teacher").mkdir()
    with pytest.raises(OutputFolderError) as caught, opens_models("teacher2"):
        raise OutputFolderError("teacher.model: 'teacher' there, 'teacher2' now")
    assert "Did you mean" not in str(caught.value)
