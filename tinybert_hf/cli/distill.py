"""`tinybert distill`: a teacher goes in, a TinyBERT comes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybert_hf.cli.options import (
    GENERAL_RECIPE,
    Bf16,
    BlockSize,
    Corpus,
    CorpusCache,
    Cpu,
    Dataset,
    DatasetConfig,
    Epochs,
    LabelColumn,
    LabelNames,
    LabelSeparator,
    MaskedLm,
    MaxLength,
    OutputDir,
    ProblemType,
    Seed,
    SourceColumn,
    Streaming,
    TagsColumn,
    TargetColumn,
    TextColumn,
    TextPairColumn,
    TokensColumn,
    TrainFile,
    UnlabelledColumn,
    UnlabelledFile,
    ValidationFile,
    ValidationSplit,
    above_zero,
    choose_columns,
    corpus_overrides,
    data_overrides,
    model_overrides,
    of_the_task,
    phase_overrides,
    recipe_names,
    training_overrides,
)
from tinybert_hf.cli.screen import AsJson, answers_failures, check_recipe_early, opens_models, print_json, said_aside
from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    from collections.abc import Collection

    from tinybert_hf.recipes.schema import Recipe

DEFAULT_RECIPE, TRANSLATION_RECIPE, WORDS_RECIPE = "text-classification", "translation", "ner"
_MODELS = "Models"
_TRAINING = "Training"


@answers_failures
def distill(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A shipped recipe (`tinybert recipes` lists them) or a YAML file. Not given, with --train-file: "
            "text-classification, translation where --source-column or --target-column is given, or ner where "
            "--tokens-column or --tags-column is; with --corpus: general.",
            autocompletion=recipe_names,
        ),
    ] = None,
    teacher: Annotated[
        list[str] | None,
        typer.Option(
            help="Folder or Hub id of the model to learn from, fine-tuned for your task. Given again: one more, "
            "fine-tuned on the same labels, to learn from at the same time; the first is the main one.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    finetune_teacher: Annotated[
        bool,
        typer.Option(
            "--finetune-teacher",
            help="The teacher is pretrained only: fine-tune it on the training rows first.",
            rich_help_panel=_MODELS,
        ),
    ] = False,
    teacher_weights: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER,NUMBER,...",
            help="How much each --teacher counts, in their order. Default: all the same.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    student: Annotated[
        str | None,
        typer.Option(
            help="A preset (4l-312d, 6l-768d, seq2seq-6-2-256d, ...), or folder or Hub id of a TinyBERT. Translation, "
            "not given: the first translator that is smaller and faster than the teacher.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="teacher|random",
            help="Where the first weights of a student from a preset come from. Translators: random only.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    train_file: TrainFile = None,
    validation_file: ValidationFile = None,
    validation_split: ValidationSplit = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    label_names: LabelNames = None,
    label_separator: LabelSeparator = None,
    problem_type: ProblemType = None,
    source_column: SourceColumn = None,
    target_column: TargetColumn = None,
    tokens_column: TokensColumn = None,
    tags_column: TagsColumn = None,
    unlabelled_file: UnlabelledFile = None,
    unlabelled_column: UnlabelledColumn = None,
    max_length: MaxLength = None,
    augment: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="COPIES",
            help="Learn from so many copies of each row too, with other words and without its label.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    augmentation_model: Annotated[
        str | None,
        typer.Option(
            help="Folder or Hub id of the masked-LM that finds these words. Default: the teacher, or its embeddings.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    corpus: Corpus = None,
    dataset: Dataset = None,
    dataset_config: DatasetConfig = None,
    streaming: Streaming = False,
    block_size: BlockSize = None,
    masked_lm: MaskedLm = False,
    corpus_cache: CorpusCache = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="Epochs of each phase of the distillation. A baseline gets as many as all phases together, unless "
            "--baseline-epochs says otherwise; the fine-tuning of a teacher keeps its own (--teacher-epochs).",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    teacher_epochs: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="Epochs of a teacher that is fine-tuned first. Default: the recipe's, else 3, and more where rows "
            "are few, up to 10.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    baseline_epochs: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="Epochs of the student that is trained without the teacher. Default: the recipe's, else as many as "
            "all phases together would take of the rows with labels; with --epochs, as many as all phases.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="Highest learning rate of each phase. Default: the recipe's, else by the phase and the student's "
            "width. A baseline that names none takes that of the last phase; a teacher's fine-tuning keeps its own.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Rows of a step, in every training of the run; fewer where memory is short.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    baseline: Annotated[
        bool | None,
        typer.Option(
            help="Also train the student without the teacher, to compare. Default: as the recipe says.",
            rich_help_panel=_TRAINING,
        ),
    ] = None,
    prune_vocabulary: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|train",
            help="Afterwards, leave out the word pieces that this text does not use: a file (.txt, .jsonl, .csv, ...; "
            "any number of times), or train for the training rows. --set prune_vocabulary.margin=... and so on.",
            rich_help_panel=_MODELS,
        ),
    ] = None,
    bf16: Bf16 = False,
    output_dir: OutputDir = None,
    seed: Seed = None,
    cpu: Cpu = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Any field of the recipe, any number of times: phases.0.learning_rate=1e-4. Wins over the options.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Check everything, print the whole recipe and the layer map, train nothing."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Distil a teacher into a TinyBERT.

    `tinybert distill demo` needs nothing but this package.

    What no option says is as the recipe says: --dry-run shows the whole run.

    A run that was stopped goes on with the same command.
    """
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.recipes.loader import load_recipe

    if recipe is None and train_file is None and not (corpus or dataset):
        raise typer.BadParameter(
            "give a recipe (`tinybert recipes` lists them, `demo` needs no data) or --train-file and --validation-file"
        )
    of_text = corpus_overrides(corpus, dataset, dataset_config, streaming, block_size, masked_lm, corpus_cache)
    usual = DEFAULT_RECIPE if source_column is None and target_column is None else TRANSLATION_RECIPE
    of_words = tokens_column is not None or tags_column is not None
    name = recipe or (GENERAL_RECIPE if of_text else WORDS_RECIPE if of_words else usual)
    given = data_overrides(
        train_file,
        validation_file,
        text_column,
        text_pair_column,
        label_column,
        max_length,
        label_names,
        source_column,
        target_column,
        tokens_column,
        tags_column,
        label_separator,
        problem_type,
        validation_split,
    )
    overrides: dict[str, Any] = {f"data.{field}": value for field, value in given.items()}
    overrides |= {f"training_arguments.{field}": value for field, value in training_overrides(cpu, bf16).items()}
    unlabelled = {"unlabelled_file": unlabelled_file, "unlabelled_column": unlabelled_column}
    overrides |= {f"pseudo_labels.{field}": value for field, value in unlabelled.items() if value is not None}
    augmentation = {"copies": augment, "model": augmentation_model}
    overrides |= {f"augmentation.{field}": value for field, value in augmentation.items() if value is not None}
    overrides |= model_overrides(teacher or [], teacher_weights, finetune_teacher, student, init)
    if prune_vocabulary:
        overrides["prune_vocabulary.corpus"] = prune_vocabulary
    if baseline is False:
        overrides["baseline"] = None
    overrides = of_the_task(name, overrides | of_text)
    wanted = Epochs(epochs, teacher_epochs, baseline_epochs)
    overrides |= phase_overrides(name, overrides, wanted, batch_size, learning_rate, with_baseline=baseline is True)
    overrides |= {field: value for field, value in (("seed", seed), ("output_dir", output_dir)) if value is not None}
    with _names(recipe):
        check_recipe_early(name, overrides, assignments or ())
    resolved = load_recipe(name, overrides, assignments or (), with_baseline=baseline is True)
    resolved = _with_columns(resolved, [*given, *_data_fields(assignments or ())])
    quiet_libraries()
    further = [one.model for one in resolved.further_teachers]
    if resolved.augmentation is not None and resolved.augmentation.model is not None:
        further.append(resolved.augmentation.model)
    with _names(recipe), opens_models(resolved.teacher.model, *further, resolved.student.model):
        if dry_run:
            from tinybert_hf.recipes.plan import make_plan
            from tinybert_hf.recipes.report import describe_plan
            from tinybert_hf.recipes.run import check_teachers

            with said_aside(as_json):
                plan = make_plan(resolved)
                check_teachers(plan)
                print(describe_plan(plan))
            result = asdict(resolved)
        else:
            from tinybert_hf.recipes.run import run_recipe

            with said_aside(as_json):
                result = asdict(run_recipe(resolved))
    if as_json:
        print_json(result)


@contextmanager
def _names(recipe: str | None) -> Iterator[None]:
    """Around what looks at a recipe's fields: where the recipe is a file of the user's, the message says which."""
    try:
        yield
    except TinyBertError as error:
        if recipe is None or not recipe.endswith((".yaml", ".yml")) or recipe in str(error):
            raise
        raise type(error)(f"recipe {recipe}: {error}") from error


def _data_fields(assignments: Collection[str]) -> list[str]:
    """The fields of the data that --set names."""
    paths = [assignment.partition("=")[0].strip() for assignment in assignments]
    return [path.removeprefix("data.") for path in paths if path.startswith("data.")]


def _with_columns(recipe: Recipe, named: Collection[str]) -> Recipe:
    """The recipe with the columns that its file has, where it is about texts and labels."""
    if recipe.task != DEFAULT_RECIPE:
        return recipe
    return replace(recipe, data=choose_columns(recipe.data, named))
