"""
No event that a sink gets to see has a known secret in it (S24).
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fleetctl.model.codec import event_to_json
from fleetctl.model.events import HostFinished, Notice, Output, RunStarted
from fleetctl.model.secret import Secret
from fleetctl.sinks.redact import Redactor
from fleetctl.sinks.redact_events import RedactedEvents, redact_cut_output, redact_result
from fleetctl.sinks.wording import split_kept
from tests.unit.sinks import samples

PASSWORD = "hunter2secret"


@pytest.fixture
def redactor():
    redactor = Redactor()
    redactor.add(Secret(PASSWORD))
    return redactor


def through(redactor, *events):
    redacted = RedactedEvents(redactor)
    return [shown for event in events for shown in redacted.handle(event)]


def test_S24_nothing_of_an_event_shows_a_secret(redactor):
    """
    S24: output, failure, hint, facts, diff, notices and the label of the run.
    """
    result = samples.broken(
        "web1",
        "become.denied",
        f"sudo: {PASSWORD} is wrong",
        hint=f"not {PASSWORD}",
        run=samples.exec_result(1, PASSWORD.encode(), b"2> " + PASSWORD.encode()),
    )
    outcome = replace(result.outcome, data={"a": [PASSWORD]}, diff=f"+{PASSWORD}\n")
    result = replace(result, outcome=outcome)
    events = through(
        redactor,
        RunStarted("id", f"login -p {PASSWORD}", (result.host,), samples.at(0)),
        Notice("retry", PASSWORD, samples.at(1), hint=PASSWORD),
        samples.output("web1", f"it is {PASSWORD}\n".encode()),
        HostFinished(result, samples.at(2)),
    )
    text = json.dumps([event_to_json(event, run_id="id", seq=1) for event in events])
    assert "hunter2" not in text
    assert text.count("[secret]") == 9
    assert events[-1].result.outcome.diff == "+[secret]\n"


def test_S24_events_without_secrets_are_the_same_objects(redactor):
    """
    S24: what is clean is passed on, not copied.
    """
    events = list(samples.run_of([samples.ok("web1", b"hello\n"), samples.failed("web2", 3)]))
    shown = through(redactor, *events, samples.output("web1", b"one\n"))
    for given, got in zip(events[1:], shown[1:], strict=False):
        assert got is given
    assert through(Redactor(), *events) == events


def test_S24_a_secret_split_between_two_events_is_found(redactor):
    """
    S24: each stream of each host by itself; what is held back comes before the host's result.
    """
    events = through(
        redactor,
        samples.output("web1", b"a hunter2"),
        samples.output("web2", b"secret of another\n"),
        samples.output("web1", b"err\n", "stderr"),
        samples.output("web1", b"secret b hunt"),
        HostFinished(samples.ok("web1"), samples.at(1)),
    )
    assert [(e.host.name, e.stream, e.data) for e in events if isinstance(e, Output)] == [
        ("web1", "stdout", b"a "),
        ("web2", "stdout", b"secret of another\n"),
        ("web1", "stderr", b"err\n"),
        ("web1", "stdout", b"[secret] b "),
        ("web1", "stdout", b"hunt"),
    ]
    assert isinstance(events[-1], HostFinished)


def test_S24_whole_output_stays_whole(redactor):
    """
    S24: what was taken out does not count as missing.
    """
    result = samples.ok("web1", b"a " + PASSWORD.encode() + b" b\n")
    run = redact_result(result, redactor).outcome.result
    assert run is not None
    assert run.stdout == b"a [secret] b\n"
    assert run.stdout_bytes == len(run.stdout)
    assert not run.truncated


def test_S24_truncated_output_keeps_its_gap_in_the_middle(redactor):
    """
    S24: head and tail stay apart, and a secret that the gap cut in two is shown on neither side.
    """
    head = b"head " + PASSWORD.encode() + b" more hunter2"
    tail = b"secret and the tail " + b"." * 11
    content = head + tail
    assert len(head) == len(tail)
    result = samples.ok("web1", content, stdout_bytes=9999)
    run = redact_result(result, redactor).outcome.result
    assert run is not None
    assert run.stdout_bytes == 9999
    first, last = split_kept(run.stdout, run.stdout_bytes)
    assert first == b"head [secret] more "
    assert last == b" and the tail ..........."[-len(first) :]


def test_S24_halves_of_a_secret_beside_the_gap_of_output_are_not_recorded(redactor):
    """
    S24: a history takes secrets out of what it is given, where head and tail are one; whole output
    it is given as it is.
    """
    run = samples.exec_result(0, b"head hunter2s" + b"er2secret end")
    run = replace(run, stdout_bytes=9999, truncated=True)
    for shown, is_clean in ((run, True), (replace(run, truncated=False), False)):
        result = samples.ok("web1", b"")
        result = replace(result, outcome=replace(result.outcome, result=shown))
        event = HostFinished(result, samples.at(1))
        kept = redact_cut_output(event, redactor)
        assert redact_cut_output(event, Redactor()) is event
        if not is_clean:
            assert kept is event
            continue
        assert isinstance(kept, HostFinished)
        output = kept.result.outcome.result
        assert output is not None
        assert b"hunter" not in output.stdout
        assert b"er2secret" not in output.stdout
