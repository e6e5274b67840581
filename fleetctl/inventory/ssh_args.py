"""
The words of an ssh command line, as in ``ansible_ssh_common_args``, as ssh_config settings.

Only taking apart: which settings are right, and who may set them, is decided elsewhere.

Source: ssh(1); Ansible splits these variables with Python's `shlex`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

#: Letters followed by a value, and the option each one sets.
_WITH_VALUE = {
    "B": "BindInterface",
    "J": "ProxyJump",
    "b": "BindAddress",
    "c": "Ciphers",
    "i": "IdentityFile",
    "l": "User",
    "m": "MACs",
    "p": "Port",
}
_FLAGS = {
    "4": ("AddressFamily", "inet"),
    "6": ("AddressFamily", "inet6"),
    "A": ("ForwardAgent", "yes"),
    "C": ("Compression", "yes"),
    "a": ("ForwardAgent", "no"),
}
#: Letters that change what ssh prints, or turn off what we never do.
_WITHOUT_EFFECT = frozenset("TknqvxVy")
_KEYWORD = re.compile(r"\s*([^\s=]+)(?:\s*=\s*|\s+)(.*)", re.DOTALL)


def parse_ssh_args(text: str) -> list[tuple[str, str]]:
    """
    Return the settings as (keyword, value), in the order written; the first of a keyword counts.

    Raises:
        ValueError: A quote is not closed, or a word is none of the letters understood.
    """
    try:
        words = [word.strip() for word in shlex.split(text) if word.strip()]
    except ValueError:
        raise ValueError(f"a quote is not closed: {text}") from None
    return list(_read(words))


def _read(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    rest = iter(words)
    for word in rest:
        if len(word) < 2 or word[0] != "-":
            raise ValueError(f'an option such as "-o" is expected, not "{word}"')
        for at, letter in enumerate(word[1:], 2):
            if letter in _FLAGS:
                yield _FLAGS[letter]
            elif letter == "o" or letter in _WITH_VALUE:
                value = word[at:] or next(rest, None)
                if value is None:
                    raise ValueError(f"a value is missing after -{letter}")
                yield _setting(value) if letter == "o" else (_WITH_VALUE[letter], value)
                break
            elif letter == "F":
                raise ValueError("-F is not supported here; give the file to fleetctl: -F FILE")
            elif letter not in _WITHOUT_EFFECT:
                raise ValueError(f'"-{letter}" is not supported here')


def _setting(text: str) -> tuple[str, str]:
    found = _KEYWORD.fullmatch(text)
    if not found:
        raise ValueError(f'KEYWORD=VALUE is expected after -o, not "{text}"')
    return found[1], found[2].strip()
