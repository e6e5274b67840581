"""
Servers that open channels nobody asked for, or that answer forwarding requests in their own way.
"""

from __future__ import annotations

import threading

import paramiko
import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.forward import Place
from fleetctl.ssh import forward as forward_module
from fleetctl.ssh import forward_remote
from fleetctl.ssh.blocking import in_thread
from tests.support.drive import run_async, until
from tests.support.forwards import ask, echo, forwarding, serving, wish
from tests.support.patience import PATIENCE_S
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


class Listens(Login):
    """Says yes to every port, and takes 4711 if any is right."""

    def check_port_forward_request(self, address: str, port: int) -> int:
        return port or 4711

    def cancel_port_forward_request(self, address: str, port: int) -> None:
        """It may be taken back."""


class Silent(Login):
    """Does not answer for a while."""

    released = threading.Event()

    def check_port_forward_request(self, address: str, port: int) -> int:
        Silent.released.wait(PATIENCE_S)
        return port


def open_from_server(transport: paramiko.Transport, kind: str, *fields: object) -> str:
    """Open a channel to the client; return ``open`` or the reason code of its refusal."""
    if kind == "forwarded-tcpip":
        address, port = fields
        try:
            channel = transport.open_forwarded_tcpip_channel(("10.1.1.1", 99), (address, port))
        except paramiko.ChannelException as error:
            return str(error.code)
    else:
        try:
            channel = transport.open_channel(kind, ("h", 1), ("h", 2))
        except paramiko.ChannelException as error:
            return str(error.code)
    channel.close()
    return "open"


def test_S09_only_what_was_asked_for_may_be_opened(settings):
    """
    Another port, another address for a port that two have, another kind: administratively
    prohibited; after the end the port that was asked for as well.
    """

    async def main(server):
        async with (
            serving(echo) as port,
            forwarding(
                server.host,
                f"-R 0:127.0.0.1:{port}",
                f"-R 10.0.0.1:5000:127.0.0.1:{port}",
                f"-R 10.0.0.2:5000:127.0.0.1:{port}",
            ) as forwards,
        ):
            assert forwards.ports == [4711, 5000, 5000]
            (transport,) = server.transports

            def attempt(*words):
                return in_thread(open_from_server, transport, *words)

            assert await attempt("forwarded-tcpip", "localhost", 4711) == "open"
            assert await attempt("forwarded-tcpip", "10.0.0.1", 5000) == "open"
            # Not every server says the address as it was asked for.
            assert await attempt("forwarded-tcpip", "127.0.0.1", 4711) == "open"
            for refused in (("10.0.0.3", 5000), ("localhost", 4712), ("localhost", 0), ("", 22)):
                assert await attempt("forwarded-tcpip", *refused) == "1", refused
            for kind in ("x11", "session", "auth-agent@openssh.com", "direct-tcpip", "nonsense"):
                assert await attempt(kind) in ("1", "3"), kind
            await forwards.forwarding.close()
            assert await attempt("forwarded-tcpip", "localhost", 4711) in ("1", "4")
            forwards.ssh.watch_channel()  # it is closed once more at the end

    with scripted_server(settings, login=Listens) as server:
        run_async(lambda: main(server))


def test_S09_no_forwarding_no_channels(settings):
    """
    With local forwardings alone a server may open nothing.
    """

    async def main(server):
        async with forwarding(server.host, "-L 0:localhost:1", "-D 0"):
            (transport,) = server.transports
            attempt = in_thread(open_from_server, transport, "forwarded-tcpip", "localhost", 1)
            assert await attempt == "1"

    with scripted_server(settings) as server:
        run_async(lambda: main(server))


def test_a_flood_of_connections_from_the_server_has_a_limit(settings, monkeypatch):
    """
    Beyond it channels are refused for want of resources, and those open go on.
    """
    monkeypatch.setattr(forward_module, "MAX_FROM_SERVER", 5)

    async def main(server):
        async with (
            serving(echo) as port,
            forwarding(server.host, f"-R 5000:127.0.0.1:{port}") as forwards,
        ):
            (transport,) = server.transports

            def flood():
                opened, refused = [], []
                for _ in range(12):
                    try:
                        channel = transport.open_forwarded_tcpip_channel(
                            ("10.1.1.1", 99), ("localhost", 5000)
                        )
                        opened.append(channel)
                    except paramiko.ChannelException as error:
                        refused.append(error.code)
                opened[0].sendall(b"x")
                got = opened[0].recv(1)
                for channel in opened:
                    channel.close()
                return len(opened), set(refused), got

            assert await in_thread(flood) == (5, {4}, b"x")
            await until(lambda: not forwards.forwarding._streams)
            assert await in_thread(flood) == (5, {4}, b"x")

    with scripted_server(settings, login=Listens) as server:
        run_async(lambda: main(server))


def test_a_server_that_does_not_answer_is_given_up(settings, monkeypatch):
    """
    The failure says so; an answer that comes later opens nothing.
    """
    monkeypatch.setattr(forward_remote, "ANSWER_S", 0.2)
    Silent.released.clear()

    async def main(server):
        async with forwarding(server.host, "-L 0:localhost:1") as forwards:
            with pytest.raises(FleetError, match="no answer within") as caught:
                await forwards.forwarding.add(*wish(server.host, "-R 5000:localhost:1"))
            assert caught.value.kind == "forward.refused"
            Silent.released.set()
            (transport,) = server.transports
            attempt = in_thread(open_from_server, transport, "forwarded-tcpip", "localhost", 5000)
            assert await attempt == "1"

    with scripted_server(settings, login=Silent) as server:
        run_async(lambda: main(server))


def test_a_connection_may_follow_the_answer_at_once(settings):
    """
    The port the server has found is known before anything is read that it sent after it.
    """

    class Eager(Listens):
        def check_port_forward_request(self, address: str, port: int) -> int:
            threading.Thread(target=self.open, name="eager").start()
            return 4711

        def open(self) -> None:
            answers.append(open_from_server(*transports, "forwarded-tcpip", "localhost", 4711))

    answers: list[str] = []
    transports: list[paramiko.Transport] = []

    async def main(server):
        async with serving(echo) as port, forwarding(server.host, "-L 0:localhost:1") as forwards:
            transports[:] = server.transports
            listening = await forwards.forwarding.add(*wish(server.host, f"-R 0:127.0.0.1:{port}"))
            assert listening.places == (Place(None, 4711),)
            await until(lambda: answers)
            # It may have been asked for before the answer had left.
            assert answers[0] in ("open", "1")
            assert await ask(forwards.places[0], eof=False) == b""

    with scripted_server(settings, login=Eager) as server:
        run_async(lambda: main(server))
