"""
Which way to one user's authorized_keys on a host: a shell, or SFTP where there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Literal, TypeVar

from fleetctl.keys.over_sftp import SftpKeysFile
from fleetctl.keys.place import Backup, DeadMan, KeysFile, Look, Swapped, Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote

T = TypeVar("T")

How = Literal["auto", "shell", "sftp"]

#: The account has no shell, or another command ran in the place of our program.
_ASK_SFTP = frozenset({"session.no_shell", "keys.protocol", "exec.refused"})


async def open_keys_file(
    remote: Remote,
    target: Target,
    *,
    run_id: str,
    how: How = "auto",
    non_atomic: bool = False,
    force_guard: bool = False,
    hint_blobs: Collection[bytes] = (),
) -> KeysFile:
    """
    Return what works on the file; nothing is sent to the host yet.

    Args:
        run_id: For the names of backups and the note in the lock.
        how: ``auto`` takes SFTP where the first look by a shell finds none.
        non_atomic: By SFTP: go on where the server cannot rename over a file.
        force_guard: Go on without a dead man where none can be left.
        hint_blobs: Of several files the one that has one of these keys is meant.
    """
    by_shell = ShellKeysFile(
        remote, target, run_id=run_id, hint_blobs=hint_blobs, force_guard=force_guard
    )
    by_sftp = SftpKeysFile(
        remote, target, run_id=run_id, non_atomic=non_atomic, force_guard=force_guard
    )
    if how == "auto":
        return ShellOrSftp(by_shell, by_sftp)
    return by_shell if how == "shell" else by_sftp


class ShellOrSftp:
    """
    Implements `fleetctl.keys.place.KeysFile`: the first way that the host allows, from then on.

    Args:
        by_shell: Is tried first.
        by_sftp: Is taken where the account has no shell, or runs another command whatever it is
            told. Where that fails too the host is as it is, and the shell's failure counts.
    """

    def __init__(self, by_shell: KeysFile, by_sftp: KeysFile) -> None:
        self._by_shell = by_shell
        self._by_sftp = by_sftp
        self._chosen: KeysFile | None = None

    async def look(self, *, lock: bool = False) -> Look:
        return await self._do(lambda file: file.look(lock=lock))

    async def swap(
        self,
        look: Look,
        data: bytes,
        *,
        dead_man: DeadMan | None = None,
        fix_modes: bool = False,
    ) -> Swapped:
        return await self._do(
            lambda file: file.swap(look, data, dead_man=dead_man, fix_modes=fix_modes)
        )

    async def swap_back(self, swapped: Swapped) -> None:
        await self._do(lambda file: file.swap_back(swapped))

    async def confirm(self, swapped: Swapped, over: Remote) -> None:
        await self._do(lambda file: file.confirm(swapped, over))

    async def unlock(self, look: Look) -> None:
        await self._do(lambda file: file.unlock(look))

    async def backups(self) -> tuple[Backup, ...]:
        return await self._do(lambda file: file.backups())

    async def read_backup(self, backup: Backup) -> bytes:
        return await self._do(lambda file: file.read_backup(backup))

    async def _do(self, work: Callable[[KeysFile], Awaitable[T]]) -> T:
        if self._chosen is not None:
            return await work(self._chosen)
        try:
            done = await work(self._by_shell)
        except FleetError as no_shell:
            if no_shell.kind not in _ASK_SFTP:
                raise
            try:
                done = await work(self._by_sftp)
            except FleetError as error:
                if error.kind == "exec.refused":
                    raise no_shell from error
                raise
            self._chosen = self._by_sftp
        else:
            self._chosen = self._by_shell
        return done
