"""A run in words: its plan for a dry run, what it came to, run.json, and the table at the end."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import yaml

from tinybert_hf.checkpoints.card_parts import argument, latency_in_words, literal
from tinybert_hf.data.augmentation_candidates import predicts_words
from tinybert_hf.data.corpus import cache_folder
from tinybert_hf.distillation import Objective
from tinybert_hf.distillation.architecture import decoder_shape, encoder_shape
from tinybert_hf.distillation.losses import ANSWER_LOSSES
from tinybert_hf.messages import counted, counted_epochs, counted_layers, share_kept
from tinybert_hf.recipes.models import describe_pruning, describe_start, pruning_in_words, text_in_words
from tinybert_hf.recipes.plan import EncoderPlan, GeneralPlan, TranslationPlan
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.tasks import QUESTION_ANSWERING, TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION, TRANSLATION
from tinybert_hf.training import Phase

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


# A plan in words: what a dry run prints.


def describe_plan(plan: EncoderPlan | TranslationPlan | GeneralPlan) -> str:
    """What a dry run prints: the resolved recipe as YAML, the two shapes, and the layer maps of each phase."""
    translates = isinstance(plan, TranslationPlan)
    content = json.loads(json.dumps(plan.recipe.as_dict()))
    if isinstance(plan, GeneralPlan):
        content.pop("data")
    recipe = _said(_of_the_task(content, plan.recipe.task))
    if plan.recipe.student.model is not None:
        recipe["student"].pop("init", None)  # of a student from a preset
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
    yield from describe_start(plan)
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
    yield from describe_pruning(plan.recipe)


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
        num_beams = counted(recipe.pseudo_labels.num_beams, "beam")
        learned = f"the teacher's translations of the train rows{more} ({num_beams}){also}"
    yield f"the student learns from: {learned}"
    for index, (phase, objective) in enumerate(zip(recipe.phases, plan.objectives, strict=True)):
        yield _phase(index, phase, phase.loss_weights(has_decoder=True))
        if objective is not None:
            yield from _maps(objective)
    yield from _after(recipe)
    teacher, student = counted(recipe.teacher_num_beams, "beam"), recipe.evaluation.student_num_beams
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
    "": ("evaluation", "pseudo_labels", "teacher_num_beams"),
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
    for section, names in (item for other in others for item in other.items()):
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


# What a run came to: its figures, run.json, and the table at the end.

# Four lines of losses for each training, and a progress bar, which transformers would leave out where it is quiet.
SCREEN = {"logging_steps": 0.25, "disable_tqdm": False}
TEACHER, STUDENT, BASELINE = "teacher", "student", "baseline"
TITLES = {TEACHER: "teacher", STUDENT: "student, distilled", BASELINE: "student, alone"}
_FIGURE_WIDTH = len("22.90 M")
WITHOUT_PACKAGE = "Where the package is not installed: the same with trust_remote_code=True, without the import."
_PACKAGES = ("tinybert_hf", "torch", "transformers", "accelerate", "datasets")


@dataclass(frozen=True)
class RunReport:
    """The result of a run.

    Attributes:
        folder: the student, ready for `from_pretrained`.
        main_metric: name of the metric that the table shows first.
        metrics: teacher, student and, where it was trained, baseline: each metric by name, on the validation rows;
            under "further" the same on each further validation split.
        costs: the same models: parameters, encoder_parameters, megabytes, latency_ms, encoder_flops_per_token.
        phases: name, seconds, steps and metrics of each phase.
        seconds: how long each stage took, in the process that finished it.
        pruning: where the student's vocabulary was pruned, its figures before and after.
        device: where latency was measured.
        warnings: what a reader of the table should know.
        further_metrics: names of metrics that the table shows beside the main one.
        task: of the recipe.
        augmentation: rows and augmented_rows that the phases learnt from; empty where none were made.
        unlabelled_rows: further rows without labels that the phases learnt from.
        trivial: the models that know no more of the task than the counts of the labels.
        notes: what was said before the run, of rows and models.
    """

    folder: str
    main_metric: str
    metrics: dict[str, dict[str, Any]]
    costs: dict[str, dict[str, Any]]
    phases: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    pruning: dict[str, Any] | None = None
    device: str = "cpu"
    warnings: list[str] = field(default_factory=list)
    further_metrics: list[str] = field(default_factory=list)
    task: str = TEXT_CLASSIFICATION
    augmentation: dict[str, Any] = field(default_factory=dict)
    unlabelled_rows: int = 0
    trivial: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, content: Mapping[str, Any], folder: str) -> RunReport:
        """From the content of run.json."""
        # A run.json of an earlier version says less.
        names = [one.name for one in fields(cls) if one.name != "folder"]
        return cls(folder=folder, **{name: content[name] for name in names if name in content})

    @property
    def share(self) -> float:
        """The student's main metric as a share of the teacher's; NaN where such a share says nothing."""
        share = self._share(STUDENT)
        return float("nan") if share is None else share

    def _share(self, who: str) -> float | None:
        """The main metric of a model as a share of the teacher's; None where that says nothing (see `share_kept`)."""
        if TEACHER in self.trivial or (who == STUDENT and who in self.trivial):
            return None
        main = self.main_metric
        return share_kept(main, self.metrics[who][main], self.metrics[TEACHER][main])

    def show(self, console: Console, said: Collection[str] = ()) -> None:
        """Print the table, the warnings, and how to load the student.

        Args:
            console: where to print.
            said: warnings that stand there already; of these only the number is said.
        """
        console.print(self._table(), crop=False)
        for warning in self.warnings:
            if warning not in said:
                show_warning(console, warning)
        before = sum(warning in said for warning in self.warnings)
        if before:
            what = counted(before, "warning stands", "warnings stand")
            console.print(f"[bold red]{what} above[/bold red], and in run.json.", highlight=False)
        for line in self._last_lines():
            console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _last_lines(self) -> list[str]:
        """Where the student is, and what can be done with it."""
        pruned = [] if self.pruning is None else self._pruned(self.pruning)
        place = literal(self.folder)
        load = f'import tinybert_hf; pipeline("{self.task}", {place})'
        elsewhere = WITHOUT_PACKAGE
        if self.task == QUESTION_ANSWERING:
            load = f"from tinybert_hf import QuestionAnswerer; QuestionAnswerer({place})(question, context)"
            elsewhere = (
                "Where the package is not installed: AutoModelForQuestionAnswering.from_pretrained(..., "
                "trust_remote_code=True) gives the logits of start and end."
            )
        return [*pruned, *self._alone(), f"The student is in {self.folder}.", f"Load it: {load}", elsewhere]

    def _alone(self) -> list[str]:
        """What to say where the teacher brought nothing."""
        alone = self.metrics.get(BASELINE, {}).get(self.main_metric)
        if alone is None or alone < self.metrics[STUDENT][self.main_metric]:
            return []
        return [
            "Trained alone, the same student is as good: here the teacher brought nothing that these rows can show. "
            "More epochs or more rows (also without labels) may change that."
        ]

    def _pruned(self, result: Mapping[str, Any]) -> list[str]:
        """Sizes and the main figure before and after, and what text loses its pieces."""
        before = result.get("metrics_before", {}).get(self.main_metric)
        after = self.metrics[STUDENT][self.main_metric]
        figure = "" if before is None else f", {self.main_metric.replace('_', ' ')} {before:.4f} -> {after:.4f}"
        baseline = " The student that was trained alone keeps the whole vocabulary." * (BASELINE in self.metrics)
        return [f"Its vocabulary was pruned: {pruning_in_words(result)}{figure}.{baseline}", text_in_words(result)]

    def _table(self) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table(caption=latency_in_words(self.costs, self.device), caption_justify="left")
        table.add_column("model", no_wrap=True)
        where = "CPU" if self.device == "cpu" else self.device
        beside = list(self._beside(self.metrics[STUDENT]))
        for title in (self.main_metric, "of teacher", *beside, "parameters", "MB", f"latency ({where})"):
            # Titles wrap; a figure that a narrow terminal cuts off would say nothing.
            table.add_column(escape(title.replace("_", " ")), justify="right", min_width=_FIGURE_WIDTH)
        for name, metrics in self.metrics.items():
            value, cost, share = metrics[self.main_metric], self.costs[name], self._share(name)
            table.add_row(
                TITLES[name],
                f"{value:.4f}",
                "-" if share is None else f"{share:.1%}",
                *(f"{figure:.4f}" for figure in self._beside(metrics).values()),
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['megabytes']:.1f}",
                f"{cost['latency_ms']:.1f} ms",
            )
        return table

    def _beside(self, metrics: Mapping[str, Any]) -> dict[str, float]:
        """What stands beside the main metric, by title: the further metrics, then the further validation splits."""
        shown = {name: metrics[name] for name in self.further_metrics}
        for part, own in metrics.get("further", {}).items():
            shown |= {f"{name}, {part}": own[name] for name in (self.main_metric, *self.further_metrics)}
        return shown


def show_warning(console: Console, warning: str) -> None:
    """Print what must not be overlooked, as a paragraph of its own."""
    from rich.markup import escape

    console.print(f"\n[bold red]WARNING:[/bold red] {escape(warning)}\n", highlight=False, soft_wrap=True)


def versions() -> dict[str, str]:
    """The versions that a run was made with; "not installed" where a package is imported from its sources."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return {**found, "python": platform.python_version()}


# What a general distillation came to.

_TITLES = {"label_loss": "masked-LM loss", "hidden_state_loss": "hidden-state loss"}


@dataclass(frozen=True)
class GeneralReport(RunReport):
    """The result of a general distillation: the losses on held-out text, before and after.

    Attributes:
        corpus: what the text came to.
        throughput: tokens, tokens_per_second, padding.
    """

    corpus: dict[str, Any] = field(default_factory=dict)
    throughput: dict[str, float] = field(default_factory=dict)

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(caption=latency_in_words(self.costs, self.device), caption_justify="left")
        table.add_column("model", no_wrap=True)
        where = "CPU" if self.device == "cpu" else self.device
        for title in ("parameters", "of teacher", "MB", f"latency ({where})"):
            table.add_column(title, justify="right")
        whole = self.costs["teacher"]["parameters"]
        for name, cost in self.costs.items():
            table.add_row(
                TITLES[name],
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['parameters'] / whole:.1%}",
                f"{cost['megabytes']:.1f}",
                f"{cost['latency_ms']:.1f} ms",
            )
        return table

    def _last_lines(self) -> list[str]:
        held_out = self.corpus["validation_tokens"]
        lines = [f"On {counted(held_out, 'held-out token')}: {losses_in_words(self.metrics[STUDENT])}"]
        if self.throughput:
            speed = self.throughput
            lines.append(
                f"{counted(round(speed['tokens']), 'token')} read at {speed['tokens_per_second']:,.0f} tokens/s, "
                f"padding not counted ({speed['padding']:.1%} of the places)"
            )
        return [
            *lines,
            f"The student is in {self.folder}. It is a base model and no classifier yet; go on with it:",
            f"tinybert distill sst2 --student {argument(self.folder)} --teacher MODEL_FINE_TUNED_ON_THE_TASK "
            f"--output-dir {argument(self.folder.rstrip('/') + '-sst2')}",
        ]


def risen_losses(metrics: Mapping[str, Any]) -> list[str]:
    """The losses that did not fall, each in words: "attention loss 1.2 -> 1.3"."""
    before = metrics.get("before", {})
    risen = [name for name in metrics if name.endswith("_loss") and metrics[name] >= before.get(name, math.inf)]
    return [losses_in_words({name: metrics[name], "before": before}) for name in risen]


def losses_in_words(metrics: Mapping[str, Any]) -> str:
    """Each loss before and after: "hidden-state loss 1.23 -> 0.21"."""
    before = metrics.get("before", {})
    said = []
    for name, value in metrics.items():
        if name.endswith("_loss"):
            title = _TITLES.get(name, name.replace("_", " "))
            said.append(f"{title} {before[name]:.4g} -> {value:.4g}" if name in before else f"{title} {value:.4g}")
    return ", ".join(said)


# What the distillation of a translator came to.


@dataclass(frozen=True)
class TranslationReport(RunReport):
    """The result of a translation run.

    Metrics are bleu and chrf with their signatures, cut_off, truncated and beams; costs those of a TranslationCost.

    Attributes:
        pseudo_labels: counts of the teacher's translations that were learned from.
        worst_sentences: file in the folder with the sentences on which the student loses most.
    """

    pseudo_labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    worst_sentences: str = ""

    def _last_lines(self) -> list[str]:
        student, metrics = self.costs[STUDENT], self.metrics[STUDENT]
        return [
            *self._alone(),
            f"BLEU: {metrics['bleu_signature']}",
            f"chrF: {metrics['chrf_signature']}",
            f"The student takes {student['megabytes']:.1f} MB, in int8 about {student['int8_megabytes']:.1f} MB.",
            f"The student is in {self.folder}; {self.worst_sentences} there shows where it loses most.",
            f"Load it: import tinybert_hf; AutoModelForSeq2SeqLM.from_pretrained({literal(self.folder)})",
            WITHOUT_PACKAGE,
            f'Try it: tinybert translate {argument(self.folder)} --text "..."',
        ]

    def _table(self) -> Table:
        from rich.table import Table

        sizes = list(self.costs[TEACHER]["sentences_per_second"])
        where = "CPU" if self.device == "cpu" else self.device
        threads = self.costs[STUDENT].get("threads")
        where += f", {counted(threads, 'thread')}" if threads else ""
        table = Table(
            caption=f"batch {', batch '.join(sizes)}: sentences per second at so many at once ({where}), the median "
            "of interleaved rounds, and how many times the teacher's; in brackets after BLEU: against the teacher",
            caption_justify="left",
        )
        table.add_column("model", no_wrap=True)
        for title in ("BLEU", "chrF", "size", *(f"batch {size}" for size in sizes)):
            table.add_column(title, justify="right", no_wrap=True)
        teacher = self.metrics[TEACHER]["bleu"]
        for name, metrics in self.metrics.items():
            cost = self.costs[name]
            difference = "" if name == TEACHER else f" ({metrics['bleu'] - teacher:+.1f})"
            table.add_row(
                TITLES[name],
                f"{metrics['bleu']:.1f}{difference}",
                f"{metrics['chrf']:.1f}",
                f"{cost['parameters'] / 1e6:.2f} M",
                *(_speed(cost, size, is_teacher=name == TEACHER) for size in sizes),
            )
        return table


def _speed(cost: Mapping[str, Any], size: str, *, is_teacher: bool) -> str:
    median = cost["sentences_per_second"][size]["median"]
    own = f"{median:.1f}" if median < 100 else f"{median:,.0f}"
    return own if is_teacher else f"{own} ({cost['speedup'][size]['median']:.1f}x)"
