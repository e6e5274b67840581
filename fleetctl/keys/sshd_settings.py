"""
The settings of sshd as it prints them itself.
"""

from __future__ import annotations

from collections.abc import Mapping


def parse_settings(text: str) -> Mapping[str, str]:
    """
    Return name -> value of what ``sshd -T`` prints.

    Names are lower case. Of a name that comes several times, such as ``acceptenv``, the values are
    in lines of one value.

    >>> parse_settings("strictmodes yes\\nacceptenv LANG\\nacceptenv LC_*\\n")
    {'strictmodes': 'yes', 'acceptenv': 'LANG\\nLC_*'}

    Source: sshd(8), -T.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.strip().partition(" ")
        if name:
            key = name.lower()
            found[key] = f"{found[key]}\n{value}" if key in found else value
    return found
