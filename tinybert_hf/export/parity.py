"""Whether an exported model answers as the model that it was made from, on text."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.demo import demo_sentiment
from tinybert_hf.data.tasks import TASKS
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.export.source import TRANSLATION
from tinybert_hf.opening import QUESTION_ANSWERING, TEXT_CLASSIFICATION

if TYPE_CHECKING:
    from torch import Tensor

    from tinybert_hf.data import DataSettings
    from tinybert_hf.export.source import Source

TEXTS = 64
_SHORT, _MEDIUM, _BATCH = 7, 60, 8
_TRANSLATED, _WRITTEN = 16, 64  # texts and tokens; a translator takes a forward a token
_COLUMNS = {
    TEXT_CLASSIFICATION: "text", TOKEN_CLASSIFICATION: "tokens", QUESTION_ANSWERING: "context", TRANSLATION: "source",
}  # fmt: skip
_STATES = ("last_hidden_state", "pooler_output")


@dataclass(frozen=True)
class Parity:
    """How far two models are from each other.

    Attributes:
        texts: that were compared.
        shapes: of the batches, as "3 x 60".
        largest_difference: of all outputs, at real tokens.
        equal_answers: share of the texts, or tokens, that get the same label; None where there are no labels.
    """

    texts: int
    shapes: tuple[str, ...]
    largest_difference: float
    equal_answers: float | None


def default_texts() -> list[str]:
    """Sentences of the demo's grammar."""
    return [row["text"] for row in demo_sentiment(TEXTS)]


def texts_of(task: str, validation: DataSettings, label_names: Sequence[str] | None) -> list[str]:
    """The texts of the first validation rows.

    Args:
        task: a name in `TASKS`.
        validation: where the rows are.
        label_names: of the model.
    """
    rows = TASKS[task].load(validation, need_train=False, label_names=label_names).validation
    assert rows is not None  # asked for above
    found = rows[:TEXTS][_COLUMNS[task]]
    return [one if isinstance(one, str) else " ".join(one) for one in found]


def compare(source: Source, exported: Any, texts: Sequence[str]) -> Parity:
    """Run both models over texts: one by one and in batches, short ones and as long as the model can read.

    Args:
        source: the model.
        exported: called as it is.
        texts: as many as shall be compared.
    """
    return _translators(source, exported, texts) if source.task == TRANSLATION else _encoders(source, exported, texts)


def _encoders(source: Source, exported: Any, texts: Sequence[str]) -> Parity:
    import torch

    difference, same, answers, shapes, count = 0.0, 0, 0, [], 0
    for batch in _batches(source, texts):
        with torch.inference_mode():
            expected, found = source.model(**batch), exported(**batch)
        real = batch["attention_mask"].bool()
        for name in _compared(expected):
            theirs, ours = expected[name].float(), found[name].float()
            if theirs.shape[:2] == real.shape:
                theirs, ours = theirs[real], ours[real]
            difference = max(difference, _gap(theirs, ours))
            labels, own = _says(theirs, name), _says(ours, name)
            if labels is not None and own is not None:
                same, answers = same + int(labels.eq(own).sum()), answers + labels.numel()
        shapes.append(" x ".join(map(str, real.shape)))
        count += len(real)
    share = same / answers if answers else None
    return Parity(count, tuple(dict.fromkeys(shapes)), difference, share)


def _translators(source: Source, exported: Any, texts: Sequence[str]) -> Parity:
    """Both write greedily; the logits are compared on what the model wrote."""
    import torch

    difference, same, shapes, count = 0.0, 0, [], 0
    limit = min(_WRITTEN, int(getattr(source.model.config, "max_position_embeddings", _WRITTEN)) - 1)
    options = {"num_beams": 1, "do_sample": False, "max_new_tokens": limit, "max_length": None}
    for batch in _batches(source, texts[:_TRANSLATED]):
        with torch.inference_mode():
            written = source.model.generate(**batch, **options)
            equal = _same_rows(written, exported.generate(**batch, **options))
            expected, found = (one(**batch, decoder_input_ids=written).logits for one in (source.model, exported))
        difference = max(difference, _gap(expected, found))
        shapes.append(" x ".join(map(str, batch["input_ids"].shape)))
        same, count = same + equal, count + len(written)
    return Parity(count, tuple(dict.fromkeys(shapes)), difference, same / count)


def _gap(theirs: Tensor, ours: Tensor) -> float:
    """The largest difference; what is no number is infinitely far."""
    return float((theirs - ours).abs().nan_to_num(nan=float("inf")).max())


def _same_rows(theirs: Tensor, ours: Tensor) -> int:
    """How many rows hold the same tokens; one is longer where the model writes more."""
    from torch.nn.functional import pad

    wide = max(theirs.shape[1], ours.shape[1])
    theirs, ours = (pad(one, (0, wide - one.shape[1]), value=-1) for one in (theirs, ours))
    return int(theirs.eq(ours).all(dim=1).sum())


def _compared(output: Any) -> list[str]:
    names = ("logits", "start_logits", "end_logits", *_STATES)
    return [name for name in names if getattr(output, name, None) is not None]


def _says(logits: Tensor, name: str) -> Tensor | None:
    """The answer: the label with the highest score; none where a model gives numbers."""
    if name in _STATES:
        return None
    if name == "logits":
        return None if logits.shape[-1] == 1 else logits.argmax(-1)
    return logits > 0


def _batches(source: Source, texts: Sequence[str]) -> Iterator[Any]:
    long = " ".join(texts)
    while len(source.tokenizer(long, verbose=False)["input_ids"]) < source.length and len(long) < 8 * source.length:
        long += f" {long}"
    yield _encoded(source, texts[:1], _SHORT)
    yield _encoded(source, [long, *texts[1:3]], _MEDIUM)
    yield _encoded(source, [long], source.length)
    for start in range(0, len(texts), _BATCH):
        yield _encoded(source, texts[start : start + _BATCH], source.length)


def _encoded(source: Source, texts: Sequence[str], length: int) -> Any:
    options = {"truncation": True, "max_length": min(length, source.length), "padding": True, "return_tensors": "pt"}
    # A tokenizer may give what this model does not take: a BERT's segments before a Marian.
    names = set(source.tokenizer.model_input_names) & set(inspect.signature(source.model.forward).parameters)
    pairs = list(reversed(texts)) if source.task == QUESTION_ANSWERING else None
    return {name: one for name, one in source.tokenizer(list(texts), pairs, **options).items() if name in names}
