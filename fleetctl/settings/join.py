"""
From what inventory, command line and ssh_config say about a host to the settings that count.

What the inventory and the command line say stands before all files of ssh_config, as ``-o`` does
for ssh: ``Match`` sees it, its tokens are replaced, lists add up. Which name ssh would be given is
the host's; a host with ``ansible_host`` is asked for by that address, as Ansible asks for it.

Source: ssh_config(5); ssh(1), -o and -J.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fleetctl.inventory.assign import split_words
from fleetctl.inventory.entries import Assigned
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.model.settings import OPTIONS, HostSettings
from fleetctl.settings.needs import needs_reader
from fleetctl.sshconfig.arguments import Arguments, Value
from fleetctl.sshconfig.config import Config
from fleetctl.sshconfig.dump import dump
from fleetctl.sshconfig.jump import parse_hops
from fleetctl.sshconfig.keywords import find_keyword
from fleetctl.sshconfig.names import Destination
from fleetctl.sshconfig.resolve import Resolved, resolve
from fleetctl.sshconfig.shared import Shared
from fleetctl.sshconfig.state import Step, problem_at

#: Made from more than their words: what a host is reached through, and by which address.
_SPECIAL = frozenset({"hostname", "proxyjump", "proxycommand"})
_HONOURED = {
    option.name.lower(): option
    for option in OPTIONS
    if option.treatment == "honoured" and option.name.lower() not in _SPECIAL
}
_WITHOUT_EFFECT = {
    option.name.lower(): option.name
    for option in OPTIONS
    if option.treatment in ("ignored", "refused")
}

_PROXIES = frozenset({"proxyjump", "proxycommand"})
#: Lists of files in which ``none`` stands for no file.
_FILE_LISTS = frozenset({"identityfile", "certificatefile"})
#: Keywords of which each line has two ends.
_FORWARDS = frozenset({"dynamicforward", "localforward", "remoteforward"})
#: Jump hosts that each say themselves through which one they are reached; ssh would go on until
#: there are no more processes.
_MOST_GATEWAYS = 16
_NO_JUMP: Step = (None, "proxyjump", ("none",), "")

Said = Mapping[str, Assigned]


@dataclass(slots=True)
class Joiner:
    """
    Joins host after host; what is computed once for many hosts is kept.

    Attributes:
        config: All files of ssh_config, read. Its algorithms are those of fleetctl.
        assigned: What was said about a host of the inventory, by option name; the command line's
            words are among them if the second argument says so.
        hosts: Those of the inventory, by name: a jump host may be one of them.
        without_effect: Keywords that were met in a file and do nothing here, each with the lines.
    """

    config: Config
    assigned: Callable[[str, bool], Said]
    hosts: Mapping[str, Host]
    without_effect: dict[tuple[str, str], None] = field(default_factory=dict)
    _steps: dict[int, tuple[Assigned, tuple[Step, ...]]] = field(default_factory=dict)
    _values: dict[tuple[str, Value], object] = field(default_factory=dict)
    _hops: dict[Destination, HostSettings] = field(default_factory=dict)
    # What all hosts have in common for which the same lines count.
    _common: dict[Shared, tuple[dict[str, Any], dict[str, str]]] = field(default_factory=dict)
    _chains: dict[str, tuple[HostSettings, ...]] = field(default_factory=dict)

    def settle(self, host: Host) -> Host:
        """
        Return the host with the settings that count.

        Raises:
            UsageError: Something that was said is wrong for this host: all of it.
            FleetError: ``resolve.dns``: its canonical name is asked for and not found.
        """
        if host.connection == "local":
            return host
        said = self.assigned(host.name, True)
        if not self.config.segments and not needs_reader(host.name, said):
            return host
        return replace(host, settings=self._settings(host.name, said, ()))

    def dump(self, host: Host) -> str:
        """
        Return what ``ssh -G`` would print for the host; same errors as `settle`.

        It is ssh's answer only with ssh's algorithms in `config`.
        """
        return dump(self._resolve(host.name, self.assigned(host.name, True))[1])

    def _resolve(
        self,
        name: str,
        said: Said,
        *,
        hop: Destination | None = None,
        is_reached: bool = False,
    ) -> tuple[str, Resolved]:
        address = said.get("HostName")
        if address is not None and address.variable:
            # Ansible has ssh look for the address, and not for the name in the inventory.
            said = {key: each for key, each in said.items() if key != "HostName"}
            name = address.text
        problems: list[Problem] = []
        steps = [step for each in said.values() for step in self._steps_of(each, problems)]
        if is_reached:
            steps = [_NO_JUMP, *(each for each in steps if each[1] not in _PROXIES)]
        if problems:
            raise UsageError(problems=problems)
        user, port = (hop.user, hop.port) if hop else (None, None)
        return name, resolve(self.config, name, user=user, port=port, overrides=steps)

    def _steps_of(self, assigned: Assigned, problems: list[Problem]) -> tuple[Step, ...]:
        """Return the lines that would say the same in a file."""
        known = self._steps.get(id(assigned))
        if known is not None:
            return known[1]
        try:
            steps = tuple(self._lines(assigned))
        except ValueError as error:
            problems.append(assigned.place.problem(f"{assigned.option.name}: {error}"))
            return ()
        self._steps[id(assigned)] = assigned, steps
        return steps

    def _lines(self, assigned: Assigned) -> Iterator[Step]:
        keyword = find_keyword(assigned.option.name.lower())
        if keyword is None:
            return
        words = assigned.words
        lines = [(word,) for word in words] if assigned.option.accumulates else [words]
        if keyword.key in _FORWARDS:
            lines = [split_words(word) for word in words]
        for line in lines:
            environment, dialect = self.config.surroundings.environment, self.config.dialect
            value = keyword.parse(
                Arguments(keyword.key, line, " ".join(line), environment, dialect)
            )
            if value is not None:
                yield keyword.action, keyword.key, value, assigned.place.origin

    def _settings(
        self,
        own_name: str,
        said: Said,
        trail: Sequence[Destination] | None,
        *,
        hop: Destination | None = None,
    ) -> HostSettings:
        """
        Join the settings of one host.

        Args:
            trail: Jump hosts through which it would be reached, the host itself included; None if
                how it is reached is decided.
            hop: The host is a jump host, as it was written.
        """
        name, resolved = self._resolve(own_name, said, hop=hop, is_reached=trail is None)
        shared = resolved.shared
        common = self._common.get(shared)
        if common is None:
            self._note_without_effect(resolved)
            common = self._read(resolved, lambda key: key not in shared.varying)
            self._common[shared] = common
        own = self._read(resolved, shared.varying.__contains__)
        values, origin = common[0] | own[0], common[1] | own[1]
        # The home directory is that of the user database, not HOME.
        values.setdefault("user_known_hosts_files", self.config.defaults["userknownhostsfile"])
        self._set_address(own_name, said, resolved, values, origin)
        if hop is not None:
            values.setdefault("hostname", name)
            values["user"] = resolved.values["user"][0]
            values["port"] = int(resolved.values["port"][0])
        if trail is not None:
            self._set_gateways(resolved, values, origin, trail)
        return HostSettings(**values, origin=origin)

    def _read(
        self, resolved: Resolved, is_wanted: Callable[[str], bool]
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return fields and origins of those honoured options that are set, and wanted."""
        values: dict[str, Any] = {}
        origin: dict[str, str] = {}
        problems: list[Problem] = []
        for key, written in resolved.origin.items():
            option = _HONOURED.get(key)
            if option is None or not is_wanted(key):
                continue
            # What adds up in the inventory has the places of all its parts.
            origin[option.name] = ", ".join(dict.fromkeys(written.split(", ")))
            words = resolved.expanded(key)
            if key in _FILE_LISTS:
                words = tuple(word for word in words if word.lower() != "none")
            if not words:
                continue
            try:
                values[option.field] = self._parse(option.name, option.parse, words)
            except ValueError as error:
                problems += problem_at(written, f"{option.name}: {error}").problems
        if problems:
            raise UsageError(problems=problems)
        return values, origin

    def _parse(self, name: str, parse: Callable[[Value], object], words: Value) -> object:
        """Parse the words of an option; equal words of many hosts once."""
        key = name, words
        if key not in self._values:
            self._values[key] = parse(words)
        return self._values[key]

    def _set_address(
        self,
        name: str,
        said: Said,
        resolved: Resolved,
        values: dict[str, Any],
        origin: dict[str, str],
    ) -> None:
        address = resolved.values["hostname"][0]
        written = resolved.origin.get("hostname")
        if written is None and "HostName" in said:
            written = said["HostName"].place.origin
        if written is None and address != name:
            written = resolved.origin.get("canonicalizehostname")
        if written is not None:
            origin["HostName"] = written
        if written is not None or address != name:
            values["hostname"] = address

    def _set_gateways(
        self,
        resolved: Resolved,
        values: dict[str, Any],
        origin: dict[str, str],
        trail: Sequence[Destination],
    ) -> None:
        jump = resolved.expanded("proxyjump")
        for key, name in (("proxyjump", "ProxyJump"), ("proxycommand", "ProxyCommand")):
            if key in resolved.origin:
                origin[name] = resolved.origin[key]
        if jump:
            values["proxy_jump"] = jump[0]
            chain = None if trail else self._chains.get(jump[0])
            if chain is None:
                chain = self._gateways(jump[0], origin.get("ProxyJump", ""), trail)
                if not trail:
                    self._chains[jump[0]] = chain
            values["gateways"] = chain
        elif command := resolved.expanded("proxycommand"):
            if resolved.values["proxyusefdpass"] == ("yes",):
                message = "ProxyUseFdpass: a connection handed over by ProxyCommand is not taken"
                raise problem_at(
                    resolved.origin["proxyusefdpass"],
                    message,
                    hint="let the command carry the data: ProxyUseFdpass no",
                )
            values["proxy_command"] = command[0]

    def _gateways(
        self, jump: str, written: str, trail: Sequence[Destination]
    ) -> tuple[HostSettings, ...]:
        """
        Return the settings of each jump host, the one nearest to us first.

        As with ssh, a jump host's own ProxyJump counts only for the first: the others are reached
        through the one before.
        """
        first, *others = parse_hops(jump)
        if first in trail:
            raise problem_at(
                written,
                f"ProxyJump: {first.host} would be reached through itself",
                hint=f"give {first.host} its own line: ProxyJump none",
            )
        if len(trail) == _MOST_GATEWAYS:
            raise problem_at(
                written,
                f"ProxyJump: {first.host} would be one more than {_MOST_GATEWAYS} jump hosts, "
                "each behind the next",
                hint=f"say which one is reached directly: ProxyJump none for {trail[0].host}",
            )
        start = self._hop(first, (*trail, first))
        chain = [replace(start, gateways=()), *(self._hop(each, None) for each in others)]
        return (*start.gateways, *chain)

    def _hop(self, hop: Destination, trail: Sequence[Destination] | None) -> HostSettings:
        if trail is None and hop in self._hops:
            return self._hops[hop]
        said = self.assigned(hop.host, False) if hop.host in self.hosts else {}
        settings = self._settings(hop.host, said, trail, hop=hop)
        if trail is None:
            self._hops[hop] = settings
        return settings

    def _note_without_effect(self, resolved: Resolved) -> None:
        for key in resolved.origin.keys() & _WITHOUT_EFFECT.keys():
            if resolved.values.get(key) == self.config.defaults.get(key):
                continue  # it says what is so anyway
            for written in resolved.origin[key].split(", "):
                self.without_effect[_WITHOUT_EFFECT[key], written] = None
