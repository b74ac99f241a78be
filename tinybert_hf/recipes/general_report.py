"""What a general distillation came to."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards import latency_in_words
from tinybert_hf.cards.markup import argument
from tinybert_hf.recipes.report import STUDENT, TITLES, RunReport
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from rich.table import Table


_TITLES = {"label_loss": "masked-LM loss", "hidden_state_loss": "hidden-state loss"}


@dataclass(frozen=True)
class GeneralReport(RunReport):
    """The result of a general distillation: the losses on held-out text, before and after.

    Attributes:
        corpus: what the text came to.
        throughput: tokens, tokens_per_second, padding.
    """

    corpus: dict[str, Any] = field(default_factory=dict)
    throughput: dict[str, float] = field(default_factory=dict)

    def _table(self) -> Table:
        from rich.table import Table

        table = Table(caption=latency_in_words(self.costs, self.device), caption_justify="left")
        table.add_column("model", no_wrap=True)
        where = "CPU" if self.device == "cpu" else self.device
        for title in ("parameters", "of teacher", "MB", f"latency ({where})"):
            table.add_column(title, justify="right")
        whole = self.costs["teacher"]["parameters"]
        for name, cost in self.costs.items():
            table.add_row(
                TITLES[name],
                f"{cost['parameters'] / 1e6:.2f} M",
                f"{cost['parameters'] / whole:.1%}",
                f"{cost['megabytes']:.1f}",
                f"{cost['latency_ms']:.1f} ms",
            )
        return table

    def _last_lines(self) -> list[str]:
        held_out = self.corpus["validation_tokens"]
        lines = [f"On {counted(held_out, 'held-out token')}: {losses_in_words(self.metrics[STUDENT])}"]
        if self.throughput:
            speed = self.throughput
            lines.append(
                f"{counted(round(speed['tokens']), 'token')} read at {speed['tokens_per_second']:,.0f} tokens/s, "
                f"padding not counted ({speed['padding']:.1%} of the places)"
            )
        return [
            *lines,
            f"The student is in {self.folder}. It is a base model and no classifier yet; go on with it:",
            f"tinybert distill sst2 --student {argument(self.folder)} --teacher MODEL_FINE_TUNED_ON_THE_TASK "
            f"--output-dir {argument(self.folder.rstrip('/') + '-sst2')}",
        ]


def risen_losses(metrics: Mapping[str, Any]) -> list[str]:
    """The losses that did not fall, each in words: "attention loss 1.2 -> 1.3"."""
    before = metrics.get("before", {})
    risen = [name for name in metrics if name.endswith("_loss") and metrics[name] >= before.get(name, math.inf)]
    return [losses_in_words({name: metrics[name], "before": before}) for name in risen]


def losses_in_words(metrics: Mapping[str, Any]) -> str:
    """Each loss before and after: "hidden-state loss 1.23 -> 0.21"."""
    before = metrics.get("before", {})
    said = []
    for name, value in metrics.items():
        if name.endswith("_loss"):
            title = _TITLES.get(name, name.replace("_", " "))
            said.append(f"{title} {before[name]:.4g} -> {value:.4g}" if name in before else f"{title} {value:.4g}")
    return ", ".join(said)
