"""What every test shares: no network, one thread, fixed seeds, and models small enough to make in a moment."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_disk import Disk, mounted
from transformers import BertTokenizer, set_seed

from tinybert_hf.evaluation import cost
from tinybert_hf.model import TinyBertConfig

torch.set_num_threads(1)

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "a", "film", "plot", "is", "was", "not", "very", "good"]
PIECES += ["bad", "dull", "bright", "and", "but", ",", ".", "##s", "##ed", "##ing", "##ly"]


@pytest.fixture(autouse=True)
def _fixed_seeds() -> None:
    """Every test draws the same numbers, alone or among others."""
    set_seed(0)


@pytest.fixture(autouse=True)
def _timed_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How fast tiny models are is measured in one round; a third of a run of such models would be nothing else."""
    if "evaluation" not in request.path.parts:
        for measure in (cost.measure_costs, cost.measure_translation_costs):
            monkeypatch.setitem(measure.__kwdefaults__, "rounds", 1)


@pytest.fixture(scope="session")
def tiny_config() -> Callable[..., TinyBertConfig]:
    """Make a configuration of 2 layers and width 32; at the usual initialisation, faults would drown in rounding."""

    def make(**overrides: Any) -> TinyBertConfig:
        shape = {
            "vocab_size": 64,
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 64,
            "initializer_range": 0.3,
        }
        return TinyBertConfig(**{**shape, **overrides})

    return make


@pytest.fixture(scope="session")
def tiny_tokenizer() -> BertTokenizer:
    """A WordPiece tokenizer of fewer than 64 pieces."""
    return BertTokenizer(vocab={piece: index for index, piece in enumerate(PIECES)}, model_max_length=64)


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small BERT with a trained head for negative and positive; tests read it and do not change it."""
    from tiny_run import make_teacher  # brings the recipes, which tests of models do not need

    return make_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="session")
def headless(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same, pretrained only."""
    from tiny_run import make_teacher

    return make_teacher(tmp_path_factory.mktemp("headless"), head=False)


@pytest.fixture(scope="session")
def translator(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Folder of a small Marian model that has learnt to exchange words; tests read it and do not change it."""
    from tiny_translator import save_translator

    return save_translator(tmp_path_factory.mktemp("translator"))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def place(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the examples of the pages begin with: a teacher in teacher/, rows in two files."""
    from tiny_run import make_teacher, rows, write_rows

    from tinybert_hf.model import PRESETS

    texts = [{"sentence": row["text"], "label": row["label"]} for row in rows()]
    write_rows(work / "train.jsonl", texts)
    write_rows(work / "dev.jsonl", texts[:8])
    make_teacher(work / "teacher")
    # The code is run as it stands; what it calls 4l-312d is small enough for that teacher, and for a test.
    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 32}
    monkeypatch.setitem(PRESETS, "4l-312d", shape)
    return work


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small file system that can be filled up."""
    with mounted(tmp_path / "disk") as small:
        yield small
