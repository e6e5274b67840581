"""
Assembly: the only place that names concrete classes.

Everything is imported where it is needed, so that a command pays only for what it uses. No
behaviour of its own beyond choosing: which inventory, which sinks, which engine.
"""

from __future__ import annotations

import os
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar

from fleetctl.model.errors import Problem
from fleetctl.model.events import Event
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.ports import SecretProvider, Sink
from fleetctl.model.secret import Secret

if TYPE_CHECKING:
    from fleetctl.engine.local import LocalEngine
    from fleetctl.lab.fleet import LabStatus
    from fleetctl.lab.layout import Lab
    from fleetctl.sinks.printer import Printer
    from fleetctl.ssh.connect import HostKeyQuestion

T = TypeVar("T")

Format = Literal["stream", "gather", "oneline", "json", "ndjson"]
ColorChoice = Literal["auto", "always", "never"]

#: Formats that show output while it comes.
LIVE_FORMATS = frozenset({"stream", "ndjson"})


# -- words for people


def one_visible_line(text: str) -> str:
    """Return the text in one line, with control characters escaped."""
    from fleetctl.sinks.escape import visible_line

    return visible_line(text)


def visible_text(text: str) -> str:
    """Return the text with control characters escaped, newline and tab excepted."""
    from fleetctl.sinks.escape import visible

    return visible(text)


def fold(names: Iterable[str]) -> str:
    """Return ``web[01-18,20]``."""
    from fleetctl.model.nodeset import fold as fold_names

    return fold_names(names)


# -- the lab


def start_lab(directory: Path, *, hosts: int, embedded: bool) -> Lab:
    """Start a lab; see `fleetctl.lab.fleet.start_lab`."""
    from fleetctl.lab.fleet import start_lab as start

    directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return start(directory, hosts=hosts, prefer_embedded=embedded)


def stop_lab(directory: Path) -> LabStatus | None:
    """End a lab; see `fleetctl.lab.fleet.stop_lab`."""
    from fleetctl.lab.fleet import stop_lab as stop

    return stop(directory)


def lab_status(directory: Path) -> LabStatus | None:
    """Look at a lab; see `fleetctl.lab.fleet.lab_status`."""
    from fleetctl.lab.fleet import lab_status as status

    return status(directory)


# -- hosts


@dataclass(frozen=True, slots=True)
class Selection:
    """
    Which hosts, and what the command line says about reaching them.

    Attributes:
        sources: Files, or lists of hosts with a comma.
        pattern: What to select.
        limit: A pattern; only hosts it means as well are left.
        exclude: A pattern; the hosts it means are left out.
        overrides: (ssh_config keyword, words, option it came from), strongest first.
        vault_secrets: (vault id or None, password) of vaulted values.
    """

    sources: Sequence[str]
    pattern: str
    limit: str | None = None
    exclude: str | None = None
    overrides: Sequence[tuple[str, Sequence[str], str]] = ()
    vault_secrets: Sequence[tuple[str | None, Secret]] = ()


def find_hosts(
    selection: Selection,
    warn: Callable[[Problem], None],
    is_trusted: Callable[[Path, bytes], bool] | None = None,
) -> tuple[Host, ...]:
    """
    Return the hosts of the selection, in the order of the pattern.

    Args:
        warn: Told what was read but has no effect.
        is_trusted: Asked of a file, with its content, that wants to do what only a trusted one may.

    Raises:
        UsageError: All mistakes in the inventory or on the command line.
        NothingMatched: No host is left.
    """
    from fleetctl.inventory.load import load_inventory
    from fleetctl.inventory.pattern import select

    inventory = load_inventory(
        selection.sources,
        overrides=selection.overrides,
        is_trusted=is_trusted,
        vault_secrets=selection.vault_secrets,
    )
    for warning in inventory.warnings:
        warn(warning)
    return select(inventory, selection.pattern, limit=selection.limit, exclude=selection.exclude)


def split_words(text: str) -> tuple[str, ...]:
    """Split as a line of ssh_config is; see `fleetctl.inventory.assign.split_words`."""
    from fleetctl.inventory.assign import split_words as split

    return split(text)


def is_safe_user(name: str) -> bool:
    """Would ssh accept the name of a user; see `fleetctl.sshconfig.names.is_safe_user`."""
    from fleetctl.sshconfig.names import is_safe_user as is_safe

    return is_safe(name)


# -- operations


def make_ping() -> Operation:
    """Return the operation that only logs in."""
    from fleetctl.commands.ping import Ping

    return Ping()


def make_command(
    words: Sequence[str],
    *,
    stdin: bytes,
    env: Mapping[str, str],
    timeout_s: float | None,
    max_output_bytes: int,
    pty: bool,
) -> Operation:
    """Return the operation that runs a command; see `fleetctl.commands.command`."""
    from fleetctl.commands.command import Command, command_line

    return Command(
        line=command_line(words),
        stdin=stdin,
        env=env,
        timeout_s=timeout_s,
        max_output_bytes=max_output_bytes,
        pty=pty,
    )


# -- output


@dataclass(frozen=True, slots=True)
class View:
    """
    How a run is shown.

    Attributes:
        progress: Draw the progress line, if stderr is a terminal.
        argv: The command line as given, from which the summary makes its rerun line.
        pattern: The word of it that named the hosts.
        remote_exit_status: Exit with the largest exit status of a host.
    """

    format: Format
    color: ColorChoice = "auto"
    progress: bool = True
    argv: Sequence[str] = ()
    pattern: str = ""
    remote_exit_status: bool = False


class Screen:
    """The sinks of a run behind one door: results on stdout, everything about the run on stderr."""

    def __init__(
        self,
        view: View,
        *,
        stdout: TextIO,
        stderr: TextIO,
        environ: Mapping[str, str],
        is_asking: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            is_asking: True while a person is asked something; the progress line waits then.
        """
        from fleetctl.sinks.deliver import Delivery
        from fleetctl.sinks.notices import NoticeSink
        from fleetctl.sinks.progress import ProgressSink
        from fleetctl.sinks.summary import SummarySink
        from fleetctl.sinks.tally import Tally

        out = _printer(stdout, view.color, environ, ignore_closed=False)
        err = _printer(stderr, view.color, environ, ignore_closed=True)
        self._remote_exit_status = view.remote_exit_status
        self._is_asking = is_asking
        self._unseen: list[Event] = []
        self._tally = Tally()
        self._progress: ProgressSink | None = None
        if view.progress and stderr.isatty():
            self._progress = ProgressSink(
                stderr, clock=monotonic, width=lambda: _width(stderr, environ)
            )
            self._progress.share(err, *([out] if stdout.isatty() else []))
        self._delivery = Delivery(
            [
                _result_sink(view.format, stdout, out, err),
                NoticeSink(err),
                self._tally,
                SummarySink(err, fold=fold, argv=view.argv, pattern=view.pattern),
            ],
            warnings=err,
        )

    @property
    def is_closed(self) -> bool:
        """Whether the reader of standard output has left."""
        return self._delivery.broken

    def handle(self, event: Event) -> None:
        """Show the event; never raises for what a sink does."""
        if self._progress is not None:
            self._unseen.append(event)
            self.tick()
        self._delivery.handle(event)

    def tick(self) -> None:
        """Let the progress line move, unless a question is on the screen."""
        if self._progress is None or self._is_asking():
            return
        for event in self._unseen:
            self._progress.handle(event)
        self._unseen.clear()
        self._progress.tick()

    def erase(self) -> None:
        """Take the progress line off the screen until the next tick."""
        if self._progress is not None:
            self._progress.erase()

    def close(self) -> None:
        """The last event was delivered."""
        if self._progress is not None:
            self._progress.close()
        self._delivery.close()

    def exit_code(self) -> int:
        """Return the exit code that the results ask for; 6 if they could not all be written."""
        return self._tally.exit_code(
            remote=self._remote_exit_status, incomplete=bool(self._delivery.failed)
        )


def _result_sink(format_: Format, stdout: TextIO, out: Printer, err: Printer) -> Sink:
    match format_:
        case "stream":
            from fleetctl.sinks.stream import StreamSink

            return StreamSink(out, err)
        case "gather":
            from fleetctl.sinks.gather import GatherSink

            return GatherSink(out, fold=fold)
        case "oneline":
            from fleetctl.sinks.oneline import OnelineSink

            return OnelineSink(out)
        case "json":
            from fleetctl.sinks.json_sinks import JsonSink

            return JsonSink(stdout.buffer, local_user=_local_user())
        case "ndjson":
            from fleetctl.sinks.json_sinks import NdjsonSink

            return NdjsonSink(stdout.buffer, local_user=_local_user())


def _local_user() -> str | None:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this uid
        return None


def _printer(
    stream: TextIO, color: ColorChoice, environ: Mapping[str, str], *, ignore_closed: bool
) -> Printer:
    from fleetctl.sinks.color import is_color_wanted
    from fleetctl.sinks.printer import Printer

    return Printer(
        stream,
        color=is_color_wanted(color, stream, environ),
        width=_width(stream, environ) if stream.isatty() else None,
        ignore_closed=ignore_closed,
    )


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    """Return the columns of a terminal; COLUMNS says it first."""
    named = environ.get("COLUMNS", "")
    try:
        return (
            int(named)
            if named.isdecimal() and int(named)
            else (os.get_terminal_size(stream.fileno()).columns or 80)
        )
    except (OSError, ValueError):
        return 80


# -- the run


@asynccontextmanager
async def open_engine(
    *,
    secrets: SecretProvider,
    ask_host_key: Callable[[HostKeyQuestion], Awaitable[bool]] | None,
    warn: Callable[[str], None],
    live_output: bool,
) -> AsyncIterator[LocalEngine]:
    """Make the engine that speaks SSH from this process; everything it opened is closed after."""
    from fleetctl.engine.local import LocalEngine
    from fleetctl.ssh.connector import SshConnector
    from fleetctl.ssh.loop import settle_garbage_collector

    settle_garbage_collector()
    connector = SshConnector(
        secrets=secrets, ask_host_key=ask_host_key, warn=warn, environ=os.environ
    )
    # One operation per host and then the end: nobody comes back to an open connection.
    engine = LocalEngine(connector, keep_connections=0, live_output=live_output)
    try:
        yield engine
    finally:
        await engine.aclose()
        await connector.aclose()


def run_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on the fastest loop there is; see `fleetctl.ssh.loop.run_loop`."""
    from fleetctl.ssh.loop import run_loop as run

    return run(main)
