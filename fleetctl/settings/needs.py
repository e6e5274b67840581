"""
Which hosts take a reader of ssh_config to settle, though there may be no file of it.

Of all others the inventory alone makes the same settings, and starting up stays cheap.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from fleetctl.inventory.entries import Assigned
from fleetctl.inventory.needs import needs_reader as _needs_reader

#: ssh writes names in lower case and addresses in one way; names that it refuses are left to it.
_PLAIN_HOST = re.compile(
    r"""
    (?= .* [a-z_] ) (?! (?: .* \. )? 0x ) [a-z0-9_] [a-z0-9._-]*
    | (?: (?:0|[1-9][0-9]{0,2}) (?: \. | \Z ) ){4} (?<! \. )
    """,
    re.VERBOSE,
)
_PLAIN_USER = re.compile(r"[A-Za-z0-9_.@][A-Za-z0-9_.@-]*")

#: ssh checks each name in these, knows patterns, and changes a default list with ``+ - ^``.
_ALGORITHMS = frozenset(
    {
        "CASignatureAlgorithms",
        "Ciphers",
        "HostKeyAlgorithms",
        "KexAlgorithms",
        "MACs",
        "PubkeyAcceptedAlgorithms",
    }
)
#: Of several spellings of a value ssh keeps one.
_RESPELT = frozenset({"IPQoS"})


def needs_reader(name: str, said: Mapping[str, Assigned]) -> bool:
    """
    Tell whether settling a host takes more than the inventory it stands in.

    Args:
        name: Of the host.
        said: What was said about it, by option name.
    """
    if _PLAIN_HOST.fullmatch(name) is None or any(map(_is_special, said.values())):
        return True
    address = said.get("HostName")
    # Such a host is asked for by its address, and that is then what %n stands for.
    return bool(address and address.variable) and any(
        "%n" in word for assigned in said.values() for word in assigned.words
    )


def _is_special(assigned: Assigned) -> bool:
    name, words = assigned.option.name, assigned.words
    if name in _ALGORITHMS or name in _RESPELT or _needs_reader(assigned):
        return True
    match name:
        case "HostName" | "HostKeyAlias":
            return _PLAIN_HOST.fullmatch(words[0].replace("%h", "h")) is None
        case "User":
            return _PLAIN_USER.fullmatch(words[0]) is None
        case "GlobalKnownHostsFile":
            return any(word.startswith("~") for word in words)
        case "IdentityFile":
            return len(words) > 1 and any(word.lower() == "none" for word in words)
        case "SendEnv":
            return any(word.startswith("-") for word in words)
        case "ConnectTimeout":
            return words == ("none",)
        case _:
            return False
