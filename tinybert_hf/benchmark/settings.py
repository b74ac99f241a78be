"""What is measured, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from tinybert_hf.errors import TinyBertError, check_number
from tinybert_hf.messages import did_you_mean

EAGER, COMPILED, ONNX, ONNX_INT8 = "eager", "compiled", "onnx", "onnx-int8"
# In the order in which they are measured and shown.
BACKENDS = {
    EAGER: "PyTorch as it is",
    COMPILED: "torch.compile, one compilation for all sizes",
    ONNX: "onnxruntime on the CPU",
    ONNX_INT8: "onnxruntime on the CPU, weights in int8",
}


@dataclass(frozen=True)
class BenchmarkSettings:
    """What is measured, and for how long.

    Attributes:
        backends: names in `BACKENDS`; empty: all that can run here, and what cannot is said.
        batch_sizes: rows of a forward.
        lengths: tokens of each row.
        baseline: what the ratios compare with: a model as it was named, or MODEL@BACKEND. None: the first model with
            its first backend.
        threads: of the CPU; None: as many as PyTorch uses (OMP_NUM_THREADS, or what the processors allow).
        seconds: time for the rounds of one size, after all have been warmed up.
        rounds: exactly so many rounds, whatever they take; None: as many as fit into `seconds`, at least 3.
        memory: measure the peak memory of each forward, in processes of their own.
        device: of PyTorch; None takes the GPU if there is one.

    Raises:
        TinyBertError: a value that cannot be measured.
    """

    backends: tuple[str, ...] = ()
    batch_sizes: tuple[int, ...] = (1, 8, 32)
    lengths: tuple[int, ...] = (32, 128, 512)
    baseline: str | None = None
    threads: int | None = None
    seconds: float = 10.0
    rounds: int | None = None
    memory: bool = True
    device: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for name in self.backends:
            if name not in BACKENDS:
                raise TinyBertError(
                    f"There is no backend {name!r}.{did_you_mean(name, BACKENDS, shown=repr)} Known are "
                    f"{', '.join(BACKENDS)}; an exported folder (openvino, tflite, ...) is named among the models."
                )
        for what, sizes in (("batch size", self.batch_sizes), ("length", self.lengths)):
            if not sizes:
                raise TinyBertError(f"Give one {what} at least.")
            if min(sizes) < 1:
                raise TinyBertError(f"A {what} of {min(sizes)} cannot be measured; the least is 1.")
        for what, number in (("thread", self.threads), ("round", self.rounds)):
            if number is not None and number < 1:
                raise TinyBertError(f"{number} {what}s are too few; the least is 1.")
        check_number(self.seconds, "seconds", error=TinyBertError)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Batch size and length of each forward, each once, small ones first."""
        return sorted({(batch, length) for batch in self.batch_sizes for length in self.lengths}, key=_work)

    @property
    def thread_count(self) -> int:
        """Threads of the CPU that are used."""
        from tinybert_hf.evaluation.cost import usable_threads

        return self.threads or usable_threads()


def _work(size: tuple[int, int]) -> tuple[int, int, int]:
    batch, length = size
    return batch * length, length, batch
