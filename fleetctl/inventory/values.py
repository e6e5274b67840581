"""
Plain data from the tree of a YAML document: types guessed, vaulted values opened.
"""

from __future__ import annotations

from dataclasses import dataclass

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import ScalarNode
from yaml.resolver import Resolver

from fleetctl.inventory.entries import Place
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_tree import CORE, SCALAR_TAGS, VAULT_TAGS, MapTree, Scalar, Tree
from fleetctl.model.errors import Problem
from fleetctl.model.secret import Secret

_RESOLVER = Resolver()
_CONSTRUCTOR = SafeConstructor()


@dataclass(frozen=True, slots=True)
class Values:
    """
    Makes values of what stands in one file.

    Attributes:
        file: Its name in messages.
        problems: Gets what is wrong with a value, which then becomes None.
        vaults: For values tagged ``!vault``.
        is_secret: The whole file was vaulted, so every text in it is a `Secret`.
    """

    file: str
    problems: list[Problem]
    vaults: Vaults
    is_secret: bool = False

    def of(self, tree: Tree) -> object:
        """Return the plain data the tree stands for, types guessed as YAML 1.1 does."""
        if isinstance(tree, MapTree):
            return self._mapping(tree)
        if not isinstance(tree, Scalar):
            return [self.of(item) for item in tree.items]
        tag = tree.tag
        if tag is None and tree.plain:
            # Not annotated in PyYAML's stubs.
            tag = _RESOLVER.resolve(ScalarNode, tree.text, (True, False))  # type: ignore[no-untyped-call]
        if tag in VAULT_TAGS:
            place = Place(self.file, tree.line, tree.column)
            return self.vaults.open_value(tree.text, place, self.problems)
        if tag == CORE + "str" or tag not in SCALAR_TAGS:
            return Secret(tree.text) if self.is_secret else tree.text
        return self._construct(tree, tag)

    def _mapping(self, tree: MapTree) -> dict[object, object]:
        found: dict[object, object] = {}
        for key, value in tree.pairs():
            name = self._key(key)
            if name in found:
                message = f'"{key.text}" is there twice, spelt differently'
                place = Place(self.file, key.line, key.column)
                self.problems.append(place.problem(message, hint="quote one if it is text"))
            found[name] = self.of(value)
        return found

    def _key(self, key: Scalar) -> object:
        """Return a key, which is never secret, with its type: ``yes`` and ``1`` are no text."""
        found = self.of(key)
        return found.reveal() if isinstance(found, Secret) else found

    def _construct(self, tree: Scalar, tag: str) -> object:
        try:
            return SafeConstructor.yaml_constructors[tag](_CONSTRUCTOR, ScalarNode(tag, tree.text))
        except (ValueError, LookupError, AttributeError, yaml.YAMLError):
            kind = tag.removeprefix(CORE)
            place = Place(self.file, tree.line, tree.column)
            self.problems.append(
                place.problem(f'"{tree.text}" is not a valid {kind}', hint="quote it if it is text")
            )
            return None
