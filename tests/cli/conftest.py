"""A way to call the command in this process."""

from collections.abc import Callable, Iterator

import datasets
import pytest
import transformers
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers import trainer
from typer import rich_utils
from typer.testing import CliRunner, Result

from tinybert_hf.cli import app


@pytest.fixture
def _loud_again() -> Iterator[None]:
    """The libraries are as loud after the test as they were before."""
    levels = transformers.utils.logging.get_verbosity(), datasets.utils.logging.get_verbosity()
    progress, printer = trainer.DEFAULT_PROGRESS_CALLBACK, trainer.PrinterCallback
    bars, hub_bars = datasets.are_progress_bars_disabled(), are_progress_bars_disabled()
    datasets.enable_progress_bars()  # a command that another room's test has run leaves them off
    yield
    trainer.DEFAULT_PROGRESS_CALLBACK, trainer.PrinterCallback = progress, printer
    transformers.utils.logging.set_verbosity(levels[0])
    transformers.utils.logging.enable_progress_bar()
    datasets.utils.logging.set_verbosity(levels[1])
    (datasets.disable_progress_bars if bars else datasets.enable_progress_bars)()
    (disable_progress_bars if hub_bars else enable_progress_bars)()


@pytest.fixture
def tinybert(_loud_again: None, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call `tinybert` with these words, on a screen of 200 characters."""
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 200)  # what else may have set the width does not matter
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
