"""A BERT-shaped checkpoint as a TinyBERT: encoder, head and projections, each weight accounted for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from tinybert_hf.checkpoints import (
    PROJECTIONS_FILE,
    carry_modules,
    check_folder,
    check_tokens,
    check_writable,
    refusing,
    save_atomically,
    sentence_steps,
)
from tinybert_hf.checkpoints.integrity import check_config_file, read_object
from tinybert_hf.checkpoints.tokenizers import check_tokenizer_files
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase


# What the weights of a BERT-shaped checkpoint are called, and what each is.

_BODY = ("embeddings.", "encoder.layer.", "pooler.")
_HEADS = ("cls.predictions.", "classifier.", "qa_outputs.")
_NO_WEIGHTS = {
    "embeddings.position_ids": "the numbers of the positions",
    "cls.seq_relationship.": "next-sentence prediction, which no TinyBERT has",
}


@dataclass
class Sorted:
    """The tensors of a checkpoint under the names that BERT's modules have in transformers.

    Attributes:
        body: embeddings, layers, pooler, without the prefix `bert.`.
        head: of all heads.
        projections: student layer -> (weight, bias), as `Projections` names them: "shared", "0", "1", ...
        left_out: what is known and not needed, with the reason.
        unknown: everything else.
    """

    body: dict[str, Tensor] = field(default_factory=dict)
    head: dict[str, Tensor] = field(default_factory=dict)
    projections: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def sort_weights(tensors: dict[str, Tensor]) -> Sorted:
    """Tell body, head and projections apart.

    Args:
        tensors: as they stand in the file: with or without `bert.` and what wrappers put before it (`module.`,
            `_orig_mod.`, `model.`), LayerNorm as `gamma` and `beta` or as `weight` and `bias`.

    Raises:
        TinyBertError: two tensors have one name after that.
    """
    found = Sorted()
    seen: dict[str, str] = {}
    for key, tensor in tensors.items():
        name = plain_name(key)
        if name in seen:
            raise TinyBertError(
                f"The weights hold {name} twice: as {seen[name]} and as {key}. Remove one of them from the file."
            )
        seen[name] = key
        reason = next((why for start, why in _NO_WEIGHTS.items() if name.startswith(start)), None)
        projection = re.fullmatch(r"fit_dense(?:s\.(\d+))?\.(weight|bias)", name)
        if reason is not None:
            found.left_out[key] = reason
        elif projection is not None:
            found.projections.setdefault(projection[1] or "shared", {})[projection[2]] = tensor
        elif name.startswith(_BODY):
            found.body[name] = tensor
        elif name.startswith(_HEADS):
            found.head[name] = tensor
        else:
            found.unknown.append(key)
    return found


def plain_name(key: str) -> str:
    """A name without the prefixes of wrappers and trunk, LayerNorm as it is called now."""
    name = re.sub(r"^(?:(?:_orig_mod|module|model)\.)+", "", key).removeprefix("bert.")
    return re.sub(r"(LayerNorm)\.(gamma|beta)$", lambda found: f"{found[1]}.{_NOW[found[2]]}", name)


_NOW = {"gamma": "weight", "beta": "bias"}


def layer_count(names: Iterable[str]) -> int:
    """How many layers the weights of a body have."""
    numbers = [int(found[1]) for name in names if (found := re.match(r"encoder\.layer\.(\d+)\.", name))]
    return max(numbers, default=-1) + 1


# What a checkpoint is: whose, with which head, of which shape and labels.

_OF_ARCHITECTURE = {
    "Model": "encoder",
    "ForSequenceClassification": "sequence-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "masked-lm",
    "ForPreTraining": "masked-lm",
}
# The fields of the published config.json that transformers' BERT does not have.
_PUBLISHED_FIELDS = {"cell", "emb_size", "structure", "pre_trained"}
_FIELDS = (
    "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
    "hidden_dropout_prob", "attention_probs_dropout_prob", "max_position_embeddings", "type_vocab_size",
    "initializer_range", "layer_norm_eps", "pad_token_id", "classifier_dropout", "problem_type", "id2label",
    "label2id",
)  # fmt: skip
_NEEDED = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")


def is_published(source: Source, weights: Sorted) -> bool:
    """Whether a checkpoint is one of the published TinyBERTs, whose classifier is another than BERT's."""
    return bool(weights.projections) or (
        "model_type" not in source.config and bool(_PUBLISHED_FIELDS & source.config.keys())
    )


def head_of(source: Source, weights: Sorted, published: bool) -> str:
    """The head that a checkpoint says it has, else the one whose weights are there."""
    if published:
        # Its masked-LM head stands in the general checkpoints too, and was never trained.
        return "sequence-classification" if _has(weights, "classifier.") else "encoder"
    named = source.config.get("architectures")
    if isinstance(named, list) and named and isinstance(named[0], str):
        for ending, head in _OF_ARCHITECTURE.items():
            if named[0] == f"Bert{ending}":
                return head
    if _has(weights, "classifier."):
        has_pooler = any(name.startswith("pooler.") for name in weights.body)
        return "sequence-classification" if has_pooler else "token-classification"
    if _has(weights, "qa_outputs."):
        return "question-answering"
    return "encoder"


def _has(weights: Sorted, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in weights.head)


def config_of(
    source: Source, weights: Sorted, head: str, label_names: Sequence[str] | None, published: bool
) -> TinyBertConfig:
    """The configuration, as config.json gives it.

    Args:
        source: the files.
        weights: of the checkpoint, which know how many labels there are.
        head: that the model will have.
        label_names: that were given, in order.
        published: whether the classifier is the published one.

    Raises:
        TinyBertError: it is no BERT, a field is missing or cannot be, or the labels do not fit the classifier.
    """
    file, given = source.folder / "config.json", source.config
    family = given.get("model_type", "bert")
    if family != "bert":
        hint = " It is a TinyBERT already." if family == "tinybert" else ""
        raise TinyBertError(
            f"{file} describes a {family!r}; only what is built like BERT can be converted.{hint} A teacher may be of "
            "any family: it needs no conversion."
        )
    if given.get("position_embedding_type", "absolute") != "absolute":
        raise TinyBertError(
            f"{file}: position_embedding_type is {given['position_embedding_type']!r}; a TinyBERT has absolute "
            "positions only."
        )
    absent = [name for name in _NEEDED if name not in given]
    if absent:
        raise TinyBertError(f"{file} lacks {', '.join(absent)}: it does not describe a BERT.")
    fields = {name: given[name] for name in _FIELDS if given.get(name) is not None}
    if head in ("sequence-classification", "token-classification"):
        fields = _with_labels(fields, weights, label_names, file)
        if published:
            fields["classifier_activation"] = "relu"
    elif label_names is not None:
        raise TinyBertError(f"Label names were given, but the head is {head}, which has no labels.")
    with refusing(f"{file} cannot be used"):
        return TinyBertConfig(**fields)


def _with_labels(
    fields: dict[str, Any], weights: Sorted, label_names: Sequence[str] | None, file: Path
) -> dict[str, Any]:
    """The labels: those that were given, those of config.json, or as many LABEL_n as the classifier has outputs."""
    outputs = weights.head.get("classifier.weight")
    count = None if outputs is None else len(outputs)
    names: list[str] | None = None
    if label_names is not None:
        names = list(label_names)
    elif isinstance(fields.get("id2label"), dict):
        names = [str(name) for name in fields["id2label"].values()]
    if names is not None and count is not None and len(names) != count:
        raise TinyBertError(
            f"{len(names)} label names ({', '.join(names[:5])}), but the classifier has {count} outputs. "
            + ("Give one a label." if label_names is not None else f"{file} is not that of these weights.")
        )
    fields = {name: value for name, value in fields.items() if name not in ("id2label", "label2id")}
    if names is None:
        return {**fields, "num_labels": 2 if count is None else count}
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    return {**fields, **labels}


# The files of a checkpoint that is to be converted: a folder, a weights file, or an id on the Hub.

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_FURTHER = (
    "config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "modules.json",
    "sentence_bert_config.json", "config_sentence_transformers.json", "*/config.json",
)  # fmt: skip


@dataclass(frozen=True)
class Source:
    """A checkpoint on this machine.

    Attributes:
        folder: with config.json and the vocabulary.
        weights: the file of the weights, or the index of several.
        config: what config.json says.
    """

    folder: Path
    weights: Path
    config: dict[str, Any]


def find_source(name_or_path: str | Path, revision: str | None = None) -> Source:
    """The files of a checkpoint, fetched from the Hub where they are not here.

    Args:
        name_or_path: a folder, a weights file that lies beside its config.json, or an id on the Hub.
        revision: of the Hub's repository.

    Raises:
        TinyBertError: no such folder or repository, no config.json, no weights.
    """
    path = Path(name_or_path)
    if path.is_file():
        folder, weights = path.parent, path
    elif path.is_dir():
        folder, weights = path, _weights_in(path)
    else:
        folder = _fetch(str(name_or_path), revision)
        weights = _weights_in(folder)
    file = folder / "config.json"
    if not file.is_file():
        raise TinyBertError(f"{file} is missing: the shape of the model is written there. Put it beside the weights.")
    check_config_file(folder)
    return Source(folder, weights, read_object(file))


def read_weights(source: Source) -> dict[str, Tensor]:
    """All tensors of a checkpoint, on the CPU; a pickle can bring plain tensors only.

    Raises:
        TinyBertError: a file is missing, damaged, or holds something else than named tensors.
    """
    if source.weights.name.endswith(".index.json"):
        names = read_object(source.weights).get("weight_map")
        shards = sorted(set(map(str, names.values()))) if isinstance(names, dict) else []
        if not shards:
            raise TinyBertError(f"{source.weights} names no shard: it is cut off. Copy or download it again.")
        for name in shards:
            if Path(name).name != name or not (source.folder / name).is_file():
                raise TinyBertError(f"{source.weights} names {name!r:.80}, which is no file of that folder.")
        files = [source.folder / name for name in shards]
    else:
        files = [source.weights]
    tensors: dict[str, Tensor] = {}
    for file in files:
        tensors.update(_read(file))
    return tensors


def _weights_in(folder: Path) -> Path:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    check_folder(folder)
    raise TinyBertError(
        f"{folder} holds no weights: none of {', '.join(_WEIGHTS)} is there. Give the folder or the file of a model."
    )


def _fetch(name: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    patterns = [*_FURTHER, "*.safetensors", "*.safetensors.index.json", "pytorch_model*.bin", "*.bin.index.json"]
    what = f"{name} is no folder here, and could not be fetched from the Hub"
    try:
        with refusing(what):
            return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except TinyBertError as error:
        if isinstance(error.__cause__, HFValidationError):
            raise TinyBertError(f"{name}: there is no such folder or file.") from None
        raise


def _read(file: Path) -> dict[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    with refusing(f"{file} cannot be read: it is damaged, or holds more than tensors"):
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    # Training scripts often save the weights below one more name.
    for name in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise TinyBertError(f"{file} does not hold named tensors, so it is no model's weights.")
    return dict(content)


# The tokenizer of a checkpoint that is to be converted; old ones bring no more than a vocab.txt.

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def open_vocabulary(
    source: Source, config: TinyBertConfig, lower_case: bool | None, notes: list[str]
) -> PreTrainedTokenizerBase:
    """The tokenizer, with its length set to the positions of the model.

    Args:
        source: the files.
        config: of the model.
        lower_case: whether it lowers letters; None: as its files say, else by its vocabulary.
        notes: to which is added how that was found out.

    Raises:
        TinyBertError: there is none, it is damaged, or it has more tokens than the model embeds.
    """
    from transformers import BertTokenizer

    folder = source.folder
    words = folder / "vocab.txt"
    if not words.is_file() and not (folder / "tokenizer.json").is_file():
        raise TinyBertError(
            f"{folder} has no tokenizer: neither tokenizer.json nor vocab.txt is there. Put the model's own beside it."
        )
    check_tokenizer_files(folder)
    options: dict[str, Any] = {"model_max_length": config.max_position_embeddings}
    settings = folder / "tokenizer_config.json"
    said = read_object(settings) if settings.is_file() else {}
    if lower_case is not None:
        options["do_lower_case"] = lower_case
    elif "do_lower_case" not in said and not (folder / "tokenizer.json").is_file():
        options["do_lower_case"] = not _has_capitals(words)
        how = "lowers letters" if options["do_lower_case"] else "keeps capital letters"
        notes.append(f"no file says whether text is lowered; by its vocabulary the tokenizer {how} (--lower-case)")
    with refusing(f"the tokenizer of {folder} (vocab.txt, tokenizer.json) cannot be used"):
        tokenizer = BertTokenizer.from_pretrained(folder, **options)
    vocabulary = tokenizer.get_vocab()
    absent = [token for token in _SPECIAL if token not in vocabulary]
    if absent or len(vocabulary) <= len(_SPECIAL):
        raise TinyBertError(
            f"The vocabulary of {folder} lacks {', '.join(absent) or 'words'}: it is not a BERT's. "
            "Put the vocabulary of this model into the folder."
        )
    check_tokens(tokenizer, config, str(folder))
    return tokenizer


def _has_capitals(words: Path) -> bool:
    """Whether the words of a vocabulary are written with capital letters; one of a hundred is no accident."""
    with refusing(f"{words} cannot be read"):
        lines = words.read_text(encoding="utf-8").splitlines()
    capitals = sum(bool(re.search("[A-Z]", line)) for line in lines if not re.fullmatch(r"\[.*\]", line))
    return capitals > len(lines) / 100


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
    save_atomically(converted.model, converted.tokenizer, target, further, add)
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
