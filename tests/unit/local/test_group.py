"""
Process groups: who is in them, and who of those still lives.
"""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from fleetctl.local import group as group_module
from fleetctl.local.group import ProcessGroup


@pytest.fixture
def leader():
    """The leader of a group, who waits for a line and exits; waited for at the end of the test."""
    with subprocess.Popen(
        ["/bin/sh", "-c", "read line"], stdin=subprocess.PIPE, start_new_session=True
    ) as child:
        yield child


def wait_without_reaping(child):
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_a_member_lives_until_it_has_ended(leader):
    """
    Who has ended and was not waited for is no living member, but signals still find it.
    """
    group = ProcessGroup(leader.pid)
    assert group.signal(0)
    assert group.has_living_members()
    leader.stdin.close()
    wait_without_reaping(leader)
    assert not group.has_living_members()
    assert group.signal(0)
    leader.wait()
    assert not group.has_living_members()
    assert not group.signal(signal.SIGKILL)


def test_nothing_is_sent_to_a_group_that_was_seen_empty(leader, monkeypatch):
    """
    Its number may be somebody else's by then.
    """
    group = ProcessGroup(leader.pid)
    leader.stdin.close()
    leader.wait()
    assert not group.signal(signal.SIGTERM)
    monkeypatch.setattr("os.killpg", lambda *_: pytest.fail("sent to a stranger"))
    assert not group.signal(signal.SIGKILL)
    assert not group.has_living_members()


def test_members_of_other_users_count_as_living(leader, monkeypatch):
    """
    What cannot be signalled is there.
    """

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("os.killpg", refuse)
    group = ProcessGroup(leader.pid)
    assert group.signal(signal.SIGTERM)
    assert group.has_living_members()
    leader.stdin.close()


def test_without_proc_whoever_was_not_waited_for_counts(leader, monkeypatch, tmp_path):
    """
    Where states cannot be read nobody is said to have ended too early.
    """
    monkeypatch.setattr(group_module, "_PROC", tmp_path)
    group = ProcessGroup(leader.pid)
    leader.stdin.close()
    wait_without_reaping(leader)
    assert group.has_living_members()
    leader.wait()
    assert not group.has_living_members()
