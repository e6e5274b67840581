"""
An inventory of any kind as one file in our own form of YAML, which means the same hosts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fleetctl.inventory.assign import SEVERAL_WORDS
from fleetctl.inventory.entries import Assigned, GroupEntry
from fleetctl.inventory.export import is_hidden
from fleetctl.inventory.group_entries import own_settings, own_variables
from fleetctl.inventory.load import Inventory
from fleetctl.inventory.outline import Key, Outline, gather
from fleetctl.inventory.render import RESERVED_NAMES, Written, render
from fleetctl.inventory.spelling import split_settings
from fleetctl.inventory.variables import GROUP_PRIORITY
from fleetctl.inventory.yaml_text import write_value, write_words
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.nodeset import fold
from fleetctl.model.settings import OPTIONS

#: Settings of which the words of a host and of its groups add up.
ACCUMULATING = frozenset(option.name for option in OPTIONS if option.accumulates)


def to_yaml(
    inventory: Inventory, entries: Mapping[str, GroupEntry], *, reveal: bool = False
) -> Written:
    """
    Return an inventory as one YAML file.

    Hosts, groups, variables and settings are the same when it is read again: what all sources
    together say, each at the group or host that said it where that is possible. Values that were
    vaulted one by one stay vaulted. Other secrets are left out, with a comment.

    Args:
        inventory: What to write.
        entries: What its groups say themselves.
        reveal: Write the other secrets openly.

    Raises:
        UsageError: A host or group has a name that a YAML inventory cannot have.
    """
    _check_names(inventory)
    return _Writer(inventory, entries, reveal).write()


def write_setting(assigned: Assigned) -> str:
    """Return the words of a setting as they stand below ``ssh:``."""
    return write_words(assigned.words, as_list=assigned.option.name in SEVERAL_WORDS)


def _check_names(inventory: Inventory) -> None:
    kinds: tuple[tuple[str, Iterable[str]], ...] = (
        ("group", inventory.groups),
        ("host", inventory.hosts),
    )
    problems = [
        Problem(
            f'{kind} "{name}": this word has a meaning of its own in a YAML inventory',
            hint=f"give the {kind} another name where it is written",
        )
        for kind, names in kinds
        for name in names
        if name in RESERVED_NAMES
    ]
    if problems:
        raise UsageError(problems=problems)


@dataclass(slots=True)
class _Writer:
    """
    One inventory being written.

    Attributes:
        left_out: Variables that are not written, why not, and of which hosts.
    """

    inventory: Inventory
    entries: Mapping[str, GroupEntry]
    reveal: bool
    left_out: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def write(self) -> Written:
        inventory = self.inventory
        outline = Outline(
            hosts={name: self._host(name) for name in inventory.hosts},
            groups={},
            own_hosts=inventory.own_hosts,
            children=inventory.children,
            ssh_configs=[str(path.absolute()) for path in inventory.ssh_configs],
        )
        nearest_first = {name: host.groups for name, host in inventory.hosts.items()}
        hints = {name: self._group(entry) for name, entry in self.entries.items()}
        gather(outline, inventory.groups, nearest_first, hints=hints, joined=ACCUMULATING)
        for name, entry in self.entries.items():
            if entry.contents.priority is not None:
                priority = str(entry.contents.priority)
                outline.groups.setdefault(name, {})["vars", GROUP_PRIORITY] = priority
        notes = [f"{fold(hosts)}: {name} {why}" for (name, why), hosts in self.left_out.items()]
        outline.notes = notes
        return Written(render(outline), tuple(map(Problem, notes)), len(inventory.hosts))

    def _host(self, name: str) -> dict[Key, str]:
        host = self.inventory.hosts[name]
        assigned = self.inventory.assigned(name, False)
        spelling = split_settings(host.vars, assigned)
        found: dict[Key, str] = {}
        for variable, value in host.vars.items():
            if self._is_hidden(value):
                self._leave_out(variable, "is a secret; write it anew, vaulted", name)
            elif variable in spelling.overruled:
                self._leave_out(variable, "was left out: what counts is written as a setting", name)
            else:
                found["vars", variable] = self._value(value)
        for option, each in spelling.settings.items():
            found["ssh", option] = write_setting(each)
        return found

    def _group(self, entry: GroupEntry) -> dict[Key, str]:
        found: dict[Key, str] = {
            ("vars", name): self._value(value)
            for name, value in own_variables(entry).items()
            if name != GROUP_PRIORITY and not self._is_hidden(value)
        }
        for option, each in own_settings(entry).items():
            found["ssh", option] = write_setting(each)
        return found

    def _is_hidden(self, value: object) -> bool:
        return not self.reveal and is_hidden(value, self.inventory.vaulted)

    def _value(self, value: object) -> str:
        return write_value(value, self.inventory.vaulted, reveal=self.reveal)

    def _leave_out(self, variable: str, why: str, host: str) -> None:
        self.left_out.setdefault((variable, why), []).append(host)
