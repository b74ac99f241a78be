"""The runs of the tasks: an encoder with a head, a general distillation, a translator."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tinybert_hf.checkpoints import PROJECTIONS_FILE
from tinybert_hf.checkpoints.integrity import write_json
from tinybert_hf.data import TASKS, tokenizing_notes
from tinybert_hf.data.corpus import BlockCollator, Corpus, CorpusBlocks, open_blocks, split_corpus
from tinybert_hf.data.corpus_sources import Sources
from tinybert_hf.data.settings import SINGLE_LABEL, CorpusSettings
from tinybert_hf.distillation import capture, label_order
from tinybert_hf.distillation.architecture import encoder_parts
from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teachers import better_label_order, shares
from tinybert_hf.evaluation import (
    ModelCost,
    TranslationContestant,
    answer_metrics_for,
    evaluate_translation,
    measure_costs,
    measure_translation_costs,
    metrics_for,
    nothing_in_common,
    predicted_logits,
    task_metrics,
    token_metrics_for,
    write_worst_sentences,
)
from tinybert_hf.messages import counted
from tinybert_hf.recipes.augmentation import (
    AUGMENTATION,
    TEXT_COLUMNS,
    augment_stage,
    open_words,
    pseudo_label_warnings,
    pseudo_labels_in_words,
    read_copies,
    read_translated_rows,
    write_translated_rows,
)
from tinybert_hf.recipes.folder import counting, read_json, row_progress, share_progress
from tinybert_hf.recipes.models import (
    PRUNING,
    JointTeachers,
    in_order,
    join,
    make_general_start,
    make_start,
    make_translator_start,
    mean_answers,
    open_further_teachers,
    open_general_student,
    open_general_teacher,
    open_student,
    open_teacher,
    open_tokenizer,
    open_translator_student,
    open_translator_teacher,
    projections_beside,
    reopen_teacher,
    reopen_translator_teacher,
    unlabelled_batches,
)
from tinybert_hf.recipes.plan import EncoderPlan, GeneralPlan, TranslationPlan, texts_of
from tinybert_hf.recipes.report import (
    BASELINE,
    STUDENT,
    TEACHER,
    GeneralReport,
    RunReport,
    TranslationReport,
    losses_in_words,
    risen_losses,
)
from tinybert_hf.recipes.stages import Run, size_of, student_warnings, teacher_warnings
from tinybert_hf.tasks import QUESTION_ANSWERING, TOKEN_CLASSIFICATION
from tinybert_hf.training import GeneralDistillationTrainer, with_teacher_tokens

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


# A run that distils an encoder with a head: labels of texts, labels of words, answers.

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


# A run of general distillation: plain text, no task, no labels.

CORPUS = "corpus"
_FEW_STEPS = 50


class GeneralRun(Run[GeneralPlan]):
    """The stages of a general distillation.

    Attributes:
        corpus: tokenised; there once the rows are prepared.
    """

    report_class = GeneralReport
    corpus: Corpus

    def main_metric(self) -> str:
        """The weighted sum of the losses on held-out text; a lower one is better."""
        return "loss"

    def sides(self) -> Mapping[str, Iterable[str]]:
        """Blocks as text again."""
        blocks = (self.corpus.validation[place] for place in range(len(self.corpus.validation)))
        return {"text": (self.tokenizer.decode(one["input_ids"], skip_special_tokens=True) for one in blocks)}

    def trivial(self, metrics: Mapping[str, Any]) -> list[str]:
        """None: there is no task."""
        return []

    @property
    def teacher_rows(self) -> Any:
        """There are none with labels."""
        raise NotImplementedError("a general distillation fine-tunes no teacher")

    @property
    def baseline_rows(self) -> Any:
        """There are none with labels."""
        raise NotImplementedError("a general distillation has no baseline")

    @property
    def distillation_rows(self) -> Any:
        """Blocks of the corpus."""
        return self.corpus.train

    @property
    def validation_rows(self) -> Any:
        """Held-out blocks."""
        return self.corpus.validation

    @property
    def phase_options(self) -> dict[str, Any]:
        """Blocks are padded, and masked where that is asked for; evaluation needs no labels."""
        collator = BlockCollator(self.tokenizer, self.plan.corpus.masked_share)
        return {"data_collator": collator, "trainer_class": GeneralDistillationTrainer}

    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """An encoder without a head."""
        return open_general_teacher(self.plan)

    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """No teacher is fine-tuned here."""
        raise NotImplementedError("a general distillation fine-tunes no teacher")

    def check_teacher(self) -> None:
        """Take once what the losses will need, so that it fails here or never."""
        self.teacher.eval()
        if self.plan.starts_from_teacher:
            encoder_parts(self.teacher)
        batch = self.tokenizer("A fine film.", return_tensors="pt").to(self.device)
        for phase, (hidden, attention) in zip(self.recipe.phases, self.plan.layer_maps, strict=True):
            losses = phase.loss_weights()
            layers = set(hidden.teacher_layers) if "hidden_state_loss" in losses else set()
            capture(
                self.teacher,
                model_inputs(self.teacher, batch),
                attention_layers=set(attention.teacher_layers) if "attention_loss" in losses else (),
                hidden_state_layers=layers | ({0} if "embedding_loss" in losses else set()),
            )

    def _teacher_metrics(self) -> None:
        """Without a task there is nothing to measure a teacher by."""
        self.say(f"Teacher ({size_of(self.teacher)})")

    def prepare_rows(self) -> None:
        """Tokenise the corpus, unless an earlier run has done that."""
        with self.stage(CORPUS, "Tokenising the corpus, or opening it where it is tokenised"):
            self.corpus = self._open_corpus()
        self.folder.finish_stage(CORPUS, self.corpus.report)
        self.say(*corpus_in_words(self.corpus, self.plan.corpus.block_size))
        self.warn(self._few_steps())

    def _few_steps(self) -> Iterator[str]:
        """Phases in which nothing can be learnt: a large batch on little text."""
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        for index, phase in enumerate(self.phases):
            batch = phase.batch_size * phase.gradient_accumulation_steps * processes
            steps = math.ceil(math.ceil(len(self.corpus.train) / batch) * phase.known_epochs)
            if steps < _FEW_STEPS:
                yield (
                    f"Phase {index} has only {counted(steps, 'step')} ({counted(len(self.corpus.train), 'block')}, "
                    f"batches of {batch}), in which little is learnt: make the batches smaller (--batch-size 16), or "
                    "give more text or epochs."
                )

    def _open_corpus(self) -> Corpus:
        plan = self.plan
        uses_types = plan.with_segments and "token_type_ids" in self.tokenizer.model_input_names

        def blocks(sources: Sources, settings: CorpusSettings) -> CorpusBlocks:
            with share_progress(self.console, "Tokenising") as progress:
                return open_blocks(sources, self.tokenizer, settings, with_segments=uses_types, progress=progress)

        held_out = None if plan.validation is None else blocks(plan.validation, plan.corpus.held_out())
        return split_corpus(blocks(plan.sources, plan.corpus), held_out, plan.sources)

    def make_start(self) -> PreTrainedModel:
        """Opened, projected down from the teacher, or drawn."""
        return make_general_start(self.plan, self.teacher, self.tokenizer, self.corpus.train)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A TinyBertModel, or a TinyBertForMaskedLM."""
        return open_general_student(self.plan, folder)

    def starting_projections(self, student: PreTrainedModel) -> AnyProjections | None:
        """Those of a student that comes from an earlier general distillation or a conversion."""
        return projections_beside(self.recipe.student.model, student, self.guide(), self.phases[0], self.say)

    def save_beside(self, folder: Path) -> None:
        """The projections: a task distillation goes on with them."""
        files = [place / PROJECTIONS_FILE for place in self._phase_folders]
        kept = [file for file in files if file.is_file()]
        if kept:
            shutil.copyfile(kept[-1], folder / PROJECTIONS_FILE)

    @property
    def _phase_folders(self) -> list[Path]:
        phases = enumerate(self.phases)
        return [self.folder.path / "phases" / f"{index}-{phase.name}" for index, phase in phases]

    def measure(self, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """The losses on held-out text, which the phases have measured; `before`: before the first step."""
        folders = self._phase_folders
        first = read_json(folders[0] / "log.json")["evaluation"][0]
        return {
            **read_json(folders[-1] / "result.json")["metrics"],
            "before": {name: value for name, value in first.items() if name.endswith("loss")},
        }

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """Each loss before and after."""
        return f"on held-out text: {losses_in_words(metrics)}"

    def teacher_warnings(self) -> list[str]:
        """None: nothing is known of the teacher but its shape."""
        return []

    def student_warnings(self) -> list[str]:
        """A student that is farther from its teacher than before has been spoilt by the training."""
        metrics = self.folder.result_of(STUDENT)["metrics"]
        after, before = metrics["loss"], metrics["before"].get("loss", float("inf"))
        risen = risen_losses(metrics)
        if len(self.phases) > 1 or (after < before and not risen):
            return []
        advice = "give the training more text or epochs, or a lower learning rate"
        if after >= before:
            each = f"; {', '.join(risen)}" if risen else ""
            return [f"The losses on held-out text did not fall ({before:.4g} -> {after:.4g}{each}): {advice}."]
        return [
            f"On held-out text {', '.join(risen)}: there the student is farther from its teacher than before, though "
            f"the weighted sum of the losses fell ({before:.4g} -> {after:.4g}). Give that loss a higher weight, or "
            f"{advice}."
        ]

    def report(self) -> GeneralReport:
        """Losses before and after, speed, and costs of both models."""
        student = self.open_student(self.folder.path).to(self.device)
        measured = measure_costs({TEACHER: self.teacher, STUDENT: student})
        collected = self.collected()
        return GeneralReport(
            costs={name: asdict(cost) for name, cost in measured.items()},
            corpus=self.folder.result_of(CORPUS),
            throughput=_together([one["throughput"] for one in collected["phases"]]),
            **collected,
        )

    def collected(self) -> dict[str, Any]:
        """As every run; a teacher without a task has no figures."""
        if self.folder.result_of("teacher metrics") is None:
            self.folder.finish_stage("teacher metrics", {})
        return super().collected()


def corpus_in_words(corpus: Corpus, block_size: int) -> list[str]:
    """What a corpus came to, a line each."""
    report = corpus.report
    full = report["tokens"] / (report["blocks"] * block_size)
    lines = [
        f"Corpus: {counted(report['sources'], 'source')}, {counted(report['documents'], 'document')}, "
        f"{counted(report['lines'], 'line')}; {counted(report['blocks'], 'block')} of up to {block_size} tokens, "
        f"{counted(report['tokens'], 'token')} (padded to full length {1 - full:.1%} would be padding)",
        f"Learned from: {counted(report['train_blocks'], 'block')}; held out: {report['validation_blocks']:,}. The "
        f"tokens are kept in {corpus.folder}.",
    ]
    for count, what in (
        (report["empty_sources"], "empty"),
        (report["left_out"], "left out: given twice, or the same as another"),
    ):
        if count:
            more = f" and {len(count) - 3} more" if len(count) > 3 else ""
            lines.append(f"Note: {len(count)} of the files {what}: {', '.join(count[:3])}{more}.")
    return lines


def _together(each: list[dict[str, float]]) -> dict[str, float]:
    """Of all phases; a phase that was so short that it logged nothing is left out."""
    known = [one for one in each if one]
    if not known:
        return {}
    tokens = sum(one["tokens"] for one in known)
    seconds = sum(one["tokens"] / one["tokens_per_second"] for one in known)
    places = sum(one["tokens"] / (1 - one["padding"]) for one in known)
    return cast(dict[str, float], {
        "tokens": tokens, "tokens_per_second": tokens / seconds, "padding": 1 - tokens / places,
    })  # fmt: skip


# A run that distils a translator.

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
        rows = read_translated_rows(self._pseudo_folder, self.folder.result_of(PSEUDO_LABELS))
        if labels.references:
            rows = concatenate_datasets([rows, self.plan.data.train])
        return self._tokenized(rows, self.student_tokenizer)

    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """A translator, or a new one that is to become one."""
        return open_translator_teacher(self.plan)

    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The translator that was trained here."""
        return reopen_translator_teacher(folder, self.recipe.teacher)

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
                PSEUDO_LABELS, f"The teacher translates ({self._beams_of(self.recipe.pseudo_labels.num_beams)})"
            ):
                reports = write_translated_rows(
                    self.teacher, self.tokenizer, self.recipe, self.plan.data.train, self._pseudo_folder, self.console
                )
            self.folder.finish_stage(PSEUDO_LABELS, reports)
        reports = self.folder.result_of(PSEUDO_LABELS)
        self.say(*(pseudo_labels_in_words(name, report) for name, report in reports.items()))
        self.warn(pseudo_label_warnings(reports))

    def make_start(self) -> PreTrainedModel:
        """Opened, or drawn."""
        return make_translator_start(self.plan)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A TinyBertForSeq2Seq."""
        return open_translator_student(folder)

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
        num_beams = self.recipe.teacher_num_beams if who == TEACHER else settings.student_num_beams
        with row_progress(self.console, f"Translating to measure the {who}") as progress:
            result = evaluate_translation(
                model,
                self.tokenizer if who == TEACHER else self.student_tokenizer,
                pairs["source"],
                pairs["target"],
                target_language=settings.target_language,
                num_beams=num_beams,
                batch_size=settings.batch_size,
                prefix=self.recipe.teacher.prefix if who == TEACHER else "",
                progress=counting(progress, len(pairs["source"])),
            )
        write_json(self._translations(who), {"hypotheses": result["hypotheses"]})
        self.say_notes(f"{who}: {note}" for note in result["notes"])
        names = ("bleu", "chrf", "bleu_signature", "chrf_signature", "cut_off", "truncated")
        return {**{name: result[name] for name in names}, "beams": num_beams}  # type: ignore[literal-required]

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
        collected["warnings"] += pseudo_label_warnings(self.folder.result_of(PSEUDO_LABELS) or {})
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
                        self.teacher, self.tokenizer, recipe.teacher_num_beams, recipe.teacher.prefix
                    ),
                    STUDENT: TranslationContestant(
                        student, self.student_tokenizer, recipe.evaluation.student_num_beams
                    ),
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

    def _beams_of(self, num_beams: int) -> str:
        return "greedy" if num_beams == 1 else counted(num_beams, "beam")
