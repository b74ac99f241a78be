"""Fine-tune a pretrained model on the labels of a data set: a teacher, or a student without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data import TASKS, DataSettings
from tinybert_hf.evaluation import evaluate_model
from tinybert_hf.recipes.folder import RunFolder
from tinybert_hf.recipes.plan import check_training_arguments
from tinybert_hf.recipes.report import SCREEN, versions
from tinybert_hf.recipes.teachers import open_pretrained
from tinybert_hf.training import FinetuneSettings, finetune

if TYPE_CHECKING:
    from rich.console import Console


def finetune_pretrained(
    model: str,
    data: DataSettings,
    settings: FinetuneSettings,
    output_dir: str | Path,
    *,
    seed: int = 42,
    training_arguments: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> dict[str, float]:
    """Fine-tune a sequence classifier and leave it in `output_dir`; called again after a stop, it goes on.

    Args:
        model: folder or Hub id; its head is kept where it fits the labels, else a fresh one is drawn.
        data: the rows.
        settings: epochs, learning rate and the like.
        output_dir: new, empty, or an earlier start of the same run.
        seed: of the fresh head, the order of the rows and dropout.
        training_arguments: further fields of TrainingArguments.
        console: where to print; None: standard output.

    Returns:
        The metrics on the validation rows.

    Raises:
        TinyBertError: data, model or folder cannot be used.
    """
    if console is None:
        from rich.console import Console

        console = Console()
    arguments = dict(training_arguments or {})
    check_training_arguments(arguments)
    identity = {"finetune": asdict(settings), "model": model, "data": asdict(data), "seed": seed, **arguments}
    folder = RunFolder(output_dir, identity, data)
    folder.check()
    task = TASKS["text-classification"]
    rows = task.load(data)
    if folder.is_finished:
        console.print(f"{folder.path} holds this run already, complete; delete the folder to run it again.")
        return dict(folder.read_report()["metrics"])
    network, tokenizer = open_pretrained(model, rows, seed)
    folder.claim()
    train, validation = (task.tokenize(split, tokenizer, data) for split in (rows.train, rows.validation))
    if not (folder.work / "model").exists():
        finetune(
            network,
            settings,
            output_dir=folder.work / "model",
            train_dataset=train,
            processing_class=tokenizer,
            seed=seed,
            training_arguments={**SCREEN, **arguments},
        )
    else:
        network, tokenizer = type(network).from_pretrained(folder.work / "model"), tokenizer
    metrics = evaluate_model(network, validation, tokenizer, rows.problem_type)
    folder.place("model")
    folder.finish({"metrics": metrics, "versions": versions(), "recipe": {"data": asdict(data)}})
    return metrics
