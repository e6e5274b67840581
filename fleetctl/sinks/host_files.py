"""
Names of files for hosts, safe whatever a host is called (S07).

Letters, digits, ``.``, ``-`` and ``_`` stay; every other byte of the name's UTF-8 is written as
``%2F``. A name never begins with a dot, a dash or an underscore.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

#: Longest name of a file in bytes, an ending and a mark included, is 255 on every file system.
MAX_BYTES = 200
_MARK_DIGITS = 16

_UNSAFE = re.compile(rb"[^A-Za-z0-9._-]|^[._-]")


def file_stems(names: Iterable[str]) -> dict[str, str]:
    """
    Return host name -> what the names of its files begin with; no two are alike.

    Names that differ only in case get a mark made from the name, ``Web1~0123456789abcdef``, for
    file systems that do not tell them apart; so do names that are too long, and the empty one.
    """
    wanted = {name: _quote(name) for name in names}
    shared = Counter(stem.casefold() for stem in wanted.values())
    return {
        name: stem if shared[stem.casefold()] == 1 and 0 < len(stem) <= MAX_BYTES else marked(name)
        for name, stem in wanted.items()
    }


def marked(name: str) -> str:
    """Return a stem that no other name has, whatever the others are."""
    mark = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_DIGITS]
    # A tilde of the name itself is quoted, so only a mark has one.
    return f"{_quote(name)[: MAX_BYTES - _MARK_DIGITS - 1]}~{mark}"


def _quote(name: str) -> str:
    content = name.encode("utf-8", "surrogatepass")
    quoted = _UNSAFE.sub(lambda match: b"%%%02X" % match[0][0], content)
    return quoted.decode("ascii")
