"""
Inventories that programs print, as a `Draft`: ``--list``, and ``--host`` without ``_meta``.

Running the program is not done here.

Source: ansible-core, `ansible.plugins.inventory.script`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from fleetctl.inventory.assign import Assigner
from fleetctl.inventory.entries import ALL, Contents, Draft, Place
from fleetctl.inventory.names import check_group_name, check_host_name
from fleetctl.inventory.variables import Variables, take_priority
from fleetctl.inventory.vaults import Vaults, from_json

#: Runs the program with these arguments and returns what it printed.
Ask = Callable[..., bytes]

_META = "_meta"
_GROUP_KEYS = ("hosts", "vars", "children")


def read_program(ask: Ask, file: str, vaults: Vaults) -> Draft:
    """
    Ask a program for its inventory.

    Args:
        ask: Called with ``--list``, and with ``--host`` and a name; raises UsageError.
        file: The name of the program in messages and origins.
        vaults: Opens vaulted values.

    Returns:
        What was understood, with all mistakes in its problems.

    Raises:
        UsageError: The program failed.
    """
    draft = Draft()
    reader = _Reader(file, draft, vaults, Variables(Assigner(draft.problems, draft.warnings)))
    reader.read_list(ask("--list"))
    if reader.host_vars is None and not draft.problems:
        for name in draft.hosts:
            reader.read_host(name, ask("--host", name))
    return draft


@dataclass(slots=True)
class _Reader:
    """
    One program's output being read.

    Attributes:
        host_vars: What ``_meta`` says, None if there is none.
    """

    file: str
    draft: Draft
    vaults: Vaults
    variables: Variables
    host_vars: Mapping[str, object] | None = None
    _repeated: list[str] = field(default_factory=list)

    def read_list(self, data: bytes) -> None:
        groups = self._parse(data, "--list")
        if not isinstance(groups, dict):
            return
        meta = groups.pop(_META, None)
        for name, body in groups.items():
            self._read_group(name, body)
        if meta is None:
            return
        self.host_vars = {}
        found = meta.get("hostvars") if isinstance(meta, dict) else meta
        if not isinstance(found, dict):
            self._report('"hostvars" of "_meta" is no mapping')
            return
        self.host_vars = found
        for name, contents in self.draft.hosts.items():
            self._read_vars(contents, found.get(name, {}), f'the variables of host "{name}"')
        others = [name for name in found if name not in self.draft.hosts]
        if others:
            message = f"{len(others)} hosts with variables are in no group, such as {others[0]}"
            self.draft.warnings.append(Place(self.file).problem(message))

    def read_host(self, name: str, data: bytes) -> None:
        """Read the variables of one host; printing nothing means there are none."""
        found = self._parse(data, f"--host {name}") if data.strip() else {}
        if found is not None:
            self._read_vars(self.draft.hosts[name], found, f'the variables of host "{name}"')

    def _parse(self, data: bytes, arguments: str) -> object:
        """Return the mapping that was printed; None if it is none, which is reported."""
        said = f"what it prints for {arguments}"
        try:
            found: object = json.loads(data.decode(), object_pairs_hook=self._mapping)
        except UnicodeDecodeError:
            self._report(f"{said} is not UTF-8 text")
        except json.JSONDecodeError as error:
            where = f"line {error.lineno}, column {error.colno}"
            self._report(
                f"{said} is not JSON: {error.msg}, at {where}",
                hint='the shortest is {"web": {"hosts": ["web1"]}, "_meta": {"hostvars": {}}}',
            )
        except (RecursionError, ValueError):
            self._report(f"{said} is not JSON that can be read: it is nested too deeply")
        else:
            for key in dict.fromkeys(self._repeated):
                self._report(f'"{key}" is there twice in {said}')
            self._repeated.clear()
            if isinstance(found, dict):
                return found
            self._report(f"{said} is not a mapping of groups")
        return None

    def _mapping(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            self._repeated += [key for key in found if keys.count(key) > 1]
        return found

    def _read_group(self, name: str, body: object) -> None:
        why = check_group_name(name)
        if why:
            self._report(f"this cannot be the name of a group: {why}")
            return
        place = Place(self.file)
        entry = self.draft.group(name, place)
        if isinstance(body, list):
            body = {"hosts": body}
        if not isinstance(body, dict) or (body and not any(key in body for key in _GROUP_KEYS)):
            self._report(
                f'group "{name}" has none of hosts, vars and children',
                hint=f'print {{"{name}": {{"hosts": []}}}} for a group without hosts',
            )
            return
        for host in self._names(body.get("hosts", []), f'the hosts of group "{name}"'):
            why = check_host_name(host)
            if why:
                self._report(f'group "{name}": this cannot be the name of a host: {why}')
            else:
                self.draft.hosts.setdefault(host, Contents())
                entry.hosts[host] = None
        self._read_vars(entry.contents, body.get("vars", {}), f'the variables of group "{name}"')
        problem = take_priority(entry.contents, place)
        if problem:
            self.draft.problems.append(problem)
        for child in self._names(body.get("children", []), f'the children of group "{name}"'):
            why = check_group_name(child)
            if child == ALL:
                why = f'"all" has every group in it, "{name}" too'
            if why:
                self._report(f'group "{name}": this cannot be the name of a child group: {why}')
            else:
                self.draft.group(child, place)
                entry.children.setdefault(child, place)

    def _names(self, found: object, what: str) -> Iterator[str]:
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            self._report(f"{what} are not a list of names")
            return
        yield from found

    def _read_vars(self, contents: Contents, found: object, what: str) -> None:
        if not isinstance(found, dict):
            self._report(f"{what} are no mapping")
            return
        place = Place(self.file)
        for name, value in found.items():
            plain = from_json(value, self.vaults, place, self.draft.problems)
            self.variables.read(contents, name, plain, key=place, at=place)

    def _report(self, message: str, *, hint: str | None = None) -> None:
        self.draft.problems.append(Place(self.file).problem(message, hint=hint))
