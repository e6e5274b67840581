"""
Channels that a server opens: refused unless they were asked for (S09).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import paramiko
import pytest
from paramiko.common import MSG_CHANNEL_OPEN_FAILURE, MSG_KEXINIT, cMSG_CHANNEL_OPEN

from fleetctl.model.errors import FleetError
from fleetctl.ssh.loop_transport import CHANNEL_KINDS, MAX_HELD
from tests.support.drive import connected, run_async, until
from tests.support.patience import PATIENCE_S
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet

PROHIBITED, UNKNOWN_KIND = 1, 3

#: Kind -> what it adds to the request, and the answer.
OPENS: dict[bytes, tuple[tuple[bytes | int, ...], int]] = {
    b"x11": ((b"127.0.0.1", 6010), PROHIBITED),
    b"auth-agent@openssh.com": ((), PROHIBITED),
    b"auth-agent": ((), UNKNOWN_KIND),
    b"forwarded-tcpip": ((b"localhost", 22, b"192.0.2.1", 4711), PROHIBITED),
    b"forwarded-streamlocal@openssh.com": ((b"/tmp/s", b""), PROHIBITED),
    b"direct-tcpip": ((b"169.254.169.254", 80, b"192.0.2.1", 4711), PROHIBITED),
    b"direct-streamlocal@openssh.com": ((b"/run/docker.sock", b"", 0), PROHIBITED),
    b"tun@openssh.com": ((1, 0), PROHIBITED),
    b"session": ((), PROHIBITED),
    b"made-up@example.org": ((), UNKNOWN_KIND),
    b"": ((), UNKNOWN_KIND),
    b"\xff\xfe\x1b[2J": ((), UNKNOWN_KIND),
    b"x" * 30_000: ((), UNKNOWN_KIND),
}


def open_request(
    kind: bytes, number: int, fields: tuple[bytes | int, ...] = ()
) -> paramiko.Message:
    m = paramiko.Message()
    m.add_byte(cMSG_CHANNEL_OPEN)
    m.add_string(kind)
    for size in (number, 2**31, 32_768):
        m.add_int(size)
    for field in fields:
        if isinstance(field, int):
            m.add_int(field)
        else:
            m.add_string(field)
    return m


class Answers:
    """What a client answers to the channels a server opens: number -> reason code."""

    def __init__(self) -> None:
        self.codes: dict[int, int] = {}
        self.texts: set[bytes] = set()

    def listen(self, transport: paramiko.Transport) -> None:
        """Note refusals; whatever else the client may answer ends the connection."""
        transport._handler_table = {
            **transport._handler_table,
            MSG_CHANNEL_OPEN_FAILURE: self._note,
        }

    def _note(self, m: paramiko.Message) -> None:
        number, code = m.get_int(), m.get_int()
        assert number not in self.codes
        self.codes[number] = code
        self.texts.add(m.get_string())


def opening(messages: Callable[[], list[paramiko.Message]]) -> type[Login]:
    """Return a server that sends these when a command has been asked for, and then ends it."""

    class Opening(Login):
        def run(self, channel: paramiko.Channel, command: bytes) -> None:
            transport = channel.get_transport()
            for message in messages():
                transport._send_user_message(message)
            super().run(channel, command)

    return Opening


def test_S09_channels_nobody_asked_for_are_refused(settings, loop):
    """
    S09: each with the reason of the RFC, nothing is opened, and the command goes on.
    """
    answers = Answers()
    opens = list(enumerate(OPENS.items()))

    async def main() -> None:
        async with connected(server.host) as connection:
            assert (await connection.exec("true")).exit_status == 0
            await until(lambda: len(answers.codes) == len(opens))
            assert (await connection.exec("true")).exit_status == 0
            await until(lambda: len(connection.transport._channels) == 0)

    login = opening(
        lambda: (
            [open_request(kind, number, fields) for number, (kind, (fields, _)) in opens]
            if not answers.codes
            else []
        )
    )
    with scripted_server(settings, login=login, prepare=answers.listen) as server:
        run_async(main, loop=loop)
    assert answers.codes == {number: code for number, (_, (_, code)) in opens}
    assert answers.texts <= {b"not asked for", b"unknown"}


def test_every_kind_of_channel_is_tried():
    """
    The list above misses no kind that is known.
    """
    assert {kind.decode() for kind, (_, code) in OPENS.items() if code == PROHIBITED} == (
        CHANNEL_KINDS
    )


def test_S09_the_agent_of_a_run_without_it_is_not_reached_by_another_name(settings):
    """
    S09: without ForwardAgent, no program of the server's choice gets a byte of an answer.
    """
    received = []

    class Insisting(Login):
        def run(self, channel: paramiko.Channel, command: bytes) -> None:
            for kind in ("auth-agent@openssh.com", "auth-agent", "session"):
                try:
                    opened = channel.get_transport().open_channel(kind, timeout=PATIENCE_S)
                except paramiko.ChannelException as refused:
                    received.append(refused.code)
                else:
                    received.append(opened)
            super().run(channel, command)

    async def main() -> None:
        async with connected(server.host) as connection:
            assert (await connection.exec("true")).exit_status == 0

    with scripted_server(settings, login=Insisting) as server:
        run_async(main)
    assert received == [PROHIBITED, UNKNOWN_KIND, PROHIBITED]


def test_S09_a_flood_of_channels_costs_no_memory_and_no_other_host(settings, host, loop):
    """
    S09: 20 000 channels are refused one by one; nothing is kept of them, and another host's
    commands go on meanwhile.
    """
    count = 20_000
    answers = Answers()
    flood = opening(
        lambda: (
            [open_request(b"session", number) for number in range(count)]
            if not answers.codes
            else []
        )
    )

    async def main() -> int:
        async with connected(server.host) as bad, connected(host) as good:
            flooded = asyncio.ensure_future(bad.exec("true"))
            ran = 0
            while not flooded.done():
                assert (await good.exec("true")).exit_status == 0
                ran += 1
            assert (await flooded).exit_status == 0
            await until(lambda: len(answers.codes) == count)
            transport = bad.transport
            assert (await bad.exec("true")).exit_status == 0
            await until(lambda: len(transport._channels) == 0)
            assert max(len(transport.channels_seen), len(transport.channel_events)) <= 2
            assert [len(transport._held), len(transport._abandoned)] == [0, 0]
            return ran

    with scripted_server(settings, login=flood, prepare=answers.listen) as server:
        assert run_async(main, loop=loop) > 0


def test_S09_channels_asked_for_while_keys_are_due_are_not_answered_without_end(settings, loop):
    """
    S09: answers wait while keys are exchanged. A server that never answers our KEXINIT, and asks
    for channels instead, loses its connection before that costs much memory.
    """
    count = MAX_HELD * 2
    data = b"x" * 2048

    class Stalling(Login):
        def run(self, channel: paramiko.Channel, command: bytes) -> None:
            transport = channel.get_transport()
            with suppress(EOFError, OSError):
                channel.sendall(data)  # reaches the limit after which the client wants new keys
                for number in range(count):
                    transport.packetizer.send_message(open_request(b"session", number))

    def deaf(transport: paramiko.Transport) -> None:
        seen: list[paramiko.Message] = []

        def parse_kex_init(m: paramiko.Message) -> None:
            if not seen:
                seen.append(m)
                stock(m)

        stock = transport._handler_table[MSG_KEXINIT]
        transport._handler_table = {**transport._handler_table, MSG_KEXINIT: parse_kex_init}

    async def main() -> FleetError:
        async with connected(server.host) as connection:
            with pytest.raises(FleetError) as caught:
                await connection.exec("true")
            assert len(connection.transport._held) <= MAX_HELD
            return caught.value

    limited = replace(settings, rekey_limit_bytes=1024)
    with scripted_server(limited, login=Stalling, prepare=deaf) as server:
        error = run_async(main, loop=loop)
    assert error.kind == "session.lost"
    assert "while keys are exchanged" in str(error)
