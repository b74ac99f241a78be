"""What a tool's script says: a line of JSON for each kind of student. Needs numpy alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

KINDS = ("encoder", "classifier", "regression", "multi-label", "words", "answers", "translator")


def reference(work: Path, kind: str) -> list[dict[str, Any]]:
    """The rows of reference.json."""
    rows: list[dict[str, Any]] = json.loads((work / kind / "reference.json").read_text())["rows"]
    return rows


def compare(tool: str, work: Path, kind: str, answer: Callable[[dict[str, Any]], Any], how: str) -> None:
    """Ask a tool every text, and print how far it is from PyTorch.

    Args:
        tool: name and version.
        work: of `students.py`.
        kind: of the student.
        answer: what the tool says to a row: numbers of the shape in `said`, or a text.
        how: it was opened, a line of code.
    """
    rows = reference(work, kind)
    if kind == "translator":
        same = sum(answer(row).strip() == row["said"].strip() for row in rows)
        say(tool, kind, how=how, equal=f"{same} of {len(rows)} translations")
        return
    largest, same, count = 0.0, 0, 0
    for row in rows:
        found, right = np.atleast_2d(np.asarray(answer(row), dtype=np.float64)), np.asarray(row["said"])
        if found.shape != right.shape:
            say(tool, kind, how=how, refused=f"answers of shape {found.shape} in place of {right.shape}")
            return
        largest = max(largest, float(np.abs(found - right).max()))
        axis = 0 if kind == "answers" else -1
        same, count = same + int((found.argmax(axis) == right.argmax(axis)).sum()), count + right.argmax(axis).size
    labels = {} if kind in ("encoder", "regression", "multi-label") else {"equal": f"{same} of {count} labels"}
    say(tool, kind, how=how, difference=f"{largest:.1e}", **labels)


def of_arrays(kind: str, arrays: Any) -> Any:
    """What stands in reference.json, of the arrays that a graph gives for one row."""
    if kind == "encoder":
        return arrays[0][0, 0]
    return list(zip(arrays[0][0], arrays[1][0], strict=True)) if kind == "answers" else arrays[0][0]


def of_output(kind: str, output: Any) -> Any:
    """The same, of an output of transformers for one row."""
    if kind == "encoder":
        return output.last_hidden_state[0, 0].numpy()
    if kind == "answers":
        return np.stack([output.start_logits[0].numpy(), output.end_logits[0].numpy()], -1)
    return output.logits[0].numpy()


def refuse(tool: str, kind: str, reason: object) -> None:
    """The tool has no form for a kind, or cannot open it."""
    lines = str(reason).strip().splitlines() or [type(reason).__name__]
    say(tool, kind, refused=lines[-1][:200])


def say(tool: str, kind: str, **result: str) -> None:
    """A line of JSON."""
    print(json.dumps({"tool": tool, "kind": kind, **result}), flush=True)
