"""
The oneline view: one line per host.
"""

from __future__ import annotations

import io

from rich.cells import cell_len

from fleetctl.model.host import Host
from fleetctl.model.result import HostResult, Outcome
from fleetctl.sinks.oneline import OnelineSink
from fleetctl.sinks.printer import Printer
from tests.unit.sinks import samples


def shown(results: list[HostResult], *, width: int | None = None) -> str:
    stream = io.StringIO()
    sink = OnelineSink(Printer(stream, width=width))
    for event in samples.run_of(results):
        sink.handle(event)
    sink.close()
    return stream.getvalue()


def test_mixed_run_has_one_line_per_host_as_they_finish():
    """
    Status, what decided it, and the first line of output or the reason.
    """
    lines = shown(samples.mixed_run(), width=80).splitlines()
    assert len(lines) == 27
    assert [line for line in lines if " | ok | " not in line] == [
        "web22 | unreachable | hostkey.changed | host key changed: known_hosts:14 has SH…",
        "web21 | failed | signal=KILL | Linux 6.1.0-18-amd64 x86_64",
        "web23 | failed | status=3 | cat: /etc/os-release: No such file",
        "db1   | unreachable | connect.refused | 10.0.4.1 port 22 refused the connection",
        "db2   | unreachable | connect.refused | 10.0.4.2 port 22 refused the connection",
        "db3   | timed out | exec.timeout | output may be incomplete | no end within 30…",
        "db4   | failed | session.lost | may have run | connection lost: the server clos…",
    ]
    assert lines[1] == "web01 | ok | status=0 | Linux 6.1.0-18-amd64 x86_64 (+1 line)"


def test_no_line_is_wider_than_the_terminal():
    """
    On a terminal lines are cut to its width; in a pipe they are whole.
    """
    results = [samples.ok("web1", b"x" * 200 + b"\nmore\nand more\n")]
    assert shown(results, width=60) == (
        "web1 | ok | status=0 | xxxxxxxxxxxxxxxxxxxxxxxxx… (+2 lines)\n"
    )
    assert "x" * 200 in shown(results)


def test_first_line_that_says_something_is_shown():
    """
    Blank lines are skipped; without stdout the line is stderr's; silence leaves the column empty.
    """
    assert shown([samples.ok("web1", b"\r\n\n  hello\r\n")]) == "web1 | ok | status=0 | hello\n"
    assert shown([samples.ok("web1", b"", b"warn\n")]) == "web1 | ok | status=0 | warn\n"
    assert shown([samples.ok("web1")]) == "web1 | ok | status=0 |\n"


def test_F38_truncated_output_is_marked():
    """
    F38: a line cannot show the output, but it says how many bytes there were.
    """
    assert shown([samples.ok("web1", b"a", stdout_bytes=5000)]) == (
        "web1 | ok | status=0 | truncated from 5000 bytes | a\n"
    )


def test_operation_without_a_command_says_whether_it_changed_anything():
    """
    Without an exit status the column says changed or unchanged.
    """
    results = [
        HostResult(Host("web1"), Outcome("ok", changed=True)),
        HostResult(Host("web2"), Outcome("ok")),
    ]
    assert shown(results) == "web1 | ok | changed |\nweb2 | ok | unchanged |\n"


def test_S02_host_writes_in_the_last_column_only():
    """
    S02: a forged line or status stays in the last column of its host's line.
    """
    assert shown([samples.failed("web1", 1, b"", b"x\rweb2 | ok\x85web3 | ok | status=0\n")]) == (
        "web1 | failed | status=1 | x\\rweb2 | ok\\x85web3 | ok | status=0\n"
    )


def test_S02_line_is_measured_by_what_is_shown():
    """
    S02: wide characters do not make a line wrap, where a host could begin one of its own.
    """
    stream = io.StringIO()
    sink = OnelineSink(Printer(stream, width=60))
    for event in samples.run_of([samples.ok("\u6f22\u5b57", "\u6f22".encode() * 90)]):
        sink.handle(event)
    assert cell_len(stream.getvalue().rstrip("\n")) <= 60
