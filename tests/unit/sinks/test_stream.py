"""
The stream view: every line behind its host's name.
"""

from __future__ import annotations

import io

import pytest

from fleetctl.model.events import HostFinished
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.result import HostResult, Outcome
from fleetctl.sinks.escape import prefix_lines
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.stream import MAX_PENDING_BYTES, StreamSink
from tests.unit.sinks import samples


class Screen:
    """A stream sink and what it wrote to both streams."""

    def __init__(self) -> None:
        self._out = io.StringIO()
        self._err = io.StringIO()
        self.sink = StreamSink(Printer(self._out), Printer(self._err))

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def err(self) -> str:
        return self._err.getvalue()

    def finish(self, result: HostResult) -> None:
        self.sink.handle(HostFinished(result, samples.at(1)))


def test_lines_are_shown_live_and_whole():
    """
    A line appears when it is complete, under its host's name, however the bytes were cut.
    """
    screen = Screen()
    screen.sink.handle(samples.output("web1", b"on"))
    screen.sink.handle(samples.output("web2", b"two\n"))
    assert screen.out == "web2: two\n"
    screen.sink.handle(samples.output("web1", b"e\nGr\xc3"))
    screen.sink.handle(samples.output("web1", b"\xbc\xc3\x9fe\r"))
    screen.sink.handle(samples.output("web1", b"\nlast"))
    assert screen.out == "web2: two\nweb1: one\nweb1: Grüße\n"
    screen.finish(samples.ok("web1", b"one\nGr\xc3\xbc\xc3\x9fe\r\nlast"))
    assert screen.out == "web2: two\nweb1: one\nweb1: Grüße\nweb1: last\n"
    assert screen.err == ""


def test_streams_are_kept_apart():
    """
    Remote stdout goes to our stdout and remote stderr to our stderr.
    """
    screen = Screen()
    screen.sink.handle(samples.output("web1", b"result\n"))
    screen.sink.handle(samples.output("web1", b"complaint\n", "stderr"))
    assert (screen.out, screen.err) == ("web1: result\n", "web1: complaint\n")


def test_output_that_was_not_live_is_shown_at_the_end():
    """
    Without live events the result's output is shown when the host has finished.
    """
    screen = Screen()
    screen.finish(samples.ok("web1", b"a\nb\n", b"c\n"))
    assert (screen.out, screen.err) == ("web1: a\nweb1: b\n", "web1: c\n")


def test_failures_are_said_on_stderr():
    """
    What fleetctl says about a host stands behind its own name, with a hint that is given once.
    """
    screen = Screen()
    screen.finish(samples.failed("web1", 3, b"out\n"))
    screen.finish(samples.killed("web2", "SEGV"))
    hint = "fleetctl doctor db1"
    screen.finish(samples.broken("db1", "connect.refused", "refused by 10.0.4.1", hint=hint))
    screen.finish(samples.broken("db2", "connect.refused", "refused by 10.0.4.2", hint=hint))
    screen.finish(samples.broken("db3", "exec.timeout", "not done after 30 s", ran="yes"))
    screen.finish(samples.broken("db4", "session.lost", "connection reset", ran="unknown"))
    screen.finish(samples.broken("db5", "auth.denied", "no key was accepted", hop="bastion"))
    assert screen.out == "web1: out\n"
    assert screen.err == (
        "fleetctl: web1: exit status 3\n"
        "fleetctl: web2: killed by signal SEGV\n"
        "fleetctl: db1: connect.refused: refused by 10.0.4.1\n"
        "fleetctl: db1: hint: fleetctl doctor db1\n"
        "fleetctl: db2: connect.refused: refused by 10.0.4.2\n"
        "fleetctl: db3: timed out: not done after 30 s\n"
        "fleetctl: db4: session.lost: connection reset\n"
        "fleetctl: db4: it is not known whether the command ran\n"
        "fleetctl: db5: auth.denied: at gateway bastion: no key was accepted\n"
    )


def test_F38_truncated_output_says_how_much_there_was():
    """
    F38: a reader is told the true byte counts, and that a child in the background may still write.
    """
    screen = Screen()
    screen.finish(
        samples.ok("web1", b"head\ntail\n", stdout_bytes=52_428_800, output_complete=False)
    )
    assert screen.out == "web1: head\nweb1: tail\n"
    assert screen.err == (
        "fleetctl: web1: output truncated: stdout has 52428800 bytes, 10 kept\n"
        "fleetctl: web1: output may be incomplete: "
        "a process in the background still holds it open\n"
    )


def test_live_output_is_never_called_truncated():
    """
    Whoever saw every byte come is not told that fewer were kept.
    """
    screen = Screen()
    screen.sink.handle(samples.output("web1", b"everything\n"))
    screen.finish(samples.ok("web1", b"every", stdout_bytes=11))
    assert screen.err == ""


def test_S04_line_without_end_is_shown_in_pieces():
    """
    S04: memory per host is bounded; a character is not torn, and each piece has the prefix.
    """
    screen = Screen()
    endless = b"x" * MAX_PENDING_BYTES + "ü".encode()
    screen.sink.handle(samples.output("web1", endless[:-1]))
    assert screen.out == f"web1: {'x' * MAX_PENDING_BYTES}\n"
    screen.sink.handle(samples.output("web1", endless[-1:] + b"\n"))
    assert screen.out.endswith("x\nweb1: ü\n")


@pytest.mark.parametrize(
    ("ending", "held_back"),
    [
        (b"x", b""),
        (b"\r", b"\r"),  # may be half of a CRLF
        ("€".encode()[:2], "€".encode()[:2]),
        ("🚀".encode()[:3], "🚀".encode()[:3]),
        ("🚀".encode(), b""),
        (b"\xff\xbf\xbf\xbf", b""),
    ],
)
def test_S04_piece_of_a_line_ends_between_characters(ending, held_back):
    """
    S04: what may be half of a character or of a line end waits for its other half.
    """
    screen = Screen()
    filler = b"x" * MAX_PENDING_BYTES
    screen.sink.handle(samples.output("web1", filler + ending))
    shown = ending.removesuffix(held_back)
    assert screen.out == prefix_lines("web1: ", filler + shown)
    screen.sink.close()
    assert screen.out == prefix_lines("web1: ", filler + shown) + prefix_lines("web1: ", held_back)


def test_S02_host_cannot_speak_for_another():
    """
    S02: forged lines and escapes stay behind the name of the host that sent them.
    """
    screen = Screen()
    forged = b"\rweb2: fine\x1b[1A\nfleetctl: web2: exit status 0\n"
    screen.finish(samples.ok("web1", forged, forged))
    expected = "web1: \\rweb2: fine\\x1b[1A\nweb1: fleetctl: web2: exit status 0\n"
    assert (screen.out, screen.err) == (expected, expected)


def test_S02_message_of_a_host_stays_in_its_line():
    """
    S02: text that a host put into a failure cannot begin a line.
    """
    screen = Screen()
    screen.finish(samples.broken("web1", "connect.dropped", "bye\nweb2: ok\x1b[2J"))
    assert screen.err == "fleetctl: web1: connect.dropped: bye\\nweb2: ok\\x1b[2J\n"


def test_hosts_never_started_are_left_to_the_summary():
    """
    After an interruption hundreds of hosts were not started; the summary names them in one line.
    """
    screen = Screen()
    failure = Failure("run.cancelled", "the run was interrupted")
    screen.finish(HostResult(Host("web1"), Outcome("cancelled", failure=failure)))
    assert (screen.out, screen.err) == ("", "")
    screen.finish(samples.broken("web2", "run.cancelled", "ended on request", ran="yes"))
    assert screen.err == "fleetctl: web2: run.cancelled: ended on request\n"


def test_close_shows_unfinished_lines():
    """
    What a host had written when everything ended is not lost.
    """
    screen = Screen()
    screen.sink.handle(samples.output("web1", b"partial"))
    screen.sink.close()
    assert screen.out == "web1: partial\n"
