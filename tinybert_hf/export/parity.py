"""Whether an exported model answers as the model that it was made from, on text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.demo import demo_sentiment
from tinybert_hf.opening import QUESTION_ANSWERING

if TYPE_CHECKING:
    from torch import Tensor

    from tinybert_hf.export.source import Source

TEXTS = 64
_SHORT, _MEDIUM, _BATCH = 7, 60, 8
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


def compare(source: Source, exported: Any, texts: Sequence[str]) -> Parity:
    """Run both models over texts: one by one and in batches, short ones and as long as the model can read.

    Args:
        source: the model.
        exported: called as it is.
        texts: as many as shall be compared.
    """
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
            difference = max(difference, float((theirs - ours).abs().max()))
            labels, own = _says(theirs, name), _says(ours, name)
            if labels is not None and own is not None:
                same, answers = same + int(labels.eq(own).sum()), answers + labels.numel()
        shapes.append(" x ".join(map(str, real.shape)))
        count += len(real)
    share = same / answers if answers else None
    return Parity(count, tuple(dict.fromkeys(shapes)), difference, share)


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
    names = set(source.tokenizer.model_input_names)
    pairs = list(reversed(texts)) if source.task == QUESTION_ANSWERING else None
    return {name: one for name, one in source.tokenizer(list(texts), pairs, **options).items() if name in names}
