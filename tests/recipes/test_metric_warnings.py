"""What is said of a teacher depends on whether it was fine-tuned in this run."""

from types import SimpleNamespace
from typing import Any

import pytest

from tinybert_hf.data import TaskData
from tinybert_hf.model import TinyBertConfig
from tinybert_hf.recipes.steps import teacher_warnings

ROWS: Any = {"label": [0, 0, 0, 1]}
CONFIG = TinyBertConfig(id2label={0: "bad", 1: "good"}, label2id={"bad": 0, "good": 1})
WRONG_ORDER = {"accuracy": 0.0, "better_label_order": {"order": [1, 0], "accuracy": 1.0}}


def plan(finetune: Any) -> Any:
    teacher, planned = SimpleNamespace(finetune=finetune), SimpleNamespace(config=CONFIG)
    data = TaskData(None, ROWS, ("bad", "good"), "single_label_classification")
    return SimpleNamespace(
        data=data, recipe=SimpleNamespace(teacher=teacher), teachers=[planned], student_config=CONFIG
    )


@pytest.mark.parametrize("metrics", [{"accuracy": 0.75}, WRONG_ORDER])
def test_the_order_of_the_labels_is_not_blamed_where_it_cannot_be_wrong(metrics: dict[str, Any]) -> None:
    (given,) = teacher_warnings(plan(None), metrics, ["x"])
    assert "order" in given or "id2label" in given
    (tuned,) = teacher_warnings(plan(object()), metrics, ["x"])
    assert "It was fine-tuned in this run" in tuned
    assert "--teacher-epochs" in tuned
    assert not [word for word in ("order", "id2label", "bad, good") if word in tuned]
    assert teacher_warnings(plan(object()), {"accuracy": 0.8}, ["x"]) == []
