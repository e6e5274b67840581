"""
Which lines of an authorized_keys file let somebody in, on a server of some version, at some time.

Source: OpenSSH auth2-pubkeyfile.c, auth_check_authkey_line and auth_authorise_keyopts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fleetctl.keys.authorized_keys_dropbear import read_as_dropbear
from fleetctl.keys.authorized_keys_lines import AuthorizedKey, KeyFileText, Line
from fleetctl.keys.options_from import from_allows, why_void
from fleetctl.keys.options_server import ServerVersion, why_skipped
from fleetctl.keys.options_times import describe_moment, parse_expiry_time

#: ``live`` lets the key in from everywhere, ``conditional`` under a condition that ``why`` tells.
#: ``elsewhere`` does not let it in from the address that was asked about. ``authority`` lets in who
#: has a certificate of that key. ``shadowed`` never counts: an earlier line with the key does.
State = Literal[
    "live",
    "conditional",
    "authority",
    "elsewhere",
    "expired",
    "shadowed",
    "dead",
    "disabled",
    "comment",
    "blank",
]
#: States in which a line lets somebody in.
LETS_IN: frozenset[State] = frozenset({"live", "conditional", "authority"})


@dataclass(frozen=True, slots=True)
class LineState:
    """
    What a line is worth.

    Attributes:
        key: The key in it, as this server reads it.
        why: The reason, in words; empty for ``live`` without options, comments and blanks.
        expires: When it stops or stopped to count, in seconds since 1970 (UTC); None for never.
        shadowed_by: Number of the line that counts instead.
    """

    line: Line
    state: State
    key: AuthorizedKey | None = None
    why: str = ""
    expires: int | None = None
    shadowed_by: int | None = None

    @property
    def lets_in(self) -> bool:
        return self.state in LETS_IN


def liveness(
    text: KeyFileText,
    *,
    at: int,
    utc_offset: int,
    server: ServerVersion,
    client_address: str | None = None,
) -> tuple[LineState, ...]:
    """
    Return what each line is worth, in the order of the file.

    Args:
        at: Seconds since 1970 (UTC), by the host's clock.
        utc_offset: Of the host's time zone, in seconds: sshd takes times for local ones.
        client_address: Where from, as the server sees it; None asks about every address, so that
            lines with ``from`` are conditional. Names are taken as not looked up (UseDNS no).
    """
    counting: dict[tuple[bytes, bool], int] = {}
    states = []
    for line, key, problem in _as_read(text, server):
        state = _state_of(line, key, problem, at, utc_offset, server, client_address)
        if key is not None and state.state in LETS_IN:
            identity = key.blob, key.is_authority
            earlier = counting.get(identity)
            if earlier is not None:
                why = f"line {earlier} has the same key, and counts"
                state = LineState(line, "shadowed", key, why, state.expires, earlier)
            elif client_address is not None or not _has(key, "from"):
                counting[identity] = line.number
        states.append(state)
    return tuple(states)


def _as_read(
    text: KeyFileText, server: ServerVersion
) -> Iterator[tuple[Line, AuthorizedKey | None, str | None]]:
    """Yield each line, the key the server finds in it, and why it skips it."""
    if server.is_dropbear:
        yield from read_as_dropbear(text, server)
        return
    most = server.max_line
    for line in text.lines:
        problem = line.problem if line.kind == "dead" else None
        if most is not None and line.kind == "key" and len(line.raw + line.eol) > most:
            problem = f"this sshd skips lines of more than {most} bytes"
        yield line, line.key, problem


def _state_of(
    line: Line,
    key: AuthorizedKey | None,
    problem: str | None,
    at: int,
    utc_offset: int,
    server: ServerVersion,
    client_address: str | None,
) -> LineState:
    if problem is not None:
        return LineState(line, "dead", key, problem)
    match line.kind:
        case "disabled" | "comment" | "blank" if key == line.key:
            return LineState(line, line.kind, key)
    assert key is not None
    skipped = server.why_not_key_type(key.key_type) or why_skipped(key.options, server)
    if skipped is not None:
        return LineState(line, "dead", key, skipped)
    expires = _expiry_of(key, utc_offset)
    if expires is not None and expires < at:
        why = f"it expired at {describe_moment(expires)}"
        return LineState(line, "expired", key, why, expires)
    return _condition(line, key, expires, client_address)


def _expiry_of(key: AuthorizedKey, utc_offset: int) -> int | None:
    """Return the first of its times, which is the one that counts."""
    times = [
        parse_expiry_time(option.value).at(utc_offset)
        for option in key.options
        if option.name == "expiry-time" and option.value is not None
    ]
    return min(times, default=None)


def _condition(
    line: Line, key: AuthorizedKey, expires: int | None, client_address: str | None
) -> LineState:
    state: State = "authority" if key.is_authority else "live"
    reasons = []
    for option in key.options:
        if option.name != "from" or option.value is None:
            continue
        void = why_void(option.value)
        if void is not None:
            return LineState(line, "dead", key, void, expires)
        if client_address is None:
            state = "authority" if state == "authority" else "conditional"
            reasons.append(f"only from {option.value}")
        elif not from_allows(option.value, client_address):
            why = f"only from {option.value}, which {client_address} is not"
            return LineState(line, "elsewhere", key, why, expires)
    if key.key_type == "ssh-dss":
        state = "authority" if state == "authority" else "conditional"
        reasons.append("DSA: only where PubkeyAcceptedAlgorithms has ssh-dss")
    if key.is_authority:
        named = [option.value for option in key.options if option.name == "principals"]
        whom = f"the principals {named[0]}" if named else "the name of the user as a principal"
        reasons.append(f"certificates for {whom}")
    if expires is not None:
        reasons.append(f"until {describe_moment(expires)}")
    return LineState(line, state, key, "; ".join(reasons), expires)


def _has(key: AuthorizedKey, name: str) -> bool:
    return any(option.name == name for option in key.options)
