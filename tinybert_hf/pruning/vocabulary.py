"""Prune the vocabulary of a model in memory."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening import check_tokens, limits_of
from tinybert_hf.pruning.choice import MARGIN, MIN_COUNT, Choice, check_choice, choose_pieces
from tinybert_hf.pruning.counting import PieceCounts, count_pieces
from tinybert_hf.pruning.embeddings import ids_of_settings, prune_embeddings
from tinybert_hf.pruning.report import PruningReport, size_of
from tinybert_hf.pruning.tokenizer_file import own_backend, prune_tokenizer, special_ids
from tinybert_hf.pruning.tokenizer_models import TokenizerModel, model_of
from tinybert_hf.pruning.verification import check_unchanged

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class PrunedModel:
    """A model with a smaller vocabulary.

    Attributes:
        model: with fewer embeddings.
        tokenizer: with fewer pieces.
        kept: their old ids; the place in this list is the new one.
        report: sizes before and after, and what of the corpus is kept.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    kept: tuple[int, ...]
    report: PruningReport


def check_prunable(config: Any, architecture: str) -> None:
    """Refuse a kind of model whose vocabulary must not change.

    Args:
        config: of the model.
        architecture: the name of its class.

    Raises:
        TinyBertError: a translator, or another model that writes text.
    """
    writes = getattr(config, "is_encoder_decoder", False) or getattr(config, "is_decoder", False)
    if writes or architecture.endswith(("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")):
        raise TinyBertError(
            f"A {config.model_type} that writes text (a translator) keeps its vocabulary: it chooses each word among "
            "all pieces, so with fewer of them it would write something else. Encoders can be pruned: classifiers, "
            "taggers, question answering, masked-language models, embeddings."
        )
    if not isinstance(getattr(config, "vocab_size", None), int):
        raise TinyBertError(f"A {config.model_type} has no vocab_size in its configuration; it cannot be pruned.")


def prune_vocabulary(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[str],
    *,
    min_count: int = MIN_COUNT,
    margin: float = MARGIN,
) -> PrunedModel:
    """Keep the word pieces that a corpus uses, and leave out the rest of the vocabulary.

    What stays: special and added tokens; all single characters, also inside a word; every piece that comes `min_count`
    times; and the `margin`, from the pieces with the lowest ids. A text whose pieces all stay becomes the same pieces
    and gets the same output, bit for bit, which is checked on texts of the corpus. In another text a piece that has
    gone falls into smaller ones, down to characters.

    Args:
        model: an encoder with any head; it is not changed.
        tokenizer: of the model; WordPiece, Unigram (SentencePiece) or BPE, as a tokenizer.json.
        texts: of the kind that will come; read once, so they may be many.
        min_count: how often a piece has to come.
        margin: share of the pieces that the corpus does not use, from 0 to 1, that stays as well.

    Returns:
        A new model and a new tokenizer, and the figures.

    Raises:
        TinyBertError: a translator; a tokenizer of another kind, or with more tokens than the model; no text; numbers
            out of their range; an output that is not the same.
    """
    check_choice(min_count, margin)
    check_prunable(model.config, type(model).__name__)
    backend = own_backend(tokenizer)
    pieces = model_of(backend, json.loads(backend.to_str()))
    size = model.config.vocab_size
    check_tokens(tokenizer, model, f"The {type(model).__name__}")
    counts = count_pieces(backend, texts, size)
    choice = choose_pieces(pieces, counts, _always(model, tokenizer), min_count, margin)
    smaller = prune_tokenizer(tokenizer, pieces, choice.kept)
    pruned = prune_embeddings(model, choice.kept)
    # A model that was opened from a file lies in memory as in the file, and a product of numbers that lie otherwise
    # may be summed in another order: the copy lies as the pruned one does.
    checked = check_unchanged((copy.deepcopy(model), tokenizer), (pruned, smaller), choice.kept, counts.sample)
    report = _report(model, pruned, counts, choice, pieces, checked)
    return PrunedModel(pruned, smaller, tuple(choice.kept), report)


def _always(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Ids that stay whatever the corpus holds."""
    known = set(tokenizer.get_vocab().values())
    always = (special_ids(tokenizer) | ids_of_settings(model)) & known
    if limits_of(model).no_place is not None:  # the padding token's id says where positions begin: it must not change
        always |= {index for index in range(model.config.pad_token_id + 1) if index in known}
    return always


def _report(
    model: PreTrainedModel,
    pruned: PreTrainedModel,
    counts: PieceCounts,
    choice: Choice,
    pieces: TokenizerModel,
    checked: int,
) -> PruningReport:
    (parameters, megabytes), (parameters_after, megabytes_after) = size_of(model), size_of(pruned)
    unknown = pieces.unknown_id
    return PruningReport(
        pieces_before=model.config.vocab_size,
        pieces_after=len(choice.kept),
        used=choice.used,
        margin=choice.margin,
        parameters_before=parameters,
        parameters_after=parameters_after,
        megabytes_before=megabytes,
        megabytes_after=megabytes_after,
        texts=counts.texts,
        tokens=counts.tokens,
        kept_share=float(counts.counts[choice.kept].sum() / counts.tokens),
        unknown_share=0.0 if unknown is None else float(counts.counts[unknown] / counts.tokens),
        unseen_share=float((counts.counts == 1).sum() / counts.tokens),
        checked=checked,
    )
