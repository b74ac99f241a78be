"""The JSON format in which SQuAD itself is published: articles, paragraphs, questions."""

from collections.abc import Iterator, Sequence
from typing import Any

from tinybert_hf.data.files import read_file
from tinybert_hf.data.raw_rows import RawRows
from tinybert_hf.errors import DataError

_FIELD = "data"


def read_squad_file(path: str, columns: Sequence[str], max_rows: int | None = None) -> RawRows | None:
    """Read such a file.

    Args:
        path: of the file.
        columns: what question, context and answers are to be called.
        max_rows: stop after this many questions.

    Returns:
        The rows, with `id`; None where the file is of another kind.

    Raises:
        DataError: it begins like such a file, and goes on otherwise.
    """
    if not path.lower().removesuffix(".gz").endswith(".json"):
        return None
    try:
        articles = read_file(path, [_FIELD], max_rows=1).columns[_FIELD][0]
    except DataError:
        return None  # the usual reader says what is wrong
    if not isinstance(articles, list) or not all(isinstance(one, dict) and "paragraphs" in one for one in articles):
        return None
    question, context, answers = columns
    rows: dict[str, list[Any]] = {"id": [], question: [], context: [], answers: []}
    for row in _rows(path, articles):
        for name, value in zip(rows, row, strict=True):
            rows[name].append(value)
        if len(rows["id"]) == max_rows:
            break
    if not rows["id"]:
        raise DataError(f"{path} has no rows.")
    return RawRows(path, rows)


def _rows(path: str, articles: list[dict[str, Any]]) -> Iterator[tuple[Any, Any, Any, Any]]:
    for number, article in enumerate(articles):
        try:
            for paragraph in article["paragraphs"]:
                for one in paragraph["qas"]:
                    yield one.get("id"), one["question"], paragraph["context"], one.get("answers")
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{path}, article {number + 1}: {type(error).__name__} {error}. In SQuAD's format an article has "
                "paragraphs, each with a context and qas, each with a question and its answers."
            ) from error
