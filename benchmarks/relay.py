"""
A TCP relay that delays every byte, and counts round trips.

    python relay.py --routes FILE --delay-ms 50

Each line of FILE is ``listen-address:port target-address:port``. Delays are one way: 50 ms make
100 ms of round-trip time. Prints ``ready`` when every address listens, one JSON line of counts
since the last one at each SIGUSR1, and a last one when SIGTERM ends it.

The handshake of TCP is delayed as well, which a relay in user space cannot do to the kernel's own:
the client is connected at once, but what it sends before a real SYN-ACK would have reached it
counts as sent when that would have been, and the target is connected when the client's ACK would
have arrived.

Round trips are counted as a critical path, not by the clock: a chunk of bytes is one level above
the latest bytes that its sender had been delivered before. With a delay that dwarfs computing,
that is the number of round trips the client has waited for, the one of TCP included. Bandwidth,
loss and slow start are not imitated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import uvloop

BACKLOG = 1024


@dataclass
class DelayLine:
    """Calls things back in the order they came, each a fixed time after it was put in."""

    loop: asyncio.AbstractEventLoop
    delay_s: float
    _due: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)

    def put(self, action: Callable[[], None]) -> None:
        """Run ``action`` after the delay."""
        self._due.append((self.loop.time() + self.delay_s, action))
        if len(self._due) == 1:
            self.loop.call_at(self._due[0][0], self._release)

    def _release(self) -> None:
        # Timers of uvloop are rounded to milliseconds: what is due within one is due now.
        now = self.loop.time() + 0.001
        while self._due and self._due[0][0] <= now:
            self._due.popleft()[1]()
        if self._due:
            self.loop.call_at(self._due[0][0], self._release)


@dataclass
class Lines:
    """What all connections share: delays of half a round trip and of one and a half; counts."""

    half: DelayLine
    handshake: DelayLine
    connections: int = 0
    round_trips: Counter[int] = field(default_factory=Counter)

    def report(self) -> None:
        """Print one JSON line of what happened since the last, and start again."""
        counts = {str(trips): n for trips, n in sorted(self.round_trips.items())}
        print(json.dumps({"connections": self.connections, "round_trips": counts}), flush=True)
        self.connections = 0
        self.round_trips.clear()


class Side(asyncio.Protocol):
    """One end of a relayed connection; tells its owner what arrives."""

    def __init__(self, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self._on_data = on_data
        self._on_end = on_end
        self._transport: asyncio.WriteTransport | None = None

    @property
    def is_open(self) -> bool:
        """Whether bytes can still be delivered here."""
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports do not inherit from asyncio's, so isinstance cannot tell.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Pass on."""
        self._on_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on."""
        self._transport = None
        self._on_end()

    def deliver(self, data: bytes) -> None:
        """Write, unless the connection has ended meanwhile."""
        if self.is_open and self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Close after what was delivered."""
        if self._transport is not None:
            self._transport.close()


class Relayed:
    """One client connection and its connection to the target."""

    def __init__(self, lines: Lines, target: tuple[str, int]) -> None:
        self._lines = lines
        self._target = target
        self._opening: asyncio.Task[None] | None = None
        self._established_at = lines.half.loop.time() + 2 * lines.half.delay_s
        # What waits for the target to be connected; None from then on.
        self._early: list[bytes] | None = []
        # The client has waited for the SYN-ACK by the time it is connected.
        self._client_level = 1
        self._target_level = 1
        self.client = Side(self._from_client, self._client_ended)
        self._upstream = Side(self._from_target, self._target_ended)
        lines.connections += 1
        lines.handshake.put(self._open)

    def _open(self) -> None:
        self._opening = self._lines.half.loop.create_task(self._connect())

    async def _connect(self) -> None:
        loop = self._lines.half.loop
        try:
            await loop.create_connection(lambda: self._upstream, *self._target)
        except OSError:
            self.client.close()
            return
        early, self._early = self._early or [], None
        for data in early:
            self._upstream.deliver(data)
        if not self.client.is_open:
            self._lines.half.put(self._upstream.close)

    def _from_client(self, data: bytes) -> None:
        if self._lines.half.loop.time() < self._established_at:
            self._to_target(data, self._client_level)
        else:
            self._lines.half.put(partial(self._to_target, data, self._client_level))

    def _to_target(self, data: bytes, level: int) -> None:
        self._target_level = max(self._target_level, level)
        if self._early is not None:
            self._early.append(data)
        else:
            self._upstream.deliver(data)

    def _from_target(self, data: bytes) -> None:
        self._lines.half.put(partial(self._to_client, data, self._target_level + 1))

    def _to_client(self, data: bytes, level: int) -> None:
        if self.client.is_open:
            self._client_level = max(self._client_level, level)
            self.client.deliver(data)

    def _client_ended(self) -> None:
        self._lines.round_trips[self._client_level] += 1
        self._lines.half.put(self._upstream.close)

    def _target_ended(self) -> None:
        self._lines.half.put(self.client.close)


def parse_address(text: str) -> tuple[str, int]:
    """Split ``address:port``; SystemExit if it is not on loopback."""
    address, port = text.rsplit(":", 1)
    if not address.startswith("127."):
        raise SystemExit(f"not a loopback address: {address}")
    return address, int(port)


async def relay(routes: list[list[str]], delay_s: float) -> None:
    """Serve every route until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    lines = Lines(DelayLine(loop, delay_s), DelayLine(loop, 3 * delay_s))
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, lines.report)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    servers = []
    for listen, target in routes:

        def accept(target: tuple[str, int] = parse_address(target)) -> Side:
            return Relayed(lines, target).client

        listener = socket.create_server(parse_address(listen), backlog=BACKLOG)
        servers.append(await loop.create_server(accept, sock=listener))
    print("ready", flush=True)
    await stopped.wait()
    for server in servers:
        server.close()
    lines.report()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--routes", type=Path, required=True, help="file of 'listen target' lines")
    parser.add_argument("--delay-ms", type=float, required=True, help="one way")
    chosen = parser.parse_args()
    routes = [line.split() for line in chosen.routes.read_text().splitlines()]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(relay(routes, chosen.delay_ms / 1000))


if __name__ == "__main__":
    main()
