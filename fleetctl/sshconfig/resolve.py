"""
What a configuration says about one host, each value with its origin.

The files were read before; here their blocks are gone through, once or, if names are made
canonical or a Match asks for it, twice.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.canonical import Rules, canonicalize
from fleetctl.sshconfig.config import Config, Gate
from fleetctl.sshconfig.finish import Finisher, expand_value, login_of
from fleetctl.sshconfig.jump import parse_hops
from fleetctl.sshconfig.keywords import find_keyword
from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.match import HostCondition
from fleetctl.sshconfig.names import is_safe_host, is_safe_user
from fleetctl.sshconfig.pattern import octets
from fleetctl.sshconfig.state import State, Step, problem_at
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import Login, expand, token_values
from fleetctl.sshconfig.trust import trust_hint


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    Everything the configuration says about one host.

    Attributes:
        values: By keyword in lower case, as ``ssh -G`` writes it: the words of its line, or one
            element per line for keywords that add up. A keyword without a value is missing.
        origin: By keyword in lower case: ``file:line``, several joined by a comma. Missing for
            defaults and for what the caller gave.
        surroundings: Where the tokens of `expanded` come from.
    """

    values: Mapping[str, Value]
    origin: Mapping[str, str]
    surroundings: Surroundings

    def expanded(self, keyword: str) -> Value:
        """
        Return a value as ssh uses it: tokens, ``${NAME}`` and ``~`` replaced.

        ``values`` has some keywords as they were written (IdentityFile, CertificateFile,
        ProxyCommand, LocalCommand …), because ``ssh -G`` prints them so. ``%T`` is NONE, as without
        a tunnel; ``%f %H %I %K %t`` of KnownHostsCommand, known only later, are errors here.

        Returns:
            An empty tuple if the keyword has no value.

        Raises:
            UsageError: An unknown token, or a variable that is not set.
        """
        known = find_keyword(keyword.lower())
        if known is None or known.key not in self.values:
            return ()
        value = self.values[known.key]
        if not (known.tokens or known.takes_tilde) or known.key in _FINISHED:
            return value
        tokens = token_values(login_of(self.values), self.surroundings) | {"T": "NONE"}
        try:
            return expand_value(known, value, tokens, self.surroundings)
        except ValueError as error:
            origin = self.origin.get(known.key, "")
            raise problem_at(origin, f"{known.name}: {error}") from None


#: What the first pass leaves unset has its default from then on, because it has been used.
_USED_BEFORE_FINAL = ("canonicalizefallbacklocal", "canonicalizehostname", "canonicalizemaxdots")

#: Their tokens are replaced already.
_FINISHED = frozenset(
    "controlpath dynamicforward forwardagent hostname identityagent localforward remotecommand "
    "remoteforward userknownhostsfile".split()
)


def resolve(
    config: Config,
    host: str,
    *,
    user: str | None = None,
    port: int | None = None,
    overrides: Sequence[Step] = (),
) -> Resolved:
    """
    Resolve one host.

    Args:
        config: From `fleetctl.sshconfig.load.load_config`.
        host: Name as on the command line of ssh, without user and port.
        user: Remote user if known; before anything in the files.
        port: Port if known; before anything in the files.
        overrides: From `fleetctl.sshconfig.parse.read_options`; before anything in the files.

    Raises:
        UsageError: A name is refused, or a line is wrong for this host: an unknown keyword, a
            command that is not run here, values that do not go together.
        FleetError: ``resolve.dns``: a canonical name is asked for and not found.
    """
    if not is_safe_host(host):
        raise UsageError(f'host "{host}": hostname contains invalid characters')
    if user is not None and not is_safe_user(user):
        raise UsageError(f'host "{host}": remote username "{user}" contains invalid characters')
    state = State()
    if user is not None:
        state.values["user"] = (user,)
    if port is not None:
        state.values["port"] = (str(port),)
    _apply(overrides, state)
    _Pass(config, state, name=host, given=host, is_final=False).go()
    name = _dialled_name(config, state, host)
    if config.wants_final or state.values.get("canonicalizehostname", ("false",)) != ("false",):
        state.values["hostname"] = (name,)
        for key in _USED_BEFORE_FINAL:
            state.values.setdefault(key, config.defaults[key])
        _Pass(config, state, name=name, given=host, is_final=True).go()
    values = Finisher(
        state, host, name, config.surroundings, config.dialect, config.defaults
    ).finish()
    _check_names(values, state)
    return Resolved(values, state.origins, config.surroundings)


def _apply(steps: Sequence[Step], state: State) -> None:
    values, origins = state.values, state.origins
    for action, slot, value, origin in steps:
        if action is not None:
            action(state, slot, value, origin)
        elif slot not in values:
            values[slot] = value
            origins[slot] = origin


def _hostname_so_far(state: State, host: str) -> str:
    """Return HostName with its token replaced, or the name given."""
    value = state.values.get("hostname")
    if value is None:
        return host
    try:
        return expand(value[0], tokens={"h": host})
    except ValueError as error:
        raise problem_at(state.origins.get("hostname", ""), f"HostName: {error}") from None


def _dialled_name(config: Config, state: State, host: str) -> str:
    def lookup(name: str, family: str) -> str | None:
        if config.lookup is None:
            key = "canonicalizehostname"
            origin = state.origins.get(key) or state.origins.get("canonicalizepermittedcnames", "")
            raise problem_at(origin, f'asks for the canonical name of "{host}", which is not known')
        return config.lookup(name, family)

    return canonicalize(_hostname_so_far(state, host), Rules.from_values(state.values), lookup)


def _check_names(values: Mapping[str, Value], state: State) -> None:
    """
    Refuse names from the files that ssh would refuse on its command line.

    They can reach a shell through ProxyCommand just the same. ssh itself does not look at them.
    """
    name = values["hostname"][0]
    if not is_safe_host(name):
        origin = state.origins.get("hostname", "")
        raise problem_at(origin, f'HostName "{name}": hostname contains invalid characters')
    alias = values.get("hostkeyalias", (name,))[0]
    if not is_safe_host(alias):
        origin = state.origins.get("hostkeyalias", "")
        raise problem_at(origin, f'HostKeyAlias "{alias}" contains invalid characters')
    user = values["user"][0]
    if "user" in state.origins and not is_safe_user(user):
        message = f'User "{user}": remote username contains invalid characters'
        raise problem_at(state.origins["user"], message)


@dataclass(slots=True)
class _Pass:
    """
    Going through the blocks once; what the criteria of Match ask about.

    Attributes:
        config: The blocks.
        state: What is known so far; changed.
        name: What Host patterns are compared with.
        given: Name as given.
        is_final: Is it the second time?
        original_host: ``given`` as criteria are compared with it.
        gate: The one being asked.
        active: Answers of gates asked so far.
    """

    config: Config
    state: State
    name: str
    given: str
    is_final: bool
    original_host: str = field(init=False)
    gate: Gate | None = None
    active: dict[int, bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.original_host = octets(lower_ascii(self.given))

    def go(self) -> None:
        """Apply every line that counts for the host."""
        name = octets(self.name)
        segments, state = self.config.segments, self.state
        for number in self.config.index.candidates(name):
            segment = segments[number]
            if segment.gate is None or self._is_active(segment.gate, name):
                _apply(segment.steps, state)

    def _is_active(self, number: int, name: str) -> bool:
        known = self.active.get(number)
        if known is None:
            gate = self.config.gates[number]
            known = gate.parent is None or self._is_active(gate.parent, name)
            if known:
                condition = gate.condition
                if isinstance(condition, HostCondition):
                    known = condition.applies(name)
                else:
                    self.gate = gate
                    known = condition.applies(self)
            self.active[number] = known
        return known

    @property
    def host(self) -> str:
        return octets(lower_ascii(self._host_so_far()))

    @property
    def user(self) -> str:
        return octets(self._user_so_far())

    @property
    def local_user(self) -> str:
        return octets(self.config.surroundings.user)

    @property
    def tag(self) -> str:
        return octets(self.state.values.get("tag", ("",))[0])

    @property
    def addresses(self) -> tuple[str, ...]:
        return self.config.surroundings.addresses

    def _host_so_far(self) -> str:
        if self.is_final:
            return self.state.values["hostname"][0]
        return _hostname_so_far(self.state, self.given)

    def _user_so_far(self) -> str:
        return self.state.values.get("user", (self.config.surroundings.user,))[0]

    def run(self, command: str) -> bool:
        """
        Run the command of Match exec.

        Raises:
            UsageError: Commands are not run here, a name in it means something to a shell, or a
                signal ended it.
        """
        assert self.gate is not None
        origin = self.gate.origin
        login = self._login()
        self._check_safe(login, origin)
        command = expand(command, tokens=token_values(login, self.config.surroundings))
        if self.config.run is None:
            raise problem_at(
                origin,
                f"Match exec runs a command on this machine, which is not allowed here: {command}",
                hint=trust_hint(origin.rpartition(":")[0]),
            )
        status = self.config.run(command)
        if status < 0:
            raise problem_at(origin, f"Match exec: '{command}' was ended by a signal")
        return status == 0

    def _login(self) -> Login:
        values = self.state.values
        host = self._host_so_far()
        jump = values.get("proxyjump", ("none",))[0]
        return Login(
            host=host,
            original_host=self.given,
            user=self._user_so_far(),
            port=values.get("port", ("22",))[0],
            key_alias=values.get("hostkeyalias", (host,))[0],
            jump_host="" if jump == "none" else parse_hops(jump)[-1].host,
        )

    def _check_safe(self, login: Login, origin: str) -> None:
        """Keep names from the files, too, from meaning something to the shell."""
        bad = [name for name in (login.host, login.key_alias) if not is_safe_host(name)]
        if "user" in self.state.origins and not is_safe_user(login.user):
            bad.append(login.user)
        if bad:
            message = f'Match exec: "{bad[0]}" contains invalid characters, kept from the shell'
            raise problem_at(origin, message)
