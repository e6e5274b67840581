"""
What every store promises, whichever database it is in. Run by test modules that have one.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.model.events import Notice
from fleetctl.model.failure import Failure
from fleetctl.model.host import Host
from fleetctl.store.answers import GrepQuery
from fleetctl.store.types import HostFilter, Retention, StoredOutput
from tests.support.recorded import (
    FACTS,
    NOON,
    Place,
    finished,
    gave_up,
    make_run,
    over,
    truncated,
    web,
    wrote,
)


async def what_was_recorded_is_read_back(place: Place) -> None:
    a, b, c = web(3)
    long = truncated(wrote(b, b"x" * 1000, b"caf\xe9\0\x1b[31m", exit_status=3))
    failure = Failure("connect.refused", "refused \udce9\0", "look", retryable=True, hop="gw")
    lost = gave_up(c, "connect.refused")
    lost = replace(lost, outcome=replace(lost.outcome, failure=failure, data={"n": [1, None]}))
    run = make_run("20260701T120000-aa", [a, b, c], label="what\0ever")
    recorder = place.recorder()
    await recorder.start(run, FACTS)
    results = [wrote(a, b"up\n"), long, lost]
    await recorder.record([Notice("retry", "again", NOON, a, "why"), *finished(results)])
    await recorder.record([over(run, results, interrupted_by="INT")])
    await recorder.finish(4)
    assert (recorder.lost, place.warnings) == (None, [])
    async with place.history() as history:
        (found,) = await history.runs()
        assert (found.state, found.exit_code, found.interrupted_by) == ("finished", 4, "INT")
        assert (found.counts, found.host_count) == ({"ok": 1, "failed": 1, "unreachable": 1}, 3)
        assert (found.facts, found.duration_s, found.finished_at) == (FACTS, 1.5, NOON)
        one, two, three = await history.hosts("last")
        assert (one.name, one.status, one.ran, one.changed) == ("web1", "ok", "yes", True)
        assert (one.phases, one.started_at) == (results[0].phases, NOON)
        assert (one.address, one.port, one.duration_s) == ("10.0.0.7", 22, 0.25)
        assert await history.output(one.stdout) == b"up\n"
        assert await history.output(one.stderr) == b""
        assert await history.output(two.stdout) == b"x" * 1000
        assert await history.output(two.stderr) == b"caf\xe9\0\x1b[31m"
        assert (two.exit_status, two.truncated, two.stdout.sent_bytes) == (3, True, 1100)
        assert three.failure == failure
        assert (three.data, three.ran) == ({"n": [1, None]}, "no")
        (notice,) = await history.notices("last")
        assert (notice.kind, notice.host, notice.hint) == ("retry", "web1", "why")
        assert (await history.verify()).problems == ()


async def a_host_may_have_run_from_before_its_command_leaves(place: Place) -> None:
    a, b, c = web(3)
    await place.lose("20260701T120000-aa", done=[wrote(a, b"1")], begun=[b], rest=[c])
    async with place.history() as history:
        (run,) = await history.runs()
        assert (run.state, run.finished_at, run.counts) == ("lost", None, {"ok": 1})
        assert [host.ran for host in await history.hosts("last")] == ["yes", "unknown", "no"]
        left = await history.resumption("last")
        assert (left.done, left.unknown, left.waiting) == (("web1",), ("web2",), ("web3",))
        assert left.run.facts.argv == FACTS.argv
        assert (await history.verify()).problems == ()


async def a_run_that_goes_on_is_no_lost_one(place: Place) -> None:
    recorder = place.recorder()
    await recorder.start(make_run("20260701T120000-aa", web(2)), FACTS)
    async with place.history() as history:
        assert [run.state for run in await history.runs()] == ["running"]
        assert (await history.prune(Retention(max_runs=0), who="bob")).runs == ()
    await recorder.finish()
    async with place.history() as history:
        assert [run.state for run in await history.runs()] == ["lost"]


async def a_result_can_be_read_when_it_is_recorded(place: Place) -> None:
    hosts = web(50)
    recorder = place.recorder()
    await recorder.start(make_run("20260701T120000-aa", hosts), FACTS)
    async with place.history() as history:

        async def one(host: Host) -> None:
            await recorder.starting(host)
            (mine,) = await history.hosts("last", HostFilter(names=(host.name,)))
            assert mine.ran == "unknown"
            await recorder.record(finished([wrote(host, host.name.encode())]))
            (mine,) = await history.hosts("last", HostFilter(names=(host.name,)))
            assert (mine.ran, mine.status) == ("yes", "ok")

        await asyncio.gather(*map(one, hosts))
    await recorder.finish()


async def equal_outputs_are_stored_once(place: Place) -> None:
    await place.record("20260701T120000-aa", [wrote(host, b"same" * 100) for host in web(200)])
    await place.record("20260702T120000-bb", [wrote(host, b"same" * 100) for host in web(200)])
    async with place.history() as history:
        assert (await history.verify()).outputs == 1
        (one,) = await history.classes("last")
        assert len(one.names) == 200


async def classes_are_numbered_by_size(place: Place) -> None:
    a, b, c, d, e = web(5)
    results = [wrote(a, b"odd"), wrote(b, b"x"), wrote(c, b"x"), gave_up(d, "connect.refused")]
    await place.record("20260701T120000-aa", [*results, gave_up(e, "connect.refused", "other")])
    async with place.history() as history:
        classes = await history.classes("last")
        assert [found.names for found in classes] == [("web2", "web3"), ("web4", "web5"), ("web1",)]
        assert await history.names("last", "class3") == ("web1",)
        assert await history.names("last", "unreachable") == ("web4", "web5")
        assert await history.names("last", "changed") == ("web1", "web2", "web3")
        assert await history.names("last", "failed") == ()
        two = await history.hosts("last", HostFilter(class_number=2))
        assert [host.name for host in two] == ["web4", "web5"]
        for word in ("class4", "odd"):
            with pytest.raises(UsageError, match="class"):
                await history.names("last", word)


async def runs_are_found_by_name(place: Place) -> None:
    for run_id in ("20260701T120000-aa", "20260701T120000-ab", "20260702T120000-aa"):
        await place.record(run_id, [wrote(host) for host in web(1)])
    async with place.history() as history:
        assert (await history.find("last")).id == "20260702T120000-aa"
        assert (await history.find("last~2")).id == "20260701T120000-aa"
        assert (await history.find("20260702")).id == "20260702T120000-aa"
        for name in ("last~3", "20260701", "x", "", "2026%"):
            with pytest.raises(UsageError):
                await history.find(name)
        assert [run.id[-2:] for run in await history.runs(limit=2)] == ["aa", "ab"]
        assert await history.runs(label="nothing") == ()


async def the_last_run_is_not_one_of_this_process(place: Place) -> None:
    await place.record("20260701T120000-aa", [wrote(host) for host in web(1)])
    recorder, other = place.recorder(), place.recorder()
    own = replace(FACTS, pid=os.getpid(), controller=socket.gethostname())
    await recorder.start(make_run("20260702T120000-bb", web(1)), own)
    async with place.history() as history:
        assert (await history.find("last")).id == "20260701T120000-aa"
        assert (await history.runs())[0].id == "20260702T120000-bb"
        with pytest.raises(UsageError, match="1 are recorded"):
            await history.find("last~1")
        await other.start(make_run("20260703T120000-cc", web(1)), FACTS)
        assert (await history.find("last")).id == "20260703T120000-cc"
        await recorder.finish()
        await other.finish()
    async with place.history() as history:
        assert (await history.find("last~1")).id == "20260702T120000-bb"


async def two_runs_are_compared_host_by_host(place: Place) -> None:
    a, b, c, d = web(4)
    old = [wrote(host, b"kernel 1\nup\n") for host in (a, b, c)]
    new = [wrote(a, b"kernel 2\nup\n"), wrote(b, b"kernel 2\nup\n"), wrote(c, b"kernel 1\nup\n")]
    await place.record("20260701T120000-aa", old)
    await place.record("20260702T120000-bb", [*new, wrote(d)])
    async with place.history() as history:
        found = await history.diff("last~1", "last")
        (change,) = found.changes
        assert (change.names, found.same, found.only_after) == (
            ("web1", "web2"),
            ("web3",),
            ("web4",),
        )
        assert {"-kernel 1", "+kernel 2", " up"} <= set(change.stdout_diff)
        assert change.stderr_diff == ()
        assert change.stdout_diff[2] == "@@ -1,2 +1,2 @@"


async def an_output_that_ends_without_a_newline_is_compared_by_its_lines(place: Place) -> None:
    (a,) = web(1)
    for number, output in enumerate((b"one\ntwo\n", b"one\ntwo\nthree", b"")):
        await place.record(f"2026070{number + 1}T120000-aa", [wrote(a, output)])
    async with place.history() as history:
        more = (await history.diff("last~2", "last~1")).changes[0].stdout_diff
        assert more[2:] == ("@@ -1,2 +1,3 @@", " one", " two", "+three")
        less = (await history.diff("last~2", "last")).changes[0].stdout_diff
        assert less[2:] == ("@@ -1,2 +0,0 @@", "-one", "-two")


async def outputs_are_searched_once_for_all_hosts(place: Place) -> None:
    a, b, c = web(3)
    results = [wrote(a, b"one\nError 7\n"), wrote(b, b"one\nError 7\n"), wrote(c, b"", b"error 8")]
    await place.record("20260701T120000-aa", results)
    async with place.history() as history:
        found = await history.grep(GrepQuery("error [0-9]", ignore_case=True))
        hits = [(hit.names, hit.stream, hit.line_number, hit.line) for hit in found.hits]
        assert hits == [
            (("web1", "web2"), "stdout", 2, "Error 7"),
            (("web3",), "stderr", 1, "error 8"),
        ]
        assert (await history.grep(GrepQuery(".", max_hits=1))).stopped == "1 hits"
        assert (await history.grep(GrepQuery("(a+)+$", limit_s=0))).stopped == "0 s"
        with pytest.raises(UsageError, match="regular expression"):
            await history.grep(GrepQuery("("))


async def old_runs_go_with_the_outputs_that_only_they_need(place: Place) -> None:
    (a,) = web(1)
    for number, output in enumerate((b"old" * 100, b"kept" * 100, b"kept" * 100)):
        await place.record(f"2026070{number + 1}T120000-aa", [wrote(a, output)])
    async with place.history() as history:
        wanted = Retention(max_runs=1, max_age=None, max_bytes=None)
        planned = await history.prune(wanted, who="bob", dry_run=True)
        assert len(planned.runs) == 2
        assert len(await history.runs()) == 3
        gone = await history.prune(wanted, who="bob")
        assert (gone.runs, gone.outputs) == (planned.runs, 1)
        (left,) = await history.runs()
        (host,) = await history.hosts(left.id)
        assert await history.output(host.stdout) == b"kept" * 100
        assert (await history.verify()).problems == ()
        gone = await history.prune(Retention(max_bytes=0), who="bob")
        assert gone.runs == (left.id,)
        assert await history.runs() == ()
        young = Retention(max_age=timedelta(days=1))
        assert (await history.prune(young, who="bob")).runs == ()


async def several_write_at_once(place: Place) -> None:
    async def one(number: int) -> None:
        hosts = web(20)
        run_id = f"20260701T120000-{number:02}"
        await place.record(run_id, [wrote(host, b"%d" % (n % 3)) for n, host in enumerate(hosts)])

    await asyncio.gather(*map(one, range(4)))
    async with place.history() as history:
        runs = await history.runs()
        assert [run.state for run in runs] == ["finished"] * 4
        verified = await history.verify()
        assert (verified.problems, verified.entries, verified.outputs) == ((), 8, 3)


async def an_output_that_is_not_kept_is_told_from_an_empty_one(place: Place) -> None:
    (a,) = web(1)
    await place.record("20260701T120000-aa", [wrote(a, b"x")])
    async with place.history() as history:
        assert await history.output(StoredOutput()) == b""
        assert await history.output(StoredOutput("ab" * 32, 5, 0)) is None


PROMISES: list[Callable[[Place], Awaitable[None]]] = [
    what_was_recorded_is_read_back,
    a_host_may_have_run_from_before_its_command_leaves,
    a_run_that_goes_on_is_no_lost_one,
    a_result_can_be_read_when_it_is_recorded,
    equal_outputs_are_stored_once,
    classes_are_numbered_by_size,
    runs_are_found_by_name,
    the_last_run_is_not_one_of_this_process,
    two_runs_are_compared_host_by_host,
    an_output_that_ends_without_a_newline_is_compared_by_its_lines,
    outputs_are_searched_once_for_all_hosts,
    old_runs_go_with_the_outputs_that_only_they_need,
    several_write_at_once,
    an_output_that_is_not_kept_is_told_from_an_empty_one,
]
