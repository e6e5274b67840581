"""
Commands of build servers in what hosts print.
"""

from __future__ import annotations

import io

import pytest

from fleetctl.model.nodeset import fold
from fleetctl.model.ports import Sink
from fleetctl.sinks.ci_commands import break_ci_commands
from fleetctl.sinks.classes import OutputClasses
from fleetctl.sinks.gather import GatherSink
from fleetctl.sinks.oneline import OnelineSink
from fleetctl.sinks.printer import Printer
from fleetctl.sinks.stream import StreamSink
from fleetctl.sinks.summary import SummarySink
from fleetctl.sinks.table import TableSink
from tests.unit.sinks import samples

#: What each build server obeys, and how it looks for it.
COMMANDS = [
    "::set-output name=x::y",
    "   ::add-mask::secret",
    "\t::error file=a::b",
    "text ##[add-path]/tmp",
    "text ##vso[task.setvariable variable=x]y",
    "##teamcity[setParameter name='x' value='y']",
    "section_start:1560896352:name\r\x1b[0Kheader",
]


def is_obeyed(line: str) -> bool:
    """Tell whether GitHub, Azure Pipelines, TeamCity or GitLab would take the line for its own."""
    return (
        line.lstrip().startswith("::")
        or any(mark in line.lower() for mark in ("##[", "##vso[", "##teamcity["))
        or "\r" in line
        or "\x1b" in line
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_S03_no_command_of_a_build_server_reaches_a_log(command):
    """
    S03: in every view for people that is no terminal, stdout, stderr and messages are broken.
    """
    assert is_obeyed(command)
    stream = io.StringIO()
    out = Printer(stream)
    classes = OutputClasses()
    sinks: list[Sink] = [
        classes,
        GatherSink(out, fold=fold, classes=classes, compare=True),
        StreamSink(out, out),
        OnelineSink(out),
        TableSink(out, classes=classes),
        SummarySink(out, fold=fold, classes=classes),
    ]
    text = command.encode()
    results = [
        samples.ok("web1", text, text),
        samples.ok("web2", b"\n" + text),
        samples.failed("web3", 1, text),
        samples.broken("web4", "connect.dropped", command, hint=command),
        samples.ok(command, b"x"),
    ]
    for event in samples.run_of(results):
        for sink in sinks:
            sink.handle(event)
    shown = stream.getvalue()
    assert len(shown.splitlines()) > 30
    assert [line for line in shown.split("\n") if is_obeyed(line)] == []


def test_other_text_is_left_alone():
    """
    Only commands are changed, and breaking them twice changes nothing more.
    """
    for text in ("a::b", "std::string", "host: ::x", "## title", "C++ ##", "::1", ":: x"):
        assert break_ci_commands(text) == text
    broken = break_ci_commands("::a\n##vso[b")
    assert broken == "\\x3a:a\n\\x23#vso[b"
    assert break_ci_commands(broken) == broken


def test_S03_on_a_terminal_text_stays_as_it_is():
    """
    S03: nobody obeys what a terminal shows, so there it is not changed.
    """
    stream = io.StringIO()
    Printer(stream, width=80).write("  ::set-output\n")
    assert stream.getvalue() == "  ::set-output\n"
