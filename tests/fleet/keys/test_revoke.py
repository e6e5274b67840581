"""
Taking keys away on real hosts: as another user, by dropbear, by SFTP, and with nobody to confirm.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from fleetctl.keys.deploy import DeployKeys
from fleetctl.keys.deploy_plan import Wanted
from fleetctl.keys.expire import ExpireKeys
from fleetctl.keys.guarding import Guarding
from fleetctl.keys.place import Target
from fleetctl.keys.restore import ListBackups, RestoreKeys
from fleetctl.keys.revoke import Doomed, RevokeKeys
from tests.fleet.keys.rotating import WAY, Seat, make_pair, run_on
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def mine(tmp_path):
    return make_pair(tmp_path, "mine")


@pytest.fixture
def gone(tmp_path):
    return make_pair(tmp_path, "gone")


def doomed(pair):
    return Doomed((pair.blob,), private_files={pair.public.fingerprint: str(pair.path)})


@pytest.mark.parametrize(
    "before",
    [b"", b"# no newline", b"# one\r\n\r\n", b"\xff\x00 odd\n", b"\xef\xbb\xbf# bom\n\n\n"],
    ids=["empty", "torn", "crlf", "odd", "bom"],
)
def test_F66_deploy_then_revoke_gives_the_original_bytes(accounts, mine, gone, before):
    """
    Whatever stood in the file: what one command has added, the other takes out again.
    """
    seat = Seat(accounts, "u-sh", accounts.host("keys"))
    seat.write(mine.line + before)
    original = seat.file.read_bytes()
    host = seat.host(mine)
    done = run_on(host, DeployKeys((Wanted(gone.public, str(gone.path)),), WAY))
    assert done.failure is None
    assert seat.logs_in(gone)
    done = run_on(host, RevokeKeys(doomed(gone), WAY))
    assert done.failure is None
    assert seat.file.read_bytes() == original
    assert not seat.logs_in(gone)


def test_S27_root_takes_a_key_of_another_user_away(accounts, gone):
    """
    As that user, whose file keeps its owner and mode; root's own way in is not touched.
    """
    lab_host = accounts.host("keys")
    other, root = Seat(accounts, "nosudo", lab_host), Seat(accounts, "root", lab_host)
    fleet_key = accounts.settings("root", lab_host).identity_files[0]
    with open(f"{fleet_key}.pub", "rb") as stream:
        own = stream.read()
    root.write(own)
    other.write(b"# theirs\n", gone.line)
    way = replace(WAY, target=Target("nosudo"))
    done = run_on(accounts.model_host("root", lab_host), RevokeKeys(doomed(gone), way))
    assert done.failure is None
    assert done.data["user"] == "nosudo"
    assert done.data["proof"] == {gone.public.fingerprint: "refused"}
    assert other.file.read_bytes() == b"# theirs\n"
    assert other.file.stat().st_uid == accounts.uid("nosudo")
    assert other.left_over() == []


def test_a_key_is_revoked_on_dropbear(accounts, mine, gone):
    """
    The same steps, the same proof, another server.
    """
    seat = Seat(accounts, "u-ash", accounts.dropbear("keys-dropbear"))
    seat.write(mine.line, gone.line)
    done = run_on(seat.host(mine), RevokeKeys(doomed(gone), WAY))
    assert done.failure is None
    assert seat.file.read_bytes() == mine.line
    assert done.data["proof"] == {gone.public.fingerprint: "refused"}
    assert done.data["guard"]


def test_without_a_shell_no_dead_man_can_be_left(accounts, mine, gone):
    """
    By SFTP the removal is refused, and done when somebody says that it is to be without.
    """
    seat = Seat(accounts, "u-nologin", accounts.host("keys"))
    seat.write(mine.line, gone.line)
    refused = run_on(seat.host(mine), RevokeKeys(doomed(gone), WAY))
    assert refused.failure is not None
    assert refused.failure.kind == "keys.no_guard"
    assert seat.file.read_bytes() == mine.line + gone.line
    done = run_on(seat.host(mine), RevokeKeys(doomed(gone), WAY, Guarding(dead_man_s=None)))
    assert done.failure is None
    assert seat.file.read_bytes() == mine.line
    assert done.data["proof"] == {gone.public.fingerprint: "refused"}


def test_a_real_dead_man_puts_the_file_back(accounts, mine, gone, monkeypatch):
    """
    The controller goes away before it has confirmed: the host itself brings the old file back.
    """
    seat = Seat(accounts, "u-sh", accounts.host("keys"))
    seat.write(mine.line, gone.line)
    operation = RevokeKeys(doomed(gone), WAY, Guarding(dead_man_s=5))

    async def never(*_: object) -> None:
        raise ConnectionAbortedError

    monkeypatch.setattr("fleetctl.keys.guarded.confirm", never)
    with pytest.raises(ConnectionAbortedError):
        run_on(seat.host(mine), operation)
    assert seat.file.read_bytes() == mine.line
    until = time.monotonic() + PATIENCE_S
    while seat.file.read_bytes() != mine.line + gone.line:
        assert time.monotonic() < until
        time.sleep(0.1)
    assert seat.logs_in(gone)


def test_any_of_the_last_files_is_put_back(accounts, mine, gone):
    """
    Backups are listed, newest first, and the first of them undoes the last change.
    """
    seat = Seat(accounts, "u-bash", accounts.host("keys"))
    seat.write(mine.line, gone.line)
    host = seat.host(mine)
    assert run_on(host, RevokeKeys(doomed(gone), WAY)).failure is None
    listed = run_on(host, ListBackups(WAY))
    assert len(listed.data["backups"]) == 1  # type: ignore[arg-type]  # a list
    done = run_on(host, RestoreKeys(1, WAY))
    assert done.failure is None
    assert seat.file.read_bytes() == mine.line + gone.line
    assert seat.logs_in(gone)


def test_what_is_due_goes_by_the_hosts_clock(accounts, mine, gone):
    """
    A key whose time was over in 2020 is removed; the one that logs in stays.
    """
    seat = Seat(accounts, "u-ksh", accounts.host("keys"))
    seat.write(mine.line, b'expiry-time="20200101" ' + gone.line)
    done = run_on(seat.host(mine), ExpireKeys(WAY, now=0))
    assert done.failure is None
    assert seat.file.read_bytes() == mine.line
