"""
A folder with the output of every host.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.model.events import HostFinished, HostStarted, Output, RunFinished, RunStarted
from fleetctl.model.host import Host
from fleetctl.model.result import HostResult
from fleetctl.sinks.folder import FolderSink, open_folder
from fleetctl.sinks.host_files import MAX_BYTES, file_stems, marked
from tests.unit.sinks import samples

HOSTILE_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a%2Fb",
    "a\x00b",
    "a\nb",
    "-rf",
    "_run",
    "web1",
    "WEB1",
    "Web1",
    "web1.stdout",
    "web1~",
    "x" * 300,
    "x" * 299 + "y",
    "\u6f22" * 100,
    "\udc80",
    "caf\u00e9",
    "cafe\u0301",
    "con",
]


def write(path: Path, results: list[HostResult], *output: Output) -> None:
    sink = FolderSink(open_folder(str(path)), str(path), local_user="me")
    try:
        for event in samples.run_of(results):
            if isinstance(event, HostFinished):
                for piece in output:
                    if piece.host.name == event.result.host.name:
                        sink.handle(piece)
            sink.handle(event)
    finally:
        sink.close()


def test_each_host_has_its_files(tmp_path):
    """
    Exact bytes of both streams and the result beside them, the user's alone; the run's file last.
    """
    path = tmp_path / "out"
    everything = bytes(range(256))
    write(
        path,
        [samples.ok("web1", everything, b"err"), samples.broken("db1", "connect.refused", "no")],
    )
    assert sorted(file.name for file in path.iterdir()) == [
        "_run.json",
        "db1.json",
        "web1.json",
        "web1.stderr",
        "web1.stdout",
    ]
    assert (path / "web1.stdout").read_bytes() == everything
    assert (path / "web1.stderr").read_bytes() == b"err"
    result = json.loads((path / "web1.json").read_text())
    assert result["status"] == "ok"
    assert result["user"] == "me"
    assert result["files"] == {"stdout": "web1.stdout", "stderr": "web1.stderr"}
    assert "stdout" not in result
    assert json.loads((path / "db1.json").read_text())["failure"]["kind"] == "connect.refused"
    run = json.loads((path / "_run.json").read_text())
    assert run["hosts"] == {"web1": "web1", "db1": "db1"}
    assert run["counts"] == {"ok": 1, "unreachable": 1}
    assert path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}


def test_F38_output_that_comes_live_is_whole(tmp_path):
    """
    F38: what a result has only the head and the tail of is in the file from the first byte on.
    """
    path = tmp_path / "out"
    result = samples.ok("web1", b"headtail", stdout_bytes=3000)
    pieces = [samples.output("web1", letter * 1000) for letter in (b"a", b"b", b"c")]
    write(path, [result], *pieces)
    assert (path / "web1.stdout").read_bytes() == b"a" * 1000 + b"b" * 1000 + b"c" * 1000
    assert json.loads((path / "web1.json").read_text())["truncated"] is False


def test_F38_output_that_does_not_come_live_says_that_it_is_short(tmp_path):
    """
    F38: without live output the file has what was kept, and the result says so.
    """
    path = tmp_path / "out"
    write(path, [samples.ok("web1", b"headtail", stdout_bytes=3000)])
    assert (path / "web1.stdout").read_bytes() == b"headtail"
    assert json.loads((path / "web1.json").read_text())["truncated"] is True


def test_S07_no_name_leaves_the_folder_or_meets_another(tmp_path):
    """
    S07: whatever hosts are called, each has its own files in the folder, also without case.
    """
    path = tmp_path / "out"
    results = [samples.ok(name, b"%d" % n) for n, name in enumerate(HOSTILE_NAMES)]
    write(path, results)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    stems = json.loads((path / "_run.json").read_text())["hosts"]
    assert list(stems) == HOSTILE_NAMES
    assert len({stem.casefold() for stem in stems.values()}) == len(HOSTILE_NAMES)
    for number, name in enumerate(HOSTILE_NAMES):
        assert (path / f"{stems[name]}.stdout").read_bytes() == b"%d" % number
    assert len(list(path.iterdir())) == 3 * len(HOSTILE_NAMES) + 1


def test_S07_file_names_are_plain():
    """
    S07: safe characters only, no dot, dash or underscore at the begin, never too long; ordinary
    names stay as they are.
    """
    stems = file_stems(HOSTILE_NAMES)
    for stem in (*stems.values(), *map(marked, HOSTILE_NAMES)):
        assert set(stem) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-%~"
        )
        assert stem[0] not in "._-"
        assert 0 < len(stem) <= MAX_BYTES
    assert stems["../x"] == "%2E.%2Fx"
    assert file_stems(["web-01.example.com", "h_1"]) == {
        "web-01.example.com": "web-01.example.com",
        "h_1": "h_1",
    }


def test_folder_with_something_in_it_is_refused(tmp_path):
    """
    A second run into the same folder writes nothing over; an empty folder that exists is taken.
    """
    path = tmp_path / "out"
    path.mkdir(mode=0o755)
    write(path, [samples.ok("web1", b"first")])
    with pytest.raises(UsageError, match="not empty"):
        open_folder(str(path))
    assert (path / "web1.stdout").read_bytes() == b"first"


def test_S26_link_file_and_open_folder_are_refused(tmp_path):
    """
    S26: a link to a folder, a file, a folder others write in and a missing parent are no place.
    """
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for name in ("link", "file", "open", "missing/out"):
        with pytest.raises(UsageError):
            open_folder(str(tmp_path / name))
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(UsageError):
        open_folder(str(tmp_path / "open"))
    assert len(os.listdir("/proc/self/fd")) == before


def test_S26_file_put_there_by_another_is_not_followed(tmp_path):
    """
    S26: a link planted while the run goes on is not written through.
    """
    path = tmp_path / "out"
    victim = tmp_path / "victim"
    victim.write_text("safe")
    sink = FolderSink(open_folder(str(path)), str(path))
    sink.handle(RunStarted("R1", "x", (Host("web1"),), samples.at(0)))
    (path / "web1.stdout").symlink_to(victim)
    with pytest.raises(OSError, match=r"out/web1\.stdout"):
        sink.handle(samples.output("web1", b"overwritten"))
    sink.close()
    assert victim.read_text() == "safe"


def test_host_the_run_did_not_announce_has_files_all_the_same(tmp_path):
    """
    A result is not lost for want of a name; a run without a start is written.
    """
    path = tmp_path / "out"
    sink = FolderSink(open_folder(str(path)), str(path))
    result = samples.ok("web1", b"hi")
    sink.handle(HostStarted(result.host, samples.at(0)))
    sink.handle(HostFinished(result, samples.at(0)))
    sink.handle(RunFinished("R1", samples.at(1), 1.0))
    sink.close()
    sink.close()
    assert (path / f"{marked('web1')}.stdout").read_bytes() == b"hi"
