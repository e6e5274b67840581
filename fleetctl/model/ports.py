"""
The seams between layers, one or two methods each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias

from fleetctl.model.challenge import Challenge
from fleetctl.model.events import Event, Stream
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.redaction import Redaction
from fleetctl.model.result import ExecResult
from fleetctl.model.run import Run
from fleetctl.model.secret import Secret
from fleetctl.model.trace import Trace

if TYPE_CHECKING:
    import asyncio

#: Told what a host writes, as it comes. If it returns a future, what follows is to be read from the
#: host only when that is done; what is on its way already still comes.
OutputListener: TypeAlias = Callable[[Stream, bytes], "asyncio.Future[None] | None"]


class Engine(Protocol):
    """Runs runs; the only place that decides concurrency."""

    def execute(self, run: Run) -> AsyncIterator[Event]:
        """
        Yield the events of the run, in order.

        Every host of `RunStarted` gets exactly one `HostFinished`, whatever is killed or cancelled.
        """
        ...


class Sink(Protocol):
    """A consumer of events. One that raises or blocks never stops the run."""

    def handle(self, event: Event) -> None: ...

    def close(self) -> None:
        """The last event was delivered; flush."""
        ...


class SecretProvider(Protocol):
    """Where passwords and passphrases of logins come from; each is asked for at most once."""

    async def password(self, host: Host, user: str) -> Secret | None:
        """Return the login password, or None if there is none to offer."""
        ...

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        """
        Return the passphrase of an identity file, or None if there is none to offer.

        Args:
            attempt: 0 at first; higher after a passphrase that was wrong.
        """
        ...

    async def answers(self, host: Host, user: str, challenge: Challenge) -> Sequence[Secret] | None:
        """
        Return the answers to a host's questions, all of them in order, or None.

        Asked for whatever the host wants to know beyond `password`, and for another password after
        one that was wrong. The questions are the host's words: bounded, not escaped.
        """
        ...


class OperationSecrets(Protocol):
    """Where the secrets that operations need come from; each is asked for at most once."""

    async def become_password(self, host: Host, user: str) -> Secret | None:
        """Return the password with which to become that user there; see `Remote`."""
        ...

    async def secret(self, host: Host, source: str) -> Secret | None:
        """Return a secret that an operation names by its source; see `Remote`."""
        ...

    def redaction(self) -> Redaction | None:
        """Return what takes out all secrets that are known; see `Remote`."""
        ...


class RunSecrets(SecretProvider, OperationSecrets, Protocol):
    """Everything a run may ask for."""


class Link(Protocol):
    """One authenticated connection to one host."""

    @property
    def is_open(self) -> bool: ...

    def facts(self) -> Mapping[str, object]:
        """
        Return ``server_version``, ``cipher``, ``host_key_type``, ``auth_method`` and ``auth_key``;
        see `Remote.connect`.

        Each is None for a host that is this machine itself, which has ``connection`` as well.
        """
        ...

    async def exec(
        self,
        request: ExecRequest,
        trace: Trace,
        on_output: OutputListener | None,
    ) -> ExecResult:
        """
        Run one command; `trace.ran` says afterwards, and after a failure, whether it ran.

        The trace belongs to this command alone while it runs. A retryable failure means that
        nothing was sent.

        Raises:
            FleetError: Kinds ``session``, ``pty``, ``exec``.
        """
        ...

    async def close(self) -> None: ...


class Connector(Protocol):
    """Opens links; decides nothing about how many at once."""

    async def connect(
        self, host: Host, trace: Trace, *, open_session: bool, login: Login | None = None
    ) -> Link:
        """
        Return a new connection, logged in.

        Args:
            login: With what; None for all that the host's settings allow. Its user is the host's.

        Raises:
            FleetError: Kinds ``resolve`` to ``auth``; nothing stays open.
        """
        ...

    async def aclose(self) -> None: ...


class Journal(Protocol):
    """Told before a command leaves, so that after a crash what may have run is known."""

    async def starting(self, host: Host) -> None: ...


class InventorySource(Protocol):
    """A place hosts come from."""

    def load(self) -> Sequence[Host]:
        """
        Raises:
            UsageError: All mistakes of the source at once.
        """
        ...
