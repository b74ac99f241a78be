"""The sentences on which a translator loses most against its teacher."""

from __future__ import annotations

import json
from typing import Any

from tinybert_hf.evaluation import evaluate_translation, worst_sentences
from tinybert_hf.reporting.disagreements import SHOWN, Comparison, Row, cut
from tinybert_hf.reporting.finished_run import WORST_ROWS, FinishedRun
from tinybert_hf.reporting.opened_run import Moved, open_translators, validation_rows

# Translating takes a second or more for some sentences on a CPU.
MOST_SENTENCES = 200
_MEASURE = (
    "The sentences are sorted by what the student loses: chrF of the teacher's translation minus chrF of the "
    "student's, each from 0 to 100 against the reference."
)


def compare_translators(
    run: FinishedRun, moved: Moved, *, most_rows: int = MOST_SENTENCES, shown: int = SHOWN
) -> Comparison:
    """The sentences that the run itself found; where it kept none, or other rows are given, they are translated anew.

    Args:
        run: whose models.
        moved: what lies elsewhere now.
        most_rows: the first rows that are translated anew.
        shown: sentences that are shown.

    Raises:
        NotThereError: teacher or rows are not there any more.
        TinyBertError: something that the user named cannot be used.
    """
    file = run.folder / WORST_ROWS
    if file.is_file() and not moved.is_given:
        lines = file.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.strip()]
        notes = [f"These are the sentences that the run wrote into {WORST_ROWS}, out of all validation rows."]
        return Comparison(0, 0, [], [_row(one) for one in found[:shown]], _MEASURE, notes)
    data, _ = validation_rows(run, moved)
    assert data.validation is not None  # asked for
    count = min(most_rows, len(data.validation))
    sources, references = (list(data.validation[side][:count]) for side in ("source", "target"))
    beams = (run.content["metrics"]["student"]["beams"], run.content["metrics"]["teacher"]["beams"])
    prefixes = ("", run.recipe["teacher"].get("prefix") or "")
    said = [
        evaluate_translation(model, tokenizer, sources, references, beams=wide, prefix=prefix)["hypotheses"]
        for (model, tokenizer), wide, prefix in zip(open_translators(run, moved), beams, prefixes, strict=True)
    ]
    every = worst_sentences(sources, references, said[1], said[0], None)
    counts = [
        ("teacher's translation nearer to the reference", sum(one["loss"] > 0 for one in every)),
        ("student's translation nearer to the reference", sum(one["loss"] < 0 for one in every)),
        ("equally near", sum(one["loss"] == 0 for one in every)),
    ]
    return Comparison(count, len(data.validation), counts, [_row(one) for one in every[:shown]], _MEASURE)


def _row(found: dict[str, Any]) -> Row:
    texts = {"source": cut(found["source"]), "reference": cut(found["reference"])}
    answers = {who: f"{cut(found[who])} (chrF {found[f'{who}_chrf']:.0f})" for who in ("teacher", "student")}
    return Row(found["row"], texts, answers, {"teacher": None, "student": None}, float(found["loss"]))
