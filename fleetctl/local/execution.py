"""
One command from its start to its result: what is kept of its output, and when it has ended.

A command has ended when it has exited and both streams are at their end, or a grace time after its
exit when a child in the background keeps a stream open. Source: ADR 0005.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from time import monotonic

from fleetctl.local.conversation import LocalConversation
from fleetctl.local.process import Process
from fleetctl.model.collector import Collector
from fleetctl.model.dialogue import Dialogue
from fleetctl.model.events import Stream
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult

#: As over SSH: after the exit the outputs are closed from here when nothing came for this long, or
#: when this much time is over in all.
DRAIN_S = 2.0
MAX_DRAIN_S = 10.0

#: From TERM to KILL, as over SSH, and from KILL to giving up. KILL cannot be caught, so the second
#: is for a machine too busy to end a process, and for a process that is stuck in its kernel.
TERM_GRACE_S = 0.3
KILL_GRACE_S = 1.0
#: What a dialogue gets to say its last word after it has heard the program's.
LAST_WORD_S = 5.0
#: Until the second look whether anybody is left in the group; each further wait is twice as long.
_FIRST_LOOK_S = 0.005

OutputCallback = Callable[[Stream, bytes], "asyncio.Future[None] | None"]


class Execution:
    """
    A command that was started.

    Args:
        max_output_bytes: Kept of each stream.
        on_output: Told every piece of output; what it raises comes out of whoever waits. While a
            future that it returned is not done, no more is read than fits into memory meanwhile.
        started: When it was about to be started, by `time.monotonic`.
    """

    def __init__(
        self,
        process: Process,
        max_output_bytes: int,
        on_output: OutputCallback | None,
        *,
        started: float,
    ) -> None:
        self._process = process
        self._on_output = on_output
        self._collectors: dict[Stream, Collector] = {
            "stdout": Collector(max_output_bytes),
            "stderr": Collector(max_output_bytes),
        }
        self._room: asyncio.Future[None] | None = None
        self._started = started
        self._loop = asyncio.get_running_loop()

    @property
    def duration_s(self) -> float:
        return monotonic() - self._started

    def result(self) -> ExecResult:
        """Return what is known now."""
        code = self._process.exit_code
        stdout, stderr = self._collectors["stdout"], self._collectors["stderr"]
        return ExecResult(
            exit_status=code if code is not None and code >= 0 else None,
            exit_signal=_signal_name(-code) if code is not None and code < 0 else None,
            stdout=stdout.value(),
            stderr=stderr.value(),
            stdout_bytes=stdout.total,
            stderr_bytes=stderr.total,
            truncated=stdout.truncated or stderr.truncated,
            output_complete=not self._process.has_output,
            duration_s=self.duration_s,
        )

    async def follow(self, request: ExecRequest) -> bool:
        """
        Talk to the command and feed it as the request says, and wait for its end.

        Returns:
            False if it had not exited in time. Time that is over later, while only the rest of the
            output is waited for, ends that.

        Raises:
            Exception: What the dialogue raised; the command may still be running.
        """
        process, timeout_s = self._process, request.timeout_s
        process.watch()
        deadline = None if timeout_s is None else self._loop.time() + timeout_s
        has_heard_all = False
        if request.dialogue is not None:
            has_heard_all = await self._converse(request.dialogue, deadline)
            is_over = deadline is not None and self._loop.time() >= deadline
            if is_over and not self._has_exited():
                return False
        process.send(request.stdin)
        process.send_eof()
        if not await self._until(self._has_exited, deadline):
            return False
        last = self._loop.time() + (0 if has_heard_all else MAX_DRAIN_S)
        last = last if deadline is None else min(last, deadline)
        while process.has_output and (now := self._loop.time()) < last:
            if self._is_held():
                if not await self._until(lambda: not self._is_held(), deadline):
                    break
                last += self._loop.time() - now
                last = last if deadline is None else min(last, deadline)
                continue
            if not await self._until(self._hears_more(), min(now + DRAIN_S, last)):
                break
        self._take_rest()
        return True

    async def _converse(self, dialogue: Dialogue, deadline: float | None) -> bool:
        """
        Let a dialogue talk, until it is done or the time is over.

        Returns:
            Whether it was told that nothing more will come.
        """
        conversation = LocalConversation(
            self._process, self._keep, drain_s=DRAIN_S, max_drain_s=MAX_DRAIN_S
        )
        try:
            async with asyncio.timeout_at(deadline) as limit:
                conversation.on_end = lambda: _shorten(limit, self._loop.time() + LAST_WORD_S)
                await dialogue.hold(conversation)
        except TimeoutError:
            if not limit.expired():
                raise  # the dialogue's own
        return conversation.is_over

    async def end(self) -> bool:
        """
        End the whole process group: TERM, and after a grace time KILL for who is left.

        Takes at most both grace times.

        Returns:
            Whether all of it is known to have ended.
        """
        is_gone = False
        for number, grace_s in ((signal.SIGTERM, TERM_GRACE_S), (signal.SIGKILL, KILL_GRACE_S)):
            self._process.group.signal(number)
            is_gone = await self._is_gone_by(self._loop.time() + grace_s)
            if is_gone:
                break
        self._take_rest()
        return is_gone

    def mute(self) -> None:
        """Tell the listener nothing more."""
        self._on_output = None

    def close(self) -> None:
        """Let go of the command's streams."""
        self._process.close()

    def _has_exited(self) -> bool:
        return self._process.exit_code is not None

    async def _is_gone_by(self, deadline: float) -> bool:
        """Wait until the command, and all others in its group, have ended."""
        if not await self._until(self._has_exited, deadline):
            return False
        wait_s = _FIRST_LOOK_S
        while self._process.group.has_living_members():
            now = self._loop.time()
            if now >= deadline:
                return False
            # Nobody tells when the last of the others has ended.
            await self._until(lambda: False, min(now + wait_s, deadline))
            wait_s *= 2
        return True

    def _hears_more(self) -> Callable[[], bool]:
        """Return whether output has come, or has ended, since this call."""
        before = self._total_bytes()
        return lambda: not self._process.has_output or self._total_bytes() > before

    def _total_bytes(self) -> int:
        return sum(collector.total for collector in self._collectors.values())

    async def _until(self, is_so: Callable[[], bool], deadline: float | None) -> bool:
        """
        Pass output on while it comes, until a condition holds or the time is over.

        Args:
            deadline: Of the loop's clock; None for none.

        Returns:
            Whether the condition holds.
        """
        try:
            async with asyncio.timeout_at(deadline) as limit:
                while True:
                    self._deliver()
                    if is_so():
                        return True
                    await self._process.changed()
        except TimeoutError:
            if not limit.expired():
                raise  # the listener's own
            self._deliver()
            return is_so()

    def _take_rest(self) -> None:
        """Take what was written and not read yet: a loop may tell the time before it reads."""
        self._process.read_rest()
        self._room = None
        self._deliver()

    def _is_held(self) -> bool:
        """Whether whoever is told the output cannot take more now."""
        return self._room is not None and not self._room.done()

    def _deliver(self) -> None:
        if self._is_held():
            return
        for stream, data in self._process.take():
            self._keep(stream, data)

    def _keep(self, stream: Stream, data: bytes) -> None:
        self._collectors[stream].add(data)
        if self._on_output is not None:
            room = self._on_output(stream, data)
            if room is not None and room is not self._room:
                self._room = room
                room.add_done_callback(lambda _: self._process.wake())


def _shorten(limit: asyncio.Timeout, deadline: float) -> None:
    before = limit.when()
    if not limit.expired():
        limit.reschedule(deadline if before is None else min(before, deadline))


def _signal_name(number: int) -> str:
    """Return ``KILL``; the number if the signal has no name, as most real-time signals."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)
