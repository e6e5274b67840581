"""
Writing keys down while many hosts are connected to: whoever comes during a write shares the next.

A file is read again before each write, so that one write per host would take longer with each host.
What writes is imported when there is something to write: most runs learn nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.host_verdict import Judgement

if TYPE_CHECKING:
    from fleetctl.ssh.known_hosts_file import NewHost


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A host to be learned, and who waits for what becomes of it."""

    host: NewHost
    done: asyncio.Future[Judgement]


class HostKeyLearner:
    """Learns hosts for all connections of a process; one write at a time for each file."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[_Waiting]] = {}
        self._writers: dict[str, asyncio.Task[None]] = {}

    async def learn(self, file: str, host: NewHost) -> Judgement:
        """
        Write a host's keys down, unless the file has come to know it otherwise.

        Returns:
            What the file says of it then; see `fleetctl.ssh.known_hosts_file.learn_hosts`.

        Raises:
            OSError: The file cannot be written.
            ValueError: The name cannot stand in a line.
        """
        from fleetctl.ssh.known_hosts_file import check_name

        check_name(host.names[0])
        done: asyncio.Future[Judgement] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(file, []).append(_Waiting(host, done))
        if file not in self._writers:
            # A task of its own: a caller that is cancelled must not leave the others waiting.
            self._writers[file] = asyncio.ensure_future(self._write_all(file))
        return await done

    async def close(self) -> None:
        """Wait until what was begun is written."""
        await asyncio.gather(*self._writers.values(), return_exceptions=True)

    async def _write_all(self, file: str) -> None:
        try:
            while batch := self._waiting.pop(file, []):
                await _write_batch(file, batch)
        finally:
            del self._writers[file]


async def _write_batch(file: str, batch: list[_Waiting]) -> None:
    try:
        from fleetctl.ssh.known_hosts_file import learn_hosts

        found = await in_thread(learn_hosts, file, [waiting.host for waiting in batch])
    except OSError as error:
        for waiting in batch:
            if not waiting.done.done():
                waiting.done.set_exception(error)
        return
    except BaseException:
        for waiting in batch:
            waiting.done.cancel()
        raise
    for waiting, judgement in zip(batch, found, strict=True):
        if not waiting.done.done():
            waiting.done.set_result(judgement)
