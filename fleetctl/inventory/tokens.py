"""
What ``~`` and ``%h`` in settings stand for.

Source: ssh_config(5), section TOKENS; ssh(1) takes the home from the password database, not from
the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass


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


def expand_path(path: str, tokens: Mapping[str, str], account: LocalAccount) -> str:
    """
    Expand ``~``, ``~user`` and tokens in the name of a file.

    Raises:
        ValueError: Unknown token or user, or an environment variable.
    """
    if path.startswith("~"):
        if path == "~" or path.startswith("~/"):
            path = account.home + path[1:]
        else:
            expanded = os.path.expanduser(path)
            if expanded == path:
                raise ValueError(f'"{path}" names a user who does not exist here')
            path = expanded
    if "${" in path:
        raise ValueError(f'environment variables are not expanded: "{path}"; write the path out')
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
            known = " ".join(f"%{name}" for name in tokens)
            raise ValueError(f'"%{letter}" is none of the tokens {known} %%')
        return tokens[letter]

    return re.sub(r"%(.?)", value_of, text, flags=re.DOTALL) if "%" in text else text
