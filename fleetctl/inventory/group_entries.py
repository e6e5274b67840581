"""
What each group of an inventory says itself, before its hosts inherit it.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetctl.inventory.entries import Assigned, GroupEntry
from fleetctl.inventory.variables import GROUP_PRIORITY


def own_variables(entry: GroupEntry) -> Mapping[str, object]:
    """
    Return the variables of a group itself: those of its inventories, then those of group_vars.

    ``ansible_group_priority`` is among them unless it is 1, as for ``ansible-inventory --graph``.
    """
    found = dict(entry.contents.vars)
    for number in sorted(entry.files):
        found.update(entry.files[number].vars)
    if entry.contents.priority not in (None, 1):
        found[GROUP_PRIORITY] = entry.contents.priority
    return found


def own_settings(entry: GroupEntry) -> Mapping[str, Assigned]:
    """Return the settings below ``ssh:`` of a group itself, by the name of the option."""
    return entry.contents.settings
