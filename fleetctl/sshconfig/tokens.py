"""
``%h`` and ``${NAME}`` in values: how they are replaced, and by what.

Which keyword takes which tokens is in the table of keywords.

Source: ssh_config(5), TOKENS and ENVIRONMENT VARIABLES.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleetctl.sshconfig.surroundings import Surroundings

#: Tokens of most keywords; ``%j`` is younger than OpenSSH 9.2.
USUAL_TOKENS = "CLdhijklnpru"

_TOKEN = re.compile(r"%(?P<key>.?)", re.DOTALL)
_VARIABLE = re.compile(r"\$\{(?P<name>[^}]*)(?P<end>\}?)")
_BOTH = re.compile(f"{_TOKEN.pattern}|{_VARIABLE.pattern}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Login:
    """
    What the tokens say about one login.

    Attributes:
        host: Name or address that is dialled, ``%h``.
        original_host: As given, ``%n``.
        user: Remote user, ``%r``.
        port: ``%p``.
        key_alias: ``%k``.
        jump_host: ``%j``; empty without ProxyJump.
    """

    host: str
    original_host: str
    user: str
    port: str
    key_alias: str
    jump_host: str = ""


def token_values(login: Login, surroundings: Surroundings) -> dict[str, str]:
    """Return the replacement of each of `USUAL_TOKENS`."""
    local = surroundings.host_name
    hashed = (local + login.host + login.port + login.user).encode("utf-8", "surrogateescape")
    return {
        "C": hashlib.sha1(hashed, usedforsecurity=False).hexdigest(),
        "L": local.partition(".")[0],
        "d": surroundings.home,
        "h": login.host,
        "i": str(surroundings.uid),
        "j": login.jump_host,
        "k": login.key_alias,
        "l": local,
        "n": login.original_host,
        "p": login.port,
        "r": login.user,
        "u": surroundings.user,
    }


def mentions(text: str, letters: str) -> bool:
    """Is there a token of one of these letters in the text?"""
    return "%" in text and any(found["key"] in letters for found in _TOKEN.finditer(text))


def expand(
    text: str,
    *,
    tokens: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """
    Replace tokens and environment variables; what was put in is not looked at again.

    Args:
        text: The value as written.
        tokens: By letter; None leaves every ``%`` alone. ``%%`` is always known.
        environment: None leaves every ``${NAME}`` alone.

    Raises:
        ValueError: An unknown token, a lone ``%`` at the end, a ``${`` that is not closed or
            empty, or a variable that is not set.
    """

    def replace(found: re.Match[str]) -> str:
        groups = found.groupdict()
        if groups.get("key") is not None:
            return _token(groups["key"], tokens or {})
        return _variable(groups["name"], groups["end"], environment or {})

    if tokens is None:
        return text if environment is None else _VARIABLE.sub(replace, text)
    return (_TOKEN if environment is None else _BOTH).sub(replace, text)


def _token(key: str, tokens: Mapping[str, str]) -> str:
    if key == "%":
        return "%"
    if not key:
        raise ValueError('a single "%" at the end; write "%%" for a percent sign')
    if key not in tokens:
        known = " ".join(f"%{letter}" for letter in ("%", *sorted(tokens)))
        raise ValueError(f"unknown key %{key}; known here are {known}")
    return tokens[key]


def _variable(name: str, end: str, environment: Mapping[str, str]) -> str:
    if not end:
        raise ValueError(f"environment variable '{name}' missing closing '}}'")
    if not name:
        raise ValueError("zero-length environment variable")
    if name not in environment:
        raise ValueError(f"env var ${{{name}}} has no value")
    return environment[name]
