"""Teachers that several tests read, and a way to call the command in this process."""

from collections.abc import Callable, Iterator
from pathlib import Path

import datasets
import pytest
import transformers
from tiny_run import make_teacher
from transformers import trainer
from typer.testing import CliRunner, Result

from tinybert_hf.cli import app


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small BERT with a trained head for negative and positive."""
    return make_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="session")
def headless(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same, pretrained only."""
    return make_teacher(tmp_path_factory.mktemp("headless"), head=False)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def tinybert() -> Iterator[Callable[..., Result]]:
    """Call `tinybert` with these words; the libraries are as loud afterwards as they were before."""
    levels = transformers.utils.logging.get_verbosity(), datasets.utils.logging.get_verbosity()
    progress = trainer.DEFAULT_PROGRESS_CALLBACK
    yield lambda *words: CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    trainer.DEFAULT_PROGRESS_CALLBACK = progress
    transformers.utils.logging.set_verbosity(levels[0])
    transformers.utils.logging.enable_progress_bar()
    datasets.utils.logging.set_verbosity(levels[1])
