"""The options that several commands share, and what they change in a recipe."""

from __future__ import annotations

import csv
import functools
import inspect
import json
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import typer

from tinybert_hf.data.settings import (
    BEST,
    NEAREST,
    PROBLEM_TYPES,
    CopySettings,
    CorpusSettings,
    DataSettings,
    SearchSettings,
)
from tinybert_hf.errors import TinyBertError, check_number
from tinybert_hf.tasks import HEADS, TASKS, TEXT_CLASSIFICATION, student_shapes
from tinybert_hf.training.settings import FinetuneSettings, PhaseSchedule

if TYPE_CHECKING:
    from tinybert_hf.checkpoints.card_parts import CardSettings


# What the shell offers for a value: nothing is imported for it but the standard library.


def recipe_names() -> list[str]:
    """The shipped recipes; typer keeps those that begin like what was typed."""
    folder = Path(__file__).parent.parent / "recipes"
    return sorted(file.stem for file in folder.glob("*.yaml"))


def preset_names() -> list[str]:
    """The shapes of a student."""
    return list(student_shapes())


# The options that several commands share.

_DATA = "Data"
_RUN = "Run"
_TRAINING = "Training"
_MODELS = "Models"
_PANEL = "Text of a general distillation"
USUAL_MASKED_SHARE = 0.15


def above_zero(value: float | None) -> float | None:
    """Refuse what no training could do."""
    return _checked(value, "a finite number above 0")


def zero_or_more(value: float | None) -> float | None:
    """Refuse what is no amount."""
    return _checked(value, "a finite number of 0 or more", zero=True)


def _checked(value: float | None, expected: str, *, zero: bool = False) -> float | None:
    try:
        check_number(value, "it", zero=zero)
    except TinyBertError as error:
        raise typer.BadParameter(f"{value:g} is not {expected}.") from error
    return value


TASK_NAMES = {name: spec.name for spec in HEADS.values() for name in (spec.name, *spec.aliases)}


def task_name(value: str | None) -> str | None:
    """The name of a task in full."""
    if value is None or value in TASK_NAMES:
        return TASK_NAMES.get(value or "")
    raise typer.BadParameter(f"there is no task {value!r}; known are {', '.join(TASK_NAMES)}")


def problem_type_name(value: str | None) -> str | None:
    """The name of a problem type, if there is such."""
    if value is None or value in PROBLEM_TYPES:
        return value
    raise typer.BadParameter(f"there is no problem type {value!r}; known are {', '.join(PROBLEM_TYPES)}")


_NO_ACCELERATOR = "Use no accelerator."
Cpu = Annotated[bool, typer.Option("--cpu", help=_NO_ACCELERATOR, rich_help_panel=_RUN)]


class Option(NamedTuple):
    """An option that several commands have, or that sets a field of a recipe.

    Attributes:
        kind: of its value; bool: it is given or not; tuple: it is given any number of times.
        help: what it means.
        panel: of the help of a command.
        path: of the field in a recipe; None: several fields follow from it, see `recipe_overrides`.
        value: of the field; None: what was given.
        more: for `typer.Option`.
        unset: what it has where it is not given; None: a recipe says it.
    """

    kind: Any
    help: str
    panel: str
    path: str | None = None
    value: Callable[[Any], Any] | None = None
    more: Mapping[str, Any] = MappingProxyType({})
    unset: Any = None

    @property
    def default(self) -> Any:
        """What it has where it is not given."""
        return False if self.kind is bool and "flags" not in self.more else self.unset

    def parameter(self, name: str, panel: str | None) -> inspect.Parameter:
        """The parameter of a command, as typer reads it.

        Args:
            name: of the option, with underscores.
            panel: in place of its own.
        """
        more = dict(self.more)
        if self.kind is bool:
            more.setdefault("flags", f"--{name.replace('_', '-')}")
        flags = (more.pop("flags"),) if "flags" in more else ()
        kind: Any = list[str] if self.kind is tuple else self.kind
        option = typer.Option(*flags, help=self.help, rich_help_panel=panel or self.panel, **more)
        default = self.default
        annotation: Any = Annotated[kind | None if default is None else kind, option]  # type: ignore[valid-type]
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def field_option(
    settings: Any, field: str, panel: str, path: str | None = None, value: Any = None, help: str = "", **more: Any
) -> Option:
    """The option that is a field: it has the type of the field, and means the same.

    Args:
        settings: a dataclass.
        field: of it.
        panel: as in Option, like path, value and more.
        path: its place in a recipe.
        value: what the field gets.
        help: other words, where a command line wants them.
    """
    (found,) = (one for one in fields(settings) if one.name == field)
    hint = get_type_hints(settings)[field]
    kinds = [one for one in get_args(hint) or (hint,) if one not in (types.NoneType, Ellipsis)]
    kind: Any = str if str in kinds else kinds[0]
    if get_origin(hint) is tuple:
        kind = tuple
    # A flag cannot say no: what a recipe says stays, where it is not given.
    return Option(kind, help or found.metadata["help"], panel, path, value, more)


def data_option(field: str, **more: Any) -> Option:
    """An option of the rows."""
    return field_option(DataSettings, field, _DATA, f"data.{field}", **more)


def corpus_option(field: str, **more: Any) -> Option:
    """An option of plain text."""
    return field_option(CorpusSettings, field, _PANEL, f"corpus.{field}", **more)


def search_option(field: str, panel: str, **more: Any) -> Option:
    """An option of a search for pseudo-labels, with the field's own default."""
    path = f"pseudo_labels.{field}"
    return field_option(SearchSettings, field, panel, path, **more)._replace(unset=getattr(SearchSettings, field))


def copy_option(field: str, **more: Any) -> Option:
    """An option of augmented copies, with the field's own default."""
    path = f"augmentation.{field}"
    return field_option(CopySettings, field, "Words", path, **more)._replace(unset=getattr(CopySettings, field))


OPTIONS: dict[str, Option] = {
    "train_file": data_option("train_file"),
    "validation_file": data_option("validation_file"),
    "validation_split": data_option(
        "validation_split",
        metavar="SHARE|NAME",
        help="In place of --validation-file: a share of the training rows that is held out, such as 0.1. Of a dataset "
        "on the Hub also the name of a split.",
    ),
    "text_column": data_option("text_column", help="Column with the text. Not named: text, or else sentence."),
    "text_pair_column": data_option("text_pair_column"),
    "label_column": data_option("label_column", help="Column with the label. Not named: label, or else labels."),
    "label_names": Option(
        str,
        "All labels, in order; numbers in the data are places in this list, from 0, unless the names are these "
        'numbers (-1,0,1). A name with a comma stands in quotation marks, or all in a JSON list: \'["a, b", "c"]\'. '
        "Not given: those of the rows.",
        _DATA,
        "data.label_names",
        value=lambda text: names_of(text),
        more={"metavar": "NAME,NAME,..."},
    ),
    "label_separator": data_option("label_separator", metavar="TEXT"),
    "problem_type": data_option(
        "problem_type",
        metavar="NAME",
        callback=problem_type_name,
        autocompletion=lambda: list(PROBLEM_TYPES),
        help="What the labels are, as transformers calls it: single_label_classification, "
        "multi_label_classification or regression. Not given: what a trained model or the labels say.",
    ),
    "source_column": data_option("source_column", help="Translation: column with the text to translate."),
    "target_column": data_option("target_column"),
    "tokens_column": data_option(
        "tokens_column", help="Named entities: column with the list of words. Default: tokens."
    ),
    "tags_column": data_option(
        "tags_column",
        help="Named entities: column with a tag for each word (B-person, I-person, O). Default: ner_tags.",
    ),
    "unlabelled_file": Option(
        str,
        "Further rows without labels (without translations): the student learns what the teacher says of them.",
        _DATA,
        "pseudo_labels.unlabelled_file",
    ),
    "unlabelled_column": Option(
        str, "Translation: their column. Default: as --source-column.", _DATA, "pseudo_labels.unlabelled_column"
    ),
    "text_corpus": data_option(
        "text_corpus",
        help="Any text: its sentences are further rows without labels, as single texts, pairs of neighbours or rows "
        "of words. A text file, or a table with a column text.",
    ),
    "max_length": data_option(
        "max_length",
        min=1,
        help="Tokens of a row that are read; the rest is cut off. Default: 128, or what the recipe or the trained "
        "model says.",
    ),
    "task": Option(
        str,
        "What the model is to do: text-classification; ner (token-classification): a tag for each word; qa "
        "(question-answering): rows with question, context and answers. Not given: text-classification, or ner where "
        "--tokens-column or --tags-column is given.",
        _TRAINING,
        more={"metavar": "NAME", "callback": task_name, "autocompletion": lambda: list(TASK_NAMES)},
    ),
    "teacher": Option(
        tuple,
        "Folder or Hub id of the model to learn from, fine-tuned for your task. Given again: one more, fine-tuned on "
        "the same labels, to learn from at the same time; the first is the main one.",
        _MODELS,
    ),
    "finetune_teacher": Option(
        bool, "The teacher is pretrained only: fine-tune it on the training rows first.", _MODELS
    ),
    "teacher_weights": Option(
        str,
        "How much each --teacher counts, in their order. Default: all the same.",
        _MODELS,
        more={"metavar": "NUMBER,NUMBER,..."},
    ),
    "student": Option(
        str,
        "A preset (4l-312d, 6l-768d, seq2seq-6-2-256d, ...), or folder or Hub id of a TinyBERT. Translation, not "
        "given: the first translator that is smaller and faster than the teacher.",
        _MODELS,
        more={"autocompletion": preset_names},
    ),
    "target_speedup": Option(
        float,
        "In place of --student: the largest preset that is so many times as fast as the teacher, measured here.",
        _MODELS,
        "student.target_speedup",
        more={"metavar": "TIMES"},
    ),
    "target_latency": Option(
        str,
        "Likewise: that takes at most so long for a text of 32 tokens, such as 2ms.",
        _MODELS,
        more={"metavar": "MILLISECONDS"},
    ),
    "init": Option(
        str,
        "Where the first weights of a student from a preset come from. Translators: random only.",
        _MODELS,
        "student.init",
        more={"metavar": "teacher|random", "autocompletion": lambda: ["teacher", "random"]},
    ),
    "augment": field_option(
        CopySettings,
        "copies",
        _TRAINING,
        "augmentation.copies",
        min=0,
        metavar="COPIES",
        help="Learn from so many copies of each row too, with other words and without its label; 0: from none, where "
        "the recipe would.",
    ),
    "augmentation_model": Option(
        str,
        "Folder or Hub id of the masked-LM that finds these words. Default: the teacher, or its embeddings.",
        _MODELS,
        "augmentation.model",
    ),
    "copies": copy_option("copies", min=1, help="Copies of each row."),
    "probability": copy_option("probability"),
    "candidates": copy_option("candidates", min=1),
    "num_beams": search_option("num_beams", "Search", min=1),
    "select": search_option(
        "select",
        "Search",
        metavar="best|nearest",
        autocompletion=lambda: [BEST, NEAREST],
        help="Which hypothesis of the beam: the best, or the nearest to the reference (sentence chrF).",
    ),
    "max_length_factor": search_option(
        "max_length_factor",
        "Filters",
        callback=zero_or_more,
        help="Leave out translations this many times longer or shorter than is usual in the data (without references: "
        "than their source, in tokens); 0: any length.",
    ),
    "max_repeats": search_option(
        "max_repeats",
        "Filters",
        min=0,
        help="Leave out translations that repeat four words (or characters, as in Chinese) more often than this, and "
        "than their source does; 0: any number.",
    ),
    "corpus": corpus_option("files", metavar="FILE ..."),
    "dataset": corpus_option("dataset", help="Instead of --corpus: id of a dataset on the Hub."),
    "dataset_config": corpus_option("dataset_config"),
    "streaming": corpus_option("streaming"),
    "block_size": corpus_option("block_size", min=8, help="Tokens of a block at most. Default: 128."),
    "masked_lm": Option(
        bool,
        "Mask 15 % of the tokens for both models, and learn to find them as well (masked-LM loss).",
        _PANEL,
        "corpus.masked_share",
        value=lambda _: USUAL_MASKED_SHARE,
    ),
    "corpus_cache": corpus_option(
        "cache",
        help="Folder that keeps the tokenised text for further runs. Default: in the cache folder of Hugging Face.",
    ),
    "epochs": field_option(
        PhaseSchedule,
        "epochs",
        _TRAINING,
        callback=above_zero,
        help="Epochs of each phase of the distillation. A baseline gets as many as all phases together, unless "
        "--baseline-epochs says otherwise; the fine-tuning of a teacher keeps its own (--teacher-epochs).",
    ),
    "teacher_epochs": field_option(
        FinetuneSettings,
        "epochs",
        _TRAINING,
        callback=above_zero,
        help="Epochs of a teacher that is fine-tuned first. Default: the recipe's, else 3, and more where rows are "
        "few, up to 10.",
    ),
    "baseline_epochs": field_option(
        FinetuneSettings,
        "epochs",
        _TRAINING,
        callback=above_zero,
        help="Epochs of the student that is trained without the teacher. Default: the recipe's, else as many as all "
        "phases together would take of the rows with labels; with --epochs, as many as all phases.",
    ),
    "learning_rate": field_option(
        PhaseSchedule,
        "learning_rate",
        _TRAINING,
        callback=above_zero,
        help="Highest learning rate of each phase. Default: the recipe's, else by the phase and the student's width. "
        "A baseline that names none takes that of the last phase; a teacher's fine-tuning keeps its own.",
    ),
    "batch_size": field_option(
        PhaseSchedule,
        "batch_size",
        _TRAINING,
        min=1,
        help="Rows of a step, in every training of the run; fewer where memory is short.",
    ),
    "baseline": Option(
        bool,
        "Also train the student without the teacher, to compare. Default: as the recipe says.",
        _TRAINING,
        more={"flags": "--baseline/--no-baseline"},
    ),
    "prune_vocabulary": Option(
        tuple,
        "Afterwards, leave out the word pieces that this text does not use: a file (.txt, .jsonl, .csv, ...; any "
        "number of times), or train for the training rows. --set prune_vocabulary.margin=... and so on.",
        _MODELS,
        "prune_vocabulary.corpus",
        more={"metavar": "FILE|train"},
    ),
    "bf16": Option(bool, "Train in bfloat16 mixed precision.", _TRAINING, "training_arguments.bf16"),
    "output_dir": Option(
        str,
        "Folder for the result: new, empty, or of the same run, which then goes on. Default: runs/RECIPE.",
        _RUN,
        "output_dir",
    ),
    "seed": Option(int, "Seed of every random choice. Default: the recipe's, else 42.", _RUN, "seed", more={"min": 0}),
    "cpu": Option(bool, _NO_ACCELERATOR, _RUN, "training_arguments.use_cpu"),
    "set": Option(
        tuple,
        "Any field of the recipe, any number of times: phases.0.learning_rate=1e-4. Wins over the options.",
        _RUN,
        more={"metavar": "PATH=VALUE"},
    ),
}

# The columns of the rows, of whatever task.
COLUMNS = (
    *("text_column", "text_pair_column", "label_column", "label_separator", "problem_type"),
    *("source_column", "target_column", "tokens_column", "tags_column"),
)
FURTHER = "Further options"


def takes(*names: str, further: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options of the table; it gets those that were given as the mapping `given`, by name.

    Args:
        names: that it has, in the order of its help.
        further: that stand in a panel of their own at the end of the help.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_options(**values: Any) -> None:
            given = {name: values.pop(name) for name in (*names, *further)}
            kept = {name: one for name, one in given.items() if one not in ([], OPTIONS[name].default)}
            command(**values, given=kept)

        own = [one for name, one in inspect.signature(command, eval_str=True).parameters.items() if name != "given"]
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
        needed = [one for one in own if one.default is inspect.Parameter.empty]
        parameters = [
            *needed,
            *(OPTIONS[name].parameter(name, None) for name in names),
            *(one for one in own if one not in needed),
            *(OPTIONS[name].parameter(name, FURTHER) for name in further),
        ]
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {one.name: one.annotation for one in parameters}
        return with_options

    return decorate


def fields_of(given: Mapping[str, Any], section: str) -> dict[str, Any]:
    """The fields of a section of the recipe that options have set, by their names there."""
    prefix = f"{section}."
    return {path.removeprefix(prefix): value for path, value in paths_of(given).items() if path.startswith(prefix)}


def paths_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that options have set, by dotted path."""
    found = {}
    for name, value in given.items():
        option = OPTIONS[name]
        if option.path is not None:
            found[option.path] = value if option.value is None else option.value(value)
    return found


def choose_columns(settings: DataSettings, named: Collection[str]) -> DataSettings:
    """Take the obvious columns where none are named, and say which, so that nothing happens in silence."""
    from tinybert_hf.data.files import OBVIOUS_COLUMNS, with_obvious_columns

    chosen = with_obvious_columns(settings, named)
    for field in OBVIOUS_COLUMNS:
        column = getattr(chosen, field)
        if column != getattr(settings, field):
            kind = field.removesuffix("_column")
            typer.echo(f"The {kind} is taken from the column {column!r} (--{kind}-column names another).", err=True)
    return chosen


def names_of(text: str) -> tuple[str, ...]:
    """The labels that --label-names gives: a JSON list, or names between commas, quoted where they hold one."""
    try:
        if text.strip().startswith("["):
            found = json.loads(text)
        else:
            (found,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (ValueError, csv.Error):
        found = []
    names = tuple(str(name).strip() for name in found)
    if len(names) < 2 or not all(names):
        raise typer.BadParameter(
            f'--label-names {text!r}: give two names or more, separated by commas: "negative,positive"; a name with '
            'a comma in quotation marks, or all of them as a JSON list: \'["Health, Sport", "World"]\''
        )
    if len(set(names)) < len(names):
        raise typer.BadParameter(f"--label-names {text!r} holds a name twice: {', '.join(names)}")
    return names


# Where the rows of --validation-file are, for the commands that measure models which exist already.


def validation_settings(task: str | None, known: Mapping[str, Any], given: Mapping[str, Any]) -> DataSettings:
    """The rows with the columns that were named, else those that a model was trained with, else the obvious ones.

    Args:
        task: a name in `HEADS`; None: a translator's.
        known: what the model was trained with, from `trained_with`.
        given: by options, from `fields_of`.
    """
    settings = DataSettings(**{**usual_rows(task), **known, **given})
    return choose_columns(settings, given) if task == TEXT_CLASSIFICATION else settings


def usual_rows(task: str | None) -> dict[str, Any]:
    """Fields of `DataSettings` that are other ones for this task, where nobody names them."""
    length = None if task is None else TASKS[task].max_length
    return {} if length is None else {"max_length": length}


# What a model was trained with, where its folder says so: then it need not be said again.

_KEPT = (
    *(name for spec in TASKS.values() for name in spec.columns if name != "max_target_length"),
    *("label_separator", "max_length"),
)


def trained_with(model: str) -> dict[str, Any]:
    """The columns, length and problem of the run that made the model.

    Args:
        model: a folder; one that holds a run.json, or an export of such a model. Of any other nothing is known.

    Raises:
        TinyBertError: the file cannot be read.
    """
    run, note = Path(model) / "run.json", Path(model) / "export.json"
    file = run if run.is_file() else note
    if not file.is_file():
        return {}
    from tinybert_hf.recipes.loader import build

    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        known = content["recipe"]["data"] if file == run else content.get("trained_with", {})  # older exports: none
        kept = {name: known[name] for name in _KEPT if known.get(name) is not None}
        build(DataSettings, kept)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TinyBertError(
            f"{file} does not say which columns the model was trained with ({type(error).__name__}: {error}). Move it "
            "away and name them: --text-column, --label-column."
        ) from error
    return kept


# What `card` and `push` ask about a model card: license and language.

License = Annotated[
    str | None,
    typer.Option(
        help="As the Hub names it: apache-2.0, mit, cc-by-sa-4.0, or other. Default: that of the recipe or of the "
        "teacher's card, or else unknown."
    ),
]
LicenseName = Annotated[str | None, typer.Option(help="With --license other: its name, such as my-license-1.0.")]
LicenseLink = Annotated[str | None, typer.Option(help="With --license other: where its text stands.")]
Languages = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="CODE,...",
        help="Of the texts, in ISO 639: en, or en,zh. Default: that of the recipe, of the dataset, of the teacher's "
        "card, or of the training rows.",
    ),
]


def card_settings(
    license: str | None, license_name: str | None, license_link: str | None, language: str | None
) -> CardSettings:
    """The options as one value.

    Raises:
        TinyBertError: the Hub would refuse one of them.
    """
    from tinybert_hf.checkpoints.card_parts import CardSettings

    codes = tuple(code.strip() for code in (language or "").split(",") if code.strip())
    return CardSettings(license, license_name, license_link, codes or None)


def say_what_is_open(text: str) -> None:
    """A line on the standard error for each thing that the card leaves open."""
    from huggingface_hub import ModelCard

    from tinybert_hf.checkpoints.card_parts import UNDETERMINED, UNKNOWN_LICENSE

    data = ModelCard(text, ignore_metadata_errors=True).data
    for field, value, option in (
        ("license", UNKNOWN_LICENSE, "--license"), ("language", UNDETERMINED, "--language"),
    ):  # fmt: skip
        if getattr(data, field, None) == value:
            typer.echo(f"Note: nobody has named the {field} of this model; give it with {option}.", err=True)
