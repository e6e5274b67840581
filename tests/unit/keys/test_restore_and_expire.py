"""
Putting an older file back, and removing what is due, on a host in memory.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.keys.authorized_keys import AuthorizedKey, parse
from fleetctl.keys.expire import (
    ExpireKeys,
    due_lines,
    expire,
    mark_until,
    remove_lines,
    until_of,
)
from fleetctl.keys.guarded import Guarding, Way
from fleetctl.keys.place import Backup
from fleetctl.keys.restore import RestoreKeys, choose_backup, replace_all, restore
from fleetctl.model.errors import FleetError
from fleetctl.model.result import Outcome
from fleetctl.ssh.fingerprint import md5_fingerprint
from tests.unit.keys.fakes import NOON, FakeHost, host_with, make_key, names, rows, why

MINE, GONE, OTHER = make_key("mine"), make_key("gone"), make_key("other")
GUARDING = Guarding(delays_s=(0,))
WAY = Way(run_id="run")


def with_backups(fake: FakeHost, *versions: bytes) -> FakeHost:
    """Give a host older versions, newest first."""
    fake.old_versions = [
        (
            Backup(f"/home/deploy/.ssh/authorized_keys.fleetctl-{n}", NOON - n, "run", len(data)),
            data,
        )
        for n, data in enumerate(versions, 1)
    ]
    return fake


def put_back(fake: FakeHost, backup: int | str = 1, *, check: bool = False, **more) -> Outcome:
    what = RestoreKeys(backup, WAY, GUARDING, **more)
    return asyncio.run(restore(fake.remote(), fake.file(), what, check=check))


def remove_due(fake: FakeHost, *, check: bool = False) -> Outcome:
    what = ExpireKeys(WAY, now=NOON, guarding=GUARDING)
    return asyncio.run(expire(fake.remote(), fake.file(), what, check=check))


def test_an_older_file_is_put_back_byte_for_byte():
    """
    The outcome says which keys came back and which went; a login confirmed it.
    """
    older = b"# by hand\r\n" + MINE.line + GONE.line
    fake = with_backups(host_with(MINE, OTHER), older)
    outcome = put_back(fake)
    assert fake.data == older
    assert [one["fingerprint"] for one in rows(outcome, "added")] == [GONE.fingerprint]
    assert [one["fingerprint"] for one in rows(outcome, "removed")] == [OTHER.fingerprint]
    assert outcome.data["confirmed_by"] == f"key {MINE.fingerprint}"
    assert fake.guards == []


def test_a_difference_in_a_comment_is_restored_too():
    """
    It is bytes that come back, not only keys; and what is there already changes nothing.
    """
    fake = with_backups(host_with(MINE), b"# old\n" + MINE.line)
    assert put_back(fake).changed
    assert fake.data == b"# old\n" + MINE.line
    fake.old_versions[0] = (fake.old_versions[0][0], fake.data)
    assert not put_back(fake).changed


def test_an_older_file_without_our_key_is_not_put_back():
    """
    The lock-out guard is the same for every change.
    """
    fake = with_backups(host_with(MINE), OTHER.line)
    with pytest.raises(FleetError) as caught:
        put_back(fake)
    assert caught.value.kind == "keys.lockout"
    assert fake.data == MINE.line


@pytest.mark.parametrize(
    "name", [GONE.fingerprint, md5_fingerprint(GONE.blob)], ids=["sha256", "md5"]
)
def test_a_compromised_key_is_not_brought_back(name):
    """
    A version with a key that was revoked as compromised stays where it is.
    """
    fake = with_backups(host_with(MINE), MINE.line + GONE.line)
    with pytest.raises(FleetError, match="revoked as compromised") as caught:
        put_back(fake, compromised=frozenset({name}))
    assert caught.value.kind == "keys.conflict"
    assert "swap" not in fake.log


def test_a_backup_is_named_by_number_or_path():
    """
    1 is the newest; a path or its last part will do; what is not there is said with what is.
    """
    backups = tuple(one for one, _ in with_backups(FakeHost(), b"1", b"2").old_versions)
    assert choose_backup(backups, 2) == backups[1]
    assert choose_backup(backups, backups[1].path) == backups[1]
    assert choose_backup(backups, "authorized_keys.fleetctl-2") == backups[1]
    with pytest.raises(FleetError, match="there are 2 backups and no 3"):
        choose_backup(backups, 3)
    with pytest.raises(FleetError, match="there is no backup"):
        choose_backup((), 1)


def test_keys_count_by_what_they_may_do():
    """
    The same key with other options went and came.
    """
    edit = replace_all(parse(MINE.line), b"restrict " + MINE.line)
    assert [key.blob for key in edit.added] == [MINE.blob]
    assert [line.number for line in edit.removed] == [1]


def test_what_is_due_is_removed_and_proved_gone():
    """
    A line that sshd counts as expired, and one whose comment says so; the others stay.
    """
    fake = host_with(MINE, GONE)
    marked = mark_until(GONE.public, NOON - 1)
    later = mark_until(OTHER.public, NOON + 60)
    old = b'expiry-time="202001010000Z" ' + make_key("old").line
    fake.data = MINE.line + old + marked.render() + b"\n" + later.render() + b"\n"
    outcome = remove_due(fake)
    assert fake.data == MINE.line + later.render() + b"\n"
    assert len(rows(outcome, "removed")) == 2
    assert "refused" in str(outcome.data["proof"])
    fake.advance(120)
    remove_due(fake)
    assert fake.data == MINE.line


def test_an_expired_line_does_not_take_a_live_one_with_it():
    """
    The same key without an end stays, and is not called refused.
    """
    fake = host_with(MINE)
    fake.data = b'expiry-time="20200101" ' + MINE.line + MINE.line
    outcome = remove_due(fake)
    assert fake.data == MINE.line
    assert (outcome.status, outcome.data["proof"]) == ("ok", {})


def test_nothing_due_changes_nothing():
    """
    Checked or not: no swap, no diff.
    """
    fake = host_with(MINE)
    outcome = remove_due(fake)
    assert (outcome.status, outcome.changed, outcome.diff) == ("ok", False, None)
    assert "swap" not in names(fake.log)


def test_a_due_key_that_another_place_grants_is_not_a_success():
    """
    It was removed and logs in nevertheless.
    """
    fake = host_with(MINE, GONE)
    fake.data = MINE.line + mark_until(GONE.public, NOON - 1).render() + b"\n"
    fake.also_live.add(GONE.blob)
    assert why(remove_due(fake)).kind == "keys.still_accepted"


def test_the_mark_in_a_comment_is_read_as_it_was_written():
    """
    A new mark takes the place of an old one; what only looks like one is none.
    """
    key = mark_until(mark_until(GONE.public, NOON), NOON + 60)
    assert key.comment == "gone fleetctl-until=20261121T120100Z"
    assert until_of(key) == NOON + 60
    for comment in ("fleetctl-until=20269999T120100Z", "xfleetctl-until=20261121T120100Z", ""):
        assert until_of(AuthorizedKey("ssh-ed25519", b"", comment)) is None


def test_local_times_go_by_the_clock_of_the_host():
    """
    ``expiry-time`` without Z is local to the host: noon there comes earlier in the east.
    """
    fake = host_with(MINE)
    fake.data = b'expiry-time="202611211259" ' + MINE.line
    for offset, is_due in ((0, False), (3600, True)):
        fake.utc_offset = offset
        look = asyncio.run(fake.file().look())
        assert bool(due_lines(look, parse(look.data), NOON)) is is_due


def test_only_the_named_lines_go():
    """
    By number, whatever else has the same key.
    """
    text = parse(MINE.line + MINE.line + OTHER.line)
    assert remove_lines(text, [text.lines[1]]).data == MINE.line + OTHER.line
