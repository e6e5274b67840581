"""
One user's authorized_keys on one host: what a look at it finds, and what may be done with it.

Everything about the bytes themselves is in `fleetctl.keys.authorized_keys`. Whether a shell or SFTP
does the work on the host is behind `KeysFile`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from fleetctl.model.remote import Remote

#: What lies at a path. ``other`` is a device, a socket, a pipe.
FileKind = Literal["directory", "file", "link", "absent", "other"]

#: Longer files are not read. Source: the promise in the guide; sshd has no limit.
MAX_FILE_BYTES = 4 * 1024 * 1024
#: So long the target waits for a confirmation before it puts the old file back, in seconds.
DEAD_MAN_S = 120
#: Backups kept beside the file.
BACKUPS_KEPT = 3


@dataclass(frozen=True, slots=True)
class Target:
    """
    Whose authorized_keys, and where.

    Attributes:
        user: None for whoever logs in, or has been become.
        path: Where the file is, if sshd's settings are not to be asked; may have ``%h %u %U %%``
            and a leading ``~/``. Relative paths count from the home.
        follow_links: Where the file is a symbolic link, go to what it leads to; else it is refused.
    """

    user: str | None = None
    path: str | None = None
    follow_links: bool = False


@dataclass(frozen=True, slots=True)
class Component:
    """
    One part of the path from the home down to the file, or of the home itself.

    Attributes:
        owner: User id.
        owner_name: As the host calls it; the number in digits where it has no name.
        mode: Permission bits, ``0o700``; of a link those are meaningless.
        links: Hard links.
    """

    path: str
    kind: FileKind
    owner: int = 0
    owner_name: str = ""
    mode: int = 0
    links: int = 1


@dataclass(frozen=True, slots=True)
class KeySource:
    """
    Another place from which sshd takes keys of this user.

    Attributes:
        setting: ``authorizedkeysfile``, ``authorizedkeyscommand``, ``trustedusercakeys``,
            ``authorizedprincipalsfile``, ``authorizedprincipalscommand``; ``authorized_keys2`` for
            that file where sshd's settings are not known.
        path: The file, expanded; the command as it is configured.
        data: The file's bytes, None if it is absent or no file or cannot be read.
    """

    setting: str
    path: str
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """
    What a look at one user's authorized_keys found.

    Attributes:
        user: Name on the host.
        uid: Who the work is done as.
        home: From the password database.
        shell: Login shell, from there too.
        path: Of the file, absolute; links resolved if that was asked for.
        data: Its bytes; None if there is no file.
        checksum: What ``cksum`` says of it, ``""`` without a file.
        components: From the home down to the file, that included; from ``/`` if it lies elsewhere.
        sources: Other places of keys.
        sshd: Settings of sshd for this user, lower case names; empty where they are not known,
            because only root may ask.
        server_version: As the server introduced itself, such as ``OpenSSH_9.2p1 Debian-2``.
        clock: The host's, in seconds since 1970 (UTC).
        utc_offset: Of the host's time zone, in seconds; times in authorized_keys are local to it.
        tools: Which of the tools that are used if found it has, such as ``restorecon``.
        lock: The mark of the lock that is held; None if none is.
        waiting: Tokens of dead men that wait for a confirmation of an earlier swap of this file:
            whoever left them was killed. Until they are confirmed the old file may come back.
    """

    user: str
    uid: int
    home: str
    shell: str
    path: str
    data: bytes | None
    checksum: str
    components: tuple[Component, ...]
    sources: tuple[KeySource, ...] = ()
    sshd: Mapping[str, str] | None = None
    server_version: str = ""
    clock: int = 0
    utc_offset: int = 0
    tools: frozenset[str] = frozenset()
    lock: str | None = None
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeadMan:
    """
    A guard that is left on the host before the swap: without a confirmation in time it puts the old
    file back, if the file still has the bytes that we wrote.

    Attributes:
        seconds: Until it acts.
        never_back: Blobs of keys that must not come back, because others may have them: it does not
            restore a file with one of them (``--compromised``).
    """

    seconds: int = DEAD_MAN_S
    never_back: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Swapped:
    """
    A swap that was made and read back.

    Attributes:
        path: Of the file.
        backup: Path of the old one, None if there was none.
        before: Its bytes.
        after: Those that are there now.
        token: The dead man's, to confirm with; None if none waits.
        guard: What the dead man runs under: ``setsid``, ``nohup``, ``systemd-run``, ``at``.
        changed_modes: Paths whose mode was mended, with the mode before.
    """

    path: str
    backup: str | None
    before: bytes | None
    after: bytes
    token: str | None = None
    guard: str | None = None
    changed_modes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """
    An older version beside the file.

    Attributes:
        at: Seconds since 1970 (UTC) when it was made.
        run_id: Of the run that made it.
    """

    path: str
    at: int
    run_id: str
    size: int


class KeysFile(Protocol):
    """
    One user's authorized_keys on one host.

    Raises:
        FleetError: From every method: ``resolve`` to ``session`` as of every `Remote`, and
            ``keys.no_home``, ``keys.unsafe_path`` (a link, hard links, a foreign owner; the message
            names the path), ``keys.too_large``, ``keys.read``, ``keys.protocol`` (what answered is
            not what was asked).
    """

    async def look(self, *, lock: bool = False) -> Look:
        """
        Look at the file, and with ``lock`` take the lock beside it first (waits up to 10 s).

        Raises:
            FleetError: ``keys.busy``: another one works on it; names who.
        """
        ...

    async def swap(
        self,
        look: Look,
        data: bytes,
        *,
        dead_man: DeadMan | None = None,
        fix_modes: bool = False,
    ) -> Swapped:
        """
        Put these bytes in the place of those that were looked at, under the lock.

        Afterwards the lock is free; nothing but the file, and its backup, has changed, and after a
        failure nothing at all.

        Args:
            fix_modes: Mend owner and modes of what StrictModes of sshd objects to.

        Raises:
            FleetError: ``keys.changed``: somebody else wrote meanwhile, look again;
                ``keys.write``: with the host's reason (ENOSPC, EROFS, EDQUOT, EPERM of an immutable
                file); ``keys.no_guard``: no dead man could be left, or it is not alive.
        """
        ...

    async def swap_back(self, swapped: Swapped) -> None:
        """
        Undo a swap, by the same rules; the dead man, if one waits, is told to leave.

        Raises:
            FleetError: ``keys.changed``, ``keys.write``.
        """
        ...

    async def confirm(self, swapped: Swapped, over: Remote) -> None:
        """
        Tell the dead man that all is well, over a login made with a credential that remains.

        Raises:
            FleetError: ``keys.restored``: it has acted already.
        """
        ...

    async def unlock(self, look: Look) -> None:
        """Free the lock without having changed anything."""
        ...

    async def backups(self) -> tuple[Backup, ...]:
        """List the backups beside the file, newest first."""
        ...

    async def read_backup(self, backup: Backup) -> bytes:
        """Return what a backup has in it."""
        ...
