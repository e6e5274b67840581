"""
Who besides the user can change what stands at a path.

Every folder and link on the way counts: whoever can write to one of them can put another file at
its end. The superuser can do so anyway and is not a stranger.

Source: sshd(8), StrictModes; path_resolution(7).
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOST_LINKS = 40
_SUPERUSER = 0


@dataclass(frozen=True, slots=True)
class Account:
    """
    Whose files are one's own.

    Attributes:
        uid: Number of the user.
        private_gid: Number of a group that has nobody else in it; None if there is none. Where
            each user has one, umask 002 is common and files are writable by it.
    """

    uid: int
    private_gid: int | None = None

    @classmethod
    def from_process(cls) -> Account:
        """Return who runs this program."""
        uid = os.geteuid()
        try:
            user = pwd.getpwuid(uid)
            group = grp.getgrgid(user.pw_gid)
        except KeyError:
            return cls(uid)
        is_private = group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
        return cls(uid, user.pw_gid if is_private else None)


def find_stranger(path: Path, account: Account) -> str | None:
    """
    Say who else can change what stands at the path.

    A folder, and the folder of a file, must not be writable by others at all; in folders above
    the sticky bit is enough, as in ``/tmp``.

    Returns:
        Such as ``/srv/fleet can be written by everybody``, or None if nobody can.

    Raises:
        OSError: There is no such file, or it cannot be reached.
    """
    steps = list(_steps(path))
    is_folder = stat.S_ISDIR(steps[-1][1].st_mode)
    above = len(steps) - (1 if is_folder else 2)
    for number, (place, status) in enumerate(steps):
        found = stranger_at(status, account, sticky_is_enough=number < above)
        if found is not None:
            return f"{place} {found}"
    return None


def stranger_at(status: os.stat_result, account: Account, *, sticky_is_enough: bool) -> str | None:
    """
    Say who besides the user can change one folder, link or file, or None.

    Args:
        sticky_is_enough: In a folder with the sticky bit, others cannot replace what is not theirs.
    """
    if status.st_uid not in (account.uid, _SUPERUSER):
        return f"belongs to {_user_name(status.st_uid)}"
    mode = status.st_mode
    # The mode of a link says nothing; who may replace it is a matter of its folder.
    if stat.S_ISLNK(mode) or (sticky_is_enough and mode & stat.S_ISVTX and stat.S_ISDIR(mode)):
        return None
    if mode & stat.S_IWOTH:
        return "can be written by everybody"
    if mode & stat.S_IWGRP and status.st_gid != account.private_gid:
        return f"can be written by the group {_group_name(status.st_gid)}"
    return None


def _steps(path: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield every folder and link that leads to the file, from the root, and the file."""
    here = "/"
    yield here, os.lstat(here)
    ahead = list(reversed(Path(os.path.abspath(path)).parts[1:]))
    links = 0
    while ahead:
        part = ahead.pop()
        if part == "..":
            here = os.path.dirname(here)
            continue
        place = os.path.join(here, part)
        status = os.lstat(place)
        yield place, status
        if not stat.S_ISLNK(status.st_mode):
            here = place
            continue
        links += 1
        if links > _MOST_LINKS:
            raise OSError(f"too many links on the way to {path}")
        target = os.readlink(place)
        if target.startswith("/"):
            here = "/"
        ahead += [part for part in reversed(target.split("/")) if part not in ("", ".")]


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
