"""
IPQoS: the type of service that the packets of a connection are marked with.

Source: ssh_config(5), IPQoS; RFC 2474 (DSCP), RFC 8622 (le); OpenSSH misc.c, parse_ipqos and
set_sock_tos; packet.c, ssh_packet_set_interactive.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleetctl.ssh.wire import SocketWire

#: Name -> value of the byte: the code point and, below it, two bits that are not ours. ssh has 0x01
#: for ``le``, which is one of those bits: the system takes it out, and nothing is marked.
SERVICES: Mapping[str, int] = {
    **{f"af{n}{drop}": n * 0x20 + drop * 0x08 for n in (1, 2, 3, 4) for drop in (1, 2, 3)},
    **{f"cs{n}": n * 0x20 for n in range(8)},
    "ef": 0xB8,
    "le": 0x04,
    "lowdelay": 0x10,
    "throughput": 0x08,
    "reliability": 0x04,
}


def read_services(setting: str) -> tuple[int | None, int | None]:
    """
    Return the values for what is interactive and for everything else; None leaves the system's.

    Args:
        setting: One word for both, or two.

    Raises:
        ValueError: A word is no type of service.
    """
    words = setting.split()
    return _value_of(words[0]), _value_of(words[-1])


def _value_of(word: str) -> int | None:
    name = word.lower()
    if name == "none":
        return None
    if name in SERVICES:
        return SERVICES[name]
    try:
        value = int(name, 8 if name.startswith("0") and name.isdecimal() else 0)
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFF:
        raise ValueError(f"{word} is no type of service")
    return value


def mark(stream: object, setting: str, *, is_interactive: bool) -> None:
    """
    Mark the packets of a stream from now on, as ssh does for a session with or without a terminal.

    Does nothing for a stream that is no socket, such as one through a gateway.

    Raises:
        ValueError: As `read_services`.
    """
    interactive, bulk = read_services(setting)
    service = interactive if is_interactive else bulk
    if service is not None and isinstance(stream, SocketWire):
        stream.mark(service)
