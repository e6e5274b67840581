"""
Delivery keeps a failing sink from hurting the run.
"""

from __future__ import annotations

import io

from fleetctl.model.events import Event
from fleetctl.sinks.deliver import Delivery
from fleetctl.sinks.printer import Printer
from tests.unit.sinks import samples


class Recorder:
    """Keeps the names of what it was given; raises its error, if it has one, at the second."""

    def __init__(self, error: Exception | None = None) -> None:
        self.events: list[str] = []
        self.is_closed = False
        self._error = error

    def handle(self, event: Event) -> None:
        self.events.append(type(event).__name__)
        if self._error is not None and len(self.events) == 2:
            raise self._error

    def close(self) -> None:
        self.is_closed = True


class FailsToClose(Recorder):
    def close(self) -> None:
        raise OSError(28, "No space left on device")


ALL = ["RunStarted", "HostStarted", "HostFinished", "RunFinished"]


def deliver(*sinks: Recorder) -> tuple[Delivery, str]:
    stream = io.StringIO()
    delivery = Delivery(sinks, warnings=Printer(stream))
    for event in samples.run_of([samples.ok("web1")]):
        delivery.handle(event)
    delivery.close()
    return delivery, stream.getvalue()


def test_every_sink_gets_every_event_in_order():
    """
    All sinks see the whole run and are closed at its end.
    """
    first, second = Recorder(), Recorder()
    delivery, warnings = deliver(first, second)
    assert first.events == second.events == ALL
    assert first.is_closed
    assert (delivery.broken, delivery.failed, warnings) == (False, [], "")


def test_F88_sink_that_raises_is_isolated_and_reported_once():
    """
    F88: the others go on, the failed one gets no more events, and stderr says so once.
    """
    bad, good = Recorder(OSError(28, "No space left on device")), Recorder()
    delivery, warnings = deliver(bad, good)
    assert bad.events == ALL[:2]
    assert not bad.is_closed
    assert good.events == ALL
    assert delivery.failed == [bad]
    assert delivery.broken is False
    assert warnings == (
        "fleetctl: warning: Recorder failed and is off: [Errno 28] No space left on device\n"
        "hint: the run goes on; what this output should have shown is missing\n"
    )


def test_F88_sink_that_fails_to_close_is_reported():
    """
    F88: a disk that is full at the last flush is not passed over.
    """
    delivery, warnings = deliver(bad := FailsToClose(), good := Recorder())
    assert delivery.failed == [bad]
    assert good.is_closed
    assert warnings.startswith("fleetctl: warning: FailsToClose failed and is off: [Errno 28]")


def test_closed_stdout_is_noted_without_a_word():
    """
    ``| head`` is not an error: the flag tells the caller to exit with 141, and the others go on.
    """
    delivery, warnings = deliver(Recorder(BrokenPipeError(32, "Broken pipe")), good := Recorder())
    assert delivery.broken is True
    assert (delivery.failed, warnings) == ([], "")
    assert good.events == ALL


def test_F88_failure_to_report_a_failure_is_not_one_more():
    """
    F88: with stderr gone too, the run still goes on.
    """
    stream = io.StringIO()
    stream.close()
    good = Recorder()
    delivery = Delivery([Recorder(ValueError("bug")), good], warnings=Printer(stream))
    for event in samples.run_of([samples.ok("web1")]):
        delivery.handle(event)
    assert good.events == ALL
    assert len(delivery.failed) == 1


def test_S01_cause_of_a_failure_is_escaped():
    """
    S01: text in an error cannot steer the terminal.
    """
    _, warnings = deliver(Recorder(ValueError("bad\x1b[2J\nline")))
    assert "bad\\x1b[2J\\nline\n" in warnings


def test_S24_cause_of_a_failure_has_no_secret():
    """
    S24: what an error says is shown like anything else.
    """
    stream = io.StringIO()
    delivery = Delivery(
        [Recorder(ValueError("cannot write hunter2"))],
        warnings=Printer(stream),
        redact=lambda text: text.replace("hunter2", "[secret]"),
    )
    for event in samples.run_of([samples.ok("web1")]):
        delivery.handle(event)
    assert "cannot write [secret]\n" in stream.getvalue()
