"""
Why a connection to a forwarding got no further: for people, for SSH and for SOCKS clients.
"""

from __future__ import annotations

import errno
import os
import socket

from fleetctl.model.errors import FleetError
from fleetctl.ssh.socks import Outcome

#: Reason codes. Source: RFC 4254 section 5.1.
PROHIBITED, CONNECT_FAILED, UNKNOWN_TYPE, NO_RESOURCES = 1, 2, 3, 4

#: All that sshd says about sockets.
_UNSAID = ("", "open failed", "connect failed")
_WORDS: tuple[tuple[str, Outcome], ...] = (
    ("refused", "refused"),
    ("no route", "host unreachable"),
    ("network is unreachable", "network unreachable"),
    ("unreachable", "host unreachable"),
    ("timed out", "host unreachable"),
    ("host is down", "host unreachable"),
    ("name or service", "host unreachable"),
    ("name resolution", "host unreachable"),
    ("not known", "host unreachable"),
)
_NUMBERS: dict[int | None, Outcome] = {
    errno.ECONNREFUSED: "refused",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ETIMEDOUT: "host unreachable",
    errno.EACCES: "prohibited",
    errno.EPERM: "prohibited",
}


class ForwardRefused(FleetError):
    """
    The other end of one connection could not be had; kind ``forward.refused``.

    Attributes:
        outcome: What a SOCKS client is told.
        code: What a server is told that opened a channel.
        text: What it is told beside that.
    """

    def __init__(
        self,
        message: str,
        *,
        outcome: Outcome = "failed",
        code: int = CONNECT_FAILED,
        text: str = "Connection failed",
        hint: str | None = None,
    ) -> None:
        super().__init__("forward.refused", message, hint=hint)
        self.outcome: Outcome = outcome
        self.code = code
        self.text = text


def refused_there(host: str, target: str, code: int, text: str) -> ForwardRefused:
    """
    Say why a server opened no channel to a target.

    Args:
        host: Name of the host.
        code: Its reason, and `text` its words.

    Source: RFC 4254 section 5.1; OpenSSH's channels.c, channel_post_connecting.
    """
    text = next(iter(text.splitlines()), "")
    words = text.lower()
    if code == PROHIBITED or "prohibited" in words:
        return ForwardRefused(
            f"{host} does not forward to {target}: {text or 'administratively prohibited'}",
            outcome="prohibited",
            hint="see AllowTcpForwarding, AllowStreamLocalForwarding and PermitOpen in its "
            "sshd_config, and the options of the key in authorized_keys",
        )
    if code == UNKNOWN_TYPE:
        return ForwardRefused(
            f"{host} knows no such forwarding: {text}",
            hint="its SSH server must support it",
        )
    if code == NO_RESOURCES:
        return ForwardRefused(f"{host} has no room for another connection: {text}")
    outcome: Outcome = next((outcome for part, outcome in _WORDS if part in words), "failed")
    hint = "does anybody listen there?" if outcome == "refused" else None
    if words in _UNSAID:
        hint = "does anybody listen there? or see AllowStreamLocalForwarding in its sshd_config"
    return ForwardRefused(
        f"{target}, from {host}: {text or 'connect failed'}", outcome=outcome, hint=hint
    )


def refused_here(target: str, error: OSError) -> ForwardRefused:
    """Say why this machine could not connect to a target."""
    if isinstance(error, socket.gaierror):
        return ForwardRefused(
            f"{target}, from here: {str(error.strerror).lower()}", outcome="host unreachable"
        )
    outcome = _NUMBERS.get(error.errno, "failed")
    reason = os.strerror(error.errno) if error.errno else str(error) or "failed"
    hint = "does anybody listen there?" if outcome == "refused" else None
    code = NO_RESOURCES if error.errno in (errno.EMFILE, errno.ENFILE) else CONNECT_FAILED
    return ForwardRefused(
        f"{target}, from here: {reason.lower()}",
        outcome=outcome,
        code=code,
        text=reason,
        hint=hint,
    )
