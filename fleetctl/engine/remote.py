"""
A host as an operation sees it: logged in to when first needed, over the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fleetctl.engine.pool import Pool
from fleetctl.model.errors import FleetError
from fleetctl.model.events import Stream
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.ports import Journal, Link, OperationSecrets
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from fleetctl.model.trace import Trace


class PooledRemote:
    """Implements `fleetctl.model.remote.Remote`; holds at most one connection."""

    def __init__(
        self,
        host: Host,
        trace: Trace,
        pool: Pool,
        journal: Journal | None,
        on_output: Callable[[Stream, bytes], None] | None,
        secrets: OperationSecrets | None = None,
    ) -> None:
        self._host = host
        self._trace = trace
        self._pool = pool
        self._journal = journal
        self._on_output = on_output
        self._secrets = secrets
        self._link: Link | None = None
        # The connection if it was taken from the pool, and not made for this operation.
        self._idle_link: Link | None = None
        self._linking = asyncio.Lock()

    @property
    def host(self) -> Host:
        return self._host

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        self._trace.findings = findings
        return (await self._linked(open_session=False)).facts()

    async def exec(self, request: ExecRequest) -> ExecResult:
        link = await self._linked(open_session=True)
        if self._journal is not None:
            await self._journal.starting(self._host)
        while True:
            try:
                return await link.exec(request, self._trace, self._on_output)
            except FleetError as error:
                if not error.failure.retryable or self._trace.ran != "no":
                    raise
                # No session to be had: whoever comes next is better off with another connection.
                was_idle = link is self._idle_link
                self._discard(link)
                if not was_idle:
                    raise
            # One that was idle may have been dead without knowing it, and nothing ran.
            link = await self._linked(open_session=True)

    async def shell(self, script: ShellScript) -> ExecResult:
        return await self.exec(
            ExecRequest(
                "",
                is_shell=True,
                stdin=script.script,
                env=script.env,
                pty=script.pty,
                timeout_s=script.timeout_s,
                max_output_bytes=script.max_output_bytes,
                dialogue=script.dialogue,
            )
        )

    async def become_password(self, user: str) -> Secret | None:
        if self._secrets is None:
            return None
        return await self._secrets.become_password(self._host, user)

    async def secret(self, source: str) -> Secret | None:
        return None if self._secrets is None else await self._secrets.secret(self._host, source)

    async def _linked(self, *, open_session: bool) -> Link:
        async with self._linking:
            if self._link is None or not self._link.is_open:
                self.release()
                self._link = self._idle_link = self._pool.take_idle(self._host)
            if self._link is None:
                self._link = await self._pool.connect(
                    self._host, self._trace, open_session=open_session
                )
            return self._link

    def release(self) -> None:
        """Give the connection back."""
        if self._link is not None:
            self._pool.release(self._host, self._link)
            self._link = None

    def _discard(self, link: Link) -> None:
        # Another command of the operation may have done it, and have connected anew.
        if link is self._link:
            self._pool.discard(link)
            self._link = self._idle_link = None
