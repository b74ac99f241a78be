"""The rows of one shard: translated, chosen from the beam, filtered.

Source:
    Kim & Rush 2016, Sequence-Level Knowledge Distillation: the best of the beam (section 3.2), or the hypothesis of
    the beam that is nearest to the reference (sequence-level interpolation, section 3.3; here by sentence chrF).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinybert_hf.data.generation import translate_texts
from tinybert_hf.data.pseudo_label_filters import (
    CUT_OFF,
    EMPTY,
    EMPTY_SOURCE,
    LENGTH_RATIO,
    REPETITION,
    SOURCE_TOO_LONG,
    LengthBand,
    is_repetitive,
)
from tinybert_hf.errors import DataError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BEST = "best"
NEAREST = "nearest"


@dataclass(frozen=True)
class PseudoLabelSettings:
    """What decides the rows; a folder that was begun with other settings is refused.

    Attributes:
        input_file: rows to translate: .jsonl, .json, .csv, .tsv or .parquet, each also with .gz behind it.
        source_column: column with the text to translate.
        target_column: column with the reference, where there is one; a row may lack its own.
        max_rows: take only the first rows.
        beams: width of the teacher's search; 1 is greedy.
        select: "best" of the beam, or "nearest" to the reference by sentence chrF (without one: the best).
        max_new_tokens: tokens of a translation at most; None: 2 x the tokens of the longest source of a batch + 10.
        prefix: put before each text for the teacher, not written to the rows.
        max_length_factor: how far from the usual a translation's length may be (`LengthBand`); 0: any length.
        max_repeats: how often an n-gram may stand in a translation (`is_repetitive`); 0: any number.
        shard_rows: source rows of one shard; a run that is stopped loses at most one shard.
    """

    input_file: str
    source_column: str = "source"
    target_column: str | None = None
    max_rows: int | None = None
    beams: int = 5
    select: str = BEST
    max_new_tokens: int | None = None
    prefix: str = ""
    max_length_factor: float = 2.0
    max_repeats: int = 3
    shard_rows: int = 2000

    def __post_init__(self) -> None:
        """Refuses values that cannot be used.

        Raises:
            DataError: naming the setting.
        """
        if self.select not in (BEST, NEAREST):
            raise DataError(f"select is {self.select!r}; known are {BEST!r} and {NEAREST!r}.")
        if self.select == NEAREST and self.target_column is None:
            raise DataError(
                f"select is {NEAREST!r}, which compares with a reference: give target_column (--target-column), or "
                f"select {BEST!r}."
            )
        for name in ("beams", "shard_rows", "max_rows", "max_new_tokens"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if self.max_repeats < 0 or not (self.max_length_factor == 0 or 1 <= self.max_length_factor < math.inf):
            raise DataError(
                f"max_repeats is {self.max_repeats} and max_length_factor {self.max_length_factor}; the first must be "
                "0 (off) or more, the second 0 (off) or at least 1."
            )


@dataclass(frozen=True)
class RowMaker:
    """Translates source texts to rows.

    Attributes:
        model: the teacher.
        tokenizer: of the teacher.
        settings: what decides the rows.
        batch_size: texts at once.
        band: how long a translation may be.
    """

    model: "PreTrainedModel"
    tokenizer: Any
    settings: PseudoLabelSettings
    batch_size: int
    band: LengthBand

    def make(
        self, sources: Sequence[str], references: Sequence[str] | None, progress: Callable[[int], None] | None = None
    ) -> tuple[list[dict[str, str]], dict[str, Any]]:
        """Translates and filters.

        Args:
            sources: the texts; blank ones are counted.
            references: of each source, blank where there is none.
            progress: called after each batch with the number of its texts.

        Returns:
            The rows to learn from, in the order of `sources`; and the notes: how many were filtered for which reason,
            and the seconds that the teacher took.
        """
        settings = self.settings
        made = translate_texts(
            self.model,
            self.tokenizer,
            sources,
            batch_size=self.batch_size,
            beams=settings.beams,
            candidates=settings.beams if settings.select == NEAREST else 1,
            max_new_tokens=settings.max_new_tokens,
            prefix=settings.prefix,
            progress=progress,
        )
        chosen = [0] * len(made)
        if settings.select == NEAREST and references is not None:
            chosen = nearest_hypotheses(made, references)
        targets = [hypotheses[choice] for hypotheses, choice in zip(made, chosen, strict=True)]
        cut_off = [flags[choice] for flags, choice in zip(made.cut_off, chosen, strict=True)]
        fits = self._fits(sources, targets)
        rows: list[dict[str, str]] = []
        filtered: Counter[str] = Counter()
        for pair in zip(sources, targets, made.truncated, cut_off, fits, strict=True):
            reason = self._reason(*pair)
            if reason is None:
                rows.append({"source": pair[0], "target": pair[1]})
            else:
                filtered[reason] += 1
        return rows, {"filtered": dict(sorted(filtered.items())), "seconds": round(made.seconds, 2)}

    def _fits(self, sources: Sequence[str], targets: Sequence[str]) -> list[bool]:
        if not self.settings.max_length_factor:
            return [True] * len(targets)
        here = self.band.lengths(self.tokenizer, sources, target=False)
        there = self.band.lengths(self.tokenizer, targets, target=True)
        return [self.band.holds(*lengths) for lengths in zip(here, there, strict=True)]

    def _reason(self, source: str, target: str, truncated: bool, cut_off: bool, fits: bool) -> str | None:
        """The first reason to leave a row out; None where it is fit."""
        most = self.settings.max_repeats
        reasons = {
            EMPTY_SOURCE: not source.strip(),
            SOURCE_TOO_LONG: truncated,
            EMPTY: not target,
            CUT_OFF: cut_off,
            REPETITION: bool(most) and is_repetitive(source, target, most),
            LENGTH_RATIO: not fits,
        }
        return next((reason for reason, found in reasons.items() if found), None)


def nearest_hypotheses(hypotheses: Sequence[Sequence[str]], references: Sequence[str]) -> list[int]:
    """For each text the hypothesis nearest to its reference by sentence chrF.

    Args:
        hypotheses: of each text, best first.
        references: of each text; a blank one chooses the best.

    Returns:
        Indices; between equals the teacher's own order decides.
    """
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()
    chosen = []
    for candidates, reference in zip(hypotheses, references, strict=True):
        scores = [0.0]
        if reference.strip():
            scores = [metric.sentence_score(candidate, [reference]).score for candidate in candidates]
        chosen.append(scores.index(max(scores)))
    return chosen
