"""
Getting secrets from their sources: a person once, a program once per command it comes to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fleetctl.model.secret import Secret
from fleetctl.secrets.command import expand_tokens, run_command
from fleetctl.secrets.source import Command, SecretSource

#: Programs at once; password managers are not made for more.
MAX_COMMANDS = 4


class SecretReader:
    """
    Reads sources for all hosts of a run.

    Args:
        ask: Shows a question to a person and returns what was typed, or None.
    """

    def __init__(self, ask: Callable[[str], Awaitable[str | None]]) -> None:
        self._ask = ask
        self._reading: dict[object, asyncio.Task[Secret | None]] = {}
        self._slots = asyncio.Semaphore(MAX_COMMANDS)

    async def read(
        self,
        source: SecretSource,
        *,
        question: str,
        tokens: Mapping[str, str],
        again: bool = False,
    ) -> Secret | None:
        """
        Return the secret of a source, or None if nobody gave one.

        Args:
            question: For a person; the same question is asked once.
            tokens: What ``%h`` and the like stand for in commands.
            again: Run a program anew even if it ran before: one-time codes differ.

        Raises:
            FleetError: ``auth.no_method``: the program failed.
        """
        if isinstance(source, Secret):
            return source
        if isinstance(source, Command):
            command = expand_tokens(source.text, tokens)
            if again:
                return await self._run(command)
            return await self._once(command, lambda: self._run(command))
        return await self._once((question,), lambda: self._ask_person(question))

    async def _once(
        self, key: object, read: Callable[[], Awaitable[Secret | None]]
    ) -> Secret | None:
        task = self._reading.get(key)
        if task is None or task.cancelled():
            task = self._reading[key] = asyncio.ensure_future(read())
        return await asyncio.shield(task)

    async def _run(self, command: str) -> Secret | None:
        async with self._slots:
            return await run_command(command)

    async def _ask_person(self, question: str) -> Secret | None:
        answer = await self._ask(question)
        return Secret(answer) if answer else None
