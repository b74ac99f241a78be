"""Sentences of any text as further rows: which ones, how many, and that the same ones come each time."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_entities
import tiny_run
from datasets import Dataset

from tinybert_hf.data import text_corpus
from tinybert_hf.data.tasks import TaskData
from tinybert_hf.data.text_corpus import with_sentences
from tinybert_hf.errors import DataError, OutputFolderError, RecipeError
from tinybert_hf.recipes.loader import build
from tinybert_hf.recipes.plan import make_plan
from tinybert_hf.recipes.schema import Recipe

TEXT = (
    'The cat sat there. "Why not?" she said! '
    "Nobody knew it's (really?) At all.\n"
    "A second line of it. No. And a third one.\n"
    "\n"
    "Another document begins here. It has two of them.\n"
)
SENTENCES = [
    "The cat sat there.", '"Why not?" she said!', "Nobody knew it's (really?)", "At all.", "A second line of it.",
    "No.", "And a third one.", "Another document begins here.", "It has two of them.",
]  # fmt: skip


def data(**columns: list[Any]) -> TaskData:
    rows = Dataset.from_dict({**columns, "label": [0] * len(next(iter(columns.values())))})
    return TaskData(rows, rows.select([0]), ("a",), "single_label_classification", ())


def rows_of(found: TaskData) -> Any:
    assert found.unlabelled is not None
    assert "label" not in found.unlabelled.column_names
    return found.unlabelled


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "any.txt").write_text(TEXT)
    return str(tmp_path / "any.txt")


def test_sentences_of_the_length_that_the_rows_have(file: str) -> None:
    found, notes = with_sentences(data(text=["x" * 3, "x" * 40]), file, 100)
    assert rows_of(found)["text"][:] == SENTENCES
    assert notes == (f"9 sentences of {file} are learnt from without labels (none was left out). 100 were wanted: it "
                     "holds no more.",)  # fmt: skip
    # A twentieth of forty rows is shorter, and a twentieth longer.
    lengths = [1, 2, *[10] * 18, *[18] * 18, 90, 99]
    found, notes = with_sentences(data(text=["x" * length for length in lengths]), file, 100)
    assert rows_of(found)["text"][:] == [one for one in SENTENCES if 7 <= len(one) <= 22]
    assert "(left out: 3 of another length)" in notes[0]


def test_neighbours_of_one_document(file: str, tmp_path: Path) -> None:
    rows = data(text=["x", "x" * 40], text_pair=["y", "y" * 40])
    found, _ = with_sentences(rows, file, 100)
    pairs = [(row["text"], row["text_pair"]) for row in rows_of(found)]
    assert pairs == [
        tuple(SENTENCES[place : place + 2]) for place in (0, 2, 4, 7)
    ]  # the seventh has no neighbour left
    # A table whose rows are sentences says which of them belong together.
    lines = [{"document": int(n > 6), "text": one} for n, one in enumerate(SENTENCES)]
    (tmp_path / "any.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found, _ = with_sentences(rows, str(tmp_path / "any.jsonl"), 100)
    assert [(row["text"], row["text_pair"]) for row in rows_of(found)] == pairs
    (tmp_path / "one.txt").write_text("A line alone.")
    with pytest.raises(DataError, match=r"one\.txt: nothing in it can be a further row"):
        with_sentences(rows, str(tmp_path / "one.txt"), 100)


def test_rows_of_words(file: str, tmp_path: Path) -> None:
    found, _ = with_sentences(data(tokens=[["x"], ["x"] * 10]), file, 100)
    assert rows_of(found)["tokens"][:3] == [
        ["The", "cat", "sat", "there", "."], ['"', "Why", "not", "?", '"', "she", "said", "!"],
        ["Nobody", "knew", "it's", "(", "really", "?", ")"],
    ]  # fmt: skip
    (tmp_path / "zh.txt").write_text("他来了。你走了！")
    chinese = data(tokens=[["我"], list("我们在这里看书写字")])
    found, _ = with_sentences(chinese, str(tmp_path / "zh.txt"), 100)
    assert rows_of(found)["tokens"][:] == [list("他来了。"), list("你走了！")]


def test_what_is_measured_on_and_what_is_there_twice_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "any.txt"
    file.write_text("One  here.\nTwo here.\nONE here.\nTwo here.\nThree here.")
    found, notes = with_sentences(data(text=["one here.", "three here!!"]), str(file), 100)
    assert rows_of(found)["text"][:] == ["Two here.", "Three here."]
    assert "left out: 2 measured on, 1 there twice" in notes[0]


def test_how_many_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "any.txt"
    lines = [f"Number {number:04d}." for number in range(1000)]
    file.write_text("\n".join(lines))
    rows = data(text=[f"number {number:03d}.." for number in range(20)])
    found, notes = with_sentences(rows, str(file), 50)
    drawn = rows_of(found)["text"][:]
    assert (len(drawn), drawn) == (50, sorted(set(drawn)))
    assert 300 < sum(lines.index(one) for one in drawn) / 50 < 700, "from all of the file"
    assert "950 not drawn" in notes[0]
    assert rows_of(with_sentences(rows, str(file), 50)[0])["text"][:] == drawn
    # Nothing is said: ten for each row, or as many as bring all up to a number; none where that is reached.
    assert len(rows_of(with_sentences(rows, str(file), None)[0])) == 200
    more, _ = with_sentences(found, str(file), None)
    assert len(rows_of(more)) == 50 + 200
    monkeypatch.setattr(text_corpus, "UP_TO_ROWS", 90)
    more, _ = with_sentences(found, str(file), None)
    assert rows_of(more)["text"][:50] == drawn
    assert len(rows_of(more)) == 70
    monkeypatch.setattr(text_corpus, "UP_TO_ROWS", 70)
    same, notes = with_sentences(found, str(file), None)
    assert same is found
    assert "No sentences of" in notes[0]
    monkeypatch.setattr(text_corpus, "MOST_SENTENCES", 30)
    assert len(rows_of(with_sentences(rows, str(file), 100)[0])) == 30


def test_another_script_is_said(tmp_path: Path) -> None:
    (tmp_path / "ru.txt").write_text("Он пришёл сюда. Она ушла отсюда.", encoding="utf-8")
    _, notes = with_sentences(data(text=["a", "a" * 40]), str(tmp_path / "ru.txt"), 5)
    assert notes[1] == (
        f"{tmp_path / 'ru.txt'} is written in Cyrillic letters and the training rows in Latin letters: the "
        "teacher may not know it."
    )


def test_in_a_run(teacher: str, tmp_path: Path) -> None:
    (tmp_path / "any.txt").write_text("\n".join(f"a good {noun} was made" for noun in tiny_run.NOUNS))
    mapping = tiny_run.recipe_mapping(tmp_path, teacher, baseline=None)
    mapping["data"] |= {"text_corpus": str(tmp_path / "any.txt"), "text_corpus_rows": 4}
    content, printed = tiny_run.carry_out(build(Recipe, mapping))
    assert content["unlabelled_rows"] == 4
    assert "4 sentences of" in printed
    assert "4 rows without labels (any.txt)" in (Path(content["folder"]) / "README.md").read_text()
    (tmp_path / "any.txt").write_text("A text that is another one.")
    with pytest.raises(OutputFolderError, match=r"content of .*any\.txt"):
        make_plan(build(Recipe, mapping))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"text_corpus_rows": 4}, "there is no data.text_corpus"),
        ({"text_corpus": "absent.txt"}, "absent.txt does not exist"),
    ],
)
def test_refused(teacher: str, tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    mapping = tiny_run.recipe_mapping(tmp_path, teacher, baseline=None)
    mapping["data"] |= changes
    with pytest.raises((DataError, RecipeError), match=problem):
        make_plan(build(Recipe, mapping))


def test_labels_cannot_be_learnt_from_it(tmp_path: Path) -> None:
    model = tiny_entities.make_teacher(tmp_path / "teacher")
    mapping = tiny_entities.recipe_mapping(tmp_path, model, baseline=None)
    mapping["data"] |= {"text_corpus": "any.txt"}
    mapping["phases"][0]["label_loss_weight"] = 1.0
    with pytest.raises(RecipeError, match=r"the rows of data\.text_corpus have none"):
        make_plan(build(Recipe, mapping))
