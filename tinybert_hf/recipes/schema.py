"""What a recipe may say: these dataclasses are the schema of the YAML files."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from tinybert_hf.cards import CardSettings
from tinybert_hf.data.corpus import CorpusSettings
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.recipes.values import check_values
from tinybert_hf.training import FinetuneSettings, Phase

TRANSLATION = "translation"
GENERAL = "general"
USUAL_BEAMS = 5


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
    """Beside further teachers: how much it counts in the mean of the probabilities and of the losses."""
    layer_map: str | list[int] | None = None
    """Beside further teachers: its own map in every phase, or none for no loss between layers. None: the phase's."""


@dataclass(frozen=True)
class FurtherTeacher:
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
    start: str | None = None
    """teacher: weights are taken from the teacher (layers copied, or projected down). random: they are drawn.
    None: teacher; for translation random, since translators have no other start."""


@dataclass(frozen=True)
class PseudoLabels:
    """Sequence-level distillation: the student learns the teacher's translations in place of the references."""

    beams: int = USUAL_BEAMS
    """Width of the teacher's search."""
    select: str = "best"
    """best of the beam, or nearest: the hypothesis of the beam that is nearest to the reference by chrF."""
    references: bool = False
    """Learn from the references as well."""
    unlabelled_file: str | None = None
    """Further source text without references, for the teacher to translate."""
    unlabelled_column: str | None = None
    """Its column; None: as data.source_column."""
    max_length_factor: float = 2.0
    """How far from the usual the length of a translation may be; 0: any length."""
    max_repeats: int = 3
    """How often four words may stand in a translation; 0: any number of times."""
    batch_size: int = 32
    """Texts that the teacher translates at once."""


@dataclass(frozen=True)
class AugmentationSettings:
    """Copies of the training rows with other words: the phases learn the teacher's answers to them, without labels."""

    copies: int = 20
    """Of each row. TinyBERT takes 30 for CoLA, MRPC, RTE and STS-B, 20 for SST-2 and QNLI, 10 for MNLI and QQP."""
    model: str | None = None
    """Folder or Hub id of a masked-LM that predicts words. None: the teacher's checkpoint, where it has a masked-LM
    head; else every word gives way to a neighbour in the teacher's embeddings, and the run says so."""
    probability: float = 0.4
    """With which a word is replaced; stop words never are."""
    candidates: int = 15
    """Words that one is drawn from."""
    glove_file: str | None = None
    """Text file of word vectors for words of several pieces. None: the model's own embeddings."""
    neighbours_only: bool = False
    """Take neighbours for every word, even where words could be predicted."""
    batch_size: int | None = None
    """Masked texts at once; changes no row. None: 32 on a CPU, else 512."""


@dataclass(frozen=True)
class TranslationEvaluation:
    """How translators are measured."""

    teacher_beams: int | None = None
    """Width of the teacher's search; None: as pseudo_labels.beams, or 5 without."""
    student_beams: int = 1
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
    further_teachers: tuple[FurtherTeacher, ...] = ()
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
    def is_translation(self) -> bool:
        """Whether the models read one language and write another."""
        return self.task == TRANSLATION

    @property
    def is_general(self) -> bool:
        """Whether the student learns from plain text, before any task."""
        return self.task == GENERAL

    @property
    def teacher_beams(self) -> int:
        """Width of the teacher's search where it is measured."""
        own = self.evaluation.teacher_beams
        return own or (self.pseudo_labels.beams if self.pseudo_labels is not None else USUAL_BEAMS)

    @property
    def folder(self) -> str:
        """Where the run writes."""
        return self.output_dir or f"runs/{self.name}"

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values, as YAML or JSON can hold them."""
        return dataclasses.asdict(self)
