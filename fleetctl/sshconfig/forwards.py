"""
LocalForward, RemoteForward and DynamicForward: both ends of a forwarding.

Source: ssh_config(5); measured against ``ssh -G``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from fleetctl.sshconfig.arguments import Arguments, Value
from fleetctl.sshconfig.names import parse_port
from fleetctl.sshconfig.tokens import expand

#: As in the buffers of ssh; a Unix socket's path must fit into its address.
_LONGEST_SPEC = 255
_LONGEST_PATH = 107
#: How ssh writes the target of a forwarding that has none: a name that means SOCKS to it.
_SOCKS = "[socks]:"
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Field:
    text: str
    is_path: bool = False


@dataclass(frozen=True, slots=True)
class _End:
    text: str
    is_path: bool
    port: int | None


def local_forward(arguments: Arguments) -> Value:
    """``[address:]port`` or a path, and ``host:port`` or a path."""
    if len(arguments.up_to(2)) < 2 or not arguments.words[1]:
        raise ValueError("Missing target argument; it is written as in 8080 host:80")
    return _parse(":".join(arguments.words), arguments.environment, is_remote=False)


def dynamic_forward(arguments: Arguments) -> Value:
    """``[address:]port`` or a path."""
    return _parse(arguments.one(), arguments.environment, is_remote=False, is_socks=True)


def remote_forward(arguments: Arguments) -> Value:
    """As LocalForward; without a target we are a SOCKS proxy for the host."""
    source, *target = arguments.up_to(2)
    if not target or not target[0]:
        return _parse(source, arguments.environment, is_remote=True, is_socks=True)
    return _parse(f"{source}:{target[0]}", arguments.environment, is_remote=True)


def of_command_line(letter: str, spec: str, environment: Mapping[str, str]) -> Value:
    """
    Return the forwarding of an option ``-L``, ``-R`` or ``-D``.

    Listening on port 0 here, which ssh refuses, takes any port that is free.

    Raises:
        ValueError: It is not a forwarding.

    Source: ssh(1).
    """
    if letter == "R":
        try:
            return _parse(spec, environment, is_remote=True)
        except ValueError:
            return _parse(spec, environment, is_remote=True, is_socks=True)
    is_socks = letter == "D"
    return _parse(spec, environment, is_remote=False, is_socks=is_socks, takes_any_port=True)


def is_dynamic(value: Value) -> bool:
    """Is it a SOCKS proxy, whatever keyword it was written with?"""
    return value[1].startswith(_SOCKS) and "c" not in value[2]


def expand_paths(value: Value, tokens: dict[str, str]) -> Value:
    """Replace the tokens in those ends that are paths."""
    listen, connect, paths = value
    if "l" in paths:
        listen = expand(listen, tokens=tokens)
    if "c" in paths:
        connect = expand(connect, tokens=tokens)
    return listen, connect, paths


def render(keyword: str, value: Value) -> str:
    """Return a forwarding of that keyword, in lower case, as ssh prints it."""
    return value[0] if keyword == "dynamicforward" else f"{value[0]} {value[1]}"


def _parse(
    spec: str,
    environment: Mapping[str, str],
    *,
    is_remote: bool,
    is_socks: bool = False,
    takes_any_port: bool = False,
) -> Value:
    """
    Return three words: where to listen, where to connect, and which of them are paths (``lc``).

    Raises:
        ValueError: It is not a forwarding.
    """
    text = expand(spec, environment=environment).lstrip(" \t\n\v\f\r")
    fields = _split(text) if len(spec) <= _LONGEST_SPEC else []
    ends = _dynamic_ends(fields) if is_socks else _both_ends(fields)
    if ends is None or not all(_is_valid(end) for end in ends):
        raise ValueError(f'Bad forwarding specification "{spec}"')
    listen, connect = ends
    takes_any_port = takes_any_port or is_remote
    if (listen.port == 0 and not takes_any_port) or (connect.port == 0 and not is_socks):
        raise ValueError(f'Bad forwarding specification "{spec}"; a port cannot be 0 here')
    paths = "l" * listen.is_path + "c" * connect.is_path
    return listen.text, connect.text, paths


def _is_valid(end: _End) -> bool:
    if end.is_path:
        return len(end.text.encode("utf-8", "surrogateescape")) <= _LONGEST_PATH
    return end.port is not None


def _dynamic_ends(fields: list[_Field]) -> tuple[_End, _End] | None:
    socks = _End(f"{_SOCKS}0", is_path=False, port=0)
    match fields:
        case [_Field(is_path=True) as path]:
            return _path(path), socks
        case [port]:
            return _place(None, port), socks
        case [address, _Field(is_path=False) as port]:
            return _place(address, port), socks
        case [_, _]:  # not dynamic, but ssh takes it
            return _both_ends(fields)
    return None


def _both_ends(fields: list[_Field]) -> tuple[_End, _End] | None:
    match fields:
        case [_Field(is_path=True) as listen, _Field(is_path=True) as connect]:
            return _path(listen), _path(connect)
        case [port, _Field(is_path=True) as connect]:
            return _place(None, port), _path(connect)
        case [_Field(is_path=True) as listen, host, port]:
            return _path(listen), _place(host, port)
        case [address, port, _Field(is_path=True) as connect]:
            return _place(address, port), _path(connect)
        case [listen_port, host, port]:
            return _place(None, listen_port), _place(host, port)
        case [address, listen_port, host, port]:
            return _place(address, listen_port), _place(host, port)
    return None


def _path(field: _Field) -> _End:
    return _End(field.text, is_path=True, port=None)


def _place(host: _Field | None, port: _Field) -> _End:
    try:
        number = parse_port(port.text)
    except ValueError:
        number = None
    text = str(number) if host is None else f"[{host.text}]:{number}"
    return _End(text, is_path=False, port=number)


def _split(text: str) -> list[_Field]:
    """
    Split at colons; brackets protect them, and so does a backslash.

    Returns:
        At most four fields; none if the text has more or a bracket is not closed.
    """
    fields: list[_Field] = []
    rest: str | None = text
    while rest and len(fields) < 4:
        if rest.startswith("["):
            found = re.match(r"\[([^\]]*)\](?::|\Z)", rest)
            if found is None:
                return []
            fields.append(_Field(found[1], "/" in found[1]))
            rest = rest[found.end() :]
        else:
            found = re.match(r"((?:\\.|[^\\:])*)(:?)", rest, re.DOTALL)
            assert found is not None
            if found.end() < len(rest) and not found[2]:
                return []  # a backslash with nothing behind it
            field = _ESCAPED.sub(r"\1", found[1])
            fields.append(_Field(field, "/" in _ESCAPED.sub("", found[1])))
            rest = rest[found.end() :]
    return [] if rest else fields
