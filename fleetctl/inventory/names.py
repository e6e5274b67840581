"""
What a host or group may be called, and the short form ``user@host:port`` of an address.

Names with characters that patterns, settings or shells give a meaning are refused here, once, so
that nothing later needs to quote them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from fleetctl.model.nodeset import expand

# White space and control characters, what patterns give a meaning, and what ssh(1) refuses.
_FORBIDDEN = re.compile(r"""[\s\x00-\x20\x7f-\x9f,!&^*?\[\]@"'`$\\;<>|(){}/=#]""")
#: Groups that every inventory has.
RESERVED = ("all", "ungrouped")


@dataclass(frozen=True, slots=True)
class Address:
    """``user@host:port`` taken apart; user and port are None where not written."""

    host: str
    user: str | None = None
    port: str | None = None


def check_host_name(name: str) -> str | None:
    """Return why this cannot be the name of a host, or None if it can."""
    if name in RESERVED:
        return f'"{name}" is a group that every inventory has'
    return _check(name) or (
        f'"{name}" has a colon but is not an IPv6 address'
        if ":" in name and not is_ipv6(name)
        else None
    )


def check_group_name(name: str) -> str | None:
    """Return why this cannot be the name of a group, or None if it can."""
    return _check(name) or (f'":" is not allowed in "{name}"' if ":" in name else None)


def _check(name: str) -> str | None:
    if not name:
        return "it is empty"
    if name[0] in "-~":
        return f'"{name}" begins with "{name[0]}"'
    found = _FORBIDDEN.search(name)
    return f'"{name}" contains {_show(found[0])}' if found else None


def _show(character: str) -> str:
    if character.isprintable() and not character.isspace():
        return f'"{character}"'
    return "a space" if character == " " else f"the character U+{ord(character):04X}"


def is_ipv6(text: str) -> bool:
    """Tell whether this is an IPv6 address, with or without a zone (``fe80::1%eth0``)."""
    try:
        IPv6Address(text)
    except ValueError:
        return False
    return True


def parse_address(text: str) -> Address:
    """
    Take ``host``, ``user@host``, ``host:port``, ``[v6]:port`` or a bare IPv6 address apart.

    The host may have ranges (``web[01:20]:2222``) and is not checked further.
    """
    user, at, rest = text.rpartition("@")
    host, port = rest, None
    bracket = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", rest)
    if bracket and is_ipv6(bracket[1]):
        host, port = bracket[1], bracket[2]
    elif not is_ipv6(rest) and re.sub(r"\[[^\]]*\]", "", rest).count(":") == 1:
        host, _, port = rest.rpartition(":")
        if "]" in port:  # the colon is in the brackets of a range
            host, port = rest, None
    return Address(host, user if at else None, port)


def write_out(address: Address) -> Sequence[str]:
    """
    Return the names of the hosts an address with ranges stands for, all of them checked.

    Raises:
        ValueError: It is no range, or one of them cannot be the name of a host.
    """
    names: Sequence[str] = (address.host,)
    if "[" in address.host:
        try:
            names = expand(address.host)
        except ValueError as error:
            raise ValueError(f"this is not a range of hosts: {error}") from None
    for name in names:
        why = check_host_name(name)
        if why:
            raise ValueError(f"this cannot be the name of a host: {why}")
    return names
