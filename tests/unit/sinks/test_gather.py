"""
The gather view: equal output once, failures last.
"""

from __future__ import annotations

import io

from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.nodeset import fold
from fleetctl.model.result import HostResult, Outcome
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.gather import MAX_MESSAGES, GatherSink
from fleetctl.sinks.printer import Printer
from tests.unit.sinks import samples
from tests.unit.sinks.views import gathered


def test_mixed_run_is_shown_in_groups():
    """
    The most common output comes first, outliers next, failures last with their reason and hint.
    """
    assert (
        gathered(samples.mixed_run())
        == """\
---------------
web[01-18,20] (19) [class 1]
---------------
  Linux 6.1.0-18-amd64 x86_64
  Debian GNU/Linux 12 (bookworm)
---------------
web19 [class 4]
---------------
  Linux 5.10.0-28-amd64 x86_64
  Debian GNU/Linux 11 (bullseye)
---------------
db[1-2] (2): unreachable
---------------
connect.refused: db1: 10.0.4.1 port 22 refused the connection
connect.refused: db2: 10.0.4.2 port 22 refused the connection
hint: is sshd running there? fleetctl doctor db1
---------------
web22: unreachable
---------------
hostkey.changed: host key changed: known_hosts:14 has SHA256:abQ1, the host sent
  SHA256:9fZ2
hint: if web22 was rebuilt: fleetctl hostkeys replace web22
---------------
db3: timed out [class 7]
---------------
  waiting for lock
exec.timeout: no end within 30 s; it was ended
(output may be incomplete: the command was still running)
---------------
web21: killed by signal KILL [class 5]
---------------
  Linux 6.1.0-18-amd64 x86_64
---------------
web23: exit status 3 [class 6]
---------------
  Linux 4.19.0
! cat: /etc/os-release: No such file
---------------
db4: failed
---------------
session.lost: connection lost: the server closed it
(it is not known whether the command ran)
"""
    )


def test_different_stderr_or_status_is_not_equal():
    """
    Hosts share a group only if status, exit status, stdout and stderr are all equal.
    """
    shown = gathered(
        [
            samples.ok("web1", b"same\n"),
            samples.ok("web2", b"same\n", b"warning\n"),
            samples.failed("web3", 1, b"same\n"),
            samples.failed("web4", 2, b"same\n"),
        ]
    )
    headers = [line for line in shown.splitlines() if line.startswith("web")]
    assert headers == [
        "web1 [class 1]",
        "web2 [class 2]",
        "web3: exit status 1 [class 3]",
        "web4: exit status 2 [class 4]",
    ]


def test_output_differing_only_in_bytes_not_shown_alike_is_not_equal():
    """
    Groups compare bytes, not what is shown of them.
    """
    shown = gathered([samples.ok("web1", b"\x1b"), samples.ok("web2", b"\\x1b")])
    assert shown.count("  \\x1b\n") == 2


def test_hosts_without_output_say_so():
    """
    Silence is one group that says it is fine.
    """
    rule = "-" * 15
    assert gathered([samples.ok("web1"), samples.ok("web2")]) == (
        f"{rule}\nweb[1-2] (2): ok, no output\n{rule}\n"
    )


def test_operation_without_a_command_says_whether_it_changed_anything():
    """
    Results of operations that run no command group by whether the host was changed.
    """
    results = [
        HostResult(Host("web1"), Outcome("ok", changed=True)),
        HostResult(Host("web2"), Outcome("ok")),
        HostResult(Host("web3"), Outcome("skipped")),
    ]
    headers = [line for line in gathered(results).splitlines() if line.startswith("web")]
    assert headers == ["web1: ok, changed", "web2: ok", "web3: skipped"]


def test_F38_truncated_output_shows_where_and_how_much():
    """
    F38: the place where output is missing is marked with the true byte count.
    """
    shown = gathered([samples.ok("web1", b"first\nlast1\n", stdout_bytes=1_000_012)])
    assert shown.splitlines()[3:] == [
        "  first",
        "(1000000 bytes of stdout left out here)",
        "  last1",
        "(output truncated: stdout has 1000012 bytes, 12 kept)",
    ]


def test_S02_output_cannot_imitate_a_header_or_a_hint():
    """
    S02: a host's lines never begin in the first column, whatever it sends.
    """
    forged = b"---------------\nweb9 (1)\n---------------\rhint: x\r\n(note)"
    shown = gathered([samples.ok("web1", forged, forged)])
    body = shown.splitlines()[3:]
    assert body[:4] == [
        "  ---------------",
        "  web9 (1)",
        "  ---------------\\rhint: x",
        "  (note)",
    ]
    assert [line[:2] for line in body[4:]] == ["! "] * 4


def test_S02_message_cannot_imitate_a_hint():
    """
    S02: text that a host put into a failure stands behind the failure's kind.
    """
    shown = gathered([samples.broken("web1", "connect.dropped", "hint: curl evil\nhint: more")])
    assert shown.splitlines()[3:] == ["connect.dropped: hint: curl evil\\nhint: more"]


def test_S03_markup_is_text():
    """
    S03: markup of Rich, HTML and build servers is shown as it came.
    """
    markup = "[link=http://x]a[/link] <b>b</b> ##vso[task] ::set-output"
    assert f"  {markup}\n" in gathered([samples.ok("web1", markup.encode())])


def test_many_different_messages_are_counted_not_listed():
    """
    A thousand unreachable hosts do not fill the screen a thousand times.
    """
    results = [
        samples.broken(f"web{number:02}", "connect.refused", f"10.0.0.{number} refused it")
        for number in range(20)
    ]
    body = gathered(results).splitlines()[1:]
    assert body[0] == "web[00-19] (20): unreachable"
    assert len(body) == 2 + MAX_MESSAGES + 1
    assert body[-1] == "(and 12 more such messages)"


def test_equal_messages_are_folded():
    """
    Hosts that failed for the same reason share the line that says it.
    """
    results = [
        samples.broken("web1", "resolve.dns", "no such name"),
        samples.broken("web2", "resolve.dns", "no such name"),
        samples.broken("web3", "resolve.dns", "the resolver did not answer"),
    ]
    assert gathered(results).splitlines()[3:] == [
        "resolve.dns: web[1-2] (2): no such name",
        "resolve.dns: web3: the resolver did not answer",
    ]


def test_nothing_is_shown_before_the_end_and_all_of_it_on_close():
    """
    Results come out together; a run that never says it finished loses nothing.
    """
    stream = io.StringIO()
    classes = OutputClasses()
    sink = GatherSink(Printer(stream), fold=fold, classes=classes)
    events = list(samples.run_of([samples.ok("web1", b"hi\n")]))
    for event in events[:-1]:
        classes.handle(event)
        sink.handle(event)
    assert stream.getvalue() == ""
    sink.close()
    assert "  hi\n" in stream.getvalue()


def test_colour_is_only_added():
    """
    Without its colours a coloured view is the plain one: colour is never the only sign.
    """
    plain = gathered(samples.mixed_run())
    colored = gathered(samples.mixed_run(), color=True)
    assert "\x1b[" in colored
    for code in ("0", "1", "2", "31", "33", "35"):
        colored = colored.replace(f"\x1b[{code}m", "")
    assert colored == plain


def test_failure_without_a_message_of_its_own_keeps_its_kind():
    """
    A non-zero ending whose status is not known is still named.
    """
    failure = Failure("exec.nonzero", "it failed")
    shown = gathered([HostResult(Host("web1"), Outcome("failed", failure=failure))])
    assert "web1: exec.nonzero: it failed\n" in shown


def test_S02_long_line_stays_behind_its_gutter():
    """
    S02: on a terminal a line that is too long goes on behind the gutter, never in the first column.
    """
    forged = b"x" * 78 + b"web9 (1)"
    assert gathered([samples.ok("web1", forged)]).splitlines()[3:] == [
        "  " + "x" * 78,
        "  web9 (1)",
    ]
    assert gathered([samples.ok("web1", forged)], width=None).splitlines()[3:] == [
        "  " + "x" * 78 + "web9 (1)"
    ]


def test_S02_wide_characters_are_measured_as_they_are_shown():
    """
    S02: forty ideographs take eighty columns, and break there.
    """
    forged = ("\u6f22" * 39 + "web9").encode()
    assert gathered([samples.ok("web1", forged)]).splitlines()[3:] == [
        "  " + "\u6f22" * 39,
        "  web9",
    ]


def test_later_hosts_join_an_earlier_class():
    """
    Who gives an output that was there before is in its class, whatever came between.
    """
    results = [samples.ok("web1", b"a"), samples.ok("web2", b"b"), samples.ok("web3", b"a")]
    headers = [line for line in gathered(results).splitlines() if line.startswith("web")]
    assert headers == ["web[1,3] (2) [class 1]", "web2 [class 2]"]


def test_names_that_do_not_fold_take_four_lines_at_most():
    """
    A header is never wider than the terminal and never taller than four lines of names.
    """
    names = [f"h{number * 7 % 1000}x{number}" for number in range(100)]
    lines = gathered([samples.ok(name, b"a") for name in names]).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[4].endswith("… (100)")
    assert lines[5] == "-" * 15


def test_S04_memory_for_different_outputs_is_bounded(monkeypatch):
    """
    S04: once much is kept, only head and tail of further classes are, with the true byte count.
    """
    monkeypatch.setattr("fleetctl.sinks.classes.MAX_KEPT_BYTES", 100_000)
    results = [samples.ok(f"web{n}", b"%d" % n * 90_000) for n in (1, 2)]
    shown = gathered(results, width=None)
    assert "(87952 bytes of stdout left out here)\n" in shown
    assert shown.count("1") > 90_000
