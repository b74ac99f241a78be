"""Sizes that are skipped, and why; what the others then do."""

from __future__ import annotations

from typing import Any

import pytest
from made_up_benchmark import counting

from tinybert_hf.benchmark.benchmark import Measuring, Runner
from tinybert_hf.benchmark.memory import FullMemoryError, MemoryUse
from tinybert_hf.benchmark.models import BenchmarkModel
from tinybert_hf.benchmark.report import Entry
from tinybert_hf.benchmark.settings import BenchmarkSettings
from tinybert_hf.checkpoints import Checkpoint
from tinybert_hf.errors import TinyBertError

FULL = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
SIZES = [(1, 16), (1, 32), (8, 16), (8, 32), (1, 65)]


class Probe:
    """Says what a test wants to hear."""

    def __init__(self, full_at: tuple[int, int]) -> None:
        """A process that is lost at this size."""
        self.full_at = full_at
        self.jobs: list[tuple[str, int, int]] = []

    def measure(self, job: dict[str, Any]) -> MemoryUse:
        size = (job["batch_size"], job["length"])
        self.jobs.append((job["backend"], *size))
        if size == self.full_at:
            raise FullMemoryError("no memory: the system ended the process that tried it")
        return MemoryUse(4.0, 1.0)


@pytest.fixture
def model(tiny_config: Any) -> BenchmarkModel:
    return BenchmarkModel("tiny", Checkpoint("", tiny_config()), "AutoModelForSequenceClassification")


def measuring(runners: list[Runner], probe: Any = None, **settings: Any) -> Measuring:
    options = BenchmarkSettings(**{"rounds": 1, "threads": 1, **settings})
    return Measuring(runners, runners[0].entry, options, "cpu", probe, [])


def runner(measured: BenchmarkModel, calls: list[Any], fails_at: Any = lambda *size: None, **entry: str) -> Runner:
    named = Entry(**{"model": "tiny", "backend": "eager", **entry})
    return Runner(named, measured, None, counting(calls, fails_at))


def test_a_length_over_the_models_own(model: BenchmarkModel) -> None:
    calls: list[Any] = []
    task = measuring([runner(model, calls)])
    (found,) = task.measure((1, 65))
    assert found.skipped == "the model reads 64 tokens at most"
    assert found.wall is None
    assert calls == []
    assert task.notes == ["tiny@eager, batch 1 x 65 tokens, was skipped: the model reads 64 tokens at most."]
    (found,) = task.measure((1, 64))
    assert found.skipped is None
    assert found.flops == 2 * 64 * 2 * (4 * 32**2 + 2 * 32 * 48) + 2 * 4 * 64**2 * 32 + 2 * 32**2 + 2 * 2 * 32


def test_a_size_without_memory_is_skipped_with_the_larger_ones(model: BenchmarkModel) -> None:
    hungry, modest = [], []  # type: ignore[var-annotated]
    runners = [
        runner(model, modest),
        runner(model, hungry, lambda *size: FULL if size == (8, 16) else None, model="hungry"),
    ]
    task = measuring(runners)
    found = [task.measure(size)[1].skipped for size in SIZES]
    assert found == [
        None,
        None,
        "no memory: RuntimeError",
        "no memory: it did not suffice for 8 x 16 tokens",
        "the model reads 64 tokens at most",
    ]
    assert set(hungry) == {(1, 16), (1, 32), (8, 16)}
    assert set(modest) == {(1, 16), (1, 32), (8, 16), (8, 32)}


def test_a_process_that_is_lost_saves_this_one_from_trying(model: BenchmarkModel) -> None:
    eager, compiled = [], []  # type: ignore[var-annotated]
    probe = Probe(full_at=(8, 16))
    task = measuring([runner(model, eager), runner(model, compiled, backend="compiled")], probe)
    found = [task.measure(size) for size in SIZES]
    assert (8, 16) not in eager + compiled
    assert found[0][0].memory == MemoryUse(4.0, 1.0)
    assert found[0][1].memory is None  # the compiler's own would hide it
    assert found[2][0].skipped == "no memory: the system ended the process that tried it"
    assert found[2][1].skipped == "no memory: it did not suffice for 8 x 16 tokens"
    assert probe.jobs == [("eager", 1, 16), ("eager", 1, 32), ("eager", 8, 16)]


def test_memory_that_cannot_be_measured_stops_nothing(model: BenchmarkModel) -> None:
    class Gone:
        def measure(self, job: Any) -> MemoryUse:
            raise TinyBertError("The process that measures memory has ended.")

    task = measuring([runner(model, [])], Gone())
    found = [task.measure(size)[0] for size in SIZES[:2]]
    assert [one.wall is not None for one in found] == [True, True]
    assert task.notes == ["tiny@eager: The process that measures memory has ended."]


def test_what_cannot_be_compiled_is_left_out_or_refused(model: BenchmarkModel) -> None:
    def no_compiler(*size: int) -> Exception:
        return RuntimeError("Failed to find C++ compiler\nand a long trace")

    calls: list[Any] = []
    runners = [runner(model, []), runner(model, calls, no_compiler, backend="compiled")]
    task = measuring(runners)
    found = [task.measure(size)[1].skipped for size in SIZES[:2]]
    assert found == ["torch.compile failed (RuntimeError: Failed to find C++ compiler)"] * 2
    assert len(calls) == 1  # not tried again
    runners[1].broken = None
    with pytest.raises(TinyBertError, match=r"tiny@compiled: torch\.compile failed .* leave `compiled` out"):
        measuring(runners, backends=("eager", "compiled")).measure((1, 16))


def test_other_errors_are_not_hidden(model: BenchmarkModel) -> None:
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        measuring([runner(model, [], lambda *size: RuntimeError("shapes do not fit"))]).measure((1, 16))


def test_without_the_baseline_there_are_times_and_no_ratio(model: BenchmarkModel) -> None:
    runners = [runner(model, [], lambda *size: FULL), runner(model, [], model="other")]
    first, other = measuring(runners).measure((1, 16))
    assert first.wall is None
    assert other.wall is not None
    assert other.wall.faster is None
    assert other.cpu is not None
    assert measuring(runners, threads=2).measure((1, 16))[1].cpu is None
