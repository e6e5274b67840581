"""
Results for programs: what json and ndjson write.
"""

from __future__ import annotations

import io
import json

import pytest

from fleetctl.model.events import Notice
from fleetctl.sinks.json_sinks import JsonSink, NdjsonSink, render_json
from tests.support.patience import least_cpu_s
from tests.unit.sinks import samples


class CountingBytes(io.BytesIO):
    """A binary stream that knows how much of it was flushed."""

    flushed = 0

    def flush(self) -> None:
        super().flush()
        self.flushed = len(self.getvalue())


def test_ndjson_has_one_numbered_event_per_line():
    """
    Each line is one event of the run, numbered from 1, with the run's id; nothing else is written.
    """
    stream = io.BytesIO()
    sink = NdjsonSink(stream, local_user="anna")
    for event in samples.run_of([samples.ok("web1", b"hi\n"), samples.failed("web2", 3)]):
        sink.handle(event)
    sink.close()
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(event["seq"], event["event"]) for event in events] == [
        (1, "run.started"),
        (2, "host.started"),
        (3, "host.started"),
        (4, "host.finished"),
        (5, "host.finished"),
        (6, "run.finished"),
    ]
    assert {event["run"] for event in events} == {samples.RUN_ID}
    assert events[3]["stdout"] == "hi\n"
    assert events[3]["user"] == "anna"
    assert events[4]["failure"]["kind"] == "exec.nonzero"
    assert events[5]["counts"] == {"ok": 1, "failed": 1}


def test_ndjson_line_is_exactly_this():
    """
    The bytes of a line are stable: compact, fields in the documented order.
    """
    stream = io.BytesIO()
    sink = NdjsonSink(stream)
    sink.handle(samples.output("web1", b"hi\n"))
    assert stream.getvalue() == (
        b'{"v":1,"run":null,"seq":1,"ts":"2026-07-01T12:00:00.323Z",'
        b'"event":"host.output","host":"web1","stream":"stdout","data":"hi\\n"}\n'
    )


def test_ndjson_is_flushed_as_it_happens():
    """
    A reader sees each event when it happens, not when a buffer is full.
    """
    stream = CountingBytes()
    sink = NdjsonSink(stream)
    for event in samples.run_of([samples.ok("web1")]):
        sink.handle(event)
        assert stream.flushed == len(stream.getvalue())


@pytest.mark.parametrize("make", [NdjsonSink, JsonSink])
def test_F77_a_row_is_written_without_its_output_where_memory_is_short(monkeypatch, make):
    """
    F77: a result too large for the memory that is left becomes a row that says how much it was.
    """

    def render(value):
        if len(str(value)) > 10_000:
            raise MemoryError
        return render_json(value)

    monkeypatch.setattr("fleetctl.sinks.json_sinks.render_json", render)
    stream = io.BytesIO()
    sink = make(stream)
    for event in samples.run_of([samples.ok("web1", 20_000 * b"x"), samples.ok("web2", b"hi\n")]):
        sink.handle(event)
    sink.close()
    text = stream.getvalue().decode()
    rows = json.loads(text)["hosts"] if make is JsonSink else map(json.loads, text.splitlines())
    found = {row["host"]: row for row in rows if "stdout_bytes" in row}
    assert (found["web1"]["stdout"], found["web1"]["truncated"]) == ("", True)
    assert found["web1"]["stdout_bytes"] == 20_000
    assert (found["web2"]["stdout"], found["web2"]["truncated"]) == ("hi\n", False)


def test_notice_before_the_run_has_no_run():
    """
    A warning given before the run has started belongs to none.
    """
    stream = io.BytesIO()
    NdjsonSink(stream).handle(Notice("settings.ignored", "Tag is ignored", samples.at(0)))
    assert json.loads(stream.getvalue())["run"] is None


def test_json_is_one_object_with_hosts_in_the_order_of_the_run():
    """
    run, hosts and counts; hosts in the order of the pattern whatever order they finished in.
    """
    stream = io.BytesIO()
    sink = JsonSink(stream)
    events = list(samples.run_of([samples.ok("web2"), samples.ok("web1"), samples.failed("a", 1)]))
    for event in (*events[:4], *reversed(events[4:-1]), events[-1]):
        sink.handle(event)
    sink.close()
    shown = json.loads(stream.getvalue())
    assert set(shown) == {"run", "hosts", "counts"}
    assert shown["run"] == {
        "id": samples.RUN_ID,
        "label": "uptime",
        "check": False,
        "started_at": "2026-07-01T12:00:00.123Z",
        "finished_at": "2026-07-01T12:00:04.323Z",
        "duration_s": 4.2,
        "interrupted_by": None,
    }
    assert [host["host"] for host in shown["hosts"]] == ["web2", "web1", "a"]
    assert shown["counts"] == {"ok": 2, "failed": 1}


def test_json_of_a_run_without_an_end_is_still_whole():
    """
    A run that never said it had finished gives what there is as one valid object.
    """
    stream = io.BytesIO()
    sink = JsonSink(stream)
    events = list(samples.run_of([samples.ok("web1"), samples.ok("web2")]))
    for event in events[:-2]:
        sink.handle(event)
    sink.close()
    shown = json.loads(stream.getvalue())
    assert [host["host"] for host in shown["hosts"]] == ["web1"]
    assert shown["run"]["finished_at"] is None


def test_json_is_written_while_the_run_goes_on():
    """
    A result is written when those before it have been; memory does not hold what is written.
    """
    stream = CountingBytes()
    sink = JsonSink(stream)
    results = [samples.ok(f"web{n}", b"x" * 1000) for n in range(9)]
    events = list(samples.run_of(results))
    for event in events[: 10 + 3]:
        sink.handle(event)
    assert stream.flushed == len(stream.getvalue())
    assert [f'"web{n}"'.encode() in stream.getvalue() for n in range(4)] == [True] * 3 + [False]
    for event in events[10 + 4 :]:
        sink.handle(event)
    assert [host["host"] for host in json.loads(stream.getvalue())["hosts"]] == [
        f"web{n}" for n in range(9) if n != 3
    ]


def test_json_holds_no_more_back_than_it_may():
    """
    Behind a slow host results wait for their turn, up to a limit; then they come as they finish.
    """
    stream = io.BytesIO()
    sink = JsonSink(stream, held_bytes=5000)
    results = [samples.ok(f"web{n}", b"x" * 1000) for n in range(20)]
    events = list(samples.run_of(results))
    finished = events[21:-1]
    for event in [*events[:21], *finished[1:10]]:
        sink.handle(event)
    written = stream.getvalue().count(b'"host":')
    assert 0 < written < 9
    for event in [finished[0], *finished[10:]]:
        sink.handle(event)
    assert stream.getvalue().count(b'"host":') == 20
    sink.handle(events[-1])
    names = [host["host"] for host in json.loads(stream.getvalue())["hosts"]]
    assert names[0] == "web1"
    assert sorted(names) == sorted(result.host.name for result in results)


def test_json_is_valid_wherever_it_is_closed():
    """
    After any number of events, closing makes the object whole.
    """
    events = list(samples.run_of(samples.mixed_run()))
    for count in range(1, len(events) + 1):
        stream = io.BytesIO()
        sink = JsonSink(stream)
        for event in events[:count]:
            sink.handle(event)
        sink.close()
        shown = json.loads(stream.getvalue())
        assert sum(shown["counts"].values()) == len(shown["hosts"])


def test_nothing_is_written_if_nothing_was_started():
    """
    Without a run there is no object.
    """
    stream = io.BytesIO()
    JsonSink(stream).close()
    assert stream.getvalue() == b""


def test_S01_json_is_safe_on_a_terminal_and_exact_in_a_program():
    """
    S01: no control, bidi control or lone surrogate is in the bytes, yet they decode to the text.
    """
    text = "Grüße \x1b[2J \x7f \x9b \u202e \u2028 \ud800"
    rendered = render_json({"text": text})
    assert json.loads(rendered) == {"text": text}
    assert rendered.decode() == (
        '{"text":"Grüße \\u001b[2J \\u007f \\u009b \\u202e \\u2028 \\ud800"}'
    )


def test_output_that_is_not_text_is_there_byte_by_byte():
    """
    A program gets the exact bytes even if they are not UTF-8.
    """
    stream = io.BytesIO()
    sink = JsonSink(stream)
    for event in samples.run_of([samples.ok("web1", b"\xff\x00")]):
        sink.handle(event)
    assert json.loads(stream.getvalue())["hosts"][0]["stdout_b64"] == "/wA="


def test_ndjson_costs_little_per_host():
    """
    Five hundred hosts cost little more than their JSON (measured: 10 ms of CPU, twice as much); ten
    times that is a bug.
    """
    events = list(samples.run_of([samples.ok(f"web{n}", b"Linux 6.1\n") for n in range(500)]))
    stream = io.BytesIO()

    def write() -> None:
        sink = NdjsonSink(stream)
        for event in events:
            sink.handle(event)

    write()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    json_s = least_cpu_s(lambda: [json.dumps(line) for line in lines])
    assert least_cpu_s(write) < 40 * json_s
