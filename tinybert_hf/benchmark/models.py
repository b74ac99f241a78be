"""The models that are measured: found, or a shape without weights, and opened in a backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.benchmark.report import Entry
from tinybert_hf.benchmark.settings import BACKENDS, COMPILED, EAGER
from tinybert_hf.checkpoints import EXPORT_FILE, Checkpoint, is_exported
from tinybert_hf.checkpoints.exported import files_of_export, formats_of_export
from tinybert_hf.checkpoints.integrity import read_object
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.cost import Forward
from tinybert_hf.messages import did_you_mean

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


# Shapes without weights: what a model of that shape costs, with nothing to download. Name -> its family, and what
# differs from the family's defaults.

_LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096}
_KNOWN: dict[str, tuple[str, dict[str, int]]] = {
    "bert-base": ("BertConfig", {}),
    "bert-large": ("BertConfig", _LARGE),
    "distilbert-base": ("DistilBertConfig", {}),
}
_BERT_VOCABULARY = 30522


def shape_names() -> list[str]:
    """Every shape that can be measured: the known ones and the presets of the students that are encoders."""
    from tinybert_hf.model import PRESETS

    return [*_KNOWN, *(name for name, shape in PRESETS.items() if not shape.get("is_encoder_decoder"))]


def shape_config(name: str) -> Any:
    """The configuration of a shape, a name of `shape_names`: with a head of two labels, as most classifiers have."""
    import transformers

    from tinybert_hf.model import TinyBertConfig

    if name not in _KNOWN:
        return TinyBertConfig.from_preset(name)
    family, shape = _KNOWN[name]
    return getattr(transformers, family)(vocab_size=_BERT_VOCABULARY, **shape)


# The models that are measured: a folder, an id on the Hub, the teacher of a run, or a shape without weights.

_BASE, _MASKED_LM, _CLASSIFIER = "AutoModel", "AutoModelForMaskedLM", "AutoModelForSequenceClassification"
_TEACHER = "teacher"


@dataclass(frozen=True)
class BenchmarkModel:
    """A model that is measured.

    Attributes:
        given: as the user named it.
        checkpoint: with the configuration; without a path for a shape, whose weights are random.
        auto_class: the class of transformers that opens it.
        exported: the formats of an exported model, which runs in no other backend; none: it is no export.
        limit: tokens that an export of fixed lengths reads; None: as many as the model.
    """

    given: str
    checkpoint: Checkpoint
    auto_class: str
    exported: tuple[str, ...] = ()
    limit: int | None = None

    @property
    def place(self) -> str | None:
        """Folder or Hub id; None for a shape."""
        return self.checkpoint.path or None

    @property
    def config(self) -> Any:
        """Of the model."""
        return self.checkpoint.config

    @cached_property
    def skeleton(self) -> PreTrainedModel:
        """The model without memory for its weights, with plain attention: to count what it has and does."""
        import torch

        with torch.device("meta"):
            model = self._opener.from_config(self.config, attn_implementation="eager")
        return model.eval()

    @property
    def task(self) -> str | None:
        """What the model answers, a name in `HEADS`; None: it has no head that could be measured."""
        from tinybert_hf.tasks import HEADS

        return next((task for task, head in HEADS.items() if head.auto_class == self.auto_class), None)

    @property
    def parameters(self) -> int:
        """All of them, tied ones once."""
        from tinybert_hf.evaluation import parameter_count

        return parameter_count(self.skeleton)

    @cached_property
    def longest(self) -> int | None:
        """Tokens that it can read; None where nothing limits it."""
        from tinybert_hf.checkpoints import limits_of

        limits = [one for one in (limits_of(self.skeleton).positions, self.limit) if one is not None]
        return min(limits, default=None)

    def open(self) -> PreTrainedModel:
        """The model with its weights, or with random ones, on the CPU; the caller's random state is kept."""
        import torch

        from tinybert_hf.checkpoints import open_model

        if self.place is None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                return self._opener.from_config(self.config).eval()
        model: PreTrainedModel = open_model(self.place, self._opener, config=self.config)
        return model.eval()

    def megabytes(self) -> float:
        """Size of the weights as files, 10^6 bytes; where none are here, that of the parameters."""
        files = weight_files(Path(self.place)) if self.place else []
        if files:
            return sum(file.stat().st_size for file in files) / 1e6
        return sum(one.numel() * one.element_size() for one in set(self.skeleton.parameters())) / 1e6

    def save(self, folder: Path) -> str:
        """Save a shape as a checkpoint with random weights and a tokenizer of as many made-up words."""
        from transformers import BertTokenizer

        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        words = [*special, *(f"w{number}" for number in range(int(self.config.vocab_size) - len(special)))]
        self.open().save_pretrained(folder)
        tokenizer = BertTokenizer(vocab={word: index for index, word in enumerate(words)})
        tokenizer.model_max_length = self.longest or len(words)
        tokenizer.save_pretrained(folder)
        return str(folder)

    @property
    def _opener(self) -> Any:
        import transformers

        import tinybert_hf.model  # noqa: F401  # registers the family with the Auto classes

        return getattr(transformers, self.auto_class)


def weight_files(folder: Path) -> list[Path]:
    """The files that PyTorch reads the weights from; of several formats the one that transformers takes."""
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        files = sorted(folder.glob(pattern))
        if files:
            return files
    return []


def find_model(given: str) -> BenchmarkModel:
    """Finds out what a name means; weights are not read.

    Args:
        given: a folder; RUN/teacher, where it is that folder or the teacher that RUN/run.json names; a Hub id; or a
            name of `shape_names`.

    Raises:
        TinyBertError: it is none of them, its configuration cannot be read, or it is a translator.
    """
    if is_shape(given):
        return BenchmarkModel(given, Checkpoint("", shape_config(given)), _CLASSIFIER)
    place = _teacher_of_run(given) or given
    try:
        checkpoint = Checkpoint.read(place, "a model to measure")
    except TinyBertError as error:
        raise TinyBertError(f"{error}{_nearest_shape(given)}") from error
    if checkpoint.is_translator:
        raise TinyBertError(
            f"{given} is a translator, and a forward of one says little: it writes token by token. "
            "`tinybert_hf.evaluation.measure_translation_costs` measures translators against each other, in sentences "
            "per second."
        )
    return BenchmarkModel(given, checkpoint, auto_class_of(checkpoint.config), *_export(place))


def _export(place: str) -> tuple[tuple[str, ...], int | None]:
    """What an exported folder was exported to, and its limit."""
    if not is_exported(place):
        return (), None
    note = read_object(Path(place) / EXPORT_FILE)
    longest = note.get("longest")
    return tuple(formats_of_export(note)), longest if isinstance(longest, int) else None


def auto_class_of(config: Any) -> str:
    """The class of transformers that opens a model with the head that it was saved with."""
    from tinybert_hf.tasks import HEADS

    known = (*(head.auto_class for head in HEADS.values()), _MASKED_LM)
    endings = {name.removeprefix("AutoModel"): name for name in known}
    names = config.architectures or ()
    return next((one for end, one in endings.items() if any(name.endswith(end) for name in names)), _BASE)


def is_shape(given: str) -> bool:
    """Whether a name means a shape without weights."""
    return not Path(given).exists() and given in shape_names()


def is_teacher_of_run(given: str) -> bool:
    """Whether a name means the teacher that a run's run.json names."""
    path = Path(given)
    return path.name == _TEACHER and not path.exists() and (path.parent / "run.json").is_file()


def short_names(givens: Sequence[str]) -> list[str]:
    """The last part of each path, where no two are alike; else what was given."""
    last = [Path(given).name if Path(given).exists() else given for given in givens]
    return [name if last.count(name) == 1 else given for name, given in zip(last, givens, strict=True)]


def _teacher_of_run(given: str) -> str | None:
    if not is_teacher_of_run(given):
        return None
    from tinybert_hf.checkpoints.run_record import read_run

    return str(read_run(Path(given).parent).teachers[0]["place"])


def _nearest_shape(given: str) -> str:
    if Path(given).exists():
        return ""
    meant = did_you_mean(given, shape_names(), shown=lambda name: f"{name!r}, a shape without weights")
    return meant or f" Shapes without weights are {', '.join(shape_names())}."


# Which model runs in which backend, and a model opened there as something that runs a forward of any size.

_PYTORCH = (EAGER, COMPILED)

# Batch size and length -> the forward.
OpenedModel = Callable[[int, int], Forward]


def choose_backends(
    models: Mapping[str, BenchmarkModel], wanted: Sequence[str], device: torch.device, notes: list[str]
) -> list[Entry]:
    """Which model is measured in which backend. An exported folder has its own only.

    Args:
        models: by short name.
        wanted: names in `BACKENDS`; empty: all that can run here.
        device: of PyTorch.
        notes: is told what cannot run.

    Raises:
        TinyBertError: the library of a backend that was asked for is missing.
    """
    chosen = []
    for name in dict.fromkeys(wanted or BACKENDS):
        reason = _missing(name)
        if reason is not None and wanted:
            raise TinyBertError(f"The backend {name} cannot run: {reason}")
        if reason is None and name not in _PYTORCH and device.type != "cpu":
            reason = f"it runs on the CPU, PyTorch on {device.type}. Compare on the CPU with --cpu."
            if wanted:
                notes.append(f"{name}: {reason}")
                reason = None
        if reason is None:
            chosen.append(name)
        else:
            notes.append(f"The backend {name} was left out: {reason}")
    return [Entry(name, backend) for name, one in models.items() for backend in (one.exported or chosen)]


def exported_folder(model: BenchmarkModel, entry: Entry, work: Path, say: Callable[[str], None]) -> str | None:
    """The folder that a backend opens, made in `work` where it is not there yet; None where PyTorch opens the model.

    Raises:
        TinyBertError: the model cannot be exported.
    """
    if model.exported:
        return model.place
    if entry.backend in _PYTORCH:
        return None
    from tinybert_hf.conversion.export import export_model

    say(f"{entry}: exporting")
    source = model.place or model.save(work / "shapes" / entry.model)
    target = work / entry.backend / entry.model.replace("/", "--")
    export_model(source, target, entry.backend)
    return str(target)


def megabytes_of(model: BenchmarkModel, backend: str, folder: str | None) -> float:
    """Size of the files that hold the weights, 10^6 bytes."""
    if folder is None:
        return model.megabytes()
    return sum(file.stat().st_size for file in files_of_export(folder, backend)) / 1e6


def open_forward(
    model: BenchmarkModel, backend: str, folder: str | None, *, threads: int, device: torch.device
) -> OpenedModel:
    """Opens a model.

    Args:
        model: the model.
        backend: a name in `BACKENDS`.
        folder: of the exported model; None for PyTorch.
        threads: of the CPU.
        device: of PyTorch.

    Returns:
        What makes a forward of a size: its inputs exist before it is called, and the device is done when it returns.
    """
    import torch

    from tinybert_hf.checkpoints import open_exported
    from tinybert_hf.evaluation.cost import random_inputs, timed_forward

    call: Any
    if folder is None:
        call, place = model.open().to(device), device
        if backend == COMPILED:
            call = torch.compile(call, dynamic=True)
    else:
        call, place = open_exported(folder, threads=threads, format=backend), torch.device("cpu")

    def of_size(batch_size: int, length: int) -> Forward:
        return timed_forward(call, random_inputs(model.config, batch_size, length, place), place)

    return of_size


def _missing(backend: str) -> str | None:
    """The library that a backend lacks, with the line that installs it; None where all are there."""
    from tinybert_hf.checkpoints import require
    from tinybert_hf.conversion.export import FORMATS

    if backend in _PYTORCH:
        return None
    try:
        for library, extra in FORMATS[backend].libraries.items():
            require(library, extra)
    except TinyBertError as error:
        return str(error)
    return None
