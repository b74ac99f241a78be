"""The models of a run: teachers, students, translators; opened or made, checked, pruned."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinybert_hf import checkpoints
from tinybert_hf.checkpoints import open_model, read_projections
from tinybert_hf.conversion.pruning import share_left_out
from tinybert_hf.data import TaskData, train_translation_tokenizer
from tinybert_hf.data.corpus import BlockCollator, CorpusBlocks
from tinybert_hf.data.settings import SINGLE_LABEL
from tinybert_hf.data.shards import is_first_process
from tinybert_hf.data.translation import set_languages
from tinybert_hf.distillation import Teachers, initialize_from_teacher, load_teacher
from tinybert_hf.distillation.losses.prediction import mixed_logits, mixed_span_logits
from tinybert_hf.distillation.objective import Objective
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.distillation.teachers import INT8, AnyTeacher, different_tokens, load_encoder, round_to_int8, settled
from tinybert_hf.errors import TeacherError, TinyBertError
from tinybert_hf.evaluation import open_translator
from tinybert_hf.messages import counted
from tinybert_hf.model import TinyBertConfig, TinyBertForSeq2Seq
from tinybert_hf.recipes.plan_base import in_phase, made_config, open_encoder_config
from tinybert_hf.recipes.schema import Recipe
from tinybert_hf.tasks import HEADS, QUESTION_ANSWERING
from tinybert_hf.training import Phase, projections_from
from tinybert_hf.training.setup import new_projections

if TYPE_CHECKING:
    from datasets import Dataset
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.conversion.pruning import PrunedModel
    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.plan import EncoderPlan, GeneralPlan, TranslationPlan
    from tinybert_hf.recipes.schema import TeacherSettings, VocabularyPruning
    from tinybert_hf.recipes.stages import RunBase


# The teacher of a run: opened, made, or fine-tuned first.


def open_teacher(plan: EncoderPlan) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher as the recipe names it: fine-tuned already, or about to be.

    Raises:
        TeacherError: it cannot be opened, or its head is untrained and the recipe does not say to fine-tune it.
    """
    from transformers import set_seed

    teacher = plan.recipe.teacher
    if teacher.config is not None:
        assert plan.teacher_tokenizer is not None
        set_seed(plan.recipe.seed)
        return HEADS[plan.recipe.task].opener.from_config(plan.teacher_config), plan.teacher_tokenizer
    assert teacher.model is not None
    if teacher.finetune is not None:
        return open_pretrained(teacher.model, plan.recipe.task, plan.data, plan.recipe.seed)
    return load_teacher(teacher.model, task=plan.recipe.task, dtype=teacher.dtype or "float32")


def reopen_teacher(folder: Path, task: str, dtype: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher that was fine-tuned in this run."""
    return load_teacher(str(folder), task=task, dtype=dtype or "float32")


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


# The student of a run before it learns: its start weights, and whether it knows its tokens.

# What the teacher's hidden spaces are estimated from: some thousand tokens, which fit into memory at any width.
_START_ROWS = 1024
_START_TOKENS = 16384
_BATCH = 32


def make_start(
    plan: EncoderPlan, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, train: Dataset
) -> PreTrainedModel:
    """The student before the first step: opened, projected down from the teacher, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    settings, student_class = plan.recipe.student, HEADS[plan.recipe.task].student_class
    if settings.model is not None:
        what = f"student.model {settings.model}: config.json and the weights do not fit"
        opened: PreTrainedModel = open_model(
            settings.model, student_class, TinyBertError, what, new_head=True, config=plan.student_config
        )
        return opened
    student: PreTrainedModel = student_class(plan.student_config)
    if plan.starts_from_teacher:
        rows = train.shuffle(seed=plan.recipe.seed)
        batches = list(unlabelled_batches(rows, tokenizer, teacher, _START_ROWS, _START_TOKENS))
        initialize_from_teacher(student, teacher, batches, plan.start_map)
    return student


def open_student(folder: Path, task: str) -> PreTrainedModel:
    """A student that this run has saved."""
    student: PreTrainedModel = open_model(folder, HEADS[task].student_class)
    return student


def unlabelled_batches(
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    max_rows: int,
    max_tokens: int = _START_TOKENS,
) -> Iterator[dict[str, Tensor]]:
    """The first rows in padded batches, without labels, where the model is."""
    names = [name for name in rows.column_names if name in tokenizer.model_input_names]
    rows = rows.select_columns(names).select(range(min(max_rows, len(rows))))
    tokens = 0
    for start in range(0, len(rows), _BATCH):
        batch = tokenizer.pad(rows[start : start + _BATCH], return_tensors="pt")
        yield {name: values.to(model.device) for name, values in batch.items()}
        tokens += int(batch["attention_mask"].sum())
        if tokens >= max_tokens:
            return


# The two models of a general distillation.

# Some thousand tokens, as for a classifier's start.
_START_BLOCKS, _BLOCK_TOKENS, _BLOCKS_AT_ONCE = 1024, 16384, 32


def open_general_teacher(plan: GeneralPlan) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The encoder of the teacher, without a head.

    Raises:
        TeacherError: it cannot be opened, or its tokenizer does not fit.
    """
    settings = plan.recipe.teacher
    assert settings.model is not None
    teacher, tokenizer = load_encoder(settings.model, dtype=settings.dtype or "float32")
    if plan.corpus.masked_share and tokenizer.mask_token_id is None:
        raise TeacherError(f"The tokenizer of {settings.model} has no mask token, so nothing can be masked.")
    return teacher, tokenizer


def make_general_start(
    plan: GeneralPlan, teacher: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, blocks: CorpusBlocks
) -> PreTrainedModel:
    """The student before the first step: opened, projected down from the teacher, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    model, kind = plan.recipe.student.model, plan.student_class
    if model is not None:
        what = f"student.model {model}: config.json and the weights do not fit"
        opened: PreTrainedModel = open_model(
            model, kind, TinyBertError, what, new_head=True, config=plan.student_config
        )
        return opened
    student = kind(plan.student_config)
    if plan.starts_from_teacher:
        count = min(_START_BLOCKS, -(-_BLOCK_TOKENS * len(blocks) // blocks.tokens), len(blocks))
        chosen = np.random.default_rng(plan.recipe.seed).choice(len(blocks), count, replace=False)
        collate = BlockCollator(tokenizer)
        batches = []
        for start in range(0, count, _BLOCKS_AT_ONCE):
            batch = collate([blocks[number] for number in chosen[start : start + _BLOCKS_AT_ONCE].tolist()])
            batches.append({name: values.to(teacher.device) for name, values in batch.items()})
        initialize_from_teacher(student, teacher, batches, plan.start_map)
    return student


def open_general_student(plan: GeneralPlan, folder: Path) -> PreTrainedModel:
    """A student that this run has saved."""
    opened: PreTrainedModel = open_model(folder, plan.student_class)
    return opened


# The two translators of a run: made or opened, and whether they read the same tokens.

_HEADS = {"encoder_attention_heads": "d_model", "decoder_attention_heads": "d_model"}


def made_translator(
    fields: Mapping[str, Any], pairs: Dataset, vocabulary_size: int, target_vocabulary_size: int | None
) -> tuple[PreTrainedConfig, PreTrainedTokenizerBase]:
    """What a Marian model from random weights needs: its configuration, and a tokenizer trained on the pairs.

    Args:
        fields: of the MarianConfig.
        pairs: with the columns source and target.
        vocabulary_size: of the source where the target has one of its own, else of both.
        target_vocabulary_size: of the target; None: source and target share one.

    Raises:
        TinyBertError: a field or a size that cannot be.
    """
    from transformers import MarianConfig

    positions = made_config(MarianConfig, fields, _HEADS).max_position_embeddings
    tokenizer = train_translation_tokenizer(
        pairs["source"],
        pairs["target"],
        vocab_size=vocabulary_size,
        target_vocab_size=target_vocabulary_size,
        max_length=positions,
    )
    decided = {
        "vocab_size": len(tokenizer),
        "decoder_vocab_size": getattr(tokenizer, "target_vocab_size", len(tokenizer)),
        "share_encoder_decoder_embeddings": target_vocabulary_size is None,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "decoder_start_token_id": tokenizer.pad_token_id,
        "forced_eos_token_id": None,
    }
    return made_config(MarianConfig, fields, _HEADS, **decided), tokenizer


def new_translator(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    """A Marian model with random weights."""
    from transformers import MarianMTModel, set_seed

    set_seed(seed)
    return MarianMTModel(config)


def open_translator_teacher(plan: TranslationPlan) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher as the recipe names it: trained already, or about to be.

    Raises:
        TinyBertError: it cannot be opened, or is no trained translator.
    """
    teacher = plan.recipe.teacher
    if plan.teacher_tokenizer is not None:
        return new_translator(plan.teacher_config, plan.recipe.seed), plan.teacher_tokenizer
    assert teacher.model is not None
    dtype = None if teacher.finetune is not None else teacher.dtype  # a half precision is for a teacher that is frozen
    return _open(teacher.model, replace(teacher, dtype=dtype))


def reopen_translator_teacher(
    folder: Path, teacher: TeacherSettings
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The teacher that was trained in this run."""
    return _open(str(folder), teacher)


def _open(model: str, teacher: TeacherSettings) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch

    network, tokenizer = open_translator(model)
    set_languages(network, tokenizer, teacher.source_language, teacher.target_language)
    network.to(getattr(torch, "float32" if teacher.dtype in (None, INT8) else teacher.dtype)).eval()
    if teacher.dtype == INT8:
        round_to_int8(network)
    return network, tokenizer


def make_translator_start(plan: TranslationPlan) -> TinyBertForSeq2Seq:
    """The student before the first step: opened, or drawn."""
    from transformers import set_seed

    set_seed(plan.recipe.seed)
    if plan.recipe.student.model is not None:
        return open_translator_student(plan.recipe.student.model)
    return TinyBertForSeq2Seq(plan.student_config)


def open_translator_student(folder: str | Path) -> TinyBertForSeq2Seq:
    """A student that has been saved."""
    student: TinyBertForSeq2Seq = open_model(folder, TinyBertForSeq2Seq)
    return student


def open_tokenizer(model: str, whose: str, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a saved model, made to fit its tables.

    Raises:
        TinyBertError: it has none, or one with tokens that the model does not embed.
    """
    what = f"The {whose} {model} has no tokenizer that can be opened; save its tokenizer into the same folder"
    return checkpoints.open_tokenizer(model, what=what, config=config)


# Several teachers of a run, or one that reads other tokens than the student: opened, and checked before training.


@dataclass(frozen=True)
class JointTeachers:
    """What is known about the teachers before they are opened.

    Attributes:
        configs: of all teachers, in their order.
        tokenizers: likewise.
        student_tokenizer: the first teacher's, or that of a student that exists already.
        differences: of each teacher, tokens with another id than the student's; such a teacher reads its own.
        objectives: of each phase.
    """

    configs: tuple[PreTrainedConfig, ...]
    tokenizers: tuple[PreTrainedTokenizerBase, ...]
    student_tokenizer: PreTrainedTokenizerBase
    differences: tuple[tuple[str, ...], ...]
    objectives: tuple[Objective, ...]


def plan_joint_teachers(
    recipe: Recipe,
    first: PreTrainedConfig,
    first_tokenizer: PreTrainedTokenizerBase,
    student_config: TinyBertConfig,
) -> JointTeachers | None:
    """Check all teachers against the student; None for one teacher that reads the student's tokens.

    Args:
        recipe: of the run.
        first: configuration of the first teacher.
        first_tokenizer: of the first teacher.
        student_config: of the student.

    Raises:
        TinyBertError: labels, layers or tokens that do not fit, with the phase and the teacher.
    """
    if not recipe.further_teachers and recipe.student.model is None:
        return None
    names = [one.model for one in recipe.further_teachers]
    configs = (first, *(open_encoder_config(name, recipe.task) for name in names))
    rest = (open_tokenizer(name, "teacher", config) for name, config in zip(names, configs[1:], strict=True))
    tokenizers, student_tokenizer = (first_tokenizer, *rest), first_tokenizer
    if recipe.student.model is not None:
        own = open_tokenizer(recipe.student.model, "student", student_config)
        if different_tokens(first_tokenizer, own, shown=1):
            student_tokenizer = own
    if not names and student_tokenizer is first_tokenizer:
        return None
    skeletons = [_skeleton(recipe.task, config) for config in configs]
    teachers = settled(join(recipe, skeletons, tokenizers), student_tokenizer)
    assert isinstance(teachers, Teachers)
    objectives = _objectives(recipe, student_config, teachers)
    return JointTeachers(configs, tokenizers, student_tokenizer, teachers.differences, objectives)


def join(recipe: Recipe, models: Sequence[PreTrainedModel], tokenizers: Sequence[PreTrainedTokenizerBase]) -> Teachers:
    """The teachers of a recipe as one value, with its weights and layer maps."""
    settings: list[Any] = [recipe.teacher, *recipe.further_teachers]
    return Teachers(
        models,
        [one.weight for one in settings],
        layer_maps=[one.layer_map for one in settings],
        tokenizers=tokenizers,
    )


def open_further_teachers(recipe: Recipe) -> list[PreTrainedModel]:
    """All teachers but the first.

    Raises:
        TeacherError: one cannot be opened, or was never fine-tuned.
    """
    return [
        load_teacher(one.model, task=recipe.task, dtype=one.dtype or "float32")[0] for one in recipe.further_teachers
    ]


def _skeleton(task: str, config: PreTrainedConfig) -> Any:
    """A model without weights, to ask what it is."""
    from torch import device

    with device("meta"):
        return HEADS[task].opener.from_config(config)


def _objectives(recipe: Recipe, student_config: TinyBertConfig, teachers: Teachers) -> tuple[Objective, ...]:
    from torch import device

    with device("meta"):
        student = HEADS[recipe.task].student_class(student_config)
    objectives = []
    for index, phase in enumerate(recipe.phases):
        try:
            objective = Objective.between(
                student,
                teachers,
                losses=tuple(phase.loss_weights()),
                named=phase.named_losses,
                temperature=phase.temperature,
                **phase.layer_maps,
            )
            new_projections(phase.projection, student, teachers, objective)
        except TinyBertError as error:
            raise in_phase(index, phase.name, error) from error
        objectives.append(objective)
    return tuple(objectives)


def mean_answers(logits: Sequence[Any], weights: Sequence[float], problem_type: str) -> Any:
    """Of the answers of several models, which are arrays, or lists of them for each row."""
    from torch import tensor

    if problem_type == QUESTION_ANSWERING:
        rows = ([tensor(one) for one in each] for each in zip(*logits, strict=True))
        return [mixed_span_logits(row, weights).numpy() for row in rows]
    if isinstance(logits[0], list):
        return [mean_answers(row, weights, SINGLE_LABEL) for row in zip(*logits, strict=True)]
    return mixed_logits([tensor(one) for one in logits], weights, problem_type).numpy()


def in_order(logits: Any, order: list[int]) -> Any:
    """The last axis of an array, or of each of a list of them, in another order."""
    return [one[..., order] for one in logits] if isinstance(logits, list) else logits[..., order]


# The projections that a student from a general distillation or a conversion brings to its next run.


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


def describe_start(plan: EncoderPlan | GeneralPlan) -> Iterator[str]:
    """Where the student starts, for a dry run."""
    model = plan.recipe.student.model
    if model is None:
        origin = "the teacher's weights" if plan.starts_from_teacher else "random weights"
        yield f"the student starts from: {origin}"
        return
    yield f"the student starts from: the weights of {model}"
    said: list[str] = []
    projections_beside(model, *_shapes(plan), plan.recipe.phases[0], said.append)
    yield from said or ["it brings no projections; the first phase makes its own"]


def _shapes(plan: EncoderPlan | GeneralPlan) -> tuple[PreTrainedModel, AnyTeacher]:
    """Both models without their weights, to see what would be projected."""
    from torch import device
    from transformers import AutoModel

    from tinybert_hf.recipes.plan import GeneralPlan

    with device("meta"):
        if isinstance(plan, GeneralPlan):
            return plan.student_class(plan.student_config), AutoModel.from_config(plan.teacher_config)
        head = HEADS[plan.recipe.task]
        configs = (plan.teacher_config,) if plan.joint is None else plan.joint.configs
        teachers = [head.opener.from_config(config) for config in configs]
        student = head.student_class(plan.student_config)
    if plan.joint is None:
        return student, teachers[0]
    return student, join(plan.recipe, teachers, plan.joint.tokenizers)


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
