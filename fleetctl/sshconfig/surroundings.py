"""
What ssh_config may ask about this machine and this user: the one place that looks, once.

Everything else in this package gets a `Surroundings`, so that a test can make one up.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from fleetctl.sshconfig.interfaces import list_addresses

FindHome: TypeAlias = Callable[[str], str | None]
IsPrivateGroup: TypeAlias = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    The local side of a login.

    Attributes:
        user: Local user name.
        uid: Local user id.
        home: Home directory according to the user database, as ssh uses it for ``~`` and ``%d``.
        host_name: Name of this machine, with its domain if it has one.
        environment: Environment variables; ``HOME`` is where relative Includes are looked up.
        addresses: Of the interfaces that are up, for ``Match localnetwork``.
        find_home: Home directory of another user, or None.
        is_private_group: Has the group of that id no member but the user?
    """

    user: str
    uid: int
    home: str
    host_name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    find_home: FindHome = lambda _: None
    is_private_group: IsPrivateGroup = lambda _: False

    @classmethod
    def from_process(cls, environment: Mapping[str, str]) -> Surroundings:
        """
        Look at the running process and the machine; meant for the edge of the program.

        Args:
            environment: The variables of the process, which only the edge may read.
        """
        entry = pwd.getpwuid(os.getuid())
        return cls(
            user=entry.pw_name,
            uid=entry.pw_uid,
            home=entry.pw_dir,
            host_name=socket.gethostname(),
            environment=dict(environment),
            addresses=list_addresses(),
            find_home=_find_home,
            is_private_group=lambda gid: _is_private_group(gid, entry.pw_uid),
        )

    @property
    def include_home(self) -> str:
        """The directory whose ``.ssh`` relative Includes of the user's files are relative to."""
        return self.environment.get("HOME") or self.home

    def expand_tilde(self, path: str) -> str:
        """
        Replace a leading ``~`` or ``~user``.

        Raises:
            ValueError: There is no such user.
        """
        if not path.startswith("~"):
            return path
        user, _, rest = path[1:].partition("/")
        home = self.find_home(user) if user else self.home
        if home is None:
            raise ValueError(f"No such user {user}")
        return (home if home.endswith("/") else home + "/") + rest.lstrip("/")


def _find_home(user: str) -> str | None:
    try:
        return pwd.getpwnam(user).pw_dir
    except (KeyError, ValueError):
        return None


def _is_private_group(gid: int, uid: int) -> bool:
    try:
        group = grp.getgrgid(gid)
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        return False
    members = {entry.pw_name for entry in pwd.getpwall() if entry.pw_gid == gid}
    return members | set(group.gr_mem) == {user}
