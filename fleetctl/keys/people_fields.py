"""
Values of ``people.yml``, each with a mistake that names its place if it is something else.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast, get_args

from fleetctl.inventory.yaml_tree import ListTree, MapTree, Scalar, Tree
from fleetctl.keys.people import Mode, Spot
from fleetctl.model.errors import Problem

_YES, _NO = ("yes", "true", "on"), ("no", "false", "off")


@dataclass(frozen=True, slots=True)
class Fields:
    """
    Reads values of one file.

    Attributes:
        file: Its name in messages.
        problems: Gets all that is wrong.
        warnings: Gets what is allowed, but not good.
    """

    file: str
    problems: list[Problem]
    warnings: list[Problem] = field(default_factory=list)

    def mode(self, tree: Tree | None) -> Mode | None:
        """Return how files are managed; None if nothing is said."""
        if tree is None:
            return None
        if isinstance(tree, Scalar) and tree.text in get_args(Mode):
            return cast("Mode", tree.text)  # it is one of them
        self.complain(tree, "mode: block or exact is expected")
        return None

    def flag(self, tree: Tree | None) -> bool:
        """Return what yes or no means; no if nothing is said."""
        word = tree.text.lower() if isinstance(tree, Scalar) and tree.plain else ""
        if tree is not None and word not in _YES + _NO:
            self.complain(tree, "yes or no is expected")
        return word in _YES

    def text(self, tree: Tree | None, name: str) -> str | None:
        """Return text, as written; None if it is something else, or nothing."""
        if tree is None:
            return None
        if not isinstance(tree, Scalar) or tree.is_null or not tree.text.strip():
            self.complain(tree, f"{name}: text is expected")
            return None
        return tree.text

    def items(self, tree: Tree | None) -> Sequence[Tree]:
        """Return the parts of a list; one thing alone stands for a list of it."""
        if tree is None or (isinstance(tree, Scalar) and tree.is_null):
            return ()
        return tree.items if isinstance(tree, ListTree) else (tree,)

    def words(self, tree: Tree | None) -> Iterator[Scalar]:
        """Yield the words of a list, or a single one."""
        for item in self.items(tree):
            if isinstance(item, Scalar) and not item.is_null:
                yield item
            else:
                self.complain(item, "a word is expected, or a list of words")

    def pairs(self, tree: Tree | None, name: str, hint: str) -> Iterator[tuple[Scalar, Tree]]:
        """Yield names with what they stand for."""
        if isinstance(tree, MapTree):
            yield from tree.pairs()
        elif tree is not None and not (isinstance(tree, Scalar) and tree.is_null):
            self.complain(tree, f"{name}: names with values are expected", hint)

    def check_keys(self, tree: MapTree, known: Sequence[str], what: str) -> None:
        """Complain about keys that are not known."""
        for key, _ in tree.pairs():
            if key.text not in known:
                near = difflib.get_close_matches(key.text, known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                self.complain(key, f'"{key.text}" means nothing in {what}', hint)

    def spot(self, tree: Tree) -> Spot:
        """Return where something stands."""
        return Spot(self.file, tree.line, tree.column)

    def complain(self, tree: Tree, message: str, hint: str | None = None) -> None:
        """Note a mistake."""
        self.problems.append(self.spot(tree).problem(message, hint))

    def warn(self, spot: Spot, message: str, hint: str | None = None) -> None:
        """Note what is allowed, but not good."""
        self.warnings.append(spot.problem(message, hint))
