"""
Forwardings: what is asked for, and the connection that carries them.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fleetctl.model.errors import FleetError, Problem, UsageError
from fleetctl.model.forward import (
    Forward,
    ForwardEvent,
    ForwardKind,
    Listening,
    NotListening,
    parse_forward,
)
from fleetctl.model.host import Host
from fleetctl.model.ports import SecretProvider
from fleetctl.model.trace import Trace

if TYPE_CHECKING:
    from fleetctl.ssh.connect import HostKeyQuestion
    from fleetctl.ssh.connection import SshConnection
    from fleetctl.ssh.forward import Forwarding

_KINDS: dict[str, ForwardKind] = {"L": "local", "R": "remote", "D": "dynamic"}
_EXAMPLES = {
    "L": "-L 8080:localhost:80",
    "R": "-R 8080:localhost:80, or -R 1080 for a SOCKS proxy",
    "D": "-D 1080",
}


def read_forwards(host: Host, given: Sequence[tuple[str, str]]) -> tuple[Forward, ...]:
    """
    Return the forwardings of the command line, each once.

    Args:
        given: Letter of the option, and its value.

    Raises:
        UsageError: With all that are none.
    """
    from fleetctl.sshconfig.forwards import expand_paths, is_dynamic, of_command_line, render
    from fleetctl.sshconfig.surroundings import Surroundings
    from fleetctl.sshconfig.tokens import Login, token_values

    surroundings = Surroundings.from_process(os.environ)
    settings = host.settings
    login = Login(
        host=host.hostname,
        original_host=host.name,
        user=settings.user or surroundings.user,
        port=str(settings.port),
        key_alias=settings.host_key_alias or host.name,
        jump_host=(settings.gateways[-1].hostname or "") if settings.gateways else "",
    )
    tokens = token_values(login, surroundings)
    forwards: dict[Forward, None] = {}
    problems = []
    for letter, spec in given:
        try:
            ends = expand_paths(of_command_line(letter, spec, os.environ), tokens)
        except ValueError as error:
            hint = f"write it as in {_EXAMPLES[letter]}"
            problems.append(Problem(f"{error}", f"-{letter}", hint=hint))
            continue
        kind: ForwardKind = "remote" if letter == "R" else "local"
        if letter != "R" and is_dynamic(ends):
            kind = "dynamic"
        key = "dynamicforward" if kind == "dynamic" else "localforward"
        forwards[parse_forward(kind, render(key, ends))] = None
    if problems:
        raise UsageError(problems=problems)
    return tuple(forwards)


def configured_forwards(host: Host) -> Iterator[Forward]:
    """Yield the forwardings of the host's settings, unless ClearAllForwardings is set."""
    settings = host.settings
    if settings.clear_all_forwardings:
        return
    for kind, lines in (
        (_KINDS["L"], settings.local_forwards),
        (_KINDS["R"], settings.remote_forwards),
        (_KINDS["D"], settings.dynamic_forwards),
    ):
        for line in lines:
            yield parse_forward(kind, line)


class OpenForwards:
    """
    The forwardings of one connection.

    Attributes:
        listening: Those that are there, in the order they were asked for.
    """

    def __init__(
        self,
        connection: SshConnection,
        forwarding: Forwarding,
        tell: Callable[[ForwardEvent], None],
    ) -> None:
        self.listening: list[Listening] = []
        self._connection = connection
        self._forwarding = forwarding
        self._tell = tell

    async def add(self, forward: Forward) -> FleetError | None:
        """Set one up, and tell what came of it; return why it failed."""
        try:
            listening = await self._forwarding.add(forward)
        except FleetError as error:
            self._tell(NotListening(forward, error.failure))
            return error
        self.listening.append(listening)
        self._tell(listening)
        return None

    async def lost(self) -> FleetError:
        """Wait until the connection ends, and return why."""
        from fleetctl.ssh.wire import GatewayLost

        ended, failed = self._connection.transport.ended, self._forwarding.failed
        await asyncio.wait((ended, failed), return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()
        bug = self._connection.transport.bug
        if bug is not None:
            raise bug
        cause = self._forwarding.lost()
        if isinstance(cause, GatewayLost):
            return FleetError("gateway.lost", str(cause), retryable=True, hop=cause.hop)
        return FleetError("session.lost", str(cause), retryable=True)


@asynccontextmanager
async def open_forwards(
    host: Host,
    *,
    secrets: SecretProvider,
    ask_host_key: Callable[[HostKeyQuestion], Awaitable[bool]] | None,
    warn: Callable[[str], None],
    tell: Callable[[ForwardEvent], None],
    login_keys: Path | None = None,
    seen_host_keys: Path | None = None,
) -> AsyncIterator[OpenForwards]:
    """
    Log in to a host for forwardings; everything is closed after.

    Args:
        tell: Told what is listened on, and about connections that get no further.
        login_keys: File that remembers which key each host took; None to remember nothing.
        seen_host_keys: File that remembers which key each host showed; None for none.

    Raises:
        FleetError: Kinds ``resolve`` to ``auth`` and ``gateway``.
    """
    from fleetctl.ssh.connector import SshConnector
    from fleetctl.ssh.forward import Forwarding
    from fleetctl.ssh.loop import settle_garbage_collector
    from fleetctl.ssh.remembered_keys import RememberedKeys
    from fleetctl.ssh.seen_host_keys import SeenHostKeys

    settle_garbage_collector()
    connector = SshConnector(
        secrets=secrets,
        ask_host_key=ask_host_key,
        warn=warn,
        environ=os.environ,
        remembered=None if login_keys is None else RememberedKeys(login_keys),
        seen=None if seen_host_keys is None else SeenHostKeys(seen_host_keys),
    )
    try:
        connection = await connector.connect(host, Trace(), open_session=False)
        try:
            forwarding = Forwarding(connection, tell=tell)
            try:
                yield OpenForwards(connection, forwarding, tell)
            finally:
                await forwarding.close()
        finally:
            await connection.close()
    finally:
        await connector.aclose()
