"""Whether an error says that the memory is full; every library has its own."""

from __future__ import annotations

_TEXTS = ("can't allocate memory", "bad_alloc", "failed to allocate memory", "not enough memory", "out of memory")


def is_full_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch (CPU or GPU) or onnxruntime could not get the memory that it asked for."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(text in str(error).lower() for text in _TEXTS)
