"""
Waiting until daemons answer.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from fleetctl.lab.layout import LabError, LabHost
from fleetctl.lab.processes import reap

#: Sockets open at once: far below the smallest usual limit of open files (256 on macOS).
_AT_ONCE = 64
_POLL_S = 0.02


def wait_ready(hosts: Sequence[LabHost], *, timeout_s: float = 10.0) -> None:
    """
    Block until every host has sent an SSH identification line.

    Raises:
        LabError: A daemon ended, or ``timeout_s`` passed; with the end of its log.
    """
    deadline_s = time.monotonic() + timeout_s
    waiting = list(hosts)
    while waiting:
        ended = reap({host.pid for host in waiting if host.pid is not None})
        if dead := [host for host in waiting if host.pid in ended]:
            raise _not_ready(dead, "its daemon ended")
        if time.monotonic() > deadline_s:
            raise _not_ready(waiting, f"no answer within {timeout_s:g} s")
        answered = _ask(waiting[:_AT_ONCE], deadline_s)
        if not answered:
            time.sleep(_POLL_S)
        # Those that did not answer yet go to the end, so that one cannot hold up the others.
        waiting = [host for host in waiting[_AT_ONCE:] + waiting[:_AT_ONCE] if host not in answered]


def _ask(hosts: Iterable[LabHost], deadline_s: float) -> set[LabHost]:
    """Connect to all at once; return those that answered, soon after the first refusals."""
    answered = set()
    with selectors.DefaultSelector() as selector:
        try:
            for host in hosts:
                probe = socket.socket()
                probe.setblocking(False)
                selector.register(probe, selectors.EVENT_READ, host)
                probe.connect_ex((host.address, host.port))
            while selector.get_map() and (wait_s := deadline_s - time.monotonic()) > 0:
                for key, _ in selector.select(wait_s):
                    probe = _socket_of(key)
                    selector.unregister(probe)
                    with probe:
                        if _greets(probe):
                            answered.add(key.data)
        finally:
            for key in list(selector.get_map().values()):
                _socket_of(key).close()
    return answered


def _socket_of(key: selectors.SelectorKey) -> socket.socket:
    assert isinstance(key.fileobj, socket.socket)
    return key.fileobj


def _greets(probe: socket.socket) -> bool:
    try:
        return probe.recv(256).startswith(b"SSH-")
    except OSError:
        return False


def _not_ready(hosts: Sequence[LabHost], why: str) -> LabError:
    others = f" (and {len(hosts) - 1} others)" if len(hosts) > 1 else ""
    tail = log_tail(hosts[0].log)
    return LabError(f"{hosts[0].name}{others} did not start: {why}: {tail or 'its log is empty'}")


def log_tail(log: Path, *, lines: int = 4) -> str:
    """Return the last lines of a log in one line, empty if there are none."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "; ".join(line.strip() for line in text.splitlines()[-lines:])
