"""Rows of any length in a runtime that knows a few lengths only, here a made-up one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tinybert_hf.checkpoints.exported import RUNTIMES, LitertGraph, fitted, length_for, real_tokens
from tinybert_hf.errors import TinyBertError


class FakeRunner:
    """A signature of LiteRT: what it gives tells what it was given."""

    def __init__(self, length: int, outputs: tuple[str, ...], calls: list[int]) -> None:
        self.length, self.outputs, self.calls = length, outputs, calls

    def get_input_details(self) -> dict[str, Any]:
        return {name: {"shape": np.array([1, self.length])} for name in ("attention_mask", "input_ids")}

    def get_output_details(self) -> dict[str, Any]:
        return dict.fromkeys(self.outputs)

    def __call__(self, input_ids: Any, attention_mask: Any) -> dict[str, Any]:
        assert input_ids.shape == attention_mask.shape == (1, self.length)
        assert input_ids.dtype == attention_mask.dtype == np.int32
        self.calls.append(self.length)
        kept = (input_ids * attention_mask).astype(np.float32)
        every = {
            "logits": kept.sum(1, keepdims=True).repeat(32, axis=1),  # as many labels as the shortest has tokens
            "last_hidden_state": kept[..., None].repeat(3, axis=2),
            "start_logits": kept - 7,
            "end_logits": kept - 7,
        }
        return {name: every[name] for name in self.outputs}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A graph with lengths 32 and 64 over made-up signatures, and what was asked of them."""

    def make(*outputs: str) -> tuple[LitertGraph, list[int], dict[str, Any]]:
        calls: list[int] = []
        asked: dict[str, Any] = {}

        class FakeInterpreter:
            def __init__(self, **options: Any) -> None:
                asked.update(options)
                print("INFO: a greeting")

            def allocate_tensors(self) -> None: ...

            def get_signature_list(self) -> dict[str, Any]:
                return {"length_64": {}, "length_32": {}}

            def get_signature_runner(self, name: str) -> FakeRunner:
                return FakeRunner(int(name[-2:]), outputs, calls)

        module = SimpleNamespace(Interpreter=FakeInterpreter)
        monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", module)
        return LitertGraph(Path("model.tflite"), 3), calls, asked

    return make


def feed(lengths: list[int], width: int) -> dict[str, Any]:
    mask = np.array([[1] * length + [0] * (width - length) for length in lengths])
    return {"input_ids": np.arange(1, 1 + mask.size).reshape(mask.shape), "attention_mask": mask}


def test_each_row_runs_in_the_shortest_length_that_its_tokens_fit_in(opened: Any) -> None:
    graph, calls, asked = opened("logits")
    assert graph.lengths == [32, 64]
    assert asked == {"model_path": "model.tflite", "num_threads": 3}
    given = feed([3, 32, 33, 50], 50)
    logits = graph.run(given)["logits"]
    assert calls == [32, 32, 64, 64]
    assert logits.shape == (4, 32)  # labels are not cut to tokens
    assert logits[:, 0].tolist() == (given["input_ids"] * given["attention_mask"]).sum(1).tolist()


@pytest.mark.parametrize("width", [5, 32, 40, 64, 90])
def test_outputs_of_tokens_have_the_length_that_was_given(opened: Any, width: int) -> None:
    graph, _, _ = opened("last_hidden_state", "start_logits", "end_logits")
    given = feed([5, 2], width)
    found = graph.run(given)
    assert found["last_hidden_state"].shape == (2, width, 3)
    assert found["start_logits"].shape == found["end_logits"].shape == (2, width)
    real = given["attention_mask"].astype(bool)
    assert np.array_equal(found["last_hidden_state"][real][:, 0], given["input_ids"][real])
    assert np.array_equal(found["start_logits"][real], given["input_ids"][real] - 7)
    assert (found["start_logits"].argmax(1) < [5, 2]).all()  # below 0 at real tokens, and yet no answer in the padding


def test_padding_at_the_left_keeps_its_places(opened: Any) -> None:
    graph, calls, _ = opened("last_hidden_state")
    given = feed([40], 40)
    given["attention_mask"][0, :30] = 0
    assert graph.run(given)["last_hidden_state"][0, 30:, 0].tolist() == given["input_ids"][0, 30:].tolist()
    assert calls == [64]


def test_a_row_that_is_too_long_is_named(opened: Any) -> None:
    graph, calls, _ = opened("logits")
    graph.run(feed([64], 90))
    with pytest.raises(TinyBertError, match=r"has 65 tokens, .* reads 64 at most.*max_length=64"):
        graph.run(feed([3, 65], 90))
    assert calls == [64, 32]


def test_opening_prints_nothing(opened: Any, capfd: pytest.CaptureFixture[str]) -> None:
    opened("logits")
    assert capfd.readouterr() == ("", "")


def test_the_parts() -> None:
    assert real_tokens(np.array([1, 1, 0])) == 2
    assert real_tokens(np.array([0, 0])) == 1
    assert length_for(1, [8]) == 8
    assert fitted(np.array([1, 2, 3]), 2).tolist() == [1, 2]
    assert fitted(np.array([[1, 2]]), 2, 9).tolist() == [[1, 2], [9, 9]]


def test_it_has_a_name_and_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(TinyBertError, match=r'pip install "tinybert_hf\[tflite\]"'):
        RUNTIMES["litert"](Path("model.tflite"), None)
