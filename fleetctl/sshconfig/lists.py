"""
Values of several words.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

from fleetctl.sshconfig.arguments import Arguments, Value
from fleetctl.sshconfig.lexer import lower_ascii
from fleetctl.sshconfig.names import parse_domain, parse_number, parse_port
from fleetctl.sshconfig.values import parse_time_s


def words(arguments: Arguments) -> Value | None:
    """Any words; ``none`` must stand alone."""
    if "" in arguments.words:
        raise ValueError("empty argument")
    _check_alone(arguments, "none")
    return arguments.words or None


def _check_alone(arguments: Arguments, *names: str) -> None:
    for word in arguments.words if len(arguments.words) > 1 else ():
        if lower_ascii(word) in names:
            raise ValueError(f'"{word}" argument must appear alone')


def known_hosts_files(arguments: Arguments) -> Value | None:
    """Paths, or ``none``."""
    paths = words(arguments)
    return ("none",) if paths and lower_ascii(paths[0]) == "none" else paths


def log_verbose(arguments: Arguments) -> Value | None:
    """Patterns; ssh 9.2 checks all words and keeps the first."""
    found = words(arguments)
    return found and found[:1]


def send_env(arguments: Arguments) -> Value | None:
    """Patterns of names to send, ``-`` before those no longer to be sent."""
    for word in arguments.words:
        if not word or "=" in word:
            raise ValueError(f'Invalid environment name "{word}"')
    return arguments.words or None


def set_env(arguments: Arguments) -> Value | None:
    """``NAME=VALUE``; the first mention of a name counts."""
    found: dict[str, str] = {}
    for word in arguments.words:
        name, equals, _ = word.partition("=")
        if not equals:
            raise ValueError(f'Invalid SetEnv "{word}"; NAME=VALUE is expected')
        found.setdefault(name, word)
    return tuple(found.values()) or None


def permit_remote_open(arguments: Arguments) -> Value:
    """``host:port`` with ``*`` for any port, ``any`` or ``none``."""
    if not arguments.words:
        raise ValueError(f"missing {arguments.keyword} specification")
    _check_alone(arguments, "any", "none")
    for word in arguments.words:
        if lower_ascii(word) not in ("any", "none"):
            _check_place(word)
    return arguments.words


def _check_place(word: str) -> None:
    if word.startswith("["):
        _, bracket, rest = word.partition("]")
        is_place, port = bool(bracket) and rest.startswith(":"), rest[1:]
    else:
        host, colon, port = word.partition(":")
        is_place = bool(colon) and "/" not in host
    try:
        is_right = is_place and (port == "*" or parse_port(port) > 0)
    except ValueError:
        is_right = False
    if not is_right:
        raise ValueError(f'host:port is expected, not "{word}"')


def canonical_domains(arguments: Arguments) -> Value | None:
    """Domains to search, or ``none``."""
    found = words(arguments)
    return found and tuple(parse_domain(word, lower=True) for word in found)


def permitted_cnames(arguments: Arguments) -> Value | None:
    """``sources:targets``, two pattern lists; ``*`` for everything; or ``none``."""
    _check_alone(arguments, "none")
    rules = []
    for word in arguments.words:
        if lower_ascii(word) == "none":
            return ("none",)
        source, colon, target = lower_ascii(word).partition(":")
        if word != "*" and not (colon and target):
            raise ValueError(f'Invalid permitted CNAME "{word}"; source:target is expected')
        rules.append("*:*" if word == "*" else f"{source}:{target}")
    return tuple(rules) or None


def channel_timeout(arguments: Arguments) -> Value:
    """``type=time``, or ``none``."""
    if not arguments.words:
        raise ValueError(f"no {arguments.keyword} specified")
    _check_alone(arguments, "none")
    for word in arguments.words:
        kind, equals, interval = word.partition("=")
        if lower_ascii(word) != "none" and not (kind and equals and parse_time_s(interval) >= 0):
            raise ValueError(f'invalid channel timeout "{word}"; type=time is expected')
    return arguments.words


def obscure_keystroke_timing(arguments: Arguments) -> Value:
    """``yes``, ``no`` or ``interval:`` and milliseconds from 1 to 1000."""
    word = arguments.one()
    if word in ("yes", "true", "no", "false"):
        return ("yes" if word in ("yes", "true") else "no",)
    name, _, interval = word.partition(":")
    if name != "interval":
        raise ValueError(f'unsupported argument "{word}"')
    return (f"interval:{parse_number(interval, 1, 1000)}",)


def algorithms(arguments: Arguments) -> Value:
    """A comma-separated list, as written; ``+``, ``-`` and ``^`` are applied at the end."""
    word = arguments.one()
    known = arguments.dialect.algorithms.get(arguments.keyword)
    if known is not None and not known.is_valid(word):
        raise ValueError(f"Bad algorithms '{word}'; `ssh -Q {arguments.keyword}` lists them")
    return (word,)


def gssapi_algorithms(arguments: Arguments) -> Value:
    """A comma-separated list; Debian's patch takes no ``+``, ``-`` and ``^`` here."""
    word = arguments.one()
    if word[0] in "+-^":
        raise ValueError(f"Bad GSSAPI KexAlgorithms '{word}'; a plain list is expected")
    return algorithms(arguments)
