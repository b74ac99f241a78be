"""Distillation of a translator: the tables of docs/results/translation.md.

    python benchmarks/translation.py --data FOLDER [--scale large] [--work FOLDER] [--pairs en-de en-zh]
                                     [--parts PART ...]

FOLDER holds multi30k/{train,test_2016_flickr}.jsonl.gz (columns en, de) and en_zh/{train,validation}.jsonl.gz (en,
zh, source). No translation model is downloaded: the teacher is a Marian model of transformers, made and trained here
on the training pairs: `small` on short sentences, for a CPU; `large` on all of them, as deep and wide as the published
Marian models, for a GPU. Every run is kept in the work folder and is not repeated, so the parts can be run one by one,
also several at a time; `report` writes the JSON and the tables of what is there.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, MarianConfig, MarianMTModel, PreTrainedModel, set_seed

from tinybert_hf import TinyBertConfig, TinyBertForSeq2Seq
from tinybert_hf.data import TASKS
from tinybert_hf.data.pseudo_labels import PseudoLabelSettings, read_pseudo_labels, write_pseudo_labels
from tinybert_hf.data.settings import DataSettings
from tinybert_hf.data.tokenizers import train_translation_tokenizer
from tinybert_hf.evaluation.cost import TranslationEntry, measure_translation_costs
from tinybert_hf.evaluation.translation import evaluate_translation, write_worst_sentences
from tinybert_hf.training import FinetuneSettings, Phase, finetune, run_phases

QUIET = {"disable_tqdm": True, "log_level": "warning", "logging_steps": 100, "save_strategy": "no"}
BEAMS = 5
LENGTH = 64


@dataclass(frozen=True)
class Pair:
    """A pair of languages at one scale: its files, the vocabularies, and the shapes of teacher and student."""

    source: str
    target: str
    train: str
    test: str
    unlabelled: str  # further text in the source language, of which only the captions are taken
    vocab_size: int
    target_vocab_size: int | None
    teacher: dict[str, Any]
    teacher_epochs: float
    teacher_rate: float
    student_preset: str
    student: dict[str, Any]
    small_student_preset: str | None
    epochs: float
    rate: float
    batch_size: int
    max_words: int | None  # longer English sentences are left out, of training and test: a CPU has little time


EN_DE = {
    "source": "en",
    "target": "de",
    "train": "multi30k/train.jsonl.gz",
    "test": "multi30k/test_2016_flickr.jsonl.gz",
    "unlabelled": "en_zh/train.jsonl.gz",
}
EN_ZH = {
    "source": "en",
    "target": "zh",
    "train": "en_zh/train.jsonl.gz",
    "test": "en_zh/validation.jsonl.gz",
    "unlabelled": "multi30k/train.jsonl.gz",
}
SMALL = {
    "teacher": {
        "d_model": 192,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 1024,
        "decoder_ffn_dim": 1024,
        "dropout": 0.1,
    },
    "student_preset": "seq2seq-3-1-128d",
    "small_student_preset": None,
    "epochs": 8.0,
    "rate": 3e-3,
    "batch_size": 64,
}
SMALL_STUDENT = {
    "num_hidden_layers": 2,
    "intermediate_size": 320,
    "hidden_dropout_prob": 0.05,
    "attention_probs_dropout_prob": 0.05,
}
LARGE = {
    "teacher": {
        "d_model": 512,
        "encoder_layers": 6,
        "decoder_layers": 6,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
        "encoder_ffn_dim": 2048,
        "decoder_ffn_dim": 2048,
        "init_std": 0.044,
        "dropout": 0.3,
    },
    "teacher_rate": 7e-4,
    "student_preset": "seq2seq-4-2-312d",
    "student": {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
    "small_student_preset": "seq2seq-3-1-128d",
    "rate": 1.5e-3,
    "batch_size": 256,
    "max_words": None,
}
PAIRS = ("en-de", "en-zh")
SCALES: dict[str, dict[str, Pair]] = {
    "small": {
        "en-de": Pair(
            **EN_DE,
            **{**SMALL, "teacher": {**SMALL["teacher"], "init_std": 0.02}},
            vocab_size=4000,
            target_vocab_size=None,
            teacher_epochs=12,
            teacher_rate=1e-3,
            student={**SMALL_STUDENT, "hidden_size": 128},
            max_words=11,
        ),
        "en-zh": Pair(
            **EN_ZH,
            **{**SMALL, "teacher": {**SMALL["teacher"], "init_std": 0.02}},
            vocab_size=4000,
            target_vocab_size=6000,
            teacher_epochs=12,
            teacher_rate=1e-3,
            student={**SMALL_STUDENT, "hidden_size": 96},
            max_words=7,
        ),
    },
    "large": {
        "en-de": Pair(**EN_DE, **LARGE, vocab_size=8000, target_vocab_size=None, teacher_epochs=24, epochs=14.0),
        "en-zh": Pair(**EN_ZH, **LARGE, vocab_size=8000, target_vocab_size=8000, teacher_epochs=16, epochs=10.0),
    },
}


@dataclass(frozen=True)
class Run:
    """One student: the targets that it sees and the losses that it learns from."""

    name: str
    title: str
    targets: str  # "references", "pseudo-labels" or "unlabelled" (pseudo-labels, also of further source text)
    phase: Phase
    small: bool = False  # the smaller student


def planned_runs(epochs: float = 1.0, rate: float = 1.0, batch_size: int = 1) -> list[Run]:
    """From references alone to everything."""
    common = {"epochs": epochs, "learning_rate": rate, "batch_size": batch_size}
    labels = {"name": "prediction", "prediction_loss_weight": 0.0, "label_loss_weight": 1.0}
    both = {"name": "prediction", "prediction_loss_weight": 1.0, "label_loss_weight": 1.0}
    no_cross = {"cross_attention_loss_weight": 0.0}
    # Losses between layers are sums over layers of squared scores; these weights bring them to the size of the others.
    layers = {
        "name": "joint",
        "label_loss_weight": 1.0,
        "attention_loss_weight": 0.1,
        "decoder_attention_loss_weight": 0.1,
        "cross_attention_loss_weight": 0.1,
        "hidden_state_loss_weight": 1.0,
        "decoder_hidden_state_loss_weight": 1.0,
        "embedding_loss_weight": 1.0,
    }
    return [
        Run("references", "references alone (no teacher)", "references", Phase(**labels, **common)),
        Run("word-level", "+ word-level, on references", "references", Phase(**both, **common)),
        Run("sequence-level", "sequence-level (its translations)", "pseudo-labels", Phase(**labels, **common)),
        Run("sequence-word", "sequence-level + word-level", "pseudo-labels", Phase(**both, **common)),
        Run("layers", "+ losses between layers", "pseudo-labels", Phase(**{**layers, **no_cross}, **common)),
        Run("cross", "+ cross-attention", "pseudo-labels", Phase(**layers, **common)),
        Run(
            "longer",
            "sequence-level + word-level, twice the epochs",
            "pseudo-labels",
            Phase(**both, **{**common, "epochs": 2 * epochs}),
        ),
        Run(
            "longest",
            "sequence-level + word-level, four times the epochs",
            "pseudo-labels",
            Phase(**both, **{**common, "epochs": 4 * epochs}),
        ),
        Run(
            "references-longer",
            "references alone, twice the epochs",
            "references",
            Phase(**labels, **{**common, "epochs": 2 * epochs}),
        ),
        Run("unlabelled", "sequence + word, also of other captions", "unlabelled", Phase(**both, **common)),
        Run("small-references", "smaller student, references alone", "references", Phase(**labels, **common), True),
        Run("small-sequence-word", "smaller student, sequence + word", "pseudo-labels", Phase(**both, **common), True),
        Run("small-unlabelled", "smaller student, also other captions", "unlabelled", Phase(**both, **common), True),
    ]


@dataclass(frozen=True)
class World:
    """What all runs of a pair share."""

    name: str
    pair: Pair
    data: Path
    work: Path
    max_words: int | None
    device: str
    training_arguments: dict[str, Any]

    def short_pairs(self, part: str) -> Path:
        """The pairs whose source is short enough, as a file in the work folder."""
        path = self.work / f"{part}.jsonl"
        if not path.exists():
            self.work.mkdir(parents=True, exist_ok=True)
            source = self.data / (self.pair.train if part == "train" else self.pair.test)
            with gzip.open(source, "rt", encoding="utf-8") as lines:
                short = [line for line in lines if self.is_short(json.loads(line)[self.pair.source])]
            path.write_text("".join(short), encoding="utf-8")
        return path

    def is_short(self, sentence: str) -> bool:
        """Whether the scale takes this sentence."""
        return self.max_words is None or len(sentence.split()) <= self.max_words

    def further_sources(self) -> Path:
        """Image captions of the other data set, without those that also stand in the test set."""
        path = self.work / "unlabelled.jsonl"
        if not path.exists():
            seen = {json.loads(line)[self.pair.source] for line in self.short_pairs("test").open(encoding="utf-8")}
            with gzip.open(self.data / self.pair.unlabelled, "rt", encoding="utf-8") as lines:
                rows = [json.loads(line) for line in lines]
            kept = [
                row[self.pair.source]
                for row in rows
                if row.get("source", "3am") == "3am" and self.is_short(row[self.pair.source])
            ]
            seen = {bare(sentence) for sentence in seen}
            rows = [{self.pair.source: sentence} for sentence in kept if bare(sentence) not in seen]
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def settings(self) -> DataSettings:
        """Where the pairs are."""
        return DataSettings(
            train_file=str(self.short_pairs("train")),
            validation_file=str(self.short_pairs("test")),
            source_column=self.pair.source,
            target_column=self.pair.target,
            max_length=LENGTH,
        )

    def keep(self, name: str, result: dict[str, Any]) -> None:
        """Write one result into the work folder."""
        path = self.work / "results" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result, indent=1, ensure_ascii=False))
        print(self.name, name, {k: v for k, v in result.items() if k != "hypotheses"}, flush=True)

    def has(self, name: str) -> bool:
        """Whether a result is there."""
        return (self.work / "results" / f"{name}.json").exists()


def bare(sentence: str) -> str:
    """A sentence without case and punctuation."""
    return "".join(letter for letter in sentence.lower() if letter.isalnum())


def make_teacher(world: World) -> None:
    """A Marian model, trained on the references."""
    if (world.work / "teacher").exists():
        return
    settings, pair = world.settings(), world.pair
    rows = TASKS["translation"].load(settings, need_validation=False).train
    tokenizer = train_translation_tokenizer(
        rows["source"],
        rows["target"],
        vocab_size=pair.vocab_size,
        target_vocab_size=pair.target_vocab_size,
        max_length=LENGTH,
    )
    set_seed(0)
    shared = pair.target_vocab_size is None
    model = MarianMTModel(
        MarianConfig(
            vocab_size=pair.vocab_size,
            decoder_vocab_size=pair.vocab_size if shared else pair.target_vocab_size,
            share_encoder_decoder_embeddings=shared,
            max_position_embeddings=2 * LENGTH,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            decoder_start_token_id=tokenizer.pad_token_id,
            forced_eos_token_id=None,
            scale_embedding=True,
            **pair.teacher,
        )
    )
    started = time.perf_counter()
    finetune(
        model,
        FinetuneSettings(
            epochs=pair.teacher_epochs, learning_rate=pair.teacher_rate, batch_size=min(pair.batch_size, 128)
        ),
        output_dir=world.work / "teacher",
        train_dataset=TASKS["translation"].tokenize(rows, tokenizer, settings),
        processing_class=tokenizer,
        seed=0,
        training_arguments={**world.training_arguments, "label_smoothing_factor": 0.1},
    )
    world.keep(
        "teacher-training",
        {
            "seconds": time.perf_counter() - started,
            "epochs": pair.teacher_epochs,
            "pairs": len(rows),
            "max_words": world.max_words,
        },
    )


def open_teacher(world: World) -> tuple[PreTrainedModel, Any]:
    """The trained teacher."""
    folder = world.work / "teacher"
    return AutoModelForSeq2SeqLM.from_pretrained(folder).eval().to(world.device), AutoTokenizer.from_pretrained(folder)


def test_pairs(world: World) -> tuple[list[str], list[str]]:
    """The test sentences and their references."""
    rows = TASKS["translation"].load(world.settings(), need_train=False).validation
    return rows["source"][:], rows["target"][:]


def measure(world: World, name: str, model: PreTrainedModel, tokenizer: Any, beams: int, **more: Any) -> None:
    """Translate the test set and keep the scores."""
    sources, references = test_pairs(world)
    result = evaluate_translation(
        model,
        tokenizer,
        sources,
        references,
        target_language=world.pair.target,
        num_beams=beams,
        batch_size=world.pair.batch_size,
    )
    world.keep(name, {**result, "beams": beams, "parameters": model.num_parameters(), **more})


def make_pseudo_labels(world: World) -> None:
    """The teacher's beam translations of the training sources."""
    model, tokenizer = open_teacher(world)
    for name, settings in {
        "pseudo": PseudoLabelSettings(
            str(world.short_pairs("train")), world.pair.source, target_column=world.pair.target, num_beams=BEAMS
        ),
        "pseudo-unlabelled": PseudoLabelSettings(str(world.further_sources()), world.pair.source, num_beams=BEAMS),
    }.items():
        report = write_pseudo_labels(model, tokenizer, settings, world.work / name, batch_size=world.pair.batch_size)
        kept = "pseudo-labels" if name == "pseudo" else name
        if not world.has(kept):
            world.keep(kept, {**asdict(report), "output": name})


def train_rows(world: World, targets: str) -> Any:
    """Checked pairs: the references, or the teacher's translations."""
    from datasets import concatenate_datasets

    if targets == "references":
        return TASKS["translation"].load(world.settings(), need_validation=False).train
    folders = ["pseudo", "pseudo-unlabelled"] if targets == "unlabelled" else ["pseudo"]
    parts = [read_pseudo_labels(world.work / folder).select_columns(["source", "target"]) for folder in folders]
    return concatenate_datasets(parts)


def carry_out(world: World, run: Run) -> None:
    """Train one student and keep its scores."""
    teacher, tokenizer = open_teacher(world)
    preset = world.pair.small_student_preset if run.small else world.pair.student_preset
    assert preset is not None
    set_seed(0)
    student = TinyBertForSeq2Seq(
        TinyBertConfig.from_preset(
            preset,
            vocab_size=world.pair.vocab_size,
            decoder_vocab_size=world.pair.target_vocab_size,
            max_position_embeddings=2 * LENGTH,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **world.pair.student,
        )
    )
    rows = TASKS["translation"].tokenize(train_rows(world, run.targets), tokenizer, world.settings())
    started = time.perf_counter()
    done = run_phases(
        student,
        teacher,
        (run.phase,),
        output_dir=world.work / run.name,
        train_dataset=rows,
        processing_class=tokenizer,
        seed=0,
        training_arguments=world.training_arguments,
    )
    seconds = time.perf_counter() - started
    measure(
        world,
        run.name,
        student,
        tokenizer,
        1,
        title=run.title,
        rows=len(rows),
        train_seconds=seconds,
        phase=asdict(run.phase),
        losses=done[-1].losses,
    )


def measure_speed(world: World, best: str, sentences: int) -> None:
    """Teacher at its own beam against the greedy student, batch 1 and 32, and the worst sentences side by side."""
    teacher, tokenizer = open_teacher(world)
    folder = world.work / best / "phases" / "0-joint" / "student"
    if not folder.exists():
        folder = world.work / best / "phases" / "0-prediction" / "student"
    student = TinyBertForSeq2Seq.from_pretrained(folder).eval().to(world.device)
    sources, references = test_pairs(world)
    costs = measure_translation_costs(
        {
            "teacher": TranslationEntry(teacher, tokenizer, BEAMS),
            "student": TranslationEntry(student, tokenizer, 1),
        },
        sources[:sentences],
    )
    metrics = {k: asdict(v) for k, v in costs.items()}
    world.keep(speed_name(world.device, best), {"run": best, "sentences": sentences, **metrics})
    kept = {name: json.loads((world.work / "results" / f"{name}.json").read_text()) for name in ("teacher", best)}
    write_worst_sentences(
        world.work / "worst.md", sources, references, kept["teacher"]["hypotheses"], kept[best]["hypotheses"]
    )


def speed_name(device: str, best: str) -> str:
    """Under which name a measurement of speed is kept."""
    return f"speed-{device}-{best}"


def report(works: dict[str, Path], output: Path) -> None:
    """Write the JSON and the tables of what has been run."""
    results: dict[str, Any] = {}
    for name, work in works.items():
        found = {path.stem: json.loads(path.read_text()) for path in sorted((work / "results").glob("*.json"))}
        results[name] = {
            key: {field: value for field, value in result.items() if field != "hypotheses"}
            for key, result in found.items()
        }
    output.mkdir(parents=True, exist_ok=True)
    (output / "translation.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    lines = [
        "# Translation: what each part of distillation brings",
        "",
        "Written by `python benchmarks/translation.py --data FOLDER`; every run and its settings, and the signatures",
        "of BLEU and chrF, stand in translation.json. The teacher is a small Marian model trained here, searched",
        f"with {BEAMS} beams; every student is searched greedily. One seed. Minutes are wall time of one thread on a",
        "shared machine without a GPU, for orientation only.",
    ]
    for name, kept in results.items():
        lines += ["", f"## {name}", "", *table(name, kept)]
    (output / "translation.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def table(name: str, kept: dict[str, Any]) -> list[str]:
    """Markdown: the scores of a pair, and the speed."""
    lines = [
        "| model | parameters | BLEU | chrF | against the teacher | minutes |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    teacher = kept.get("teacher")
    titles = {run.name: run.title for run in planned_runs()}
    for key, title in {"teacher": f"teacher, {BEAMS} beams", "teacher-greedy": "teacher, greedy", **titles}.items():
        if key in kept and teacher is not None:
            one = kept[key]
            minutes = one.get("train_seconds") or kept.get("teacher-training", {}).get("seconds", 0.0)
            lines.append(
                f"| {title} | {one['parameters'] / 1e6:.2f} M | {one['bleu']:.1f} | {one['chrf']:.1f} | "
                f"{one['bleu'] - teacher['bleu']:+.1f} | {minutes / 60:.0f} |"
            )
    for key in kept:
        if key.startswith("speed-"):
            lines += ["", speed_line(kept[key], "a GPU" if key.split("-")[1] == "cuda" else "a CPU")]
    return lines


def speed_line(speed: dict[str, Any], where: str) -> str:
    """One sentence on size and speed."""
    student, teacher = speed["student"], speed["teacher"]
    ratios = " and ".join(
        f"{spread['median']:.1f} ({spread['lowest']:.1f} to {spread['highest']:.1f}) at batch {size}"
        for size, spread in student["speedup"].items()
    )
    return (
        f"On {where} the student ({speed['run']}) translates {ratios} times as many sentences per second as the "
        f"teacher with {teacher['beams']} beams, in one run of {speed['sentences']} sentences. It has "
        f"{student['size_ratio']:.2f} of the teacher's parameters: {student['megabytes']:.1f} MB in fp32, "
        f"{student['int8_megabytes']:.1f} MB in int8 (computed)."
    )


def main() -> None:
    """Read the arguments and carry out the parts."""
    steps = ("teacher", "pseudo-labels", *(run.name for run in planned_runs()), "speed", "report")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scale", choices=tuple(SCALES), default="small")
    parser.add_argument("--work", type=Path, default=Path("runs/translation"))
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=PAIRS)
    parser.add_argument("--parts", nargs="+", choices=steps, default=steps)
    parser.add_argument("--epochs", type=float, help="of a student, instead of those of the scale")
    parser.add_argument("--teacher-epochs", type=float)
    parser.add_argument("--max-words", type=int, help="of an English sentence, instead of that of the scale")
    parser.add_argument("--best", default="longer", help="the student whose speed is measured")
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    on_gpu = arguments.device == "cuda"
    for name in arguments.pairs:
        pair = SCALES[arguments.scale][name]
        pair = replace(
            pair,
            epochs=arguments.epochs or pair.epochs,
            teacher_epochs=arguments.teacher_epochs or pair.teacher_epochs,
        )
        world = World(
            name,
            pair,
            arguments.data,
            arguments.work / folder_name(name, arguments.scale),
            arguments.max_words or pair.max_words,
            arguments.device,
            {**QUIET, "bf16": on_gpu, "use_cpu": not on_gpu},
        )
        if "teacher" in arguments.parts:
            make_teacher(world)
            for search, beams in (("teacher", BEAMS), ("teacher-greedy", 1)):
                if not world.has(search):
                    measure(world, search, *open_teacher(world), beams)
        if "pseudo-labels" in arguments.parts:
            make_pseudo_labels(world)
        for run in planned_runs(pair.epochs, pair.rate, pair.batch_size):
            if run.small and pair.small_student_preset is None:
                continue
            if run.name in arguments.parts and not world.has(run.name):
                carry_out(world, run)
        if "speed" in arguments.parts and not world.has(speed_name(arguments.device, arguments.best)):
            measure_speed(world, arguments.best, 100)
    if "report" in arguments.parts:
        works = {
            (name, scale): arguments.work / folder_name(name, scale) for scale in SCALES for name in SCALES[scale]
        }
        report(
            {f"{name}, {scale}": work for (name, scale), work in works.items() if (work / "results").is_dir()},
            arguments.output,
        )


def folder_name(pair: str, scale: str) -> str:
    """Of a pair's work, inside the work folder."""
    return pair if scale == "small" else f"{pair}-{scale}"


if __name__ == "__main__":
    main()
