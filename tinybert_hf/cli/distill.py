"""`tinybert distill`: a teacher goes in, a TinyBERT comes out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tinybert_hf.cli.failures import answers_failures
from tinybert_hf.cli.options import (
    Bf16,
    Cpu,
    LabelColumn,
    MaxLength,
    OutputDir,
    Seed,
    TextColumn,
    TextPairColumn,
    TrainFile,
    ValidationFile,
    data_overrides,
    training_overrides,
)

DEFAULT_RECIPE = "text-classification"
_MODELS = "Models"


@answers_failures
def distill(
    recipe: Annotated[
        str | None,
        typer.Argument(help="A shipped recipe (see `tinybert recipes`) or a YAML file; not needed with --train-file."),
    ] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Folder or Hub id of the model to learn from.", rich_help_panel=_MODELS)
    ] = None,
    finetune_teacher: Annotated[
        bool,
        typer.Option(
            "--finetune-teacher", help="The teacher is pretrained only: fine-tune it first.", rich_help_panel=_MODELS
        ),
    ] = False,
    student: Annotated[
        str | None,
        typer.Option(help="A preset such as 4l-312d, or a folder or Hub id of a TinyBERT.", rich_help_panel=_MODELS),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(help="Where the student's first weights come from: teacher or random.", rich_help_panel=_MODELS),
    ] = None,
    train_file: TrainFile = None,
    validation_file: ValidationFile = None,
    text_column: TextColumn = None,
    text_pair_column: TextPairColumn = None,
    label_column: LabelColumn = None,
    max_length: MaxLength = None,
    output_dir: OutputDir = None,
    baseline: Annotated[
        bool | None,
        typer.Option(help="Also train the student without the teacher, to compare.", rich_help_panel="Run"),
    ] = None,
    seed: Seed = None,
    cpu: Cpu = False,
    bf16: Bf16 = False,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Any field of the recipe: phases.0.learning_rate=1e-4"),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the resolved run, train nothing.")
    ] = False,
) -> None:
    """Distil a teacher into a TinyBERT.

    `tinybert distill demo` needs nothing but this package. A run that was stopped goes on with the same command.
    """
    from tinybert_hf.cli.quiet import quiet_libraries
    from tinybert_hf.recipes.loader import load_recipe

    if recipe is None and train_file is None:
        raise typer.BadParameter(
            "give a recipe (`tinybert recipes` lists them, `demo` needs no data) or --train-file and --validation-file"
        )
    overrides: dict[str, Any] = {
        f"data.{name}": value
        for name, value in data_overrides(
            train_file, validation_file, text_column, text_pair_column, label_column, max_length
        ).items()
    }
    overrides |= {f"training_arguments.{name}": value for name, value in training_overrides(cpu, bf16).items()}
    overrides |= _model_overrides(teacher, finetune_teacher, student, start)
    if baseline is False:
        overrides["baseline"] = None
    overrides |= {name: value for name, value in (("seed", seed), ("output_dir", output_dir)) if value is not None}
    resolved = load_recipe(recipe or DEFAULT_RECIPE, overrides, assignments or (), with_baseline=baseline is True)
    quiet_libraries()
    if dry_run:
        from tinybert_hf.recipes.description import describe_plan
        from tinybert_hf.recipes.plan import make_plan

        print(describe_plan(make_plan(resolved)))
        return
    from tinybert_hf.recipes.run import run_recipe

    run_recipe(resolved)


def _model_overrides(
    teacher: str | None, finetune_teacher: bool, student: str | None, start: str | None
) -> dict[str, Any]:
    from tinybert_hf.model import PRESETS

    overrides: dict[str, Any] = {}
    if teacher is not None:
        # A teacher that is named takes the place of one that the recipe would make or fine-tune.
        overrides |= {"teacher.model": teacher, "teacher.config": None, "teacher.finetune": None}
    if finetune_teacher:
        overrides["teacher.finetune"] = {}
    if student is not None:
        is_model = student not in PRESETS and (Path(student).exists() or "/" in student)
        overrides |= {"student.model": student if is_model else None, "student.preset": None if is_model else student}
        overrides["student.overrides"] = {}
    if start is not None:
        overrides["student.start"] = start
    return overrides
