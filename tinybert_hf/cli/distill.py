"""`tinybert distill`: a teacher goes in, a TinyBERT comes out."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tinybert_hf.cli.options import OPTIONS, choose_columns, fields_of, paths_of, preset_names, recipe_names, takes
from tinybert_hf.cli.screen import AsJson, answers_failures, check_recipe_early, opens_models, print_json, said_aside
from tinybert_hf.errors import TinyBertError

if TYPE_CHECKING:
    from tinybert_hf.recipes.schema import Recipe

DEFAULT_RECIPE, TRANSLATION_RECIPE, WORDS_RECIPE = "text-classification", "translation", "ner"
GENERAL_RECIPE = "general"
_TEXT = ("corpus", "dataset", "dataset_config", "streaming", "block_size", "masked_lm", "corpus_cache")
# What most runs are told stands first; the rest at the end.
_USUAL = (
    *("teacher", "finetune_teacher", "student"),
    *("train_file", "validation_file", "validation_split", "text_column", "label_column"),
    *("epochs", "learning_rate", "batch_size", "bf16", "output_dir", "seed", "set"),
)
_FURTHER = (
    *(
        "teacher_weights",
        "target_speedup",
        "target_latency",
        "init",
        "text_pair_column",
        "label_names",
        "label_separator",
        "problem_type",
    ),
    *("source_column", "target_column", "tokens_column", "tags_column", "unlabelled_file", "unlabelled_column"),
    "text_corpus",
    *("max_length", "augment", "augmentation_model", *_TEXT, "teacher_epochs", "baseline", "baseline_epochs"),
    *("prune_vocabulary", "cpu"),
)


@answers_failures
@takes(*_USUAL, further=_FURTHER)
def distill(
    given: Mapping[str, Any],
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A shipped recipe (`tinybert recipes` lists them) or a YAML file. Not given, with --train-file: "
            "text-classification, translation where --source-column or --target-column is given, or ner where "
            "--tokens-column or --tags-column is; with --corpus: general.",
            autocompletion=recipe_names,
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

    What no option says is as the recipe says: --dry-run shows the whole run, and docs/commands.md has every option.

    A run that was stopped goes on with the same command.
    """
    from tinybert_hf.cli.screen import quiet_libraries

    resolved = _resolved(recipe, given)
    quiet_libraries()
    others = [one.model for one in resolved.extra_teachers]
    if resolved.augmentation is not None and resolved.augmentation.model is not None:
        others.append(resolved.augmentation.model)
    with _names(recipe), opens_models(resolved.teacher.model, *others, resolved.student.model), said_aside(as_json):
        result = _planned(resolved) if dry_run else _carried_out(resolved)
    if as_json:
        print_json(result)


def _resolved(recipe: str | None, given: Mapping[str, Any]) -> Recipe:
    """The recipe with all that was given; it is read once."""
    from tinybert_hf.recipes.loader import build_recipe, changed_recipe, read_recipe

    name = recipe or _recipe_of(given)
    mapping, assignments = read_recipe(name), given.get("set", [])
    overrides = recipe_overrides(name, mapping, given)
    baseline = given.get("baseline") is True
    with _names(recipe):
        mapping = changed_recipe(mapping, name, overrides, assignments)
        check_recipe_early(mapping)
    if baseline and mapping.get("baseline") is None:
        mapping["baseline"] = {}
    return _with_columns(build_recipe(mapping, name), [*fields_of(given, "data"), *_data_fields(assignments)])


def _recipe_of(given: Mapping[str, Any]) -> str:
    """The recipe that goes by itself with what was given."""
    if given.keys() & set(_TEXT):
        return GENERAL_RECIPE
    if "train_file" not in given:
        raise typer.BadParameter(
            "give a recipe (`tinybert recipes` lists them, `demo` needs no data) or --train-file and --validation-file"
        )
    if given.keys() & {"tokens_column", "tags_column"}:
        return WORDS_RECIPE
    return TRANSLATION_RECIPE if given.keys() & {"source_column", "target_column"} else DEFAULT_RECIPE


def _planned(recipe: Recipe) -> dict[str, Any]:
    """Say what the run would be; the recipe as plain values."""
    from tinybert_hf.recipes.plan import make_plan
    from tinybert_hf.recipes.report import describe_plan
    from tinybert_hf.recipes.run import check_teachers

    plan = make_plan(recipe)
    check_teachers(plan)
    print(describe_plan(plan))
    return asdict(recipe)


def _carried_out(recipe: Recipe) -> dict[str, Any]:
    from tinybert_hf.recipes.run import run_recipe

    return asdict(run_recipe(recipe))


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


# What the options change in a recipe, and what does not belong to its task.

# Fields of other tasks, each with its option, and what to say instead.
_REFUSED = {
    "data.train_file": ("--train-file", "its text is given with --corpus"),
    "data.validation_split": ("--validation-split", "its held-out text is given with --validation-file"),
    "data.max_length": ("--max-length", "its length is that of a block, --block-size"),
    "data.problem_type": ("--problem-type", "plain text has no labels"),
    "teacher.finetune": ("--finetune-teacher", "there are no labels to fine-tune a teacher on"),
    "extra_teachers": ("a second --teacher", "it has one teacher"),
    **{
        f"data.{name}": (f"--{name.replace('_', '-')}", "plain text has no such column")
        for name in (
            *("text_pair_column", "label_column", "label_names", "label_separator"),
            *("source_column", "target_column"),
        )
    },
    "data.text_corpus": ("--text-corpus", "its text is given with --corpus"),
    **{
        f"pseudo_labels.{name}": (f"--{name.replace('_', '-')}", "its text is given with --corpus")
        for name in ("unlabelled_file", "unlabelled_column")
    },
}


def of_the_task(recipe: str, mapping: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The changes to a recipe under the names of its task; what is of another task is refused.

    Args:
        recipe: name or file.
        mapping: of the recipe.
        overrides: by dotted path, of all options.

    Raises:
        BadParameter: an option does not belong to the task; naming both.
    """
    changed = dict(overrides)
    if mapping.get("task") != GENERAL_RECIPE:
        for name, option in OPTIONS.items():
            if option.path in changed and option.path.startswith("corpus."):
                task = mapping.get("task", "text-classification")
                raise typer.BadParameter(
                    f"--{name.replace('_', '-')} is for plain text (tinybert distill general), and the task of "
                    f"{recipe} is {task}."
                )
        return changed if mapping.get("task") == "translation" else _unlabelled_rows(changed)
    for path, (flag, reason) in _REFUSED.items():
        if changed.get(path) is not None:
            raise typer.BadParameter(f"{flag} does not belong to a general distillation: {reason}.")
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


def recipe_overrides(recipe: str, mapping: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a recipe that options have set, by dotted path.

    Args:
        recipe: name or file.
        mapping: of the recipe, as it was read.
        given: options of `OPTIONS`, by name.

    Raises:
        BadParameter: options that do not go together, or do not belong to the recipe.
    """
    overrides = paths_of(given) | model_overrides(given)
    for path in ("corpus.files", "prune_vocabulary.corpus"):
        if path in overrides:
            overrides[path] = tuple(overrides[path])
    if given.get("augment") == 0:
        said = [path for path in (*paths_of(given), *given.get("set", [])) if path.startswith("augmentation.")]
        said = [path for path in said if path != "augmentation.copies"]
        if said:
            raise typer.BadParameter(f"--augment 0 makes no copies, and {said[0]} says how: leave one of the two out")
        overrides = {path: value for path, value in overrides.items() if not path.startswith("augmentation.")}
        overrides["augmentation"] = None
    elif "augment" in given:
        overrides["augmentation.up_to_rows"] = None
    if given.get("baseline") is False:
        overrides["baseline"] = None
    overrides = of_the_task(recipe, mapping, overrides)
    return overrides | phase_overrides(mapping, overrides, given)


def model_overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """What --teacher (the first is the main one), --teacher-weights, --finetune-teacher, --student change."""
    teachers = given.get("teacher", [])
    overrides = joint_overrides(teachers[1:], given.get("teacher_weights"))
    if teachers:  # in place of one that the recipe would make or fine-tune
        overrides |= {"teacher.model": teachers[0], "teacher.config": None, "teacher.finetune": None}
    if "finetune_teacher" in given:
        if len(teachers) > 1:
            raise typer.BadParameter(
                "--finetune-teacher fine-tunes one teacher, and there are several --teacher: fine-tune each with "
                "`tinybert finetune` first"
            )
        overrides["teacher.finetune"] = {}
    if "student" in given:
        student = given["student"]
        is_model = (Path(student).exists() or "/" in student) and student not in preset_names()
        overrides |= {"student.model": student if is_model else None, "student.preset": None if is_model else student}
        overrides |= {"student.overrides": {}, "student.target_speedup": None, "student.target_latency_ms": None}
        if is_model:
            if "init" in given:
                raise typer.BadParameter(
                    f"--init goes with a preset: {student} has weights of its own, and the student starts from them"
                )
            overrides["student.init"] = None
    return overrides | _speed_overrides(given)


def _speed_overrides(given: Mapping[str, Any]) -> dict[str, Any]:
    """What --target-speedup and --target-latency change."""
    asked = [name for name in ("target_speedup", "target_latency") if name in given]
    if not asked:
        return {}
    if "student" in given:
        raise typer.BadParameter(
            f"--{asked[0].replace('_', '-')} chooses the student and --student names it: leave one of the two out"
        )
    student: dict[str, Any] = {"student.preset": None, "student.model": None, "student.overrides": {}}
    if len(asked) > 1:
        raise typer.BadParameter("give either --target-speedup or --target-latency")
    student["student.target_latency_ms" if "target_speedup" in given else "student.target_speedup"] = None
    if "target_latency" in given:
        number = given["target_latency"].strip().lower().removesuffix("ms").strip()
        try:
            student["student.target_latency_ms"] = float(number)
        except ValueError as error:
            raise typer.BadParameter(
                f"--target-latency {given['target_latency']!r}: expected milliseconds, such as 2ms or 0.5"
            ) from error
    return student


def joint_overrides(further: list[str], weights: str | None) -> dict[str, Any]:
    """The extra teachers, and how much each teacher counts."""
    if weights is None:
        return {"extra_teachers": [{"model": model} for model in further]} if further else {}
    if not further:
        raise typer.BadParameter(
            "--teacher-weights goes with several --teacher. To change the weights of a recipe: "
            "--set teacher.weight=2 --set extra_teachers.0.weight=1"
        )
    given = [text.strip() for text in weights.split(",")]
    if len(given) != 1 + len(further):
        raise typer.BadParameter(
            f"--teacher-weights {weights!r} has {len(given)} numbers, and there are {1 + len(further)} teachers: one "
            "for each --teacher, separated by commas"
        )
    teachers = [{"model": model, "weight": weight} for model, weight in zip(further, given[1:], strict=True)]
    return {"teacher.weight": given[0], "extra_teachers": teachers}


def phase_overrides(
    mapping: Mapping[str, Any], overrides: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Every phase gets the epochs, the batch size and the learning rate, and what is compared with the phases follows.

    The baseline gets the epochs of all phases together, since the two are to see equally many rows, unless it is
    given epochs of its own. The fine-tuning of a teacher is another training and has only epochs of its own. The batch
    size holds for the baseline and for the fine-tuning of a teacher too, which need as much memory.

    Args:
        mapping: of the recipe; unchanged.
        overrides: the changes by the other options, by dotted path.
        given: epochs, teacher_epochs, baseline_epochs, learning_rate, batch_size and baseline, where they were given.

    Returns:
        Further changes by dotted path.

    Raises:
        RecipeError: a change that leads nowhere.
        BadParameter: epochs of a training that the run does not have.
    """
    wanted = {name: given[name] for name in ("epochs", "batch_size") if name in given}
    of_phases = wanted | {name: given[name] for name in ("learning_rate",) if name in given}
    if not of_phases and not given.keys() & {"teacher_epochs", "baseline_epochs"}:
        return {}
    from tinybert_hf.recipes.loader import set_value

    now = copy.deepcopy(dict(mapping))
    for path, value in overrides.items():
        set_value(now, path, value)
    changed: dict[str, Any] = {}
    phases = now.get("phases")
    if phases is None and of_phases:
        from tinybert_hf.recipes.schema import Recipe

        phases = [{"name": phase.name} for phase in Recipe.phases]  # the default of the field
        changed["phases"] = phases
    if of_phases and not isinstance(phases, list):
        return {}  # the loader says what is wrong with them
    for index in range(len(phases or ())):
        changed |= {f"phases.{index}.{name}": value for name, value in of_phases.items()}
    if given.get("baseline") or now.get("baseline") is not None:
        changed |= {f"baseline.{name}": value for name, value in wanted.items()}
        if "epochs" in given:
            changed["baseline.epochs"] = None  # as many as all phases together, whatever --set says of one
        if "baseline_epochs" in given:
            changed["baseline.epochs"] = given["baseline_epochs"]
    elif "baseline_epochs" in given:
        raise typer.BadParameter("--baseline-epochs: this run has no baseline; add one with --baseline")
    teacher = now.get("teacher")
    own = {"batch_size": given.get("batch_size"), "epochs": given.get("teacher_epochs")}
    if isinstance(teacher, Mapping) and teacher.get("finetune") is not None:
        changed |= {f"teacher.finetune.{name}": value for name, value in own.items() if value is not None}
    elif own["epochs"] is not None:
        raise typer.BadParameter(
            "--teacher-epochs: no teacher is fine-tuned in this run; a pretrained one is with --finetune-teacher"
        )
    return changed
