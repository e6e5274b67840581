"""
Names the user may have meant.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence


def near_misses(name: str, candidates: Iterable[str]) -> list[str]:
    """Return at most three names that may have been meant, best first."""
    everyone = list(candidates)
    wanted = _plain_form(name)
    same = [each for each in everyone if _plain_form(each) == wanted]
    # One slip of the finger is a third of a name of three letters.
    cutoff = 0.65 if len(name) < 6 else 0.75
    return same[:3] or difflib.get_close_matches(name, everyone, n=3, cutoff=cutoff)


def _plain_form(name: str) -> str:
    """``Web-03`` and ``web3`` are the same to people."""
    return re.sub(r"(?<!\d)0+(?=\d)|[-_.]", "", name.lower())


def join_or(words: Sequence[str]) -> str:
    """Return ``a``, ``a or b``, ``a, b or c``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
