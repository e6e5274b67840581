"""
From the values of the files to those that count: defaults, algorithms, tokens, cross-checks.

All but what depends on the name of the host or the login; see `fleetctl.sshconfig.shared`.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig import state
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.dialect import Dialect
from fleetctl.sshconfig.forwards import render
from fleetctl.sshconfig.jump import parse_hops
from fleetctl.sshconfig.keywords import BY_NAME, KEYWORDS
from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.names import Destination
from fleetctl.sshconfig.shared import NAMES, Shared
from fleetctl.sshconfig.state import State, problem_at
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import Login, mentions, token_values

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
#: Keywords with tokens.
_TAKING_TOKENS = tuple(keyword.key for keyword in KEYWORDS if keyword.tokens)
#: Tokens that differ from host to host; ``%k`` only without HostKeyAlias.
_TOKENS_OF_HOST = "Chnpr"
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
    Finishes what certain lines say, for all hosts for which they count.

    Attributes:
        state: What the lines say.
        surroundings: This machine and this user.
        dialect: What ssh supports.
        defaults: From `default_values`.
        chosen: Algorithms that were chosen, by keyword and text of the line; added to.
    """

    state: State
    surroundings: Surroundings
    dialect: Dialect
    defaults: Mapping[str, Value]
    chosen: dict[tuple[str, str], Value]

    def finish(self) -> Shared:
        """
        Return what the hosts have in common.

        Raises:
            UsageError: Values that are right alone do not go together.
        """
        found = self.state.values
        values = {**self.defaults, **found}
        for key in NAMES:
            values.pop(key, None)
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
        jump = values.get("proxyjump")
        last_hop = parse_hops(jump[0])[-1] if jump else None
        varying = self._varying(values)
        forwards = self._add_forwards(values)
        unfinished = self._expand(values, varying, last_hop)
        return Shared(
            values=values,
            origin=self.state.all_origins(),
            varying=NAMES.union(varying, forwards, unfinished),
            unfinished=unfinished,
            forwards=forwards,
            last_hop=last_hop,
        )

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
            if key not in self.state.values or key == "gssapikexalgorithms":
                continue
            text = values[key][0]
            if (key, text) not in self.chosen:
                try:
                    self.chosen[key, text] = (",".join(algorithms.choose(text)),)
                except ValueError as error:
                    raise self._problem(key, error) from None
            values[key] = self.chosen[key, text]

    def _check(self, values: dict[str, Value]) -> None:
        if values["connectionattempts"] == ("0",):
            raise self._problem("connectionattempts", "Invalid number of ConnectionAttempts")
        if values.get("proxycommand") == ("-",) and values["proxyusefdpass"] == ("yes",):
            message = "ProxyCommand=- and ProxyUseFDPass are incompatible"
            raise self._problem("proxyusefdpass", message)

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

    def _can_ask(self, values: dict[str, Value]) -> bool:
        """Would ssh have a terminal to ask about new host keys?"""
        if values["controlpersist"] != ("no",) and "controlpath" in values:
            return False
        if "remotecommand" in values or values["requesttty"] == ("false",):
            return False
        return values["loglevel"][0] not in _QUIETER_THAN_INFO

    def _varying(self, values: Mapping[str, Value]) -> frozenset[str]:
        """Return the keywords with a token in them that differs from host to host."""
        letters = _TOKENS_OF_HOST if "hostkeyalias" in values else _TOKENS_OF_HOST + "k"
        return frozenset(
            key
            for key in _TAKING_TOKENS
            if key in self.state.values
            and any(mentions(word, letters) for word in values.get(key, ()))
        )

    def _add_forwards(self, values: dict[str, Value]) -> dict[str, Sequence[Value]]:
        """Add the forwardings as they are printed; return those with tokens in their paths."""
        if values["clearallforwardings"] == ("yes",):
            values["tunnel"] = ("false",)
            return {}
        left: dict[str, Sequence[Value]] = {}
        for key, forwards in self.state.forwards.items():
            if any(ends[2] and "%" in ends[0] + ends[1] for ends in forwards):
                left[key] = forwards
            else:
                values[key] = tuple(render(key, ends) for ends in forwards)
        return left

    def _expand(
        self, values: dict[str, Value], varying: Collection[str], last_hop: Destination | None
    ) -> dict[str, Value]:
        """Replace tokens; take out and return what varies, and what fails, for each host does."""
        left: dict[str, Value] = {}
        alias = values.get("hostkeyalias", ("",))[0]
        login = Login("", "", "", "", alias, last_hop.host if last_hop else "")
        for key in _EXPANDED:
            if key not in self.state.values or key not in values:
                continue
            if key == "forwardagent" and values[key][0] in ("yes", "no"):
                continue
            if not any("%" in word or "$" in word or "~" in word for word in values[key]):
                continue
            expanded: Value | None = None
            if key not in varying:
                tokens = token_values(login, self.surroundings)
                with contextlib.suppress(ValueError):
                    expanded = BY_NAME[key].expand(values[key], tokens, self.surroundings)
            if expanded is None:
                left[key] = values.pop(key)
            else:
                values[key] = expanded
        return left

    def _problem(self, key: str, message: object) -> UsageError:
        return problem_at(self.state.origins.get(key, ""), f"{BY_NAME[key].name}: {message}")
