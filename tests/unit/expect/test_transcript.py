"""
Transcripts: what is written, what is read back, and what a replay makes of it.
"""

from __future__ import annotations

import json
import os
import stat
from contextlib import suppress

import pytest

from fleetctl.expect.replay import replay
from fleetctl.expect.transcript import (
    TranscriptWriter,
    host_of,
    parse_transcript,
    read_transcript,
    transcript_path,
)
from fleetctl.model.errors import UsageError
from fleetctl.model.operation import Pty
from fleetctl.model.secret import Secret
from fleetctl.sinks.redact import Redactor
from tests.unit.expect.programs import play, script_of

V2 = '{"version": 2, "width": 80, "height": 24}\n'

MENU = """
timeout: 5
steps:
  - expect: "name? "
    send: Ada
  - expect: {regex: 'hello (\\w+)!'}
    capture: {who: 1}
    send_secret: env:PW
  - {eof: yes}
"""

PLAYED = (
    V2
    + """[0.5, "o", "na"]
[3.0, "o", "me? "]
[3.1, "i", "Ada\\r"]
[3.2, "o", "hello Ada!"]
[3.3, "i", "[secret env:PW]\\r"]
[8.0, "o", "done\\n"]
[8.1, "x", "0"]
"""
)


def transcript(text):
    return parse_transcript(text.encode(), "it.cast")


def replayed(script, text, **values):
    return replay(script_of(script), transcript(text), {"host": "web01", **values})


def test_a_dialogue_is_recorded_with_secrets_masked(tmp_path):
    """
    Output, what was typed and the exit status, as asciicast v2; only its owner can read the file.
    """
    path = tmp_path / "web01.cast"
    path.write_text("an old one")
    path.chmod(0o644)
    with TranscriptWriter(path, title="it", command="sh x", pty=Pty(term="vt100")) as writer:
        moves = [b"name? ", {b"Ada\r"}, b"hello Ada!", {b"hunter2\r"}, b"hunter2 \xff\xc3", b"\xbc"]
        play(MENU, *moves, secrets={"env:PW": "hunter2"}, recorder=writer)
        writer.ended(0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    header, *events = [json.loads(line) for line in path.read_text().splitlines()]
    size = {"version": 2, "width": 80, "height": 24}
    assert header == {**size, "title": "it", "command": "sh x", "env": {"TERM": "vt100"}}
    assert [event[1:] for event in events] == [
        ["o", "name? "],
        ["i", "Ada\r"],
        ["o", "hello Ada!"],
        ["i", "[secret env:PW]\r"],
        ["o", "[secret] �"],
        ["o", "ü"],
        ["x", "0"],
    ]
    assert [event[0] for event in events] == sorted(event[0] for event in events)
    assert replay(script_of(MENU), read_transcript(str(path)), {"host": "x"}).is_good


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("web01.example.org", "web01.example.org.cast"),
        ("../../etc/cron.d/x", "%2E.%2F..%2Fetc%2Fcron.d%2Fx.cast"),
        ("a b\n%", "a%20b%0A%25.cast"),
        (".", "%2E.cast"),
        ("ü", "%C3%BC.cast"),
    ],
)
def test_S07_the_name_of_a_host_is_no_path(host, name):
    """
    S07: a transcript is a plain file in its folder, whatever the host is called.
    """
    path = transcript_path("casts", host)
    assert (path.parent.name, path.name, host_of(str(path))) == ("casts", name, host)


def test_S07_two_hosts_never_write_one_transcript():
    """
    S07: long names that differ at their end only are different files, of a length that can be.
    """
    names = {transcript_path("casts", "x" * 300 + end).name for end in ("", "a", "b")}
    assert len(names) == 3
    assert max(map(len, names)) < 255


def test_a_transcript_does_not_follow_links(tmp_path):
    """
    A link in the place of the file is not written through.
    """
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "x.cast").symlink_to(target)
    with pytest.raises(OSError, match="symbolic links"):
        TranscriptWriter(tmp_path / "x.cast", title="it", command=None, pty=None)
    assert target.read_text() == "precious"


def test_a_full_disk_ends_the_transcript_and_not_the_dialogue(tmp_path):
    """
    What cannot be written is a remark afterwards.
    """
    folder = tmp_path / "casts"
    folder.mkdir()
    with TranscriptWriter(folder / "x.cast", title="it", command=None, pty=None) as writer:
        (folder / "x.cast").unlink()
        (folder / "x.cast").mkdir()
        writer.sent("x" * 100_000)
        writer.sent("y")
    assert writer.problem == "Is a directory"


def test_no_file_is_open_between_two_events(tmp_path):
    """
    Many hosts at once do not run out of descriptors, and what happened is soon on the disk.
    """
    before = os.listdir("/dev/fd")
    path = tmp_path / "x.cast"
    with TranscriptWriter(path, title="it", command=None, pty=None) as writer:
        assert os.listdir("/dev/fd") == before
        writer.received("stdout", b"x" * 100_000)
        assert path.stat().st_size > 100_000
        writer.sent("y")
    assert [line[-5:] for line in path.read_text().splitlines()[1:]] == ['xxx"]', ' "y"]']


def events_of(path):
    header, *events = [json.loads(line) for line in path.read_text().splitlines()]
    return header, [event[1:] for event in events]


def test_S24_known_secrets_are_in_no_part_of_a_transcript(tmp_path):
    """
    S24: title, command, what was typed and both streams, each by itself, in every form; secrets
    that are learned meanwhile too.
    """
    redactor = Redactor()
    redactor.add(Secret("swordfish"))
    path = tmp_path / "x.cast"
    with TranscriptWriter(
        path, title="a swordfish", command="login swordfish", pty=None, redaction=redactor
    ) as writer:
        writer.received("stdout", b"c3dvcm")
        writer.received("stderr", b"sword")
        writer.received("stdout", b"RmaXNo, ")
        writer.received("stderr", b"fish\n")
        writer.sent("sword")
        writer.sent("fish\r")
        redactor.add(Secret("hunter2"))
        writer.received("stdout", b"hunter2 \xff sword")
        writer.ended(0)
    header, events = events_of(path)
    assert (header["title"], header["command"]) == ("a [secret]", "login [secret]")
    assert events == [
        ["o", "[secret], "],
        ["o", "[secret]\n"],
        ["i", "[secret]\r"],
        ["o", "[secret] \ufffd "],
        ["o", "sword"],
        ["x", "0"],
    ]


def test_S24_what_was_held_back_is_written_whatever_ends_the_dialogue(tmp_path):
    """
    S24: the last bytes may be the beginning of a secret; they are not lost.
    """
    redactor = Redactor()
    redactor.add(Secret("swordfish"))
    path = tmp_path / "x.cast"
    with (
        suppress(RuntimeError),
        TranscriptWriter(path, title="", command=None, pty=None, redaction=redactor) as writer,
    ):
        writer.received("stdout", b"a sword")
        raise RuntimeError
    assert events_of(path)[1] == [["o", "a "], ["o", "sword"]]


def test_the_same_dialogue_is_good():
    """
    A replay takes no time, and goes through the time of the transcript.
    """
    result = replayed(MENU, PLAYED)
    assert result.is_good
    assert (result.captured, result.sent, result.compares_input) == ({"who": "Ada"}, 2, True)
    assert result.took_s == pytest.approx(7.8)


@pytest.mark.parametrize(
    ("old", "new", "difference"),
    [
        (
            "send: Ada",
            "send: Bob",
            'it.yml:5: "Bob\\r" is sent, but "Ada\\r" was sent in it.cast:4',
        ),
        (
            "env:PW",
            "env:OTHER",
            'it.yml:8: "[secret env:OTHER]\\r" is sent, but "[secret env:PW]\\r" was sent in'
            " it.cast:6",
        ),
        (
            "send_secret: env:PW",
            "steps: [{send_secret: env:PW}, {send: more}]",
            'it.yml:8: "more\\r" is sent, but nothing more was sent in it.cast',
        ),
        (
            "    send_secret: env:PW\n  - {eof: yes}",
            "    end: yes",
            'it.yml:8: nothing more is sent, but "[secret env:PW]\\r" was sent in it.cast:6',
        ),
        (
            '"name? "',
            '"Name: "',
            'it.yml:4: "Name: " did not come within 5 s; it wrote last: "name? "; "Ada\\r" was'
            " sent here in it.cast",
        ),
    ],
)
def test_the_first_difference_is_shown(old, new, difference):
    """
    Where the script does something else than recorded, both are named with their lines.
    """
    result = replayed(MENU.replace(old, new), PLAYED)
    assert (result.difference, result.is_good) == (difference, False)


def test_timeouts_come_as_they_would_have_come():
    """
    A step that waits less long than the program took fails, without anybody waiting.
    """
    result = replayed(MENU.replace("timeout: 5", "timeout: 2"), PLAYED)
    assert result.failure is not None
    assert result.failure.kind == "expect.timeout"
    assert '"name? " did not come within 2 s' in result.failure.message
    late = "[{expect: never, timeout: 4, on_timeout: {send: hello?}}, {expect: yes}]"
    recorded = V2 + '[0.0, "o", "..."]\n[4.0, "i", "hello?\\r"]\n[4.5, "o", "yes"]\n'
    result = replayed(f"steps: {late}", recorded)
    assert (result.is_good, result.took_s) == (True, pytest.approx(4.5))


def test_a_recording_of_a_person_typing_can_be_replayed():
    """
    Single keys make up what the script sends at once; without any keys nothing is compared.
    """
    typed = (
        V2 + '[0, "o", "name? "]\n[1, "i", "A"]\n[1, "o", "A"]\n[2, "i", "da"]\n[2, "i", "\\r"]\n'
    )
    script = 'steps: [{expect: "name? ", send: Ada}, {expect: A}]'
    assert replayed(script, typed).is_good
    silent = V2 + '[0, "o", "name? "]\n[1, "o", "A"]\n'
    result = replayed(script, silent)
    assert (result.is_good, result.compares_input) == (True, False)


def test_version_3_counts_from_event_to_event():
    """
    Both versions of asciicast are read; events of other kinds, and comments, are passed over.
    """
    text = (
        '{"version": 3, "term": {"cols": 80, "rows": 24}}\n# hi\n[0.5, "o", "a"]\n'
        '[0.25, "r", "80x24"]\n[0.25, "o", "b"]\n[0.0, "x", "3"]\n'
    )
    read = transcript(text)
    assert [(e.at_s, e.code, e.text) for e in read.events] == [
        (0.5, "o", "a"),
        (1.0, "o", "b"),
        (1.0, "x", "3"),
    ]
    assert read.exit_status == 3


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "not JSON"),
        ('{"version": 1}', 1, "not an asciicast of version 2 or 3"),
        ("[]", 1, "not an asciicast of version 2 or 3"),
        (V2 + '[0.1, "o", "a"]\n[0.2, "o"', 3, "not JSON"),
        (V2 + "{}", 2, "not an event: [time, code, text]"),
        (V2 + '[true, "o", "a"]', 2, "not an event: [time, code, text]"),
        (V2 + '[-1, "o", "a"]', 2, "not an event: [time, code, text]"),
        (V2 + "[" * 100_000, 2, "not JSON"),
    ],
)
def test_what_is_no_transcript_is_named_with_its_line(text, line, message):
    """
    A file that is something else, or cut off, is an error and no traceback.
    """
    with pytest.raises(UsageError) as caught:
        transcript(text)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line, problem.message) == ("it.cast", line, message)
