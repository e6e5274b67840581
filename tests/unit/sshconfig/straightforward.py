"""
The same answers found the slow way: every line of every file is tried for every host.

Shares with the product how a line is read and what it does to the values, and nothing of how lines
are searched, joined and remembered. No file is included in another here but by its text.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.canonical import Lookup, Rules, canonicalize
from fleetctl.sshconfig.config import Run
from fleetctl.sshconfig.dialect import OPENSSH_9_2
from fleetctl.sshconfig.finish import default_values
from fleetctl.sshconfig.forwards import expand_paths
from fleetctl.sshconfig.jump import parse_hops
from fleetctl.sshconfig.keywords import BY_NAME, Keyword
from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.match import HostCondition, MatchCondition
from fleetctl.sshconfig.names import is_safe_host, is_safe_user
from fleetctl.sshconfig.parse import Block, Include, Reading, Settings, Unknown, parse_line
from fleetctl.sshconfig.pattern import octets
from fleetctl.sshconfig.state import AGENT_SOCKET, REKEY_INTERVAL, State, Step, problem_at
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import Login, expand, token_values

CLEARED = (
    "localcommand remotecommand proxycommand controlpath revokedhostkeys pkcs11provider "
    "securitykeyprovider knownhostscommand"
).split()
FINISHED = ("remotecommand", "controlpath", "identityagent", "forwardagent", "userknownhostsfile")
PRINTED_FINISHED = (*FINISHED, "dynamicforward", "hostname", "localforward", "remoteforward")


@dataclass(frozen=True)
class Condition:
    """A Host or Match line that was reached, and the answer it had."""

    parent: Condition | None
    condition: HostCondition | MatchCondition
    origin: str


@dataclass(frozen=True)
class Files:
    """Texts by path; Include names a path."""

    texts: Mapping[str, str]
    surroundings: Surroundings
    run: Run
    lookup: Lookup

    def lines(
        self, path: str, around: Condition | None = None
    ) -> list[Condition | tuple[Condition | None, Step]]:
        """Return all lines in order: conditions, and steps with the condition they stand behind."""
        found: list[Condition | tuple[Condition | None, Step]] = []
        here = self.surroundings
        reading = Reading(here.environment, OPENSSH_9_2, here.user, here.addresses)
        behind = around
        for number, text in enumerate(self.texts[path].split("\n"), 1):
            origin = f"{path}:{number}"
            match parse_line(text, reading):
                case Block(condition):
                    behind = Condition(around, condition, origin)
                    found.append(behind)
                case Include(patterns):
                    for pattern in patterns:
                        found.extend(self.lines(pattern, behind))
                case Settings() as line:
                    found.append((None if line.keyword.is_global else behind, line.step(origin)))
                case Unknown() as line:
                    found.append((None, line.step(origin)))
        return found


@dataclass
class Asked:
    """One host: what is known while all lines are tried."""

    files: Files
    given: str
    name: str
    is_final: bool = False
    state: State = field(default_factory=State)
    behind: Condition | None = None
    active: dict[int, bool] = field(default_factory=dict)

    def go(self, lines: Sequence[Condition | tuple[Condition | None, Step]]) -> None:
        self.active.clear()
        for line in lines:
            if isinstance(line, Condition):
                self.behind = line
                is_inside = line.parent is None or self.active[id(line.parent)]
                self.active[id(line)] = is_inside and line.condition.applies(self)
            elif line[0] is None or self.active[id(line[0])]:
                self.state.apply([line[1]])

    @property
    def original_host(self) -> str:
        return octets(lower_ascii(self.given))

    @property
    def host(self) -> str:
        return octets(lower_ascii(self.host_so_far()))

    @property
    def user(self) -> str:
        return octets(self.user_so_far())

    @property
    def tag(self) -> str:
        return octets(self.state.values.get("tag", ("",))[0])

    def host_so_far(self) -> str:
        value = self.state.values.get("hostname")
        if self.is_final or value is None:
            return value[0] if value else self.given
        try:
            return expand(value[0], tokens={"h": self.given})
        except ValueError as error:
            raise problem_at(self.state.origins["hostname"], f"HostName: {error}") from None

    def user_so_far(self) -> str:
        return self.state.values.get("user", (self.files.surroundings.user,))[0]

    def run(self, command: str) -> bool:
        values = self.state.values
        host, user = self.host_so_far(), self.user_so_far()
        jump = values.get("proxyjump", ("none",))[0]
        alias = values.get("hostkeyalias", (host,))[0]
        hop = "" if jump == "none" else parse_hops(jump)[-1].host
        login = Login(host, self.given, user, values.get("port", ("22",))[0], alias, hop)
        bad = [name for name in (host, alias) if not is_safe_host(name)]
        if "user" in self.state.origins and not is_safe_user(user):
            bad.append(user)
        assert self.behind is not None
        if bad:
            message = f'Match exec: "{bad[0]}" contains invalid characters, kept from the shell'
            raise problem_at(self.behind.origin, message)
        text = expand(command, tokens=token_values(login, self.files.surroundings))
        return self.files.run(text) == 0


@dataclass(frozen=True)
class Answer:
    """What `fleetctl.sshconfig.resolve.Resolved` says, worked out for this host alone."""

    values: Mapping[str, Value]
    origin: Mapping[str, str]
    surroundings: Surroundings

    def expanded(self, keyword: Keyword) -> Value:
        value = self.values.get(keyword.key, ())
        takes = keyword.tokens or keyword.takes_tilde
        if not value or not takes or keyword.key in PRINTED_FINISHED:
            return value
        tokens = token_values(login_of(self.values), self.surroundings) | {"T": "NONE"}
        try:
            return expand_value(keyword, value, tokens, self.surroundings)
        except ValueError as error:
            origin = self.origin.get(keyword.key, "")
            raise problem_at(origin, f"{keyword.name}: {error}") from None


def answer(
    files: Files, path: str, host: str, *, user: str | None, overrides: Sequence[Step]
) -> Answer:
    """
    Resolve one host.

    Raises:
        UsageError: A line is wrong for this host.
        FleetError: A canonical name is asked for and not found.
    """
    if not is_safe_host(host):
        raise UsageError(f'host "{host}": hostname contains invalid characters')
    lines = files.lines(path)
    asked = Asked(files, host, octets(host))
    values = asked.state.values
    if user is not None:
        values["user"] = (user,)
    asked.state.apply(overrides)
    asked.go(lines)
    name = canonicalize(asked.host_so_far(), Rules.from_values(values), files.lookup)
    wants_final = any(
        isinstance(line.condition, MatchCondition) and line.condition.asks("final")
        for line in lines
        if isinstance(line, Condition)
    )
    if wants_final or values.get("canonicalizehostname", ("false",)) != ("false",):
        values["hostname"] = (name,)
        for key in ("canonicalizefallbacklocal", "canonicalizehostname", "canonicalizemaxdots"):
            values.setdefault(key, BY_NAME[key].default_value)
        asked.name, asked.is_final = octets(name), True
        asked.go(lines)
    finished = finish(asked.state, host, name, files.surroundings)
    check_names(finished, asked.state)
    return Answer(finished, asked.state.all_origins(), files.surroundings)


def finish(state: State, given: str, host: str, surroundings: Surroundings) -> dict[str, Value]:
    found = state.values
    values = default_values(surroundings, OPENSSH_9_2) | found
    values |= {"host": (given,), "hostname": (host,)}
    values.setdefault("user", (surroundings.user,))
    if "rekeylimit" in found:
        values["rekeylimit"] = found["rekeylimit"] + values.pop(REKEY_INTERVAL, ("0",))
    socket = values.pop(AGENT_SOCKET, None)
    if socket is not None and values["forwardagent"] == ("yes",):
        values["forwardagent"] = socket
    for key in CLEARED:
        if key in values and lower_ascii(values[key][0]) == "none":
            del values[key]
    if found.get("proxyjump") == ("none",):
        del values["proxyjump"]
    if "hostkeyalias" in found:
        values["hostkeyalias"] = (lower_ascii(values["hostkeyalias"][0]),)
    for key, algorithms in OPENSSH_9_2.algorithms.items():
        if key in found and key != "gssapikexalgorithms":
            with located(state, key):
                values[key] = (",".join(algorithms.choose(values[key][0])),)
    check(values, state)
    adjust(values, found)
    replace_tokens(values, state, surroundings)
    return values


@contextlib.contextmanager
def located(state: State, key: str) -> Iterator[None]:
    """Turn what is raised inside into an error with the line of the keyword."""
    try:
        yield
    except ValueError as error:
        origin = state.origins.get(key, "")
        raise problem_at(origin, f"{BY_NAME[key].name}: {error}") from None


def check(values: Mapping[str, Value], state: State) -> None:
    if values["connectionattempts"] == ("0",):
        with located(state, "connectionattempts"):
            raise ValueError("Invalid number of ConnectionAttempts")
    if values.get("proxycommand") == ("-",) and values["proxyusefdpass"] == ("yes",):
        with located(state, "proxyusefdpass"):
            raise ValueError("ProxyCommand=- and ProxyUseFDPass are incompatible")
    if "proxyjump" in values:
        hop = parse_hops(values["proxyjump"][0])[-1]
        user, port = values["user"][0], values["port"][0]
        is_loop = (hop.user or user, str(hop.port or 22)) == (user, port)
        if is_loop and (hop.host,) == values["hostname"]:
            with located(state, "proxyjump"):
                raise ValueError(f"jumphost loop via {hop.host}")


def adjust(values: dict[str, Value], found: Mapping[str, Value]) -> None:
    if "proxyjump" in values:
        values["proxyusefdpass"] = ("no",)
    if "serveraliveinterval" not in found and values["batchmode"] == ("yes",):
        values["serveraliveinterval"] = ("300",)
    can_ask = (
        (values["controlpersist"] == ("no",) or "controlpath" not in values)
        and "remotecommand" not in values
        and values["requesttty"] != ("false",)
        and values["loglevel"][0] not in ("SILENT", "FATAL", "ERROR")
    )
    if "updatehostkeys" not in found:
        is_usual = found.get("userknownhostsfile", ()) in ((), ("~/.ssh/known_hosts",))
        if not is_usual or values["verifyhostkeydns"] != ("false",):
            values["updatehostkeys"] = ("false",)
    elif values["updatehostkeys"] == ("ask",) and not can_ask:
        values["updatehostkeys"] = ("false",)


def replace_tokens(values: dict[str, Value], state: State, surroundings: Surroundings) -> None:
    tokens = token_values(login_of(values), surroundings)
    if values["clearallforwardings"] == ("yes",):
        values["tunnel"] = ("false",)
    for key, forwards in state.forwards.items():
        if values["clearallforwardings"] == ("no",):
            with located(state, key):
                ends = [expand_paths(forward, tokens) for forward in forwards]
            is_dynamic = key == "dynamicforward"
            values[key] = tuple(e[0] if is_dynamic else f"{e[0]} {e[1]}" for e in ends)
    for key in FINISHED:
        if key in state.values and key in values and values[key][0] not in ("yes", "no"):
            with located(state, key):
                values[key] = expand_value(BY_NAME[key], values[key], tokens, surroundings)


def check_names(values: Mapping[str, Value], state: State) -> None:
    name = values["hostname"][0]
    if not is_safe_host(name):
        message = f'HostName "{name}": hostname contains invalid characters'
        raise problem_at(state.origins.get("hostname", ""), message)
    alias = values.get("hostkeyalias", (name,))[0]
    if not is_safe_host(alias):
        message = f'HostKeyAlias "{alias}" contains invalid characters'
        raise problem_at(state.origins.get("hostkeyalias", ""), message)
    user = values["user"][0]
    if "user" in state.origins and not is_safe_user(user):
        message = f'User "{user}": remote username contains invalid characters'
        raise problem_at(state.origins["user"], message)


def login_of(values: Mapping[str, Value]) -> Login:
    jump = values.get("proxyjump")
    return Login(
        host=values["hostname"][0],
        original_host=values["host"][0],
        user=values["user"][0],
        port=values["port"][0],
        key_alias=values.get("hostkeyalias", values["host"])[0],
        jump_host=parse_hops(jump[0])[-1].host if jump else "",
    )


def expand_value(
    keyword: Keyword, value: Value, tokens: Mapping[str, str], surroundings: Surroundings
) -> Value:
    own = {letter: text for letter, text in tokens.items() if letter in keyword.tokens}
    return tuple(
        expand(
            surroundings.expand_tilde(word) if keyword.takes_tilde else word,
            tokens=own if keyword.tokens else None,
            environment=surroundings.environment if keyword.takes_environment else None,
        )
        for word in value
    )
