"""What a task is, in one table: every room asks it, and a new task is a new entry; and the shapes of a student.

The entries are plain values, so that a command can read them without torch; what is code stands where its topic is,
and is named by its place ("module:name") and imported when it is asked for.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

TEXT_CLASSIFICATION = "text-classification"
TOKEN_CLASSIFICATION = "token-classification"
QUESTION_ANSWERING = "question-answering"
TRANSLATION = "translation"
GENERAL = "general"

_WITHOUT_PACKAGE = "Where the package is not installed: the same with trust_remote_code=True, without the import."


@dataclass(frozen=True)
class TaskSpec:
    """One task.

    Attributes:
        name: as transformers calls its pipeline, where it has one.
        kind: a model for it in a message, with its article.
        auto_class: the class of transformers that opens any such model.
        student: the TinyBERT for it, a class of `tinybert_hf.model`.
        steps: place of the class that says how a recipe is planned and carried out.
        teacher: what a teacher for it is, for a recipe that names none.
        load: how a student is loaded; {place} is its folder, as a literal.
        elsewhere: how it is loaded where this package is not installed.
        rows: place of the class that loads and tokenizes rows; None: it learns from plain text.
        metrics: place of the class that counts its metrics (see `evaluation.metrics`); None: losses measure it.
        head: the model is an encoder with a head for labels or answers.
        has_decoder: the model reads one text and writes another; there are losses between decoders.
        chooses_student: a recipe may leave the student's shape open.
        aliases: short names of it on a command line.
        bert: the stock BERT with the same head; None: there is none.
        named_labels: its head has a list of names.
        unlabelled: rows without labels make sense, copies with other words among them, since a teacher can give some.
        width: of a head that has no names.
        text_column: of checked rows: where text stands, for a model that is tried on some.
        max_length: tokens of a row, where that is not the usual number.
        columns: fields of `DataSettings` that name the columns of this task alone.
        fields: further fields of a recipe that are about this task alone, by section.
        compare: place of what compares student and teacher row by row for a report; None: see `not_compared`.
        not_compared: why a report does not compare them row by row.
        look: what shows an answer, where the page with both models does not; {place} is the student.
    """

    name: str
    kind: str
    auto_class: str
    student: str
    steps: str
    teacher: str
    load: str
    elsewhere: str = _WITHOUT_PACKAGE
    rows: str | None = None
    metrics: str | None = None
    head: bool = True
    has_decoder: bool = False
    chooses_student: bool = False
    aliases: tuple[str, ...] = ()
    bert: str | None = None
    named_labels: bool = False
    unlabelled: bool = False
    width: int | None = None
    text_column: str = "text"
    max_length: int | None = None
    columns: tuple[str, ...] = ()
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    compare: str | None = None
    not_compared: str = ""
    look: str | None = None

    @property
    def opener(self) -> Any:
        """The class of transformers that `auto_class` names."""
        return getattr(import_module("transformers"), self.auto_class)

    @property
    def student_class(self) -> Any:
        """The class that `student` names."""
        return getattr(import_module("tinybert_hf.model"), self.student)

    @property
    def ending(self) -> str:
        """What the name of a class with such a head ends in: ForSequenceClassification."""
        return self.auto_class.removeprefix("AutoModel")

    @property
    def words(self) -> str:
        """The name in a sentence."""
        return self.name.replace("-", " ")

    @property
    def of_plain_text(self) -> bool:
        """It has no rows: a student learns it before any task."""
        return self.rows is None

    @cached_property
    def task(self) -> Any:
        """What loads and tokenizes its rows, a `data.Task`."""
        assert self.rows is not None, f"{self.name} has no rows"
        return found(self.rows)()

    @cached_property
    def scores(self) -> Any:
        """What counts its metrics, a `TaskMetrics`."""
        assert self.metrics is not None, f"{self.name} has no metrics"
        return found(self.metrics)()


def found(place: str) -> Any:
    """What stands at a place, "module:name"."""
    module, name = place.split(":")
    return getattr(import_module(f"tinybert_hf.{module}"), name)


_A_CLASSIFIER = "a BERT that was fine-tuned on these labels, or any pretrained one together with --finetune-teacher"

TASKS = {
    spec.name: spec
    for spec in (
        TaskSpec(
            name=TEXT_CLASSIFICATION,
            kind="a text classifier",
            auto_class="AutoModelForSequenceClassification",
            student="TinyBertForSequenceClassification",
            bert="BertForSequenceClassification",
            steps="recipes.labelled:LabelledSteps",
            rows="data.text_classification:TextClassificationTask",
            metrics="evaluation.metrics:TextMetrics",
            teacher=_A_CLASSIFIER,
            load='import tinybert_hf; pipeline("text-classification", {place})',
            named_labels=True,
            unlabelled=True,
            columns=("text_column", "text_pair_column", "label_column", "problem_type"),
            compare="publishing.report_rows:compare_classifiers",
        ),
        TaskSpec(
            name=TOKEN_CLASSIFICATION,
            kind="a token classifier",
            auto_class="AutoModelForTokenClassification",
            student="TinyBertForTokenClassification",
            bert="BertForTokenClassification",
            steps="recipes.labelled:LabelledSteps",
            rows="data.token_classification:TokenClassificationTask",
            metrics="evaluation.metrics:TagMetrics",
            teacher=_A_CLASSIFIER,
            load='import tinybert_hf; pipeline("token-classification", {place})',
            aliases=("ner",),
            named_labels=True,
            unlabelled=True,
            text_column="tokens",
            columns=("tokens_column", "tags_column"),
            not_compared=(
                "Answers to single words are not compared here; `tinybert evaluate` measures a model on its rows."
            ),
            look='Look at it: transformers.pipeline("token-classification", "{place}")("Ada lives in Paris").',
        ),
        TaskSpec(
            name=QUESTION_ANSWERING,
            kind="a model that answers questions",
            auto_class="AutoModelForQuestionAnswering",
            student="TinyBertForQuestionAnswering",
            bert="BertForQuestionAnswering",
            steps="recipes.labelled:LabelledSteps",
            rows="data.question_answering:QuestionAnsweringTask",
            metrics="evaluation.question_answering:AnswerMetrics",
            teacher=_A_CLASSIFIER,
            load="from tinybert_hf import QuestionAnswerer; QuestionAnswerer({place})(question, context)",
            elsewhere=(
                "Where the package is not installed: AutoModelForQuestionAnswering.from_pretrained(..., "
                "trust_remote_code=True) gives the logits of start and end."
            ),
            aliases=("qa",),
            width=2,  # first and last token
            text_column="context",
            max_length=384,  # as is usual since the first BERT on SQuAD
            columns=("question_column", "context_column", "answers_column", "doc_stride"),
            not_compared=(
                "Rows are not compared one by one for question answering. `tinybert evaluate FOLDER --validation-file "
                "FILE --predictions answers.jsonl` writes the answers of each model."
            ),
            look='Ask it: tinybert_hf.QuestionAnswerer("{place}")(question, context).',
        ),
        TaskSpec(
            name=TRANSLATION,
            kind="a translator",
            auto_class="AutoModelForSeq2SeqLM",
            student="TinyBertForSeq2Seq",
            steps="recipes.translation:TranslationSteps",
            rows="data.translation:TranslationTask",
            metrics="evaluation.translation:TranslationMetrics",
            teacher="a translator of these languages, or one that `tinybert finetune` has trained on your pairs",
            load="import tinybert_hf; AutoModelForSeq2SeqLM.from_pretrained({place})",
            head=False,
            has_decoder=True,
            chooses_student=True,
            text_column="source",
            columns=("source_column", "target_column", "max_target_length"),
            fields={
                "": ("evaluation", "pseudo_labels", "teacher_num_beams"),
                "phases": ("decoder_layer_map", "decoder_attention_layer_map", "cross_attention_layer_map"),
            },
            compare="publishing.report_rows:compare_translators",
        ),
        TaskSpec(
            name=GENERAL,
            kind="an encoder",
            auto_class="AutoModel",
            student="TinyBertModel",
            steps="recipes.general:GeneralSteps",
            teacher="a pretrained BERT",
            load="import tinybert_hf; AutoModel.from_pretrained({place})",
            head=False,
            not_compared="Neither model answers anything yet: this is a general distillation, before any task.",
        ),
    )
}

# Encoders with a head.
HEADS = {name: spec for name, spec in TASKS.items() if spec.head}


def spec_of(problem_type: str | None) -> TaskSpec:
    """The task of a `TaskData`, or of what transformers calls a problem type: those are of text classification.

    Args:
        problem_type: single_label_classification and its like, or the name of another task; None where none is known.
    """
    return TASKS.get(problem_type or TEXT_CLASSIFICATION, TASKS[TEXT_CLASSIFICATION])


def task_of(config: Any) -> str:
    """The task of a saved encoder, by the class that its configuration names; without one, text classification.

    Args:
        config: a configuration of transformers.
    """
    names = config.architectures or ()
    for name, spec in HEADS.items():
        if any(one.endswith(spec.ending) for one in names):
            return name
    return TEXT_CLASSIFICATION


@cache
def student_shapes() -> dict[str, dict[str, Any]]:
    """`PRESETS` of the model family, by name, read from the file that has them: importing it would load torch."""
    file = Path(__file__).parent / "model" / "configuration_tinybert.py"
    for one in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(one, ast.AnnAssign) and ast.unparse(one.target) == "PRESETS" and one.value is not None:
            return dict(ast.literal_eval(one.value))
    raise LookupError(f"{file} has no PRESETS.")
