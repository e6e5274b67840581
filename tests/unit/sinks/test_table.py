"""
The table: one row per host.
"""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from fleetctl.model.result import HostResult
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.table import TableSink
from tests.unit.sinks import samples


def table_of(results: list[HostResult], *, width: int | None = None, color: bool = False) -> str:
    stream = io.StringIO()
    classes = OutputClasses(keep_output=False)
    sink = TableSink(Printer(stream, width=width, color=color), classes=classes)
    for event in samples.run_of(results):
        classes.handle(event)
        sink.handle(event)
    sink.close()
    return stream.getvalue()


def test_mixed_run_is_a_table():
    """
    Hosts in the order of the run, with how they ended, their class and their first line.
    """
    results = [
        samples.ok("web1", b"6.1\nmore\nlines\n"),
        samples.ok("web2", b"6.1\nmore\nlines\n"),
        samples.failed("web03", 3, b"", b"no such file\n"),
        samples.killed("db1"),
        samples.broken("db2", "connect.refused", "10.0.4.2 refused it"),
        samples.broken("db3", "session.lost", "connection lost", ran="unknown"),
    ]
    assert (
        table_of(results)
        == """\
HOST   STATUS       RESULT           TIME    CLASS  OUTPUT
web1   ok           0                0.31 s  1      6.1 (+2 lines)
web2   ok           0                0.31 s  1      6.1 (+2 lines)
web03  failed       3                0.31 s  2      no such file
db1    failed       SIGKILL          0.31 s  3
db2    unreachable  connect.refused  0.31 s  4      10.0.4.2 refused it
db3    failed       session.lost     0.31 s  5      (may have run) connection lost
"""
    )


def test_hosts_that_agree_need_no_column_of_classes():
    """
    One class is no news.
    """
    assert table_of([samples.ok("web1", b"a"), samples.ok("web2", b"a")]).splitlines()[0] == (
        "HOST  STATUS  RESULT  TIME    OUTPUT"
    )


@pytest.mark.parametrize("width", [20, 40, 80])
def test_S02_no_row_is_wider_than_the_terminal(width):
    """
    S02: long names, long lines and wide characters are cut by the columns they take.
    """
    wide = "\u6f22\u5b57" * 40
    results = [
        samples.ok("h" * 60, b"x" * 500),
        samples.ok("web1", wide.encode()),
        samples.ok(wide, b"\x1b[2J\rweb9  ok"),
    ]
    lines = table_of(results, width=width).splitlines()
    assert len(lines) == 4
    assert max(map(cell_len, lines)) < width


def test_columns_are_aligned_by_what_is_shown():
    """
    A name of wide characters takes two columns for each.
    """
    lines = table_of([samples.ok("\u6f22\u5b57", b"a"), samples.ok("web1", b"a")]).splitlines()
    assert {cell_len(line[: line.index("ok")]) for line in lines[1:]} == {6}


def test_colour_is_only_added():
    """
    Without its colours a coloured table is the plain one.
    """
    plain = table_of(samples.mixed_run(), width=80)
    colored = table_of(samples.mixed_run(), width=80, color=True)
    assert colored != plain
    for code in ("0", "1", "31", "32", "35"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == plain


def test_order_is_that_of_the_run():
    """
    Who finishes first is not first in the table; a run that never said it finished is shown.
    """
    stream = io.StringIO()
    classes = OutputClasses()
    sink = TableSink(Printer(stream), classes=classes)
    started, *rest = samples.run_of([samples.ok("web1"), samples.ok("web2")])
    sink.handle(started)
    for event in reversed(rest[:-1]):
        sink.handle(event)
    assert stream.getvalue() == ""
    sink.close()
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == ["HOST", "web1", "web2"]
