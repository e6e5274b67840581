"""
Results in words.
"""

from __future__ import annotations

import pytest

from fleetctl.model.collector import Collector
from fleetctl.sinks.wording import (
    first_line,
    render_count,
    render_duration,
    render_ending,
    render_notes,
    shorten,
    split_kept,
)
from tests.unit.sinks import samples


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.041, "0.04 s"),
        (0.996, "1.0 s"),
        (4.25, "4.2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7625, "2 h 07 min"),
    ],
)
def test_durations_are_short_and_have_a_unit(seconds, shown):
    """
    A duration has as much detail as its length asks for.
    """
    assert render_duration(seconds) == shown


@pytest.mark.parametrize(
    ("result", "ending"),
    [
        (samples.ok("h"), "ok"),
        (samples.failed("h", 3), "exit status 3"),
        (samples.killed("h", "SEGV"), "killed by signal SEGV"),
        (samples.killed("h", "A\x1bB\n"), "killed by signal A\\x1bB\\n"),
        (
            samples.broken("h", "exec.timeout", "no end within 5 s", ran="yes"),
            "timed out: no end within 5 s",
        ),
        (samples.broken("h", "exec.timeout", "timed out after 5 s"), "timed out after 5 s"),
        (samples.broken("h", "resolve.dns", "no such name"), "resolve.dns: no such name"),
        (
            samples.broken("h", "connect.refused", "refused", hop="gw"),
            "connect.refused: at gateway gw: refused",
        ),
    ],
)
def test_endings_say_how_it_ended(result, ending):
    """
    Every way to end has its words.
    """
    assert render_ending(result) == ending


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("exec.nonzero", "a process in the background still holds it open"),
        ("exec.timeout", "the command was still running"),
        ("session.lost", "the connection was lost"),
        ("run.cancelled", "the session ended early"),
    ],
)
def test_incomplete_output_says_why(kind, reason):
    """
    Output that may lack its end is marked, with the reason.
    """
    run = samples.exec_result(None, b"x", output_complete=False)
    notes = render_notes(samples.broken("h", kind, "message", ran="yes", run=run))
    assert notes == [f"output may be incomplete: {reason}"]


@pytest.mark.parametrize("limit", [1, 2, 7, 8, 101])
def test_F38_head_and_tail_are_split_where_they_were_joined(limit):
    """
    F38: the mark for what was left out stands between the head and the tail that were kept.
    """
    collector = Collector(limit)
    for _ in range(limit):
        collector.add(b"HHTT")
    sent = b"HHTT" * limit
    head, tail = split_kept(collector.value(), collector.total)
    assert sent.startswith(head)
    assert sent.endswith(tail)
    assert len(head) + len(tail) == limit
    assert len(head) - len(tail) in (0, 1)


def test_whole_output_is_all_head():
    """
    Where nothing was dropped there is nothing to mark.
    """
    assert split_kept(b"abc", 3) == (b"abc", b"")


def test_first_line_prefers_the_stream_that_says_more():
    """
    A host that is well is judged by its stdout, one that failed by its stderr.
    """
    assert first_line(samples.ok("h", b"out\n", b"err\n")) == ("out", 0)
    assert first_line(samples.failed("h", 1, b"out\n", b"err\nmore\nlast")) == ("err", 2)
    assert first_line(samples.failed("h", 1, b"out\n")) == ("out", 0)


def test_short_texts_are_left_alone():
    """
    Only what is too long is cut, and then it shows.
    """
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    assert shorten("abcd efg", 6) == "abcd…"
    assert (render_count(1, "host"), render_count(2, "host")) == ("1 host", "2 hosts")
