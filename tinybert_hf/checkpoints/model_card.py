"""Model cards that write themselves: of a finished run's folder, and of a trainer."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints.card_parts import (
    CARD_FILE,
    LICENSE_FIELDS,
    MARK,
    PIPELINES,
    TAGS,
    CardSettings,
    Subject,
    argument,
    citation,
    escaped,
    format_latency,
    format_speed,
    hub_name,
    introduction,
    languages_of_dataset,
    languages_of_translator,
    last_part,
    limits,
    metadata,
    named,
    place_of,
    plain,
    table,
    values_of_card,
    whole_card,
)
from tinybert_hf.checkpoints.exported import EXPORT_FILE
from tinybert_hf.checkpoints.integrity import check_config_file, read_object, write_atomically
from tinybert_hf.checkpoints.run_record import RunRecord, starts_from_teacher
from tinybert_hf.errors import TinyBertError
from tinybert_hf.messages import counted, does_not_exist, share_kept
from tinybert_hf.tasks import TASKS, spec_of

if TYPE_CHECKING:
    from huggingface_hub import EvalResult


# What the card of a general student says: what it is, what it read, and how to go on with it.


def general_body(run: Mapping[str, Any], name: str) -> Iterator[str]:
    """The sections between loading and limits.

    Args:
        run: content of run.json.
        name: id on the Hub, or the folder.
    """
    recipe, corpus = run["recipe"], run["corpus"]
    text = recipe["corpus"]
    yield ""
    yield "## What it is for"
    yield ""
    yield (
        "A general student: it has read plain text beside its teacher and knows no task. It is a base model and not a "
        "classifier. Its projections lie beside it, so that a task distillation goes on where this one ended:"
    )
    yield ""
    yield "```bash"
    yield f"tinybert distill sst2 --student {argument(name)} --teacher MODEL_FINE_TUNED_ON_THE_TASK"
    yield "```"
    yield ""
    yield "## What it has learned"
    yield ""
    yield f"Losses on {counted(corpus['validation_tokens'], 'held-out token')}, between student and teacher:"
    yield ""
    rows = []
    metrics = run["metrics"]["student"]
    for loss, value in metrics.items():
        if loss.endswith("_loss"):
            before = metrics["before"].get(loss)
            title = "masked-LM" if loss == "label_loss" else loss.removesuffix("_loss").replace("_", " ")
            rows.append([title, "" if before is None else f"{before:.4g}", f"{value:.4g}"])
    yield from table(["loss", "before", "after"], rows)
    yield ""
    costs = ((title, run["costs"][who]) for who, title in (("teacher", "teacher"), ("student", "this model")))
    rows = [
        [title, f"{one['parameters'] / 1e6:.1f} M", f"{one['megabytes']:.1f}", f"{one['latency_ms']:.1f} ms"]
        for title, one in costs
    ]
    where = run["device"].replace("cpu", "CPU")
    yield from table(["model", "parameters", "MB", f"latency ({where})"], rows)
    said = format_latency(run["costs"], run["device"])
    if said is not None:
        yield ""
        yield said
    yield ""
    yield "## How it was made"
    yield ""
    source = text["dataset"] or ", ".join(dict.fromkeys(last_part(file) for file in text["files"]))
    masked = f", {text['masked_share']:.0%} of the tokens masked" if text["masked_share"] else ""
    yield (
        f"Text: {escaped(source)}; {counted(corpus['train_tokens'], 'token')} in "
        f"{counted(corpus['train_blocks'], 'block')} of up to {counted(text['block_size'], 'token')}{masked}. "
        f"{_start_of(recipe)}"
    )
    yield ""
    rows = [
        [
            phase["name"],
            f"{phase['epochs']:g}",
            str(phase["batch_size"] * phase["gradient_accumulation_steps"]),
            f"{phase['learning_rate']:g}",
            str(phase["layer_map"]),
        ]
        for phase in recipe["phases"]
    ]
    yield from table(["phase", "epochs", "batch", "learning rate", "layer map"], rows, names=5)


# The model card of a folder, from its run.json and its configuration: nothing in it is typed by hand.

# Percentages in the table; what the metadata calls them.
_METRICS = {"accuracy": "accuracy", "f1": "f1", "precision": "precision", "recall": "recall",
            "matthews_correlation": "matthews_correlation", "bleu": "bleu", "chrf": "chrf", "pearson": "pearsonr",
            "spearman": "spearmanr", "f1_micro": "f1", "f1_macro": "f1",
            "exact_match": "exact_match"}  # fmt: skip
_ROWS = {"teacher": "teacher", "student": "this model", "baseline": "the same model trained without the teacher"}


def card_of(
    folder: str | Path, repo_id: str | None = None, license: str | None = None, settings: CardSettings | None = None
) -> str:
    """Write the model card of a folder.

    Names of local folders and files are shortened to their last part: a card is read by others.

    Args:
        folder: of a model; with a run.json where it was distilled here.
        repo_id: where it is going to be; None: the folder.
        license: an identifier of the Hub, such as apache-2.0; the same as in `settings`.
        settings: license and language. What they leave open is that of the card in the folder, where this package has
            written one, of the recipe, of the teacher's card or of the rows; a license that nobody names is `unknown`.

    Returns:
        Markdown with its metadata.

    Raises:
        TinyBertError: the folder holds no model, or its run.json cannot be read.
    """
    from huggingface_hub import ModelCardData

    place = Path(folder)
    config = read_object(Path(_config_file(place)))
    record = RunRecord.beside(place) or RunRecord(place, {})
    run = record.content
    architecture = str((config.get("architectures") or ["TinyBertModel"])[0])
    export = read_object(place / EXPORT_FILE) if (place / EXPORT_FILE).is_file() else None
    pipeline = PIPELINES.get(architecture) if export is None else _task_of_export(export, place)
    if pipeline is None:
        raise TinyBertError(f"{place / 'config.json'} describes a {architecture}, which is none of this package's.")
    with record.understood("Move it away for a card without the run's figures."):
        told = _told(_settings(license, settings), place, run)
        subject = replace(_subject(place, repo_id, config, run, pipeline, told), export=export)
        results = list(_results(run, pipeline)) if run else []
        dataset = hub_dataset(run) if run else None
        base = list(filter(None, map(hub_name, _teachers(run))))
        data = ModelCardData(
            **told,
            library_name=_LIBRARIES.get(subject.runtime or "", "transformers"),
            pipeline_tag=pipeline,
            tags=list(TAGS),
            base_model=base[0] if len(base) == 1 else base or None,
            base_model_relation="finetune" if base else None,
            datasets=[dataset] if dataset else None,
            model_name=plain(subject.name) if results else None,
            eval_results=results or None,
        )
        body = general_body(run, subject.place) if _is_general(run) else _body(run)
        if export is not None:
            body = _export_body(export)
        parts = [*_head(subject, run), *body, *_tail(run)]
    return whole_card(data, parts)


# What an export runs in -> what the Hub calls the library that opens it.
_LIBRARIES = {"onnxruntime": "onnx", "openvino": "openvino", "litert": "tflite"}


def _task_of_export(export: Mapping[str, Any], place: Path) -> str:
    task = export.get("task")
    if task in TASKS:
        return str(task)
    if task == "encoder":
        return "feature-extraction"
    raise TinyBertError(f"{place / EXPORT_FILE} does not say what the model is for (task). Export the model again.")


def _export_body(export: Mapping[str, Any]) -> Iterator[str]:
    """The section that says what the export came to; what a damaged note lacks is left out."""
    yield ""
    yield "## How it was made"
    yield ""
    others = export.get("others")
    parts = [export, *(others.values() if isinstance(others, Mapping) else ())]
    parts = [part for part in parts if isinstance(part, Mapping)]
    formats = " ".join(f"--to {plain(part.get('format'))}" for part in parts)
    yield f"From {named(export.get('source'))}, by `tinybert export {formats}`."
    for part in parts:
        if len(parts) > 1:
            graphs = part.get("graphs")
            files = ", ".join(map(str, graphs.values())) if isinstance(graphs, Mapping) else "?"
            yield ""
            yield f"{plain(part.get('format'))} (`{plain(files)}`):"
        yield from _figures_of_export({**export, **part})


def _figures_of_export(export: Mapping[str, Any]) -> Iterator[str]:
    """What one format came to."""
    before, after = export.get("megabytes_before"), export.get("megabytes_after")
    if isinstance(before, int | float) and isinstance(after, int | float):
        yield f"{before:.1f} MB became {after:.1f} MB."
    if isinstance(export.get("calibration"), str):
        yield f"Calibrated on {plain(export['calibration'])}."
    parity = export.get("parity")
    if isinstance(parity, Mapping):
        equal = parity.get("equal_answers")
        share = "" if equal is None else f", {equal:.2%} equal answers"
        yield (
            f"Compared with the model on {counted(parity['texts'], 'text')}: largest difference "
            f"{parity['largest_difference']:.1e}{share}."
        )
    if export.get("before") is not None and export.get("after") is not None:
        yield f"{plain(export['metric'])}: {export['before']:.2f} before, {export['after']:.2f} after."


def write_card(
    folder: str | Path, repo_id: str | None = None, license: str | None = None, settings: CardSettings | None = None
) -> bool:
    """Write README.md beside a model, unless a person has written one.

    Args:
        folder: see `card_of`.
        repo_id: likewise.
        license: likewise.
        settings: likewise.

    Returns:
        Whether it was written.

    Raises:
        TinyBertError: see `card_of`.
    """
    file = Path(folder) / CARD_FILE
    if file.is_file() and MARK not in file.read_text(encoding="utf-8", errors="replace"):
        return False
    text = card_of(folder, repo_id, license, settings)
    write_atomically(file, text)
    return True


def _settings(license: str | None, settings: CardSettings | None) -> CardSettings:
    settings = settings or CardSettings()
    return settings if license is None else replace(settings, license=license)


def _told(settings: CardSettings, place: Path, run: Mapping[str, Any]) -> dict[str, Any]:
    """License and language, from wherever they are known."""
    file = place / CARD_FILE
    own = file.is_file() and MARK in file.read_text(encoding="utf-8", errors="replace")
    before = values_of_card(str(place)) if own else {}
    of_recipe = CardSettings(**(run.get("recipe", {}).get("card") or {}))
    chosen = settings
    for license in (of_recipe, CardSettings(**{name: before.get(name) for name in LICENSE_FIELDS})):
        if chosen.license is None:
            chosen = replace(chosen, **{name: getattr(license, name) for name in LICENSE_FIELDS})
    for languages in (of_recipe.language, tuple(before.get("language", ()))):
        if not chosen.languages:
            chosen = replace(chosen, language=languages)
    if not run:
        return metadata(chosen, [])
    recipe = run["recipe"]
    models = [*_teachers(run), (recipe.get("student") or {}).get("model")]
    cards = run.get("model_cards", {})
    known = [cards.get(model) or values_of_card(model) for model in dict.fromkeys(filter(None, models))]
    said = _known_languages(run)
    read = (run.get("data") or {}).get("languages") or {}
    return metadata(chosen, known, said, [one for one in read.values() if one])


def _known_languages(run: Mapping[str, Any]) -> tuple[str, ...]:
    recipe = run["recipe"]
    data = recipe["corpus" if _is_general(run) else "data"]
    generated = (data["dataset"] or "").startswith("demo-") and not data.get("train_file")
    of_rows = languages_of_dataset(data["dataset"] if generated else hub_dataset(run))
    if not of_rows and spec_of(recipe.get("task")).has_decoder:
        return languages_of_translator(recipe)
    return of_rows


def _subject(
    place: Path, repo_id: str | None, config: Mapping[str, Any], run: Mapping[str, Any], pipeline: str, told: Any
) -> Subject:
    """What a reader is to call the model, and what it reads."""
    languages = [told["language"]] if isinstance(told["language"], str) else list(told["language"])
    data = run.get("data") or {}
    read = data.get("languages") or {}
    if run and pipeline == "translation":
        languages = [*(languages_of_translator(run["recipe"]) or filter(None, [read.get("source")])), *languages]
    elif len(languages) > 1 and read.get("text"):
        languages = [read["text"], *languages]
    rows = run["recipe"].get("data") if run else None
    return Subject(
        name=repo_id or place.resolve().name,
        place=repo_id or place_of(place),
        config=config,
        pipeline=pipeline,
        languages=languages,
        problem_type=data.get("problem_type"),
        pairs=bool((rows or {}).get("text_pair_column")),
        on_hub=repo_id is not None,
    )


def _teachers(run: Mapping[str, Any]) -> list[str]:
    """Folders or ids of the teachers that were not made in the run."""
    if not run:
        return []
    recipe = run["recipe"]
    models = [recipe["teacher"]["model"], *(one["model"] for one in recipe.get("extra_teachers") or ())]
    return [model for model in models if model]


def hub_dataset(run: Mapping[str, Any]) -> str | None:
    """The dataset on the Hub that a run learned from; None for files and for this package's generators."""
    data = run["recipe"]["corpus" if _is_general(run) else "data"]
    name = data["dataset"]
    # A recipe may name a dataset and be given files: these win, and the run has seen nothing of the dataset.
    files = any(data.get(field) for field in ("train_file", "validation_file", "further_validation_files", "files"))
    return str(name) if name and not name.startswith("demo-") and not files else None


def _is_general(run: Mapping[str, Any]) -> bool:
    return bool(run) and spec_of(run["recipe"].get("task")).of_plain_text


def _config_file(place: Path) -> str:
    if not place.exists():
        raise TinyBertError(does_not_exist(place, folders=True))
    file = check_config_file(place)
    if not isinstance(file, Path):
        raise TinyBertError(
            f"{place} holds no model: there is no config.json. Give the folder that `tinybert distill` or `tinybert "
            "convert` has written."
        )
    return str(file)


def _results(run: Mapping[str, Any], pipeline: str) -> Iterator[EvalResult]:
    """The metrics of the student, as the metadata has them."""
    from huggingface_hub import EvalResult

    data = run["recipe"]["data"]
    hub = hub_dataset(run)
    split = _held_out(data, data["train_split"]) or data["validation_split"] if hub else None
    measured = [(data["validation_file"], split, run["metrics"]["student"])]
    for part, own in run["metrics"]["student"].get("further", {}).items():
        # Rows of files have no split, but would be taken for the others without a name of their own.
        split = data["further_validation"].get(part) if hub else part
        measured.append((data["further_validation_files"].get(part), split, own))
    for file, split, metrics in measured:
        for name, value in metrics.items():
            if name in _METRICS and isinstance(value, int | float) and math.isfinite(value):
                yield EvalResult(
                    task_type=pipeline,
                    dataset_type=hub or "custom",
                    dataset_name=plain(last_part(file) if file else data["dataset"] or "validation rows"),
                    dataset_config=data["dataset_config"] if hub else None,
                    dataset_split=None if split is None else plain(split),
                    metric_type=_METRICS[name],
                    metric_name=name.replace("_", " ") if name.startswith("f1_") else None,
                    metric_value=round(value, 4),
                )


def _held_out(data: Mapping[str, Any], rows: str) -> str | None:
    """The share of the training rows that was measured on; None where there were validation rows."""
    share = data["validation_split"]
    return None if isinstance(share, str) else f"{100 * share:g} % of {rows}, held out"


def _head(subject: Subject, run: Mapping[str, Any]) -> Iterator[str]:
    size, teachers = "", []
    if run:
        cost = run["costs"]["student"]
        size = f" ({cost['parameters'] / 1e6:.1f} M parameters, {cost['megabytes']:.1f} MB)"
        first = run["recipe"]["teacher"]
        trained = ", fine-tuned in the same run" if first["model"] and first.get("finetune") else ""
        further = run["recipe"].get("extra_teachers") or ()
        teachers = [f"{named(first['model'])}{trained}", *(named(one["model"]) for one in further)]
    yield from introduction(subject, teachers, size)


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
    yield from table(["model", *titles, "parameters", "MB", last], _rows(run, names, apart))
    yield ""
    yield from filter(None, [format_speed(run)])
    yield _kept(run)
    held_out = _held_out(data, _named_rows(data["train_file"]) or data["dataset"] or "the training rows")
    rows = held_out or _named_rows(data["validation_file"]) or data["dataset"]
    yield f"Measured on {escaped(rows or 'the validation rows')}, one seed ({recipe['seed']})."
    yield ""
    yield "## How it was made"
    yield ""
    rows = _named_rows(data["train_file"]) or data["dataset"] or "generated"
    length = counted(data["max_length"], "token")
    yield f"Training rows: {escaped(rows)}, at most {length} each. {_start_of(recipe)}"
    copies = (run.get("augmentation") or {}).get("augmented_rows")
    if copies:
        many = counted(copies, "augmented copy", "augmented copies")
        yield (
            f"The phases also learnt the teacher's answers to {many} of these rows, in which some words are replaced."
        )
    if run.get("unlabelled_rows"):
        named_files = filter(None, (data.get(name) for name in ("unlabelled_file", "text_corpus")))
        source = escaped(", ".join(map(last_part, named_files)))
        yield (
            f"The phases also learnt the teacher's answers to {counted(run['unlabelled_rows'], 'row')} without labels "
            f"({source})."
        )
    if recipe.get("pseudo_labels"):
        also = " and the references" if recipe["pseudo_labels"]["references"] else ""
        yield (
            f"Its targets are the teacher's translations of the training rows "
            f"({counted(recipe['pseudo_labels']['num_beams'], 'beam')}){also}: sequence-level distillation."
        )
    if run.get("pruning"):
        yield _pruning(run["pruning"], run["metrics"], run["main_metric"])
    yield ""
    heads = ["phase", "epochs", "batch", "learning rate", "layer map", "losses at the end"]
    yield from table(heads, _phases(recipe["phases"], run["phases"]), names=len(heads))


def _rows(run: Mapping[str, Any], names: Sequence[str], apart: Sequence[tuple[str, str]]) -> Iterator[list[str]]:
    """A line of metrics for each model."""
    for who, metrics in run["metrics"].items():
        cost = run["costs"][who]
        values = [*(metrics[name] for name in names), *(metrics["further"][part][name] for part, name in apart)]
        if "sentences_per_second" in cost:
            speed = f"{cost['sentences_per_second']['1']['median']:.1f}"
        else:
            speed = f"{cost['latency_ms']:.1f} ms"
        size = [f"{cost['parameters'] / 1e6:.1f} M", f"{cost['megabytes']:.1f}"]
        yield [_ROWS[who], *map(_format_metric, values), *size, speed]


def _kept(run: Mapping[str, Any]) -> str:
    """The student's main metric beside its teacher's: as a share, where that says something."""
    main = run["main_metric"]
    student, teacher = (run["metrics"][who][main] for who in ("student", "teacher"))
    title, trivial = main.replace("_", " "), run.get("trivial", ())
    share = None if "teacher" in trivial else share_kept(main, student, teacher)
    if share is not None and "student" not in trivial:
        return f"It keeps {share:.1%} of its teacher's {title}."
    who = {"teacher": "The teacher knows", "student": "This model knows"}
    known = [f"{who[one]} no more of the task than the labels' counts say." for one in who if one in trivial]
    return " ".join([f"Its {title} is {_format_metric(student)}, its teacher's {_format_metric(teacher)}.", *known])


def _phases(phases: Sequence[Mapping[str, Any]], done: Sequence[Mapping[str, Any]]) -> Iterator[list[str]]:
    for phase, one in zip(phases, done, strict=True):
        losses = ", ".join(
            f"{name.removesuffix('_loss').replace('_', ' ')} {value:.3g}"
            for name, value in one["losses"].items()
            if name != "loss"
        )
        batch = phase["batch_size"] * phase.get("gradient_accumulation_steps", 1)
        between_layers = one["losses"].keys() - {"loss", "prediction_loss", "label_loss"}
        rate, layers = f"{phase['learning_rate']:g}", str(phase["layer_map"]) if between_layers else "none"
        yield [phase["name"], f"{phase['epochs']:g}", str(batch), rate, layers, losses]


def _named_rows(file: str | None) -> str | None:
    return last_part(file) if file else None


def _tail(run: Mapping[str, Any]) -> Iterator[str]:
    yield from limits()
    if run:
        versions = ", ".join(f"{name} {value}" for name, value in run["versions"].items())
        yield ""
        yield "## Environment"
        yield ""
        yield f"{versions}."
    yield from citation()


def _start_of(recipe: Mapping[str, Any]) -> str:
    """Where the weights before the first step came from."""
    model = recipe["student"]["model"]
    if model is not None:
        return f"It began as {named(model)}."
    return f"It began {'as its teacher, projected down' if starts_from_teacher(recipe) else 'at random'}."


def _pruning(pruning: Mapping[str, Any], metrics: Mapping[str, Any], main: str) -> str:
    before = pruning["metrics_before"][main]
    alone = (
        " The model that was trained without the teacher keeps the whole vocabulary." if "baseline" in metrics else ""
    )
    return (
        f"Its vocabulary was then pruned from {pruning['pieces_before']:,} to {pruning['pieces_after']:,} word pieces "
        f"({pruning['megabytes_before']:.1f} MB to {pruning['megabytes_after']:.1f} MB; {main.replace('_', ' ')} "
        f"before: {_format_metric(before)}): text of kept pieces gets the same answers, other words are read in "
        f"smaller pieces.{alone}"
    )


def _format_metric(value: Any) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if isinstance(value, float) and abs(value) <= 1 else f"{value:.1f}"


# The metrics of a run as files: for people's scripts, and for the Hub's leaderboards.


def metrics_of(folder: str | Path) -> str | None:
    """The metrics of a run as JSON, for metrics.json; None where there was no run here."""
    record = RunRecord.beside(folder)
    if record is None:
        return None
    run = record.content
    kept = {name: run[name] for name in ("main_metric", "metrics", "costs", "device", "versions") if name in run}
    return json.dumps(kept, indent=1) + "\n"


def eval_results_of(folder: str | Path) -> str | None:
    """The student's main metric as the Hub wants it in `.eval_results/*.yaml`.

    Args:
        folder: of a run.

    Returns:
        YAML; None where there was no run here, it knows no task, or its rows are not those of a dataset on the Hub.
    """
    import yaml
    from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

    record = RunRecord.beside(folder)
    run = {} if record is None else record.content
    name = hub_dataset(run) if run else None
    if name is None or "/" not in name or run["recipe"].get("task") == "general":
        return None
    data = run["recipe"]["data"]
    main = run["main_metric"]
    if _held_out(data, name):  # these rows are no split of the dataset
        return None
    if not math.isfinite(run["metrics"]["student"][main]):
        return None
    entry = EvalResultEntry(
        dataset_id=name,
        task_id=data["dataset_config"] or "default",
        value=round(run["metrics"]["student"][main], 4),
        notes=f"{main.replace('_', ' ')} on the split {data['validation_split']}, seed {run['recipe']['seed']}",
    )
    return str(yaml.safe_dump(eval_result_entries_to_yaml([entry]), sort_keys=False))


# The model card of a student that a DistillationTrainer has trained: its settings and its last metrics.


def trainer_card(
    name: str,
    config: Mapping[str, Any],
    teachers: Sequence[str],
    *,
    settings: Mapping[str, Any],
    losses: Mapping[str, float],
    metrics: Mapping[str, float],
    versions: Mapping[str, str],
    tags: Sequence[str] = (),
    dataset: str | None = None,
    place: str | None = None,
    license: str | None = None,
    language: str | Sequence[str] | None = None,
) -> str:
    """Write the card.

    Args:
        name: of the model.
        config: the student's configuration.
        teachers: their names or paths; a local path is shortened to its last part.
        settings: those that decide the result, by name.
        losses: the training losses that were logged last.
        metrics: of the last evaluation.
        versions: of the packages.
        tags: further ones, for the metadata.
        dataset: id on the Hub.
        place: what loads the model; None: its name.
        license: as the Hub names it; None: that of the teachers' cards, or else unknown.
        language: ISO 639; None: likewise.

    Returns:
        Markdown with its metadata.

    Raises:
        TinyBertError: a license or a language that the Hub does not know.
    """
    from huggingface_hub import ModelCardData

    languages = language if isinstance(language, str | None) else tuple(language)
    told = metadata(CardSettings(license=license, language=languages), [values_of_card(one) for one in teachers])
    codes = [told["language"]] if isinstance(told["language"], str) else told["language"]
    pipeline = PIPELINES.get(str((config.get("architectures") or ["TinyBertModel"])[0]))
    subject = Subject(name, place or name, config, pipeline or "", codes)
    base = [hub for hub in map(hub_name, teachers) if hub]
    results = list(_trainer_results(metrics, pipeline, dataset)) if pipeline else []
    data = ModelCardData(
        **told,
        library_name="transformers",
        pipeline_tag=pipeline,
        tags=[*TAGS, *(tag for tag in tags if tag not in TAGS)],
        base_model=base or None,
        base_model_relation="finetune" if base else None,
        datasets=[dataset] if dataset else None,
        model_name=plain(name) if results else None,
        eval_results=results or None,
    )
    parts = [
        *introduction(subject, [named(one) for one in teachers]),
        *_table("What it reaches", "metric", "on the evaluation rows", _formatted(metrics)),
        *_table("Losses at the end of training", "loss", "value", _formatted(losses)),
        *_table("How it was made", "setting", "value", _formatted(settings)),
        *limits(),
        *_table("Environment", "package", "version", versions),
        *citation(),
    ]
    return whole_card(data, parts)


def _trainer_results(metrics: Mapping[str, float], pipeline: str, dataset: str | None) -> Iterator[EvalResult]:
    from huggingface_hub import EvalResult

    for name, value in metrics.items():
        # JSON, which the Hub keeps results in, has no NaN.
        if isinstance(value, bool) or not math.isfinite(value):
            continue
        yield EvalResult(
            task_type=pipeline,
            dataset_type=dataset or "custom",
            dataset_name=dataset or "evaluation rows",
            metric_type=plain(name),
            metric_value=round(float(value), 4),  # numpy's numbers are none of YAML
        )


def _table(title: str, key: str, value: str, content: Mapping[str, Any]) -> Iterator[str]:
    if not content:
        return
    yield ""
    yield f"## {title}"
    yield ""
    rows = ([name, f"{one:.4g}" if isinstance(one, float) else one] for name, one in content.items())
    yield from table([key, value], rows, names=2)


def _formatted(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("_", " "): one for name, one in content.items()}
