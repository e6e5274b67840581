"""
Owners and modes that make an SSH server refuse every key in a file: the rule, and nothing else.

Source: OpenSSH misc.c, safe_path; sshd_config(5), StrictModes; dropbear svr-authpubkey.c,
checkpubkeyperms.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fleetctl.keys.place import Component

Fault = Literal["owner", "writable", "unreadable", "kind"]

_ROOT = 0
_WRITABLE_BY_OTHERS = 0o022


@dataclass(frozen=True, slots=True)
class PathProblem:
    """
    One part of a path for which an SSH server refuses the file.

    Attributes:
        fault: ``owner``: it belongs to somebody else than the user or root. ``writable``: by group
            or others. ``unreadable``: the user cannot get through or read it. ``kind``: no
            directory, or no regular file, where one must be.
        message: Path, mode and owner, and what follows.
        fix: A command for the host.
    """

    path: str
    fault: Fault
    message: str
    fix: str

    @property
    def is_of_strict_modes(self) -> bool:
        """Whether ``StrictModes no`` makes the server overlook it."""
        return self.fault in ("owner", "writable")


def path_problems(
    components: Sequence[Component], uid: int, *, strict: bool = True
) -> tuple[PathProblem, ...]:
    """
    Return what is wrong with a path, from its beginning on; nothing if a server takes the file.

    Args:
        components: As of `fleetctl.keys.place.Look`: from the home down to the file, or from ``/``
            where the file lies elsewhere.
        uid: Of the user whose keys they are.
        strict: What StrictModes is; dropbear always is.
    """
    found = (_problem(one, uid, is_file=one is components[-1]) for one in components)
    return tuple(one for one in found if one and (strict or not one.is_of_strict_modes))


def _problem(one: Component, uid: int, *, is_file: bool) -> PathProblem | None:
    path = shlex.quote(one.path)
    if one.kind in {"absent", "link"}:
        return None  # what a link leads to has components of its own
    expected = "file" if is_file else "directory"
    if one.kind != expected:
        message = f"{one.path} is no {'regular file' if is_file else 'directory'}"
        return PathProblem(one.path, "kind", message, f"look at it: ls -ld {path}")
    shown = f"{one.path} (mode {one.mode:04o}, owner {one.owner_name or one.owner})"
    if one.owner not in (_ROOT, uid):
        message = f"{shown} belongs to neither the user nor root: its keys are refused"
        return PathProblem(one.path, "owner", f"{message} (StrictModes)", f"chown {uid} {path}")
    if one.mode & _WRITABLE_BY_OTHERS:
        whom = "others" if one.mode & 0o002 else "its group"
        message = f"{shown} can be written by {whom}: its keys are refused (StrictModes)"
        return PathProblem(one.path, "writable", message, f"chmod go-w {path}")
    # sshd reads the file as the user; root's own files are opened with the rights of the user, too.
    # Of somebody else's part the group may be the user's.
    needed = 0o4 if is_file else 0o1
    allowed = needed << 6 if one.owner == uid else needed << 3 | needed
    if uid != _ROOT and not one.mode & allowed:
        what = "read it" if is_file else "go through it"
        letters = f"{'u' if one.owner == uid else 'o'}+{'r' if is_file else 'x'}"
        message = f"{shown}: the user cannot {what}, and keys are read as the user"
        return PathProblem(one.path, "unreadable", message, f"chmod {letters} {path}")
    return None
