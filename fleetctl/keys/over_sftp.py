"""
One user's authorized_keys on a host that gives SFTP and no shell.

The same steps as the remote program's, with what SFTP has: a folder for a lock, a new file, a hard
link for the old one, a rename. It works as the user who logs in. What SFTP does not tell stays at
its default in a `Look`: login shell, settings of sshd, time zone, tools; the clock is known only
under the lock. A dead man cannot be left. Access control lists and SELinux contexts are those that
the folder gives to a new file.
"""

from __future__ import annotations

import asyncio
import hashlib
import posixpath
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from fleetctl.keys import over_sftp_lock as locks
from fleetctl.keys.over_sftp_errors import translated, why_not_written
from fleetctl.keys.over_sftp_names import backup_path, find_backups
from fleetctl.keys.over_sftp_place import (
    USUAL_PATH,
    Place,
    check_owners,
    find_place,
    lstat_or_none,
    read_or_none,
)
from fleetctl.keys.over_sftp_steps import to_its_end
from fleetctl.keys.over_sftp_swap import WRITABLE_BY_OTHERS, Change, Swapping
from fleetctl.keys.place import Backup, DeadMan, KeySource, Look, Swapped, Target
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote
from fleetctl.ssh.sftp import SftpClient, SftpError, over_sftp

T = TypeVar("T")


class SftpKeysFile:
    """
    Implements `fleetctl.keys.place.KeysFile`.

    Args:
        remote: Logs in as the user whose keys they are.
        run_id: For the names of backups and the note in the lock.
        non_atomic: Go on where the server cannot rename over a file, or flush one to the disk.
        force_guard: Go on without the dead man that was asked for.

    Raises:
        FleetError: From every method, see there; ``exec.refused``: the host has no SFTP either;
            ``become.unavailable``: it is about another user than the one who logs in.
    """

    def __init__(
        self,
        remote: Remote,
        target: Target,
        *,
        run_id: str,
        non_atomic: bool = False,
        force_guard: bool = False,
    ) -> None:
        self._remote = remote
        self._target = target
        self._run_id = run_id
        self._non_atomic = non_atomic
        self._force_guard = force_guard
        self._mark = secrets.token_hex(16)
        self._made_folders: list[str] = []
        # The file whose lock we have.
        self._locked_path: str | None = None

    async def look(self, *, lock: bool = False) -> Look:
        """
        Look at the file; a missing folder for it is made for the lock, and removed with it.

        The look's ``checksum`` is a SHA-256, because SFTP gives the bytes and nothing else.
        """
        user = self._user()
        facts = await self._remote.connect()

        async def work(client: SftpClient) -> Look:
            place = await find_place(client, self._target, user)
            if not lock:
                return await self._see(client, place, user)
            taken = await self._take_lock(client, place)
            try:
                # What it was like before may have changed while the lock was waited for.
                place = await find_place(client, self._target, user)
                check_owners(place, taken.uid)
                for leftover in place.leftovers:
                    await client.remove(leftover)
                found = await self._see(client, replace(place, uid=taken.uid), user)
            except BaseException:
                await self._free(client, place.path)
                raise
            return replace(found, clock=taken.clock, lock=self._mark)

        look = await self._over(work, "keys.read")
        return replace(look, server_version=str(facts.get("server_version") or ""))

    async def swap(
        self,
        look: Look,
        data: bytes,
        *,
        dead_man: DeadMan | None = None,
        fix_modes: bool = False,
    ) -> Swapped:
        """
        Put these bytes in place; where they are there already only modes are mended.

        Raises:
            FleetError: ``keys.changed``; ``keys.write``; ``keys.not_atomic``; ``keys.no_guard``: a
                dead man is wanted, and that is not forced.
        """

        async def work(client: SftpClient) -> Swapped:
            path = look.path
            async with self._locked(client, path, look) as clock:
                if dead_man is not None and not self._force_guard:
                    raise _no_guard()
                modes = _mended_modes(look) if fix_modes else {}
                keep = None
                if look.data is not None and data != look.data:
                    keep = await self._backup_path(client, path, clock)
                change = Change(path, look.data, data, modes, keep=keep)
                is_held = partial(locks.is_held, client, path, self._mark)
                swapping = Swapping(client, change, is_held, non_atomic=self._non_atomic)
                before = await swapping.run()
            return Swapped(path, keep, look.data, data, changed_modes=before or None)

        return await self._over(work, "keys.write")

    async def swap_back(self, swapped: Swapped) -> None:
        """Undo a swap: the backup itself takes the file's place again, if it is still there."""
        path, before = swapped.path, swapped.before
        modes = dict(swapped.changed_modes or {})

        async def work(client: SftpClient) -> None:
            async with self._locked(client, path, None):
                is_held = partial(locks.is_held, client, path, self._mark)
                if before == swapped.after:
                    change = Change(path, before, before, modes)
                else:
                    change = Change(path, swapped.after, before, modes, old=swapped.backup)
                await Swapping(client, change, is_held, non_atomic=self._non_atomic).run()

        await self._over(work, "keys.write")

    async def confirm(self, swapped: Swapped, over: Remote) -> None:
        """
        Look over another login whether the file is still the one that was put there: there is no
        dead man to be told.
        """

        async def work(client: SftpClient) -> bytes | None:
            return await read_or_none(client, swapped.path)

        async with translated("keys.read"):
            data = await over_sftp(over, work)
        if data != swapped.after:
            raise FleetError(
                "keys.restored", f"{swapped.path}: what is there now is not what was put there"
            )

    async def unlock(self, look: Look) -> None:
        await self._over(lambda client: self._free(client, look.path), "keys.write")

    async def backups(self) -> tuple[Backup, ...]:
        user = self._user()

        async def work(client: SftpClient) -> tuple[Backup, ...]:
            place = await find_place(client, self._target, user)
            if place.missing_folders:
                return ()
            return tuple(await self._list_backups(client, place.path))

        return await self._over(work, "keys.read")

    async def read_backup(self, backup: Backup) -> bytes:
        async def work(client: SftpClient) -> bytes:
            found = await lstat_or_none(client, backup.path)
            data = None
            if found is not None and found.is_file:
                data = await read_or_none(client, backup.path)
            if data is None:
                raise FleetError("keys.read", f"{backup.path}: there is no such backup")
            return data

        return await self._over(work, "keys.read")

    # -- inside a session

    async def _over(self, work: Callable[[SftpClient], Awaitable[T]], kind: str) -> T:
        try:
            async with translated(kind):
                return await over_sftp(self._remote, work)
        except asyncio.CancelledError:
            await self._let_go()
            raise

    async def _let_go(self) -> None:
        """Free the lock after a cancellation that came before the work, or when it was done."""
        path = self._locked_path
        if path is not None:
            with suppress(FleetError):  # it is taken over by its age
                await over_sftp(self._remote, lambda client: self._free(client, path))

    def _user(self) -> str:
        login = self._remote.host.settings.user or ""
        wanted = self._target.user
        if wanted is not None and wanted != login:
            raise FleetError(
                "become.unavailable",
                f"SFTP works as the user who logs in, {login or 'the usual one'}, and cannot"
                f" change the keys of {wanted}",
                hint=f"log in as that user: -u {wanted}",
            )
        return login

    async def _see(self, client: SftpClient, place: Place, user: str) -> Look:
        data = None if place.attributes is None else await read_or_none(client, place.path)
        return Look(
            user=user,
            uid=place.uid,
            home=place.home,
            shell="",
            path=place.path,
            data=data,
            checksum="" if data is None else hashlib.sha256(data).hexdigest(),
            components=place.components,
            sources=await self._sources(client, place),
        )

    async def _sources(self, client: SftpClient, place: Place) -> tuple[KeySource, ...]:
        """Return the second file that sshd reads unless it is told otherwise."""
        path = f"{place.home.rstrip('/')}/{USUAL_PATH}2"
        found = None if path == place.path else await lstat_or_none(client, path)
        if found is None:
            return ()
        data = await read_or_none(client, path) if found.is_file else None
        return (KeySource("authorized_keys2", path, data),)

    async def _backup_path(self, client: SftpClient, path: str, clock: int) -> str:
        """Return a name for the backup that sorts after all others: two within a second may be."""
        newest = max((each.at for each in await self._list_backups(client, path)), default=0)
        return backup_path(path, max(clock, newest + 1), self._run_id)

    async def _list_backups(self, client: SftpClient, path: str) -> list[Backup]:
        return find_backups(path, await client.list_directory(posixpath.dirname(path)))

    async def _take_lock(self, client: SftpClient, place: Place) -> locks.Taken:
        try:
            for folder in place.missing_folders:
                await to_its_end(self._make_folder(client, folder))
            return await self._take(client, place.path)
        except SftpError as error:
            why: FleetError = error
            if error.status is not None:
                why = await why_not_written(client, place.home, error)
            await self._remove_made_folders(client)
            raise why from None
        except BaseException:
            await self._remove_made_folders(client)
            raise

    async def _make_folder(self, client: SftpClient, folder: str) -> None:
        try:
            await client.make_directory(folder, 0o700)
        except SftpError:
            # Another one may have made it meanwhile, for a lock too.
            found = await lstat_or_none(client, folder)
            if found is None or not found.is_directory:
                raise
        else:
            self._made_folders.append(folder)

    async def _take(self, client: SftpClient, path: str) -> locks.Taken:
        taken = await locks.take(client, path, self._mark, self._run_id)
        self._locked_path = path
        return taken

    @asynccontextmanager
    async def _locked(self, client: SftpClient, path: str, look: Look | None) -> AsyncIterator[int]:
        """Hold the lock for a block, and free it; gives the host's clock."""
        if look is not None and look.lock is not None:
            clock = look.clock
        else:
            clock = (await self._take(client, path)).clock
        try:
            yield clock
        finally:
            await self._free(client, path)

    async def _free(self, client: SftpClient, path: str) -> None:
        """
        Free the lock; what was made for it goes too, unless it is used now.

        Once begun it is done to the end: half a lock would be left.
        """
        await to_its_end(self._free_now(client, path))

    async def _free_now(self, client: SftpClient, path: str) -> None:
        with suppress(SftpError):  # it is taken over by its age
            await locks.release(client, path, self._mark)
        self._locked_path = None
        await self._remove_made_folders(client)

    async def _remove_made_folders(self, client: SftpClient) -> None:
        while self._made_folders:
            with suppress(SftpError):
                await client.remove_directory(self._made_folders.pop())


def _no_guard() -> FleetError:
    return FleetError(
        "keys.no_guard",
        "over SFTP nothing can be left on the host that would put the old file back if nobody can"
        " log in afterwards",
        hint="if that may be: --no-dead-man",
    )


def _mended_modes(look: Look) -> dict[str, int]:
    """Return what StrictModes objects to and the user may mend: path -> mode it is to have."""
    return {
        one.path: one.mode & ~WRITABLE_BY_OTHERS
        for one in look.components
        if one.kind in ("directory", "file")
        and one.owner == look.uid
        and one.mode & WRITABLE_BY_OTHERS
    }
