"""
Which of a host's settings its own variables say already, and which must be said as settings.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from fleetctl.inventory.assign import Assigner
from fleetctl.inventory.entries import Assigned, Contents, Place
from fleetctl.inventory.variables import Variables
from fleetctl.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Spelling:
    """
    The settings of one host, as its inventory says them.

    Attributes:
        settings: Those that no variable says, by the name of the option, with their words.
        overruled: Variables that say something else than what counts in the end, or only a part of
            it: written beside ``settings`` at the same place, they would contradict them.
    """

    settings: Mapping[str, Assigned]
    overruled: tuple[str, ...] = ()


def split_settings(variables: Mapping[str, object], assigned: Mapping[str, Assigned]) -> Spelling:
    """
    Tell what variables and settings say apart.

    Args:
        variables: Of the host, those of its groups included.
        assigned: What its inventory says in the end, by the name of the option.
    """
    contents = Contents()
    reader, nowhere = Variables(Assigner()), Place("")
    for name, value in variables.items():
        if name.startswith("ansible_") and not isinstance(value, Secret):
            reader.read(contents, name, value, key=nowhere, at=nowhere)
    said = {name: settings for name, settings in contents.connection.items() if settings}
    overruled: list[str] = []
    while wrong := _contradicting(said, assigned):
        overruled += wrong
        for name in wrong:
            del said[name]
    options = {each.option.name for settings in said.values() for each in settings}
    settings = {name: each for name, each in assigned.items() if name not in options}
    return Spelling(settings, tuple(overruled))


def _contradicting(
    said: Mapping[str, tuple[Assigned, ...]], assigned: Mapping[str, Assigned]
) -> list[str]:
    """Return the variables that say something else, or one of several parts of something."""
    parts = Counter(each.option.name for settings in said.values() for each in settings)
    return [
        variable
        for variable, settings in said.items()
        if not all(
            each.option.name in assigned
            and assigned[each.option.name].value == each.value
            and not (each.option.accumulates and parts[each.option.name] > 1)
            for each in settings
        )
    ]
