"""
What ``~`` and ``%h`` in settings stand for, where one look at the host is enough to know.

What takes more (``%C``, ``${NAME}`` …) is left as it is for whoever reads ssh_config.

Source: ssh_config(5), section TOKENS; ssh(1) takes the home from the password database, not from
the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

#: Tokens that are not replaced here.
_LATER = "CLijkl"
_TOKEN = re.compile(r"%(.?)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LocalAccount:
    """The user who runs fleetctl, as the password database has it."""

    name: str
    home: str


def current_account() -> LocalAccount:
    """Look up the user of this process."""
    import pwd  # not on every platform

    entry = pwd.getpwuid(os.getuid())
    return LocalAccount(entry.pw_name, entry.pw_dir)


def is_for_later(text: str) -> bool:
    """Tell whether the text has something in it that is not expanded here."""
    return "${" in text or ("%" in text and any(t and t in _LATER for t in _TOKEN.findall(text)))


def expand_path(path: str, tokens: Mapping[str, str], account: LocalAccount) -> str:
    """
    Expand ``~``, ``~user`` and tokens in the name of a file, unless it `is_for_later`.

    Raises:
        ValueError: Unknown token or user.
    """
    if is_for_later(path):
        return path
    if path.startswith("~"):
        if path == "~" or path.startswith("~/"):
            path = account.home + path[1:]
        else:
            expanded = os.path.expanduser(path)
            if expanded == path:
                raise ValueError(f'"{path}" names a user who does not exist here')
            path = expanded
    return expand_tokens(path, tokens)


def expand_tokens(text: str, tokens: Mapping[str, str]) -> str:
    """
    Replace ``%x`` by what the tokens say; ``%%`` is a percent sign.

    Raises:
        ValueError: Unknown token.
    """

    def value_of(match: re.Match[str]) -> str:
        letter = match[1]
        if letter == "%":
            return "%"
        if letter not in tokens:
            more = _LATER if "n" in tokens else ""
            known = " ".join(f"%{name}" for name in sorted((*tokens, *more)))
            raise ValueError(f'"%{letter}" is none of the tokens {known} %%')
        return tokens[letter]

    return _TOKEN.sub(value_of, text) if "%" in text else text
