"""A plan in words: what a dry run prints."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tinybert_hf.recipes.plan import Plan


def describe_plan(plan: Plan) -> str:
    """What a dry run prints: the resolved recipe as YAML, the two shapes, and the layer map of each phase."""
    recipe = _said(json.loads(json.dumps(plan.recipe.as_dict())))
    lines = [yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).rstrip(), ""]
    for name, config in (("teacher", plan.teacher_config), ("student", plan.student_config)):
        lines.append(
            f"{name}: {config.model_type}, {config.num_hidden_layers} layers of width {config.hidden_size}, "
            f"{config.num_attention_heads} heads, vocabulary {config.vocab_size}"
        )
    labels = ", ".join(str(plan.student_config.id2label[index]) for index in range(plan.student_config.num_labels))
    lines.append(f"labels: {labels} ({plan.data.problem_type})")
    assert plan.data.train is not None
    assert plan.data.validation is not None
    lines.append(f"rows: {len(plan.data.train)} train, {len(plan.data.validation)} validation")
    for index, (phase, (hidden, attention)) in enumerate(zip(plan.recipe.phases, plan.layer_maps, strict=True)):
        losses = " + ".join(f"{weight:g} x {name}" for name, weight in phase.loss_weights.items())
        lines.append(f"phase {index} ({phase.name}): {losses}")
        if "prediction_loss" not in phase.loss_weights or len(phase.loss_weights) > 1:
            other = "" if attention == hidden else f"; attention: {attention}"
            lines.append(f"  layer map (student<-teacher): {hidden}{other}")
    lines.append(f"output folder: {plan.folder.path}")
    return "\n".join(lines)


def _said(value: Any) -> Any:
    """Without the fields that say nothing."""
    if isinstance(value, dict):
        return {name: _said(one) for name, one in value.items() if one is not None and one != {}}
    return [_said(one) for one in value] if isinstance(value, list) else value
