"""
From what the sources say to hosts: inheritance of settings and variables, each value's origin.

Strongest first: the command line, host_vars of the later source before those of the earlier, the
host in the inventory, group_vars of its groups (nearest first, the later source before the
earlier), group_vars of ``all``, its groups in the inventory, ``all``. Of a setting the first value
counts and options that accumulate are joined; a variable is that of the strongest who says it.

Source: ansible-core, `ansible.vars.manager` and its default ``VARIABLE_PRECEDENCE``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fleetctl.inventory.entries import ALL, UNGROUPED, Assigned, Contents, Draft, Place
from fleetctl.inventory.groups import GroupGraph, build_graph, check_names
from fleetctl.inventory.layers import Layer, Stack, merge_layers
from fleetctl.inventory.names import check_host_name
from fleetctl.inventory.tokens import LocalAccount, expand_path, expand_tokens
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import ConnectionKind, Host
from fleetctl.model.settings import HostSettings

#: Names of this machine that need not be in an inventory.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
LOCAL_VARS: Mapping[str, object] = {"ansible_connection": "local"}

_DEFAULTS = HostSettings()
#: Fields that hold names of files in which ``~`` and tokens are expanded, and their option.
_PATH_LISTS = {"identity_files": "IdentityFile", "user_known_hosts_files": "UserKnownHostsFile"}
#: Values of IdentityAgent that are not the name of a file.
_NO_SOCKET_FILE = ("none", "SSH_AUTH_SOCK")


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    Hosts ready to be contacted.

    Attributes:
        hosts: In the order of first mention.
        groups: The hosts of each group, those of its children included.
        own_hosts: The hosts that each group names itself.
        children: The child groups of each.
        localhost: This machine, for a pattern that names it though the inventory does not.
        assigned: What was said about a host of that name, by option name: by the command line if
            the second argument says so, then by the host and by its groups.
        warnings: What was noticed on the way.
    """

    hosts: Mapping[str, Host]
    groups: Mapping[str, tuple[str, ...]]
    own_hosts: Mapping[str, tuple[str, ...]]
    children: Mapping[str, tuple[str, ...]]
    localhost: Host
    assigned: Callable[[str, bool], Layer]
    warnings: tuple[Problem, ...]


def resolve(
    draft: Draft, overrides: Layer, account: LocalAccount, defaults: Layer = MappingProxyType({})
) -> Resolved:
    """
    Make the hosts of a draft.

    Args:
        draft: All sources; completed with ``all`` and ``ungrouped``.
        overrides: Settings of the command line, which win over all others.
        defaults: Settings that count where nothing else does.
        account: For ``~``, ``%u``, ``%d`` and, where no User is set, ``%r``.

    Raises:
        UsageError: A cycle of groups, a setting given twice, an unknown token: all of them.
    """
    for name in (ALL, UNGROUPED):
        draft.group(name, Place(""))
    direct = _direct_groups(draft)
    _complete_ungrouped(draft, direct)
    graph = build_graph(draft.groups)
    resolver = _Resolver(graph, draft.host_files, overrides, account, defaults)
    resolver.check_group_settings()
    hosts = {
        name: resolver.host(name, contents, direct.get(name, (UNGROUPED,)))
        for name, contents in draft.hosts.items()
    }
    localhost = resolver.host(LOCAL_NAMES[0], Contents(vars=dict(LOCAL_VARS)), (ALL,))

    def assigned(name: str, with_overrides: bool) -> Layer:  # noqa: FBT001 - a Callable's
        own = resolver.assigned(name, draft.hosts.get(name), direct.get(name, (UNGROUPED,)))
        return merge_layers((overrides, own)) if with_overrides else own

    if resolver.problems:
        raise UsageError(problems=resolver.problems)
    own_hosts = {name: tuple(entry.hosts) for name, entry in draft.groups.items()}
    names = dict.fromkeys((ALL, UNGROUPED, *draft.groups))
    return Resolved(
        hosts,
        {name: graph.members(name) for name in names},
        own_hosts,
        graph.children,
        localhost,
        assigned,
        (*draft.warnings, *check_names(graph, hosts)),
    )


def _connection_of(variables: Mapping[str, object]) -> ConnectionKind:
    """Tell how a host is reached; what is neither was refused where it was read."""
    kind = str(variables.get("ansible_connection", "ssh")).removeprefix("ansible.builtin.")
    return "local" if kind == "local" else "ssh"


def _direct_groups(draft: Draft) -> dict[str, tuple[str, ...]]:
    """Return the groups that name each host, for hosts that are in any."""
    direct: dict[str, tuple[str, ...]] = {}
    for group, entry in draft.groups.items():
        if group not in (ALL, UNGROUPED):
            for host in entry.hosts:
                direct[host] = (*direct.get(host, ()), group)
    return direct


def _complete_ungrouped(draft: Draft, direct: Mapping[str, object]) -> None:
    """Let ``ungrouped`` name the hosts that no other group but ``all`` names."""
    ungrouped = draft.groups[UNGROUPED]
    everyone = (*ungrouped.hosts, *draft.hosts)
    ungrouped.hosts = dict.fromkeys(name for name in everyone if name not in direct)


@dataclass(frozen=True, slots=True)
class _Lineage:
    """
    What all hosts in the same groups have in common.

    Attributes:
        groups: All of them, nearest first.
        layers: What these groups say, the strongest first.
        stack: Settings of these groups; the command line's are not in it.
        vars: Variables of these groups.
        settings: Of a host that says nothing itself; None if they differ from host to host.
    """

    groups: tuple[str, ...]
    layers: Sequence[Contents]
    stack: Stack
    vars: Mapping[str, object]
    settings: HostSettings | None


@dataclass(slots=True)
class _Resolver:
    """The work in progress: what is computed once for many hosts, and the problems found."""

    graph: GroupGraph
    host_files: Mapping[int, Mapping[str, Contents]]
    overrides: Layer
    account: LocalAccount
    defaults: Layer
    problems: list[Problem] = field(default_factory=list)
    _lineages: dict[tuple[str, ...], _Lineage] = field(default_factory=dict)
    _paths: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def check_group_settings(self) -> None:
        for name, entry in self.graph.entries.items():
            self._check_spellings(f'group "{name}"', entry.contents)

    def host(self, name: str, contents: Contents, direct: tuple[str, ...]) -> Host:
        lineage = self._lineages.get(direct)
        if lineage is None:
            lineage = self._lineages[direct] = self._lineage(direct)
        if contents.settings and contents.connection:
            self._check_spellings(name, contents)
        layers = self._layers(name, contents)
        variables = lineage.vars
        if len(layers) > 1 or contents.vars:
            variables = dict(variables)
            for layer in reversed(layers):
                variables.update(layer.vars)
        settings = lineage.settings
        if settings is None or any(layer.settings or layer.connection for layer in layers):
            own = self._merge(layers, lineage)
            merged = merge_layers((self.overrides, own, self.defaults))
            settings = self._settings(name, merged)
        return Host(name, lineage.groups, variables, settings, _connection_of(variables))

    def assigned(self, name: str, contents: Contents | None, direct: tuple[str, ...]) -> Layer:
        """Return what was said about a host, the command line aside; None for one not written."""
        if contents is None:
            return self._lineage((ALL,)).stack.settings
        return self._merge(self._layers(name, contents), self._lineages[direct])

    def _layers(self, name: str, contents: Contents) -> list[Contents]:
        """Return what the host itself says, the strongest first."""
        files = [self.host_files[n][name] for n in self.host_files if name in self.host_files[n]]
        return [*reversed(files), contents] if files else [contents]

    def _merge(self, own: Sequence[Contents], lineage: _Lineage) -> dict[str, Assigned]:
        """Return what a host and its groups say."""
        stack = Stack()
        if all(lineage.stack.is_unaffected_by(layer) for layer in own):
            for layer in own:
                stack.add(layer)
            merged = merge_layers((stack.settings, lineage.stack.settings))
        else:
            for layer in (*own, *lineage.layers):
                stack.add(layer)
            merged = stack.settings
        self.problems += stack.problems
        return merged

    def _lineage(self, direct: tuple[str, ...]) -> _Lineage:
        groups = self.graph.nearest_first(direct)
        layers = self._group_layers(groups)
        stack = Stack()
        for layer in layers:
            stack.add(layer)
        self.problems += stack.problems
        variables: dict[str, object] = {}
        for layer in reversed(layers):
            variables.update(layer.vars)
        merged = merge_layers((self.overrides, stack.settings, self.defaults))
        varies = any("%" in str(assigned.value) for assigned in merged.values())
        settings = None if varies else self._settings("", merged)
        return _Lineage(groups, layers, stack, variables, settings)

    def _group_layers(self, groups: tuple[str, ...]) -> list[Contents]:
        """Return what the groups say, the strongest first; ``all`` is the last of the groups."""
        entries = [self.graph.entries[name] for name in groups]
        numbers = sorted({number for entry in entries for number in entry.files}, reverse=True)
        files = [
            entry.files[number]
            for part in (entries[:-1], entries[-1:])
            for number in numbers
            for entry in part
            if number in entry.files
        ]
        return [*files, *(entry.contents for entry in entries)]

    def _settings(self, name: str, layer: Layer) -> HostSettings:
        # The table in model/settings.py is what makes each value fit its field.
        values: dict[str, Any] = {
            each.option.field: each.value for each in layer.values() if each.option.field
        }
        if "hostname" in values:
            values["hostname"] = self._hostname(name, layer["HostName"])
        tokens = {
            "h": values.get("hostname") or name,
            "n": name,
            "p": str(values.get("port", _DEFAULTS.port)),
            "r": values.get("user") or self.account.name,
            "u": self.account.name,
            "d": self.account.home,
        }
        for field_name, option in _PATH_LISTS.items():
            paths = values.get(field_name, getattr(_DEFAULTS, field_name))
            values[field_name] = self._expand(paths, tokens, layer.get(option))
        agent = values.get("identity_agent")
        if agent and agent not in _NO_SOCKET_FILE and not agent.startswith("$"):
            (values["identity_agent"],) = self._expand((agent,), tokens, layer["IdentityAgent"])
        origin = {option: each.place.origin for option, each in layer.items()}
        return HostSettings(**values, origin=origin)

    def _hostname(self, name: str, assigned: Assigned) -> str:
        written = str(assigned.value)
        try:
            address = expand_tokens(written, {"h": name})
        except ValueError as error:
            self.problems.append(assigned.place.problem(f"HostName: {error}"))
            return written
        why = check_host_name(address)
        if why:
            hint = "the port has a keyword of its own: Port" if ":" in address else None
            self.problems.append(assigned.place.problem(f"HostName: {why}", hint=hint))
        return address

    def _expand(
        self, paths: tuple[str, ...], tokens: Mapping[str, str], assigned: Assigned | None
    ) -> tuple[str, ...]:
        """Expand file names; those without tokens are the same for every host."""
        known = self._paths.get(paths)
        if known is not None:
            return known
        try:
            expanded = tuple(expand_path(path, tokens, self.account) for path in paths)
        except ValueError as error:
            assert assigned is not None  # the defaults have nothing to complain about
            message = f"{assigned.option.name}: {error}"
            self.problems.append(assigned.place.problem(message))
            return paths
        if not any("%" in path for path in paths):
            self._paths[paths] = expanded
        return expanded

    def _check_spellings(self, owner: str, contents: Contents) -> None:
        """Report settings that ``ssh:`` and Ansible's variables give different values."""
        for assigned in (each for said in contents.connection.values() for each in said):
            name = assigned.option.name
            other = contents.settings.get(name)
            if other and other.value != assigned.value:
                message = (
                    f"{owner}: {name} is {assigned.text} here, "
                    f"but {other.text} under `ssh:` ({other.place.origin})"
                )
                self.problems.append(assigned.place.problem(message, hint="keep one of them"))
