"""
A host as an operation sees it: logged in to when first needed, over the pool.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

from fleetctl.engine.afresh import Afresh
from fleetctl.engine.links import Links
from fleetctl.engine.pool import Pool
from fleetctl.model.errors import FleetError
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.ports import Journal, OperationSecrets, OutputListener
from fleetctl.model.redaction import Redaction
from fleetctl.model.result import ExecResult, Ran
from fleetctl.model.secret import Secret
from fleetctl.model.trace import Trace


class PooledRemote:
    """
    Implements `fleetctl.model.remote.Remote` over one connection, or a few when commands that run
    at the same time need them.

    What became of each command is noted in a trace that is its own meanwhile, and counts in the
    operation's: one command of which nothing is known makes the operation unknown.

    Args:
        afresh: Makes the connections, where those of the pool are not to be used.
    """

    def __init__(
        self,
        host: Host,
        trace: Trace,
        pool: Pool,
        journal: Journal | None,
        on_output: OutputListener | None,
        secrets: OperationSecrets | None = None,
        *,
        afresh: Afresh | None = None,
    ) -> None:
        self._host = host
        self._trace = trace
        self._pool = pool
        self._journal = journal
        self._on_output = on_output
        self._secrets = secrets
        self._links = Links(host, trace, pool if afresh is None else afresh)
        # Of the commands that have ended, and how many have not.
        self._ran: Ran = "no"
        self._unfinished = 0
        self._is_trace_lent = False
        # Of an interrupted command and what is left of it; one of which all is gone matters least.
        self._partial: tuple[ExecResult, str | None] | None = None

    @property
    def host(self) -> Host:
        return self._host

    @asynccontextmanager
    async def login_with(self, login: Login) -> AsyncGenerator[PooledRemote]:
        host, trace = self._host, Trace()
        if login.user is not None:
            host = replace(host, settings=replace(host.settings, user=login.user))
        afresh = Afresh(self._pool, login)
        remote = PooledRemote(
            host, trace, self._pool, self._journal, None, self._secrets, afresh=afresh
        )
        try:
            yield remote
        finally:
            remote.release()
            if trace.ran == "unknown":
                self._ran = self._trace.ran = "unknown"
            await afresh.closed()

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        self._trace.findings = findings
        links = self._links
        link = links.any_open()
        if link is None:
            held = await links.take(links.ticket(), open_session=False)
            link = held.link
            links.give(held)
        return link.facts()

    async def exec(self, request: ExecRequest) -> ExecResult:
        """
        Run one command; see `Remote`.

        A command that was not sent, because a connection is full or turns out dead that was idle,
        is sent over another one.
        """
        links = self._links
        ticket = links.ticket()
        held = await links.take(ticket)
        trace = self._begin()
        is_told = self._journal is None
        try:
            while True:
                try:
                    if not is_told and self._journal is not None:
                        await self._journal.starting(self._host)
                        is_told = True
                    return await held.link.exec(request, trace, self._on_output)
                except FleetError as error:
                    may_go_on = error.failure.retryable and trace.ran == "no"
                    if not (may_go_on and links.may_try_again(held, error)):
                        raise
                finally:
                    held.has_served = held.has_served or trace.ran != "no"
                    links.give(held)
                held = await links.take(ticket)
        finally:
            self._end(trace)

    async def shell(self, script: ShellScript) -> ExecResult:
        return await self.exec(script.as_request())

    async def become_password(self, user: str) -> Secret | None:
        if self._secrets is None:
            return None
        return await self._secrets.become_password(self._host, user)

    async def secret(self, source: str) -> Secret | None:
        return None if self._secrets is None else await self._secrets.secret(self._host, source)

    def redaction(self) -> Redaction | None:
        return None if self._secrets is None else self._secrets.redaction()

    def release(self) -> None:
        """Give the connections back; a command that is left behind makes the operation unknown."""
        if self._unfinished:
            self._trace.ran = "unknown"
        self._links.release()

    def _begin(self) -> Trace:
        """Return the trace of a command: the operation's, if no other command has it."""
        self._unfinished += 1
        if self._is_trace_lent:
            return Trace()
        self._is_trace_lent = True
        self._trace.ran = "no"
        return self._trace

    def _end(self, trace: Trace) -> None:
        whole = self._trace
        self._unfinished -= 1
        if self._ran == "no" or trace.ran == "unknown":
            self._ran = trace.ran
        if trace is whole:
            self._is_trace_lent = False
        if trace.partial is not None and (self._partial is None or self._partial[0].gone):
            self._partial = trace.partial, trace.left
        if not self._is_trace_lent:
            whole.ran = self._ran
            if self._partial is not None:
                whole.partial, whole.left = self._partial
            if trace.session_s is not None:
                whole.session_s, whole.command_s = trace.session_s, trace.command_s
