"""Translates texts with any encoder-decoder model: sorted by length, in batches, in the order they came."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast, overload

from tinybert_hf.checkpoints import check_ids, limits_of
from tinybert_hf.errors import TeacherError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Above this a tokenizer's model_max_length means "unknown".
_NO_LIMIT = 1_000_000


@dataclass(frozen=True)
class Translations(Sequence[list[str]]):
    """What a model made of some texts; as a sequence, the hypotheses of each text.

    Attributes:
        hypotheses: for each text its hypotheses, best first.
        cut_off: for each hypothesis whether the limit of new tokens cut it, because the model did not end it.
        truncated: for each text whether the model could not read all of it, because it has too few positions.
        seconds: time taken, tokenizing included.
    """

    hypotheses: list[list[str]]
    cut_off: list[list[bool]]
    truncated: list[bool]
    seconds: float

    @property
    def best(self) -> list[str]:
        """The best hypothesis of each text."""
        return [candidates[0] for candidates in self.hypotheses]

    @property
    def cut_off_count(self) -> int:
        """How many of the best hypotheses were cut off."""
        return sum(candidates[0] for candidates in self.cut_off)

    @property
    def truncated_count(self) -> int:
        """How many texts were not read to their end."""
        return sum(self.truncated)

    def __len__(self) -> int:
        return len(self.hypotheses)

    @overload
    def __getitem__(self, index: int) -> list[str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[str]]: ...
    def __getitem__(self, index: int | slice) -> list[str] | list[list[str]]:
        return self.hypotheses[index]


def translate_texts(
    model: "PreTrainedModel",
    tokenizer: Any,
    texts: Sequence[str],
    *,
    batch_size: int = 32,
    num_beams: int = 1,
    max_new_tokens: int | None = None,
    candidates: int = 1,
    prefix: str = "",
    progress: Callable[[int], None] | None = None,
) -> Translations:
    """Translates texts, without sampling.

    Batches are made of texts of like length, the longest first. A blank text is not given to the model: its
    hypotheses are empty. The model keeps its modes and its device, and no random number is drawn.

    Args:
        model: any AutoModelForSeq2SeqLM.
        tokenizer: of the model; a multilingual one with its languages set (`set_languages`).
        texts: the source texts.
        batch_size: texts of one batch; a beam search takes `num_beams` times the memory.
        num_beams: width of the search; 1 is greedy.
        max_new_tokens: tokens of a translation at most; None: 2 x the tokens of the longest source of the batch + 10.
            Never more than the decoder has positions.
        candidates: hypotheses of each text, at most `num_beams`.
        prefix: put before each text, where the model wants that: ">>cmn_Hans<< ", "translate English to German: ".
        progress: called after each batch with the number of its texts.

    Returns:
        The hypotheses in the order of `texts`, and which of them, or of the texts, were cut.

    Raises:
        TeacherError: the model does not translate, has no decoder start token, or the tokenizer is another model's.
        ValueError: a size that makes no sense.
    """
    import torch

    _check_sizes(texts, batch_size, num_beams, candidates, max_new_tokens)
    start_token = decoder_start_token(model)
    start = time.perf_counter()
    rows, truncated = _encode(model, tokenizer, [prefix + text for text in texts])
    order = sorted((row for row, text in enumerate(texts) if text.strip()), key=lambda row: -len(rows[row]))
    hypotheses = [[""] * candidates for _ in texts]
    cut_off = [[False] * candidates for _ in texts]
    if progress is not None and len(order) < len(texts):
        progress(len(texts) - len(order))
    with _eval_mode(model), torch.inference_mode():
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            longest = len(rows[batch[0]])
            written, ended = _generate(
                model,
                [rows[row] for row in batch],
                num_beams=num_beams,
                num_return_sequences=candidates,
                max_new_tokens=_limit(model, max_new_tokens or 2 * longest + 10),
                decoder_start_token_id=start_token,
            )
            decoded = [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]
            for place, row in enumerate(batch):
                own = slice(place * candidates, (place + 1) * candidates)
                hypotheses[row] = decoded[own]
                cut_off[row] = [not end for end in ended[own]]
            if progress is not None:
                progress(len(batch))
    return Translations(hypotheses, cut_off, truncated, time.perf_counter() - start)


def decoder_start_token(model: "PreTrainedModel") -> int:
    """The token that a model's decoder reads first.

    transformers takes the bos token where none is set; a model that was trained with another one then writes nonsense
    without a word, so that is refused here.

    Raises:
        TeacherError: the model has no decoder, no such token, or one outside its vocabulary.
    """
    name = _name(model)
    if not model.config.is_encoder_decoder:
        raise TeacherError(
            f"{name} is a {type(model).__name__}, which has no decoder, so it cannot translate. Give a "
            "sequence-to-sequence model: Marian, NLLB, M2M100, mBART, T5, or a TinyBertForSeq2Seq."
        )
    token = model.generation_config.decoder_start_token_id
    if token is None:
        token = getattr(model.config, "decoder_start_token_id", None)
    if token is None:
        raise TeacherError(
            f"{name} has no decoder start token, so it is unknown how its translations begin. Set "
            "model.generation_config.decoder_start_token_id to the token that its decoder was trained to begin with "
            f"(pad_token_id, here {model.config.pad_token_id}, for Marian and T5; eos_token_id, here "
            f"{model.config.eos_token_id}, for BART, mBART, M2M100 and NLLB), and save the model again."
        )
    head = model.get_output_embeddings()
    if head is not None and not 0 <= token < head.weight.shape[0]:
        raise TeacherError(
            f"{name} has the decoder start token {token}, outside its vocabulary of {head.weight.shape[0]} tokens. "
            "Correct model.generation_config.decoder_start_token_id and save the model again."
        )
    return int(token)


def source_positions(model: "PreTrainedModel", tokenizer: Any) -> int | None:
    """Tokens of a text that model and tokenizer take; None where there is no limit (T5)."""
    limits = (limits_of(model).length, getattr(tokenizer, "model_max_length", None))
    known = [int(limit) for limit in limits if limit is not None and limit < _NO_LIMIT]
    return min(known, default=None)


def _name(model: "PreTrainedModel") -> str:
    return model.config.name_or_path or type(model).__name__


def _limit(model: "PreTrainedModel", new_tokens: int) -> int:
    positions = limits_of(model).target_length
    # The start token has a position, and the last token, which is never read again, needs none.
    return new_tokens if positions is None else min(new_tokens, positions)


def _check_sizes(
    texts: Sequence[str], batch_size: int, num_beams: int, candidates: int, max_new_tokens: int | None
) -> None:
    if isinstance(texts, str):
        raise ValueError("translate_texts takes a list of texts; for one text write [text].")
    if batch_size < 1 or num_beams < 1 or (max_new_tokens is not None and max_new_tokens < 1):
        raise ValueError(
            f"batch_size {batch_size}, num_beams {num_beams} and max_new_tokens {max_new_tokens} must be at least 1."
        )
    if not 1 <= candidates <= num_beams:
        raise ValueError(
            f"candidates is {candidates}; a search with {num_beams} beams gives 1 to {num_beams} hypotheses."
        )


def _encode(model: "PreTrainedModel", tokenizer: Any, texts: Sequence[str]) -> tuple[list[list[int]], list[bool]]:
    """Token ids of each text, cut to what the model can read, and which were cut."""
    if not texts:
        return [], []
    limit = source_positions(model, tokenizer)
    rows = cast(list[list[int]], list(tokenizer(list(texts), verbose=False)["input_ids"]))
    truncated = [limit is not None and len(ids) > limit for ids in rows]
    for row, too_long in enumerate(truncated):
        if too_long:  # the tokenizer knows which special tokens must stay at the end
            rows[row] = tokenizer(texts[row], truncation=True, max_length=limit)["input_ids"]
    check_ids({token for ids in rows for token in ids}, model, _name(model), TeacherError, tokenizer)
    return rows, truncated


def _generate(model: "PreTrainedModel", rows: list[list[int]], **options: Any) -> tuple[list[list[int]], list[bool]]:
    """Written token ids of every hypothesis, and whether the model ended it itself."""
    import torch

    pad = model.config.pad_token_id or 0
    longest = max(len(ids) for ids in rows)
    padded = torch.tensor([ids + [pad] * (longest - len(ids)) for ids in rows], device=model.device)
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in rows], device=model.device)
    # A forced end (Marian, BART) would hide that the limit was reached; max_length is the checkpoint's older limit.
    fixed = {"do_sample": False, "use_cache": True, "max_length": None, "forced_eos_token_id": None}
    written = model.generate(input_ids=padded, attention_mask=mask, **fixed, **options)[:, 1:].tolist()
    end = model.generation_config.eos_token_id
    ends = set(end) if isinstance(end, list | tuple) else {end}
    return written, [not ends.isdisjoint(ids) for ids in written]


@contextmanager
def _eval_mode(model: "PreTrainedModel") -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
