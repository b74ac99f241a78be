"""From logits to answers to figures, against plain loops and cases made by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset
from tiny_answers import make_teacher, rows
from tiny_run import write_rows

from tinybert_hf import QuestionAnswerer
from tinybert_hf.checkpoints.loading import Checkpoint
from tinybert_hf.data import TASKS, DataSettings, TaskData
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint, main_metric, predicted_logits, task_metrics
from tinybert_hf.evaluation.question_answering import (
    FoundAnswer,
    answer_metrics,
    best_span,
    exact_match,
    f1_score,
    find_answers,
    normalized,
)

TASK = TASKS["question-answering"]


@pytest.fixture(scope="module")
def answerer(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_teacher(tmp_path_factory.mktemp("answerer"))


def test_normalising_as_squad_does() -> None:
    assert normalized("The  Eiffel-Tower, (in) a Paris!") == "eiffeltower in paris"
    assert normalized("An apple a day, theatre") == "apple day theatre"
    assert normalized("«Zürich»") == "«zürich»"  # punctuation of ASCII only


@pytest.mark.parametrize(
    ("answer", "right", "exact", "f1"),
    [
        ("the Denver Broncos", ["Denver Broncos"], 1, 1),
        ("Denver", ["Denver Broncos", "the Broncos"], 0, 2 / 3),
        ("Broncos Denver Broncos", ["Broncos"], 0, 0.5),
        ("Carolina", ["Denver Broncos"], 0, 0),
        ("", [], 1, 1),
        ("something", [], 0, 0),
        ("", ["Denver"], 0, 0),
        ("a", ["the"], 1, 1),  # nothing is left of either
    ],
)
def test_figures_of_one_answer(answer: str, right: list[str], exact: float, f1: float) -> None:
    assert exact_match(answer, right) == exact
    assert f1_score(answer, right) == pytest.approx(f1)


def test_the_best_span_is_that_of_a_loop() -> None:
    generator = np.random.default_rng(0)
    for length in (1, 2, 29, 31, 80):
        for most in (1, 3, 30):
            logits = generator.normal(size=(length, 2)).astype(np.float32)
            spans = [(a, b) for a in range(length) for b in range(a, min(length, a + most))]
            expected = max(spans, key=lambda span: float(logits[span[0], 0]) + float(logits[span[1], 1]))
            start, end, score = best_span(logits, most)
            assert (start, end) == expected
            assert score == pytest.approx(float(logits[start, 0]) + float(logits[end, 1]))


def windows_of(context: str, answer: str = "") -> tuple[Dataset, list[np.ndarray]]:
    """Two windows of a context of three-letter words, 4 words each, and logits of nothing."""
    words = [(start, start + 3) for start in range(0, len(context), 4)]
    made = []
    for begin in (0, 2):
        part = words[begin : begin + 4]
        made.append(
            {
                "example": 0,
                "first_context": 2,
                "no_answer_at": 0,
                "context_starts": [a for a, _ in part],
                "context_ends": [b for _, b in part],
            }
        )
    return Dataset.from_list(made), [np.zeros((2 + len(row["context_starts"]) + 1, 2)) - 1 for row in made]


def test_answers_are_rebuilt_across_windows_and_never_from_the_question() -> None:
    context = "one two six ten far now"
    windows, logits = windows_of(context)
    logits[0][1] = 50  # a token of the question
    logits[0][-1] = 50  # the last separator
    logits[0][2 + 1] = (3, 3)  # "two"
    logits[1][2 + 2, 0], logits[1][2 + 3, 1] = 4, 5  # "far now"
    logits[0][0], logits[1][0] = (2, 2), (1, 1)
    (found,) = find_answers(logits, windows, [context])
    assert (found.text, found.start, found.end, found.score) == ("far now", 16, 23, 9)
    assert (found.no_answer_score, found.doubt) == (2, -7)
    logits[1][2 + 2, 0] = -9
    assert find_answers(logits, windows, [context])[0].text == "two"
    assert find_answers(logits[:0], windows.select([]), ["x"])[0].text == ""


def test_answers_are_whole_words_as_in_a_loop() -> None:
    """Each character is a token, the hardest case; words are those of a regular expression, and any Chinese sign."""
    context = "Ünal met O'Neil-Smith in 1990s Oslo, 北京大学 x\u0301y."
    tokens = [place for place, character in enumerate(context) if not character.isspace()]
    words = [match.span() for match in re.finditer(r"[一-龥]|(?:[^\W_一-龥]\u0301?)+|[^\w\s]", context)]
    row = {"example": 0, "first_context": 1, "no_answer_at": 0, "context_starts": tokens}
    windows = Dataset.from_list([{**row, "context_ends": [place + 1 for place in tokens]}])
    generator = np.random.default_rng(1)
    unchanged = 0
    for _ in range(200):
        logits = generator.normal(size=(1 + len(tokens), 2))
        score = {
            (a, b): logits[1 + tokens.index(a), 0] + logits[1 + tokens.index(b - 1), 1]
            for a, _ in words
            for _, b in words
            if a < b and tokens.index(b - 1) - tokens.index(a) < 30
        }
        expected = max(score, key=score.__getitem__)
        (found,) = find_answers([logits], windows, [context])
        assert (found.start, found.end) == expected
        assert found.score == pytest.approx(score[expected])
        # An answer of whole words is the same as if nothing else had been asked for.
        start, end, best = best_span(logits[1:])
        if (tokens[start], tokens[end] + 1) in score:
            unchanged += 1
            assert (found.start, found.end, found.score) == (tokens[start], tokens[end] + 1, best)
    assert unchanged > 20


def test_a_part_of_a_word_is_the_answer_only_where_no_window_has_a_whole_one() -> None:
    row = {"example": 0, "first_context": 0, "no_answer_at": 0}
    pieces = [{**row, "context_starts": [at, at + 2], "context_ends": [at + 2, at + 4]} for at in (0, 5)]
    windows, logits = Dataset.from_list(pieces), [np.eye(2), np.eye(2) * 3]
    assert find_answers(logits, windows, ["abcdefghijk"])[0].text == "fghi"
    assert find_answers(logits, windows, ["abcd efghij"])[0].text == "abcd"


def test_a_mark_belongs_to_the_letter_before_it() -> None:
    context = "cafe\u0301 x"
    windows = Dataset.from_list(
        [{"example": 0, "first_context": 0, "no_answer_at": 1, "context_starts": [0], "context_ends": [4]}]
    )
    (found,) = find_answers([np.zeros((2, 2))], windows, [context])
    assert found.text == "cafe\u0301"


def test_figures_with_unanswerable_questions_and_their_best_threshold() -> None:
    right = [["a1"], ["b1"], [], ["d1"], []]
    doubts, texts = [-2.0, 1.0, 0.5, -1.0, -3.0], ["a1", "b1", "c", "wrong", "e"]
    raw = Dataset.from_list([{"answers": {"text": each, "answer_start": [0] * len(each)}} for each in right])
    found = [FoundAnswer(text, score=0.0, no_answer_score=doubt) for text, doubt in zip(texts, doubts, strict=True)]
    metrics = answer_metrics(found, raw)
    # At 0 the rows 1 and 2 are not answered: right are a1 and c.
    assert metrics["f1"] == metrics["exact_match"] == pytest.approx(2 / 5)
    assert metrics["f1_answerable"] == pytest.approx(1 / 3)
    assert metrics["f1_unanswerable"] == pytest.approx(1 / 2)

    def at(threshold: float) -> float:
        said = ["" if doubt > threshold else text for text, doubt in zip(texts, doubts, strict=True)]
        return sum(f1_score(*pair) for pair in zip(said, right, strict=True)) / len(right)

    best = max(at(threshold) for threshold in (*doubts, -9.0))
    assert metrics["best_f1"] == pytest.approx(best)
    assert at(metrics["best_f1_threshold"]) == pytest.approx(best)
    assert set(answer_metrics(found[:2], raw.select([0, 1]))) == {"f1", "exact_match"}
    assert main_metric("question-answering") == "f1"


def test_logits_of_the_right_places_give_full_marks(tmp_path: Path, answerer: str) -> None:
    """Whatever the windows are, a model that points at the answer gets it, and one at [CLS] refuses."""
    settings = DataSettings(
        validation_file=write_rows(tmp_path / "v.jsonl", rows(12, unanswerable=True)), max_length=24
    )
    raw = TASK.load(settings, need_train=False).validation
    model, tokenizer = Checkpoint.read(answerer).open("AutoModelForQuestionAnswering", "an answerer")
    windows = TASK.tokenize(raw, tokenizer, settings)
    assert len(windows) > len(raw)
    logits = predicted_logits(model, windows, tokenizer, batch_size=5)
    assert [one.shape for one in logits] == [(length, 2) for length in windows["length"]]
    pointing = [np.zeros_like(one) for one in logits]
    for one, row in zip(pointing, windows, strict=True):
        inside = row["start_positions"] != row["no_answer_at"]
        one[row["start_positions"], 0], one[row["end_positions"], 1] = (9, 9) if inside else (5, 5)
    metrics = task_metrics(pointing, windows, raw, TaskData(None, None, (), "question-answering"))
    assert metrics["f1"] == metrics["exact_match"] == metrics["best_f1"] == 1
    assert task_metrics(logits, windows, raw, TaskData(None, None, (), "question-answering"))["f1"] < 1


def test_a_checkpoint_is_measured_and_its_answers_are_written(tmp_path: Path, answerer: str) -> None:
    file = write_rows(tmp_path / "v.jsonl", rows(12))
    settings = DataSettings(validation_file=file, max_length=24)
    plain = evaluate_any_checkpoint(answerer, settings, device="cpu")
    assert set(plain) == {"f1", "exact_match", "notes"}
    assert "12 questions are read in" in plain["notes"][0]
    lines, official = tmp_path / "a.jsonl", tmp_path / "a.json"
    for target in (lines, official):
        assert evaluate_any_checkpoint(answerer, settings, device="cpu", batch_size=3, predictions=target) == plain
    written = [json.loads(line) for line in lines.read_text().splitlines()]
    assert np.mean([row["f1"] for row in written]) == pytest.approx(plain["f1"])
    assert json.loads(official.read_text()) == {row["id"]: row["prediction"] for row in written}
    assert all(row["prediction"] in row_["context"] for row, row_ in zip(written, rows(12), strict=True))
    with pytest.raises(TinyBertError, match=r"ends in \.json or \.jsonl"):
        evaluate_any_checkpoint(answerer, settings, predictions=tmp_path / "a.txt")


def test_one_question_at_a_time(tmp_path: Path, answerer: str) -> None:
    answer = QuestionAnswerer(answerer, max_length=24, device="cpu")
    asked = [(row["question"], row["context"]) for row in rows(6)]
    together = answer.answers([question for question, _ in asked], [context for _, context in asked])
    for (question, context), one in zip(asked, together, strict=True):
        assert one["answer"] == context[one["start"] : one["end"]] != ""
        alone = answer(question, context)
        assert alone["answer"] == one["answer"]
        assert alone["score"] == pytest.approx(one["score"], abs=1e-4)
    assert answer("where ?", " ")["answer"] == ""
    refusing = QuestionAnswerer(answerer, max_length=24, may_refuse=True, device="cpu")
    for (question, context), one in zip(asked, together, strict=True):
        expected = "" if one["no_answer_score"] > one["score"] else one["answer"]
        assert refusing(question, context)["answer"] == expected
    with pytest.raises(DataError, match="2 questions and 1 contexts"):
        answer.answers(["a", "b"], ["c"])
    with pytest.raises(DataError, match="None is no text"):
        answer.answers(["a"], [None])  # type: ignore[list-item]
    with pytest.raises(TinyBertError, match="Give the tokenizer"):
        QuestionAnswerer(answer.model)


def test_other_models_are_refused(teacher: str, tmp_path: Path) -> None:
    with pytest.raises(TinyBertError, match="not trained as a model that answers questions"):
        QuestionAnswerer(teacher)
    settings = DataSettings(validation_file=write_rows(tmp_path / "v.jsonl", rows(4)))
    with pytest.raises(TinyBertError, match="answers no questions"):
        evaluate_any_checkpoint(teacher, settings, predictions=tmp_path / "a.json")
