"""
From the values of the files to those that count: defaults, algorithms, tokens, cross-checks.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fleetctl.sshconfig import state
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.dialect import Dialect
from fleetctl.sshconfig.forwards import expand_paths
from fleetctl.sshconfig.jump import parse_hops
from fleetctl.sshconfig.keywords import BY_NAME, KEYWORDS, Keyword
from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.state import State, problem_at
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import Login, expand, token_values

#: Keywords for which ``none`` is the same as nothing.
_CLEARED_BY_NONE = (
    "localcommand",
    "remotecommand",
    "proxycommand",
    "controlpath",
    "revokedhostkeys",
    "pkcs11provider",
    "securitykeyprovider",
    "knownhostscommand",
)
#: Keywords whose tokens are replaced at once, and not when the value is used.
_EXPANDED = ("remotecommand", "controlpath", "identityagent", "forwardagent", "userknownhostsfile")
_QUIETER_THAN_INFO = ("SILENT", "FATAL", "ERROR")


def default_values(surroundings: Surroundings, dialect: Dialect) -> dict[str, Value]:
    """Return what every keyword has if nothing sets it; without those that have nothing then."""
    values = {k.key: k.default_value for k in KEYWORDS if k.default} | dict(dialect.defaults)
    for key, algorithms in dialect.algorithms.items():
        values[key] = (",".join(algorithms.default),)
    files = values["userknownhostsfile"]
    values["userknownhostsfile"] = tuple(surroundings.expand_tilde(path) for path in files)
    return values


@dataclass(frozen=True, slots=True)
class Finisher:
    """
    The last step of resolving one host.

    Attributes:
        state: What the files said.
        original_host: As given.
        host: Name or address to be dialled.
        surroundings: This machine and this user.
        dialect: What ssh supports.
        defaults: From `default_values`.
    """

    state: State
    original_host: str
    host: str
    surroundings: Surroundings
    dialect: Dialect
    defaults: Mapping[str, Value]

    def finish(self) -> dict[str, Value]:
        """
        Return the value of every keyword that has one.

        Raises:
            UsageError: Values that are right alone do not go together, or cannot be expanded.
        """
        found = self.state.values
        values = dict(self.defaults)
        values.update(found)
        values["host"] = (self.original_host,)
        values["hostname"] = (self.host,)
        values.setdefault("user", (self.surroundings.user,))
        self._join_parts(values)
        for key in _CLEARED_BY_NONE:
            if key in values and lower_ascii(values[key][0]) == "none":
                del values[key]
        if found.get("proxyjump") == ("none",):
            del values["proxyjump"]
        if "hostkeyalias" in found:
            values["hostkeyalias"] = (lower_ascii(values["hostkeyalias"][0]),)
        self._choose_algorithms(values)
        self._check(values)
        self._adjust(values)
        self._expand(values)
        return values

    def _join_parts(self, values: dict[str, Value]) -> None:
        """Put together what is set in parts."""
        found = self.state.values
        if "rekeylimit" in found:
            interval = found.get(state.REKEY_INTERVAL, ("0",))
            values["rekeylimit"] = found["rekeylimit"] + interval
            values.pop(state.REKEY_INTERVAL, None)
        socket = values.pop(state.AGENT_SOCKET, None)
        if socket is not None and values["forwardagent"] == ("yes",):
            values["forwardagent"] = socket

    def _choose_algorithms(self, values: dict[str, Value]) -> None:
        for key, algorithms in self.dialect.algorithms.items():
            if key in self.state.values and key != "gssapikexalgorithms":
                try:
                    values[key] = (",".join(algorithms.choose(values[key][0])),)
                except ValueError as error:
                    raise self._problem(key, error) from None

    def _check(self, values: dict[str, Value]) -> None:
        if values["connectionattempts"] == ("0",):
            raise self._problem("connectionattempts", "Invalid number of ConnectionAttempts")
        if values.get("proxycommand") == ("-",) and values["proxyusefdpass"] == ("yes",):
            message = "ProxyCommand=- and ProxyUseFDPass are incompatible"
            raise self._problem("proxyusefdpass", message)
        if "proxyjump" in values:
            hop = parse_hops(values["proxyjump"][0])[-1]
            user, port = values["user"][0], values["port"][0]
            if (hop.host, hop.user or user, str(hop.port or 22)) == (self.host, user, port):
                raise self._problem("proxyjump", f"jumphost loop via {hop.host}")

    def _adjust(self, values: dict[str, Value]) -> None:
        """Change what follows from other values."""
        found = self.state.values
        if "proxyjump" in values:
            values["proxyusefdpass"] = ("no",)
        if "serveraliveinterval" not in found and values["batchmode"] == ("yes",):
            values["serveraliveinterval"] = (str(self.dialect.batch_alive_interval_s),)
        if "updatehostkeys" not in found:
            files = found.get("userknownhostsfile", ())
            is_usual = files in ((), ("~/.ssh/known_hosts",))
            if not is_usual or values["verifyhostkeydns"] != ("false",):
                values["updatehostkeys"] = ("false",)
        elif values["updatehostkeys"] == ("ask",) and not self._can_ask(values):
            values["updatehostkeys"] = ("false",)
        forwards = self.state.forwards
        if values["clearallforwardings"] == ("yes",):
            values["tunnel"] = ("false",)
            forwards = {}
        for key, ends in forwards.items():
            values[key] = tuple(self._render(key, end, values) for end in ends)

    def _can_ask(self, values: dict[str, Value]) -> bool:
        """Would ssh have a terminal to ask about new host keys?"""
        if values["controlpersist"] != ("no",) and "controlpath" in values:
            return False
        if "remotecommand" in values or values["requesttty"] == ("false",):
            return False
        return values["loglevel"][0] not in _QUIETER_THAN_INFO

    def _render(self, key: str, ends: Value, values: dict[str, Value]) -> str:
        if ends[2] and "%" in ends[0] + ends[1]:
            try:
                ends = expand_paths(ends, self._tokens(values))
            except ValueError as error:
                raise self._problem(key, error) from None
        return ends[0] if key == "dynamicforward" else f"{ends[0]} {ends[1]}"

    def _expand(self, values: dict[str, Value]) -> None:
        for key in _EXPANDED:
            if key not in self.state.values or key not in values:
                continue
            if key == "forwardagent" and values[key][0] in ("yes", "no"):
                continue
            if any("%" in word or "$" in word or "~" in word for word in values[key]):
                values[key] = self._expand_one(BY_NAME[key], values)

    def _expand_one(self, keyword: Keyword, values: dict[str, Value]) -> Value:
        try:
            return expand_value(
                keyword, values[keyword.key], self._tokens(values), self.surroundings
            )
        except ValueError as error:
            raise self._problem(keyword.key, error) from None

    def _tokens(self, values: Mapping[str, Value]) -> dict[str, str]:
        return token_values(login_of(values), self.surroundings)

    def _problem(self, key: str, message: object) -> Exception:
        return problem_at(self.state.origins.get(key, ""), f"{BY_NAME[key].name}: {message}")


def login_of(values: Mapping[str, Value]) -> Login:
    """Return what the tokens need to know, from finished values."""
    host = values["host"][0]
    return Login(
        host=values["hostname"][0],
        original_host=host,
        user=values["user"][0],
        port=values["port"][0],
        key_alias=values.get("hostkeyalias", (host,))[0],
        jump_host=parse_hops(values["proxyjump"][0])[-1].host if "proxyjump" in values else "",
    )


def expand_value(
    keyword: Keyword, value: Value, tokens: Mapping[str, str], surroundings: Surroundings
) -> Value:
    """
    Replace in a value what its keyword allows.

    Raises:
        ValueError: Something in it is unknown.
    """
    allowed = {letter: text for letter, text in tokens.items() if letter in keyword.tokens}
    environment = surroundings.environment if keyword.takes_environment else None
    return tuple(
        expand(
            surroundings.expand_tilde(word) if keyword.takes_tilde else word,
            tokens=allowed if keyword.tokens else None,
            environment=environment,
        )
        for word in value
    )
