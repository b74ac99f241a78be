"""The model card of a folder, from its run.json and its configuration: nothing in it is typed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards.general_card import general_body
from tinybert_hf.cards.parts import MARK, PIPELINES, TAGS, citation, hub_name, introduction, last_part, limits, named
from tinybert_hf.errors import TinyBertError
from tinybert_hf.opening.config_file import check_config_file
from tinybert_hf.opening.json_files import read_object
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

RUN_FILE = "run.json"
# Percentages in the table; what the metadata calls them.
_METRICS = {"accuracy": "accuracy", "f1": "f1", "precision": "precision", "recall": "recall",
            "matthews_correlation": "matthews_correlation", "bleu": "bleu", "chrf": "chrf", "pearson": "pearsonr",
            "spearman": "spearmanr", "f1_micro": "f1", "f1_macro": "f1",
            "exact_match": "exact_match"}  # fmt: skip
_ROWS = {"teacher": "teacher", "student": "this model", "baseline": "the same model trained without the teacher"}


def card_of(folder: str | Path, repo_id: str | None = None, license: str | None = None) -> str:
    """Write the model card of a folder.

    Names of local folders and files are shortened to their last part: a card is read by others.

    Args:
        folder: of a model; with a run.json where it was distilled here.
        repo_id: where it is going to be; None: the name of the folder.
        license: an identifier of the Hub, such as apache-2.0; None: the card names none.

    Returns:
        Markdown with its metadata.

    Raises:
        TinyBertError: the folder holds no model, or its run.json cannot be read.
    """
    from huggingface_hub import ModelCardData

    place = Path(folder)
    config = read_object(Path(_config_file(place)))
    run = read_object(place / RUN_FILE) if (place / RUN_FILE).is_file() else {}
    name = repo_id or place.resolve().name
    architecture = str((config.get("architectures") or ["TinyBertModel"])[0])
    pipeline = PIPELINES.get(architecture)
    if pipeline is None:
        raise TinyBertError(f"{place / 'config.json'} describes a {architecture}, which is none of this package's.")
    try:
        results = list(_results(run, pipeline)) if run else []
        dataset = hub_dataset(run) if run else None
        base = hub_name(run["recipe"]["teacher"]["model"]) if run else None
        data = ModelCardData(
            license=license,
            library_name="transformers",
            pipeline_tag=pipeline,
            tags=list(TAGS),
            base_model=base,
            base_model_relation="finetune" if base else None,
            datasets=[dataset] if dataset else None,
            model_name=name if results else None,
            eval_results=results or None,
        )
        body = general_body(run, repo_id or str(folder)) if _is_general(run) else _body(run)
        parts = [*_head(name, config, run, pipeline), *body, *_tail(run)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, TinyBertError):
            raise
        raise TinyBertError(
            f"{place / RUN_FILE} is of another version, or damaged ({type(error).__name__}: {error}). Move it away "
            "for a card without the run's figures."
        ) from error
    return f"---\n{data.to_yaml()}\n---\n\n{MARK}\n\n" + "\n".join(parts) + "\n"


def hub_dataset(run: Mapping[str, Any]) -> str | None:
    """The dataset on the Hub that a run learned from; None for files and for this package's generators."""
    data = run["recipe"]["corpus" if _is_general(run) else "data"]
    name = data["dataset"]
    # A recipe may name a dataset and be given files: these win, and the run has seen nothing of the dataset.
    files = any(data.get(field) for field in ("train_file", "validation_file", "further_validation_files", "files"))
    return str(name) if name and not name.startswith("demo-") and not files else None


def _is_general(run: Mapping[str, Any]) -> bool:
    return bool(run) and run["recipe"].get("task") == "general"


def _config_file(place: Path) -> str:
    if not place.exists():
        raise TinyBertError(f"{place} does not exist (looked from {Path.cwd()}).")
    file = check_config_file(place)
    if not isinstance(file, Path):
        raise TinyBertError(
            f"{place} holds no model: there is no config.json. Give the folder that `tinybert distill` or `tinybert "
            "convert` has written."
        )
    return str(file)


def _results(run: Mapping[str, Any], pipeline: str) -> Iterator[EvalResult]:
    """The figures of the student, as the metadata has them."""
    from huggingface_hub import EvalResult

    data = run["recipe"]["data"]
    hub = hub_dataset(run)
    measured = [(data["validation_file"], data["validation_split"] if hub else None, run["metrics"]["student"])]
    for part, own in run["metrics"]["student"].get("further", {}).items():
        # Rows of files have no split, but would be taken for the others without a name of their own.
        split = data["further_validation"].get(part) if hub else part
        measured.append((data["further_validation_files"].get(part), split, own))
    for file, split, figures in measured:
        for name, value in figures.items():
            if name in _METRICS and isinstance(value, int | float):
                yield EvalResult(
                    task_type=pipeline,
                    dataset_type=hub or "custom",
                    dataset_name=last_part(file) if file else data["dataset"] or "validation rows",
                    dataset_config=data["dataset_config"] if hub else None,
                    dataset_split=split,
                    metric_type=_METRICS[name],
                    metric_name=name.replace("_", " ") if name.startswith("f1_") else None,
                    metric_value=round(value, 4),
                )


def _head(name: str, config: Mapping[str, Any], run: Mapping[str, Any], pipeline: str) -> Iterator[str]:
    size, teachers = "", []
    if run:
        cost = run["costs"]["student"]
        size = f" ({cost['parameters'] / 1e6:.1f} M parameters, {cost['megabytes']:.1f} MB)"
        first = run["recipe"]["teacher"]
        trained = ", fine-tuned in the same run" if first["model"] and first.get("finetune") else ""
        further = run["recipe"].get("further_teachers") or ()
        teachers = [f"{named(first['model'])}{trained}", *(named(one["model"]) for one in further)]
    yield from introduction(name, config, pipeline, teachers, size)


def _body(run: Mapping[str, Any]) -> Iterator[str]:
    if not run:
        return
    recipe, data = run["recipe"], run["recipe"]["data"]
    yield ""
    yield "## What it reaches"
    yield ""
    main = run["main_metric"]
    names = [name for name in _METRICS if name in run["metrics"]["student"]]
    names.sort(key=lambda name: name != main)
    apart = [
        (part, name)
        for part in run["metrics"]["student"].get("further", ())
        for name in (main, *run.get("further_metrics", ()))
    ]
    titles = [name.replace("_", " ") for name in names]
    titles += [f"{name.replace('_', ' ')}, {part}" for part, name in apart]
    where = "CPU" if run["device"] == "cpu" else run["device"]
    is_translator = "sentences_per_second" in run["costs"]["student"]
    last = "sentences per second, batch 1" if is_translator else f"latency ({where})"
    yield f"| model | {' | '.join(titles)} | parameters | MB | {last} |"
    yield f"| --- |{' ---: |' * (len(titles) + 3)}"
    for who, metrics in run["metrics"].items():
        cost = run["costs"][who]
        values = [*(metrics[name] for name in names), *(metrics["further"][part][name] for part, name in apart)]
        figures = " | ".join(map(_figure, values))
        speed = (
            f"{cost['sentences_per_second']['1']['median']:.1f}" if is_translator else f"{cost['latency_ms']:.1f} ms"
        )
        yield f"| {_ROWS[who]} | {figures} | {cost['parameters'] / 1e6:.1f} M | {cost['megabytes']:.1f} | {speed} |"
    teacher = run["metrics"]["teacher"][main]
    if teacher > 0:
        yield ""
        yield f"It keeps {run['metrics']['student'][main] / teacher:.1%} of its teacher's {main.replace('_', ' ')}."
    rows = last_part(data["validation_file"] or "") or data["dataset"]
    yield f"Measured on {rows or 'the validation rows'}, one seed ({recipe['seed']})."
    yield ""
    yield "## How it was made"
    yield ""
    rows = last_part(data["train_file"] or "") or data["dataset"] or "generated"
    yield f"Training rows: {rows}, at most {data['max_length']} tokens each. {_start_of(recipe['student'])}"
    copies = (run.get("augmentation") or {}).get("augmented_rows")
    if copies:
        many = counted(copies, "augmented copy", "augmented copies")
        yield (
            f"The phases also learnt the teacher's answers to {many} of these rows, in which some words are replaced."
        )
    if run.get("unlabelled_rows"):
        source = last_part(data["unlabelled_file"])
        yield (
            f"The phases also learnt the teacher's answers to {counted(run['unlabelled_rows'], 'row')} without labels "
            f"({source})."
        )
    if recipe.get("pseudo_labels"):
        also = " and the references" if recipe["pseudo_labels"]["references"] else ""
        yield (
            f"Its targets are the teacher's translations of the training rows ({recipe['pseudo_labels']['beams']} "
            f"beams){also}: sequence-level distillation."
        )
    if run.get("pruning"):
        yield _pruning(run["pruning"], run["metrics"], run["main_metric"])
    yield ""
    yield "| phase | epochs | batch | learning rate | layer map | losses at the end |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for phase, done in zip(recipe["phases"], run["phases"], strict=True):
        losses = ", ".join(
            f"{name.removesuffix('_loss').replace('_', ' ')} {value:.3g}"
            for name, value in done["losses"].items()
            if name != "loss"
        )
        yield (
            f"| {phase['name']} | {phase['epochs']:g} | {phase['batch_size']} | {phase['learning_rate']:g} | "
            f"{phase['layer_map']} | {losses} |"
        )


def _tail(run: Mapping[str, Any]) -> Iterator[str]:
    yield from limits()
    if run:
        versions = ", ".join(f"{name} {value}" for name, value in run["versions"].items())
        yield ""
        yield "## Environment"
        yield ""
        yield f"{versions}."
    yield from citation()


def _start_of(student: Mapping[str, Any]) -> str:
    """Where the weights before the first step came from."""
    if student["model"] is not None:
        return f"It began as {named(student['model'])}."
    start = {"teacher": "as its teacher, projected down", "random": "at random"}.get(student["start"])
    return f"It began {start}." if start else ""


def _pruning(pruning: Mapping[str, Any], metrics: Mapping[str, Any], main: str) -> str:
    before = pruning["metrics_before"][main]
    alone = (
        " The model that was trained without the teacher keeps the whole vocabulary." if "baseline" in metrics else ""
    )
    return (
        f"Its vocabulary was then pruned from {pruning['pieces_before']:,} to {pruning['pieces_after']:,} word pieces "
        f"({pruning['megabytes_before']:.1f} MB to {pruning['megabytes_after']:.1f} MB; {main.replace('_', ' ')} "
        f"before: {_figure(before)}): text of kept pieces gets the same answers, other words are read in smaller "
        f"pieces.{alone}"
    )


def _figure(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) and abs(value) <= 1 else f"{value:.1f}"
