"""Which model runs in which backend, and a model opened there as something that runs a forward of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.benchmarking.contestants import Contestant
from tinybert_hf.benchmarking.report import Entry
from tinybert_hf.benchmarking.settings import BACKENDS, COMPILED, EAGER
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.rounds import Forward

if TYPE_CHECKING:
    import torch

_PYTORCH = (EAGER, COMPILED)
_WITHOUT_WEIGHTS = (".json", ".txt", ".md", ".py")

# Batch size and length -> the forward.
OpenedModel = Callable[[int, int], Forward]


def choose_backends(
    contestants: Mapping[str, Contestant], wanted: Sequence[str], device: torch.device, notes: list[str]
) -> list[Entry]:
    """Which model is measured in which backend. An exported folder has one only, its own.

    Args:
        contestants: by short name.
        wanted: names in `BACKENDS`; empty: all that can run here.
        device: of PyTorch.
        notes: is told what cannot run.

    Raises:
        TinyBertError: the library of a backend that was asked for is missing.
    """
    chosen = []
    for name in dict.fromkeys(wanted or BACKENDS):
        reason = _missing(name)
        if reason is not None and wanted:
            raise TinyBertError(f"The backend {name} cannot run: {reason}")
        if reason is None and name not in _PYTORCH and device.type != "cpu":
            reason = f"it runs on the CPU, PyTorch on {device.type}. Compare on the CPU with --cpu."
            if wanted:
                notes.append(f"{name}: {reason}")
                reason = None
        if reason is None:
            chosen.append(name)
        else:
            notes.append(f"The backend {name} was left out: {reason}")
    return [
        Entry(name, backend)
        for name, one in contestants.items()
        for backend in ([one.exported] if one.exported else chosen)
    ]


def exported_folder(contestant: Contestant, entry: Entry, work: Path, say: Callable[[str], None]) -> str | None:
    """The folder that a backend opens, made in `work` where it is not there yet; None where PyTorch opens the model.

    Raises:
        TinyBertError: the model cannot be exported.
    """
    if contestant.exported:
        return contestant.place
    if entry.backend in _PYTORCH:
        return None
    from tinybert_hf.export import export_model

    say(f"{entry}: exporting")
    source = contestant.place or contestant.save(work / "shapes" / entry.model)
    target = work / entry.backend / entry.model.replace("/", "--")
    export_model(source, target, entry.backend)
    return str(target)


def megabytes_of(contestant: Contestant, folder: str | None) -> float:
    """Size of the files that hold the weights, 10^6 bytes."""
    if folder is None:
        return contestant.megabytes()
    files = [file for file in Path(folder).iterdir() if file.is_file() and file.suffix not in _WITHOUT_WEIGHTS]
    return sum(file.stat().st_size for file in files) / 1e6


def open_forward(
    contestant: Contestant, backend: str, folder: str | None, *, threads: int, device: torch.device
) -> OpenedModel:
    """Opens a model.

    Args:
        contestant: the model.
        backend: a name in `BACKENDS`.
        folder: of the exported model; None for PyTorch.
        threads: of the CPU.
        device: of PyTorch.

    Returns:
        What makes a forward of a size: its inputs exist before it is called, and the device is done when it returns.
    """
    from tinybert_hf.evaluation.benchmark import random_inputs, timed_forward

    call, place = _callable(contestant, backend, folder, threads, device)

    def of_size(batch_size: int, length: int) -> Forward:
        return timed_forward(call, random_inputs(contestant.config, batch_size, length, place), place)

    return of_size


def _callable(
    contestant: Contestant, backend: str, folder: str | None, threads: int, device: torch.device
) -> tuple[Any, torch.device]:
    import torch

    from tinybert_hf.opening import open_exported

    if folder is not None:
        return open_exported(folder, threads=threads), torch.device("cpu")
    model = contestant.open().to(device)
    if backend == COMPILED:
        return torch.compile(model, dynamic=True), device
    return model, device


def _missing(backend: str) -> str | None:
    """The library that a backend lacks, with the line that installs it; None where all are there."""
    from tinybert_hf.export import FORMATS
    from tinybert_hf.opening import require

    if backend in _PYTORCH:
        return None
    try:
        for library, extra in FORMATS[backend].libraries.items():
            require(library, extra)
    except TinyBertError as error:
        return str(error)
    return None
