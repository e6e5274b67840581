"""
SFTP over `Remote`: ``await over_sftp(remote, work)`` lets ``work(client)`` talk to a host's server.

What it can be asked to do is in `fleetctl.ssh.sftp_client`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.ssh.sftp_client import (
    FSYNC,
    HARDLINK,
    NAMES,
    POSIX_RENAME,
    STATVFS,
    Handle,
    SftpClient,
)
from fleetctl.ssh.sftp_error import SftpError, is_absent
from fleetctl.ssh.sftp_packet import Attributes, Entry, FileSystem, OpenFlags, Status
from fleetctl.ssh.sftp_requests import REQUEST_TIMEOUT_S, Requests

__all__ = [
    "FSYNC",
    "HARDLINK",
    "NAMES",
    "POSIX_RENAME",
    "STATVFS",
    "Attributes",
    "Entry",
    "FileSystem",
    "Handle",
    "OpenFlags",
    "SftpClient",
    "SftpError",
    "Status",
    "is_absent",
    "over_sftp",
]

#: What work that is cancelled may take to put its things in order.
CLEAN_UP_S = 5.0
#: From the end of the input to the end of the server.
FAREWELL_S = 5.0

T = TypeVar("T")


async def over_sftp(
    remote: Remote,
    work: Callable[[SftpClient], Awaitable[T]],
    *,
    timeout_s: float = REQUEST_TIMEOUT_S,
) -> T:
    """
    Start the host's SFTP server, do work with it, and end it.

    Being cancelled cancels the work, which may still put its things in order over the same session,
    for `CLEAN_UP_S` at most.

    Args:
        timeout_s: For each answer of the server, not for all of the work.

    Returns:
        What the work returned, however the server ended after that.

    Raises:
        FleetError: ``exec.refused``: the host has no SFTP; ``session.lost`` and what else `exec`
            of a `Remote` raises; ``files.*``, see `SftpError`.
        Exception: What the work raised.
    """
    dialogue = _SftpDialogue(work, timeout_s)
    request = ExecRequest("sftp", is_subsystem=True, dialogue=dialogue)
    session = asyncio.ensure_future(remote.exec(request))
    try:
        await asyncio.wait((session,))
    except asyncio.CancelledError:
        dialogue.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait((session,), timeout=CLEAN_UP_S)
        session.cancel()
        while not session.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((session,))
        if not session.cancelled():
            session.exception()  # nobody is interested any more
        raise
    return _result(dialogue, session)


def _result(dialogue: _SftpDialogue[T], session: asyncio.Task[object]) -> T:
    work = dialogue.work_task
    if work is None or session.cancelled():
        session.result()
    session.exception()  # seen, whether it matters or not
    error: BaseException | None = None
    if work is None or work.cancelled() or not work.done():
        error = SftpError("files.ended", "the SFTP server has ended")
    else:
        error = work.exception()
        if error is None:
            return work.result()
    if isinstance(error, SftpError) and error.kind == "files.ended":
        # The work knows only that no answer comes any more.
        with suppress(SftpError):
            _raise_why(session)
    raise error


def _raise_why(session: asyncio.Task[object]) -> None:
    try:
        session.result()
    except FleetError as error:
        if error.kind == "session.no_status":
            return  # says less than what the server wrote
        if error.kind == "exec.refused":
            raise _has_no_sftp(error) from None
        raise


def _has_no_sftp(error: FleetError) -> FleetError:
    return FleetError(
        error.kind,
        f"no SFTP: {error.failure.message}",
        hint="on the host: Subsystem sftp internal-sftp in sshd_config",
        hop=error.failure.hop,
        result=error.result,
    )


class _SftpDialogue(Generic[T]):
    """
    The client's side of one session; implements `fleetctl.model.dialogue.Dialogue`.

    Attributes:
        work_task: The work, once it was begun.
    """

    def __init__(self, work: Callable[[SftpClient], Awaitable[T]], timeout_s: float) -> None:
        self.work_task: asyncio.Task[T] | None = None
        self._work = work
        self._timeout_s = timeout_s
        self._is_cancelled = False

    def cancel(self) -> None:
        """Cancel the work; the session ends when that is done."""
        self._is_cancelled = True
        if self.work_task is not None:
            self.work_task.cancel()

    async def hold(self, conversation: Conversation) -> None:
        """
        Do the work, and wait for the end of the server.

        Raises:
            SftpError: The server does not end by itself, because it does not know what it does, or
                has stopped answering.
        """
        requests = Requests(conversation, timeout_s=self._timeout_s)
        task = self.work_task = asyncio.ensure_future(self._begin(requests))
        if self._is_cancelled:
            task.cancel()
        try:
            await asyncio.wait((task,))
        finally:
            task.cancel()  # unless it is done; then nothing
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait((task,))
            await requests.close()
            conversation.write_eof()
        if requests.is_broken:
            assert requests.failure is not None
            raise requests.failure
        await _hear_out(conversation)

    async def _begin(self, requests: Requests) -> T:
        await requests.open()
        return await self._work(SftpClient(requests))


async def _hear_out(conversation: Conversation) -> None:
    """Wait for the end of a server whose input has ended."""
    try:
        async with asyncio.timeout(FAREWELL_S):
            while await conversation.read() is not None:
                pass
    except TimeoutError:
        message = f"the SFTP server does not end within {FAREWELL_S:g} s after its input"
        raise SftpError("files.protocol", message) from None
