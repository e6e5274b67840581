"""
``fleetctl keys revoke``, ``restore``, ``grant`` and ``expire`` as people and scripts use them, on
real servers.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.shell import Ended, fleetctl, on_terminal
from tests.fleet.keys.rotating import Seat, inventory_of, make_pair

pytestmark = pytest.mark.fleet


@pytest.fixture
def mine(tmp_path):
    return make_pair(tmp_path, "mine")


@pytest.fixture
def gone(tmp_path):
    return make_pair(tmp_path, "gone")


@pytest.fixture
def seats(accounts, mine, gone):
    """Two users whose files have a line by hand, the key that logs in, and one that is to go."""
    lab_host = accounts.host("revoking")
    seats = {"web1": Seat(accounts, "u-sh", lab_host), "web2": Seat(accounts, "u-bash", lab_host)}
    for seat in seats.values():
        seat.write(b"# by hand\n", mine.line, gone.line)
    return seats


@dataclass(frozen=True)
class Keys:
    """Runs keys commands over both hosts."""

    inventory: str

    def __call__(self, command: str, *words: str) -> Ended:
        return fleetctl("keys", command, *words, "-i", self.inventory)


@pytest.fixture
def keys(tmp_path, accounts, seats, mine):
    return Keys(str(inventory_of(tmp_path, accounts, seats, mine.path)))


def test_a_key_is_revoked_everywhere_and_proved_to_be_refused(seats, keys, mine, gone):
    """
    Both hosts say the same, so it is shown once; a second run changes nothing.
    """
    done = keys("revoke", "all", "--key", str(gone.path), "--format", "json")
    assert done.code == 0, done.err
    for name, result in done.results().items():
        assert result["changed"] is True
        assert result["data"]["proof"] == {gone.public.fingerprint: "refused"}
        assert result["data"]["guard"]
        seat = seats[name]
        assert seat.file.read_bytes() == b"# by hand\n" + mine.line
        assert not seat.lets_in(gone)
        assert seat.lets_in(mine)
        assert seat.left_over() == []
    again = keys("revoke", "all", "--key", str(gone.path), "--format", "gather")
    assert again.code == 0
    assert "web[1-2] (2)" in again.out
    assert "nothing to change" in again.out


def test_check_shows_the_diff_and_touches_nothing(seats, keys, gone):
    """
    ``-C -D``: the same bytes, inodes and times afterwards.
    """

    def traces():
        return [
            (stat.st_ino, stat.st_mtime_ns, sorted(seat.file.parent.iterdir()))
            for seat in seats.values()
            for stat in [seat.file.stat()]
        ]

    before = traces()
    done = keys("revoke", "all", "--key", str(gone.path), "-C", "-D", "--format", "gather")
    assert done.code == 0, done.err
    assert f"-{gone.line.decode().strip()}" in done.out
    assert traces() == before


def test_the_key_that_logs_in_is_not_revoked(seats, keys, mine):
    """
    The lock-out guard refuses, says why, and how to go on; the number of hosts overrules it.
    """
    before = {name: seat.file.read_bytes() for name, seat in seats.items()}
    done = keys("revoke", "web1", "--key", str(mine.path))
    assert done.code == 1
    assert "this session logged in as u-sh with the key SHA256:" in done.out + done.err
    assert {name: seat.file.read_bytes() for name, seat in seats.items()} == before
    refused = keys("revoke", "web1", "--key", str(mine.path), "--force")
    assert refused.code == 2
    assert "--yes-lock-out 1" in refused.err
    wrong = keys("revoke", "web1", "--key", str(mine.path), "--force", "--yes-lock-out", "2")
    assert wrong.code == 2
    assert "is not the number of the hosts, which is 1" in wrong.err
    forced = keys("revoke", "web1", "--key", str(mine.path), "--force", "--yes-lock-out", "1")
    assert forced.code == 0, forced.out + forced.err
    assert not seats["web1"].lets_in(mine)


def test_a_comment_only_finds_candidates(seats, keys, gone):
    """
    A script is told the fingerprints and nothing changes; a person is shown them, and asked.
    """
    before = seats["web1"].file.read_bytes()
    script = keys("revoke", "all", "--comment", "go*")
    assert script.code == 2
    assert f"--fingerprint {gone.public.fingerprint}" in script.err
    assert "nothing was changed" in script.err
    assert seats["web1"].file.read_bytes() == before
    with on_terminal("keys", "revoke", "all", "--comment", "go*", "-i", keys.inventory) as screen:
        screen.read_until("Type the number of these keys")
        screen.type("1\n")
        assert screen.wait().code == 0
    assert not seats["web1"].lets_in(gone)


def test_a_compromised_key_is_not_restored(seats, keys, mine, gone):
    """
    An ordinary revocation can be undone from the backup; that of a compromised key cannot.
    """
    before = seats["web1"].file.read_bytes()
    keys("revoke", "web1", "--key", str(gone.path))
    listed = keys("restore", "web1", "--list", "--format", "json")
    [backup] = listed.results()["web1"]["data"]["backups"]
    assert backup["size"] == len(before)
    restored = keys("restore", "web1")
    assert restored.code == 0, restored.out + restored.err
    assert seats["web1"].file.read_bytes() == before
    assert keys("revoke", "web1", "--key", str(gone.path), "--compromised").code == 0
    refused = keys("restore", "web1")
    assert refused.code == 1
    assert "revoked as compromised" in refused.out + refused.err
    assert not seats["web1"].lets_in(gone)


def test_mistakes_are_said_before_anybody_is_contacted(keys, gone):
    """
    No key, no fingerprint, nobody of that name: exit 2.
    """
    for words, message in (
        ((), "no key is named"),
        (("--fingerprint", "SHA256:x"), "not a fingerprint"),
        (("--owner", "alice"), "no people.yml"),
        (("--key", "/nowhere.pub"), "No such file"),
        (("--key", str(gone.path), "--yes-lock-out", "3"), "only --force asks"),
    ):
        done = keys("revoke", "all", *words)
        assert (done.code, message in done.err) == (2, True), done.err


def test_a_key_is_granted_for_a_while(seats, keys, tmp_path, accounts):
    """
    It logs in until its time is over, by sshd's own clock; expire removes the line.
    """
    seat, guest = seats["web1"], make_pair(tmp_path, "guest")
    end = datetime.now(UTC) + timedelta(seconds=8)
    words = ("guest", "--on", "web1", "--for", f"{end:%Y-%m-%dT%H:%M:%SZ}")
    done = keys("grant", *words, "--key", str(guest.path), "--format", "json")
    assert done.code == 0, done.out + done.err
    assert done.results()["web1"]["data"]["ends_by"] == "sshd"
    assert f'expiry-time="{end:%Y%m%d%H%M%S}Z"'.encode() in seat.file.read_bytes()
    while datetime.now(UTC) < end + timedelta(seconds=2):
        time.sleep(0.2)
    assert not seat.lets_in(guest)
    before = seat.file.read_bytes()
    done = keys("expire", "all", "--format", "json")
    assert done.code == 0, done.out + done.err
    assert [host["changed"] for host in done.results().values()] == [True, False]
    assert seat.file.read_bytes() == b"".join(before.splitlines(keepends=True)[:-1])


def test_a_key_of_people_yml_is_meant_by_its_owner(seats, keys, tmp_path, gone):
    """
    ``--owner`` takes all keys that the file has of somebody.
    """
    people = tmp_path / "people.yml"
    people.write_text(json.dumps({"people": {"alice": {"keys": [gone.line.decode().strip()]}}}))
    done = keys("revoke", "all", "--people", str(people), "--owner", "alice")
    assert done.code == 0, done.out + done.err
    assert not seats["web2"].lets_in(gone)
    unknown = keys("revoke", "all", "--people", str(people), "--owner", "alicia")
    assert unknown.code == 2
    assert "did you mean alice" in unknown.err
