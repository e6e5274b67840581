"""
Telling the processes of a lab from all others.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetctl.lab import processes as lab_processes
from fleetctl.lab.processes import Process, daemons, owned, process_table

LAB = Path("/labs/one")
CONFIG = "/labs/one/hosts/web01/sshd_config"


def table(*commands: str) -> list[Process]:
    return [Process(100 + index, 1, command) for index, command in enumerate(commands)]


@pytest.mark.parametrize(
    "command",
    [
        f"/usr/sbin/sshd -D -e -f {CONFIG}",
        f"sshd: /usr/sbin/sshd -D -e -f {CONFIG} [listener] 0 of 500-500 startups",
    ],
)
def test_daemon_is_known_before_and_after_it_names_itself(command):
    """
    Once it listens, sshd changes its title; both forms are the daemon.
    """
    assert daemons(table(command), LAB) == {CONFIG: 100}


def test_embedded_server_is_known():
    """
    The embedded server is found by its configuration too.
    """
    command = "/usr/bin/python3 -P -m fleetctl.lab.embedded /labs/one/embedded.json"
    assert daemons(table(command), LAB) == {"/labs/one/embedded.json": 100}


@pytest.mark.parametrize(
    "command",
    [
        f"vi {CONFIG}",
        f"tail -f {CONFIG}",
        "fleetctl run -i /labs/one/inventory.yml web -- uptime",
        "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
        "/usr/sbin/sshd -D -e -f /labs/one-more/hosts/web01/sshd_config",
        "/usr/sbin/sshd -D -e -f /backup/labs/one/hosts/web01/sshd_config",
        f"sshd: /usr/sbin/sshd -D -e -f {CONFIG} -R",
    ],
)
def test_other_processes_are_left_alone(command):
    """
    Looking at the lab's files, another lab, the machine's own sshd: none of it is our daemon.
    """
    assert daemons(table(command), LAB) == {}
    assert owned(table(command), LAB) == set()


def test_sessions_and_commands_belong_to_the_lab():
    """
    Everything below a daemon is owned, however deep, and so is what was left behind in a home.
    """
    processes = [
        Process(10, 1, f"/usr/sbin/sshd -D -e -f {CONFIG}"),
        Process(11, 10, "sshd: root@notty"),
        Process(12, 11, "sleep 600"),
        Process(20, 1, "sleep 700", home="/labs/one/hosts/web01/home"),
        Process(21, 20, "cat", home="/elsewhere"),
        Process(30, 1, "sleep 800", home="/labs/one-more/hosts/web01/home"),
        Process(31, 1, "sleep 900", home="/home/deploy"),
    ]
    assert owned(processes, LAB) == {10, 11, 12, 20, 21}


def test_the_caller_and_its_ancestors_are_never_ended():
    """
    Stopping a lab from a session inside it does not end the command that stops it.
    """
    me = os.getpid()
    processes = [
        Process(10, 1, f"/usr/sbin/sshd -D -e -f {CONFIG}"),
        Process(11, 10, "sshd: root@notty"),
        Process(me, 11, "fleetctl lab stop", home="/labs/one/hosts/web01/home"),
        Process(13, 10, "sshd: root@notty"),
    ]
    assert owned(processes, LAB) == {13}


def test_a_loop_of_parents_ends():
    """
    A table read while processes came and went may be inconsistent, but never endless.
    """
    processes = [
        Process(10, 11, f"/usr/sbin/sshd -D -e -f {CONFIG}"),
        Process(11, 10, "x"),
    ]
    assert owned(processes, LAB) == {10, 11}


@pytest.mark.parametrize("source", ["_from_proc", "_from_ps"])
def test_own_process_is_in_the_table(source):
    """
    With /proc or with ps, the table has this process, its parent and its arguments.
    """
    listed = {process.pid: process for process in getattr(lab_processes, source)()}
    own = listed[os.getpid()]
    assert own.parent == os.getppid()
    assert "python" in own.command or "pytest" in own.command
    assert own.pid in {process.pid for process in process_table()}
