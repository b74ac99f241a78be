"""The model card of a student that a DistillationTrainer has trained: its settings and its last figures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards.markup import plain, table
from tinybert_hf.cards.metadata import CardSettings, metadata, values_of_card
from tinybert_hf.cards.parts import (
    PIPELINES,
    TAGS,
    Subject,
    citation,
    hub_name,
    introduction,
    limits,
    named,
    whole_card,
)

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


def trainer_card(
    name: str,
    config: Mapping[str, Any],
    teachers: Sequence[str],
    *,
    settings: Mapping[str, Any],
    losses: Mapping[str, float],
    metrics: Mapping[str, float],
    versions: Mapping[str, str],
    tags: Sequence[str] = (),
    dataset: str | None = None,
    place: str | None = None,
    license: str | None = None,
    language: str | Sequence[str] | None = None,
) -> str:
    """Write the card.

    Args:
        name: of the model.
        config: the student's configuration.
        teachers: their names or paths; a local path is shortened to its last part.
        settings: those that decide the result, by name.
        losses: the training losses that were logged last.
        metrics: of the last evaluation.
        versions: of the packages.
        tags: further ones, for the metadata.
        dataset: id on the Hub.
        place: what loads the model; None: its name.
        license: as the Hub names it; None: that of the teachers' cards, or else unknown.
        language: ISO 639; None: likewise.

    Returns:
        Markdown with its metadata.

    Raises:
        TinyBertError: a license or a language that the Hub does not know.
    """
    from huggingface_hub import ModelCardData

    languages = language if isinstance(language, str | None) else tuple(language)
    told = metadata(CardSettings(license=license, language=languages), [values_of_card(one) for one in teachers])
    codes = [told["language"]] if isinstance(told["language"], str) else told["language"]
    pipeline = PIPELINES.get(str((config.get("architectures") or ["TinyBertModel"])[0]))
    subject = Subject(name, place or name, config, pipeline or "", codes)
    base = [hub for hub in map(hub_name, teachers) if hub]
    results = list(_results(metrics, pipeline, dataset)) if pipeline else []
    data = ModelCardData(
        **told,
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=[*TAGS, *(tag for tag in tags if tag not in TAGS)],
        base_model=base or None,
        base_model_relation="finetune" if base else None,
        datasets=[dataset] if dataset else None,
        model_name=plain(name) if results else None,
        eval_results=results or None,
    )
    parts = [
        *introduction(subject, [named(one) for one in teachers]),
        *_table("What it reaches", "metric", "on the evaluation rows", _in_words(metrics)),
        *_table("Losses at the end of training", "loss", "value", _in_words(losses)),
        *_table("How it was made", "setting", "value", _in_words(settings)),
        *limits(),
        *_table("Environment", "package", "version", versions),
        *citation(),
    ]
    return whole_card(data, parts)


def _results(metrics: Mapping[str, float], pipeline: str, dataset: str | None) -> Iterator[EvalResult]:
    from huggingface_hub import EvalResult

    for name, value in metrics.items():
        # JSON, which the Hub keeps results in, has no NaN.
        if isinstance(value, bool) or not math.isfinite(value):
            continue
        yield EvalResult(
            task_type=pipeline,
            dataset_type=dataset or "custom",
            dataset_name=dataset or "evaluation rows",
            metric_type=plain(name),
            metric_value=round(float(value), 4),  # numpy's numbers are none of YAML
        )


def _table(title: str, key: str, value: str, content: Mapping[str, Any]) -> Iterator[str]:
    if not content:
        return
    yield ""
    yield f"## {title}"
    yield ""
    rows = ([name, f"{one:.4g}" if isinstance(one, float) else one] for name, one in content.items())
    yield from table([key, value], rows, names=2)


def _in_words(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", " "): one for name, one in content.items()}
