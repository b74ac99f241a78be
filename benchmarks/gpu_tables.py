"""The page of benchmarks/gpu.py, from its JSON; without torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pages import paragraph

TITLES = {
    "general": "General distillation",
    "lengths": "The length of the rows",
    "teacher": "A teacher in bfloat16",
    "inference": "Inference",
    "compiled": "torch_compile",
}
_Row = dict[str, Any]


def page(content: dict[str, Any], troubles: dict[str, list[str]]) -> str:
    """The page in Markdown.

    Args:
        content: of the JSON.
        troubles: of each part, what failed or was not measured.
    """
    machine = content["machine"]
    trial = "a trial of the script with tiny models, not a result: " if content["tiny"] else ""
    named = ("torch", "cuda", "transformers", "accelerate", "tinybert_hf", "python")
    versions = ", ".join(f"{name} {machine[name]}" for name in named if machine[name] is not None)
    lines = ["# On a GPU", ""]
    lines += paragraph(
        f"Written by `python benchmarks/gpu.py`, whose first lines say what is compared and how ({trial}"
        f"{machine['name']}, {versions}). Seconds are the median of the rounds. Memory is the largest peak of what "
        "tensors take in the timed steps, in 10^9 bytes. A share is that of the rate of matrix products in bf16, "
        "measured in the same run."
    )
    for name, title in TITLES.items():
        if name in content["parts"]:
            part = content["parts"][name]
            lines += ["", f"## {title}", "", *paragraph(_about(name, part)), "", *_TABLES[name](part["rows"])]
            lines += [line for one in troubles[name] for line in ("", *paragraph(_sentence(one)))]
    return "\n".join(lines) + "\n"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _about(name: str, part: dict[str, Any]) -> str:
    size, rate = part["matrix_size"], part["matrix_rate"] / 1e12
    said = {
        "general": "A step of a general distillation, rows x tokens. The last row has rows of unequal length, of "
        "which ours makes batches of like length.",
        "lengths": "The same step into the first student, over the length of the rows.",
        "teacher": "Our step with the teacher's weights in fp32 and in bfloat16; the products are in bf16 in both.",
        "inference": "A forward of each model, from the call until the device has finished.",
        "compiled": "Our step with `torch_compile` and without. The warm-up is that of the first run, so with "
        "compilation.",
    }[name]
    return f"{said} Products of {size:,} x {size:,} in bf16: {rate:,.2f} TFLOP/s."


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return ["Nothing was measured."]
    aligned = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(row) + " |" for row in (head, aligned, *rows)]


def _said(way: _Row | None, figure: Callable[[_Row], str]) -> str:
    """A figure of a way, or why there is none."""
    if way is None:
        return ""
    if "seconds" in way:
        return figure(way)
    return "out of memory" if "out_of_memory" in way else "failed"


def _milliseconds(way: _Row) -> str:
    return f"{1000 * way['seconds']:,.2f} ms"


def _tokens(way: _Row) -> str:
    return f"{way['tokens_per_second']:,.0f}"


def _memory(way: _Row) -> str:
    return "not measured" if way["peak_bytes"] is None else f"{way['peak_bytes'] / 1e9:,.2f} GB"


def _share(way: _Row) -> str:
    return f"{way['share_of_matrix_rate']:.1%}"


def _times(row: _Row, slow: str, quick: str) -> str:
    """How many times as fast one way is as the other; of the single rounds the least and the most."""
    one, two = (row["ways"].get(name, {}) for name in (slow, quick))
    if "seconds" not in one or "seconds" not in two:
        return ""
    each = [a / b for a, b in zip(one["rounds"], two["rounds"], strict=False)]
    return f"{one['seconds'] / two['seconds']:.2f}x ({min(each):.2f} to {max(each):.2f})"


def _beside(row: _Row, first: str, second: str, figure: Callable[[_Row], str]) -> Iterator[str]:
    """A figure of two ways."""
    for name in (first, second):
        yield _said(row["ways"].get(name), figure)


def _of_two(slow: str, quick: str, warm_up: bool = False) -> Callable[[list[_Row]], list[str]]:
    """The table of a part that has two ways: time, tokens, memory and share of both; on request the warm-up too."""

    def table(rows: list[_Row]) -> list[str]:
        head = ["student, rows x tokens"]
        figures = {"a step": _milliseconds, "tokens/s": _tokens, "memory": _memory, "share": _share}
        if warm_up:
            figures["warm-up"] = lambda way: f"{way['warm_seconds']:,.1f} s"
        head += [f"{figure}: {way}" for figure in figures for way in (slow, quick)]
        return _table(
            [*head, f"{quick} is faster"],
            [
                [
                    row["name"],
                    *(said for figure in figures.values() for said in _beside(row, slow, quick, figure)),
                    _times(row, slow, quick),
                ]
                for row in rows
            ],
        )

    return table


def _of_lengths(rows: list[_Row]) -> list[str]:
    lines = _of_two("plain", "ours")(rows)
    single = {row["name"]: row["ways"]["plain, 1 row"] for row in rows if "plain, 1 row" in row["ways"]}
    for name, way in single.items():
        said = _said(way, lambda one: f"{_milliseconds(one)}, {_tokens(one)} tokens/s, {_memory(one)}")
        lines += ["", *paragraph(f"{name}: plain has no room for it. One row of it, plain: {said}.")]
    return lines


def _of_inference(rows: list[_Row]) -> list[str]:
    models = list(rows[0]["ways"]) if rows else []
    head = ["rows x tokens, format", *(f"{one}: latency" for one in models), *(f"{one}: texts/s" for one in models)]
    head += [f"{one} is faster" for one in models if one != "teacher"]
    return _table(
        head,
        [
            [
                row["name"],
                *(_said(row["ways"][one], _milliseconds) for one in models),
                *(_said(row["ways"][one], lambda way: f"{way['texts_per_second']:,.0f}") for one in models),
                *(_times(row, "teacher", one) for one in models if one != "teacher"),
            ]
            for row in rows
        ],
    )


_TABLES: dict[str, Callable[[list[_Row]], list[str]]] = {
    "general": _of_two("plain", "ours"),
    "lengths": _of_lengths,
    "teacher": _of_two("fp32", "bf16"),
    "inference": _of_inference,
    "compiled": _of_two("eager", "compiled", warm_up=True),
}
