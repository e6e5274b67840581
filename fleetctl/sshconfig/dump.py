"""
A resolved configuration as text, line by line as ``ssh -G`` writes it.
"""

from __future__ import annotations

from fleetctl.sshconfig.keywords import KEYWORDS
from fleetctl.sshconfig.resolve import Resolved

#: ssh writes every keyword in lower case but one.
_SPELLINGS = {"canonicalizepermittedcnames": "canonicalizePermittedcnames"}


def dump(resolved: Resolved) -> str:
    """
    Return the text, every line ended by a newline.

    Source: measured with OpenSSH 9.2; keywords it does not know stand where later ones have them.
    """
    lines: list[str] = []
    for keyword in KEYWORDS:
        value = resolved.values.get(keyword.key)
        if value is None:
            continue
        name = _SPELLINGS.get(keyword.key, keyword.key)
        if keyword.each_on_line:
            lines.extend(f"{name} {element}\n" for element in value)
        else:
            lines.append(f"{name} {' '.join(value)}\n")
    return "".join(lines)
