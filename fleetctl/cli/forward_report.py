"""
What ``fleetctl forward`` says: for people on stderr, for programs as JSON lines on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic
from typing import Protocol

from fleetctl.cli.errors import say
from fleetctl.cli.known_secrets import KnownSecrets, without_secrets
from fleetctl.model.codec import EVENT_VERSION, failure_to_json, render_time
from fleetctl.model.failure import Failure
from fleetctl.model.forward import (
    ConnectionRefused,
    Endpoint,
    Forward,
    ForwardEvent,
    Listening,
    NotListening,
    Place,
)
from fleetctl.wiring import one_visible_line

#: So many refused connections of a forwarding are told one by one; then one in a while.
TOLD_AT_ONCE = 5
TOLD_EVERY_S = 10.0


class Report(Protocol):
    """Where events go."""

    def handle(self, event: ForwardEvent) -> None: ...

    def waiting(self) -> None:
        """Everything is set up; from now on it goes on until somebody ends it."""
        ...

    def ended(self, failure: Failure | None) -> None:
        """It is over: the connection was lost, or never there, or nobody wants it any more."""
        ...


class _Few:
    """Lets few refusals of each forwarding through, and counts the others."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[Forward, int] = {}
        self._last: dict[Forward, float] = {}
        self._untold: dict[Forward, int] = {}

    def admit(self, forward: Forward) -> int | None:
        """Return how many were not told since the last one; None if this one is not to be told."""
        told, now = self._told.get(forward, 0), self._clock()
        if told >= TOLD_AT_ONCE and now < self._last[forward] + TOLD_EVERY_S:
            self._untold[forward] = self._untold.get(forward, 0) + 1
            return None
        self._told[forward], self._last[forward] = told + 1, now
        return self._untold.pop(forward, 0)


class TextReport:
    """
    A line for each forwarding, and for what goes wrong.

    Args:
        host: Name of the host.
    """

    def __init__(self, host: str, *, clock: Callable[[], float] = monotonic) -> None:
        self._host = host
        self._few = _Few(clock)

    def handle(self, event: ForwardEvent) -> None:
        """Say what happened."""
        match event:
            case Listening(forward, places):
                # The other addresses of a name have the same port.
                _write(describe(self._host, forward, places[0]))
            case NotListening(forward, failure):
                say(f"{forward}: {failure.kind}: {failure.message}", hint=failure.hint)
            case ConnectionRefused(forward, failure):
                untold = self._few.admit(forward)
                if untold is not None:
                    more = f" (and {untold} more since the last message)" if untold else ""
                    say(f"{forward}: {failure.message}{more}", hint=failure.hint)

    def waiting(self) -> None:
        """Say how it ends, to somebody who looks at it."""
        if sys.stderr.isatty():
            say("forwarding until Ctrl-C")

    def ended(self, failure: Failure | None) -> None:
        """Say why, if it was not wanted."""
        if failure is not None:
            at = f"at gateway {failure.hop}: " if failure.hop else ""
            say(f"{self._host}: {failure.kind}: {at}{failure.message}", hint=failure.hint)


class JsonReport:
    """
    One JSON object per event and line, with ``v``, ``seq``, ``ts`` and ``event``.

    Args:
        host: Name of the host.
        write: Gets each line.
        known: Secrets that no line shows; None if there are none.
    """

    def __init__(
        self,
        host: str,
        *,
        write: Callable[[str], None],
        known: KnownSecrets | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._host = host
        self._write = write
        self._known = known or KnownSecrets()
        self._few = _Few(clock)
        self._seq = 0

    def handle(self, event: ForwardEvent) -> None:
        """Write the event."""
        fields = {"host": self._host, **_forward_to_json(event.forward)}
        match event:
            case Listening(_, places):
                self._put("forward.listening", fields | {"places": [*map(_to_json, places)]})
            case NotListening(_, failure):
                self._put("forward.failed", fields | {"failure": self._failure(failure)})
            case ConnectionRefused(forward, failure):
                untold = self._few.admit(forward)
                if untold is not None:
                    told = {"failure": self._failure(failure), "more": untold}
                    self._put("connection.refused", fields | told)

    def waiting(self) -> None:
        """Programs know by the events so far."""

    def ended(self, failure: Failure | None) -> None:
        """Write the last event."""
        told = None if failure is None else self._failure(failure)
        self._put("forward.ended", {"host": self._host, "failure": told})

    def _failure(self, failure: Failure) -> dict[str, object]:
        return failure_to_json(without_secrets(failure, self._known))

    def _put(self, name: str, fields: dict[str, object]) -> None:
        self._seq += 1
        top = {
            "v": EVENT_VERSION,
            "seq": self._seq,
            "ts": render_time(datetime.now(UTC)),
            "event": name,
        }
        self._write(json.dumps(top | fields, separators=(",", ":")) + "\n")


def describe(host: str, forward: Forward, place: Endpoint) -> str:
    """Return the way of a connection, such as ``127.0.0.1:8080 -> web1 -> localhost:80``."""
    if forward.kind == "remote":
        target = forward.target or "where its SOCKS client wants"
        is_port_alone = isinstance(place, Place) and place.host is None
        at = f"{host}:{place}" if is_port_alone else f"{host} {place}"
        return f"{at} -> here -> {target}"
    target = forward.target or "where its SOCKS client wants"
    return f"{place} -> {host} -> {target}"


def _forward_to_json(forward: Forward) -> dict[str, object]:
    return {
        "kind": forward.kind,
        "listen": _to_json(forward.listen),
        "target": None if forward.target is None else _to_json(forward.target),
    }


def _to_json(end: Endpoint) -> dict[str, object]:
    if isinstance(end, Place):
        return {"host": end.host, "port": end.port}
    return {"path": end.path}


def _write(line: str) -> None:
    sys.stderr.write(one_visible_line(line) + "\n")
    sys.stderr.flush()
