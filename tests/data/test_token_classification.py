"""Words and their tags: what is read, what is refused, and which piece carries which tag."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_entities
from tiny_run import write_rows
from transformers import RobertaTokenizer

from tinybert_hf.data import TASKS, DataSettings, TaskData, tokenizing_notes
from tinybert_hf.data.token_classification import WORD_STARTS, windows_of
from tinybert_hf.distillation import batch
from tinybert_hf.errors import DataError

TASK = TASKS["token-classification"]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., TaskData]:
    def read(train: list[Any], validation: list[Any] | None = None, names: Any = None, **options: Any) -> TaskData:
        files = {
            "train_file": write_rows(tmp_path / "train.jsonl", train),
            "validation_file": write_rows(tmp_path / "validation.jsonl", validation or train),
        }
        return TASK.load(DataSettings(**files, **options), need_train=names is None, label_names=names)

    return read


def row(*pairs: str) -> dict[str, Any]:
    """Of words written as "word/tag"."""
    words, tags = zip(*(pair.rsplit("/", 1) for pair in pairs), strict=True) if pairs else ((), ())
    return {"tokens": list(words), "ner_tags": list(tags)}


GOOD = [row("Ada/B-person", "Lee/I-person", "left/O"), row("to/O", "Rome/B-place")]


def test_labels_are_ordered_and_complete(load: Callable[..., TaskData]) -> None:
    data = load(GOOD)
    assert data.label_names == ("O", "B-person", "I-person", "B-place", "I-place")
    assert data.train is not None
    assert data.train[0] == {"tokens": ["Ada", "Lee", "left"], "tags": GOOD[0]["ner_tags"], "label": [1, 2, 0]}
    assert data.notes == ()
    assert data.config_fields["id2label"][3] == "B-place"


def test_ids_are_named(load: Callable[..., TaskData]) -> None:
    numbers = [{"tokens": ["Ada", "left"], "ner_tags": [1, 0]}]
    assert load(numbers, label_names=("O", "B-x")).label_names == ("O", "B-x")
    assert load(numbers, names=("O", "B-y")).validation["tags"] == [["B-y", "O"]]  # type: ignore[index]
    with pytest.raises(DataError, match="nothing says what they mean"):
        load(numbers)
    with pytest.raises(DataError, match=r"train\.jsonl, row 1, column 'ner_tags': the tag of word 0 is 1"):
        load(numbers, label_names=("O",))


def test_ids_are_named_by_the_dataset(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    features = Features({"tokens": List(Value("string")), "ner_tags": List(ClassLabel(names=["O", "B-x", "I-x"]))})
    rows = Dataset.from_dict({"tokens": [["a", "b"]], "ner_tags": [[1, 2]]}, features=features)
    rows.to_parquet(str(tmp_path / "rows.parquet"))
    settings = DataSettings(train_file=str(tmp_path / "rows.parquet"))
    data = TASK.load(settings, need_validation=False)
    assert data.train is not None
    assert data.train["tags"][0] == ["B-x", "I-x"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"tokens": ["a", "b"], "ner_tags": ["O"]}, "row 3, column 'ner_tags': 1 tag for 2 words"),
        ({"tokens": "a b", "ner_tags": ["O"]}, "row 3, column 'tokens': expected a list"),
        ({"tokens": ["a", None], "ner_tags": ["O", "O"]}, "row 3, column 'tokens': word 1 is None"),
        ({"tokens": ["a"], "ner_tags": [2.5]}, "row 3, column 'ner_tags': the tag of word 0 is 2.5"),
        ({"tokens": ["a"], "ner_tags": [1]}, "the tag of word 0 is 1, where another tag is of another type"),
        (row("a/E-person"), "row 3, column 'ner_tags': the tag of word 0 is 'E-person', which is not BIO"),
        (row("a/person"), "the tag of word 0 is 'person', which is not BIO"),
        (row("a/B-"), "the tag of word 0 is 'B-', which is not BIO"),
        ({"tokens": ["\ud800"], "ner_tags": ["O"]}, "word 0 holds half a surrogate pair"),
    ],
)  # fmt: skip
def test_bad_rows_are_refused_with_their_place(
    load: Callable[..., TaskData], bad: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        load([*GOOD, bad])


def test_lists_do_not_come_from_csv(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("tokens,ner_tags\na b,O O\n", encoding="utf-8")
    with pytest.raises(DataError, match="CSV and TSV hold no lists"):
        TASK.load(DataSettings(train_file=str(tmp_path / "rows.csv")), need_validation=False)


def test_a_missing_column_names_the_options(load: Callable[..., TaskData]) -> None:
    with pytest.raises(DataError, match=r"Did you mean 'ner_tags'.*--tags-column"):
        load(GOOD, tags_column="ner_tag")


def test_entities_that_begin_with_i_are_counted_and_begun(load: Callable[..., TaskData]) -> None:
    """IOB1: I- begins an entity, B- one that stands right behind another of its kind."""
    data = load([row("Ada/I-person", "Lee/I-person", "Bob/B-person", "Rome/I-place", "is/O", "Oslo/I-place")])
    assert data.train is not None
    assert data.train["tags"][0] == ["B-person", "I-person", "B-person", "B-place", "O", "B-place"]
    assert "3 I- tags have no B- or I- of their kind before them (the first:" in data.notes[0]
    assert "row 1, word 0, 'I-person'" in data.notes[0]
    model_without_b = load([row("Ada/I-person", "is/O")], names=("O", "I-person"))
    assert model_without_b.validation["tags"][0] == ["I-person", "O"]  # type: ignore[index]


def test_plain_labels_are_taken_and_said(load: Callable[..., TaskData]) -> None:
    data = load([row("we/PRON", "ran/VERB")])
    assert data.label_names == ("PRON", "VERB")
    assert "counted by accuracy" in data.notes[0]
    with pytest.raises(DataError, match="one tag only"):
        load([row("we/X")])


def test_unseen_tags_are_counted_and_strange_ones_refused(load: Callable[..., TaskData]) -> None:
    data = load(GOOD, [row("Ada/B-person", "ate/O", "bread/B-food")])
    assert data.validation is not None
    assert data.validation[0]["label"] == [1, 0, -100]
    assert data.validation[0]["tags"] == ["B-person", "O", "B-food"]
    assert "1 word has a tag not among the labels: B-food (1)" in data.notes[0]
    with pytest.raises(DataError, match=r"no tag of column 'ner_tags' is among the labels"):
        load(GOOD, [row("bread/B-food", "ate/O")])
    with pytest.raises(DataError, match=r"row 2, column 'ner_tags': the tag of word 1 is 'B-place'"):
        load(GOOD, label_names=("O", "B-person", "I-person"))
    assert load(GOOD, names=("O", "B-PERSON", "I-PERSON", "B-place", "I-place")).notes == ()


def test_rows_without_words_are_left_out_of_training_alone(load: Callable[..., TaskData]) -> None:
    data = load([*GOOD, row()], [*GOOD, row()])
    assert data.train is not None
    assert data.validation is not None
    assert (len(data.train), len(data.validation)) == (2, 3)
    assert "1 of 3 rows have no words: left out" in data.notes[0]
    assert "kept" in data.notes[1]
    with pytest.raises(DataError, match="no row has any word"):
        load([row()])


def first_pieces(ready: Any, tokenizer: Any) -> list[dict[int, tuple[str, int]]]:
    """For each window, the word number of each first piece, with the piece and its label."""
    found = []
    for one in ready:
        pieces = tokenizer.convert_ids_to_tokens(one["input_ids"])
        answered = [place for place, word in enumerate(one["word_ids"]) if word >= 0]
        assert [int(word >= 0) for word in one["word_ids"]] == one[WORD_STARTS]
        assert [place for place, label in enumerate(one["labels"]) if label != -100] == answered
        found.append({one["word_ids"][place]: (pieces[place], one["labels"][place]) for place in answered})
    return found


def test_first_pieces_carry_the_tags_and_silent_words_shift_nothing(load: Callable[..., TaskData]) -> None:
    tokenizer = tiny_entities.tokenizer()
    data = load([row("\u200b/O", "rain/B-person", "/O", "saw again/O", "\x07/O", "Paris/B-place")])
    ready = TASK.tokenize(data.train, tokenizer, DataSettings())
    (pieces,) = first_pieces(ready, tokenizer)
    assert {word: label for word, (_, label) in pieces.items()} == {1: 1, 3: 0, 5: 3}
    for word, (piece, _) in pieces.items():
        assert data.train[0]["tokens"][word].lower().startswith(piece.lower())  # type: ignore[index]
    assert tokenizing_notes(ready)[0].startswith("3 words are nothing to the tokenizer")


def test_long_rows_are_read_in_windows_and_no_word_is_lost(load: Callable[..., TaskData]) -> None:
    tokenizer = tiny_entities.tokenizer()
    words = [word for one in tiny_entities.rows(20) for word in one["tokens"]]
    tags = [tag for one in tiny_entities.rows(20) for tag in one["ner_tags"]]
    data = load([{"tokens": words, "ner_tags": tags}, GOOD[0]])
    ready = TASK.tokenize(data.train, tokenizer, DataSettings(max_length=16))
    assert max(ready["length"]) <= 16
    seen = [word for window, owner in zip(first_pieces(ready, tokenizer), ready["row"], strict=True)
            for word in window if owner == 0]  # fmt: skip
    assert seen == list(range(len(words)))
    windows = sum(owner == 0 for owner in ready["row"])
    assert tokenizing_notes(ready) == (
        f"1 of 2 rows are longer than 16 tokens and are read in {windows} overlapping windows; no word is cut off.",
    )
    assert ready["row"][-1] == 1


def test_windows_answer_every_word_once_and_hold_what_fits() -> None:
    """Against the definition, on random rows; also words longer than a window, and words without a piece."""
    draw = random.Random(0)
    for _ in range(500):
        pieces = [draw.choice([0, 1, 1, 1, 2, 3, 9, 30]) for _ in range(draw.randint(1, 40))]
        room = draw.randint(1, 12)
        windows = windows_of(pieces, room)
        assert [word for one in windows for word in range(one.first, one.last)] == list(range(len(pieces)))
        for one in windows:
            assert one.start <= one.first <= one.last <= one.end
            assert sum(pieces[one.start : one.end]) <= room or sum(p > 0 for p in pieces[one.start : one.end]) == 1
        assert len(windows) == 1 or sum(pieces) > room
    shared = windows_of([1] * 40, 16)
    assert [(one.start, one.end, one.first, one.last) for one in shared][:2] == [(0, 16, 0, 14), (12, 28, 14, 26)]


def test_a_tokenizer_that_cannot_place_words_is_refused(load: Callable[..., TaskData]) -> None:
    class Slow:
        is_fast = False
        model_max_length = 64

    with pytest.raises(DataError, match="Slow does not say which piece belongs to which word"):
        TASK.tokenize(load(GOOD).train, Slow(), DataSettings())
    with pytest.raises(DataError, match="leaves no room"):
        TASK.tokenize(load(GOOD).train, tiny_entities.tokenizer(), DataSettings(max_length=2))


def test_a_tokenizer_that_would_miss_the_spaces_is_refused(load: Callable[..., TaskData]) -> None:
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    letters = [*(chr(code) for code in range(33, 127)), "Ġ"]
    vocabulary = {token: place for place, token in enumerate([*special, *letters])}
    rows = load(GOOD).train
    with pytest.raises(DataError, match=r"RobertaTokenizer sees the space.*add_prefix_space=True"):
        TASK.tokenize(rows, RobertaTokenizer(vocab=vocabulary, merges=[]), DataSettings())
    fit = RobertaTokenizer(vocab=vocabulary, merges=[], add_prefix_space=True)
    (first, _) = first_pieces(TASK.tokenize(rows, fit, DataSettings()), fit)
    assert first == {0: ("Ġ", 1), 1: ("Ġ", 2), 2: ("Ġ", 0)}


def test_the_column_of_first_pieces_has_one_name() -> None:
    assert batch.WORD_STARTS == WORD_STARTS


class TestTagsMeanWhatTheFileSays:
    """As labels of texts do, by the same rules."""

    @pytest.mark.parametrize("nothing", [None, "", float("nan")])
    def test_a_tag_that_is_not_there(self, load: Callable[..., TaskData], nothing: Any) -> None:
        with pytest.raises(DataError, match=r"row 2.*the tag of word 1 is missing"):
            load([GOOD[0], {"tokens": ["to", "Rome"], "ner_tags": ["O", nothing]}])

    def test_a_word_for_nothing_is_no_tag_among_numbers_and_is_said_among_names(
        self, load: Callable[..., TaskData]
    ) -> None:
        with pytest.raises(DataError, match=r"row 1.*the tag of word 1 is missing \('nan'\)"):
            load([{"tokens": ["a", "b", "c"], "ner_tags": ["0", "nan", "1"]}])
        data = load([row("a/None", "b/noun"), row("c/noun", "d/verb")])
        assert data.label_names == ("None", "noun", "verb")
        assert any("2 words have the tag 'None'" in note for note in data.notes)

    def test_numbers_as_decimals_and_names_that_are_numbers(self, load: Callable[..., TaskData]) -> None:
        decimals = [{"tokens": ["Ada", "left"], "ner_tags": [1.0, 0.0]}]
        assert load(decimals, label_names=("O", "B-x")).train["label"] == [[1, 0]]  # type: ignore[index]
        signed = [{"tokens": ["a", "b", "c"], "ner_tags": [1, -1, 0]}]
        found = load(signed, label_names=("-1", "0", "1"))
        assert found.train is not None
        assert (found.train["tags"][0], found.train["label"][0]) == (["1", "-1", "0"], [2, 0, 1])
        with pytest.raises(DataError, match=r"the tag of word 0 is 0\.5"):
            load([{"tokens": ["a"], "ner_tags": [0.5]}], label_names=("O", "B-x"))

    def test_spaces_are_left_out_and_twins_are_named(self, load: Callable[..., TaskData]) -> None:
        data = load([{"tokens": ["Ada", "Rome"], "ner_tags": ["B-person ", "B-Person"]}, GOOD[1]])
        assert "B-person" in data.label_names
        assert any("1 label has spaces" in note for note in data.notes)
        assert any("'B-Person' (1) and 'B-person' (1)" in note for note in data.notes)
        named = load(
            [{"tokens": ["Ada", "Rome"], "ner_tags": ["B-person", "B-Person"]}],
            label_names=("O", "B-person", "B-Person"),
        )
        assert not any("nearly the same" in note for note in named.notes)
