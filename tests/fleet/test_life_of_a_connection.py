"""
The life of a connection: dialled, kept alive, compressed, and longer than that of its sshd.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import replace

import pytest

from fleetctl.lab.layout import LabHost
from fleetctl.lab.readiness import wait_ready
from fleetctl.model.errors import FleetError
from tests.support.cable import cable_to
from tests.support.drive import connected, run_async, run_command, until
from tests.support.patience import PATIENCE_S, at_some_pace
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


# -- alive or not


def test_F49_a_cut_cable_is_noticed_by_missing_answers(host, loop):
    """
    When nothing passes any more and no end is sent, the keepalives that get no answer end the wait:
    the command may have run, and nobody tries it again.
    """

    async def main(pace):
        with cable_to(host) as (cable, far):
            settings = replace(
                far.settings, server_alive_interval_s=0.3 * pace, server_alive_count_max=2
            )
            async with connected(replace(far, settings=settings)) as connection:
                running = asyncio.ensure_future(connection.exec("sleep 600"))
                await until(lambda: connection.trace.ran != "no")
                await asyncio.sleep(0.2 * pace)
                cable.cut()
                with pytest.raises(FleetError) as caught:
                    await asyncio.wait_for(running, 2 * PATIENCE_S)
                assert caught.value.kind == "session.lost"
                assert "2 keepalives in a row got no answer" in str(caught.value)
                assert connection.trace.ran == "unknown"
                assert not caught.value.failure.retryable
                assert not connection.ssh.is_open

    at_some_pace(lambda pace: run_async(lambda: main(pace), loop=loop))


def test_F49_a_refusal_is_an_answer(settings):
    """
    A server that does not know the keepalive and says so is alive; each one is asked for an answer
    (OpenSSH PROTOCOL, keepalive@openssh.com).
    """
    asked: list[tuple[str, bool]] = []

    class Slow(Login):
        def run(self, channel, command):
            threading.Event().wait(1.5)
            super().run(channel, command)

    def prepare(transport):
        parse = transport._parse_global_request

        def noted(m):
            asked.append((m.get_text(), m.get_boolean()))
            m.rewind()
            parse(m)

        transport._handler_table = {**transport._handler_table, 80: noted}

    with scripted_server(settings, login=Slow, prepare=prepare) as server:
        patient = replace(
            server.host,
            settings=replace(
                server.host.settings, server_alive_interval_s=0.2, server_alive_count_max=1000
            ),
        )
        result, _ = run_command(patient, "true")
    assert result.exit_status == 0
    assert asked
    assert set(asked) == {("keepalive@openssh.com", True)}


def test_F49_output_is_a_sign_of_life_too(settings):
    """
    A server that never answers keepalives, but sends output, is not given up.
    """

    class Talks(Login):
        def run(self, channel, command):
            for _ in range(15):
                channel.sendall(b"still here\n")
                threading.Event().wait(0.1)
            super().run(channel, command)

    def prepare(transport):
        transport._handler_table = {**transport._handler_table, 80: lambda m: None}

    def check(pace):
        with scripted_server(settings, login=Talks, prepare=prepare) as server:
            changed = replace(
                server.host.settings,
                server_alive_interval_s=0.4 * pace,
                server_alive_count_max=1,
            )
            result, _ = run_command(replace(server.host, settings=changed), "true")
        assert result.stdout == b"still here\n" * 15

    at_some_pace(check)


def test_no_keepalive_where_none_is_wanted(settings):
    """
    With ServerAliveInterval 0 nothing is ever asked.
    """
    asked: list[str] = []

    class Slow(Login):
        def run(self, channel, command):
            threading.Event().wait(0.5)
            super().run(channel, command)

    def prepare(transport):
        transport._handler_table = {
            **transport._handler_table,
            80: lambda m: asked.append(m.get_text()),
        }

    with scripted_server(settings, login=Slow, prepare=prepare) as server:
        silent = replace(server.host.settings, server_alive_interval_s=0.0)
        run_command(replace(server.host, settings=silent), "true")
    assert asked == []


# -- compression and keys


def test_Compression_makes_few_bytes_of_many(host):
    """
    With Compression a megabyte of one letter crosses the network as a few kilobytes, and arrives
    whole; without, it does not.
    """
    size = 1_000_000

    async def main(compression):
        with cable_to(host) as (cable, far):
            settings = replace(far.settings, compression=compression)
            async with connected(replace(far, settings=settings)) as connection:
                result = await connection.exec(
                    f"head -c {size} /dev/zero", max_output_bytes=2 * size
                )
                assert result.stdout == bytes(size)
                return connection.transport.remote_compression, cable.passed

    name, compressed = run_async(lambda: main(True))
    assert name == "zlib@openssh.com"
    assert compressed < size / 10
    name, plain = run_async(lambda: main(False))
    assert name == "none"
    assert plain > size


# -- a server that is restarted


def end_daemon(lab_host: LabHost) -> None:
    """End the daemon that listens, and nobody's session."""
    assert lab_host.pid is not None
    os.kill(lab_host.pid, signal.SIGTERM)
    os.waitpid(lab_host.pid, 0)


def test_sshd_restarted_under_a_running_session(fleet, loop):
    """
    When sshd is restarted, a command that is running goes on to its end, the connection stays
    usable, no new one gets in meanwhile, and afterwards new ones do.
    """
    lab_host = fleet.sshd("restarted", {})
    host = fleet.model_host(lab_host)
    go_on = lab_host.home / "go-on"

    async def main():
        async with connected(host) as old:
            running = asyncio.ensure_future(
                old.exec(f"until test -e {go_on}; do sleep 0.05; done; echo survived")
            )
            await until(lambda: old.trace.ran != "no")
            await asyncio.sleep(0.2)
            await asyncio.to_thread(end_daemon, lab_host)
            with pytest.raises(FleetError) as caught:
                async with connected(host):
                    pass
            assert caught.value.kind == "connect.refused"
            again = fleet._spawn(lab_host)
            await asyncio.to_thread(wait_ready, [again], timeout_s=PATIENCE_S)
            async with connected(host) as new:
                assert (await new.exec("exit 7")).exit_status == 7
            assert not running.done()
            go_on.touch()
            result = await running
            assert (result.exit_status, result.stdout) == (0, b"survived\n")
            assert (await old.exec("exit 8")).exit_status == 8

    try:
        run_async(main, loop=loop)
    finally:
        fleet.stop(lab_host)
