"""
The processes of a lab: starting daemons, finding them again, ending them.

Daemons are found by what they are, not by a recorded number: their command line names a
configuration below the lab's directory. So a lab whose start was killed half way can be ended, and
a process number that was reused is never signalled.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fleetctl.lab.layout import LabError

_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Process:
    """
    One line of the process table.

    Attributes:
        command: Its arguments, joined with blanks.
        home: ``HOME`` of its environment, empty where that cannot be read.
    """

    pid: int
    parent: int
    command: str
    home: str = ""


def spawn(argv: list[str], *, log: Path, env: dict[str, str]) -> int:
    """
    Start a daemon that outlives this process and return its pid.

    When this returns, `daemons` finds it.
    It reads nothing, appends both outputs to ``log``, and is out of reach of the terminal's Ctrl-C.
    """
    files = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    )
    # Python ignores SIGPIPE; a remote command must not inherit that.
    defaults = (signal.SIGPIPE, signal.SIGXFSZ)
    try:
        pid = os.posix_spawn(
            argv[0], argv, env, file_actions=files, setsid=True, setsigdef=defaults
        )
    except NotImplementedError:
        # Pythons built for an old C library have no setsid here; a process group of its own is
        # enough against Ctrl-C.
        pid = os.posix_spawn(
            argv[0], argv, env, file_actions=files, setpgroup=0, setsigdef=defaults
        )
    _await_arguments(pid)
    return pid


def _await_arguments(pid: int) -> None:
    """Wait (1 s) until a new process can be found: Linux shows its arguments a moment later."""
    until = time.monotonic() + 1
    with suppress(OSError):
        while not _read(str(pid), "cmdline") and time.monotonic() < until:
            if _state_and_parent(str(pid))[0] in b"ZX":
                return
            time.sleep(0.001)


def process_table() -> list[Process]:
    """Return all processes except those that have ended and wait to be reaped."""
    return list(_from_proc() if os.path.exists("/proc/self/stat") else _from_ps())


def _from_proc() -> Iterator[Process]:
    for entry in os.listdir("/proc"):
        if not entry.isdecimal():
            continue
        # A process may end while it is read, and environments of other users are private.
        with suppress(OSError):
            state, parent = _state_and_parent(entry)
            if state in b"ZX":
                continue
            command = _read(entry, "cmdline").replace(b"\0", b" ")
            try:
                environment = b"\0" + _read(entry, "environ")
            except PermissionError:
                environment = b""
            home = environment.partition(b"\0HOME=")[2].partition(b"\0")[0]
            yield Process(int(entry), int(parent), os.fsdecode(command), os.fsdecode(home))


def _state_and_parent(pid: str) -> tuple[bytes, bytes]:
    # The name before them is in parentheses and may hold anything, parentheses included.
    state, parent = _read(pid, "stat").rpartition(b")")[2].split()[:2]
    return state, parent


def _read(pid: str, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb", buffering=0) as stream:
        return stream.readall()


def _from_ps() -> Iterator[Process]:
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, check=True, text=True
    )
    for line in listing.stdout.splitlines():
        pid, parent, state, *command = line.split(None, 3)
        if not state.startswith("Z"):
            yield Process(int(pid), int(parent), command[0] if command else "")


def daemons(table: Iterable[Process], directory: Path) -> dict[str, int]:
    """
    Return the daemons of a lab: the path of their configuration -> pid.

    Source: sshd rewrites its title to ``sshd: <its arguments> [listener] …``.
    """
    pattern = re.compile(
        # An editor or a pager that has the file open has another command line; -R marks the
        # process sshd starts for one connection.
        r"(?:sshd -D -e -f|-m fleetctl\.lab\.embedded) ("
        + re.escape(f"{directory}/")
        + r"\S+)(?!\S| -R)"
    )
    found = {}
    for process in table:
        if match := pattern.search(process.command):
            found[match[1]] = process.pid
    return found


def owned(table: Collection[Process], directory: Path) -> set[int]:
    """
    Return the daemons of a lab, everything below them, and what was left behind in its homes.

    The calling process and those above it are never among them.
    """
    children: dict[int, list[int]] = {}
    for process in table:
        children.setdefault(process.parent, []).append(process.pid)
    left_behind = (process.pid for process in table if process.home.startswith(f"{directory}/"))
    todo = [*daemons(table, directory).values(), *left_behind]
    found: set[int] = set()
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo.extend(children.get(pid, ()))
    return found - _self_and_above(table)


def _self_and_above(table: Iterable[Process]) -> set[int]:
    parents = {process.pid: process.parent for process in table}
    pid: int | None = os.getpid()
    above: set[int] = set()
    while pid is not None and pid not in above:
        above.add(pid)
        pid = parents.get(pid)
    return above


def end_all(directory: Path, *, grace_s: float = 2.0) -> None:
    """
    End every process of a lab: TERM, then KILL after ``grace_s``, until none is left.

    Blocks for at most twice ``grace_s``.

    Raises:
        LabError: A process belongs to another user or does not end.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + grace_s
        signalled: set[int] = set()
        while left := owned(process_table(), directory):
            for pid in left - signalled:
                _signal(pid, number)
            signalled |= left
            if time.monotonic() > until:
                break
            reap(signalled)
            time.sleep(_POLL_S)
        reap(signalled)
        if not left:
            return
    raise LabError(f"processes of the lab in {directory} do not end: {sorted(left)}")


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        raise LabError(
            f"process {pid} of the lab belongs to another user", hint="stop it as that user"
        ) from None


def reap(pids: Iterable[int]) -> set[int]:
    """Collect those that are children of this process and have ended; return them."""
    ended = set()
    for pid in pids:
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                ended.add(pid)
    return ended
