"""
Sending standard input, as fast as the host takes it and no faster.
"""

from __future__ import annotations

import asyncio

from fleetctl.ssh.session import Session

#: Sent at most this much before others on the loop have their turn.
BURST_BYTES = 256 * 1024

#: The end-of-file character of a terminal. Source: POSIX.1-2017, General Terminal Interface,
#: 11.1.9: it ends the input only at the beginning of a line, and else hands over what was typed.
VEOF = b"\x04"


def send_at_once(session: Session, data: memoryview) -> int:
    """Send what fits into the window and one burst now; return how much that was."""
    sent = 0
    while sent < min(len(data), BURST_BYTES) and session.transport.can_write:
        size = session.channel.write(data[sent:])
        if not size:
            break
        sent += size
    return sent


async def send_stdin(session: Session, data: bytes | memoryview) -> None:
    """
    Send all bytes; return early if the session, or our side of it, has ended.

    Source: RFC 4254 section 5.2.
    """
    rest, channel = memoryview(data), session.channel
    while rest and not (session.ended.done() or channel.closed or channel.eof_sent):
        session.window.clear()
        sent = send_at_once(session, rest)
        rest = rest[sent:]
        if rest and not session.transport.can_write:
            await session.transport.writable()
        elif rest and not sent:
            await session.window.wait()
        elif rest:
            await asyncio.sleep(0)


def end_of_typing(last: bytes) -> bytes:
    """Return the characters that mean EOF to a terminal after these bytes."""
    return VEOF if not last or last.endswith((b"\n", b"\r")) else VEOF * 2
