"""A BERT-shaped checkpoint as a TinyBERT: encoder, head and projections, each weight accounted for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.conversion.names import Sorted, layer_count, sort_weights
from tinybert_hf.conversion.shape import config_of, head_of, is_published
from tinybert_hf.conversion.source import Source, find_source, read_weights
from tinybert_hf.conversion.vocabulary import open_vocabulary
from tinybert_hf.distillation.projections import Projections
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.model import (
    TinyBertConfig,
    TinyBertForMaskedLM,
    TinyBertForQuestionAnswering,
    TinyBertForSequenceClassification,
    TinyBertForTokenClassification,
    TinyBertModel,
)
from tinybert_hf.opening import PROJECTIONS_FILE, carry_modules, check_writable, put_in_place, sentence_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

HEADS: dict[str, type[PreTrainedModel]] = {
    "encoder": TinyBertModel,
    "sequence-classification": TinyBertForSequenceClassification,
    "token-classification": TinyBertForTokenClassification,
    "question-answering": TinyBertForQuestionAnswering,
    "masked-lm": TinyBertForMaskedLM,
}
_HEAD_WEIGHTS = {
    "sequence-classification": "classifier.",
    "token-classification": "classifier.",
    "question-answering": "qa_outputs.",
    "masked-lm": "cls.predictions.",
}


@dataclass(frozen=True)
class Conversion:
    """What a checkpoint has become.

    Attributes:
        model: with the weights of the checkpoint.
        tokenizer: its vocabulary.
        projections: of the published general checkpoints; None where there are none.
        head: a key of HEADS.
        is_published: whether it is one of the published TinyBERTs, whose classifier is another than BERT's.
        left_out: tensors that were not needed, with the reason.
        random: parameters that the checkpoint lacks.
        notes: what else a user should know.
        folder: that the checkpoint was read from.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    projections: Projections | None
    head: str
    is_published: bool
    left_out: dict[str, str]
    random: list[str]
    notes: list[str]
    folder: Path


def convert_checkpoint(name_or_path: str | Path, output_dir: str | Path, **options: Any) -> Conversion:
    """Convert a checkpoint and put it into a folder: model, tokenizer and code, its projections beside them.

    Args:
        name_or_path: a folder, a weights file beside its config.json, or an id on the Hub.
        output_dir: new or empty.
        **options: `head` (encoder, sequence-classification, token-classification, question-answering or masked-lm;
            None: what the checkpoint holds), `label_names`, `lower_case`, `allow_missing`, `allow_unexpected` and
            `revision`, as `tinybert convert` has them.

    Returns:
        What the checkpoint has become: `model`, `tokenizer`, `projections`, `head`, and what was left out or drawn.

    Raises:
        OutputFolderError: the folder holds something.
        TinyBertError: no such checkpoint; not built like BERT; a damaged file; tensors that are missing, unexpected
            or of another shape than config.json says (all listed); a vocabulary larger than the embeddings.
    """
    target = Path(output_dir)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputFolderError(f"{target} is there and not empty. Give another output folder, or remove it.")
    check_writable(target)
    converted = read_checkpoint(name_or_path, **options)
    kept = converted.projections
    further = {} if kept is None else {PROJECTIONS_FILE: kept.state_dict()}
    # A sentence vector is made by what sentence-transformers puts behind the encoder.
    add = partial(carry_modules, converted.folder) if converted.head == "encoder" else None
    put_in_place(converted.model, converted.tokenizer, target, further, add)
    return converted


def read_checkpoint(
    name_or_path: str | Path,
    *,
    head: str | None = None,
    label_names: Sequence[str] | None = None,
    lower_case: bool | None = None,
    allow_missing: bool = False,
    allow_unexpected: bool = False,
    revision: str | None = None,
) -> Conversion:
    """Read a checkpoint as a TinyBERT.

    Takes the published TinyBERT checkpoints in all their layouts (config.json without `model_type`, `.bin` files,
    LayerNorm as `gamma` and `beta`, one `fit_dense` or `fit_denses.0` to `fit_denses.M`, with or without a
    classifier), and any checkpoint that is built like BERT.

    Args:
        name_or_path: a folder, a weights file beside its config.json, or an id on the Hub.
        head: a key of HEADS; None: what the checkpoint holds.
        label_names: of a classifier whose config.json does not name its labels, in order.
        lower_case: whether the tokenizer lowers letters; None: as its files say, else by its vocabulary.
        allow_missing: draw at random what the checkpoint lacks.
        allow_unexpected: leave out tensors that belong to no part of the model.
        revision: of a repository on the Hub.

    Returns:
        The model with its tokenizer and projections, and what was left out or drawn at random.

    Raises:
        TinyBertError: no such checkpoint; not built like BERT; a damaged file; tensors that are missing, unexpected
            or of another shape than config.json says (all listed); a vocabulary larger than the embeddings.

    Source:
        The published checkpoints of Jiao et al. 2020; their classifier is Linear(relu(pooled)), without dropout.
    """
    from transformers import set_seed

    if head is not None and head not in HEADS:
        raise TinyBertError(f"There is no head {head!r}; choose one of {', '.join(HEADS)}.")
    source = find_source(name_or_path, revision)
    weights = sort_weights(read_weights(source))
    published = is_published(source, weights)
    notes: list[str] = []
    chosen = head or head_of(source, weights, published)
    config = config_of(source, weights, chosen, label_names, published)
    set_seed(0)  # of what the checkpoint lacks, if that is allowed
    model = HEADS[chosen](config).eval()
    random = _fill(model, weights, chosen, source, allow_missing, allow_unexpected)
    if random:
        notes.append(f"{len(random)} parameters are random: the checkpoint lacks them")
    tokenizer = open_vocabulary(source, config, lower_case, notes)
    steps = sentence_steps(source.folder)
    if steps:
        notes.append(_sentence_note(steps, chosen))
    projections = _projections(weights, config, source)
    return Conversion(model, tokenizer, projections, chosen, published, weights.left_out, random, notes, source.folder)


def _sentence_note(steps: Sequence[str], head: str) -> str:
    """What becomes of the steps that sentence-transformers takes behind an encoder."""
    if head != "encoder":
        return f"sentence-transformers' own steps ({', '.join(steps)}) are left out: the head {head} does without them"
    return (
        f"it is a model of sentence-transformers; what makes a sentence vector ({', '.join(steps)}) was carried over: "
        "SentenceTransformer(FOLDER, trust_remote_code=True). AutoModel gives the states of the tokens alone"
    )


def _fill(
    model: PreTrainedModel,
    weights: Sorted,
    head: str,
    source: Source,
    allow_missing: bool,
    allow_unexpected: bool,
) -> list[str]:
    """Load the weights into the model.

    Returns:
        The parameters that the checkpoint lacks.

    Raises:
        TinyBertError: missing, unexpected or misshapen tensors.
    """
    layers, described = layer_count(weights.body), model.config.num_hidden_layers
    if layers != described:
        raise TinyBertError(
            f"{source.folder / 'config.json'} describes {described} layers, but {source.weights} has {layers}. One of "
            "the two files is another model's: put the right one beside the other."
        )
    wanted = model.state_dict()
    prefix = "" if head == "encoder" else "tinybert."
    own_head = _HEAD_WEIGHTS.get(head)
    given = {f"{prefix}{name}": tensor for name, tensor in weights.body.items()}
    for name, tensor in weights.head.items():
        if own_head is not None and name.startswith(own_head):
            given[name] = tensor
        else:
            weights.left_out[name] = f"of another head than the one that is taken ({head})"
    for name in [name for name in given if name.startswith(f"{prefix}pooler.") and name not in wanted]:
        weights.left_out[name] = f"a pooler, which the head {head} does not look at"
        del given[name]
    unexpected = sorted([*weights.unknown, *(name for name in given if name not in wanted)])
    tied = model._tied_weights_keys or {}
    missing = sorted(name for name in wanted if name not in given and name not in tied)
    misshapen = [
        f"{name} {tuple(given[name].shape)}, but {tuple(wanted[name].shape)} by config.json"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    if misshapen:
        raise TinyBertError(
            f"{source.weights} does not fit {source.folder / 'config.json'}: {_some(misshapen, '; ')}."
        )
    if unexpected and not allow_unexpected:
        raise TinyBertError(
            f"{source.weights} holds {len(unexpected)} tensors that no part of a BERT is called: {_some(unexpected)}. "
            "If they can be spared, allow it (--allow-unexpected)."
        )
    if missing and not allow_missing:
        raise TinyBertError(
            f"{source.weights} lacks {len(missing)} parameters of a {type(model).__name__}: {_some(missing)}. Take "
            f"another head (--head {' | '.join(HEADS)}), or have them drawn at random (--allow-missing)."
        )
    for name in unexpected:
        weights.left_out[name] = "unexpected"
    model.load_state_dict({name: tensor for name, tensor in given.items() if name in wanted}, strict=False)
    model.tie_weights()
    return missing


def _some(names: Sequence[str], between: str = ", ") -> str:
    return between.join(names[:8]) + (f"{between}and {len(names) - 8} more" if len(names) > 8 else "")


def _projections(weights: Sorted, config: TinyBertConfig, source: Source) -> Projections | None:
    """The maps that a published general checkpoint holds: one for all layers, or one for each."""
    found = weights.projections
    if not found:
        return None
    layers = [str(layer) for layer in range(config.num_hidden_layers + 1)]
    shapes = {tuple(maps["weight"].shape) for maps in found.values() if "weight" in maps}
    whole = all(set(maps) == {"weight", "bias"} for maps in found.values())
    width, *further = {shape[0] for shape in shapes if len(shape) == 2 and shape[1] == config.hidden_size} or {0}
    if not whole or further or not width or (set(found) != {"shared"} and sorted(found, key=int) != layers):
        raise TinyBertError(
            f"{source.weights}: its projections ({_some(sorted(found))}) are neither one fit_dense for all layers nor "
            f"fit_denses.0 to fit_denses.{layers[-1]}, each with weight and bias from width {config.hidden_size}."
        )
    mode = "shared" if "shared" in found else "per_layer"
    projections = Projections(mode, config.hidden_size, width, [int(layer) for layer in layers])
    state: dict[str, Tensor] = {f"maps.{k}.{part}": t for k, maps in found.items() for part, t in maps.items()}
    projections.load_state_dict(state)
    return projections
