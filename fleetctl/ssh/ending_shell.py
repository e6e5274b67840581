"""
A shell on a session of its own, next to a command that is to be ended: it lists and signals
processes.

POSIX ``sh`` is enough there, with ``grep`` and ``sed`` where there is a /proc as Linux has it, and
``ps`` elsewhere. What the host's start files print is kept apart by random markers.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from paramiko.message import Message

from fleetctl.ssh.loop_channel import LoopChannel, Receiver, StreamName
from fleetctl.ssh.remote_processes import RemoteProcess, parse_table

#: Understood by every login shell, csh and fish included; the rest comes on standard input, which
#: ``sh`` reads line by line.
COMMAND = "exec sh -s"

#: More than any table of processes; what sends more is no such shell.
_MAX_ANSWER_BYTES = 8 * 1024 * 1024
#: Pids in one line; beyond that a host's shell may refuse the line.
_MAX_PIDS = 1000

#: One function for each question. Threads of the kernel are left out of the list; there the name of
#: the file is the pid, because what a program calls itself could pretend another.
_SCRIPT = r"""
exec 2>/dev/null
LC_ALL=C; export LC_ALL
stats() {
  grep -s '' /dev/null "$@" | sed -n '/) [A-Z] 2 0 0 /d
    s|^/proc/\([0-9]*\)/stat:\(.*\)) \([A-Za-z]\) \([0-9]*\) \([0-9]*\) \([0-9]*\)\( [-0-9]*\)\{15\} \([0-9]*\) .*|\1 \4 \5 \6 \3 \8 \2|p'
}
all() {
  echo "whole $$"
  if [ -r /proc/self/stat ]; then
    stats /proc/[0-9]*/stat
  else
    ps -A -o pid= -o ppid= -o pgid= -o stat= -o comm= | sed -n '
      s|^ *\([0-9]*\)  *\([0-9]*\)  *\([0-9]*\)  *\([^ ]*\)  *\(.*\)|\1 \2 \3 0 \4 0 \5|p'
  fi
}
near() {
  n=; [ -r "/proc/$$/task/$$/children" ] && read -r n <"/proc/$PPID/comm"
  case $n in sshd* | dropbear*) ;; *) all; return ;; esac
  echo "part $$"
  f=; for p; do f="$f /proc/$p/stat"; done
  set -- "$PPID"
  while [ $# -gt 0 ]; do
    c=; for p; do f="$f /proc/$p/stat"; c="$c /proc/$p/task/[0-9]*/children"; done
    set -- $(cat $c)
  done
  stats $f
}
signal() { s=$1; shift; for p; do kill "-$s" "$p"; done; }
refused() { for p; do kill -0 "$p" || echo "$p"; done; }
signal_as() { as=$1; s=$2; shift 2; "$as" -n kill "-$s" "$@" </dev/null; }
has_group() { case $(kill -0 "-$1" 2>&1) in *[Nn]"o such process"*) ;; *) echo "$1" ;; esac; }
of() {
  c=$1; shift; f=; for p; do f="$f /proc/$p/environ"; done
  grep -l -s -F -e "SSH_CONNECTION=$c" /dev/null $f
}
ours() { [ -z "$SSH_CONNECTION" ] || of "$SSH_CONNECTION" "$@"; }
theirs() { grep -l -s -F -e "SSH_CONNECTION=$1" /dev/null /proc/[0-9]*/environ; }
"""  # noqa: E501 - one expression of sed


@dataclass(frozen=True, slots=True)
class Table:
    """
    Processes of a host, by pid.

    Attributes:
        shell: The pid of the shell that looked.
        is_whole: All of them, except threads of the kernel.
    """

    shell: int
    processes: Mapping[int, RemoteProcess]
    is_whole: bool


class NoShell(Exception):
    """The host gives us no such shell; the message says why, as a clause."""


class Channels(Protocol):
    """What opens channels: a transport."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...

    @property
    def is_forced(self) -> bool:
        """The server has told that whatever is asked for, it runs one command only."""
        ...

    def open_loop_channel(
        self, kind: str, receiver: Receiver, *fields: bytes | str | int | bool
    ) -> LoopChannel: ...

    def forget_channel(self, channel: LoopChannel) -> None: ...


class EndingShell:
    """
    Such a shell, from the request for its session on. Every call may be cancelled, and questions
    may be asked at once.
    """

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._marker = secrets.token_hex(8)
        self._unsent = bytearray()
        self._buffer = bytearray()
        self._asked = 0
        self._asking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._ended: str | None = None
        self._channel = channels.open_loop_channel("session", self)

    async def start(self) -> None:
        """
        Start it.

        Raises:
            NoShell: The server refuses another session.
        """
        channel = self._channel
        try:
            await channel.opened.future
        except BaseException:
            self._channels.forget_channel(channel)
            raise
        if channel.open_refused is not None:
            raise NoShell(f"the server refused another session: {channel.open_refused[1]}")
        channel.request("exec", COMMAND, want_reply=True)
        self._send_text(_SCRIPT)

    async def look(self) -> Table:
        """
        Return all processes of the host.

        Raises:
            NoShell: It does not answer as it should; so do the other questions.
        """
        return _read_table(await self._ask("all"))

    async def look_near(self, pids: Collection[int]) -> Table:
        """
        Return these processes and those that the sessions of our connection have started, which
        takes little time on a host with many; all where that cannot be done.
        """
        return _read_table(await self._ask(f"near {_words(pids)}"))

    async def signal(
        self, name: str, groups: Iterable[int], pids: Iterable[int], members: Iterable[int]
    ) -> set[int]:
        """
        Signal whole process groups, then single processes.

        A group as a whole, because a shell in it that lives for a moment longer would go on with
        its next command.

        Args:
            members: Whose permission is looked at.

        Returns:
            Those of the members whom we may not signal, or who are gone.
        """
        targets = " ".join([*(f"-{group}" for group in groups), *map(str, pids)])
        lines = await self._ask(f"signal {name} {targets}\nrefused {_words(members)}")
        return {int(line) for line in lines if line.isdecimal()}

    async def signal_as(self, program: str, name: str, pids: Iterable[int]) -> None:
        """Signal processes by ``sudo`` or ``doas``, which must ask nothing."""
        await self._ask(f"signal_as {program} {name} {_words(pids)}")

    async def has_group(self, group: int) -> bool:
        """
        Tell whether anybody is in a process group, whether he can be seen or not.

        Those who have ended count, as long as their parent has not noticed. Source: kill(2), ESRCH.
        """
        return bool(await self._ask(f"has_group {group}"))

    async def of_our_connection(self, pids: Collection[int]) -> set[int]:
        """Return those processes that were started over the connection this shell is on."""
        if not pids:
            return set()
        return _pids(await self._ask(f"ours {_words(pids)}"))

    async def of_connection(self, client: tuple[str, int]) -> set[int]:
        """Return the processes that were started over another connection, by its client's end."""
        address, port = client
        if not all(c in "0123456789abcdefABCDEF.:" for c in address):
            return set()
        return _pids(await self._ask(f'theirs "{address} {port} "'))

    def close(self) -> None:
        """End it: with its input it ends by itself, and if not, nothing waits for it."""
        channel = self._channel
        if not channel.opened.is_set():
            self._channels.forget_channel(channel)
            return
        channel.write_eof()
        channel.close()

    async def _ask(self, line: str) -> list[str]:
        async with self._asking:
            return await self._answer(line)

    async def _answer(self, line: str) -> list[str]:
        self._asked += 1
        begin, end = (f"{self._marker}{bracket}{self._asked}\n" for bracket in "<>")
        self._send_text(f"echo '{begin[:-1]}'\n{line}\necho '{end[:-1]}'\n")
        while (close := self._buffer.find(end.encode())) < 0:
            if self._ended is not None:
                raise NoShell(self._ended)
            self._changed.clear()
            await self._changed.wait()
        answer = bytes(self._buffer[:close]).rpartition(begin.encode())[2]
        del self._buffer[: close + len(end)]
        return answer.decode("utf-8", "replace").splitlines()

    def _send_text(self, text: str) -> None:
        self._unsent += text.encode()
        self.window_opened()

    def _end(self, why: str) -> None:
        self._ended = self._ended or why
        self._changed.set()

    # -- Receiver

    def data_received(self, stream: StreamName, data: bytes) -> None:
        if stream == "stdout":
            self._buffer += data
            self._changed.set()
            if len(self._buffer) > _MAX_ANSWER_BYTES:
                self._channel.close()
                self._end("the host answers with something else")

    def eof_received(self) -> None:
        self._end("the host runs no sh for us")

    def request_received(self, name: str, message: Message) -> bool:
        return name in ("exit-status", "exit-signal")

    def reply_received(self, *, success: bool) -> None:
        if not success:
            self._end("the server refuses to run a command")

    def window_opened(self) -> None:
        """Send what waits for it: sshd gives no window before it has started the shell."""
        while self._unsent and (size := self._channel.write(memoryview(bytes(self._unsent)))):
            del self._unsent[:size]

    def channel_closed(self, *, lost: bool) -> None:
        self._end("the connection was lost" if lost else "the host runs no sh for us")

    def failed(self, bug: BaseException) -> None:
        self._end(f"internal error: {type(bug).__name__}")


def _words(pids: Iterable[int]) -> str:
    return " ".join(map(str, list(pids)[:_MAX_PIDS]))


def _read_table(lines: list[str]) -> Table:
    kind, _, shell = (lines or [""])[0].partition(" ")
    processes = parse_table(lines[1:])
    if kind not in ("whole", "part") or not shell.isdecimal() or int(shell) not in processes:
        raise NoShell("the host does not list its processes")
    return Table(int(shell), processes, is_whole=kind == "whole")


def _pids(lines: Iterable[str]) -> set[int]:
    """Return the pids in paths such as ``/proc/12/environ``."""
    found = set()
    for line in lines:
        with suppress(ValueError, IndexError):
            found.add(int(line.split("/")[2]))
    return found
