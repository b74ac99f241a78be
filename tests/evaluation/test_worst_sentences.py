"""The worst sentences first, and files from which every text comes back as it was."""

import csv
import json

import pytest

from tinybert_hf.data.files import read_file
from tinybert_hf.errors import DataError
from tinybert_hf.evaluation import sentence_chrf, worst_sentences, write_worst_sentences

SOURCES = ["a dog", 'a "cat" | sees', "the\ttree", "the house", "new\nline"]
REFERENCES = ["ein Hund", 'eine "Katze" | sieht', "der\tBaum", "das Haus", "neue\nZeile"]
TEACHER = ["ein Hund", 'eine "Katze" | sah', "Baum", "das Haus", "neue\nZeile"]
STUDENT = ["ein Hund", "Auto", "der\tBaum", "Maus", "neue Zelle"]
TEXTS = (SOURCES, REFERENCES, TEACHER, STUDENT)


def test_sorted_by_what_the_student_loses():
    teacher, student = sentence_chrf(TEACHER, REFERENCES), sentence_chrf(STUDENT, REFERENCES)
    losses = [above - below for above, below in zip(teacher, student, strict=True)]
    assert losses[2] < 0 == losses[0]
    rows = worst_sentences(*TEXTS)
    assert [row["row"] - 1 for row in rows] == sorted(range(5), key=lambda i: -losses[i])
    for row in rows:
        i = row["row"] - 1
        assert (row["source"], row["reference"], row["teacher"], row["student"]) == tuple(t[i] for t in TEXTS)
        metrics = (row["loss"], row["teacher_chrf"], row["student_chrf"])
        assert metrics == pytest.approx((losses[i], teacher[i], student[i]), abs=0.006)


def test_equal_losses_keep_their_order_and_the_rest_is_left_out():
    rows = worst_sentences(["x"] * 4, ["ab"] * 4, ["ab"] * 4, ["", "ab", "", ""], count=3)
    assert [row["row"] for row in rows] == [1, 3, 4]
    assert len(worst_sentences(["x"] * 60, ["ab"] * 60, ["ab"] * 60, [""] * 60)) == 50
    assert len(worst_sentences(["x"] * 60, ["ab"] * 60, ["ab"] * 60, [""] * 60, count=None)) == 60


def test_json_lines(tmp_path):
    path = write_worst_sentences(tmp_path / "new" / "worst.jsonl", *TEXTS)
    assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] == worst_sentences(*TEXTS)


def test_json_lines_can_be_read_by_people(tmp_path):
    text = write_worst_sentences(tmp_path / "worst.jsonl", ["tree"], ["树"], ["树"], ["木"]).read_text("utf-8")
    assert "树" in text
    assert text.endswith("\n")


def test_tsv(tmp_path):
    path = write_worst_sentences(str(tmp_path / "worst.tsv"), *TEXTS)
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle, delimiter="\t"))
    assert rows == [{name: str(value) for name, value in row.items()} for row in worst_sentences(*TEXTS)]
    ours = read_file(str(path), ["source", "student"], None)
    assert ours.columns["student"] == [row["student"] for row in rows]


def test_markdown(tmp_path):
    text = write_worst_sentences(tmp_path / "worst.MD", *TEXTS, count=2).read_text("utf-8")
    first, second = worst_sentences(*TEXTS, count=2)
    assert text.count("### Row") == 2
    assert text.startswith(f"### Row {first['row']}: {first['loss']} chrF lost\n")
    cells = [
        line.replace(r"\|", "!").strip("| \n").split(" | ") for line in text.splitlines() if line.startswith("| ")
    ]
    assert all(len(cell) in (2, 3) for cell in cells)
    assert r'eine "Katze" \| sieht' in text
    assert f"| student | {second['student']} | {second['student_chrf']} |" in text
    markup = write_worst_sentences(tmp_path / "m.md", ["*a* <b> [c] `d`\ne"], ["x"], ["x"], ["y"]).read_text("utf-8")
    assert r"| source | \*a\* \<b\> \[c\] \`d\` e |  |" in markup


def test_refused(tmp_path):
    with pytest.raises(DataError, match=r"suffix '\.xlsx' is unknown; known are \.jsonl, \.tsv, \.md"):
        write_worst_sentences(tmp_path / "worst.xlsx", *TEXTS)
    with pytest.raises(DataError, match="5 sources, 5 references, 5 teacher, 4 student"):
        write_worst_sentences(tmp_path / "worst.tsv", *TEXTS[:3], STUDENT[1:])
    assert not list(tmp_path.iterdir())
