"""A plan in words: what a dry run prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tinybert_hf.data.augmentation import predicts_words
from tinybert_hf.data.corpus import cache_folder
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.distillation import Objective
from tinybert_hf.distillation.losses import ANSWER_LOSSES
from tinybert_hf.distillation.shapes import decoder_shape, encoder_shape
from tinybert_hf.opening import QUESTION_ANSWERING, TEXT_CLASSIFICATION
from tinybert_hf.recipes import starting_projections
from tinybert_hf.recipes.plan import EncoderPlan, GeneralPlan, TranslationPlan
from tinybert_hf.recipes.pruning import described
from tinybert_hf.recipes.schema import TRANSLATION, Recipe
from tinybert_hf.training import Phase
from tinybert_hf.wording import counted, counted_epochs, counted_layers


def describe_plan(plan: EncoderPlan | TranslationPlan | GeneralPlan) -> str:
    """What a dry run prints: the resolved recipe as YAML, the two shapes, and the layer maps of each phase."""
    translates = isinstance(plan, TranslationPlan)
    content = json.loads(json.dumps(plan.recipe.as_dict()))
    if isinstance(plan, GeneralPlan):
        content.pop("data")
    recipe = _said(_of_the_task(content, plan.recipe.task))
    if plan.recipe.student.model is not None:
        recipe["student"].pop("start", None)  # of a student from a preset
    lines = [yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True).rstrip(), ""]
    joint = plan.joint if isinstance(plan, EncoderPlan) else None
    teachers = (plan.teacher_config,) if joint is None else joint.configs
    for name, config in (*(("teacher", one) for one in teachers), ("student", plan.student_config)):
        lines.append(f"{name}: {config.model_type}, {_shape(config, translates)}")
    if isinstance(plan, GeneralPlan):
        lines += [*_general(plan), *(f"note: {note}" for note in plan.notes)]
        return "\n".join([*lines, f"output folder: {plan.folder.path}"])
    if not translates and plan.data.label_names:
        labels = ", ".join(str(plan.student_config.id2label[index]) for index in range(plan.student_config.num_labels))
        lines.append(f"labels: {labels} ({plan.data.problem_type})")
    assert plan.data.train is not None
    assert plan.data.validation is not None
    without = f", {len(plan.data.unlabelled):,} without labels" if plan.data.unlabelled is not None else ""
    lines.append(f"rows: {len(plan.data.train):,} train, {len(plan.data.validation):,} validation{without}")
    if plan.recipe.augmentation is not None and isinstance(plan, EncoderPlan):
        copies = counted(plan.recipe.augmentation.copies, "copy", "copies")
        lines.append(f"augmentation: {copies} of each train row, without its label; {_words(plan)}")
    lines += _translation(plan) if isinstance(plan, TranslationPlan) else _phases(plan)
    lines += [f"note: {note}" for note in plan.notes]
    lines.append(f"output folder: {plan.folder.path}")
    return "\n".join(lines)


def _words(plan: EncoderPlan) -> str:
    """Where the words of copies come from."""
    settings, teacher = plan.recipe.augmentation, plan.recipe.teacher.model
    assert settings is not None
    source = settings.model or teacher
    if settings.neighbours_only or source is None or not (settings.model or predicts_words(plan.teacher_config)):
        return f"its words give way to neighbours in the embeddings of {settings.model or 'the teacher'}"
    return f"its words are predicted by {source}"


def _shape(config: Any, translates: bool) -> str:
    encoder = encoder_shape(config)
    if not translates:
        layers, vocabulary = counted_layers(encoder.layers), str(config.vocab_size)
    else:
        layers = counted_layers(encoder.layers, decoder_shape(config).layers)
        target = getattr(config, "decoder_vocab_size", None) or config.vocab_size
        vocabulary = f"{config.vocab_size}" if target == config.vocab_size else f"{config.vocab_size} and {target}"
    return f"{layers} of width {encoder.width}, {counted(encoder.heads, 'head')}, vocabulary {vocabulary}"


def _general(plan: GeneralPlan) -> Iterator[str]:
    size = plan.sources.text_bytes
    amount = f"{size / 1e6:,.1f} MB" if size else "of a size not known"
    yield f"text: {counted(len(plan.sources.found), 'source')}, {amount}"
    held_out = "the last 1 % of the blocks" if plan.validation is None else counted(len(plan.validation.found), "file")
    yield f"held out to measure on: {held_out}"
    yield f"the tokens are kept in: {cache_folder(plan.corpus)}"
    yield from _phases(plan)


def _phases(plan: EncoderPlan | GeneralPlan) -> Iterator[str]:
    yield from _before(plan.recipe)
    yield from starting_projections.described(plan)
    for index, (phase, (hidden, attention)) in enumerate(zip(plan.recipe.phases, plan.layer_maps, strict=True)):
        losses = phase.loss_weights()
        yield _phase(index, phase, losses)
        if hidden.pairs or attention.pairs:
            other = f"; attention: {attention}" if attention.pairs and attention != hidden else ""
            yield f"  layer map (student<-teacher): {hidden if hidden.pairs else 'no hidden states'}{other}"
        alone = not isinstance(plan, EncoderPlan) or plan.joint is None
        if alone and phase.teacher_cache is None and "prediction_loss" in losses and set(losses) <= set(ANSWER_LOSSES):
            if index and _notes_answers(plan.recipe.phases[index - 1], phase):
                yield "  the teacher is not run again: its answers are noted in the phase before"
            elif phase.known_epochs > 1:
                yield "  the teacher is asked once a row, its answers are kept in the output folder"
    yield from _after(plan.recipe)
    yield from described(plan.recipe)


def _notes_answers(phase: Phase, behind: Phase) -> bool:
    """Whether a phase runs the teacher over all rows of the one behind."""
    looks = set(phase.loss_weights()) != {"label_loss"} and not phase.teacher_cache
    return (
        looks
        and phase.known_epochs >= 1
        and phase.train_rows == behind.train_rows
        and not behind.teacher_cache_limit_gb
    )


def _before(recipe: Recipe) -> Iterator[str]:
    """The training in front of the phases: with it and `_after` a reader sees the epochs of all three."""
    if recipe.teacher.finetune is not None:
        tuning = recipe.teacher.finetune
        epochs = counted_epochs(tuning.known_epochs, tuning.learning_rate)
        yield f"the teacher is fine-tuned first: {epochs} (--teacher-epochs)"


def _after(recipe: Recipe) -> Iterator[str]:
    """The training behind the phases."""
    if recipe.baseline is not None:
        epochs = counted_epochs(recipe.baseline.known_epochs, recipe.baseline.learning_rate)
        yield f"to compare, the same student is trained without the teacher: {epochs} (--baseline-epochs)"


def _translation(plan: TranslationPlan) -> Iterator[str]:
    recipe = plan.recipe
    yield from _before(recipe)
    learned = "the references"
    if recipe.pseudo_labels is not None:
        more = f" and of {counted(plan.unlabelled_rows, 'unlabelled source')}" if plan.unlabelled_rows else ""
        also = " and the references" if recipe.pseudo_labels.references else ""
        beams = counted(recipe.pseudo_labels.beams, "beam")
        learned = f"the teacher's translations of the train rows{more} ({beams}){also}"
    yield f"the student learns from: {learned}"
    for index, (phase, objective) in enumerate(zip(recipe.phases, plan.objectives, strict=True)):
        yield _phase(index, phase, phase.loss_weights(has_decoder=True))
        if objective is not None:
            yield from _maps(objective)
    yield from _after(recipe)
    teacher, student = counted(recipe.teacher_beams, "beam"), recipe.evaluation.student_beams
    yield f"measured with: {teacher} (teacher), {student} (student)"


def _maps(objective: Objective) -> Iterator[str]:
    """The layer maps that a loss of the objective uses."""
    by_loss = {
        "hidden_state_loss": "encoder",
        "attention_loss": "encoder attention",
        "decoder_hidden_state_loss": "decoder",
        "decoder_attention_loss": "decoder attention",
        "cross_attention_loss": "cross-attention",
    }
    (towards,) = objective.each
    used = "; ".join(
        f"{half}: {towards.layer_map(loss)}" for loss, half in by_loss.items() if loss in objective.losses
    )
    if used:
        yield f"  layer maps (student<-teacher): {used}"


def _phase(index: int, phase: Phase, losses: dict[str, float]) -> str:
    said = " + ".join(f"{weight:g} x {name}" for name, weight in losses.items())
    rows = "" if phase.train_rows is None else f" over the first {counted(phase.train_rows, 'row')}"
    epochs = counted_epochs(phase.known_epochs, phase.learning_rate)
    patience, stops = phase.early_stopping_patience, ""
    if patience is not None:
        stops = f"; it stops early after {counted(patience, 'evaluation')} without a better one"
    return f"phase {index} ({phase.name}): {said}; {epochs}{rows}{stops}"


# Fields that are about one task only, by the section that they stand in.
_Fields = dict[str, tuple[str, ...]]
_OF_TRANSLATION: _Fields = {
    "": ("evaluation", "pseudo_labels", "teacher_beams"),
    "data": ("source_column", "target_column", "max_target_length"),
    "phases": ("decoder_layer_map", "decoder_attention_layer_map", "cross_attention_layer_map"),
}
_OF_CLASSIFICATION: _Fields = {"data": ("text_column", "text_pair_column", "label_column", "problem_type")}
_OF_WORDS: _Fields = {"data": ("tokens_column", "tags_column")}
_OF_ANSWERING: _Fields = {"data": ("question_column", "context_column", "answers_column", "doc_stride")}
_OF_TASKS = {
    TRANSLATION: _OF_TRANSLATION,
    TEXT_CLASSIFICATION: _OF_CLASSIFICATION,
    TOKEN_CLASSIFICATION: _OF_WORDS,
    QUESTION_ANSWERING: _OF_ANSWERING,
}
_WITHOUT_LABELS: _Fields = {"data": ("label_names",)}


def _of_the_task(recipe: dict[str, Any], task: str) -> dict[str, Any]:
    """Without the fields of the other tasks."""
    others = [fields for name, fields in _OF_TASKS.items() if name != task]
    if task not in (TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION):
        others.append(_WITHOUT_LABELS)
    for section, names in (item for fields in others for item in fields.items()):
        place = recipe if not section else recipe.get(section, {})
        for one in place if isinstance(place, list) else [place]:
            for name in names:
                one.pop(name, None)
    return recipe


def _said(value: Any) -> Any:
    """Without the fields that say nothing."""
    if isinstance(value, dict):
        return {name: _said(one) for name, one in value.items() if one is not None and one not in ({}, "", [])}
    return [_said(one) for one in value] if isinstance(value, list) else value
