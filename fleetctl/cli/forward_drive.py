"""
Drives one ``fleetctl forward``: from the login to the end, whatever ends it.

What is forwarded is decided in `fleetctl.cli.forward`, and said in `fleetctl.cli.forward_report`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fleetctl import wiring
from fleetctl.cli.errors import say
from fleetctl.cli.forward_report import Report
from fleetctl.cli.hostkey import HostKeyPrompt
from fleetctl.cli.interruption import Interruption, Stage
from fleetctl.cli.known_secrets import KnownSecrets, watched
from fleetctl.cli.options import LoginOptions
from fleetctl.cli.secrets import given_secrets
from fleetctl.cli.state import seen_host_keys_file, state_directory
from fleetctl.cli.terminal import Terminal
from fleetctl.model.errors import FleetError, UsageError
from fleetctl.model.failure import exit_code_of
from fleetctl.model.forward import Forward, Listening
from fleetctl.model.host import Host
from fleetctl.wiring.forwards import OpenForwards, open_forwards

EXIT_UNREACHABLE = 4
EXIT_SIGNALLED = 128
#: Each connection takes one descriptor or two.
WANTED_FILES = 16 * 1024
#: What tells a command where the forwardings are, with a number from 1.
VARIABLE = "FLEETCTL_FORWARD_"


@dataclass(frozen=True, slots=True)
class Wish:
    """
    What is to be forwarded, and for how long.

    Attributes:
        forwards: Of the command line, then of the settings.
        duration_s: None for no limit.
        command: Runs while they are there; empty for none.
    """

    forwards: Sequence[Forward]
    duration_s: float | None
    command: Sequence[str]


class Forwarder:
    """One ``fleetctl forward`` on its way."""

    def __init__(
        self, host: Host, login: LoginOptions, wish: Wish, report: Report, known: KnownSecrets
    ) -> None:
        """
        Args:
            known: Told every secret before a host gets it.
        """
        self._host = host
        self._wish = wish
        self._report = report
        self._terminal = Terminal()
        secrets = given_secrets(
            login,
            self._terminal,
            is_for_one_host=self._can_ask,
            targets={host.name},
            environ=os.environ,
            warn=_warn,
        )
        self._secrets = watched(known, secrets, [host])
        self._child: asyncio.subprocess.Process | None = None
        self._serving: asyncio.Task[int] | None = None
        self._interruption = Interruption(
            on_stage=self._on_stage, last_words=lambda: "\nfleetctl: left at once\n"
        )

    @property
    def _can_ask(self) -> bool:
        return sys.stdin.isatty() and self._terminal.is_there

    def run(self) -> int:
        """Forward; return the exit code."""
        return wiring.run_loop(self._run)

    async def _run(self) -> int:
        with self._interruption.installed():
            self._serving = asyncio.ensure_future(self._serve())
            await asyncio.wait((self._serving,))
            if not self._serving.cancelled():
                return self._serving.result()
        self._report.ended(None)
        name = self._interruption.signal_name or "INT"
        return EXIT_SIGNALLED + signal.Signals[f"SIG{name}"]

    def _on_stage(self, stage: Stage) -> None:
        child = self._child
        if child is not None:
            name = self._interruption.signal_name or "INT"
            # Ctrl-C goes to everybody in front of the terminal.
            if name != "INT" or not sys.stdin.isatty():
                with suppress(ProcessLookupError):
                    child.send_signal(signal.Signals[f"SIG{name}"])
        elif self._serving is not None:
            self._serving.cancel()

    async def _serve(self) -> int:
        ask = HostKeyPrompt(self._terminal).ask if self._can_ask else None
        try:
            async with open_forwards(
                self._host,
                secrets=self._secrets,
                ask_host_key=ask,
                warn=_warn,
                tell=self._report.handle,
                login_keys=state_directory(os.environ) / "login-keys",
                seen_host_keys=seen_host_keys_file(os.environ),
            ) as forwards:
                return await self._forward(forwards)
        except FleetError as error:
            self._report.ended(error.failure)
            return exit_code_of(error.kind)

    async def _forward(self, forwards: OpenForwards) -> int:
        errors = [await forwards.add(each) for each in self._wish.forwards]
        failed = [error for error in errors if error is not None]
        is_needed = self._host.settings.exit_on_forward_failure or bool(self._wish.command)
        if failed and (is_needed or not forwards.listening):
            self._report.ended(failed[0].failure if is_needed and len(errors) > 1 else None)
            return max(exit_code_of(error.kind) for error in failed)
        lost = asyncio.ensure_future(forwards.lost())
        try:
            if self._wish.command:
                return await self._run_command(self._wish.command, forwards.listening, lost)
            if self._wish.duration_s is None:
                self._report.waiting()
            done, _ = await asyncio.wait((lost,), timeout=self._wish.duration_s)
            if not done:
                self._report.ended(None)
                return 0
            return self._lost(lost.result())
        finally:
            lost.cancel()
            await asyncio.gather(lost, return_exceptions=True)

    def _lost(self, error: FleetError) -> int:
        self._report.ended(error.failure)
        return EXIT_UNREACHABLE

    async def _run_command(
        self, words: Sequence[str], listening: Sequence[Listening], lost: asyncio.Task[FleetError]
    ) -> int:
        """Run a command of this machine; return its exit status."""
        argv = ["/bin/sh", "-c", words[0]] if len(words) == 1 else words
        try:
            self._child = child = await asyncio.create_subprocess_exec(
                *argv, env={**os.environ, **variables_of(listening)}
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UsageError(f"{words[0]} cannot be started: {reason}", file="--") from None
        ended = asyncio.ensure_future(child.wait())
        await _first(ended, lost, timeout_s=self._wish.duration_s)
        if not ended.done():
            with suppress(ProcessLookupError):
                child.terminate()
            why = "the connection is lost" if lost.done() else "its time is over"
            say(f"the command is ended: {why}")
        status = await ended
        if lost.done():
            return self._lost(lost.result())
        self._report.ended(None)
        return status if status >= 0 else EXIT_SIGNALLED - status


def variables_of(listening: Sequence[Listening]) -> Mapping[str, str]:
    """Return where each forwarding is, for the environment of a command: ``127.0.0.1:8080``."""
    return {f"{VARIABLE}{number}": str(each.places[0]) for number, each in enumerate(listening, 1)}


async def _first(*waited: asyncio.Future[Any], timeout_s: float | None) -> None:
    await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)


def raise_limit_of_files() -> None:
    """Let as many connections be open at once as the system allows us. Source: getrlimit(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_FILES if hard == resource.RLIM_INFINITY else min(hard, WANTED_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _warn(message: str) -> None:
    say(f"warning: {message}")
