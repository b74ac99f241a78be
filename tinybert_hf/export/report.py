"""What an export came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tinybert_hf.export.parity import Parity
from tinybert_hf.wording import counted


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
        metric: the figure that decides; None without validation rows.
        before: of the model, in points.
        after: of the export.
        allowed_loss: points.
        notes: what a user should know, a sentence each.
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
    allowed_loss: float = 0.5
    notes: tuple[str, ...] = ()

    @property
    def lost(self) -> float | None:
        """Points that the export is worse; below 0 where it is better."""
        return None if self.before is None or self.after is None else self.before - self.after

    @property
    def lost_too_much(self) -> bool:
        """Whether it lost more than was allowed."""
        return self.lost is not None and not self.lost <= self.allowed_loss

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

    def warnings(self) -> Iterator[str]:
        """What must not be overlooked."""
        if self.lost_too_much:
            yield (
                f"{self.metric} fell by {self.lost:.2f} points, from {self.before:.2f} to {self.after:.2f}; "
                f"{self.allowed_loss:g} are allowed (--allowed-loss). The export was kept in {Path(self.folder)}."
            )
