"""
What a configuration says about one host, each value with its origin.

The files were read before; here their blocks are gone through, once or, if names are made
canonical or a Match asks for it, twice. What the lines add up to is worked out once for all hosts
for which the same lines count.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.blocks import split_naming
from fleetctl.sshconfig.canonical import canonicalize
from fleetctl.sshconfig.config import Config
from fleetctl.sshconfig.finish import Finisher
from fleetctl.sshconfig.keywords import find_keyword
from fleetctl.sshconfig.layered import Layered
from fleetctl.sshconfig.names import is_safe_host, is_safe_user
from fleetctl.sshconfig.outcome import Outcome
from fleetctl.sshconfig.shared import Shared
from fleetctl.sshconfig.state import State, Step, problem_at
from fleetctl.sshconfig.surroundings import Surroundings
from fleetctl.sshconfig.tokens import token_values
from fleetctl.sshconfig.walk import Naming, Walk


@dataclass(frozen=True, slots=True)
class Resolved:
    """
    Everything the configuration says about one host.

    Hosts for which the same lines count have the same ``shared`` object. Apart from the keywords in
    ``shared.varying`` they agree in everything that is said here, so what a program makes of the
    others can be kept by ``shared`` and made once for all of them::

        settings = made.get(resolved.shared)
        if settings is None:
            settings = made[resolved.shared] = make(resolved)
        settings = adapt(settings, {key: resolved.expanded(key) for key in resolved.shared.varying})

    HostName, Port and User always vary, and do not keep hosts from sharing; a different origin of
    any other keyword does.

    Attributes:
        values: By keyword in lower case, as ``ssh -G`` writes it: the words of its line, or one
            element per line for keywords that add up. A keyword without a value is missing.
        origin: By keyword in lower case: ``file:line``, several joined by a comma. Missing for
            defaults and for what the caller gave.
        surroundings: Where the tokens of `expanded` come from.
        shared: What it has in common with other hosts.
        tokens: Replacements of tokens, once they were needed.
    """

    values: Mapping[str, Value]
    origin: Mapping[str, str]
    surroundings: Surroundings
    shared: Shared = field(compare=False, repr=False)
    tokens: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def expanded(self, keyword: str) -> Value:
        """
        Return a value as ssh uses it: tokens, ``${NAME}`` and ``~`` replaced.

        ``values`` has some keywords as they were written (IdentityFile, CertificateFile,
        ProxyCommand, LocalCommand …), because ``ssh -G`` prints them so. ``%T`` is NONE, as without
        a tunnel; ``%f %H %I %K %t`` of KnownHostsCommand, known only later, are errors here.

        Costs no more than a look into a dictionary if it was asked for another host before, and
        does not vary.

        Returns:
            An empty tuple if the keyword has no value.

        Raises:
            UsageError: An unknown token, or a variable that is not set.
        """
        known = find_keyword(keyword.lower())
        if known is None:
            return ()
        used = self.shared.used.get(known.key)
        if used is not None:
            return used
        value = self.values.get(known.key, ())
        if value and (known.tokens or known.takes_tilde) and known.key not in _FINISHED:
            try:
                value = known.expand(value, self._tokens(), self.surroundings)
            except ValueError as error:
                origin = self.origin.get(known.key, "")
                raise problem_at(origin, f"{known.name}: {error}") from None
        if known.key not in self.shared.varying:
            self.shared.used[known.key] = value
        return value

    def _tokens(self) -> Mapping[str, str]:
        if not self.tokens:
            values = self.values
            names = (values[key][0] for key in ("host", "hostname", "user", "port"))
            login = self.shared.login(*names)
            self.tokens.update(token_values(login, self.surroundings), T="NONE")
        return self.tokens


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
    naming = Naming(host)
    if user is not None:
        naming.values["user"] = (user,)
    if port is not None:
        naming.values["port"] = (str(port),)
    named, others = split_naming(overrides)
    naming.learn(named)
    start = State()
    start.apply(others)
    walk = Walk(config, naming, start, name=host)
    lines: tuple[object, ...] = (others, walk.go())
    outcome = config.outcomes.find(lines, walk.state)
    name = _dialled_name(config, naming, outcome)
    if config.wants_final or outcome.rules.mode != "false":
        naming.values["hostname"] = (name,)
        start = outcome.state.copy()
        for key in _USED_BEFORE_FINAL:
            start.values.setdefault(key, config.defaults[key])
        walk = Walk(config, naming, start, name=name, is_final=True)
        outcome = config.outcomes.find((*lines, walk.go()), walk.state)
    if outcome.shared is None:
        outcome.shared = Finisher(
            outcome.state,
            config.surroundings,
            config.dialect,
            config.defaults,
            config.outcomes.chosen,
        ).finish()
    return _resolved(config, outcome.shared, naming, name)


def _dialled_name(config: Config, naming: Naming, outcome: Outcome) -> str:
    def lookup(name: str, family: str) -> str | None:
        if config.lookup is None:
            origins = outcome.state.origins
            key = "canonicalizehostname"
            origin = origins.get(key) or origins.get("canonicalizepermittedcnames", "")
            message = f'asks for the canonical name of "{naming.given}", which is not known'
            raise problem_at(origin, message)
        return config.lookup(name, family)

    return canonicalize(naming.host(), outcome.rules, lookup)


def _resolved(config: Config, shared: Shared, naming: Naming, name: str) -> Resolved:
    user = naming.values.get("user", (config.surroundings.user,))[0]
    port = naming.values.get("port", config.defaults["port"])[0]
    login = shared.login(naming.given, name, user, port)
    values = shared.values_for(login, config.surroundings)
    _check_names(values, shared, naming)
    return Resolved(values, Layered(naming.origins, shared.origin), config.surroundings, shared)


def _check_names(values: Mapping[str, Value], shared: Shared, naming: Naming) -> None:
    """
    Refuse names from the files that ssh would refuse on its command line.

    They can reach a shell through ProxyCommand just the same. ssh itself does not look at them.
    """
    name = values["hostname"][0]
    if not is_safe_host(name):
        origin = naming.origins.get("hostname", "")
        raise problem_at(origin, f'HostName "{name}": hostname contains invalid characters')
    alias = values.get("hostkeyalias", (name,))[0]
    if not is_safe_host(alias):
        origin = shared.origin.get("hostkeyalias", "")
        raise problem_at(origin, f'HostKeyAlias "{alias}" contains invalid characters')
    user = values["user"][0]
    if "user" in naming.origins and not is_safe_user(user):
        message = f'User "{user}": remote username contains invalid characters'
        raise problem_at(naming.origins["user"], message)
