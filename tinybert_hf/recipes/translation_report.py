"""What the distillation of a translator came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinybert_hf.cards.markup import argument, literal
from tinybert_hf.recipes.report import STUDENT, TEACHER, TITLES, WITHOUT_PACKAGE, RunReport
from tinybert_hf.wording import counted

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class TranslationReport(RunReport):
    """The result of a translation run.

    Metrics are bleu and chrf with their signatures, cut_off, truncated and beams; costs those of a TranslationCost.

    Attributes:
        pseudo_labels: counts of the teacher's translations that were learned from.
        worst_sentences: file in the folder with the sentences on which the student loses most.
    """

    pseudo_labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    worst_sentences: str = ""

    def _last_lines(self) -> list[str]:
        student, metrics = self.costs[STUDENT], self.metrics[STUDENT]
        return [
            *self._alone(),
            f"BLEU: {metrics['bleu_signature']}",
            f"chrF: {metrics['chrf_signature']}",
            f"The student takes {student['megabytes']:.1f} MB, in int8 about {student['int8_megabytes']:.1f} MB.",
            f"The student is in {self.folder}; {self.worst_sentences} there shows where it loses most.",
            f"Load it: import tinybert_hf; AutoModelForSeq2SeqLM.from_pretrained({literal(self.folder)})",
            WITHOUT_PACKAGE,
            f'Try it: tinybert translate {argument(self.folder)} --text "..."',
        ]

    def _table(self) -> Table:
        from rich.table import Table

        sizes = list(self.costs[TEACHER]["sentences_per_second"])
        where = "CPU" if self.device == "cpu" else self.device
        threads = self.costs[STUDENT].get("threads")
        where += f", {counted(threads, 'thread')}" if threads else ""
        table = Table(
            caption=f"batch {', batch '.join(sizes)}: sentences per second at so many at once ({where}), the median "
            "of interleaved rounds, and how many times the teacher's; in brackets after BLEU: against the teacher",
            caption_justify="left",
        )
        table.add_column("model", no_wrap=True)
        for title in ("BLEU", "chrF", "size", *(f"batch {size}" for size in sizes)):
            table.add_column(title, justify="right", no_wrap=True)
        teacher = self.metrics[TEACHER]["bleu"]
        for name, metrics in self.metrics.items():
            cost = self.costs[name]
            difference = "" if name == TEACHER else f" ({metrics['bleu'] - teacher:+.1f})"
            table.add_row(
                TITLES[name],
                f"{metrics['bleu']:.1f}{difference}",
                f"{metrics['chrf']:.1f}",
                f"{cost['parameters'] / 1e6:.2f} M",
                *(_speed(cost, size, is_teacher=name == TEACHER) for size in sizes),
            )
        return table


def _speed(cost: Mapping[str, Any], size: str, *, is_teacher: bool) -> str:
    median = cost["sentences_per_second"][size]["median"]
    own = f"{median:.1f}" if median < 100 else f"{median:,.0f}"
    return own if is_teacher else f"{own} ({cost['speedup'][size]['median']:.1f}x)"
