"""SIGTERM, as a scheduler sends it before it takes a machine away: the step is finished, a checkpoint is written."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_utils import SaveStrategy

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
