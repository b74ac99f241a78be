"""`tinybert finetune`: train a pretrained model on labels, without a teacher."""

from __future__ import annotations

from typing import Annotated

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.options import (
    Bf16,
    Cpu,
    LabelColumn,
    MaxLength,
    TextColumn,
    TextPairColumn,
    data_overrides,
    training_overrides,
)


@answers_failures
def finetune(
    model: Annotated[str, typer.Option(help="Folder or Hub id of a pretrained model.")],
    train_file: Annotated[
        str, typer.Option(help="Rows to learn from: .jsonl, .json, .csv, .tsv, .parquet, also .gz.")
    ],
    validation_file: Annotated[str, typer.Option(help="Rows to measure on.")],
    output_dir: Annotated[str, typer.Option(help="Folder for the fine-tuned model; new or empty.")],
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    max_length: MaxLength = None,
    epochs: Annotated[float, typer.Option(min=0.0, help="How often every row is seen.")] = 3.0,
    learning_rate: Annotated[float, typer.Option(help="Highest learning rate.")] = 5e-5,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of a step.")] = 32,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 42,
    cpu: Cpu = False,
    bf16: Bf16 = False,
) -> None:
    """Fine-tune a pretrained model on labels: a teacher to be, or a student without a teacher."""
    from tinybert_hf.cli.evaluate import print_metrics
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.data import DataSettings
    from tinybert_hf.recipes.finetuning import finetune_pretrained
    from tinybert_hf.training import FinetuneSettings

    quiet_libraries()
    data = DataSettings(
        **data_overrides(train_file, validation_file, text_column, text_pair_column, label_column, max_length)
    )
    metrics = finetune_pretrained(
        model,
        data,
        FinetuneSettings(epochs=epochs, learning_rate=learning_rate, batch_size=batch_size),
        output_dir,
        seed=seed,
        training_arguments=training_overrides(cpu, bf16),
    )
    print_metrics(metrics)
    print(f"The model is in {output_dir}; give it as --teacher, or open it with transformers.")
