"""The files that are damaged, how each is opened, and what an outcome counts as."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from hostile import mutations
from hostile.sandbox import DIFFERENT, FAILED, REFUSED, SAME, run_cases
from typer.testing import CliRunner

from tinybert_hf.checkpoints import save_atomically
from tinybert_hf.checkpoints.loading import Checkpoint
from tinybert_hf.cli import app
from tinybert_hf.data import TASKS, DataSettings, train_translation_tokenizer, train_wordpiece_tokenizer
from tinybert_hf.data.generation import translate_texts
from tinybert_hf.distillation import load_teacher
from tinybert_hf.errors import TinyBertError
from tinybert_hf.evaluation import evaluate_any_checkpoint, open_translator
from tinybert_hf.model import TinyBertConfig, TinyBertForSeq2Seq, TinyBertForSequenceClassification
from tinybert_hf.model.manifest_tinybert import MANIFEST_FILE, write_manifest
from tinybert_hf.recipes.loader import load_recipe
from tinybert_hf.training.checkpoints import checked_checkpoint, complete_checkpoint

_STATE_FILES = ("trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth")
TEXTS = ["the film was good", "a dull plot, and 12 songs", "not bad", "the cast is warm but weak"]
GERMAN = ["der Film war gut", "eine matte Handlung", "nicht schlecht", "die Besetzung ist warm"]
SHAPE = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "max_position_embeddings": 48,
    "initializer_range": 0.3,
}


@dataclass(frozen=True)
class Kind:
    """One file to damage.

    Attributes:
        file: the good one.
        mutators: how it is damaged.
        routes: ways to open it; a seed takes one. Each gives what JSON can hold.
        says_so: whether a different result is what the damaged file says, given that result and the notices.
        names: what a message may name in place of the file.
    """

    file: Path
    mutators: tuple[mutations.Mutator, ...]
    routes: tuple[Callable[[], Any], ...]
    says_so: Callable[[bytes, int, Any, list[str]], bool]
    names: tuple[str, ...] = ()


@dataclass
class Outcomes:
    """What became of the cases of a kind."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def run_kind(kind: Kind, seeds: range) -> Outcomes:
    """Damage a file once for each seed, and open it."""
    good = kind.file.read_bytes()
    expected = run_cases(kind.routes)
    broken = [one for one in expected if "value" not in one or one["notices"]]
    assert not broken, broken
    damaged = [mutations.mutate(good, seed, kind.mutators) for seed in seeds]
    taken = [seed % len(kind.routes) for seed in seeds]

    def case(bad: bytes, route: int) -> Callable[[], Any]:
        def work() -> Any:
            kind.file.write_bytes(bad)
            return kind.routes[route]()

        return work

    outcomes = Outcomes()
    try:
        reports = run_cases([case(bad, route) for (_, bad), route in zip(damaged, taken, strict=True)])
    finally:
        kind.file.write_bytes(good)
    for seed, (name, bad), route, report in zip(seeds, damaged, taken, reports, strict=True):
        outcome, why = _judge(kind, bad, route, report, expected[route]["value"])
        outcomes.counts[outcome] += 1
        if outcome == FAILED:
            outcomes.failures.append(f"seed {seed}, {name}, route {route}: {why}")
    return outcomes


def _judge(kind: Kind, bad: bytes, route: int, report: dict[str, Any], expected: Any) -> tuple[str, str]:
    if "killed" in report:
        return FAILED, report["killed"]
    if "error" in report:
        name, family, text = report["error"]
        if "TinyBertError" not in family:
            return FAILED, f"{name}: {text[:300]}"
        if not any(one in text for one in (kind.file.name, *kind.names)):
            return FAILED, f"the message does not name the file: {text[:300]}"
        return (REFUSED, text) if len(text) < 3000 else (FAILED, f"a message of {len(text)} characters")
    if report["value"] == expected:
        return SAME, ""
    if kind.says_so(bad, route, report["value"], report["notices"]):
        return DIFFERENT, ""
    return FAILED, f"silently different: {str(report['value'])[:200]} instead of {str(expected)[:200]}"


# The folders and files


def make_classifier(folder: Path) -> Path:
    """A small student with its tokenizer, as a run leaves it."""
    torch.manual_seed(0)
    tokenizer = train_wordpiece_tokenizer(TEXTS * 4, vocab_size=120, max_length=48)
    names = ["negative", "positive"]
    labels = {"id2label": dict(enumerate(names)), "label2id": {name: index for index, name in enumerate(names)}}
    config = TinyBertConfig(vocab_size=len(tokenizer), problem_type="single_label_classification", **SHAPE, **labels)
    save_atomically(TinyBertForSequenceClassification(config), tokenizer, folder)
    return folder


def make_translator(folder: Path) -> Path:
    """A small translator with a vocabulary for each side, as a run leaves it."""
    torch.manual_seed(0)
    tokenizer = train_translation_tokenizer(
        TEXTS * 4, GERMAN * 4, vocab_size=520, target_vocab_size=520, max_length=48
    )
    config = TinyBertConfig(
        **SHAPE,
        vocab_size=len(tokenizer),
        decoder_vocab_size=tokenizer.target_vocab_size,
        is_encoder_decoder=True,
        num_decoder_layers=1,
        type_vocab_size=1,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_embeddings="target",
    )
    save_atomically(TinyBertForSeq2Seq(config), tokenizer, folder)
    return folder


def make_rows(folder: Path) -> dict[str, Path]:
    """JSON lines and CSV with labels, and JSON lines with pairs."""
    rows = [{"text": f"{TEXTS[i % 4]} number {i}", "label": ("negative", "positive")[i % 2]} for i in range(12)]
    pairs = [{"en": f"{TEXTS[i % 4]} {i}", "de": f"{GERMAN[i % 4]} {i}"} for i in range(12)]
    files = {
        name: folder / name for name in ("rows.jsonl", "good.jsonl", "pairs.jsonl", "good_pairs.jsonl", "rows.csv")
    }
    for name, content in (
        ("rows.jsonl", rows),
        ("good.jsonl", rows),
        ("pairs.jsonl", pairs),
        ("good_pairs.jsonl", pairs),
    ):
        files[name].write_text(
            "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content), encoding="utf-8"
        )
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(
        [["text", "label"], *([row["text"], row["label"]] for row in rows)]
    )
    files["rows.csv"].write_text(table.getvalue(), encoding="utf-8")
    return files


def make_checkpoint(folder: Path) -> Path:
    """What a trainer keeps to go on from, with its manifest."""
    checkpoint = folder / "checkpoint-2"
    checkpoint.mkdir()
    torch.manual_seed(0)
    log = [{"step": step, "loss": 1 / step, "epoch": step / 2} for step in (1, 2)]
    state = {"global_step": 2, "epoch": 1.0, "max_steps": 8, "log_history": log}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state, indent=2))
    torch.save({"state": {0: {"step": torch.tensor(2.0), "exp_avg": torch.rand(64)}}}, checkpoint / "optimizer.pt")
    torch.save({"last_epoch": 2}, checkpoint / "scheduler.pt")
    torch.save({"cpu": torch.get_rng_state()}, checkpoint / "rng_state.pth")
    write_manifest(checkpoint, ("**/*",))
    return checkpoint


def make_recipe(folder: Path, teacher: Path, rows: dict[str, Path]) -> Path:
    """A recipe with most of the fields that there are."""
    training = {"epochs": 2.0, "learning_rate": 3e-4, "batch_size": 16, "lr_scheduler_type": "linear"}
    mapping = {
        "name": "hostile",
        "description": "what is damaged",
        "task": "text-classification",
        "data": {
            "train_file": str(rows["good.jsonl"]),
            "validation_file": str(rows["good.jsonl"]),
            "text_column": "text",
            "label_column": "label",
            "max_length": 16,
        },
        "teacher": {"model": str(teacher), "dtype": "float32"},
        "student": {"preset": "4l-312d", "overrides": {**SHAPE, "num_hidden_layers": 1}, "init": "random"},
        "phases": [
            {"name": "intermediate", **training, "layer_map": "uniform", "projection": "per_layer"},
            {"name": "prediction", **training, "temperature": 1.0, "warmup_ratio": 0.1},
        ],
        "baseline": training,
        "seed": 42,
        "training_arguments": {"use_cpu": True, "report_to": "none"},
        "output_dir": str(folder / "out"),
    }
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(mapping, sort_keys=False), encoding="utf-8")
    return file


# The ways to open them


def _state_of(checkpoint: Path) -> dict[str, str]:
    """What a run would go on with: every file that the trainer reads."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(checkpoint.iterdir())
        if path.name != MANIFEST_FILE
    }


def _newest(checkpoint: Path) -> Any:
    return _state_of(Path(complete_checkpoint(checkpoint.parent) or ""))


def _chosen(checkpoint: Path) -> Any:
    return _state_of(Path(checked_checkpoint(checkpoint, needed=_STATE_FILES)))


def _digest(model: Any) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(
            tensor.contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else str(tensor).encode()
        )
    return digest.hexdigest()


def _answers(model: Any, tokenizer: Any) -> list[Any]:
    batch = tokenizer(TEXTS, padding=True, truncation=True, max_length=16, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**batch).logits
    return [batch["input_ids"].tolist(), [[value.hex() for value in row] for row in logits.double().tolist()]]


def _open_classifier(folder: Path) -> Any:
    model, tokenizer = Checkpoint.read(folder, "a text classifier").open_head("text-classification")
    model.eval()
    return [_digest(model), _answers(model, tokenizer), model.config.id2label]


def _open_teacher(folder: Path) -> Any:
    model, tokenizer = load_teacher(str(folder), dtype="float32")
    return [_digest(model), _answers(model, tokenizer), model.config.id2label]


def _evaluate(folder: Path, settings: DataSettings) -> Any:
    metrics = evaluate_any_checkpoint(str(folder), settings, device="cpu")
    return {name: value for name, value in metrics.items() if name != "sentences_per_second"}


def _open_translator(folder: Path) -> Any:
    model, tokenizer = open_translator(str(folder))
    model.eval()
    made = translate_texts(model, tokenizer, TEXTS, max_new_tokens=8)
    ids = [tokenizer(TEXTS).input_ids, tokenizer(text_target=GERMAN).input_ids]
    return [_digest(model), ids, made.best]


def _rows(settings: DataSettings) -> list[list[Any]]:
    data = TASKS["text-classification"].load(settings)
    return [[row["text"], data.label_names[row["label"]]] for row in data.train]


def _pairs(settings: DataSettings) -> list[list[Any]]:
    data = TASKS["translation"].load(settings)
    return [[row["source"], row["target"]] for row in data.train]


def _dry_run(file: Path) -> Any:
    """The plan as the command prints it; its error as an error."""
    shown = CliRunner().invoke(app, ["distill", str(file), "--dry-run"], env={"COLUMNS": "200"})
    if shown.exit_code == 2 and shown.stderr.startswith("error: "):
        raise TinyBertError(shown.stderr)
    if shown.exception is not None and not isinstance(shown.exception, SystemExit):
        raise shown.exception
    assert shown.exit_code == 0, shown.output
    return shown.stdout


def kinds(folder: Path) -> dict[str, Kind]:
    """Every kind of file, made anew in a folder."""
    classifier, translator = make_classifier(folder / "classifier"), make_translator(folder / "translator")
    rows = make_rows(folder)
    recipe = make_recipe(folder, classifier, rows)
    checkpoint = make_checkpoint(folder)
    labelled = DataSettings(validation_file=str(rows["good.jsonl"]), max_length=16)
    paired = DataSettings(
        validation_file=str(rows["good_pairs.jsonl"]), source_column="en", target_column="de", max_length=16
    )
    of_classifier = (
        lambda: _open_classifier(classifier),
        lambda: _evaluate(classifier, labelled),
        lambda: _open_teacher(classifier),
    )
    of_translator = (lambda: _open_translator(translator), lambda: _evaluate(translator, paired))

    def of_model(place: Path, name: str, mutators: tuple[mutations.Mutator, ...], routes: Any) -> Kind:
        def noticed(bad: bytes, route: int, value: Any, notices: list[str]) -> bool:
            return name != "model.safetensors" and any(name in notice for notice in notices)

        return Kind(place / name, mutators, routes, noticed)

    def of_rows(file: Path, load: Any, read: Any, **columns: str) -> Kind:
        good = file.with_name("good_pairs.jsonl" if load is _pairs else "good.jsonl")
        settings = DataSettings(train_file=str(file), validation_file=str(good), **columns)

        def as_written(bad: bytes, route: int, value: Any, notices: list[str]) -> bool:
            return value == read(bad)

        return Kind(
            file, mutations.CSV if read is _csv_rows else mutations.JSON_FILE, (lambda: load(settings),), as_written
        )

    def of_state(name: str, mutators: tuple[mutations.Mutator, ...]) -> Kind:
        # A changed hash in the manifest is a changed file, as far as anybody can tell.
        names = _STATE_FILES if name == MANIFEST_FILE else ()
        routes = (lambda: _newest(checkpoint), lambda: _chosen(checkpoint))
        return Kind(checkpoint / name, mutators, routes, lambda bad, route, value, notices: False, names)

    def as_yaml_says(bad: bytes, route: int, value: Any, notices: list[str]) -> bool:
        return _yaml_says(bad, yaml.safe_load(value.partition("\n\n")[0]) if route else value)

    return {
        "config.json, classifier": of_model(classifier, "config.json", mutations.JSON_FILE, of_classifier),
        "config.json, translator": of_model(translator, "config.json", mutations.JSON_FILE, of_translator),
        "model.safetensors, classifier": of_model(classifier, "model.safetensors", mutations.WEIGHTS, of_classifier),
        "model.safetensors, translator": of_model(translator, "model.safetensors", mutations.WEIGHTS, of_translator),
        "tokenizer.json": of_model(classifier, "tokenizer.json", mutations.JSON_FILE, of_classifier),
        "tokenizer_config.json": of_model(classifier, "tokenizer_config.json", mutations.JSON_FILE, of_classifier),
        "target_tokenizer.json": of_model(translator, "target_tokenizer.json", mutations.JSON_FILE, of_translator),
        "recipe YAML": Kind(
            recipe,
            mutations.YAML,
            (lambda: load_recipe(str(recipe)).as_dict(), lambda: _dry_run(recipe)),
            as_yaml_says,
        ),
        "JSON lines, labels": of_rows(rows["rows.jsonl"], _rows, _json_rows),
        "JSON lines, pairs": of_rows(rows["pairs.jsonl"], _pairs, _json_pairs, source_column="en", target_column="de"),
        "CSV, labels": of_rows(rows["rows.csv"], _rows, _csv_rows),
        "trainer_state.json": of_state("trainer_state.json", mutations.JSON_FILE),
        "optimizer.pt": of_state("optimizer.pt", mutations.ANY_BYTES),
        "a checkpoint's manifest.json": of_state(MANIFEST_FILE, mutations.JSON_FILE),
    }


# What a damaged file says, read in the plainest way


def _json_lines(bad: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in bad.decode("utf-8-sig").split("\n") if line.strip()]


def _json_rows(bad: bytes) -> list[list[Any]]:
    return [[row["text"], row["label"]] for row in _json_lines(bad)]


def _json_pairs(bad: bytes) -> list[list[Any]]:
    pairs = [[row["en"], row["de"]] for row in _json_lines(bad)]
    return [pair for pair in pairs if all(side is not None and side.strip() for side in pair)]


def _csv_rows(bad: bytes) -> list[list[Any]]:
    csv.field_size_limit(1 << 30)
    table = [cells for cells in csv.reader(io.StringIO(bad.decode("utf-8-sig"), newline="")) if cells]
    text, label = ([cell.strip() for cell in table[0]].index(name) for name in ("text", "label"))
    return [[cells[text], cells[label].strip()] for cells in table[1:]]


def _yaml_says(bad: bytes, recipe: Any, path: str = "") -> bool:
    """Whether every field that the file names has its value in the recipe."""
    return _agrees(yaml.safe_load(bad.decode("utf-8-sig")), recipe)


def _agrees(said: Any, made: Any) -> bool:
    if isinstance(said, dict):
        return isinstance(made, dict) and all(_agrees(value, made.get(name)) for name, value in said.items())
    if isinstance(said, list | tuple):
        return isinstance(made, list) and len(said) == len(made) and all(map(_agrees, said, made))
    if isinstance(made, int | float) and not isinstance(made, bool):
        return math.isclose(float(said), made)
    return said == made
