"""
A forwarded agent: what gets through to it, in which order, and how much at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from fleetctl.ssh.agent import EXTENSION, FAILURE, REQUEST_IDENTITIES, SIGN_REQUEST, SUCCESS
from fleetctl.ssh.agent_forwarding import (
    MAX_CHANNELS,
    MAX_REQUEST_BYTES,
    AgentChannel,
    AgentForwarding,
)
from fleetctl.ssh.identity import SessionBinding, ssh_string
from tests.support.drive import run_async, until

BINDING = SessionBinding(b"key", b"session", b"signature")


class Channel:
    """Stands in for the channel: takes so many bytes at a time, and notes what is done to it."""

    def __init__(self, window: int = 10**6) -> None:
        self.window = window
        self.sent = bytearray()
        self.is_closed = False
        self.is_paused = False

    def write(self, data: memoryview) -> int:
        size = min(len(data), self.window)
        self.window -= size
        self.sent += data[:size]
        return size

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Agent:
    """An agent that answers each request with its own bytes behind ``SUCCESS``."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                self.requests.append(await reader.readexactly(size))
                writer.write(ssh_string(bytes([SUCCESS]) + self.requests[-1]))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def forwarded(
    tmp_path,
    main: Callable[[AgentChannel, Channel], Coroutine[Any, Any, None]],
    *,
    binding: SessionBinding | None = None,
    window: int = 10**6,
) -> Agent:
    """Run a test on one channel of a forwarded agent; return the agent."""
    agent, path = Agent(), str(tmp_path / "agent")

    async def run() -> None:
        server = await asyncio.start_unix_server(agent.serve, path)
        forwarding = AgentForwarding(path, binding)
        receiver = forwarding.accept()
        assert receiver is not None
        channel = Channel(window)
        receiver.channel = channel  # type: ignore[assignment] # stands in for it
        try:
            await main(receiver, channel)
        finally:
            await forwarding.close()
            server.close()
            await asyncio.sleep(0.01)
        assert channel.is_closed

    run_async(run)
    return agent


LIST = bytes([REQUEST_IDENTITIES])
SIGN = bytes([SIGN_REQUEST]) + b"data"
BIND = bytes([EXTENSION]) + ssh_string(b"session-bind@openssh.com") + b"x"
REMOVE_ALL, ADD, LOCK, ADD_SMARTCARD = (bytes([kind]) + b"x" for kind in (19, 17, 22, 20))
QUERY = bytes([EXTENSION]) + ssh_string(b"query")


REFUSED = ssh_string(bytes([FAILURE]))


def echoed(request: bytes) -> bytes:
    return ssh_string(bytes([SUCCESS]) + request)


def test_S09_only_listing_signing_and_binding_get_through(tmp_path):
    """
    S09: everything else is refused here; answers keep the order of the requests.
    """
    requests = [LIST, REMOVE_ALL, SIGN, ADD, LOCK, BIND, ADD_SMARTCARD, QUERY, bytes([EXTENSION])]
    harmless = [LIST, SIGN, BIND]

    async def main(receiver: AgentChannel, channel: Channel) -> None:
        receiver.data_received("stdout", b"".join(map(ssh_string, requests)))
        wanted = b"".join(
            echoed(request) if request in harmless else REFUSED for request in requests
        )
        await until(lambda: bytes(channel.sent) == wanted)
        assert not channel.is_paused

    assert forwarded(tmp_path, main).requests == harmless


def test_requests_may_come_in_pieces(tmp_path):
    """
    One byte at a time gives the same.
    """

    async def main(receiver: AgentChannel, channel: Channel) -> None:
        for byte in ssh_string(LIST) + ssh_string(SIGN):
            receiver.data_received("stdout", bytes([byte]))
        await until(lambda: bytes(channel.sent) == echoed(LIST) + echoed(SIGN))

    forwarded(tmp_path, main)


def test_the_agent_is_told_that_it_is_forwarded(tmp_path):
    """
    Before the first request: the host's key, the session, and that programs there will ask.
    """

    async def main(receiver: AgentChannel, channel: Channel) -> None:
        receiver.data_received("stdout", ssh_string(LIST))
        await until(lambda: bytes(channel.sent) == echoed(LIST))

    bind, request = forwarded(tmp_path, main, binding=BINDING).requests
    assert request == LIST
    assert bind[:1] == bytes([EXTENSION])
    assert bind.endswith(
        ssh_string(b"key") + ssh_string(b"session") + ssh_string(b"signature") + b"\x01"
    )


def test_a_host_that_does_not_read_stops_its_own_answers_only(tmp_path):
    """
    What does not fit into the window waits for more, in order.
    """

    async def main(receiver: AgentChannel, channel: Channel) -> None:
        receiver.data_received("stdout", ssh_string(LIST) + ssh_string(SIGN))
        await until(lambda: len(channel.sent) == 3)
        channel.window = 10**6
        receiver.window_opened()
        await until(lambda: bytes(channel.sent) == echoed(LIST) + echoed(SIGN))

    forwarded(tmp_path, main, window=3)


@pytest.mark.parametrize("size", [0, MAX_REQUEST_BYTES + 1, 2**32 - 1])
def test_S06_a_request_of_impossible_size_ends_the_channel(tmp_path, size):
    """
    S06: nothing is kept for it.
    """

    async def main(receiver: AgentChannel, channel: Channel) -> None:
        receiver.data_received("stdout", size.to_bytes(4, "big") + b"x" * 100)
        await until(lambda: channel.is_closed)

    assert forwarded(tmp_path, main).requests == []


def test_the_end_of_the_channel_ends_its_task(tmp_path):
    """
    After EOF what was asked is still answered; after CLOSE nothing is.
    """

    async def main(receiver: AgentChannel, channel: Channel) -> None:
        receiver.data_received("stdout", ssh_string(LIST))
        receiver.eof_received()
        await until(receiver.task.done)
        assert bytes(channel.sent) == echoed(LIST)

    forwarded(tmp_path, main)


def test_channels_at_a_time_are_bounded(tmp_path):
    """
    A host may open so many and no more; one that ends makes room.
    """

    async def main() -> None:
        forwarding = AgentForwarding(str(tmp_path / "none"), None)
        accepted = [forwarding.accept() for _ in range(MAX_CHANNELS)]
        assert all(accepted)
        assert forwarding.accept() is None
        assert accepted[0] is not None
        accepted[0].channel_closed(lost=False)
        await until(lambda: accepted[0] is not None and accepted[0].task.done())
        assert forwarding.accept() is not None
        await forwarding.close()

    run_async(main)
