"""The sizes one after the other: memory first, in a process that may be lost, then the rounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from tinybert_hf.benchmarking.backends import OpenedModel
from tinybert_hf.benchmarking.contestants import Contestant
from tinybert_hf.benchmarking.memory import FullMemoryError, MemoryProbe, MemoryUse
from tinybert_hf.benchmarking.report import Entry, Measurement
from tinybert_hf.benchmarking.settings import COMPILED, EAGER, BenchmarkSettings
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.benchmark import forward_flops, warm_up
from tinybert_hf.evaluation.rounds import Forward, Times, is_full_memory, timed_rounds
from tinybert_hf.wording import counted

Size = tuple[int, int]


@dataclass
class Runner:
    """A model in a backend, opened when its first size comes.

    Attributes:
        entry: which.
        contestant: the model.
        folder: of the exported model; None for PyTorch.
        opener: opens it.
        full: sizes that the memory did not suffice for.
        broken: why it cannot be run at all.
    """

    entry: Entry
    contestant: Contestant
    folder: str | None
    opener: Callable[[], OpenedModel]
    full: set[Size] = field(default_factory=set)
    broken: str | None = None
    _opened: OpenedModel | None = None

    def forward(self, size: Size) -> Forward:
        """A forward that was run twice: what is compiled or reserved at the first calls is there."""
        if self._opened is None:
            self._opened = self.opener()
        return warm_up(self._opened(*size))

    def not_tried(self, size: Size) -> str | None:
        """Why this size need not be tried; None where it may be."""
        if self.broken is not None:
            return self.broken
        longest = self.contestant.longest
        if longest is not None and size[1] > longest:
            return f"the model reads {counted(longest, 'token')} at most"
        smaller = [one for one in self.full if one[0] <= size[0] and one[1] <= size[1]]
        if smaller:
            return f"no memory: it did not suffice for {smaller[0][0]} x {counted(smaller[0][1], 'token')}"
        return None


@dataclass
class Measuring:
    """What has been found so far.

    Attributes:
        runners: in the order of the report.
        baseline: what the ratios compare with.
        settings: what is measured.
        device: of PyTorch.
        probe: measures memory; None: nothing does.
        notes: what a reader should know.
    """

    runners: list[Runner]
    baseline: Entry
    settings: BenchmarkSettings
    device: str
    probe: MemoryProbe | None
    notes: list[str]

    def measure(self, size: Size) -> list[Measurement]:
        """All of one size."""
        found = {runner.entry: self._blank(runner, size) for runner in self.runners}
        forwards: dict[str, Forward] = {}
        for runner in self.runners:
            reason, memory = self._tried(runner, size)
            found[runner.entry] = replace(found[runner.entry], skipped=reason, memory=memory)
            if reason is None:
                made = self._warmed_up(runner, size)
                if isinstance(made, str):
                    found[runner.entry] = replace(found[runner.entry], skipped=made)
                else:
                    forwards[str(runner.entry)] = made
        times, failed = timed_rounds(forwards, seconds=self.settings.seconds, rounds=self.settings.rounds)
        return [self._finished(one, times, failed) for one in found.values()]

    def _blank(self, runner: Runner, size: Size) -> Measurement:
        longest = runner.contestant.longest
        countable = longest is None or size[1] <= longest
        flops = forward_flops(runner.contestant.skeleton, *size) if countable else None
        return Measurement(runner.entry.model, runner.entry.backend, *size, flops)

    def _tried(self, runner: Runner, size: Size) -> tuple[str | None, MemoryUse | None]:
        """Why the size is skipped, or the memory that it takes."""
        reason = runner.not_tried(size) or self._as_eager(runner, size)
        # The compiler itself takes more than a forward does, so that of the compiled model would not be seen.
        if reason is not None or self.probe is None or runner.entry.backend == COMPILED:
            return reason, None
        job = {
            "given": runner.contestant.given,
            "backend": runner.entry.backend,
            "folder": runner.folder,
            "batch_size": size[0],
            "length": size[1],
            "threads": self.settings.thread_count,
            "device": self.device,
        }
        try:
            return None, self.probe.measure(job)
        except FullMemoryError as error:
            runner.full.add(size)
            return str(error), None
        except TinyBertError as error:
            self._note(f"{runner.entry}: {error}")
            return None, None

    def _as_eager(self, runner: Runner, size: Size) -> str | None:
        """What was found out about the memory of a compiled model without compiling it."""
        if runner.entry.backend != COMPILED:
            return None
        others = (one for one in self.runners if one.entry == Entry(runner.entry.model, EAGER))
        return next((one.not_tried(size) for one in others), None)

    def _warmed_up(self, runner: Runner, size: Size) -> Forward | str:
        """The forward, or why the size is skipped."""
        try:
            return runner.forward(size)
        except TinyBertError:
            raise
        except Exception as error:
            if is_full_memory(error):
                runner.full.add(size)
                return f"no memory: {type(error).__name__}"
            if runner.entry.backend != COMPILED:
                raise
            reason = f"torch.compile failed ({type(error).__name__}: {str(error).strip().splitlines()[0]:.200})"
            if self.settings.backends:
                raise TinyBertError(
                    f"{runner.entry}: {reason}. It needs a C++ compiler; leave `compiled` out of --backends."
                ) from error
            runner.broken = reason
            return reason

    def _finished(self, one: Measurement, times: Mapping[str, Times], failed: Mapping[str, str]) -> Measurement:
        entry = Entry(one.model, one.backend)
        if str(entry) in failed:
            one = replace(one, skipped=failed[str(entry)])
        if one.skipped is not None:
            self._note(
                f"{entry}, batch {one.batch_size} x {counted(one.length, 'token')}, was skipped: {one.skipped}."
            )
            return one
        own, baseline = times[str(entry)], times.get(str(self.baseline))
        return replace(one, **one.timed(own, baseline, with_cpu=self.settings.thread_count == 1))

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
