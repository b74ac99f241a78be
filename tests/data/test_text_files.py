"""Text out of files: every kind, pieces of long documents, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tinybert_hf.data.files import MAX_CHARACTERS, TextFiles, pieces
from tinybert_hf.errors import DataError

TEXTS = ["a good film", "ein guter Film", "好电影"]


def write(folder: Path, name: str, content: bytes | str) -> str:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    return str(folder / name)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.jsonl", "a.jsonl.gz", "a.json", "a.csv", "a.tsv.gz"])
def test_every_kind_of_file(name: str, tmp_path: Path) -> None:
    rows = [{"text": text, "label": "x"} for text in TEXTS]
    if ".txt" in name:
        content = "\r\n".join(["", *TEXTS, "  ", ""])
    elif ".json" in name:
        content = json.dumps(rows) if name == "a.json" else "\n".join(json.dumps(row) for row in rows)
    else:
        cut = "," if ".csv" in name else "\t"
        content = "\n".join([f"text{cut}label", *(f"{text}{cut}x" for text in TEXTS)])
    files = TextFiles((write(tmp_path, name, content),))
    files.check()
    assert list(files) == TEXTS
    assert list(files) == TEXTS  # it can be read again


def test_parquet_several_columns_and_files(tmp_path: Path) -> None:
    from datasets import Dataset

    path = str(tmp_path / "a.parquet")
    Dataset.from_dict({"first": TEXTS, "second": ["x", None, ""]}).to_parquet(path)
    line = write(tmp_path, "b.txt", "one line")
    assert list(TextFiles((path,), ("first", "second"))) == [TEXTS[0], "x", *TEXTS[1:]]
    sentence = write(tmp_path, "c.jsonl", '{"sentence": "here", "text_id": 3}')
    assert list(TextFiles((line, sentence))) == ["one line", "here"]


def test_a_long_document_is_cut_between_words(tmp_path: Path) -> None:
    document = " ".join(f"word{index}" for index in range(60_000))
    found = list(TextFiles((write(tmp_path, "a.txt", document),)))
    assert len(found) > 4
    assert "".join(found) == document
    assert max(map(len, found)) <= MAX_CHARACTERS
    assert [word for piece in found for word in piece.split()] == document.split()
    assert list(pieces("x" * 25, 10)) == ["x" * 10, "x" * 10, "x" * 5]  # nowhere to cut
    assert list(pieces(" " * 5 + "x" * 10, 6)) == ["     x", "xxxxxx", "xxx"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.txt", "\n \n\t\n", "there is no text in it"),
        ("a.jsonl", '{"text": " "}', "there is no text in it"),
        ("a.txt", "caf\u00e9".encode("latin-1"), "line 1: byte 0xe9 is not UTF-8"),
        ("a.jsonl", '{"title": "x"}', "has no column 'text'"),
        ("a.jsonl", '{"text": 3}', "row 1, column 'text': 3 is no text"),
        ("a.jsonl", '{"text": "\\ud800"}', "half a surrogate pair"),
        ("a.txt", "", "is empty"),
        ("a.pdf", "x", "its format is unknown. Known: .txt,"),
    ],
)
def test_what_is_refused(name: str, content: str | bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        list(TextFiles((write(tmp_path, name, content),)))
    assert words in str(error.value)


def test_names_are_checked_before_anything_is_read(tmp_path: Path) -> None:
    there = write(tmp_path, "a.jsonl", '{"sentence": "x"}')
    with pytest.raises(DataError, match=r"b\.txt does not exist"):
        TextFiles((there, str(tmp_path / "b.txt"))).check()
    with pytest.raises(DataError, match=r"'sentense'.* Did you mean 'sentence'"):
        TextFiles((there,), ("sentense",)).check()
    with pytest.raises(DataError, match="no corpus"):
        TextFiles(()).check()
    with pytest.raises(DataError, match="is a folder"):
        TextFiles((str(tmp_path),)).check()
