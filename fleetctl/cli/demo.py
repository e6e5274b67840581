"""
``fleetctl demo``: the main job, shown on a lab of its own, which is gone afterwards.

Every command of the tour goes through `fleetctl.cli.main.main`, as if it were typed. The demo fails
if one does not behave as it should.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn, TextIO, cast

import click

from fleetctl.cli.errors import say
from fleetctl.cli.invocation import Invocation, OpenEngine
from fleetctl.wiring import start_lab, stop_lab

HOSTS = 10
RELEASE, OLD_RELEASE = "shop 2.1\n", "shop 2.0\n"
OUTDATED = ("web03", "web07")
BROKEN = "web05"

_COLOR = re.compile("\x1b\\[[0-9;]*m")

EXIT_FAILED = 1
INVENTORY, STATE = "FLEETCTL_INVENTORY", "FLEETCTL_STATE"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Stop:
    """
    One stop of the tour.

    Attributes:
        text: What is shown here.
        words: The command line behind ``fleetctl``.
        exit_code: How it must end.
        is_right: Looks at what it wrote to stdout, colour taken away.
        shown: What to show of that; None shows it as it comes.
    """

    text: str
    words: Sequence[str]
    exit_code: int
    is_right: Callable[[str], bool]
    shown: Callable[[str], str] | None = None


TOUR = (
    Stop(
        "A pattern names many hosts; nobody is contacted yet.",
        ("hosts", "web*", "--fold"),
        0,
        lambda out: out == "web[01-10]\n",
    ),
    Stop(
        "Reach them all and log in.",
        ("ping", "web*"),
        0,
        lambda out: out.count("| ok |") == HOSTS,
    ),
    Stop(
        "Run a command everywhere. Equal answers are shown once, under the folded names.",
        ("run", "web*", "--format", "gather", "--", "uname -s"),
        0,
        lambda out: "web[01-10] (10)" in out,
    ),
    Stop(
        "Who is different stands out.",
        ("run", "web*", "--format", "gather", "--", "cat ~/release"),
        0,
        lambda out: "web[01-02,04-06,08-10] (8)" in out and "web[03,07] (2)" in out,
    ),
    Stop(
        "Who fails comes last, and the summary says how to run it again there.",
        ("run", "web*", "--format", "gather", "--", "cat ~/backup.log"),
        1,
        lambda out: "web05: exit status 1" in out,
    ),
    Stop(
        "Scripts get JSON: one result per host, and the counts.",
        ("run", "web*", "--format", "json", "--", "cat ~/release"),
        0,
        lambda out: json.loads(out)["counts"] == {"ok": HOSTS},
        shown=lambda out: f"... {out.splitlines()[-2]} ...",
    ),
)


@click.command(epilog="\b\nExample:\n  fleetctl demo")
@click.pass_context
def demo(ctx: click.Context) -> int:
    """
    See fleetctl work on ten hosts on this machine.

    Starts a lab in a temporary directory, runs the main commands on it, and removes it. Exits with
    0 if everything behaved as it should.
    """
    invocation = ctx.find_object(Invocation)
    assert invocation is not None
    with _lab() as inventory:
        click.echo(f"$ export {INVENTORY}={shlex.quote(str(inventory))}")
        for stop in TOUR:
            code = _show(stop, invocation.open_engine)
            if code:
                return code
    click.echo("\nThe lab is gone again. Start your own: fleetctl lab start")
    return 0


def _show(stop: Stop, open_engine: OpenEngine | None) -> int:
    """Run one stop; return 0 if it went as it should, else the exit code of the demo."""
    from fleetctl.cli.main import main

    text = f"# {stop.text}"
    click.echo(f"\n{text if os.environ.get('NO_COLOR') else click.style(text, dim=True)}")
    click.echo(f"$ {shlex.join(('fleetctl', *stop.words))}")
    stream = Echo(sys.stdout) if stop.shown is None else io.TextIOWrapper(io.BytesIO(), "utf-8")
    # Echo is a text stream in all that sinks and click use of one.
    with contextlib.redirect_stdout(cast(TextIO, stream)):
        code = main(stop.words, open_engine=open_engine)
    if isinstance(stream, Echo):
        out = _COLOR.sub("", "".join(stream.heard))
    else:
        stream.seek(0)
        out = stream.read()
    if stop.shown is not None and out:
        click.echo(stop.shown(out))
    if code > 128:  # interrupted, or nobody reads on: no failure of what is shown
        return code
    if code != stop.exit_code:
        say(f"the demo failed: the exit code was {code}, it should have been {stop.exit_code}")
        return EXIT_FAILED
    if not stop.is_right(out):
        say("the demo failed: this is not the output that was expected")
        return EXIT_FAILED
    return 0


class Echo:
    """
    A text stream that hands everything on to another and remembers it.

    Attributes:
        heard: What was written.
    """

    def __init__(self, stream: TextIO) -> None:
        self.heard: list[str] = []
        self._stream = stream

    def write(self, text: str) -> int:
        """Write to the other stream."""
        count = self._stream.write(text)
        self.heard.append(text)
        return count

    def fileno(self) -> int:
        """
        Raises:
            io.UnsupportedOperation: Whoever wrote to a descriptor would not be heard.
        """
        raise io.UnsupportedOperation("fileno")

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@contextlib.contextmanager
def _lab() -> Iterator[Path]:
    """Run the lab of the demo and remove it whatever happens; gives its inventory."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if before[number] is not signal.SIG_IGN:
            signal.signal(number, _end)
    named_before = {name: os.environ.get(name) for name in (INVENTORY, STATE)}
    parent = Path(tempfile.mkdtemp(prefix="fleetctl-demo-"))
    try:
        lab = start_lab(parent / "lab", hosts=HOSTS, embedded=False)
        click.echo(f"{len(lab.hosts)} hosts started on this machine: {lab.engine}")
        for host in lab.hosts:
            (host.home / "release").write_text(OLD_RELEASE if host.name in OUTDATED else RELEASE)
            if host.name != BROKEN:
                (host.home / "backup.log").write_text("backup done\n")
        os.environ[INVENTORY] = str(lab.inventory)
        # What is remembered of its hosts goes with them.
        os.environ[STATE] = str(parent / "state")
        yield lab.inventory
    finally:
        # Cleaning up takes a moment; impatience must not leave daemons behind.
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for name, value in named_before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        try:
            stop_lab(parent / "lab")
            shutil.rmtree(parent)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
