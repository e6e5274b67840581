"""
Addresses of the network interfaces that are up, which the standard library does not tell.

Source: getifaddrs(3), getnameinfo(3).
"""

from __future__ import annotations

import ctypes
import socket
import sys

_IS_UP = 0x1
_NUMERIC_HOST = 1 if sys.platform.startswith("linux") else 2
_LONGEST = 1025
_SIZES = {int(socket.AF_INET): 16, int(socket.AF_INET6): 28}


class _Interface(ctypes.Structure):
    pass


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.POINTER(ctypes.c_ubyte)),
]


def list_addresses() -> tuple[str, ...]:
    """Return the IPv4 and IPv6 addresses as text, each once; empty where this is unknown."""
    try:
        libc = ctypes.CDLL(None)
        first = ctypes.POINTER(_Interface)()
        if libc.getifaddrs(ctypes.byref(first)) != 0:
            return ()
    except (AttributeError, OSError):
        return ()
    found: dict[str, None] = {}
    try:
        entry = first
        while bool(entry):
            interface = entry.contents
            if interface.flags & _IS_UP and interface.address:
                text = _render(libc, interface.address)
                if text:
                    found[text] = None
            entry = interface.next
    finally:
        libc.freeifaddrs(first)
    return tuple(found)


def _render(libc: ctypes.CDLL, address: ctypes._Pointer[ctypes.c_ubyte]) -> str:
    # The BSDs put the length of a socket address into its first byte, the family into the second.
    family = address[0] if sys.platform.startswith("linux") else address[1]
    size = _SIZES.get(family)
    if size is None:
        return ""
    text = ctypes.create_string_buffer(_LONGEST)
    failed = libc.getnameinfo(address, size, text, _LONGEST, None, 0, _NUMERIC_HOST)
    return "" if failed else text.value.decode("ascii", "replace")
