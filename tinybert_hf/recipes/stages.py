"""Carry out a plan in stages. Every finished stage is kept, so that a stopped run goes on after the last of them."""

from __future__ import annotations

import os
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards import fetch_card, values_of_card, write_card
from tinybert_hf.data.held_folder import is_first_process
from tinybert_hf.data.scripts import language_of
from tinybert_hf.data.shared_rows import shared_rows_notes
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.opening import with_fitting_settings
from tinybert_hf.recipes.layer_distances import AFTER, BEFORE, distances_to_teacher, write_distances
from tinybert_hf.recipes.pruning import PRUNING, prune_stage
from tinybert_hf.recipes.report import BASELINE, STUDENT, TEACHER, RunReport, versions
from tinybert_hf.recipes.run_base import PlanT, RunBase, size_of
from tinybert_hf.training import FinetuneSettings, Phase, PhaseResult, finetune, run_phases
from tinybert_hf.wording import counted, counted_epochs

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_READ_ROWS = 500  # enough to tell their language
_ROWS = "rows"  # the stage after which the rows of the phases are there


class Run(RunBase[PlanT]):
    """One run: its stages, in the same order for all tasks. Stages that are finished are read back."""

    def carry_out(self) -> RunReport:
        """Do what is not done yet, and write run.json."""
        self.say_notes(self.plan.notes)
        self._open_teacher()
        self.folder.claim()  # from here on something is written
        self._finetune_teacher()
        self._teacher_metrics()
        self._prepare_rows()
        self._start()
        self._distil()
        if self.recipe.baseline is not None:
            self._train_baseline(self.recipe.baseline)
        if not is_first_process():
            self.folder.wait_for(lambda: False)
            return self.report_class.read(self.folder.read_report(), str(self.folder.path))
        report = self.report()
        data = {
            "label_names": self.plan.data.label_names,
            "problem_type": self.plan.data.problem_type,
            "languages": {side: language_of(islice(texts, _READ_ROWS)) for side, texts in self.sides().items()},
        }
        content = {**asdict(report), "data": data, "versions": versions(), "recipe": self.recipe.as_dict()}
        self.folder.finish({**content, "model_cards": self._model_cards()})
        write_card(self.folder.path)
        return report

    def _model_cards(self) -> dict[str, Any]:
        """License and language of the models that the student comes from, as their own cards name them."""
        first, student = self.recipe.teacher.model, self.recipe.student.model
        models = [first, *(one.model for one in self.recipe.further_teachers), student]
        named = list(dict.fromkeys(model for model in models if model))
        for model in named:
            fetch_card(model)
        return {model: values_of_card(model) for model in named}

    def _open_teacher(self) -> None:
        place = self.folder.path / TEACHER
        self.teacher, self.tokenizer = self.reopen_teacher(place) if place.exists() else self.open_teacher()
        self.teacher.to(self.device)
        self.check_teacher()

    def _finetune_teacher(self) -> None:
        settings, place = self.recipe.teacher.finetune, self.folder.path / TEACHER
        if settings is not None and not place.exists():
            epochs = counted_epochs(settings.known_epochs, settings.learning_rate)
            with self.stage(TEACHER, f"Fine-tuning the teacher ({size_of(self.teacher)}): {epochs}"):
                self._finetune(TEACHER, self.teacher, settings, self.teacher_rows, self.tokenizer)
            self.teacher, self.tokenizer = self.reopen_teacher(place)
            self.teacher.to(self.device)

    def _teacher_metrics(self) -> None:
        if self.folder.result_of("teacher metrics") is None:
            self.folder.finish_stage("teacher metrics", self.measure(TEACHER, self.teacher))
        self.say(f"Teacher ({size_of(self.teacher)}): {self.in_words(self.folder.result_of('teacher metrics'))}")
        self.warn(self.teacher_warnings())

    def _prepare_rows(self) -> None:
        """Of several processes the first makes the rows, and the others read them."""
        self.folder.wait_for_stage(_ROWS)
        self.prepare_rows()
        if is_first_process():
            self.folder.finish_stage(_ROWS, "ready")

    def _start(self) -> None:
        """Keep the weights before the first step: the distilled student and the baseline both begin there."""
        self.folder.wait_for_stage("start")
        if self.folder.result_of("start") is not None:
            return
        with self.stage("start", "Making the student"):
            student = self.make_start()
            student.save_pretrained(self.folder.work / "start")
        self.folder.finish_stage("start", {"parameters": student.num_parameters()})

    def _distil(self) -> None:
        if self.folder.result_of(STUDENT) is None:
            student = self.open_student(self.folder.work / "start").to(self.device)
            self._compare_layers(BEFORE, student)
            with self.stage(STUDENT, f"Distilling into {size_of(student)}"):
                self.say_teacher_precision()
                results = self.run_phases(student)
                for index, one in enumerate(results):
                    if one.best_step is not None:
                        early = f"it stopped early, {one.planned_steps} were planned; " if one.stopped_early else ""
                        kept = f"the weights of step {one.best_step} are kept"
                        self.say(f"phase {index}: {counted(one.steps, 'step')}, {early}{kept}")
            if is_first_process():
                self._save_student(student)
            self._compare_layers(AFTER, student)
            metrics = self.measure(STUDENT, student)
            self.folder.finish_stage(STUDENT, {"metrics": metrics, "phases": [asdict(one) for one in results]})
        if self.recipe.prune_vocabulary is None:
            self.folder.place(STUDENT)
        self.say(f"Student: {self.in_words(self.folder.result_of(STUDENT)['metrics'])}")
        if self.recipe.prune_vocabulary is not None:
            prune_stage(self, self.recipe.prune_vocabulary)

    def _save_student(self, student: PreTrainedModel) -> None:
        student.save_pretrained(self.folder.work / STUDENT)
        with_fitting_settings(self.student_tokenizer, student).save_pretrained(self.folder.work / STUDENT)
        self.save_beside(self.folder.work / STUDENT)
        write_manifest(self.folder.work / STUDENT)

    def run_phases(self, student: PreTrainedModel) -> list[PhaseResult]:
        """Train the student; of several processes every one has to call this."""
        return run_phases(
            student,
            self.guide(),
            self.phases,
            output_dir=self.folder.path,
            train_dataset=self.distillation_rows,
            eval_dataset=self.phase_validation_rows,
            processing_class=self.student_tokenizer,
            compute_metrics=self.compute_metrics,
            seed=self.recipe.seed,
            training_arguments=self.phase_arguments,
            projections=self.starting_projections(student),
            announce=self._announce,
            **self.phase_options,
        )

    def _announce(self, index: int, phase: Phase, step: int) -> None:
        if len(self.phases) > 1:
            losses = phase.loss_weights(has_decoder=self.recipe.is_translation)
            named = ", ".join(loss.removesuffix("_loss").replace("_", " ") for loss in losses)
            self.say(
                f"phase {index} ({phase.name}): {named}; {counted_epochs(phase.known_epochs, phase.learning_rate)}"
            )
        if step:
            self._goes_on(step)

    def _goes_on(self, step: int) -> None:
        self.say(f"It goes on from step {step}.")

    def _compare_layers(self, when: str, student: PreTrainedModel) -> None:
        """Keep how far the layers are from the teacher's, for the report."""
        if self.folder.result_of(when) is None:
            rows, tokenizer = self.validation_rows, self.student_tokenizer
            found = distances_to_teacher(student, self.teacher, rows, tokenizer, other_tokens=self.other_tokens)
            self.folder.finish_stage(when, found)
        if when == AFTER:
            write_distances(self.folder.path, *(self.folder.result_of(one) for one in (BEFORE, AFTER)))

    def _train_baseline(self, settings: FinetuneSettings) -> None:
        if self.folder.result_of(BASELINE) is None:
            student = self.open_student(self.folder.work / "start")
            epochs = counted_epochs(settings.known_epochs, settings.learning_rate)
            with self.stage(BASELINE, f"Training the same student without the teacher, to compare: {epochs}"):
                self._finetune(BASELINE, student, settings, self.baseline_rows, self.student_tokenizer)
            self.folder.finish_stage(BASELINE, self.measure(BASELINE, student.to(self.device)))
        self.say(f"Student trained alone: {self.in_words(self.folder.result_of(BASELINE))}")

    def _finetune(
        self,
        name: str,
        model: PreTrainedModel,
        settings: FinetuneSettings,
        rows: Dataset,
        tokenizer: PreTrainedTokenizerBase,
    ) -> None:
        """Train on the labels; the folder `name` appears when it is whole."""
        if (self.folder.path / name).exists():
            return
        finetune(
            model,
            settings,
            output_dir=self.folder.work / name,
            train_dataset=rows,
            processing_class=tokenizer,
            seed=self.recipe.seed,
            training_arguments=self.finetuning_arguments,
            announce=self._goes_on,
        )
        if is_first_process():
            os.replace(self.folder.work / name, self.folder.path / name)
        self.folder.wait_for((self.folder.path / name / "config.json").is_file)

    def collected(self) -> dict[str, Any]:
        """The figures of all models and stages, by the names that a RunReport has for them."""
        stages = {name: self.folder.result_of(name) for name in (STUDENT, BASELINE, "seconds")}
        pruning = self.folder.result_of(PRUNING)
        student = stages[STUDENT]["metrics"]
        metrics = {TEACHER: self.folder.result_of("teacher metrics"), STUDENT: student}
        if pruning is not None:
            metrics[STUDENT] = pruning["metrics"]
            pruning = {**pruning, "metrics_before": student}
        if stages[BASELINE] is not None:
            metrics[BASELINE] = stages[BASELINE]
        return {
            "folder": str(self.folder.path),
            "main_metric": self.metric,
            "further_metrics": list(self.recipe.further_metrics),
            "metrics": metrics,
            "phases": stages[STUDENT]["phases"],
            "pruning": pruning,
            "seconds": stages["seconds"] or {},
            "device": self.device,
            "warnings": [*shared_rows_notes(self.plan.data), *self.teacher_warnings(), *self.student_warnings()],
            "task": self.recipe.task,
            "trivial": self.trivial(metrics),
            "notes": list(self.plan.notes),
        }
