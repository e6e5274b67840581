"""
A host brought to what is declared, on hosts in memory: who gets in, who does not, and what is said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest

from fleetctl.keys.guarded import Guarding
from fleetctl.keys.people import resolve
from fleetctl.keys.people_file import read_people
from fleetctl.keys.place import Target
from fleetctl.keys.sync import SyncKeys
from fleetctl.model.errors import FleetError
from fleetctl.model.result import ExecResult
from tests.unit.keys.fakes import FakeHost, FakeKeysFile, host_with, make_key, rows, why

MINE, ALICE, BOB, OTHER = (make_key(name) for name in ("mine", "alice", "bob", "other"))
BLOCK = b"# BEGIN fleetctl people\n%s# END fleetctl people\n"


@dataclass(frozen=True)
class FakeWay:
    """Gives the file of the host in memory, and notes whose was asked for."""

    asked: list[Target] = field(default_factory=list)
    target: Target = field(default_factory=Target)

    async def open(self, remote):
        self.asked.append(self.target)
        return FakeKeysFile(remote.fake)


@pytest.fixture
def way():
    return FakeWay()


def people_of(**keys):
    return (
        "people: {"
        + ", ".join(f"{name}: '{key.public.render().decode()}'" for name, key in keys.items())
        + "}\n"
    )


def operation(text, way, **options):
    people = read_people(text.encode(), "people.yml")
    problems: list = []
    states = resolve(people, {"all": ("web1",)}, problems)
    assert problems == []
    guarding = Guarding(delays_s=(0,))
    return SyncKeys(states, way, never=people.never, guarding=guarding, **options)


def sync(fake, text, way, *, check=False, **options):
    remote = fake.remote()
    # No command runs on the host in memory, so it is looked at by its files alone.
    remote.answers["exec sh -s"] = ExecResult(exit_status=1, stdout=b"no shell here\n")
    return asyncio.run(operation(text, way, **options).run(remote, check=check))


def rule(who, mode="block"):
    return f"access: [{{who: {who}, hosts: all, users: deploy, mode: {mode}}}]\n"


def test_a_block_is_made_changed_and_taken_out_again(way):
    """
    Lines outside stay byte for byte, and without anybody the file is as it was before.
    """
    fake = host_with(MINE, OTHER)
    before = fake.data or b""
    text = people_of(alice=ALICE, bob=BOB)
    done = sync(fake, text + rule("[alice, bob]"), way)
    assert (done.status, done.changed) == ("ok", True)
    assert fake.data == before + BLOCK % (ALICE.line + BOB.line)
    done = sync(fake, text + rule("bob"), way)
    assert fake.data == before + BLOCK % BOB.line
    [user] = rows(done, "users")
    removed = cast("list[Mapping[str, object]]", user["removed"])
    assert [one["fingerprint"] for one in removed] == [ALICE.fingerprint]
    sync(fake, text + rule("[]"), way)
    assert fake.data == before


def test_a_second_run_changes_nothing(way):
    """
    It writes nothing, and says that all is as declared.
    """
    fake = host_with(MINE)
    text = people_of(alice=ALICE) + rule("alice")
    sync(fake, text, way)
    fake.log.clear()
    done = sync(fake, text, way)
    assert (done.status, done.changed, done.diff) == ("ok", False, None)
    assert "swap" not in fake.log
    assert b"as declared\n" in done.result.stdout


def test_check_shows_the_difference_and_touches_nothing(way):
    """
    The outcome is changed, with a unified diff; the host is only looked at.
    """
    fake = host_with(MINE)
    before = fake.data
    done = sync(fake, people_of(alice=ALICE) + rule("alice"), way, check=True)
    assert (done.changed, fake.data) == (True, before)
    assert f"+{ALICE.line.decode()}" in (done.diff or "")
    assert {"swap", "unlock"}.isdisjoint(fake.log)


def test_additions_leave_no_dead_man_and_removals_do(way):
    """
    Who adds cannot lock anybody out; who takes away logs in anew before the change stands.
    """
    fake = host_with(MINE, OTHER)
    text = people_of(alice=ALICE, mine=MINE)
    done = sync(fake, text + rule("alice"), way)
    assert rows(done, "users")[0]["guard"] is None
    done = sync(fake, text + rule("mine", "exact"), way)
    assert rows(done, "users")[0]["guard"] == "setsid"
    assert rows(done, "users")[0]["confirmed_by"] == f"key {MINE.fingerprint}"
    assert (fake.data, fake.guards) == (MINE.line, [])


def test_the_key_of_the_session_is_not_taken_away(way):
    """
    The lock-out guard refuses it, and nothing is changed.
    """
    fake = host_with(MINE)
    done = sync(fake, people_of(alice=ALICE) + rule("alice", "exact"), way)
    assert (done.status, why(done).kind) == ("failed", "keys.lockout")
    assert fake.data == MINE.line


def test_where_nobody_gets_in_afterwards_the_old_file_comes_back(way):
    """
    StrictModes, an account that is locked: whatever it is, the login tells.
    """
    fake = host_with(MINE, OTHER)
    before = fake.data

    def lock_out(step):
        if step == "swap.done":
            fake.never_live.add(MINE.blob)

    fake.watchers.append(lock_out)
    done = sync(fake, people_of(mine=MINE) + rule("mine", "exact"), way)
    assert (why(done).kind, fake.data) == ("keys.lockout", before)


@pytest.mark.parametrize("mode", ["block", "exact"])
def test_keys_of_absent_people_go_from_anywhere_in_the_file(way, mode):
    """
    Outside of the block too, live or commented out.
    """
    fake = host_with(MINE)
    fake.data = MINE.line + BOB.line + b"# " + BOB.line + b"restrict " + BOB.line
    text = (
        f"people:\n  mine: '{MINE.public.render().decode()}'\n"
        f"  bob: {{absent: yes, keys: ['{BOB.public.render().decode()}']}}\n"
    )
    done = sync(fake, text + rule("mine", mode), way)
    assert done.status == "ok"
    assert fake.data == MINE.line


def test_another_line_with_other_options_is_a_conflict_unless_told(way):
    """
    The line is not ours: it is named, and taken out only with --options replace.
    """
    fake = host_with(MINE)
    fake.data = MINE.line + b"no-pty " + ALICE.line
    before = fake.data
    text = people_of(alice=ALICE) + rule("alice")
    done = sync(fake, text, way)
    assert (why(done).kind, fake.data) == ("keys.conflict", before)
    sync(fake, text, way, on_other_options="replace")
    assert fake.data == MINE.line + BLOCK % ALICE.line


def test_options_that_the_server_does_not_know_are_refused(way):
    """
    They would kill the line; the rule that has them is named.
    """
    fake = host_with(MINE, server_version="OpenSSH_7.1")
    text = people_of(alice=ALICE) + (
        "access: [{who: alice, hosts: all, users: deploy, options: [restrict]}]\n"
    )
    done = sync(fake, text, way)
    assert (why(done).kind, fake.data) == ("keys.option", MINE.line)
    assert "alice (people.yml:2)" in why(done).message


def test_what_one_user_refuses_does_not_stop_the_others(way):
    """
    Every user has its result; the failure names who failed.
    """
    fake = host_with(MINE)
    fake.faults["look"] = [FleetError("keys.no_home", "there is no home")]
    text = people_of(alice=ALICE) + ("access: [{who: alice, hosts: all, users: [gone, deploy]}]\n")
    done = sync(fake, text, way)
    assert (why(done).kind, done.changed) == ("keys.no_home", True)
    assert why(done).message == "gone: there is no home"
    assert [one["user"] for one in rows(done, "users")] == ["gone", "deploy"]
    assert [target.user for target in way.asked] == ["gone", None]


def test_a_host_that_is_gone_is_not_asked_again(way):
    """
    What was not tried is counted.
    """
    fake = host_with(MINE)
    fake.faults["look"] = [FleetError("session.lost", "cut", retryable=True)]
    text = people_of(alice=ALICE) + "access: [{who: alice, hosts: all, users: [a, b, c]}]\n"
    done = sync(fake, text, way)
    assert len(way.asked) == 1
    assert "2 more were not tried" in why(done).message


def test_a_host_without_a_rule_is_left_alone(way):
    """
    It is ok, and unchanged.
    """
    fake = FakeHost(data=MINE.line)
    done = sync(fake, people_of(alice=ALICE), way)
    assert (done.status, done.changed, way.asked) == ("ok", False, [])


def test_F72_a_run_that_was_killed_before_the_confirmation_is_taken_up_again(way):
    """
    F72: the host would put the old file back; the next run confirms it, and only then says that all
    is as declared.
    """
    fake = host_with(MINE, OTHER)
    text = people_of(mine=MINE) + rule("mine", "exact")

    def kill(step):
        if step == "swap.done":
            raise KeyboardInterrupt

    fake.watchers.append(kill)
    with pytest.raises(KeyboardInterrupt):
        sync(fake, text, way)
    assert (fake.data, len(fake.guards)) == (MINE.line, 1)
    fake.watchers.clear()
    done = sync(fake, text, way)
    assert (done.status, done.changed, fake.guards) == ("ok", False, [])
    fake.advance(1000)
    assert fake.data == MINE.line
