"""
Talking to a program while it runs: what it is asked for, and what it is told.
"""

from __future__ import annotations

from typing import Protocol

from fleetctl.model.events import Stream


class Conversation(Protocol):
    """
    A program that runs on a host, as a dialogue sees it.

    All methods belong to the loop's thread. A call that was cancelled has read or lost nothing, so
    a limit is `asyncio.timeout` around it.
    """

    async def read(self) -> tuple[Stream, bytes] | None:
        """
        Return the next piece of output, or None when nothing more will come.

        The host is stopped from sending while much is unread.
        """
        ...

    def keep(self, stream: Stream, data: bytes) -> None:
        """Count these bytes as output: collected, shown live. What is not kept is gone."""
        ...

    async def write(self, data: bytes) -> None:
        """
        Send input, no faster than the host takes it.

        What a program that has ended does not take is dropped.
        """
        ...

    def write_eof(self) -> None:
        """End the input; on a pty that is the end-of-file character (VEOF)."""
        ...

    def resize(self, columns: int, rows: int) -> None:
        """
        Tell the program that its terminal has another size; nothing without a pty.

        Source: RFC 4254 section 6.7.
        """
        ...


class Dialogue(Protocol):
    """
    One side of a conversation. Made for one program on one host and used once.
    """

    async def hold(self, conversation: Conversation) -> None:
        """
        Talk until there is nothing more to say.

        After it returns, what is unread and what comes counts as output, and the request's standard
        input is sent, then EOF. When `read` has returned None it should return soon.

        Raises:
            FleetError: The program is ended, and the error is the result of the command. One of
                phase ``become`` says that the command itself did not run.
        """
        ...
