"""Opens a model in a backend, as something that runs a forward of any size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.benchmarking.contestants import Contestant
from tinybert_hf.benchmarking.report import Entry
from tinybert_hf.benchmarking.settings import BACKENDS, COMPILED, EAGER

if TYPE_CHECKING:
    import torch

_PYTORCH = (EAGER, COMPILED)

Forward = Callable[[], object]
# Batch size and length -> the forward.
OpenedModel = Callable[[int, int], Forward]


def choose_backends(
    contestants: Mapping[str, Contestant], wanted: Sequence[str], device: torch.device, notes: list[str]
) -> list[Entry]:
    """Which model is measured in which backend.

    Args:
        contestants: by short name.
        wanted: names in `BACKENDS`; empty: all that can run here.
        device: of PyTorch.
        notes: is told what cannot run.

    Raises:
        TinyBertError: a backend that was asked for cannot run.
    """
    backends = [name for name in (wanted or BACKENDS) if name in _PYTORCH]
    return [Entry(name, backend) for name in contestants for backend in backends]


def exported_folder(contestant: Contestant, entry: Entry, work: Path, say: Callable[[str], None]) -> str | None:
    """The folder that a backend opens; None where PyTorch opens the model itself."""
    return None


def megabytes_of(contestant: Contestant, folder: str | None) -> float:
    """Size of the files that hold the weights, 10^6 bytes."""
    return contestant.megabytes()


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
    from tinybert_hf.evaluation.benchmark import random_inputs, wait_for

    call, place = _callable(contestant, backend, folder, threads, device)

    def of_size(batch_size: int, length: int) -> Forward:
        inputs = random_inputs(contestant.config, batch_size, length, place)

        def forward() -> object:
            output = call(**inputs)
            wait_for(place)
            return output

        return forward

    return of_size


def _callable(
    contestant: Contestant, backend: str, folder: str | None, threads: int, device: torch.device
) -> tuple[Any, torch.device]:
    import torch

    if backend not in (EAGER, COMPILED):
        raise NotImplementedError(backend)
    model = contestant.open().to(device)
    if backend == COMPILED:
        return torch.compile(model, dynamic=True), device
    return model, device
