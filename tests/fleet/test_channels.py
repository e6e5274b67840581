"""
Many commands of one operation on one host: MaxSessions, queue, second connection (F36).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetctl.engine.gate import HandshakeGate
from fleetctl.engine.pool import Pool
from fleetctl.engine.remote import PooledRemote
from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.result import ExecResult
from fleetctl.model.trace import Trace
from fleetctl.ssh import opening as opening_module
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.session import Session
from tests.support.drive import connecting, run_async, until
from tests.support.fleet import Fleet

pytestmark = pytest.mark.fleet


@pytest.fixture(autouse=True)
def _patient_reopening(monkeypatch) -> None:
    """Ask longer for another session: sshd may be slow to see the end of the last one."""
    monkeypatch.setattr(opening_module, "REOPEN_WAITS_S", (0.01, 0.03, 0.1, *[0.3] * 200))


@dataclass
class Counting:
    """A connector that remembers its connections."""

    connector: object
    links: list[SshConnection]

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> SshConnection:
        link: SshConnection = await self.connector.connect(  # type: ignore[attr-defined]
            host, trace, open_session=open_session
        )
        self.links.append(link)
        return link

    async def aclose(self) -> None:
        """It belongs to the test."""


@dataclass(frozen=True)
class Operation:
    """What an operation has of its host, and what a test may see of it."""

    remote: PooledRemote
    trace: Trace
    links: list[SshConnection]

    async def echo_all(self, count: int) -> list[bytes]:
        """Run so many commands at once; return what each wrote."""
        results = await asyncio.gather(
            *(self.remote.exec(ExecRequest(f"echo {number}")) for number in range(count))
        )
        return [result.stdout for result in results]


@asynccontextmanager
async def operating(host: Host) -> AsyncIterator[Operation]:
    async with connecting() as connector:
        counting = Counting(connector, [])
        pool = Pool(counting, HandshakeGate(total=8, per_endpoint=8), keep=8)
        trace = Trace()
        remote = PooledRemote(host, trace, pool, None, None)
        try:
            yield Operation(remote, trace, counting.links)
        finally:
            remote.release()
            await pool.close()


def refusals(host: LabHost) -> int:
    """Return how many sessions the host has refused so far."""
    return host.log.read_text(errors="replace").count("no more sessions")


@pytest.mark.parametrize(
    ("max_sessions", "count"), [("1", 20), ("3", 60), (None, 200), ("100", 200)]
)
def test_F36_many_commands_at_once_on_one_connection(fleet, loop, max_sessions, count):
    """
    F36: each gets its own output, and each status is right, whatever MaxSessions is.
    """
    lab_host = fleet.sshd("many-sessions", {"MaxSessions": max_sessions})

    async def main() -> None:
        async with operating(fleet.model_host(lab_host)) as operation:
            outputs = await operation.echo_all(count)
            assert outputs == [b"%d\n" % number for number in range(count)]
            assert operation.trace.ran == "yes"
            # Whatever may have been slow: no connection more than there are reasons for one.
            assert len(operation.links) <= 4

    run_async(main, loop=loop)


def test_F36_inputs_and_outputs_of_commands_at_once_are_not_mixed_up(fleet, loop):
    """
    F36: 40 commands with 256 KiB in and out each, more than MaxSessions at once.
    """
    host = fleet.model_host(fleet.sshd("many-sessions", {"MaxSessions": "4"}))
    inputs = [bytes([number]) * 256 * 1024 for number in range(40)]

    async def main() -> None:
        async with operating(host) as operation:
            results = await asyncio.gather(
                *(operation.remote.exec(ExecRequest("cat", stdin=data)) for data in inputs)
            )
        digests = [hashlib.sha256(result.stdout).digest() for result in results]
        assert digests == [hashlib.sha256(data).digest() for data in inputs]

    run_async(main, loop=loop)


def test_F36_no_sessions_at_all_fail_each_command(fleet):
    """
    F36: with MaxSessions 0 each of many commands is told why, and only one connection was made.
    """
    host = fleet.model_host(fleet.host("no-sessions"))

    async def main() -> None:
        async with operating(host) as operation:
            commands = (operation.remote.exec(ExecRequest("true")) for _ in range(30))
            results = await asyncio.gather(*commands, return_exceptions=True)
            assert {getattr(result, "kind", result) for result in results} == {"session.refused"}
            assert (len(operation.links), operation.trace.ran) == (1, "no")

    run_async(main)


def test_F36_a_command_behind_one_that_lasts_gets_another_connection(fleet, tmp_path, loop):
    """
    F36: with MaxSessions 1 nobody waits for a command without end; the end of both is seen.
    """
    host = fleet.model_host(fleet.host("tiny-sessions"))
    go_on = tmp_path / "go-on"
    wait = f"until test -e {go_on}; do sleep 0.05; done; echo first"

    async def main() -> None:
        async with operating(host) as operation:
            first = asyncio.ensure_future(operation.remote.exec(ExecRequest(wait)))
            await until(lambda: operation.trace.ran != "no")
            assert (await operation.remote.exec(ExecRequest("echo second"))).stdout == b"second\n"
            assert (await operation.remote.shell(ShellScript(b"echo 3"))).stdout.endswith(b"3\n")
            assert not first.done()
            assert len(operation.links) == 2
            go_on.touch()
            assert (await first).stdout == b"first\n"

    run_async(main, loop=loop)


def test_F36_a_session_that_the_server_still_counts_costs_no_command(fleet, tmp_path, monkeypatch):
    """
    F36: a program that goes on after its channel was closed takes the only session there is; the
    next command runs anyway, over another connection.
    """
    host = fleet.model_host(fleet.host("tiny-sessions"))
    go_on = tmp_path / "go-on"
    stubborn = f"until test -e {go_on}; do sleep 0.05; done".encode()

    async def main() -> None:
        async with operating(host) as operation:
            assert (await operation.remote.exec(ExecRequest("echo 1"))).stdout == b"1\n"
            transport = operation.links[0].transport
            left = None
            while left is None or left.channel.open_refused:
                left = Session(transport)
                await left.channel.opened.future
            left.request("exec", stubborn)
            await until(lambda: left.accepted)
            left.close()
            monkeypatch.setattr(opening_module, "REOPEN_WAITS_S", (0.01,))
            assert (await operation.remote.exec(ExecRequest("echo 2"))).stdout == b"2\n"
            assert [link.is_open for link in operation.links] == [False, True]

    try:
        run_async(main)
    finally:
        go_on.touch()


def test_F36_cancelled_commands_leave_their_sessions_to_others(fleet, tmp_path, loop):
    """
    F36: cancelled while they wait, open or run, they hold nobody up.
    """
    host = fleet.model_host(fleet.sshd("many-sessions", {"MaxSessions": "3"}))
    started = tmp_path / "started"
    started.mkdir()

    async def main() -> None:
        async with operating(host) as operation:
            tasks = [
                asyncio.ensure_future(
                    operation.remote.exec(ExecRequest(f"touch {started}/{number}; exec cat"))
                )
                for number in range(30)
            ]
            lasting = [
                asyncio.ensure_future(
                    operation.remote.exec(ExecRequest(f"touch {started}/x{number}; sleep 0.3"))
                )
                for number in range(5)
            ]
            await until(lambda: any(started.iterdir()))
            for task in tasks[::2]:
                task.cancel()
            results = await asyncio.gather(*tasks, *lasting, return_exceptions=True)
            kept = [*results[1:30:2], *results[30:]]
            assert [getattr(r, "exit_status", r) for r in kept] == [0] * 20
            assert len(await operation.echo_all(10)) == 10

    run_async(main, loop=loop)


def test_F36_a_connection_that_dies_takes_only_what_was_sent(fleet, tmp_path, loop):
    """
    F36: what was running is lost, each command with an error of its own; what waited runs over a
    new connection; nothing runs twice.
    """
    lab_host = fleet.sshd("many-sessions", {"MaxSessions": "4"})
    ran: Path = tmp_path / "ran"

    async def main() -> None:
        async with operating(fleet.model_host(lab_host)) as operation:
            tasks = [
                asyncio.ensure_future(
                    operation.remote.exec(
                        ExecRequest(f"echo {number} >> {ran}; test {number} -ge 4 || sleep 600")
                    )
                )
                for number in range(20)
            ]
            await until(lambda: ran.exists() and len(ran.read_text().split()) >= 4)
            operation.links[0].transport.abort()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            errors = [r for r in results if isinstance(r, FleetError)]
            assert len({id(error) for error in errors}) == len(errors) == 4
            assert {error.kind for error in errors} == {"session.lost"}
            assert [r.exit_status for r in results if isinstance(r, ExecResult)] == [0] * 16
            assert operation.trace.ran == "unknown"

    try:
        run_async(main, loop=loop)
    finally:
        fleet.end_sessions(lab_host)
    assert sorted(ran.read_text().split(), key=int) == [str(number) for number in range(20)]


def test_F36_refusals_are_few(fleet: Fleet):
    """
    F36: while many commands wait, a server is not asked in vain for each of them.
    """
    lab_host = fleet.sshd("refusals", {"MaxSessions": "5"})

    async def main() -> None:
        async with operating(fleet.model_host(lab_host)) as operation:
            await operation.echo_all(200)

    run_async(main)
    assert refusals(lab_host) < 200


def test_a_link_that_is_lost_between_two_attempts_is_noticed_at_once(fleet, monkeypatch, loop):
    """
    While a session is asked for again and again, a connection that ends is no reason to wait.
    """
    monkeypatch.setattr(opening_module, "REOPEN_WAITS_S", (0.5, 0.5))
    host = fleet.model_host(fleet.host("tiny-sessions"))

    async def main() -> None:
        async with operating(host) as operation:
            await operation.remote.exec(ExecRequest("true"))
            [link] = operation.links
            holder = asyncio.ensure_future(link.exec(ExecRequest("cat; sleep 600"), Trace(), None))
            await until(lambda: link._sessions == 1)
            refused = asyncio.ensure_future(link.exec(ExecRequest("true"), Trace(), None))
            await asyncio.sleep(0.2)
            link.transport.abort()
            with pytest.raises(FleetError) as caught:
                await refused
            failure = caught.value.failure
            assert (failure.kind, failure.retryable) == ("session.lost", True)
            await asyncio.gather(holder, return_exceptions=True)

    try:
        run_async(main, loop=loop)
    finally:
        fleet.end_sessions(fleet.host("tiny-sessions"))
