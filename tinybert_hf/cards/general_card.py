"""What the card of a general student says: what it is, what it read, and how to go on with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tinybert_hf.cards.markup import argument, escaped, table
from tinybert_hf.cards.parts import last_part, latency_in_words, named
from tinybert_hf.wording import counted


def general_body(run: Mapping[str, Any], name: str) -> Iterator[str]:
    """The sections between loading and limits.

    Args:
        run: content of run.json.
        name: id on the Hub, or the folder.
    """
    recipe, corpus = run["recipe"], run["corpus"]
    text = recipe["corpus"]
    yield ""
    yield "## What it is for"
    yield ""
    yield (
        "A general student: it has read plain text beside its teacher and knows no task. It is a base model and not a "
        "classifier. Its projections lie beside it, so that a task distillation goes on where this one ended:"
    )
    yield ""
    yield "```bash"
    yield f"tinybert distill sst2 --student {argument(name)} --teacher MODEL_FINE_TUNED_ON_THE_TASK"
    yield "```"
    yield ""
    yield "## What it has learned"
    yield ""
    yield f"Losses on {counted(corpus['validation_tokens'], 'held-out token')}, between student and teacher:"
    yield ""
    rows = []
    figures = run["metrics"]["student"]
    for loss, value in figures.items():
        if loss.endswith("_loss"):
            before = figures["before"].get(loss)
            title = "masked-LM" if loss == "label_loss" else loss.removesuffix("_loss").replace("_", " ")
            rows.append([title, "" if before is None else f"{before:.4g}", f"{value:.4g}"])
    yield from table(["loss", "before", "after"], rows)
    yield ""
    costs = ((title, run["costs"][who]) for who, title in (("teacher", "teacher"), ("student", "this model")))
    rows = [
        [title, f"{one['parameters'] / 1e6:.1f} M", f"{one['megabytes']:.1f}", f"{one['latency_ms']:.1f} ms"]
        for title, one in costs
    ]
    where = run["device"].replace("cpu", "CPU")
    yield from table(["model", "parameters", "MB", f"latency ({where})"], rows)
    said = latency_in_words(run["costs"], run["device"])
    if said is not None:
        yield ""
        yield said
    yield ""
    yield "## How it was made"
    yield ""
    source = text["dataset"] or ", ".join(dict.fromkeys(last_part(file) for file in text["files"]))
    masked = f", {text['masked_share']:.0%} of the tokens masked" if text["masked_share"] else ""
    yield (
        f"Text: {escaped(source)}; {counted(corpus['train_tokens'], 'token')} in "
        f"{counted(corpus['train_blocks'], 'block')} of up to {counted(text['block_length'], 'token')}{masked}. "
        f"{_start(recipe['student'])}"
    )
    yield ""
    rows = [
        [
            phase["name"],
            f"{phase['epochs']:g}",
            str(phase["batch_size"] * phase["gradient_accumulation_steps"]),
            f"{phase['learning_rate']:g}",
            str(phase["layer_map"]),
        ]
        for phase in recipe["phases"]
    ]
    yield from table(["phase", "epochs", "batch", "learning rate", "layer map"], rows, names=5)


def _start(student: Mapping[str, Any]) -> str:
    if student["model"] is not None:
        return f"It began as {named(student['model'])}."
    return "It began at random." if student["start"] == "random" else "It began as its teacher, projected down."
