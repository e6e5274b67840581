"""
Whether to use colour, and the few styles there are.

Colour is never the only sign: every painted word also says what it means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TextIO

ColorChoice = Literal["auto", "always", "never"]
Style = Literal[
    "ok",
    "changed",
    "failed",
    "unreachable",
    "timed_out",
    "cancelled",
    "skipped",
    "name",
    "faint",
    "strong",
]

_SGR: Mapping[Style, str] = {
    "ok": "32",
    "changed": "33",
    "failed": "31",
    "unreachable": "35",
    "timed_out": "31",
    "cancelled": "33",
    "skipped": "36",
    "name": "36",
    "faint": "2",
    "strong": "1",
}


def is_color_wanted(choice: ColorChoice, stream: TextIO, environ: Mapping[str, str]) -> bool:
    """
    Return whether to write colour to the stream.

    ``always`` and ``never`` decide alone. ``auto`` means: a terminal, TERM is not ``dumb``
    and NO_COLOR is unset or empty.

    Source: https://no-color.org
    """
    if choice != "auto":
        return choice == "always"
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and stream.isatty()


def paint(style: Style, text: str) -> str:
    """Return the text in the style, reset at its end."""
    return f"\x1b[{_SGR[style]}m{text}\x1b[0m" if text else text
