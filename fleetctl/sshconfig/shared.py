"""
The part of an answer that is the same for all hosts for which the same lines count.

It is finished once; what has the name of the host or the login in it is put in for each host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.forwards import expand_paths, render
from fleetctl.sshconfig.keywords import BY_NAME
from fleetctl.sshconfig.layered import Layered
from fleetctl.sshconfig.names import Destination
from fleetctl.sshconfig.state import problem_at
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import Login, token_values

#: Keywords that say which host and login is meant.
NAMES = frozenset({"host", "hostname", "port", "user"})


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """
    What hosts have in common. Compare with ``is``; usable as a key of a dictionary.

    Hosts with the same object have, for every keyword that is not in ``varying``, the same value,
    the same origin and the same result of `fleetctl.sshconfig.resolve.Resolved.expanded`. What a
    program makes of these needs to be made only once. Two objects can still say the same.

    Attributes:
        values: By keyword in lower case, without those in ``varying`` whose values differ.
        origin: By keyword in lower case, without HostName, Port and User.
        varying: Keywords in lower case that can differ from host to host: ``host``, ``hostname``,
            ``port``, ``user``, and those that have a token such as ``%h`` or ``%C`` in them.
        unfinished: Values with such tokens, as written, that are printed without them.
        forwards: Forwardings with such tokens, both ends and which of them are paths.
        last_hop: Of ProxyJump, the one nearest to the host.
        used: Results of ``expanded`` that do not vary, once they were asked for.
    """

    values: Mapping[str, Value]
    origin: Mapping[str, str]
    varying: frozenset[str]
    unfinished: Mapping[str, Value]
    forwards: Mapping[str, Sequence[Value]]
    last_hop: Destination | None
    used: dict[str, Value] = field(default_factory=dict, repr=False)

    def login(self, given: str, host: str, user: str, port: str) -> Login:
        """
        Return what tokens say about one host.

        Args:
            given: The name of the host as given.
            host: The name or address to be dialled.
            user: The remote user.
            port: The port.
        """
        return Login(
            host=host,
            original_host=given,
            user=user,
            port=port,
            key_alias=self.values.get("hostkeyalias", (given,))[0],
            jump_host=self.last_hop.host if self.last_hop else "",
        )

    def values_for(self, login: Login, surroundings: Surroundings) -> Mapping[str, Value]:
        """
        Return the value of every keyword that has one.

        Raises:
            UsageError: The host is its own gateway, or a token is unknown.
        """
        self._check_loop(login)
        own: dict[str, Value] = {
            "host": (login.original_host,),
            "hostname": (login.host,),
            "user": (login.user,),
            "port": (login.port,),
        }
        if self.unfinished or self.forwards:
            tokens = token_values(login, surroundings)
            for key, forwards in self.forwards.items():
                own[key] = tuple(self._render(key, ends, tokens) for ends in forwards)
            for key, value in self.unfinished.items():
                try:
                    own[key] = BY_NAME[key].expand(value, tokens, surroundings)
                except ValueError as error:
                    raise self.problem(key, error) from None
        return Layered(own, self.values)

    def _check_loop(self, login: Login) -> None:
        hop = self.last_hop
        if hop is None or hop.host != login.host:
            return
        if (hop.user or login.user, str(hop.port or 22)) == (login.user, login.port):
            raise self.problem("proxyjump", f"jumphost loop via {hop.host}")

    def _render(self, key: str, ends: Value, tokens: dict[str, str]) -> str:
        try:
            return render(key, expand_paths(ends, tokens))
        except ValueError as error:
            raise self.problem(key, error) from None

    def problem(self, key: str, message: object) -> UsageError:
        """Return an error about the line that set the keyword."""
        return problem_at(self.origin.get(key, ""), f"{BY_NAME[key].name}: {message}")
