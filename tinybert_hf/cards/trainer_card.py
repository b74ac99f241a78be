"""The model card of a student that a DistillationTrainer has trained: its settings and its last figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards.parts import MARK, PIPELINES, TAGS, citation, hub_name, introduction, limits, named

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
    **metadata: Any,
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
        **metadata: `license`, `language` and others of `ModelCardData`.

    Returns:
        Markdown with its metadata.
    """
    from huggingface_hub import ModelCardData

    pipeline = PIPELINES.get(str((config.get("architectures") or ["TinyBertModel"])[0]))
    base = [hub for hub in map(hub_name, teachers) if hub]
    results = list(_results(metrics, pipeline, dataset)) if pipeline else []
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=[*TAGS, *(tag for tag in tags if tag not in TAGS)],
        base_model=base or None,
        base_model_relation="finetune" if base else None,
        datasets=[dataset] if dataset else None,
        model_name=name if results else None,
        eval_results=results or None,
        **{key: value for key, value in metadata.items() if value is not None},
    )
    parts = [
        *introduction(name, config, pipeline or "", [named(one) for one in teachers]),
        *_table("What it reaches", "metric", "on the evaluation rows", _in_words(metrics)),
        *_table("Losses at the end of training", "loss", "value", _in_words(losses)),
        *_table("How it was made", "setting", "value", _in_words(settings)),
        *limits(),
        *_table("Environment", "package", "version", versions),
        *citation(),
    ]
    return f"---\n{data.to_yaml()}\n---\n\n{MARK}\n\n" + "\n".join(parts) + "\n"


def _results(metrics: Mapping[str, float], pipeline: str, dataset: str | None) -> Iterator[EvalResult]:
    from huggingface_hub import EvalResult

    for name, value in metrics.items():
        yield EvalResult(
            task_type=pipeline,
            dataset_type=dataset or "custom",
            dataset_name=dataset or "evaluation rows",
            metric_type=name,
            metric_value=round(value, 4),
        )


def _table(title: str, key: str, value: str, content: Mapping[str, Any]) -> Iterator[str]:
    if not content:
        return
    yield ""
    yield f"## {title}"
    yield ""
    yield f"| {key} | {value} |"
    yield "| --- | --- |"
    for name, one in content.items():
        yield f"| {name} | {f'{one:.4g}' if isinstance(one, float) else one} |"


def _in_words(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", " "): one for name, one in content.items()}
