"""What a recipe may say: these dataclasses are the schema of the YAML files, with the ranges of their values."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tinybert_hf.checkpoints.card_parts import CardSettings
from tinybert_hf.data.settings import BEST, NEAREST, CopySettings, CorpusSettings, DataSettings, SearchSettings
from tinybert_hf.distillation.choices import DTYPES, PROJECTIONS
from tinybert_hf.distillation.losses import ENCODER_LOSSES
from tinybert_hf.errors import RecipeError, check_number
from tinybert_hf.recipes.loader import unknown_name
from tinybert_hf.tasks import TASKS, TaskSpec, spec_of, student_shapes
from tinybert_hf.training import FinetuneSettings, Phase
from tinybert_hf.training.settings import PROJECTION_STARTS

# Whether the values of a recipe lie in their ranges. Their types have been checked by then.

_RESERVED_NAMES = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(10))}
_LONGEST_NAME = 200
INITS = ("teacher", "random")


def check_values(recipe: Recipe) -> None:
    """Refuse what no run could do.

    Raises:
        RecipeError: a value outside its range, or a name that is not known.
    """
    _check_name(recipe.name)
    _check_models(recipe.teacher, recipe.student)
    _check_extra_teachers(recipe)
    if recipe.student.by_speed:
        _check_speed(recipe)
    elif recipe.student.preset is None and recipe.student.model is None and not recipe.spec.chooses_student:
        raise RecipeError("student: set either `preset` or `model`")
    if not recipe.phases:
        raise RecipeError("phases: a run needs at least one; the usual ones are intermediate and prediction")
    for index, phase in enumerate(recipe.phases):
        _check_phase(phase, f"phases.{index}", has_decoder=recipe.spec.has_decoder)
    if not 0 <= recipe.seed < 2**32:
        raise RecipeError(f"seed: expected a whole number from 0 to {2**32 - 1}, found {recipe.seed}")
    if recipe.prune_vocabulary is not None:
        _check_pruning(recipe.prune_vocabulary, recipe)
    if recipe.augmentation is not None:
        _check_augmentation(recipe, recipe.augmentation)
    for name in ("unlabelled_file", "text_corpus"):
        if getattr(recipe.data, name) is not None:
            _check_unlabelled(recipe, name)
    if recipe.data.text_corpus_rows is not None and recipe.data.text_corpus is None:
        raise RecipeError("data.text_corpus_rows: there is no data.text_corpus (--text-corpus) to take them from")
    if recipe.spec.has_decoder:
        _check_translation(recipe)
    else:
        _refuse_translation(recipe)
    check_general(recipe)
    _refuse_other_columns(recipe)


def _check_name(name: str) -> None:
    """Refuse a name that could not be that of a folder below runs/, or that would lead out of it."""
    if not name.strip():
        raise RecipeError("name: a recipe needs a name; leave the field out to take that of the file")
    reason = None
    if any(letter in name for letter in "/\\") or name[1:2] == ":":
        reason = "it has a separator of paths in it"
    elif name.strip(". ") == "" or name.startswith("~"):
        reason = "it means another folder"
    elif name != name.strip() or name.endswith("."):
        reason = "it begins or ends with a space, or ends with a dot"
    elif any(not letter.isprintable() for letter in name):
        reason = "it has a character that cannot be printed"
    elif name.partition(".")[0].upper() in _RESERVED_NAMES:
        reason = "Windows keeps this name for a device"
    elif len(name.encode()) > _LONGEST_NAME:
        reason = f"it has more than {_LONGEST_NAME} bytes"
    if reason is not None:
        raise RecipeError(
            f"name: {name[:80]!r} cannot be the name of a folder below runs/: {reason}. Where the run writes is "
            "said by output_dir (--output-dir)"
        )


def _check_models(teacher: TeacherSettings, student: StudentSettings) -> None:
    if teacher.model is not None and teacher.config is not None:
        raise RecipeError("teacher: `model` and `config` exclude each other; set one of them to null")
    if teacher.config is not None and teacher.finetune is None:
        raise RecipeError("teacher.finetune: a teacher made from `config` has random weights, so it has to be trained")
    _at_least(100, "teacher", teacher, "vocabulary_size")
    if teacher.dtype is not None:
        _one_of(teacher.dtype, DTYPES, "teacher.dtype")
    if student.preset is not None and student.model is not None:
        raise RecipeError("student: set either `preset` or `model` and not both")
    if student.preset is not None:
        _one_of(student.preset, student_shapes(), "student.preset")
    if student.model is not None and student.overrides:
        raise RecipeError("student.overrides: these belong to a preset; the shape of `student.model` is what it is")
    if student.init is not None:
        _one_of(student.init, INITS, "student.init")
        if student.model is not None:
            raise RecipeError(
                "student.init: it goes with a preset; `student.model` has weights of its own, and the student starts "
                "from them. Leave it out (--set student.init=null)"
            )


def _check_speed(recipe: Recipe) -> None:
    student = recipe.student
    path = "student.target_speedup" if student.target_latency_ms is None else "student.target_latency_ms"
    if None not in (student.target_speedup, student.target_latency_ms):
        raise RecipeError("student: set either `target_speedup` or `target_latency_ms` and not both")
    check_number(student.target_speedup, path)
    check_number(student.target_latency_ms, path)
    if student.preset is not None or student.model is not None:
        raise RecipeError(f"{path}: it chooses the student, and one is named; leave one of the two out (--student)")
    if not recipe.spec.head:
        raise RecipeError(f"{path}: for texts, words and questions with a head; name the student here (--student)")
    if recipe.extra_teachers:
        raise RecipeError(f"{path}: beside one teacher; with several name the student (--student)")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RecipeError(
            f"{path}: each process would measure for itself. Choose first, in one process (--dry-run), and name the "
            "student then (--student)"
        )


def _check_extra_teachers(recipe: Recipe) -> None:
    extra = recipe.extra_teachers
    for index, one in enumerate(extra):
        if one.dtype is not None:
            _one_of(one.dtype, DTYPES, f"extra_teachers.{index}.dtype")
        check_number(one.weight, f"extra_teachers.{index}.weight")
    check_number(recipe.teacher.weight, "teacher.weight")
    if not extra and recipe.teacher.layer_map is not None:
        raise RecipeError("teacher.layer_map: of one teacher, the phases say it (phases.0.layer_map)")
    if extra and recipe.spec.has_decoder:
        raise RecipeError(
            "extra_teachers: a translator learns from the translations of one teacher here; in Python, "
            "Seq2SeqDistillationTrainer takes several"
        )
    for index, phase in enumerate(recipe.phases):
        if extra and phase.teacher_cache:
            raise RecipeError(
                f"phases.{index}.teacher_cache: it keeps what one teacher says, and here are {len(extra) + 1}; "
                "leave it out"
            )


def _may_lack_labels(task: str) -> bool:
    return task in TASKS and TASKS[task].unlabelled


def _check_augmentation(recipe: Recipe, settings: AugmentationSettings) -> None:
    path = "augmentation"
    if not _may_lack_labels(recipe.task):
        raise RecipeError(
            f"{path}: words are replaced in texts with labels or a number, and in rows of words with tags; the rows "
            f"of the task {recipe.task} would not be right any more. Leave it out (--augment)"
        )
    _at_least(1, path, settings, "copies", "candidates", "batch_size", "up_to_rows")
    if not 0 < settings.probability <= 1:
        raise RecipeError(f"{path}.probability: expected more than 0 and at most 1, found {settings.probability:g}")
    if settings.up_to_rows is not None:
        return  # left out where it does not fit
    _refuse_train_rows(recipe, "the copies that the augmentation makes")
    _refuse_label_loss(
        recipe,
        "the copies that the augmentation makes have none: other words may have another label. Set it to 0, or leave "
        "the augmentation out",
    )


def _check_unlabelled(recipe: Recipe, name: str) -> None:
    if not _may_lack_labels(recipe.task):
        raise RecipeError(
            f"data.{name}: texts with labels or a number, and rows of words with tags, can have further rows "
            f"without them; the task is {recipe.task}. "
            + (
                "A translator's are named by pseudo_labels.unlabelled_file"
                if recipe.spec.has_decoder
                else "Leave it out"
            )
        )
    _refuse_train_rows(recipe, f"the rows of data.{name}")
    _refuse_label_loss(
        recipe, f"the rows of data.{name} have none. Set it to 0, or leave it out (--{name.replace('_', '-')})"
    )


def _refuse_train_rows(recipe: Recipe, further: str) -> None:
    for index, phase in enumerate(recipe.phases):
        if phase.train_rows is not None:
            raise RecipeError(
                f"phases.{index}.train_rows: it takes the first rows, and {further} stand behind the training rows, "
                "so that few or none of them would be learnt from. Take fewer training rows (data.max_train_rows) or "
                "fewer epochs instead"
            )


def _refuse_label_loss(recipe: Recipe, reason: str) -> None:
    for index, phase in enumerate(recipe.phases):
        if "label_loss" in phase.loss_weights():
            raise RecipeError(f"phases.{index}.label_loss_weight: it needs labels, and {reason}")


def _check_translation(recipe: Recipe) -> None:
    student, teacher = recipe.student, recipe.teacher
    if student.init == "teacher":
        raise RecipeError(
            "student.init: 'teacher' is not available for translators: the start is computed for encoders that are "
            "built like BERT, and no such way is known here for a decoder and its attention to the source. Leave it "
            "out, or say random (--init random)"
        )
    if student.preset is not None and not _has_decoder(student):
        translators = ", ".join(name for name, shape in student_shapes().items() if shape.get("is_encoder_decoder"))
        raise RecipeError(
            f"student.preset: {student.preset} has no decoder, so it cannot translate; choose one of {translators}"
        )
    _at_least(1, "teacher", teacher, "target_vocabulary_size")
    if recipe.pseudo_labels is not None:
        _check_pseudo_labels(recipe.pseudo_labels)
    evaluation: TranslationEvaluation = recipe.evaluation
    _at_least(1, "evaluation", evaluation, "teacher_num_beams", "student_num_beams", "batch_size", "worst_sentences")


def _check_pruning(settings: VocabularyPruning, recipe: Recipe) -> None:
    if recipe.spec.has_decoder:
        raise RecipeError(
            "prune_vocabulary: a translator chooses each word that it writes among all pieces of its vocabulary, so "
            "with fewer of them it would write something else; leave the section out"
        )
    if not settings.corpus:
        raise RecipeError("prune_vocabulary.corpus: name at least one file, or train")
    _at_least(1, "prune_vocabulary", settings, "min_count")
    if not 0 <= settings.margin <= 1:
        raise RecipeError(f"prune_vocabulary.margin: expected a share from 0 to 1, found {settings.margin:g}")


def _check_pseudo_labels(settings: PseudoLabels) -> None:
    path = "pseudo_labels"
    _one_of(settings.select, (BEST, NEAREST), f"{path}.select")
    _at_least(1, path, settings, "num_beams", "batch_size")
    _at_least(0, path, settings, "max_length_factor", "max_repeats")
    if 0 < settings.max_length_factor < 1:
        raise RecipeError(
            f"{path}.max_length_factor: expected 0 (off) or at least 1, found {settings.max_length_factor:g}"
        )
    if settings.unlabelled_column is not None and settings.unlabelled_file is None:
        raise RecipeError(f"{path}.unlabelled_column: there is no unlabelled_file (--unlabelled-file) that has it")


def _has_decoder(student: StudentSettings) -> bool:
    assert student.preset is not None
    shape = {**student_shapes()[student.preset], **student.overrides}
    return bool(shape.get("is_encoder_decoder")) and shape.get("num_decoder_layers") is not None


def _refuse_translation(recipe: Recipe) -> None:
    """Refuse what only translators have, where it would be passed over in silence."""
    if recipe.pseudo_labels is not None:
        raise RecipeError("pseudo_labels: these are translations, so they need `task: translation`")
    for name in ("target_vocabulary_size", "prefix", "source_language", "target_language"):
        if getattr(recipe.teacher, name):
            raise RecipeError(f"teacher.{name}: only a translator has one (task: translation)")
    if recipe.student.preset is not None and _has_decoder(recipe.student):
        raise RecipeError(
            f"student.preset: {recipe.student.preset} is a translator, and the task is {recipe.task}; choose an "
            "encoder such as 4l-312d, or set `task: translation`"
        )


def _refuse_other_columns(recipe: Recipe) -> None:
    """Refuse a column that only the rows of another task have: it would not be read."""
    spec, usual = recipe.spec, DataSettings()
    for other in TASKS.values():
        for name in set(other.columns) - set(spec.columns):
            if getattr(recipe.data, name) != getattr(usual, name):
                own = ", ".join(f"data.{one}" for one in spec.columns if one.endswith("_column"))
                raise RecipeError(
                    f"data.{name}: only rows for {other.words} are read by it, and the task is {recipe.task}. Leave "
                    f"it out{f'; the columns of this task are named by {own}' if own else ''}"
                )


def _check_phase(phase: Phase, path: str, *, has_decoder: bool) -> None:
    # What a Phase checks itself (its name, its numbers) was refused before; it does not know the task.
    _one_of(phase.projection, PROJECTIONS, f"{path}.projection")
    _one_of(phase.projection_start, PROJECTION_STARTS, f"{path}.projection_start")
    try:
        losses = phase.loss_weights(has_decoder=has_decoder)
        if losses:
            phase.check_cache(has_decoder=has_decoder)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error
    if not losses:
        raise RecipeError(
            f"{path}: the phase {phase.name!r} is for losses of your own, which a recipe cannot name: it runs no code "
            "of yours. Give a weight to one of ours, or call run_phases from Python (docs/own-loss.md)"
        )


def _one_of(value: str, known: Iterable[str], path: str) -> None:
    if value not in known:
        raise RecipeError(unknown_name(path, value, known))


def _at_least(least: int, path: str, settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        check_number(value, f"{path}.{name}", zero=True)
        if value is not None and value < least:
            raise RecipeError(f"{path}.{name}: expected {least} or more, found {value}")


# What a general distillation cannot do, and what only it can.

_LOSSES = (*ENCODER_LOSSES, "label_loss")


def check_general(recipe: Recipe) -> None:
    """Refuse what does not belong to the task of a recipe, where it would be passed over in silence.

    Raises:
        RecipeError: naming the field.
    """
    corpus = recipe.corpus
    if not recipe.spec.of_plain_text:
        if corpus is not None:
            raise RecipeError(
                "corpus: plain text is for `task: general` (tinybert distill general); the rows of this task are "
                "named in `data` (--train-file, --validation-file)"
            )
        return
    usual = DataSettings()
    for name in vars(usual):
        if getattr(recipe.data, name) != getattr(usual, name):
            raise RecipeError(f"data.{name}: a general distillation reads no rows with labels; its text is `corpus`")
    if corpus is None:
        raise RecipeError("corpus: a general distillation needs text; name files (--corpus) or a dataset (--dataset)")
    for path, value in (
        ("baseline", recipe.baseline),
        ("teacher.finetune", recipe.teacher.finetune),
        ("teacher.config", recipe.teacher.config),
    ):
        if value is not None:
            raise RecipeError(f"{path}: there are no labels to train on in a general distillation; leave it out")
    if recipe.prune_vocabulary is not None:
        raise RecipeError(
            "prune_vocabulary: a task distillation goes on with the tokens of the general student's teacher; prune "
            "the student of the task, or this one afterwards (tinybert prune-vocabulary)"
        )
    if recipe.metric is not None or recipe.further_metrics:
        raise RecipeError(
            "metric: a general distillation is measured by its losses; leave metric and further_metrics out"
        )
    if recipe.extra_teachers:
        raise RecipeError("extra_teachers: a general distillation has one teacher")
    _check_losses(recipe)


def _check_losses(recipe: Recipe) -> None:
    assert recipe.corpus is not None
    for index, phase in enumerate(recipe.phases):
        losses = phase.loss_weights()
        wrong = sorted(set(losses) - set(_LOSSES))
        if wrong:
            raise RecipeError(
                f"phases.{index}: the teacher of a general distillation has no head, so there is no {wrong[0]}; call "
                f"the phase intermediate, or set {wrong[0]}_weight: 0"
            )
        if "label_loss" in losses and not recipe.corpus.masked_share:
            raise RecipeError(
                f"phases.{index}.label_loss_weight: without masked tokens there is nothing to find; set "
                "corpus.masked_share: 0.15 (--masked-lm)"
            )
        if phase.teacher_cache:
            raise RecipeError(f"phases.{index}.teacher_cache: not for a general distillation, whose corpus is large")


# What a recipe may say: these dataclasses are the schema of the YAML files.

USUAL_BEAMS = SearchSettings.num_beams


@dataclass(frozen=True)
class TeacherSettings:
    """The model that is learned from."""

    model: str | None = None
    """Folder or Hub id."""
    config: dict[str, Any] | None = None
    """Instead of `model`: fields of a BertConfig, or of a MarianConfig for translation. A small model with random
    weights is made and fine-tuned here."""
    vocabulary_size: int = 4000
    """Of the tokenizer that is trained on the training text where the teacher is made from `config`."""
    target_vocabulary_size: int | None = None
    """Translation: of a vocabulary of its own for the target. None: source and target share one."""
    prefix: str = ""
    """Translation: what this teacher wants before each source, such as ">>cmn_Hans<< "; the student needs none."""
    source_language: str | None = None
    """Translation: of a multilingual teacher (NLLB, M2M100, mBART), as its tokenizer calls it."""
    target_language: str | None = None
    """Likewise."""
    finetune: FinetuneSettings | None = None
    """Fine-tune the teacher on the training rows first. None: it is fine-tuned already."""
    dtype: str | None = None
    """float32, float16, bfloat16 or int8 (linear maps only) for the frozen teacher. None: float32, with matrix
    products in bfloat16 on a CPU that has instructions for them."""
    weight: float = 1.0
    """Beside extra teachers: how much it counts in the mean of the probabilities and of the losses."""
    layer_map: str | list[int] | None = None
    """Beside extra teachers: its own map in every phase, or none for no loss between layers. None: the phase's."""


@dataclass(frozen=True)
class ExtraTeacher:
    """Another model that is learned from at the same time, fine-tuned already."""

    model: str
    """Folder or Hub id. With another tokenizer than the student's it can teach the prediction only."""
    weight: float = 1.0
    """As teacher.weight."""
    layer_map: str | list[int] | None = None
    """As teacher.layer_map."""
    dtype: str | None = None
    """As teacher.dtype."""


@dataclass(frozen=True)
class StudentSettings:
    """The TinyBERT that learns."""

    preset: str | None = None
    """Name of a shape: see `tinybert_hf.model.PRESETS`. None, for translation: the largest translator that is smaller
    and faster than the teacher."""
    model: str | None = None
    """Instead of `preset`: folder or Hub id of a TinyBERT that exists, for example a generally distilled one."""
    overrides: dict[str, Any] = field(default_factory=dict)
    """Fields of the TinyBertConfig that differ from the preset."""
    target_speedup: float | None = None
    """Instead of `preset`: take the largest preset that is so many times as fast as the teacher on this machine (one
    text of 32 tokens, PyTorch). For texts, words and questions."""
    target_latency_ms: float | None = None
    """Likewise: that takes at most so many milliseconds."""
    init: str | None = None
    """teacher: weights are taken from the teacher (layers copied, or projected down). random: they are drawn.
    None: teacher; for translation random, since translators have no other start."""

    @property
    def by_speed(self) -> bool:
        """Whether a preset is still to be chosen by its speed."""
        return self.target_speedup is not None or self.target_latency_ms is not None


@dataclass(frozen=True)
class PseudoLabels(SearchSettings):
    """Sequence-level distillation: the student learns the teacher's translations in place of the references."""

    references: bool = False
    """Learn from the references as well."""
    unlabelled_file: str | None = None
    """Further source text without references, for the teacher to translate."""
    unlabelled_column: str | None = None
    """Its column; None: as data.source_column."""
    batch_size: int = 32
    """Texts that the teacher translates at once."""


@dataclass(frozen=True)
class AugmentationSettings(CopySettings):
    """Copies of the training rows with other words: the phases learn the teacher's answers to them, without labels."""

    model: str | None = None
    """Folder or Hub id of a masked-LM that predicts words. None: the teacher's checkpoint, where it has a masked-LM
    head; else every word gives way to a neighbour in the teacher's embeddings, and the run says so."""
    up_to_rows: int | None = None
    """At most so many copies as bring all rows up to about this number, those of `data.unlabelled_file` among them;
    none where there are as many already, or where a phase learns from labels. None: `copies` of each, always."""
    glove_file: str | None = None
    """Text file of word vectors for words of several pieces. None: the model's own embeddings."""
    neighbours_only: bool = False
    """Take neighbours for every word, even where words could be predicted."""
    batch_size: int | None = None
    """Masked texts at once; changes no row. None: 32 on a CPU, else 512."""


@dataclass(frozen=True)
class TranslationEvaluation:
    """How translators are measured."""

    teacher_num_beams: int | None = None
    """Width of the teacher's search; None: as pseudo_labels.num_beams, or 5 without."""
    student_num_beams: int = 1
    """Width of the student's search; 1 is greedy, which is what makes it fast."""
    batch_size: int = 32
    """Texts that are translated at once."""
    target_language: str | None = None
    """Name or code; it chooses how BLEU cuts words. None looks at the script of the references."""
    worst_sentences: int = 50
    """How many sentences worst_sentences.md shows."""


@dataclass(frozen=True)
class VocabularyPruning:
    """Leave out the word pieces that a corpus does not use, once the student is distilled."""

    corpus: tuple[str, ...] = ("train",)
    """Files of text (.txt, .jsonl, .csv, .parquet, ...), or train: the training rows themselves."""
    text_columns: tuple[str, ...] = ()
    """Of the files; none: text, or else sentence."""
    min_count: int = 1
    """How often the corpus has to use a piece."""
    margin: float = 0.1
    """Share of the other pieces that stays as well, the lowest ids first."""


@dataclass(frozen=True)
class Recipe:
    """A whole run as one value."""

    name: str
    """What the run is called; the file's own name where it is left out."""
    description: str = ""
    """A line for `tinybert recipes`."""
    task: str = "text-classification"
    """text-classification (also pairs, several labels, regression), token-classification (named entities),
    question-answering, translation, or general (of plain text, before any task)."""
    data: DataSettings = field(default_factory=DataSettings)
    corpus: CorpusSettings | None = None
    """General distillation only: the text, in place of `data`."""
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    extra_teachers: tuple[ExtraTeacher, ...] = ()
    """Encoders only. The first teacher gives the student its tokenizer and its start."""
    student: StudentSettings = field(default_factory=StudentSettings)
    phases: tuple[Phase, ...] = (Phase("intermediate"), Phase("prediction"))
    """In order; each goes on with the student and the projections of the one before."""
    pseudo_labels: PseudoLabels | None = None
    """Translation only. None: no sequence-level distillation, the phases learn on the references."""
    augmentation: AugmentationSettings | None = None
    """Texts with labels or numbers, and rows of words, only. None: the phases learn from the rows as they are."""
    evaluation: TranslationEvaluation = field(default_factory=TranslationEvaluation)
    """Translation only."""
    prune_vocabulary: VocabularyPruning | None = None
    """Encoders only. None: the student keeps the teacher's vocabulary."""
    metric: str | None = None
    """The figure that table, report and card put first, such as f1 or matthews_correlation. None: accuracy; f1_micro
    where a row has several labels, pearson for a regression, f1 for entities and answers, bleu for a translation."""
    further_metrics: tuple[str, ...] = ()
    """Figures that the table shows beside it."""
    baseline: FinetuneSettings | None = None
    """Train the same student from the same start without a teacher, to compare. None: leave that out."""
    card: CardSettings = field(default_factory=CardSettings)
    """What the model card says of license and language."""
    seed: int = 42
    """Of every random choice."""
    training_arguments: dict[str, Any] = field(default_factory=dict)
    """Further fields of transformers.TrainingArguments for every training of the run: bf16, report_to, ...
    label_smoothing_factor holds for the trainings on labels alone: of a teacher, and of the baseline; what is about
    evaluation (eval_strategy, load_best_model_at_end, metric_for_best_model, ...) for the phases alone."""
    output_dir: str | None = None
    """Where the run writes; runs/NAME where it is left out."""

    def __post_init__(self) -> None:
        """Check the values; the types have been checked by then.

        Raises:
            RecipeError: a value outside its range, or a name that is not known.
        """
        check_values(self)

    @property
    def spec(self) -> TaskSpec:
        """What its task is; of a name that no task has (a plan refuses it) as of a text classification."""
        return spec_of(self.task)

    @property
    def teacher_num_beams(self) -> int:
        """Width of the teacher's search where it is measured."""
        own = self.evaluation.teacher_num_beams
        return own or (self.pseudo_labels.num_beams if self.pseudo_labels is not None else USUAL_BEAMS)

    @property
    def folder(self) -> str:
        """Where the run writes."""
        return self.output_dir or f"runs/{self.name}"

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, as YAML or JSON can hold them."""
        return dataclasses.asdict(self)
