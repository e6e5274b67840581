"""
ProxyCommand: a program is the connection, and never outlives it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shlex
import sys
from pathlib import Path

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.trace import Trace
from tests.support.drive import connected, connecting, failed_login, run_async, until
from tests.support.leaks import child_pids
from tests.support.patience import PATIENCE_S, at_some_pace
from tests.support.peers import hostile_peer

pytestmark = pytest.mark.fleet

MEBIBYTE = 1024 * 1024

#: What nc does, for machines that lack it.
NC = """
import os, select, socket, sys
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
ways = {0: peer.fileno(), peer.fileno(): 1}
while True:
    for ready in select.select(list(ways), [], [])[0]:
        data = os.read(ready, 65536)
        if not data:
            sys.exit(0)
        while data:
            data = data[os.write(ways[ready], data):]
"""


@pytest.fixture
def nc(tmp_path: Path) -> str:
    program = tmp_path / "nc.py"
    program.write_text(NC)
    return f"{sys.executable} {program}"


def through(fleet, command: str, **changes) -> Host:
    """Return a host that is reached by a command, and in no other way."""
    return fleet.model_host(fleet.host("web01"), proxy_command=command, **changes)


def why_not(host: Host, loop: str) -> FleetError:
    """Return why connecting fails."""

    async def main() -> FleetError:
        async with connecting() as connector:
            with pytest.raises(FleetError) as caught:
                await connector.connect(host, Trace(), open_session=True)
            return caught.value

    return run_async(main, loop=loop)


def target(fleet) -> str:
    lab_host = fleet.host("web01")
    return f"{lab_host.address} {lab_host.port}"


@pytest.mark.parametrize("suffix", ["", " 2>/dev/null"])
def test_command_like_netcat(fleet, loop, nc, suffix):
    """
    A program that copies bytes is enough, run by itself or by the shell.
    """
    host = through(fleet, f"{nc} {target(fleet)}{suffix}")

    async def main():
        async with connected(host) as connection:
            result = await connection.exec("cat; exit 7", stdin=b"in\0")
            assert connection.trace.address is None
            return result

    result = run_async(main, loop=loop)
    assert (result.exit_status, result.stdout) == (7, b"in\0")


def test_ssh_as_the_command(fleet, loop):
    """
    ``ssh -W`` through another host works, and its own messages do not disturb.
    """
    gate, host = fleet.host("web02"), fleet.host("web01")
    # ssh puts the destination last.
    *options, destination = fleet.ssh_argv(gate, "-v", "-W", f"{host.address}:{host.port}")
    command = shlex.join([*options, destination])

    async def main():
        async with connected(through(fleet, command)) as connection:
            return (await connection.exec("exit 6")).exit_status

    assert run_async(main, loop=loop) == 6


def test_many_bytes_both_ways(fleet, loop, nc):
    """
    8 MiB each way arrive as they were sent.
    """
    data = hashlib.shake_256(b"proxy").digest(8 * MEBIBYTE)

    async def main():
        async with connected(through(fleet, f"{nc} {target(fleet)}")) as connection:
            return await connection.exec("cat", stdin=data, max_output_bytes=len(data))

    assert run_async(main, loop=loop).stdout == data


def test_first_gateway_behind_a_command(fleet, nc):
    """
    A gateway may itself be reached by a command of its own settings.
    """
    gate = fleet.host("web02")
    settings = fleet.settings(gate, proxy_command=f"{nc} {gate.address} {gate.port}")
    host = fleet.model_host(fleet.host("web01"), gateways=(settings,))

    async def main():
        async with connected(host) as connection:
            return (await connection.exec("exit 5")).exit_status

    assert run_async(main) == 5


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("false", "ProxyCommand false ended with exit status 1"),
        ("sh -c 'echo gate is closed >&2; exit 3'", "exit status 3: gate is closed"),
        ("sh -c 'kill -KILL $$'", "was killed by signal KILL"),
        ("/nonexistent/proxy web01", "ProxyCommand: /nonexistent/proxy: not found"),
        ("/nonexistent/proxy 'web01'", "ended with exit status 127"),
        ("/etc/passwd", "permission denied"),
    ],
)
def test_command_that_fails(fleet, loop, command, words):
    """
    The failure says how the program ended and what it said last; nothing ran.
    """
    error = why_not(through(fleet, command), loop)
    assert error.kind == "connect.unreachable"
    assert words.lower() in str(error).lower()
    assert error.failure.hint


def test_endless_words_on_standard_error_are_bounded(fleet):
    """
    S04: a program that floods standard error is read, and only its last line is kept.
    """
    flood = "yes 0123456789 | head -c 3000000 >&2; echo >&2; echo the end >&2; exit 9"
    error = failed_login(through(fleet, f"sh -c {shlex.quote(flood)}"))
    assert str(error).endswith("ended with exit status 9: the end")


def test_command_that_does_not_speak_ssh(fleet):
    """
    What the program prints is judged as what a server sends.
    """
    assert failed_login(through(fleet, "printf 'HTTP/1.1 200 OK\\r\\n'; cat")).kind in (
        "banner.not_ssh",
        "connect.dropped",
    )
    assert failed_login(through(fleet, "sh -c 'echo HTTP/1.1 200 OK'")).kind == "banner.not_ssh"


def test_silent_command_ends_with_the_deadline(fleet, loop):
    """
    A program that says nothing is given up at the deadline, and is gone afterwards.
    """
    before = child_pids()

    async def main():
        async with connecting() as connector:
            error = await asyncio.gather(
                connector.connect(
                    through(fleet, "sleep 600", connect_timeout_s=1.0), Trace(), open_session=True
                ),
                return_exceptions=True,
            )
            return error[0]

    assert run_async(main, loop=loop).kind == "banner.timeout"
    assert child_pids() == before


@pytest.mark.parametrize(
    "stubborn", ["trap '' TERM; sleep 600", "trap '' TERM HUP; while :; do :; done"]
)
def test_stubborn_command_is_killed(fleet, loop, stubborn):
    """
    A program that ignores TERM, and what it started, are gone when the connector is closed.
    """
    before = child_pids()
    marker = f"sleep {600_000 + os.getpid()}"
    command = f"sh -c {shlex.quote(stubborn.replace('sleep 600', marker))}"

    def check(pace):
        error = why_not(through(fleet, command, connect_timeout_s=pace), loop)
        assert error.kind == "banner.timeout"

    at_some_pace(check)
    assert child_pids() == before
    running = [
        path
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if marker.replace(" ", "\0").encode() in _content(path)
    ]
    assert running == []


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_program_ends_with_its_connection(fleet, loop, nc):
    """
    After the last command there is no zombie and no process, while the connector lives on.
    """
    before = child_pids()

    async def main():
        async with connecting() as connector:
            for _ in range(3):
                host = through(fleet, f"{nc} {target(fleet)}")
                async with connected(host, connector=connector) as connection:
                    assert (await connection.exec("true")).exit_status == 0
                    assert len(child_pids() - before) == 1
                await until(lambda: child_pids() == before)

    run_async(main, loop=loop)


def test_program_ends_where_the_system_does_not_tell(fleet, loop, nc, monkeypatch):
    """
    Without pidfd_open(2), as on macOS, programs are looked at until they have ended.
    """
    monkeypatch.delattr(os, "pidfd_open")
    before = child_pids()

    async def main():
        async with connected(through(fleet, f"{nc} {target(fleet)}")) as connection:
            return (await connection.exec("exit 8")).exit_status

    assert run_async(main, loop=loop) == 8
    error = why_not(through(fleet, "sh -c 'echo closed >&2; exit 3'"), loop)
    assert str(error) == "ProxyCommand sh ended with exit status 3: closed"
    assert child_pids() == before


def test_killed_program_is_a_lost_connection(fleet, loop, nc):
    """
    A program that dies in the middle of a command is session.lost, and what ran is not known.
    """
    before = child_pids()

    async def main():
        async with connected(through(fleet, f"{nc} {target(fleet)}")) as connection:
            seen = asyncio.Event()
            running = asyncio.ensure_future(
                connection.exec("echo x; sleep 60", on_output=lambda *_: seen.set())
            )
            await seen.wait()
            (pid,) = child_pids() - before
            os.kill(pid, 9)
            (error,) = await asyncio.gather(running, return_exceptions=True)
            return error, connection.trace.ran

    error, ran = run_async(main, loop=loop)
    assert (error.kind, ran) == ("session.lost", "unknown")


def test_cancelled_at_the_start(fleet, loop):
    """
    A connect that is cancelled in any of its first turns of the loop leaves no program behind.
    """
    before = child_pids()

    async def main():
        async with connecting() as connector:
            for turns in range(12):
                host = through(fleet, "sleep 600")
                task = asyncio.ensure_future(connector.connect(host, Trace(), open_session=True))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                (error,) = await asyncio.gather(task, return_exceptions=True)
                assert isinstance(error, asyncio.CancelledError)

    run_async(main, loop=loop)
    assert child_pids() == before


@pytest.mark.parametrize("phase", ["kex", "auth"])
def test_cancelled_in_each_phase(fleet, loop, nc, phase):
    """
    A connect by a command can be cancelled at any time, and the program ends with it.
    """
    slow = fleet.host("slow-auth")
    before = child_pids()
    host = {
        "kex": lambda: through(fleet, "sleep 600"),
        "auth": lambda: fleet.model_host(slow, proxy_command=f"{nc} {slow.address} {slow.port}"),
    }[phase]()

    async def main():
        async with connecting() as connector:
            trace = Trace()
            task = asyncio.ensure_future(connector.connect(host, trace, open_session=True))
            await until(lambda: trace.phase == phase)
            task.cancel()
            (error,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(error, asyncio.CancelledError)

    run_async(main, loop=loop)
    assert child_pids() == before


@pytest.fixture
def throttled_gate(fleet):
    """A gateway that drops every connection beyond two that are not logged in."""
    gate = fleet.sshd("throttled-gate", {"MaxStartups": "2:100:2"})
    yield gate
    fleet.stop(gate)


def test_ssh_that_was_turned_away_comes_back(fleet, loop, throttled_gate):
    """
    Twelve logins by ``ssh -W`` through a gateway with MaxStartups 2:100:2 all get in (F07).
    """
    inner = fleet.host("web01")
    *options, destination = fleet.ssh_argv(throttled_gate, "-W", f"{inner.address}:{inner.port}")
    command = shlex.join([*options, destination])
    host = through(fleet, command, connect_timeout_s=PATIENCE_S)

    async def main():
        async with connecting() as connector:
            links = await asyncio.gather(
                *(connector.connect(host, Trace(), open_session=False) for _ in range(12)),
                return_exceptions=True,
            )
            failed = [link for link in links if isinstance(link, BaseException)]
            await asyncio.gather(
                *(link.close() for link in links if not isinstance(link, BaseException))
            )
            return failed

    assert run_async(main, loop=loop) == []


def test_throttled_host_behind_a_command(fleet, nc):
    """
    A server that says it has too many connections is paced behind a command too.
    """
    with hostile_peer("maxstartups") as (address, port):

        def check(pace):
            host = through(fleet, f"{nc} {address} {port}", connect_timeout_s=2 * pace)
            error = failed_login(host)
            assert error.kind == "connect.dropped"
            assert "Exceeded MaxStartups" in str(error)
            assert "times)" in str(error)

        at_some_pace(check)
