"""What a place is that holds no model: the message says it, and what makes a model of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_models import bert

from tinybert_hf.checkpoints import check_folder, open_config
from tinybert_hf.distillation.teachers import load_teacher
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import holds_translator


def write(path: Path, content: object = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("" if content is None else json.dumps(content))
    return path


def adapter(kind: str, task: str | None = "SEQ_CLS") -> Callable[[Path], Path]:
    content = {"peft_type": kind, "task_type": task, "base_model_name_or_path": "some/base"}

    def make(place: Path) -> Path:
        write(place / "adapter_config.json", content)
        write(place / "adapter_model.safetensors")
        return place

    return make


def old_layout(place: Path) -> Path:
    bert().save_pretrained(place / "0_BERT")
    parts = [("0_BERT", "sentence_transformers.models.BERT"), ("1_Pooling", "sentence_transformers.models.Pooling")]
    write(place / "modules.json", [{"path": path, "type": name} for path, name in parts])
    return place


def checkpoints(place: Path) -> Path:
    for step in (500, 1500, 10000):
        write(place / f"checkpoint-{step}" / "config.json", {})
    return place


def stopped(place: Path) -> Path:
    write(place / ".run" / "recipe.json", {})
    return place


def stopped_beside(place: Path) -> Path:
    write(place.parent / f".{place.name}.training" / "checkpoint-3" / "config.json", {})
    return place


CASES: list[tuple[Callable[[Path], Path], list[str]]] = [
    (adapter("LORA"), ["LoRA adapter", "some/base", "AutoPeftModelForSequenceClassification", "merge_and_unload"]),
    (adapter("LORA", "TOKEN_CLS"), ["AutoPeftModelForTokenClassification"]),
    (adapter("IA3", None), ["adapter", "import AutoPeftModel as M"]),
    (adapter("PREFIX_TUNING"), ["cannot be merged"]),
    (lambda place: write(place / "epoch=1.ckpt"), ["Lightning", "load_from_checkpoint", "save_pretrained"]),
    (lambda place: write(place / "checkpoints" / "last.ckpt").parent.parent, ["Lightning", "last.ckpt"]),
    (old_layout, ["sentence-transformers", "0_BERT"]),
    (checkpoints, ["checkpoints of a training", "checkpoint-10000; save"]),
    (stopped, ["was stopped", "command of that run once more"]),
    (stopped_beside, ["was stopped", "command of that run once more"]),
    (lambda place: write(place / "bert_config.json").parent, ["TensorFlow", "transformers 4"]),
    (lambda place: write(place / "inner" / "config.json").parent.parent, ["no config.json", "Did you mean"]),
    (lambda place: write(place / "model.safetensors"), ["is a file"]),
]


@pytest.mark.parametrize(("make", "said"), CASES)
def test_what_it_is_and_what_helps(tmp_path: Path, make: Callable[[Path], Path], said: list[str]) -> None:
    place = make(tmp_path / "place")
    openers = (load_teacher, holds_translator, open_config, check_folder)
    messages = set()
    for opener in openers:
        with pytest.raises(TinyBertError) as caught:
            opener(str(place))
        messages.add(str(caught.value))
    (message,) = messages  # one place says it
    for part in said:
        assert part in message


def test_a_model_and_an_adapter_to_it(tmp_path: Path) -> None:
    bert().save_pretrained(tmp_path)
    adapter("LORA")(tmp_path)
    with pytest.raises(TinyBertError, match="not clear which"):
        check_folder(tmp_path)
    (tmp_path / "adapter_model.safetensors").unlink()
    check_folder(tmp_path)  # merged, and its settings left there


@pytest.mark.parametrize("name", ["tf_model.h5", "model.onnx"])
def test_weights_of_other_programs(tmp_path: Path, name: str) -> None:
    bert().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / name)
    with pytest.raises(TinyBertError, match=f"no weights of torch.*It holds {name}"):
        load_teacher(str(tmp_path))


def test_an_id_on_the_hub_and_a_model_pass(tmp_path: Path) -> None:
    check_folder("owner/name")
    bert().save_pretrained(tmp_path)
    check_folder(tmp_path)
