"""
The shell that looks for processes, in the shells of this machine.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import pytest

from fleetctl.ssh import ending_shell
from fleetctl.ssh.ending_shell import EndingShell, NoShell, Table
from fleetctl.ssh.loop_channel import LoopChannel, LoopEvent, Receiver
from tests.support.drive import run_async, until
from tests.support.patience import PATIENCE_S


class Program:
    """Plays the server: starts a program for the channel of a shell."""

    def __init__(self, *argv: str, window: int = 1 << 20) -> None:
        self.argv = argv
        self.window = window
        self.pid = 0
        self.is_forced = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def open_loop_channel(self, kind: str, receiver: Receiver, *_: object) -> ProgramChannel:
        assert kind == "session"
        return ProgramChannel(self, receiver)

    def forget_channel(self, channel: LoopChannel) -> None:
        channel.closed = True


class ProgramChannel(LoopChannel):
    """A channel whose other end is a program."""

    def __init__(self, program: Program, receiver: Receiver) -> None:
        super().__init__(0, receiver, program.loop)
        self.program = program
        self.receiver = receiver
        self.task = asyncio.ensure_future(self.play())
        self.written = asyncio.Queue[bytes]()
        self.opened = LoopEvent(program.loop)
        self.opened.set()

    async def play(self) -> None:
        child = await asyncio.create_subprocess_exec(
            *self.program.argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        self.program.pid = child.pid
        assert child.stdin is not None
        assert child.stdout is not None
        self.out_window_size = self.program.window
        self.receiver.window_opened()
        feeding = asyncio.ensure_future(self.feed(child.stdin))
        while data := await child.stdout.read(4096):
            self.receiver.data_received("stdout", data)
        self.receiver.eof_received()
        await child.wait()
        self.receiver.channel_closed(lost=False)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)

    async def feed(self, stdin: asyncio.StreamWriter) -> None:
        while data := await self.written.get():
            stdin.write(data)
            with suppress(ConnectionError):
                await stdin.drain()
            # The window is opened again as sshd does: when something was taken.
            self.out_window_size += len(data)
            self.receiver.window_opened()
        stdin.close()

    def request(self, name: str, *fields: object, want_reply: bool = True) -> None:
        assert (name, fields, want_reply) == ("exec", ("exec sh -s",), True)
        self.receiver.reply_received(success=True)

    def write(self, data: memoryview) -> int:
        size = min(len(data), self.out_window_size)
        self.out_window_size -= size
        if size:
            self.written.put_nowait(bytes(data[:size]))
        return size

    def write_eof(self) -> None:
        self.written.put_nowait(b"")

    def close(self) -> None:
        self.closed = True


def installed() -> Iterator[tuple[str, ...]]:
    for words in (("dash",), ("bash",), ("busybox", "ash"), ("ksh",), ("mksh",), ("zsh",)):
        if shutil.which(words[0]):
            yield words


@pytest.fixture(params=installed(), ids=" ".join)
def sh(request) -> tuple[str, ...]:
    """Each POSIX shell of this machine."""
    words: tuple[str, ...] = request.param
    emulation = ("--emulate", "sh") if words[0] == "zsh" else ()
    return (*words, *emulation, "-s")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A group of processes of our own."""
    command = "sleep 600 & sleep 600 & wait"
    with subprocess.Popen(["sh", "-c", command], start_new_session=True) as process:
        deadline = monotonic() + PATIENCE_S
        # A shell that has forked is not yet what it is going to be.
        while sorted(map(name_of, living(process.pid))) != ["sh", "sleep", "sleep"]:
            assert monotonic() < deadline
            sleep(0.005)
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)


def living(group: int) -> list[int]:
    """Return who lives of a process group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = entry.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] not in "ZX":
                found.append(int(entry.parent.name))
    return found


def name_of(pid: int) -> str:
    """Return what a process is called; nothing if it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


async def asked(program: Program, question) -> object:
    """Return what a question to a shell on that program gives."""
    shell = EndingShell(program)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await shell.start()
            return await question(shell)
    finally:
        shell.close()
        channel = shell._channel
        assert isinstance(channel, ProgramChannel)
        await asyncio.wait_for(channel.task, PATIENCE_S)


def test_any_shell_lists_processes(sh, child):
    """
    All of them, with who they are; a group is one, and so is a session.
    """
    program = Program(*sh)
    found = run_async(lambda: asked(program, EndingShell.look))
    assert isinstance(found, Table)
    assert found.is_whole
    assert found.shell == program.pid
    mine = [p for p in found.processes.values() if p.group == child.pid]
    assert {p.session for p in mine} == {child.pid}
    assert sorted(p.name for p in mine) == ["sh", "sleep", "sleep"]
    assert found.processes[child.pid].parent == os.getpid()
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    assert found.processes[child.pid].start == int(fields[19])


def test_without_proc_there_is_ps(sh, child, monkeypatch):
    """
    On other systems ps lists them, with less.
    """
    script = ending_shell._SCRIPT.replace("/proc/self/stat", "/nowhere")
    monkeypatch.setattr(ending_shell, "_SCRIPT", script)
    found = run_async(lambda: asked(Program(*sh), EndingShell.look))
    assert isinstance(found, Table)
    assert found.processes[child.pid].parent == os.getpid()
    mine = [p for p in found.processes.values() if p.group == child.pid]
    assert sorted(p.name for p in mine) == ["sh", "sleep", "sleep"]
    assert {(p.session, p.start) for p in mine} == {(0, 0)}


def test_any_shell_signals_groups_and_processes(sh, child):
    """
    A whole group, and single ones; those it may not signal, or who are gone, are told.
    """
    gone = subprocess.run(["sh", "-c", "echo $$"], capture_output=True, check=True)
    pid_gone = int(gone.stdout)

    async def question(shell: EndingShell) -> object:
        assert await shell.has_group(child.pid)
        refused = await shell.signal("TERM", [child.pid], [], [pid_gone, os.getpid()])
        await until(lambda: not living(child.pid))
        assert not await shell.has_group(2**22 - 7)
        return refused

    assert run_async(lambda: asked(Program(*sh), question)) == {pid_gone}


def test_any_shell_knows_what_was_started_over_a_connection(sh, monkeypatch):
    """
    By the environment: of its own connection, or of one whose client's end is known.
    """
    # Not those of whoever runs the same test at the same time.
    port = os.getpid()
    monkeypatch.setenv("SSH_CONNECTION", f"127.0.0.1 {port} 127.0.0.2 22")
    with subprocess.Popen(["sleep", "600"]) as mine:
        monkeypatch.setenv("SSH_CONNECTION", f"127.0.0.1 {port}0 127.0.0.2 22")
        with subprocess.Popen(["sleep", "600"]) as other:
            monkeypatch.setenv("SSH_CONNECTION", f"127.0.0.1 {port} 127.0.0.2 22")

            async def question(shell: EndingShell) -> object:
                ours = await shell.of_our_connection([mine.pid, other.pid])
                theirs = await shell.of_connection(("127.0.0.1", int(f"{port}0")))
                odd = await shell.of_connection(("$(touch x)", 1))
                return ours, theirs, odd, await shell.of_our_connection([])

            try:
                answer = run_async(lambda: asked(Program(*sh), question))
            finally:
                mine.kill()
                other.kill()
    assert answer == ({mine.pid}, {other.pid}, set(), set())


def test_name_of_a_program_cannot_pretend_another_process(tmp_path):
    """
    A name with a line break and a parenthesis stays one process, with its own pid.
    """
    name = "\n1 (x) S 1 1 1"
    program = tmp_path / "liar"
    program.write_bytes(Path(shutil.which("sleep") or "").read_bytes())
    program.chmod(0o700)
    liar = tmp_path / name
    program.rename(liar)
    with subprocess.Popen([str(liar), "600"]) as process_of_liar:
        try:
            found = run_async(lambda: asked(Program("sh", "-s"), EndingShell.look))
        finally:
            process_of_liar.kill()
    assert isinstance(found, Table)
    own = found.processes[process_of_liar.pid]
    assert (own.parent, own.pid) == (os.getpid(), process_of_liar.pid)
    first = found.processes.get(1)
    assert first is None or first.name != "x"


def test_F37_noise_before_the_answer_is_no_answer():
    """
    What start files print is kept apart, however much it looks like an answer.
    """
    noise = "echo 'whole 1'; echo '1 2 3 4 S 5 6 (x'; printf tail; exec sh -s"
    found = run_async(lambda: asked(Program("sh", "-c", noise), EndingShell.look))
    assert isinstance(found, Table)
    assert len(found.processes) > 1


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("true",), "the host runs no sh for us"),
        (("sh", "-c", "echo no; exit 1"), "the host runs no sh for us"),
        (("yes", "x" * 4000), "the host answers with something else"),
        (("env", "PATH=/nowhere", "/bin/sh", "-s"), "does not list its processes"),
    ],
)
def test_what_is_no_shell_is_told(argv, why):
    """
    Accounts that run something else, or nothing, and hosts without the usual programs.
    """

    async def question(shell: EndingShell) -> None:
        try:
            with pytest.raises(NoShell, match=why):
                await shell.look()
        finally:
            channel = shell._channel
            assert isinstance(channel, ProgramChannel)
            if argv[0] == "yes":
                os.kill(channel.program.pid, 9)

    run_async(lambda: asked(Program(*argv), question))
