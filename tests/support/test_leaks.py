"""
The guard in conftest finds what it is there to find.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading

import paramiko

from tests.support.leaks import Snapshot, settle


def leaks(before: Snapshot, ignored: tuple[int, ...] = ()) -> list[str]:
    return settle(before, ignored, timeout_s=0)


def test_thread_that_lives_on_is_found():
    """
    A thread started and not ended is named; once ended it is not.
    """
    end = threading.Event()
    before = Snapshot.take()
    thread = threading.Thread(target=end.wait, name="left over")
    thread.start()
    assert leaks(before) == ["thread left over"]
    end.set()
    assert settle(before, (), timeout_s=5) == []


def test_child_is_found_until_it_is_reaped():
    """
    A child process is a leak while it runs and also as a zombie, unless it is the fleet's.
    """
    before = Snapshot.take()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        found = "\n".join(leaks(before))
        assert f"child process {child.pid}" in found
        assert f"child process {child.pid}" not in "\n".join(leaks(before, (child.pid,)))
    finally:
        child.communicate(b"\n")
    assert leaks(before) == []


def test_open_socket_is_found():
    """
    A socket nobody closed is a descriptor more.
    """
    before = Snapshot.take()
    with socket.socket() as sock:
        (found,) = leaks(before)
        assert found.startswith(f"descriptor {sock.fileno()}: socket:")
    assert leaks(before) == []


def test_descriptor_that_was_replaced_is_found():
    """
    A number that was closed and opened again for something else counts as new.
    """
    kept = os.open(os.devnull, os.O_RDONLY)
    before = Snapshot.take()
    with socket.socket() as sock:
        os.dup2(sock.fileno(), kept)
    try:
        assert len(leaks(before)) == 1
    finally:
        os.close(kept)


def test_pending_task_is_found():
    """
    A task that was never finished or cancelled is a leak, even if its loop is closed.
    """
    before = Snapshot.take()

    async def start() -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(asyncio.sleep(60), name="left over")

    loop = asyncio.new_event_loop()
    task = loop.run_until_complete(start())
    assert ["left over" in found for found in leaks(before) if "Task" in found] == [True]
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    assert leaks(before) == []


def test_active_transport_is_found():
    """
    A Paramiko transport that still counts itself active is a leak.
    """
    before = Snapshot.take()
    mine, theirs = socket.socketpair()
    with mine, theirs:
        transport = paramiko.Transport(mine)
        paramiko.transport._active_threads.append(transport)
        assert any(found.startswith("transport ") for found in leaks(before))
        paramiko.transport._active_threads.remove(transport)
        transport.close()
    assert leaks(before) == []
