"""Exports a saved model: written beside, compared with the model, and renamed."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinybert_hf.checkpoints import (
    EXPORT_FILE,
    ONNX_FOLDER,
    carry_modules,
    check_writable,
    files_of_export,
    made_beside,
    open_exported,
    open_model,
    require,
    save_tokenizer,
    sentence_steps,
)
from tinybert_hf.checkpoints.card_parts import CARD_FILE, CardSettings, hub_name, last_part, values_of_card
from tinybert_hf.checkpoints.exported import nothing_reported, suppressed_output
from tinybert_hf.checkpoints.integrity import place_folder, read_object
from tinybert_hf.checkpoints.model_card import write_card
from tinybert_hf.checkpoints.run_record import RunRecord
from tinybert_hf.checkpoints.tokenizers import write_vocabulary_files
from tinybert_hf.conversion.export import FORMATS, Format, formats_named
from tinybert_hf.conversion.export.sample import Sample, calibration_rows, sample_for
from tinybert_hf.conversion.export.source import ENCODER, Source, open_source
from tinybert_hf.distillation.architecture import decoder_shape, encoder_shape
from tinybert_hf.errors import OutputFolderError, TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint, holds_translator
from tinybert_hf.messages import counted
from tinybert_hf.model.manifest_tinybert import write_manifest
from tinybert_hf.tasks import QUESTION_ANSWERING, spec_of

if TYPE_CHECKING:
    from torch import Tensor

    from tinybert_hf.data import DataSettings


# What an export came to.


@dataclass(frozen=True)
class ExportReport:
    """Figures of an export.

    Attributes:
        folder: where it stands.
        format: a name in `FORMATS`.
        source: the model that it was made from.
        model_class: its class.
        task: what it is for.
        megabytes_before: the weights of the model, 10^6 bytes.
        megabytes_after: the files that hold them now.
        parity: how near its answers are.
        metric: the one that decides; None without validation rows.
        before: of the model, in points.
        after: of the export.
        max_metric_drop: points.
        notes: what a user should know, a sentence each.
        others: the formats beside it in the folder; `open_exported` opens it unless one of them is named.
    """

    folder: str
    format: str
    source: str
    model_class: str
    task: str
    megabytes_before: float
    megabytes_after: float
    parity: Parity
    metric: str | None = None
    before: float | None = None
    after: float | None = None
    max_metric_drop: float = 0.5
    notes: tuple[str, ...] = ()
    others: tuple[ExportReport, ...] = ()

    @property
    def lost(self) -> float | None:
        """Points that the export is worse; below 0 where it is better."""
        return None if self.before is None or self.after is None else self.before - self.after

    @property
    def lost_too_much(self) -> bool:
        """Whether it, or a format beside it, lost more than was allowed."""
        return self._lost_too_much or any(one.lost_too_much for one in self.others)

    @property
    def _lost_too_much(self) -> bool:
        return self.lost is not None and not self.lost <= self.max_metric_drop

    def lines(self) -> Iterator[str]:
        """For the screen."""
        yield (
            f"{self.model_class} -> {self.format}: {self.megabytes_before:.1f} MB -> {self.megabytes_after:.1f} MB."
        )
        equal = self.parity.equal_answers
        share = "" if equal is None else f", {equal:.2%} equal answers"
        yield (
            f"Compared with the model on {counted(self.parity.texts, 'text')}: largest difference "
            f"{self.parity.largest_difference:.1e}{share}."
        )
        if self.lost is not None:
            yield f"{self.metric}: {self.before:.2f} before, {self.after:.2f} after."
        yield from (f"Note: {note}" for note in self.notes)
        for other in self.others:
            yield from other.lines()

    def warnings(self) -> Iterator[str]:
        """What must not be overlooked."""
        if self._lost_too_much:
            yield (
                f"{self.metric} fell by {self.lost:.2f} points, from {self.before:.2f} to {self.after:.2f} "
                f"({self.format}); {self.max_metric_drop:g} are allowed (--max-metric-drop). The export was kept in "
                f"{Path(self.folder)}."
            )
        for other in self.others:
            yield from other.warnings()


# Whether an exported model answers as the model that it was made from, on text.

_SHORT, _MEDIUM, _BATCH = 7, 60, 8
_TRANSLATED, _WRITTEN = 16, 64  # texts and tokens; a translator takes a forward a token
_STATES = ("last_hidden_state", "pooler_output")


@dataclass(frozen=True)
class Parity:
    """How far two models are from each other.

    Attributes:
        texts: that were compared.
        shapes: of the batches, as "3 x 60".
        largest_difference: of all outputs, at real tokens.
        equal_answers: share of the texts, or tokens, that get the same label; None where there are no labels.
    """

    texts: int
    shapes: tuple[str, ...]
    largest_difference: float
    equal_answers: float | None


def compare(source: Source, exported: Any, texts: Sequence[str]) -> Parity:
    """Run both models over texts: one by one and in batches, short ones and as long as the model can read.

    Args:
        source: the model.
        exported: called as it is.
        texts: as many as shall be compared.
    """
    return _translators(source, exported, texts) if source.translates else _encoders(source, exported, texts)


def _encoders(source: Source, exported: Any, texts: Sequence[str]) -> Parity:
    import torch

    difference, same, answers, shapes, count = 0.0, 0, 0, [], 0
    for batch in _batches(source, texts):
        with torch.inference_mode():
            expected, found = source.model(**batch), exported(**batch)
        real = batch["attention_mask"].bool()
        for name in _compared(expected):
            original, converted = expected[name].float(), found[name].float()
            if original.shape[:2] == real.shape:
                original, converted = original[real], converted[real]
            difference = max(difference, _gap(original, converted))
            labels, own = _says(original, name), _says(converted, name)
            if labels is not None and own is not None:
                same, answers = same + int(labels.eq(own).sum()), answers + labels.numel()
        shapes.append(" x ".join(map(str, real.shape)))
        count += len(real)
    share = same / answers if answers else None
    return Parity(count, tuple(dict.fromkeys(shapes)), difference, share)


def _translators(source: Source, exported: Any, texts: Sequence[str]) -> Parity:
    """Both write greedily; the logits are compared on what the model wrote."""
    import torch

    difference, same, shapes, count = 0.0, 0, [], 0
    limit = min(_WRITTEN, int(getattr(source.model.config, "max_position_embeddings", _WRITTEN)) - 1)
    options = {"num_beams": 1, "do_sample": False, "max_new_tokens": limit, "max_length": None}
    for batch in _batches(source, texts[:_TRANSLATED]):
        with torch.inference_mode():
            written = source.model.generate(**batch, **options)
            equal = _same_rows(written, exported.generate(**batch, **options))
            expected, found = (one(**batch, decoder_input_ids=written).logits for one in (source.model, exported))
        difference = max(difference, _gap(expected, found))
        shapes.append(" x ".join(map(str, batch["input_ids"].shape)))
        same, count = same + equal, count + len(written)
    return Parity(count, tuple(dict.fromkeys(shapes)), difference, same / count)


def _gap(original: Tensor, exported: Tensor) -> float:
    """The largest difference; what is no number is infinitely far."""
    return float((original - exported).abs().nan_to_num(nan=float("inf")).max())


def _same_rows(original: Tensor, exported: Tensor) -> int:
    """How many rows hold the same tokens; one is longer where the model writes more."""
    from torch.nn.functional import pad

    wide = max(original.shape[1], exported.shape[1])
    original, exported = (pad(one, (0, wide - one.shape[1]), value=-1) for one in (original, exported))
    return int(original.eq(exported).all(dim=1).sum())


def _compared(output: Any) -> list[str]:
    names = ("logits", "start_logits", "end_logits", *_STATES)
    return [name for name in names if getattr(output, name, None) is not None]


def _says(logits: Tensor, name: str) -> Tensor | None:
    """The answer: the label with the highest score; none where a model gives numbers."""
    if name in _STATES:
        return None
    if name == "logits":
        return None if logits.shape[-1] == 1 else logits.argmax(-1)
    return logits > 0


def _batches(source: Source, texts: Sequence[str]) -> Iterator[Any]:
    long = " ".join(texts)
    while len(source.tokenizer(long, verbose=False)["input_ids"]) < source.length and len(long) < 8 * source.length:
        long += f" {long}"
    yield _encoded(source, texts[:1], _SHORT)
    yield _encoded(source, [long, *texts[1:3]], _MEDIUM)
    yield _encoded(source, [long], source.length)
    for start in range(0, len(texts), _BATCH):
        yield _encoded(source, texts[start : start + _BATCH], source.length)


def _encoded(source: Source, texts: Sequence[str], length: int) -> Any:
    options = {"truncation": True, "max_length": min(length, source.length), "padding": True, "return_tensors": "pt"}
    # A tokenizer may give what this model does not take: a BERT's segments before a Marian.
    names = set(source.tokenizer.model_input_names) & set(inspect.signature(source.model.forward).parameters)
    pairs = list(reversed(texts)) if source.task == QUESTION_ANSWERING else None
    return {name: one for name, one in source.tokenizer(list(texts), pairs, **options).items() if name in names}


MAX_METRIC_DROP = 0.5
_PACKAGES = (
    "tinybert_hf", "torch", "transformers", "onnx", "onnxruntime", "openvino", "nncf", "litert-torch",
    "ai-edge-litert",
)  # fmt: skip
_OF_DATA = ("max_length", "doc_stride", "problem_type")
_DECIDING = ("bleu", "f1_micro", "pearson")


def export_model(
    model: str | Path,
    output_dir: str | Path,
    to: str | Sequence[str],
    *,
    validation: DataSettings | None = None,
    max_metric_drop: float = MAX_METRIC_DROP,
    texts: Sequence[str] | None = None,
    overwrite: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ExportReport:
    """Export a saved model into a folder of its own, and compare both on text.

    The folder appears when it is whole: it is written beside, opened, compared and renamed.

    Args:
        model: a folder, or an id on the Hub: an encoder with any head or none, or a translator.
        output_dir: new or empty.
        to: a name in `FORMATS`, or several that can stand in one folder (onnx and onnx-int8); `open_exported` opens
            the first where none is named.
        validation: rows to measure both models on.
        max_metric_drop: points of the metric that an int8 model may lose; one that loses more is kept, and the report
            says so.
        texts: to compare both models on, and to calibrate a format that is calibrated; None: those of the validation
            rows, or else sentences of the demo's grammar, or to calibrate what the model was trained with.
        overwrite: replace an export that stands in `output_dir`.
        progress: told what is being done, a line each time.

    Returns:
        The figures of the first format, with those of the others in `others`.

    Raises:
        OutputFolderError: the folder holds something.
        TinyBertError: no such format, or formats that cannot stand in one folder; a library is missing; there is no
            model, or one that cannot be exported; an export in fp32 answers otherwise than the model.
    """
    say = progress or (lambda _: None)
    formats, target = formats_named(to), Path(output_dir)
    _check_translator(str(model), formats)
    with suppressed_output(), nothing_reported():
        for library, extra in (item for chosen in formats.values() for item in chosen.libraries.items()):
            require(library, extra)
    _check_target(target, overwrite)
    check_writable(target)
    say(f"Opening {model}")
    source, known = open_source(str(model)), _trained_with(str(model))
    calibrated = any(chosen.calibrated for chosen in formats.values())
    sample = sample_for(source, texts, validation, calibrated=calibrated)
    if calibrated:
        source = replace(source, calibration=tuple(calibration_rows(source, sample, known.get("max_length"))))
    with made_beside(target) as beside:
        beside.mkdir()
        _write_shared(source, beside)
        reports: list[ExportReport] = []
        graphs: dict[str, dict[str, str]] = {}
        before: dict[str, Any] | None = None
        for name, chosen in formats.items():
            say(f"Writing it as {name}")
            graphs[name] = _write(source, chosen, beside, name)
            say("Comparing both: texts one by one and in batches, and as long as the model can read")
            parity = compare(source, _opened(source, chosen, beside), sample.texts)
            _check_parity(parity, chosen, name, str(model))
            metrics = {}
            if validation is not None:
                say("Measuring both on the validation rows")
                before = before or evaluate_any_checkpoint(str(model), validation, device="cpu")
                metrics = _deciding(before, evaluate_any_checkpoint(str(beside), validation, device="cpu"))
            reports.append(
                ExportReport(
                    folder=str(target),
                    format=name,
                    source=str(model),
                    model_class=type(source.model).__name__,
                    task=source.task,
                    megabytes_before=source.megabytes,
                    megabytes_after=sum(file.stat().st_size for file in files_of_export(beside, name)) / 1e6,
                    parity=parity,
                    max_metric_drop=max_metric_drop,
                    notes=() if reports else _notes(source, chosen, sample),
                    **metrics,
                )
            )
        more: dict[str, Any] = {"trained_with": known}
        if any(chosen.fixed_lengths for chosen in formats.values()):
            more["longest"] = source.length  # tokens; whoever measures it asks
        if calibrated:
            more["calibration"] = _calibration(source, sample)
        report = replace(reports[0], others=tuple(reports[1:]))
        _note(beside, report, graphs, more)
        write_manifest(beside, ("*", f"{ONNX_FOLDER}/*"))
        place_folder(beside, target, replace=(target / EXPORT_FILE).is_file())
    # With the name that it has now, and what the card of the model says of license and language.
    write_card(target, settings=CardSettings(**values_of_card(str(model))))
    write_manifest(target, (CARD_FILE,))
    return report


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


def _check_translator(model: str, formats: Mapping[str, Format]) -> None:
    """Refuse a translator where a format holds none, or where the files of several would have the same names."""
    reasons = [chosen.no_translators for chosen in formats.values() if chosen.no_translators is not None]
    if len(formats) > 1:
        reasons.append("The files of its formats have the same names: export each into a folder of its own.")
    if reasons and holds_translator(model):
        raise TinyBertError(f"{model} is a translator. {reasons[0]}")


def _write_shared(source: Source, folder: Path) -> None:
    """What stands beside the graphs, whatever their format."""
    _write_config(source, folder)
    save_tokenizer(source.tokenizer, source.model, folder)
    write_vocabulary_files(source.tokenizer, folder)
    if source.translates:
        source.model.generation_config.save_pretrained(folder)


def _write(source: Source, chosen: Format, folder: Path, to: str) -> dict[str, str]:
    """The graphs, and a note that names them alone, so that they can be opened and compared."""
    graphs = chosen.write(source, folder)
    if chosen.runtime is None and source.task == ENCODER:  # transformers opens it, and sentence-transformers does
        carry_modules(source.folder, folder)
    note = {"format": to, "runtime": chosen.runtime, "graphs": graphs}
    (folder / EXPORT_FILE).write_text(json.dumps(note), encoding="utf-8")
    return graphs


def _notes(source: Source, chosen: Format, sample: Sample) -> tuple[str, ...]:
    """What it was calibrated on, and what becomes of the steps behind an encoder."""
    calibrated = (f"Calibrated on {_calibration(source, sample)}.",) if chosen.calibrated else ()
    return (*calibrated, *_further_steps(source, chosen), *_unequal_heads(source, chosen))


def _unequal_heads(source: Source, chosen: Format) -> tuple[str, ...]:
    """What CTranslate2 4.8.5 makes of a BART whose halves have not as many heads: it takes the encoder's for both."""
    if chosen is not FORMATS["bart"]:
        return ()
    heads = encoder_shape(source.model.config).heads, decoder_shape(source.model.config).heads
    if heads[0] == heads[1]:
        return ()
    return (
        f"The encoder has {heads[0]} heads and the decoder {heads[1]}: CTranslate2 takes the first number for both, "
        "and translates wrongly without a word. Distil a translator with equal ones for it.",
    )


def _calibration(source: Source, sample: Sample) -> str:
    return f"{len(source.calibration)} of {sample.what}"


def _further_steps(source: Source, chosen: Format) -> tuple[str, ...]:
    """What becomes of the steps that sentence-transformers takes behind an encoder."""
    steps = ", ".join(sentence_steps(source.folder)) if source.task == ENCODER else ""
    if not steps:
        return ()
    if chosen.runtime is None:
        return (f"The source is a model of sentence-transformers: its further steps ({steps}) were copied with it.",)
    return (
        f"The source is a model of sentence-transformers, and its further steps ({steps}) are not in the export, "
        "which gives the states of the tokens (last_hidden_state). Whoever runs it has to take those steps itself, "
        "over the real tokens (attention_mask).",
    )


def _write_config(source: Source, folder: Path) -> None:
    """config.json alone: the code that a TinyBERT saves with it opens weights, and here are none."""
    from tinybert_hf.conversion.export.files import config_of

    config_of(source).save_pretrained(folder)
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

    auto_class = AutoModel if source.task == ENCODER else spec_of(source.task).opener
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


def _deciding(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """The deciding figure of the metrics of both, in points."""
    names = [*_DECIDING, "f1" if "accuracy" not in before or "precision" in before else "accuracy"]
    name = next(one for one in names if one in before)
    points = 1 if name == "bleu" else 100
    return {"metric": name, "before": points * float(before[name]), "after": points * float(after[name])}


_OF_FORMAT = ("format", "megabytes_after", "parity", "metric", "before", "after", "max_metric_drop", "notes")
"""What is another one's for each format of a folder."""


def _note(folder: Path, report: ExportReport, graphs: Mapping[str, dict[str, str]], more: dict[str, Any]) -> None:
    """Write export.json: the first format at the top, as where it stands alone, and what differs of the others."""
    runtime = FORMATS[report.format].runtime
    note = {**asdict(report), "runtime": runtime, "graphs": graphs[report.format], "versions": _versions(), **more}
    del note["folder"]
    others = {one["format"]: {name: one[name] for name in _OF_FORMAT} for one in note.pop("others")}
    if others:
        note["others"] = {name: {**one, "graphs": graphs[name]} for name, one in others.items()}
    note["source"] = hub_name(report.source) or last_part(report.source)  # it is carried away, and read by others
    (folder / EXPORT_FILE).write_text(json.dumps(note, indent=1) + "\n", encoding="utf-8")


def _trained_with(model: str) -> dict[str, Any]:
    """The columns and the length that a model was trained with, where it lies beside its run.json.

    Noted with the export, which is then measured as the model is; without the paths of the rows.
    """
    record = RunRecord.beside(model)
    if record is None or not isinstance(record.content.get("recipe"), dict):
        return {}
    data = record.recipe.get("data")
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
