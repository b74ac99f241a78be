"""How fast translators write: teacher and student in PyTorch, CTranslate2 and our exports, from text to text.

    python benchmarks/translators.py --data FOLDER [--rounds 5] [--sentences 96] [--ways WAY ...] [--preset NAME]
        [--work FOLDER]

FOLDER of the data holds en_zh/{train,validation}.jsonl.gz (en, zh) and multi30k/train.jsonl.gz (en, de). The English
sentences are the first ones of en_zh/validation. All weights are random, and so is what is written; each way is made
to write as many tokens as the median of the real translations of its batch has, and the run ends with an error where
one writes another number. The teacher has the shape of opus-mt-en-zh; `student` is the preset with the teacher's
vocabulary, as the recipe makes it, `own` the same preset with a tokenizer of its own, as large as the preset says.

In each round every way has a turn, in every other one backwards; the table has medians of CPU seconds of one thread.
FOLDER of the work keeps models and exports: what is there is not made again. A way whose runtime is not installed is
left out by name. --tiny has small models and vocabularies, to try the script. Writes docs/results/translators.json
and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

import torch
from classifying import where_measured
from other_tools import read
from pages import last_lines, paragraph
from runtimes import PACKAGES, instructions, work_folder
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MarianConfig, MarianMTModel, set_seed

from tinybert_hf import TinyBertConfig, TinyBertForSeq2Seq, export_model, open_exported, quiet_libraries
from tinybert_hf.checkpoints import made_beside, save_atomically
from tinybert_hf.checkpoints.exported import files_of_export, is_exported, suppressed_output
from tinybert_hf.data.tokenizers import train_translation_tokenizer
from tinybert_hf.evaluation.cost import timed_rounds
from tinybert_hf.messages import counted

ROOT = Path(__file__).resolve().parent.parent
BATCH_SIZES = (1, 32)
BEAMS = 5
STUDENTS = ("seq2seq-6-2-256d", "seq2seq-4-2-312d", "seq2seq-3-1-128d")
PRESET = STUDENTS[0]  # which the recipe tries first
TEACHER = {
    "d_model": 512,
    "encoder_layers": 6,
    "decoder_layers": 6,
    "encoder_attention_heads": 8,
    "decoder_attention_heads": 8,
    "encoder_ffn_dim": 2048,
    "decoder_ffn_dim": 2048,
    "activation_function": "swish",
    "max_position_embeddings": 512,
    "scale_embedding": True,
    "forced_eos_token_id": None,
}
TEACHER_VOCABULARY = 65001
TINY_TEACHER = {
    "d_model": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}
TINY_STUDENT = {"hidden_size": 24, "num_attention_heads": 2, "num_hidden_layers": 1, "intermediate_size": 32}
TINY_VOCABULARIES = {"teacher": 620, "student": 620, "own": 560}


# Models, tokenizers and exports.


class Models:
    """The folders of teacher, student and exports, made where they are not there.

    Attributes:
        work: where they stand.
        data: of the texts that tokenizers are trained on.
        preset: of the student.
        tiny: small ones, to try the script.
    """

    def __init__(self, work: Path, data: Path, preset: str, tiny: bool) -> None:
        """Take a folder.

        Raises:
            ValueError: it holds models of other settings.
        """
        self.work, self.data, self.preset, self.tiny = work, data, preset, tiny
        self.vocabularies = (
            TINY_VOCABULARIES
            if tiny
            else {
                "teacher": TEACHER_VOCABULARY,
                "student": TEACHER_VOCABULARY,
                "own": TinyBertConfig.from_preset(preset).vocab_size,
            }
        )
        note, settings = work / "settings.json", {"preset": preset, "tiny": tiny}
        if note.exists() and json.loads(note.read_text(encoding="utf-8")) != settings:
            raise ValueError(f"{work} holds models of other settings; name another folder with --work, or remove it")
        note.write_text(json.dumps(settings), encoding="utf-8")

    def folder(self, model: str, form: str | None = None) -> Path:
        """Of a model, or of one in another form: "onnx", "onnx-int8", "bart" or "ctranslate2"."""
        target = self.work / (model if form is None else f"{model}-{form}")
        if target.exists():
            return target
        print(f"making {target.name}", flush=True)
        if form is None:
            save_atomically(self._model(model), self._tokenizer(model), target)
        elif form == "ctranslate2":
            source = self.folder(model) if model == "teacher" else self.folder(model, "bart")
            converter = import_module("ctranslate2.converters").TransformersConverter(str(source))
            with suppressed_output(), made_beside(target) as beside:
                converter.convert(str(beside), quantization="int8")
                beside.rename(target)
        else:
            with suppressed_output():
                export_model(self.folder(model), target, form)
        return target

    def _tokenizer(self, model: str) -> Any:
        """One vocabulary for both languages; the texts are not enough for the teacher's without a third one."""
        if model == "student":
            return AutoTokenizer.from_pretrained(self.folder("teacher"))
        pairs, captions = (read(self.data / name / "train.jsonl.gz") for name in ("en_zh", "multi30k"))
        sources = [row["en"] for row in (*pairs, *captions)]
        targets = [row["zh"] for row in pairs] + [row["de"] for row in captions]
        return train_translation_tokenizer(sources, targets, vocab_size=self.vocabularies[model], max_length=128)

    def _model(self, model: str) -> Any:
        tokenizer = self._tokenizer(model)
        if len(tokenizer) != self.vocabularies[model]:
            raise ValueError(f"too few texts: they give {len(tokenizer):,} tokens, not {self.vocabularies[model]:,}")
        special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
        set_seed(0)
        if model == "teacher":
            shape = {**TEACHER, **(TINY_TEACHER if self.tiny else {})}
            start = tokenizer.pad_token_id
            return MarianMTModel(
                MarianConfig(vocab_size=len(tokenizer), decoder_start_token_id=start, **shape, **special)
            )
        small = TINY_STUDENT if self.tiny else {}
        config = TinyBertConfig.from_preset(self.preset, vocab_size=len(tokenizer), **small, **special)
        return TinyBertForSeq2Seq(config)


def megabytes(folder: Path) -> float:
    """Of the files that hold weights and graphs, without the tokenizer."""
    if is_exported(folder):
        files = files_of_export(folder)
    else:
        files = [path for path in folder.iterdir() if path.name in ("model.safetensors", "model.bin")]
    return sum(path.stat().st_size for path in files) / 1e6


# The ways.


@dataclass(frozen=True)
class Batch:
    """Sentences that are translated at once.

    Attributes:
        sources: English.
        length: tokens that each translation has to have.
    """

    sources: list[str]
    length: int


Translate = Callable[[Batch], list[list[int]]]
"""Writes the translations as text, and returns their tokens."""


def in_transformers(folder: Path, beams: int) -> Translate:
    """`generate` of transformers: a model in PyTorch, or one of our exports as docs/export.md opens it."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    if is_exported(folder):
        model = open_exported(folder, threads=1)
    else:
        model = AutoModelForSeq2SeqLM.from_pretrained(folder, dtype="float32").eval()
    # An end that no model writes costs what the usual one does; min_new_tokens copies all scores at each step.
    never = len(tokenizer)

    def translate(batch: Batch) -> list[list[int]]:
        given = tokenizer(batch.sources, padding=True, return_tensors="pt")
        options = {"max_new_tokens": batch.length, "max_length": None, "eos_token_id": never}
        with torch.inference_mode():
            written = model.generate(**given, num_beams=beams, do_sample=False, **options)[:, 1:].tolist()
        tokenizer.batch_decode(written, skip_special_tokens=True)
        return [list(one) for one in written]

    return translate


def in_ctranslate2(folder: Path, beams: int, tokens: Path) -> Translate:
    """Its translator in int8; `tokens` is the folder of the tokenizer."""
    options: dict[str, Any] = {"device": "cpu", "compute_type": "int8", "inter_threads": 1, "intra_threads": 1}
    translator = import_module("ctranslate2").Translator(str(folder), **options)
    tokenizer = AutoTokenizer.from_pretrained(tokens)

    def translate(batch: Batch) -> list[list[int]]:
        read_tokens = [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(batch.sources)["input_ids"]]
        lengths = {"min_decoding_length": batch.length, "max_decoding_length": batch.length}
        found = translator.translate_batch(read_tokens, beam_size=beams, **lengths)
        written = [tokenizer.convert_tokens_to_ids(one.hypotheses[0]) for one in found]
        tokenizer.batch_decode(written, skip_special_tokens=True)
        return written

    return translate


@dataclass(frozen=True)
class Way:
    """A line of the table.

    Attributes:
        title: in the table.
        model: "teacher", "student" or "own".
        form: as `Models.folder` takes it; None: PyTorch.
        beams: 1 is greedy.
    """

    title: str
    model: str
    form: str | None = None
    beams: int = 1

    @property
    def needs(self) -> tuple[str, ...]:
        """Modules."""
        if self.form == "ctranslate2":
            return ("ctranslate2",)
        return () if self.form is None else ("onnx", "onnxruntime")

    def open(self, models: Models) -> Translate:
        """Make the export where there is none, and open it."""
        folder = models.folder(self.model, self.form)
        if self.form == "ctranslate2":
            return in_ctranslate2(folder, self.beams, models.folder(self.model))
        return in_transformers(folder, self.beams)


BASE = "teacher-torch-beams"
OURS = "student-onnx-int8"
WAYS = {
    BASE: Way(f"teacher in PyTorch, {BEAMS} beams", "teacher", None, BEAMS),
    "teacher-torch": Way("teacher in PyTorch, greedy", "teacher"),
    "teacher-ctranslate2-beams": Way(f"teacher in CTranslate2 int8, {BEAMS} beams", "teacher", "ctranslate2", BEAMS),
    "teacher-ctranslate2": Way("teacher in CTranslate2 int8, greedy", "teacher", "ctranslate2"),
    "student-torch": Way("student in PyTorch", "student"),
    "student-onnx": Way("student, our `onnx`", "student", "onnx"),
    OURS: Way("student, our `onnx-int8`", "student", "onnx-int8"),
    "student-ctranslate2": Way("student in CTranslate2 int8", "student", "ctranslate2"),
    "own-onnx-int8": Way("student with its own tokenizer, our `onnx-int8`", "own", "onnx-int8"),
    "own-ctranslate2": Way("student with its own tokenizer in CTranslate2 int8", "own", "ctranslate2"),
}


def open_all(models: Models, names: list[str]) -> tuple[dict[str, Translate], dict[str, str]]:
    """Each way; and name -> reason for those whose runtime is not installed."""
    opened, left_out = {}, {}
    for name in names:
        missing = [module for module in WAYS[name].needs if find_spec(module) is None]
        if missing:
            left_out[name] = f"no {', '.join(missing)} is installed"
            print(f"left out: {name}: {left_out[name]}", flush=True)
        else:
            opened[name] = WAYS[name].open(models)
    return opened, left_out


# What is measured.


def batches_of(pairs: list[dict[str, str]], size: int, tokenizer: Any) -> list[Batch]:
    """Sentences of like length together, the longest first, as `tinybert translate` has them.

    Args:
        pairs: "en" and "zh".
        size: sentences of a batch.
        tokenizer: counts the tokens of the translations, with the one that ends them.
    """
    sources = [len(ids) for ids in tokenizer([row["en"] for row in pairs])["input_ids"]]
    targets = [len(ids) for ids in tokenizer(text_target=[row["zh"] for row in pairs])["input_ids"]]
    order = sorted(range(len(pairs)), key=lambda place: -sources[place])
    found = []
    for first in range(0, len(order), size):
        places = order[first : first + size]
        length = statistics.median_low([targets[place] for place in places])
        found.append(Batch([pairs[place]["en"] for place in places], length))
    return found


def translate_all(translate: Translate, batches: list[Batch], name: str = "") -> None:
    """Translate every batch; where a name is given, see that each translation has the length that it must have.

    Raises:
        RuntimeError: it has not, so that speeds could not be compared.
    """
    for batch in batches:
        lengths = {len(one) for one in translate(batch)}
        if name and lengths != {batch.length}:
            raise RuntimeError(f"{name} wrote {sorted(lengths)} tokens where {batch.length} were asked for")


def measure(
    models: Models, opened: dict[str, Translate], pairs: list[dict[str, str]], size: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Name -> sentences of each second of CPU time ("rate"), median CPU seconds of a round, tokens of a translation.

    Of each way as well: how many times as fast as the teacher with beams in PyTorch it is, and how many times as slow
    as our int8 student, both as the median of the rounds, where those are measured.
    """
    by_model = {
        model: batches_of(pairs, size, AutoTokenizer.from_pretrained(models.folder(model)))
        for model in {WAYS[name].model for name in opened}
    }
    passes = {name: partial(translate_all, one, by_model[WAYS[name].model]) for name, one in opened.items()}
    for name, run in passes.items():
        run(name)
    times, failed = timed_rounds(passes, rounds=rounds, once=True)
    if failed:
        raise MemoryError(f"batch {size}: {failed}")
    cpu = {name: one.cpu_of_rounds for name, one in times.items()}
    found = {}
    for name in opened:
        batches = by_model[WAYS[name].model]
        taken = statistics.median(cpu[name])
        tokens = sum(len(batch.sources) * batch.length for batch in batches) / len(pairs)
        found[name] = {"rate": len(pairs) / taken, "cpu_seconds": taken, "tokens": tokens}
        if BASE in cpu:
            found[name]["faster_than_teacher"] = median_ratio(cpu[BASE], cpu[name])
        if OURS in cpu:
            found[name]["times_ours"] = median_ratio(cpu[name], cpu[OURS])
    return found


def median_ratio(one: list[float], other: list[float]) -> float:
    """Of two ways in the same rounds."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


# The page.

Results = dict[int, dict[str, dict[str, float]]]
ABOUT = """
**All weights are random, and the lengths are forced**: this page says how fast translations are written, not how good
they are ([Translation](translation.md) does that). What is read is real: {sentences} English sentences, the first of
en_zh/validation. At batch {largest} those of like length stand together, and each of a batch gets as many tokens as
the median of their real translations has: {tokens}. A way that writes another number ends the run. From text to text:
reading into tokens and writing out of them are in the times.
"""
MODELS = """
- **teacher**: a Marian model of the shape of opus-mt-en-zh: {teacher}, {teacher_pieces:,} pieces, of English, Chinese
  and, so that there are as many, German.
- **student**: `{preset}` with the teacher's vocabulary, as the recipe `translation` makes it; greedy.
- **student with its own tokenizer**: the same of {own_pieces:,} pieces, which learns from the teacher's translations
  alone.
- **PyTorch**: `generate` of transformers in fp32. Its end token is one that no model writes: `min_new_tokens` would
  copy all scores at each step.
- **ours**: `tinybert export --to onnx` and `onnx-int8`, and `open_exported(folder, threads=1).generate`.
- **CTranslate2**: the teacher's folder, and the student by way of `tinybert export --to bart`, converted with
  `quantization="int8"`; one thread, `compute_type="int8"`, `min_decoding_length` and `max_decoding_length`.
- **MB** are those of the files with weights and graphs, without the tokenizer, in 10^6 bytes.
"""
AIMS = {BASE: "at least 8", "teacher-ctranslate2-beams": "at least 2", "student-ctranslate2": "-"}
"""How many times as fast our int8 student is to be."""
MOST_MEGABYTES = 20.0


def table(results: Results, sizes: dict[str, float]) -> list[str]:
    """A line a way."""
    lines = [
        "| way | MB | " + " | ".join(f"batch {size}" for size in results) + " |",
        "| --- | ---: |" + " ---: |" * len(results),
    ]
    for name in next(iter(results.values())):
        cells = []
        for found in results.values():
            ratio = found[name].get("faster_than_teacher")
            cells.append(f"{found[name]['rate']:,.1f}" + ("" if ratio is None else f" ({ratio:.1f})"))
        lines.append(f"| {WAYS[name].title} | {sizes[name]:.1f} | " + " | ".join(cells) + " |")
    return lines


def aims(results: Results, sizes: dict[str, float]) -> list[str]:
    """What was aimed at, and whether it is reached; of what has been measured."""
    measured = next(iter(results.values()))
    columns = " | ".join(f"batch {size}" for size in results)
    lines = [
        "How many times as fast the student in our `onnx-int8` is:",
        "",
        f"| as | aimed at | {columns} |",
        "| --- | --- |" + " ---: |" * len(results),
    ]
    compared = [name for name in AIMS if name in measured and OURS in measured]
    for name in compared:
        cells = " | ".join(f"{found[name]['times_ours']:.1f}" for found in results.values())
        lines.append(f"| {WAYS[name].title} | {AIMS[name]} | {cells} |")
    lines = lines if compared else []
    for name in (OURS, "own-onnx-int8"):
        if name in sizes:
            said = "at most that" if sizes[name] <= MOST_MEGABYTES else "**more than that**"
            title = WAYS[name].title
            lines += ["", f"On disk {MOST_MEGABYTES:g} MB were aimed at; {title}: {sizes[name]:.1f} MB, {said}."]
    return [*lines, ""] if lines else []


def tokens_written(results: Results) -> str:
    """Of a translation in the mean, in words, of each batch size and each of the vocabularies that were measured."""
    said = []
    for size, found in results.items():
        ways = {"own tokenizer" if WAYS[name].model == "own" else "": one["tokens"] for name, one in found.items()}
        said += [f"{tokens:.1f} at batch {size}{kind and f' ({kind})'}" for kind, tokens in ways.items()]
    return ", ".join(said)


def page(content: dict[str, Any], command: str) -> list[str]:
    """Markdown of what `content`, the JSON, says."""
    results = {int(size): found for size, found in content["batches"].items()}
    about = ABOUT.format(sentences=content["sentences"], largest=max(results), tokens=tokens_written(results))
    rounds = counted(content["rounds"], "round")
    trial = ["**A trial of the script with tiny models, not a result.**", ""] if content["tiny"] else []
    lines = [
        "# How fast translators write",
        "",
        *trial,
        *paragraph(f"Written by `{command}` ({content['where']}; instructions: {content['instructions']})."),
        "",
        *paragraph(about.strip()),
        "",
        *paragraph(
            f"Sentences a second of CPU time on one thread, the median of {rounds} in which every way has a turn; in "
            f"parentheses how many times as fast as the teacher with {BEAMS} beams in PyTorch:"
        ),
        "",
        *table(results, content["megabytes"]),
        "",
        *aims(results, content["megabytes"]),
        *MODELS.format(**content["models"], beams=BEAMS).strip().splitlines(),
        *last_lines(content, {name: one.title for name, one in WAYS.items()}),
    ]
    return lines


# The command.


def command_of(arguments: argparse.Namespace) -> str:
    """The command, without folders."""
    words = ["python benchmarks/translators.py --data FOLDER", f"--rounds {arguments.rounds}"]
    words.append(f"--sentences {arguments.sentences}")
    if arguments.ways != list(WAYS):
        words += ["--ways", *arguments.ways]
    if arguments.preset != PRESET:
        words.append(f"--preset {arguments.preset}")
    return " ".join([*words, *(["--tiny"] if arguments.tiny else [])])


def read_arguments() -> argparse.Namespace:
    """Of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sentences", type=int, default=96)
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS), metavar="WAY")
    parser.add_argument("--preset", choices=STUDENTS, default=PRESET)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--tiny", action="store_true", help="small models, to try the script")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "results")
    arguments = parser.parse_args()
    for name in ("rounds", "sentences"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: 1 or more")
    for file in ("en_zh/train.jsonl.gz", "en_zh/validation.jsonl.gz", "multi30k/train.jsonl.gz"):
        if not (arguments.data / file).is_file():
            parser.error(f"--data: {arguments.data} has no {file}")
    return arguments


def main() -> None:
    """Measure at every batch size, and write both files."""
    arguments = read_arguments()
    quiet_libraries()
    torch.set_num_threads(1)
    names = [name for name in WAYS if name in arguments.ways]
    pairs = read(arguments.data / "en_zh/validation.jsonl.gz", arguments.sentences)
    results: Results = {}
    with work_folder(arguments.work) as work:
        try:
            models = Models(work, arguments.data, arguments.preset, arguments.tiny)
            opened, left_out = open_all(models, names)
        except ValueError as error:
            raise SystemExit(f"translators.py: {error}") from error
        if not opened:
            raise SystemExit(f"translators.py: nothing can be measured: {left_out}")
        for size in BATCH_SIZES:
            results[size] = measure(models, opened, pairs, size, arguments.rounds)
            print(f"batch {size}: " + ", ".join(f"{name} {one['rate']:.1f}/s" for name, one in results[size].items()))
        sizes = {name: megabytes(models.folder(WAYS[name].model, WAYS[name].form)) for name in opened}
        shape = {**TEACHER, **(TINY_TEACHER if arguments.tiny else {})}
        teacher = f"{shape['encoder_layers']} + {shape['decoder_layers']} layers, width {shape['d_model']}"
        said = {"teacher_pieces": models.vocabularies["teacher"], "own_pieces": models.vocabularies["own"]}
    content = {
        "where": where_measured(),
        "instructions": instructions(),
        "versions": {name: version(name) for name in PACKAGES if find_spec(name) is not None},
        "rounds": arguments.rounds,
        "sentences": len(pairs),
        "tiny": arguments.tiny,
        "models": {"preset": arguments.preset, "teacher": teacher, **said},
        "megabytes": sizes,
        "left_out": left_out,
        "batches": {str(size): found for size, found in results.items()},
    }
    lines = page(content, command_of(arguments))
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "translators.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (arguments.output / "translators.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
