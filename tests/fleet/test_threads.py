"""
What a process needs while it talks to many hosts, and that it gives all of it back.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from asyncio import Task
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

import pytest
from paramiko.transport import _active_threads

from fleetctl.engine.local import LocalEngine
from fleetctl.model.errors import FleetError
from fleetctl.model.events import HostFinished, Output
from fleetctl.model.host import Host
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import HostResult, Outcome
from fleetctl.model.run import Assignment, Limits, Run
from fleetctl.model.trace import Trace
from fleetctl.ssh.connector import SshConnector
from fleetctl.ssh.loop_transport import LoopTransport
from tests.support.drive import connected, connecting, run_async, ticking, until
from tests.support.keys import authorize, keygen
from tests.support.patience import PATIENCE_S
from tests.support.peers import hostile_peer

pytestmark = pytest.mark.fleet

MOST_THREADS = 12

#: What a host can be doing when it is cancelled.
MOMENTS: dict[str, Callable[[Trace, list[bytes]], object]] = {
    "connecting": lambda trace, _: trace.phase == "connect",
    "agreeing on keys": lambda trace, _: trace.phase == "kex",
    "logging in": lambda trace, _: trace.phase == "auth",
    "opening a session": lambda trace, _: trace.phase == "session",
    "sending": lambda trace, _: trace.ran != "no",
    "running": lambda _, output: output,
}


@dataclass(frozen=True)
class Command:
    """An operation that runs one command."""

    text: str
    kind: str = "command"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        result = await remote.exec(ExecRequest(self.text))
        return Outcome("ok" if result.exit_status == 0 else "failed", result=result)


async def results_of(engine: LocalEngine, run: Run) -> list[HostResult]:
    return [e.result async for e in engine.execute(run) if isinstance(e, HostFinished)]


def live_transports() -> list[LoopTransport]:
    """Return the transports that are not at their end; test servers have stock ones."""
    return [transport for transport in _active_threads if isinstance(transport, LoopTransport)]


def descriptors() -> set[str]:
    """Return this process's open sockets."""
    found = set()
    for entry in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            name = os.readlink(f"/proc/self/fd/{entry}")
            if name.startswith("socket:"):
                found.add(name)
    return found


def lasting(host: Host, connector: SshConnector, trace: Trace, output: list[bytes]) -> Task[None]:
    """Start what goes through every phase and ends only when it is cancelled."""

    async def last() -> None:
        async with connected(host, connector=connector, trace=trace) as connection:
            await connection.exec(
                "cat; sleep 600",
                stdin=bytes(3_000_000),
                on_output=lambda _, data: output.append(data),
            )

    return asyncio.ensure_future(last())


async def assert_nothing_is_left(before: set[str]) -> None:
    """Check inside the loop, where nothing is cleaned up by its end."""
    await until(lambda: not live_transports())
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})
    await until(lambda: descriptors() <= before)


def test_run_over_two_hundred_hosts_needs_few_threads(fleet, tmp_path, loop):
    """
    During a run over 200 hosts the process has at most 12 threads, though every login needs a
    signature that is made in a thread, and each host has its result.
    """
    key = keygen(tmp_path / "key", "-t", "rsa", "-b", "2048")
    lab_hosts = fleet.hosts(10)
    for lab_host in lab_hosts:
        authorize(lab_host, key)
    hosts = [
        replace(
            fleet.model_host(lab_hosts[number % 10], identity_files=(str(key),)),
            name=f"host{number:03d}",
        )
        for number in range(200)
    ]

    async def main() -> tuple[list[HostResult], int]:
        async with connecting() as connector:
            engine = LocalEngine(connector, keep_connections=0)
            run = Run(
                "r1",
                "test",
                [Assignment(host, Command(f"echo {host.name}; sleep 0.3")) for host in hosts],
            )
            others = threading.active_count() - 1
            async with ticking() as ticker:
                results = await results_of(engine, replace(run, limits=Limits(forks=100)))
            await engine.aclose()
            return results, ticker.most_threads - others

    results, most_threads = run_async(main, loop=loop)
    assert sorted(result.host.name for result in results) == [host.name for host in hosts]
    assert {result.outcome.status for result in results} == {"ok"}, [
        result.outcome.failure for result in results if result.outcome.failure
    ][:3]
    for result in results:
        assert result.outcome.result
        assert result.outcome.result.stdout.decode() == f"{result.host.name}\n"
    assert 2 <= most_threads <= MOST_THREADS


@pytest.mark.slow
def test_five_hundred_failures_leave_nothing(fleet, loop):
    """
    Connects that fail in every phase, 500 of them, leave no transport, task or socket.
    """
    settings = fleet.settings(fleet.host("web01"))
    limits_s = {
        "silent": 0.4,
        "close": 0.4,
        "reset": 0.4,
        "http": PATIENCE_S,
        # The first of these have all the time they need for the beginning of the key exchange.
        "stall_mid_kex": 3.0,
        "disconnect": PATIENCE_S,
        "no_common_kex": PATIENCE_S,
    }

    async def main(hosts: list[Host]) -> list[BaseException | object]:
        before = descriptors()
        limit = asyncio.Semaphore(60)
        async with connecting() as connector:

            async def one(host: Host) -> object:
                async with limit:
                    return await connector.connect(host, Trace(), open_session=True)

            results = await asyncio.gather(*(one(host) for host in hosts), return_exceptions=True)
            await assert_nothing_is_left(before)
            return results

    with ExitStack() as stack:
        peers = [replace(settings, hostname="127.0.0.1", port=1)]
        for kind, limit_s in limits_s.items():
            address, port = stack.enter_context(hostile_peer(kind))
            peers.append(replace(settings, hostname=address, port=port, connect_timeout_s=limit_s))
        hosts = [Host(f"peer{n}", settings=each) for n, each in enumerate(peers * 50)]
        strangers = [fleet.model_host(fleet.host(name)) for name in ("unknown-key", "key-refused")]
        hosts += strangers * 50
        results = run_async(lambda: main(hosts), loop=loop)
    assert len(results) == 500
    assert all(isinstance(result, FleetError) for result in results)
    seen = {result.kind for result in results if isinstance(result, FleetError)}
    assert {
        "banner.timeout",
        "banner.not_ssh",
        "kex.timeout",
        "kex.no_common",
        "kex.protocol",
        "connect.refused",
        "hostkey.unknown",
        "auth.denied",
    } <= seen


@pytest.mark.parametrize("moment", MOMENTS)
def test_cancelling_leaves_nothing(fleet, loop, moment):
    """
    A host that is cancelled while it connects, logs in, sends, or runs a command leaves no
    transport, task or socket, and the next connection works.
    """
    # Its log has logins that nobody waited for.
    lab_host = fleet.host("web-cancelled")
    host = fleet.model_host(lab_host)

    async def main() -> None:
        before = descriptors()
        async with connecting() as connector:

            async def one() -> None:
                trace, output = Trace(), list[bytes]()
                task = lasting(host, connector, trace, output)
                # Every phase waits for the host at least once, so looking each turn misses none.
                await until(lambda: MOMENTS[moment](trace, output) or task.done(), pause_s=0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

            await asyncio.gather(*(one() for _ in range(5)))
            async with connected(host, connector=connector) as connection:
                assert (await connection.exec("exit 7")).exit_status == 7
        await assert_nothing_is_left(before)

    run_async(main, loop=loop)
    fleet.end_sessions(lab_host)


@pytest.mark.parametrize("seed", [1, 2])
def test_cancelling_at_any_moment_leaves_nothing(fleet, loop, seed):
    """
    Whenever a host is cancelled, it leaves no transport, task or socket, and the next connection
    works.
    """
    pick = random.Random(seed)
    # Its log has logins that nobody waited for.
    lab_host = fleet.host("web-cancelled")
    host = fleet.model_host(lab_host)

    async def main() -> None:
        before = descriptors()
        async with connecting() as connector:
            for longest_s in (0.01, 0.05, 0.1, 0.5):
                tasks = [lasting(host, connector, Trace(), []) for _ in range(10)]
                for task in tasks:
                    asyncio.get_running_loop().call_later(pick.uniform(0, longest_s), task.cancel)
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                assert {type(error) for error in ended} == {asyncio.CancelledError}
            async with connected(host, connector=connector) as connection:
                assert (await connection.exec("exit 7")).exit_status == 7
        await assert_nothing_is_left(before)

    run_async(main, loop=loop)
    fleet.end_sessions(lab_host)


def test_run_that_is_cancelled_has_all_its_results_and_leaves_nothing(fleet, loop):
    """
    A run that is cancelled in the middle gives every host its one result and closes everything.
    """
    lab_hosts = fleet.hosts(4)
    hosts = [
        replace(fleet.model_host(lab_hosts[number % 4]), name=f"host{number:02d}")
        for number in range(40)
    ]

    async def main() -> list[HostResult]:
        before = descriptors()
        async with connecting() as connector:
            engine = LocalEngine(connector, live_output=True)
            run = Run(
                "r1",
                "test",
                [Assignment(host, Command("echo started; sleep 600")) for host in hosts],
                Limits(forks=15),
            )
            results = []
            async for event in engine.execute(run):
                if isinstance(event, Output):
                    engine.cancel()
                elif isinstance(event, HostFinished):
                    results.append(event.result)
            await engine.aclose()
        await assert_nothing_is_left(before)
        return results

    results = run_async(main, loop=loop)
    assert sorted(result.host.name for result in results) == [host.name for host in hosts]
    assert {result.outcome.status for result in results} == {"cancelled"}
    assert {result.ran for result in results} >= {"no", "yes"}
    for lab_host in lab_hosts:
        fleet.end_sessions(lab_host)
