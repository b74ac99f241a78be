"""A run that distils an encoder with a head: labels of texts, labels of words, answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS, tokenizing_notes
from tinybert_hf.data.settings import QUESTION_ANSWERING, SINGLE_LABEL
from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.distillation import capture, label_order
from tinybert_hf.distillation.bert_parts import encoder_parts
from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teacher import better_label_order
from tinybert_hf.distillation.teachers import shares
from tinybert_hf.evaluation import (
    ModelCost,
    answer_metrics_for,
    measure_costs,
    metrics_for,
    predicted_logits,
    task_metrics,
    token_metrics_for,
)
from tinybert_hf.recipes.augmentation import AUGMENTATION, TEXT_COLUMNS, augment_stage, open_words, read_copies
from tinybert_hf.recipes.figure_warnings import student_warnings, teacher_warnings
from tinybert_hf.recipes.joint_teachers import (
    JointTeachers,
    in_order,
    join,
    mean_answers,
    open_further_teachers,
)
from tinybert_hf.recipes.plan_encoder import EncoderPlan, texts_of
from tinybert_hf.recipes.pruning import PRUNING
from tinybert_hf.recipes.report import BASELINE, STUDENT, TEACHER, RunReport
from tinybert_hf.recipes.stages import Run
from tinybert_hf.recipes.starting_projections import projections_beside
from tinybert_hf.recipes.students import make_start, open_student, unlabelled_batches
from tinybert_hf.recipes.teachers import open_teacher, reopen_teacher
from tinybert_hf.training import with_teacher_tokens
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


_PHASES = "phases"


class EncoderRun(Run[EncoderPlan]):
    """The stages of such a run: every model learns from the same rows."""

    @cached_property
    def student_tokenizer(self) -> PreTrainedTokenizerBase:
        """The first teacher's, but for a student that brings another one."""
        joint = self.plan.joint
        return self.tokenizer if joint is None or not joint.differences[0] else joint.student_tokenizer

    @property
    def other_tokens(self) -> bool:
        """Where a student that exists already brings its own."""
        return self.plan.joint is not None and bool(self.plan.joint.differences[0])

    @property
    def teacher_rows(self) -> Dataset:
        """Tokenised rows with labels, as the first teacher reads them."""
        return self._rows("train", self.tokenizer)

    @cached_property
    def distillation_rows(self) -> Dataset:
        """The student's rows; beside them those of the teachers that read tokens of their own."""
        return self._beside_teachers(self._phase_rows)

    @cached_property
    def phase_validation_rows(self) -> Dataset:
        """The same of the rows to measure on: the best checkpoint may be chosen by a loss towards the teachers."""
        return self._beside_teachers(lambda tokenizer: self._rows("validation", tokenizer))

    def _beside_teachers(self, tokenized: Callable[[PreTrainedTokenizerBase], Dataset]) -> Dataset:
        rows, joint = tokenized(self.student_tokenizer), self.plan.joint
        for index, different in enumerate(joint.differences if joint is not None else ()):
            if different:
                assert joint is not None
                rows = with_teacher_tokens(rows, tokenized(joint.tokenizers[index]), teacher=index)
        return rows

    def _phase_rows(self, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """The training rows; with copies or unlabelled rows behind them none has a label."""
        plain = self.recipe.augmentation is None and self.plan.data.unlabelled is None
        return self._rows("train" if plain else _PHASES, tokenizer)

    def prepare_rows(self) -> None:
        """Augment the training rows, and say which others there are."""
        if self.recipe.augmentation is not None:
            augment_stage(self, self.recipe.augmentation, self._copies)
        if self.plan.data.unlabelled is not None:
            many = counted(len(self.plan.data.unlabelled), "further row")
            self.say(
                f"The phases also learn the teacher's answers to {many} without labels; no label is read in them."
            )

    @property
    def _copies(self) -> Path:
        return self.folder.work / AUGMENTATION

    @property
    def baseline_rows(self) -> Dataset:
        """Tokenised rows with labels, as the student reads them."""
        return self._rows("train", self.student_tokenizer)

    @property
    def validation_rows(self) -> Dataset:
        """Tokenised rows to measure on."""
        return self._rows("validation", self.student_tokenizer)

    def _rows(self, part: str, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Rows as a tokenizer gives them, made once."""
        key = part, id(tokenizer)
        if key not in self._tokenized:
            raw = self._without_labels if part == _PHASES else self.plan.data.part(part)
            self._tokenized[key] = TASKS[self.recipe.task].tokenize(raw, tokenizer, self.recipe.data)
            whose = "all rows of the phases" if part == _PHASES else f"{part} rows"
            self.say_notes(f"{whose}: {note}" for note in tokenizing_notes(self._tokenized[key]))
        return self._tokenized[key]

    @cached_property
    def _without_labels(self) -> Dataset:
        """What the phases read where not every row has a label."""
        from datasets import concatenate_datasets

        rows = self.plan.data.part("train")
        parts = [rows.select_columns([name for name in rows.column_names if name in TEXT_COLUMNS])]
        if self.recipe.augmentation is not None:
            parts.append(read_copies(parts[0].features, self._copies))
        if self.plan.data.unlabelled is not None:
            parts.append(self.plan.data.unlabelled)
        return concatenate_datasets(parts)

    @cached_property
    def _tokenized(self) -> dict[tuple[str, int], Dataset]:
        return {}

    @cached_property
    def _further(self) -> list[PreTrainedModel]:
        """All teachers but the first, on their device."""
        return [model.to(self.device) for model in open_further_teachers(self.recipe)]  # type: ignore[arg-type]

    def guide(self) -> Any:
        """The teacher, or all of them."""
        if self.plan.joint is None:
            return self.teacher
        return join(self.recipe, [self.teacher, *self._further], self.plan.joint.tokenizers)

    def starting_projections(self, student: PreTrainedModel) -> AnyProjections | None:
        """Those of a general distillation or a conversion, where the student comes from one."""
        return projections_beside(self.recipe.student.model, student, self.guide(), self.phases[0], self.say)

    @property
    def compute_metrics(self) -> Any:
        """The figures of the problem type, after each epoch."""
        if self.plan.data.problem_type == TOKEN_CLASSIFICATION:
            return token_metrics_for(self.plan.data.label_names)
        if self.plan.data.problem_type == QUESTION_ANSWERING:
            return answer_metrics_for(self.validation_rows, self.plan.data.part("validation"))
        return metrics_for(self.plan.data.problem_type, self.plan.data.num_labels)

    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """A classifier, or an encoder that is to become one."""
        return open_teacher(self.plan)

    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The classifier that was fine-tuned here."""
        return reopen_teacher(folder, self.recipe.task, self.recipe.teacher.dtype)

    def check_teacher(self) -> None:
        """Take once what the losses will need, so that it fails here or never."""
        if self.recipe.augmentation is not None and self.folder.result_of(AUGMENTATION) is None:
            open_words(self.recipe, self.teacher, self.tokenizer)
        self.teacher.eval()
        if self.plan.starts_from_teacher:
            encoder_parts(self.teacher)
        if self.plan.joint is not None:
            self._check_joint_teachers(self.plan.joint)
            return
        inputs = model_inputs(self.teacher, self._two_rows(self.teacher, self.tokenizer))
        for phase, (hidden, attention) in zip(self.recipe.phases, self.plan.layer_maps, strict=True):
            losses = phase.loss_weights()
            layers = set(hidden.teacher_layers) if "hidden_state_loss" in losses else set()
            capture(
                self.teacher,
                inputs,
                attention_layers=set(attention.teacher_layers) if "attention_loss" in losses else (),
                hidden_state_layers=layers | ({0} if "embedding_loss" in losses else set()),
            )

    def _check_joint_teachers(self, joint: JointTeachers) -> None:
        for index, (model, tokenizer) in enumerate(zip([self.teacher, *self._further], joint.tokenizers, strict=True)):
            batch = self._two_rows(model, tokenizer)
            for objective in joint.objectives:
                objective.each[index].capture_teacher(model, batch)

    def _two_rows(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        return next(unlabelled_batches(self._rows("train", tokenizer), tokenizer, model, max_rows=2))

    def make_start(self) -> PreTrainedModel:
        """Opened, projected down from the teacher, or drawn."""
        return make_start(self.plan, self.teacher, self.tokenizer, self.teacher_rows)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A TinyBERT with the head of the task."""
        return open_student(folder, self.recipe.task)

    def measure(self, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """The figures on the validation rows, and under "further" those on each further split."""
        figures = self._measure_on("validation", who, model)
        further = {part: self._measure_on(part, who, model) for part in self.plan.data.further_validation}
        return {**figures, "further": further} if further else figures

    def _measure_on(self, part: str, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """The figures of the problem type; of several teachers those of their mean, and beside them of each."""
        rows, problem_type = self._rows(part, self.student_tokenizer), self.plan.data.problem_type
        if who != TEACHER:
            return self._metrics_of(predicted_logits(model, rows, self.student_tokenizer), part, rows)
        joint = self.plan.joint
        configs = (self.plan.teacher_config,) if joint is None else joint.configs
        tokenizers = (self.tokenizer,) if joint is None else (self.tokenizer, *joint.tokenizers[1:])
        logits = []
        for one, config, tokenizer in zip([model, *self._further], configs, tokenizers, strict=True):
            said, named = (
                predicted_logits(one, self._rows(part, tokenizer), tokenizer),
                bool(self.plan.data.label_names),
            )
            logits.append(in_order(said, label_order(self.plan.student_config, config)) if named else said)
        each = [self._teacher_metrics_of(one, part, rows) for one in logits]
        if len(each) == 1:
            return each[0]
        weights = shares([self.recipe.teacher.weight, *(one.weight for one in self.recipe.further_teachers)])
        return {**self._metrics_of(mean_answers(logits, weights, problem_type), part, rows), "each": each}

    def corpus_of_rows(self) -> Iterator[str]:
        """Every text of the training rows."""
        return texts_of(self.plan.data.part("train"))

    def validation_texts(self) -> Iterator[str]:
        """Every text of the validation rows."""
        return texts_of(self.plan.data.part("validation"))

    def measure_pruned(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        """As `measure`, on rows of its own tokens."""

        def measure_on(part: str) -> dict[str, Any]:
            rows = TASKS[self.recipe.task].tokenize(self.plan.data.part(part), tokenizer, self.recipe.data)
            return self._metrics_of(predicted_logits(model, rows, tokenizer), part, rows)

        further = {part: measure_on(part) for part in self.plan.data.further_validation}
        return {**measure_on("validation"), **({"further": further} if further else {})}

    def _metrics_of(self, logits: Any, part: str, rows: Dataset) -> dict[str, Any]:
        data = self.plan.data
        return task_metrics(logits, rows, data.part(part), data.problem_type, data.label_names)

    def _teacher_metrics_of(self, logits: Any, part: str, rows: Dataset) -> dict[str, Any]:
        """The figures; beside them the order of the labels that would make them much better, where there is one."""
        figures = self._metrics_of(logits, part, rows)
        if self.plan.data.problem_type == SINGLE_LABEL:
            better = better_label_order(logits.argmax(-1), list(rows["labels"]), len(self.plan.data.label_names))
            if better is not None:
                figures["better_label_order"] = {"order": better[0], "accuracy": better[1]}
        return figures

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """The main metric, and that of each where these are several teachers."""
        names = (self.metric, *self.recipe.further_metrics)
        said = ", ".join(f"{name} {metrics[name]:.4f}" for name in names)
        for part, own in metrics.get("further", {}).items():
            said += f"; {part}: " + ", ".join(f"{name} {own[name]:.4f}" for name in names)
        figures = [one[self.metric] for one in metrics.get("each", ())]
        each = [f"{name} {figure:.4f}" for name, figure in zip(self._names, figures, strict=False)]
        return f"{said}, the mean of {len(each)} teachers: {', '.join(each)}" if each else said

    @property
    def _names(self) -> list[str]:
        """Of the teachers, as the recipe has them."""
        first = self.recipe.teacher.model or "the one that was made here"
        return [first, *(one.model for one in self.recipe.further_teachers)]

    def teacher_warnings(self) -> list[str]:
        """A teacher that knows no more than the label counts is untrained, or its labels stand in another order."""
        return teacher_warnings(self.plan, self.folder.result_of("teacher metrics"), self._names)

    def student_warnings(self) -> list[str]:
        """A student that knows no more than the label counts has learnt nothing."""
        shipped = self.folder.result_of(PRUNING) or self.folder.result_of(STUDENT)
        return student_warnings(self.plan.data, shipped["metrics"])

    def report(self) -> RunReport:
        """Figures and costs of the models."""
        student = self.open_student(self.folder.path).to(self.device)
        teachers = {f"{TEACHER} {index}": one for index, one in enumerate([self.teacher, *self._further])}
        collected = self.collected()
        models = {**teachers, STUDENT: student}
        if collected["pruning"] is not None and BASELINE in collected["metrics"]:
            models[BASELINE] = self.open_student(self.folder.work / "start").to(self.device)  # with all its pieces
        measured = measure_costs(models)
        # An answer of several teachers costs what all of them cost.
        whole = ModelCost.together([measured[name] for name in teachers])
        costs = {TEACHER: asdict(whole), STUDENT: asdict(measured[STUDENT])}
        if BASELINE in collected["metrics"]:
            costs[BASELINE] = asdict(measured.get(BASELINE, measured[STUDENT]))
        augmentation = self.folder.result_of(AUGMENTATION) or {}
        without = self.plan.data.unlabelled
        return RunReport(
            costs=costs,
            augmentation=augmentation,
            unlabelled_rows=0 if without is None else len(without),
            **collected,
        )
