"""
That a run is to end before it is complete, and why.
"""

from __future__ import annotations

import asyncio


class Ending:
    """
    Asked for at most once per run; hosts that wait for something give up when it is.

    Attributes:
        why: A clause such as ``the run was interrupted``; empty as long as the run may go on.
        kind: Of the failure of hosts that are not started for it.
    """

    def __init__(self) -> None:
        self.why = ""
        self.kind = "run.cancelled"
        self._asked = asyncio.Event()

    def ask(self, why: str, *, kind: str = "run.cancelled") -> None:
        """Let the run end; the first reason counts."""
        if not self.why:
            self.why, self.kind = why, kind
        self._asked.set()

    async def passes(self, wait_s: float) -> bool:
        """Wait so long; return False at once when the run is to end."""
        try:
            async with asyncio.timeout(wait_s):
                await self._asked.wait()
        except TimeoutError:
            return True
        return False
