"""
Inventories for the commands about them: read, and shown in other shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret

if TYPE_CHECKING:
    from fleetctl.inventory.load import Inventory
    from fleetctl.inventory.render import Written
    from fleetctl.inventory.ssh_hosts import Line
    from fleetctl.sshconfig.config import Config
    from fleetctl.sshconfig.surroundings import Surroundings

IsTrusted = Callable[[Path, bytes], bool]
VaultSecrets = Sequence[tuple[str | None, Secret]]
FileKind = Literal["etc_hosts", "known_hosts", "clustershell"]


@dataclass(frozen=True, slots=True)
class Said:
    """
    A setting that an inventory makes for a host.

    Attributes:
        name: As ssh_config spells it.
        value: Parsed; JSON types only.
        text: As written.
        origin: ``file:line``.
    """

    name: str
    value: object
    text: str
    origin: str


@dataclass(frozen=True, slots=True)
class OpenInventory:
    """
    An inventory that was read, and the shapes it can be shown in.

    Attributes:
        warnings: What was read but has no effect.
    """

    _inventory: Inventory = field(repr=False)

    @property
    def warnings(self) -> Sequence[Problem]:
        return self._inventory.warnings

    @property
    def hosts(self) -> Sequence[Host]:
        return tuple(self._inventory.hosts.values())

    def groups(self) -> Mapping[str, Sequence[str]]:
        """Return the hosts of each group that has any; ``all`` first, then by name."""
        found = {name: hosts for name, hosts in self._inventory.groups.items() if hosts}
        return dict(sorted(found.items(), key=lambda pair: (pair[0] != "all", pair[0])))

    def select(self, pattern: str) -> Sequence[Host]:
        """Return the hosts of a pattern; see `fleetctl.inventory.pattern.select`."""
        from fleetctl.inventory.pattern import select

        return select(self._inventory, pattern)

    def variables(self, host: Host, *, reveal: bool) -> dict[str, object]:
        """Return the variables of a host as ``ansible-inventory --host`` prints them."""
        from fleetctl.inventory.export import host_variables

        return host_variables(self._inventory, host, reveal=reveal)

    def settings(self, host: Host) -> Iterator[Said]:
        """Yield the settings that the inventory makes for a host, by name."""
        for name, each in sorted(self._inventory.assigned(host.name, False).items()):
            value = list(each.value) if isinstance(each.value, tuple) else each.value
            value = dict(value) if isinstance(value, Mapping) else value
            yield Said(name, value, each.text, each.place.origin)

    def hidden_secrets(self) -> int:
        """Return how many variables have a secret that was not vaulted by itself."""
        from fleetctl.inventory.export import is_hidden

        vaulted = self._inventory.vaulted
        return sum(is_hidden(value, vaulted) for host in self.hosts for value in host.vars.values())

    def graph(self, group: str, *, with_variables: bool, reveal: bool) -> Sequence[str]:
        """
        Return the lines of ``ansible-inventory --graph``.

        Raises:
            UsageError: There is no such group.
        """
        from fleetctl.inventory.export import graph
        from fleetctl.inventory.suggest import join_or, near_misses

        if group not in self._inventory.groups:
            near = near_misses(group, self._inventory.groups)
            hint = f"did you mean {join_or(near)}?" if near else "fleetctl inventory list"
            if group in self._inventory.hosts:
                hint = f"{group} is a host: fleetctl inventory show {group}"
            raise UsageError(f'there is no group "{group}"', hint=hint)
        entries = self._inventory.entries if with_variables else None
        return graph(self._inventory, group, entries=entries, reveal=reveal)

    def ansible_listing(self, *, reveal: bool) -> dict[str, object]:
        """Return what ``ansible-inventory --list`` prints; see `fleetctl.inventory.export`."""
        from fleetctl.inventory.export import to_ansible_json

        return to_ansible_json(self._inventory, reveal=reveal)

    def as_yaml(self, *, reveal: bool) -> Written:
        """Return the inventory in our own form; see `fleetctl.inventory.native.to_yaml`."""
        from fleetctl.inventory.native import to_yaml

        return to_yaml(self._inventory, self._inventory.entries, reveal=reveal)


def open_inventory(
    sources: Sequence[str], *, is_trusted: IsTrusted, vault_secrets: VaultSecrets
) -> OpenInventory:
    """Read inventories; arguments and errors as `fleetctl.inventory.load.load_inventory`."""
    from fleetctl.inventory.load import load_inventory

    return OpenInventory(
        load_inventory(sources, is_trusted=is_trusted, vault_secrets=vault_secrets)
    )


def import_files(
    kind: FileKind, paths: Sequence[str], *, skip_hashed: bool, source: str | None
) -> Written:
    """
    Make an inventory of files that are none.

    Args:
        kind: What they are.
        paths: The files.
        skip_hashed: Of known_hosts: leave hashed names out.
        source: Of ClusterShell: which group source to take.

    Raises:
        UsageError: A file cannot be read, or has nothing that can be taken over.
    """
    from fleetctl.inventory.source import read_bytes

    files: dict[str, bytes] = {}
    problems: list[Problem] = []
    for path in paths:
        try:
            files[path] = read_bytes(Path(path), path)
        except UsageError as error:
            problems += error.problems
    if problems:
        raise UsageError(problems=problems)
    if kind == "clustershell":
        from fleetctl.inventory.clustershell import import_clustershell

        return import_clustershell(files, source)
    from fleetctl.inventory.importers import import_etc_hosts, import_known_hosts

    if kind == "known_hosts":
        return import_known_hosts(files, skip_hashed=skip_hashed)
    return import_etc_hosts(files)


def import_ssh_config(
    paths: Sequence[str], *, environ: Mapping[str, str], is_trusted: IsTrusted
) -> Written:
    """
    Make an inventory of the hosts that files of ssh_config name.

    No command of ``Match exec`` is run, and no name looked up: hosts for which that counts are left
    out.

    Args:
        paths: The files, the first being asked first.
        environ: For ``${NAME}``, and for the home of Include.
        is_trusted: Asked of every file that is read.

    Raises:
        UsageError: With all mistakes of the files.
    """
    from fleetctl.inventory.ssh_hosts import import_ssh_config as import_hosts
    from fleetctl.sshconfig.load import Source, load_config
    from fleetctl.sshconfig.surroundings import Surroundings

    surroundings = Surroundings.from_process(environ)
    config = load_config(
        [Source(Path(path), is_required=True, checks_owner=False) for path in paths],
        surroundings=surroundings,
        is_trusted=is_trusted,
    )
    return import_hosts(paths, _SshReader(config, surroundings))


@dataclass(frozen=True, slots=True)
class _SshReader:
    """What `fleetctl.inventory.ssh_hosts` asks about files of ssh_config."""

    config: Config
    surroundings: Surroundings

    def split(self, line: str) -> tuple[str, Sequence[str]] | None:
        from fleetctl.sshconfig.lexer import split_line, split_words

        found = split_line(line)
        if found is None:
            return None
        keyword, rest = found
        return keyword, split_words(rest) if keyword in ("host", "include") else ()

    def find(self, pattern: str) -> Sequence[str]:
        from fleetctl.sshconfig.include import find_files

        return find_files(pattern, self.surroundings, is_system=False)

    def ask(self, host: str) -> Mapping[str, Line]:
        from fleetctl.inventory.ssh_hosts import Line
        from fleetctl.sshconfig.resolve import resolve

        resolved = resolve(self.config, host)
        return {
            keyword: Line(resolved.values[keyword], origin)
            for keyword, origin in resolved.origin.items()
            if keyword in resolved.values
        }
