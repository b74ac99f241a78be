"""The commands that turn a model or a file into another: `convert`, `prune-vocabulary`, `export`, `augment`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybert_hf.cli.options import fields_of, takes, trained_with, validation_settings, zero_or_more
from tinybert_hf.cli.screen import AsJson, answers_failures, check_row_files, opens_models, print_json
from tinybert_hf.messages import counted

if TYPE_CHECKING:
    from tinybert_hf.conversion import Conversion
    from tinybert_hf.conversion.export import ExportReport
    from tinybert_hf.data import DataSettings
    from tinybert_hf.data.augmentation import AugmentationReport, FileToAugment
    from tinybert_hf.data.augmentation_candidates import OpenedSource
    from tinybert_hf.data.augmentation_words import ReplacementSettings


# `tinybert convert`: a published TinyBERT, or any checkpoint that is built like BERT, becomes one of ours.

_MODEL = "Model"


@answers_failures
@takes("label_names")
def convert(
    given: Mapping[str, Any],
    checkpoint: Annotated[
        str, typer.Argument(help="Folder, weights file beside its config.json, or Hub id of the checkpoint.")
    ],
    output_dir: Annotated[str, typer.Option(help="Folder for the TinyBERT: new or empty.", rich_help_panel="Run")],
    head: Annotated[
        str | None,
        typer.Option(
            help="encoder, sequence-classification, token-classification, question-answering or masked-lm. Not given: "
            "what the checkpoint holds.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    lower_case: Annotated[
        bool | None,
        typer.Option(
            "--lower-case/--keep-case",
            help="Whether the tokenizer lowers letters. Not given: as the checkpoint says.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    allow_missing: Annotated[
        bool, typer.Option(help="Draw at random what the checkpoint lacks.", rich_help_panel=_MODEL)
    ] = False,
    allow_unexpected: Annotated[
        bool, typer.Option(help="Leave out tensors that belong to no part of a BERT.", rich_help_panel=_MODEL)
    ] = False,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit on the Hub.", rich_help_panel=_MODEL)
    ] = None,
) -> None:
    """Convert a published TinyBERT (general, fine-tuned, Chinese), or any checkpoint that is built like BERT.

    The result opens with AutoModel...from_pretrained, is a student for `tinybert distill --student FOLDER`, and brings
    the projections of the general distillation with it, where the checkpoint has them.
    """
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.conversion import convert_checkpoint

    quiet_libraries()
    converted = convert_checkpoint(
        checkpoint,
        output_dir,
        head=head,
        label_names=fields_of(given, "data").get("label_names"),
        lower_case=lower_case,
        allow_missing=allow_missing,
        allow_unexpected=allow_unexpected,
        revision=revision,
    )
    for line in described(converted):
        typer.echo(line)
    typer.echo(f"It stands in {output_dir}.")


def described(converted: Conversion) -> list[str]:
    """What a checkpoint has become, a line each."""
    config = converted.model.config
    kind = "a published TinyBERT" if converted.is_published else "a BERT"
    lines = [
        f"{type(converted.model).__name__} of {counted(config.num_hidden_layers, 'layer')} x {config.hidden_size}, "
        f"{converted.model.num_parameters() / 1e6:.1f} M parameters, from {kind}; vocabulary of "
        f"{len(converted.tokenizer):,}."
    ]
    if converted.head.endswith("classification"):
        lines.append(f"Labels: {', '.join(config.id2label.values())}.")
    if config.classifier_activation == "relu":
        lines.append("Its classifier is the published one: Linear(relu(pooled)).")
    if converted.projections is not None:
        width = next(converted.projections.parameters()).shape[0]
        how = "one for all layers" if converted.projections.mode == "shared" else "one for each layer"
        lines.append(f"Projections to a teacher of width {width}, {how}: projections.safetensors.")
    for reason, count in Counter(converted.left_out.values()).items():
        lines.append(f"Left out, {counted(count, 'tensor')}: {reason}.")
    return [*lines, *(f"Note: {note}." for note in converted.notes)]


# `tinybert prune-vocabulary`: a saved model without the word pieces that a corpus does not use.

_CORPUS = "Corpus"


@answers_failures
def prune_vocabulary(
    model: Annotated[str, typer.Argument(help="Folder or Hub id of an encoder with any head.")],
    corpus: Annotated[
        list[str],
        typer.Option(
            help="Text of the kind that will come: .txt (a text on each line), .jsonl, .json, .csv, .tsv or .parquet, "
            "also .gz; any size, any number of times.",
            rich_help_panel=_CORPUS,
        ),
    ],
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with text; any number of times, as for pairs. Not named: text, or else sentence.",
            rich_help_panel=_CORPUS,
        ),
    ] = None,
    min_count: Annotated[
        int,
        typer.Option(help="How often the corpus has to use a piece.", rich_help_panel=_CORPUS),
    ] = 1,
    margin: Annotated[
        float,
        typer.Option(
            help="Share of the other pieces that stays as well, the lowest ids (the most frequent in general) first.",
            rich_help_panel=_CORPUS,
        ),
    ] = 0.1,
    output_dir: Annotated[
        str | None, typer.Option(help="Folder for the result: new or empty.", rich_help_panel="Run")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would come out, write nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Leave out the word pieces that a corpus does not use: a smaller file, the same answers on such text.

    All special and added tokens and all single characters stay. Before anything is saved, outputs on texts of the
    corpus are compared with those of the whole model, bit for bit.
    """
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.conversion.pruning import prune_checkpoint
    from tinybert_hf.data.files import TextFiles

    if output_dir is None and not dry_run:
        raise typer.BadParameter("give --output-dir FOLDER for the result, or --dry-run to see the sizes alone")
    quiet_libraries()
    texts = TextFiles(tuple(corpus), tuple(text_column or ()))
    texts.check()
    with opens_models(model):
        pruned = prune_checkpoint(model, texts, None if dry_run else output_dir, min_count=min_count, margin=margin)
    for warning in pruned.report.warnings():
        typer.echo(f"WARNING: {warning}", err=True)
    if as_json:
        print_json({**asdict(pruned.report), "folder": None if dry_run else output_dir})
        return
    for line in pruned.report.lines():
        typer.echo(line)
    typer.echo("Nothing was written (--dry-run)." if dry_run else f"It stands in {output_dir}.")


# `tinybert export`: a trained model in the format of another program, compared with the model itself.

EXIT_LOST_TOO_MUCH = 3


def _formats() -> list[str]:
    from tinybert_hf.conversion.export import FORMATS

    return list(FORMATS)


@answers_failures
@takes(
    *("text_column", "text_pair_column", "label_column", "source_column", "target_column"),
    *("tokens_column", "tags_column", "max_length"),
)
def export(
    given: Mapping[str, Any],
    model: Annotated[
        str, typer.Argument(help="Folder or Hub id of an encoder with any head or none, or of a translator.")
    ],
    to: Annotated[
        list[str],
        typer.Option(
            metavar="FORMAT",
            autocompletion=_formats,
            help="onnx or onnx-int8 (pip extra onnx), openvino (extra openvino), openvino-int8 (extra openvino-int8), "
            "tflite (extra tflite), bert, or bart. One folder holds both of the first: --to onnx --to onnx-int8.",
        ),
    ],
    output_dir: Annotated[
        str | None,
        typer.Option(
            "--output-dir",
            "--output",
            help="Folder for the export: new or empty. Default: MODEL-FORMAT beside the model, with the names of both "
            "where there are two.",
            rich_help_panel="Run",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an export that stands there.", rich_help_panel="Run")
    ] = False,
    validation_file: Annotated[
        str | None,
        typer.Option(
            help="Rows to measure the model on, before and after: .jsonl, .json, .csv, .tsv, .parquet, also .gz.",
            rich_help_panel="Data",
        ),
    ] = None,
    text_file: Annotated[
        str | None,
        typer.Option(
            help="Texts to compare both on, and to calibrate openvino-int8 on: .txt with a text in each line, or a "
            "file of rows. Default: those of --validation-file, or else, to calibrate, what the model was trained "
            "with.",
            rich_help_panel="Data",
        ),
    ] = None,
    max_metric_drop: Annotated[
        float,
        typer.Option(
            callback=zero_or_more,
            help="Points of the metric that the export may lose. One that loses more is kept, and the exit status is "
            "3.",
            rich_help_panel="Run",
        ),
    ] = 0.5,
    as_json: AsJson = False,
) -> None:
    """Export a model to a format that other programs run: ONNX or OpenVINO in fp32 or int8,
    TensorFlow Lite, or a stock BERT.

    Every export is opened again and compared with the model on text: its largest difference and the share of equal
    answers are printed, with --validation-file also the metric before and after.
    """
    from tinybert_hf.conversion.export import formats_named

    names = list(formats_named(to))
    check_row_files(validation_file)
    with opens_models(model):
        from tinybert_hf.cli.screen import quiet_libraries
        from tinybert_hf.conversion.export import export_model
        from tinybert_hf.conversion.export.sample import texts_in

        quiet_libraries()
        columns = [given["text_column"]] if given.get("text_column") else []
        report = export_model(
            model,
            output_dir or "-".join([_local(model), *names]),
            names,
            validation=_settings(model, validation_file, fields_of(given, "data")) if validation_file else None,
            max_metric_drop=max_metric_drop,
            texts=None if text_file is None else texts_in([text_file], columns),
            overwrite=overwrite,
            progress=lambda line: typer.echo(line, err=True),
        )
    if as_json:
        print_json(asdict(report))
    else:
        for line in report.lines():
            typer.echo(line)
        if report.metric is None:
            typer.echo("No metric was measured: --validation-file.")
        typer.echo(f"It stands in {report.folder}. {_opened_by(report)}")
    for warning in report.warnings():
        typer.secho(f"WARNING: {warning}", err=True, fg="red", bold=True)
    if report.lost_too_much:
        raise typer.Exit(EXIT_LOST_TOO_MUCH)


def _opened_by(report: ExportReport) -> str:
    """How the export is opened."""
    from tinybert_hf.conversion.export import FORMATS

    if FORMATS[report.format].runtime is None:
        names = {"TinyBertForSeq2Seq": "BartForConditionalGeneration"}
        name = names.get(report.model_class, report.model_class.replace("TinyBert", "Bert"))
        return f"Open it: from transformers import {name}; {name}.from_pretrained({report.folder!r})"
    others = "".join(
        f"; {one.format}: open_exported({report.folder!r}, format={one.format!r})" for one in report.others
    )
    return f"Open it: from tinybert_hf import open_exported; open_exported({report.folder!r}){others}"


def _local(model: str) -> str:
    """Where the default folder stands: beside the model, or here for one of the Hub."""
    path = Path(model)
    return str(path).rstrip("/") if path.exists() else path.name


def _settings(model: str, file: str, columns: dict[str, Any]) -> DataSettings:
    """Where the validation rows are, as for `tinybert evaluate`."""
    from tinybert_hf.evaluation import holds_translator, task_of_checkpoint

    task = None if holds_translator(model) else task_of_checkpoint(model)
    return validation_settings(task, trained_with(model), {"validation_file": file, **columns})


# `tinybert augment`: a file with copies of its rows in which some words are replaced.

_DATA = "Data"
_WORDS = "Words"
_RUN = "Run"


@answers_failures
@takes("copies", "probability", "candidates", "cpu")
def augment(
    given: Mapping[str, Any],
    train_file: Annotated[
        str,
        typer.Option(help="Rows: .jsonl, .json, .csv, .tsv, .parquet, also .gz.", rich_help_panel=_DATA),
    ],
    model: Annotated[
        str,
        typer.Option(help="Folder or Hub id of the masked-LM that finds words.", rich_help_panel=_WORDS),
    ],
    output: Annotated[
        str,
        typer.Option(
            help="File to write, .parquet, .jsonl or .jsonl.gz: new, or of the same command, which then goes on.",
            rich_help_panel=_DATA,
        ),
    ],
    text_column: Annotated[
        str,
        typer.Option(help="Column with the text, or with a list of words.", rich_help_panel=_DATA),
    ] = "text",
    text_pair_column: Annotated[
        str | None,
        typer.Option(
            help="Column with the second text of a pair: a copy changes one of the two.", rich_help_panel=_DATA
        ),
    ] = None,
    max_rows: Annotated[
        int | None, typer.Option(min=1, help="Take only the first rows.", rich_help_panel=_DATA)
    ] = None,
    glove: Annotated[
        str | None,
        typer.Option(
            help="Text file of word vectors, for words of several pieces. Default: the model's own embeddings.",
            rich_help_panel=_WORDS,
        ),
    ] = None,
    neighbours_only: Annotated[
        bool,
        typer.Option(
            "--neighbours-only",
            help="Take the nearest words for every word: the model needs no masked-LM head.",
            rich_help_panel=_WORDS,
        ),
    ] = False,
    max_length: Annotated[
        int,
        typer.Option(min=1, help="Words behind so many tokens of a text stay as they are.", rich_help_panel=_WORDS),
    ] = 512,
    context: Annotated[
        int,
        typer.Option(min=8, help="Tokens around a word that the masked-LM reads at most.", rich_help_panel=_WORDS),
    ] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.", rich_help_panel=_RUN)] = 42,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Masked texts at once; changes no row. Default: 32 on a CPU, else 512.",
            rich_help_panel=_RUN,
        ),
    ] = None,
    shard_rows: Annotated[
        int, typer.Option(min=1, help="Rows of a shard: a stop loses one at most.", rich_help_panel=_RUN)
    ] = 500,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Count the rows and show a few copies; write nothing.", rich_help_panel=_RUN),
    ] = False,
) -> None:
    """Write a file's rows, each followed by copies in which some words are replaced: TinyBERT's data augmentation.

    A word that is one piece of the vocabulary gives way to a prediction of the masked-LM, another one to one of its
    nearest words. The columns is_augmented and source_row are added; the label of a copy is that of its row, which it
    may not deserve: let a teacher speak for the copies.

    A command that was stopped goes on when it is given again.
    """
    from tinybert_hf.checkpoints import check_writable
    from tinybert_hf.cli.screen import quiet_libraries
    from tinybert_hf.data.augmentation import FileToAugment, check_output, read_rows
    from tinybert_hf.data.augmentation_words import ReplacementSettings
    from tinybert_hf.data.shards import is_first_process

    settings = ReplacementSettings(
        seed=seed, max_length=max_length, context=context, **fields_of(given, "augmentation")
    )
    file = FileToAugment(train_file, text_column, text_pair_column, max_rows, shard_rows)
    quiet_libraries()
    # What is wrong with the rows is said before a large model is fetched.
    read_rows(file)
    check_output(output)
    if not dry_run:
        check_writable(output)
    on_cpu = "cpu" in given
    source = _open(model, neighbours_only=neighbours_only, glove=glove, batch_size=batch_size, cpu=on_cpu)
    for note in source.notes if is_first_process() else ():
        typer.echo(f"Note: {note}", err=True)
    if dry_run:
        _show(source, file, settings)
    else:
        _write(source, file, settings, output)


def _write(source: OpenedSource, file: FileToAugment, settings: ReplacementSettings, output: str) -> None:
    from rich.console import Console

    from tinybert_hf.data.augmentation import write_augmented
    from tinybert_hf.data.shards import Share
    from tinybert_hf.recipes.folder import row_progress

    share = Share.launched()
    with row_progress(Console(stderr=True, quiet=not share.is_first), "Augmenting") as progress:
        report = write_augmented(
            source.words, file, settings, output, words_of=source.identity, progress=progress, share=share
        )
    if not share.is_first:
        return
    rows, own = counted(report.rows_written, "row"), f"{report.rows_read:,} and their copies"
    if report.was_there:
        print(f"Nothing to do: {report.output} is complete, {rows}: {own}. Delete it to write it again.")
    else:
        print(f"{rows} written to {report.output}: {own}.")
    _print_notes(report)


def _show(source: OpenedSource, file: FileToAugment, settings: ReplacementSettings) -> None:
    from tinybert_hf.data.augmentation import dry_run

    report, examples = dry_run(source.words, file, settings)
    rows = counted(report.rows_written, "row")
    print(f"{rows} would be written: {report.rows_read:,} and their copies.")
    _print_notes(report)
    for texts, copies in examples:
        print()
        print(*(f"  {text}" for text in texts), sep="\n")
        for copy in copies[:3]:
            print(f"    -> {copy.text}")


def _print_notes(report: AugmentationReport) -> None:
    for reason, count in report.notes.items():
        if count:
            print(f"  {reason.replace('_', ' ')}: {count:,}")


def _open(model: str, *, neighbours_only: bool, glove: str | None, batch_size: int | None, cpu: bool) -> OpenedSource:
    """The model on its device."""
    from tinybert_hf.checkpoints import usual_device
    from tinybert_hf.cli.screen import opens_models
    from tinybert_hf.data.augmentation_candidates import open_source

    device = "cpu" if cpu else usual_device()
    with opens_models(model):
        return open_source(
            model, glove_file=glove, neighbours_only=neighbours_only, batch_size=batch_size, device=device
        )
