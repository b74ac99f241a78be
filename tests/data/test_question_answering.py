"""Rows of questions, contexts and answers; the windows that are made of them."""

import gzip
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_answers import rows
from tiny_run import write_rows
from transformers import BertTokenizer, PreTrainedTokenizerFast

from tinybert_hf.data import TASKS, DataSettings, tokenizing_notes, train_wordpiece_tokenizer
from tinybert_hf.errors import DataError

TASK = TASKS["question-answering"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    texts = [f"{row['question']} {row['context']}" for row in rows()]
    return train_wordpiece_tokenizer(texts, vocab_size=150, max_length=64)


@pytest.fixture(scope="module")
def characters() -> BertTokenizer:
    """Lower-cases, removes accents, and reads letter by letter."""
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyzßµ0123456789.,?'中文"]
    pieces += [f"##{piece}" for piece in pieces[5:]]
    vocab = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizer(vocab=vocab, model_max_length=512)


def one(context: str, answer: str | list[str], start: int | None = None, **more: Any) -> dict[str, Any]:
    texts = [answer] if isinstance(answer, str) else answer
    starts = [context.find(text) if start is None else start for text in texts]
    return {"question": "where ?", "context": context, "answers": {"text": texts, "answer_start": starts}, **more}


def files(folder: Path, train: list[dict[str, Any]], validation: list[dict[str, Any]] | None = None) -> DataSettings:
    return DataSettings(
        train_file=write_rows(folder / "train.jsonl", train),
        validation_file=write_rows(folder / "validation.jsonl", train if validation is None else validation),
        max_length=24,
    )


def test_rows_of_a_file(tmp_path: Path) -> None:
    data = TASK.load(files(tmp_path, rows(8, unanswerable=True)))
    assert data.train is not None
    assert data.train[0] == rows(1)[0]
    assert data.train[3]["answers"] == {"text": [], "answer_start": []}
    assert (data.problem_type, data.label_names, data.config_fields) == ("question-answering", (), {"num_labels": 2})
    assert [note for note in data.notes if "2 of 8 questions" in note and "have no answer" in note]
    assert TASK.load(files(tmp_path, rows(8)), need_train=False).train is None


def test_windows_are_those_of_the_published_scripts(tmp_path: Path, tokenizer: Any) -> None:
    """transformers cuts in the same places where it is asked to return what overflows."""
    settings = replace(files(tmp_path, rows(8)), doc_stride=3)
    made = TASK.load(settings).train
    assert made is not None
    windows = TASK.tokenize(made, tokenizer, settings)
    expected = tokenizer(
        list(made["question"]),
        list(made["context"]),
        truncation="only_second",
        max_length=24,
        stride=3,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    assert len(windows) > len(made)
    assert list(windows["input_ids"]) == expected["input_ids"]
    assert list(windows["token_type_ids"]) == expected["token_type_ids"]
    assert list(windows["example"]) == expected["overflow_to_sample_mapping"]
    for index, window in enumerate(windows):
        pairs = zip(expected["offset_mapping"][index], expected.sequence_ids(index), strict=True)
        offsets = [place for place, whose in pairs if whose == 1]
        assert list(zip(window["context_starts"], window["context_ends"], strict=True)) == offsets
        assert expected.sequence_ids(index)[window["first_context"]] == 1
        assert window["length"] == len(window["input_ids"]) <= 24


def test_positions_are_those_of_the_answer_or_of_the_first_token(tmp_path: Path, tokenizer: Any) -> None:
    settings = replace(files(tmp_path, rows(8, unanswerable=True)), doc_stride=3)
    made = TASK.load(settings).train
    assert made is not None
    windows = TASK.tokenize(made, tokenizer, settings)
    whole = set()
    for window in windows:
        row, first = made[window["example"]], window["first_context"]
        seen = row["context"][window["context_starts"][0] : window["context_ends"][-1]]
        if row["answers"]["text"] and row["answers"]["text"][0] in seen:
            whole.add(window["example"])
            start = window["context_starts"][window["start_positions"] - first]
            end = window["context_ends"][window["end_positions"] - first]
            assert row["context"][start:end] == row["answers"]["text"][0]
        else:
            assert window["start_positions"] == window["end_positions"] == window["no_answer_at"] == 0
            assert window["input_ids"][0] == tokenizer.cls_token_id
    assert whole == {index for index in range(8) if index % 4 != 3}
    lacking = sum(1 for w in windows if w["start_positions"] == 0 and made[w["example"]]["answers"]["text"])
    assert any(note.startswith(f"{lacking} of {len(windows)} windows") for note in tokenizing_notes(windows))


def test_answers_at_another_place_and_answers_that_are_nowhere(tmp_path: Path) -> None:
    made = [
        one("ada lives in oslo", "oslo", 3),  # elsewhere, once
        one("oslo or oslo", "oslo", 3),  # elsewhere, twice
        one("ada lives in oslo", "Oslo", 13),  # in no place
        one("ada lives in oslo", ["lima", "oslo"]),  # one of two
        one("ada lives in oslo", "oslo", 13),
        one("ada lives in oslo", "", -1),  # how some write that there is none
    ]
    data = TASK.load(files(tmp_path, made))
    assert data.train is not None
    assert data.validation is not None
    assert [row["answer_start"] for row in data.train["answers"]] == [[13], [-1, 13], [13], []]
    assert len(data.validation) == 6
    assert data.validation["answers"][2] == {"text": ["Oslo"], "answer_start": [-1]}
    notes = " ".join(note for note in data.notes if "train.jsonl" in note)
    assert "1 of 6 answers" in notes
    assert "row 1, 'oslo'" in notes
    assert "3 of 6 answers" in notes
    assert "row 2, 'oslo'" in notes
    assert "2 of 6 rows" in notes
    assert any("validation.jsonl are kept" in note for note in data.notes)
    with pytest.raises(DataError, match="none of the answers is in its context"):
        TASK.load(files(tmp_path, made[1:3]))


def test_answers_that_no_window_holds_are_counted(tmp_path: Path, tokenizer: Any) -> None:
    long = " ".join(["warm"] * 20)
    settings = files(tmp_path, [one(f"the sun was {long} .", long), one("ada lives in oslo", "oslo")])
    made = TASK.load(settings).train
    assert made is not None
    windows = TASK.tokenize(made, tokenizer, settings)
    assert {row["start_positions"] for row in windows if row["example"] == 0} == {0}
    assert any("1 answer is in no window" in note for note in tokenizing_notes(windows))


def test_questions_without_room_and_empty_contexts_have_no_window(tmp_path: Path, tokenizer: Any) -> None:
    made = [one("ada lives in oslo", "oslo"), {**one("x " * 20, "x", 0), "question": "where " * 30}, one("", [])]
    settings = files(tmp_path, made)
    data = TASK.load(settings)
    assert data.validation is not None
    windows = TASK.tokenize(data.validation, tokenizer, settings)
    assert list(windows["example"]) == [0]
    notes = " ".join(tokenizing_notes(windows))
    assert "1 of 3 questions leave no room" in notes
    assert "1 of 3 contexts are empty" in notes
    with pytest.raises(DataError, match=r"No question can be read.*leave no room"):
        TASK.tokenize(data.validation.select([1]), tokenizer, settings)


@pytest.mark.parametrize(
    ("context", "answer"),
    [
        ("İstanbul'da 1453", "1453"),  # lower-cased, the first letter becomes two
        ("cafe\u0301 noir", "noir"),  # an accent of its own, which is removed
        ("Ｆｕｌｌ ﬁn 12", "12"),
        ("中文 abc 中", "abc"),
        ("a\u200bb \U0001f600 end", "end"),
        ("STRASSE ẞ x9", "x9"),
    ],
)
def test_places_are_right_where_tokenizing_changes_the_text(
    tmp_path: Path, characters: Any, context: str, answer: str
) -> None:
    settings = replace(files(tmp_path, [one(context, answer)]), max_length=64)
    made = TASK.load(settings).train
    assert made is not None
    (window,) = TASK.tokenize(made, characters, settings)
    first = window["first_context"]
    start = window["context_starts"][window["start_positions"] - first]
    assert context[start : window["context_ends"][window["end_positions"] - first]] == answer


def test_a_context_of_a_million_characters(tmp_path: Path, tokenizer: Any) -> None:
    context = "the sun was warm . " * 55_000 + "ada lives in oslo"
    settings = replace(files(tmp_path, [one(context, "oslo"), one("x" * 1_000_000, [])]), max_length=64)
    made = TASK.load(settings).train
    assert made is not None
    start = time.process_time()
    windows = TASK.tokenize(made, tokenizer, settings)
    assert time.process_time() - start < 30
    assert sum(position > 0 for position in windows["start_positions"]) == 1
    assert max(windows["length"]) <= 64


def test_a_tokenizer_of_another_family(tmp_path: Path) -> None:
    """RoBERTa's: no segments, two separators, bytes instead of letters, a space inside the token."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizer

    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator([row["context"] for row in rows()], vocab_size=400)
    bpe.save_model(str(tmp_path))
    vocab = json.loads((tmp_path / "vocab.json").read_text())
    for special in ("<s>", "<pad>", "</s>", "<unk>", "<mask>"):
        vocab.setdefault(special, len(vocab))
    merges = [tuple(line.split()) for line in (tmp_path / "merges.txt").read_text().splitlines()[1:]]
    tokenizer = RobertaTokenizer(vocab=vocab, merges=merges, model_max_length=64)
    settings = replace(files(tmp_path, [*rows(4), one("é in Zürich, 中", "Zürich")]), max_length=64)
    made = TASK.load(settings).train
    assert made is not None
    windows = TASK.tokenize(made, tokenizer, settings)
    assert "token_type_ids" not in windows.column_names
    for window in windows:
        row, first = made[window["example"]], window["first_context"]
        start = window["context_starts"][window["start_positions"] - first]
        end = window["context_ends"][window["end_positions"] - first]
        assert row["context"][start:end] == row["answers"]["text"][0]


def test_a_tokenizer_without_places_is_refused(tmp_path: Path) -> None:
    class Slow:
        is_fast, model_max_length = False, 64

    settings = files(tmp_path, rows(4))
    made = TASK.load(settings).train
    assert made is not None
    with pytest.raises(DataError, match=r"Slow does not say which characters.*tokenizer\.json"):
        TASK.tokenize(made, Slow(), settings)


def test_the_format_of_squad(tmp_path: Path) -> None:
    qas = [{"id": "a", "question": "where ?", "answers": [{"text": "oslo", "answer_start": 13}]}]
    qas.append({"id": "b", "question": "who ?", "is_impossible": True, "answers": []})  # type: ignore[dict-item]
    paragraph = {"context": "ada lives in oslo", "qas": qas}
    published = {"version": "v2.0", "data": [{"title": "t", "paragraphs": [paragraph]}]}
    content = json.dumps(published)
    (tmp_path / "train.json").write_text(json.dumps(published, indent=2))  # as an editor writes it
    with gzip.open(tmp_path / "validation.json.gz", "wt") as handle:
        handle.write(content)
    settings = DataSettings(
        train_file=str(tmp_path / "train.json"), validation_file=str(tmp_path / "validation.json.gz")
    )
    data = TASK.load(settings)
    assert data.train is not None
    assert data.validation is not None
    assert data.train["id"] == data.validation["id"] == ["a", "b"]
    assert data.train["answers"][0] == {"text": ["oslo"], "answer_start": [13]}
    (tmp_path / "train.json").write_text(json.dumps({"data": [{"paragraphs": [{"qas": []}, {"context": "x"}]}]}))
    with pytest.raises(DataError, match=r"article 1: KeyError 'qas'"):
        TASK.load(settings)


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ("oslo", "'oslo' is not the answers"),
        (3, "3 is not the answers"),
        (["oslo"], "not a list of answers"),
        ({"text": "oslo", "answer_start": 13}, "not the answers of a question"),
        ({"text": ["oslo"], "answer_start": []}, "the number of texts is 1"),
        ({"text": [5], "answer_start": [1]}, "the answer 5"),
        ({"text": ["oslo"], "answer_start": ["13"]}, "the start '13'"),
    ],
)
def test_answers_of_another_form_are_refused_with_their_place(tmp_path: Path, answers: Any, message: str) -> None:
    bad = {"question": "where ?", "context": "ada lives in oslo", "answers": answers}
    with pytest.raises(DataError, match=rf"train\.jsonl, row 2, column 'answers'.*{message}"):
        TASK.load(files(tmp_path, [rows(1)[0] | {"id": "x"}, bad | {"id": "y"}]))


def test_missing_columns_and_strides_are_named(tmp_path: Path) -> None:
    settings = files(tmp_path, [{"question": "a", "text": "b", "answers": None}])
    with pytest.raises(DataError, match="no column 'context'"):
        TASK.load(settings)
    data = TASK.load(replace(settings, context_column="text"))
    assert data.train is not None
    assert data.train[0] == {"id": "0", "question": "a", "context": "b", "answers": {"text": [], "answer_start": []}}
    with pytest.raises(DataError, match=r"doc_stride is 24; .*less than max_length"):
        replace(settings, doc_stride=24)
