"""
Which processes of a host belong to a command: read off a table of all of them.

Nothing is sent or waited for here. Source: proc(5), setsid(2), sshd(8) and dropbear(8) as measured:
the process that serves a connection is the parent of what its sessions started. sshd gives each of
them a session of the kernel's of its own, dropbear those with a terminal only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

#: A process that has ended and waits for its parent to notice. Source: proc(5), /proc/pid/stat.
_ENDED_STATES = "ZX"
#: The parent of orphans. Source: credentials(7).
INIT = 1
#: Serves one connection each, so that all children are sessions of that one.
_SERVES_ONE_CONNECTION = ("sshd", "dropbear")
#: Programs that run another as somebody else whom we may not signal.
BECOMING = frozenset({"sudo", "doas"})

_LINE = re.compile(r"(\d+) (\d+) (\d+) (\d+) ([A-Za-z])\S* (\d+) (.*)")


@dataclass(frozen=True, slots=True)
class RemoteProcess:
    """
    One process, as it was when it was looked at.

    Attributes:
        session: 0 if it is not known.
        start: When it was started, in ticks of the host's clock; 0 if it is not known. A process is
            the same as before if both pid and start are.
        name: At most 15 characters of the name of its program, as the host says.
    """

    pid: int
    parent: int
    group: int
    session: int
    state: str
    start: int
    name: str

    @property
    def is_living(self) -> bool:
        return self.state not in _ENDED_STATES

    def __str__(self) -> str:
        return f"{self.pid} ({self.name})" if self.name else str(self.pid)


def parse_table(lines: Iterable[str]) -> dict[int, RemoteProcess]:
    """Return pid -> process of lines ``pid parent group session state start name``, in order."""
    table: dict[int, RemoteProcess] = {}
    for line in lines:
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            pid, parent, group, session, state, start, name = match.groups()
            # In a kernel's table a program's name stands behind its pid and a parenthesis.
            name = name.partition("(")[2] or name.rpartition("/")[2]
            numbers = (int(pid), int(parent), int(group), int(session))
            table[numbers[0]] = RemoteProcess(*numbers, state, int(start), name)
    return table


def line_of_descent(table: Mapping[int, RemoteProcess], pid: int) -> Iterator[int]:
    """Yield a process, its parent, and so on, as far as they are known."""
    seen: set[int] = set()
    while pid and pid not in seen:
        seen.add(pid)
        yield pid
        pid = table[pid].parent if pid in table else 0


@dataclass(frozen=True, slots=True)
class Serving:
    """
    The process that serves our connection, and what it has started.

    Attributes:
        pid: The process.
        leaders: What its sessions started and still lives, in the order they were started; without
            those of the looking shell.
        own: The processes of the looking shell.
        is_ours_alone: False if it may serve other connections too.
        is_shared_session: It did not give the looking shell a kernel session of its own.
    """

    pid: int
    leaders: Sequence[RemoteProcess]
    own: frozenset[int]
    is_ours_alone: bool
    is_shared_session: bool

    @classmethod
    def find(cls, table: Mapping[int, RemoteProcess], shell: int) -> Serving:
        """
        Return it for a shell on a session of the same connection.

        Args:
            shell: In the table.
        """
        line = list(line_of_descent(table, shell))
        # A login shell may stand between it and the server; who serves may be hidden.
        above = (pid for pid in line[1:] if pid in table and _is_server(table[pid]))
        server = next(above, table[shell].parent)
        first = line[line.index(server) - 1]
        return cls._of(table, server, own=descendants(table, {first}), shell=shell)

    @classmethod
    def of(cls, table: Mapping[int, RemoteProcess], server: int) -> Serving:
        """Return that of another connection, whose process is known."""
        return cls._of(table, server, own=frozenset(), shell=0)

    @classmethod
    def _of(
        cls, table: Mapping[int, RemoteProcess], server: int, *, own: frozenset[int], shell: int
    ) -> Serving:
        children = (p for p in table.values() if p.parent == server and p.is_living)
        return cls(
            server,
            sorted((p for p in children if p.pid not in own), key=lambda p: (p.start, p.pid)),
            own,
            is_ours_alone=server in table and _is_server(table[server]),
            is_shared_session=shell in table and table[shell].session == server,
        )


def _is_server(process: RemoteProcess) -> bool:
    return process.name.startswith(_SERVES_ONE_CONNECTION)


def server_of(table: Mapping[int, RemoteProcess], started: Collection[int]) -> int:
    """Return who serves a connection over which these processes were started, or 0."""
    parents = {table[pid].parent for pid in started if pid in table} - set(started) - {INIT, 0}
    servers = {pid for pid in parents if pid in table and _is_server(table[pid])} or parents
    return servers.pop() if len(servers) == 1 else 0


def descendants(table: Mapping[int, RemoteProcess], pids: Collection[int]) -> frozenset[int]:
    """Return these processes, their children, and so on."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    todo = list(pids)
    while todo:
        pid = todo.pop()
        if pid not in found:
            found.add(pid)
            todo += children.get(pid, ())
    return frozenset(found)


@dataclass(slots=True)
class Family:
    """
    A command's processes: the one that was started for it, its descendants, and everybody in a
    process group or kernel session that one of these has made.

    Attributes:
        root: What the server started.
        known: All that were ever seen, by pid.
        adopts_from: The kernel session in which orphans that are not older than the root are its
            own too; 0 for none.
    """

    root: RemoteProcess
    known: dict[int, RemoteProcess] = field(default_factory=dict)
    adopts_from: int = 0

    def look(
        self, table: Mapping[int, RemoteProcess], strangers: frozenset[int]
    ) -> list[RemoteProcess]:
        """
        Return who lives of it, in the order they were started.

        Args:
            strangers: Processes that belong to somebody else for certain.
        """
        if not self.known:
            self.known[self.root.pid] = self.root
        for pid, process in tuple(self.known.items()):
            if pid in table and table[pid].start != process.start:
                del self.known[pid]  # its number has been given to another
        is_growing = True
        while is_growing:
            joining = [
                process
                for pid, process in table.items()
                if pid not in self.known and pid not in strangers and self._is_kin(process)
            ]
            self.known.update((process.pid, process) for process in joining)
            is_growing = bool(joining)
        living = (table[pid] for pid in self.known if pid in table and table[pid].is_living)
        return sorted(living, key=lambda process: (process.start, process.pid))

    def becoming_program(self) -> str | None:
        """Return ``sudo`` or ``doas`` if the command used it."""
        names = BECOMING.intersection(process.name for process in self.known.values())
        return min(names, default=None)

    def groups(self, members: Iterable[RemoteProcess]) -> tuple[int, ...]:
        """Return the process groups of the members that are the family's own."""
        return tuple(sorted({p.group for p in members if p.group in self.known}))

    def _is_kin(self, process: RemoteProcess) -> bool:
        known = self.known
        if process.parent in known or process.group in known or process.session in known:
            return True
        is_orphan = bool(self.adopts_from) and process.session == self.adopts_from
        return is_orphan and process.parent == INIT and process.start >= self.root.start

    def runaways(self, table: Mapping[int, RemoteProcess], serving: Serving) -> list[RemoteProcess]:
        """
        Return orphans that the command may have left, in sessions of their own, before anybody
        looked: those that are not older than it. Whoever knows more must tell.
        """
        if not self.root.start:
            return []
        adopters = {INIT, *line_of_descent(table, serving.pid)} - {serving.pid}
        served = descendants(table, {serving.pid})
        return [
            process
            for pid, process in table.items()
            if process.parent in adopters
            and process.is_living
            and process.start >= self.root.start
            and pid not in self.known
            and pid not in served
        ]
