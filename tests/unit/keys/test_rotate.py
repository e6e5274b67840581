"""
Exchanging a key, on a host in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fleetctl.keys.authorized_keys import KeyOption
from fleetctl.keys.guarded import Guarding
from fleetctl.keys.place import DEAD_MAN_S
from fleetctl.keys.revoke import Doomed
from fleetctl.keys.rotate import Exchange, foresee, rotate
from fleetctl.model.errors import FleetError
from fleetctl.model.result import Outcome
from tests.unit.keys.fakes import FakeHost, FakeKey, host_with, lost, make_key, names, rows, why

OLD, NEW, OTHER = make_key("old"), make_key("new"), make_key("other")
GUARDING = Guarding(delays_s=(0, 0))
EXCHANGE = Exchange(NEW.public, "new_file", Doomed(blobs=(OLD.blob,)))


class Killed(BaseException):
    """The controller is gone."""


class Notes:
    """A journal in memory; it outlives whoever wrote it."""

    def __init__(self, fake: FakeHost) -> None:
        self.steps: list[str] = []
        self._fake = fake

    async def note(self, step: str, **facts: object) -> None:
        self._fake.reach(f"journal {step}")
        self.steps.append(step)


def a_host(*keys: FakeKey) -> FakeHost:
    fake = host_with(*(keys or (OLD,)))
    fake.private_halves["new_file"] = NEW.blob
    return fake


def exchange(fake: FakeHost, what: Exchange = EXCHANGE, guarding: Guarding = GUARDING) -> Outcome:
    return asyncio.run(rotate(fake.remote(), fake.file(), what, guarding, Notes(fake)))


def assert_somebody_gets_in(fake: FakeHost) -> None:
    assert fake.takes(OLD.blob) or fake.takes(NEW.blob)


def test_the_new_key_takes_the_place_of_the_old_one():
    """
    Afterwards only the new key logs in; the outcome says what went and what came, and how it was
    proved.
    """
    fake = a_host(OLD, OTHER)
    outcome = exchange(fake)
    assert (outcome.status, outcome.changed, outcome.failure) == ("ok", True, None)
    assert fake.live_blobs() == {NEW.blob, OTHER.blob}
    assert [one["fingerprint"] for one in rows(outcome, "added")] == [NEW.fingerprint]
    assert [one["fingerprint"] for one in rows(outcome, "removed")] == [OLD.fingerprint]
    assert outcome.data["proof"] == {OLD.fingerprint: "refused"}
    assert outcome.data["confirmed_by"] == f"key {NEW.fingerprint}"
    assert outcome.diff is not None
    assert f"-{OLD.line.decode()}" in outcome.diff
    assert f"+{NEW.line.decode()}" in outcome.diff
    assert fake.guards == []
    assert fake.lock is None


def test_the_new_key_is_proved_before_the_old_one_goes():
    """
    The order is: add, a login of nobody's key, one of the new key, remove, a login of the new key,
    confirm, one of the old key.
    """
    fake = a_host()
    journal = Notes(fake)
    asyncio.run(rotate(fake.remote(), fake.file(), EXCHANGE, GUARDING, journal))
    assert journal.steps == [
        *("planned", "adding", "added", "proved", "removing", "removed", "refused", "confirmed")
    ]
    told = [step for step in names(fake.log) if not step.startswith("journal")]
    assert told == [
        *("look", "swap", "login", "login", "exec", "login", "look", "swap", "login"),
        *("confirm", "login"),
    ]


def test_the_new_key_gets_the_options_of_the_old_one():
    """
    What the old key might not do, the new one may not do either, unless it has options itself.
    """
    line = b'restrict,command="backup" ' + OLD.line
    fake = a_host()
    fake.data = line
    exchange(fake)
    assert fake.data == b'restrict,command="backup" ' + NEW.line
    fake.data = line
    own = Exchange(
        make_public_with(NEW, KeyOption("no-pty", None)), "new_file", Doomed(blobs=(OLD.blob,))
    )
    exchange(fake, own)
    assert fake.data == b"no-pty " + NEW.line


def make_public_with(key: FakeKey, *options: KeyOption):
    public = key.public
    return type(public)(public.key_type, public.blob, public.comment, options)


def test_a_key_that_does_not_log_in_is_taken_away_again():
    """
    Where the new key is refused the host is as it was, byte for byte, and the old key works.
    """
    fake = a_host()
    fake.never_live.add(NEW.blob)
    before = fake.data
    with pytest.raises(
        FleetError, match=r"does not log in as deploy.*the host is as it was"
    ) as err:
        exchange(fake)
    assert err.value.kind == "keys.not_proved"
    assert fake.data == before
    assert fake.takes(OLD.blob)


def test_S11_a_host_that_takes_every_key_proves_nothing():
    """
    The negative control fails: unverifiable, and the host is as it was.
    """
    fake = a_host()
    fake.takes_everything = True
    before = fake.data
    with pytest.raises(FleetError) as err:
        exchange(fake)
    assert err.value.kind == "keys.unverifiable"
    assert fake.data == before


def test_a_host_without_the_old_key_gets_no_new_one():
    """
    Where the old key is not authorised there is nothing to exchange, and nothing changes.
    """
    fake = a_host(OTHER)
    before = fake.data
    outcome = exchange(fake)
    assert (outcome.status, outcome.changed, fake.data) == ("ok", False, before)
    assert "nothing to exchange" in str(outcome.data["notes"])


def test_a_second_run_changes_nothing_and_proves_again():
    """
    What is done already is not done twice, but the proof is made.
    """
    fake = a_host()
    exchange(fake)
    fake.session_key = NEW.blob
    after = fake.data
    outcome = exchange(fake)
    assert (outcome.status, outcome.changed, fake.data) == ("ok", False, after)
    assert names(fake.log).count("swap") == 2


def test_an_old_key_that_another_place_grants_is_not_a_success():
    """
    The old key is gone from the file but still logs in: the host is not ok, and says so.
    """
    fake = a_host()
    fake.also_live.add(OLD.blob)
    outcome = exchange(fake)
    assert why(outcome).kind == "keys.still_accepted"
    assert fake.live_blobs() == {NEW.blob}


def test_a_retirement_that_fails_leaves_both_keys():
    """
    The new key was proved; if the old one cannot be removed both log in, and the outcome says that.
    """
    fake = a_host()
    refused = FleetError("keys.no_guard", "no guard stays alive here")
    fake.faults["swap"] = [None, refused]
    outcome = exchange(fake)
    assert why(outcome).kind == "keys.no_guard"
    assert "the new key logs in, but the old one was not taken away" in why(outcome).message
    assert outcome.changed
    assert fake.live_blobs() == {OLD.blob, NEW.blob}


def test_F71_a_file_that_changes_meanwhile_is_looked_at_again():
    """
    Somebody else's key comes in between look and swap, twice: it stays, and ours come through.
    """
    fake = a_host()
    strangers = [make_key("a"), make_key("b")]
    left = list(strangers)

    def write(step: str) -> None:
        if step == "swap" and left:
            fake.data = (fake.data or b"") + left.pop().line

    fake.watchers.append(write)
    assert exchange(fake).status == "ok"
    assert fake.live_blobs() == {NEW.blob, *(key.blob for key in strangers)}


@pytest.mark.parametrize("step", ["swap.done", "swap"])
def test_a_connection_cut_in_a_swap_is_no_riddle(step):
    """
    The answer to a swap is lost: a look tells whether it was done, and it is confirmed or reported.
    """
    fake = a_host()
    fake.faults[step] = [lost(), None]
    if step == "swap":
        with pytest.raises(FleetError, match="lost"):
            exchange(fake)
        assert fake.live_blobs() == {OLD.blob}
    else:
        assert exchange(fake).status == "ok"
        assert fake.live_blobs() == {NEW.blob}
        assert fake.guards == []


def test_check_changes_nothing_and_shows_the_end():
    """
    The diff of check mode goes from the old key to the new one, and no host is written to.
    """
    fake = a_host()
    before = fake.data
    outcome = asyncio.run(foresee(fake.file(), EXCHANGE))
    assert fake.data == before
    assert names(fake.log) == ["look"]
    assert outcome.changed
    assert outcome.diff is not None
    assert f"-{OLD.line.decode()}+{NEW.line.decode()}" in outcome.diff


def steps_of_a_rotation() -> Sequence[str]:
    fake = a_host()
    exchange(fake)
    return fake.log


@pytest.mark.parametrize("number", range(len(steps_of_a_rotation())))
@pytest.mark.parametrize("pause_s", [0, DEAD_MAN_S + 1], ids=["at-once", "later"])
def test_F72_killed_at_any_step_it_locks_nobody_out_and_a_rerun_finishes(number, pause_s):
    """
    The controller dies at each step; at every moment the old or the new key logs in, and the next
    try ends with the new one alone, whether the dead man has acted or not.
    """
    fake = a_host()
    count = 0

    def watch(step: str) -> None:
        nonlocal count
        assert_somebody_gets_in(fake)
        count += 1
        if count == number + 1:
            raise Killed

    fake.watchers.append(watch)
    with pytest.raises(Killed):
        exchange(fake)
    fake.lock = None  # a lock of the dead is taken over
    fake.advance(pause_s)
    assert_somebody_gets_in(fake)
    fake.session_key = OLD.blob if fake.takes(OLD.blob) else NEW.blob
    outcome = exchange(fake)
    assert outcome.failure is None
    assert fake.live_blobs() == {NEW.blob}
    fake.advance(10 * DEAD_MAN_S)
    assert fake.live_blobs() == {NEW.blob}, "a dead man was left behind"
