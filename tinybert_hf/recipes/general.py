"""Runs of general distillation: plain text, no task, no labels."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tinybert_hf.checkpoints import PROJECTIONS_FILE, check_folder_files, check_length
from tinybert_hf.checkpoints.card_parts import argument, format_latency
from tinybert_hf.data import TaskData
from tinybert_hf.data.corpus import BlockCollator, Corpus, CorpusBlocks, cache_folder, open_blocks, split_corpus
from tinybert_hf.data.corpus_sources import Sources, find_files, find_sources
from tinybert_hf.data.settings import CorpusSettings
from tinybert_hf.errors import RecipeError, TeacherError
from tinybert_hf.evaluation import measure_costs
from tinybert_hf.messages import counted
from tinybert_hf.model import TinyBertForMaskedLM, TinyBertModel
from tinybert_hf.recipes.folder import read_json, share_progress
from tinybert_hf.recipes.models import open_tokenizer
from tinybert_hf.recipes.plan import (
    PlainText,
    Plan,
    PlannedTeacher,
    check_space,
    check_start,
    check_students_tokens,
    open_teacher_config,
    skeleton,
    student_config_of,
    with_epochs,
)
from tinybert_hf.recipes.report import (
    STUDENT,
    TEACHER,
    TITLES,
    RunReport,
    describe_phases,
    models_table,
)
from tinybert_hf.recipes.steps import Steps
from tinybert_hf.tasks import GENERAL
from tinybert_hf.training import GeneralDistillationTrainer

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from tinybert_hf.recipes.folder import RunFolder
    from tinybert_hf.recipes.schema import Recipe


# The plan.


def _open_encoder_config(model: str) -> PreTrainedConfig:
    """The configuration of a teacher of which the encoder is wanted.

    Raises:
        TeacherError: there is none, its weights were changed after they were saved, or it has no encoder alone.
    """
    config = open_teacher_config(model)
    check_folder_files(model, TeacherError)
    if getattr(config, "is_encoder_decoder", False) or getattr(config, "num_decoder_layers", None) is not None:
        raise TeacherError(
            f"teacher {model} is a translator or another model with a decoder ({config.model_type}); a general "
            "distillation wants an encoder that is built like BERT."
        )
    return config


def _corpus(recipe: Recipe) -> CorpusSettings:
    assert recipe.corpus is not None
    return recipe.corpus


def _sources(recipe: Recipe) -> tuple[Sources, Sources | None]:
    corpus = _corpus(recipe)
    held_out = corpus.validation_files
    validation = find_files(held_out, "corpus.validation_files (--validation-file)") if held_out else None
    return find_sources(corpus), validation


# The run.

CORPUS = "corpus"
_FEW_STEPS = 50
# Some thousand tokens, as for a classifier's start.
_START_BLOCKS, _BLOCK_TOKENS, _BLOCKS_AT_ONCE = 1024, 16384, 32


class GeneralSteps(Steps):
    """The steps of such a run.

    Attributes:
        corpus: tokenised; there once the rows are prepared.
    """

    corpus: Corpus

    @classmethod
    def make_plan(cls, recipe: Recipe, folder: RunFolder) -> Plan:
        """Check text, teacher and student; the text is looked for, and not yet read."""
        sources, validation = _sources(recipe)
        assert recipe.teacher.model is not None
        teacher = _open_encoder_config(recipe.teacher.model)
        config = student_config_of(recipe, teacher)
        tokenizer = open_tokenizer(recipe.teacher.model, "teacher", teacher)
        check_students_tokens(recipe, tokenizer, config)
        recipe = with_epochs(recipe, config, None)
        # The head for masked tokens is there where a loss needs it.
        masked = any("label_loss" in phase.loss_weights() for phase in recipe.phases)
        student_class = TinyBertForMaskedLM if masked else TinyBertModel
        length = _corpus(recipe).block_size
        check_length("corpus.block_size", length, RecipeError, option="--block-size", teacher=teacher, student=config)
        if config.num_decoder_layers is not None or config.is_encoder_decoder:
            raise RecipeError("student: a general distillation makes an encoder, and this student has a decoder")
        plan = Plan.between(
            recipe,
            folder,
            TaskData(None, None, (), GENERAL),
            (PlannedTeacher(recipe.teacher.model, teacher, tokenizer),),
            skeleton(recipe.spec.opener.from_config, teacher),
            (student_class, config, tokenizer),
            text=PlainText(sources, validation),
        )
        check_start(plan)
        check_space(plan)
        return plan

    @classmethod
    def content(cls, recipe: Recipe) -> dict[str, Any]:
        """The settings of the corpus without its place on the disk, and its content.

        Raises:
            DataError: a file is not there.
        """
        corpus = dict(recipe.as_dict()["corpus"])
        corpus.pop("cache")
        found, held_out = _sources(recipe)
        content = {"content of the corpus": found.digest[:16]}
        if held_out is not None:
            content["content of the held-out text"] = held_out.digest[:16]
        return {"corpus": corpus, **content}

    @classmethod
    def describe(cls, plan: Plan) -> Iterator[str]:
        """Text and phases."""
        assert plan.text is not None
        size, held_out = plan.text.sources.text_bytes, plan.text.validation
        amount = f"{size / 1e6:,.1f} MB" if size else "of a size not known"
        yield f"text: {counted(len(plan.text.sources.found), 'source')}, {amount}"
        kept = "the last 1 % of the blocks" if held_out is None else counted(len(held_out.found), "file")
        yield f"held out to measure on: {kept}"
        yield f"the tokens are kept in: {cache_folder(_corpus(plan.recipe))}"
        yield from describe_phases(plan)

    # Rows.

    @property
    def distillation_rows(self) -> CorpusBlocks:
        """Blocks of the corpus."""
        return self.corpus.train

    @property
    def validation_rows(self) -> CorpusBlocks:
        """Held-out blocks."""
        return self.corpus.validation

    @property
    def phase_options(self) -> dict[str, Any]:
        """Blocks are padded, and masked where that is asked for; evaluation needs no labels."""
        collator = BlockCollator(self.run.tokenizer, _corpus(self.recipe).masked_share)
        return {"data_collator": collator, "trainer_class": GeneralDistillationTrainer}

    def prepare_rows(self) -> None:
        """Tokenise the corpus, unless an earlier run has done that."""
        with self.run.stage(CORPUS, "Tokenising the corpus, or opening it where it is tokenised"):
            self.corpus = self._open_corpus()
        self.run.folder.finish_stage(CORPUS, self.corpus.report)
        self.run.say(*format_corpus(self.corpus, _corpus(self.recipe).block_size))
        self.run.warn(self._few_steps())

    def _few_steps(self) -> Iterator[str]:
        """Phases in which nothing can be learnt: a large batch on little text."""
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        for index, phase in enumerate(self.recipe.phases):
            batch = phase.batch_size * phase.gradient_accumulation_steps * processes
            steps = math.ceil(math.ceil(len(self.corpus.train) / batch) * phase.known_epochs)
            if steps < _FEW_STEPS:
                yield (
                    f"Phase {index} has only {counted(steps, 'step')} ({counted(len(self.corpus.train), 'block')}, "
                    f"batches of {batch}), in which little is learnt: make the batches smaller (--batch-size 16), or "
                    "give more text or epochs."
                )

    def _open_corpus(self) -> Corpus:
        text, corpus, tokenizer = self.plan.text, _corpus(self.recipe), self.run.tokenizer
        assert text is not None
        both = (self.plan.teacher_config, self.plan.student_config)
        segments = all(getattr(one, "type_vocab_size", 0) >= 2 for one in both)
        uses_types = segments and "token_type_ids" in tokenizer.model_input_names

        def blocks(sources: Sources, settings: CorpusSettings) -> CorpusBlocks:
            with share_progress(self.run.console, "Tokenising") as progress:
                return open_blocks(sources, tokenizer, settings, with_segments=uses_types, progress=progress)

        held_out = None if text.validation is None else blocks(text.validation, corpus.held_out())
        return split_corpus(blocks(text.sources, corpus), held_out, text.sources)

    def sides(self) -> Mapping[str, Iterable[str]]:
        """Blocks as text again."""
        blocks = (self.corpus.validation[place] for place in range(len(self.corpus.validation)))
        return {"text": (self.run.tokenizer.decode(one["input_ids"], skip_special_tokens=True) for one in blocks)}

    # Models.

    def open_teacher(self, model: str, dtype: str | None) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """An encoder without a head; masked tokens need a token that masks."""
        teacher, tokenizer = super().open_teacher(model, dtype)
        if _corpus(self.recipe).masked_share and tokenizer.mask_token_id is None:
            raise TeacherError(f"The tokenizer of {model} has no mask token, so nothing can be masked.")
        return teacher, tokenizer

    def probe(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Mapping[str, Any]:
        """A sentence."""
        return tokenizer("A fine film.", return_tensors="pt").to(model.device)

    def start_batches(self) -> list[dict[str, Tensor]]:
        """Some of the blocks."""
        import numpy as np

        blocks, teacher = self.corpus.train, self.run.teacher
        count = min(_START_BLOCKS, -(-_BLOCK_TOKENS * len(blocks) // blocks.tokens), len(blocks))
        chosen = np.random.default_rng(self.recipe.seed).choice(len(blocks), count, replace=False)
        collate = BlockCollator(self.run.tokenizer)
        batches = []
        for start in range(0, count, _BLOCKS_AT_ONCE):
            batch = collate([blocks[number] for number in chosen[start : start + _BLOCKS_AT_ONCE].tolist()])
            batches.append({name: values.to(teacher.device) for name, values in batch.items()})
        return batches

    def save_beside(self, folder: Path) -> None:
        """The projections: a task distillation goes on with them."""
        files = [place / PROJECTIONS_FILE for place in self._phase_folders]
        kept = [file for file in files if file.is_file()]
        if kept:
            shutil.copyfile(kept[-1], folder / PROJECTIONS_FILE)

    @property
    def _phase_folders(self) -> list[Path]:
        phases = enumerate(self.recipe.phases)
        return [self.run.folder.path / "phases" / f"{index}-{phase.name}" for index, phase in phases]

    # Metrics.

    def main_metric(self) -> str:
        """The weighted sum of the losses on held-out text; a lower one is better."""
        return "loss"

    def measure_teacher(self) -> dict[str, Any]:
        """Without a task there is nothing to measure a teacher by."""
        return {}

    def measure(
        self, who: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | None = None
    ) -> dict[str, Any]:
        """The losses on held-out text, which the phases have measured; `before`: before the first step."""
        folders = self._phase_folders
        first = read_json(folders[0] / "log.json")["evaluation"][0]
        return {
            **read_json(folders[-1] / "result.json")["metrics"],
            "before": {name: value for name, value in first.items() if name.endswith("loss")},
        }

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """Each loss before and after."""
        return f"on held-out text: {format_losses(metrics)}" if metrics else ""

    def student_warnings(self, metrics: Mapping[str, Any]) -> list[str]:
        """A student that is farther from its teacher than before has been spoilt by the training."""
        return losses_that_rose(metrics, len(self.recipe.phases))

    def trivial(self, metrics: Mapping[str, Any]) -> list[str]:
        """None: there is no task."""
        return []

    # The report.

    def costs(self, student: PreTrainedModel) -> dict[str, dict[str, Any]]:
        """Of both models."""
        measured = measure_costs({TEACHER: self.run.teacher, STUDENT: student})
        return {name: asdict(cost) for name, cost in measured.items()}

    def reported(self) -> dict[str, Any]:
        """What the text came to, and how fast it was read."""
        phases = self.run.folder.result_of(STUDENT)["phases"]
        throughput = _together([one["throughput"] for one in phases])
        return {"corpus": self.run.folder.result_of(CORPUS), "throughput": throughput}

    @classmethod
    def table(cls, report: RunReport) -> Table:
        """Sizes and latencies."""
        titles = ("parameters", "of teacher", "MB", f"latency ({report.where})")
        table = models_table(format_latency(report.costs, report.device), titles)
        whole = report.costs[TEACHER]["parameters"]
        for name, cost in report.costs.items():
            table.add_row(
                TITLES[name],
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['parameters'] / whole:.1%}",
                f"{cost['megabytes']:.1f}",
                f"{cost['latency_ms']:.1f} ms",
            )
        return table

    @classmethod
    def last_lines(cls, report: RunReport) -> list[str]:
        """The losses, the speed, and how to go on."""
        held_out = report.corpus["validation_tokens"]
        lines = [f"On {counted(held_out, 'held-out token')}: {format_losses(report.metrics[STUDENT])}"]
        if report.throughput:
            speed = report.throughput
            lines.append(
                f"{counted(round(speed['tokens']), 'token')} read at {speed['tokens_per_second']:,.0f} tokens/s, "
                f"padding not counted ({speed['padding']:.1%} of the places)"
            )
        return [
            *lines,
            f"The student is in {report.folder}. It is a base model and no classifier yet; go on with it:",
            f"tinybert distill sst2 --student {argument(report.folder)} --teacher MODEL_FINE_TUNED_ON_THE_TASK "
            f"--output-dir {argument(report.folder.rstrip('/') + '-sst2')}",
        ]


def format_corpus(corpus: Corpus, block_size: int) -> list[str]:
    """What a corpus came to, a line each."""
    report = corpus.report
    full = report["tokens"] / (report["blocks"] * block_size)
    lines = [
        f"Corpus: {counted(report['sources'], 'source')}, {counted(report['documents'], 'document')}, "
        f"{counted(report['lines'], 'line')}; {counted(report['blocks'], 'block')} of up to {block_size} tokens, "
        f"{counted(report['tokens'], 'token')} (padded to full length {1 - full:.1%} would be padding)",
        f"Learned from: {counted(report['train_blocks'], 'block')}; held out: {report['validation_blocks']:,}. The "
        f"tokens are kept in {corpus.folder}.",
    ]
    for count, what in (
        (report["empty_sources"], "empty"),
        (report["left_out"], "left out: given twice, or the same as another"),
    ):
        if count:
            more = f" and {len(count) - 3} more" if len(count) > 3 else ""
            lines.append(f"Note: {len(count)} of the files {what}: {', '.join(count[:3])}{more}.")
    return lines


def _together(each: list[dict[str, float]]) -> dict[str, float]:
    """Of all phases; a phase that was so short that it logged nothing is left out."""
    known = [one for one in each if one]
    if not known:
        return {}
    tokens = sum(one["tokens"] for one in known)
    seconds = sum(one["tokens"] / one["tokens_per_second"] for one in known)
    places = sum(one["tokens"] / (1 - one["padding"]) for one in known)
    return cast(dict[str, float], {
        "tokens": tokens, "tokens_per_second": tokens / seconds, "padding": 1 - tokens / places,
    })  # fmt: skip


# Losses before and after.

_TITLES = {"label_loss": "masked-LM loss", "hidden_state_loss": "hidden-state loss"}


def losses_that_rose(metrics: Mapping[str, Any], phases: int) -> list[str]:
    """What to say where a student is farther from its teacher than before.

    Args:
        metrics: the losses of the last phase, and `before` those of the first, before its first step.
        phases: how many there are; of several the losses cannot be compared.
    """
    after, before = metrics["loss"], metrics["before"].get("loss", float("inf"))
    risen = _risen(metrics)
    if phases > 1 or (after < before and not risen):
        return []
    advice = "give the training more text or epochs, or a lower learning rate"
    if after >= before:
        each = f"; {', '.join(risen)}" if risen else ""
        return [f"The losses on held-out text did not fall ({before:.4g} -> {after:.4g}{each}): {advice}."]
    return [
        f"On held-out text {', '.join(risen)}: there the student is farther from its teacher than before, though "
        f"the weighted sum of the losses fell ({before:.4g} -> {after:.4g}). Give that loss a higher weight, or "
        f"{advice}."
    ]


def _risen(metrics: Mapping[str, Any]) -> list[str]:
    """The losses that did not fall, each in words: "attention loss 1.2 -> 1.3"."""
    before = metrics.get("before", {})
    risen = [name for name in metrics if name.endswith("_loss") and metrics[name] >= before.get(name, math.inf)]
    return [format_losses({name: metrics[name], "before": before}) for name in risen]


def format_losses(metrics: Mapping[str, Any]) -> str:
    """Each loss before and after: "hidden-state loss 1.23 -> 0.21"."""
    before = metrics.get("before", {})
    said = []
    for name, value in metrics.items():
        if name.endswith("_loss"):
            title = _TITLES.get(name, name.replace("_", " "))
            said.append(f"{title} {before[name]:.4g} -> {value:.4g}" if name in before else f"{title} {value:.4g}")
    return ", ".join(said)
