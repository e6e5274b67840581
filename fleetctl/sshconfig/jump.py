"""
ProxyJump: a list of hops, the one nearest to us first.

Source: ssh_config(5), ProxyJump.
"""

from __future__ import annotations

import re

from fleetctl.sshconfig.names import (
    Destination,
    is_ipv4_like,
    is_safe_host,
    is_safe_user,
    parse_destination,
)

#: Possible in an ssh:// URI, but unreadable once the hops are written as a list.
_BLURS = re.compile(r"[, #\t-\r]")
_END = re.compile(r"#|(?<=.)[ \t-\r]", re.DOTALL)


def parse_hops(text: str) -> tuple[Destination, ...]:
    """
    Parse the value of ProxyJump.

    Args:
        text: Such as ``user@first:22,ssh://second``; it ends at a blank or ``#``, as in ssh. Not
            ``none``.

    Raises:
        ValueError: A hop is not ``[user@]host[:port]``, or a name in it would be refused on the
            command line of ssh.
    """
    end = _END.search(text)
    hops = tuple(parse_destination(hop) for hop in text[: end.start() if end else None].split(","))
    for hop in hops:
        if not is_safe_host(hop.host):
            raise ValueError(f'invalid hostname "{hop.host}"')
        if hop.user is not None and (not is_safe_user(hop.user) or _BLURS.search(hop.user)):
            raise ValueError(f'invalid username "{hop.user}"')
    return hops


def parse_jump(text: str) -> str:
    """
    Check the value of ProxyJump and return it as ssh prints it; only the last hop is rewritten.

    Raises:
        ValueError: As for `parse_hops`; and a host named none, as by a comment behind ``none``.
    """
    if text.lower() == "none":
        return "none"
    last = parse_hops(text)[-1]
    if last.host.lower() == "none":
        raise ValueError(f'"{text}" would be a host named none; write nothing behind none')
    end = _END.search(text)
    before, comma, _ = text[: end.start() if end else None].rpartition(",")
    user = f"{last.user}@" if last.user else ""
    host = f"[{last.host}]" if ":" in last.host or is_ipv4_like(last.host) else last.host
    port = f":{last.port}" if last.port else ""
    return f"{before}{comma}{user}{host}{port}"
