"""Opens the weights of a saved model: which head, which weights fit, which are missing, what lies beside them."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any
from zipfile import is_zipfile

from torch import Tensor

from tinybert_hf.checkpoints.exported import EXPORT_FILE, is_exported, note_of_format, open_exported
from tinybert_hf.checkpoints.integrity import WEIGHTS, check_folder, check_manifest, open_config, read_object, refusing
from tinybert_hf.checkpoints.tokenizers import open_tokenizer
from tinybert_hf.errors import OpeningWarning, TinyBertError
from tinybert_hf.messages import counted
from tinybert_hf.tasks import HEADS, task_of

# Where a model computes.


def usual_device() -> str:
    """The GPU if there is one, and the CPU if not; of several processes each its own GPU."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}" if "LOCAL_RANK" in os.environ else "cuda"


# Whether the weights of a folder can be those of its configuration; nothing is allocated to find out.

_INDEX = "model.safetensors.index.json"
_LFS = b"version https://git-lfs.github.com/spec/"
_ZIP = b"PK\x03\x04"


def check_weights(path: str | Path, config: Any, kind: type[TinyBertError] = TinyBertError) -> None:
    """Refuses weights that cannot be read, and a configuration of a far larger model than the weights are.

    Args:
        path: a folder; an id on the Hub passes.
        config: of the model.
        kind: the error.

    Raises:
        TinyBertError: of that kind.
    """
    folder = Path(path)
    for file in (file for pattern in WEIGHTS for file in sorted(folder.glob(pattern))):
        with file.open("rb") as content:
            if content.read(len(_LFS)) == _LFS:
                raise kind(
                    f"{file} holds no weights: it is a pointer of Git LFS to them. Fetch them with `git lfs pull` in "
                    "the repository, or download the file."
                )
    files = _files(folder, kind)
    if not files:
        for file in sorted(folder.glob("pytorch_model*.bin")):
            _check_pickled(file, kind)
        return
    tensors = weights = 0
    for file in files:
        with refusing(f"{file} cannot be read, it is damaged or no safetensors file", kind):
            counts = _counts(file)
        tensors, weights = tensors + len(counts), weights + sum(counts)
    layers = max((value for value in _depths(config)), default=0)
    if layers > tensors:
        raise kind(
            f"{folder / 'config.json'} describes {layers:,} layers, but {files[0]} holds {tensors:,} tensors in all."
        )
    least = config.least_weights() if hasattr(config, "least_weights") else 0
    if least > weights:
        raise kind(
            f"{folder / 'config.json'} describes a model of at least {least:,} weights, but {files[0]} holds "
            f"{weights:,}. One of the two files is another model's, or damaged."
        )


def _check_pickled(file: Path, kind: type[TinyBertError]) -> None:
    """Refuses a file of torch that is cut off, or in which the weights stand one level down."""
    import torch

    with file.open("rb") as content:
        packed = content.read(len(_ZIP)) == _ZIP
    if not packed:
        return  # of a torch before 1.6, or no such file: transformers reads it whole
    if not is_zipfile(file):
        raise kind(f"{file} is damaged or cut off: the end of the file is missing. Copy or download it again.")
    try:
        content = torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except Exception:  # whatever it is: opening the model raises it again, and says what it means
        return
    if not isinstance(content, dict) or any(isinstance(one, torch.Tensor) for one in content.values()):
        return
    inner = [name for name, one in content.items() if isinstance(one, dict) and _has_tensors(one)]
    if inner:
        raise kind(
            f"{file} is a training checkpoint, with {', '.join(map(str, content))[:120]}, and no file of weights: "
            f"they stand under {inner[0]!r}. Load them into the model, model.load_state_dict(torch.load(FILE)"
            f"[{inner[0]!r}]), and save that with save_pretrained."
        )


def _has_tensors(names: dict[Any, Any]) -> bool:
    import torch

    return any(isinstance(one, torch.Tensor) for one in names.values())


def _files(folder: Path, kind: type[TinyBertError]) -> list[Path]:
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    if not (folder / _INDEX).is_file():
        return []
    names = read_object(folder / _INDEX, kind).get("weight_map")
    shards = sorted(set(map(str, names.values()))) if isinstance(names, dict) else []
    for name in shards:
        if Path(name).name != name or not (folder / name).is_file():
            raise kind(f"{folder / _INDEX} names {name!r:.80}, which is no file of that folder.")
    return [folder / name for name in shards]


def _counts(file: Path) -> list[int]:
    from math import prod

    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        return [prod(tensors.get_slice(name).get_shape()) for name in tensors.keys()]  # noqa: SIM118  no mapping


def _depths(config: Any) -> list[int]:
    names = ("num_hidden_layers", "encoder_layers", "decoder_layers", "num_decoder_layers", "n_layers", "num_layers")
    values = [getattr(config, name, None) for name in names]
    return [value for value in values if isinstance(value, int)]


# Reads the projections that a general distillation or a conversion has left beside a student.

PROJECTIONS_FILE = "projections.safetensors"


def read_projections(path: str | Path, kind: type[TinyBertError] = TinyBertError) -> dict[str, Tensor] | None:
    """The projections of a saved student; None where it has none.

    Args:
        path: a folder, or an id on the Hub.
        kind: the error.

    Returns:
        Weights and biases by name, as `Projections.state_dict()` gives them.

    Raises:
        TinyBertError: of that kind: the file is damaged.
    """
    from safetensors.torch import load_file
    from transformers.utils import cached_file

    options: dict[str, Any] = {
        "_raise_exceptions_for_missing_entries": False,
        "_raise_exceptions_for_gated_repo": False,
        "_raise_exceptions_for_connection_errors": False,
    }
    file = cached_file(str(path), PROJECTIONS_FILE, **options)
    if file is None:
        return None
    with refusing(f"{file} cannot be read, it is damaged or no safetensors file", kind):
        return load_file(file)


# Which weights of a folder found a place in the model, and which must not be missing or left over.
#
# What transformers cannot place it draws at random or leaves out, and only prints a table of both. Here one rule holds
# for every command: the body is whole, a head is whole or, where that is asked for, new, and nothing is left over that
# the model would have computed with.

_POOLER = re.compile(r"(^|\.)pooler\.")
# Numbers that the model counts anew, saved by older versions; the projections of the published TinyBERTs; and the
# class weights of a loss, which no answer reads.
_NO_WEIGHTS = re.compile(
    r"(^|\.)(position_ids|token_type_ids|inv_freq|embed_positions\.weights?)$|^fit_denses?\."
    r"|^(loss(_fct|_fn|_func|_function)?|criterion)\."
)
# Heads that a text was pretrained with; no other head looks at what they compute.
_PRETRAINING = (
    "cls|lm_head|predictions|sop_classifier|discriminator_predictions|generator_predictions|generator_lm_head|"
    "vocab_transform|vocab_layer_norm|vocab_projector|lm_predictions|mask_predictions|lm_loss|pred_layer|decoder|"
    "final_logits_bias"
)
_OUTPUTS = "classifier|qa_outputs|score|logits_proj"
# What BERT was pretrained with beside its masked-LM head, of which the first part of the name is the same.
_BESIDE = re.compile(r"cls\.(?!predictions\.)")
# Parts of names that come from what was put around the model.
_WRAPPERS = {
    "_orig_mod": "torch.compile",
    "module": "DataParallel",
    "_fsdp_wrapped_module": "FSDP",
    "base_model.model": "PEFT",
}
_OTHER_PREFIX = (
    "where a module holds the model, save the model itself with save_pretrained, or take that off the names; where it "
    "is another family's name, config.json is another model's"
)
# By family, what was trained though transformers takes it for zeros where a file lacks it. The checkpoints of BART and
# mBART may lack theirs: there it always is zero.
_TRAINED = {"MarianMTModel": "final_logits_bias"}


@contextmanager
def reporting_all_missing() -> Iterator[None]:
    """Around `from_pretrained`: its report names what a family passes over in silence, though it was trained."""
    import transformers

    classes = {getattr(transformers, name): tensor for name, tensor in _TRAINED.items()}
    kept = {one: one._keys_to_ignore_on_load_missing for one in classes}
    for one, tensor in classes.items():
        one._keys_to_ignore_on_load_missing = [name for name in kept[one] or () if name != tensor]
    try:
        yield
    finally:
        for one, names in kept.items():
            one._keys_to_ignore_on_load_missing = names


def check_loaded(
    path: str | Path,
    model: Any,
    report: dict[str, Any],
    kind: type[TinyBertError],
    *,
    new_head: bool,
    headless: str,
) -> None:
    """Refuses a model of which a part would be random, or of whose weights a part was left out.

    A pooler that the weights do not have is taken off a model without a head, where nothing looks at it.

    Args:
        path: where it was opened.
        model: as it was opened.
        report: what transformers says about its keys.
        kind: the error.
        new_head: whether a head may be new.
        headless: what to say of a model without a trained head; `{missing}` in it becomes the names of its tensors.

    Raises:
        TinyBertError: of that kind.
    """
    names = _Names(model)
    missing = sorted(report["missing_keys"])
    other_shape = sorted({key for key, *_ in report["mismatched_keys"]})
    unexpected = sorted(key for key in report["unexpected_keys"] if not _NO_WEIGHTS.search(key))
    body = [key for key in (*missing, *other_shape) if names.in_body(key)]
    if body:
        raise kind(_incomplete(path, names, body, _shapes(report), unexpected))
    trained = [key for key in missing if key == _TRAINED.get(names.kind)]
    if trained:
        raise kind(
            f"{path}: the weights lack {_some(trained)}, which is added to the score of every word and was trained; "
            "zeros would stand there. Copy or download the file again, or save the model once more."
        )
    lost = _lost(model, missing)
    if lost:
        raise kind(
            f"{path}: the weights lack {_some(lost)}, while the rest of that layer is there, so the file is damaged "
            "or not whole. Copy or download it again, or save the model once more."
        )
    _check_left_over(path, names, unexpected, kind, new_head=new_head or names.is_body)
    # A training that diverged leaves them everywhere; to look at the large tables would take as long as opening them.
    broken = [key for key, one in model.named_parameters() if one.ndim == 1 and bool(one.isnan().any())]
    if broken:
        raise kind(
            f"{path} holds {counted(len(broken), 'tensor')} with NaN, which is no number: {_some(broken)}. "
            "The training that saved them diverged, or the file is damaged. Take an earlier checkpoint."
        )
    if other_shape and not new_head:
        shapes = _some(list(_shapes(report).values()), "; ")
        raise kind(f"{path}: the head of the weights is not the one of config.json: {shapes}.")
    head = [] if new_head else missing
    if head and names.is_body and all(_POOLER.search(key) for key in head):
        model.pooler = None  # it would be random
    elif head:
        text = headless or f"{path}: the weights lack {{missing}}, which would be random."
        raise kind(text.replace("{missing}", _some(head)))
    elif missing and not names.is_body and all(_POOLER.search(key) for key in missing):
        warnings.warn(
            f"{path}: the weights have the head of a {names.kind}, but lack {_some(missing)}, which it reads: drawn "
            "anew, so that it has to be trained once more.",
            OpeningWarning,
            stacklevel=3,
        )


class _Names:
    """What the tensors of a model are called.

    Attributes:
        own: those of the model.
        is_body: whether it has no head.
        kind: the name of its class.
    """

    def __init__(self, model: Any) -> None:
        self.own = set(model.state_dict().keys())
        self.kind = type(model).__name__
        self._prefix = f"{model.base_model_prefix}."
        self.is_body = model.base_model is model
        self._parts = {name for name, _ in model.base_model.named_children()}
        self._heads = {name for name, _ in model.named_children()} - {model.base_model_prefix}

    def in_body(self, key: str) -> bool:
        """Whether a tensor of the model, or one of the file that the model has no place for, is of the body.

        A pooler is not: a classifier may have it drawn anew with its head, and other models do without.
        """
        if _POOLER.search(key):
            return False
        if self.is_body and key in self.own:
            return True
        return key.startswith(self._prefix) or (key not in self.own and key.split(".")[0] in self._parts)

    def of_own_head(self, key: str) -> bool:
        """Whether the model has a head of that name; a pooler counts where the model has one."""
        return key.split(".")[0] in self._heads and not self.is_body

    def before(self, keys: Iterable[str]) -> tuple[str, int]:
        """What stands before the names of the model in most of these keys, and in how many; empty where nothing is."""
        known = {*self.own, *(name.removeprefix(self._prefix) for name in self.own)}
        found: Counter[str] = Counter()
        for key in keys:
            parts = key.split(".")
            place = next((n for n in range(1, len(parts)) if ".".join(parts[n:]) in known), None)
            if place is not None:
                found[".".join(parts[:place]) + "."] += 1
        prefix, count = found.most_common(1)[0] if found else ("", 0)
        own = prefix.removesuffix(self._prefix)
        return own or prefix, count


def _incomplete(
    path: str | Path, names: _Names, body: list[str], shapes: dict[str, str], unexpected: list[str]
) -> str:
    only_shapes = set(body) <= set(shapes)
    fault = "of another shape" if only_shapes else "not in the weights"
    said = (
        f"{path}: the weights and config.json do not describe the same model. "
        f"{counted(len(body), 'tensor is', 'tensors are')} {fault}, and would be random in a {names.kind}: "
        f"{_some([shapes[key] for key in body] if only_shapes else body, '; ' if only_shapes else ', ')}."
    )
    prefix, count = names.before(unexpected)
    if any("lora_" in key or ".base_layer." in key for key in unexpected):
        return f"{said} The file holds a LoRA adapter inside the model: merge it and save model.merge_and_unload()."
    if count:
        who = [wrapper for part, wrapper in _WRAPPERS.items() if f".{part}." in f".{prefix}"]
        inner = f"{' and '.join(who)} {'puts' if len(who) == 1 else 'put'} that there; save model.{prefix[:-1]} with "
        why = f"{inner}save_pretrained" if who else _OTHER_PREFIX
        return f"{said} The file has {counted(count, 'tensor')} under names that begin with {prefix!r}: {why}."
    if unexpected:
        return f"{said} What the file holds instead: {_some(unexpected)}. One of the two files is another model's."
    return f"{said} Copy or download the folder again, or correct config.json."


def _shapes(report: dict[str, Any]) -> dict[str, str]:
    """By the name of a tensor of another shape, what the two shapes are; in the order of the names."""
    found = sorted(report["mismatched_keys"])
    return {key: f"{key} {tuple(there)}, {tuple(ours)} by config.json" for key, there, ours in found}


def _lost(model: Any, missing: list[str]) -> list[str]:
    """Parameters that are missing while others of the same layer are there."""
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    absent = set(missing)
    there = {key.rpartition(".")[0] for key, _ in model.named_parameters() if key not in absent and key not in tied}
    return [key for key in missing if key.rpartition(".")[0] in there and key not in tied]


def _check_left_over(
    path: str | Path, names: _Names, unexpected: list[str], kind: type[TinyBertError], *, new_head: bool
) -> None:
    body = [key for key in unexpected if names.in_body(key)]
    if body:
        raise kind(
            f"{path} holds {counted(len(body), 'tensor')} that a {names.kind} has no place for: {_some(body)}. It "
            f"would answer otherwise than the model that was saved. {_why_left_over(body)}"
        )
    pooler = [key for key in unexpected if _POOLER.search(key) and any(_POOLER.search(own) for own in names.own)]
    head = [key for key in unexpected if not _POOLER.search(key)] + pooler
    harmless = re.compile(rf"({_PRETRAINING}|{_OUTPUTS})(\.|$)")
    odd = [key for key in head if not _BESIDE.match(key) and (names.of_own_head(key) or not harmless.match(key))]
    if odd and not new_head:
        raise kind(
            f"{path} holds {counted(len(odd), 'tensor')} of a head that a {names.kind} does not have: {_some(odd)}. "
            "It would answer otherwise than the model that was saved. Open it with the class that saved it, or "
            "fine-tune it once more."
        )
    strange = [key for key in odd if not harmless.match(key)]
    if strange:
        warnings.warn(
            f"{path}: a {names.kind} has no place for {counted(len(strange), 'tensor')} of the weights, not used "
            f"here: {_some(strange)}.",
            OpeningWarning,
            stacklevel=2,
        )


def _why_left_over(keys: list[str]) -> str:
    if any("distance_embedding" in key for key in keys):
        return (
            "They are relative positions (position_embedding_type in config.json), which transformers 5 no longer "
            "has: take a model with absolute positions."
        )
    return (
        "config.json describes fewer layers or other parts than the weights have: one of the two is another model's."
    )


def _some(keys: list[str], between: str = ", ") -> str:
    return between.join(keys[:5]) + (f" and {len(keys) - 5} more" if len(keys) > 5 else "")


# Opens the weights of a saved model.


def check_folder_files(path: str | Path, kind: type[TinyBertError] = TinyBertError, config: Any = None) -> None:
    """Refuses a folder whose weights are not those that were saved, or not those of its configuration.

    What is no folder passes: it may be an id on the Hub, whose client checks what it downloads.

    Args:
        path: a folder, or an id on the Hub.
        kind: the error.
        config: of the folder, where it was opened already.

    Raises:
        TinyBertError: of that kind.
    """
    check_folder(path, kind)
    if not Path(path).is_dir():
        return
    if config is None:
        config = open_config(path, kind)
    if is_exported(path):
        raise kind(f"{path} is an export. Give the folder of the model that it was made from.")
    if not any(any(Path(path).glob(pattern)) for pattern in WEIGHTS):
        others = sorted(item.name for item in Path(path).iterdir() if item.suffix in _OTHER_WEIGHTS)
        raise kind(
            f"{path} has a config.json, but no weights of torch (model.safetensors or pytorch_model.bin)."
            + (f" It holds {', '.join(others[:5])}, which transformers 5 does not read." if others else "")
            + " Save the model there with save_pretrained."
        )
    check_weights(path, config, kind)
    check_manifest(path, kind)


_OTHER_WEIGHTS = (".h5", ".msgpack", ".onnx", ".gguf", ".ckpt", ".ot", ".tflite", ".pt", ".pth")

# While transformers opens a model, no model of the process can tie its weights. Two threads that open at the same time
# leave it so for good (5.24: the second one keeps, and puts back, what the first one had put there).
_OPENING = RLock()


def open_model(
    path: str | Path,
    model_class: Any,
    kind: type[TinyBertError] = TinyBertError,
    what: str = "",
    *,
    new_head: bool = False,
    headless: str = "",
    config: Any = None,
    **options: Any,
) -> Any:
    """Opens a model; no code of the folder runs, and pickled weights only as plain tensors. Threads take turns.

    Args:
        path: a folder, or an id on the Hub.
        model_class: a class of models, or an Auto class.
        kind: the error.
        what: the beginning of the message, up to the reason.
        new_head: whether a head may be new, where the weights have none of that shape. The body never is.
        headless: what to say where the weights have no such head, and it may not be new; `{missing}` in it becomes
            the names of its tensors. Empty: that they would be random.
        config: of the path, where it was opened already; the options are then none of its fields.
        **options: of `from_pretrained`; `trust_remote_code=True` lets the code of the folder run.

    Returns:
        The model. Without a head it has no pooler either, where the weights have none.

    Raises:
        TinyBertError: of that kind: there is no model; the weights were changed, are of another shape, lack a part, or
            hold one that the class has no place for; or it cannot be opened.
    """
    import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

    trusted = bool(options.pop("trust_remote_code", False))
    if trusted:
        check_folder(path, kind)
        check_manifest(path, kind)
    else:
        check_folder_files(path, kind, config)
    if config is not None:
        options["config"] = config
    said = what or f"{path} cannot be opened: config.json and the weights do not fit"
    with _OPENING, refusing(said, kind), reporting_all_missing():
        model, report = model_class.from_pretrained(
            path,
            output_loading_info=True,
            trust_remote_code=trusted,
            weights_only=True,
            ignore_mismatched_sizes=True,  # check_loaded says which, and refuses them
            **options,
        )
    check_loaded(path, model, report, kind, new_head=new_head, headless=headless)
    return model


# A saved model as one value: opened once, and handed on.

# Heads that some encoder-decoders have besides the one that writes text. Such a checkpoint often opens as a translator
# without a missing weight, because the output layer is tied to the embeddings.
_OTHER_HEADS = tuple(spec.ending for spec in HEADS.values())


def translates(config: Any) -> bool:
    """Whether the configuration is that of an encoder-decoder that writes text."""
    return bool(config.is_encoder_decoder) and not class_of(config).endswith(_OTHER_HEADS)


def class_of(config: Any) -> str:
    """The class that a configuration names, or else its family."""
    return str((config.architectures or [config.model_type])[0])


@dataclass(frozen=True)
class Checkpoint:
    """A saved model whose configuration was opened; model and tokenizer are opened when they are asked for.

    Attributes:
        path: a folder, or an id on the Hub.
        config: of the model.
        format: which one, of an export that holds several; None: the first, or it is no export.
    """

    path: str
    config: Any
    format: str | None = None

    @classmethod
    def read(cls, path: str | Path, kind: str = "a model with a head", *, format: str | None = None) -> Checkpoint:
        """Opens the configuration.

        Args:
            path: a folder, or an id on the Hub.
            kind: what it should be, with its article; for the message.
            format: which one, of an export that holds several; None: the first.

        Raises:
            TinyBertError: there is no checkpoint, its config.json cannot be read, or it does not hold that format.
        """
        check_folder(path)
        if format is not None:
            if not is_exported(path):
                raise TinyBertError(f"{path} is no export to another runtime: it has no formats to choose from.")
            note_of_format(read_object(Path(path) / EXPORT_FILE), format, path)
        file = Path(path) / "config.json"
        who = str(file) if file.is_file() else str(path)
        if not Path(path).exists():
            who = f"{path} does not exist (looked from {Path.cwd()}), and as an id on the Hub it"
        return cls(str(path), open_config(str(path), what=f"{who} cannot be opened as {kind}"), format)

    @classmethod
    def of(cls, given: str | Path | Checkpoint, kind: str = "a model with a head") -> Checkpoint:
        """One that was opened already as it is, and a path opened."""
        return given if isinstance(given, Checkpoint) else cls.read(given, kind)

    @property
    def is_translator(self) -> bool:
        """Whether it is an encoder-decoder that writes text."""
        return translates(self.config)

    @property
    def task(self) -> str | None:
        """What an encoder was trained for, a name in `HEADS` (see `task_of`); None: it is a translator."""
        return None if self.is_translator else task_of(self.config)

    def open(
        self, auto_class: str, kind: str, dtype: str | None = None, *, threads: int | None = None
    ) -> tuple[Any, Any]:
        """Opens model and tokenizer, and refuses what would answer at random.

        Args:
            auto_class: the class of transformers that opens it.
            kind: what it should be, with its article; for the messages.
            dtype: of the weights, as "float32"; None: as saved.
            threads: of an export; None: as its runtime thinks right.

        Raises:
            TinyBertError: it cannot be opened, its weights are missing or were changed after they were saved, or it
                has no tokenizer of its own.
        """
        import transformers

        if is_exported(self.path):
            exported = open_exported(self.path, threads=threads, format=self.format)
            return exported, self.tokenizer_for(exported)
        options: dict[str, Any] = {} if dtype is None else {"dtype": dtype}
        headless = (
            f"{self.path} was not trained as {kind}: its weights lack what config.json describes, {{missing}}, which "
            "would be random. Fine-tune or distil it first."
        )
        model = open_model(
            self.path,
            getattr(transformers, auto_class),
            what=f"{self.path} cannot be opened as {kind}: config.json and the weights do not fit",
            headless=headless,
            config=self.config,
            **options,
        )
        model.config.return_dict = True
        return model, self.tokenizer_for(model)

    def open_head(self, task: str, *, threads: int | None = None) -> tuple[Any, Any]:
        """As `open`, with the head of a task, a name in `HEADS`."""
        return self.open(HEADS[task].auto_class, HEADS[task].kind, threads=threads)

    def tokenizer_for(self, model: Any) -> Any:
        """Its tokenizer, made to fit a model that was opened."""
        return open_tokenizer(self.path, what=f"{self.path} has no tokenizer that can be opened", config=model)
