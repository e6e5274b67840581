"""
What ``fleetctl forward`` says, to people and to programs.
"""

from __future__ import annotations

import json

import pytest

from fleetctl.cli.forward_drive import variables_of
from fleetctl.cli.forward_report import JsonReport, TextReport, describe
from fleetctl.model.failure import Failure
from fleetctl.model.forward import (
    ConnectionRefused,
    Forward,
    Listening,
    NotListening,
    Place,
    SocketPath,
    parse_forward,
)

LOCAL = Forward("local", Place(None, 8080), Place("web", 80))
REFUSED = Failure("forward.refused", "web:80, from web1: \x1b[31mno", hint="ask")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("kind", "line", "place", "text"),
    [
        ("local", "8080 [web]:80", Place("127.0.0.1", 8080), "127.0.0.1:8080 -> h -> web:80"),
        ("local", "/a [::1]:80", SocketPath("/a"), "/a -> h -> [::1]:80"),
        ("local", "80 /b c", Place("::1", 80), "[::1]:80 -> h -> /b c"),
        ("remote", "0 [web]:80", Place(None, 4711), "h:4711 -> here -> web:80"),
        ("remote", "[10.0.0.1]:5 /s", Place("10.0.0.1", 5), "h 10.0.0.1:5 -> here -> /s"),
        ("remote", "[]:5 /s", Place("", 5), "h *:5 -> here -> /s"),
        ("remote", "/r [web]:80", SocketPath("/r"), "h /r -> here -> web:80"),
        ("remote", "9 [socks]:0", Place(None, 9), "h:9 -> here -> where its SOCKS client wants"),
        ("dynamic", "[*]:9", Place("0.0.0.0", 9), "0.0.0.0:9 -> h -> where its SOCKS client wants"),
    ],
)
def test_a_line_shows_the_way_of_a_connection(kind, line, place, text):
    """
    From the listener over the host to the target, or back.
    """
    assert describe("h", parse_forward(kind, line), place) == text


def test_people_are_told_what_is_there_and_what_is_not(capsys):
    """
    One line for each forwarding; what others say is escaped.
    """
    report = TextReport("web1")
    report.handle(Listening(LOCAL, (Place("127.0.0.1", 8080), Place("::1", 8080))))
    report.handle(NotListening(LOCAL, Failure("forward.bind", "taken", hint="another")))
    report.handle(ConnectionRefused(LOCAL, REFUSED))
    report.ended(Failure("session.lost", "gone", hop="gate"))
    report.ended(None)
    assert capsys.readouterr().err.splitlines() == [
        "127.0.0.1:8080 -> web1 -> web:80",
        "fleetctl: -L 8080:web:80: forward.bind: taken",
        "hint: another",
        "fleetctl: -L 8080:web:80: web:80, from web1: \\x1b[31mno",
        "hint: ask",
        "fleetctl: web1: session.lost: at gateway gate: gone",
    ]


def test_of_many_refusals_few_are_told(capsys):
    """
    Some at once, then one in ten seconds with the number of those between; each forwarding has
    its own.
    """
    clock = Clock()
    report = TextReport("web1", clock=clock)
    for _ in range(100):
        report.handle(ConnectionRefused(LOCAL, REFUSED))
    assert capsys.readouterr().err.count("from web1") == 5
    clock.now = 11.0
    report.handle(ConnectionRefused(LOCAL, REFUSED))
    assert "(and 95 more since the last message)" in capsys.readouterr().err
    report.handle(ConnectionRefused(Forward("dynamic", Place(None, 1), None), REFUSED))
    assert "-D 1: " in capsys.readouterr().err


def test_programs_get_an_object_for_each_event():
    """
    Numbered, with everything a script needs to connect; one for the end.
    """
    lines: list[str] = []
    report = JsonReport("web1", write=lines.append, clock=Clock())
    report.handle(Listening(LOCAL, (Place("127.0.0.1", 8080), Place("::1", 8080))))
    report.handle(NotListening(Forward("remote", SocketPath("/s"), None), REFUSED))
    for _ in range(9):
        report.handle(ConnectionRefused(LOCAL, REFUSED))
    report.ended(REFUSED)
    events = [json.loads(line) for line in lines]
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert [event["event"] for event in events] == [
        "forward.listening",
        "forward.failed",
        *["connection.refused"] * 5,
        "forward.ended",
    ]
    assert events[0]["places"][1] == {"host": "::1", "port": 8080}
    assert events[0]["target"] == {"host": "web", "port": 80}
    assert events[1]["listen"] == {"path": "/s"}
    assert events[1]["failure"]["kind"] == "forward.refused"
    assert all(line.isascii() and "\x1b" not in line for line in lines)


def test_a_command_finds_the_forwardings_in_its_environment():
    """
    Numbered from 1, in the order they were asked for.
    """
    found = variables_of(
        [
            Listening(LOCAL, (Place("127.0.0.1", 41), Place("::1", 41))),
            Listening(Forward("local", SocketPath("/s"), None), (SocketPath("/s"),)),
        ]
    )
    assert found == {"FLEETCTL_FORWARD_1": "127.0.0.1:41", "FLEETCTL_FORWARD_2": "/s"}
