"""
Letting a key in for a while, on a host in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass

import pytest

from fleetctl.keys.deploy import DeployKeys
from fleetctl.keys.deploy_plan import Wanted
from fleetctl.keys.expire import ExpireKeys, until_of
from fleetctl.keys.grant import GrantKeys
from fleetctl.keys.guarding import Guarding, Way
from fleetctl.keys.place import KeysFile
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome
from tests.unit.keys.fakes import NOON, FakeHost, FakeRemote, host_with, make_key

MINE, GUEST = make_key("mine"), make_key("guest")
OLD_SSHD = "OpenSSH_6.6.1p1 Ubuntu-2ubuntu2"
HOUR = 3600


@dataclass(frozen=True, slots=True)
class FakeWay(Way):
    async def open(self, remote: Remote, hint_blobs: Collection[bytes] = ()) -> KeysFile:
        assert isinstance(remote, FakeRemote)
        return remote.fake.file()


WAY = FakeWay("run")


def let_in(fake: FakeHost, until: int = NOON + 2 * HOUR, *, removed_by_us: bool = False) -> Outcome:
    deploy = DeployKeys((Wanted(GUEST.public),), WAY, verify="none")
    grant = GrantKeys(deploy, until, removed_by_us=removed_by_us)
    return asyncio.run(grant.run(fake.remote(), check=False))


def a_host(server_version: str = "OpenSSH_9.2p1") -> FakeHost:
    fake = host_with(MINE)
    fake.server_version = server_version
    return fake


def test_sshd_ends_it_by_itself():
    """
    The line has the end in UTC; when it is over the key logs in no more, with nobody's help.
    """
    fake = a_host()
    outcome = let_in(fake)
    assert outcome.data["ends_by"] == "sshd"
    assert b'expiry-time="20261121140000Z"' in (fake.data or b"")
    assert fake.takes(GUEST.blob)
    fake.advance(3 * HOUR)
    assert not fake.takes(GUEST.blob)


def test_an_older_sshd_is_told_its_local_time():
    """
    Before 9.1 sshd takes no UTC: the end is in the host's own zone.
    """
    fake = a_host("OpenSSH_8.9p1")
    fake.utc_offset = HOUR
    let_in(fake)
    assert b'expiry-time="20261121150000"' in (fake.data or b"")


def test_an_sshd_without_ends_gets_no_key():
    """
    Before 7.7 the line would be dead, or without an end: refused, with what can be done.
    """
    fake = a_host(OLD_SSHD)
    with pytest.raises(FleetError, match="would never end") as caught:
        let_in(fake)
    assert caught.value.kind == "keys.option"
    assert '--remove-with "keys expire"' in (caught.value.failure.hint or "")
    assert fake.data == MINE.line


def test_a_promise_to_remove_it_is_noted_in_the_line():
    """
    The comment says until when; ``keys expire`` takes the key away then, and not before.
    """
    fake = a_host(OLD_SSHD)
    assert let_in(fake, removed_by_us=True).data["ends_by"] == "fleetctl"
    assert fake.takes(GUEST.blob)
    assert b"guest fleetctl-until=20261121T140000Z\n" in (fake.data or b"")

    def expire() -> Outcome:
        operation = ExpireKeys(WAY, now=NOON, guarding=Guarding(delays_s=(0,)))
        return asyncio.run(operation.run(fake.remote(), check=False))

    assert not expire().changed
    fake.advance(3 * HOUR)
    assert expire().changed
    assert fake.data == MINE.line


def test_a_key_that_is_there_already_is_not_said_to_end():
    """
    For good, or until another time: a conflict, whatever the server knows.
    """
    for version, removed_by_us in (("OpenSSH_9.2p1", False), (OLD_SSHD, True)):
        fake = a_host(version)
        fake.data = MINE.line + GUEST.line
        try:
            failure = let_in(fake, removed_by_us=removed_by_us).failure
        except FleetError as error:
            failure = error.failure
        assert failure is not None
        assert (version, failure.kind) == (version, "keys.conflict")
        assert fake.data == MINE.line + GUEST.line


def test_another_end_is_a_conflict_and_the_same_end_is_none():
    """
    Granted twice until the same moment changes nothing; until another one is refused.
    """
    fake = a_host(OLD_SSHD)
    let_in(fake, removed_by_us=True)
    before = fake.data
    assert not let_in(fake, removed_by_us=True).changed
    with pytest.raises(FleetError, match="is there already, until"):
        let_in(fake, NOON + 9 * HOUR, removed_by_us=True)
    assert fake.data == before


def test_a_comment_of_somebody_else_means_no_end():
    """
    Only our own mark counts.
    """
    assert until_of(GUEST.public) is None
