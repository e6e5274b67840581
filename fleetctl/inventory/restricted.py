"""
Which settings only a file that the user owns or has trusted may make.

What was trusted, and by which other signs a file is the user's own, is not known here.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

_OTHERS_MAY_WRITE = 0o022
_RUN = frozenset({"KnownHostsCommand", "LocalCommand", "ProxyCommand", "XAuthLocation"})
_LOAD = frozenset({"PKCS11Provider", "SecurityKeyProvider"})
_KNOWN_HOSTS = frozenset({"GlobalKnownHostsFile", "RevokedHostKeys", "UserKnownHostsFile"})
_ALGORITHMS = frozenset(
    {
        "CASignatureAlgorithms",
        "Ciphers",
        "HostbasedAcceptedAlgorithms",
        "HostKeyAlgorithms",
        "KexAlgorithms",
        "MACs",
        "PubkeyAcceptedAlgorithms",
    }
)
_SWITCHES = frozenset({"NoHostAuthenticationForLocalhost", "VerifyHostKeyDNS"})
_GIVING = frozenset({"ForwardAgent", "GatewayPorts", "RemoteForward", "SendEnv"})
_RESTRICTED = (
    _RUN | _LOAD | _KNOWN_HOSTS | _ALGORITHMS | _SWITCHES | _GIVING | {"StrictHostKeyChecking"}
)
#: Of the environment, these tell a host nothing but the language.
_LANGUAGE = re.compile(r"-.*|LANG|LANGUAGE|LC_[A-Z]*\*?", re.DOTALL)
#: What OpenSSH no longer offers by itself, and wildcards that bring it back.
_WEAK = re.compile(
    r"""
    3des | arcfour | blowfish | cast128 | -cbc | rijndael | ^none$
    | md5 | -96 | umac-64 | ripemd | hmac-sha1
    | group1- | group14-sha1 | group-exchange-sha1
    | ^ssh-rsa | ^ssh-dss | ^rsa1024
    | [*?]
    """,
    re.VERBOSE | re.IGNORECASE,
)


def trust_hint(file: str) -> str:
    """Return the command after which a file may say anything."""
    return f"fleetctl trust {shlex.quote(file)}"


def is_private(path: Path) -> bool:
    """Tell whether only this user and root can write a file, or put another one in its place."""
    try:
        found = [
            each.stat() for end in {path.absolute(), path.resolve()} for each in (end, end.parent)
        ]
    except OSError:  # gone meanwhile, or a pipe
        return False
    own = (0, os.geteuid())
    return all(each.st_uid in own and not each.st_mode & _OTHERS_MAY_WRITE for each in found)


def why_restricted(option: str, words: Sequence[str]) -> str | None:
    """
    Return what an option does that only a trusted file may do, or None if any file may set it.

    Args:
        option: As ssh_config(5) spells it.
        words: The value.
    """
    if option not in _RESTRICTED:
        return None
    value = " ".join(words).lower()
    if option in _RUN:
        return None if value == "none" else "runs a command on this machine"
    if option in _LOAD:
        return None if value in ("none", "internal") else "loads code on this machine"
    if option == "StrictHostKeyChecking":
        return None if value in ("yes", "true") else "weakens the check of host keys"
    if option in _SWITCHES:
        return None if value in ("no", "false") else "weakens the check of host keys"
    if option in _KNOWN_HOSTS:
        return "weakens the check of host keys"
    if option in _GIVING:
        return _why_not_given(option, words)
    allowed = [] if value.startswith("-") else value.lstrip("+^").split(",")
    weak = [name for name in allowed if _WEAK.search(name)]
    return f"allows weak algorithms ({', '.join(weak)})" if weak else None


def _why_not_given(option: str, words: Sequence[str]) -> str | None:
    """Return what of this machine's an option would give to a host."""
    if option == "ForwardAgent":
        return None if words[0].lower() in ("no", "false") else "lends your keys to the host"
    if option == "GatewayPorts":
        is_closed = words[0].lower() in ("no", "false")
        return None if is_closed else "opens forwarded ports to other machines"
    if option == "RemoteForward":
        return "lets the host connect from this machine"
    is_harmless = all(map(_LANGUAGE.fullmatch, words))
    return None if is_harmless else "sends variables of this machine"
