"""
Hostile peers in a process of their own, so that what they cost is not taken for the client's.

``python -m tests.support.peer_process`` does the work: it prints one JSON line with the endpoints
and plays until its standard input ends.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.packets import BANNER, kexinit
from tests.support.patience import PATIENCE_S
from tests.support.peers import hostile_peer

ROOT = Path(__file__).resolve().parents[2]

_DRIP_S = 0.2
_BACKLOG = 1024

#: What a tarpit says at first, and again each 0.2 s; then it waits.
_TARPITS: Sequence[tuple[bytes, bytes]] = (
    (b"", b""),
    (b"SSH-2.0-Op", b""),
    (b"", b"one more line\r\n"),
    (BANNER, b""),
    (BANNER + kexinit(), b""),
)


class _Tarpit(asyncio.Protocol):
    """Takes whatever comes, and brings nothing to an end."""

    def __init__(self, first: bytes, again: bytes) -> None:
        self._first = first
        self._again = again
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        if self._first:
            transport.write(self._first)
        if self._again:
            self._drip()

    def _drip(self) -> None:
        if self._transport is not None:
            self._transport.write(self._again)
            asyncio.get_running_loop().call_later(_DRIP_S, self._drip)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None


async def _play_tarpits(address: str, count: int) -> None:
    """Listen on so many ports of an address until standard input ends."""
    loop = asyncio.get_running_loop()
    servers, endpoints = [], []
    for number in range(count):
        first, again = _TARPITS[number % len(_TARPITS)]
        listener = socket.create_server((address, 0), backlog=_BACKLOG)
        endpoints.append(listener.getsockname())
        servers.append(
            await loop.create_server(
                lambda first=first, again=again: _Tarpit(first, again),  # type: ignore[misc]
                sock=listener,
            )
        )
    print(json.dumps(endpoints), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for server in servers:
        server.close()


def _play_peers(kinds: Sequence[str]) -> None:
    with ExitStack() as stack:
        endpoints = {kind: stack.enter_context(hostile_peer(kind)) for kind in kinds}
        print(json.dumps(endpoints), flush=True)
        sys.stdin.read()


@contextmanager
def _child(*arguments: str) -> Iterator[str]:
    """Run this module and yield its first line."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline()
            process.stdin.close()
            process.wait(PATIENCE_S)
        finally:
            process.kill()


@contextmanager
def peers_apart(kinds: Sequence[str]) -> Iterator[Mapping[str, tuple[str, int]]]:
    """Play these `SCRIPTS` and `LIES` in a child process; yield kind -> address and port."""
    with _child("peers", *kinds) as line:
        yield {kind: (address, port) for kind, (address, port) in json.loads(line).items()}


@contextmanager
def tarpits(count: int, *, address: str = "127.0.0.1") -> Iterator[list[tuple[str, int]]]:
    """
    Play so many tarpits of five kinds in a child process; yield their addresses and ports.

    Silence, half a version line, lines without end, silence after the version and after a KEXINIT.
    """
    with _child("tarpits", address, str(count)) as line:
        yield [(address, port) for address, port in json.loads(line)]


def main() -> None:
    """Play what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("peers").add_argument("kinds", nargs="+")
    several = commands.add_parser("tarpits")
    several.add_argument("address")
    several.add_argument("count", type=int)
    chosen = parser.parse_args()
    if chosen.command == "peers":
        _play_peers(chosen.kinds)
    else:
        asyncio.run(_play_tarpits(chosen.address, chosen.count))


if __name__ == "__main__":
    main()
