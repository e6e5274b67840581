"""
Settings said in many places reduced to those that count: the first value wins.

A layer is what one host or group says in one place. Native settings of the same layer come before
those of Ansible's variables. A variable said in a stronger layer replaces the same variable in all
weaker ones, with all it would have set, as Ansible replaces it. Which layers a host has, and in
which order, is `fleetctl.inventory.resolve`'s business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleetctl.inventory.entries import Assigned, Contents, join
from fleetctl.inventory.variables import ARGUMENT_VARIABLES
from fleetctl.model.errors import Problem

Layer = Mapping[str, Assigned]


def merge_layers(layers: Iterable[Layer]) -> dict[str, Assigned]:
    """Reduce settings by option name, strongest first."""
    merged: dict[str, Assigned] = {}
    for layer in layers:
        for assigned in layer.values():
            _add(merged, assigned)
    return merged


@dataclass(slots=True)
class Stack:
    """
    Layers put on top of each other, the strongest added first.

    Attributes:
        settings: What counts so far, by option name.
        problems: Options that two variables of different names give different values.
    """

    settings: dict[str, Assigned] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    _variables: set[str] = field(default_factory=set)
    _said_by: dict[str, str] = field(default_factory=dict)

    def add(self, layer: Contents) -> None:
        """Take in a layer weaker than all before it."""
        for assigned in layer.settings.values():
            _add(self.settings, assigned)
        fresh = [name for name in layer.connection if name not in self._variables]
        for variable in fresh:
            for assigned in layer.connection[variable]:
                option = assigned.option.name
                if option not in self.settings:
                    self._said_by[option] = variable
                elif self._said_by.get(option, variable) != variable:
                    self._check(variable, assigned)
                _add(self.settings, assigned)
        self._variables.update(fresh)

    def is_unaffected_by(self, stronger: Contents) -> bool:
        """Tell whether a layer above replaces nothing of this stack but values of its options."""
        for variable, settings in stronger.connection.items():
            if variable in self._variables and (not settings or variable in ARGUMENT_VARIABLES):
                return False
            for assigned in settings:
                option = assigned.option
                if option.accumulates or self._said_by.get(option.name, variable) != variable:
                    return False
        return True

    def _check(self, variable: str, assigned: Assigned) -> None:
        """Report what Ansible would decide by an order of its own among variables."""
        option = assigned.option
        other = self._said_by[option.name]
        if option.accumulates and (variable in ARGUMENT_VARIABLES or other in ARGUMENT_VARIABLES):
            return
        known = self.settings[option.name]
        if known.value != assigned.value:
            message = (
                f"{variable} says {option.name} {assigned.text}, "
                f"but {other} says {known.text} ({known.place.origin})"
            )
            self.problems.append(assigned.place.problem(message, hint="keep one of them"))


def _add(settings: dict[str, Assigned], assigned: Assigned) -> None:
    name = assigned.option.name
    stronger = settings.get(name)
    if stronger is None:
        settings[name] = assigned
    elif assigned.option.accumulates:
        settings[name] = join(stronger, assigned)
