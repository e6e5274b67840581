"""
Audits that are kept: what has changed, since when a key is there, and that nobody else reads them.
"""

from __future__ import annotations

import os

import pytest

from fleetctl.keys.audit_store import KEPT, AuditStore, changes
from fleetctl.model.errors import UsageError
from tests.unit.keys.test_findings import ALICE, BOB, audit, entry, user


@pytest.fixture
def store(tmp_path):
    return AuditStore(tmp_path / "state" / "key-audits", find_stranger=lambda path: None)


def keep(store, *audits, at):
    store.save(audits, store.last(), at)


def test_what_was_kept_comes_back_as_it_was(store):
    """
    An audit survives being written and read.
    """
    found = audit(user(entry(ALICE, options=(("from", "10.0.0.1"), ("no-pty", None)))))
    keep(store, found, at=100)
    assert store.last()["web1"].audit == found
    assert store.last({"db1"}) == {}


def test_keys_that_came_went_or_changed_are_told_of_known_hosts_only(store):
    """
    The first audit of a host is no change; a key that expired has gone.
    """
    keep(store, audit(user(entry(ALICE), entry(BOB, 2))), at=100)
    now = [
        audit(user(entry(ALICE, options=(("no-pty", None),)), entry(BOB, 2, state="expired"))),
        audit(user(entry(BOB)), host="new1"),
    ]
    found = {(one.what, one.host, one.fingerprint) for one in changes(now, store.last())}
    assert found == {
        ("options", "web1", ALICE.fingerprint),
        ("went", "web1", BOB.fingerprint),
    }


def test_the_moment_a_key_was_first_seen_is_carried_on(store):
    """
    As long as it stays; one that comes back begins anew. An audit of less forgets nothing.
    """
    keep(store, audit(user(entry(ALICE), entry(BOB))), at=100)
    keep(store, audit(user(entry(ALICE))), at=200)
    keep(store, audit(user(entry(ALICE), entry(BOB))), at=300)
    since = store.last()["web1"].since
    assert since == {("deploy", ALICE.fingerprint): 100, ("deploy", BOB.fingerprint): 300}
    keep(store, audit(is_whole=False), at=400)
    assert store.last()["web1"].since == since


def test_each_host_has_the_last_audit_that_it_was_in(store):
    """
    Audits of different hosts do not hide each other.
    """
    keep(store, audit(user(entry(ALICE)), host="web1"), at=100)
    keep(store, audit(user(entry(BOB)), host="db1"), at=200)
    assert {host: kept.at for host, kept in store.last().items()} == {"web1": 100, "db1": 200}


def test_only_so_many_are_kept(store, tmp_path):
    """
    The oldest go.
    """
    for at in range(KEPT + 5):
        keep(store, audit(), at=at)
    assert len(list((tmp_path / "state" / "key-audits").iterdir())) == KEPT


def test_S25_files_and_folders_are_for_their_owner_alone(store, tmp_path):
    """
    S25: whatever the umask; nothing half written stays.
    """
    before = os.umask(0)
    try:
        keep(store, audit(), at=1)
    finally:
        os.umask(before)
    folder = tmp_path / "state" / "key-audits"
    assert [path.stat().st_mode & 0o777 for path in (folder.parent, folder)] == [0o700] * 2
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


def test_S25_a_place_that_others_can_write_to_is_refused(tmp_path):
    """
    S25: what it says could be theirs; nothing is written.
    """
    store = AuditStore(tmp_path, find_stranger=lambda path: f"{path} can be written by everybody")
    with pytest.raises(UsageError, match="can be written by everybody"):
        store.save([audit()], {}, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", [b"", b"{", b'{"version": 1}', b'{"version": 9, "at": 1}'])
def test_a_damaged_or_newer_file_is_named(store, tmp_path, damage):
    """
    It is neither taken for nothing nor written over.
    """
    keep(store, audit(), at=1)
    [path] = (tmp_path / "state" / "key-audits").iterdir()
    path.write_bytes(damage)
    with pytest.raises(UsageError) as caught:
        store.last()
    assert str(path) in str(caught.value)
