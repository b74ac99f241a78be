"""Size and speed of models and translators, measured side by side in timed rounds."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.generation import translate_texts
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from transformers import PreTrainedModel


# Timed rounds: in each one every model has its turn, so that a noisy machine treats all alike.
#
# Every speed that this package says of two models is measured by `timed_rounds`: that of a run's table and card, of
# the report, of translators, of `tinybert benchmark`, and of the page that shows both.

Forward = Callable[[], object]

MIN_ROUNDS, MAX_ROUNDS = 3, 200
# A forward as long as this is not helped by one before it: caches are filled in a small part of it.
_LONG = 0.25
# Short forwards are repeated within a turn, and the median of the turn counts.
_TURN, _MOST_REPEATS = 0.05, 5
_FULL_MEMORY = (
    "can't allocate memory",
    "bad_alloc",
    "failed to allocate memory",
    "not enough memory",
    "out of memory",
)


@dataclass(frozen=True)
class Clock:
    """Where the times come from.

    Attributes:
        wall: seconds that pass.
        cpu: seconds that all threads of this process compute.
    """

    wall: Callable[[], float] = time.perf_counter
    cpu: Callable[[], float] = time.process_time


@dataclass
class Times:
    """The timed forwards of one model, in seconds: a list for each round."""

    wall: list[list[float]] = field(default_factory=list)
    cpu: list[list[float]] = field(default_factory=list)

    @property
    def all_wall(self) -> list[float]:
        """Of every forward."""
        return [one for turn in self.wall for one in turn]

    @property
    def latency_ms(self) -> float:
        """The median of every forward, in milliseconds: the p50 of `tinybert benchmark`."""
        return 1000 * statistics.median(self.all_wall)

    @property
    def all_cpu(self) -> list[float]:
        """Likewise."""
        return [one for turn in self.cpu for one in turn]

    @property
    def wall_of_rounds(self) -> list[float]:
        """The median of each round."""
        return [statistics.median(turn) for turn in self.wall]

    @property
    def cpu_of_rounds(self) -> list[float]:
        """Likewise."""
        return [statistics.median(turn) for turn in self.cpu]


def timed_rounds(
    forwards: Mapping[str, Forward],
    *,
    seconds: float = math.inf,
    rounds: int | None = None,
    most: int = MAX_ROUNDS,
    once: bool = False,
    patience: float = math.inf,
    clock: Clock | None = None,
) -> tuple[dict[str, Times], dict[str, str]]:
    """Times models against each other.

    In every round each one has a turn, and every other round goes through them backwards. A turn of a short forward
    begins with one that is not timed, since the turns before it have taken the caches.

    Args:
        forwards: name -> what is timed; each has been run before.
        seconds: for all rounds together; the last one is finished.
        rounds: exactly so many, whatever they take. None: as many as fit, 3 at least and `most` at most.
        most: see `rounds`.
        once: a turn is one timed call and nothing else: for what is long, such as many sentences.
        patience: seconds after which one round has to do, for a reader who waits.
        clock: for tests.

    Returns:
        name -> times; and name -> reason for those whose memory did not suffice, which have no times.
    """
    clock = clock or Clock()
    times = {name: Times() for name in forwards}
    failed: dict[str, str] = {}
    began = clock.wall()
    for number in range(most if rounds is None else rounds):
        limit = seconds if number >= MIN_ROUNDS else patience
        if rounds is None and number and clock.wall() - began >= limit:
            break
        for name in list(forwards)[:: -1 if number % 2 else 1]:
            if name in failed:
                continue
            try:
                _take_turn(forwards[name], times[name], clock, once=once)
            except Exception as error:
                if not is_full_memory(error):
                    raise
                failed[name] = f"no memory: {type(error).__name__}"
    return {name: one for name, one in times.items() if name not in failed}, failed


@contextlib.contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """For the time of the block PyTorch computes with so many threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def usable_threads() -> int:
    """With how many threads PyTorch computes: OMP_NUM_THREADS, or else what the processors of this process allow."""
    import torch

    return torch.get_num_threads()


def is_full_memory(error: BaseException) -> bool:
    """Whether Python, PyTorch (CPU or GPU) or onnxruntime could not get the memory that it asked for."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(text in str(error).lower() for text in _FULL_MEMORY)


def _take_turn(forward: Forward, times: Times, clock: Clock, *, once: bool) -> None:
    last = math.inf if once else statistics.median(times.wall[-1]) if times.wall else None
    if last is None or last < _LONG:
        started = clock.wall()
        forward()
        last = clock.wall() - started
    wall: list[float] = []
    cpu: list[float] = []
    for _ in range(repeats(last)):
        cpu_before, wall_before = clock.cpu(), clock.wall()
        forward()
        wall.append(clock.wall() - wall_before)
        cpu.append(clock.cpu() - cpu_before)
    times.wall.append(wall)
    times.cpu.append(cpu)


def repeats(seconds: float) -> int:
    """Timed forwards of a turn, by how long one takes."""
    return max(1, min(_MOST_REPEATS, int(_TURN / max(seconds, 1e-9))))


# Size and speed of models, measured side by side.

# What BERT-like families call the parts of the base model that are not layers.
NOT_LAYERS = ("embeddings", "embeddings_project", "pooler")


@dataclass(frozen=True)
class ModelCost:
    """What a model costs.

    Attributes:
        parameters: all of them.
        encoder_parameters: those of the layers, without embeddings, pooler and head.
        megabytes: all parameters in their own dtype, 10^6 bytes.
        latency_ms: median of one forward, in milliseconds.
        encoder_flops_per_token: 2 x the weights of the layers' linear maps.
        batch_size: rows of the forward that was timed.
        length: tokens of each of its rows.
        threads: of the CPU that computed it; None on another device.
    """

    parameters: int
    encoder_parameters: int
    megabytes: float
    latency_ms: float
    encoder_flops_per_token: int
    batch_size: int
    length: int
    threads: int | None

    @classmethod
    def together(cls, costs: Sequence[ModelCost]) -> ModelCost:
        """What one answer of several models costs, which were measured side by side."""
        return cls(
            parameters=sum(cost.parameters for cost in costs),
            encoder_parameters=sum(cost.encoder_parameters for cost in costs),
            megabytes=sum(cost.megabytes for cost in costs),
            latency_ms=sum(cost.latency_ms for cost in costs),
            encoder_flops_per_token=sum(cost.encoder_flops_per_token for cost in costs),
            batch_size=costs[0].batch_size,
            length=costs[0].length,
            threads=costs[0].threads,
        )


def measure_costs(
    models: Mapping[str, PreTrainedModel],
    *,
    batch_size: int = 1,
    length: int = 32,
    rounds: int = 12,
    seconds: float = 5.0,
    threads: int | None = None,
    clock: Clock | None = None,
) -> dict[str, ModelCost]:
    """Measures models against each other, as `tinybert benchmark` does.

    Every model is run twice, and then in rounds in which each has its turn (see `timed_rounds`), so that a change in
    the machine's load hits all of them; the median of all timed forwards counts. The FLOPs are computed, not
    measured: a linear map with W weights takes one multiplication and one addition per weight and token, so FLOPs per
    token = 2 x the sum of W over the linear maps of the encoder's layers (queries, keys, values, attention output,
    both of the feed-forward part). The attention products themselves, which grow with the length, biases, norms,
    embeddings and the head are left out.

    Args:
        models: name -> model, each on its own device; modes are left as they were.
        batch_size: rows of one forward.
        length: tokens of each row; fewer where one of the models cannot read so many.
        rounds: turns of each model at most.
        seconds: for all rounds together, 3 rounds at least.
        threads: of the CPU; None: as many as PyTorch uses.
        clock: for tests.

    Returns:
        name -> cost, in the order of `models`.
    """
    threads = threads or usable_threads()
    times, length = time_models(models, batch_size, length, threads, seconds=seconds, most=rounds, clock=clock)
    said = (batch_size, length, threads)
    return {name: _cost(model, times[name].latency_ms, said) for name, model in models.items()}


def time_models(
    models: Mapping[str, PreTrainedModel], batch_size: int, length: int, threads: int, **rounds: Any
) -> tuple[dict[str, Times], int]:
    """The forwards of models on rows of random tokens, timed side by side.

    Args:
        models: name -> model, each on its own device; modes are left as they were.
        batch_size: rows of one forward.
        length: tokens of each row; fewer where one of the models cannot read so many.
        threads: of the CPU.
        **rounds: how many and how long, as for `timed_rounds`.

    Returns:
        name -> times; and the tokens of a row.

    Raises:
        MemoryError: a model's rows do not fit.
    """
    import torch

    from tinybert_hf.checkpoints import limits_of

    length = min([length, *(one for one in (limits_of(model).positions for model in models.values()) if one)])
    forwards = {
        name: timed_forward(model, random_inputs(model.config, batch_size, length, model.device), model.device)
        for name, model in models.items()
    }
    with eval_mode(models.values()), torch.inference_mode(), limited_threads(threads):
        for forward in forwards.values():
            warm_up(forward)
        times, failed = timed_rounds(forwards, **rounds)
    for name, reason in failed.items():
        raise MemoryError(f"{name}, {batch_size} x {length} tokens: {reason}")
    return times, length


def timed_forward(call: Callable[..., object], inputs: Mapping[str, Tensor], device: torch.device) -> Forward:
    """A forward whose inputs are there before it is called, and after which the device is done."""

    def forward() -> object:
        output = call(**inputs)
        wait_for(device)
        return output

    return forward


def warm_up(forward: Forward) -> Forward:
    """Run a forward twice: what is compiled or reserved at the first calls is there afterwards."""
    forward()
    forward()
    return forward


def forward_flops(skeleton: PreTrainedModel, batch_size: int, length: int) -> int | None:
    """How much a forward computes, by its shape: nothing is run.

    The floating-point operations of all matrix products, a multiplication and an addition each one: linear maps,
    queries times keys, attention times values, pooler and head. Norms, activations, biases, the softmax and the
    look-up of embeddings are no matrix products, are small beside them, and are left out. A translator reads and
    writes `length` tokens.

    Args:
        skeleton: the model on the device "meta", with plain attention, so that each product shows.
        batch_size: B.
        length: L.

    Returns:
        The number; None where the model needs values, and not shapes alone, to be run.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from tinybert_hf.distillation.architecture import is_translator

    ids = torch.zeros(1, length, dtype=torch.long, device="meta")
    inputs = {"input_ids": ids}
    if hasattr(skeleton, "config") and is_translator(skeleton):
        inputs["decoder_input_ids"] = ids
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            skeleton(**inputs)
    except (RuntimeError, NotImplementedError, ValueError, TypeError):
        return None
    return int(batch_size * counter.get_total_flops())


@contextmanager
def eval_mode(models: Iterable[nn.Module]) -> Iterator[None]:
    """For the time of the block the models drop nothing out; then they are in the modes that they were in."""
    modes = [(model, model.training) for model in models]
    try:
        for model, _ in modes:
            model.eval()
        yield
    finally:
        for model, mode in modes:
            model.train(mode)


def random_inputs(config: Any, batch_size: int, length: int, device: torch.device | str) -> dict[str, Tensor]:
    """Rows of tokens without padding, the same for every vocabulary of one size; the caller's random state is kept.

    Args:
        config: of the model. Its special tokens are not drawn: some families count the places of the others only.
        batch_size: B.
        length: L.
        device: where the tensors go.

    Returns:
        input_ids and attention_mask, (B, L).
    """
    import torch

    special = {getattr(config, f"{name}_token_id", None) for name in ("pad", "bos", "eos", "cls", "sep", "mask")}
    ordinary = torch.tensor([token for token in range(config.vocab_size) if token not in special])
    chosen = torch.randint(0, len(ordinary), (batch_size, length), generator=torch.Generator().manual_seed(0))
    ids = ordinary[chosen].to(device)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def wait_for(device: torch.device) -> None:
    """Until the device has done what it was given: a GPU works on after the call."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _layers(model: PreTrainedModel) -> list[nn.Module]:
    return [part for name, part in model.base_model.named_children() if name not in NOT_LAYERS]


def _cost(model: PreTrainedModel, latency_ms: float, forward: tuple[int, int, int]) -> ModelCost:
    from torch import nn

    parameters = list(model.parameters())
    batch_size, length, threads = forward
    layers = _layers(model)
    linear = [part for layer in layers for part in layer.modules() if isinstance(part, nn.Linear)]
    return ModelCost(
        parameters=sum(p.numel() for p in parameters),
        encoder_parameters=sum(p.numel() for layer in layers for p in layer.parameters()),
        megabytes=sum(p.numel() * p.element_size() for p in parameters) / 1e6,
        latency_ms=latency_ms,
        encoder_flops_per_token=2 * sum(part.weight.numel() for part in linear),
        batch_size=batch_size,
        length=length,
        threads=threads if model.device.type == "cpu" else None,
    )


# Size and speed of translators, measured side by side.

_INT8_BYTES = 1
_FP32_BYTES = 4


@dataclass(frozen=True)
class TranslationEntry:
    """A translator and how it searches.

    Attributes:
        model: any AutoModelForSeq2SeqLM, on its device.
        tokenizer: of the model.
        num_beams: width of the search; 1 is greedy.
        prefix: put before each source, where the model wants that.
    """

    model: PreTrainedModel
    tokenizer: Any
    num_beams: int = 1
    prefix: str = ""


@dataclass(frozen=True)
class Spread:
    """A figure measured several times.

    Attributes:
        median: of all rounds.
        lowest: of all rounds.
        highest: of all rounds.
    """

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of these values."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class TranslationCost:
    """What a translator costs.

    Attributes:
        parameters: all of them, tied ones once.
        megabytes: what is saved, in its own dtype, 10^6 bytes.
        int8_megabytes: an estimate, see `int8_megabytes`.
        num_beams: width of the search that was timed.
        characters: mean length of a translation; a model that stops early is fast for the wrong reason.
        sentences_per_second: batch size -> speed, tokenizing and decoding included.
        speedup: batch size -> speed as a multiple of the first model's speed in the same round.
        size_ratio: parameters as a part of the first model's.
        threads: of the CPU that translated; None on another device.
    """

    parameters: int
    megabytes: float
    int8_megabytes: float
    num_beams: int
    characters: float
    sentences_per_second: dict[int, Spread]
    speedup: dict[int, Spread]
    size_ratio: float
    threads: int | None


def measure_translation_costs(
    models: Mapping[str, TranslationEntry],
    texts: Sequence[str],
    *,
    batch_sizes: Sequence[int] = (1, 32),
    rounds: int = 3,
    warm_up_texts: int = 4,
    threads: int | None = None,
    clock: Clock | None = None,
) -> dict[str, TranslationCost]:
    """Measures translators against each other.

    At each batch size the models translate a few texts, and then all texts in rounds in which each has its turn (see
    `timed_rounds`), so that a change in the machine's load hits all of them. Speeds are compared within a round.

    Args:
        models: name -> translator. The ratios are to the first one, which usually is the teacher.
        texts: sources; the same for all.
        batch_sizes: texts of one batch.
        rounds: timed passes over the texts.
        warm_up_texts: texts that each model translates before at each batch size, not timed.
        threads: of the CPU; None: as many as PyTorch uses.
        clock: for tests.

    Returns:
        name -> cost, in the order of `models`.

    Raises:
        DataError: there is no text.
        ValueError: there is no model, no batch size, or no round.
    """
    if not models or not batch_sizes or rounds < 1:
        raise ValueError("measure_translation_costs needs a model, a batch size and a round at least.")
    if not any(text.strip() for text in texts):
        raise DataError("There are no texts to translate, so no speed can be measured.")
    threads = threads or usable_threads()
    speeds: dict[str, dict[int, list[float]]] = {name: {} for name in models}
    characters: dict[str, float] = {}

    def translate(name: str, batch_size: int) -> None:
        best = _translate(models[name], texts, batch_size).best
        characters[name] = statistics.fmean(len(text) for text in best)

    with limited_threads(threads):
        for batch_size in batch_sizes:
            for entry in models.values():
                _translate(entry, texts[:warm_up_texts], batch_size)
            passes = {name: partial(translate, name, batch_size) for name in models}
            times, failed = timed_rounds(passes, rounds=rounds, once=True, clock=clock)
            for name, reason in failed.items():
                raise MemoryError(f"{name}, {batch_size} texts at once: {reason}")
            for name in models:
                speeds[name][batch_size] = [len(texts) / seconds for seconds in times[name].wall_of_rounds]
    first = next(iter(models))
    return {
        name: _translation_cost(
            entry,
            characters[name],
            (speeds[name], speeds[first]),
            parameter_count(models[first].model),
            threads if entry.model.device.type == "cpu" else None,
        )
        for name, entry in models.items()
    }


def parameter_count(model: PreTrainedModel) -> int:
    """All parameters; those that share their memory, as tied embeddings do, count once."""
    return sum(tensor.numel() for tensor in _distinct(model.parameters()))


def int8_megabytes(model: PreTrainedModel) -> float:
    """Estimates the size of a model once its weights are stored in int8.

    Every matrix takes one byte per weight and one fp32 scale per output row; vectors (biases, norms) stay fp32. The
    sum is computed: nothing is quantized, and what a file format adds (names, alignment) is left out.

    Returns:
        10^6 bytes.
    """
    matrices = [tensor for tensor in _saved(model) if tensor.dim() > 1]
    vectors = [tensor for tensor in _saved(model) if tensor.dim() <= 1]
    size = sum(_INT8_BYTES * tensor.numel() + _FP32_BYTES * tensor.shape[0] for tensor in matrices)
    return (size + sum(_FP32_BYTES * tensor.numel() for tensor in vectors)) / 1e6


def _translate(entry: TranslationEntry, texts: Sequence[str], batch_size: int) -> Any:
    return translate_texts(
        entry.model,
        entry.tokenizer,
        texts,
        batch_size=batch_size,
        num_beams=entry.num_beams,
        prefix=entry.prefix,
    )


def _translation_cost(
    entry: TranslationEntry,
    characters: float,
    both_speeds: tuple[Mapping[int, list[float]], Mapping[int, list[float]]],
    first_parameters: int,
    threads: int | None,
) -> TranslationCost:
    speeds, first_speeds = both_speeds
    parameters = parameter_count(entry.model)
    ratios = {
        size: [own / other for own, other in zip(speeds[size], first_speeds[size], strict=True)] for size in speeds
    }
    return TranslationCost(
        parameters=parameters,
        megabytes=sum(tensor.numel() * tensor.element_size() for tensor in _saved(entry.model)) / 1e6,
        int8_megabytes=int8_megabytes(entry.model),
        num_beams=entry.num_beams,
        characters=characters,
        sentences_per_second={size: Spread.of(values) for size, values in speeds.items()},
        speedup={size: Spread.of(values) for size, values in ratios.items()},
        size_ratio=parameters / first_parameters,
        threads=threads,
    )


def _saved(model: PreTrainedModel) -> list[Tensor]:
    """What `save_pretrained` writes: not the sine positions of Marian, which are computed anew."""
    computed = set(model._keys_to_ignore_on_save or ())
    return list(_distinct(tensor for name, tensor in model.state_dict(keep_vars=True).items() if name not in computed))


def _distinct(tensors: Iterator[Tensor]) -> Iterator[Tensor]:
    seen: set[tuple[int, int]] = set()
    for tensor in tensors:
        # Tensors without data (device "meta") are told apart as objects.
        place = (tensor.data_ptr() or id(tensor), tensor.numel())
        if place not in seen:
            seen.add(place)
            yield tensor
