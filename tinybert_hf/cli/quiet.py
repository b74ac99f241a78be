"""Keep the screen for what the user asked for: progress bars and readable losses, no advice to developers."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping
from typing import Any

from tinybert_hf.errors import FileFormatWarning, OpeningWarning

# Figures that a reader of the screen does not need; they stay in the logs that report_to writes.
_LEFT_OUT = ("grad_norm", "total_flos", "runtime", "samples_per_second", "steps_per_second", "train_loss", "eval_loss")
_said: set[str] = set()


def quiet_imports() -> None:
    """Silence what is said while transformers is loaded: it loads torchao, where that is; litert-torch brings it."""
    for name in ("torchao", "torch.utils._pytree"):
        logging.getLogger(name).setLevel(logging.ERROR)


def quiet_libraries() -> None:
    """Silence the notes of transformers, datasets and torch, apart from errors; make the Trainer's lines readable.

    Where standard error is no terminal there are no progress bars either: a log file would keep every state of them.
    """
    import datasets
    import transformers
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers import trainer

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()  # of loading weights; the Trainer's own bar stays
    datasets.utils.logging.set_verbosity_error()
    for name in ("httpx", "httpx2", "huggingface_hub", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
    for category in (OpeningWarning, FileFormatWarning):
        warnings.filterwarnings("default", category=category)
    warnings.showwarning = _say_once
    _said.clear()
    if sys.stderr.isatty():
        trainer.DEFAULT_PROGRESS_CALLBACK = _readable_bar()
    else:
        datasets.disable_progress_bars()  # of tokenizing and downloading
        disable_progress_bars()  # of downloading models
        trainer.DEFAULT_PROGRESS_CALLBACK = _lines_only()
    # A Trainer without a bar (disable_tqdm, which is the default where transformers is quiet) prints these lines too.
    trainer.PrinterCallback = _lines_only()


def _say_once(message: Warning | str, *args: Any, **kwargs: Any) -> None:
    """Each once: a folder or a file is looked at in the plan and when it is opened."""
    if str(message) not in _said:
        _said.add(str(message))
        print(f"note: {message}", file=sys.stderr)


def _readable_bar() -> type:
    from transformers.trainer_callback import ProgressCallback

    class ReadableProgress(ProgressCallback):
        """The Trainer's progress bar; what it logs as a line of names and numbers."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            line = log_line(logs or {})
            if state.is_world_process_zero and self.training_bar is not None and line:
                self.training_bar.write(line)

    return ReadableProgress


def _lines_only() -> type:
    from transformers import PrinterCallback

    class LinesOnly(PrinterCallback):
        """What the Trainer logs as a line of names and numbers, without a bar."""

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            line = log_line(logs or {})
            if state.is_world_process_zero and line:
                print(line, flush=True)

    return LinesOnly


def log_line(logs: Mapping[str, Any]) -> str:
    """One line for the screen: "epoch 0.50  loss 9.335  attention 8.69 ..."; empty where nothing is left to say."""
    shown = {name: value for name, value in logs.items() if name != "epoch" and not name.endswith(_LEFT_OUT)}
    if not shown:
        return ""
    parts = [f"epoch {logs['epoch']:.2f}"] if "epoch" in logs else []
    for name, value in shown.items():
        title = name.removeprefix("eval_").removesuffix("_loss").replace("_", " ")
        if isinstance(value, int | float):
            parts.append(f"{title} {value:.4g}" if abs(value) < 1e4 else f"{title} {value:,.0f}")
        else:
            parts.append(f"{title} {value}")
    return "  ".join(parts)
