"""
The JSON shapes that scripts rely on.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from fleetctl.model.codec import event_to_json, failure_to_json, render_time, result_to_json
from fleetctl.model.events import (
    HostFinished,
    HostStarted,
    Notice,
    Output,
    RunFinished,
    RunStarted,
)
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.model.result import ExecResult, HostResult, Outcome, PhaseTimes
from fleetctl.model.settings import HostSettings

AT = datetime(2026, 7, 1, 12, 0, 0, 123999, tzinfo=UTC)
WEB1 = Host("web1", settings=HostSettings(hostname="10.0.3.7", port=2222, user="deploy"))

FIELDS = """
    host address port user status changed ran exit_status exit_signal stdout stderr stdout_bytes
    stderr_bytes truncated output_complete failure attempts started_at duration_s phases
""".split()


def result_with(run: ExecResult | None, failure: Failure | None = None) -> HostResult:
    return HostResult(
        host=WEB1,
        outcome=Outcome("failed" if failure else "ok", result=run, failure=failure),
        ran="yes",
        started_at=AT,
        duration_s=0.12345678,
        phases=PhaseTimes(connect_s=0.0012345678, command_s=0.1),
        attempts=1,
        address="10.0.3.7",
    )


def test_result_has_exactly_the_documented_fields_in_order():
    """
    Scripts and people find every field of the contract, and nothing else.
    """
    run = ExecResult(
        exit_status=0, stdout=b"hi\n", stderr=b"w", stdout_bytes=3, stderr_bytes=1, duration_s=0.1
    )
    fields = result_to_json(result_with(run))
    assert list(fields) == FIELDS
    assert fields == {
        "host": "web1",
        "address": "10.0.3.7",
        "port": 2222,
        "user": "deploy",
        "status": "ok",
        "changed": False,
        "ran": "yes",
        "exit_status": 0,
        "exit_signal": None,
        "stdout": "hi\n",
        "stderr": "w",
        "stdout_bytes": 3,
        "stderr_bytes": 1,
        "truncated": False,
        "output_complete": True,
        "failure": None,
        "attempts": 1,
        "started_at": "2026-07-01T12:00:00.123Z",
        "duration_s": 0.123457,
        "phases": {
            "resolve_s": None,
            "connect_s": 0.001235,
            "kex_s": None,
            "auth_s": None,
            "session_s": None,
            "command_s": 0.1,
        },
    }
    assert json.loads(json.dumps(fields)) == fields


def test_rare_fields_are_there_only_when_they_say_something():
    """
    ``gone`` of a command that was ended from here, and variables the server did not take.
    """
    usual = result_to_json(HostResult(Host("web1"), Outcome("ok", result=ExecResult(0))))
    assert usual.keys().isdisjoint({"gone", "refused_env"})
    run = ExecResult(None, gone=False, refused_env=("LANG", "A"))
    fields = result_to_json(HostResult(Host("web1"), Outcome("timed_out", result=run)))
    assert (fields["gone"], fields["refused_env"]) == (False, ["LANG", "A"])


def test_host_that_was_never_started_has_the_same_fields():
    """
    No connection, no command, no time: the fields are there and say so.
    """
    failure = Failure("run.cancelled", "the run was interrupted")
    never = HostResult(Host("web2"), Outcome("cancelled", failure=failure))
    fields = result_to_json(never, local_user="anna")
    assert list(fields) == FIELDS
    assert fields["user"] == "anna"
    assert (fields["ran"], fields["attempts"], fields["started_at"]) == ("no", 0, None)
    assert (fields["exit_status"], fields["stdout"], fields["stdout_bytes"]) == (None, "", 0)
    assert fields["output_complete"] is True
    assert fields["phases"] == dict.fromkeys(
        ["resolve_s", "connect_s", "kex_s", "auth_s", "session_s", "command_s"]
    )


def test_failure_has_its_phase_and_names_the_gateway_only_if_there_is_one():
    """
    ``hop`` is there only when the failure happened behind a gateway.
    """
    plain = Failure("connect.refused", "refused", hint="start sshd", retryable=True)
    assert result_to_json(result_with(None, plain))["failure"] == {
        "kind": "connect.refused",
        "phase": "connect",
        "message": "refused",
        "hint": "start sshd",
        "retryable": True,
    }
    behind = Failure("connect.refused", "refused", hop="bastion")
    assert failure_to_json(behind)["hop"] == "bastion"


def test_bytes_that_are_not_text_are_given_twice():
    """
    Output that is not UTF-8 is there as replacement text and, exactly, in base 64.
    """
    run = ExecResult(exit_status=0, stdout=b"caf\xe9", stderr=b"ok", stdout_bytes=4, stderr_bytes=2)
    fields = result_to_json(result_with(run))
    assert fields["stdout"] == "caf\ufffd"
    assert base64.b64decode(str(fields["stdout_b64"])) == b"caf\xe9"
    assert fields["stderr"] == "ok"
    assert "stderr_b64" not in fields


@pytest.mark.parametrize(
    ("at", "rendered"),
    [
        (AT, "2026-07-01T12:00:00.123Z"),
        (datetime(2026, 7, 1, tzinfo=UTC), "2026-07-01T00:00:00.000Z"),
        (
            datetime(2026, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2))),
            "2026-06-30T23:30:00.000Z",
        ),
    ],
)
def test_times_are_utc_with_milliseconds(at, rendered):
    """
    Times are RFC 3339 in UTC whatever the zone they came in.
    """
    assert render_time(at) == rendered


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (
            RunStarted("R1", "uptime", (WEB1, Host("web2")), AT, check=True),
            {"event": "run.started", "label": "uptime", "hosts": ["web1", "web2"], "check": True},
        ),
        (HostStarted(WEB1, AT), {"event": "host.started", "host": "web1"}),
        (
            Output(WEB1, "stderr", "né\n".encode(), AT),
            {"event": "host.output", "host": "web1", "stream": "stderr", "data": "né\n"},
        ),
        (
            Output(WEB1, "stdout", b"\xc3", AT),
            {"event": "host.output", "host": "web1", "stream": "stdout", "data_b64": "ww=="},
        ),
        (
            Notice("retry", "again in 2 s", AT, host=WEB1),
            {
                "event": "notice",
                "kind": "retry",
                "message": "again in 2 s",
                "host": "web1",
                "hint": None,
            },
        ),
        (
            RunFinished("R1", AT, 4.2000001, {"ok": 2}, "INT"),
            {
                "event": "run.finished",
                "duration_s": 4.2,
                "counts": {"ok": 2},
                "interrupted_by": "INT",
            },
        ),
    ],
    ids=lambda value: value.get("event") if isinstance(value, dict) else "",
)
def test_each_event_has_its_envelope_and_its_fields(event, fields):
    """
    Every event begins with v, run, seq, ts and event; then come its own fields.
    """
    encoded = event_to_json(event, run_id="R1", seq=7)
    assert encoded == {"v": 1, "run": "R1", "seq": 7, "ts": "2026-07-01T12:00:00.123Z", **fields}
    assert list(encoded)[:5] == ["v", "run", "seq", "ts", "event"]


def test_finished_host_carries_the_fields_of_its_result():
    """
    ``host.finished`` holds the result's fields at its top level.
    """
    result = result_with(ExecResult(exit_status=3))
    encoded = event_to_json(HostFinished(result, AT), run_id="R1", seq=1, local_user="anna")
    assert list(encoded) == ["v", "run", "seq", "ts", "event", *FIELDS]
    assert encoded["event"] == "host.finished"
    assert encoded["exit_status"] == 3
