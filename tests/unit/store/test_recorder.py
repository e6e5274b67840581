"""
Recording a run while it goes on: what is promised when, and what bounds it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from fleetctl.model.events import HostFinished, HostStarted, Notice, Output
from fleetctl.model.failure import Failure
from fleetctl.store.types import HostFilter, Retention, StoreLimits
from tests.support.patience import PATIENCE_S
from tests.support.recorded import (
    FACTS,
    NOON,
    finished,
    make_run,
    over,
    run_async,
    web,
    wrote,
)

SECRET = b"hunter2-hunter2"


def test_F73_a_journal_entry_is_committed_before_the_command_may_leave(place):
    """
    When `starting` has returned, the host is unknown for everybody who looks.
    """

    async def main():
        (host,) = web(1)
        recorder = place.recorder()
        await recorder.start(make_run("20260701T120000-aa", [host]), FACTS)
        async with place.history() as history:
            assert [one.ran for one in await history.hosts("last")] == ["no"]
            await recorder.starting(host)
            assert [one.ran for one in await history.hosts("last")] == ["unknown"]
            await recorder.starting(host)  # a second command of the same operation
        await recorder.finish()

    run_async(main)


def test_what_comes_together_is_one_commit(place):
    """
    500 hosts that start at once cost a few transactions, not 500.
    """
    calls = 0

    async def counting(function, *args, **kwargs):
        nonlocal calls
        calls += 1
        return await asyncio.to_thread(function, *args, **kwargs)

    async def main():
        hosts = web(500)
        recorder = place.recorder()
        recorder._in_thread = counting
        await recorder.start(make_run("20260701T120000-aa", hosts), FACTS)
        await asyncio.gather(*map(recorder.starting, hosts))
        await recorder.finish()

    run_async(main)
    assert calls <= 10


def test_where_few_hosts_are_under_way_nobody_is_waited_for(place, monkeypatch):
    """
    Hosts that come one by one are not held up by the time between commits.
    """
    monkeypatch.setattr("fleetctl.store.recorder.PACE_S", 3600.0)

    async def main():
        hosts = web(6)
        results = [wrote(host, b"x") for host in hosts]
        run = make_run("20260701T120000-aa", hosts)
        recorder = place.recorder()
        await recorder.start(run, FACTS)
        for pair in (results[:2], results[2:4], results[4:]):
            await asyncio.gather(*(recorder.starting(result.host) for result in pair))
            await asyncio.gather(*(recorder.record(finished([result])) for result in pair))
        await recorder.record([over(run, results)])
        await recorder.finish(0)
        return recorder.lost

    assert run_async(lambda: asyncio.wait_for(main(), PATIENCE_S)) is None


def test_where_many_hosts_are_under_way_commits_are_apart(place, monkeypatch):
    """
    However single results come in, there are no more commits than the pace allows.
    """
    pace_s = 0.05
    monkeypatch.setattr("fleetctl.store.recorder.PACE_S", pace_s)

    async def main():
        hosts = web(60)
        recorder = place.recorder()
        await recorder.start(make_run("20260701T120000-aa", hosts), FACTS)
        commits = 0
        write = recorder._writer.write

        def counted(batch):
            nonlocal commits
            commits += 1
            write(batch)

        monkeypatch.setattr(recorder._writer, "write", counted)
        begun = asyncio.get_running_loop().time()
        await asyncio.gather(*map(recorder.starting, hosts))

        async def one(number, host):
            await asyncio.sleep(number / 200)
            await recorder.record(finished([wrote(host)]))

        await asyncio.gather(*(one(number, host) for number, host in enumerate(hosts[:50])))
        took_s = asyncio.get_running_loop().time() - begun
        await recorder.finish()
        return commits, took_s

    commits, took_s = run_async(main)
    assert 2 <= commits <= took_s / pace_s + 2


def test_output_as_it_comes_is_not_waited_for(place):
    """
    Events that are not kept cost no commit: a recorder that cannot write does not hold them up.
    """

    async def main():
        (host,) = web(1)
        recorder = place.recorder()
        await recorder.start(make_run("20260701T120000-aa", [host]), FACTS)
        written = recorder._batches.written
        recorder._batches.written = lambda: pytest.fail("waited")
        await recorder.record([HostStarted(host, NOON), Output(host, "stdout", b"x", NOON)])
        recorder._batches.written = written
        await recorder.finish()

    run_async(main)


def test_who_is_cancelled_while_recording_breaks_nothing(place):
    """
    The batch is written all the same, and the run has its end.
    """

    async def main():
        hosts = web(20)
        run = make_run("20260701T120000-aa", hosts)
        recorder = place.recorder()
        await recorder.start(run, FACTS)
        waiting = [asyncio.create_task(recorder.starting(host)) for host in hosts]
        await asyncio.sleep(0)
        for task in waiting[::2]:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        results = [wrote(host) for host in hosts]
        await recorder.record([*finished(results), over(run, results)])
        ending = asyncio.create_task(recorder.finish(130))
        await asyncio.sleep(0)
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        async with place.history() as history:
            (found,) = await history.runs()
            assert (found.state, found.exit_code) == ("finished", 130)

    run_async(main)


def test_one_result_that_cannot_be_stored_does_not_take_the_others_with_it(place, caplog):
    """
    It is left out and counted; all others are there.
    """

    async def main():
        hosts = web(5)
        results = [wrote(host, b"x") for host in hosts]
        bad = replace(results[2], attempts=1 << 80)  # no integer of any database
        recorder = await place.record("20260701T120000-aa", [*results[:2], bad, *results[3:]])
        assert recorder.lost == "the results of 1 hosts are not in the history"
        async with place.history() as history:
            there = await history.hosts("last", HostFilter(has_result=True))
            assert [host.name for host in there] == ["web1", "web2", "web4", "web5"]
            (missing,) = await history.hosts("last", HostFilter(has_result=False))
            assert missing.ran == "unknown"
            assert (await history.find("last")).lost == recorder.lost

    run_async(main)


def test_facts_that_json_does_not_know_are_kept_as_text(place):
    """
    An operation's data of odd types does not lose the result.
    """

    async def main():
        result = wrote(web(1)[0])
        odd = replace(result, outcome=replace(result.outcome, data={"at": NOON, "set": {1}}))
        await place.record("20260701T120000-aa", [odd])
        async with place.history() as history:
            (host,) = await history.hosts("last")
            assert host.data == {"at": str(NOON), "set": "{1}"}

    run_async(main)


def test_S24_what_is_redacted_is_nowhere_in_the_store(place, folder):
    """
    A secret in outputs, messages, facts, notices or the command line is in no file.
    """
    place.redact = lambda data: data.replace(SECRET, b"[secret]")
    text = SECRET.decode()

    async def main():
        (host,) = web(1)
        facts = replace(FACTS, argv=("fleetctl", text), operation={"a": [{text: text}]})
        run = make_run("20260701T120000-aa", [host], label=f"login {text}")
        result = wrote(host, b"1" + SECRET * 20, SECRET, exit_status=1)
        failure = Failure("exec.nonzero", text, text)
        outcome = replace(result.outcome, failure=failure, data={"x": [text]}, diff=text)
        recorder = place.recorder()
        await recorder.start(run, facts)
        event = HostFinished(replace(result, outcome=outcome), NOON)
        await recorder.record([Notice("kind", text, NOON, host, text), event])
        await recorder.record([over(run, [result])])
        for file in folder.rglob("*"):
            assert file.is_dir() or SECRET not in file.read_bytes()
        await recorder.finish(1)
        async with place.history() as history:
            (found,) = await history.hosts("last")
            assert await history.output(found.stdout) == b"1" + b"[secret]" * 20
            assert (await history.find("last")).facts.argv == ("fleetctl", "[secret]")
            assert found.failure is not None
            assert found.failure.message == "[secret]"
            assert found.diff == "[secret]"

    run_async(main)
    for file in folder.rglob("*"):
        assert file.is_dir() or SECRET not in file.read_bytes()


def test_long_output_is_kept_at_both_ends(place):
    """
    Of more than the limit, head and tail are kept; how much was sent is known.
    """
    place.limits = StoreLimits(output_bytes=100)

    async def main():
        a, b = web(2)
        long = b"head" + b"." * 1000 + b"tail"
        same_ends = b"head" + b"!" * 1000 + b"tail"
        await place.record("20260701T120000-aa", [wrote(a, long), wrote(b, same_ends)])
        async with place.history() as history:
            one, two = await history.hosts("last")
            kept = await history.output(one.stdout)
            assert kept is not None
            assert (len(kept), kept[:4], kept[-4:]) == (100, b"head", b"tail")
            assert (one.stdout.sent_bytes, one.stdout.kept_bytes) == (1008, 100)
            # What was cut away tells them apart all the same.
            assert one.class_number != two.class_number

    run_async(main)


def test_a_run_has_a_limit_for_all_its_outputs(place):
    """
    What is beyond is not kept, and hosts that wrote the same are alike still.
    """
    place.limits = StoreLimits(run_bytes=250)

    async def main():
        hosts = web(5)
        results = [wrote(host, b"%d" % min(n, 3) * 100) for n, host in enumerate(hosts)]
        await place.record("20260701T120000-aa", results)
        async with place.history() as history:
            found = await history.hosts("last")
            kept = [host.stdout.kept_bytes for host in found]
            assert kept == [100, 100, 0, 0, 0]
            assert await history.output(found[2].stdout) is None
            assert found[3].class_number == found[4].class_number

    run_async(main)


def test_notices_have_a_limit(place):
    """
    The first are kept; thousands of retries do not fill the disk.
    """
    place.limits = StoreLimits(notices=10)

    async def main():
        (host,) = web(1)
        recorder = place.recorder()
        await recorder.start(make_run("20260701T120000-aa", [host]), FACTS)
        for round_ in range(5):
            await recorder.record([Notice("retry", f"{round_}.{n}", NOON) for n in range(4)])
        await recorder.finish()
        async with place.history() as history:
            assert [one.message for one in await history.notices("last")][-1] == "2.1"

    run_async(main)


def test_old_runs_are_forgotten_at_the_end_of_one(place):
    """
    Retention needs no command of its own.
    """

    async def main():
        for number in range(4):
            await place.record(
                f"2026070{number + 1}T120000-aa",
                [wrote(host, b"%d" % number) for host in web(1)],
                retention=Retention(max_runs=2, max_age=None),
            )
        async with place.history() as history:
            assert [run.id[:8] for run in await history.runs()] == ["20260704", "20260703"]
            assert (await history.verify()).problems == ()
            assert (await history.verify()).outputs == 2

    run_async(main)


def test_one_run_id_is_not_used_twice(place):
    """
    Another run of the same id goes on without a history rather than into somebody else's.
    """

    async def main():
        await place.record("20260701T120000-aa", [wrote(host) for host in web(1)])
        again = await place.record("20260701T120000-aa", [wrote(host) for host in web(2)])
        assert again.lost is not None
        assert "there is another run 20260701T120000-aa" in again.lost
        async with place.history() as history:
            assert len(await history.hosts("last")) == 1

    run_async(main)
