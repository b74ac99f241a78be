"""A Trainer that can be stopped anywhere and goes on as if it had not been."""

from __future__ import annotations

import json
import os
import re
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Sampler, SequentialSampler
from transformers import Trainer, TrainerCallback
from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME
from transformers.trainer_jit_checkpoint import JITCheckpointCallback
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, SaveStrategy, get_last_checkpoint, rotate_checkpoints

from tinybert_hf.checkpoints import settle_tokenizer
from tinybert_hf.data.shards import held_folder
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.messages import to_write
from tinybert_hf.training.arguments import (
    check_best_model,
    no_such_metric,
    plain_name,
    resume_early_stopping,
    stops_early,
)
from tinybert_hf.training.checkpoints import (
    ORIGIN_FILE,
    SAVING_FOLDER,
    check_origin,
    checked_checkpoint,
    complete_checkpoint,
    origin_of,
    put_checkpoint,
    remove_unfinished,
)
from tinybert_hf.training.collators import SeededCollator
from tinybert_hf.training.dropout import faster_dropout
from tinybert_hf.training.setup import unchanged_randomness

# Parameters that are sharded over processes (FSDP2), seen as a whole.
#
# Every process must call these: they gather.


@contextmanager
def said_if_tied_apart() -> Iterator[None]:
    """What torch says before the first step of a weight that two modules share, as an error that a user can mend."""
    try:
        yield
    except ValueError as error:
        if "FSDP group" not in str(error):
            raise
        name = next(iter(re.findall(r"Parameter '([^']+)'", str(error))), "a parameter")
        raise TinyBertError(
            f"FSDP2: {name} is one weight of two modules (tied embeddings) that are sharded apart, which torch "
            "refuses. Leave modules with embeddings out of fsdp_transformer_layer_cls_to_wrap, or train without FSDP, "
            "as two processes that each hold the whole model (torchrun, or a file of Accelerate without fsdp)."
        ) from error


def whole(value: Tensor) -> Tensor:
    """The tensor itself, or all shards of it put together."""
    gather = getattr(value, "full_tensor", None)
    return value if gather is None else gather()


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module, on the CPU; of a tensor that has two names, two copies."""
    state = {name: whole(value.detach()).cpu().contiguous() for name, value in module.state_dict().items()}
    known: set[int] = set()
    for name, value in state.items():
        if value.data_ptr() in known:
            state[name] = value.clone()
        known.add(value.data_ptr())
    return state


@torch.no_grad()
def load_whole_state(module: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load a state that is whole into a module whose parameters may be sharded."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    if any(hasattr(value, "full_tensor") for value in module.state_dict().values()):
        set_model_state_dict(module, dict(state), options=StateDictOptions(full_state_dict=True))
    else:
        module.load_state_dict(state)


# Stops a run at the first loss, gradient or weight that is not a finite number.

# On a GPU the answer is awaited only when this many steps are unanswered, so that the GPU is never waited for.
_STEPS_BEHIND = 4


@dataclass(frozen=True)
class _Noted:
    step: int
    names: tuple[str, ...]
    finite: Tensor
    event: Any
    inputs: Mapping[str, Any]

    def is_answered(self) -> bool:
        return self.event is None or bool(self.event.query())

    def broken(self) -> list[str]:
        if self.event is not None:
            self.event.synchronize()
        return [name for name, finite in zip(self.names, self.finite.tolist(), strict=True) if not finite]


class FiniteWatch:
    """Looks at the losses of each step: at once on a CPU, a few steps behind on a GPU, where asking would stall it."""

    def __init__(self, stop: Callable[[list[str], int, Mapping[str, Any]], None]) -> None:
        """Keep whom to tell.

        Args:
            stop: called with the names that are not finite, the step (from 1) and the inputs; raises.
        """
        self._stop = stop
        self._noted: deque[_Noted] = deque()

    def note(self, values: Mapping[str, Tensor], step: int, inputs: Mapping[str, Any]) -> None:
        """Look at the scalars of one batch."""
        finite = torch.stack([whole(value.detach()).float().isfinite().all() for value in values.values()])
        event = None
        if finite.is_cuda:
            finite = finite.to("cpu", non_blocking=True)
            event = torch.cuda.Event()
            event.record()
        self._noted.append(_Noted(step, tuple(values), finite, event, inputs))
        while self._noted and (self._noted[0].is_answered() or len(self._noted) > _STEPS_BEHIND):
            self._answer(self._noted.popleft())

    def settle(self) -> None:
        """Wait for all answers: before a checkpoint is written, and at the end."""
        while self._noted:
            self._answer(self._noted.popleft())

    def forget(self) -> None:
        """Drop what was noted: a new run begins."""
        self._noted.clear()

    def _answer(self, noted: _Noted) -> None:
        broken = noted.broken()
        if broken:
            self._stop(broken, noted.step, noted.inputs)


def check_weights(model: nn.Module, when: str) -> None:
    """Refuse to go on with weights that are not finite.

    Args:
        model: whose parameters are looked at.
        when: for the message: "checkpoint-40 was to be written".

    Raises:
        TinyBertError: naming the first such parameter.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not named:
        return
    with torch.no_grad():
        finite = torch.stack([whole(parameter.detach().isfinite().all()) for _, parameter in named]).tolist()
    broken = [name for (name, _), is_finite in zip(named, finite, strict=True) if not is_finite]
    if broken:
        raise TinyBertError(
            f"{len(broken)} of {len(named)} parameters were no longer finite when {when}, the first is {broken[0]}. "
            "The gradients of a step before overflowed. Nothing was written; go on from the last checkpoint with a "
            "lower learning rate, with bf16 instead of fp16, or with max_grad_norm above 0."
        )


def rows_like(dataset: Any, inputs: Mapping[str, Any], limit: int = 32) -> list[int]:
    """The numbers of the dataset's rows that a batch was made of, found by their tokens; empty where none is found."""
    ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
    if not isinstance(ids, Tensor) or ids.dim() != 2 or not hasattr(dataset, "__len__"):
        return []
    mask = torch.ones_like(ids) if not isinstance(mask, Tensor) else mask
    wanted = {tuple(row[keep.bool()].tolist()) for row, keep in zip(ids.cpu(), mask.cpu(), strict=True)}
    found = []
    for number, row in enumerate(_token_rows(dataset)):
        if tuple(row) in wanted:
            found.append(number)
            if len(found) == limit:
                break
    return found


def _token_rows(dataset: Any) -> Iterator[list[int]]:
    if "input_ids" in getattr(dataset, "column_names", ()):
        dataset = dataset.select_columns(["input_ids"])
    for row in dataset:
        ids = row["input_ids"]
        yield ids.tolist() if hasattr(ids, "tolist") else ids


# SIGTERM, as a scheduler sends it before it takes a machine away: the step is finished, a checkpoint is written.

EXIT_TERMINATED = 128 + signal.SIGTERM


class SaveOnTermination(TrainerCallback):
    """Ends training after the running step, with a checkpoint, when SIGTERM comes.

    transformers' own just-in-time checkpoint may be written within a step, when random numbers have been drawn that
    the resumed step draws again.
    """

    def __init__(self) -> None:
        self.came = False
        self._before: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Answer the signal from here on."""
        self.came = False
        try:
            self._before = signal.signal(signal.SIGTERM, self._note)
        except ValueError:  # only the main thread may choose what a signal does
            self._before = None

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Save and stop."""
        if self.came:
            control.should_save = args.save_strategy != SaveStrategy.NO
            control.should_training_stop = True

    def give_back(self) -> None:
        """Whoever answered the signal before does so again."""
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
            self._before = None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.came = True


# What all trainers of this package have in common: batches of like length, whole checkpoints, finite numbers.

# Rows of this many batches are sorted together: little padding, and still mostly random batches.
WINDOW = 50


class LengthGroupedSampler(Sampler[int]):
    """Rows in groups of like length, the groups in random order; the order depends on the seed and the epoch alone.

    transformers' own sampler walks each window from long to short and draws from the global generator, so that a run
    resumed in its second epoch sees other batches than the run that was not stopped.
    """

    def __init__(self, lengths: Sequence[int], group_size: int, seed: int) -> None:
        """Keep what the order is made from.

        Args:
            lengths: tokens of each row.
            group_size: rows of one optimizer step.
            seed: of the run.
        """
        self.lengths = torch.as_tensor(list(lengths))
        self.group_size = group_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=generator)
        windows = order.split(WINDOW * self.group_size)
        order = torch.cat([window[self.lengths[window].argsort(stable=True)] for window in windows])
        full = len(order) // self.group_size * self.group_size
        groups = order[:full].view(-1, self.group_size)
        groups = groups[torch.randperm(len(groups), generator=generator)]
        yield from groups.flatten().tolist()
        yield from order[full:].tolist()


class ResumableTrainer(Trainer):
    """transformers' Trainer, made fit for long runs.

    Rows are sampled as above. A checkpoint is written beside, noted in a manifest and renamed; a run goes on from a
    whole one only, and ends with the same weights and the same log as a run that was not stopped. A loss, a gradient
    or a weight that is not finite stops it, and is not saved. SIGTERM ends it after the step, with a checkpoint.
    """

    data_collator: Any
    control: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(JITCheckpointCallback)
        self._termination = SaveOnTermination()
        self._watch = FiniteWatch(self._stop_not_finite)
        self._loss_parts: dict[str, Tensor] = {}
        self._sampler: LengthGroupedSampler | None = None
        self._is_saving = False
        self._late_push: str | None = None
        self._resumed_from: str | None = None
        self._began, self._seconds_before = time.perf_counter(), 0.0
        self._last_step: dict[str, float | None] = {}
        self._epoch_ended = self._made_up = False
        self._ignored_keys: list[str] | None = None
        self._reminders = _Reminders(self)
        self.add_callback(self._reminders)
        self.holds_folder = True  # its caller does not
        self.origin: dict[str, Any] | None = None  # made at need, where nobody has read the weights before
        self.add_callback(self._termination)

    # -- going on ----------------------------------------------------------------------------------------------------

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """Train, or go on from a checkpoint; see transformers' Trainer.

        Args:
            resume_from_checkpoint: True: the newest whole checkpoint in the output folder; a path: this checkpoint, or
                the newest whole one in this folder.
            **kwargs: as for transformers' Trainer.

        Raises:
            OutputFolderError: there is no whole checkpoint, or the chosen one is damaged; the message names the file.
            OutputFolderError: another run writes this folder, or this one was begun with other models or rows.
            TinyBertError: a loss, a gradient or a weight is not finite; the message names it, the step and the rows.
            SystemExit: SIGTERM came, and a checkpoint was written.
        """
        holds = self.holds_folder and self.args.process_index == 0 and self.args.save_strategy != SaveStrategy.NO
        with held_folder(self.args.output_dir) if holds else nullcontext():
            return self._train(resume_from_checkpoint, **kwargs)

    def _train(self, resume_from_checkpoint: str | bool | None, **kwargs: Any) -> Any:
        check_best_model(self)
        self._resumed_from = self._whole_checkpoint(resume_from_checkpoint)
        if self.args.should_save:
            remove_unfinished(self.args.output_dir)
        self.accelerator.wait_for_everyone()
        self._watch.forget()
        self._last_step, self._ignored_keys = {}, kwargs.get("ignore_keys_for_eval")
        self._epoch_ended = self._made_up = False
        for last in (self._reminders, self._termination):  # behind callbacks that were added since
            self.remove_callback(last)
            self.add_callback(last)
        self._began, self._seconds_before = time.perf_counter(), 0.0
        try:
            with said_if_tied_apart():
                result = super().train(resume_from_checkpoint=self._resumed_from, **kwargs)
            self._watch.settle()
            check_weights(self.model, "training ended")
        finally:
            self._termination.give_back()
        if self.state.global_step < self.state.max_steps:
            self.end_if_terminated()
        return result

    def end_if_terminated(self) -> None:
        """End the process where SIGTERM came in this training; for who has saved what the training has made.

        Raises:
            SystemExit: it came.
        """
        if self._termination.came:
            raise SystemExit(EXIT_TERMINATED)

    def _whole_checkpoint(self, wanted: str | bool | None) -> str | None:
        if not wanted:
            return None
        folder = self.args.output_dir if wanted is True else wanted
        if wanted is True or get_last_checkpoint(folder) is not None:
            found = complete_checkpoint(folder)
            if found is None:
                raise OutputFolderError(f"There is no checkpoint in {folder} to go on from.")
            folder = found
        sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled
        checked = checked_checkpoint(folder, () if sharded else (OPTIMIZER_NAME, SCHEDULER_NAME, TRAINER_STATE_NAME))
        if not (Path(checked) / self._of_this_process("rng_state", ".pth")).is_file():
            warnings.warn(
                f"{checked} was written by another number of processes than this run's {self.args.world_size}: the "
                "run goes on with other random numbers than it would have had.",
                stacklevel=3,
            )
        origin = Path(checked) / ORIGIN_FILE
        if origin.is_file():  # an earlier version did not write it
            advice = "Give what it was begun with to go on, or start anew in another folder."
            there = json.loads(origin.read_text(encoding="utf-8"))
            check_origin(there, self._made_from(), origin.parent.parent, advice)
        return checked

    def _made_from(self) -> dict[str, Any]:
        """What this run is made from, found out once."""
        if self.origin is None:
            self.origin = self.describe_origin()
        return self.origin

    def describe_origin(self) -> dict[str, Any]:
        """What a run has to go on with: see `origin_of`."""
        return origin_of(self.model, self.processing_class, self.train_dataset)

    def _of_this_process(self, stem: str, suffix: str) -> str:
        return f"{stem}{f'_{self.args.process_index}' if self.args.world_size > 1 else ''}{suffix}"

    @property
    def seconds(self) -> float:
        """Spent on training so far; those before the checkpoint that a run goes on from count too."""
        return self._seconds_before + time.perf_counter() - self._began

    def running_sums(self) -> dict[str, Any]:
        """What the next log will be made of, apart from the steps to come; where in the run it is; the time spent."""
        return {
            "loss": float(self._tr_loss),
            "last_logged": self._globalstep_last_logged,
            "seconds": self.seconds,
            "last_step": self._last_step,
            "epoch_ended": self._epoch_ended,
            # Early: the last step, or SIGTERM, is no reason not to go on.
            "stopped": self.control.should_training_stop
            and not self._termination.came
            and self.state.global_step < self.state.max_steps,
        }

    def set_running_sums(self, sums: Mapping[str, Any]) -> None:
        """Go on with the sums of a checkpoint, so that its next log is that of a run that was not stopped."""
        self._tr_loss += sums["loss"]
        self._total_loss_scalar -= sums["loss"]  # the mean over this call's steps is to be of these alone
        self._globalstep_last_logged = sums["last_logged"]
        self._seconds_before = sums.get("seconds", 0.0)

    def _restore_running_sums(self) -> None:
        if self._resumed_from is not None and self.state.global_step >= self.state.max_steps:
            self._load_rng_state(self._resumed_from)  # no step is left that would do it
        path = Path(self._resumed_from or "") / self._of_this_process("running_sums", ".json")
        if self._resumed_from is not None and path.is_file():
            self.set_running_sums(json.loads(path.read_text(encoding="utf-8")))

    def _init_training_state(self, *args: Any, **kwargs: Any) -> Any:
        begun = super()._init_training_state(*args, **kwargs)
        step = self.state.best_global_step
        if self._resumed_from is not None and step and self.args.load_best_model_at_end:
            # transformers would pass over one that is not where it was, and end with other weights.
            best = Path(self.args.output_dir) / f"{PREFIX_CHECKPOINT_DIR}-{step}"
            self.state.best_model_checkpoint = checked_checkpoint(best)
        return begun

    def _make_up_for_epoch_end(self) -> None:
        """Do what was lost when a run was killed between the checkpoint of an epoch's last step and the next one.

        transformers goes on with the next epoch, without the evaluation, the log and the callbacks of the epoch's end.
        """
        # Any process's: where there were fewer of them before, all have to agree.
        files = sorted(Path(self._resumed_from).glob("running_sums*.json")) if self._resumed_from is not None else []
        if not files:
            return
        noted = json.loads(files[0].read_text(encoding="utf-8"))
        was_stopped = bool(noted.get("stopped"))
        over = was_stopped or self.state.global_step >= self.state.max_steps
        if (over or float(self.state.epoch or 0).is_integer()) and noted.get("epoch_ended") is False:
            self._load_rng_state(self._resumed_from)
            self._made_up = True
            self.control = self.callback_handler.on_epoch_end(self.args, self.state, self.control)
            last = noted["last_step"]
            self._maybe_log_save_evaluate(
                self._tr_loss,
                last.get("grad_norm"),
                self.model_wrapped,
                None,
                self.state.epoch,
                self._ignored_keys,
                time.time(),
                learning_rate=last.get("learning_rate"),
            )
        if was_stopped and not stops_early(self):  # early stopping is counted anew: it may be more patient now
            warnings.warn(
                f"{self._resumed_from} is the end of a run that a callback had stopped: no step is left. To train "
                "longer, start anew in another folder.",
                stacklevel=2,
            )
            self.control.should_training_stop = True

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if not self._made_up:  # else the end of the epoch has gone on from there
            super()._load_rng_state(checkpoint)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        # It had stopped early, or ended, before it was killed; transformers would take one step more.
        if self.control.should_training_stop or self.state.global_step >= self.state.max_steps:
            self._load_rng_state(self._resumed_from)
            self.control.should_training_stop = True
            return
        super()._run_epoch(*args, **kwargs)
        self._made_up = False

    def _maybe_log_save_evaluate(
        self,
        tr_loss: Tensor,
        grad_norm: Any,
        model: Any,
        trial: Any,
        epoch: Any,
        ignore_keys_for_eval: Any,
        start_time: Any,
        learning_rate: float | None = None,
    ) -> None:
        norm = None if grad_norm is None else float(grad_norm)
        self._last_step = {"grad_norm": norm, "learning_rate": learning_rate}
        super()._maybe_log_save_evaluate(
            tr_loss, grad_norm, model, trial, epoch, ignore_keys_for_eval, start_time, learning_rate=learning_rate
        )

    def _evaluate(self, trial: Any, ignore_keys_for_eval: Any, skip_scheduler: bool = False) -> Any:
        if skip_scheduler and self._resumed_from is not None:
            return {}  # `eval_on_start`: that was before the first step
        return super()._evaluate(trial, ignore_keys_for_eval, skip_scheduler)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """As in transformers; training goes on with the random numbers that it would have had without it."""
        with unchanged_randomness():
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        return metrics

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """As in transformers; training goes on with the random numbers that it would have had without it."""
        with unchanged_randomness():
            return super().predict(*args, **kwargs)

    # -- the best checkpoint -----------------------------------------------------------------------------------------

    def evaluation_metrics(self) -> set[str] | None:
        """The names of what an evaluation gives, found out on a few rows; None: not known before there is one."""
        rows: Any = self.eval_dataset
        # Workers that stay would go on with these few rows in every later evaluation.
        if not hasattr(rows, "select") or not len(rows) or self.args.dataloader_persistent_workers:
            return None
        kept, self.callback_handler.callbacks = self.callback_handler.callbacks, []
        try:
            with unchanged_randomness():
                few = self.get_eval_dataloader(rows.select(range(min(len(rows), self.args.eval_batch_size))))
                found = self.evaluation_loop(few, description="Evaluation", metric_key_prefix="eval").metrics or {}
        except Exception:  # a metric that wants all rows; a true error comes again with the first evaluation
            return None
        finally:
            self.callback_handler.callbacks = kept
        return {plain_name(name) for name in found}

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        wanted = self.args.metric_for_best_model
        if wanted is not None and f"eval_{plain_name(wanted)}" not in metrics:
            raise no_such_metric(wanted, {plain_name(name) for name in metrics})
        return bool(super()._determine_best_metric(metrics, trial))

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def _get_output_dir(self, trial: Any) -> str:
        folder = str(super()._get_output_dir(trial))
        return os.path.join(folder, SAVING_FOLDER) if self._is_saving else folder

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:  # transformers 5 calls this in every process
            settle_tokenizer(output_dir or str(self.args.output_dir))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        self._watch.settle()
        check_weights(self.model, f"{name} was to be written")
        folder = Path(self._get_output_dir(trial))
        try:
            self._is_saving = True
            try:
                super()._save_checkpoint(model, trial)
            finally:
                self._is_saving = False
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                content = json.dumps(self._made_from())
                (folder / SAVING_FOLDER / name / ORIGIN_FILE).write_text(content, encoding="utf-8")
                self._put_in_place(folder, name)
        except Exception as error:
            if self.args.should_save:
                remove_unfinished(folder)
            if isinstance(error, TinyBertError):
                raise
            what, do = str(error) or type(error).__name__, to_write(error)
            raise OutputFolderError(
                f"{folder / name} could not be written: {what}. The checkpoints before it are whole: {do}, and go on "
                "from them."
                if folder.is_dir() and get_last_checkpoint(str(folder)) is not None
                else f"{folder / name} could not be written: {what}. None is before it: {do}, and start again."
            ) from error
        self.accelerator.wait_for_everyone()
        if self._late_push is not None:
            self._late_push = None
            super()._push_from_checkpoint(str(folder / name))

    def _put_in_place(self, folder: Path, name: str) -> None:
        written = folder / SAVING_FOLDER / name
        best = self.state.best_model_checkpoint
        if best is not None and Path(best) == written:
            self.state.best_model_checkpoint = str(folder / name)
            self.state.save_to_json(str(written / TRAINER_STATE_NAME))
        put_checkpoint(written, folder / name)
        remove_unfinished(folder)
        rotate_checkpoints(
            output_dir=str(folder),
            save_total_limit=self.args.save_total_limit,
            best_model_checkpoint=self.state.best_model_checkpoint,
        )

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)  # every process writes its own
        path = Path(output_dir) / self._of_this_process("running_sums", ".json")
        path.write_text(json.dumps(self.running_sums()), encoding="utf-8")

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        self._late_push = checkpoint_folder  # pushed once it is in its place

    # -- what is not finite ------------------------------------------------------------------------------------------

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """As in transformers, dropout on a CPU faster; the losses are looked at before the optimizer's step."""
        faster = nullcontext() if self.args.torch_compile else faster_dropout(model, self.args.device)
        with faster:
            loss: Tensor = super().training_step(model, inputs, num_items_in_batch)
        self._watch.note({**self._loss_parts, "loss": loss}, self.state.global_step + 1, inputs)
        self._loss_parts = {}
        return loss

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        # fp16 finds out by an overflow that its scale is too large, and takes the step back by itself.
        if isinstance(norm, Tensor) and self.accelerator.scaler is None:
            self._watch.note({"the norm of the gradients": norm}, self.state.global_step + 1, {})
        return norm

    def _stop_not_finite(self, names: list[str], step: int, inputs: Mapping[str, Any]) -> None:
        rows = rows_like(self.train_dataset, inputs)
        last = get_last_checkpoint(self.args.output_dir) if os.path.isdir(self.args.output_dir) else None
        raise TinyBertError(
            f"{' and '.join(names)} became NaN or infinite in step {step}"
            + (f", in the batch of rows {', '.join(map(str, rows))} (from 0) of the training set" if rows else "")
            + ". Nothing of it was saved. "
            + (f"Go on from {last}" if last else "Start anew")
            + " with a lower learning rate (and bf16 instead of fp16), and look at these rows and at the teacher."
        )

    def _begin_epoch(self, epoch: int) -> None:
        self._collator.set_epoch(epoch)
        if self._sampler is not None:
            self._sampler.set_epoch(epoch)  # with several processes nobody else does

    # -- rows --------------------------------------------------------------------------------------------------------

    def get_train_dataloader(self) -> Any:
        """As in transformers; whatever the collator draws depends on the rows and the epoch alone."""
        plain: Any = self.data_collator
        self._collator = SeededCollator(plain, self.args.seed)
        self.data_collator = self._collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = plain

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        rows = self.train_dataset if train_dataset is None else train_dataset
        if self.args.train_sampling_strategy != "group_by_length" or not hasattr(rows, "__len__"):
            return super()._get_train_sampler(train_dataset)
        group = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        self._sampler = LengthGroupedSampler(row_lengths(rows, self.args.length_column_name), group, self.args.seed)
        return self._sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> Any:
        # transformers would group these by length too, and predictions would come in another order than their rows.
        if self.args.world_size > 1 or not hasattr(eval_dataset, "__len__"):
            return None
        return SequentialSampler(eval_dataset)


class _Reminders(TrainerCallback):
    """Tells the trainer when a run begins, and when an epoch begins and ends."""

    def __init__(self, trainer: ResumableTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._restore_running_sums()
        self.trainer._make_up_for_epoch_end()
        resume_early_stopping(self.trainer)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._begin_epoch(int(state.epoch or 0))

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._epoch_ended = False

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer._epoch_ended = True


def row_lengths(rows: Any, length_column: str) -> list[int]:
    """Tokens of each row, from a column of lengths where there is one."""
    columns = getattr(rows, "column_names", ())
    if length_column in columns:
        lengths = rows[length_column]
        return lengths.tolist() if hasattr(lengths, "tolist") else [int(length) for length in lengths]
    if "input_ids" in columns:
        return [len(ids) for ids in rows.select_columns(["input_ids"])["input_ids"]]
    return [len(row["input_ids"]) for row in rows]
