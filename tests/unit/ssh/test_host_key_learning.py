"""
Learning many hosts at once: every one gets its answer, and the file is written a few times only.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.ssh import known_hosts_file
from fleetctl.ssh.host_key_learning import HostKeyLearner
from fleetctl.ssh.identity import ssh_string
from fleetctl.ssh.known_hosts import load_known_hosts
from fleetctl.ssh.known_hosts_file import NewHost, learn_hosts
from tests.unit.ssh.keys import blob


def new(number: int, *, name: str | None = None) -> NewHost:
    key = ssh_string(b"ssh-ed25519") + ssh_string(number.to_bytes(32, "big"))
    return NewHost((name or f"web{number}",), (key,))


def test_S13_hosts_that_come_together_are_written_together(tmp_path, monkeypatch):
    """
    S13: who comes during a write shares the next one; each host has its line and its own verdict.
    """
    file = str(tmp_path / "known_hosts")
    writes: list[int] = []

    def learn(path, hosts):
        writes.append(len(hosts))
        return learn_hosts(path, hosts)

    monkeypatch.setattr(known_hosts_file, "learn_hosts", learn)

    async def main():
        learner = HostKeyLearner()
        found = await asyncio.gather(
            *(learner.learn(file, new(number)) for number in range(300)),
            learner.learn(file, new(999, name="web7")),
        )
        await learner.close()
        return [judgement.verdict for judgement in found]

    assert asyncio.run(main()) == ["trusted"] * 300 + ["changed"]
    assert sum(writes) == 301
    assert len(writes) <= 3
    known = load_known_hosts([file])
    assert all(known.entries(f"web{number}") for number in range(300))


def test_one_that_gives_up_leaves_the_others_their_answer(tmp_path):
    """
    A host whose connection is cancelled while its key is written disturbs no other.
    """
    file = str(tmp_path / "known_hosts")

    async def main():
        learner = HostKeyLearner()
        tasks = [asyncio.ensure_future(learner.learn(file, new(n))) for n in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        await learner.close()
        return found

    first, *others = asyncio.run(main())
    assert isinstance(first, asyncio.CancelledError)
    assert [judgement.verdict for judgement in others] == ["trusted", "trusted"]


def test_a_file_that_cannot_be_written_is_told_to_everybody(tmp_path):
    """
    All who share a write share its error; a bad name is the error of one.
    """

    async def main():
        learner = HostKeyLearner()
        found = await asyncio.gather(
            *(learner.learn(str(tmp_path), new(number)) for number in range(3)),
            learner.learn(str(tmp_path), NewHost(("*",), (blob(),))),
            return_exceptions=True,
        )
        await learner.close()
        return found

    *errors, bad_name = asyncio.run(main())
    assert all(isinstance(error, IsADirectoryError) for error in errors)
    assert isinstance(bad_name, ValueError)
    with pytest.raises(ValueError, match="cannot be written"):
        raise bad_name
