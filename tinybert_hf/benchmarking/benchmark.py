"""Measures models side by side."""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from tinybert_hf.benchmarking.backends import choose_backends, exported_folder, megabytes_of, open_forward
from tinybert_hf.benchmarking.contestants import Contestant, find_contestant, short_names
from tinybert_hf.benchmarking.measuring import Measuring, Runner
from tinybert_hf.benchmarking.memory import MemoryProbe, can_measure_memory, memory_probe
from tinybert_hf.benchmarking.quality import check_comparable, main_metric_of, measure_quality
from tinybert_hf.benchmarking.report import BenchmarkReport, Entry, ModelFigures
from tinybert_hf.benchmarking.settings import BACKENDS, BenchmarkSettings
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.rounds import limited_threads
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    import torch

    from tinybert_hf.data import DataSettings

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
    contestants = _find(models)
    device = torch.device(settings.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    notes: list[str] = []
    entries = choose_backends(contestants, settings.backends, device, notes)
    baseline = _baseline(settings.baseline, entries, contestants)
    if validation is not None:
        check_comparable(contestants)
    with contextlib.ExitStack() as stack:
        stack.enter_context(limited_threads(settings.thread_count))
        work = Path(stack.enter_context(TemporaryDirectory(prefix="tinybert-benchmark-")))
        runners = _runners(entries, contestants, settings, device, work, (say, notes))
        if baseline not in [runner.entry for runner in runners]:
            raise TinyBertError(
                f"The baseline {baseline} cannot run, so there is nothing to compare with: {notes[-1]}"
            )
        figures = _figures(runners, baseline, validation, device, say)
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
        models=figures,
        measurements=measurements,
        notes=notes,
        threads=settings.thread_count,
        device=str(device),
        processor=_processor(),
        versions=_versions(),
    )


def _find(models: Sequence[str | Path]) -> dict[str, Contestant]:
    """Short name -> model."""
    givens = [str(model) for model in models]
    if not givens:
        raise TinyBertError("Give one model at least.")
    twice = sorted({given for given in givens if givens.count(given) > 1})
    if twice:
        raise TinyBertError(f"{twice[0]} is named twice. Each model is measured in every backend as it is.")
    return dict(zip(short_names(givens), map(find_contestant, givens), strict=True))


def _baseline(wanted: str | None, entries: Sequence[Entry], contestants: dict[str, Contestant]) -> Entry:
    if wanted is None:
        return entries[0]
    model, _, backend = wanted.rpartition("@") if wanted.rpartition("@")[2] in BACKENDS else (wanted, "", "")
    named = [one for one in entries if model in (one.model, contestants[one.model].given)]
    fitting = [one for one in named if backend in ("", one.backend)]
    if not fitting:
        known = ", ".join(map(str, entries))
        raise TinyBertError(f"The baseline {wanted!r} is none of the models that are measured: {known}.")
    return fitting[0]


def _runners(
    entries: Sequence[Entry],
    contestants: dict[str, Contestant],
    settings: BenchmarkSettings,
    device: torch.device,
    work: Path,
    told: tuple[Say, list[str]],
) -> list[Runner]:
    """What can run; what cannot be exported is left out and noted, unless its backend was asked for."""
    say, notes = told
    found = []
    for entry in entries:
        contestant = contestants[entry.model]
        try:
            folder = exported_folder(contestant, entry, work, say)
        except TinyBertError as error:
            if settings.backends:
                raise
            notes.append(f"{entry} was left out: {error}")
            continue
        threads = settings.thread_count
        opener = partial(open_forward, contestant, entry.backend, folder, threads=threads, device=device)
        found.append(Runner(entry, contestant, folder, opener))
    return found


def _figures(
    runners: Sequence[Runner], baseline: Entry, validation: DataSettings | None, device: torch.device, say: Say
) -> list[ModelFigures]:
    sizes = {runner.entry: megabytes_of(runner.contestant, runner.folder) for runner in runners}
    known: dict[tuple[str, str | None], dict[str, Any]] = {}
    found = []
    for runner in runners:
        contestant, metrics = runner.contestant, None
        if validation is not None and contestant.place is not None:
            # Compiled or not, the weights and what is computed are the same.
            key = (runner.entry.model, runner.folder)
            if key not in known:
                say(f"{runner.entry} on the validation rows")
                known[key] = measure_quality(contestant, runner.folder, validation, device)
            metrics = known[key]
        found.append(
            ModelFigures(
                model=runner.entry.model,
                backend=runner.entry.backend,
                given=contestant.given,
                random_weights=contestant.place is None,
                parameters=contestant.parameters,
                megabytes=sizes[runner.entry],
                smaller=sizes[baseline] / sizes[runner.entry],
                metrics=metrics,
                main_metric=None if metrics is None else main_metric_of(contestant),
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
