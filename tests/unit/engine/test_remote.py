"""
A host as an operation sees it: one connection, made when it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from fleetctl.engine.gate import HandshakeGate
from fleetctl.engine.pool import Pool
from fleetctl.engine.remote import PooledRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.trace import Trace
from fleetctl.testing import HostScript, ScriptedConnector, exited, run_in_virtual_time

WEB1 = Host("web1")
UPTIME = ExecRequest("uptime")


class Diary:
    """A journal that keeps what it was told, and what had been sent by then."""

    def __init__(self, connector: ScriptedConnector) -> None:
        self.connector = connector
        self.entries: list[tuple[str, int]] = []

    async def starting(self, host: Host) -> None:
        await asyncio.sleep(0.02)
        self.entries.append((host.name, len(self.connector.received)))


def with_remote(
    body: Callable[[PooledRemote, Trace], Awaitable[None]],
    connector: ScriptedConnector,
    *,
    journal: Diary | None = None,
    idle: int = 0,
) -> None:
    """Run the body with a remote over a pool that has so many idle connections."""

    async def main() -> None:
        pool = Pool(connector, HandshakeGate(total=8, per_endpoint=8), keep=8)
        links = [await pool.connect(WEB1, Trace(), open_session=True) for _ in range(idle)]
        for link in links:
            pool.release(WEB1, link)
        trace = Trace()
        remote = PooledRemote(WEB1, trace, pool, journal, None)
        try:
            await body(remote, trace)
        finally:
            remote.release()
            await pool.close()
        assert [link.closings for link in connector.links] == [1] * len(connector.links)

    run_in_virtual_time(main)


def test_nothing_is_contacted_before_something_is_asked():
    """
    A host is logged in to when first needed, and only then.
    """
    connector = ScriptedConnector()

    async def body(remote: PooledRemote, _: Trace) -> None:
        assert remote.host is WEB1

    with_remote(body, connector)
    assert connector.attempts == []


def test_commands_of_one_operation_share_a_connection():
    """
    Whatever an operation asks for goes over one connection.
    """
    connector = ScriptedConnector()

    async def body(remote: PooledRemote, _: Trace) -> None:
        assert (await remote.connect())["auth_method"] == "publickey"
        await remote.exec(UPTIME)
        await remote.exec(UPTIME)

    with_remote(body, connector)
    assert len(connector.attempts) == 1


def test_commands_at_the_same_time_share_a_connection():
    """
    Two commands started together wait for one login; no connection is lost sight of.
    """
    connector = ScriptedConnector({"web1": HostScript(delays_s={"auth": 1})})

    async def body(remote: PooledRemote, _: Trace) -> None:
        await asyncio.gather(remote.exec(UPTIME), remote.exec(UPTIME))

    with_remote(body, connector)
    assert len(connector.links) == 1


def test_journal_is_told_before_a_command_leaves():
    """
    After a crash, what may have run is known: the entry is there before the host hears of it.
    """
    connector = ScriptedConnector()
    diary = Diary(connector)

    async def body(remote: PooledRemote, _: Trace) -> None:
        await remote.connect()
        assert diary.entries == []
        await remote.exec(UPTIME)
        await remote.exec(UPTIME)

    with_remote(body, connector, journal=diary)
    assert diary.entries == [("web1", 0), ("web1", 1)]


def test_a_lost_connection_is_made_anew_for_the_next_command():
    """
    An operation that survives a lost connection may go on over another one.
    """
    connector = ScriptedConnector()

    async def body(remote: PooledRemote, _: Trace) -> None:
        await remote.exec(UPTIME)
        connector.links[0].drop()
        await remote.exec(UPTIME)

    with_remote(body, connector)
    assert len(connector.links) == 2


@pytest.mark.parametrize("kind", ["session.refused", "session.lost"])
def test_an_idle_connection_that_turns_out_dead_costs_no_host_its_result(kind):
    """
    Nothing ran, so the command is sent over a new connection without being asked.
    """
    dead = FleetError(kind, "no session within 10 s", retryable=True)
    script = HostScript({"uptime": exited(stdout=b"up")}, failures={"session": [dead, dead]})
    connector = ScriptedConnector({"web1": script})

    async def body(remote: PooledRemote, trace: Trace) -> None:
        assert (await remote.exec(UPTIME)).stdout == b"up"
        assert trace.ran == "yes"

    with_remote(body, connector, idle=2)
    assert len(connector.links) == 3


def test_a_new_connection_without_sessions_is_a_failure_and_is_not_kept():
    """
    A host that refuses the first session of a new connection is not asked in a circle.
    """
    refusal = FleetError("session.refused", "MaxSessions", retryable=True)
    connector = ScriptedConnector({"web1": HostScript(failures={"session": [refusal] * 9})})

    async def body(remote: PooledRemote, _: Trace) -> None:
        with pytest.raises(FleetError, match="MaxSessions"):
            await remote.exec(UPTIME)
        await asyncio.sleep(0)
        assert not connector.links[0].is_open

    with_remote(body, connector)
    assert len(connector.attempts) == 1


def test_a_command_that_was_sent_is_never_sent_again():
    """
    A connection that breaks after the command left is reported, idle before or not.
    """
    lost = FleetError("session.lost", "reset", retryable=True)
    connector = ScriptedConnector({"web1": HostScript(failures={"command": [lost]})})

    async def body(remote: PooledRemote, trace: Trace) -> None:
        with pytest.raises(FleetError, match="reset"):
            await remote.exec(UPTIME)
        assert trace.ran == "unknown"

    with_remote(body, connector, idle=1)
    assert len(connector.received) == 1


def test_a_login_shell_is_fed_over_the_same_connection():
    """
    A script for the login shell takes the way of a command, with the script as its input.
    """
    script = HostScript(answers={"exit 3\n": exited(3), "true": exited()})

    async def body(remote: PooledRemote, trace: Trace) -> None:
        await remote.exec(ExecRequest("true"))
        assert (await remote.shell(ShellScript(b"exit 3\n"))).exit_status == 3
        assert trace.ran == "yes"

    connector = ScriptedConnector({"web1": script})
    with_remote(body, connector)
    assert len(connector.links) == 1
