"""Runs that distil a translator: the teacher translates what the student learns from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import refusing
from tinybert_hf.checkpoints.card_parts import argument, literal
from tinybert_hf.checkpoints.integrity import write_json
from tinybert_hf.checkpoints.loading import translates
from tinybert_hf.data import tokenizing_notes, train_translation_tokenizer
from tinybert_hf.data.files import read_file
from tinybert_hf.data.generation import decoder_start_token
from tinybert_hf.data.raw_rows import columns_named_by
from tinybert_hf.data.translation import set_languages
from tinybert_hf.distillation.architecture import decoder_shape, encoder_shape
from tinybert_hf.distillation.choices import INT8
from tinybert_hf.distillation.teachers import different_tokens, round_to_int8
from tinybert_hf.errors import RecipeError, TeacherError
from tinybert_hf.evaluation import (
    TranslationEntry,
    evaluate_translation,
    measure_translation_costs,
    nothing_in_common,
    open_translator,
    write_worst_sentences,
)
from tinybert_hf.messages import counted, counted_layers
from tinybert_hf.model import PRESETS, TinyBertConfig
from tinybert_hf.recipes.augmentation import (
    format_pseudo_labels,
    pseudo_label_warnings,
    read_translated_rows,
    write_translated_rows,
)
from tinybert_hf.recipes.folder import counting, read_json, row_progress
from tinybert_hf.recipes.models import (
    open_tokenizer,
    tokenizer_of_student,
)
from tinybert_hf.recipes.plan import (
    Plan,
    PlannedTeacher,
    Size,
    check_lengths,
    check_space,
    first_line,
    made_config,
    open_student_config,
    open_teacher_config,
    preset_config,
    skeleton,
    weights_of,
    with_epochs,
)
from tinybert_hf.recipes.report import (
    BASELINE,
    STUDENT,
    TEACHER,
    TITLES,
    RunReport,
    describe_phases,
    describe_rows,
    models_table,
)
from tinybert_hf.recipes.steps import Steps
from tinybert_hf.tasks import TASKS, TRANSLATION

if TYPE_CHECKING:
    from datasets import Dataset
    from rich.table import Table
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.schema import Recipe


# The plan.

_LABELS_ALONE = {"label_loss"}
TRANSLATORS = tuple(name for name, shape in PRESETS.items() if shape.get("is_encoder_decoder"))
"""Presets of students that translate, the largest first."""
_HEADS = {"encoder_attention_heads": "d_model", "decoder_attention_heads": "d_model"}


def _notes(plan: Plan) -> Iterator[str]:
    recipe = plan.recipe
    if recipe.pseudo_labels is None and not plan.needs_teacher:
        yield (
            "This is plain training: pseudo_labels is off and no phase has a loss that looks at the teacher, so "
            "the student learns nothing from it."
        )
    if recipe.teacher.prefix and plan.needs_teacher:
        yield (
            f"teacher.prefix ({recipe.teacher.prefix!r}) stands before what the teacher translates. The "
            "losses that look at the teacher show it the sources as the student reads them, without it."
        )
    if plan.other_tokens:
        yield (
            f"The student {recipe.student.model} keeps its own tokenizer; from the teacher it learns the "
            "translations alone."
        )


def _count_unlabelled(recipe: Recipe) -> int:
    labels = recipe.pseudo_labels
    if labels is None or labels.unlabelled_file is None:
        return 0
    with columns_named_by("Name it with --unlabelled-column; in a recipe, pseudo_labels.unlabelled_column."):
        return len(read_file(labels.unlabelled_file, [labels.unlabelled_column or recipe.data.source_column]))


def _teacher(recipe: Recipe, pairs: Dataset) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher without its weights, to ask what it is, and its tokenizer."""
    from transformers import GenerationConfig

    teacher, opener = recipe.teacher, TASKS[TRANSLATION].opener
    if teacher.config is not None:
        sizes = teacher.vocabulary_size, teacher.target_vocabulary_size
        config, tokenizer = made_translator(teacher.config, pairs, *sizes)
        return skeleton(opener.from_config, config), tokenizer
    assert teacher.model is not None
    config = open_teacher_config(teacher.model)
    if not translates(config):
        raise TeacherError(
            f"The teacher {teacher.model} is no translator: a {config.model_type} model of "
            f"{(config.architectures or ['an unknown class'])[0]} writes no text. Give a sequence-to-sequence model: "
            "Marian, NLLB, M2M100, mBART, or a TinyBertForSeq2Seq."
        )
    try:
        model = skeleton(opener.from_config, config)
    except ValueError as error:
        raise TeacherError(f"The teacher {teacher.model} is no translator: {first_line(error)}") from error
    what = f"The teacher {teacher.model}: generation_config.json cannot be used"
    # An old checkpoint keeps all of it in config.json.
    with refusing(what, TeacherError), suppress(OSError):
        model.generation_config = GenerationConfig.from_pretrained(teacher.model)
    tokenizer = open_tokenizer(teacher.model, "teacher", config)
    set_languages(model, tokenizer, teacher.source_language, teacher.target_language)
    decoder_start_token(model)
    return model, tokenizer


def made_translator(
    fields: Mapping[str, Any], pairs: Dataset, vocabulary_size: int, target_vocabulary_size: int | None
) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """What a Marian model from random weights needs: its configuration, and a tokenizer trained on the pairs.

    Args:
        fields: of the MarianConfig.
        pairs: with the columns source and target.
        vocabulary_size: of the source where the target has one of its own, else of both.
        target_vocabulary_size: of the target; None: source and target share one.

    Raises:
        TinyBertError: a field or a size that cannot be.
    """
    from transformers import MarianConfig

    positions = made_config(MarianConfig, fields, _HEADS).max_position_embeddings
    tokenizer = train_translation_tokenizer(
        pairs["source"],
        pairs["target"],
        vocab_size=vocabulary_size,
        target_vocab_size=target_vocabulary_size,
        max_length=positions,
    )
    decided = {
        "vocab_size": len(tokenizer),
        "decoder_vocab_size": getattr(tokenizer, "target_vocab_size", len(tokenizer)),
        "share_encoder_decoder_embeddings": target_vocabulary_size is None,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.pad_token_id,
        "forced_eos_token_id": None,
    }
    return made_config(MarianConfig, fields, _HEADS, **decided), tokenizer


def _with_student(recipe: Recipe, teacher: PreTrainedModel) -> Recipe:
    """The recipe with a student: where it names none, the first preset that is smaller and faster than the teacher.

    Where none is, the smallest of them.
    """
    if recipe.student.preset is not None or recipe.student.model is not None:
        return recipe
    spec = TASKS[TRANSLATION]
    limit = Size.of(spec.opener.from_config, teacher.config)
    for preset in TRANSLATORS:
        chosen = replace(recipe, student=replace(recipe.student, preset=preset))
        if Size.of(spec.student_class, _student_config(chosen, teacher)).is_below(limit):
            break
    return chosen


def _student_config(recipe: Recipe, teacher: PreTrainedModel) -> TinyBertConfig:
    name = recipe.student.model
    if name is not None:
        config = open_student_config(name)
        if not config.is_encoder_decoder or config.num_decoder_layers is None:
            raise RecipeError(f"student.model {name}: that TinyBERT has no decoder, so it cannot translate")
        return config
    config = preset_config(recipe, _from_teacher(teacher))
    sizes = teacher.config.vocab_size, _target_size(teacher.config)
    if (config.vocab_size, config.decoder_vocab_size or config.vocab_size) != sizes:
        raise RecipeError(
            f"student.overrides: the student would embed {config.vocab_size} tokens of the source and "
            f"{config.decoder_vocab_size or config.vocab_size} of the target, but the teacher's tokenizer gives "
            f"{sizes[0]} and {sizes[1]}. Leave vocab_size and decoder_vocab_size out, so that they are the teacher's"
        )
    return config


def _from_teacher(teacher: PreTrainedModel) -> dict[str, Any]:
    """What a student from a preset takes over: the vocabularies and the tokens with a meaning."""
    config = teacher.config
    end = config.eos_token_id
    fields = {
        "vocab_size": config.vocab_size,
        "pad_token_id": config.pad_token_id,
        "eos_token_id": end[0] if isinstance(end, list | tuple) else end,
        "decoder_start_token_id": decoder_start_token(teacher),
    }
    shared = getattr(config, "share_encoder_decoder_embeddings", None)
    if shared is None and isinstance(config, TinyBertConfig):
        shared = config.decoder_vocab_size is None or config.tied_embeddings == "all"
    if shared is False or _target_size(config) != config.vocab_size:
        # Two vocabularies may be of one size and still have no word in common.
        fields |= {"decoder_vocab_size": _target_size(config), "tie_embeddings": "target"}
    return fields


def _target_size(config: PreTrainedConfig) -> int:
    return int(getattr(config, "decoder_vocab_size", None) or config.vocab_size)


def _check_labels_alone(recipe: Recipe, different: tuple[str, ...]) -> None:
    """Refuse losses that look at a teacher whose tokens are others: it can still translate."""
    for index, phase in enumerate(recipe.phases):
        looking = sorted(phase.loss_weights(has_decoder=True).keys() - _LABELS_ALONE)
        if looking:
            weights = ", ".join(f"{name}_weight: 0" for name in looking)
            raise TeacherError(
                f"phases.{index}: the teacher's tokenizer is not the one of the student {recipe.student.model}: the "
                f"same ids would mean other words, for example {', '.join(different)}. So their losses per token and "
                "per layer cannot be compared. The student can still learn from the teacher's translations "
                f"(sequence-level): set {weights}, label_loss_weight: 1 in the phase, and the section pseudo_labels. "
                "Or take a student from a preset, which takes over the teacher's tokenizer."
            )


# The run.

PSEUDO_LABELS = "pseudo-labels"
WORST_FILE = "worst_sentences.md"  # to be read
WORST_ROWS = "worst_sentences.jsonl"  # the same, for `tinybert report`
_TIMED_SENTENCES = 50
_MEASURED = ("bleu", "chrf", "bleu_signature", "chrf_signature", "cut_off", "truncated")


class TranslationSteps(Steps):
    """The steps of such a run."""

    @classmethod
    def make_plan(cls, recipe: Recipe, folder: RunFolder) -> Plan:
        """Check pairs, teacher and student."""
        spec = TASKS[TRANSLATION]
        data = spec.task.load(recipe.data)
        unlabelled = _count_unlabelled(recipe)
        pairs = data.part("train")
        teacher, tokenizer = _teacher(recipe, pairs)
        recipe = _with_student(recipe, teacher)
        config = _student_config(recipe, teacher)
        recipe = with_epochs(recipe, config, len(pairs))
        check_lengths(recipe.data, teacher=teacher, student=config)
        read = tokenizer_of_student(recipe, tokenizer, config)
        different = () if read is tokenizer else tuple(different_tokens(tokenizer, read))
        if different:
            _check_labels_alone(recipe, different)
        teachers = (PlannedTeacher(recipe.teacher.model, teacher.config, tokenizer, different),)
        student = spec.student_class, config, read
        plan = Plan.between(recipe, folder, data, teachers, teacher, student, unlabelled_rows=unlabelled)
        check_space(plan, weights_of(teacher))
        return replace(plan, more_notes=tuple(_notes(plan)))

    @classmethod
    def describe(cls, plan: Plan) -> Iterator[str]:
        """Rows, what is learnt from, phases, and how it is measured."""
        recipe = plan.recipe
        yield describe_rows(plan)
        learned = "the references"
        if recipe.pseudo_labels is not None:
            more = f" and of {counted(plan.unlabelled_rows, 'unlabelled source')}" if plan.unlabelled_rows else ""
            also = " and the references" if recipe.pseudo_labels.references else ""
            num_beams = counted(recipe.pseudo_labels.num_beams, "beam")
            learned = f"the teacher's translations of the train rows{more} ({num_beams}){also}"
        yield from describe_phases(plan, f"the student learns from: {learned}")
        teacher, student = counted(recipe.teacher_num_beams, "beam"), recipe.evaluation.student_num_beams
        yield f"measured with: {teacher} (teacher), {student} (student)"

    @classmethod
    def shape(cls, config: Any, layers: str) -> tuple[str, str]:
        """Both halves."""
        target, own = _target_size(config), str(config.vocab_size)
        halves = counted_layers(encoder_shape(config).layers, decoder_shape(config).layers)
        return halves, own if target == config.vocab_size else f"{own} and {target}"

    # Rows.

    @property
    def labelled_rows(self) -> Dataset:
        """The references, in the teacher's tokens."""
        if not self.plan.other_tokens:
            return self._references
        return self._tokenized(self.plan.data.part("train"), self.run.tokenizer)

    @property
    def baseline_rows(self) -> Dataset:
        """The references, in the student's tokens."""
        return self._references

    @cached_property
    def _references(self) -> Dataset:
        return self._tokenized(self.plan.data.part("train"), self.run.student_tokenizer)

    @cached_property
    def validation_rows(self) -> Dataset:
        """Pairs whose loss is shown after each epoch."""
        return self._tokenized(self.plan.data.part("validation"), self.run.student_tokenizer)

    @property
    def distillation_rows(self) -> Dataset:
        """The teacher's translations, the references, or both."""
        from datasets import concatenate_datasets

        labels = self.recipe.pseudo_labels
        if labels is None:
            return self._references
        rows = read_translated_rows(self._pseudo_folder, self._translated)
        if labels.references:
            rows = concatenate_datasets([rows, self.plan.data.part("train")])
        return self._tokenized(rows, self.run.student_tokenizer)

    @property
    def _translated(self) -> dict[str, dict[str, Any]]:
        """Counts of the teacher's translations."""
        return self.run.folder.result_of(PSEUDO_LABELS) or {}

    def prepare_rows(self) -> None:
        """Sequence-level distillation: the teacher translates."""
        labels, run = self.recipe.pseudo_labels, self.run
        if labels is None:
            return
        if run.folder.result_of(PSEUDO_LABELS) is None:
            with run.stage(PSEUDO_LABELS, f"The teacher translates ({_beams(labels.num_beams)})"):
                pairs = self.plan.data.part("train")
                reports = write_translated_rows(
                    run.teacher, run.tokenizer, self.recipe, pairs, self._pseudo_folder, run.console
                )
            run.folder.finish_stage(PSEUDO_LABELS, reports)
        run.say(*(format_pseudo_labels(name, report) for name, report in self._translated.items()))
        run.warn(pseudo_label_warnings(self._translated))

    def sides(self) -> Mapping[str, Iterable[str]]:
        """Both languages."""
        return {side: self.plan.data.part("train")[side] for side in ("source", "target")}

    @property
    def _pseudo_folder(self) -> Path:
        return self.run.folder.work / PSEUDO_LABELS

    @cached_property
    def _pairs(self) -> dict[str, list[str]]:
        return {side: list(self.plan.data.part("validation")[side]) for side in ("source", "target")}

    def _tokenized(self, rows: Any, tokenizer: PreTrainedTokenizerBase) -> Dataset:
        ready = self.plan.spec.task.tokenize(rows, tokenizer, self.recipe.data)
        self.run.say_notes(tokenizing_notes(ready))
        return ready

    # Models.

    def open_teacher(self, model: str, dtype: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """A translator, its languages set."""
        import torch

        teacher = self.recipe.teacher
        network, tokenizer = open_translator(model)
        set_languages(network, tokenizer, teacher.source_language, teacher.target_language)
        network.to(getattr(torch, "float32" if dtype in (None, INT8) else dtype)).eval()
        if dtype == INT8:
            round_to_int8(network)
        return network, tokenizer

    def probe(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Mapping[str, Any]:
        """A training pair."""
        from transformers import DataCollatorForSeq2Seq

        rows = self.plan.spec.task.tokenize(self.plan.data.part("train").select(range(1)), tokenizer, self.recipe.data)
        batch = DataCollatorForSeq2Seq(tokenizer)([{k: v for k, v in rows[0].items() if k != "length"}])
        return batch.to(model.device)  # type: ignore[no-any-return]

    def start_batches(self) -> list[dict[str, Tensor]]:
        """None: a translator starts from random weights."""
        return []

    def starting_projections(self, student: PreTrainedModel) -> None:
        """None: a translator is saved without."""

    # Metrics.

    def measure(
        self, who: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> dict[str, Any]:
        """BLEU and chrF; the translations are kept for the comparison at the end."""
        settings, pairs, is_teacher = self.recipe.evaluation, self._pairs, who == TEACHER
        num_beams = self.recipe.teacher_num_beams if is_teacher else settings.student_num_beams
        with row_progress(self.run.console, f"Translating to measure the {who}") as progress:
            result = evaluate_translation(
                model,
                self.run.tokenizer if is_teacher else self.run.student_tokenizer,
                pairs["source"],
                pairs["target"],
                target_language=settings.target_language,
                num_beams=num_beams,
                batch_size=settings.batch_size,
                prefix=self.recipe.teacher.prefix if is_teacher else "",
                progress=counting(progress, len(pairs["source"])),
            )
        write_json(self._translations(who), {"hypotheses": result["hypotheses"]})
        self.run.say_notes(f"{who}: {note}" for note in result["notes"])
        return {**{name: result[name] for name in _MEASURED}, "beams": num_beams}  # type: ignore[literal-required]

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """Both scores."""
        return f"BLEU {metrics['bleu']:.1f}, chrF {metrics['chrf']:.1f} ({_beams(metrics['beams'])})"

    def teacher_warnings(self, metrics: Mapping[str, Any]) -> list[str]:
        """A teacher of other languages translates too, into something else."""
        warning = nothing_in_common(metrics, "the teacher")
        if warning is None:
            return []
        advice = (
            "Does it translate between these two languages, in this direction? Does it want a prefix before each "
            "source (teacher.prefix)? Was it trained long enough?"
        )
        if self.recipe.teacher.finetune is not None:
            advice = "It was trained in this run: give it more epochs (--teacher-epochs) or more rows."
        return [f"{warning} {advice}"]

    def _translations(self, who: str) -> Path:
        return self.run.folder.work / f"{who}-translations.json"

    # The report.

    def costs(self, student: PreTrainedModel) -> dict[str, dict[str, Any]]:
        """Sentences per second at several at once."""
        recipe, sources, run = self.recipe, self._pairs["source"], self.run
        with run.stage("costs", "Measuring size and speed"):
            measured = measure_translation_costs(
                {
                    TEACHER: TranslationEntry(
                        run.teacher, run.tokenizer, recipe.teacher_num_beams, recipe.teacher.prefix
                    ),
                    STUDENT: TranslationEntry(student, run.student_tokenizer, recipe.evaluation.student_num_beams),
                },
                sources[:: max(1, len(sources) // _TIMED_SENTENCES)][:_TIMED_SENTENCES],
            )
        costs = {name: asdict(cost) for name, cost in measured.items()}
        for cost in costs.values():
            for name in ("sentences_per_second", "speedup"):  # JSON has no numbers for names
                cost[name] = {str(size): spread for size, spread in cost[name].items()}
        return {**costs, BASELINE: costs[STUDENT]} if recipe.baseline is not None else costs

    def reported(self) -> dict[str, Any]:
        """What the student learnt from; the worst sentences go into a file."""
        pairs, count = self._pairs, self.recipe.evaluation.worst_sentences
        teacher, student = (read_json(self._translations(who))["hypotheses"] for who in (TEACHER, STUDENT))
        for name in (WORST_FILE, WORST_ROWS):
            file = self.run.folder.path / name
            write_worst_sentences(file, pairs["source"], pairs["target"], teacher, student, count)
        return {"pseudo_labels": self._translated, "worst_sentences": WORST_FILE}

    def student_warnings(self, metrics: Mapping[str, Any]) -> list[str]:
        """Of what it learnt from."""
        return pseudo_label_warnings(self._translated)

    @classmethod
    def table(cls, report: RunReport) -> Table:
        """Scores, sizes and speeds."""
        sizes = list(report.costs[TEACHER]["sentences_per_second"])
        threads = report.costs[STUDENT].get("threads")
        where = report.where + (f", {counted(threads, 'thread')}" if threads else "")
        table = models_table(
            f"batch {', batch '.join(sizes)}: sentences per second at so many at once ({where}), the median "
            "of interleaved rounds, and how many times the teacher's; in brackets after BLEU: against the teacher",
            ("BLEU", "chrF", "size", *(f"batch {size}" for size in sizes)),
            no_wrap=True,
        )
        teacher = report.metrics[TEACHER]["bleu"]
        for name, metrics in report.metrics.items():
            cost = report.costs[name]
            difference = "" if name == TEACHER else f" ({metrics['bleu'] - teacher:+.1f})"
            table.add_row(
                TITLES[name],
                f"{metrics['bleu']:.1f}{difference}",
                f"{metrics['chrf']:.1f}",
                f"{cost['parameters'] / 1e6:.2f} M",
                *(_speed(cost, size, is_teacher=name == TEACHER) for size in sizes),
            )
        return table

    @classmethod
    def last_lines(cls, report: RunReport) -> list[str]:
        """Signatures, sizes, where the student is, how it is loaded and tried."""
        student, metrics, spec = report.costs[STUDENT], report.metrics[STUDENT], TASKS[TRANSLATION]
        return [
            *report.alone(),
            f"BLEU: {metrics['bleu_signature']}",
            f"chrF: {metrics['chrf_signature']}",
            f"The student takes {student['megabytes']:.1f} MB, in int8 about {student['int8_megabytes']:.1f} MB.",
            f"The student is in {report.folder}; {report.worst_sentences} there shows where it loses most.",
            f"Load it: {spec.load.format(place=literal(report.folder))}",
            spec.elsewhere,
            f'Try it: tinybert translate {argument(report.folder)} --text "..."',
        ]


def _beams(num_beams: int) -> str:
    return "greedy" if num_beams == 1 else counted(num_beams, "beam")


def _speed(cost: Mapping[str, Any], size: str, *, is_teacher: bool) -> str:
    median = cost["sentences_per_second"][size]["median"]
    own = f"{median:.1f}" if median < 100 else f"{median:,.0f}"
    return own if is_teacher else f"{own} ({cost['speedup'][size]['median']:.1f}x)"
