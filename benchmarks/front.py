"""Accuracy against speed, from text to answer: docs/results/front.md, .json and .svg.

    python benchmarks/front.py --data FOLDER --work FOLDER [--tasks TASK ...] [--presets NAME ...] [--ways WAY ...]
        [--rows N] [--parts PART ...] [--seed N] [--rounds N] [--threads N]

The teachers are those of `python benchmarks/tasks.py --parts teachers --fp32`, in the same work folder, and have seen
all rows of their task. Each preset starts from its teacher and has the shipped recipe with the first --rows of them:

- distilled: as shipped, with the copies that few rows get.
- answers: no loss between layers: the teacher's answers alone, to the same rows and copies, for as many epochs as both
  phases, at the rate of the second.
- labels: the same number of steps on the labels alone, without teacher and copies.

Beside them stands what is taken where speed is all: TF-IDF of words and pairs of words with logistic regression, a
static model that model2vec makes of the same teacher, with logistic regression, and fastText's classifier (pip install
model2vec fasttext; what is not installed is left out); all from the same rows and their labels. Every run is kept in
the work folder and is not repeated.

Then (`measure`) everything is measured side by side: the teacher and every student in PyTorch, ONNX and int8 ONNX,
each by its `Classifier`, one thread, tokenizing included; the table has each one's fastest, and the accuracy of that
format. `report` writes the page from what has been measured, and from what front_others.py has: other tools in the
time of one of the students.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

import torch
from classifying import seconds, where_measured
from heads import carry_out, settings_of
from other_tools import read
from pages import paragraph
from task_settings import EVERY_TASK
from transformers import AutoConfig

from tinybert_hf import Classifier, export_model, load_recipe
from tinybert_hf.recipes.plan import make_plan

TASKS = ("sst2-all", "agnews")
PRESETS = ("4l-312d", "2l-192d", "2l-128d", "1l-128d")
WAYS = ("distilled", "answers", "labels")
PARTS = ("train", "measure", "report")
FORMATS = ("onnx", "onnx-int8")
TIMED_TEXTS = 800
FASTTEXT = {"wordNgrams": 2, "epoch": 25, "lr": 0.5, "dim": 100}
OTHERS = "front_others.json"
Answer = Callable[[list[str]], Sequence[Any]]


# Trainings.


def rows_of(task: str, arguments: argparse.Namespace) -> int:
    """That a student learns from."""
    return min(EVERY_TASK[task].rows, int(arguments.rows))


def settings_of_way(task: str, preset: str, way: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Of a recipe."""
    own = argparse.Namespace(**{**vars(arguments), "rows": rows_of(task, arguments)})
    settings = {**settings_of(task, arguments.seed, own), "student.preset": preset}
    shipped = {name: value for name, value in settings.items() if name != "augmentation"}
    if way == "distilled":
        return shipped
    plan = make_plan(load_recipe(EVERY_TASK[task].recipe, {**shipped, "output_dir": str(arguments.work / "unused")}))
    epochs = sum(phase.known_epochs for phase in plan.recipe.phases)
    phase: dict[str, Any] = {"name": "prediction", "epochs": epochs}
    if way == "answers":
        return {**shipped, "phases": [phase]}
    copies = 0 if plan.recipe.augmentation is None else plan.recipe.augmentation.copies
    phase |= {"epochs": epochs * (1 + copies), "prediction_loss_weight": 0.0, "label_loss_weight": 1.0}
    return {**settings, "phases": [phase]}


def folder_of(task: str, preset: str, way: str, arguments: argparse.Namespace) -> Path:
    """Of a run."""
    folder: Path = arguments.work / task / f"front-{rows_of(task, arguments)}" / f"{preset}-{way}-{arguments.seed}"
    return folder


def train(arguments: argparse.Namespace) -> None:
    """Every run that is not there yet."""
    for task in arguments.tasks:
        for preset in arguments.presets:
            for way in arguments.ways:
                settings = settings_of_way(task, preset, way, arguments)
                run = carry_out(task, settings, folder_of(task, preset, way, arguments))
                metric = EVERY_TASK[task].metric
                print(task, preset, way, f"{100 * run['metrics']['student'][metric]:.1f}", flush=True)


# What is measured.


class Rows:
    """Texts and label numbers of a task."""

    def __init__(self, task: str, arguments: argparse.Namespace) -> None:
        spec = EVERY_TASK[task]
        folder, (first, second) = arguments.data / (spec.folder or task), spec.files
        column = spec.data["text_column"]
        train, validation = read(folder / first, rows_of(task, arguments)), read(folder / second)
        self.train, self.train_labels = [row[column] for row in train], [row["label"] for row in train]
        self.texts, self.labels = [row[column] for row in validation], [row["label"] for row in validation]
        self.length: int = spec.data["max_length"]

    def accuracy(self, answer: Answer) -> float:
        """In percent, on the validation rows."""
        found = answer(self.texts)
        return 100 * statistics.mean(str(one) == str(label) for one, label in zip(found, self.labels, strict=True))


def answers_of(folder: Path, rows: Rows) -> Answer:
    """The label numbers that a model's folder says."""
    classifier = Classifier(folder, max_length=rows.length, threads=1, device="cpu")
    number = classifier_labels(folder)
    return lambda texts: [number[one["label"]] for one in classifier(texts)]


def classifier_labels(folder: Path) -> dict[str, int]:
    """Label names of a configuration, with their numbers."""
    names: dict[str, int] = AutoConfig.from_pretrained(folder).label2id
    return names


def exported(model: Path, form: str, folder: Path) -> Path:
    """An export that is made once."""
    if not folder.exists():
        export_model(model, folder, form)
    return folder


def static_model(teacher: Path, rows: Rows) -> Answer:
    """model2vec's of the teacher, with logistic regression."""
    from model2vec.distill import distill_from_model
    from sklearn.linear_model import LogisticRegression
    from transformers import AutoModel, AutoTokenizer

    model = distill_from_model(AutoModel.from_pretrained(teacher), AutoTokenizer.from_pretrained(teacher))
    head = LogisticRegression(max_iter=2000).fit(
        model.encode(rows.train, use_multiprocessing=False), rows.train_labels
    )
    return lambda texts: head.predict(model.encode(texts, use_multiprocessing=False)).tolist()


def tf_idf(rows: Rows) -> Answer:
    """Words and pairs of words, with logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    made = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), LogisticRegression(max_iter=2000, C=4.0)
    ).fit(rows.train, rows.train_labels)
    return lambda texts: made.predict(texts).tolist()


def fast_text(rows: Rows) -> Answer:
    """fastText's own classifier; texts in lower case, punctuation set apart, as in its tutorial."""
    import fasttext

    def words(text: str) -> str:
        return " ".join(re.findall(r"\w+|[^\w\s]", text.lower()))

    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "rows.txt"
        lines = [
            f"__label__{label} {words(text)}\n" for text, label in zip(rows.train, rows.train_labels, strict=True)
        ]
        file.write_text("".join(lines), encoding="utf-8")
        model = fasttext.train_supervised(str(file), thread=1, verbose=0, **FASTTEXT)
    return lambda texts: [one[0].removeprefix("__label__") for one in model.predict([words(t) for t in texts])[0]]


def measure(task: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Texts a second and accuracy of everything that is there."""
    rows, place = Rows(task, arguments), arguments.work / task
    models = {"teacher": place / "teacher"}
    for preset in PRESETS:
        folder = folder_of(task, preset, "distilled", arguments)
        if (folder / "run.json").exists():
            models[preset] = folder
    ways: dict[str, tuple[str, str, Answer]] = {}
    for name, folder in models.items():
        kept = place / f"front-{len(rows.train)}" / "exports"
        for form in ("PyTorch", *FORMATS):
            opened = folder if form == "PyTorch" else exported(folder, form, kept / f"{name}-{arguments.seed}-{form}")
            ways[f"{name}, {form}"] = (name, form, answers_of(opened, rows))
    if find_spec("model2vec"):
        ways["model2vec"] = ("model2vec and logistic regression", "", static_model(models["teacher"], rows))
    if find_spec("fasttext"):
        ways["fastText"] = ("fastText", "", fast_text(rows))
    left_out = [name for name in ("model2vec", "fasttext") if not find_spec(name)]
    ways["TF-IDF"] = ("TF-IDF and logistic regression", "", tf_idf(rows))
    texts = (rows.texts * (1 + TIMED_TEXTS // len(rows.texts)))[:TIMED_TEXTS]
    taken = seconds({key: partial(answer, texts) for key, (_, _, answer) in ways.items()}, arguments.rounds)
    points: list[dict[str, Any]] = []
    for name in dict.fromkeys(one for one, _, _ in ways.values()):
        key = min((key for key, way in ways.items() if way[0] == name), key=taken.__getitem__)
        rates = {ways[one][1] or "-": len(texts) / taken[one] for one in ways if ways[one][0] == name}
        points.append(
            {
                "name": name,
                "format": ways[key][1],
                "texts_per_second": len(texts) / taken[key],
                "accuracy": rows.accuracy(ways[key][2]),
                "rates": rates,
                "trained": {},
            }
        )
        print(task, points[-1], flush=True)
    how = {"where": where_measured(), "rounds": arguments.rounds, "seed": arguments.seed, "texts": len(texts)}
    about = {"rows": len(rows.train), "validation_rows": len(rows.texts), "left_out": left_out}
    return {**about, **how, "points": points}


def trained(task: str, preset: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Accuracy in PyTorch of a preset, in percent, by the way it was taught, of the runs that are there."""
    files = {way: folder_of(task, preset, way, arguments) / "run.json" for way in WAYS}
    metric = EVERY_TASK[task].metric
    return {
        way: 100 * json.loads(file.read_text())["metrics"]["student"][metric]
        for way, file in files.items()
        if file.exists()
    }


# The page.


def page(results: dict[str, Any], others: dict[str, Any] | None) -> str:
    """Markdown.

    Args:
        results: by the task.
        others: of front_others.py, where it has run.
    """
    lines = ["# Accuracy against speed", ""]
    lines += paragraph(
        "Written by `python benchmarks/front.py --data FOLDER --work FOLDER`; its first lines say what is compared. "
        "Texts a second of CPU time on one thread, tokenizing included, of the fastest of PyTorch, ONNX and int8 "
        "ONNX, and the accuracy in that format. On the right the accuracy in PyTorch of the same preset from the same "
        "start, taught in three ways, in as many steps; an empty cell was not run. One seed. `6l-768d` is not there: "
        "its 6 layers are wider than those of the teacher (384). fastText is its own classifier, without autotune "
        f"({', '.join(f'{name} {value}' for name, value in FASTTEXT.items())}), of words in lower case."
    )
    lines += ["", "![Accuracy against texts a second](front.svg)"]
    for task, found in results.items():
        lines += [
            "",
            f"## {title_of(task)}, {found['rows']:,} training rows, {found['validation_rows']:,} validation rows",
            "",
            f"{found['texts']} texts, {found['rounds']} rounds, seed {found['seed']} ({found['where']}).",
            "",
            "| model | fastest in | texts/s | accuracy | distilled | answers alone | labels alone |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        ]
        for one in found["points"]:
            cells = [f"{one['trained'][way]:.1f}" if way in one["trained"] else "" for way in WAYS]
            lines.append(
                f"| {one['name']} | {one['format']} | {one['texts_per_second']:,.0f} | {one['accuracy']:.1f} | "
                f"{' | '.join(cells)} |"
            )
        if found.get("left_out"):
            lines += ["", f"Left out, not installed: {', '.join(found['left_out'])}."]
    return "\n".join([*lines, *(equal_time(others) if others else ())]) + "\n"


def equal_time(found: dict[str, Any]) -> list[str]:
    """Markdown: a student by this package, and by other tools in the time that it took.

    Args:
        found: what front_others.py has written.
    """
    total = sum(found["budget"].values())
    rates = " and ".join(f"{rate:g}" for rate in found["rates"].values())
    text = (
        f"`python benchmarks/front_others.py --data FOLDER --work FOLDER --textbrewer-python PYTHON "
        f"--torchdistill-python PYTHON`: `{found['preset']}` from the same start ({found['start']:.1f}), the same "
        f"teacher, {found['rows']:,} rows and batches of {found['batch']}; the other tools got the CPU seconds that "
        f"ours takes ({total:.0f}, its evaluations included, divided between the phases as ours), one thread, batches "
        f"of like length, the rates of ours ({rates}, warm-up and all), and a linear schedule for as many steps as "
        f"their speed over {found['probe']} steps promised. {found['validation_rows']:,} validation rows: one "
        f"standard error is {found['standard_error']:.1f} points. One run each ({found['where']})."
    )
    lines = ["", f"## SST-2, {found['rows']:,} rows, equal CPU time", "", *paragraph(text), ""]
    lines += ["| tool | intermediate steps | prediction steps | CPU seconds | accuracy |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    failed = []
    for name, one in found["tools"].items():
        if "error" in one:
            failed.append(f"{name}: {one['error']}")
            continue
        steps = " | ".join(f"{one['steps'][phase]:,}" for phase in found["budget"])
        lines.append(f"| {name} {one['version']} | {steps} | {one['seconds']:.0f} | {one['accuracy']:.1f} |")
    if failed:
        lines += ["", *paragraph(f"Did not run: {'; '.join(failed)}.")]
    return lines


def title_of(task: str) -> str:
    """As it is known."""
    return {"sst2": "SST-2", "agnews": "AG News"}[task.removesuffix("-all")]


def draw(results: dict[str, Any], file: Path) -> None:
    """A picture a task."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "front"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(results), figsize=(5.2 * len(results), 3.6), squeeze=False)
    for axis, (task, found) in zip(axes[0], results.items(), strict=True):
        ours = [one for one in found["points"] if one["name"] in PRESETS or one["name"] == "teacher"]
        for one in found["points"]:
            dot = ("o", "#1f5fbf") if one in ours else ("s", "#8a8a8a")
            axis.plot(one["texts_per_second"], one["accuracy"], dot[0], color=dot[1])
            axis.annotate(
                one["name"].replace(" and logistic regression", ""),
                (one["texts_per_second"], one["accuracy"]),
                textcoords="offset points",
                xytext=(5, 5),
                fontsize=8,
            )
        axis.plot(
            [one["texts_per_second"] for one in ours], [one["accuracy"] for one in ours], color="#1f5fbf", linewidth=1
        )
        axis.set(xscale="log", title=title_of(task), xlabel="texts a second, one thread", ylabel="accuracy")
        axis.margins(x=0.2, y=0.15)
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})


def main() -> None:
    """Train what is missing, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rows", type=int, default=20000, help="that students learn from, at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if "train" in arguments.parts:
        train(arguments)
    arguments.output.mkdir(parents=True, exist_ok=True)
    record = arguments.output / "front.json"
    results: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    if "measure" in arguments.parts:
        torch.set_num_threads(1)
        for task in arguments.tasks:
            results[task] = measure(task, arguments)
            record.write_text(json.dumps(results, indent=1) + "\n")
    if "report" not in arguments.parts:
        return
    results = {task: results[task] for task in TASKS if task in results}
    for task, found in results.items():
        for one in found["points"]:
            one["trained"] |= trained(task, one["name"], arguments)
    record.write_text(json.dumps(results, indent=1) + "\n")
    others = arguments.output / OTHERS
    text = page(results, json.loads(others.read_text()) if others.exists() else None)
    (arguments.output / "front.md").write_text(text)
    draw(results, arguments.output / "front.svg")
    print(text)


if __name__ == "__main__":
    main()
