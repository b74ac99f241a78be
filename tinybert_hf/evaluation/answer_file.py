"""The answers of a model as a file."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinybert_hf.data.shard_folder import replace_text
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.answer_scores import exact_match, f1_score
from tinybert_hf.evaluation.answers import FoundAnswer, chosen_texts, has_unanswerable

if TYPE_CHECKING:
    from datasets import Dataset

_SUFFIXES = (".json", ".jsonl")


def check_answer_file(path: Path) -> None:
    """Refuse a place where no such file can be written, before anything is computed.

    Raises:
        TinyBertError: naming it.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise TinyBertError(f"{path}: give a file that ends in {' or '.join(_SUFFIXES)} (--predictions).")
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"cannot be written: {path.parent} is no folder"
        raise TinyBertError(f"{path} {what}. Give the name of a file in a folder that is there (--predictions).")


def write_answers(path: Path, found: Sequence[FoundAnswer], raw: "Dataset") -> None:
    """Write the answer to each question.

    Args:
        path: .json: id -> answer, as SQuAD's own evaluation reads it. .jsonl: a line a question, with the right
            answers and the figures.
        found: of each row.
        raw: the rows.
    """
    texts = chosen_texts(found, may_be_none=has_unanswerable(raw))
    if path.suffix.lower() == ".json":
        content = json.dumps(dict(zip(raw["id"], texts, strict=True)), ensure_ascii=False, indent=1) + "\n"
    else:
        content = "".join(_line(*row) for row in zip(raw, texts, found, strict=True))  # type: ignore[arg-type]
    replace_text(path, content)


def _line(row: dict[str, object], text: str, found: FoundAnswer) -> str:
    right: list[str] = row["answers"]["text"]  # type: ignore[index]
    said = {
        "id": row["id"],
        "question": row["question"],
        "prediction": text,
        "answers": right,
        "exact_match": exact_match(text, right),
        "f1": f1_score(text, right),
    }
    doubt = found.doubt if found.doubt < float("inf") else None
    return json.dumps({**said, "doubt": doubt}, ensure_ascii=False) + "\n"
