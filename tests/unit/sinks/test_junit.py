"""
JUnit reports.
"""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import pytest

from fleetctl.model.result import HostResult
from fleetctl.sinks.junit import MAX_OUTPUT_BYTES, JunitSink
from tests.unit.sinks import samples

#: Element -> (attributes it must have, those it may have, elements it may hold, may hold text).
#: Source: the XSD of Jenkins' xUnit plugin (junit-10.xsd).
SCHEMA = {
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}, False),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"time", "skipped", "timestamp", "hostname", "id", "package", "group"},
        {"properties", "testcase", "system-out", "system-err"},
        False,
    ),
    "properties": (set(), set(), {"property"}, False),
    "property": ({"name", "value"}, set(), set(), False),
    "testcase": (
        {"name"},
        {"time", "classname", "group"},
        {"skipped", "error", "failure", "system-out", "system-err"},
        False,
    ),
    "failure": (set(), {"type", "message"}, set(), True),
    "error": (set(), {"type", "message"}, set(), True),
    "skipped": (set(), {"type", "message"}, set(), True),
    "system-out": (set(), set(), set(), True),
    "system-err": (set(), set(), set(), True),
}


def written(results: list[HostResult]) -> bytes:
    out = io.BytesIO()
    sink = JunitSink(out)
    for event in samples.run_of(results):
        sink.handle(event)
    sink.close()
    return out.getvalue()


def report(results: list[HostResult]) -> ET.Element:
    """Return the report, which was found to be as the schema says."""
    root = ET.fromstring(written(results))
    assert root.tag == "testsuites"
    for element in root.iter():
        required, optional, children, has_text = SCHEMA[element.tag]
        assert required <= set(element.keys()) <= required | optional, element.tag
        assert {child.tag for child in element} <= children
        assert has_text or not (element.text or "").strip()
        assert not (element.tail or "").strip()
    return root


def test_mixed_run_is_a_report():
    """
    One case per host; a failed command is a failure, an unreachable host an error; counts agree.
    """
    results = [*samples.mixed_run(), samples.broken("z", "run.cancelled", "not started")]
    suite = report(results).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == [result.host.name for result in results]
    assert {case.get("classname") for case in cases} == {"uptime"}
    for tag, count in (("failure", 4), ("error", 3), ("skipped", 1)):
        assert len(suite.findall(f"testcase/{tag}")) == count
    counts = [suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")]
    assert counts == ["28", "4", "3", "1", "4.200"]
    failure = suite.find("testcase[@name='web23']/failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("exec.nonzero", "exit status 3")
    assert suite.findtext("testcase[@name='web23']/system-err") == (
        "cat: /etc/os-release: No such file\n"
    )
    error = suite.find("testcase[@name='db1']/error")
    assert error is not None
    assert error.text == "hint: is sshd running there? fleetctl doctor db1"


def test_S03_whatever_hosts_print_is_text():
    """
    S03: every byte, markup, the end of CDATA and what XML cannot hold come out as text or escapes.
    """
    text = bytes(range(256)) + "]]> <a b='c'> &amp; \ufffe\uffff\u202e\ud7ff".encode()
    root = report([samples.ok("<&\">'\t\n\x00", text, text)])
    case = root.find(".//testcase")
    assert case is not None
    assert case.get("name") == "<&\">'\t\\n\\x00"
    shown = case.findtext("system-out")
    assert shown is not None
    assert "]]> <a b='c'> &amp; \\ufffe\\uffff\\u202e\ud7ff" in shown
    assert all(character.isprintable() or character in "\t\n\ud7ff" for character in shown)


def test_S03_no_command_of_a_build_server_is_in_the_file():
    """
    S03: the file may go through a log; readers of the XML get the text as it was.
    """
    text = "##vso[task.complete]\n::set-output name=x::y\n##teamcity[x]"
    content = written([samples.ok(text, text.encode())]).decode()
    assert "##" not in content
    assert not any(line.lstrip().startswith("::") for line in content.splitlines())
    assert report([samples.ok("web1", text.encode())]).findtext(".//system-out") == text


def test_S04_long_output_is_head_and_tail():
    """
    S04: a case holds a bounded part of the output and says how much is missing.
    """
    shown = report([samples.ok("web1", b"a" * 90_000 + b"b" * 90_000)]).findtext(".//system-out")
    assert shown is not None
    missing = 180_000 - MAX_OUTPUT_BYTES
    assert shown.startswith("aaa")
    assert shown.endswith("bbb")
    assert f"\n({missing} bytes left out here)\n" in shown


def test_run_that_never_finished_is_a_whole_report():
    """
    What was collected is written on close; without a run nothing is.
    """
    out = io.BytesIO()
    sink = JunitSink(out)
    for event in list(samples.run_of([samples.ok("web1", b"hi\n")]))[:-1]:
        sink.handle(event)
    assert out.getvalue() == b""
    sink.close()
    assert ET.fromstring(out.getvalue()).findtext(".//system-out") == "hi\n"
    empty = JunitSink(out := io.BytesIO())
    empty.close()
    assert out.getvalue() == b""


@pytest.mark.parametrize("count", [0, 3000])
def test_report_of_any_size_is_whole(count):
    """
    Cases that do not fit in memory come back from the temporary file.
    """
    suite = report([samples.ok(f"web{n}", b"x" * 2000) for n in range(count)]).find("testsuite")
    assert suite is not None
    assert suite.get("tests") == str(count)
    assert len(suite.findall("testcase")) == count
