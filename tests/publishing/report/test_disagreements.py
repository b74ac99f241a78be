"""Which rows count as disagreements, against plain loops and scipy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from tinybert_hf.checkpoints.run_record import read_run
from tinybert_hf.publishing.report_rows import Moved, _compare, compare_classifiers, cut, divergence


def probabilities(rows: int, labels: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(labels) * 0.5, rows)


def test_divergence_is_that_of_scipy() -> None:
    teacher, student = probabilities(30, 3, 0), probabilities(30, 3, 1)
    np.testing.assert_allclose(
        divergence(teacher, student), [entropy(t, s) for t, s in zip(teacher, student, strict=True)]
    )


def test_every_row_counts_once_and_the_worst_comes_first() -> None:
    teacher, student = probabilities(60, 3, 0), probabilities(60, 3, 1)
    labels = np.random.default_rng(2).integers(0, 3, 60).tolist()
    found, counts, _ = _compare("single_label_classification", student, teacher, labels, ["a", "b", "c"])
    expected = dict.fromkeys(dict(counts), 0)
    for s, t, gold in zip(student.argmax(1), teacher.argmax(1), labels, strict=True):
        name = {
            (True, True): "same answer, right" if s == gold else "same answer, wrong",
            (False, True): "teacher right, student wrong",
            (False, False): "student right, teacher wrong" if s == gold else "different answers, both wrong",
        }[bool(s == t), bool(s == t or t == gold)]
        expected[name] += 1
    assert dict(counts) == expected
    assert min(expected.values()) > 0
    distances = [distance for *_, distance in found]
    assert distances == sorted(distances, reverse=True)
    row, answers, right, _ = found[0]
    assert answers["teacher"].startswith("abc"[teacher[row].argmax()])
    assert right["student"] == (student[row].argmax() == labels[row])


def test_sets_of_labels_and_numbers() -> None:
    teacher, student = np.array([[0.9, 0.2], [0.6, 0.6]]), np.array([[0.8, 0.1], [0.1, 0.9]])
    found, counts, _ = _compare("multi_label_classification", student, teacher, [[1, 0], [1, 1]], ["x", "y"])
    assert [row for row, *_ in found] == [1, 0]
    assert found[0][3] == pytest.approx(entropy([0.6, 0.4], [0.1, 0.9]) + entropy([0.6, 0.4], [0.9, 0.1]))
    assert found[0][1] == {"label": "x, y", "teacher": "x (60.0%), y (60.0%)", "student": "y (90.0%)"}
    assert dict(counts)["teacher all right, student not"] == 1
    assert dict(counts)["same labels, all right"] == 1
    found, counts, _ = _compare("regression", np.array([[1.0], [2.0]]), np.array([[1.5], [4.0]]), [1.0, 5.0], ["n"])
    assert [(row, distance) for row, *_, distance in found] == [(1, 2.0), (0, 0.5)]
    assert dict(counts) == {"student nearer to the label": 1, "teacher nearer to the label": 1, "equally near": 0}


def test_answers_are_those_of_the_saved_models(finished: Path, teacher: str) -> None:
    comparison = compare_classifiers(read_run(finished), Moved(device="cpu"))
    assert (comparison.rows, comparison.of_rows) == (13, 13)
    for who, folder in (("student", str(finished)), ("teacher", teacher)):
        answer = pipeline("text-classification", folder, device="cpu")
        for row in comparison.worst:
            said = answer(row.texts["text"], truncation=True, max_length=16)[0]
            assert row.answers[who] == f"{said['label']} ({said['score']:.1%})"


def test_rows_are_capped(finished: Path) -> None:
    comparison = compare_classifiers(read_run(finished), Moved(device="cpu"), most_rows=5, shown=2)
    assert (comparison.rows, comparison.of_rows, len(comparison.worst)) == (5, 13, 2)
    assert sum(count for _, count in comparison.counts) == 5


def test_a_teacher_with_its_labels_in_another_order(finished: Path, teacher: str, tmp_path: Path) -> None:
    turned = AutoModelForSequenceClassification.from_pretrained(teacher)
    turned.classifier.weight.data = turned.classifier.weight.data[[1, 0]]
    turned.classifier.bias.data = turned.classifier.bias.data[[1, 0]]
    turned.config.id2label, turned.config.label2id = {0: "positive", 1: "negative"}, {"positive": 0, "negative": 1}
    turned.save_pretrained(tmp_path / "turned")
    AutoTokenizer.from_pretrained(teacher).save_pretrained(tmp_path / "turned")
    straight = compare_classifiers(read_run(finished), Moved(device="cpu"))
    crossed = compare_classifiers(read_run(finished), Moved(teachers=(str(tmp_path / "turned"),), device="cpu"))
    assert crossed.counts == straight.counts
    assert [row.answers for row in crossed.worst] == [row.answers for row in straight.worst]


def test_long_texts_are_cut() -> None:
    assert cut("short") == "short"
    assert cut("x" * 5000).endswith("… (5,000 letters)")
    assert len(cut("x" * 5000)) < 700


def test_the_teacher_that_was_trained_in_the_run_is_found_beside_it(
    finished: Path, teacher: str, tmp_path: Path
) -> None:
    moved = Path(shutil.copytree(finished, tmp_path / "elsewhere"))
    shutil.copytree(teacher, moved / "teacher")
    content = json.loads((moved / "run.json").read_text())
    content["recipe"]["teacher"] |= {"model": None, "config": {"hidden_size": 32}}
    (moved / "run.json").write_text(json.dumps(content))
    run = read_run(moved)
    assert run.teacher_names == ["a teacher that was trained in the same run"]
    assert compare_classifiers(run, Moved(device="cpu")).counts
