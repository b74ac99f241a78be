"""A graph in LiteRT (TensorFlow Lite), which runs one row of a few fixed lengths, here with rows of any length."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.extras import require
from tinybert_hf.opening.held_output import held_output

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ENDS = ("start_logits", "end_logits")


class LitertGraph:
    """A graph in LiteRT, with a signature for each length; its attributes are those of `OnnxGraph`, and one more.

    Attributes:
        lengths: of the signatures, in tokens, the shortest first.
    """

    def __init__(self, file: Path, threads: int | None) -> None:
        """Read it, and lay out its memory."""
        with held_output():  # XNNPACK greets
            runtime = require("ai_edge_litert.interpreter", "tflite")
            interpreter = runtime.Interpreter(model_path=str(file), num_threads=threads)
            interpreter.allocate_tensors()
        runners = [interpreter.get_signature_runner(name) for name in interpreter.get_signature_list()]
        self._runners = {int(one.get_input_details()["input_ids"]["shape"][1]): one for one in runners}
        self._lock = Lock()
        self.lengths = sorted(self._runners)
        self.inputs = list(runners[0].get_input_details())
        self.outputs = list(runners[0].get_output_details())
        self.shapes = {name: ["batch", "length"] for name in self.inputs}

    def run(self, feed: dict[str, Any]) -> dict[str, Any]:
        """Arrays in, arrays out, by name.

        Raises:
            TinyBertError: a row is longer than the longest signature.
        """
        count = len(feed["input_ids"])
        rows = [self._run({name: values[row] for name, values in feed.items()}) for row in range(count)]
        return {name: np.stack([row[name] for row in rows]) for name in self.outputs}

    def _run(self, row: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        given = len(row["input_ids"])
        length = length_for(real_tokens(row["attention_mask"]), self.lengths)
        fed = {name: fitted(values, length)[None].astype(np.int32) for name, values in row.items()}
        with self._lock:  # an interpreter keeps its inputs and outputs
            found = self._runners[length](**fed)
        return {
            name: _fitted_output(name, found[name][0], given) if _is_of_tokens(name, found[name]) else found[name][0]
            for name in self.outputs
        }


def real_tokens(mask: NDArray[Any]) -> int:
    """How many tokens of a row (L,) must be seen: up to its last real one, since places count from the left."""
    places = np.flatnonzero(mask)
    return int(places[-1]) + 1 if len(places) else 1


def length_for(tokens: int, lengths: Sequence[int]) -> int:
    """The shortest length that a row fits in.

    Args:
        tokens: of the row.
        lengths: that there are, the shortest first.

    Raises:
        TinyBertError: none.
    """
    for length in lengths:
        if tokens <= length:
            return length
    raise TinyBertError(
        f"A row has {tokens} tokens, and this model in TensorFlow Lite reads {lengths[-1]} at most. Cut it: "
        f"tokenizer(..., truncation=True, max_length={lengths[-1]})."
    )


def fitted(values: NDArray[Any], length: int, fill: float = 0) -> NDArray[Any]:
    """Cut (L, ...) or fill it up to a length."""
    kept = values[:length]
    if len(kept) == length:
        return kept
    rest = np.full((length - len(kept), *values.shape[1:]), fill, values.dtype)
    return np.concatenate([kept, rest])


def _is_of_tokens(name: str, output: NDArray[Any]) -> bool:
    """Whether an output has a value for each token; (1, 32) may be as many labels."""
    return name in _ENDS or output.ndim == 3


def _fitted_output(name: str, output: NDArray[Any], length: int) -> NDArray[Any]:
    """At padding that no signature ran an answer must not begin or end."""
    return fitted(output, length, float(output.min()) if name in _ENDS else 0)
