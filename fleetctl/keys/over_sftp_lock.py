"""
The lock beside an authorized_keys file, over SFTP: a folder, because making one is atomic.

It is the remote program's lock too: `fleetctl/keys/remote/sh/lock.sh` keeps to the same rules.
"""

from __future__ import annotations

import asyncio
import platform
import random
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from fleetctl.keys.over_sftp_names import (
    gone_path,
    lock_path,
    new_path,
    note_path,
    one_word,
)
from fleetctl.keys.over_sftp_steps import to_its_end
from fleetctl.model.errors import FleetError
from fleetctl.ssh.sftp import Attributes, OpenFlags, SftpClient, SftpError, Status, is_absent

#: A lock whose holder has not been heard of for so long is taken over, as by the remote program.
STALE_S = 120
#: How long a lock is waited for, and the waits between, in seconds.
WAIT_S = 10.0
PAUSES_S = (0.1, 0.4)
MAX_NOTE_BYTES = 1024
#: More than these has no lock in it.
_MAX_ENTRIES = 100
#: So often a lock may have been freed between a refusal to make it and a look at it.
_MAX_REFUSALS = 5


@dataclass(frozen=True, slots=True)
class Taken:
    """
    A lock that is held.

    Attributes:
        uid: Whose it is on the host: the user who works there.
        clock: The host's, in seconds since 1970 (UTC), when it was taken.
    """

    uid: int
    clock: int


@dataclass(frozen=True, slots=True)
class _Holder:
    """
    Who has a lock.

    Attributes:
        note: As it stands there; empty if there is none yet.
        since: By the host's clock.
    """

    note: str
    since: int

    @property
    def mark(self) -> str:
        return self.note.partition(" ")[0]

    @property
    def name(self) -> str:
        _, host, run_id, *_ = [*self.note.split(), "", "", ""]
        return f"run {run_id} from {host}" if run_id else "it has left no name"


async def take(client: SftpClient, path: str, mark: str, run_id: str) -> Taken:
    """
    Take the lock of a file, waiting for it for 10 s at most; one that we hold already is ours.

    Args:
        path: Of the file; its folder exists.
        mark: Ours, and nobody else's; one word.

    Raises:
        FleetError: ``keys.busy``: another one works on it; the message says who.
        SftpError: The lock cannot be made here.
    """
    try:
        return await _wait_for(client, path, mark, run_id)
    except BaseException:
        with suppress(SftpError):
            await release(client, path, mark)
        raise


async def _wait_for(client: SftpClient, path: str, mark: str, run_id: str) -> Taken:
    deadline = monotonic() + WAIT_S
    clock = _HostClock(client, f"{gone_path(path, mark)}-clock")
    refusals = 0
    while (taken := await to_its_end(_make(client, path, mark, run_id))) is None:
        holder = await _holder(client, path)
        if holder is None:
            refusals += 1
            if refusals > _MAX_REFUSALS:
                message = "mkdir: refused again and again, though nothing is there"
                raise SftpError("files.failed", message, status=Status.FAILURE, path=path)
            continue
        refusals = 0
        if holder.mark == mark:
            # What an earlier session of ours left in it when it was cut.
            with suppress(SftpError):
                await client.remove(new_path(path))
            return await _look_at(client, path)
        age_s = abs(await to_its_end(clock.now()) - holder.since)
        if age_s > STALE_S:
            await to_its_end(
                _take_away(client, path, holder.note, mark, is_old=age_s > 2 * STALE_S)
            )
            continue
        if monotonic() > deadline:
            raise FleetError(
                "keys.busy",
                f"{path}: another one works on it: {holder.name}",
                hint=f"if nobody does: on the host, rm -r {lock_path(path)}",
                retryable=True,
            )
        await asyncio.sleep(random.uniform(*PAUSES_S))  # noqa: S311 - jitter
    return taken


async def is_held(client: SftpClient, path: str, mark: str) -> bool:
    """Tell whether the lock is still ours."""
    holder = await _holder(client, path)
    return holder is not None and holder.mark == mark


async def release(client: SftpClient, path: str, mark: str) -> None:
    """
    Free the lock, and remove what lies in it; nothing if it is not ours.

    Raises:
        SftpError: It, or what was in it, is still there.
    """
    if await is_held(client, path, mark):
        await _discard(client, path, mark)


async def _make(client: SftpClient, path: str, mark: str, run_id: str) -> Taken | None:
    """Make the folder, and leave a note in it; None if there is one, or was one just now."""
    try:
        await client.make_directory(lock_path(path), 0o700)
    except SftpError as error:
        if error.kind == "files.failed" or await _exists(client, lock_path(path)):
            return None
        raise
    try:
        words = (mark, one_word(platform.node()), one_word(run_id))
        taken = await _write_note(client, path, " ".join(words))
    except BaseException:
        with suppress(SftpError):
            await _discard(client, path, mark)
        raise
    if taken is None:
        # Somebody saw it without a note, and wrote from when it is to grow old.
        await _discard(client, path, mark)
    return taken


async def _exists(client: SftpClient, path: str) -> bool:
    try:
        await client.lstat(path)
    except SftpError as error:
        if is_absent(error):
            return False
        raise
    return True


async def _look_at(client: SftpClient, path: str) -> Taken:
    # It was made just now, by the host's clock.
    found = await client.lstat(lock_path(path))
    return Taken(found.uid or 0, found.mtime or 0)


async def _write_note(client: SftpClient, path: str, note: str) -> Taken | None:
    """Leave a note with the time of the host; None if there is one already."""
    flags = OpenFlags.WRITE | OpenFlags.CREAT | OpenFlags.EXCL
    # At once: the shorter a lock has no note, the better.
    taken, handle = await asyncio.gather(
        _look_at(client, path),
        client.open(note_path(path), flags, Attributes(mode=0o600)),
        return_exceptions=True,
    )
    if isinstance(handle, SftpError) and await _exists(client, note_path(path)):
        return None
    if isinstance(taken, BaseException):
        raise taken
    if isinstance(handle, BaseException):
        raise handle
    # Over whatever somebody wrote who saw it empty: that is shorter.
    await client.write(handle, f"{note} {taken.clock}\n".encode())
    await client.close(handle)
    return taken


async def _holder(client: SftpClient, path: str) -> _Holder | None:
    """Return who has the lock; None if nobody has it any more."""
    try:
        since = (await client.lstat(lock_path(path))).mtime or 0
    except SftpError as error:
        if is_absent(error):
            return None
        raise
    try:
        found = await client.read_file(note_path(path), max_bytes=MAX_NOTE_BYTES)
    except SftpError as error:
        if error.status is None:
            raise
        found = None  # it is not written yet, or the lock was freed just now
    note = (found or b"").partition(b"\n")[0].decode("utf-8", "replace")
    written = note.split()[3:4]
    # Whoever holds it for long says so anew.
    if written and written[0].isascii() and written[0].isdecimal():
        since = int(written[0])
    return _Holder(note, since)


async def _take_away(client: SftpClient, path: str, note: str, mark: str, *, is_old: bool) -> None:
    """
    Take a lock from a holder who is gone. Of all who come to this end one goes on, and only with
    the lock that he has judged.

    Args:
        is_old: So old that whoever took it was stopped there: cleared away, for the next to come.
    """
    taken = f"{lock_path(path)}/taken"
    try:
        await client.make_directory(taken, 0o700)
    except SftpError as error:
        if error.status is None:
            raise
        if is_old:
            with suppress(SftpError):
                await client.remove_directory(taken)
        await asyncio.sleep(PAUSES_S[0])
        return  # another one is at it
    holder = await _holder(client, path)
    if holder is None or holder.note != note:
        with suppress(SftpError):
            await client.remove_directory(taken)
        return
    await _discard(client, path, mark)


async def _discard(client: SftpClient, path: str, mark: str) -> None:
    """Remove a lock with all that lies in it; others see it whole, or not at all."""
    gone = gone_path(path, mark)
    await client.rename(lock_path(path), gone)
    await remove_folder(client, gone)


async def remove_folder(client: SftpClient, folder: str) -> None:
    """Remove a folder with the files and empty folders in it, as far as that goes."""
    with suppress(SftpError):
        for entry in await client.list_directory(folder, max_entries=_MAX_ENTRIES):
            inside = f"{folder}/{entry.name}"
            with suppress(SftpError):
                if entry.attributes.is_directory:
                    await client.remove_directory(inside)
                else:
                    await client.remove(inside)
        await client.remove_directory(folder)


class _HostClock:
    """
    The time on the host, which SFTP tells only by what was made just now.

    Args:
        path: For a folder that is made and removed. It is called as what is left of locks, so
            that whoever takes a lock clears it away; that may be at any moment.
    """

    def __init__(self, client: SftpClient, path: str) -> None:
        self._client = client
        self._path = path
        self._ahead_s: float | None = None

    async def now(self) -> float:
        while self._ahead_s is None:
            await self._client.make_directory(self._path, 0o700)
            try:
                made_at = (await self._client.lstat(self._path)).mtime or 0
            except SftpError as error:
                if not is_absent(error):
                    raise
                continue  # somebody has just cleared it away
            finally:
                with suppress(SftpError):
                    await self._client.remove_directory(self._path)
            self._ahead_s = made_at - monotonic()
        return monotonic() + self._ahead_s
