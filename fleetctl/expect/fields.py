"""
Values of an expect script, each with a mistake that names its place if it is something else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fleetctl.inventory.entries import Place
from fleetctl.inventory.suggest import near_misses
from fleetctl.inventory.yaml_tree import VAULT_TAGS, MapTree, Scalar, Tree
from fleetctl.model.errors import Problem
from fleetctl.model.setting_values import parse_time_s

_YES = frozenset({"yes", "true", "on"})
_NO = frozenset({"no", "false", "off"})
#: Longer waits are mistakes: a day.
MAX_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Fields:
    """
    Reads values of one file.

    Attributes:
        file: Its name in messages.
        problems: Gets all that is wrong.
    """

    file: str
    problems: list[Problem]

    def complain(self, tree: Tree, message: str, hint: str | None = None) -> None:
        place = Place(self.file, tree.line, tree.column)
        self.problems.append(place.problem(message, hint=hint))

    def complain_at(self, line: int, message: str, hint: str | None = None) -> None:
        self.problems.append(Place(self.file, line).problem(message, hint=hint))

    def check_keys(self, tree: MapTree, known: Sequence[str], what: str) -> bool:
        """Complain about keys that are not known; return whether all are."""
        unknown = [key for key, _ in tree.pairs() if key.text not in known]
        for key in unknown:
            near = near_misses(key.text, known)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            self.complain(key, f'"{key.text}" means nothing in {what}', hint)
        return not unknown

    def text(self, tree: Tree, name: str) -> str | None:
        """Return text, as written; None if it is something else, or nothing."""
        if not isinstance(tree, Scalar) or tree.is_null:
            self.complain(tree, f"{name}: text is expected", f'{name}: "..."')
            return None
        if tree.tag in VAULT_TAGS:
            hint = "put it into a variable of the host, and write send_secret: var:NAME"
            self.complain(tree, f"{name}: a vaulted value is not read here", hint)
            return None
        return tree.text

    def flag(self, tree: Tree | None, *, default: bool) -> bool:
        """Return what yes or no means; the default if nothing is written, or neither."""
        if tree is None:
            return default
        word = tree.text.lower() if isinstance(tree, Scalar) and tree.plain else ""
        if word not in _YES | _NO:
            self.complain(tree, "yes or no is expected")
            return default
        return word in _YES

    def number(self, tree: Tree | None, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds; the default if nothing is written."""
        if tree is None:
            return default
        if isinstance(tree, Scalar) and re.fullmatch(r"[0-9]{1,9}", tree.text):
            value = int(tree.text)
            if least <= value <= most:
                return value
        self.complain(tree, f"a whole number from {least} to {most} is expected")
        return default

    def seconds(self, tree: Tree | None, default: float) -> float:
        """Return a time in seconds; the default if nothing is written."""
        if tree is None:
            return default
        if isinstance(tree, Scalar):
            try:
                value = _seconds(tree.text)
            except ValueError:
                value = 0.0
            if 0 < value <= MAX_SECONDS:
                return value
        self.complain(tree, "a time above 0 is expected, a day at most", "timeout: 30, or 1m30s")
        return default


def _seconds(text: str) -> float:
    if re.fullmatch(r"[0-9]{0,9}\.[0-9]{1,9}", text):
        return float(text)
    return parse_time_s(text)
