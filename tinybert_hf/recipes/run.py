"""Carry out a recipe: data, teacher, student, phases, baseline, costs, report. Every finished stage is kept."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS
from tinybert_hf.distillation import capture
from tinybert_hf.distillation.bert_parts import encoder_parts
from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.evaluation import evaluate_model, main_metric, measure_costs, metrics_for
from tinybert_hf.recipes.plan import Plan, make_plan
from tinybert_hf.recipes.report import BASELINE, SCREEN, STUDENT, TEACHER, RunReport, versions
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.recipes.students import check_vocabularies, make_start, open_student, unlabelled_batches
from tinybert_hf.recipes.teachers import logits_in_order, open_teacher, reopen_teacher
from tinybert_hf.training import finetune, run_phases

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def run_recipe(recipe: Recipe, console: Console | None = None) -> RunReport:
    """Carry out a recipe and print its table.

    Given again after a stop, it goes on where it was; given again after the end, it shows the result.

    Args:
        recipe: from `load_recipe`.
        console: where to print; None: standard output.

    Raises:
        TinyBertError: anything that the user can mend, before any training where it can be known before.
    """
    if console is None:
        from rich.console import Console

        console = Console()
    plan = make_plan(recipe)
    folder = plan.folder
    if folder.is_finished:
        console.print(f"{folder.path} holds this run already, complete; delete the folder to run it again.")
        report = RunReport.read(folder.read_report(), str(folder.path))
    else:
        if folder.is_started:
            console.print(f"Going on with the run in {folder.path}.")
        report = _Run(plan, console).carry_out()
    report.show(console)
    return report


class _Run:
    """One run: what its stages hand to each other. Stages that are finished are read back."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self.plan, self.recipe, self.folder, self.console = plan, plan.recipe, plan.folder, console
        self.problem_type = plan.data.problem_type
        self.metric = main_metric(self.problem_type)
        self.teacher: PreTrainedModel
        self.tokenizer: PreTrainedTokenizerBase
        self.device = _device(plan.recipe)
        self.training_arguments = {**SCREEN, **plan.recipe.training_arguments}

    def carry_out(self) -> RunReport:
        self._open_teacher()
        self.folder.claim()  # from here on something is written
        self._finetune_teacher()
        self._teacher_metrics()
        self._start()
        self._distil()
        if self.recipe.baseline is not None:
            self._train_baseline()
        report = self._report()
        data = {"label_names": self.plan.data.label_names, "problem_type": self.problem_type}
        content = {**asdict(report), "data": data, "versions": versions(), "recipe": self.recipe.as_dict()}
        self.folder.finish(content)
        return report

    @cached_property
    def train(self) -> Dataset:
        """Tokenised rows to learn from."""
        return TASKS[self.recipe.task].tokenize(self.plan.data.train, self.tokenizer, self.recipe.data)

    @cached_property
    def validation(self) -> Dataset:
        """Tokenised rows to measure on."""
        return TASKS[self.recipe.task].tokenize(self.plan.data.validation, self.tokenizer, self.recipe.data)

    def _open_teacher(self) -> None:
        settings, place = self.recipe.teacher, self.folder.path / TEACHER
        if place.exists():
            self.teacher, self.tokenizer = reopen_teacher(place, settings.dtype)
        else:
            self.teacher, self.tokenizer = open_teacher(self.plan)
        self.teacher.to(self.device)
        check_vocabularies(self.plan, self.tokenizer)
        self._check_capture()

    def _finetune_teacher(self) -> None:
        settings, place = self.recipe.teacher, self.folder.path / TEACHER
        if settings.finetune is not None and not place.exists():
            with self._stage(TEACHER, f"Fine-tuning the teacher ({_size(self.teacher)})"):
                self._finetune(TEACHER, self.teacher, settings.finetune)
            self.teacher, self.tokenizer = reopen_teacher(place, settings.dtype)
            self.teacher.to(self.device)

    def _check_capture(self) -> None:
        """Take once from the teacher what the losses will need, so that it fails here or never."""
        inputs = model_inputs(
            self.teacher, next(unlabelled_batches(self.train, self.tokenizer, self.teacher, max_rows=2))
        )
        self.teacher.eval()
        if self.recipe.student.model is None and self.recipe.student.start == "teacher":
            encoder_parts(self.teacher)
        for phase, (hidden, attention) in zip(self.recipe.phases, self.plan.layer_maps, strict=True):
            losses = phase.loss_weights
            layers = set(hidden.teacher_layers) if "hidden_state_loss" in losses else set()
            capture(
                self.teacher,
                inputs,
                attention_layers=set(attention.teacher_layers) if "attention_loss" in losses else (),
                hidden_state_layers=layers | ({0} if "embedding_loss" in losses else set()),
            )

    def _teacher_metrics(self) -> None:
        if self.folder.result_of("teacher metrics") is None:
            with logits_in_order(self.teacher, self.plan.label_order):
                metrics = self._evaluate(self.teacher)
            self.folder.finish_stage("teacher metrics", metrics)
        metrics = self.folder.result_of("teacher metrics")
        self.console.print(
            f"Teacher ({_size(self.teacher)}): {self.metric} {metrics[self.metric]:.4f}", highlight=False
        )
        for warning in self._teacher_warnings():
            self.console.print(f"[yellow]Warning:[/yellow] {warning}", highlight=False)

    def _teacher_warnings(self) -> list[str]:
        """A teacher that knows no more than the label counts is untrained, or its labels stand in another order."""
        if self.problem_type != "single_label_classification":
            return []
        assert self.plan.data.validation is not None
        labels = self.plan.data.validation["label"]
        majority = max(labels.count(label) for label in set(labels)) / len(labels)
        accuracy = self.folder.result_of("teacher metrics")["accuracy"]
        if accuracy > majority:
            return []
        teacher = ", ".join(str(name) for name in self.plan.teacher_config.id2label.values())
        return [
            f"the teacher's accuracy is {accuracy:.4f}, no better than always answering the most frequent label "
            f"({majority:.4f}). Was it fine-tuned on these labels, in this order? Teacher: {teacher}. "
            f"Data: {', '.join(self.plan.data.label_names)}."
        ]

    def _start(self) -> None:
        """Keep the weights before the first step: the distilled student and the baseline both begin there."""
        if self.folder.result_of("start") is not None:
            return
        with self._stage("start", "Making the student"):
            student = make_start(self.plan, self.teacher, self.tokenizer, self.train)
            student.save_pretrained(self.folder.work / "start")
        self.folder.finish_stage("start", {"parameters": student.num_parameters()})

    def _distil(self) -> None:
        if self.folder.result_of(STUDENT) is None:
            student = open_student(self.folder.work / "start").to(self.device)
            with self._stage(STUDENT, f"Distilling into {_size(student)}"):
                results = run_phases(
                    student,
                    self.teacher,
                    self.recipe.phases,
                    output_dir=self.folder.path,
                    train_dataset=self.train,
                    eval_dataset=self.validation,
                    processing_class=self.tokenizer,
                    compute_metrics=metrics_for(self.problem_type, self.plan.data.num_labels),
                    seed=self.recipe.seed,
                    training_arguments=self.training_arguments,
                )
            student.save_pretrained(self.folder.work / STUDENT)
            self.tokenizer.save_pretrained(self.folder.work / STUDENT)
            metrics = self._evaluate(student)
            self.folder.finish_stage(STUDENT, {"metrics": metrics, "phases": [asdict(one) for one in results]})
        self.folder.place(STUDENT)
        self._say_metric("Student", self.folder.result_of(STUDENT)["metrics"])

    def _train_baseline(self) -> None:
        assert self.recipe.baseline is not None
        if self.folder.result_of(BASELINE) is None:
            student = open_student(self.folder.work / "start")
            with self._stage(BASELINE, "Training the same student without the teacher, to compare"):
                self._finetune(BASELINE, student, self.recipe.baseline)
            self.folder.finish_stage(BASELINE, self._evaluate(student.to(self.device)))
        self._say_metric("Student trained alone", self.folder.result_of(BASELINE))

    def _finetune(self, name: str, model: PreTrainedModel, settings: Any) -> None:
        """Train on the labels; the folder `name` appears when it is whole."""
        if (self.folder.path / name).exists():
            return
        finetune(
            model,
            settings,
            output_dir=self.folder.work / name,
            train_dataset=self.train,
            processing_class=self.tokenizer,
            seed=self.recipe.seed,
            training_arguments=self.training_arguments,
        )
        os.replace(self.folder.work / name, self.folder.path / name)

    def _evaluate(self, model: PreTrainedModel) -> dict[str, float]:
        return evaluate_model(model, self.validation, self.tokenizer, self.problem_type)

    def _report(self) -> RunReport:
        stages = {name: self.folder.result_of(name) for name in (STUDENT, BASELINE, "seconds")}
        student = open_student(self.folder.path).to(self.device)
        measured = measure_costs({TEACHER: self.teacher, STUDENT: student})
        costs = {name: asdict(cost) for name, cost in measured.items()}
        metrics = {TEACHER: self.folder.result_of("teacher metrics"), STUDENT: stages[STUDENT]["metrics"]}
        if stages[BASELINE] is not None:
            metrics[BASELINE], costs[BASELINE] = stages[BASELINE], costs[STUDENT]
        return RunReport(
            folder=str(self.folder.path),
            main_metric=self.metric,
            metrics=metrics,
            costs=costs,
            phases=stages[STUDENT]["phases"],
            seconds=stages["seconds"] or {},
            device=self.device,
            warnings=self._teacher_warnings(),
        )

    @contextmanager
    def _stage(self, name: str, title: str) -> Iterator[None]:
        self.console.print(f"[bold]{title}[/bold]", highlight=False)
        started = time.perf_counter()
        yield
        seconds = {**(self.folder.result_of("seconds") or {}), name: round(time.perf_counter() - started, 1)}
        self.folder.finish_stage("seconds", seconds)

    def _say_metric(self, who: str, metrics: dict[str, float]) -> None:
        self.console.print(f"{who}: {self.metric} {metrics[self.metric]:.4f}", highlight=False)


def _device(recipe: Recipe) -> str:
    """Where the Trainer of transformers will train."""
    import torch

    accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return "cpu" if recipe.training_arguments.get("use_cpu") or accelerator is None else accelerator.type


def _size(model: PreTrainedModel) -> str:
    config = model.config
    return f"{config.num_hidden_layers} layers of width {config.hidden_size}, {model.num_parameters() / 1e6:.1f} M"
