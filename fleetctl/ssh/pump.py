"""
Sending standard input, as fast as the host takes it and no faster.
"""

from __future__ import annotations

import asyncio

from fleetctl.ssh.session import Session

#: Sent at most this much before others on the loop have their turn.
BURST_BYTES = 256 * 1024


def send_at_once(session: Session, data: memoryview) -> int:
    """Send what fits into the window and one burst now; return how much that was."""
    sent = 0
    while sent < min(len(data), BURST_BYTES) and session.transport.can_write:
        size = session.channel.write(data[sent:])
        if not size:
            break
        sent += size
    return sent


async def send_stdin(session: Session, data: bytes, *, eof: bool = True) -> None:
    """
    Send all bytes, then EOF if wanted; return early if the session has ended.

    Source: RFC 4254 section 5.2.
    """
    rest = memoryview(data)
    while rest and not session.ended.done() and not session.channel.closed:
        session.window.clear()
        sent = send_at_once(session, rest)
        rest = rest[sent:]
        if rest and not session.transport.can_write:
            await session.transport.writable()
        elif rest and not sent:
            await session.window.wait()
        else:
            await asyncio.sleep(0)
    if eof:
        session.channel.write_eof()
