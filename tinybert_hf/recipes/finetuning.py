"""Trains a model on the labels of a data set, without a teacher: a classifier, or a translator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf import checkpoints
from tinybert_hf.data import DataSettings, TaskData, tokenizing_notes
from tinybert_hf.data.settings import REGRESSION, SINGLE_LABEL
from tinybert_hf.data.tasks import shared_rows_notes
from tinybert_hf.distillation.teachers import trained_problem_type
from tinybert_hf.errors import DataError, TeacherError
from tinybert_hf.evaluation import (
    check_can_count,
    evaluate_translation,
    holds_translator,
    open_translator,
    predicted_logits,
    task_metrics,
)
from tinybert_hf.messages import counted, counted_epochs
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.models import new_model, open_pretrained
from tinybert_hf.recipes.plan import check_lengths, check_training_arguments
from tinybert_hf.recipes.report import SCREEN, show_warning, versions
from tinybert_hf.recipes.steps import student_warnings
from tinybert_hf.recipes.translation import made_translator
from tinybert_hf.tasks import TASKS, TEXT_CLASSIFICATION, TRANSLATION
from tinybert_hf.training import FinetuneSettings, finetune
from tinybert_hf.training.settings import USUAL_LEARNING_RATE

if TYPE_CHECKING:
    from rich.console import Console
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SMALL_TRANSLATOR: dict[str, Any] = {
    "d_model": 256,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 1024,
    "decoder_ffn_dim": 1024,
    "max_position_embeddings": 256,
    "scale_embedding": True,
    "dropout": 0.1,
}
"""Fields of the MarianConfig of a translator that is made from random weights."""
_LABEL_SMOOTHING = 0.1


def finetune_pretrained(
    model: str,
    data: DataSettings,
    settings: FinetuneSettings,
    output_dir: str | Path,
    *,
    seed: int = 42,
    training_arguments: Mapping[str, Any] | None = None,
    task: str = TEXT_CLASSIFICATION,
    console: Console | None = None,
) -> dict[str, Any]:
    """Fine-tune an encoder with a head and leave it in `output_dir`; called again after a stop, it goes on.

    Args:
        model: folder or Hub id; its head is kept where it fits the labels, else a fresh one is drawn.
        data: the rows.
        settings: epochs, learning rate and the like.
        output_dir: new, empty, or an earlier start of the same run.
        seed: of the fresh head, the order of the rows and dropout.
        training_arguments: further fields of TrainingArguments.
        task: a name in `HEADS`.
        console: where to print; None: standard output.

    Returns:
        The metrics on the validation rows.

    Raises:
        TinyBertError: data, model or folder cannot be used.
    """

    def open_model(rows: TaskData) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        check_can_count(rows.problem_type, rows.label_names)
        return open_pretrained(model, task, rows, seed)

    def measure(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: TaskData) -> dict[str, Any]:
        raw = rows.part("validation")
        validation = TASKS[task].task.tokenize(raw, tokenizer, data)
        logits = predicted_logits(network, validation, tokenizer)
        return task_metrics(logits, validation, raw, rows)

    def load() -> TaskData:
        rows: TaskData = TASKS[task].task.load(data)
        return _as_classes(rows, model, data) if task == TEXT_CLASSIFICATION else rows

    what = {"model": model, **({} if task == TEXT_CLASSIFICATION else {"task": task})}
    tuning = _Tuning(task, load, what, data, settings, seed, dict(training_arguments or {}))
    return tuning.carry_out(output_dir, open_model, measure, console)


def finetune_translator(
    model: str | None,
    data: DataSettings,
    settings: FinetuneSettings,
    output_dir: str | Path,
    *,
    vocabulary_size: int = 8000,
    target_vocabulary_size: int | None = None,
    num_beams: int = 5,
    seed: int = 42,
    training_arguments: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Train a translator on sentence pairs, as `finetune_pretrained` trains a classifier.

    Args:
        model: folder or Hub id of a sequence-to-sequence model; None: a small Marian model from random weights
            (`SMALL_TRANSLATOR`), with a tokenizer that is trained on the pairs.
        data: the pairs.
        settings: epochs, learning rate and the like.
        output_dir: new, empty, or an earlier start of the same run.
        vocabulary_size: of a new model's source, or of both sides where they share a vocabulary.
        target_vocabulary_size: of a new model's target; None: both sides share a vocabulary.
        num_beams: width of the search when it is measured.
        seed: of new weights, the order of the rows and dropout.
        training_arguments: further fields of TrainingArguments; label_smoothing_factor is 0.1 unless they say another.
        console: where to print; None: standard output.

    Returns:
        BLEU and chrF on the validation pairs, with their signatures.

    Raises:
        TinyBertError: data, model or folder cannot be used.
    """
    if model is not None and not holds_translator(model):
        raise TeacherError(
            f"{model} is no translator, so it cannot be trained on pairs. Give a sequence-to-sequence model, or none: "
            "then a small one is made."
        )

    def open_model(rows: TaskData) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        assert rows.train is not None
        if model is None:
            config, tokenizer = made_translator(SMALL_TRANSLATOR, rows.train, vocabulary_size, target_vocabulary_size)
            network = new_model(TASKS[TRANSLATION].opener.from_config, config, seed)
        else:
            network, tokenizer = open_translator(model, "float32")  # half precision does not learn
        check_lengths(data, model=network)
        return network, tokenizer

    def measure(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: TaskData) -> dict[str, Any]:
        assert rows.validation is not None
        sources, references = (list(rows.validation[side]) for side in ("source", "target"))
        result = evaluate_translation(network, tokenizer, sources, references, num_beams=num_beams)
        names = ("bleu", "chrf", "bleu_signature", "chrf_signature", "cut_off", "truncated")
        for note in result["notes"]:
            (console or _screen()).print(f"Note: {note}", highlight=False, markup=False, soft_wrap=True)
        return {name: result[name] for name in names}  # type: ignore[literal-required]

    what: dict[str, Any] = {"model": model}
    if model is None:
        what |= {"made": SMALL_TRANSLATOR, "vocabularies": [vocabulary_size, target_vocabulary_size]}
    arguments = {"label_smoothing_factor": _LABEL_SMOOTHING, **(training_arguments or {})}
    tuning = _Tuning(TRANSLATION, lambda: TASKS[TRANSLATION].task.load(data), what, data, settings, seed, arguments)
    return tuning.carry_out(output_dir, open_model, measure, console)


def _as_classes(rows: TaskData, model: str, data: DataSettings) -> TaskData:
    """Numbers that may be classes written as decimals are classes where the model is a classifier with as many."""
    if rows.problem_type != REGRESSION or data.problem_type is not None:
        return rows
    config = checkpoints.open_config(model, TeacherError, f"The model {model!r} cannot be opened")
    if trained_problem_type(config) != SINGLE_LABEL:
        return rows
    try:
        classes: TaskData = TASKS[TEXT_CLASSIFICATION].task.load(replace(data, problem_type=SINGLE_LABEL))
    except DataError:
        return rows  # fractions
    if classes.num_labels != config.num_labels:
        return rows
    why = (
        f"{model} is a classifier with {counted(classes.num_labels, 'label')}, so they are classes. If they are "
        "numbers to predict: --problem-type regression (problem_type)."
    )
    return replace(classes, notes=(*classes.notes, why))


Opened = tuple["PreTrainedModel", "PreTrainedTokenizerBase"]


@dataclass(frozen=True)
class _Tuning:
    """One training: what it is about, and what makes two of them the same."""

    task: str
    load: Callable[[], TaskData]
    what: dict[str, Any]
    data: DataSettings
    settings: FinetuneSettings
    seed: int
    arguments: dict[str, Any]

    def carry_out(
        self,
        output_dir: str | Path,
        open_model: Callable[[TaskData], Opened],
        measure: Callable[[PreTrainedModel, PreTrainedTokenizerBase, TaskData], dict[str, Any]],
        console: Console | None,
    ) -> dict[str, Any]:
        """Train, measure, and put the model into `output_dir`; what an earlier start has done is not done again."""
        console = console or _screen()
        check_training_arguments(self.arguments)
        identity = {"finetune": asdict(self.settings), "data": asdict(self.data), "seed": self.seed}
        settings = {**identity, **self.what, **self.arguments}
        folder = RunFolder(output_dir, settings, self.data, models={"model": self.what["model"]})
        folder.check()
        rows = self.load()
        if folder.is_finished:
            console.print(
                f"{folder.path} holds this run already, complete; delete the folder to run it again.", markup=False
            )
            metrics = dict(folder.read_report()["metrics"])
            _warn(console, rows, metrics)
            return metrics
        if folder.is_started:
            console.print(f"Going on with the run in {folder.path}.", markup=False)
        with folder.held():
            return self._train(folder, rows, open_model, measure, console)

    def _train(
        self,
        folder: RunFolder,
        rows: TaskData,
        open_model: Callable[[TaskData], Opened],
        measure: Callable[[PreTrainedModel, PreTrainedTokenizerBase, TaskData], dict[str, Any]],
        console: Console,
    ) -> dict[str, Any]:
        task = TASKS[self.task].task
        network, tokenizer = open_model(rows)
        assert rows.train is not None
        tuning = self.settings.with_epochs(len(rows.train), has_decoder=TASKS[self.task].has_decoder)
        folder.claim()
        train = task.tokenize(rows.train, tokenizer, self.data)
        notes = [*rows.notes, *shared_rows_notes(rows), *tokenizing_notes(train)]
        for note in notes:
            console.print(f"Note: {note}", highlight=False, markup=False, soft_wrap=True)
        if not (folder.work / "model").exists():
            said = counted_epochs(tuning.known_epochs, tuning.learning_rate or USUAL_LEARNING_RATE)
            console.print(f"Training on {counted(len(rows.train), 'row')}: {said}.", highlight=False)
            finetune(
                network,
                tuning,
                output_dir=folder.work / "model",
                train_dataset=train,
                processing_class=tokenizer,
                seed=self.seed,
                training_arguments={**SCREEN, **self.arguments},
                announce=lambda step: console.print(f"It goes on from step {step}.", highlight=False),
            )
        else:
            network = checkpoints.open_model(folder.work / "model", type(network))
        metrics = measure(network, tokenizer, rows)
        _warn(console, rows, metrics)
        folder.place("model")
        recipe = {"data": asdict(self.data), "finetune": asdict(tuning), "seed": self.seed}
        folder.finish({"metrics": metrics, "versions": versions(), "recipe": recipe})
        return metrics


def _screen() -> Console:
    from rich.console import Console

    return Console()


def _warn(console: Console, rows: TaskData, metrics: Mapping[str, Any]) -> None:
    for warning in student_warnings(rows, metrics, "The model"):
        show_warning(console, warning)
