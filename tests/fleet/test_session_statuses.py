"""
Every exit status and every signal, on OpenSSH's server and on dropbear: what OpenSSH's client says.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetctl.model.errors import FleetError
from tests.support.drive import Connection, connected, run_async, until
from tests.support.patience import PATIENCE_S, TEST_LIMIT_S

pytestmark = pytest.mark.fleet

#: Those RFC 4254 section 6.10 has a name for. Linux numbers them.
NAMED = {
    1: "HUP",
    2: "INT",
    3: "QUIT",
    4: "ILL",
    6: "ABRT",
    8: "FPE",
    9: "KILL",
    10: "USR1",
    11: "SEGV",
    12: "USR2",
    13: "PIPE",
    14: "ALRM",
    15: "TERM",
}
STOPS = 19
#: A process without a handler lives on: the default is to ignore them, or to stop a process whose
#: group has a parent to continue it, which the leader of a session has not (POSIX 2.4.3).
HARMLESS = {17, 18, 20, 21, 22, 23, 28}


@pytest.fixture(params=["openssh", "dropbear"])
def server(accounts, request):
    """A host of each kind; a user's shell there is dash, which handles no signal by itself."""
    return accounts.host() if request.param == "openssh" else accounts.dropbear()


@contextmanager
def master(accounts, server, folder: Path):
    """OpenSSH's client, logged in once; yields the command line that runs commands over it."""
    path = folder / "control"
    argv = accounts.ssh_argv("u-dash", host=server)
    with subprocess.Popen([*argv, "-M", "-S", path, "-N"], stdin=subprocess.DEVNULL) as process:
        try:
            yield accounts.ssh_argv("u-dash", "-S", str(path), host=server), path
        finally:
            # TERM between two of its waits would be noticed with the next event only: never.
            process.kill()


def test_F45_every_exit_status_is_what_ssh_reports(accounts, server, tmp_path):
    """
    0 to 255, all of them: each arrives as a status, 255 too, and equals the exit code of ssh.
    """
    statuses = range(256)
    # dropbear (2022.83) mixes up commands of one connection that end at the same time: ssh too is
    # told nothing then, or is thrown out.
    at_once = asyncio.Semaphore(1 if server.name == "dropbear" else 8)

    async def ours(connection: Connection, status: int) -> int | None:
        async with at_once:
            result = await connection.exec(f"exit {status}")
        assert result.exit_signal is None
        assert result.output_complete
        return result.exit_status

    async def ssh(argv: list[str], status: int) -> int:
        async with at_once:
            process = await asyncio.create_subprocess_exec(
                *argv, f"exit {status}", stdin=subprocess.DEVNULL
            )
            return await process.wait()

    async def main() -> None:
        async with connected(accounts.model_host("u-dash", server)) as connection:
            got = await asyncio.gather(*(ours(connection, status) for status in statuses))
        with master(accounts, server, tmp_path) as (argv, path):
            await until(path.exists)
            told = await asyncio.gather(*(ssh(argv, status) for status in statuses))
        assert got == told == list(statuses)

    run_async(main, loop="asyncio")


def told_by_ssh(accounts, server, command: str) -> tuple[str, int]:
    """Return what ssh hears about the end of a command, and its exit code."""
    done = subprocess.run(
        [*accounts.ssh_argv("u-dash", "-v", host=server), command],
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=PATIENCE_S,
    )
    heard = re.findall(r"client_input_channel_req: .* rtype (exit-\S+)", done.stderr)
    assert len(heard) <= 1
    return (heard or ["nothing"])[0], done.returncode


def test_F44_every_signal_is_reported_as_ssh_hears_it(accounts, server):
    """
    A command that signals itself, with 1 to 31. Where ssh hears ``exit-signal`` and exits with 255
    the result has the signal's name and no status: by RFC 4254 the thirteen it names, and from
    OpenSSH ``SIG@openssh.com`` for the others. dropbear says nothing about the others, which is
    ``session.no_status``. Where the command survives both have status 3.

    SIGSTOP is in the next test: it ends nothing.
    """
    numbers = [number for number in range(1, 32) if number != STOPS]
    is_dropbear = server.name == "dropbear"

    def command(number: int) -> str:
        return f"ulimit -c 0; kill -{number} $$; exit 3"

    async def ours(connection: Connection, number: int) -> tuple[str, str | int | None]:
        try:
            result = await connection.exec(command(number))
        except FleetError as error:
            return "nothing", error.kind
        if result.exit_signal is not None:
            assert result.exit_status is None
            return "exit-signal", result.exit_signal
        return "exit-status", result.exit_status

    async def main() -> dict[int, tuple[str, str | int | None]]:
        async with connected(accounts.model_host("u-dash", server)) as connection:
            return {number: await ours(connection, number) for number in numbers}

    got = run_async(main, limit_s=TEST_LIMIT_S)
    for number in numbers:
        heard, code = told_by_ssh(accounts, server, command(number))
        name = signal.Signals(number).name
        assert got[number][0] == heard, name
        if number in HARMLESS:
            assert (got[number], code) == (("exit-status", 3), 3), name
        elif number in NAMED:
            assert (got[number], code) == (("exit-signal", NAMED[number]), 255), name
        elif is_dropbear:
            assert (got[number], code) == (("nothing", "session.no_status"), 255), name
        else:
            assert (got[number], code) == (("exit-signal", "SIG@openssh.com"), 255), name


def test_F44_a_stopped_command_has_not_ended(accounts, server):
    """
    Of a command that stops itself nothing is reported; when it is continued its status comes.
    """

    async def main() -> None:
        async with connected(accounts.model_host("u-dash", server)) as connection:
            running = asyncio.ensure_future(connection.exec("kill -STOP $$; exit 3"))
            await until(lambda: stopped(accounts, server), pause_s=0.05)
            assert not running.done()
            for pid in stopped(accounts, server):
                os.kill(pid, signal.SIGCONT)
            assert (await running).exit_status == 3

    run_async(main)


def stopped(accounts, server) -> list[int]:
    """Return the stopped processes of a host."""
    found = []
    for pid in accounts.sessions(server):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        if stat.rpartition(")")[2].split()[0] == "T":
            found.append(pid)
    return found
