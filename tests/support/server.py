"""
SSH servers for what neither sshd nor the hostile peers do: a step of the protocol done otherwise.

The server is Paramiko's own, on its threads; a test changes one thing with a subclass of `Login` or
with ``prepare``. Everything ends with the block.
"""

from __future__ import annotations

import dataclasses
import io
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import paramiko
from paramiko.common import (
    AUTH_SUCCESSFUL,
    MSG_CHANNEL_SUCCESS,
    OPEN_SUCCEEDED,
    cMSG_CHANNEL_CLOSE,
    cMSG_CHANNEL_EOF,
)

from fleetctl.lab.keys import KeyPair, generate_key
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from tests.support.patience import PATIENCE_S


class Login(paramiko.ServerInterface):
    """
    Takes any key, opens any session and runs nothing: commands end with status 0 at once.

    Attributes:
        answered: Released when the answer to a request has left; `run` is called after it.
    """

    def __init__(self) -> None:
        self.answered = threading.Semaphore(0)

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return int(AUTH_SUCCESSFUL)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(
            target=self._run_later, args=(channel, command), name="scripted command"
        ).start()
        return True

    def _run_later(self, channel: paramiko.Channel, command: bytes) -> None:
        if self.answered.acquire(timeout=PATIENCE_S):
            self.run(channel, command)

    def run(self, channel: paramiko.Channel, command: bytes) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            channel.send_exit_status(0)
            channel.close()


def _note_answers(transport: paramiko.Transport, login: Login) -> None:
    send = transport._send_user_message

    def send_and_note(message: paramiko.Message) -> None:
        try:
            send(message)
        finally:
            # Of a client that has gone meanwhile, too: nobody must wait for it.
            if message.asbytes()[0] == MSG_CHANNEL_SUCCESS:
                login.answered.release()

    transport._send_user_message = send_and_note


def close_without_status(channel: paramiko.Channel) -> None:
    """End a channel the way a server does that knows no exit status."""
    for kind in (cMSG_CHANNEL_EOF, cMSG_CHANNEL_CLOSE):
        message = paramiko.Message()
        message.add_byte(kind)
        message.add_int(channel.remote_chanid)
        channel.get_transport()._send_user_message(message)


def paramiko_key(pair: KeyPair) -> paramiko.PKey:
    """Return a key pair as Paramiko's servers want it."""
    return paramiko.Ed25519Key(file_obj=io.StringIO(pair.private.decode()))


@dataclass
class Server:
    """
    A running server.

    Attributes:
        host: How to reach and log in to it; its key is known.
        transports: One for each connection so far.
    """

    host: Host
    transports: list[paramiko.Transport] = field(default_factory=list)


@contextmanager
def scripted_server(
    settings: HostSettings,
    *,
    login: Callable[[], Login] = Login,
    prepare: Callable[[paramiko.Transport], None] = lambda _: None,
    host_key: KeyPair | None = None,
) -> Iterator[Server]:
    """
    Serve on a loopback port until the block ends.

    Args:
        settings: User and identity to log in with.
        login: Makes the server's side of each connection.
        prepare: Changes a connection before it starts.
        host_key: What the server shows instead of the key that is known.
    """
    known = generate_key()
    key = paramiko_key(host_key or known)
    with (
        socket.create_server(("127.0.0.1", 0), backlog=64) as listener,
        tempfile.NamedTemporaryFile("w", suffix=".known_hosts") as known_hosts,
    ):
        address, port = listener.getsockname()
        known_hosts.write(f"[{address}]:{port} {known.public}\n")
        known_hosts.flush()
        reach = dataclasses.replace(
            settings,
            hostname=address,
            port=port,
            user="somebody",
            user_known_hosts_files=(known_hosts.name,),
            strict_host_key_checking="yes",
        )
        server = Server(Host("scripted", settings=reach))
        ended = threading.Event()

        def accept() -> None:
            while True:
                sock, _ = listener.accept()
                if ended.is_set():
                    sock.close()
                    return
                transport = paramiko.Transport(sock)
                transport.add_server_key(key)
                server.transports.append(transport)
                prepare(transport)
                side = login()
                _note_answers(transport, side)
                transport.start_server(event=threading.Event(), server=side)

        acceptor = threading.Thread(target=accept, name="scripted server")
        acceptor.start()
        try:
            yield server
        finally:
            ended.set()
            socket.create_connection((address, port), PATIENCE_S).close()
            acceptor.join(PATIENCE_S)
            for transport in server.transports:
                transport.close()
                transport.join(PATIENCE_S)
