"""
An SSH server on Paramiko for machines without sshd.

``python -m fleetctl.lab.embedded CONFIG.json`` is a process of its own, with a listener, a home and
a host key per host. It logs in one user by public key or password and runs commands with ``sh`` in
the host's home. There is no pty, no sftp and no forwarding. For labs on loopback, nothing else.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import paramiko
from paramiko.common import (
    AUTH_FAILED,
    AUTH_PARTIALLY_SUCCESSFUL,
    AUTH_SUCCESSFUL,
    OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED,
    OPEN_SUCCEEDED,
    cMSG_CHANNEL_REQUEST,
)
from paramiko.packet import Packetizer

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES = 32768


@dataclass(frozen=True, slots=True)
class Account:
    """
    Who may log in.

    Attributes:
        methods: All must succeed, in this order: ``publickey``, ``password``.
    """

    user: str
    methods: tuple[str, ...]
    password: str | None


@dataclass(frozen=True, slots=True)
class EmbeddedHost:
    """One host this process plays."""

    name: str
    user: str
    address: str
    port: int
    home: Path
    host_key: paramiko.PKey

    @property
    def authorized_blobs(self) -> set[str]:
        """The keys that may log in now; lines with options are not honoured."""
        try:
            text = (self.home / ".ssh" / "authorized_keys").read_text(errors="replace")
        except OSError:
            return set()
        lines = (line.split() for line in text.splitlines())
        return {words[1] for words in lines if len(words) > 1 and words[0].startswith("ssh-")}


class _Packets(Packetizer):
    """
    Reads the next message only after it has started what the last one asked for.

    Paramiko answers a request after asking the server whether it may. A command started while it
    asks can end and close its channel before the answer leaves, and OpenSSH's client then gives up
    the connection. When the next message is read, the answer to the last one has left.
    """

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self.requested: list[threading.Thread] = []

    def read_message(self) -> tuple[int, paramiko.Message]:
        while self.requested:
            self.requested.pop(0).start()
        message: tuple[int, paramiko.Message] = super().read_message()
        return message


class _Login(paramiko.ServerInterface):
    """Answers Paramiko's questions about one connection."""

    def __init__(self, packets: _Packets, host: EmbeddedHost, account: Account) -> None:
        self._packets = packets
        self._host = host
        self._account = account
        self._passed = 0

    def get_allowed_auths(self, username: str) -> str:
        return self._account.methods[self._passed]

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        known = key.get_base64() in self._host.authorized_blobs
        return self._judge("publickey", username, passed=known)

    def check_auth_password(self, username: str, password: str) -> int:
        expected = self._account.password
        right = expected is not None and hmac.compare_digest(
            password.encode("utf-8", "surrogateescape"), expected.encode()
        )
        return self._judge("password", username, passed=right)

    def _judge(self, method: str, username: str, *, passed: bool) -> int:
        name = self._host.name
        expected = self._account.methods[self._passed]
        if not passed or method != expected or username != self._account.user:
            _LOG.info("%s: %s refused", name, method)
            return int(AUTH_FAILED)
        _LOG.info("%s: %s accepted", name, method)
        if self._passed + 1 < len(self._account.methods):
            self._passed += 1
            return int(AUTH_PARTIALLY_SUCCESSFUL)
        return int(AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(OPEN_SUCCEEDED if kind == "session" else OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        return self._start(channel, ["/bin/sh", "-c", os.fsdecode(command)])

    def check_channel_shell_request(self, channel: paramiko.Channel) -> bool:
        return self._start(channel, ["/bin/sh"])

    def _start(self, channel: paramiko.Channel, argv: list[str]) -> bool:
        run = threading.Thread(target=_run, args=(channel, self._host, argv), daemon=True)
        self._packets.requested.append(run)
        return True


def _run(channel: paramiko.Channel, host: EmbeddedHost, argv: list[str]) -> None:
    """
    Run one command to its end.

    Like sshd: the status is sent when the process ends, the channel closed when nobody holds its
    output any more; a process whose channel is closed is left alone.
    """
    try:
        process = subprocess.Popen(
            argv,
            cwd=host.home,
            env=_environment(host),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        _LOG.warning("%s: %s", host.name, error)
        channel.close()
        return
    assert process.stdin
    assert process.stdout
    assert process.stderr
    threading.Thread(target=_feed, args=(channel, process.stdin), daemon=True).start()
    copies = [
        threading.Thread(target=_copy, args=(process.stdout, channel.sendall), daemon=True),
        threading.Thread(target=_copy, args=(process.stderr, channel.sendall_stderr), daemon=True),
    ]
    for copy in copies:
        copy.start()
    status = process.wait()
    with suppress(OSError, EOFError, paramiko.SSHException):
        if status < 0:
            _send_exit_signal(channel, _signal_name(-status))
        else:
            channel.send_exit_status(status)
        for copy in copies:
            copy.join()
        channel.shutdown_write()
    channel.close()


def _environment(host: EmbeddedHost) -> dict[str, str]:
    return {
        "HOME": str(host.home),
        "LAB_HOST": host.name,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "SHELL": "/bin/sh",
        "USER": host.user,
        "LOGNAME": host.user,
    }


def _feed(channel: paramiko.Channel, stdin: IO[bytes]) -> None:
    # A command that does not read its input closes the pipe; a lost connection ends the channel.
    with suppress(OSError), stdin:
        while data := channel.recv(_CHUNK_BYTES):
            view = memoryview(data)
            while view:
                view = view[stdin.write(view) :]


def _copy(output: IO[bytes], send: Callable[[bytes], None]) -> None:
    # When the client is gone, closing the pipe tells the command so, as sshd does.
    with suppress(OSError), output:
        while data := output.read(_CHUNK_BYTES):
            send(data)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        # Real-time signals between the first and the last have no name.
        return f"{number}@fleetctl"


def _send_exit_signal(channel: paramiko.Channel, name: str) -> None:
    """
    Tell the client which signal ended the process; Paramiko has no call for it.

    Source: RFC 4254 section 6.10.
    """
    message = paramiko.Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exit-signal")
    message.add_boolean(False)
    message.add_string(name)
    message.add_boolean(False)
    message.add_string("")
    message.add_string("")
    transport = channel.get_transport()
    # While keys are renewed, nothing but key exchange may be sent.
    while transport.is_active():
        transport.clear_to_send.wait(0.1)
        with transport.clear_to_send_lock:
            if transport.clear_to_send.is_set():
                transport.packetizer.send_message(message)
                return


def _load(path: Path) -> tuple[Account, list[EmbeddedHost]]:
    config: dict[str, Any] = json.loads(path.read_bytes())
    account = Account(config["user"], tuple(config["methods"]), config["password"])
    hosts = [
        EmbeddedHost(
            name=host["name"],
            user=account.user,
            address=host["address"],
            port=host["port"],
            home=Path(host["home"]),
            host_key=paramiko.Ed25519Key.from_private_key_file(host["host_key"]),
        )
        for host in config["hosts"]
    ]
    return account, hosts


def _allow_many_sockets() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _welcome(client: socket.socket, host: EmbeddedHost, account: Account) -> None:
    connection = paramiko.Transport(client, packetizer_class=_Packets)
    connection.add_server_key(host.host_key)
    login = _Login(connection.packetizer, host, account)
    # With an event it does not wait for the handshake.
    connection.start_server(event=threading.Event(), server=login)


def serve(path: Path) -> None:
    """Play the hosts of a configuration until the process is ended."""
    account, hosts = _load(path)
    with selectors.DefaultSelector() as listeners:
        for host in hosts:
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host.address, host.port))
            listener.listen(128)
            listeners.register(listener, selectors.EVENT_READ, (listener, host))
        _LOG.info("%d hosts listen", len(hosts))
        while True:
            for key, _ in listeners.select():
                listener, host = key.data
                with suppress(OSError, EOFError, paramiko.SSHException):
                    _welcome(listener.accept()[0], host, account)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    # It writes a traceback for every client that goes away early.
    logging.getLogger("paramiko").setLevel(logging.CRITICAL)
    _allow_many_sockets()
    serve(Path(sys.argv[1]))
