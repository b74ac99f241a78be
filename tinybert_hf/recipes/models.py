"""The models of a run: opened, made, begun, pruned; and the projections that a student brings."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf import checkpoints
from tinybert_hf.checkpoints import open_model, read_projections
from tinybert_hf.conversion.pruning import share_left_out
from tinybert_hf.data import TaskData
from tinybert_hf.data.shards import is_first_process
from tinybert_hf.distillation import initialize_from_teacher, load_teacher
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teachers import AnyTeacher, different_tokens
from tinybert_hf.errors import TinyBertError
from tinybert_hf.messages import counted
from tinybert_hf.training import Phase, projections_from

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.conversion.pruning import PrunedModel
    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.plan import Plan
    from tinybert_hf.recipes.run import Run
    from tinybert_hf.recipes.schema import Recipe, VocabularyPruning
    from tinybert_hf.recipes.steps import Steps


# The teachers of a run.


def open_teacher(plan: Plan, steps: Steps) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The first teacher as the recipe names it: one that has learnt its task, or is about to.

    Raises:
        TeacherError: it cannot be opened, or its head is untrained and the recipe does not say to fine-tune it.
    """
    teacher = plan.recipe.teacher
    if teacher.config is not None:
        return new_model(plan.spec.opener.from_config, plan.teacher_config, plan.recipe.seed), plan.teachers[
            0
        ].tokenizer
    assert teacher.model is not None
    if teacher.finetune is None:
        return steps.open_teacher(teacher.model, teacher.dtype)
    if plan.spec.head:
        return open_pretrained(teacher.model, plan.recipe.task, plan.data, plan.recipe.seed)
    return steps.open_teacher(teacher.model, None)  # a half precision is for a teacher that is frozen


def open_extra_teachers(recipe: Recipe) -> list[PreTrainedModel]:
    """All teachers but the first.

    Raises:
        TeacherError: one cannot be opened, or was never fine-tuned.
    """
    return [
        load_teacher(one.model, task=recipe.task, dtype=one.dtype or "float32")[0] for one in recipe.extra_teachers
    ]


def open_pretrained(
    model: str, task: str, data: TaskData, seed: int
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A pretrained model with a head for the labels of the data: its own where that fits, else a fresh one."""
    from transformers import set_seed

    set_seed(seed)  # the fresh head is drawn here
    problem = data.config_fields.get("problem_type")
    return load_teacher(
        model, task=task, label_names=data.label_names, problem_type=problem, new_head=True, dtype="float32"
    )


def new_model(make: Callable[[Any], PreTrainedModel], config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """A model with random weights."""
    from transformers import set_seed

    set_seed(seed)
    return make(config)


def open_tokenizer(model: str, whose: str, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a saved model, made to fit its tables.

    Raises:
        TinyBertError: it has none, or one with tokens that the model does not embed.
    """
    what = f"The {whose} {model} has no tokenizer that can be opened; save its tokenizer into the same folder"
    return checkpoints.open_tokenizer(model, what=what, config=config)


def tokenizer_of_student(
    recipe: Recipe, teachers: PreTrainedTokenizerBase, config: PreTrainedConfig
) -> PreTrainedTokenizerBase:
    """The (first) teacher's, or that of a student that exists and reads other tokens."""
    if recipe.student.model is None:
        return teachers
    own = open_tokenizer(recipe.student.model, "student", config)
    return own if different_tokens(teachers, own, shown=1) else teachers


# The student of a run before it learns: its start weights, and the projections that it brings to the first phase.


def make_start(plan: Plan, teacher: PreTrainedModel, steps: Steps) -> PreTrainedModel:
    """The student before the first step: opened, projected down from the teacher, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    name = plan.recipe.student.model
    if name is not None:
        what = f"student.model {name}: config.json and the weights do not fit"
        new_head = not plan.spec.has_decoder
        opened: PreTrainedModel = open_model(
            name, plan.student_class, TinyBertError, what, new_head=new_head, config=plan.student_config
        )
        return opened
    student: PreTrainedModel = plan.student_class(plan.student_config)
    if plan.starts_from_teacher:
        initialize_from_teacher(student, teacher, steps.start_batches(), plan.start_map)
    return student


def projections_beside(
    model: str | None, student: PreTrainedModel, teacher: AnyTeacher, phase: Phase, say: Callable[[str], None]
) -> AnyProjections | None:
    """Those that lie beside a student, where the first phase can go on with them; the user is told.

    Args:
        model: folder or Hub id of the student; None: it is made from a preset.
        student: opened.
        teacher: of the run.
        phase: the first.
        say: prints a line.
    """
    kept = None if model is None else read_projections(model)
    if kept is None:
        return None
    found = projections_from(kept, student, teacher, phase)
    say(
        f"The projections of {model} are gone on with."
        if found is not None
        else f"Note: the projections of {model} are not used: the first phase projects nothing, or in another "
        "way (its projection), or to several teachers or one of another width."
    )
    return found


def describe_start(plan: Plan) -> Iterator[str]:
    """Where the student starts, for a dry run."""
    model = plan.recipe.student.model
    if model is None:
        origin = "the teacher's weights" if plan.starts_from_teacher else "random weights"
        yield f"the student starts from: {origin}"
        return
    yield f"the student starts from: the weights of {model}"
    said: list[str] = []
    projections_beside(model, *plan.shapes, plan.recipe.phases[0], said.append)
    yield from said or ["it brings no projections; the first phase makes its own"]


# The stage in which the distilled student gets a smaller vocabulary.

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
        from tinybert_hf.data.files import TextFiles

        assert recipe.prune_vocabulary is not None
        TextFiles(files, recipe.prune_vocabulary.text_columns).check()


def prune_stage(run: Run, settings: VocabularyPruning) -> None:
    """Make the vocabulary of the distilled student smaller, and measure what is shipped."""
    if not is_first_process():
        return
    folder = run.folder
    if folder.result_of(PRUNING) is None:
        with run.stage(PRUNING, "Pruning the vocabulary"):
            pruned = prune_student(folder, settings, run.open_student, run.steps.training_texts)
            run.warn(pruned.report.warnings())
            metrics = run.steps.measure("student", pruned.model.to(run.device), pruned.tokenizer)
            share = share_left_out(run.student_tokenizer, pruned.kept, run.steps.validation_texts())
        folder.finish_stage(PRUNING, {"metrics": metrics, **asdict(pruned.report), "left_out_share": share})
    folder.place(PRUNING)
    result = folder.result_of(PRUNING)
    run.say(
        f"Student, pruned: {run.steps.in_words(result['metrics'])}, {format_pruning(result)}", format_left_out(result)
    )


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
    from tinybert_hf.checkpoints import open_tokenizer, save_atomically
    from tinybert_hf.conversion.pruning import prune_vocabulary
    from tinybert_hf.data.files import TextFiles

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
    save_atomically(pruned.model, pruned.tokenizer, target)
    return pruned


def format_pruning(result: Mapping[str, Any]) -> str:
    """The sizes before and after."""
    return (
        f"{result['pieces_before']:,} -> {counted(result['pieces_after'], 'piece')}, "
        f"{result['parameters_before'] / 1e6:.2f} M -> {result['parameters_after'] / 1e6:.2f} M parameters, "
        f"{result['megabytes_before']:.1f} -> {result['megabytes_after']:.1f} MB"
    )


def format_left_out(result: Mapping[str, Any]) -> str:
    """What of the corpus, and of the validation rows, keeps its pieces."""
    said = (
        f"{result['kept_share']:.2%} of the corpus' tokens keep their piece. In further text like it about "
        f"{result['unseen_share']:.2%} of the tokens would be new, less with the margin"
    )
    if "left_out_share" in result:  # a run of an earlier version did not count it
        said += f"; of the validation rows' tokens {result['left_out_share']:.2%} have a piece that was left out"
    return said + "."


def describe_pruning(recipe: Recipe) -> Iterator[str]:
    """For a dry run."""
    settings = recipe.prune_vocabulary
    if settings is not None:
        corpus = ", ".join("the training rows" if one == TRAIN else one for one in settings.corpus)
        often = "once" if settings.min_count == 1 else f"{settings.min_count} times"
        yield (
            f"then the vocabulary: pieces that come {often} or more in {corpus}, and "
            f"{settings.margin:.0%} of the others"
        )
