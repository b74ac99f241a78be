"""How good the models are, on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinybert_hf.benchmarking.contestants import Contestant
from tinybert_hf.data.label_names import are_generic
from tinybert_hf.data.settings import QUESTION_ANSWERING, REGRESSION, SINGLE_LABEL
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation.metrics import main_metric
from tinybert_hf.opening import TEXT_CLASSIFICATION

if TYPE_CHECKING:
    import torch

    from tinybert_hf.data import DataSettings


def check_comparable(contestants: Mapping[str, Contestant]) -> None:
    """Refuses models that do not answer the same question: their figures would say nothing about each other.

    Shapes without weights answer nothing, and pass.

    Raises:
        TinyBertError: a model has no head, or tasks or labels differ.
    """
    trained = {name: one for name, one in contestants.items() if one.place is not None}
    for name, one in trained.items():
        if one.task is None:
            raise TinyBertError(
                f"{name} has no head for a task, so nothing can be measured on rows. Leave --validation-file out to "
                "measure size and speed alone, or fine-tune it first (`tinybert finetune`)."
            )
    if not trained:
        raise TinyBertError("Only shapes without weights were named, so nothing can be measured on rows.")
    first_name, first = next(iter(trained.items()))
    for name, one in trained.items():
        if one.task != first.task:
            raise _different("tasks", name, str(one.task), first_name, str(first.task))
        own, theirs = label_names(one), label_names(first)
        if len(own) != len(theirs) or (own != theirs and not (are_generic(own) or are_generic(theirs))):
            raise _different("labels", name, ", ".join(own), first_name, ", ".join(theirs))


def label_names(contestant: Contestant) -> list[str]:
    """In alphabetical order and without case, as labels are matched; none of a model that answers questions."""
    if contestant.task == QUESTION_ANSWERING:
        return []
    return sorted(str(name).casefold() for name in contestant.config.id2label.values())


def main_metric_of(contestant: Contestant) -> str:
    """The figure that decides between two models for its task."""
    config = contestant.config
    if contestant.task != TEXT_CLASSIFICATION:
        return main_metric(str(contestant.task), list(config.id2label.values()))
    return main_metric(config.problem_type or (REGRESSION if config.num_labels == 1 else SINGLE_LABEL))


def measure_quality(
    contestant: Contestant, folder: str | None, validation: DataSettings, device: torch.device
) -> dict[str, Any]:
    """The figures of `tinybert evaluate`.

    Args:
        contestant: with weights and a head.
        folder: of the exported model; None: it is measured in PyTorch.
        validation: where the rows are.
        device: of PyTorch.
    """
    from tinybert_hf.evaluation import evaluate_any_checkpoint

    place = folder or contestant.place
    assert place is not None
    metrics = evaluate_any_checkpoint(place, validation, device="cpu" if folder else str(device))
    return {name: value for name, value in metrics.items() if name != "notes"}


def _different(what: str, name: str, own: str, first_name: str, theirs: str) -> TinyBertError:
    return TinyBertError(
        f"{name} and {first_name} cannot be measured on the same rows, since their {what} differ: {own:.200} of "
        f"{name}, {theirs:.200} of {first_name}. Leave --validation-file out to measure size and speed alone."
    )
