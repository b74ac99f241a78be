"""What two models are compared on, and what the ranges of an int8 export are set by: texts, or rows of a task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from itertools import islice
from typing import Any

from tinybert_hf.checkpoints.run_record import RunRecord
from tinybert_hf.conversion.export.source import ENCODER, Source
from tinybert_hf.data import DataSettings
from tinybert_hf.data.demo import demo_sentiment
from tinybert_hf.data.files import TextFiles, files_of
from tinybert_hf.data.settings import REGRESSION
from tinybert_hf.errors import DataError, TinyBertError
from tinybert_hf.tasks import HEADS, QUESTION_ANSWERING, TASKS, TEXT_CLASSIFICATION

COMPARED = 64
CALIBRATED = 300  # rows
_READ = 10_000  # of the texts or rows that a model was trained with, or of a file of texts
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")

Row = dict[str, list[int]]
"""What a model reads of a row, without padding: name -> a number for each token."""


@dataclass(frozen=True)
class Sample:
    """Texts, and the rows that they stand in.

    Attributes:
        texts: to compare both models on.
        what: they are, for the reader.
        rows: checked rows of the model's task, or more texts; None: those texts are all.
        settings: that checked rows were read with.
    """

    texts: list[str]
    what: str
    rows: Any = None
    settings: DataSettings | None = None


def sample_for(
    source: Source,
    texts: Sequence[str] | None,
    validation: DataSettings | None,
    *,
    calibrated: bool,
) -> Sample:
    """What a user has given: texts, or else validation rows; or else sentences of the demo's grammar.

    Args:
        source: the model.
        texts: given for the comparison.
        validation: where the validation rows are.
        calibrated: ranges are set by it, so that the demo's sentences, which are not what a model reads, do not do:
            in their place stand the rows or texts that the model was trained with, where its folder says so.

    Raises:
        TinyBertError: there are none; or rows for a model without a head.
    """
    if texts:
        return Sample(list(texts), "the texts that were given")
    if validation is not None:
        if source.task == ENCODER:
            raise TinyBertError(
                f"{source.name} has no head, so there is nothing to measure on validation rows. Texts to compare it "
                "on: --text-file (texts=...)."
            )
        return _of_rows(source, validation, "validation", "the validation rows")
    if calibrated:
        return _own(source)
    return Sample(demo_texts(), "sentences of the demo")


def demo_texts() -> list[str]:
    """Sentences of the demo's grammar."""
    return [row["text"] for row in demo_sentiment(COMPARED)]


def texts_in(files: Sequence[str], columns: Sequence[str] = ()) -> list[str]:
    """Texts of files, as many as ranges are set by; the same ones in whatever order they stand there.

    Args:
        files: .txt, or rows with a text.
        columns: with the text; none: text, or else sentence.

    Raises:
        DataError: a file is missing, damaged, or without a text.
    """
    texts = islice(TextFiles(tuple(files), tuple(columns)), _READ)
    return sorted(texts, key=lambda text: sha256(text.encode()).digest())[:CALIBRATED]


def _of_rows(source: Source, settings: DataSettings, part: str, what: str) -> Sample:
    config, spec = source.model.config, TASKS[source.task]
    names = tuple(config.id2label.values()) if spec.named_labels else None
    if source.task == TEXT_CLASSIFICATION:
        own = config.problem_type or (REGRESSION if config.num_labels == 1 else None)
        settings = replace(settings, problem_type=own or settings.problem_type)
    needed = {"need_train": part == "train", "need_validation": part == "validation"}
    rows = spec.task.load(settings, label_names=names, **needed).part(part)
    texts = [one if isinstance(one, str) else " ".join(one) for one in rows[:COMPARED][spec.text_column]]
    return Sample(texts, what, rows, settings)


def _own(source: Source) -> Sample:
    """What the model was trained with, where its folder says so and that is still there."""
    remedy = (
        "Name a file with rows such as it will read (--validation-file), or with a text in each line (--text-file); "
        "in Python validation=... or texts=[...]."
    )
    record, reason = RunRecord.beside(source.name), "and its folder has no run.json that names some"
    if record is not None:
        reason = f"and {record.file} names none"
        try:
            with record.understood(remedy):
                found = _of_record(source, record)
            if found is not None:
                return found
        except (DataError, OSError) as error:
            reason = f"and those of {record.file} cannot be read ({error})"
    raise TinyBertError(
        f"The ranges of this format are set by texts that {source.name} reads: none were given, {reason}. {remedy}"
    )


def _of_record(source: Source, record: RunRecord) -> Sample | None:
    data, corpus = (record.recipe.get(name) or {} for name in ("data", "corpus"))
    if source.task in HEADS and (data.get("train_file") or data.get("dataset")):
        known = {one.name: data[one.name] for one in fields(DataSettings) if data.get(one.name) is not None}
        if "label_names" in known:
            known["label_names"] = tuple(known["label_names"])
        known["max_train_rows"] = min(known.get("max_train_rows", _READ), _READ)
        return _of_rows(source, DataSettings(**known), "train", "the rows that the model was trained with")
    if source.task == ENCODER and corpus.get("files"):
        files = [str(file) for name in corpus["files"] for file in files_of(name)]
        texts = texts_in(files, [corpus["text_column"]] if corpus.get("text_column") else [])
        return Sample(texts[:COMPARED], "the texts that the model was trained with", texts)
    return None


def calibration_rows(source: Source, sample: Sample, max_length: int | None) -> list[Row]:
    """What the ranges are set by: up to 300 rows, the same ones in the same order however the given ones are ordered.

    The order of the rows changes what is computed of them, so it is that of their SHA-256.

    Args:
        source: the model.
        sample: rows or texts.
        max_length: tokens to keep of a text, where the model is known to have been trained with as many.

    Raises:
        TinyBertError: there is no row.
    """
    rows = sorted(_tokenized(source, sample, max_length or DataSettings.max_length), key=_digest)[:CALIBRATED]
    if not rows:
        raise TinyBertError(f"{sample.what[0].upper()}{sample.what[1:]} hold nothing to set ranges by.")
    return rows


def _tokenized(source: Source, sample: Sample, max_length: int) -> Iterator[Row]:
    if sample.settings is not None:
        length = min(sample.settings.max_length, source.length)
        ready = TASKS[source.task].task.tokenize(
            sample.rows, source.tokenizer, replace(sample.settings, max_length=length)
        )
        yield from ready.select_columns([name for name in _INPUTS if name in ready.column_names])
        return
    for text in sample.rows or sample.texts:
        pair = text if source.task == QUESTION_ANSWERING else None
        read = source.tokenizer(text, pair, truncation=True, max_length=min(max_length, source.length))
        yield {name: read[name] for name in _INPUTS if name in read}


def _digest(row: Row) -> bytes:
    return sha256(json.dumps([row[name] for name in _INPUTS if name in row]).encode()).digest()
