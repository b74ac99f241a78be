"""The stage in which the distilled student gets a smaller vocabulary."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.held_folder import is_first_process
from tinybert_hf.pruning.counting import share_left_out
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tinybert_hf.pruning import PrunedModel
    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.run_base import RunBase
    from tinybert_hf.recipes.schema import Recipe, VocabularyPruning

PRUNING = "pruning"
TRAIN = "train"  # in place of a file: the training rows


def corpus_files(recipe: Recipe) -> tuple[str, ...]:
    """The files of the corpus; none where nothing is pruned."""
    settings = recipe.prune_vocabulary
    return () if settings is None else tuple(file for file in settings.corpus if file != TRAIN)


def check_corpus(recipe: Recipe) -> None:
    """Look at the files of the corpus before anything is trained.

    Raises:
        DataError: a file or a column that is not there.
    """
    files = corpus_files(recipe)
    if files:
        from tinybert_hf.data.text_files import TextFiles

        assert recipe.prune_vocabulary is not None
        TextFiles(files, recipe.prune_vocabulary.text_columns).check()


def prune_stage(run: RunBase[Any], settings: VocabularyPruning) -> None:
    """Make the vocabulary of the distilled student smaller, and measure what is shipped."""
    if not is_first_process():
        return
    folder = run.folder
    if folder.result_of(PRUNING) is None:
        with run.stage(PRUNING, "Pruning the vocabulary"):
            pruned = prune_student(folder, settings, run.open_student, run.corpus_of_rows)
            run.warn(pruned.report.warnings())
            metrics = run.measure_pruned(pruned.model.to(run.device), pruned.tokenizer)
            share = share_left_out(run.student_tokenizer, pruned.kept, run.validation_texts())
        folder.finish_stage(PRUNING, {"metrics": metrics, **asdict(pruned.report), "left_out_share": share})
    folder.place(PRUNING)
    result = folder.result_of(PRUNING)
    run.say(f"Student, pruned: {run.in_words(result['metrics'])}, {pruning_in_words(result)}", text_in_words(result))


def prune_student(
    folder: RunFolder,
    settings: VocabularyPruning,
    open_student: Callable[[Path], PreTrainedModel],
    training_texts: Callable[[], Iterable[str]],
) -> PrunedModel:
    """Prune the student that the run has just saved; the result is whole in `.run/pruning`, or absent.

    Args:
        folder: of the run; the student stands in `.run/student`.
        settings: of the recipe.
        open_student: a student from its folder.
        training_texts: every text of the training rows.
    """
    from tinybert_hf.data.text_files import TextFiles
    from tinybert_hf.opening import open_tokenizer, put_in_place
    from tinybert_hf.pruning import prune_vocabulary

    student, target = folder.work / "student", folder.work / PRUNING
    files = tuple(file for file in settings.corpus if file != TRAIN)
    parts: list[Iterable[str]] = [TextFiles(files, settings.text_columns)] if files else []
    if TRAIN in settings.corpus:
        parts.append(training_texts())
    model = open_student(student)
    pruned = prune_vocabulary(
        model,
        open_tokenizer(student, config=model),
        chain.from_iterable(parts),
        min_count=settings.min_count,
        margin=settings.margin,
    )
    shutil.rmtree(target, ignore_errors=True)  # of a run that was stopped between this stage and its note
    put_in_place(pruned.model, pruned.tokenizer, target)
    return pruned


def pruning_in_words(result: Mapping[str, Any]) -> str:
    """The sizes before and after."""
    return (
        f"{result['pieces_before']:,} -> {counted(result['pieces_after'], 'piece')}, "
        f"{result['parameters_before'] / 1e6:.2f} M -> {result['parameters_after'] / 1e6:.2f} M parameters, "
        f"{result['megabytes_before']:.1f} -> {result['megabytes_after']:.1f} MB"
    )


def text_in_words(result: Mapping[str, Any]) -> str:
    """What of the corpus, and of the validation rows, keeps its pieces."""
    said = (
        f"{result['kept_share']:.2%} of the corpus' tokens keep their piece. In further text like it about "
        f"{result['unseen_share']:.2%} of the tokens would be new, less with the margin"
    )
    if "left_out_share" in result:  # a run of an earlier version did not count it
        said += f"; of the validation rows' tokens {result['left_out_share']:.2%} have a piece that was left out"
    return said + "."


def described(recipe: Recipe) -> Iterator[str]:
    """For a dry run."""
    settings = recipe.prune_vocabulary
    if settings is not None:
        corpus = ", ".join("the training rows" if one == TRAIN else one for one in settings.corpus)
        often = "once" if settings.min_count == 1 else f"{settings.min_count} times"
        yield (
            f"then the vocabulary: pieces that come {often} or more in {corpus}, and "
            f"{settings.margin:.0%} of the others"
        )
