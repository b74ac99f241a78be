"""Runs with an encoder and a head: labels of texts or words, answers. Every model learns from the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints.card_parts import format_latency, literal
from tinybert_hf.data import TaskData, tokenizing_notes, train_wordpiece_tokenizer
from tinybert_hf.data.augmentation_candidates import check_predicts_words, predicts_words
from tinybert_hf.data.settings import SINGLE_LABEL
from tinybert_hf.data.text_corpus import with_sentences
from tinybert_hf.distillation import label_order
from tinybert_hf.distillation.losses.prediction import mixed_logits, mixed_span_logits
from tinybert_hf.distillation.teachers import better_label_order, different_tokens, shares, trained_problem_type
from tinybert_hf.errors import DataError, TeacherError
from tinybert_hf.evaluation import ModelCost, check_can_count, measure_costs, predicted_logits, task_metrics
from tinybert_hf.messages import counted
from tinybert_hf.recipes.augmentation import (
    AUGMENTATION,
    TEXT_COLUMNS,
    augment_stage,
    open_words,
    read_copies,
    with_copies,
)
from tinybert_hf.recipes.budget import with_student_by_speed
from tinybert_hf.recipes.models import (
    format_left_out,
    format_pruning,
    open_tokenizer,
    tokenizer_of_student,
)
from tinybert_hf.recipes.plan import (
    Plan,
    PlannedTeacher,
    check_lengths,
    check_space,
    check_start,
    check_students_tokens,
    device_of,
    joined,
    made_config,
    open_encoder_config,
    student_config_of,
    with_epochs,
    with_learning_rates,
)
from tinybert_hf.recipes.report import (
    BASELINE,
    METRIC_WIDTH,
    STUDENT,
    TEACHER,
    TITLES,
    RunReport,
    describe_phases,
    describe_rows,
    models_table,
)
from tinybert_hf.recipes.steps import Steps, student_warnings, teacher_warnings
from tinybert_hf.tasks import HEADS, QUESTION_ANSWERING, TASKS, TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION
from tinybert_hf.training import with_teacher_tokens

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.table import Table
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.model import TinyBertConfig
    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.schema import Recipe


# The plan.


def _trained_teacher(recipe: Recipe) -> PreTrainedConfig | None:
    """The configuration of a teacher that has learnt the task already; None of one that is made or fine-tuned here."""
    teacher = recipe.teacher
    if teacher.config is not None or teacher.finetune is not None:
        return None
    assert teacher.model is not None
    config = open_encoder_config(teacher.model, recipe.task)
    _check_head(teacher.model, config, recipe.task)
    return config


def _check_head(model: str, config: PreTrainedConfig, task: str) -> None:
    """Refuse a teacher that was fine-tuned for another task; one without any head is refused where it is opened."""
    for spec in HEADS.values():
        if spec.ending != HEADS[task].ending and any(
            name.endswith(spec.ending) for name in config.architectures or ()
        ):
            raise TeacherError(
                f"teacher {model} is {spec.kind}, and the task is {HEADS[task].words}. Give {HEADS[task].kind}, "
                "or let this one get a new head first: --finetune-teacher"
            )


def _new_teacher(recipe: Recipe, data: TaskData) -> PreTrainedConfig:
    from transformers import BertConfig

    teacher, new = recipe.teacher, data.config_fields
    if teacher.config is not None:
        return made_config(BertConfig, teacher.config, {"num_attention_heads": "hidden_size"}, **new)  # type: ignore[no-any-return]
    assert teacher.model is not None
    return open_encoder_config(teacher.model, recipe.task, **new)


def _load_rows(recipe: Recipe, teacher: PreTrainedConfig | None) -> TaskData:
    """The rows; where the recipe does not say what their labels are, a trained teacher does.

    Raises:
        TinyBertError: the rows cannot be used, or their labels are not of the teacher's problem type.
    """
    task = TASKS[recipe.task].task
    if teacher is None or recipe.task != TEXT_CLASSIFICATION or recipe.data.problem_type is not None:
        return task.load(recipe.data)  # type: ignore[no-any-return]
    problem = trained_problem_type(teacher)
    try:
        return task.load(replace(recipe.data, problem_type=problem))  # type: ignore[no-any-return]
    except DataError as error:
        found = task.load(recipe.data).problem_type  # the rows themselves may be what is wrong
        raise TeacherError(
            f"teacher {recipe.teacher.model} was trained for {problem}, and the labels of the rows are {found}, so "
            f"its predictions cannot be used: {error}"
        ) from error


def _student_config(recipe: Recipe, data: TaskData, teacher: PreTrainedConfig) -> TinyBertConfig:
    generic = tuple(f"LABEL_{index}" for index in range(data.num_labels))
    names = data.label_names
    if names and names == generic and teacher.num_labels == len(names):
        # Numbers without names: what the teacher calls its outputs is what the student learns to say.
        names = tuple(str((teacher.id2label or {})[index]) for index in range(len(names)))
    labels = replace(data, label_names=names).config_fields
    return student_config_of(recipe, teacher, **labels)


def _teachers(
    recipe: Recipe, first: PlannedTeacher, student_config: TinyBertConfig
) -> tuple[tuple[PlannedTeacher, ...], PreTrainedTokenizerBase]:
    """All teachers, and the tokenizer of the student: the first teacher's, or that of a student that exists already.

    Raises:
        TinyBertError: one cannot be opened.
    """
    teachers = [first]
    for one in recipe.extra_teachers:
        config = open_encoder_config(one.model, recipe.task)
        teachers.append(PlannedTeacher(one.model, config, open_tokenizer(one.model, "teacher", config)))
    read = tokenizer_of_student(recipe, first.tokenizer, student_config)
    if len(teachers) == 1 and read is first.tokenizer:
        return (first,), read
    return tuple(replace(one, different=tuple(different_tokens(one.tokenizer, read))) for one in teachers), read


def texts_of(rows: Dataset) -> Iterator[str]:
    """Every text of checked rows, second texts of pairs included."""
    if "tokens" in rows.column_names:
        yield from (" ".join(words) for words in rows["tokens"])
    for column in ("text", "text_pair", "question", "context"):
        if column in rows.column_names:
            yield from rows[column]


# The run.

_PHASES = "phases"
# What the teacher's hidden spaces are estimated from: some thousand tokens, which fit into memory at any width.
_START_ROWS = 1024
_START_TOKENS = 16384
_BATCH = 32


class LabelledSteps(Steps):
    """The steps of such a run."""

    @classmethod
    def make_plan(cls, recipe: Recipe, folder: RunFolder) -> Plan:
        """Check data, teachers and student."""
        spec = TASKS[recipe.task]
        trained = _trained_teacher(recipe)
        data = _load_rows(recipe, trained)
        check_can_count(data.problem_type, data.label_names)
        first = _new_teacher(recipe, data) if trained is None else trained
        if recipe.teacher.config is not None:
            texts, positions = texts_of(data.part("train")), first.max_position_embeddings
            tokenizer = train_wordpiece_tokenizer(texts, recipe.teacher.vocabulary_size, max_length=positions)
            first.vocab_size = len(tokenizer)
        else:
            tokenizer = open_tokenizer(str(recipe.teacher.model), "teacher", first)
        recipe, choice = with_student_by_speed(recipe, first, folder, device_of(recipe))
        recipe = with_learning_rates(recipe)
        student_config = _student_config(recipe, data, first)
        taken: tuple[str, ...] = ()
        if recipe.data.text_corpus is not None:
            data, taken = with_sentences(data, recipe.data.text_corpus, recipe.data.text_corpus_rows)
        rows, unlabelled = len(data.part("train")), 0 if data.unlabelled is None else len(data.unlabelled)
        recipe, said = with_copies(recipe, rows, unlabelled)
        copies = 0 if recipe.augmentation is None else recipe.augmentation.copies * rows
        recipe = with_epochs(recipe, student_config, rows, copies + unlabelled)
        if data.label_names:
            label_order(student_config, first)
        teachers, read = _teachers(recipe, PlannedTeacher(recipe.teacher.model, first, tokenizer), student_config)
        check_students_tokens(recipe, read, student_config)
        if recipe.task == TOKEN_CLASSIFICATION and any(one.different for one in teachers):
            raise TeacherError(
                "A teacher reads other tokens than the student, and the answers of a token classifier stand at "
                "tokens, so they cannot be compared. Take teachers and a student with one tokenizer; a student from a "
                "preset has its teacher's."
            )
        taught_by, student = joined(recipe, teachers, spec, read), (spec.student_class, student_config, read)
        plan = Plan.between(
            recipe, folder, data, teachers, taught_by, student, choice=choice, more_notes=(*taken, *said)
        )
        for one in teachers:
            check_lengths(recipe.data, teacher=one.config, student=student_config)
        check_start(plan)
        words = recipe.augmentation
        if words is not None and words.model is not None and not words.neighbours_only:
            check_predicts_words(words.model)
        width, depth = first.hidden_size, first.num_hidden_layers
        check_space(plan, first.vocab_size * width + 12 * depth * width * width)
        return plan

    @classmethod
    def describe(cls, plan: Plan) -> Iterator[str]:
        """Labels, rows, copies, phases."""
        config = plan.student_config
        if plan.data.label_names:
            labels = ", ".join(str((config.id2label or {})[index]) for index in range(config.num_labels))
            yield f"labels: {labels} ({plan.data.problem_type})"
        yield describe_rows(plan)
        if plan.recipe.augmentation is not None:
            copies = counted(plan.recipe.augmentation.copies, "copy", "copies")
            yield f"augmentation: {copies} of each train row, without its label; {_words(plan)}"
        yield from describe_phases(plan)

    # Rows.

    @property
    def labelled_rows(self) -> Dataset:
        """As the first teacher reads them."""
        return self._rows("train", self.run.tokenizer)

    @property
    def baseline_rows(self) -> Dataset:
        """As the student reads them."""
        return self._rows("train", self.run.student_tokenizer)

    @property
    def validation_rows(self) -> Dataset:
        """As the student reads them."""
        return self._rows("validation", self.run.student_tokenizer)

    @cached_property
    def distillation_rows(self) -> Dataset:
        """The student's rows; beside them those of the teachers that read tokens of their own."""
        return self._beside_teachers(self._phase_rows)

    @cached_property
    def phase_validation_rows(self) -> Dataset:
        """The same of the rows to measure on: the best checkpoint may be chosen by a loss towards the teachers."""
        return self._beside_teachers(lambda tokenizer: self._rows("validation", tokenizer))

    def _beside_teachers(self, tokenized: Callable[[PreTrainedTokenizerBase], Dataset]) -> Dataset:
        rows = tokenized(self.run.student_tokenizer)
        for index, teacher in enumerate(self.plan.teachers):
            if teacher.different:
                rows = with_teacher_tokens(rows, tokenized(teacher.tokenizer), teacher=index)
        return rows

    def _phase_rows(self, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """The training rows; with copies or unlabelled rows behind them none has a label."""
        plain = self.recipe.augmentation is None and self.plan.data.unlabelled is None
        return self._rows("train" if plain else _PHASES, tokenizer)

    def prepare_rows(self) -> None:
        """Augment the training rows, and say which others there are."""
        if self.recipe.augmentation is not None:
            augment_stage(self.run, self.recipe.augmentation, self._copies)
        if self.plan.data.unlabelled is not None:
            many = counted(len(self.plan.data.unlabelled), "further row")
            self.run.say(
                f"The phases also learn the teacher's answers to {many} without labels; no label is read in them."
            )

    @property
    def _copies(self) -> Path:
        return self.run.folder.work / AUGMENTATION

    def _rows(self, part: str, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        """Rows as a tokenizer gives them, made once."""
        key = part, id(tokenizer)
        if key not in self._tokenized:
            raw = self._without_labels if part == _PHASES else self.plan.data.part(part)
            self._tokenized[key] = self.plan.spec.task.tokenize(raw, tokenizer, self.recipe.data)
            whose = "all rows of the phases" if part == _PHASES else f"{part} rows"
            self.run.say_notes(f"{whose}: {note}" for note in tokenizing_notes(self._tokenized[key]))
        return self._tokenized[key]

    @cached_property
    def _tokenized(self) -> dict[tuple[str, int], Dataset]:
        return {}

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

    def training_texts(self) -> Iterator[str]:
        """Second texts of pairs included."""
        return texts_of(self.plan.data.part("train"))

    def validation_texts(self) -> Iterator[str]:
        """Likewise."""
        return texts_of(self.plan.data.part("validation"))

    def sides(self) -> Mapping[str, Iterator[str]]:
        """Text alone."""
        return {"text": self.training_texts()}

    @property
    def phase_options(self) -> dict[str, Any]:
        """The metrics of the problem type, after each epoch."""
        return {"compute_metrics": self.plan.spec.scores.in_training(self.validation_rows, self.plan.data)}

    # Models.

    def check(self) -> None:
        """Look for words before the training, and not after it."""
        if self.recipe.augmentation is not None and self.run.folder.result_of(AUGMENTATION) is None:
            open_words(self.recipe, self.run.teacher, self.run.tokenizer)

    def probe(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Tensor]:
        """Two training rows."""
        return next(unlabelled_batches(self._rows("train", tokenizer), tokenizer, model, max_rows=2))

    def start_batches(self) -> list[dict[str, Tensor]]:
        """Some of the training rows."""
        rows = self.labelled_rows.shuffle(seed=self.recipe.seed)
        return list(unlabelled_batches(rows, self.run.tokenizer, self.run.teacher, _START_ROWS, _START_TOKENS))

    # Metrics.

    def measure(
        self, who: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> dict[str, Any]:
        """On the validation rows, and under "further" on each further split."""
        metrics = self._measure_on("validation", who, model, tokenizer)
        further = {part: self._measure_on(part, who, model, tokenizer) for part in self.plan.data.further_validation}
        return {**metrics, "further": further} if further else metrics

    def measure_start(self, student: PreTrainedModel) -> dict[str, Any]:
        """On the validation rows."""
        return self._measure_on("validation", STUDENT, student, None)

    def _measure_on(
        self, part: str, who: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None
    ) -> dict[str, Any]:
        """Those of the problem type; of several teachers those of their mean, and beside them of each."""
        if tokenizer is not None:
            rows = self.plan.spec.task.tokenize(self.plan.data.part(part), tokenizer, self.recipe.data)
            return self._metrics_of(predicted_logits(model, rows, tokenizer), part, rows)
        rows = self._rows(part, self.run.student_tokenizer)
        if who != TEACHER:
            return self._metrics_of(predicted_logits(model, rows, self.run.student_tokenizer), part, rows)
        logits = []
        for one, teacher, reads in zip(self.run.teachers, self.plan.teachers, self.run.tokenizers, strict=True):
            answers = predicted_logits(one, self._rows(part, reads), reads)
            if self.plan.data.label_names:
                answers = _in_order(answers, label_order(self.plan.student_config, teacher.config))
            logits.append(answers)
        each = [self._teacher_metrics_of(one, part, rows) for one in logits]
        if len(each) == 1:
            return each[0]
        weights = shares([self.recipe.teacher.weight, *(one.weight for one in self.recipe.extra_teachers)])
        mean = _mean_answers(logits, weights, self.plan.data.problem_type)
        return {**self._metrics_of(mean, part, rows), "each": each}

    def _metrics_of(self, logits: Any, part: str, rows: Dataset) -> dict[str, Any]:
        return task_metrics(logits, rows, self.plan.data.part(part), self.plan.data)

    def _teacher_metrics_of(self, logits: Any, part: str, rows: Dataset) -> dict[str, Any]:
        """Beside them the order of the labels that would make them much better, where there is one."""
        metrics = self._metrics_of(logits, part, rows)
        if self.plan.data.problem_type == SINGLE_LABEL:
            better = better_label_order(logits.argmax(-1), list(rows["labels"]), len(self.plan.data.label_names))
            if better is not None:
                metrics["better_label_order"] = {"order": better[0], "accuracy": better[1]}
        return metrics

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """The main metric, and that of each where these are several teachers."""
        main = self.run.metric
        names = (main, *self.recipe.further_metrics)
        said = ", ".join(f"{name} {metrics[name]:.4f}" for name in names)
        for part, own in metrics.get("further", {}).items():
            said += f"; {part}: " + ", ".join(f"{name} {own[name]:.4f}" for name in names)
        each = [f"{name} {one[main]:.4f}" for name, one in zip(self._names, metrics.get("each", ()), strict=False)]
        return f"{said}, the mean of {len(each)} teachers: {', '.join(each)}" if each else said

    @property
    def _names(self) -> list[str]:
        """Of the teachers, as the recipe has them."""
        return [one.name or "the one that was made here" for one in self.plan.teachers]

    def teacher_warnings(self, metrics: Mapping[str, Any]) -> list[str]:
        """A teacher that knows no more than the label counts is untrained, or its labels stand in another order."""
        return teacher_warnings(self.plan, metrics, self._names)

    def student_warnings(self, metrics: Mapping[str, Any]) -> list[str]:
        """A student that knows no more than the label counts has learnt nothing."""
        return student_warnings(self.plan.data, metrics)

    # The report.

    def costs(self, student: PreTrainedModel) -> dict[str, dict[str, Any]]:
        """An answer of several teachers costs what all of them cost."""
        teachers = {f"{TEACHER} {index}": one for index, one in enumerate(self.run.teachers)}
        models, with_baseline = {**teachers, STUDENT: student}, self.recipe.baseline is not None
        if self.recipe.prune_vocabulary is not None and with_baseline:
            models[BASELINE] = self.run.open_student(self.run.folder.work / "start")  # with all its pieces
        measured = measure_costs(models)
        whole = ModelCost.together([measured[name] for name in teachers])
        costs = {TEACHER: asdict(whole), STUDENT: asdict(measured[STUDENT])}
        return {**costs, BASELINE: asdict(measured.get(BASELINE, measured[STUDENT]))} if with_baseline else costs

    def reported(self) -> dict[str, Any]:
        """What the phases learnt from besides."""
        without = self.plan.data.unlabelled
        return {
            "augmentation": self.run.folder.result_of(AUGMENTATION) or {},
            "unlabelled_rows": 0 if without is None else len(without),
        }

    @classmethod
    def table(cls, report: RunReport) -> Table:
        """The metrics beside their share of the teacher's, sizes and latencies."""
        from rich.markup import escape

        beside = list(_beside(report, report.metrics[STUDENT]))
        titles = (report.main_metric, "of teacher", *beside, "parameters", "MB", f"latency ({report.where})")
        # Titles wrap; a figure that a narrow terminal cuts off would say nothing.
        words = (escape(title.replace("_", " ")) for title in titles)
        table = models_table(format_latency(report.costs, report.device), words, min_width=METRIC_WIDTH)
        for name, metrics in report.metrics.items():
            cost, share = report.costs[name], report.share_of(name)
            table.add_row(
                TITLES[name],
                f"{metrics[report.main_metric]:.4f}",
                "-" if share is None else f"{share:.1%}",
                *(f"{value:.4f}" for value in _beside(report, metrics).values()),
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['megabytes']:.1f}",
                f"{cost['latency_ms']:.1f} ms",
            )
        return table

    @classmethod
    def last_lines(cls, report: RunReport) -> list[str]:
        """What pruning cost, where the student is, how it is loaded."""
        pruned = [] if report.pruning is None else _pruned(report, report.pruning)
        spec = TASKS[report.task]
        load = spec.load.format(place=literal(report.folder))
        return [
            *pruned, *([report.budget["said"]] if report.budget else ()), *report.alone(),
            f"The student is in {report.folder}.", f"Load it: {load}", spec.elsewhere,
        ]  # fmt: skip


def _words(plan: Plan) -> str:
    """Where the words of copies come from."""
    settings, teacher = plan.recipe.augmentation, plan.recipe.teacher.model
    assert settings is not None
    source = settings.model or teacher
    if settings.neighbours_only or source is None or not (settings.model or predicts_words(plan.teacher_config)):
        return f"its words give way to neighbours in the embeddings of {settings.model or 'the teacher'}"
    return f"its words are predicted by {source}"


def unlabelled_batches(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    max_rows: int,
    max_tokens: int = _START_TOKENS,
) -> Iterator[dict[str, Tensor]]:
    """The first rows in padded batches, without labels, where the model is."""
    names = [name for name in rows.column_names if name in tokenizer.model_input_names]
    rows = rows.select_columns(names).select(range(min(max_rows, len(rows))))
    tokens = 0
    for start in range(0, len(rows), _BATCH):
        batch = tokenizer.pad(rows[start : start + _BATCH], return_tensors="pt")
        yield {name: values.to(model.device) for name, values in batch.items()}
        tokens += int(batch["attention_mask"].sum())
        if tokens >= max_tokens:
            return


def _mean_answers(logits: Sequence[Any], weights: Sequence[float], problem_type: str) -> Any:
    """Of the answers of several models, which are arrays, or lists of them for each row."""
    from torch import tensor

    if problem_type == QUESTION_ANSWERING:
        rows = ([tensor(one) for one in each] for each in zip(*logits, strict=True))
        return [mixed_span_logits(row, weights).numpy() for row in rows]
    if isinstance(logits[0], list):
        return [_mean_answers(row, weights, SINGLE_LABEL) for row in zip(*logits, strict=True)]
    return mixed_logits([tensor(one) for one in logits], weights, problem_type).numpy()


def _in_order(logits: Any, order: list[int]) -> Any:
    """The last axis of an array, or of each of a list of them, in another order."""
    return [one[..., order] for one in logits] if isinstance(logits, list) else logits[..., order]


def _beside(report: RunReport, metrics: Mapping[str, Any]) -> dict[str, float]:
    """What stands beside the main metric, by title: the further metrics, then the further validation splits."""
    shown = {name: metrics[name] for name in report.further_metrics}
    for part, own in metrics.get("further", {}).items():
        shown |= {f"{name}, {part}": own[name] for name in (report.main_metric, *report.further_metrics)}
    return shown


def _pruned(report: RunReport, result: Mapping[str, Any]) -> list[str]:
    """Sizes and the main metric before and after, and what text loses its pieces."""
    before = result.get("metrics_before", {}).get(report.main_metric)
    after = report.metrics[STUDENT][report.main_metric]
    change = "" if before is None else f", {report.main_metric.replace('_', ' ')} {before:.4f} -> {after:.4f}"
    baseline = " The student that was trained alone keeps the whole vocabulary." * (BASELINE in report.metrics)
    return [f"Its vocabulary was pruned: {format_pruning(result)}{change}.{baseline}", format_left_out(result)]
