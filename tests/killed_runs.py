"""A run of two phases in a child process that can be killed anywhere, and what it ends with.

The child is forked, so that a run costs a second and not the imports of torch. It is killed at its n-th write to the
run's folder, or after some time; all that it left is on the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file
from tiny_models import bert
from transformers import DataCollatorForLanguageModeling, PreTrainedTokenizerBase, TrainerCallback, set_seed

from tinybert_hf import Phase, run_phases

WRITES = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree")
PHASES = (
    Phase("intermediate", epochs=2, learning_rate=1e-3, batch_size=4, gradient_accumulation_steps=2),
    Phase("joint", epochs=1, learning_rate=1e-3, batch_size=4, gradient_accumulation_steps=2),
    Phase("prediction", epochs=2, learning_rate=1e-3, batch_size=4),
)


class Masking(DataCollatorForLanguageModeling):
    """Masks tokens anew in every epoch and keeps the labels of a classifier."""

    def torch_call(self, examples: list[Any]) -> Any:
        """A padded batch with some tokens masked."""
        labels = torch.tensor([row["labels"] for row in examples])
        batch = super().torch_call([{k: v for k, v in row.items() if k != "labels"} for row in examples])
        return {**batch, "labels": labels}


class NoteTheEnd(TrainerCallback):
    """Writes down what each phase ended with: log, optimizer, scheduler and random numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One file a phase."""
        log = [entry for entry in state.log_history if "train_loss" not in entry]
        note = {
            "log": [{k: v for k, v in e.items() if not k.endswith(("runtime", "_per_second"))} for e in log],
            "best": [state.best_metric, state.best_global_step],
            "optimizer": digest(kwargs["optimizer"].state_dict()),
            "scheduler": digest(kwargs["lr_scheduler"].state_dict()),
            "random numbers": digest([random.getstate(), np.random.get_state(), torch.get_rng_state()]),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{Path(args.output_dir).name}.json").write_text(json.dumps(note))


class InEvaluation(TrainerCallback):
    """Counts the batches of all evaluations, and sends this process a signal within one of them."""

    def __init__(self, batch: int | None = None, number: int = signal.SIGKILL) -> None:
        self.seen, self.batch, self.number = 0, batch, number

    def on_prediction_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """One batch more."""
        self.seen += 1
        if self.seen == self.batch:
            os.kill(os.getpid(), self.number)


def digest(value: Any) -> str:
    """Of any nested value with tensors in it."""

    def plain(part: Any) -> Any:
        if isinstance(part, torch.Tensor):
            return part.detach().cpu().numpy().tobytes()
        if isinstance(part, np.ndarray):
            return part.tobytes()
        if isinstance(part, dict):
            return sorted((repr(key), plain(entry)) for key, entry in part.items())
        return [plain(entry) for entry in part] if isinstance(part, list | tuple) else part

    return hashlib.sha256(pickle.dumps(plain(value))).hexdigest()


def rows(count: int = 42) -> Dataset:
    """Rows of unequal length; the last batch and the last accumulation of an epoch are not full."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(3, 12, (count,), generator=generator).tolist()
    ids = [torch.randint(5, 24, (n,), generator=generator).tolist() for n in lengths]
    return Dataset.from_dict(
        {"input_ids": ids, "attention_mask": [[1] * n for n in lengths], "labels": [i % 3 for i in range(count)]}
    )


def train(
    folder: Path, tokenizer: PreTrainedTokenizerBase, masked: bool = True, callbacks: Sequence[Any] = (), **more: Any
) -> None:
    """The whole run, from its beginning or from what is there; rows that are not masked let answers be kept.

    A checkpoint falls on the end of each epoch of the first two phases, just before the evaluation.
    """
    set_seed(0)
    run_phases(
        bert(vocab_size=64, hidden_dropout_prob=0.1),
        bert(layers=4, hidden=32, vocab_size=64),
        PHASES,
        output_dir=folder,
        train_dataset=rows(),
        eval_dataset=rows(20),
        processing_class=tokenizer,
        callbacks=[NoteTheEnd(folder.parent / f"{folder.name}-ends"), *callbacks],
        data_collator=Masking(tokenizer, mlm_probability=0.3) if masked else None,
        training_arguments={
            "disable_tqdm": True,
            "log_level": "error",
            "use_cpu": True,
            "dataloader_pin_memory": False,
            "save_steps": 2,
            "logging_steps": 3,
            "save_total_limit": 2,
            "per_device_eval_batch_size": 4,
            **more,
        },
    )


def in_child(job: Callable[[], None]) -> int:
    """Start a job in a forked process, quietly; returns its id. It exits with 0, or with 1 on an error."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            job()
        status = 0
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def wait(child: int) -> int:
    """The exit status; minus the signal that ended the child."""
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def count(folder: Path, tokenizer: PreTrainedTokenizerBase, **options: Any) -> tuple[int, int]:
    """How often an uninterrupted run writes to its folder, and how many batches it evaluates; leaves its results."""
    note = folder.parent / f"{folder.name}-counts"

    def job() -> None:
        seen, evaluated = [0], InEvaluation()
        sys.addaudithook(lambda event, args: seen.__setitem__(0, seen[0] + _is_write(event, args, folder)))
        train(folder, tokenizer, callbacks=[evaluated], **options)
        note.write_text(json.dumps([seen[0], evaluated.seen]))

    assert wait(in_child(job)) == 0
    writes, batches = json.loads(note.read_text())
    return writes, batches


def kill_in_evaluation(
    folder: Path, tokenizer: PreTrainedTokenizerBase, batch: int, number: int = signal.SIGKILL, **options: Any
) -> int:
    """Begin the run, and send it a signal in an evaluation, after so many batches of all evaluations."""
    return wait(in_child(lambda: train(folder, tokenizer, callbacks=[InEvaluation(batch, number)], **options)))


def kill_at_write(folder: Path, tokenizer: PreTrainedTokenizerBase, number: int, **options: Any) -> int:
    """Begin or go on with the run, and kill it with SIGKILL just before its n-th write."""

    def job() -> None:
        left = [number]

        def hook(event: str, args: Any) -> None:
            if _is_write(event, args, folder):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        train(folder, tokenizer, **options)

    return wait(in_child(job))


def signal_after(folder: Path, tokenizer: PreTrainedTokenizerBase, seconds: float, number: int) -> int:
    """Begin or go on with the run, and send it a signal after some time."""
    child = in_child(lambda: train(folder, tokenizer))
    time.sleep(seconds)
    os.kill(child, number)
    return wait(child)


def outcome(folder: Path) -> dict[str, Any]:
    """All that two runs must agree in."""
    ends = {
        path.name: json.loads(path.read_text()) for path in sorted((folder.parent / f"{folder.name}-ends").iterdir())
    }
    for index, phase in enumerate(PHASES):
        work = folder / "phases" / f"{index}-{phase.name}"
        weights = [work / "student" / "model.safetensors", work / "projections.safetensors"]
        ends[f"{work.name} weights"] = digest([load_file(path) for path in weights if path.exists()])
        ends[f"{work.name} log"] = json.loads((work / "log.json").read_text())
        result = json.loads((work / "result.json").read_text())
        ends[f"{work.name} result"] = {k: v for k, v in result.items() if k not in ("seconds", "metrics")}
    return ends


def _is_write(event: str, args: Any, folder: Path) -> bool:
    if event not in WRITES or not str(args[0]).startswith(f"{folder}{os.sep}"):
        return False
    return event != "open" or any(letter in str(args[1] or "") for letter in "wax+")
