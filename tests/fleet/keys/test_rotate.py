"""
Exchanging a key on real hosts.
"""

from __future__ import annotations

import pytest

from fleetctl.keys.journal import last_step
from tests.fleet.keys.rotating import Seat, journals_in, make_pair, rotation, run_on

pytestmark = pytest.mark.fleet

#: Of every kind of login shell.
USERS = ("u-sh", "u-bash", "u-ash", "u-ksh", "u-csh", "u-fish", "root")


@pytest.fixture
def old(tmp_path):
    return make_pair(tmp_path, "old")


@pytest.fixture
def new(tmp_path):
    return make_pair(tmp_path, "new")


@pytest.mark.parametrize("user", USERS)
def test_the_new_key_takes_the_place_of_the_old_one(accounts, tmp_path, old, new, user):
    """
    OpenSSH's own client gets in with the new key and no longer with the old one; the other lines
    stay byte for byte, and nothing but a backup is left.
    """
    seat = Seat(accounts, user, accounts.host("rotating"))
    seat.write(b"# by hand\r\n", old.line, b"no-such-option x\n")
    journals = journals_in(tmp_path)
    outcome = run_on(seat.host(old), rotation(old, new, journals))
    assert outcome.failure is None
    assert seat.lets_in(new)
    assert not seat.lets_in(old)
    assert seat.file.read_bytes() == b"# by hand\r\nno-such-option x\n" + new.line
    assert outcome.data["proof"] == {old.public.fingerprint: "refused"}
    assert last_step(journals.entries(user)) == "confirmed"
    assert seat.left_over() == []
