"""
What it means that a gateway opened no stream.
"""

from __future__ import annotations

from fleetctl.model.errors import FleetError

#: Source: RFC 4254 section 5.1.
_PROHIBITED, _UNKNOWN_TYPE, _NO_RESOURCES = 1, 3, 4
_EXHAUSTED = ("too many open files", "resource", "no buffer space", "cannot assign requested")
_NAME_UNKNOWN = ("name or service", "name resolution", "nodename", "not known", "no address")
_UNSAID = ("", "open failed", "connect failed")
_UNREACHABLE = ("no route", "unreachable", "timed out", "host is down", "not permitted")


class StreamRefused(FleetError):
    """
    The gateway may have no room for another stream on this connection.

    Attributes:
        others: Streams it carried then, as far as it had not refused them.
    """

    others = 0


def refused_open(hop: str, target: str, code: int, text: str) -> FleetError:
    """
    Say why a gateway opened no stream.

    sshd gives one code for most reasons and puts the system's words behind it. Only what the
    gateway itself forbids or lacks has `hop`; what it says of the host is the host's failure.

    Source: RFC 4254 section 5.1; OpenSSH's channels.c, connect_to and channel_post_connecting.
    """
    text = next(iter(text.splitlines()), "")
    words = text.lower()
    if code == _PROHIBITED or "prohibited" in words or "not allowed" in words:
        return FleetError(
            "connect.refused",
            f"the gateway does not forward to {target}: {text or 'administratively prohibited'}",
            hint="see AllowTcpForwarding and PermitOpen in its sshd_config",
            hop=hop,
        )
    if code == _UNKNOWN_TYPE:
        return FleetError(
            "connect.refused",
            f"the gateway knows no such forwarding: {text}",
            hint="its SSH server must support it, and AllowStreamLocalForwarding",
            hop=hop,
        )
    if code == _NO_RESOURCES or any(part in words for part in _EXHAUSTED):
        return StreamRefused(
            "connect.unreachable",
            f"the gateway has no room for another stream: {text or 'resource shortage'}",
            hint="see the limit of open files of its sshd",
            retryable=True,
            hop=hop,
        )
    where = f"{target}, from gateway {hop}: {text or 'connect failed'}"
    if words in _UNSAID:
        # sshd has neither a descriptor for the stream nor a route to the host, and says which only
        # in its log.
        return StreamRefused(
            "connect.unreachable",
            where,
            hint="see the log of the gateway's sshd: no route, or too many open files",
            retryable=True,
        )
    if any(part in words for part in _NAME_UNKNOWN):
        return FleetError(
            "resolve.dns", where, hint="the name is looked up at the gateway; check HostName"
        )
    if any(part in words for part in _UNREACHABLE):
        return FleetError(
            "connect.unreachable",
            where,
            hint="check the address, the route and firewalls, seen from the gateway",
            retryable=True,
        )
    return FleetError("connect.refused", where, hint="is sshd running there, and is Port right?")
