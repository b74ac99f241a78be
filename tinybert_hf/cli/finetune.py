"""`tinybert finetune`: train a model on labels, tagged words or sentence pairs, without a teacher."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tinybert_hf.cli.early_checks import check_row_files
from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.json_output import AsJson, print_json, said_aside
from tinybert_hf.cli.model_folders import opens_models
from tinybert_hf.cli.options import (
    Bf16,
    Cpu,
    LabelColumn,
    LabelNames,
    LabelSeparator,
    MaxLength,
    ProblemType,
    SourceColumn,
    TagsColumn,
    TargetColumn,
    Task,
    TextColumn,
    TextPairColumn,
    TokensColumn,
    above_zero,
    choose_columns,
    data_overrides,
    training_overrides,
)


@answers_failures
def finetune(
    train_file: Annotated[
        str,
        typer.Option(
            help="Rows to learn from: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel="Data"
        ),
    ],
    validation_file: Annotated[str, typer.Option(help="Rows to measure on, likewise.", rich_help_panel="Data")],
    output_dir: Annotated[
        str,
        typer.Option(help="Folder for the fine-tuned model: new, empty, or of the same run, which then goes on."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Folder or Hub id of a pretrained model. Not given, with --source-column and --target-column: a "
            "small translator is made from random weights, with a tokenizer trained on the rows."
        ),
    ] = None,
    task: Task = None,
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
    max_length: MaxLength = None,
    vocabulary_size: Annotated[
        int,
        typer.Option(
            min=1,
            help="Tokens of a translator that is made here: of the source, or of both languages together.",
            rich_help_panel="Training",
        ),
    ] = 8000,
    target_vocabulary_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="A vocabulary of its own for the target, which suits a language of another script.",
            rich_help_panel="Training",
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="How often every row is seen. Default: 3, and more where rows are few, up to 10; 10 for a translator "
            "that is made here.",
            rich_help_panel="Training",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            callback=above_zero,
            help="Highest learning rate. Default: 5e-5, or 1e-3 for a translator that is made here.",
            rich_help_panel="Training",
        ),
    ] = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Rows of a step; fewer where memory is short.", rich_help_panel="Training")
    ] = 32,
    bf16: Bf16 = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.", rich_help_panel="Run")] = 42,
    cpu: Cpu = False,
    as_json: AsJson = False,
) -> None:
    """Train a model on labels, tagged words or sentence pairs: a teacher to be, or a student without a teacher.

    A run that was stopped goes on with the same command.
    """
    names_pairs = source_column is not None or target_column is not None
    if model is None and not names_pairs:
        raise typer.BadParameter(
            "give --model; only a translator (--source-column, --target-column) is made from random weights"
        )
    check_row_files(train_file, validation_file)
    from tinybert_hf.cli.evaluate import print_metrics
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.data import DataSettings
    from tinybert_hf.data.settings import QUESTION_ANSWERING, QUESTION_ANSWERING_LENGTH
    from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
    from tinybert_hf.evaluation import holds_translator
    from tinybert_hf.opening import TEXT_CLASSIFICATION, check_length, open_config
    from tinybert_hf.recipes.finetuning import finetune_pretrained, finetune_translator
    from tinybert_hf.training import FinetuneSettings

    head = task or (TOKEN_CLASSIFICATION if tokens_column or tags_column else TEXT_CLASSIFICATION)
    quiet_libraries()
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
    )
    usual_epochs, usual_rate = (None, 5e-5) if model is not None else (10.0, 1e-3)
    settings = FinetuneSettings(
        epochs=epochs or usual_epochs, learning_rate=learning_rate or usual_rate, batch_size=batch_size
    )
    more: dict[str, Any] = {"seed": seed, "training_arguments": training_overrides(cpu, bf16)}
    with opens_models(model), said_aside(as_json):
        translates = names_pairs or (model is not None and holds_translator(model))
        if task is not None and translates:
            raise typer.BadParameter(f"--task {task} is for encoders; leave it out to train a translator")
        if translates:
            more |= {"vocabulary_size": vocabulary_size, "target_vocabulary_size": target_vocabulary_size}
            metrics = finetune_translator(model, DataSettings(**given), settings, output_dir, **more)
        else:
            assert model is not None
            if max_length is not None:
                check_length("max_length", max_length, option="--max-length", model=open_config(model))
            if head == QUESTION_ANSWERING:
                given = {"max_length": QUESTION_ANSWERING_LENGTH, **given}
            data = DataSettings(**given)
            if head == TEXT_CLASSIFICATION:
                data = choose_columns(data, given)
            metrics = finetune_pretrained(model, data, settings, output_dir, task=head, **more)
    if as_json:
        print_json({"metrics": metrics, "folder": output_dir})
        return
    print_metrics({name: value for name, value in metrics.items() if not isinstance(value, str)})
    for name, value in metrics.items():
        if isinstance(value, str):
            print(f"{name.replace('_', ' ')}: {value}")
    print(f"The model is in {output_dir}; give it as --teacher, or open it with transformers.")
