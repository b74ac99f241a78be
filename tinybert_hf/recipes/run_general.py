"""A run of general distillation: plain text, no task, no labels."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from tinybert_hf.cards import CARD_FILE, card_of
from tinybert_hf.data.corpus import (
    BlockCollator,
    Corpus,
    CorpusBlocks,
    CorpusSettings,
    Sources,
    open_blocks,
    split_corpus,
)
from tinybert_hf.data.held_folder import is_first_process
from tinybert_hf.data.shard_folder import replace_text
from tinybert_hf.distillation import capture
from tinybert_hf.distillation.bert_parts import encoder_parts
from tinybert_hf.distillation.capture import model_inputs
from tinybert_hf.distillation.projections import AnyProjections
from tinybert_hf.evaluation import measure_costs
from tinybert_hf.opening import PROJECTIONS_FILE
from tinybert_hf.recipes.folder import read_json
from tinybert_hf.recipes.general_models import make_start, open_student, open_teacher
from tinybert_hf.recipes.general_report import GeneralReport, losses_in_words, risen_losses
from tinybert_hf.recipes.plan_general import GeneralPlan
from tinybert_hf.recipes.progress import share_progress
from tinybert_hf.recipes.report import STUDENT, TEACHER, RunReport
from tinybert_hf.recipes.run_base import size_of
from tinybert_hf.recipes.stages import Run
from tinybert_hf.recipes.starting_projections import projections_beside
from tinybert_hf.training import GeneralDistillationTrainer
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CORPUS = "corpus"
_FEW_STEPS = 50


class GeneralRun(Run[GeneralPlan]):
    """The stages of a general distillation.

    Attributes:
        corpus: tokenised; there once the rows are prepared.
    """

    report_class = GeneralReport
    corpus: Corpus

    def main_metric(self) -> str:
        """The weighted sum of the losses on held-out text; a lower one is better."""
        return "loss"

    def carry_out(self) -> RunReport:
        """As every run; the model card says that the student is no classifier yet."""
        report = super().carry_out()
        card = self.folder.path / CARD_FILE
        if is_first_process() and not card.exists():
            replace_text(card, card_of(self.folder.path))
        return report

    @property
    def teacher_rows(self) -> Any:
        """There are none with labels."""
        raise NotImplementedError("a general distillation fine-tunes no teacher")

    @property
    def baseline_rows(self) -> Any:
        """There are none with labels."""
        raise NotImplementedError("a general distillation has no baseline")

    @property
    def distillation_rows(self) -> Any:
        """Blocks of the corpus."""
        return self.corpus.train

    @property
    def validation_rows(self) -> Any:
        """Held-out blocks."""
        return self.corpus.validation

    @property
    def phase_options(self) -> dict[str, Any]:
        """Blocks are padded, and masked where that is asked for; evaluation needs no labels."""
        collator = BlockCollator(self.tokenizer, self.plan.corpus.masked_share)
        return {"data_collator": collator, "trainer_class": GeneralDistillationTrainer}

    def open_teacher(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """An encoder without a head."""
        return open_teacher(self.plan)

    def reopen_teacher(self, folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """No teacher is fine-tuned here."""
        raise NotImplementedError("a general distillation fine-tunes no teacher")

    def check_teacher(self) -> None:
        """Take once what the losses will need, so that it fails here or never."""
        self.teacher.eval()
        if self.plan.starts_from_teacher:
            encoder_parts(self.teacher)
        batch = self.tokenizer("A fine film.", return_tensors="pt").to(self.device)
        for phase, (hidden, attention) in zip(self.recipe.phases, self.plan.layer_maps, strict=True):
            losses = phase.loss_weights()
            layers = set(hidden.teacher_layers) if "hidden_state_loss" in losses else set()
            capture(
                self.teacher,
                model_inputs(self.teacher, batch),
                attention_layers=set(attention.teacher_layers) if "attention_loss" in losses else (),
                hidden_state_layers=layers | ({0} if "embedding_loss" in losses else set()),
            )

    def _teacher_metrics(self) -> None:
        """Without a task there is nothing to measure a teacher by."""
        self.say(f"Teacher ({size_of(self.teacher)})")

    def prepare_rows(self) -> None:
        """Tokenise the corpus, unless an earlier run has done that."""
        with self.stage(CORPUS, "Tokenising the corpus, or opening it where it is tokenised"):
            self.corpus = self._open_corpus()
        self.folder.finish_stage(CORPUS, self.corpus.report)
        self.say(*corpus_in_words(self.corpus, self.plan.corpus.block_length))
        self.warn(self._few_steps())

    def _few_steps(self) -> Iterator[str]:
        """Phases in which nothing can be learnt: a large batch on little text."""
        processes = int(os.environ.get("WORLD_SIZE", "1"))
        for index, phase in enumerate(self.phases):
            batch = phase.batch_size * phase.gradient_accumulation_steps * processes
            steps = math.ceil(math.ceil(len(self.corpus.train) / batch) * phase.known_epochs)
            if steps < _FEW_STEPS:
                yield (
                    f"Phase {index} has only {counted(steps, 'step')} ({counted(len(self.corpus.train), 'block')}, "
                    f"batches of {batch}), in which little is learnt: make the batches smaller (--batch-size 16), or "
                    "give more text or epochs."
                )

    def _open_corpus(self) -> Corpus:
        plan = self.plan
        uses_types = plan.with_segments and "token_type_ids" in self.tokenizer.model_input_names

        def blocks(sources: Sources, settings: CorpusSettings) -> CorpusBlocks:
            with share_progress(self.console, "Tokenising") as progress:
                return open_blocks(sources, self.tokenizer, settings, with_segments=uses_types, progress=progress)

        held_out = None if plan.validation is None else blocks(plan.validation, plan.corpus.held_out())
        return split_corpus(blocks(plan.sources, plan.corpus), held_out, plan.sources)

    def make_start(self) -> PreTrainedModel:
        """Opened, projected down from the teacher, or drawn."""
        return make_start(self.plan, self.teacher, self.tokenizer, self.corpus.train)

    def open_student(self, folder: Path) -> PreTrainedModel:
        """A TinyBertModel, or a TinyBertForMaskedLM."""
        return open_student(self.plan, folder)

    def starting_projections(self, student: PreTrainedModel) -> AnyProjections | None:
        """Those of a student that comes from an earlier general distillation or a conversion."""
        return projections_beside(self.recipe.student.model, student, self.guide(), self.phases[0], self.say)

    def save_beside(self, folder: Path) -> None:
        """The projections: a task distillation goes on with them."""
        files = [place / PROJECTIONS_FILE for place in self._phase_folders]
        kept = [file for file in files if file.is_file()]
        if kept:
            shutil.copyfile(kept[-1], folder / PROJECTIONS_FILE)

    @property
    def _phase_folders(self) -> list[Path]:
        phases = enumerate(self.phases)
        return [self.folder.path / "phases" / f"{index}-{phase.name}" for index, phase in phases]

    def measure(self, who: str, model: PreTrainedModel) -> dict[str, Any]:
        """The losses on held-out text, which the phases have measured; `before`: before the first step."""
        folders = self._phase_folders
        first = read_json(folders[0] / "log.json")["evaluation"][0]
        return {
            **read_json(folders[-1] / "result.json")["metrics"],
            "before": {name: value for name, value in first.items() if name.endswith("loss")},
        }

    def in_words(self, metrics: Mapping[str, Any]) -> str:
        """Each loss before and after."""
        return f"on held-out text: {losses_in_words(metrics)}"

    def teacher_warnings(self) -> list[str]:
        """None: nothing is known of the teacher but its shape."""
        return []

    def student_warnings(self) -> list[str]:
        """A student that is farther from its teacher than before has been spoilt by the training."""
        metrics = self.folder.result_of(STUDENT)["metrics"]
        after, before = metrics["loss"], metrics["before"].get("loss", float("inf"))
        risen = risen_losses(metrics)
        if len(self.phases) > 1 or (after < before and not risen):
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

    def report(self) -> GeneralReport:
        """Losses before and after, speed, and costs of both models."""
        student = self.open_student(self.folder.path).to(self.device)
        measured = measure_costs({TEACHER: self.teacher, STUDENT: student})
        collected = self.collected()
        return GeneralReport(
            costs={name: asdict(cost) for name, cost in measured.items()},
            corpus=self.folder.result_of(CORPUS),
            throughput=_together([one["throughput"] for one in collected["phases"]]),
            **collected,
        )

    def collected(self) -> dict[str, Any]:
        """As every run; a teacher without a task has no figures."""
        if self.folder.result_of("teacher metrics") is None:
            self.folder.finish_stage("teacher metrics", {})
        return super().collected()


def corpus_in_words(corpus: Corpus, block_length: int) -> list[str]:
    """What a corpus came to, a line each."""
    report = corpus.report
    full = report["tokens"] / (report["blocks"] * block_length)
    lines = [
        f"Corpus: {counted(report['sources'], 'source')}, {counted(report['documents'], 'document')}, "
        f"{counted(report['lines'], 'line')}; {counted(report['blocks'], 'block')} of up to {block_length} tokens, "
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
