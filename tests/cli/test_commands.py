"""Every command: its help, a wrong flag, a run; and `python -m tinybert_hf`."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from markdown_pages import ROOT, commands
from tiny_run import make_teacher, recipe_mapping, rows, write_rows
from transformers import AutoModelForSequenceClassification
from typer.testing import Result

from tinybert_hf.cli import COMMANDS
from tinybert_hf.cli.options import preset_names
from tinybert_hf.model import PRESETS
from tinybert_hf.recipes.loader import load_recipe, shipped_recipes

Cli = Callable[..., Result]
NAMES = [command.__name__.replace("_", "-") for command in COMMANDS]


@pytest.mark.parametrize("name", NAMES)
def test_help(tinybert: Cli, name: str) -> None:
    result = tinybert(name, "--help")
    assert result.exit_code == 0
    assert f"tinybert {name}" in result.output


@pytest.mark.parametrize("name", NAMES)
def test_wrong_flag(tinybert: Cli, name: str) -> None:
    result = tinybert(name, "--no-such-flag")
    assert result.exit_code == 2
    assert "No such option" in result.output


def test_a_mistyped_option_or_command_gets_the_nearest(tinybert: Cli) -> None:
    assert "--train-file" in tinybert("distill", "--trainfile", "x").output
    assert "distill" in tinybert("distil").output


def test_version(tinybert: Cli) -> None:
    result = tinybert("--version")
    assert result.exit_code == 0
    own, others = result.output.splitlines()
    assert own == f"tinybert_hf {metadata.version('tinybert_hf')}"
    for package in ("torch", "transformers"):
        assert f"{package} {metadata.version(package)}" in others


def test_recipes_lists_each_with_its_description(tinybert: Cli) -> None:
    result = tinybert("recipes")
    assert result.exit_code == 0
    for name, description in shipped_recipes().items():
        assert re.search(rf"^{name} +{re.escape(description)}$", result.output, flags=re.MULTILINE)


def test_a_recipe_is_printed_as_a_start_for_ones_own(tinybert: Cli, tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(tinybert("recipes", "sst2").output, encoding="utf-8")
    assert (
        load_recipe(str(own), {"teacher.model": "x", "output_dir": "y"}).phases
        == load_recipe("sst2", {"teacher.model": "x", "output_dir": "y"}).phases
    )
    assert tinybert("recipes", "sst3").exit_code == 2


def test_the_shell_completes_commands_options_and_recipes() -> None:
    def offered(words: str) -> list[str]:
        environment = {
            **os.environ, "_TINYBERT_COMPLETE": "complete_bash", "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }  # fmt: skip
        program = "import sys; from tinybert_hf_command import main; sys.argv = ['tinybert']; main()"
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=280, check=False
        )
        return done.stdout.split()

    assert {"distill", "push"} <= set(offered("tinybert "))
    assert offered("tinybert distill sst") == ["sst2"]
    assert offered("tinybert recipes demo-") == ["demo-translation"]
    assert "--teacher-weights" in offered("tinybert distill --teach")
    assert offered("tinybert export out --to onnx-") == ["onnx-int8"]
    assert offered("tinybert distill --student 4l-312d-") == ["4l-312d-zh"]
    assert offered("tinybert distill --init r") == ["random"]


def test_the_presets_that_are_offered_are_those_that_there_are() -> None:
    assert preset_names() == list(PRESETS)


def test_a_dry_run_reads_the_recipe_once(
    tinybert: Cli, work: Path, teacher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / "own.yaml").write_text(yaml.safe_dump(recipe_mapping(work, teacher)))
    opened: list[str] = []

    def note(self: Path, *args: Any, **kwargs: Any) -> str:
        opened.append(self.name)
        return read(self, *args, **kwargs)

    read = Path.read_text
    monkeypatch.setattr(Path, "read_text", note)
    result = tinybert("distill", "own.yaml", "--dry-run", "--epochs", "2", "--batch-size", "4", "--cpu")
    assert [phase["epochs"] for phase in planned(result)["phases"]] == [2.0, 2.0]
    assert opened.count("own.yaml") == 1


def test_the_help_shows_what_most_runs_are_told_first_and_all_else_at_the_end(
    tinybert: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    first, _, last = tinybert("distill", "--help").output.partition("Further options")
    assert 12 <= len(set(re.findall(r"^│ (--[a-z0-9-]+)", first, re.MULTILINE))) <= 20
    assert {"--teacher", "--train-file", "--epochs", "--learning-rate", "--set"} <= set(first.split())
    assert {"--init", "--block-size", "--prune-vocabulary"} <= set(last.split())


@pytest.mark.slow
def test_as_a_module() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "tinybert_hf", "recipes"], capture_output=True, text=True, timeout=280, check=True
    )
    assert "demo" in process.stdout
    assert process.stderr == ""


@pytest.fixture
def files(work: Path) -> list[str]:
    train, validation = write_rows(work / "a.jsonl", rows()), write_rows(work / "b.jsonl", rows(16))
    return ["--train-file", train, "--validation-file", validation]


SMALL = "student.overrides={hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 32}"


def test_distill_files_then_evaluate(tinybert: Cli, work: Path, files: list[str], teacher: str) -> None:
    for row_file in ("a.jsonl", "b.jsonl"):
        text = (work / row_file).read_text().replace('"text"', '"sentence"').replace('"label"', '"mood"')
        (work / row_file).write_text(text)
    options = ["--text-column", "sentence", "--label-column", "mood", "--teacher", teacher, "--student", "4l-312d"]
    options += ["--max-length", "16", "--output-dir", "out", "--cpu", "--no-baseline", "--set", SMALL]
    options += ["--set", "phases.0.epochs=0.5", "--set", "phases.1.epochs=1"]
    result = tinybert("distill", *files, *options)
    assert result.exit_code == 0, result.output
    assert 'Load it: import tinybert_hf; pipeline("text-classification", "out")' in result.output
    assert "epoch 1.00" in result.stdout
    assert "phase 0 (intermediate): attention, hidden state, embedding; 0.5 epochs at 0.002" in result.stdout
    assert "phase 1 (prediction): prediction; 1 epoch at 0.0005" in result.stdout
    assert "%|" not in result.output, "a progress bar, and standard error is no terminal"
    assert AutoModelForSequenceClassification.from_pretrained(work / "out").config.hidden_size == 16
    again = tinybert("distill", *files, *options, "--json")
    shown = json.loads(again.stdout)
    assert shown["metrics"] == json.loads((work / "out" / "run.json").read_text())["metrics"]
    assert "complete; delete the folder" in again.stderr
    # The columns need not be named again: run.json knows them.
    measured = tinybert("evaluate", "out", "--validation-file", "b.jsonl", "--json")
    assert measured.exit_code == 0, measured.output
    run = json.loads((work / "out" / "run.json").read_text())
    assert json.loads(measured.stdout) == pytest.approx(run["metrics"]["student"])
    # What is named goes before what the run knows.
    (work / "c.jsonl").write_text((work / "b.jsonl").read_text().replace('"sentence"', '"review"'))
    named = tinybert("evaluate", "out", "--validation-file", "c.jsonl", "--text-column", "review", "--json")
    assert named.exit_code == 0, named.output
    assert json.loads(named.stdout) == json.loads(measured.stdout)


def test_the_commands_of_the_readme_distil_a_users_files(tinybert: Cli, place: Path) -> None:
    every = commands((ROOT / "README.md").read_text(encoding="utf-8"))
    plan, measure = (words for words in every if "train.jsonl" in words or words[:2] == ["evaluate", "out"])
    assert plan[-1] == "--dry-run"
    for words in (plan, [*plan[:-1], "--epochs", "1", "--cpu"], measure):
        result = tinybert(*words)
        assert result.exit_code == 0, result.output
    assert "accuracy" in result.output


def test_dry_run_prints_the_run_and_writes_nothing(tinybert: Cli, work: Path, files: list[str], teacher: str) -> None:
    result = tinybert("distill", *files, "--teacher", teacher, "--max-length", "16", "--set", SMALL, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "layer map (student<-teacher): 1<-2, 2<-4" in result.output
    assert "its answers are noted in the phase before" in result.output
    assert "text_column" in result.output
    assert not [name for name in ("source_column", "decoder_layer_map", "pseudo_labels") if name in result.output]
    assert sorted(path.name for path in work.iterdir()) == ["a.jsonl", "b.jsonl"]
    recipe = yaml.safe_load(result.output.split("\n\n")[0])
    assert recipe["teacher"]["model"] == teacher
    assert recipe["data"]["max_length"] == 16


def planned(result: Result) -> dict[str, Any]:
    """The recipe that a dry run prints."""
    assert result.exit_code == 0, result.output
    recipe: dict[str, Any] = yaml.safe_load(result.stdout.split("\n\n")[0])
    return recipe


def test_epochs_and_batch_size_of_every_phase(tinybert: Cli, work: Path, files: list[str], teacher: str) -> None:
    words = ["distill", *files, "--max-length", "16", "--set", SMALL, "--dry-run"]
    both = ["--epochs", "1.5", "--batch-size", "8"]
    recipe = planned(tinybert(*words, "--teacher", teacher, *both))
    assert [(phase["epochs"], phase["batch_size"]) for phase in recipe["phases"]] == [(1.5, 8), (1.5, 8)]
    # The same number of rows seen, so that the two can be compared.
    assert (recipe["baseline"]["epochs"], recipe["baseline"]["batch_size"]) == (3.0, 8)
    assert "finetune" not in recipe["teacher"]
    # Learning rates and all else stay what the recipe says, and --set wins.
    unchanged = planned(tinybert(*words, "--teacher", teacher))
    # Which leaves the epochs to the rows, 48 of them; the student alone learns as long as the other.
    assert [phase["epochs"] for phase in unchanged["phases"]] == [12.0, 18.0]
    assert unchanged["baseline"]["epochs"] == 30.0
    longer = planned(tinybert(*words, "--teacher", teacher, "--set", "phases.1.epochs=7"))
    assert longer["baseline"]["epochs"] == 19.0
    longer = planned(tinybert(*words, "--teacher", teacher, *both, "--set", "phases.1.epochs=4"))
    assert longer["baseline"]["epochs"] == 5.5
    assert [phase["learning_rate"] for phase in recipe["phases"]] == [
        phase["learning_rate"] for phase in unchanged["phases"]
    ]
    recipe = planned(tinybert(*words, "--teacher", teacher, *both, "--set", "phases.1.epochs=7", "--no-baseline"))
    assert [phase["epochs"] for phase in recipe["phases"]] == [1.5, 7.0]
    assert "baseline" not in recipe
    recipe = planned(tinybert(*words, "--teacher", teacher, "--finetune-teacher", *both))
    assert (recipe["teacher"]["finetune"]["epochs"], recipe["teacher"]["finetune"]["batch_size"]) == (10.0, 8)
    # Each training has an option of its own, and the plan shows the epochs of all three.
    own = ["--finetune-teacher", "--teacher-epochs", "5", "--baseline-epochs", "3", "--epochs", "1"]
    result = tinybert(*words, "--teacher", teacher, *own)
    recipe = planned(result)
    assert (recipe["teacher"]["finetune"]["epochs"], recipe["baseline"]["epochs"]) == (5.0, 3.0)
    assert [phase["epochs"] for phase in recipe["phases"]] == [1.0, 1.0]
    for line in (
        r"phase 1 \(prediction\): .*; 1 epoch at [\d.]+$",
        r"^the teacher is fine-tuned first: 5 epochs",
        r"teacher: 3 epochs",
    ):
        assert re.search(line, result.stdout, flags=re.MULTILINE), result.stdout
    for option, more, reason in (
        ("--teacher-epochs", [], "no teacher is fine-tuned"),
        ("--baseline-epochs", ["--no-baseline"], "has no baseline"),
    ):
        refused = tinybert(*words, "--teacher", teacher, option, "2", *more)
        assert refused.exit_code == 2
        assert reason in " ".join(refused.output.replace("│", " ").split())


def test_a_learning_rate_is_that_of_each_phase_and_of_no_other_training(
    tinybert: Cli, work: Path, files: list[str], teacher: str
) -> None:
    words = ["distill", *files, "--max-length", "16", "--set", SMALL, "--dry-run"]
    words += ["--teacher", teacher, "--finetune-teacher"]
    usual, given = (planned(tinybert(*words, *more)) for more in ((), ("--learning-rate", "0.003")))
    assert [phase["learning_rate"] for phase in given["phases"]] == [0.003, 0.003]
    assert given["baseline"]["learning_rate"] == 0.003  # it names none, so it takes that of the last phase
    assert given["teacher"] == usual["teacher"]
    for wrong in ("0", "-1", "nan"):
        assert tinybert(*words, "--learning-rate", wrong).exit_code == 2


def test_a_share_of_the_training_rows_is_held_out(tinybert: Cli, work: Path, teacher: str) -> None:
    file = write_rows(work / "all.jsonl", rows(40))
    words = ["--train-file", file, "--validation-split", "0.1", "--max-length", "16", "--cpu"]
    result = tinybert("distill", *words, "--teacher", teacher, "--set", SMALL, "--dry-run")
    assert "rows: 36 train, 4 validation" in result.output
    both = tinybert("distill", *words, "--validation-file", file, "--teacher", teacher, "--dry-run")
    assert both.exit_code == 2
    assert "are both given" in both.output
    tuned = tinybert("finetune", *words, "--model", teacher, "--epochs", "1", "--output-dir", "tuned", "--json")
    assert tuned.exit_code == 0, tuned.output
    neither = tinybert("finetune", "--train-file", file, "--model", teacher, "--output-dir", "other")
    assert neither.exit_code == 2
    assert "--validation-split 0.1" in " ".join(neither.output.replace("│", " ").split())


def test_epochs_of_a_recipe_that_names_no_phases(tinybert: Cli, work: Path, teacher: str) -> None:
    mapping = recipe_mapping(work, teacher)
    for name in ("phases", "baseline"):
        del mapping[name]
    (work / "mine.yaml").write_text(yaml.safe_dump(mapping))
    recipe = planned(tinybert("distill", "mine.yaml", "--epochs", "4", "--dry-run"))
    assert [(phase["name"], phase["epochs"]) for phase in recipe["phases"]] == [
        ("intermediate", 4.0),
        ("prediction", 4.0),
    ]
    assert "baseline" not in recipe
    recipe = planned(tinybert("distill", "mine.yaml", "--epochs", "4", "--baseline", "--dry-run"))
    assert recipe["baseline"]["epochs"] == 8.0


@pytest.mark.parametrize(
    "words",
    [["distill", "demo", "--epochs", "0"], ["distill", "demo", "--epochs", "-1"], ["distill", "--epochs", "x"]],
)
def test_epochs_that_are_none(tinybert: Cli, words: list[str]) -> None:
    result = tinybert(*words)
    assert result.exit_code == 2
    assert "--epochs" in result.output


def test_distill_finds_the_obvious_columns_and_says_which(tinybert: Cli, work: Path, teacher: str) -> None:
    words = ["--max-length", "16", "--set", SMALL, "--teacher", teacher, "--dry-run"]

    def files(name: str, text: str, label: str, **more: str) -> list[str]:
        made = [{text: row["text"], label: row["label"], **more} for row in rows(16)]
        file = write_rows(work / name, made)
        return ["distill", "--train-file", file, "--validation-file", file]

    result = tinybert(*files("a.jsonl", "sentence", "labels"), *words)
    assert (planned(result)["data"]["text_column"], planned(result)["data"]["label_column"]) == ("sentence", "labels")
    assert "The text is taken from the column 'sentence' (--text-column names another)." in result.stderr
    assert "The label is taken from the column 'labels' (--label-column names another)." in result.stderr
    result = tinybert(*files("b.jsonl", "text", "label", sentence="another text"), *words)
    assert planned(result)["data"]["text_column"] == "text"
    assert "is taken from" not in result.stderr
    # What is named stays, on the command line and with --set.
    both = files("c.jsonl", "sentence", "label")
    for named in (["--text-column", "text"], ["--set", "data.text_column=text"]):
        result = tinybert(*both, *words, *named)
        assert result.exit_code == 2
        assert "no column 'text'" in result.stderr


def test_label_names(tinybert: Cli, work: Path, teacher: str) -> None:
    file = write_rows(work / "numbers.jsonl", rows(16, labels=(0, 1)))
    words = ["--train-file", file, "--validation-file", file, "--max-length", "16", "--label-names"]
    distil = ["distill", *words, "negative, positive", "--set", SMALL, "--teacher", teacher, "--dry-run"]
    result = tinybert(*distil)
    assert planned(result)["data"]["label_names"] == ["negative", "positive"]
    assert "labels: negative, positive" in result.output
    tuned = ["finetune", *words, "bad,good", "--model", teacher, "--epochs", "1", "--output-dir", "tuned", "--cpu"]
    assert tinybert(*tuned).exit_code == 0
    assert AutoModelForSequenceClassification.from_pretrained(work / "tuned").config.id2label == {0: "bad", 1: "good"}
    for wrong in ("positive", "", "a,,b"):
        refused = tinybert("distill", *words, wrong)
        assert refused.exit_code == 2
        assert "separated by commas" in refused.output


def test_columns_of_a_translation(tinybert: Cli, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("tinybert_hf.recipes.plan.make_plan", lambda recipe: seen.append(recipe))
    monkeypatch.setattr("tinybert_hf.recipes.report.describe_plan", str)
    monkeypatch.setattr("tinybert_hf.recipes.run.check_teachers", str)
    words = ["translation", "--train-file", write_rows(work / "pairs.jsonl", [{"en": "a", "de": "b"}])]
    result = tinybert("distill", *words, "--source-column", "en", "--target-column", "de", "--dry-run")
    assert result.exit_code == 0, result.output
    assert (seen[0].data.source_column, seen[0].data.target_column) == ("en", "de")
    assert result.stderr == ""


def test_the_demo_can_be_planned_without_anything(tinybert: Cli, work: Path) -> None:
    result = tinybert("distill", "demo", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "output folder: runs/demo" in result.output


def test_own_recipe_with_changes(tinybert: Cli, work: Path, teacher: str) -> None:
    (work / "mine.yaml").write_text(yaml.safe_dump(recipe_mapping(work, "changed below")))
    words = ["--teacher", teacher, "--seed", "7", "--init", "random", "--baseline", "--bf16", "--finetune-teacher"]
    result = tinybert("distill", "mine.yaml", *words, "--set", "phases.0.learning_rate=1e-4", "--dry-run")
    assert result.exit_code == 0, result.output
    recipe = yaml.safe_load(result.output.split("\n\n")[0])
    assert recipe["seed"] == 7
    assert recipe["student"]["init"] == "random"
    assert recipe["phases"][0]["learning_rate"] == 1e-4
    assert recipe["training_arguments"]["bf16"] is True
    assert recipe["teacher"]["finetune"]["epochs"] == 10.0  # 48 rows
    assert recipe["baseline"]["batch_size"] == 16


def test_finetune_makes_a_teacher(tinybert: Cli, work: Path, files: list[str], headless: str) -> None:
    options = ["--max-length", "16", "--epochs", "1", "--batch-size", "16", "--output-dir", "tuned", "--cpu"]
    result = tinybert("finetune", "--model", headless, *files, *options)
    assert result.exit_code == 0, result.output
    assert "accuracy" in result.output
    model = AutoModelForSequenceClassification.from_pretrained(work / "tuned")
    assert model.config.id2label == {0: "negative", 1: "positive"}
    measured = tinybert("evaluate", "tuned", "--validation-file", "b.jsonl")
    assert measured.exit_code == 0, measured.output
    assert "accuracy" in measured.output
    again = tinybert("finetune", "--model", headless, *files, *options)
    assert "complete" in again.output
    useless = json.loads((work / "tuned" / "run.json").read_text())["metrics"]["accuracy"] <= 0.5
    for output in (result.output, again.output):
        assert output.count("WARNING: The model's accuracy is") == useless
    other = tinybert("finetune", "--model", headless, *files, *options, "--seed", "3")
    assert other.exit_code == 2
    assert "seed: 42 there, 3 now" in other.stderr


def test_evaluate_finds_the_obvious_columns(tinybert: Cli, work: Path, teacher: str) -> None:
    write_rows(work / "b.jsonl", [{"sentence": row["text"], "label": row["label"]} for row in rows(16)])
    result = tinybert("evaluate", teacher, "--validation-file", "b.jsonl", "--max-length", "16", "--json")
    assert result.exit_code == 0, result.output
    assert "column 'sentence'" in result.stderr
    metrics = json.loads(result.stdout)
    assert ("WARNING: The model's accuracy is" in result.stderr) == (metrics["accuracy"] <= 0.5)
    write_rows(work / "odd.jsonl", [{**row, "label": "positive"} for row in rows(15)] + rows(1))
    result = tinybert("evaluate", teacher, "--validation-file", "odd.jsonl", "--max-length", "16", "--cpu")
    assert "WARNING: The model's accuracy is" in result.stderr, result.output
    assert "most frequent label (0.9375)" in result.stderr
    write_rows(work / "c.jsonl", [{"review": row["text"], "label": row["label"]} for row in rows(16)])
    result = tinybert("evaluate", teacher, "--validation-file", "c.jsonl", "--max-length", "16")
    assert result.exit_code == 2
    assert "review" in result.stderr


@pytest.mark.parametrize(("words", "device"), [([], None), (["--cpu"], "cpu")])
def test_evaluate_on_the_cpu(
    tinybert: Cli, files: list[str], monkeypatch: pytest.MonkeyPatch, words: list[str], device: str | None
) -> None:
    seen: list[str | None] = []

    def measure(*args: Any, device: str | None, **kwargs: Any) -> dict[str, float]:
        seen.append(device)
        return {"accuracy": 1.0}

    opened = SimpleNamespace(task="text-classification")
    monkeypatch.setattr("tinybert_hf.checkpoints.Checkpoint.read", lambda *_, **__: opened)
    monkeypatch.setattr("tinybert_hf.evaluation.evaluate_any_checkpoint", measure)
    assert tinybert("evaluate", "some/model", "--validation-file", "b.jsonl", *words).exit_code == 0
    assert seen == [device]


def test_evaluate_beside_a_run_that_cannot_be_read(tinybert: Cli, work: Path, files: list[str]) -> None:
    (work / "out").mkdir()
    (work / "out" / "run.json").write_text("{")
    result = tinybert("evaluate", "out", "--validation-file", "b.jsonl")
    assert result.exit_code == 2
    assert "run.json does not say which columns" in result.stderr


def test_several_teachers(tinybert: Cli, work: Path, teacher: str) -> None:
    data = recipe_mapping(work, teacher)["data"]
    words = ["--train-file", data["train_file"], "--validation-file", data["validation_file"], "--max-length", "16"]
    words += ["--dry-run", "--teacher", teacher, "--teacher", teacher, "--teacher", teacher]
    small = "student.overrides={hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 32}"
    words += ["--output-dir", "out", "--cpu", "--set", small]
    result = tinybert("distill", *words, "--teacher-weights", "2, 1,0.5")
    assert result.exit_code == 0, result.output
    said = yaml.safe_load(result.output.split("\n\n")[0])
    assert said["teacher"]["weight"] == 2.0
    assert [(one["model"], one["weight"]) for one in said["extra_teachers"]] == [(teacher, 1.0), (teacher, 0.5)]
    for weights, word in (
        ("2,1", "has 2 numbers, and there are 3"),
        ("2,1,0", "extra_teachers.1.weight"),
        ("2,1,x", "x"),
    ):
        refused = tinybert("distill", *words, "--teacher-weights", weights)
        assert refused.exit_code == 2
        assert word in " ".join(refused.output.replace("│", " ").split())
    alone = tinybert("distill", *words[: words.index("--teacher") + 2], "--teacher-weights", "2")
    assert "goes with several --teacher" in " ".join(alone.output.replace("│", " ").split())
    assert "nowhere does not exist" in tinybert("distill", *words, "--teacher", "./nowhere").output


def test_a_file_without_labels_on_the_command_line(tinybert: Cli, work: Path) -> None:
    made = make_teacher(work / "teacher")
    write_rows(work / "train.jsonl", rows())
    write_rows(work / "validation.jsonl", rows(16))
    write_rows(work / "more.jsonl", rows(5))
    words = ["--train-file", "train.jsonl", "--validation-file", "validation.jsonl", "--teacher", made]
    words += ["--max-length", "16", "--init", "random", "--cpu"]
    result = tinybert("distill", *words, "--unlabelled-file", "more.jsonl", "--output-dir", "out", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "16 validation, 5 without labels" in result.output
    refused = tinybert("distill", *words, "--unlabelled-file", "more.jsonl", "--unlabelled-column", "x", "--dry-run")
    assert refused.exit_code == 2
    assert "--unlabelled-column is for translation" in " ".join(refused.output.replace("│", " ").split())
