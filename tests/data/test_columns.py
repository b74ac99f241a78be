"""Columns that nobody named: the obvious ones, where the file has them."""

import json
import re
from pathlib import Path

import pytest

from tinybert_hf.data import TASKS
from tinybert_hf.data.corpus_sources import file_lines
from tinybert_hf.data.files import TextFiles, with_obvious_columns
from tinybert_hf.data.settings import CorpusSettings, DataSettings
from tinybert_hf.errors import DataError


def settings(folder: Path, *columns: str, **given: str) -> DataSettings:
    file = folder / "rows.jsonl"
    file.write_text(json.dumps(dict.fromkeys(columns, "x")) + "\n", encoding="utf-8")
    return DataSettings(train_file=str(file), **given)


@pytest.mark.parametrize(
    ("there", "given", "chosen"),
    [
        (("text", "label"), {}, ("text", "label")),
        (("sentence", "labels"), {}, ("sentence", "labels")),
        (("sentence", "text", "labels", "label"), {}, ("text", "label")),
        # What the settings say comes first, whatever else there is.
        (("text", "sentence", "label"), {"text_column": "sentence"}, ("sentence", "label")),
        (("text", "label"), {"text_column": "sentence"}, ("text", "label")),
        # A name that is not obvious was chosen by somebody: reading the file then says that it is not there.
        (("text", "label"), {"text_column": "review"}, ("review", "label")),
        (("review", "stars"), {}, ("text", "label")),
    ],
)
def test_chosen_columns(
    tmp_path: Path, there: tuple[str, ...], given: dict[str, str], chosen: tuple[str, str]
) -> None:
    found = with_obvious_columns(settings(tmp_path, *there, **given))
    assert (found.text_column, found.label_column) == chosen


def test_named_columns_stay(tmp_path: Path) -> None:
    found = with_obvious_columns(settings(tmp_path, "sentence", "labels"), named=["text_column"])
    assert (found.text_column, found.label_column) == ("text", "labels")


def test_the_validation_file_where_there_is_no_other(tmp_path: Path) -> None:
    train = settings(tmp_path, "sentence", "label")
    alone = DataSettings(validation_file=train.train_file)
    assert with_obvious_columns(alone).text_column == "sentence"


def test_without_a_readable_file_nothing_changes() -> None:
    for one in (DataSettings(dataset="demo-sentiment"), DataSettings(train_file="nowhere.jsonl")):
        assert with_obvious_columns(one) == one


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("text-classification", {"--text-column", "--text-pair-column", "--label-column"}),
        ("token-classification", {"--tokens-column", "--tags-column"}),
        ("translation", {"--source-column", "--target-column"}),
        ("question-answering", set()),
    ],
)
def test_an_absent_column_names_the_options_of_its_own_task(task: str, options: set[str], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no column .*data\.\w+_column") as caught:
        TASKS[task].load(settings(tmp_path, "other"), need_validation=False)
    assert set(re.findall(r"--[a-z-]+", str(caught.value))) == options


def test_an_absent_column_of_plain_text_has_one_option(tmp_path: Path) -> None:
    file = settings(tmp_path, "other").train_file
    assert file is not None
    for read in (TextFiles((file,)).check, lambda: list(file_lines(file, CorpusSettings(files=(file,))))):
        with pytest.raises(DataError, match="no column 'text'") as caught:
            read()
        assert re.findall(r"--[a-z-]+", str(caught.value)) == ["--text-column"]
