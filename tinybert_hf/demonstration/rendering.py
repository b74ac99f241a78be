"""A comparison as HTML: one card for each model, bars for its labels. Every text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from tinybert_hf.data.settings import MULTI_LABEL, REGRESSION
from tinybert_hf.demonstration.answers import THRESHOLD, Answer, Comparison, chosen_labels
from tinybert_hf.demonstration.contestants import STUDENT, TEACHER, TRANSLATION, Contest, Contestant
from tinybert_hf.wording import counted, counted_layers

_MOST_LABELS = 8

# Most colours are the theme's own, so that light and dark both fit; its softer text is too faint to read in light.
STYLE = """
.tb-cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 260px), 1fr)); gap: 12px; }
.tb-card { border: 1px solid var(--border-color-primary); border-radius: 10px; padding: 14px 16px; min-width: 0;
  background: var(--background-fill-secondary); color: var(--body-text-color); overflow-wrap: anywhere; }
.tb-head { display: flex; justify-content: space-between; align-items: baseline; gap: 8px; flex-wrap: wrap; }
.tb-who { font-weight: 600; text-transform: capitalize; }
.tb-time { font-variant-numeric: tabular-nums; font-weight: 600; }
.tb-size, .tb-how, .tb-more { color: var(--tb-soft); font-size: 0.875em; }
.tb-row { margin-top: 10px; }
.tb-name { display: flex; justify-content: space-between; gap: 8px; }
.tb-chosen { font-weight: 600; }
.tb-percent { font-variant-numeric: tabular-nums; white-space: nowrap; }
.tb-bar { height: 8px; border-radius: 4px; margin-top: 3px; overflow: hidden;
  background: var(--border-color-primary); }
.tb-bar div { height: 100%; border-radius: 4px; background: var(--tb-soft); }
.tb-chosen + .tb-bar div { background: var(--tb-accent); }
.tb-text { margin-top: 10px; font-size: 1.1em; white-space: pre-wrap; }
.tb-number { margin-top: 6px; font-size: 2em; font-weight: 600; font-variant-numeric: tabular-nums; }
.tb-said { margin: 0 0 4px; font-size: 1.05em; color: var(--body-text-color); overflow-wrap: anywhere; }
.tb-how { margin: 0 0 12px; }
.tb-note { margin: 10px 0 0; padding: 8px 12px; border-left: 3px solid var(--tb-accent);
  background: var(--background-fill-secondary); color: var(--body-text-color); overflow-wrap: anywhere; }
:root { --tb-accent: #2563eb; --tb-soft: #52525b; }
.dark { --tb-accent: #60a5fa; --tb-soft: #b4b4bc; }
"""


def comparison_html(contest: Contest, comparison: Comparison) -> str:
    """The page's answer.

    Args:
        contest: who answered.
        comparison: from `compare`.
    """
    said = f'<p class="tb-said">{_said(contest, comparison)}</p><p class="tb-how">{_how(contest, comparison)}</p>'
    answers = zip(contest.contestants, comparison.answers, strict=True)
    cards = "".join(_card(contest, who, answer) for who, answer in answers)
    return f'{said}<div class="tb-cards">{cards}</div>{"".join(map(note_html, _notes(contest, comparison)))}'


def note_html(note: str) -> str:
    """One thing that a reader should know."""
    return f'<p class="tb-note">{escape(note)}</p>'


def size_of(contestant: Contestant) -> str:
    """A model in a few words: its class, layers, width and parameters."""
    config: Any = contestant.model.config
    decoder = getattr(config, "num_decoder_layers", None) or getattr(config, "decoder_layers", None)
    layers: Any = getattr(config, "encoder_layers", None) if decoder else None
    layers = layers or getattr(config, "num_hidden_layers", "?")
    parameters = sum(weights.numel() for weights in contestant.model.parameters())
    millions = f"{parameters / 1e6:.1f}" if parameters >= 1e5 else f"{parameters / 1e6:.2f}"
    return f"{counted_layers(layers, decoder)} x {getattr(config, 'hidden_size', '?')}, {millions} M parameters"


def _said(contest: Contest, comparison: Comparison) -> str:
    """What they say, and whether it is the same."""
    by_role = {answer.role: _in_words(contest, answer) for answer in comparison.answers}
    if TEACHER not in by_role:
        return f"The student says {by_role[STUDENT]}." if contest.kind != TRANSLATION else "The student's translation:"
    if contest.kind == TRANSLATION:
        same = comparison.answers[0].text == comparison.answers[1].text
        return "Both translate it alike." if same else "They translate it differently."
    if contest.kind == REGRESSION:
        apart = abs(comparison.answers[0].scores[0] - comparison.answers[1].scores[0])
        return f"Their numbers are {apart:.3g} apart."
    if by_role[TEACHER] == by_role[STUDENT]:
        return f"Both say {by_role[STUDENT]}."
    return f"They differ: the teacher says {by_role[TEACHER]}, the student {by_role[STUDENT]}."


def _in_words(contest: Contest, answer: Answer) -> str:
    if contest.kind == TRANSLATION:
        return f"<b>{escape(answer.text or '')}</b>"
    if contest.kind == REGRESSION:
        return f"<b>{answer.scores[0]:.3f}</b>"
    chosen = chosen_labels(contest.kind, contest.labels, answer)
    more = f" and {len(chosen) - _MOST_LABELS} more" if len(chosen) > _MOST_LABELS else ""
    named = ", ".join(f"<b>{escape(label)}</b>" for label in chosen[:_MOST_LABELS])
    return f"{named}{more}" if chosen else f"<b>no label</b> (none above {THRESHOLD:.0%})"


def _how(contest: Contest, comparison: Comparison) -> str:
    """How fast, and how that was measured."""
    import torch

    where = contest.student.model.device.type
    threads = torch.get_num_threads()
    place = f"CPU, {counted(threads, 'thread')}" if where == "cpu" else where.upper()
    calls = f"the median of {comparison.calls} calls" if comparison.calls > 1 else "one call"
    how = f"{calls} after a warm-up, tokenizing included; {place}"
    if contest.kind == TRANSLATION:
        how += ", greedy search" if contest.beams == 1 else f", {contest.beams} beams"
    ratio = comparison.speed_up
    if ratio is None:
        return f"Time: {how}."
    if 0.95 < ratio < 1.05:
        faster = "as fast as"
    else:
        faster = f"{ratio:.1f} times as fast as" if ratio > 1 else f"{1 / ratio:.1f} times slower than"
    return f"The student is <b>{faster}</b> the teacher ({how})."


def _card(contest: Contest, who: Contestant, answer: Answer) -> str:
    head = f'<div class="tb-head"><span class="tb-who">{who.role}</span>'
    head += f'<span class="tb-time">{_milliseconds(answer.milliseconds)}</span></div>'
    head += f'<div class="tb-size">{escape(size_of(who))}</div>'
    if contest.kind == TRANSLATION:
        written = escape(answer.text) if answer.text else '<span class="tb-more">(nothing)</span>'
        body = f'<div class="tb-text">{written}</div>'
    elif contest.kind == REGRESSION:
        body = f'<div class="tb-number">{answer.scores[0]:.3f}</div>'
    else:
        body = "".join(_bars(contest, answer))
    return f'<div class="tb-card" data-role="{who.role}">{head}{body}</div>'


def _bars(contest: Contest, answer: Answer) -> Iterator[str]:
    """A bar for each label; of many only the most probable."""
    chosen = chosen_labels(contest.kind, contest.labels, answer)
    above = sum(score > THRESHOLD for score in answer.scores) if contest.kind == MULTI_LABEL else 0
    order: Sequence[int] = range(len(contest.labels))
    if len(order) > _MOST_LABELS:  # whatever is said is shown
        order = sorted(order, key=lambda index: -answer.scores[index])[: max(_MOST_LABELS, above)]
    for index in order:
        label, score = contest.labels[index], answer.scores[index]
        name = f'<span>{escape(label)}</span><span class="tb-percent">{score:.1%}</span>'
        yield f'<div class="tb-row"><div class="tb-name{" tb-chosen" if label in chosen else ""}">{name}</div>'
        yield f'<div class="tb-bar"><div style="width: {100 * score:.1f}%"></div></div></div>'
    if len(order) < len(contest.labels):
        left = counted(len(contest.labels) - len(order), "less probable label")
        yield f'<div class="tb-row tb-more">and {left}</div>'


def _notes(contest: Contest, comparison: Comparison) -> Iterator[str]:
    answered = list(zip(contest.contestants, comparison.answers, strict=True))
    limits = [f"the {who.role} reads {who.limit or 'fewer'} tokens" for who, answer in answered if answer.truncated]
    if limits:
        yield f"The text is too long: {', '.join(limits)}. Only its beginning was read."
    for who, answer in answered:
        if answer.cut_off:
            yield f"The {who.role}'s translation did not come to an end and was cut off."


def _milliseconds(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"
