"""The rows that ranges are set by: what was given or what the model was trained with, and never made-up ones."""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tiny_translator

from tinybert_hf.conversion.export import export_model
from tinybert_hf.conversion.export.sample import (
    CALIBRATED,
    COMPARED,
    Sample,
    calibration_rows,
    demo_texts,
    sample_for,
    texts_in,
)
from tinybert_hf.conversion.export.source import Source, open_source
from tinybert_hf.data import DataSettings
from tinybert_hf.errors import TinyBertError

WORDS = ["the", "film", "was", "not", "very", "good", "bad", "dull", "plot", "bright"]


def made_up(count: int) -> list[str]:
    draw = random.Random(3)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 9))) for _ in range(count)]


def write(file: str, rows: list[dict[str, Any]]) -> str:
    Path(file).write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return file


@pytest.fixture
def stubs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What converts is never reached."""
    for name in ("onnx", "openvino", "nncf"):
        monkeypatch.setitem(sys.modules, name, SimpleNamespace())


@pytest.fixture
def trained(saved: Callable[..., str], work: Path) -> Callable[..., Source]:
    """A model beside the run.json of a recipe."""

    def make(task: str, recipe: dict[str, Any], **config: Any) -> Source:
        shutil.copytree(saved(task, **config), "trained", dirs_exist_ok=True)
        Path("trained/run.json").write_text(json.dumps({"recipe": recipe}))
        return open_source("trained")

    return make


def ids(source: Source, *texts: str) -> list[list[int]]:
    return [source.tokenizer(*one.split(" | "))["input_ids"] for one in texts]


def of(source: Source, **given: Any) -> Iterator[list[int]]:
    """The ids of the rows that ranges are set by."""
    sample = sample_for(source, given.get("texts"), given.get("validation"), calibrated=True)
    return (row["input_ids"] for row in calibration_rows(source, sample, given.get("max_length")))


def test_the_same_texts_in_any_order_are_the_same_rows(saved: Callable[..., str]) -> None:
    source, texts = open_source(saved("text-classification")), made_up(500)
    assert len({tuple(one) for one in ids(source, *texts)}) > CALIBRATED
    mixed = random.Random(1).sample(texts, len(texts))
    first, second = (list(of(source, texts=one)) for one in (texts, mixed))
    assert first == second
    assert len(first) == CALIBRATED
    lengths = [len(row) for row in first]
    assert lengths != sorted(lengths)  # whoever looks at the first ones alone sees short and long ones
    assert max(map(len, of(source, texts=texts, max_length=4))) == 4


def test_a_file_gives_the_same_texts_in_any_order(work: Path) -> None:
    texts = made_up(500)
    found = []
    for order in (texts, texts[::-1]):
        Path("texts.txt").write_text("\n".join(order))
        found.append(texts_in(["texts.txt"]))
    assert found[0] == found[1]
    assert len(found[0]) == CALIBRATED
    write("rows.jsonl", [{"review": text} for text in texts])
    assert texts_in(["rows.jsonl"], ["review"]) == found[0]


def test_validation_rows_are_read_as_the_task_reads_them(saved: Callable[..., str], work: Path) -> None:
    source = open_source(saved("text-classification"))
    label = source.model.config.id2label[0]
    rows = [{"text": text, "text_pair": "dull", "label": label} for text in made_up(5)]
    write("dev.jsonl", rows)
    settings = DataSettings(validation_file="dev.jsonl", text_pair_column="text_pair")
    assert sorted(of(source, validation=settings)) == sorted(ids(source, *(f"{row['text']} | dull" for row in rows)))
    words = open_source(saved("token-classification"))
    tag = words.model.config.id2label[0]
    write("words.jsonl", [{"tokens": ["good", "plot"], "ner_tags": [tag, tag]}])
    assert list(of(words, validation=DataSettings(validation_file="words.jsonl"))) == ids(words, "good plot")
    answers = open_source(saved("question-answering"))
    row = {"question": "good", "context": "bad plot", "answers": {"text": ["bad"], "answer_start": [0]}}
    write("questions.jsonl", [row])
    settings = DataSettings(validation_file="questions.jsonl", max_length=20)
    assert list(of(answers, validation=settings)) == ids(answers, "good | bad plot")


def test_numbers_stay_numbers_where_the_configuration_names_no_problem(saved: Callable[..., str], work: Path) -> None:
    source = open_source(saved("text-classification", num_labels=1))
    source.model.config.problem_type = None
    write("dev.jsonl", [{"text": text, "label": number} for number, text in enumerate(made_up(3))])
    assert len(list(of(source, validation=DataSettings(validation_file="dev.jsonl")))) == 3


def test_what_the_model_was_trained_with(trained: Callable[..., Source], saved: Callable[..., str]) -> None:
    label = open_source(saved("text-classification")).model.config.id2label[0]
    write("train.jsonl", [{"review": text, "label": label} for text in made_up(4)])
    data = {"train_file": "train.jsonl", "text_column": "review", "label_names": None, "max_length": 3}
    source = trained("text-classification", {"data": data})
    assert sorted(of(source)) == sorted(source.tokenizer(made_up(4), truncation=True, max_length=3)["input_ids"])
    sample = sample_for(source, None, None, calibrated=True)
    assert sample.texts == made_up(4)
    assert sample_for(source, None, None, calibrated=False).texts == demo_texts()
    assert list(of(source, texts=["good"])) == ids(source, "good")  # what is given comes first


def test_an_encoder_reads_the_corpus_of_its_run(trained: Callable[..., Source], work: Path) -> None:
    for name in ("one", "two"):
        Path(f"{name}.txt").write_text("\n".join(f"{text} {name}" for text in made_up(70)))
    source = trained("encoder", {"data": {}, "corpus": {"files": ["one.txt", "t*o.txt"], "text_column": None}})
    expected = [f"{text} {name}" for name in ("one", "two") for text in made_up(70)]
    assert sorted(of(source)) == sorted(ids(source, *expected))
    assert len(sample_for(source, None, None, calibrated=True).texts) == COMPARED


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (None, "its folder has no run.json"),
        ({"data": {"train_file": None, "dataset": None}}, "run.json names none"),
        ({"data": {"train_file": "gone.jsonl"}}, r"run\.json cannot be read \(.*gone\.jsonl"),
    ],
)
def test_without_texts_nothing_is_made_up(
    recipe: Any, reason: str, trained: Callable[..., Source], stubs: None, leftovers: Any
) -> None:
    trained("text-classification", recipe)
    if recipe is None:
        Path("trained/run.json").unlink()
    with pytest.raises(TinyBertError, match=rf"{reason}.*--validation-file.*--text-file.*texts=\["):
        export_model("trained", "out", "openvino-int8")
    assert leftovers() == ["trained"]


def test_a_damaged_record_is_named(trained: Callable[..., Source]) -> None:
    source = trained("text-classification", {"data": 3})
    with pytest.raises(TinyBertError, match=r"run\.json is of another version, or damaged.*--text-file"):
        sample_for(source, None, None, calibrated=True)


def test_an_encoder_has_no_validation_rows(saved: Callable[..., str]) -> None:
    with pytest.raises(TinyBertError, match=r"no head.*--text-file"):
        sample_for(open_source(saved("encoder")), None, DataSettings(validation_file="a.jsonl"), calibrated=True)


def test_no_rows_are_no_calibration(saved: Callable[..., str]) -> None:
    with pytest.raises(TinyBertError, match="hold nothing"):
        calibration_rows(open_source(saved("encoder")), Sample([], "the texts that were given"), None)


def test_a_translator_is_refused_by_name(work: Path, leftovers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    tiny_translator.make_model().save_pretrained("translator")
    with pytest.raises(
        TinyBertError, match=r"translator is a translator\. Only encoders.* to openvino, or .*onnx-int8"
    ):
        export_model("translator", "out", "openvino-int8", texts=["good"])
    assert leftovers() == ["translator"]


@pytest.mark.parametrize("absent", ["openvino", "nncf"])
def test_what_is_not_installed_is_named(
    absent: str, stubs: None, saved: Callable[..., str], work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(TinyBertError, match=rf'{absent} is not installed.*pip install "tinybert_hf\[openvino-int8\]"'):
        export_model(saved("text-classification"), "out", "openvino-int8", texts=["good"])
