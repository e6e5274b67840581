"""
Forwardings as values: where somebody listens, and where what connects there is taken to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from fleetctl.model.failure import Failure

ForwardKind = Literal["local", "remote", "dynamic"]

#: How ssh writes the target of a forwarding that is a SOCKS proxy.
_SOCKS = "[socks]:0"
_PLACE = r"\[(?P<host>[^\]]*)\]:(?P<port>[0-9]{1,5})"
_LISTENER = re.compile(rf"(?:{_PLACE}|(?P<only>[0-9]{{1,5}}))(?: |\Z)")
_TARGET = re.compile(rf"{_PLACE}\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """
    A TCP port.

    Attributes:
        host: Name or address. Of a listener None if none was given, and ``*`` or nothing for all
            addresses.
        port: 0 for any that is free.
    """

    host: str | None
    port: int

    def __str__(self) -> str:
        if self.host is None:
            return str(self.port)
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SocketPath:
    """A Unix-domain socket."""

    path: str

    def __str__(self) -> str:
        return self.path


Endpoint: TypeAlias = Place | SocketPath


@dataclass(frozen=True, slots=True)
class Forward:
    """
    One forwarding.

    Attributes:
        kind: ``local`` and ``dynamic`` listen here, ``remote`` on the host.
        listen: Where.
        target: Seen from the other side; None for what a SOCKS client asks for.
    """

    kind: ForwardKind
    listen: Endpoint
    target: Endpoint | None

    def __str__(self) -> str:
        letter = {"local": "-L", "remote": "-R", "dynamic": "-D"}[self.kind]
        return f"{letter} {self.listen}" + (f":{self.target}" if self.target else "")


def parse_forward(kind: ForwardKind, line: str) -> Forward:
    """
    Parse a forwarding written as ``ssh -G`` prints it: ``8080 [web]:80``, ``[::1]:1080``.

    Source: OpenSSH's readconf.c, dump_cfg_forwards.
    """
    found = _LISTENER.match(line)
    if found is not None:
        listen: Endpoint = Place(found["host"], int(found["port"] or found["only"]))
        rest = line[found.end() :]
    else:
        path, _, rest = line.partition(" ")
        listen = SocketPath(path)
    if not rest or rest == _SOCKS:
        return Forward(kind, listen, None)
    place = _TARGET.match(rest)
    if place is not None:
        return Forward(kind, listen, Place(place["host"], int(place["port"])))
    return Forward(kind, listen, SocketPath(rest))


@dataclass(frozen=True, slots=True)
class Listening:
    """
    A forwarding is there.

    Attributes:
        places: Where it really listens; the port is the one that was found if any was right.
    """

    forward: Forward
    places: tuple[Endpoint, ...]


@dataclass(frozen=True, slots=True)
class NotListening:
    """A forwarding could not be had."""

    forward: Forward
    failure: Failure


@dataclass(frozen=True, slots=True)
class ConnectionRefused:
    """
    Somebody connected to a forwarding, and got no further.

    The failure may have words of theirs, or of the host, in it.
    """

    forward: Forward
    failure: Failure


ForwardEvent: TypeAlias = Listening | NotListening | ConnectionRefused
