"""
``fleetctl keys rotate`` as people and scripts use it, on real servers.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.shell import PROGRAM, Ended, fleetctl
from tests.fleet.keys.rotating import Pair, Seat, inventory_of, make_pair
from tests.support.accounts import Accounts

pytestmark = pytest.mark.fleet

LIMIT_S = 800.0
#: Users that anybody can log in as by a key.
USERS = (
    *("u-sh", "u-dash", "u-bash", "u-ash", "u-ksh", "u-zsh", "u-csh", "u-tcsh", "u-fish"),
    *("admin", "awkward", "nopass", "nosudo", "limited", "tty", "tty-nopass", "lecture", "usepty"),
    *("rootpw", "targetpw", "one-try", "insults", "doas-pass", "doas-persist", "doas-nopass"),
)


@pytest.fixture
def old(tmp_path):
    return make_pair(tmp_path, "old")


@pytest.fixture
def new(tmp_path):
    return make_pair(tmp_path, "new")


@pytest.fixture
def seats(accounts, old):
    seats = {"web1": Seat(accounts, "u-sh", accounts.host("rotating"))}
    seats["web2"] = Seat(accounts, "u-csh", accounts.host("rotating"))
    for seat in seats.values():
        seat.write(old.line)
    return seats


@pytest.fixture
def rotate(tmp_path, accounts, seats, old):
    """Run the command, logged in with the old key."""
    inventory = str(inventory_of(tmp_path, accounts, seats, old.path))
    return lambda *words: fleetctl("keys", "rotate", *words, "-i", inventory)


def test_a_key_is_exchanged_and_what_comes_next_is_said(seats, rotate, old, new):
    """
    Only the new key logs in afterwards; the hint says where it is to be written, and another try
    finds nothing to do although the old key no longer logs in.
    """
    done = rotate("all", "--old", str(old.path), "--new", str(new.path), "--format", "json")
    assert done.code == 0, done.out + done.err
    assert f"IdentityFile {new.path}" in done.err
    for seat in seats.values():
        assert seat.file.read_bytes() == new.line
        assert seat.lets_in(new)
        assert not seat.lets_in(old)
    again = rotate("all", "--old", str(old.path), "--new", str(new.path), "--format", "json")
    assert again.code == 0, again.out + again.err
    assert [host["changed"] for host in again.results().values()] == [False, False]


def test_the_new_key_can_be_made_on_the_way(seats, rotate, old, tmp_path):
    """
    ``--generate`` makes it, and does not take one that is there.
    """
    fresh = tmp_path / "fresh"
    words = ("all", "--old", str(old.path), "--new", str(fresh), "--generate", "--no-passphrase")
    done = rotate(*words)
    assert done.code == 0, done.out + done.err
    assert seats["web1"].lets_in(Pair(fresh))
    assert rotate(*words).code == 2


def test_check_shows_the_end_and_keeps_no_journal(seats, rotate, old, new, private_home):
    """
    ``-C -D``: the old line goes and the new one comes; nothing is written anywhere.
    """
    done = rotate("all", "--old", str(old.path), "--new", str(new.path), "-C", "-D")
    assert done.code == 0, done.out + done.err
    assert f"-{old.line.decode().strip()}" in done.out
    assert f"+{new.line.decode().strip()}" in done.out
    assert seats["web1"].file.read_bytes() == old.line
    assert not (private_home / ".local/state/fleetctl/keys").exists()


def test_mistakes_are_said_before_anybody_is_contacted(rotate, old, new, tmp_path):
    """
    What is missing, a new key that cannot be proved, one that is the old one, an unknown run.
    """
    alone = tmp_path / "alone.pub"
    alone.write_bytes(make_pair(tmp_path, "other").line)
    for words, message in (
        (("all",), "--old and --new are missing"),
        (("all", "--old", str(old.path), "--new", str(alone)), "its private half is not beside it"),
        (("all", "--old", str(old.path), "--new", str(old.path)), "are the same"),
        (("--resume", "20200101T000000-aaaa"), "there is no journal of a run"),
        (("--resume", "x", "--old", str(old.path)), "has it already"),
    ):
        done = rotate(*words)
        assert (done.code, message in done.err) == (2, True), done.err


@dataclass(frozen=True)
class Broken:
    """
    One host that cannot be rotated.

    Attributes:
        kind: Of its failure.
        words: Its message has them.
        options: Lines of its sshd_config.
        breaks: Does the rest.
    """

    kind: str
    words: str
    options: Mapping[str, str | None]
    breaks: Callable[[Seat], None] = lambda _seat: None


def _own_command(seat: Seat) -> None:
    seat.file.write_bytes(b'command="/bin/echo own" ' + seat.file.read_bytes())


def _hard_link(seat: Seat) -> None:
    os.link(seat.file, seat.home / "other-name")


def _foreign(seat: Seat) -> None:
    os.chown(seat.file, 0, 0)
    seat.file.chmod(0o644)


def _read_only(seat: Seat) -> None:
    seat.file.parent.chmod(0o500)


def _large(seat: Seat) -> None:
    with seat.file.open("ab") as stream:
        stream.write(b"#" * 63 + b"\n")
        stream.truncate(5 * 1024 * 1024)


def _locked(seat: Seat) -> None:
    lock = seat.file.parent / "authorized_keys.fleetctl-lock"
    lock.mkdir(mode=0o700)
    (lock / "note").write_text(f"token elsewhere other-run {int(time.time())}\n")
    os.chown(lock, seat.accounts.uid(seat.user), -1)


@contextmanager
def broken_hosts(accounts: Accounts, old: Pair) -> Iterator[dict[str, tuple[Seat, Broken]]]:
    """Ten hosts, each broken in its own way; the old key logs in to all of them."""
    takes_all = {"AuthorizedKeysCommand": "/bin/echo %t %k", "AuthorizedKeysCommandUser": "nobody"}
    ways = {
        "own-command": Broken("keys.protocol", "own", {}, _own_command),
        "hard-link": Broken("keys.unsafe_path", "links", {}, _hard_link),
        "foreign": Broken("keys.unsafe_path", "belongs", {}, _foreign),
        "read-only": Broken("keys.write", "ermission denied", {}, _read_only),
        "large": Broken("keys.too_large", "bytes", {}, _large),
        "locked": Broken("keys.busy", "other-run", {}, _locked),
        "takes-all": Broken("keys.unverifiable", "made this moment", takes_all),
        "forced": Broken("keys.protocol", "", {"ForceCommand": "/bin/echo forced"}),
        "no-sessions": Broken("session.refused", "", {"MaxSessions": "0"}),
        "only-ed25519": Broken(
            "keys.not_proved",
            "the host is as it was",
            {"PubkeyAcceptedAlgorithms": "ssh-ed25519"},
        ),
    }
    found = {}
    for user, (name, way) in zip(USERS[9:], ways.items(), strict=False):
        host = (
            accounts.host(f"rotate-{name}", **way.options)
            if way.options
            else accounts.host("rotating")
        )
        seat = Seat(accounts, user, host)
        seat.write(old.line)
        way.breaks(seat)
        found[name] = seat, way
    try:
        yield found
    finally:
        for seat, way in found.values():
            seat.file.parent.chmod(0o700)
            if way.options:
                accounts.stop(seat.lab_host)


def good_hosts(accounts: Accounts, old: Pair, count: int) -> dict[str, Seat]:
    """So many users of a few hosts, whose keys are in order."""
    seats = {}
    for number in range(count):
        users = USERS[:9] if number < 9 else USERS
        machine = 0 if number < 9 else 1 + (number - 9) // len(users)
        user = users[(number if number < 9 else number - 9) % len(users)]
        lab_host = (
            accounts.host("rotating") if machine == 0 else accounts.host(f"rotate-many-{machine}")
        )
        seats[f"ok{number:03d}"] = Seat(accounts, user, lab_host)
    for seat in seats.values():
        seat.write(old.line)
    return seats


@pytest.mark.timeout(1000)  # at full size, on a busy machine
def test_most_hosts_rotate_and_each_broken_one_is_explained(
    accounts: Accounts, old: Pair, tmp_path: Path, is_full_size: bool
) -> None:
    """
    Ten hosts are broken in ten ways: each has its own reason, the bytes it had, and the old key
    logs in there still; all others have the new key. --resume then does one that was mended.
    """
    count = 190 if is_full_size else 20
    good = good_hosts(accounts, old, count)
    new = make_pair(tmp_path, "new", "ecdsa")
    with broken_hosts(accounts, old) as broken:
        before = {name: seat.file.read_bytes() for name, (seat, _) in broken.items()}
        seats = good | {name: seat for name, (seat, _) in broken.items()}
        inventory = str(inventory_of(tmp_path, accounts, seats, old.path))
        words = ("--old", str(old.path), "--new", str(new.path), "--format", "json", "--yes")
        done = patiently("keys", "rotate", "all", "-i", inventory, "-f", "12", *words)
        assert done.code in (1, 4), done.err
        results = done.results()
        wrong = [name for name in good if results[name]["failure"]]
        assert [(name, results[name]["failure"]) for name in wrong] == []
        assert {seat.file.read_bytes() for seat in good.values()} == {new.line}
        for name, (seat, way) in broken.items():
            failure = results[name]["failure"]
            assert failure is not None, name
            assert (name, failure["kind"]) == (name, way.kind), failure
            assert way.words in failure["message"], failure
            assert (name, results[name]["changed"]) == (name, False)
            assert seat.file.read_bytes() == before[name], name
            assert seat.logs_in(old), name
        assert "fleetctl keys rotate --resume " in done.err
        [run] = _runs()
        broken["read-only"][0].file.parent.chmod(0o700)
        resumed = fleetctl(
            *("keys", "rotate", "read-only", "--resume", run, "-i", inventory),
            *("--format", "json"),
        )
        assert resumed.code == 0, resumed.out + resumed.err
        assert list(resumed.results()) == ["read-only"]
        assert broken["read-only"][0].file.read_bytes() == new.line


def patiently(*words: str) -> Ended:
    """Run a command line that may take as long as 200 hosts do on a busy machine."""
    done = subprocess.run([*PROGRAM, *words], capture_output=True, check=False, timeout=LIMIT_S)
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


def _runs() -> list[str]:
    folder = Path(os.environ["FLEETCTL_STATE"]) / "keys"
    runs = [path.name for path in folder.iterdir() if path.is_dir()]
    plan = json.loads((folder / runs[0] / "plan.json").read_text())
    assert "PRIVATE" not in json.dumps(plan)
    return runs
