"""The nearest words: of an embedding matrix, and of a file of word vectors with all that such files hold."""

import gzip
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_masked_lm
import torch

from tinybert_hf.data.augmentation_candidates import EmbeddingNeighbours, GloveVectors, WordTable
from tinybert_hf.data.augmentation_words import Vocabulary
from tinybert_hf.errors import DataError


def oracle(words: list[str], vectors: np.ndarray, word: str, vector: np.ndarray, count: int) -> set[str]:
    """One word after the other, by the definition of the cosine."""
    cosines = {
        other: float(vector @ own / np.linalg.norm(vector) / np.linalg.norm(own))
        for other, own in zip(words, vectors.astype(np.float64), strict=True)
        if other.lower() != word.lower()
    }
    return set(sorted(cosines, key=lambda other: -cosines[other])[:count])


def test_the_nearest_whole_words_of_the_embeddings() -> None:
    model, tokenizer = tiny_masked_lm.make()
    vocabulary = Vocabulary(tokenizer)
    matrix = model.get_input_embeddings().weight.detach()
    neighbours = EmbeddingNeighbours(matrix, vocabulary)
    whole = {number: word for number, word in vocabulary.words.items() if word.isascii()}
    assert set(tiny_masked_lm.WORDS) < set(whole.values())
    assert not {"##s", "[MASK]", "[unused1]", "1999", ",", "9"} & set(vocabulary.words.values())
    words = ["Film", "songs", "sequels", "good", "songs"]
    pieces = [tokenizer.convert_tokens_to_ids(tokenizer.tokenize(word)) for word in words]
    found = neighbours.words(words, pieces, 4)
    for word, ids, near in zip(words, pieces, found, strict=True):
        vector = matrix[ids].double().mean(dim=0).numpy()
        assert set(near) == oracle(list(whole.values()), matrix[list(whole)].numpy(), word, vector, 4), word
    assert found[1] == found[4]
    (chinese,) = neighbours.words(["电"], [tokenizer.convert_tokens_to_ids(["电"])], 4)
    assert len(chinese) == 4
    assert all("\u4e00" <= word <= "\u9fff" for word in chinese)


def test_equally_near_words_do_not_depend_on_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(1, 64, generator=generator)
    vectors = one * (1 + torch.rand(40, 1, generator=generator))  # all of the same direction, but for rounding
    words = [f"w{chr(97 + index // 26)}{chr(97 + index % 26)}" for index in range(40)]
    table = WordTable(words, vectors)
    together = table.nearest(words, vectors.double(), 5)
    alone = [table.nearest([word], vector[None], 5)[0] for word, vector in zip(words, vectors.double(), strict=True)]
    assert together == alone


VECTORS = {
    "film": "1.0 0.0 0.5",
    "movie": "0.9 0.1 0.5",
    "Paris": "-1 2e-1 0",
    "good": "0 1 0.1",
    "great": "0.1 1 .2",
    ".": "5 5 5",
    "1999": "9 1 1",
}
LINES = [f"{word} {numbers}" for word, numbers in VECTORS.items()]


def write(path: Path, lines: list[str | bytes]) -> Path:
    content = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("header", [[], ["7 3"]])
@pytest.mark.parametrize("name", ["vectors.txt", "vectors.txt.gz"])
def test_word_vectors_with_and_without_a_header(tmp_path: Path, header: list[Any], name: str) -> None:
    pytest.importorskip("gensim")
    glove = GloveVectors(write(tmp_path / name, [*header, *LINES]))
    assert glove.notes == []
    assert glove.words(["Film", "good", "unheard", "paris", "Paris"], [[]] * 5, 1) == [
        ["movie"],
        ["great"],
        [],
        [],
        ["good"],
    ]
    assert [glove.knows(word) for word in ("FILM", "unheard", "Paris", "paris")] == [True, False, True, False]


def test_lines_that_cannot_be_used_are_counted(tmp_path: Path) -> None:
    pytest.importorskip("gensim")
    bad: list[Any] = [
        "short 1 2",
        "long 1 2 3 4",
        ". . . 1 2 3",
        "nan nan 1 2",
        "alone",
        "",
        "x 1  2 3",
        b"caf\xe9 1 2 3",
    ]
    glove = GloveVectors(write(tmp_path / "vectors.txt", [*LINES, *bad]))
    assert [note.partition(": ")[2] for note in glove.notes] == [
        "2 lines left out, not 3 numbers wide.",
        "4 lines left out, not a word and its numbers.",
        "1 line left out, not UTF-8.",
    ]
    assert glove.words(["film"], [[]], 1) == [["movie"]]


def test_of_a_word_that_stands_there_twice_the_first_vector_counts(tmp_path: Path) -> None:
    """As some files of GloVe have them; gensim alone would leave places without a word behind."""
    pytest.importorskip("gensim")
    alone = GloveVectors(write(tmp_path / "alone.txt", LINES))
    words = [line.split(" ")[0] for line in LINES]
    again = [f"{word} 9 9 9" for word in words]
    for header in ([], [f"{2 * len(LINES)} 3"]):
        glove = GloveVectors(write(tmp_path / "twice.txt", [*header, *LINES, *again]))
        (note,) = glove.notes
        assert f"{len(again)} lines left out, of a word that stands there already" in note
        for word in words:
            assert glove.words([word], [[]], 2) == alone.words([word], [[]], 2)


def test_files_without_vectors(tmp_path: Path) -> None:
    pytest.importorskip("gensim")
    for lines, expected in (
        ([], "holds no word vectors"),
        (["7 3"], "holds no word vectors"),
        (["only words here", "and here"], r"holds no word vectors .*not a word and its numbers"),
        ([". 1 2", ", 2 3", "1 2 3"], "holds no words"),
        ([b"\xff\x00"] * 3, "holds no word vectors"),
        ([b"\xff\xfe\x00"] * 3, "line 1: the file is UTF-16"),
    ):
        with pytest.raises(DataError, match=expected):
            GloveVectors(write(tmp_path / "vectors.txt", lines))
    with pytest.raises(DataError, match="does not exist"):
        GloveVectors(tmp_path / "nowhere.txt")
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"film 1 2 3\n" * 999)[:-9])
    with pytest.raises(DataError, match="not a whole gzip file"):
        GloveVectors(tmp_path / "cut.txt.gz")


def test_without_gensim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gensim", None)
    with pytest.raises(DataError, match=re.escape('pip install "tinybert_hf[glove]"')):
        GloveVectors(write(tmp_path / "vectors.txt", [*LINES]))


def test_tabs_between_a_word_and_its_numbers(tmp_path: Path) -> None:
    spaces, tabs = (
        GloveVectors(write(tmp_path / f"{kind}.txt", [line.replace(" ", between) for line in LINES]))
        for kind, between in (("spaces", " "), ("tabs", "\t"))
    )
    assert tabs.notes == []
    assert tabs.words(["film", "good"], [[]] * 2, 2) == spaces.words(["film", "good"], [[]] * 2, 2)


@pytest.mark.parametrize("line", [b"x" * 10**6, b"film 0.5 0.5\n" * 10**5], ids=["one line", "one word"])
def test_vectors_that_unpack_without_end_are_refused_at_the_usual_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr("tinybert_hf.data.raw_rows.UNPACKED_ANYWAY", 1 << 20)
    with gzip.open(tmp_path / "bomb.txt.gz", "wb") as handle:
        handle.write("\n".join([*LINES, ""]).encode())
        handle.writelines([line] * 3)
    with pytest.raises(DataError, match=r"bomb\.txt\.gz unpacks to more than 100 times its size"):
        GloveVectors(tmp_path / "bomb.txt.gz")


def test_a_long_line_of_digits_takes_no_time_and_numbers_are_finite(tmp_path: Path) -> None:
    (note,) = GloveVectors(write(tmp_path / "long.txt", [*LINES, f"word {'1' * 300_000}x"])).notes
    assert "not a word and its numbers" in note
    wide = LINES[0].count(" ")
    with pytest.raises(DataError, match="the vector of 'vast' has a number that is too large"):
        GloveVectors(write(tmp_path / "endless.txt", [*LINES, "vast" + " 1e99" * wide]))


def test_a_header_that_says_something_else_is_said(tmp_path: Path) -> None:
    wide = LINES[0].count(" ")
    (note,) = GloveVectors(write(tmp_path / "cut.txt", [f"1000 {wide}", *LINES])).notes
    assert f"says 1,000 vectors of {wide} numbers, and {len(LINES)} of {wide} follow" in note
