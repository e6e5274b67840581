"""
The command line of ssh-copy-id, letter by letter, and the words it answers with.

Source: ssh-copy-id(1), and the script of OpenSSH 9.2 and later, which reads it with getopts(1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PROGRAM = "ssh-copy-id"
USAGE = (
    f"Usage: {PROGRAM} [-h|-?|-f|-n|-s|-x] [-i [identity_file]] [-p port] "
    "[-F alternative ssh_config file] [-t target_path] [[-o <ssh -o options>] ...] "
    "[user@]hostname\n"
    "\t-f: force mode -- also keys whose private half is not here, which cannot be tried\n"
    "\t-n: dry run    -- no keys are actually copied\n"
    "\t-s: use sftp   -- use sftp instead of executing remote-commands. "
    "Can be useful if the remote only allows sftp\n"
    "\t-x: debug      -- show what is done\n"
    "\t-h|-?: print this help\n"
)

_FLAGS = frozenset("fnsx")
_VALUED = frozenset("opFt")
_HELP = frozenset("h?")


class BadUsage(Exception):
    """The command line is not one of ssh-copy-id; the text says why, and is empty for ``-h``."""


@dataclass(frozen=True, slots=True)
class CopyId:
    """
    What was asked for.

    Attributes:
        destination: ``[user@]hostname``.
        has_identity: ``-i`` was given, with a file or without.
        identity: The file, None for the newest.
        force: ``-f``.
        dry_run: ``-n``.
        sftp: ``-s``.
        debug: ``-x``.
        target_path: ``-t``.
        options: ssh_config options, ``-p`` among them as ``Port=…``, first ones stronger.
        ssh_config: ``-F``.
        port: ``-p`` as it was written.
    """

    destination: str
    has_identity: bool = False
    identity: str | None = None
    force: bool = False
    dry_run: bool = False
    sftp: bool = False
    debug: bool = False
    target_path: str | None = None
    options: tuple[str, ...] = ()
    ssh_config: str | None = None
    port: str | None = None

    @property
    def user(self) -> str | None:
        user, at, _ = self.destination.rpartition("@")
        return user if at else None

    @property
    def hostname(self) -> str:
        return self.destination.rpartition("@")[2]


def parse_words(words: Sequence[str]) -> CopyId:
    """
    Read the words behind the program's name.

    The argument of ``-i`` may be left out: where the next word begins with a dash, or is the last
    one and so the host.

    Raises:
        BadUsage: It cannot be read, or ``-h`` or ``-?`` asks for help.
    """
    values: dict[str, list[str]] = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        letters = word[1:]
        while letters:
            letters = _take(letters, rest, values)
    if not rest:
        raise BadUsage
    if len(rest) > 1:
        got = " ".join(rest)
        raise BadUsage(f"ERROR: Too many arguments.  Expecting a target hostname, got: {got}")
    return _read(values, rest[0])


def _take(letters: str, rest: list[str], values: dict[str, list[str]]) -> str:
    """Take the first of some letters, and its argument; return the letters that are left."""
    letter, argument = letters[0], letters[1:]
    if letter in _HELP:
        raise BadUsage
    if letter in _FLAGS:
        values.setdefault(letter, []).append("")
        return argument
    if letter == "i":
        if "i" in values:
            raise BadUsage("ERROR: -i option must not be specified more than once")
        if not argument and len(rest) > 1 and not rest[0].startswith("-"):
            argument = rest.pop(0)
    elif letter not in _VALUED:
        raise BadUsage(f"illegal option -- {letter}")
    elif not argument:
        if not rest:
            raise BadUsage(f"option requires an argument -- {letter}")
        argument = rest.pop(0)
    values.setdefault(letter, []).append(argument)
    return ""


def _read(values: dict[str, list[str]], destination: str) -> CopyId:
    port = values["p"][-1] if "p" in values else None
    return CopyId(
        destination,
        has_identity="i" in values,
        identity=(values["i"][0] or None) if "i" in values else None,
        force="f" in values,
        dry_run="n" in values,
        sftp="s" in values,
        debug="x" in values,
        target_path=values["t"][-1] if "t" in values else None,
        options=(*([f"Port={port}"] if port else []), *values.get("o", ())),
        ssh_config=values["F"][-1] if "F" in values else None,
        port=port,
    )


def render_added(count: int, asked: CopyId, private_file: str | None) -> str:
    """Return what is printed when all is done."""
    words = ["sftp" if asked.sftp else "ssh"]
    if private_file is not None and asked.has_identity:
        words += ["-i", private_file]
    if asked.port is not None:
        words += ["-P" if asked.sftp else "-p", asked.port]
    words += [f"-o {_quote(option)}" for option in asked.options if option != f"Port={asked.port}"]
    if asked.ssh_config is not None:
        words.append(f"-F {_quote(asked.ssh_config)}")
    words.append(_quote(asked.destination))
    return (
        f"\nNumber of key(s) added: {count}\n\n"
        f'Now try logging into the machine, with: "{" ".join(words)}"\n'
        "and check to make sure that only the key(s) you wanted were added.\n\n"
    )


def render_dry_run(lines: Sequence[str]) -> str:
    """Return what a dry run prints; the lines are those of authorized_keys."""
    rule = "=-=-=-=-=-=-=-="
    shown = "\n".join(lines)
    return f"{rule}\nWould have added the following key(s):\n\n{shown}\n{rule}\n"


ALL_SKIPPED = f"""
{PROGRAM}: WARNING: All keys were skipped because they already exist on the remote system.
\t\t(each was proved by logging in with it)

"""


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
