"""A run that distils a translator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS, tokenizing_notes
from tinybert_hf.evaluation import (
    TranslationContestant,
    evaluate_translation,
    measure_translation_costs,
    nothing_in_common,
    write_worst_sentences,
)
from tinybert_hf.recipes import pseudo_labelling
from tinybert_hf.recipes.folder import read_json, write_json
from tinybert_hf.recipes.plan_translation import TranslationPlan
from tinybert_hf.recipes.progress import counting, row_progress
from tinybert_hf.recipes.report import BASELINE, STUDENT, TEACHER
from tinybert_hf.recipes.stages import Run
from tinybert_hf.recipes.translation_report import TranslationReport
from tinybert_hf.recipes.translators import make_start, open_student, open_teacher, open_tokenizer, reopen_teacher
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PSEUDO_LABELS = "pseudo-labels"
WORST_FILE = "worst_sentences.md"  # to be read
WORST_ROWS = "worst_sentences.jsonl"  # the same, for `tinybert report`
_TIMED_SENTENCES = 50


class TranslationRun(Run[TranslationPlan]):
    """The stages of a translation: the teacher translates what the student learns from."""

    report_class = TranslationReport

    @cached_property
    def student_tokenizer(self) -> PreTrainedTokenizerBase:
        """The teacher's, but for a student that brings another one."""
        if self.plan.different_tokens:
            return open_tokenizer(str(self.recipe.student.model), "student", self.plan.student_config)
        return self.tokenizer

    @property
    def other_tokens(self) -> bool:
        """Where a student that exists already brings its own."""
        return bool(self.plan.different_tokens)

    @property
    def teacher_rows(self) -> Dataset:
        """The references, in the teacher's tokens."""
        return (
            self._tokenized(self.plan.data.train, self.tokenizer) if self.plan.different_tokens else self._references
        )

    @property
    def baseline_rows(self) -> Dataset:
        """The references, in the student's tokens."""
        return self._references

    @cached_property
    def _references(self) -> Dataset:
        return self._tokenized(self.plan.data.train, self.student_tokenizer)

    @cached_property
    def validation_rows(self) -> Dataset:
        """Pairs whose loss is shown after each epoch."""
        return self._tokenized(self.plan.data.validation, self.student_tokenizer)

    @property
    def distillation_rows(self) -> Dataset:
        """The teacher's translations, the references, or both."""
        from datasets import concatenate_datasets

        labels = self.recipe.pseudo_labels
        if labels is None:
            return self._references
        rows = pseudo_labelling.read_rows(self._pseudo_folder, self.folder.result_of(PSEUDO_LABELS))
        if labels.references:
            rows = concatenate_datasets([rows, self.plan.data.train])
        return self._tokenized(rows, self.student_tokenizer)

    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """A translator, or a new one that is to become one."""
        return open_teacher(self.plan)

    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The translator that was trained here."""
        return reopen_teacher(folder, self.recipe.teacher)

    def check_teacher(self) -> None:
        """Take once what the losses will need, so that it fails here or never."""
        from transformers import DataCollatorForSeq2Seq

        assert self.plan.data.train is not None
        rows = self._task.tokenize(self.plan.data.train.select(range(1)), self.tokenizer, self.recipe.data)
        batch = DataCollatorForSeq2Seq(self.tokenizer)([{k: v for k, v in rows[0].items() if k != "length"}])
        for objective in self.plan.objectives:
            if objective is not None:
                objective.capture_teachers(self.teacher, batch.to(self.device))

    def prepare_rows(self) -> None:
        """Sequence-level distillation: the teacher translates."""
        if self.recipe.pseudo_labels is None:
            return
        if self.folder.result_of(PSEUDO_LABELS) is None:
            assert self.plan.data.train is not None
            with self.stage(
                PSEUDO_LABELS, f"The teacher translates ({self._beams_of(self.recipe.pseudo_labels.beams)})"
            ):
                reports = pseudo_labelling.write_rows(
                    self.teacher, self.tokenizer, self.recipe, self.plan.data.train, self._pseudo_folder, self.console
                )
            self.folder.finish_stage(PSEUDO_LABELS, reports)
        reports = self.folder.result_of(PSEUDO_LABELS)
        self.say(*(pseudo_labelling.in_words(name, report) for name, report in reports.items()))
        self.warn(pseudo_labelling.warnings(reports))

    def make_start(self) -> PreTrainedModel:
        """Opened, or drawn."""
        return make_start(self.plan)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A TinyBertForSeq2Seq."""
        return open_student(folder)

    def guide(self) -> PreTrainedModel:
        """The teacher; where no loss looks at it, a stand-in of the student's own shape, which is never run."""
        if self.plan.needs_teacher:
            return self.teacher
        return self.open_student(self.folder.work / "start").to(self.device)

    def sides(self) -> Mapping[str, Iterable[str]]:
        """Both languages."""
        assert self.plan.data.train is not None
        return {side: self.plan.data.train[side] for side in ("source", "target")}

    def measure(self, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """BLEU and chrF; the translations are kept for the comparison at the end."""
        settings, pairs = self.recipe.evaluation, self._pairs
        beams = self.recipe.teacher_beams if who == TEACHER else settings.student_beams
        with row_progress(self.console, f"Translating to measure the {who}") as progress:
            result = evaluate_translation(
                model,
                self.tokenizer if who == TEACHER else self.student_tokenizer,
                pairs["source"],
                pairs["target"],
                target_language=settings.target_language,
                beams=beams,
                batch_size=settings.batch_size,
                prefix=self.recipe.teacher.prefix if who == TEACHER else "",
                progress=counting(progress, len(pairs["source"])),
            )
        write_json(self._translations(who), {"hypotheses": result["hypotheses"]})
        self.say_notes(f"{who}: {note}" for note in result["notes"])
        names = ("bleu", "chrf", "bleu_signature", "chrf_signature", "cut_off", "truncated")
        return {**{name: result[name] for name in names}, "beams": beams}  # type: ignore[literal-required]

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """Both scores."""
        return f"BLEU {metrics['bleu']:.1f}, chrF {metrics['chrf']:.1f} ({self._beams_of(metrics['beams'])})"

    def teacher_warnings(self) -> list[str]:
        """A teacher of other languages translates too, into something else."""
        warning = nothing_in_common(self.folder.result_of("teacher metrics"), "the teacher")
        if warning is None:
            return []
        advice = (
            "Does it translate between these two languages, in this direction? Does it want a prefix before each "
            "source (teacher.prefix)? Was it trained long enough?"
        )
        if self.recipe.teacher.finetune is not None:
            advice = "It was trained in this run: give it more epochs (--teacher-epochs) or more rows."
        return [f"{warning} {advice}"]

    def report(self) -> TranslationReport:
        """Figures and costs of the models; the worst sentences go into a file."""
        student, pairs = self.open_student(self.folder.path).to(self.device), self._pairs
        kept = {who: read_json(self._translations(who))["hypotheses"] for who in (TEACHER, STUDENT)}
        count = self.recipe.evaluation.worst_sentences
        for name in (WORST_FILE, WORST_ROWS):
            write_worst_sentences(
                self.folder.path / name, pairs["source"], pairs["target"], kept[TEACHER], kept[STUDENT], count
            )
        collected = self.collected()
        collected["warnings"] += pseudo_labelling.warnings(self.folder.result_of(PSEUDO_LABELS) or {})
        costs = self._costs(student)
        if BASELINE in collected["metrics"]:
            costs[BASELINE] = costs[STUDENT]
        return TranslationReport(
            costs=costs,
            pseudo_labels=self.folder.result_of(PSEUDO_LABELS) or {},
            worst_sentences=WORST_FILE,
            **collected,
        )

    def _costs(self, student: PreTrainedModel) -> dict[str, dict[str, Any]]:
        recipe, sources = self.recipe, self._pairs["source"]
        with self.stage("costs", "Measuring size and speed"):
            measured = measure_translation_costs(
                {
                    TEACHER: TranslationContestant(
                        self.teacher, self.tokenizer, recipe.teacher_beams, recipe.teacher.prefix
                    ),
                    STUDENT: TranslationContestant(student, self.student_tokenizer, recipe.evaluation.student_beams),
                },
                sources[:: max(1, len(sources) // _TIMED_SENTENCES)][:_TIMED_SENTENCES],
            )
        costs = {name: asdict(cost) for name, cost in measured.items()}
        for cost in costs.values():
            for name in ("sentences_per_second", "speedup"):  # JSON has no numbers for names
                cost[name] = {str(size): spread for size, spread in cost[name].items()}
        return costs

    @property
    def _task(self) -> Any:
        return TASKS[self.recipe.task]

    @property
    def _pseudo_folder(self) -> Path:
        return self.folder.work / PSEUDO_LABELS

    def _translations(self, who: str) -> Path:
        return self.folder.work / f"{who}-translations.json"

    @cached_property
    def _pairs(self) -> dict[str, list[str]]:
        assert self.plan.data.validation is not None
        return {side: list(self.plan.data.validation[side]) for side in ("source", "target")}

    def _tokenized(self, rows: Any, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        ready = self._task.tokenize(rows, tokenizer, self.recipe.data)
        self.say_notes(tokenizing_notes(ready))
        return ready

    def _beams_of(self, beams: int) -> str:
        return "greedy" if beams == 1 else counted(beams, "beam")
