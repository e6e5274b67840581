"""
What a file that came with a project may not say until its owner was trusted with it.

Whether a file is trusted is decided by the caller, by place and content. Here is which lines run
something on this machine, or weaken what ssh checks.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping

from fleetctl.sshconfig.arguments import Value
from fleetctl.sshconfig.dialect import Dialect
from fleetctl.sshconfig.match import HostCondition, MatchCondition

_RUNS = "runs a command on this machine"
_LOADS = "loads code on this machine"
_WEAKENS = "weakens the check of host keys"
_LEAST_RSA_BITS = 1024
#: Of the environment, these tell a host nothing but the language.
_LANGUAGE = re.compile(r"-.*|LANG|LANGUAGE|LC_[A-Z]*\*?", re.DOTALL)


def _unless(*harmless: str) -> Callable[[Value], bool]:
    return lambda value: value[0].lower() not in harmless


#: By keyword: whether a value is forbidden, and what it would do.
_RULES: Mapping[str, tuple[Callable[[Value], bool], str]] = {
    "forwardagent": (_unless("no"), "lends your keys to the host"),
    "gatewayports": (_unless("no"), "opens forwarded ports to other machines"),
    "globalknownhostsfile": (_unless(), _WEAKENS),
    "knownhostscommand": (_unless("none"), _RUNS),
    "localcommand": (_unless("none"), _RUNS),
    "nohostauthenticationforlocalhost": (_unless("no"), _WEAKENS),
    "pkcs11provider": (_unless("none"), _LOADS),
    "proxycommand": (_unless("none"), _RUNS),
    "remoteforward": (_unless(), "lets the host connect from this machine"),
    "revokedhostkeys": (_unless(), _WEAKENS),
    "requiredrsasize": (lambda value: int(value[0]) < _LEAST_RSA_BITS, "accepts weak keys"),
    "sendenv": (
        lambda value: not all(map(_LANGUAGE.fullmatch, value)),
        "sends variables of this machine",
    ),
    "securitykeyprovider": (_unless("none", "internal"), _LOADS),
    "stricthostkeychecking": (_unless("true"), _WEAKENS),
    "userknownhostsfile": (_unless(), _WEAKENS),
    "verifyhostkeydns": (_unless("false"), _WEAKENS),
    "xauthlocation": (_unless(), _RUNS),
}


def objection(keyword: str, value: Value, dialect: Dialect) -> str | None:
    """
    Say what a line would do that an untrusted file may not.

    Args:
        keyword: In lower case.
        value: As parsed from the line.
        dialect: Its default algorithms are the strong ones.

    Returns:
        Such as ``runs a command on this machine``, or None if the line is harmless.
    """
    rule = _RULES.get(keyword)
    if rule is not None:
        is_forbidden, effect = rule
        return effect if is_forbidden(value) else None
    algorithms = dialect.algorithms.get(keyword)
    if algorithms is None:
        return None
    try:
        weak = [name for name in algorithms.choose(value[0]) if name not in algorithms.default]
    except ValueError:
        return None  # it will be an error for a better reason
    return f"allows weak algorithms ({', '.join(weak)})" if weak else None


def condition_objection(condition: HostCondition | MatchCondition) -> str | None:
    """Say the same of a Host or Match line."""
    if isinstance(condition, MatchCondition) and condition.asks("exec"):
        return _RUNS
    return None


def trust_hint(path: str) -> str:
    """Return the command that makes the file trusted, ready to be pasted."""
    return f"fleetctl trust {shlex.quote(path)}"
