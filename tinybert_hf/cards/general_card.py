"""What the card of a general student says: what it is, what it read, and how to go on with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tinybert_hf.cards.parts import last_part
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
    yield f"tinybert distill sst2 --student {name} --teacher MODEL_FINE_TUNED_ON_THE_TASK"
    yield "```"
    yield ""
    yield "## What it has learned"
    yield ""
    yield f"Losses on {corpus['validation_tokens']:,} held-out tokens, between student and teacher:"
    yield ""
    yield "| loss | before | after |"
    yield "| --- | ---: | ---: |"
    figures = run["metrics"]["student"]
    for loss, value in figures.items():
        if loss.endswith("_loss"):
            before = figures["before"].get(loss)
            title = "masked-LM" if loss == "label_loss" else loss.removesuffix("_loss").replace("_", " ")
            yield f"| {title} | {'' if before is None else f'{before:.4g}'} | {value:.4g} |"
    yield ""
    yield "| model | parameters | MB | latency |"
    yield "| --- | ---: | ---: | ---: |"
    for who, title in (("teacher", "teacher"), ("student", "this model")):
        cost = run["costs"][who]
        yield (
            f"| {title} | {cost['parameters'] / 1e6:.1f} M | {cost['megabytes']:.1f} | {cost['latency_ms']:.1f} ms "
            f"({run['device'].replace('cpu', 'CPU')}) |"
        )
    yield ""
    yield "## How it was made"
    yield ""
    source = text["dataset"] or ", ".join(dict.fromkeys(last_part(file) for file in text["files"]))
    masked = f", {text['masked_share']:.0%} of the tokens masked" if text["masked_share"] else ""
    yield (
        f"Text: {source}; {corpus['train_tokens']:,} tokens in {counted(corpus['train_blocks'], 'block')} of up to "
        f"{text['block_length']} tokens{masked}. {_start(recipe['student'])}"
    )
    yield ""
    yield "| phase | epochs | batch | learning rate | layer map |"
    yield "| --- | --- | --- | --- | --- |"
    for phase in recipe["phases"]:
        batch = phase["batch_size"] * phase["gradient_accumulation_steps"]
        yield (
            f"| {phase['name']} | {phase['epochs']:g} | {batch} | {phase['learning_rate']:g} | {phase['layer_map']} |"
        )


def _start(student: Mapping[str, Any]) -> str:
    if student["model"] is not None:
        return f"It began as {last_part(student['model'])}."
    return "It began at random." if student["start"] == "random" else "It began as its teacher, projected down."
