"""
Names of hosts and users: which ones are refused, and how destinations are written.

A name may end up in a command line (ProxyCommand, Match exec), so names that a shell or an option
parser would read otherwise are refused, as ssh does since CVE-2023-51385 and CVE-2025-61984.
"""

from __future__ import annotations

import re
import socket
import urllib.parse
from dataclasses import dataclass

from fleetctl.sshconfig.lexer import lower_ascii

_BAD_IN_HOST = re.compile(r"^-|['`\"$\\;&<>|(){}, \x00-\x1f\x7f]")
_BAD_IN_USER = re.compile(r"^-|['`\";&<>|(){}\x00-\x1f\x7f]| -|\\\Z")
_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_ADDRESS = re.compile(r"[0-9.]*")
_NUMBER = re.compile(r"[ \t-\r]*(?P<sign>[+-]?)0*(?P<digits>[0-9]+)")
_MOST_DIGITS = 40


@dataclass(frozen=True, slots=True)
class Destination:
    """
    Where to log in, as far as it was written.

    Attributes:
        host: Name or address, without brackets.
        user: None if not given.
        port: None if not given.
    """

    host: str
    user: str | None = None
    port: int | None = None


def is_safe_host(name: str) -> bool:
    """Would ssh accept the name of a host from its command line?"""
    return bool(name) and _BAD_IN_HOST.search(name) is None


def is_safe_user(name: str) -> bool:
    """Would ssh accept the name of a user from its command line?"""
    return bool(name) and _BAD_IN_USER.search(name) is None


def is_ipv4_like(name: str) -> bool:
    """Is the name made of nothing but digits and dots?"""
    return _ADDRESS.fullmatch(name) is not None


def is_address_like(name: str) -> bool:
    """Can this only be an address, whether or not it is a valid one?"""
    return ":" in name or "%" in name or is_ipv4_like(name)


def parse_domain(name: str, *, lower: bool = False) -> str:
    """
    Check a domain name and return it without its last dot.

    Raises:
        ValueError: It is not a domain name.
    """
    if not name:
        raise ValueError("empty domain name")
    if not (name[0].isascii() and name[0].isalnum()):
        raise ValueError(f'domain name "{name}" starts with invalid character')
    if ".." in name:
        raise ValueError(f'domain name "{name}" contains consecutive separators')
    if _DOMAIN.fullmatch(name) is None:
        raise ValueError(f'domain name "{name}" contains invalid characters')
    return (lower_ascii(name) if lower else name).removesuffix(".")


def parse_number(text: str, lowest: int, highest: int) -> int:
    """
    Parse a whole decimal number.

    Raises:
        ValueError: It is not one (``invalid``), or ``too small``, or ``too large``.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError("invalid")
    # A number of thousands of digits is out of any range, and Python would refuse to read it.
    number = int(found["sign"] + found["digits"][:_MOST_DIGITS])
    if number < lowest:
        raise ValueError("too small")
    if number > highest:
        raise ValueError("too large")
    return number


def parse_port(text: str) -> int:
    """
    Parse a port from 0 to 65535, or the name of a TCP service.

    Raises:
        ValueError: It is neither.
    """
    try:
        return parse_number(text, 0, 65535)
    except ValueError:
        pass
    try:
        return socket.getservbyname(text, "tcp")
    except (OSError, ValueError):
        raise ValueError(f"Bad port '{text}'; a number from 1 to 65535 is expected") from None


def parse_destination(text: str) -> Destination:
    """
    Parse ``[user@]host[:port]`` or ``ssh://[user@]host[:port]``.

    Raises:
        ValueError: It is neither, or the port is not from 1 to 65535.
    """
    if text.startswith("ssh://"):
        return _parse_uri(text)
    user, at, place = text.rpartition("@")
    if at and not user:
        raise ValueError(f'no user before "@" in "{text}"')
    host, delimiter, port = _cut_host(place)
    if delimiter == "/":
        raise ValueError(f'host[:port] is expected, not "{text}"')
    return _destination(text, user or None, host, port)


def _parse_uri(text: str) -> Destination:
    authority = text.removeprefix("ssh://")
    before, at, place = authority.partition("@")
    if not at:
        before, place = "", authority
    user = before.partition(";")[0]
    if at and not user:
        raise ValueError(f'no user before "@" in "{text}"')
    if re.search(r"%(?![0-9A-Fa-f]{2})", user):
        raise ValueError(f'bad %-escape in the user of "{text}"')
    host, delimiter, rest = _cut_host(place)
    port = rest if delimiter == ":" else ""
    path = rest if delimiter == "/" else ""
    if delimiter == ":" and "/" in rest:
        port, _, path = rest.partition("/")
        if not port:
            raise ValueError(f'no port behind ":" in "{text}"')
    if path:
        raise ValueError(f'a path is not expected: "{text}"')
    name = parse_domain(_without_brackets(host))
    decoded = urllib.parse.unquote_plus(user, errors="surrogateescape")
    return _destination(text, decoded.partition("\0")[0] or None, name, port)


def _cut_host(place: str) -> tuple[str, str, str]:
    """Cut ``host:rest`` or ``host/rest``; an address in brackets may contain colons."""
    if place.startswith("["):
        address, bracket, rest = place.partition("]")
        if not bracket or (rest and rest[0] not in ":/"):
            raise ValueError(f'":port" is expected behind "]" in "{place}"')
        return address + bracket, rest[:1], rest[1:]
    found = re.search(r"[:/]", place)
    if found is None:
        return place, "", ""
    return place[: found.start()], found[0], place[found.end() :]


def _destination(text: str, user: str | None, host: str, port: str) -> Destination:
    if not host:
        raise ValueError(f'no host in "{text}"')
    number = parse_port(port) if port else None
    if number == 0:
        raise ValueError(f"Bad port '{port}'; a number from 1 to 65535 is expected")
    return Destination(_without_brackets(host), user, number)


def _without_brackets(host: str) -> str:
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host
