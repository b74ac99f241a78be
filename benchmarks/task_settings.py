"""What benchmarks/tasks.py runs: texts, tasks and their rows, ways to distil."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from tinybert_hf.training import FinetuneSettings

TEACHER = FinetuneSettings(epochs=3, learning_rate=1e-4)
FROM_NOTHING = FinetuneSettings(epochs=5, learning_rate=2e-4)
# More steps than the other tasks get: with few of them a teacher of answers stayed bad.
OF_ANSWERS = FinetuneSettings(epochs=3, learning_rate=1e-4, batch_size=16)
STUDENTS = ("4l-312d", "2l-192d")

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
        strict_metric: another one, 0 where nothing was learnt, for runs of which some learn nothing.
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
    strict_metric: str = ""


_PAIR = {"text_column": "sentence1", "text_pair_column": "sentence2", "max_length": 128}
_SENTENCE = {"text_column": "sentence", "max_length": 64}
TASKS = {
    "sst2": TaskRows(4000, "accuracy", _SENTENCE, intermediate_epochs=3),
    "cola": TaskRows(4000, "matthews_correlation", _SENTENCE, intermediate_epochs=3),
    "stsb": TaskRows(3000, "spearman", _PAIR),
    "mrpc": TaskRows(2500, "f1", _PAIR, strict_metric="matthews_correlation"),
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
WIDE = tuple(f"{task}-all" if f"{task}-all" in ALL_ROWS else task for task in TASKS)
ABLATED = ("cola", "stsb")
RATED = ("stsb-all", "mrpc-all", "sst2-all")


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
        rates: of the two phases, in place of the others, None as the recipe has them; in mixed precision.
        most_rows: of the task's rows.
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
    rates: tuple[float | None, float | None] | None = None
    most_rows: int | None = None
    epochs: tuple[float, float] | None = None
    learning_rate: float = 2e-4
    alone: bool = False


_FURTHER = ("copies", "long", "tuned", "tuned-slow", "tuned-copies", "wide", "wide-copies")
FURTHER = {f"{student}-{variant}": (student, variant) for student in STUDENTS for variant in _FURTHER}
WITHOUT = {"copies": "whole", "tuned-copies": "tuned", "wide-copies": "wide"}  # the same run with its own rows alone
# Of the two phases; found on STS-B, taken for every task.
TUNED_RATES = {"4l-312d": (1e-3, 3e-4), "2l-192d": (2e-3, 5e-4)}
RECIPE: dict[str, Any] = {"epochs": (2, 3), "most_rows": 4000}
# Without a general student, with the epochs of the recipe text-classification.
RATES = {
    f"rates-{name}": Variant(f"{first:g} and {second:g}", general=False, rates=(first, second), **RECIPE)
    for name, first, second in (("low", 4e-4, 1e-4), ("middle", 1e-3, 3e-4), ("high", 2e-3, 5e-4))
}
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
    "wide-copies": Variant(
        "this, and 10 copies of each row, 1 + 3 epochs", tuned=True, wide=True, copies=10, epochs=(1, 3)
    ),
    "tuned-no-general": Variant(
        "tuned rates alone: the start is the teacher, projected down", general=False, tuned=True
    ),
    "float32": Variant("the teacher's products in fp32, not in bfloat16", dtype="float32"),
}
# Without a general student too, at the recipe's own rates: epochs of the two phases, over few rows.
EPOCHS = {
    f"epochs-{first}-{second}-of-{rows}": Variant(
        f"{rows:,} rows, {first} and {second} epochs",
        general=False,
        rates=(None, None),
        most_rows=rows,
        epochs=(first, second),
    )
    for rows, first, second in ((1000, 2, 3), (1000, 6, 9), (1000, 12, 18), (4000, 2, 3), (4000, 6, 9))
}
EVERY_VARIANT = VARIANTS | RATES | EPOCHS
# Teachers at the usual learning rate: epochs over few rows.
FEW_ROWS = 1000
TEACHER_EPOCHS = (3, 10)
