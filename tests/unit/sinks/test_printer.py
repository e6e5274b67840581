"""
Text streams and colour.
"""

from __future__ import annotations

import io

import pytest

from fleetctl.sinks.color import is_color_wanted, paint
from fleetctl.sinks.printer import Printer


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Closed(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "utf-8"])
def test_no_locale_makes_writing_fail(encoding):
    """
    A terminal in the C locale shows escapes for what it lacks and goes on.
    """
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="")
    printer = Printer(stream)
    printer.write("world 世界 … ok\n")
    printer.flush()
    shown = raw.getvalue().decode(encoding)
    expected = "world 世界 … ok\n" if encoding == "utf-8" else "world \\u4e16\\u754c ... ok\n"
    assert shown == expected


def test_closed_stdout_is_told_and_closed_stderr_is_not():
    """
    Whoever writes results must know that nobody reads them; nobody misses a lost remark.
    """
    with pytest.raises(BrokenPipeError):
        Printer(Closed()).write("result\n")
    with pytest.raises(BrokenPipeError):
        Printer(Closed()).flush()
    remarks = Printer(Closed(), ignore_closed=True)
    remarks.write("remark\n")
    remarks.flush()


def test_others_are_warned_before_a_write_and_only_then():
    """
    The progress line gets out of the way when something is written, and stays when nothing is.
    """
    printer = Printer(io.StringIO())
    calls: list[None] = []
    printer.before_write = lambda: calls.append(None)
    printer.write("")
    assert calls == []
    printer.write("text\n")
    assert calls == [None]


@pytest.mark.parametrize(
    ("choice", "stream", "environ", "wanted"),
    [
        ("auto", Terminal(), {"TERM": "xterm"}, True),
        ("auto", io.StringIO(), {"TERM": "xterm"}, False),
        ("auto", Terminal(), {"TERM": "dumb"}, False),
        ("auto", Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("always", io.StringIO(), {"NO_COLOR": "1", "TERM": "dumb"}, True),
        ("never", Terminal(), {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_chosen_by_option_environment_and_terminal(choice, stream, environ, wanted):
    """
    ``--color`` decides alone; ``auto`` asks NO_COLOR, TERM and the stream.
    """
    assert is_color_wanted(choice, stream, environ) is wanted


def test_paint_resets_what_it_sets():
    """
    A style never runs over into what follows; nothing is written for nothing.
    """
    assert paint("failed", "bad") == "\x1b[31mbad\x1b[0m"
    assert paint("failed", "") == ""
    assert Printer(io.StringIO()).paint("failed", "bad") == "bad"
    assert Printer(io.StringIO(), color=True).paint("ok", "fine") == "\x1b[32mfine\x1b[0m"
