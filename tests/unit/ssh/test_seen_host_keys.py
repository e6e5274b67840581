"""
What hosts showed, and where: a small file that is read late, written once, and bounded.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.ssh import seen_host_keys
from fleetctl.ssh.line_file import change_lines, read_lines
from fleetctl.ssh.seen_host_keys import (
    SeenHostKeys,
    Sighting,
    confirm_sightings,
    entry_of,
    forget_hosts,
    forget_inventory,
    read_sightings,
    write_sightings,
)
from tests.support.drive import run_async

INVENTORY = "/inventories/prod.yml"


def host(name: str, *, address: str = "10.0.0.1", origin: str = f"{INVENTORY}:3") -> Host:
    return Host(name, settings=HostSettings(hostname=address, origin={"HostName": origin}))


def after(path: Path, work: Callable[[SeenHostKeys], object]) -> object:
    """Load the file, work with what it says, and save."""

    async def main():
        seen = SeenHostKeys(path)
        await seen.load()
        found = work(seen)
        await seen.save()
        return found

    return run_async(main)


def learn(path: Path, name: str, place: str, key_type: str, fingerprint: str) -> None:
    after(path, lambda seen: seen.learn(host(name), place, key_type, fingerprint))


def test_what_was_seen_is_known_the_next_time(tmp_path):
    """
    Place and keys, in a folder that is made for it, readable by its owner alone.
    """
    path = tmp_path / "state" / "seen-host-keys"
    learn(path, "web1", "[10.0.0.1]:2222", "ssh-ed25519", "SHA256:a")
    learn(path, "web1", "[10.0.0.1]:2222", "ssh-rsa", "SHA256:b")
    expected = Sighting("[10.0.0.1]:2222", {"ssh-ed25519": "SHA256:a", "ssh-rsa": "SHA256:b"})
    assert after(path, lambda seen: seen.of(host("web1"))) == expected
    assert after(path, lambda seen: seen.of(host("web2"))) is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["seen-host-keys"]


def test_a_host_that_moved_keeps_its_keys(tmp_path):
    """
    Whoever was found to be the same host at another address is known there with all its keys.
    """
    path = tmp_path / "seen"
    learn(path, "web1", "10.0.0.1", "ssh-ed25519", "SHA256:a")
    learn(path, "web1", "10.0.0.1", "ssh-rsa", "SHA256:b")
    learn(path, "web1", "10.0.0.2", "ssh-ed25519", "SHA256:a")
    assert read_sightings(path) == {
        (INVENTORY, "web1"): Sighting(
            "10.0.0.2", {"ssh-ed25519": "SHA256:a", "ssh-rsa": "SHA256:b"}
        )
    }


def test_nothing_is_written_if_nothing_is_new(tmp_path):
    """
    A run that sees what is known touches no file; the file is read once for all hosts.
    """
    path = tmp_path / "seen"
    learn(path, "web1", "10.0.0.1", "ssh-ed25519", "SHA256:a")
    before = path.stat().st_mtime_ns, path.stat().st_ino
    learn(path, "web1", "10.0.0.1", "ssh-ed25519", "SHA256:a")
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before

    async def main():
        seen = SeenHostKeys(path)
        await seen.load()
        path.unlink()
        await seen.load()
        return seen.of(host("web1"))

    assert run_async(main) is not None


def test_what_another_process_saw_meanwhile_is_kept(tmp_path):
    """
    Other hosts, and other keys of a host at the same place; of two places the latest counts.
    """
    path = tmp_path / "seen"
    one, other = (INVENTORY, "web1"), (INVENTORY, "web2")
    write_sightings(path, {one: Sighting("a", {"x": "SHA256:1"})})
    write_sightings(path, {other: Sighting("b", {"x": "SHA256:2"})})
    write_sightings(path, {one: Sighting("a", {"y": "SHA256:3"})})
    assert read_sightings(path) == {
        other: Sighting("b", {"x": "SHA256:2"}),
        one: Sighting("a", {"x": "SHA256:1", "y": "SHA256:3"}),
    }
    write_sightings(path, {one: Sighting("c", {"y": "SHA256:3"})})
    assert read_sightings(path)[one] == Sighting("c", {"y": "SHA256:3"})


def test_whoever_vouches_for_a_host_replaces_what_was_known(tmp_path):
    """
    Its old keys and place are gone; other hosts keep theirs. Hosts and inventories are forgotten.
    """
    path = tmp_path / "seen"
    for name in ("web1", "web2", "web3"):
        learn(path, name, "10.0.0.1", "ssh-ed25519", "SHA256:a")
    moved = Sighting("10.0.0.2", {"ssh-rsa": "SHA256:b"})
    confirm_sightings(path, [(host("web1"), moved), (host("10.0.0.1"), moved)])
    assert read_sightings(path)[INVENTORY, "web1"] == moved
    forget_hosts(path, [host("web2"), host("10.0.0.1")])
    assert sorted(name for _, name in read_sightings(path)) == ["web1", "web3"]
    before = path.stat().st_ino
    forget_inventory(path, Path("/inventories/other.yml"))
    assert path.stat().st_ino == before
    forget_inventory(path, Path(INVENTORY))
    assert read_sightings(path) == {}
    forget_inventory(tmp_path / "absent", Path(INVENTORY))
    assert not (tmp_path / "absent").exists()


@pytest.mark.parametrize(
    ("name", "address", "origin", "expected"),
    [
        ("web1", "10.0.0.1", "/a/b.yml:14", ("/a/b.yml", "web1")),
        ("web1", "10.0.0.1", "b.yml:14", ("HERE/b.yml", "web1")),
        ("web1", "10.0.0.1", "../b.yml:14", ("ABOVE/b.yml", "web1")),
        ("web1", "10.0.0.1", "./hosts.py", ("HERE/hosts.py", "web1")),
        ("web1", "10.0.0.1", "/a/b:c.yml:14", ("/a/b:c.yml", "web1")),
        ("web1", "10.0.0.1", "-o", None),
        ("10.0.0.1", "10.0.0.1", "/a/b.yml:14", None),
    ],
)
def test_a_host_is_remembered_by_the_file_that_has_its_address(
    name, address, origin, expected, tmp_path, monkeypatch
):
    """
    However the file was named; not an address from the command line, nor a name that is one.
    """
    monkeypatch.chdir(tmp_path)
    if expected is not None:
        path, name = expected
        path = path.replace("HERE", str(tmp_path)).replace("ABOVE", str(tmp_path.parent))
        expected = path, name
    assert entry_of(host(name, address=address, origin=origin)) == expected


def test_a_host_without_an_address_of_its_own_is_not_remembered(tmp_path):
    """
    Its name is what known_hosts has; nothing can be swapped.
    """
    plain = Host("web1")
    after(tmp_path / "seen", lambda seen: seen.learn(plain, "web1", "ssh-rsa", "SHA256:a"))
    assert not (tmp_path / "seen").exists()


def test_another_hosts_key_is_told(tmp_path):
    """
    A key that was seen under another name of the same inventory, and only such a one.
    """
    path = tmp_path / "seen"
    for name, shown in (("web1", "SHA256:a"), ("web2", "SHA256:b")):
        learn(path, name, "10.0.0.1", "ssh-ed25519", shown)

    def work(seen):
        elsewhere = host("web1", origin="/other.yml:1")
        return [
            seen.is_another_hosts(one, shown)
            for one in (host("web1"), elsewhere)
            for shown in ("SHA256:a", "SHA256:b", "SHA256:c")
        ]

    assert after(path, work) == [False, True, False, False, False, False]


def test_the_oldest_are_forgotten(tmp_path, monkeypatch):
    """
    The file does not grow without bound; a host that changed counts as new.
    """
    monkeypatch.setattr(seen_host_keys, "MAX_HOSTS", 3)
    path = tmp_path / "seen"
    for name in ("web0", "web1", "web2"):
        learn(path, name, "a", "ssh-rsa", "SHA256:a")
    learn(path, "web0", "b", "ssh-rsa", "SHA256:a")
    learn(path, "web9", "a", "ssh-rsa", "SHA256:a")
    assert [name for _, name in read_sightings(path)] == ["web2", "web0", "web9"]


def test_a_damaged_file_is_no_obstacle(tmp_path):
    """
    Lines that make no sense are left out, what cannot be a line is not written, and a file that
    cannot be read or written costs nothing else.
    """
    path = tmp_path / "seen"
    path.write_bytes(
        b"\xff\n\n/a\tweb1\n/a\tweb2\tp\tssh-rsa MD5:x\n/a\tweb3\tp\tssh-rsa SHA256:c\n"
    )
    assert read_sightings(path) == {("/a", "web3"): Sighting("p", {"ssh-rsa": "SHA256:c"})}
    odd = Sighting("p", {"ssh-rsa": "SHA256:c"})
    write_sightings(path, {("/a\tb", "web4"): odd, ("/a", "web\n5"): odd, ("/a" * 5000, "w"): odd})
    assert list(read_sightings(path)) == [("/a", "web3")]
    learn(path / "below-a-file", "web1", "p", "ssh-rsa", "SHA256:a")


def test_of_a_file_that_is_too_long_the_end_counts(tmp_path):
    """
    The latest lines are read, and no line by halves.
    """
    path = tmp_path / "lines"
    path.write_text("".join(f"line {number}\n" for number in range(100)))
    assert read_lines(path, max_bytes=20) == ["line 98", "line 99"]
    change_lines(path, lambda lines: [*lines, "x" * 5000, "new"], max_bytes=20)
    assert path.read_text() == "line 98\nline 99\nnew\n"
