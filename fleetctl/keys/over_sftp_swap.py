"""
Putting one version of a file in the place of another, over SFTP, so that there is never a moment
without one of them.
"""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from fleetctl.keys.over_sftp_errors import why_not_written
from fleetctl.keys.over_sftp_lock import remove_folder
from fleetctl.keys.over_sftp_names import find_gone, find_surplus, new_path
from fleetctl.keys.over_sftp_place import lstat_or_none, read_or_none
from fleetctl.keys.over_sftp_steps import to_its_end
from fleetctl.model.errors import FleetError
from fleetctl.ssh.sftp import (
    FSYNC,
    HARDLINK,
    POSIX_RENAME,
    Attributes,
    OpenFlags,
    SftpClient,
    SftpError,
)

#: What sshd's StrictModes does not let others have. Source: OpenSSH misc.c, safe_path.
WRITABLE_BY_OTHERS = 0o022

_NEW_FILE = OpenFlags.WRITE | OpenFlags.CREAT | OpenFlags.EXCL


@dataclass(frozen=True, slots=True)
class Change:
    """
    What is to be done.

    Attributes:
        path: Of the file.
        before: What must be in it; None: it must be absent.
        after: What is to be in it; None: it is removed.
        modes: Path -> mode it is to have; the file may be among them.
        keep: Where the old version stays; None to keep none.
        old: A file that may have `after` in it, and then takes the place itself.
    """

    path: str
    before: bytes | None
    after: bytes | None
    modes: Mapping[str, int]
    keep: str | None = None
    old: str | None = None


def check_extensions(client: SftpClient, *, non_atomic: bool) -> None:
    """
    Demand what makes a swap safe.

    Raises:
        FleetError: ``keys.not_atomic``.
    """
    missing = [name for name in (POSIX_RENAME, FSYNC) if name not in client.extensions]
    if missing and not non_atomic:
        raise FleetError(
            "keys.not_atomic",
            f"the SFTP server has no {' and no '.join(missing)}: a crash could leave the host"
            " without authorized_keys",
            hint="if that may be: --non-atomic",
        )


class Swapping:
    """
    One change on its way. What it did is undone if it fails, or is cancelled.

    Args:
        is_held: Tells whether the lock is still ours.
        non_atomic: Go on where the server lacks what makes it safe.
    """

    def __init__(
        self,
        client: SftpClient,
        change: Change,
        is_held: Callable[[], Awaitable[bool]],
        *,
        non_atomic: bool,
    ) -> None:
        self._client = client
        self._change = change
        self._is_held = is_held
        self._non_atomic = non_atomic
        self._undo: list[Callable[[], Awaitable[None]]] = []
        self._folder = posixpath.dirname(change.path)

    async def run(self) -> dict[str, int]:
        """
        Do it, and read it back.

        Returns:
            Paths whose mode is another now -> the mode before.

        Raises:
            FleetError: ``keys.changed``, ``keys.write``, ``keys.not_atomic``.
            SftpError: The server does not answer, or not as it should.
        """
        try:
            return await self._run()
        except SftpError as error:
            is_answered = error.status is not None or error.kind == "files.unsupported"
            # Asked before there is room again.
            why = await why_not_written(self._client, self._folder, error) if is_answered else error
            await self._roll_back()
            raise why from None
        except BaseException:
            await self._roll_back()
            raise

    async def _run(self) -> dict[str, int]:
        change, client = self._change, self._client
        is_other = change.after != change.before
        if is_other and change.after is not None:
            check_extensions(client, non_atomic=self._non_atomic)
        found = await self._compare()
        new = await self._prepare(found) if is_other and change.after is not None else None
        if new is not None and change.keep is not None and found is not None:
            await to_its_end(self._keep(change.keep, found))
        before = {}
        for path, mode in change.modes.items():
            if path != change.path or not is_other:
                before[path] = await to_its_end(self._set_mode(path, mode))
            elif found is not None:
                before[path] = found.permissions
        if is_other:
            await self._compare()
            if new is not None:
                await to_its_end(self._put_in_place(new, is_over=found is not None))
            else:
                await client.remove(change.path)
            await self._prove()
        self._undo.clear()
        await self._tidy()
        return before

    async def _prepare(self, found: Attributes | None) -> str:
        """Return the path of a file with the new bytes, ready to take the place."""
        change, client = self._change, self._client
        assert change.after is not None
        old = None if change.old is None else await lstat_or_none(client, change.old)
        if change.old is not None and old is not None and old.is_file:
            data = await read_or_none(client, change.old)
            if data == change.after:
                return change.old
        owner = found or Attributes()
        mode = change.modes.get(change.path, found.permissions if found else 0o600)
        new = new_path(change.path)
        await self._write(new, change.after, Attributes(uid=owner.uid, gid=owner.gid, mode=mode))
        if await read_or_none(client, new) != change.after:
            message = "what was written is not what can be read there"
            raise FleetError("keys.write", f"{new}: {message}")
        return new

    async def _compare(self) -> Attributes | None:
        """
        Demand that the file is what it was when it was looked at, and the lock ours.

        Raises:
            FleetError: ``keys.changed``.
        """
        path = self._change.path
        if not await self._is_held():
            raise _changed(path, "the lock was taken over")
        found = await lstat_or_none(self._client, path)
        if found is not None and not found.is_file:
            raise _changed(path, "it is no regular file any more")
        data = None if found is None else await read_or_none(self._client, path)
        if data != self._change.before:
            raise _changed(path, "somebody else wrote it meanwhile")
        return found

    async def _write(self, path: str, data: bytes, attributes: Attributes) -> None:
        client = self._client
        self._undo.append(lambda: self._remove(path))
        async with client.opened(path, _NEW_FILE, Attributes(mode=0o600)) as handle:
            await client.write(handle, data)
            made = await client.fstat(handle)
            if attributes.uid is not None and (made.uid, made.gid) != (
                attributes.uid,
                attributes.gid,
            ):
                owner = Attributes(uid=attributes.uid, gid=attributes.gid)
                await client.set_handle_attributes(handle, owner)
            await client.set_handle_attributes(handle, Attributes(mode=attributes.mode))
            if FSYNC in client.extensions:
                await client.fsync(handle)

    async def _keep(self, backup: str, old: Attributes) -> None:
        """Give the old version a second name, or make a copy where that cannot be."""
        change, client = self._change, self._client
        if HARDLINK in client.extensions:
            try:
                await client.hard_link(change.path, backup)
            except SftpError as error:
                if error.kind != "files.unsupported" and await lstat_or_none(client, backup):
                    raise
            else:
                self._undo.append(lambda: self._remove(backup))
                return
        assert change.before is not None
        await self._write(backup, change.before, old)

    async def _set_mode(self, path: str, mode: int) -> int:
        """Set a mode, and return the one before."""
        before = (await self._client.lstat(path)).permissions

        async def undo() -> None:
            await self._client.set_attributes(path, Attributes(mode=before))

        await self._client.set_attributes(path, Attributes(mode=mode))
        self._undo.append(undo)
        return before

    async def _put_in_place(self, new: str, *, is_over: bool) -> None:
        client, path = self._client, self._change.path
        if not is_over:
            # Refused if somebody else has made one meanwhile.
            try:
                await client.rename(new, path)
            except SftpError as error:
                if error.status is None or await lstat_or_none(client, path) is None:
                    raise
                raise _changed(path, "somebody else made it meanwhile") from None
        elif POSIX_RENAME in client.extensions:
            await client.posix_rename(new, path)
        else:
            self._undo.append(self._put_back)
            await client.remove(path)
            await client.rename(new, path)
            return
        self._undo.append(self._put_back)

    async def _prove(self) -> None:
        """
        Read back what is there now, and look whether the old version was still as we knew it.

        Raises:
            FleetError: ``keys.changed``: somebody wrote in the last moment, and what he wrote is
                what is there.
        """
        change = self._change
        if await read_or_none(self._client, change.path) != change.after:
            self._undo.clear()
            raise _changed(change.path, "somebody else wrote it right after us")
        if change.before is not None and change.keep is not None:
            kept = await read_or_none(self._client, change.keep)
            if kept != change.before:
                raise _changed(change.path, "somebody else wrote it in the same moment")
        if FSYNC in self._client.extensions:
            with suppress(SftpError):  # not every server opens a folder
                async with self._client.opened(self._folder, OpenFlags.READ) as handle:
                    await self._client.fsync(handle)

    async def _put_back(self) -> None:
        change, client = self._change, self._client
        if change.before is None:
            await client.remove(change.path)
        elif change.keep is not None:
            if POSIX_RENAME in client.extensions:
                await client.posix_rename(change.keep, change.path)
            else:
                with suppress(SftpError):
                    await client.remove(change.path)
                await client.rename(change.keep, change.path)

    async def _tidy(self) -> None:
        """Remove what is too old; it is done without, too."""
        with suppress(SftpError):
            entries = await self._client.list_directory(self._folder)
            for surplus in find_surplus(self._change.path, entries):
                await self._remove(surplus)
            for gone in find_gone(self._change.path, entries):
                await remove_folder(self._client, gone)

    async def _remove(self, path: str) -> None:
        with suppress(SftpError):
            await self._client.remove(path)

    async def _roll_back(self) -> None:
        while self._undo:
            with suppress(SftpError):
                await self._undo.pop()()


def _changed(path: str, why: str) -> FleetError:
    return FleetError("keys.changed", f"{path}: {why}", hint="try again", retryable=True)
