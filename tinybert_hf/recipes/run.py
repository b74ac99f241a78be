"""Carry out a recipe: data, teacher, student, phases, baseline, costs, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards import CardSettings, write_card
from tinybert_hf.data.held_folder import is_first_process
from tinybert_hf.recipes.general_report import GeneralReport
from tinybert_hf.recipes.joint_teachers import open_further_teachers
from tinybert_hf.recipes.plan import EncoderPlan, GeneralPlan, TranslationPlan, make_plan
from tinybert_hf.recipes.report import RunReport
from tinybert_hf.recipes.run_encoder import EncoderRun
from tinybert_hf.recipes.run_general import GeneralRun
from tinybert_hf.recipes.run_translation import TranslationRun
from tinybert_hf.recipes.schema import GENERAL, TRANSLATION, Recipe
from tinybert_hf.recipes.stages import Run
from tinybert_hf.recipes.translation_report import TranslationReport

if TYPE_CHECKING:
    from rich.console import Console


def run_recipe(recipe: Recipe, console: Console | None = None) -> RunReport:
    """Carry out a recipe and print its table.

    Given again after a stop, it goes on where it was; given again after the end, it shows the result.

    Args:
        recipe: from `load_recipe`.
        console: where to print; None: standard output.

    Raises:
        TinyBertError: anything that the user can mend, before any training where it can be known before.
    """
    if console is None or not is_first_process():
        from rich.console import Console

        console = Console(quiet=not is_first_process())  # of several processes one speaks
    plan = make_plan(recipe)
    folder = plan.folder
    said: set[str] = set()
    if folder.is_finished:
        console.print(
            f"{folder.path} holds this run already, complete; delete the folder to run it again.", markup=False
        )
        if is_first_process() and recipe.card != CardSettings():
            write_card(folder.path, settings=recipe.card)
        kinds: dict[str, type[RunReport]] = {TRANSLATION: TranslationReport, GENERAL: GeneralReport}
        kind = kinds.get(recipe.task, RunReport)
        report = kind.read(folder.read_report(), str(folder.path))
    else:
        run = _run_of(plan, console)
        with folder.held():
            if folder.is_started:
                console.print(f"Going on with the run in {folder.path}.", markup=False)
            report, said = run.carry_out(), run.said
    report.show(console, said)
    return report


def check_teachers(plan: EncoderPlan | TranslationPlan | GeneralPlan) -> None:
    """Open the teachers once, as the run will; those that would have to be fetched are left out.

    Raises:
        TinyBertError: one cannot be opened, or its head was never trained.
    """
    from rich.console import Console

    recipe = plan.recipe
    if recipe.teacher.model is not None and Path(recipe.teacher.model).is_dir():
        _run_of(plan, Console(quiet=True)).open_teacher()
    if all(Path(one.model).is_dir() for one in recipe.further_teachers):
        open_further_teachers(recipe)


def _run_of(plan: EncoderPlan | TranslationPlan | GeneralPlan, console: Console) -> Run[Any]:
    if isinstance(plan, GeneralPlan):
        return GeneralRun(plan, console)
    if isinstance(plan, TranslationPlan):
        return TranslationRun(plan, console)
    return EncoderRun(plan, console)
