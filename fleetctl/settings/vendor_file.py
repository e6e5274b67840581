"""
The ssh_config that systems come with, which says next to nothing.

Starting the reader of ssh_config takes longer than such a file is worth, and every run would pay
for it. A file that has nothing in it but the lines listed here is understood on the spot; whatever
else there is needs the reader.
"""

from __future__ import annotations

import re
from pathlib import Path

_MOST_BYTES = 16 * 1024

#: Comments, a block for all hosts, and keywords that have no effect on what fleetctl does.
_NO_EFFECT = re.compile(
    r"""
    \s* (?: \#.*
        | host \s+ \*
        | (?: gssapiauthentication | forwardx11trusted ) \s+ (?: yes | no )
        )? \s*
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_INCLUDE = re.compile(r"\s*include\s+(/[\w./-]+)/\*\.conf\s*", re.IGNORECASE | re.ASCII)
_HASHING = re.compile(r"\s*hashknownhosts\s+(yes|no)\s*", re.IGNORECASE | re.ASCII)

_SENT = re.compile(r"\s*sendenv((?:\s+[a-z_]+\*?)+)\s*", re.IGNORECASE | re.ASCII)

#: An option, its words, and where it is set.
Default = tuple[str, tuple[str, ...], str]


def read_vendor_file(path: Path) -> list[Default] | None:
    """
    Return the settings that a file makes for all hosts: HashKnownHosts and SendEnv at most.

    Returns:
        None if the file has to be read properly; an empty list if there is no file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("ascii")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError):
        return None
    if len(data) > _MOST_BYTES:
        return None
    found: list[Default] = []
    for number, line in enumerate(text.split("\n"), 1):
        if hashing := _HASHING.fullmatch(line):
            if all(name != "HashKnownHosts" for name, _, _ in found):
                found.append(("HashKnownHosts", (hashing[1].lower(),), f"{path}:{number}"))
        elif sent := _SENT.fullmatch(line):
            if any(name == "SendEnv" for name, _, _ in found):
                return None  # they add up
            found.append(("SendEnv", tuple(sent[1].split()), f"{path}:{number}"))
        elif include := _INCLUDE.fullmatch(line):
            if _has_files(Path(include[1])):
                return None
        elif not _NO_EFFECT.fullmatch(line):
            return None
    return found


def _has_files(folder: Path) -> bool:
    try:
        return any(each.name.endswith(".conf") for each in folder.iterdir())
    except FileNotFoundError:
        return False
    except OSError:
        return True
