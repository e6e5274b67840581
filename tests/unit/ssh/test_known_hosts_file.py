"""
known_hosts: lines that are added, replaced and taken out without harm to the others.
"""

from __future__ import annotations

import base64
import fcntl
import os
import shutil
import subprocess
import sys

import pytest

from fleetctl.ssh import known_hosts_file, locked_file
from fleetctl.ssh.known_hosts import load_known_hosts
from fleetctl.ssh.known_hosts_file import (
    NewHost,
    add_keys,
    check_name,
    learn_hosts,
    learn_key,
    remove_host,
    render_line,
    replace_host,
)
from tests.unit.ssh.keys import ECDSA, ED25519, RSA, blob, hashed, line, verdict

ODD_LINES = (
    "# a comment\n\n",
    "not a line\n",
    "web1 ssh-ed25519 AAAAtorn\n",
    "@unknown web1 " + line("x").split(" ", 1)[1],
    "@revoked " + line("web1", seed=8),
    "@cert-authority " + line("web1", seed=9),
    line("web*", seed=7),
    line("web2", seed=3),
)


def write(tmp_path, *lines) -> str:
    file = tmp_path / "known_hosts"
    file.write_text("".join(lines))
    return str(file)


# -- adding


def test_S13_four_processes_that_learn_two_hundred_hosts_lose_none(tmp_path):
    """
    S13: writers at the same time each get their lines, whole, and each host has one.
    """
    file = tmp_path / "known_hosts"
    script = """
import sys
from fleetctl.ssh.identity import ssh_string
from fleetctl.ssh.known_hosts_file import learn_key
file, own = sys.argv[1], int(sys.argv[2])
# Each learns its own fifty, and the first ten of the others as well.
for number in [*range(own * 50, own * 50 + 50), *(n * 50 + i for n in range(4) for i in range(10))]:
    name = f"web{number}"
    blob = ssh_string(b"ssh-ed25519") + ssh_string(number.to_bytes(32, "big"))
    assert learn_key(file, (name,), blob, hashed=number % 2 == 1).verdict == "trusted"
"""
    writers = [
        subprocess.Popen([sys.executable, "-c", script, str(file), str(number)])
        for number in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0, 0]
    assert len(file.read_text().splitlines()) == 200
    known = load_known_hosts([str(file)])
    assert known.warnings == []
    assert all(len(known.entries(f"web{number}")) == 1 for number in range(200))


def test_S13_a_writer_killed_at_any_time_leaves_whole_lines(tmp_path):
    """
    S13: whatever was being written when a process died, every line that was there is still whole.
    """
    file = tmp_path / "known_hosts"
    file.write_text(line("web1"))
    script = """
import sys
from fleetctl.ssh.identity import ssh_string
from fleetctl.ssh.known_hosts_file import learn_key, replace_host
print(flush=True)
for number in range(100000):
    blob = ssh_string(b"ssh-ed25519") + ssh_string(number.to_bytes(32, "big"))
    learn_key(sys.argv[1], (f"n{number}",), blob, hashed=False)
    replace_host(sys.argv[1], f"n{number % 7}", [blob], hashed=False)
"""
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            size = file.stat().st_size
            while file.stat().st_size == size:
                pass
            writer.kill()
        known = load_known_hosts([str(file)])
        assert known.warnings == []
        assert verdict(known, "web1") == "trusted"


@pytest.mark.parametrize(
    "name",
    ["", "web*", "we b", "web,db", "#web", "@revoked", "|1|x", "web\n", "[web", "!web", "a\\b"],
)
def test_a_name_that_would_be_another_line_is_not_written(name):
    """
    What an inventory calls a host cannot become a pattern, a marker or a second line.
    """
    with pytest.raises(ValueError, match="cannot be written"):
        check_name(name)
    with pytest.raises(ValueError, match="cannot be written"):
        render_line(f"[{name}]:2222", blob(), hashed=True)


def test_a_writer_waits_for_the_lock_and_for_the_file_that_is_there_then(tmp_path):
    """
    Whoever replaced the file held its lock; the one who waited writes to the new file.
    """
    file = write(tmp_path, line("web2"))
    script = f"""
from fleetctl.ssh.known_hosts_file import learn_key
from tests.unit.ssh.keys import blob
learn_key({file!r}, ("web1",), blob(), hashed=False)
"""
    with open(file, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with subprocess.Popen([sys.executable, "-c", script]) as writer:
            with pytest.raises(subprocess.TimeoutExpired):
                writer.wait(1.0)
            shutil.copy(file, f"{file}.new")
            os.replace(f"{file}.new", file)
            fcntl.flock(held, fcntl.LOCK_UN)
            assert writer.wait(30) == 0
    with open(file, encoding="ascii") as stream:
        assert stream.read() == line("web2") + line("web1")


def test_a_lock_that_is_never_given_back_is_an_error(tmp_path, monkeypatch):
    """
    A stuck process does not make others wait for ever.
    """
    monkeypatch.setattr(locked_file, "LOCK_LIMIT_S", 0.1)
    file = write(tmp_path)
    with open(file, "rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            learn_key(file, ("web1",), blob(), hashed=False)


def test_S13_many_hosts_are_learned_with_one_write_or_not_at_all(tmp_path):
    """
    S13: each host of a batch has its own verdict; who is known otherwise or revoked is left alone,
    further keys of a known host are added, and a dry run writes nothing.
    """
    file = write(tmp_path, line("web1"), line("web2", seed=2), "@revoked " + line("web3"))
    hosts = [
        NewHost(("web1",), (blob(), blob(RSA))),
        NewHost(("web2",), (blob(),)),
        NewHost(("web3",), (blob(),)),
        NewHost(("[web4]:2222", "web4"), (blob(), blob(ECDSA)), hashed=False),
    ]
    expected = ["trusted", "changed", "revoked", "trusted"]
    before = (tmp_path / "known_hosts").read_text()
    assert [found.verdict for found in learn_hosts(file, hosts, dry_run=True)] == expected
    assert (tmp_path / "known_hosts").read_text() == before
    for _ in range(2):
        assert [found.verdict for found in learn_hosts(file, hosts)] == expected
    added = [line("web1", RSA), line("[web4]:2222"), line("[web4]:2222", ECDSA)]
    assert (tmp_path / "known_hosts").read_text() == before + "".join(added)
    with pytest.raises(ValueError, match="cannot be written"):
        learn_hosts(file, [NewHost(("web5",), (blob(),)), NewHost(("web*",), (blob(),))])
    assert "web5" not in (tmp_path / "known_hosts").read_text()


@pytest.mark.parametrize("kind", ["remove", "replace"])
def test_a_dry_run_of_an_edit_writes_nothing(tmp_path, kind):
    """
    It says what would be done, also for a file that does not exist.
    """
    file = write(tmp_path, line("web1"))
    if kind == "remove":
        assert remove_host(file, "web1", dry_run=True).removed == (1,)
        assert remove_host(f"{file}2", "web1", dry_run=True) == known_hosts_file.Change()
    else:
        new = [blob(seed=5), blob(RSA)]
        change = replace_host(file, "web1", new, hashed=False, dry_run=True)
        assert (change.removed, change.added) == ((1,), (line("web1", RSA).rstrip(),))
        assert len(replace_host(f"{file}2", "web1", new, hashed=False, dry_run=True).added) == 2
    assert (tmp_path / "known_hosts").read_text() == line("web1")
    assert os.listdir(tmp_path) == ["known_hosts"]


# -- taking out


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ("web1", "web1"),
        ("web1", "WEB1"),
        ("Web1,db1", "web1"),
        ("[web1]:2222", "[web1]:2222"),
        ("[web1]:2222", "web1"),
        ("web1", "[web1]:2222"),
        (hashed("web1"), "web1"),
        (hashed("web1"), "web2"),
        (hashed("[web1]:2222"), "[web1]:2222"),
        ("fe80::1", "fe80::1"),
    ],
)
def test_hosts_are_removed_as_by_ssh_keygen(tmp_path, names, name):
    """
    The same lines go as with ``ssh-keygen -R``, hashed ones too, and the old file stays beside.
    """
    # With a line that it does not understand, ssh-keygen does nothing at all.
    odd = ["# a comment\n", *(odd for odd in ODD_LINES if odd.startswith(("@r", "@c", "web2")))]
    content = "".join([*odd, line(names), line(names, RSA), *odd])
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for file in (ours, theirs):
        file.write_text(content)
    change = remove_host(str(ours), name)
    subprocess.run(
        ["ssh-keygen", "-R", name, "-f", theirs], capture_output=True, check=False, timeout=30
    )
    assert ours.read_text() == theirs.read_text()
    assert bool(change.removed) == (ours.read_text() != content)
    if change.removed:
        assert (tmp_path / "ours.old").read_text() == content


def test_removing_leaves_patterns_markers_and_what_is_not_understood(tmp_path):
    """
    A line that speaks for other hosts too, a revocation, an authority and a torn line stay; the
    pattern is named.
    """
    file = write(tmp_path, *ODD_LINES, line("web1"))
    change = remove_host(file, "web1")
    assert change.removed == (10,)
    assert change.kept == (f"{file}:8",)
    assert (tmp_path / "known_hosts").read_text() == "".join(ODD_LINES)


# -- replacing


def test_a_replaced_key_keeps_its_place_and_its_comment(tmp_path):
    """
    The new key of a type takes the line of the old one, further types are added behind, all else
    stays byte for byte.
    """
    file = write(tmp_path, *ODD_LINES, line("web1", end=" rack 7\n"), line("web1", RSA), "# end")
    change = replace_host(file, "web1", [blob(seed=5), blob(ECDSA)], hashed=False)
    assert (tmp_path / "known_hosts").read_text() == "".join(
        [*ODD_LINES, line("web1", seed=5, end=" rack 7\n"), "# end\n", line("web1", ECDSA)]
    )
    assert change.removed == (10, 11)
    assert change.added == (line("web1", ECDSA).rstrip(),)
    assert (tmp_path / "known_hosts.old").exists()


def test_replacing_takes_a_host_out_of_a_list(tmp_path):
    """
    Other hosts of a line keep the key they were known with.
    """
    file = write(tmp_path, line("web1,Web2,10.0.0.1", end=" old\n"), line(hashed("web1")))
    replace_host(file, "web1", [blob(seed=5)], hashed=False)
    text = (tmp_path / "known_hosts").read_text()
    assert text == line("Web2,10.0.0.1", end=" old\n") + line(hashed("web1"), seed=5)


def test_replacing_by_the_same_key_changes_nothing(tmp_path):
    """
    A second run leaves the file alone, and makes no copy of it.
    """
    file = write(tmp_path, line("web1"), line("web2"))
    before = os.stat(file)
    change = replace_host(file, "web1", [blob()], hashed=False)
    assert change == known_hosts_file.Change()
    assert os.stat(file).st_ino == before.st_ino
    assert os.listdir(tmp_path) == ["known_hosts"]


def test_a_new_file_looks_like_the_old_one(tmp_path):
    """
    Its mode stays, a link stays a link, and no temporary file is left.
    """
    real = tmp_path / "real"
    real.write_text(line("web1"))
    real.chmod(0o640)
    link = tmp_path / "known_hosts"
    link.symlink_to(real)
    replace_host(str(link), "web1", [blob(seed=5)], hashed=False)
    assert link.is_symlink()
    assert real.read_text() == line("web1", seed=5)
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(tmp_path)) == ["known_hosts", "real", "real.old"]


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path, monkeypatch):
    """
    If the new file cannot be finished, the old one is there as before and nothing lies about.
    """

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = write(tmp_path, line("web1"))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_host(file, "web1", [blob(seed=5)], hashed=False)
    assert (tmp_path / "known_hosts").read_text() == line("web1")
    assert os.listdir(tmp_path) == ["known_hosts"]


def test_S13_what_somebody_added_without_a_lock_is_not_lost(tmp_path, monkeypatch):
    """
    S13: ssh takes no lock; a line it adds while a new file is made stops us, and stays.
    """
    file = write(tmp_path, line("web1"))
    fsync = os.fsync

    def add_meanwhile(descriptor: int) -> None:
        with open(file, "a", encoding="ascii") as stream:
            stream.write(line("web2"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", add_meanwhile)
    with pytest.raises(OSError, match="changed meanwhile"):
        replace_host(file, "web1", [blob(seed=5)], hashed=False)
    assert (tmp_path / "known_hosts").read_text() == line("web1") + line("web2")
    assert os.listdir(tmp_path) == ["known_hosts"]


def test_keys_a_host_has_proved_are_added_once_and_old_ones_go(tmp_path):
    """
    What UpdateHostKeys brings: new lines for new keys, the lines of keys it gave up are gone, lists
    of many hosts and patterns stay.
    """
    shared = line("web1,web2,web3", seed=2)
    file = write(tmp_path, line("web1"), line("web1", seed=2), shared, line("web*", seed=2))
    change = add_keys(file, "web1", [blob(), blob(RSA)], hashed=False, removing=[blob(ED25519, 2)])
    text = (tmp_path / "known_hosts").read_text()
    assert text == line("web1") + shared + line("web*", seed=2) + line("web1", RSA)
    assert change.removed == (2,)
    again = add_keys(file, "web1", [blob(), blob(RSA)], hashed=True)
    assert again == known_hosts_file.Change()


def test_a_rendered_line_has_the_comment_it_was_given():
    """
    Who enrolled a key, or when, can stand behind it.
    """
    text = render_line("web1", blob(), hashed=False, comment="by hand")
    assert text == f"web1 ssh-ed25519 {base64.b64encode(blob()).decode()} by hand\n"
