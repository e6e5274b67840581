"""
Ending commands: which processes are a command's, and what is said afterwards.
"""

from __future__ import annotations

from typing import Any

import pytest

from fleetctl.ssh.ending_hunt import Ended
from fleetctl.ssh.remote_processes import (
    Family,
    RemoteProcess,
    Serving,
    parse_table,
    server_of,
)
from fleetctl.ssh.starts import Starts

SHELL = 90


def process(pid, parent, *, group=0, session=0, start=0, name="x", state="S") -> RemoteProcess:
    return RemoteProcess(pid, parent, group or pid, session or pid, state, start or pid, name)


def table(*processes: RemoteProcess) -> dict[int, RemoteProcess]:
    return {p.pid: p for p in processes}


#: A host with one connection: sshd 20, one command 30, and the shell that looks.
SERVED = (
    process(1, 0, name="init"),
    process(10, 1, name="sshd"),
    process(20, 10, name="sshd"),
    process(30, 20, name="sh"),
    process(31, 30, group=30, session=30, name="sleep"),
    process(SHELL, 20, name="sh"),
    process(91, SHELL, group=SHELL, session=SHELL, name="grep"),
)


def pids(processes) -> list[int]:
    return [p.pid for p in processes]


def look(*more: RemoteProcess, root: int = 30, adopts_from: int = 0) -> list[int]:
    everybody = table(*SERVED, *more)
    serving = Serving.find(everybody, SHELL)
    family = Family(everybody[root], adopts_from=adopts_from)
    return pids(family.look(everybody, serving.own | {serving.pid}))


# -- the table


def test_lines_become_processes():
    """
    Fields stand in a fixed order; what is no such line is left out.
    """
    found = parse_table(["12 1 12 12 S 100 12 (my prog) x", "", "shell 5", "1 2", "a b c d e f g"])
    assert found == {12: RemoteProcess(12, 1, 12, 12, "S", 100, "my prog) x")}


def test_ps_gives_no_session_and_no_start():
    """
    Where there is no /proc, a program is named by its path, and states have more letters.
    """
    assert parse_table(["12 1 12 0 Ss+ 0 /bin/sh"])[12] == RemoteProcess(12, 1, 12, 0, "S", 0, "sh")


@pytest.mark.parametrize("state", ["Z", "X"])
def test_process_that_only_waits_for_its_parent_has_ended(state):
    """
    A zombie is gone; nothing can be done to it.
    """
    assert look(process(32, 31, group=30, state=state)) == [30, 31]


# -- who serves, and what it has started


def test_server_is_found_above_the_shell():
    """
    The parent of the shell is the server; the other child is the command.
    """
    serving = Serving.find(table(*SERVED), SHELL)
    assert (serving.pid, pids(serving.leaders)) == (20, [30])
    assert serving.own == {SHELL, 91}
    assert serving.is_ours_alone
    assert not serving.is_shared_session


def test_login_shell_may_stand_between():
    """
    A login shell that did not make room for ours is no server, and no command.
    """
    between = table(*(p for p in SERVED if p.pid != SHELL), process(40, 20), process(SHELL, 40))
    serving = Serving.find(between, SHELL)
    assert (serving.pid, pids(serving.leaders)) == (20, [30])
    assert 40 in serving.own


def test_unknown_server_may_serve_others():
    """
    Only of sshd and dropbear is it known that all children of a process are of one connection.
    """
    other = table(process(1, 0), process(20, 1, name="server"), process(SHELL, 20))
    assert not Serving.find(other, SHELL).is_ours_alone


def test_leaders_are_in_the_order_they_were_started():
    """
    Pids begin again at the end; starts do not.
    """
    more = process(25, 20, start=99, name="late"), process(99, 20, start=98, name="early")
    assert pids(Serving.find(table(*SERVED, *more), SHELL).leaders) == [30, 99, 25]


def test_server_of_another_connection():
    """
    It is the one parent of what was started over it that was not started over it.
    """
    assert server_of(table(*SERVED), {30, 31}) == 20
    assert server_of(table(*SERVED), set()) == 0
    two = table(*SERVED, process(21, 10, name="sshd"), process(40, 21))
    assert server_of(two, {30, 40}) == 0


# -- a family


def test_family_is_the_root_and_its_descendants():
    """
    Children of children too, whatever session they are in; not the shell that looks.
    """
    assert look(process(50, 31), process(51, 50), process(60, 1)) == [30, 31, 50, 51]


def test_orphans_stay_in_the_family_by_group_or_session():
    """
    Who lost his parent is known by the group or session of somebody known.
    """
    orphans = (
        process(50, 1, group=30, session=30),
        process(51, 1, group=51, session=30),
        process(52, 31),
        process(53, 1, group=53, session=52),
    )
    assert look(*orphans) == [30, 31, 50, 51, 52, 53]


def test_server_that_shares_its_session():
    """
    Commands of dropbear are in its own group: their orphans are theirs only if nothing else runs,
    and not if they are older.
    """
    orphans = (process(25, 1, group=20, session=20), process(50, 1, group=20, session=20))
    assert look(*orphans) == [30, 31]
    assert look(*orphans, adopts_from=20) == [30, 31, 50]


def test_number_that_was_given_to_another_is_no_longer_of_the_family():
    """
    A process is the same only if it was started at the same time.
    """
    family = Family(SERVED[3])
    assert pids(family.look(table(*SERVED), frozenset())) == [30, 31]
    later = table(process(1, 0), process(30, 1, start=500), process(31, 1, start=501, group=30))
    assert family.look(later, frozenset()) == []


def test_what_was_seen_once_stays_in_the_family():
    """
    When its parent has ended, a process in a session of its own is still known.
    """
    family = Family(SERVED[3])
    family.look(table(*SERVED, process(50, 31)), frozenset())
    assert pids(family.look(table(process(1, 0), process(50, 1)), frozenset())) == [50]


def test_groups_are_the_familys_own():
    """
    A group that somebody else made is never signalled as a whole.
    """
    family = Family(SERVED[3])
    members = family.look(table(*SERVED, process(50, 31, group=20)), frozenset())
    assert family.groups(members) == (30,)


def test_daemons_are_orphans_that_are_not_older():
    """
    Only those may be the command's; whoever knows their environment decides.
    """
    more = process(25, 1, name="older"), process(50, 1, name="daemon"), process(51, 50)
    everybody = table(*SERVED, *more, process(60, 10, name="sshd"))
    serving = Serving.find(everybody, SHELL)
    family = Family(everybody[30])
    family.look(everybody, serving.own)
    assert pids(family.runaways(everybody, serving)) == [50, 60]


# -- whose process is whose


class FakeSession:
    refused = None
    has_ending = False


def test_commands_and_processes_are_matched_by_their_order():
    """
    As many of one as of the other, or nothing is believed; what is known is not asked again.
    """
    starts = Starts()
    sessions: list[Any] = [FakeSession() for _ in range(3)]
    first, second, third = sessions
    for session in sessions:
        starts.add(session)
    a, b, c = (process(pid, 20) for pid in (30, 40, 50))
    assert not starts.match(starts.running(), [a, b])
    assert starts.root_of(first) is None
    first.has_ending = True
    assert starts.match(starts.running(), [b, c])
    assert (starts.root_of(second), starts.root_of(third)) == (b, c)
    fourth: Any = FakeSession()
    starts.add(fourth)
    d = process(25, 20, start=99)
    assert starts.match(starts.running(), [b, c, d])
    assert starts.root_of(fourth) == d
    starts.remove(fourth)
    assert fourth not in starts


# -- what is said


LEFT = [process(pid, 1, name="sleep") for pid in range(101, 108)]


@pytest.mark.parametrize(
    ("ended", "text", "hint"),
    [
        (Ended(is_gone=True, count=1), "it was ended", None),
        (Ended(is_gone=True, count=3), "it was ended (3 processes)", None),
        (
            Ended(is_gone=False, count=2, left=LEFT[:2]),
            "it may still be running there",
            "left on web01: 101 (sleep), 102 (sleep)",
        ),
        (
            Ended(is_gone=False, left=LEFT, has_ended=True),
            "it was ended, but not all that it had started",
            "left on web01: 101 (sleep), 102 (sleep), 103 (sleep), 104 (sleep), 105 (sleep)"
            " and 2 more",
        ),
        (
            Ended(is_gone=False, why="no answer", has_ended=True),
            "it was ended; whether all that it had started is gone is not known",
            "what is left of it is not known: no answer",
        ),
    ],
)
def test_what_is_known_is_said(ended, text, hint):
    """
    No more than what was seen is claimed, and what is left is named.
    """
    assert (ended.describe(), ended.hint("web01")) == (text, hint)
