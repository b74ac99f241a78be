"""Whether a pruned model gives what it gave before, bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening import limits_of

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Pair = tuple[PreTrainedModel, PreTrainedTokenizerBase]

_LENGTH, _BATCH = 128, 8


def check_unchanged(before: Pair, after: Pair, kept: Sequence[int], texts: Sequence[str]) -> int:
    """Compare pieces and outputs on the texts that hold kept pieces only.

    Args:
        before: the model and its tokenizer.
        after: the pruned ones.
        kept: old ids of the pieces that stay.
        texts: of the corpus; those that hold another piece are passed over.

    Returns:
        How many texts were compared.

    Raises:
        TinyBertError: a text became other pieces, or an output another number.
    """
    place = {old: new for new, old in enumerate(kept)}
    length = min(_LENGTH, before[1].model_max_length, limits_of(before[0]).length or _LENGTH)
    compared = 0
    for start in range(0, len(texts), _BATCH):
        batch = list(texts[start : start + _BATCH])
        ids = [before[1](text, truncation=True, max_length=length)["input_ids"] for text in batch]
        batch = [text for text, own in zip(batch, ids, strict=True) if set(own) <= place.keys()]
        if not batch:
            continue
        options: dict[str, Any] = {"truncation": True, "max_length": length, "padding": True, "return_tensors": "pt"}
        old, new = (tokenizer(batch, **options) for _, tokenizer in (before, after))
        expected = [[place[index] for index in row] for row in old["input_ids"].tolist()]
        if expected != new["input_ids"].tolist():
            raise TinyBertError(
                f"With the pruned vocabulary, {batch[0]!r:.80} becomes other pieces: nothing was saved."
            )
        for name, theirs, ours in _outputs(before[0], old, after[0], new):
            _compare(name, theirs, ours, kept)
        compared += len(batch)
    return compared


def _outputs(first: PreTrainedModel, old: Any, second: PreTrainedModel, new: Any) -> list[tuple[str, Tensor, Tensor]]:
    import torch

    found = []
    for model, batch in ((first, old), (second, new)):
        mode = model.training
        inputs = {name: values.to(model.device) for name, values in batch.items()}
        if "MultipleChoice" in type(model).__name__:
            inputs = {name: values.unsqueeze(1) for name, values in inputs.items()}
        with torch.inference_mode():
            found.append(dict(model.eval()(**inputs, output_hidden_states=True, return_dict=True).items()))
        model.train(mode)
    theirs, ours = ({**one, "hidden_states": one["hidden_states"][-1]} for one in found)
    return [(name, theirs[name], ours[name]) for name in theirs if torch.is_tensor(theirs[name])]


def _compare(name: str, theirs: Tensor, ours: Tensor, kept: Sequence[int]) -> None:
    import torch

    if theirs.shape != ours.shape:  # a masked-language model scores every piece; those that are left are compared
        theirs = theirs[..., torch.tensor(kept, device=theirs.device)]
        # A product with fewer columns may be summed in another order.
        same = torch.allclose(theirs, ours, rtol=1e-4, atol=1e-4)
    else:
        same = torch.equal(theirs, ours)
    if not same:
        raise TinyBertError(
            f"{name} of the pruned model differs by up to {(theirs - ours).abs().max():.3g} on texts whose pieces are "
            "all kept: nothing was saved. This model depends on its vocabulary in a way that is not known here."
        )
