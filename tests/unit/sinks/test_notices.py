"""
Notices on stderr.
"""

from __future__ import annotations

import io

from fleetctl.model.events import Notice
from fleetctl.model.host import Host
from fleetctl.sinks.notices import NoticeSink
from fleetctl.sinks.printer import Printer
from tests.unit.sinks import samples


def test_notice_names_its_host_and_gives_a_hint_once():
    """
    Each notice is a line; what to do about it is said the first time only.
    """
    stream = io.StringIO()
    sink = NoticeSink(Printer(stream))
    sink.handle(Notice("retry", "again in 2.0 s", samples.at(0), host=Host("web1"), hint="wait"))
    sink.handle(Notice("retry", "again in 1.5 s", samples.at(0), host=Host("web2"), hint="wait"))
    sink.handle(Notice("settings.ignored", "Tag has no effect", samples.at(0)))
    sink.close()
    assert stream.getvalue() == (
        "fleetctl: web1: again in 2.0 s\n"
        "hint: wait\n"
        "fleetctl: web2: again in 1.5 s\n"
        "fleetctl: Tag has no effect\n"
    )


def test_S02_notice_is_one_line():
    """
    S02: what a host put into a notice cannot begin a line.
    """
    stream = io.StringIO()
    message = "dropped: bye\nfleetctl: all is well\x1b[A"
    NoticeSink(Printer(stream)).handle(Notice("retry", message, samples.at(0)))
    assert stream.getvalue() == "fleetctl: dropped: bye\\nfleetctl: all is well\\x1b[A\n"


def test_results_are_not_notices():
    """
    Other events are not shown here.
    """
    stream = io.StringIO()
    sink = NoticeSink(Printer(stream))
    for event in samples.run_of([samples.failed("web1", 1)]):
        sink.handle(event)
    assert stream.getvalue() == ""
