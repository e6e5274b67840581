"""
The rules for hosting Paramiko on the loop, 1 to 6: sending, resuming, threads, the end, bugs.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from time import monotonic

import paramiko
import pytest
from paramiko.message import Message
from paramiko.transport import _active_threads

from fleetctl.model.errors import FleetError
from fleetctl.ssh.session import Session
from tests.support.drive import connected, run_async, until
from tests.support.patience import PATIENCE_S, SLACK_S

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).resolve().parents[2]


# -- rule 1: sending never waits


def test_sending_during_a_key_exchange_is_held_back_in_order(host, loop):
    """
    What is sent between our KEXINIT and the new keys leaves after them, in order, without anybody
    waiting (rule 1).
    """

    async def main():
        async with connected(host) as connection:
            transport = connection.transport
            for _ in range(3):
                transport._send_kex_init()
                assert not transport.can_write
                started = monotonic()
                running = [
                    asyncio.ensure_future(
                        connection.exec(f"cat; exit {number}", stdin=b"%d" % number)
                    )
                    for number in range(4)
                ]
                await asyncio.sleep(0)
                assert monotonic() - started < SLACK_S
                results = [await task for task in running]
                assert [(r.exit_status, r.stdout) for r in results] == [
                    (number, b"%d" % number) for number in range(4)
                ]
                assert transport.can_write

    run_async(main, loop=loop)


def test_data_held_back_keeps_its_order(host, loop):
    """
    Pieces of one stream that were written during a key exchange arrive in order (rule 1).
    """

    async def main():
        async with connected(host) as connection:
            transport = connection.transport
            channel = await asyncio.to_thread(transport.open_session)
            await asyncio.to_thread(channel.exec_command, "cat")
            sent = b""
            for _ in range(3):
                transport._send_kex_init()
                for number in range(50):
                    piece = b"%d;" % number
                    assert channel.send(piece) == len(piece)
                    sent += piece
                await until(lambda: transport.can_write)
            channel.shutdown_write()
            back = await asyncio.to_thread(channel.makefile().read)
            assert back == sent
            channel.close()

    run_async(main, loop=loop)


# -- rule 2: who may resume


def test_closing_from_inside_a_callback(host, loop):
    """
    A listener that closes the connection it is called from ends it, and nothing is resumed from
    inside itself (rule 2).
    """
    for way in ("close", "abort"):

        async def main(way=way):
            async with connected(host) as connection:

                def listen(stream, data):
                    getattr(connection.transport, way)()

                with pytest.raises(FleetError) as caught:
                    await connection.exec("echo now; sleep 20", on_output=listen)
                assert caught.value.kind == "session.lost"
                assert connection.transport.bug is None
                assert not connection.transport.is_alive()

        run_async(main, loop=loop)


# -- rule 3: other threads


def test_threads_write_in_order_beside_the_loop(host, loop):
    """
    Eight threads with channels of their own and commands of the loop share one transport: every
    byte comes back in the order it was sent, and no packet is out of order (rule 3).
    """

    def talk(transport: paramiko.Transport, number: int) -> bool:
        channel = transport.open_session(timeout=PATIENCE_S)
        channel.settimeout(PATIENCE_S)
        channel.exec_command("cat")
        sent = b""
        for block in range(60):
            piece = f"{number}:{block};".encode() * (1 + block * 7)
            channel.sendall(piece)
            sent += piece
        channel.shutdown_write()
        back = b""
        while data := channel.recv(65536):
            back += data
        assert channel.recv_exit_status() == 0
        channel.close()
        return back == sent

    async def main():
        async with connected(host) as connection:
            threads = [asyncio.to_thread(talk, connection.transport, n) for n in range(8)]
            gathered = asyncio.gather(*threads)
            for number in range(10):
                result = await connection.exec("cat", stdin=b"%d" % number * 10_000)
                assert result.stdout == b"%d" % number * 10_000
            assert await gathered == [True] * 8
            assert connection.transport.bug is None

    run_async(main, loop=loop)


def test_thread_alone_is_served_at_once(host, loop):
    """
    What a thread writes while the loop sleeps wakes it: nothing waits for other traffic (rule 3).
    """

    def talk(transport: paramiko.Transport) -> bytes:
        channel = transport.open_session(timeout=PATIENCE_S)
        channel.settimeout(PATIENCE_S)
        channel.exec_command("cat")
        back = b""
        for number in range(5):
            time.sleep(0.05)
            channel.sendall(b"%d" % number)
            back += channel.recv(10)
        channel.close()
        return back

    async def main():
        async with connected(host, open_session=False) as connection:
            await asyncio.sleep(0.2)
            assert await asyncio.to_thread(talk, connection.transport) == b"01234"

    run_async(main, loop=loop)


def test_closing_from_another_thread(host, loop):
    """
    `close` may be called from any thread, and more than once (rule 3).
    """

    async def main():
        async with connected(host) as connection:
            running = asyncio.ensure_future(connection.exec("sleep 600"))
            await until(lambda: connection.trace.ran != "no")
            await asyncio.to_thread(connection.transport.close)
            await asyncio.to_thread(connection.transport.close)
            with pytest.raises(FleetError) as caught:
                await running
            assert caught.value.kind == "session.lost"
            connection.transport.close()

    run_async(main, loop=loop)


# -- rule 4: the end reaches everybody


def test_everybody_who_waits_learns_of_the_end(fleet, host, loop):
    """
    When a connection ends, whoever waits for a command, a session, an answer, room to write, or, in
    a thread, for data, is told at once (rule 4).
    """

    reading = threading.Event()

    def read(channel: paramiko.Channel) -> bytes:
        channel.exec_command("sleep 600")
        reading.set()
        return channel.recv(10)

    async def main():
        async with connected(host) as connection:
            transport = connection.transport
            channel = await asyncio.to_thread(transport.open_session)
            waiting = [
                asyncio.ensure_future(connection.exec("sleep 600")),
                asyncio.ensure_future(connection.exec("sleep 600", stdin=bytes(10_000_000))),
                asyncio.ensure_future(asyncio.to_thread(read, channel)),
            ]
            await until(lambda: len(transport._channels) == 3 and reading.is_set())
            await asyncio.sleep(0.2)
            transport.write_pressure(paused=True)
            answer = transport.request_global("nobody-answers@example.org")
            unopened = Session(transport)
            waiting += [asyncio.ensure_future(transport.writable())]
            await asyncio.sleep(0)
            transport.abort()
            ended = await asyncio.wait_for(
                asyncio.gather(*waiting, return_exceptions=True), PATIENCE_S
            )
            assert [getattr(error, "kind", None) for error in ended[:2]] == ["session.lost"] * 2
            assert ended[2:] == [b"", None]
            assert await answer is False
            assert unopened.channel.opened.is_set()
            assert unopened.lost
            assert transport not in _active_threads

    run_async(main, loop=loop)
    fleet.end_sessions(fleet.host("web01"))


def test_connection_whose_server_does_not_read_can_be_closed(fleet, loop):
    """
    Closing does not wait for a peer that takes nothing any more, and its socket is closed soon.
    """
    lab_host = fleet.sshd("not-reading", {})
    host = fleet.model_host(lab_host)

    def sockets() -> int:
        return sum(
            os.readlink(f"/proc/self/fd/{entry}").startswith("socket:")
            for entry in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{entry}")
        )

    async def main():
        before = sockets()
        async with connected(host) as connection:
            for pid in fleet.sessions(lab_host):
                os.kill(pid, signal.SIGSTOP)
            running = asyncio.ensure_future(connection.exec("cat", stdin=bytes(30_000_000)))
            await asyncio.sleep(0.5)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            started = monotonic()
        assert monotonic() - started < SLACK_S
        await until(lambda: sockets() <= before)

    try:
        run_async(main, loop=loop)
    finally:
        for pid in fleet.sessions(lab_host):
            os.kill(pid, signal.SIGKILL)
        fleet.stop(lab_host)


LEFT_OPEN = """
import asyncio, sys
from pathlib import Path
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from fleetctl.ssh.connector import SshConnector
from fleetctl.ssh.loop import run_loop

address, port, identity, known_hosts, kind = sys.argv[1:]
settings = HostSettings(
    hostname=address, port=int(port), user="root", identity_files=(identity,),
    identity_agent="none", user_known_hosts_files=(known_hosts,), strict_host_key_checking="yes",
    connect_timeout_s=60,
)
kept = []

async def main():
    connector = SshConnector(secrets=None)
    kept.append(await connector.connect(Host("h", settings=settings), Trace(), open_session=True))
    print("connected", flush=True)

run_loop(main, choice=kind)
print("done", flush=True)
"""


def test_process_that_leaves_a_connection_open_ends(fleet, loop):
    """
    A process whose loop is closed with a connection still open ends by itself, without a word
    (rule 4).
    """
    lab_host = fleet.host("web01")
    done = subprocess.run(
        [
            *(sys.executable, "-c", LEFT_OPEN, lab_host.address, str(lab_host.port)),
            *(str(fleet.identity), str(fleet.known_hosts), loop),
        ],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key != "PYTHONASYNCIODEBUG"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "connected\ndone\n", "")


# -- rule 5: bugs


@pytest.mark.parametrize("bug", [ValueError("broken handler"), SystemExit(3), KeyboardInterrupt()])
def test_bug_in_a_handler_ends_its_own_transport_only(host, bug, loop):
    """
    Whatever a handler raises ends that transport, tells everybody who waits, and leaves the loop
    and the other connections alone (rule 5).
    """

    def broken(m: Message) -> None:
        raise bug

    async def main():
        async with connected(host) as good, connected(host) as bad:
            running = asyncio.ensure_future(bad.exec("sleep 600"))
            await until(lambda: bad.trace.ran != "no")
            # sshd answers every global request it does not know with this.
            bad.transport._handler_table[82] = broken
            answer = bad.transport.request_global("nobody-knows@example.org")
            with pytest.raises(FleetError) as caught:
                await asyncio.wait_for(running, PATIENCE_S)
            assert caught.value.kind == "session.lost"
            assert await answer is False
            assert bad.transport.saved_exception is bug
            assert bad.transport not in _active_threads
            assert (await good.exec("exit 7")).exit_status == 7

    run_async(main, loop=loop)


# -- rule 6: context

WHO: contextvars.ContextVar[str] = contextvars.ContextVar("WHO", default="nobody")


def test_callbacks_see_the_context_of_whoever_connected(host):
    """
    Context variables, and so log context, are those of the task that made the connection (rule 6).
    """
    seen: dict[str, set[str]] = {}

    async def one(name: str) -> None:
        WHO.set(name)
        async with connected(host) as connection:
            await connection.exec(
                "echo x", on_output=lambda *_: seen.setdefault(name, set()).add(WHO.get())
            )

    async def main():
        await asyncio.gather(one("first"), one("second"))

    run_async(main)
    assert seen == {"first": {"first"}, "second": {"second"}}
