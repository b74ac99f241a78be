"""Names as they were given, wherever a card writes them: in a sentence, in a table, in code, on a command line."""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# What Markdown, HTML or a formula would read as its own sign. An underscore within a word means nothing.
_SIGNS = re.compile(r"[\\`*\[\]<>|~$&#!]|(?<![^\W_])_|_(?![^\W_])")


def plain(text: Any) -> str:
    """A text that any file can hold: half characters, control characters and signs of direction are replaced, line
    breaks are spaces."""
    flat = re.sub(r"[\s\x85\u2028\u2029]", " ", str(text))
    flat = re.sub(r"[\u202a-\u202e\u2066-\u2069]", "\ufffd", flat)  # they turn what stands behind them around
    return "".join("\ufffd" if unicodedata.category(one) in ("Cc", "Cs") else one for one in flat)


def escaped(text: Any) -> str:
    """A text that a Markdown reader shows as it is, also in a heading and in a table."""
    return _SIGNS.sub(lambda sign: "\\" + sign.group(), plain(text).strip())


def in_code(text: Any) -> str:
    """A text between backticks, more of them than it holds itself; not for tables, where `|` would end the cell."""
    shown = plain(text)
    ticks = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    room = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{ticks}{room}{shown}{room}{ticks}"


def literal(text: Any) -> str:
    """A text as Python code, on one line, with the very characters that were given."""
    code = json.dumps(str(text), ensure_ascii=False)
    code = re.sub(r"[\x7f-\x9f\u2028\u2029]", lambda sign: f"\\u{ord(sign.group()):04x}", code)
    return code.encode("utf-8", "backslashreplace").decode()


def argument(text: Any) -> str:
    """A text as one word of a command line."""
    return shlex.quote(plain(text))


def table(heads: Sequence[Any], rows: Iterable[Sequence[Any]], *, names: int = 1) -> Iterator[str]:
    """The lines of a table; every cell shows what was given.

    Args:
        heads: of the columns.
        rows: as wide as `heads`.
        names: how many columns hold names; the others hold numbers, which stand on the right.
    """
    rules = ["---"] * names + ["---:"] * (len(heads) - names)
    for cells in (map(escaped, heads), rules, *(map(escaped, row) for row in rows)):
        yield f"| {' | '.join(cells)} |"
