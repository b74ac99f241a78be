"""Measures models side by side: how good they are on the same rows, memory first, then the rounds."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tinybert_hf.benchmark.memory import FullMemoryError, MemoryProbe, MemoryUse, can_measure_memory, memory_probe
from tinybert_hf.benchmark.models import (
    BenchmarkModel,
    OpenedModel,
    choose_backends,
    exported_folder,
    find_model,
    megabytes_of,
    open_forward,
    short_names,
)
from tinybert_hf.benchmark.report import BenchmarkReport, Entry, Measurement, ModelMetrics
from tinybert_hf.benchmark.settings import BACKENDS, COMPILED, EAGER, BenchmarkSettings
from tinybert_hf.checkpoints import Checkpoint
from tinybert_hf.data.label_values import are_generic
from tinybert_hf.data.settings import REGRESSION, SINGLE_LABEL
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.cost import (
    Forward,
    Times,
    forward_flops,
    is_full_memory,
    limited_threads,
    timed_rounds,
    warm_up,
)
from tinybert_hf.evaluation.metrics import main_metric
from tinybert_hf.messages import counted
from tinybert_hf.tasks import TASKS, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    import torch

    from tinybert_hf.data import DataSettings


# How good the models are, on the same rows.


def check_comparable(models: Mapping[str, BenchmarkModel]) -> None:
    """Refuses models that do not answer the same question: their metrics would say nothing about each other.

    Shapes without weights answer nothing, and pass.

    Raises:
        TinyBertError: a model has no head, or tasks or labels differ.
    """
    trained = {name: one for name, one in models.items() if one.place is not None}
    for name, one in trained.items():
        if one.task is None:
            raise TinyBertError(
                f"{name} has no head for a task, so nothing can be measured on rows. Leave --validation-file out to "
                "measure size and speed alone, or fine-tune it first (`tinybert finetune`)."
            )
    if not trained:
        raise TinyBertError("Only shapes without weights were named, so nothing can be measured on rows.")
    first_name, first = next(iter(trained.items()))
    for name, one in trained.items():
        if one.task != first.task:
            raise _different("tasks", name, str(one.task), first_name, str(first.task))
        own, other = label_names(one), label_names(first)
        if len(own) != len(other) or (own != other and not (are_generic(own) or are_generic(other))):
            raise _different("labels", name, ", ".join(own), first_name, ", ".join(other))


def label_names(model: BenchmarkModel) -> list[str]:
    """In alphabetical order and without case, as labels are matched; none of a model that answers questions."""
    if not (model.task and TASKS[model.task].named_labels):
        return []
    return sorted(str(name).casefold() for name in model.config.id2label.values())


def main_metric_of(model: BenchmarkModel) -> str:
    """The metric that decides between two models for its task."""
    config = model.config
    if model.task != TEXT_CLASSIFICATION:
        return main_metric(str(model.task), list(config.id2label.values()))
    return main_metric(config.problem_type or (REGRESSION if config.num_labels == 1 else SINGLE_LABEL))


def measure_quality(
    model: BenchmarkModel, backend: str, folder: str | None, validation: DataSettings, device: torch.device
) -> dict[str, Any]:
    """The metrics of `tinybert evaluate`.

    Args:
        model: with weights and a head.
        backend: of an exported model its format.
        folder: of the exported model; None: it is measured in PyTorch.
        validation: where the rows are.
        device: of PyTorch.
    """
    from tinybert_hf.evaluation import evaluate_any_checkpoint

    device_name = "cpu" if folder else str(device)
    checkpoint = Checkpoint.read(folder, format=backend) if folder else model.checkpoint
    metrics = evaluate_any_checkpoint(checkpoint, validation, device=device_name)
    return {name: value for name, value in metrics.items() if name != "notes"}


def _different(what: str, name: str, own: str, first_name: str, other: str) -> TinyBertError:
    return TinyBertError(
        f"{name} and {first_name} cannot be measured on the same rows, since their {what} differ: {own:.200} of "
        f"{name}, {other:.200} of {first_name}. Leave --validation-file out to measure size and speed alone."
    )


# The sizes one after the other: memory first, in a process that may be lost, then the rounds.

Size = tuple[int, int]


@dataclass
class Runner:
    """A model in a backend, opened when its first size comes.

    Attributes:
        entry: which.
        model: the model.
        folder: of the exported model; None for PyTorch.
        opener: opens it.
        full: sizes that the memory did not suffice for.
        broken: why it cannot be run at all.
    """

    entry: Entry
    model: BenchmarkModel
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
        longest = self.model.longest
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
        longest = runner.model.longest
        countable = longest is None or size[1] <= longest
        flops = forward_flops(runner.model.skeleton, *size) if countable else None
        return Measurement(runner.entry.model, runner.entry.backend, *size, flops)

    def _tried(self, runner: Runner, size: Size) -> tuple[str | None, MemoryUse | None]:
        """Why the size is skipped, or the memory that it takes."""
        reason = runner.not_tried(size) or self._as_eager(runner, size)
        # The compiler itself takes more than a forward does, so that of the compiled model would not be seen.
        if reason is not None or self.probe is None or runner.entry.backend == COMPILED:
            return reason, None
        job = {
            "given": runner.model.given,
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


# Measures models side by side.

Say = Callable[[str], None]
# One for each model and kind of batch; torch.compile gives up silently beyond this number.
_COMPILATIONS = 256


def benchmark_models(
    models: Sequence[str | Path],
    settings: BenchmarkSettings | None = None,
    *,
    validation: DataSettings | None = None,
    say: Say | None = None,
) -> BenchmarkReport:
    """Measures size and speed of models against each other, and how good they are.

    Inputs are random tokens without padding, the same for all models whose vocabularies are as large. For each size
    every model in every backend is run twice, and then in rounds in which each has its turn (see `timed_rounds`).

    Args:
        models: folders, Hub ids, exported folders, RUN/teacher, or shapes without weights such as "bert-base".
        settings: what is measured.
        validation: rows, on which all models that have weights are measured too.
        say: is told what is being done.

    Returns:
        All figures. A size that a model cannot read, or for which the memory does not suffice, is skipped and noted.

    Raises:
        TinyBertError: a model cannot be opened or is a translator, a backend that was asked for cannot run, the
            baseline is no model of these, or, with rows, the models' tasks or labels differ.
    """
    import torch

    settings, say = settings or BenchmarkSettings(), say or _silent
    found = _find(models)
    device = torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    notes: list[str] = []
    entries = choose_backends(found, settings.backends, device, notes)
    baseline = _baseline(settings.baseline, entries, found)
    if validation is not None:
        check_comparable(found)
    with contextlib.ExitStack() as stack:
        stack.enter_context(limited_threads(settings.thread_count))
        work = Path(stack.enter_context(TemporaryDirectory(prefix="tinybert-benchmark-")))
        runners = _runners(entries, found, settings, device, work, (say, notes))
        if baseline not in [runner.entry for runner in runners]:
            raise TinyBertError(
                f"The baseline {baseline} cannot run, so there is nothing to compare with: {notes[-1]}"
            )
        measured = _metrics_of_all(runners, baseline, validation, device, say)
        probe = _open_probe(stack, settings, notes)
        stack.enter_context(torch.inference_mode())
        stack.enter_context(torch._dynamo.config.patch(recompile_limit=_COMPILATIONS))
        measuring = Measuring(runners, baseline, settings, str(device), probe, notes)
        measurements = []
        for number, (batch_size, length) in enumerate(settings.sizes, start=1):
            say(f"batch {batch_size} x {counted(length, 'token')} ({number} of {len(settings.sizes)})")
            measurements += measuring.measure((batch_size, length))
    return BenchmarkReport(
        baseline=baseline,
        models=measured,
        measurements=measurements,
        notes=notes,
        threads=settings.thread_count,
        device=str(device),
        processor=_processor(),
        versions=_versions(),
    )


def _find(models: Sequence[str | Path]) -> dict[str, BenchmarkModel]:
    """Short name -> model."""
    givens = [str(model) for model in models]
    if not givens:
        raise TinyBertError("Give one model at least.")
    twice = sorted({given for given in givens if givens.count(given) > 1})
    if twice:
        raise TinyBertError(f"{twice[0]} is named twice. Each model is measured in every backend as it is.")
    return dict(zip(short_names(givens), map(find_model, givens), strict=True))


def _baseline(wanted: str | None, entries: Sequence[Entry], models: dict[str, BenchmarkModel]) -> Entry:
    if wanted is None:
        return entries[0]
    model, _, backend = wanted.rpartition("@") if wanted.rpartition("@")[2] in BACKENDS else (wanted, "", "")
    named = [one for one in entries if model in (one.model, models[one.model].given)]
    fitting = [one for one in named if backend in ("", one.backend)]
    if not fitting:
        known = ", ".join(map(str, entries))
        raise TinyBertError(f"The baseline {wanted!r} is none of the models that are measured: {known}.")
    return fitting[0]


def _runners(
    entries: Sequence[Entry],
    models: dict[str, BenchmarkModel],
    settings: BenchmarkSettings,
    device: torch.device,
    work: Path,
    told: tuple[Say, list[str]],
) -> list[Runner]:
    """What can run; what cannot be exported is left out and noted, unless its backend was asked for."""
    say, notes = told
    found = []
    for entry in entries:
        model = models[entry.model]
        try:
            folder = exported_folder(model, entry, work, say)
        except TinyBertError as error:
            if settings.backends:
                raise
            notes.append(f"{entry} was left out: {error}")
            continue
        threads = settings.thread_count
        opener = partial(open_forward, model, entry.backend, folder, threads=threads, device=device)
        found.append(Runner(entry, model, folder, opener))
    return found


def _metrics_of_all(
    runners: Sequence[Runner], baseline: Entry, validation: DataSettings | None, device: torch.device, say: Say
) -> list[ModelMetrics]:
    sizes = {runner.entry: megabytes_of(runner.model, runner.entry.backend, runner.folder) for runner in runners}
    known: dict[tuple[str, str | None], dict[str, Any]] = {}
    found = []
    for runner in runners:
        model, metrics = runner.model, None
        if validation is not None and model.place is not None:
            # Compiled or not, the weights and what is computed are the same.
            key = (runner.entry.model, runner.folder and runner.entry.backend)
            if key not in known:
                say(f"{runner.entry} on the validation rows")
                known[key] = measure_quality(model, runner.entry.backend, runner.folder, validation, device)
            metrics = known[key]
        found.append(
            ModelMetrics(
                model=runner.entry.model,
                backend=runner.entry.backend,
                given=model.given,
                random_weights=model.place is None,
                parameters=model.parameters,
                megabytes=sizes[runner.entry],
                smaller=sizes[baseline] / sizes[runner.entry],
                metrics=metrics,
                main_metric=None if metrics is None else main_metric_of(model),
            )
        )
    return found


def _open_probe(stack: contextlib.ExitStack, settings: BenchmarkSettings, notes: list[str]) -> MemoryProbe | None:
    if not settings.memory:
        return None
    if not can_measure_memory():
        notes.append("Peak memory was not measured: only Linux tells it.")
        return None
    return stack.enter_context(memory_probe())


def _processor() -> str:
    """What the machine calls its processor."""
    file = Path("/proc/cpuinfo")
    if file.is_file():
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    from tinybert_hf.recipes.report import versions

    return dict(versions())


def _silent(text: str) -> Any:
    return None
