"""Pictures as SVG: the few shapes that they need, every text escaped, every colour a class of the page's style.

Written by hand and not by a plotting library: colours then follow the reader's light or dark mode through CSS, the
texts stay texts, and a picture takes some kilobytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

Point = tuple[float, float]


class Drawing:
    """A picture whose units are about a pixel on a phone."""

    def __init__(self, width: float, height: float, title: str, *, natural_size: bool = False) -> None:
        """Begin a picture.

        Args:
            width: of the picture.
            height: of the picture.
            title: what it shows; read out by screen readers.
            natural_size: it does not shrink below its size, and scrolls where the page is narrower.
        """
        self.width, self.height, self.title, self.natural_size = width, height, title, natural_size
        self._parts: list[str] = []

    def line(self, start: Point, end: Point, style: str) -> None:
        """A straight line."""
        (x1, y1), (x2, y2) = start, end
        self._parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>')

    def path(self, points: Sequence[Point], style: str) -> None:
        """Points joined by lines."""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{joined}" class="{style}"/>')

    def dot(self, place: Point, style: str) -> None:
        """A point that is measured."""
        self._parts.append(f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="3" class="{style}"/>')

    def disc(self, place: Point, radius: float, style: str, hint: str = "") -> None:
        """A filled circle; the hint shows under the pointer."""
        inside = f"<title>{escape(hint)}</title>" if hint else ""
        self._parts.append(
            f'<circle cx="{place[0]:.1f}" cy="{place[1]:.1f}" r="{radius:.1f}" class="{style}">{inside}</circle>'
        )

    def box(self, place: Point, size: Point, style: str, opacity: float | None = None, hint: str = "") -> None:
        """A rectangle; the hint shows under the pointer."""
        (x, y), (width, height) = place, size
        filled = "" if opacity is None else f' fill-opacity="{opacity:.3f}"'
        inside = f"<title>{escape(hint)}</title>" if hint else ""
        shape = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect {shape} class="{style}"{filled}>{inside}</rect>')

    def text(self, place: Point, words: str, style: str = "", anchor: str = "start") -> None:
        """A text on one line."""
        x, y = place
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{style}">{escape(words)}</text>'
        )

    def markup(self) -> str:
        """The picture as it stands in the page."""
        width = self.width
        size = f' style="width:{1.35 * width:.0f}px;min-width:{width:.0f}px"' if self.natural_size else ""
        title = escape(self.title)
        head = f'<svg viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="img" aria-label="{title}"{size}>'
        return f"{head}{''.join(self._parts)}</svg>"

    def file(self) -> str:
        """The picture as a file of its own, with the page's colours, which follow light and dark mode."""
        style = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
        size = f'width="{1.6 * self.width:.0f}" height="{1.6 * self.height:.0f}"'
        own = "svg { width: auto; max-width: none; }"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" {size} '
            f'role="img" aria-label="{escape(self.title)}">'
        )
        paper = '<rect width="100%" height="100%" class="paper"/>'
        return f"{head}<style>{style}{own}</style>{paper}{''.join(self._parts)}</svg>\n"


def round_steps(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high, about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def log_steps(low: float, high: float) -> list[float]:
    """Round numbers for a logarithmic scale: powers of ten, with 2 and 5 between them where there are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(decades) <= 3 else (1,)
    steps = [factor * 10.0**decade for decade in decades for factor in factors]
    return [step for step in steps if low * 0.999 <= step <= high * 1.001]


def short_number(value: float) -> str:
    """At most four digits: 1,200, 34.5, 0.0021."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
