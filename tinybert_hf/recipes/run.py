"""Carry out a recipe: data, teacher, student, phases, baseline, costs, report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinybert_hf.cards import CardSettings, write_card
from tinybert_hf.data.held_folder import is_first_process
from tinybert_hf.recipes.general_report import GeneralReport
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
        if folder.is_started:
            console.print(f"Going on with the run in {folder.path}.", markup=False)
        run = _run_of(plan, console)
        with folder.held():
            report, said = run.carry_out(), run.said
    report.show(console, said)
    return report


def _run_of(plan: EncoderPlan | TranslationPlan | GeneralPlan, console: Console) -> Run[Any]:
    if isinstance(plan, GeneralPlan):
        return GeneralRun(plan, console)
    if isinstance(plan, TranslationPlan):
        return TranslationRun(plan, console)
    return EncoderRun(plan, console)
