"""A smaller vocabulary for a trained model: tokenizer and embeddings together, the same answers on the kept pieces."""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf import model as family
from tinybert_hf.checkpoints import (
    PROJECTIONS_FILE,
    check_folder,
    check_tokens,
    check_writable,
    limits_of,
    open_config,
    open_model,
    open_tokenizer,
    read_projections,
    save_atomically,
)
from tinybert_hf.conversion.pruned_tokenizers import (
    TokenizerModel,
    model_of,
    own_backend,
    prune_tokenizer,
    special_ids,
)
from tinybert_hf.errors import DataError, OutputFolderError, TinyBertError
from tinybert_hf.messages import counted

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    Pair = tuple[PreTrainedModel, PreTrainedTokenizerBase]


# What pruning a vocabulary came to.

MUCH_UNKNOWN = 0.05


@dataclass(frozen=True)
class PruningReport:
    """Figures, before and after.

    Attributes:
        pieces_before: that the model embeds.
        pieces_after: likewise.
        used: pieces that the corpus uses often enough.
        margin: pieces that stay although the corpus does not use them.
        parameters_before: of the whole model.
        parameters_after: likewise.
        megabytes_before: all parameters in their own dtype, 10^6 bytes.
        megabytes_after: likewise.
        texts: of the corpus.
        tokens: of the corpus.
        kept_share: of these tokens, how many keep their piece; the others become smaller pieces.
        unknown_share: of these tokens, how many were unknown before.
        unseen_share: a guess how many tokens of further text like this are of no piece that the corpus uses: the
            share of those that came once (Good and Turing); too low where rows repeat each other. The margin, which
            is not counted in, makes it less.
        checked: texts on which the pruned model's output was compared with the model's, bit for bit.
    """

    pieces_before: int
    pieces_after: int
    used: int
    margin: int
    parameters_before: int
    parameters_after: int
    megabytes_before: float
    megabytes_after: float
    texts: int
    tokens: int
    kept_share: float
    unknown_share: float
    unseen_share: float
    checked: int = 0

    def lines(self) -> Iterator[str]:
        """For the screen."""
        yield (
            f"Vocabulary: {self.pieces_before:,} -> {counted(self.pieces_after, 'piece')} ({self.used:,} used by the "
            f"corpus, {self.margin:,} more as a margin, the rest single characters and special tokens)."
        )
        yield (
            f"Parameters: {self.parameters_before / 1e6:.2f} M -> {self.parameters_after / 1e6:.2f} M; "
            f"{self.megabytes_before:.1f} MB -> {self.megabytes_after:.1f} MB."
        )
        yield (
            f"Corpus: {counted(self.texts, 'text')}, {counted(self.tokens, 'token')}; {self.kept_share:.2%} of them "
            f"keep their piece. In further text like it about {self.unseen_share:.2%} of the tokens would be new, "
            "less with the margin."
        )
        if self.checked:
            texts = counted(self.checked, "text")
            yield f"Outputs before and after are the same, bit for bit, on {texts} of the corpus."

    def warnings(self) -> Iterator[str]:
        """What must not be overlooked."""
        if self.unknown_share >= MUCH_UNKNOWN:
            yield (
                f"{self.unknown_share:.1%} of the corpus' tokens are unknown to this vocabulary: the corpus is in "
                "another script or language than the model, or not text. What was kept was chosen by the rest."
            )


def size_of(model: nn.Module) -> tuple[int, float]:
    """Parameters, each counted once, and their megabytes."""
    parameters = list(model.parameters())
    megabytes = sum(one.numel() * one.element_size() for one in parameters) / 1e6
    return sum(one.numel() for one in parameters), megabytes


# How often a text corpus uses each piece of a vocabulary.

_BATCH_TEXTS, _BATCH_CHARACTERS = 2000, 1_000_000


@dataclass(frozen=True)
class PieceCounts:
    """What a corpus uses.

    Attributes:
        counts: how often each id came, special tokens around the texts left out.
        texts: how many there were.
        sample: some of the texts, from all over the corpus.
    """

    counts: NDArray[numpy.int64]
    texts: int
    sample: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """All of them."""
        return int(self.counts.sum())


def count_pieces(backend: Tokenizer, texts: Iterable[str], size: int, sample_size: int = 64) -> PieceCounts:
    """Read a corpus once, in batches, and count.

    Args:
        backend: it must neither cut nor pad.
        texts: any number of them.
        size: one more than the highest id.
        sample_size: texts to keep for a check; the same ones whenever the same corpus is read.

    Raises:
        DataError: there is not one token in it.
    """
    import random

    import numpy

    draw = random.Random(0)
    counts = numpy.zeros(size, dtype=numpy.int64)
    sample: list[str] = []
    seen = 0
    for batch in _batches(texts):
        encoded = backend.encode_batch(batch, add_special_tokens=False)
        ids = [index for encoding in encoded for index in encoding.ids]
        counts += numpy.bincount(numpy.array(ids, dtype=numpy.int64), minlength=size)
        for text in batch:  # each text with the same chance, without knowing how many there are
            seen += 1
            place = len(sample) if len(sample) < sample_size else draw.randrange(seen)
            if place < len(sample):
                sample[place] = text
            elif place < sample_size:
                sample.append(text)
    if not counts.any():
        raise DataError("The corpus holds not one token: its texts are empty. Give texts of the kind that will come.")
    return PieceCounts(counts, seen, tuple(sample))


def share_left_out(tokenizer: PreTrainedTokenizerBase, kept: Collection[int], texts: Iterable[str]) -> float:
    """The share of a text's tokens whose piece is not among those that stay: they fall into smaller ones.

    Args:
        tokenizer: with the whole vocabulary.
        kept: ids that stay.
        texts: others than the corpus that the pieces were chosen by.

    Raises:
        DataError: there is not one token in them.
    """
    from tinybert_hf.conversion.pruned_tokenizers import own_backend

    counts = count_pieces(own_backend(tokenizer), texts, max(tokenizer.get_vocab().values()) + 1)
    return 1.0 - float(counts.counts[[index for index in kept if index < len(counts.counts)]].sum()) / counts.tokens


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    characters = 0
    for text in texts:
        batch.append(text)
        characters += len(text)
        if len(batch) >= _BATCH_TEXTS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


# Which pieces of a vocabulary stay.

MIN_COUNT, MARGIN = 1, 0.1


@dataclass(frozen=True)
class Choice:
    """The pieces that stay.

    Attributes:
        kept: their ids, ascending; the place in this list is the new id.
        used: how many pieces the corpus uses often enough.
        margin: how many more were taken although it does not.
    """

    kept: list[int]
    used: int
    margin: int


def check_choice(min_count: int, margin: float) -> None:
    """Refuse what would be no choice.

    Raises:
        TinyBertError: a count below 1, a margin that is no share.
    """
    if min_count < 1:
        raise TinyBertError(f"min_count (--min-count) is {min_count}; a piece has to come once or more to be used.")
    if not 0 <= margin <= 1:
        raise TinyBertError(
            f"margin (--margin) is {margin:g}; expected a share of the pieces that the corpus does not use, from 0 "
            "(none of them) to 1 (all: nothing is pruned)."
        )


def choose_pieces(
    model: TokenizerModel, counts: PieceCounts, always: Collection[int], min_count: int, margin: float
) -> Choice:
    """Choose what stays: what the corpus uses, a margin, and what no tokenizer may lack.

    The margin is taken from the lowest ids: vocabularies are written in the order of frequency (BERT's, RoBERTa's) or
    of probability (SentencePiece), so the lowest ids that the corpus does not use are those that further text uses
    first. Pieces that no text can become ([unused12]) are passed over.

    Args:
        model: of the tokenizer.
        counts: of the corpus.
        always: ids that stay whatever the corpus holds: special and added tokens.
        min_count: how often a piece has to come.
        margin: share of the remaining pieces that stays as well.

    Raises:
        TinyBertError: `check_choice` refuses the numbers.
    """
    check_choice(min_count, margin)
    used = {index for index in model.ids.values() if counts.counts[index] >= min_count}
    kept = model.closed(used | set(always) | model.indispensable())
    in_order = sorted(model.ids.items(), key=lambda one: one[1])
    others = [index for token, index in in_order if index not in kept and model.reachable(token)]
    taken = others[: round(margin * len(others))]
    kept = model.closed(kept | set(taken))
    return Choice(sorted(kept), len(used), len(taken))


# A model with fewer word embeddings.


def ids_of_settings(model: PreTrainedModel) -> set[int]:
    """Every token id that the configurations name: padding, start, end, ..."""
    found: set[int] = set()
    for settings in _settings_of(model):
        for value in _token_fields(settings).values():
            found |= set(value) if isinstance(value, list) else {value}
    return {index for index in found if 0 <= index < model.config.vocab_size}


def prune_embeddings(model: PreTrainedModel, kept: Sequence[int]) -> PreTrainedModel:
    """The same model with the embeddings of some ids only, and every id in its configurations changed.

    The tensors that depend on the vocabulary are those that have another shape in a model of that many tokens: the
    word embeddings, and of a masked-language model the output matrix and its bias, tied or not.

    Args:
        model: it is not changed.
        kept: old ids, ascending; the place in this list is the new id.

    Returns:
        A model of the same class, on the same device, in the same mode.

    Raises:
        TinyBertError: a tensor has another shape for another reason.
    """
    import torch

    size = model.config.vocab_size
    new_ids = {old: new for new, old in enumerate(kept)}
    config = copy.deepcopy(model.config)
    config.vocab_size = len(kept)
    with torch.random.fork_rng():  # the weights that are drawn here are all replaced
        _renumber(config, new_ids)
        pruned = type(model)(config)
    rows = torch.tensor(kept)
    wanted = pruned.state_dict()
    state = {}
    for name, tensor in model.state_dict().items():
        if tensor.shape != wanted[name].shape:
            if (tensor.shape[0], wanted[name].shape[0]) != (size, len(kept)):
                raise TinyBertError(
                    f"{name} of this {type(model).__name__} depends on the vocabulary in a way that is not known here "
                    f"({tuple(tensor.shape)}); its vocabulary cannot be pruned."
                )
            tensor = tensor[rows.to(tensor.device)]
        state[name] = tensor.detach().clone()
    pruned.load_state_dict(state, strict=True, assign=True)
    pruned.tie_weights()
    if getattr(model, "generation_config", None) is not None:
        pruned.generation_config = copy.deepcopy(model.generation_config)
        _renumber(pruned.generation_config, new_ids)
    pruned.name_or_path = model.name_or_path
    return pruned.to(model.device).train(model.training)


def _settings_of(model: PreTrainedModel) -> list[Any]:
    generation = getattr(model, "generation_config", None)
    return [model.config, *([] if generation is None else [generation])]


def _token_fields(settings: Any) -> dict[str, int | list[int]]:
    found = {}
    for name, value in vars(settings).items():
        ids = value if isinstance(value, list) else [value]
        if name.endswith("_token_id") and ids and all(type(one) is int for one in ids):
            found[name] = value
    return found


def _renumber(settings: Any, new_ids: Mapping[int, int]) -> None:
    """Every token id; one that no token has (BERT's configuration names some in every model) becomes none."""
    for name, value in _token_fields(settings).items():
        new = [new_ids.get(one) for one in value] if isinstance(value, list) else new_ids.get(value)
        setattr(settings, name, new)


# Whether a pruned model gives what it gave before, bit for bit.

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
        for name, original, pruned in _outputs(before[0], old, after[0], new):
            _compare(name, original, pruned, kept)
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
    of_old, of_new = ({**one, "hidden_states": one["hidden_states"][-1]} for one in found)
    return [(name, of_old[name], of_new[name]) for name in of_old if torch.is_tensor(of_old[name])]


def _compare(name: str, original: Tensor, pruned: Tensor, kept: Sequence[int]) -> None:
    import torch

    if original.shape != pruned.shape:  # a masked-language model scores every piece; those that are left are compared
        original = original[..., torch.tensor(kept, device=original.device)]
        # A product with fewer columns may be summed in another order.
        same = torch.allclose(original, pruned, rtol=1e-4, atol=1e-4)
    else:
        same = torch.equal(original, pruned)
    if not same:
        raise TinyBertError(
            f"{name} of the pruned model differs by up to {(original - pruned).abs().max():.3g} on texts whose pieces "
            "are all kept: nothing was saved. This model depends on its vocabulary in a way that is not known here."
        )


# Prune the vocabulary of a model in memory.


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


# Prune the vocabulary of a saved model.


def prune_checkpoint(
    name_or_path: str | Path,
    texts: Iterable[str],
    output_dir: str | Path | None,
    *,
    min_count: int = MIN_COUNT,
    margin: float = MARGIN,
) -> PrunedModel:
    """Prune a saved model and put the result into a folder of its own.

    The folder appears when it is whole: it is written beside and renamed, after the outputs were compared.

    Args:
        name_or_path: a folder, or an id on the Hub.
        texts: as for `prune_vocabulary`.
        output_dir: new or empty; None: nothing is written.
        min_count: as for `prune_vocabulary`.
        margin: likewise.

    Raises:
        OutputFolderError: the folder holds something.
        TinyBertError: there is no model or no tokenizer there; or what `prune_vocabulary` refuses.
    """
    check_choice(min_count, margin)
    target = None if output_dir is None else Path(output_dir)
    if target is not None and target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputFolderError(f"{target} is there and not empty. Give another output folder, or remove it.")
    if target is not None:
        check_writable(target)
    model, tokenizer = _open(str(name_or_path))
    pruned = prune_vocabulary(model, tokenizer, texts, min_count=min_count, margin=margin)
    if target is not None:
        projections = read_projections(name_or_path)
        further = {} if projections is None else {PROJECTIONS_FILE: projections}
        save_atomically(pruned.model, pruned.tokenizer, target, further)
    return pruned


def _open(path: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    check_folder(path)
    config = open_config(path)
    check_prunable(config, str((config.architectures or [""])[0]))
    model = open_model(path, _class_of(config, path))
    tokenizer = open_tokenizer(path, what=f"{path} has no tokenizer that can be opened", config=model)
    return model.eval(), tokenizer


def _class_of(config: Any, path: str) -> Any:
    """The class that the weights were saved from, head included."""
    import transformers

    name = str((config.architectures or ["none"])[0])
    found = getattr(family, name, None) or getattr(transformers, name, None)
    if found is None:
        raise TinyBertError(
            f"{path}: config.json names the class {name!r}, which neither this package nor transformers has; no code "
            "of the folder is run here."
        )
    return found
