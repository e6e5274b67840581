"""
What a command is given besides its own words. Kept light: ``fleetctl --help`` imports it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

import click

from fleetctl.cli.known_secrets import KnownSecrets

if TYPE_CHECKING:
    from pathlib import Path

    from fleetctl.model.events import Event
    from fleetctl.model.host import Host
    from fleetctl.model.ports import Journal, RunSecrets
    from fleetctl.model.run import Run


class StoppableEngine(Protocol):
    """A `fleetctl.model.ports.Engine` that can be told to come to an end."""

    def execute(self, run: Run) -> AsyncGenerator[Event, None]: ...

    def stop(self) -> None:
        """Start nothing new; hosts that were not started are ``run.cancelled``."""
        ...

    def cancel(self) -> None:
        """`stop`, and end what is running as well."""
        ...


class UnknownHostKey(Protocol):
    """What the connection layer knows about a host key it asks for."""

    @property
    def host(self) -> Host: ...

    @property
    def address(self) -> str: ...

    @property
    def key_type(self) -> str: ...

    @property
    def fingerprint(self) -> str: ...

    @property
    def known_elsewhere(self) -> tuple[str, ...]:
        """Lines that know other keys of the host, as ``file:line``."""
        ...


class OpenEngine(Protocol):
    """Makes an engine for the time of one run."""

    def __call__(
        self,
        *,
        secrets: RunSecrets,
        ask_host_key: Callable[[UnknownHostKey], Awaitable[bool]] | None,
        warn: Callable[[str], None],
        live_output: bool,
        login_keys: Path,
        seen_host_keys: Path,
        journal: Journal | None = ...,
        in_batches: bool = ...,
        gate: str | None = ...,
    ) -> AbstractAsyncContextManager[StoppableEngine]: ...


@dataclass(frozen=True, slots=True)
class Repeat:
    """
    The recorded run that is done again.

    Attributes:
        how: ``rerun`` does hosts once more, ``resume`` those that are left.
        run_id: Of the recorded run.
        label: What to call the new one, if the command line does not say.
        check_sources: Told the inventories that are used; raises UsageError if they are not what
            they were and nobody agreed to that.
    """

    how: Literal["rerun", "resume"]
    run_id: str
    label: str
    check_sources: Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Invocation:
    """
    What every command gets from `fleetctl.cli.main`.

    Attributes:
        argv: The command line, ``fleetctl`` included.
        open_engine: How to get an engine; None for the real one.
        repeat: The recorded run that is done again; None if the command line was typed.
        known_secrets: Those it has come to know so far; nothing that is written shows one.
    """

    argv: tuple[str, ...]
    open_engine: OpenEngine | None = None
    repeat: Repeat | None = None
    known_secrets: KnownSecrets = field(default_factory=KnownSecrets)


def known_secrets() -> KnownSecrets:
    """Return what the command that runs knows; nothing is known where none runs."""
    ctx = click.get_current_context(silent=True)
    invocation = ctx.find_object(Invocation) if ctx is not None else None
    return invocation.known_secrets if invocation is not None else KnownSecrets()
