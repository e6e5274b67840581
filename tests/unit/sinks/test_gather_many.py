"""
The gather view of many hosts, and of what is different between them.
"""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from fleetctl.model.nodeset import fold
from fleetctl.model.ports import Sink
from fleetctl.model.result import HostResult
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.escape import UNSAFE
from fleetctl.sinks.gather import GatherSink
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.summary import SummarySink
from tests.unit.sinks import samples
from tests.unit.sinks.views import gathered


def thousand(differing: list[HostResult], common: bytes) -> list[HostResult]:
    results = [samples.ok(f"web{n:04}", common) for n in range(1, 1001)]
    for number, result in enumerate(differing):
        results[100 * number + 7] = result
    return results


RELEASE = b"".join(b"KEY%d=value of a system\n" % n for n in range(5))


@pytest.mark.parametrize("compare", [False, True])
@pytest.mark.parametrize(
    "kind", ["equal", "different", "unrelated", "failed", "unreachable", "long"]
)
def test_thousand_hosts_of_which_five_differ_fit_on_a_screen(kind, compare):
    """
    Results and summary together are at most 40 lines, none over 80 columns.
    """
    names = [f"web{100 * n + 8:04}" for n in range(5)]
    differing = {
        "equal": [samples.ok(name, b"other\n") for name in names],
        "different": [samples.ok(name, RELEASE + name.encode()) for name in names],
        "unrelated": [samples.ok(name, (name.encode() + b"\n") * 9) for name in names],
        "failed": [samples.failed(name, 3, b"", RELEASE + name.encode()) for name in names],
        "unreachable": [
            samples.broken(name, "resolve.dns", f"{name}: not known", hint="set its " + "x" * 60)
            for name in names
        ],
        "long": [samples.ok(name, name.encode() * 99_999) for name in names],
    }[kind]
    stream = io.StringIO()
    printer = Printer(stream, width=80)
    classes = OutputClasses()
    sinks: list[Sink] = [
        classes,
        GatherSink(printer, fold=fold, classes=classes, compare=compare),
        SummarySink(
            printer, fold=fold, argv=["f", "web*", "--", "x" * 60], pattern="web*", classes=classes
        ),
    ]
    for event in samples.run_of(thousand(differing, RELEASE)):
        for sink in sinks:
            sink.handle(event)
    lines = stream.getvalue().splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert any(line.endswith(" (995) [class 1]") for line in lines)
    assert all(any(name in line for line in lines) for name in ("0008", "0408"))


def test_compare_shows_the_difference_to_the_biggest_class():
    """
    The most common output stands whole, the others as a unified diff against it.
    """
    results = [samples.ok(f"web{n}", b"one\ntwo\nthree\n") for n in (1, 2, 3)]
    results += [samples.ok("web4", b"one\n2\nthree\nfour", b"oops\n")]
    assert gathered(results, compare=True).splitlines()[7:] == [
        "web4 [class 2]",
        "-" * 15,
        "  @@ -1,3 +1,4 @@",
        "   one",
        "  -two",
        "  +2",
        "   three",
        "  +four",
        "  \\ No newline at end of file",
        "! @@ -0,0 +1 @@",
        "! +oops",
    ]


def test_compare_says_when_only_the_ending_differs():
    """
    A host that failed with the output of the others is not shown as a wall of equal lines.
    """
    results = [
        samples.ok("web1", b"a\n"),
        samples.ok("web2", b"a\n"),
        samples.failed("web3", 1, b"a\n"),
    ]
    assert gathered(results, compare=True).splitlines()[-3:] == [
        "web3: exit status 1 [class 2]",
        "-" * 15,
        "(output as of class 1)",
    ]


def test_many_long_outputs_are_cut_on_a_terminal_only():
    """
    A hundred different outputs of a hundred lines do not flood the screen; in a file they are
    whole.
    """
    results = [
        samples.ok(f"web{n}", b"".join(b"%d %d\n" % (n, line) for line in range(100)))
        for n in range(100)
    ]
    shown = gathered(results).splitlines()
    assert len(shown) < 500
    assert any(line.startswith("(and 60 more classes: web[40-99] (60)") for line in shown)
    assert shown[-1] == "hint: --compare shows what differs, --output-dir DIR keeps all"
    assert gathered(results, width=None).count("\n") == 100 * 103


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=4), st.booleans())
def test_S02_no_output_leaves_its_margin(outputs, compare):
    """
    S02: whatever hosts print, on a terminal each of their lines begins with the gutter and fits.
    """
    results = [samples.ok(f"web{n}", text, text[::-1]) for n, text in enumerate(outputs)]
    ours = re.compile(r"-{15}$|web[0-9\[]|\(|hint: ")
    for line in gathered(results, compare=compare).removesuffix("\n").split("\n"):
        assert line.startswith(("  ", "! ")) or ours.match(line), line
        assert cell_len(line) <= 80
        assert UNSAFE.search(line) is None
