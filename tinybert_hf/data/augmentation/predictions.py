"""The words that a masked-LM expects in the place of another, for many texts at once.

The model sees the original text with that one word masked, as published. Of the masked texts of all rows, those of
like length make a batch, and nothing but the masked places goes through the last feed-forward part and the head.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.augmentation.best import best, best_exactly
from tinybert_hf.data.augmentation.vocabulary import Vocabulary
from tinybert_hf.data.augmentation.words import is_ideograph

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class MaskedText:
    """A text with one word masked.

    Attributes:
        ids: tokens, special ones included.
        place: of the mask among them.
        word: that stood there.
    """

    ids: list[int]
    place: int
    word: str


class Predictions:
    """Asks a masked-LM for words."""

    def __init__(self, model: "PreTrainedModel", tokenizer: Any, vocabulary: Vocabulary, batch_size: int) -> None:
        """For a model on its device."""
        self._model, self._tokenizer, self._vocabulary, self._batch_size = model, tokenizer, vocabulary, batch_size
        self._allowed = vocabulary.allowed(model.config.vocab_size).to(model.device)
        self._exact: PreTrainedModel | None = None

    def words(
        self, texts: Sequence[MaskedText], count: int, progress: Callable[[int], None] | None = None
    ) -> list[list[str]]:
        """The best words for each mask, whatever else is in the batch.

        Args:
            texts: in any order.
            count: of words.
            progress: called with the number of texts of each batch.

        Returns:
            For each text words of the vocabulary in the order of their ids; never the word that stood there.
        """
        found: dict[int, list[int]] = {}
        doubtful: list[int] = []
        for batch in self._batches(texts, range(len(texts))):
            scores = self._scores(self._model, [texts[index] for index in batch])
            indices, doubts = best(scores, count)
            chosen = indices.masked_fill(scores.gather(1, indices).isinf(), -1)
            found.update(zip(batch, chosen.tolist(), strict=True))
            doubtful += [index for index, doubt in zip(batch, doubts.tolist(), strict=True) if doubt]
            if progress is not None:
                progress(len(batch))
        for batch in self._batches(texts, doubtful):
            scores = self._scores(self._exact_model(), [texts[index] for index in batch])
            indices = best_exactly(scores, count)
            found.update(zip(batch, indices.masked_fill(scores.gather(1, indices).isinf(), -1).tolist(), strict=True))
        return [
            [self._vocabulary.words[number] for number in sorted(found[index]) if number >= 0]
            for index in range(len(texts))
        ]

    def _batches(self, texts: Sequence[MaskedText], indices: Sequence[int]) -> Iterator[list[int]]:
        """Of like length, so that little is padded."""
        ordered = sorted(indices, key=lambda index: len(texts[index].ids))
        for start in range(0, len(ordered), self._batch_size):
            yield ordered[start : start + self._batch_size]

    def _scores(self, model: "PreTrainedModel", texts: Sequence[MaskedText]) -> "Tensor":
        """The logits of whole words at each mask, (B, V); all others are -inf."""
        import torch

        width, padding = max(len(text.ids) for text in texts), self._tokenizer.pad_token_id or 0
        ids = torch.tensor([text.ids + [padding] * (width - len(text.ids)) for text in texts])
        mask = torch.tensor([[1] * len(text.ids) + [0] * (width - len(text.ids)) for text in texts])
        places = torch.tensor([text.place for text in texts], device=model.device)
        with torch.inference_mode(), _only_at(model, places):
            logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits[:, 0]
        logits = logits if logits.dtype == torch.float64 else logits.float()
        groups = torch.tensor([int(is_ideograph(text.word)) for text in texts], device=logits.device)
        logits = logits + self._allowed[groups].to(logits.device)
        for row, text in enumerate(texts):
            for number in self._vocabulary.ids_of(text.word):
                logits[row, number] = float("-inf")
        return logits

    def _exact_model(self) -> "PreTrainedModel":
        if self._exact is None:
            self._exact = copy.deepcopy(self._model)
            if self._exact.device.type == "mps":  # has no double precision
                self._exact.cpu()
            self._exact.double()
        return self._exact


@contextmanager
def _only_at(model: "PreTrainedModel", places: "Tensor") -> Iterator[None]:
    """Within, the model goes on with one place of each row alone as soon as no layer needs the others."""
    rows = range(len(places))

    def pick(module: Any, inputs: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (output[0][rows, places].unsqueeze(1), *output[1:])
        if hasattr(output, "last_hidden_state"):
            output.last_hidden_state = output.last_hidden_state[rows, places].unsqueeze(1)
            return output
        return output[rows, places].unsqueeze(1)

    layers = getattr(getattr(model.base_model, "encoder", None), "layer", None)
    last = layers[-1] if layers is not None and len(layers) else None
    # Built as BERT's: behind the attention, each token goes its own way.
    is_bert_layer = all(hasattr(last, part) for part in ("attention", "intermediate", "output"))
    handle = (last.attention if is_bert_layer and last is not None else model.base_model).register_forward_hook(pick)
    try:
        yield
    finally:
        handle.remove()
