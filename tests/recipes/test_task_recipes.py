"""Every shipped recipe for texts and labels: its columns, labels and figures are the task's, its settings apply."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from markdown_pages import ROOT, fenced_blocks
from rich.console import Console
from tiny_run import STUDENT, make_teacher, write_rows
from tiny_tasks import TASK_ROWS, TaskRows
from transformers import get_scheduler

import tinybert_hf.recipes
from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.checkpoints.run_record import read_run
from tinybert_hf.data import TASKS, DataSettings
from tinybert_hf.distillation.teachers import constant_f1
from tinybert_hf.errors import DataError, RecipeError
from tinybert_hf.evaluation import main_metric
from tinybert_hf.publishing.report import metrics_table
from tinybert_hf.recipes.loader import load_recipe, shipped_recipes
from tinybert_hf.recipes.plan import Plan, make_plan
from tinybert_hf.recipes.run import run_recipe
from tinybert_hf.tasks import TRANSLATION

FOLDER = Path(tinybert_hf.recipes.__file__).parent
# Jiao et al. 2020, section 4.2: epochs and tokens; CoLA 50, MNLI, QQP and QNLI 10, all others 20.
PUBLISHED = {
    "cola": (50, 64),
    "mrpc": (20, 128),
    "stsb": (20, 128),
    "qqp": (10, 128),
    "mnli": (10, 128),
    "qnli": (10, 128),
    "rte": (20, 128),
    "wnli": (20, 128),
}
MAIN_METRICS = {"cola": "matthews_correlation", "mrpc": "f1", "stsb": "pearson", "multi-label": "f1_micro"}
SHOWN_AS = {"teacher": "teacher ", "student": "student, distilled", "baseline": "student, alone"}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A pretrained model that takes 128 tokens."""
    texts = [row[column] for rows in TASK_ROWS.values() for row in rows.rows(24) for column in rows.texts]
    return make_teacher(tmp_path_factory.mktemp("encoder"), head=False, texts=texts, max_position_embeddings=128)


def planned(name: str, work: Path, encoder: str, **more: Any) -> Plan:
    overrides = {
        **TASK_ROWS[name].write(work),
        "teacher.model": encoder,
        "teacher.finetune": {"epochs": 1},
        "student.overrides": {**STUDENT, "max_position_embeddings": 128},
        "training_arguments.use_cpu": True,
        "output_dir": str(work / "out"),
        **more,
    }
    plan = make_plan(load_recipe(name, overrides))
    return plan


# Of recipes that name none; `STUDENT` is 16 wide.
_OF_NARROW_STUDENTS = {"intermediate": 2e-3, "prediction": 5e-4}
_OF_FEW_ROWS = {"intermediate": 12, "prediction": 18}


def test_every_recipe_of_texts_and_labels_is_tried_here() -> None:
    shipped = {name for name in shipped_recipes() if load_recipe(name).task == "text-classification"}
    assert shipped - set(TASK_ROWS) == {"demo"}


@pytest.mark.parametrize("name", TASK_ROWS)
def test_the_settings_of_the_yaml_are_those_that_train(name: str, work: Path, encoder: str) -> None:
    written = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    plan = planned(name, work, encoder)
    assert plan.data.label_names == (TASK_ROWS[name].names or ("LABEL_0",))
    assert plan.data.train is not None
    assert {"text", "text_pair", "label"} >= set(plan.data.train.column_names)
    assert len(plan.data.train.column_names) == len(TASK_ROWS[name].texts) + 1
    first = TASK_ROWS[name].rows(24)[0]
    assert [plan.data.train[0][column] for column in ("text", "text_pair")[: len(TASK_ROWS[name].texts)]] == [
        first[column] for column in TASK_ROWS[name].texts
    ]
    assert plan.recipe.data.max_length == written["data"]["max_length"]
    for phase, said in zip(plan.recipe.phases, written["phases"], strict=True):
        arguments = phase.arguments(work / "phase", seed=1, has_eval=True, training_arguments={"use_cpu": True})
        assert arguments.phase == said["name"]
        assert arguments.num_train_epochs == said.get("epochs", _OF_FEW_ROWS[said["name"]])
        assert arguments.learning_rate == float(said.get("learning_rate", _OF_NARROW_STUDENTS[said["name"]]))
        assert arguments.per_device_train_batch_size == said.get("batch_size", 32)
        assert arguments.lr_scheduler_type == said.get("lr_scheduler_type", "linear")
        _follows(arguments, said.get("lr_scheduler_type", "linear"), said.get("warmup_ratio", 0.1))


def _follows(arguments: Any, schedule: str, warmup: float) -> None:
    """Look at the rates that an optimizer gets, step by step."""
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=arguments.learning_rate)
    rises = arguments.get_warmup_steps(100)
    scheduler = get_scheduler(arguments.lr_scheduler_type, optimizer, rises, 100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"] / arguments.learning_rate)
        optimizer.step()
        scheduler.step()
    expected = [1.0] * 100
    if schedule == "linear":
        expected = [min(step / (100 * warmup), (100 - step) / (100 - 100 * warmup)) for step in range(100)]
    assert rates == pytest.approx(expected)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_settings_are_the_published_ones(name: str) -> None:
    epochs, length = PUBLISHED[name]
    recipe = load_recipe(name)
    intermediate, prediction = recipe.phases
    assert (intermediate.epochs, intermediate.learning_rate) == (epochs, 5e-5)
    assert intermediate.lr_scheduler_type == "constant"
    assert (intermediate.warmup_ratio, intermediate.batch_size, recipe.data.max_length) == (0, 32, length)
    assert (prediction.epochs, prediction.lr_scheduler_type, prediction.warmup_ratio) == (3, "linear", 0.1)
    assert 1e-5 <= prediction.learning_rate <= 3e-5
    assert prediction.batch_size in (16, 32)
    assert set(intermediate.loss_weights()) == {"attention_loss", "hidden_state_loss", "embedding_loss"}
    assert set(prediction.loss_weights()) == {"prediction_loss"}


@pytest.mark.parametrize("name", TASK_ROWS)
def test_rows_without_a_label_are_refused_with_their_number(name: str, work: Path) -> None:
    """As the test splits of GLUE are: -1 in every row."""
    task = TASK_ROWS[name]
    unlabelled = -1.0 if task.names is None else -1
    rows = [{**row, task.label: unlabelled} for row in task.rows(5)]
    recipe = load_recipe(name, {**task.write(work), "data.validation_file": write_rows(work / "test.jsonl", rows)})
    # Where labels are names or lists, a number is said to be none of them.
    message = "-1" if name in ("text-classification", "multi-label") else r"row 1.*'label'.*-1.*5 of the 5 rows"
    with pytest.raises(DataError, match=message):
        TASKS[recipe.task].load(recipe.data)


@pytest.mark.parametrize(
    "name", ["stsb", "mnli", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mrpc", "cola", "multi-label"))]
)
def test_a_whole_run(name: str, work: Path, encoder: str) -> None:
    """One epoch each: the figures that the recipe names stand first and in the table, those of further rows apart."""
    plan = planned(name, work, encoder, **{f"phases.{index}.epochs": 1 for index in (0, 1)}, **{"baseline.epochs": 1})
    shown = io.StringIO()
    report = run_recipe(plan.recipe, Console(file=shown, width=160))
    main = MAIN_METRICS.get(name, "accuracy")
    assert report.main_metric == main
    run = json.loads((work / "out" / "run.json").read_text())
    assert (run["main_metric"], run["further_metrics"]) == (main, list(plan.recipe.further_metrics))
    table = [line for line in shown.getvalue().splitlines() if line.startswith(("┃", "│"))]
    apart = [f"{figure}, {part}" for part in TASK_ROWS[name].further for figure in (main, *report.further_metrics)]
    titles = [title.replace("_", " ") for title in (main, "of teacher", *report.further_metrics, *apart)]
    assert [cell.strip() for cell in table[0].split("┃")][2 : 2 + len(titles)] == titles
    for who, metrics in run["metrics"].items():
        (line,) = (line for line in table if line.startswith(f"│ {SHOWN_AS[who]}"))
        figures = [metrics[figure] for figure in report.further_metrics]
        figures += [metrics["further"][part][main] for part in TASK_ROWS[name].further]
        cells = [cell.strip() for cell in line.split("│")]
        assert cells[2] == f"{metrics[main]:.4f}"
        assert cells[4 : 4 + len(figures)] == [f"{figure:.4f}" for figure in figures]
    assert len(run["metrics"]) == 3


def test_further_rows_are_measured_apart(work: Path, teacher: str) -> None:
    """Each figure is that of its own rows: measured again by hand."""
    from tiny_run import recipe_mapping, rows

    from tinybert_hf.evaluation import evaluate_checkpoint
    from tinybert_hf.recipes.loader import build
    from tinybert_hf.recipes.schema import Recipe

    mapping = recipe_mapping(work, teacher)
    turned = [{**row, "label": {"negative": "positive", "positive": "negative"}[row["label"]]} for row in rows(16)]
    mapping["data"]["further_validation_files"] = {"turned": write_rows(work / "turned.jsonl", turned)}
    report = run_recipe(build(Recipe, mapping), Console(quiet=True))
    for who, folder in (("teacher", teacher), ("student", work / "out"), ("baseline", work / "out" / "baseline")):
        own = report.metrics[who]
        assert own["further"]["turned"]["accuracy"] == pytest.approx(1 - own["accuracy"])
        settings = DataSettings(validation_file=str(work / "turned.jsonl"), max_length=16)
        assert evaluate_checkpoint(str(folder), settings)["accuracy"] == own["further"]["turned"]["accuracy"]


def test_further_rows_of_the_hub_are_not_silently_left_out(work: Path) -> None:
    task = TASK_ROWS["mnli"]
    files = {name: file for name, file in task.write(work).items() if "further" not in name}
    recipe = load_recipe("mnli", files)
    data = TASKS[recipe.task].load(recipe.data)
    assert not data.further_validation
    (note,) = data.notes
    assert "'mismatched'" in note
    assert "further_validation_files.mismatched=FILE" in note


def test_splits_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of the Hub, where no file is given: the splits that the data set has."""
    from tinybert_hf.data import text_classification
    from tinybert_hf.data.raw_rows import RawRows

    asked: list[tuple[str | None, str | None, str]] = []

    def read_hub(dataset: str, config: str | None, split: str, columns: Any, max_rows: int | None = None) -> RawRows:
        asked.append((dataset, config, split))
        rows = task.rows(12)
        return RawRows(split, {column: [row[column] for row in rows] for column in columns}, class_names=task.names)

    monkeypatch.setattr(text_classification, "read_hub", read_hub)
    expected = {
        "mnli": ["train", "validation_matched", "validation_mismatched"],
        "agnews": ["train", "test"],
        "cola": ["train", "validation"],
        "chinese-sentiment": ["train", "validation"],
    }
    for name, splits in expected.items():
        task = TASK_ROWS[name]
        recipe = load_recipe(name)
        data = TASKS[recipe.task].load(recipe.data)
        source = recipe.data.dataset, recipe.data.dataset_config
        assert asked == [(*source, split) for split in splits]
        assert list(data.further_validation) == list(task.further)
        assert data.label_names == task.names
        asked.clear()


@pytest.mark.parametrize(
    ("name", "assignment", "message"),
    [
        ("mrpc", "metric=acuracy", r"metric: there is no 'acuracy' here; did you mean accuracy\?.*single label"),
        ("cola", "metric=mathews_correlation", r"did you mean matthews_correlation\?"),
        ("stsb", "metric=accuracy", r"metric: there is no 'accuracy'.*pearson, spearman, mse \(of regression\)"),
        ("stsb", "metric=mse", r"metric: of mse a lower one is better.*choose pearson, spearman"),
        ("stsb", "further_metrics=[persson]", r"further_metrics\.0: there is no 'persson' here; did you mean pearson"),
        ("multi-label", "metric=f1", r"did you mean f1_micro or f1_macro\?"),
    ],
)
def test_a_figure_that_nobody_counts(name: str, assignment: str, message: str, work: Path, encoder: str) -> None:
    path, _, value = assignment.partition("=")
    with pytest.raises(RecipeError, match=message):
        planned(name, work, encoder, **{path: yaml.safe_load(value)})


def test_a_translation_has_its_own_figures() -> None:
    assert load_recipe("translation").task == TRANSLATION
    assert load_recipe("translation").metric is None


def test_the_page_says_of_each_recipe_what_it_says() -> None:
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if "| `" in line[:3]]
    table = [row for row in table if len(row) == 8]  # another table says what labels mean
    assert {row[0].strip("`") for row in table} == set(TASK_ROWS)
    for name, dataset, texts, labels, metric, beside, tokens, epochs in table:
        recipe = load_recipe(name.strip("`"))
        data = recipe.data
        source = " ".join(part for part in (data.dataset, data.dataset_config) if part)
        assert dataset == (source or "your files")
        assert texts == ", ".join(part for part in (data.text_column, data.text_pair_column) if part)
        if data.label_names is not None:
            assert labels == ", ".join(data.label_names)
        assert metric == (recipe.metric or main_metric(data.problem_type or "single_label_classification"))
        assert beside == ", ".join(recipe.further_metrics)
        assert int(tokens) == data.max_length
        each = [phase.epochs for phase in recipe.phases]
        assert epochs == ("2, 3 or more" if each == [None, None] else ", ".join(f"{one:g}" for one in each if one))


def test_a_task_of_ones_own_is_one_file(work: Path, encoder: str) -> None:
    """The example of the page, on rows with its columns and labels; only sizes and folders are changed."""
    page = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
    (text,) = fenced_blocks(page, "yaml", title="helpful.yaml")
    (work / "helpful.yaml").write_text(text, encoding="utf-8")
    own = TaskRows(("message", "answer"), ("unhelpful", "partly", "helpful"), None, label="verdict")
    for seed, name in enumerate(("train", "dev", "dev_phone")):
        with (work / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["idx", "message", "answer", "verdict"])
            writer.writeheader()
            writer.writerows(own.rows(24, seed=seed))
    small = {"student.overrides": {**STUDENT, "max_position_embeddings": 128}, "teacher.model": encoder}
    once = {"teacher.finetune.epochs": 1, "phases.0.epochs": 1, "phases.1.epochs": 1, "baseline.epochs": 1}
    recipe = load_recipe("helpful.yaml", {**small, **once, "training_arguments.use_cpu": True})
    report = run_recipe(recipe, Console(quiet=True))
    assert report.folder == "runs/helpful"
    assert (report.main_metric, report.further_metrics) == ("f1", ["accuracy"])
    for metrics in report.metrics.values():
        assert set(metrics["further"]) == {"phone"}
        assert {"f1", "accuracy"} <= set(metrics["further"]["phone"])
    config = json.loads((work / "runs" / "helpful" / "config.json").read_text())
    assert config["id2label"] == {"0": "unhelpful", "1": "partly", "2": "helpful"}


def test_several_labels_in_one_text_of_a_table(work: Path, encoder: str) -> None:
    """A CSV file with a separator, lists of names and lists of 0 and 1 are the same rows."""
    rows = [{"text": row["text"], "labels": row["labels"]} for row in TASK_ROWS["multi-label"].rows(12)]
    as_text = [{**row, "labels": "|".join(row["labels"])} for row in rows]
    with (work / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["text", "labels"])
        writer.writeheader()
        writer.writerows(as_text)
    places = ("praise", "song")
    flags = [{**row, "labels": [int(name in row["labels"]) for name in places]} for row in rows]
    found = []
    for file_name, more in {
        "rows.csv": {"data.label_separator": "|"},
        write_rows(work / "names.jsonl", rows): {},
        write_rows(work / "flags.jsonl", flags): {"data.label_names": list(places)},
    }.items():
        recipe = load_recipe("multi-label", {"data.train_file": file_name, "data.validation_file": file_name, **more})
        data = TASKS[recipe.task].load(recipe.data)
        assert data.label_names == places
        found.append(data.part("train")["label"][:])
    assert found[0] == found[1] == found[2]
    assert found[0][:3] == [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]


def test_card_and_report_keep_further_rows_apart(work: Path, encoder: str) -> None:
    plan = planned("mnli", work, encoder, **{f"phases.{index}.epochs": 1 for index in (0, 1)}, baseline=None)
    run_recipe(plan.recipe, Console(quiet=True))
    run = json.loads((work / "out" / "run.json").read_text())
    apart = {who: metrics["further"]["mismatched"]["accuracy"] for who, metrics in run["metrics"].items()}
    card = card_of(work / "out")
    head = next(line for line in card.splitlines() if line.startswith("| model |"))
    column = [cell.strip() for cell in head.split("|")].index("accuracy, mismatched")
    for who, name in (("teacher", "teacher"), ("student", "this model")):
        (line,) = (line for line in card.splitlines() if line.startswith(f"| {name} |"))
        assert line.split("|")[column].strip() == f"{apart[who]:.4f}"
    assert "nyu-mll/glue" not in card  # the rows were files, whatever the recipe names
    files = [one.dataset_name for one in ModelCard(card).data.eval_results or ()]
    assert files.count("validation.jsonl") == files.count("mismatched.jsonl") == 3
    heads, rows = metrics_table(read_run(work / "out"))
    assert heads[1] == "accuracy"
    place = heads.index("accuracy, mismatched")
    assert [row[place] for row in rows] == [f"{figure:.1%}" for figure in apart.values()]


@pytest.mark.parametrize("name", [pytest.param("stsb", marks=pytest.mark.slow), "multi-label"])
def test_models_that_know_nothing_are_said(name: str, work: Path, encoder: str) -> None:
    """A teacher and a student that were hardly trained: their figures are 0 or below, and no share is made of them."""
    steps = {f"phases.{index}.epochs": 0.04 for index in (0, 1)} | {"teacher.finetune.epochs": 0.04, "baseline": None}
    plan = planned(name, work, encoder, **steps)
    shown = io.StringIO()
    report = run_recipe(plan.recipe, Console(file=shown, width=160))
    for who in ("teacher", "student"):
        figure = report.metrics[who][report.main_metric]
        labels = [] if name == "stsb" else plan.data.part("validation")["label"]
        trivial = constant_f1(labels) + 1e-9 if name == "multi-label" else 0
        assert any(f"The {who}" in warning for warning in report.warnings) == (figure <= trivial)
    if report.metrics["teacher"][report.main_metric] <= 0:
        assert math.isnan(report.share)
        assert " nan" not in shown.getvalue()
