"""The options that several commands share, and what they change in a recipe."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tinybert_hf.errors import TinyBertError, check_number

if TYPE_CHECKING:
    from tinybert_hf.checkpoints.card_parts import CardSettings
    from tinybert_hf.data import DataSettings


# What the shell offers for a value: nothing is imported for it but the standard library.


def recipe_names() -> list[str]:
    """The shipped recipes; typer keeps those that begin like what was typed."""
    folder = Path(__file__).parent.parent / "recipes"
    return sorted(file.stem for file in folder.glob("*.yaml"))


# The options that several commands share.

_DATA = "Data"
_RUN = "Run"
_TRAINING = "Training"


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


TASK_NAMES = {
    "text-classification": "text-classification",
    "token-classification": "token-classification",
    "ner": "token-classification",
    "question-answering": "question-answering",
    "qa": "question-answering",
}


def task_name(value: str | None) -> str | None:
    """The name of a task in full."""
    if value is None or value in TASK_NAMES:
        return TASK_NAMES.get(value or "")
    raise typer.BadParameter(f"there is no task {value!r}; known are {', '.join(TASK_NAMES)}")


def problem_type_name(value: str | None) -> str | None:
    """The name of a problem type, if there is such."""
    from tinybert_hf.data.settings import PROBLEM_TYPES

    if value is None or value in PROBLEM_TYPES:
        return value
    raise typer.BadParameter(f"there is no problem type {value!r}; known are {', '.join(PROBLEM_TYPES)}")


Task = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=task_name,
        help="What the model is to do: text-classification; ner (token-classification): a tag for each word; qa "
        "(question-answering): rows with question, context and answers. Not given: text-classification, or ner where "
        "--tokens-column or --tags-column is given.",
        rich_help_panel=_TRAINING,
    ),
]
TrainFile = Annotated[
    str | None,
    typer.Option(help="Rows to learn from: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel=_DATA),
]
ValidationFile = Annotated[str | None, typer.Option(help="Rows to measure on, likewise.", rich_help_panel=_DATA)]
ValidationSplit = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE|NAME",
        help="In place of --validation-file: a share of the training rows that is held out, such as 0.1. Of a dataset "
        "on the Hub also the name of a split.",
        rich_help_panel=_DATA,
    ),
]
TextColumn = Annotated[
    str | None,
    typer.Option(help="Column with the text. Not named: text, or else sentence.", rich_help_panel=_DATA),
]
TextPairColumn = Annotated[
    str | None, typer.Option(help="Column with the second text, where rows are pairs.", rich_help_panel=_DATA)
]
LabelColumn = Annotated[
    str | None,
    typer.Option(help="Column with the label. Not named: label, or else labels.", rich_help_panel=_DATA),
]
LabelNames = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,NAME,...",
        help="All labels, in order; numbers in the data are places in this list, from 0, unless the names are these "
        'numbers (-1,0,1). A name with a comma stands in quotation marks, or all in a JSON list: \'["a, b", "c"]\'. '
        "Not given: those of the rows.",
        rich_help_panel=_DATA,
    ),
]
LabelSeparator = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help='What stands between the labels of a row that has several, where they are one text: "|" for '
        '"sports|politics".',
        rich_help_panel=_DATA,
    ),
]
ProblemType = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=problem_type_name,
        help="What the labels are, as transformers calls it: single_label_classification, "
        "multi_label_classification or regression. Not given: what a trained model or the labels say.",
        rich_help_panel=_DATA,
    ),
]
SourceColumn = Annotated[
    str | None, typer.Option(help="Translation: column with the text to translate.", rich_help_panel=_DATA)
]
TargetColumn = Annotated[
    str | None, typer.Option(help="Translation: column with its translation.", rich_help_panel=_DATA)
]
TokensColumn = Annotated[
    str | None,
    typer.Option(help="Named entities: column with the list of words. Default: tokens.", rich_help_panel=_DATA),
]
TagsColumn = Annotated[
    str | None,
    typer.Option(
        help="Named entities: column with a tag for each word (B-person, I-person, O). Default: ner_tags.",
        rich_help_panel=_DATA,
    ),
]
UnlabelledFile = Annotated[
    str | None,
    typer.Option(
        help="Further rows without labels (without translations): the student learns what the teacher says of them.",
        rich_help_panel=_DATA,
    ),
]
UnlabelledColumn = Annotated[
    str | None,
    typer.Option(help="Translation: their column. Default: as --source-column.", rich_help_panel=_DATA),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Tokens of a row that are read; the rest is cut off. Default: 128, or what the recipe or the trained "
        "model says.",
        rich_help_panel=_DATA,
    ),
]
OutputDir = Annotated[
    str | None,
    typer.Option(
        help="Folder for the result: new, empty, or of the same run, which then goes on. Default: runs/RECIPE.",
        rich_help_panel=_RUN,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, help="Seed of every random choice. Default: the recipe's, else 42.", rich_help_panel=_RUN),
]
Cpu = Annotated[bool, typer.Option("--cpu", help="Use no accelerator.", rich_help_panel=_RUN)]
Bf16 = Annotated[bool, typer.Option("--bf16", help="Train in bfloat16 mixed precision.", rich_help_panel=_TRAINING)]


# Names of HEADS, and shorter ones.
def data_overrides(
    train_file: str | None = None,
    validation_file: str | None = None,
    text_column: str | None = None,
    text_pair_column: str | None = None,
    label_column: str | None = None,
    max_length: int | None = None,
    label_names: str | None = None,
    source_column: str | None = None,
    target_column: str | None = None,
    tokens_column: str | None = None,
    tags_column: str | None = None,
    label_separator: str | None = None,
    problem_type: str | None = None,
    validation_split: str | None = None,
) -> dict[str, Any]:
    """The fields of DataSettings that were given on the command line."""
    given = {
        "train_file": train_file,
        "validation_file": validation_file,
        "text_column": text_column,
        "text_pair_column": text_pair_column,
        "label_column": label_column,
        "max_length": max_length,
        "label_names": None if label_names is None else names_of(label_names),
        "source_column": source_column,
        "target_column": target_column,
        "tokens_column": tokens_column,
        "tags_column": tags_column,
        "label_separator": label_separator,
        "problem_type": problem_type,
        "validation_split": validation_split,
    }
    return {name: value for name, value in given.items() if value is not None}


def training_overrides(cpu: bool, bf16: bool) -> dict[str, Any]:
    """The fields of TrainingArguments that were given on the command line."""
    return {name: True for name, given in (("use_cpu", cpu), ("bf16", bf16)) if given}


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


# The options of a general distillation, and which options do not belong to it.

GENERAL_RECIPE = "general"
USUAL_MASKED_SHARE = 0.15
_PANEL = "Text of a general distillation"

Corpus = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE ...",
        help="Text files, .jsonl, .csv, .parquet with a text column, also .gz; patterns, folders; several at once.",
        rich_help_panel=_PANEL,
    ),
]
Dataset = Annotated[
    str | None, typer.Option(help="Instead of --corpus: id of a dataset on the Hub.", rich_help_panel=_PANEL)
]
DatasetConfig = Annotated[str | None, typer.Option(help="Name of its configuration.", rich_help_panel=_PANEL)]
Streaming = Annotated[
    bool,
    typer.Option(
        "--streaming", help="Keep only the tokens of the dataset on the disk, not its text.", rich_help_panel=_PANEL
    ),
]
BlockSize = Annotated[
    int | None,
    typer.Option(min=8, help="Tokens of a block at most. Default: 128.", rich_help_panel=_PANEL),
]
MaskedLm = Annotated[
    bool,
    typer.Option(
        "--masked-lm",
        help="Mask 15 % of the tokens for both models, and learn to find them as well (masked-LM loss).",
        rich_help_panel=_PANEL,
    ),
]
CorpusCache = Annotated[
    str | None,
    typer.Option(
        help="Folder that keeps the tokenised text for further runs. Default: in the cache folder of Hugging Face.",
        rich_help_panel=_PANEL,
    ),
]

# The option of each field of the corpus.
_OPTIONS = {
    "files": "--corpus",
    "dataset": "--dataset",
    "dataset_config": "--dataset-config",
    "streaming": "--streaming",
    "block_size": "--block-size",
    "masked_share": "--masked-lm",
    "cache": "--corpus-cache",
}
# Fields of other tasks, each with its option, and what to say instead.
_REFUSED = {
    "data.train_file": ("--train-file", "its text is given with --corpus"),
    "data.validation_split": ("--validation-split", "its held-out text is given with --validation-file"),
    "data.max_length": ("--max-length", "its length is that of a block, --block-size"),
    "data.problem_type": ("--problem-type", "plain text has no labels"),
    "teacher.finetune": ("--finetune-teacher", "there are no labels to fine-tune a teacher on"),
    "further_teachers": ("a second --teacher", "it has one teacher"),
    **{
        f"data.{name}": (f"--{name.replace('_', '-')}", "plain text has no such column")
        for name in (
            *("text_pair_column", "label_column", "label_names", "label_separator"),
            *("source_column", "target_column"),
        )
    },
    **{
        f"pseudo_labels.{name}": (f"--{name.replace('_', '-')}", "its text is given with --corpus")
        for name in ("unlabelled_file", "unlabelled_column")
    },
}


def corpus_overrides(
    corpus: list[str] | None,
    dataset: str | None,
    dataset_config: str | None,
    streaming: bool,
    block_size: int | None,
    masked_lm: bool,
    corpus_cache: str | None,
) -> dict[str, Any]:
    """The fields of the corpus that were given on the command line, by dotted path."""
    given = {
        "files": tuple(corpus) if corpus else None,
        "dataset": dataset,
        "dataset_config": dataset_config,
        "streaming": streaming or None,
        "block_size": block_size,
        "masked_share": USUAL_MASKED_SHARE if masked_lm else None,
        "cache": corpus_cache,
    }
    return {f"corpus.{name}": value for name, value in given.items() if value is not None}


def of_the_task(recipe: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The changes to a recipe under the names of its task; what is of another task is refused.

    Args:
        recipe: name or file.
        overrides: by dotted path, of all options.

    Raises:
        BadParameter: an option does not belong to the task; naming both.
    """
    from tinybert_hf.recipes.loader import read_recipe

    mapping, changed = read_recipe(recipe), dict(overrides)
    if mapping.get("task") != GENERAL_RECIPE:
        for name, option in _OPTIONS.items():
            if f"corpus.{name}" in changed:
                raise typer.BadParameter(
                    f"{option} is for plain text (tinybert distill general), and the task of {recipe} is "
                    f"{mapping.get('task', 'text-classification')}."
                )
        return changed if mapping.get("task") == "translation" else _unlabelled_rows(changed)
    for path, (option, reason) in _REFUSED.items():
        if changed.get(path) is not None:
            raise typer.BadParameter(f"{option} does not belong to a general distillation: {reason}.")
    if "data.validation_file" in changed:
        changed["corpus.validation_files"] = (changed.pop("data.validation_file"),)
    if "data.text_column" in changed:
        changed["corpus.text_column"] = changed.pop("data.text_column")
    if "corpus.masked_share" in changed:
        phases = mapping.get("phases")
        for index in range(len(phases) if isinstance(phases, list) else 0):
            changed[f"phases.{index}.label_loss_weight"] = 1.0
    return changed


def _unlabelled_rows(changed: dict[str, Any]) -> dict[str, Any]:
    """The file without labels under the name that it has where nothing is translated."""
    if "pseudo_labels.unlabelled_column" in changed:
        raise typer.BadParameter(
            "--unlabelled-column is for translation. Here the file of --unlabelled-file has its texts in columns of "
            "the same names as the training rows (--text-column, --text-pair-column, --tokens-column)."
        )
    if "pseudo_labels.unlabelled_file" in changed:
        changed["data.unlabelled_file"] = changed.pop("pseudo_labels.unlabelled_file")
    return changed


# What --teacher, --student and their like change in a recipe.


def model_overrides(
    teachers: list[str], weights: str | None, finetune_teacher: bool, student: str | None, init: str | None
) -> dict[str, Any]:
    """The fields of the teachers and the student that were given, by dotted path.

    Args:
        teachers: the first is the main one, which takes the place of one that the recipe would make or fine-tune.
        weights: how much each of them counts, separated by commas.
        finetune_teacher: the main one is pretrained only.
        student: a preset, or a folder or Hub id.
        init: teacher or random.
    """
    overrides = joint_overrides(teachers[1:], weights)
    if teachers:
        overrides |= {"teacher.model": teachers[0], "teacher.config": None, "teacher.finetune": None}
    if finetune_teacher:
        overrides["teacher.finetune"] = {}
    if student is not None:
        is_model = (Path(student).exists() or "/" in student) and not _is_preset(student)
        overrides |= {"student.model": student if is_model else None, "student.preset": None if is_model else student}
        overrides["student.overrides"] = {}
    if init is not None:
        overrides["student.init"] = init
    return overrides


def _is_preset(name: str) -> bool:
    from tinybert_hf.model import PRESETS  # loads torch, which a wrong name elsewhere does not need

    return name in PRESETS


def joint_overrides(further: list[str], weights: str | None) -> dict[str, Any]:
    """The further teachers, and how much each teacher counts."""
    if weights is None:
        return {"further_teachers": [{"model": model} for model in further]} if further else {}
    if not further:
        raise typer.BadParameter(
            "--teacher-weights goes with several --teacher. To change the weights of a recipe: "
            "--set teacher.weight=2 --set further_teachers.0.weight=1"
        )
    given = [text.strip() for text in weights.split(",")]
    if len(given) != 1 + len(further):
        raise typer.BadParameter(
            f"--teacher-weights {weights!r} has {len(given)} numbers, and there are {1 + len(further)} teachers: one "
            "for each --teacher, separated by commas"
        )
    teachers = [{"model": model, "weight": weight} for model, weight in zip(further, given[1:], strict=True)]
    return {"teacher.weight": given[0], "further_teachers": teachers}


# What --epochs, --teacher-epochs, --baseline-epochs, --batch-size and --learning-rate change in a recipe.


class Epochs(NamedTuple):
    """Epochs that were given: of each phase, of the teacher's fine-tuning, and of the baseline."""

    phase: float | None = None
    teacher: float | None = None
    baseline: float | None = None


def phase_overrides(
    recipe: str,
    overrides: Mapping[str, Any],
    epochs: Epochs,
    batch_size: int | None,
    learning_rate: float | None = None,
    *,
    with_baseline: bool = False,
) -> dict[str, Any]:
    """Every phase gets the epochs, the batch size and the learning rate, and what is compared with the phases follows.

    The baseline gets the epochs of all phases together, since the two are to see equally many rows, unless it is
    given epochs of its own. The fine-tuning of a teacher is another training and has only epochs of its own. The batch
    size holds for the baseline and for the fine-tuning of a teacher too, which need as much memory.

    Args:
        recipe: name or file.
        overrides: the changes by the other options, by dotted path.
        epochs: that were given.
        batch_size: rows of a step, or None.
        learning_rate: of each phase, and of no other training, or None.
        with_baseline: a baseline is wanted even where the recipe has none.

    Returns:
        Further changes by dotted path.

    Raises:
        RecipeError: the recipe cannot be read.
        BadParameter: epochs of a training that the run does not have.
    """
    from tinybert_hf.recipes.loader import read_recipe, set_value

    given = {"epochs": epochs.phase, "batch_size": batch_size}
    wanted = {name: value for name, value in given.items() if value is not None}
    of_phases = wanted | ({} if learning_rate is None else {"learning_rate": learning_rate})
    if not of_phases and epochs == Epochs():
        return {}
    mapping = read_recipe(recipe)
    for path, value in overrides.items():
        set_value(mapping, path, value)
    changed: dict[str, Any] = {}
    phases = mapping.get("phases")
    if phases is None and of_phases:
        from tinybert_hf.recipes.schema import Recipe

        phases = [{"name": phase.name} for phase in Recipe.phases]  # the default of the field
        changed["phases"] = phases
    if of_phases and not isinstance(phases, list):
        return {}  # the loader says what is wrong with them
    for index in range(len(phases or ())):
        changed |= {f"phases.{index}.{name}": value for name, value in of_phases.items()}
    if with_baseline or mapping.get("baseline") is not None:
        changed |= {f"baseline.{name}": value for name, value in wanted.items()}
        if epochs.phase is not None:
            changed["baseline.epochs"] = None  # as many as all phases together, whatever --set says of one
        if epochs.baseline is not None:
            changed["baseline.epochs"] = epochs.baseline
    elif epochs.baseline is not None:
        raise typer.BadParameter("--baseline-epochs: this run has no baseline; add one with --baseline")
    teacher = mapping.get("teacher")
    own = {"batch_size": batch_size, "epochs": epochs.teacher}
    if isinstance(teacher, Mapping) and teacher.get("finetune") is not None:
        changed |= {f"teacher.finetune.{name}": value for name, value in own.items() if value is not None}
    elif epochs.teacher is not None:
        raise typer.BadParameter(
            "--teacher-epochs: no teacher is fine-tuned in this run; a pretrained one is with --finetune-teacher"
        )
    return changed


# Where the rows of --validation-file are, for the commands that measure models which exist already.


def validation_settings(task: str | None, known: Mapping[str, Any], given: Mapping[str, Any]) -> DataSettings:
    """The rows with the columns that were named, else those that a model was trained with, else the obvious ones.

    Args:
        task: a name in `HEADS`; None: a translator's.
        known: what the model was trained with, from `trained_with`.
        given: by options, from `data_overrides`.
    """
    from tinybert_hf.checkpoints import TEXT_CLASSIFICATION
    from tinybert_hf.data.settings import QUESTION_ANSWERING, QUESTION_ANSWERING_LENGTH, DataSettings

    length = {"max_length": QUESTION_ANSWERING_LENGTH} if task == QUESTION_ANSWERING else {}
    settings = DataSettings(**{**length, **known, **given})
    return choose_columns(settings, given) if task == TEXT_CLASSIFICATION else settings


# What a model was trained with, where its folder says so: then it need not be said again.

_KEPT = (
    "text_column",
    "text_pair_column",
    "label_column",
    "label_separator",
    "source_column",
    "target_column",
    "tokens_column",
    "tags_column",
    "question_column",
    "context_column",
    "answers_column",
    "max_length",
    "doc_stride",
    "problem_type",
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
    from tinybert_hf.data import DataSettings
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
