"""
The live view: a line, and in a run that lasts the slowest hosts above it.
"""

from __future__ import annotations

import io

from rich.cells import cell_len

from fleetctl.model.events import HostFinished, HostStarted, RunFinished, RunStarted
from fleetctl.model.host import Host
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.progress import ProgressSink
from tests.unit.sinks import samples

ERASE = "\r\x1b[K"


class Terminal:
    """A progress line on a terminal whose clock stands still until told."""

    def __init__(self, *, width: int = 80, stream: io.StringIO | None = None) -> None:
        self.stream = stream or io.StringIO()
        self.now_s = 100.0
        self.size = (width, 24)
        self.sink = ProgressSink(self.stream, clock=lambda: self.now_s, size=lambda: self.size)

    def start(self, *names: str) -> None:
        hosts = tuple(map(Host, names))
        self.sink.handle(RunStarted("R1", "uptime", hosts, samples.at(0)))
        for host in hosts:
            self.sink.handle(HostStarted(host, samples.at(0)))

    def finish(self, name: str, *, status: int = 0) -> None:
        result = samples.failed(name, status) if status else samples.ok(name)
        self.sink.handle(HostFinished(result, samples.at(0)))
        self.sink.tick()

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.sink.tick()

    def taken(self) -> str:
        """Return what was written since the last call."""
        text = self.stream.getvalue()
        self.stream.seek(0)
        self.stream.truncate()
        return text


def test_line_says_what_is_going_on():
    """
    Done, running, failed, elapsed, and the hosts that have run longest.
    """
    terminal = Terminal(width=100)
    terminal.start("web1", "web2", "web3", "web4", "web5", "web6")
    terminal.finish("web1")
    terminal.finish("web2", status=3)
    terminal.wait(1.5)
    assert terminal.taken() == (
        f"{ERASE}2/6 done, 4 running, 1 failed, 1.5 s | slowest: web3 1.5 s, web4 1.5 s, web5 1.5 s"
    )


def test_short_run_shows_no_line():
    """
    A run that is over in a moment does not make the screen flicker.
    """
    terminal = Terminal()
    terminal.start("web1")
    terminal.wait(0.2)
    terminal.finish("web1")
    terminal.sink.handle(RunFinished("R1", samples.at(0), 0.2))
    terminal.wait(5)
    assert terminal.taken() == ""


def test_line_is_drawn_at_most_ten_times_a_second():
    """
    A thousand events in a second are ten drawings.
    """
    terminal = Terminal()
    terminal.start(*(f"web{number}" for number in range(1000)))
    terminal.wait(1)
    terminal.taken()
    for number in range(1000):
        terminal.now_s += 0.001
        terminal.finish(f"web{number}")
    assert 9 <= terminal.taken().count(ERASE) <= 10


def test_line_never_reaches_the_last_column():
    """
    On a narrow terminal names are left out, then the text is cut; the line never wraps.
    """
    for width in (20, 40, 60, 80):
        terminal = Terminal(width=width)
        terminal.start("a-host-with-a-long-name", "another-host-with-a-long-name", "c")
        terminal.wait(1)
        line = terminal.taken().removeprefix(ERASE)
        assert 0 < len(line) < width


def test_line_is_taken_away_before_results_are_printed():
    """
    Whoever writes to the same terminal finds an empty line; the line comes back afterwards.
    """
    terminal = Terminal()
    printer = Printer(terminal.stream)
    terminal.sink.share(printer)
    terminal.start("web1")
    terminal.wait(1)
    terminal.taken()
    printer.write("web1: result\n")
    printer.write("web1: more\n")
    assert terminal.taken() == f"{ERASE}web1: result\nweb1: more\n"
    terminal.wait(0.2)
    assert terminal.taken().startswith(f"{ERASE}0/1 done")


def test_line_is_gone_when_the_run_is_over():
    """
    After the last event nothing of the line is left and nothing more is drawn.
    """
    terminal = Terminal()
    terminal.start("web1")
    terminal.wait(1)
    terminal.taken()
    terminal.sink.handle(RunFinished("R1", samples.at(0), 1.0))
    assert terminal.taken() == ERASE
    terminal.wait(1)
    terminal.sink.close()
    assert terminal.taken() == ""


def test_terminal_that_is_gone_ends_the_drawing_only():
    """
    F88: a closed terminal raises nothing into the run.
    """

    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    terminal = Terminal(stream=Gone())
    terminal.start("web1")
    terminal.wait(1)
    terminal.finish("web1")
    terminal.sink.close()


UP = "\x1b[1A" + ERASE


def test_hosts_of_a_long_run_get_lines_with_what_they_wrote_last():
    """
    After two seconds the slowest hosts stand above the line, each with its last line, escaped.
    """
    terminal = Terminal()
    terminal.start("web1", "db02", "web3")
    terminal.sink.handle(samples.output("web1", b"Reading lists\nUnpacking \x1b[2Jlinux"))
    terminal.sink.handle(samples.output("web1", b"-image\n\n"))
    terminal.sink.handle(samples.output("db02", b"10%\r20%\r"))
    terminal.finish("web3")
    terminal.wait(12)
    assert terminal.taken() == (
        f"{ERASE}  web1        12 s  Unpacking \\x1b[2Jlinux-image\r\n"
        "  db02        12 s  20%\r\n"
        "1/3 done, 2 running, 12 s"
    )
    terminal.wait(1)
    assert terminal.taken().startswith(ERASE + UP + UP + "  web1        13 s  ")


def test_drawing_of_several_lines_leaves_nothing_behind():
    """
    All its lines are taken away before results are printed, also when the terminal got narrower.
    """
    terminal = Terminal(width=60)
    printer = Printer(terminal.stream, width=60)
    terminal.sink.share(printer)
    terminal.start("web1")
    terminal.sink.handle(samples.output("web1", b"x" * 100))
    terminal.wait(5)
    terminal.taken()
    printer.write("web9: result\n")
    assert terminal.taken() == f"{ERASE}{UP}web9: result\n"
    terminal.wait(1)
    terminal.size = (30, 24)  # the line of 59 columns takes two rows now
    terminal.taken()
    terminal.sink.erase()
    assert terminal.taken() == ERASE + UP + UP


def test_S02_wide_characters_do_not_wrap_the_drawing():
    """
    S02: a line of a host is cut by the columns it takes, so that it can be taken away again.
    """
    terminal = Terminal(width=40)
    terminal.start("web1")
    terminal.sink.handle(samples.output("web1", ("\u6f22" * 100).encode()))
    terminal.wait(5)
    row = terminal.taken().removeprefix(ERASE).split("\r\n")[0]
    assert 35 <= cell_len(row) <= 39


def test_drawing_takes_a_part_of_the_screen():
    """
    At most eight hosts, and at most a third of a low terminal; on a very low one the line alone.
    """
    for lines, hosts in ((24, 8), (9, 3), (2, 0)):
        terminal = Terminal()
        terminal.size = (80, lines)
        terminal.start(*(f"web{number}" for number in range(1000)))
        terminal.wait(5)
        assert terminal.taken().count("\n") == hosts


def test_S04_output_costs_the_view_a_bounded_amount():
    """
    S04: a host that writes a megabyte without a newline is one short line, and little is kept.
    """
    terminal = Terminal()
    terminal.start("web1")
    for _ in range(16):
        terminal.sink.handle(samples.output("web1", b"x" * 65536))
    terminal.wait(5)
    assert len(terminal.taken()) < 200
