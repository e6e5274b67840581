"""
This machine as a host: commands run on it as on any other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import TypeVar

from fleetctl.local.execution import Execution, OutputCallback
from fleetctl.local.process import Process
from fleetctl.local.start import start
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace

T = TypeVar("T")


class LocalLink:
    """
    Implements `fleetctl.model.ports.Link`.

    A command line is run by ``/bin/sh -c`` in the current folder, as the current user, with the
    environment of fleetctl, the host's SetEnv and the request's variables. It has a session and a
    process group of its own, so that Ctrl-C does not reach it and all of it can be ended. A login
    shell is the current user's.
    """

    def __init__(self, host: Host, environ: Mapping[str, str]) -> None:
        self.host = host
        self.is_open = True
        self._environ = environ
        self._running: set[Execution] = set()

    def facts(self) -> Mapping[str, object]:
        """Return that it is local; nothing was agreed on with anybody."""
        return {
            "connection": "local",
            "server_version": None,
            "cipher": None,
            "host_key_type": None,
            "auth_method": None,
            "auth_key": None,
        }

    async def exec(
        self, request: ExecRequest, trace: Trace, on_output: OutputCallback | None
    ) -> ExecResult:
        """
        Run one command and wait for its end.

        Being cancelled ends it, all of its process group, before this returns.

        Raises:
            FleetError: ``exec.refused``, ``pty.refused`` if it did not start; ``exec.timeout`` with
                what came till then; ``session.lost`` if the link was closed; what the request's
                dialogue raised, the command ended.
        """
        trace.phase = "session"
        if not self.is_open:
            raise _lost(None)
        if request.is_subsystem:
            message = f"this machine has no subsystem {request.command} without an SSH server"
            raise FleetError("exec.refused", message)
        started, before = monotonic(), trace.ran
        process = Process(start(request, self._environment(request)))
        trace.ran = "yes"
        execution = Execution(process, request.max_output_bytes, on_output, started=started)
        self._running.add(execution)
        is_gone = True
        try:
            in_time = await execution.follow(request)
            if not in_time:
                is_gone = await execution.end()
            result = execution.result()
            if not in_time:
                result = replace(result, gone=is_gone)
        except FleetError as error:  # the dialogue's
            is_gone = await _to_its_end(execution.end())
            error.result = replace(execution.result(), gone=is_gone)
            if error.failure.phase == "become":
                trace.ran = before
            raise
        except (Exception, asyncio.CancelledError):  # the listener failed, or nobody waits any more
            execution.mute()
            is_gone = await _to_its_end(execution.end())
            trace.partial = replace(execution.result(), gone=is_gone)
            raise
        finally:
            trace.command_s = execution.duration_s
            self._running.discard(execution)
            execution.close()
        if not in_time:
            raise _timed_out(result, request, is_gone=is_gone)
        if not self.is_open:
            raise _lost(result)
        return result

    def _environment(self, request: ExecRequest) -> dict[str, str]:
        own = {**self._environ, "TERM": request.pty.term} if request.pty else self._environ
        return {**own, **self.host.settings.set_env, **request.env}

    async def close(self) -> None:
        """End what still runs."""
        self.is_open = False
        await asyncio.gather(*(execution.end() for execution in self._running))


async def _to_its_end(work: Coroutine[object, object, T]) -> T:
    """Do work that takes a bounded time, however often this task is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()  # or raise what went wrong in it


def _timed_out(result: ExecResult, request: ExecRequest, *, is_gone: bool) -> FleetError:
    gone = "it was ended" if is_gone else "it may still be running there"
    return FleetError(
        "exec.timeout",
        f"no end within {request.timeout_s:g} s; {gone}",
        hint="give it more with --timeout",
        result=result,
    )


def _lost(result: ExecResult | None) -> FleetError:
    return FleetError(
        "session.lost", "connection lost: it was closed", retryable=result is None, result=result
    )
