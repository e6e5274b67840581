"""
What people and scripts read, on one line or folded.
"""

from __future__ import annotations

from collections.abc import Iterable


def one_visible_line(text: str) -> str:
    """Return the text in one line, with control characters escaped."""
    from fleetctl.sinks.escape import visible_line

    return visible_line(text)


def visible_text(text: str) -> str:
    """Return the text with control characters escaped, newline and tab excepted."""
    from fleetctl.sinks.escape import visible

    return visible(text)


def fold(names: Iterable[str]) -> str:
    """Return ``web[01-18,20]``."""
    from fleetctl.model.nodeset import fold as fold_names

    return fold_names(names)
