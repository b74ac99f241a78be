"""Size and speed of translators, measured side by side."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.generation import translate_texts
from tinybert_hf.errors import DataError
from tinybert_hf.evaluation.rounds import Clock, limited_threads, timed_rounds, usable_threads

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

_INT8_BYTES = 1
_FP32_BYTES = 4


@dataclass(frozen=True)
class TranslationContestant:
    """A translator and how it searches.

    Attributes:
        model: any AutoModelForSeq2SeqLM, on its device.
        tokenizer: of the model.
        beams: width of the search; 1 is greedy.
        prefix: put before each source, where the model wants that.
    """

    model: "PreTrainedModel"
    tokenizer: Any
    beams: int = 1
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
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of these values."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class TranslationCost:
    """What a translator costs.

    Attributes:
        parameters: all of them, tied ones once.
        megabytes: what is saved, in its own dtype, 10^6 bytes.
        int8_megabytes: an estimate, see `int8_megabytes`.
        beams: width of the search that was timed.
        characters: mean length of a translation; a model that stops early is fast for the wrong reason.
        sentences_per_second: batch size -> speed, tokenizing and decoding included.
        speedup: batch size -> speed as a multiple of the first model's speed in the same round.
        size_ratio: parameters as a part of the first model's.
        threads: of the CPU that translated; None on another device.
    """

    parameters: int
    megabytes: float
    int8_megabytes: float
    beams: int
    characters: float
    sentences_per_second: dict[int, Spread]
    speedup: dict[int, Spread]
    size_ratio: float
    threads: int | None


def measure_translation_costs(
    models: Mapping[str, TranslationContestant],
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
            for contestant in models.values():
                _translate(contestant, texts[:warm_up_texts], batch_size)
            passes = {name: partial(translate, name, batch_size) for name in models}
            times, failed = timed_rounds(passes, rounds=rounds, once=True, clock=clock)
            for name, reason in failed.items():
                raise MemoryError(f"{name}, {batch_size} texts at once: {reason}")
            for name in models:
                speeds[name][batch_size] = [len(texts) / seconds for seconds in times[name].wall_of_rounds]
    first = next(iter(models))
    return {
        name: _cost(
            contestant,
            characters[name],
            (speeds[name], speeds[first]),
            parameter_count(models[first].model),
            threads if contestant.model.device.type == "cpu" else None,
        )
        for name, contestant in models.items()
    }


def parameter_count(model: "PreTrainedModel") -> int:
    """All parameters; those that share their memory, as tied embeddings do, count once."""
    return sum(tensor.numel() for tensor in _distinct(model.parameters()))


def int8_megabytes(model: "PreTrainedModel") -> float:
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


def _translate(contestant: TranslationContestant, texts: Sequence[str], batch_size: int) -> Any:
    return translate_texts(
        contestant.model,
        contestant.tokenizer,
        texts,
        batch_size=batch_size,
        beams=contestant.beams,
        prefix=contestant.prefix,
    )


def _cost(
    contestant: TranslationContestant,
    characters: float,
    both_speeds: tuple[Mapping[int, list[float]], Mapping[int, list[float]]],
    first_parameters: int,
    threads: int | None,
) -> TranslationCost:
    speeds, first_speeds = both_speeds
    parameters = parameter_count(contestant.model)
    ratios = {
        size: [own / other for own, other in zip(speeds[size], first_speeds[size], strict=True)] for size in speeds
    }
    return TranslationCost(
        parameters=parameters,
        megabytes=sum(tensor.numel() * tensor.element_size() for tensor in _saved(contestant.model)) / 1e6,
        int8_megabytes=int8_megabytes(contestant.model),
        beams=contestant.beams,
        characters=characters,
        sentences_per_second={size: Spread.of(values) for size, values in speeds.items()},
        speedup={size: Spread.of(values) for size, values in ratios.items()},
        size_ratio=parameters / first_parameters,
        threads=threads,
    )


def _saved(model: "PreTrainedModel") -> "list[Tensor]":
    """What `save_pretrained` writes: not the sine positions of Marian, which are computed anew."""
    computed = set(model._keys_to_ignore_on_save or ())
    return list(_distinct(tensor for name, tensor in model.state_dict(keep_vars=True).items() if name not in computed))


def _distinct(tensors: "Iterator[Tensor]") -> "Iterator[Tensor]":
    seen: set[tuple[int, int]] = set()
    for tensor in tensors:
        # Tensors without data (device "meta") are told apart as objects.
        place = (tensor.data_ptr() or id(tensor), tensor.numel())
        if place not in seen:
            seen.add(place)
            yield tensor
