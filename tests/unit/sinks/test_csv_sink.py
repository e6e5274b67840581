"""
Comma-separated values.
"""

from __future__ import annotations

import csv
import io

import pytest

from fleetctl.model.result import HostResult
from fleetctl.sinks.csv_sink import COLUMNS, CsvSink, safe_cell
from tests.unit.sinks import samples


def written(results: list[HostResult]) -> bytes:
    out = io.BytesIO()
    sink = CsvSink(out)
    for event in samples.run_of(results):
        sink.handle(event)
    sink.close()
    return out.getvalue()


def records(results: list[HostResult]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(written(results).decode(), newline="")))


def test_one_record_per_host():
    """
    A header, then each host's result; text with commas, quotes and newlines survives.
    """
    first, second, third = records(
        [
            samples.ok("web1", b'a, "b"\nc\n'),
            samples.failed("web2", 3, b"", b"oops\n"),
            samples.broken("db1", "connect.refused", "10.0.4.1 refused it"),
        ]
    )
    assert list(first) == list(COLUMNS)
    assert first["host"] == "web1"
    assert first["status"] == "ok"
    assert first["exit_status"] == "0"
    assert first["stdout"] == 'a, "b"\nc\n'
    assert (second["failure"], second["exit_status"], second["stderr"]) == (
        "exec.nonzero",
        "3",
        "oops\n",
    )
    assert (third["status"], third["exit_status"], third["message"]) == (
        "unreachable",
        "",
        "10.0.4.1 refused it",
    )
    assert written([samples.ok("web1")]).count(b"\r\n") == 2


@pytest.mark.parametrize(
    "formula",
    [
        "=cmd|' /C calc'!A0",
        "+1+2",
        "-2+3",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\uff1d1",
    ],
)
def test_S03_formula_is_text(formula):
    """
    S03: a cell that a spreadsheet would calculate begins with an apostrophe or an escape instead.
    """
    (record,) = records([samples.ok(formula, formula.encode(), formula.encode())])
    for column in ("host", "stdout", "stderr"):
        assert record[column][0] in "'\\", record[column]


def test_S01_control_characters_are_escapes():
    """
    S01: nothing in the file steers a terminal; commands of build servers are broken.
    """
    text = written([samples.ok("web1", b"\x1b[2J\x9b\xe2\x80\xae\r##vso[x]")]).decode()
    assert all(character.isprintable() or character in "\r\n" for character in text)
    assert "##vso[" not in text
    assert text.count("\r") == text.count("\r\n") == 2


def test_F38_truncated_output_is_marked():
    """
    F38: the cell says where and how much is missing, and so does its column.
    """
    (record,) = records([samples.ok("web1", b"headtail", stdout_bytes=1008)])
    assert record["stdout"] == "head\n(1000 bytes left out here)\ntail"
    assert record["truncated"] == "yes"


def test_clean_text_is_left_alone():
    """
    Ordinary cells are not changed.
    """
    for text in ("", "web1", "a=b", "10.0.0.1", "it's", "a\tb"):
        assert safe_cell(text) == text
