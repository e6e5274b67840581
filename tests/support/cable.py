"""
A cable between a test and a server, which can be cut.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from fleetctl.model.host import Host
from tests.support.patience import PATIENCE_S


class Cable:
    """
    A relay to one endpoint, that can be cut like a cable: nothing passes any more, no end is sent.

    Attributes:
        passed: How many bytes came back from the server.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.passed = 0
        self._target = target
        self._cut = threading.Event()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address, self.port = self._listener.getsockname()

    def cut(self) -> None:
        self._cut.set()

    def start(self) -> None:
        self._spawn(self._accept)

    def _spawn(self, function, *arguments) -> None:
        thread = threading.Thread(target=function, args=arguments, name="cable")
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self._ended.is_set():
                near.close()
                return
            far = socket.create_connection(self._target, PATIENCE_S)
            self._sockets += [near, far]
            self._spawn(self._carry, near, far, False)
            self._spawn(self._carry, far, near, True)

    def _carry(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if counts:
                    self.passed += len(data)
                if not self._cut.is_set():
                    sink.sendall(data)
            if not self._cut.is_set():
                sink.shutdown(socket.SHUT_WR)

    def end(self) -> None:
        self._ended.set()
        socket.create_connection((self.address, self.port), PATIENCE_S).close()
        for sock in self._sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for sock in [self._listener, *self._sockets]:
            sock.close()


@contextmanager
def cable_to(host: Host) -> Iterator[tuple[Cable, Host]]:
    """Yield a cable to a host, and the host as it is reached through it."""
    settings = host.settings
    alias = f"[{settings.hostname}]:{settings.port}"
    cable = Cable((settings.hostname or "", settings.port))
    cable.start()
    try:
        reach = replace(
            settings, hostname=cable.address, port=cable.port, host_key_alias=alias.lower()
        )
        yield cable, replace(host, settings=reach)
    finally:
        cable.end()
