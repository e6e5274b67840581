"""
From what Paramiko and the peer did to a `FleetError` with a stable kind and a hint.
"""

from __future__ import annotations

from collections.abc import Iterable

import paramiko

from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.ssh.loop_transport import LoopTransport, PeerMisbehaved

#: What a peer's text before its version means. Source: sshd(8), MaxStartups and PerSourcePenalties.
_THROTTLED = ("exceeded maxstartups", "not allowed at this time", "too many connections")
_FOREIGN_GREETINGS = ("HTTP/", "220 ", "220-", "+OK", "* OK", "RFB ", "421 ", "554 ")

_HINTS = {
    "banner.too_long": "is Port that of an SSH server?",
    "banner.ssh1": "the server speaks only SSH 1, which is broken; upgrade it",
    "kex.protocol": "is this an SSH server, and is nothing in between changing bytes?",
    "hostkey.changed": "do not log in again before you know why",
}


def negotiation_failure(transport: LoopTransport) -> FleetError:
    """Say why the key exchange did not come to an end."""
    error: BaseException | None = transport.saved_exception
    if isinstance(error, PeerMisbehaved):
        return FleetError(error.kind, str(error), hint=_HINTS.get(error.kind))
    if transport.disconnected is not None:
        return _disconnected(transport.disconnected[1])
    if not transport.remote_version:
        return _no_version(transport)
    if isinstance(error, paramiko.IncompatiblePeer):
        return _no_common_algorithm(transport, error)
    if error is None or isinstance(error, EOFError | OSError):
        return _ended_during_kex(transport)
    return FleetError(
        "kex.protocol",
        f"the key exchange failed: {type(error).__name__}: {_one_line(str(error))}",
        hint=_HINTS["kex.protocol"],
    )


def negotiation_timeout(transport: LoopTransport, after_s: float) -> FleetError:
    """Say what was missing when the time was over."""
    if transport.remote_version:
        return FleetError(
            "kex.timeout",
            f"the key exchange did not end within {after_s:g} s",
            hint="the host may be overloaded; try a longer --connect-timeout",
            retryable=True,
        )
    said = f" (it sent {_quote(transport.banner_lines[0])})" if transport.banner_lines else ""
    return FleetError(
        "banner.timeout",
        f"connected, but no SSH version came within {after_s:g} s{said}",
        hint="is it an SSH server? it may be overloaded, or a tarpit",
        retryable=True,
    )


def foreign_greeting(lines: list[str]) -> FleetError | None:
    """Return an error if the peer's first line is that of another protocol."""
    if lines and lines[0].startswith(_FOREIGN_GREETINGS):
        return FleetError(
            "banner.not_ssh",
            f"the peer does not speak SSH: it sent {_quote(lines[0])}",
            hint="is Port that of an SSH server?",
        )
    return None


def has_too_many(lines: Iterable[str]) -> bool:
    """Tell whether a server says that it has too many connections, or too many of ours."""
    return any(text in line.lower() for line in lines for text in _THROTTLED)


def _no_version(transport: LoopTransport) -> FleetError:
    lines = transport.banner_lines
    if has_too_many(lines):
        return FleetError(
            "connect.dropped",
            f"the server turned us away: {_quote(lines[0])}",
            hint="too many connections at once: see MaxStartups and PerSourcePenalties there",
            retryable=True,
        )
    if lines:
        return foreign_greeting(lines) or FleetError(
            "banner.not_ssh",
            f"the peer does not speak SSH: it sent {_quote(lines[0])}",
            hint="is Port that of an SSH server?",
        )
    if isinstance(transport.stream_error, ConnectionResetError):
        return FleetError(
            "connect.reset",
            "the connection was reset before the server's version line",
            hint="a firewall, or sshd at its MaxStartups",
            retryable=True,
        )
    return FleetError(
        "connect.dropped",
        "the server closed the connection before its version line",
        hint="sshd may be at its MaxStartups, or hosts.deny or a firewall turns us away",
        retryable=True,
    )


def _ended_during_kex(transport: LoopTransport) -> FleetError:
    was_reset = isinstance(transport.stream_error, ConnectionResetError)
    return FleetError(
        "connect.reset" if was_reset else "connect.dropped",
        f"the connection was {'reset' if was_reset else 'closed'} during the key exchange",
        hint="see the server's log (journalctl -u ssh)",
        retryable=True,
    )


def _disconnected(text: str) -> FleetError:
    if any(reason in text.lower() for reason in _THROTTLED):
        return FleetError(
            "connect.dropped",
            f"the server turned us away: {_one_line(text)}",
            hint="too many connections at once: see MaxStartups and PerSourcePenalties there",
            retryable=True,
        )
    return FleetError(
        "kex.protocol",
        f"the server disconnected: {_one_line(text) or 'without a reason'}",
        hint="see the server's log (journalctl -u ssh)",
    )


#: Paramiko's words -> our option, the peer's list and what we offered.
_LISTS = (
    ("kex", "KexAlgorithms", "kex_algo_list", "preferred_kex"),
    ("host key", "HostKeyAlgorithms", "server_key_algo_list", "preferred_keys"),
    ("ciphers", "Ciphers", "server_encrypt_algo_list", "preferred_ciphers"),
    ("macs", "MACs", "server_mac_algo_list", "preferred_macs"),
    ("compression", "Compression", "server_compress_algo_list", "preferred_compression"),
)


def _no_common_algorithm(transport: LoopTransport, error: BaseException) -> FleetError:
    for words, option, theirs_name, ours_name in _LISTS:
        if words in str(error):
            theirs = _one_line(",".join(transport.peer_offer.get(theirs_name, ())), 600)
            ours = ",".join(getattr(transport, ours_name))
            return FleetError(
                "kex.no_common",
                f"no {option} in common: the server has {theirs}; offered {ours}",
                hint=f"to accept a weaker one for this host: `{option}: +NAME` in its ssh: block",
            )
    return FleetError("kex.no_common", _one_line(str(error)))


def _quote(line: str) -> str:
    """Show a peer's text: one line, bounded; control characters are escaped where it is printed."""
    return f'"{beginning(line, 80)}"'


def _one_line(text: str, limit: int = 200) -> str:
    return beginning(next(iter(text.splitlines()), ""), limit)
