"""
An inventory written out: in the shapes that ``ansible-inventory`` prints, and as YAML.

Source: ansible-core, `ansible.cli.inventory`.
"""

from __future__ import annotations

import base64
import datetime
import json
import math
import re
from collections.abc import Iterator, Mapping

from fleetctl.inventory.entries import ALL, UNGROUPED
from fleetctl.inventory.load import Inventory
from fleetctl.model.secret import Secret

#: The decoder that Ansible is to read the variables with.
_PROFILE = "inventory_legacy"
#: What JSON may hold as it is, and YAML may not.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def to_ansible_json(inventory: Inventory, *, reveal: bool = False) -> dict[str, object]:
    """
    Return what ``ansible-inventory --list`` prints, as plain data for JSON.

    Values that were vaulted one by one are given as they were written, as Ansible does. Other
    secrets are masked.

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
    writer = _Writer(inventory.vaulted, reveal)
    variables = {
        name: {key: writer.plain(value) for key, value in host.vars.items()}
        for name, host in inventory.hosts.items()
        if host.vars
    }
    return {"_meta": {"hostvars": variables, "profile": _PROFILE}, **shown}


def to_yaml(inventory: Inventory) -> str:
    """
    Return an inventory of Ansible's as one YAML file: what every host has, its groups beside it.

    Variables of groups are written to each of their hosts, so that which group wins over which
    does not matter any more. Secrets that were not vaulted one by one are left out, with a comment.
    Settings below ``ssh:``, which Ansible does not have, are not written.
    """
    left_out = [
        f"# {host.name}: {name} is a secret; write it anew, vaulted"
        for host in inventory.hosts.values()
        for name, value in host.vars.items()
        if isinstance(value, Secret) and value not in inventory.vaulted
    ]
    lines = [*left_out, "all:", "  hosts:" if inventory.hosts else "  hosts: {}"]
    for host in inventory.hosts.values():
        values = {
            name: value
            for name, value in host.vars.items()
            if not isinstance(value, Secret) or value in inventory.vaulted
        }
        text = f" {{vars: {_flow(values, inventory.vaulted)}}}" if values else ""
        lines.append(f"    {json.dumps(host.name)}:{text}")
    lines.append("  children:" if len(inventory.groups) > 2 else "  children: {}")
    for name in inventory.groups:
        if name not in (ALL, UNGROUPED):
            hosts = dict.fromkeys(inventory.own_hosts.get(name, ()))
            children = dict.fromkeys(inventory.children.get(name, ()))
            body = _flow({"hosts": hosts, "children": children}, {})
            lines.append(f"    {json.dumps(name)}: {body}")
    return "\n".join(lines) + "\n"


def _flow(value: object, vaulted: Mapping[Secret, str]) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, Secret):
        return f"!vault {json.dumps(vaulted[value])}" if value in vaulted else '"[secret]"'
    if isinstance(value, Mapping):
        pairs = (f"{_flow(key, vaulted)}: {_flow(each, vaulted)}" for key, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_flow(each, vaulted) for each in value)}]"
    if isinstance(value, bytes):
        return f'!!binary "{base64.b64encode(value).decode()}"'
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return _float(value)
    text = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _float(value: float) -> str:
    if not math.isfinite(value):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf"
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")  # without a point it would be text


def graph(inventory: Inventory, group: str = ALL) -> list[str]:
    """
    Return the lines of ``ansible-inventory --graph``: child groups, then hosts, below each group.

    Raises:
        KeyError: There is no such group.
    """
    if group not in inventory.groups:
        raise KeyError(group)
    return list(_branch(inventory, group, 0))


def _branch(inventory: Inventory, group: str, depth: int) -> Iterator[str]:
    yield f"{_indent(depth)}@{group}:"
    for child in inventory.children.get(group, ()):
        yield from _branch(inventory, child, depth + 1)
    if group != ALL:
        for host in inventory.own_hosts.get(group, ()):
            yield f"{_indent(depth + 1)}{host}"


def _indent(depth: int) -> str:
    return f"{'  |' * depth}--" if depth else ""


class _Writer:
    """Turns the values of variables into data that JSON knows."""

    def __init__(self, vaulted: Mapping[Secret, str], reveal: bool) -> None:  # noqa: FBT001
        self._vaulted = vaulted
        self._reveal = reveal

    def plain(self, value: object) -> object:
        if isinstance(value, Secret):
            if value in self._vaulted:
                return {"__ansible_vault": self._vaulted[value]}
            return value.reveal() if self._reveal else str(value)
        if isinstance(value, Mapping):
            return {_key(key): self.plain(each) for key, each in value.items()}
        if isinstance(value, list):
            return [self.plain(each) for each in value]
        if isinstance(value, datetime.date):  # a time as well
            return value.isoformat()
        if isinstance(value, bytes):
            return base64.b64encode(value).decode()
        return value


def _key(key: object) -> str:
    if isinstance(key, datetime.date):
        return key.isoformat()
    return key if isinstance(key, str) else json.dumps(key)
