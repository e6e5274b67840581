"""
An inventory written out in the shapes that ``ansible-inventory`` prints.

Source: ansible-core, `ansible.cli.inventory`.
"""

from __future__ import annotations

import base64
import datetime
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleetctl.inventory.entries import ALL, Assigned, GroupEntry
from fleetctl.inventory.group_entries import own_variables
from fleetctl.inventory.load import Inventory
from fleetctl.inventory.spelling import split_settings
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret

#: The decoder that Ansible is to read the variables with.
_PROFILE = "inventory_legacy"
#: A diamond of groups is drawn once for each way to it, which doubles with every level.
_MOST_LINES = 1_000_000


def to_ansible_json(inventory: Inventory, *, reveal: bool = False) -> dict[str, object]:
    """
    Return what ``ansible-inventory --list`` prints, as plain data for JSON.

    Values that were vaulted one by one are given as they were written, as Ansible does. Other
    secrets are masked. Settings that the inventory has below ``ssh:`` become the variables that
    make Ansible reach the host in the same way.

    Args:
        inventory: What to show.
        reveal: Show the other secrets too, as Ansible does.
    """
    shown: dict[str, object] = {}
    seen = {ALL}
    waiting = [ALL]
    while waiting:
        name = waiting.pop()
        children = inventory.children.get(name, ())
        hosts = inventory.own_hosts.get(name, ()) if name != ALL else ()
        group = {"children": list(children), "hosts": list(hosts)}
        if children or hosts:
            shown[name] = {key: names for key, names in group.items() if names}
        waiting += [child for child in children if child not in seen]
        seen.update(children)
    plain = PlainData(inventory.vaulted, reveal=reveal)
    variables = {
        name: plain.mapping(_for_ansible(host, inventory.assigned(name, False)))
        for name, host in inventory.hosts.items()
    }
    found = {name: each for name, each in variables.items() if each}
    return {"_meta": {"hostvars": found, "profile": _PROFILE}, **shown}


def host_variables(inventory: Inventory, host: Host, *, reveal: bool = False) -> dict[str, object]:
    """Return what ``ansible-inventory --host`` prints, as plain data for JSON; secrets as above."""
    return PlainData(inventory.vaulted, reveal=reveal).mapping(host.vars)


def _for_ansible(host: Host, assigned: Mapping[str, Assigned]) -> Mapping[str, object]:
    """Return the variables of a host, its settings as variables among them."""
    spelling = split_settings(host.vars, assigned)
    if not spelling.settings:
        return host.vars
    found = {name: value for name, value in host.vars.items() if name not in spelling.overruled}
    arguments: list[str] = []
    for name, each in spelling.settings.items():
        words = list(each.words)
        match name:
            case "HostName":
                found["ansible_host"] = host.hostname
            case "Port":
                found["ansible_port"] = host.settings.port
            case "User":
                found["ansible_user"] = words[0]
            case "IdentityFile":
                found["ansible_ssh_private_key_file"] = words.pop(0)
                arguments += [f"{name}={_in_quotes(word)}" for word in words]
            case _ if each.option.accumulates:
                arguments += [f"{name}={_in_quotes(word)}" for word in words]
            case _:
                arguments.append(f"{name}={' '.join(map(_in_quotes, words))}")
    if arguments:
        already = [str(found[_ARGUMENTS])] if found.get(_ARGUMENTS) else []
        options = [shlex.join(("-o", each)) for each in arguments]
        found[_ARGUMENTS] = " ".join([*already, *options])
    return found


_ARGUMENTS = "ansible_ssh_common_args"


def _in_quotes(word: str) -> str:
    """Return a word as a line of ssh_config has it."""
    return f'"{word}"' if any(letter.isspace() for letter in word) else word


def graph(
    inventory: Inventory,
    group: str = ALL,
    *,
    entries: Mapping[str, GroupEntry] | None = None,
    reveal: bool = False,
) -> list[str]:
    """
    Return the lines of ``ansible-inventory --graph``: child groups, then hosts, below each group.

    Args:
        inventory: What to draw.
        group: Where to begin.
        entries: What the groups say themselves, to show the variables of hosts and groups too.
            A variable with a newline in it makes a line with a newline.
        reveal: Show secrets, vaulted ones decrypted, as Ansible does.

    Raises:
        KeyError: There is no such group.
        UsageError: There are too many lines.
    """
    if group not in inventory.groups:
        raise KeyError(group)
    lines: list[str] = []
    for line in _Drawing(inventory, entries, reveal).branch(group, 0):
        lines.append(line)
        if len(lines) > _MOST_LINES:
            raise UsageError(
                f"the graph of {group} has more than {_MOST_LINES} lines",
                hint="draw a smaller group: fleetctl inventory graph GROUP",
            )
    return lines


@dataclass(frozen=True, slots=True)
class _Drawing:
    inventory: Inventory
    entries: Mapping[str, GroupEntry] | None
    reveal: bool

    def branch(self, group: str, depth: int) -> Iterator[str]:
        yield f"{_indent(depth)}@{group}:"
        for child in self.inventory.children.get(group, ()):
            yield from self.branch(child, depth + 1)
        if group != ALL:
            for name in self.inventory.own_hosts.get(group, ()):
                yield f"{_indent(depth + 1)}{name}"
                if self.entries is not None:
                    yield from self._variables(self.inventory.hosts[name].vars, depth + 2)
        if self.entries is not None and group in self.entries:
            yield from self._variables(own_variables(self.entries[group]), depth + 1)

    def _variables(self, found: Mapping[str, object], depth: int) -> Iterator[str]:
        for name in sorted(found):
            value = _revealed(found[name]) if self.reveal else found[name]
            yield f"{_indent(depth)}{{{name} = {value}}}"


def _indent(depth: int) -> str:
    return f"{'  |' * depth}--" if depth else ""


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: _revealed(each) for key, each in value.items()}
    return [_revealed(each) for each in value] if isinstance(value, list) else value


def is_hidden(value: object, vaulted: Mapping[Secret, str]) -> bool:
    """Tell whether there is a secret in a value that was not vaulted by itself."""
    if isinstance(value, Secret):
        return value not in vaulted
    if isinstance(value, Mapping):
        return any(is_hidden(each, vaulted) for each in value.values())
    return isinstance(value, list) and any(is_hidden(each, vaulted) for each in value)


@dataclass(frozen=True, slots=True)
class PlainData:
    """
    Turns the values of variables into data that JSON knows.

    Attributes:
        vaulted: The vaulted text of secrets that were vaulted one by one; given in their place.
        reveal: Give other secrets openly; else they are masked.
    """

    vaulted: Mapping[Secret, str]
    reveal: bool = False

    def mapping(self, found: Mapping[str, object]) -> dict[str, object]:
        return {name: self.of(value) for name, value in found.items()}

    def of(self, value: object) -> object:
        if isinstance(value, Secret):
            if value in self.vaulted:
                return {"__ansible_vault": self.vaulted[value]}
            return value.reveal() if self.reveal else str(value)
        if isinstance(value, Mapping):
            return {_key(key): self.of(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.of(each) for each in value]
        if isinstance(value, datetime.date):  # a time as well
            return value.isoformat()
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        return value


def _key(key: object) -> str:
    if isinstance(key, datetime.date):
        return key.isoformat()
    return key if isinstance(key, str) else json.dumps(key)
