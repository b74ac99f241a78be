"""Rows without labels: the phases learn the teacher's answers to them, and nothing else of a run does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny_entities
import tiny_run

from tinybert_hf.checkpoints.model_card import card_of
from tinybert_hf.checkpoints.run_record import read_run
from tinybert_hf.errors import DataError, OutputFolderError, RecipeError
from tinybert_hf.publishing.report import summary
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.report import describe_plan
from tinybert_hf.recipes.schema import Recipe


def recipe(
    folder: Path, model: str, tiny: Any = tiny_run, data: dict[str, Any] | None = None, **changes: Any
) -> Recipe:
    """From random weights: a start from the teacher looks at the training rows alone."""
    folder.mkdir(exist_ok=True)
    student = {"preset": "4l-312d", "overrides": tiny_run.STUDENT, "init": "random"}
    mapping = tiny.recipe_mapping(folder, model, student=student, baseline=None, **changes)
    return build(Recipe, {**mapping, "data": {**mapping["data"], **(data or {})}})


def weights(one: Recipe) -> bytes:
    return (Path(one.folder) / "model.safetensors").read_bytes()


def test_rows_without_labels_teach_as_much_as_rows_with_them(teacher: str, tmp_path: Path) -> None:
    """The oracle: all rows in one file with labels. The phases read no label, so the students are the same."""
    whole = recipe(tmp_path / "whole", teacher)
    tiny_run.carry_out(whole)
    (tmp_path / "parts").mkdir()
    bare = [{"text": row["text"], "label": 17} for row in tiny_run.rows()[24:]]
    file = tiny_run.write_rows(tmp_path / "parts" / "more.jsonl", bare)
    parts = recipe(tmp_path / "parts", teacher, data={"unlabelled_file": file})
    tiny_run.write_rows(tmp_path / "parts" / "train.jsonl", tiny_run.rows()[:24])
    assert "rows: 24 train, 16 validation, 24 without labels" in describe_plan(make_plan(parts))
    content, printed = tiny_run.carry_out(parts)
    assert weights(parts) == weights(whole)
    assert content["unlabelled_rows"] == 24
    assert "The phases also learn the teacher's answers to 24 further rows without labels" in printed
    assert "and 24 further rows without labels." in summary(read_run(parts.folder))
    assert "the teacher's answers to 24 rows without labels (more.jsonl)" in card_of(parts.folder)
    # A run knows what it was begun with.
    tiny_run.write_rows(tmp_path / "parts" / "more.jsonl", bare[1:])
    with pytest.raises(OutputFolderError):
        make_plan(parts)


@pytest.mark.slow
def test_words_without_tags(tmp_path: Path) -> None:
    pytest.importorskip("seqeval")
    model = tiny_entities.make_teacher(tmp_path / "teacher")
    whole = recipe(tmp_path / "whole", model, tiny_entities)
    tiny_run.carry_out(whole)
    (tmp_path / "parts").mkdir()
    bare = [{"tokens": row["tokens"]} for row in tiny_entities.rows()[10:]]
    file = tiny_run.write_rows(tmp_path / "parts" / "more.jsonl", [{"tokens": []}, *bare])
    parts = recipe(tmp_path / "parts", model, tiny_entities, data={"unlabelled_file": file})
    tiny_run.write_rows(tmp_path / "parts" / "train.jsonl", tiny_entities.rows()[:10])
    content, printed = tiny_run.carry_out(parts)
    assert weights(parts) == weights(whole)
    assert content["unlabelled_rows"] == 30
    assert "1 of 31 rows have no words: left out" in printed


def test_beside_copies_and_pairs(teacher: str, tmp_path: Path) -> None:
    """Copies are made of the training rows alone; both sides of a pair are read."""
    pairs = [{"text": row["text"], "other": "the plot was good", "label": row["label"]} for row in tiny_run.rows()]
    (tmp_path / "a").mkdir()
    file = tiny_run.write_rows(tmp_path / "a" / "more.jsonl", [{"text": "a play", "other": "a song"}] * 32)
    data = {"unlabelled_file": file, "max_unlabelled_rows": 16, "text_pair_column": "other"}
    one = recipe(tmp_path / "a", teacher, data=data, augmentation={"copies": 2})
    for name in ("train", "validation"):
        tiny_run.write_rows(tmp_path / "a" / f"{name}.jsonl", pairs)
    content, _ = tiny_run.carry_out(one)
    assert content["augmentation"]["augmented_rows"] == 96
    assert content["unlabelled_rows"] == 16
    assert [phase["steps"] for phase in content["phases"]] == [10, 10]  # 48 + 96 + 16 rows, 16 a step


def test_lines_of_text(teacher: str, tmp_path: Path) -> None:
    """The same as rows; not where a row is more than one text."""
    texts = [row["text"] for row in tiny_run.rows(12)]
    (tmp_path / "more.txt").write_text("\n\n".join(texts) + "\n \n")
    data = {"unlabelled_file": str(tmp_path / "more.txt")}
    found = make_plan(recipe(tmp_path / "a", teacher, data=data)).data.unlabelled
    assert found is not None
    assert found["text"][:] == texts
    data["max_unlabelled_rows"] = 5
    assert make_plan(recipe(tmp_path / "a", teacher, data=data)).data.unlabelled["text"][:] == texts[:5]
    with pytest.raises(DataError, match="single texts, and the rows of this task have 'text' and 'label'"):
        make_plan(recipe(tmp_path / "b", teacher, data={**data, "text_pair_column": "label"}))
    (tmp_path / "more.txt").write_text("\n \n")
    with pytest.raises(DataError, match=r"more\.txt has no rows"):
        make_plan(recipe(tmp_path / "b", teacher, data=data))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([{"sentence": "a play"}], "more.jsonl has no column 'text'.*under the same names"),
        ([{"text": "a play"}, {"text": None}], r"more.jsonl, row 2, column 'text': the text is missing"),
    ],
)
def test_bad_rows_are_refused_before_anything_is_trained(
    teacher: str, tmp_path: Path, content: list[dict[str, Any]], problem: str
) -> None:
    file = tiny_run.write_rows(tmp_path / "more.jsonl", content)
    with pytest.raises(DataError, match=problem):
        make_plan(recipe(tmp_path / "a", teacher, data={"unlabelled_file": file}))


def test_words_have_to_be_lists_of_strings(tmp_path: Path) -> None:
    model = tiny_entities.make_teacher(tmp_path / "teacher")
    for content, problem in (
        ([{"tokens": "Ada left"}], "expected a list, one value a word"),
        ([{"tokens": ["Ada", None]}], "word 1 is None; it must be a string"),
        ([{"tokens": []}], "no row has any word"),
    ):
        file = tiny_run.write_rows(tmp_path / "more.jsonl", content)
        with pytest.raises(DataError, match=problem):
            make_plan(recipe(tmp_path / "a", model, tiny_entities, data={"unlabelled_file": file}))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"phases": [{"name": "prediction", "label_loss_weight": 0.5}]},
            "phases.0.label_loss_weight: it needs labels, and the rows of data.unlabelled_file have none",
        ),
        (
            {"phases": [{"name": "prediction", "train_rows": 10}]},
            "phases.0.train_rows: .* the rows of data.unlabelled_file stand behind the training rows",
        ),
        ({"task": "question-answering"}, "data.unlabelled_file: .* the task is question-answering. Leave it out"),
        (
            {"task": "translation", "student": {"preset": "seq2seq-3-1-128d"}},
            "A translator's are named by pseudo_labels.unlabelled_file",
        ),
    ],
)
def test_what_does_not_go_together(changes: dict[str, Any], problem: str) -> None:
    mapping = {
        "name": "x",
        "data": {"unlabelled_file": "more.jsonl"},
        "teacher": {"model": "x"},
        "student": {"preset": "4l-312d"},
        **changes,
    }
    with pytest.raises(RecipeError, match=problem):
        build(Recipe, mapping)
