"""Exports a saved model: written beside, compared with the model, and renamed."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.tasks.token_classification import TOKEN_CLASSIFICATION
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint, holds_translator
from tinybert_hf.export.formats import Format, format_named
from tinybert_hf.export.parity import Parity, compare, default_texts, texts_of
from tinybert_hf.export.report import ExportReport
from tinybert_hf.export.source import ENCODER, TRANSLATION, Source, open_source
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.opening import (
    EXPORT_FILE,
    HEADS,
    TEXT_CLASSIFICATION,
    carry_modules,
    check_writable,
    made_beside,
    open_exported,
    open_model,
    require,
    sentence_steps,
)
from tinybert_hf.opening.held_output import held_output
from tinybert_hf.opening.json_files import read_object
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from tinybert_hf.data import DataSettings

ALLOWED_LOSS = 0.5
_PACKAGES = (
    "tinybert_hf", "torch", "transformers", "onnx", "onnxruntime", "openvino", "litert-torch",
    "ai-edge-litert",
)  # fmt: skip
_WITH_LABELS = (TEXT_CLASSIFICATION, TOKEN_CLASSIFICATION)
_OF_DATA = ("max_length", "doc_stride", "problem_type")
_DECIDING = ("bleu", "f1_micro", "pearson")


def export_model(
    model: str | Path,
    output_dir: str | Path,
    to: str,
    *,
    validation: DataSettings | None = None,
    allowed_loss: float = ALLOWED_LOSS,
    texts: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Export a saved model into a folder of its own, and compare both on text.

    The folder appears when it is whole: it is written beside, opened, compared and renamed.

    Args:
        model: a folder, or an id on the Hub: an encoder with any head or none, or a translator.
        output_dir: new or empty.
        to: a name in `FORMATS`.
        validation: rows to measure both models on.
        allowed_loss: points of the metric that an int8 model may lose; one that loses more is kept, and the report
            says so.
        texts: to compare both models on; None: sentences of the demo's grammar.
        overwrite: replace an export that stands in `output_dir`.
        progress: told what is being done, a line each time.

    Raises:
        OutputFolderError: the folder holds something.
        TinyBertError: no such format; a library is missing; there is no model, or one that cannot be exported; an
            export in fp32 answers otherwise than the model.
    """
    say = progress or (lambda _: None)
    chosen, target = format_named(to), Path(output_dir)
    if chosen.fixed_lengths and holds_translator(str(model)):
        raise TinyBertError(
            f"{model} is a translator. What it writes grows token by token, and {to} has fixed lengths only (its "
            "converter takes no others). Export it to onnx or onnx-int8."
        )
    with held_output():
        for library, extra in chosen.libraries.items():
            require(library, extra)
    _check_target(target, overwrite)
    check_writable(target)
    say(f"Opening {model}")
    source, known = open_source(str(model)), _trained_with(str(model))
    texts = list(texts) if texts else _texts(source, validation)
    with made_beside(target) as beside:
        beside.mkdir()
        say(f"Writing it as {to}")
        graphs = _write(source, chosen, beside, to)
        say(f"Comparing both on {counted(len(texts), 'text')}")
        parity = compare(source, _opened(source, chosen, beside), texts)
        _check_parity(parity, chosen, to, str(model))
        if validation is not None:
            say("Measuring both on the validation rows")
        figures = {} if validation is None else _measured(str(model), str(beside), validation)
        report = ExportReport(
            folder=str(target),
            format=to,
            source=str(model),
            model_class=type(source.model).__name__,
            task=source.task,
            megabytes_before=source.megabytes,
            megabytes_after=sum((beside / name).stat().st_size for name in _weight_files(beside, graphs)) / 1e6,
            parity=parity,
            allowed_loss=allowed_loss,
            notes=_notes(source, chosen),
            **figures,
        )
        more: dict[str, Any] = {"trained_with": known}
        if chosen.fixed_lengths:
            more["longest"] = source.length  # tokens; whoever measures it asks
        _note(beside, report, chosen, graphs, more)
        write_manifest(beside)
        _put_in_place(beside, target)
    return report


def _texts(source: Source, validation: DataSettings | None) -> list[str]:
    if validation is None:
        return default_texts()
    if source.task == ENCODER:
        raise TinyBertError(f"{source.name} has no head, so there is nothing to measure on validation rows.")
    labels = source.model.config.id2label if source.task in _WITH_LABELS else {}
    return texts_of(source.task, validation, tuple(labels.values()) or None)


def _check_target(target: Path, overwrite: bool) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if (target / EXPORT_FILE).is_file():
        if overwrite:
            return
        raise OutputFolderError(
            f"{target} holds an export already. Replace it with --overwrite (overwrite=True), or name another "
            "--output-dir."
        )
    raise OutputFolderError(f"{target} is there and not empty. Name another --output-dir, or remove it.")


def _write(source: Source, chosen: Format, folder: Path, to: str) -> dict[str, str]:
    _write_config(source, folder)
    source.tokenizer.save_pretrained(folder)
    if source.task == TRANSLATION:
        source.model.generation_config.save_pretrained(folder)
    graphs = chosen.write(source, folder)
    if chosen.runtime is None and source.task == ENCODER:  # transformers opens it, and sentence-transformers does
        carry_modules(source.folder, folder)
    # Enough to open it; the figures come in when they are known.
    note = {"format": to, "runtime": chosen.runtime, "graphs": graphs}
    (folder / EXPORT_FILE).write_text(json.dumps(note), encoding="utf-8")
    return graphs


def _notes(source: Source, chosen: Format) -> tuple[str, ...]:
    """What becomes of the steps that sentence-transformers takes behind an encoder."""
    steps = ", ".join(sentence_steps(source.folder)) if source.task == ENCODER else ""
    if not steps:
        return ()
    if chosen.runtime is None:
        return (
            f"{source.name} is a model of sentence-transformers: its further steps ({steps}) were copied with it.",
        )
    return (
        f"{source.name} is a model of sentence-transformers, and its further steps ({steps}) are not in the export, "
        "which gives the states of the tokens (last_hidden_state). Whoever runs it has to take those steps itself, "
        "over the real tokens (attention_mask).",
    )


def _write_config(source: Source, folder: Path) -> None:
    """config.json alone: the code that a TinyBERT saves with it opens weights, and here are none."""
    source.model.config.save_pretrained(folder)
    for code in folder.glob("*.py"):
        code.unlink()
    file = folder / "config.json"
    fields = {name: value for name, value in read_object(file).items() if name != "auto_map"}
    file.write_text(json.dumps(fields, indent=2) + "\n", encoding="utf-8")


def _opened(source: Source, chosen: Format, folder: Path) -> Any:
    """The export, opened as its users will."""
    if chosen.runtime is not None:
        return open_exported(folder)
    from transformers import AutoModel

    auto_class = HEADS[source.task].opener if source.task in HEADS else AutoModel
    return open_model(folder, auto_class).eval()


def _check_parity(parity: Parity, chosen: Format, to: str, model: str) -> None:
    difference = parity.largest_difference
    if not math.isfinite(difference):
        raise TinyBertError(f"{model} as {to} gives numbers that are not finite: nothing was kept.")
    if chosen.tolerance is not None and difference > chosen.tolerance:
        raise TinyBertError(
            f"{model} as {to} differs from the model by up to {difference:.1e}, more than {chosen.tolerance:g}: "
            "nothing was kept. The model does something that the export does not know."
        )


def _measured(model: str, exported: str, validation: DataSettings) -> dict[str, Any]:
    """The deciding figure of both, in points."""
    before, after = (evaluate_any_checkpoint(path, validation, device="cpu") for path in (model, exported))
    names = [*_DECIDING, "f1" if "accuracy" not in before or "precision" in before else "accuracy"]
    name = next(one for one in names if one in before)
    points = 1 if name == "bleu" else 100
    return {"metric": name, "before": points * float(before[name]), "after": points * float(after[name])}


def _weight_files(folder: Path, graphs: dict[str, str]) -> list[str]:
    beside = [path.name for path in folder.iterdir() if path.name.endswith((".onnx.data", ".bin", ".safetensors"))]
    return [*graphs.values(), *beside]


def _note(folder: Path, report: ExportReport, chosen: Format, graphs: dict[str, str], more: dict[str, Any]) -> None:
    note = {**asdict(report), "runtime": chosen.runtime, "graphs": graphs, "versions": _versions(), **more}
    del note["folder"]
    (folder / EXPORT_FILE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def _trained_with(model: str) -> dict[str, Any]:
    """The columns and the length that a model was trained with, where it lies beside its run.json.

    Noted with the export, which is then measured as the model is; without the paths of the rows.
    """
    run = Path(model) / "run.json"
    recipe = read_object(run).get("recipe") if run.is_file() else None
    data = recipe.get("data") if isinstance(recipe, dict) else None
    fields = data.items() if isinstance(data, dict) else ()
    return {name: value for name, value in fields if name.endswith("_column") or name in _OF_DATA}


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _put_in_place(beside: Path, target: Path) -> None:
    old = target.parent / f".{target.name}.old"
    shutil.rmtree(old, ignore_errors=True)
    if (target / EXPORT_FILE).is_file():  # a folder that holds something cannot be renamed over
        os.replace(target, old)
    os.replace(beside, target)
    shutil.rmtree(old, ignore_errors=True)
