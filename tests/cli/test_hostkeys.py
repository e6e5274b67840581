"""
The hostkeys commands as people and scripts use them, on real servers.
"""

from __future__ import annotations

import dataclasses
import re
import subprocess

import pytest

from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import known_hosts_line
from tests.cli.shell import fleetctl, on_terminal
from tests.support.keys import fingerprint, keygen, own_line

pytestmark = pytest.mark.fleet


@pytest.fixture
def three(fleet):
    """Three hosts and their inventory."""
    hosts = fleet.hosts(3)
    return hosts, str(fleet.inventory(hosts))


@pytest.fixture
def hostkeys(three, tmp_path):
    """Run a hostkeys command on the three hosts with a known_hosts file of its own."""
    _, inventory = three
    settings = ("-o", f"UserKnownHostsFile={tmp_path}/known_hosts", "-o", "HashKnownHosts=no")

    def run(command, *words, **options):
        return fleetctl("hostkeys", command, "-i", inventory, *settings, *words, **options)

    return run


def test_scan_prints_what_ssh_keyscan_prints_and_trusts_nobody(fleet, three, hostkeys, tmp_path):
    """
    The lines are known_hosts lines, the fingerprints those of ssh-keygen -l -v; no file is written.
    """
    hosts, _ = three
    done = hostkeys("scan", "all")
    assert done.code == 0
    assert sorted(done.out.splitlines()) == sorted(own_line(fleet, host) for host in hosts)
    lines = tmp_path / "lines"
    lines.write_text(done.out)
    for options, ours in ((["-l", "-v"], ["--art"]), (["-l", "-E", "md5"], ["--md5"])):
        theirs = subprocess.run(
            ["ssh-keygen", *options, "-f", lines], capture_output=True, text=True, check=True
        )
        assert hostkeys("scan", "all", *ours).out == theirs.stdout
    assert not (tmp_path / "known_hosts").exists()


def test_every_kind_of_key_is_scanned(fleet, tmp_path):
    """
    A host's keys are all looked at, whichever a login would use.
    """
    keys = [keygen(tmp_path / kind, "-t", kind) for kind in ("ed25519", "ecdsa", "rsa")]
    host = fleet.sshd("all-kinds", {"HostKey": "\nHostKey ".join(map(str, keys))})
    done = fleetctl("hostkeys", "scan", "-i", str(fleet.inventory([host])), "all")
    fleet.stop(host)
    public = {" ".join(key.with_name(f"{key.name}.pub").read_text().split()[:2]) for key in keys}
    assert {line.split(" ", 1)[1] for line in done.out.splitlines()} == public


def test_F22_check_names_hosts_that_a_run_would_refuse(three, hostkeys, fleet, tmp_path):
    """
    F22 F23: trusted with the line that says so, unknown, changed and revoked, and exit code 4.
    """
    hosts, _ = three
    lines = [own_line(fleet, host) for host in hosts]
    file = tmp_path / "known_hosts"
    file.write_text(f"{lines[0]}\n{known_hosts_line(hosts[1], generate_key())}")
    done = hostkeys("check", "all")
    assert done.code == 4
    shown = {line.split(" | ")[0]: line.split(" | ")[1:] for line in done.out.splitlines()}
    assert shown["web01"] == [
        "trusted",
        f"ED25519 {fingerprint(lines[0], tmp_path)}",
        f"{file}:1",
    ]
    assert shown["web02"][0] == "changed"
    assert f"{file}:2 has SHA256:" in shown["web02"][1]
    assert shown["web03"][0] == "unknown"
    assert "fleetctl hostkeys enroll" in done.err
    assert "fleetctl hostkeys replace" in done.err
    file.write_text("".join(f"@revoked {line}\n{line}\n" for line in lines))
    results = hostkeys("check", "web01", "--format", "json")
    assert results.code == 4
    assert results.results()["web01"]["failure"]["kind"] == "hostkey.revoked"
    file.write_text("\n".join(lines))
    assert hostkeys("check", "all").code == 0


def test_check_sees_two_hosts_with_one_key(fleet, three, hostkeys):
    """
    S15: one machine under two names, or a copied image, is pointed out.
    """
    hosts, _ = three
    twin = dataclasses.replace(hosts[0], name="twin")
    done = fleetctl("hostkeys", "check", "-i", str(fleet.inventory([*hosts, twin])), "all")
    assert "twin,web01 (2) show the same key" in done.err


def test_a_host_that_cannot_be_reached_is_told_apart(fleet, tmp_path):
    """
    Who is away is no unknown host: exit code 4, the reason on stderr, the others are shown.
    """
    host = fleet.host("web01")
    done = fleetctl(
        *("hostkeys", "scan", "-i", f"{host.address}:{host.port},127.0.0.9:9,", "all", "-T", "5")
    )
    assert done.code == 4
    assert done.out == own_line(fleet, host) + "\n"
    assert "connect.refused" in done.err


# -- enroll


def test_S12_nothing_is_enrolled_that_nobody_vouches_for(hostkeys, tmp_path):
    """
    S12: without a terminal, a file, a fingerprint or --yes, nobody is contacted: exit code 2.
    """
    done = hostkeys("enroll", "all")
    assert done.code == 2
    assert "--from FILE" in done.err
    assert not (tmp_path / "known_hosts").exists()


def test_enroll_believes_a_file(fleet, three, hostkeys, tmp_path):
    """
    Lines of ssh-keyscan and fingerprints of a console vouch for the hosts they name; a key that is
    not in the file is refused and the others are written.
    """
    hosts, _ = three
    lines = [own_line(fleet, host) for host in hosts]
    vouched = tmp_path / "vouched"
    vouched.write_text(
        f"# from the console\n{lines[0]}\n"
        f"256 {fingerprint(lines[1], tmp_path)} root@web02 (ED25519)\n"
        f"web03 {fingerprint(lines[0], tmp_path)}\n"
    )
    done = hostkeys("enroll", "all", "--from", str(vouched))
    assert done.code == 4
    assert (tmp_path / "known_hosts").read_text() == f"{lines[0]}\n{lines[1]}\n"
    assert re.search(r"^web03 \| hostkey.changed \| .*vouched:4", done.out, re.MULTILINE)
    again = hostkeys("enroll", "web01,web02", "--from", str(vouched))
    assert again.code == 0
    assert [line.split(" | ")[1] for line in again.out.splitlines()] == ["known", "known"]


def test_enroll_believes_a_fingerprint_of_the_command_line(fleet, three, hostkeys, tmp_path):
    """
    --fingerprint takes one key, and refuses another.
    """
    hosts, _ = three
    right, wrong = (fingerprint(own_line(fleet, host), tmp_path) for host in hosts[:2])
    assert hostkeys("enroll", "web01", "--fingerprint", wrong).code == 4
    assert not (tmp_path / "known_hosts").exists()
    assert hostkeys("enroll", "web01", "--fingerprint", right).code == 0
    assert hostkeys("check", "web01").code == 0


def test_enroll_with_yes_is_loud_and_can_be_tried_first(three, hostkeys, tmp_path):
    """
    --yes says how many were believed; --check writes nothing; a second time nothing is left to do.
    """
    dry = hostkeys("enroll", "all", "--yes", "--check")
    assert dry.code == 0
    assert dry.out.count("would be enrolled") == 3
    assert not (tmp_path / "known_hosts").exists()
    done = hostkeys("enroll", "all", "--yes")
    assert "3 hosts were taken at their word" in done.err
    assert hostkeys("check", "all").code == 0
    before = (tmp_path / "known_hosts").read_text()
    assert hostkeys("enroll", "all", "--yes").out.count("known") == 3
    assert (tmp_path / "known_hosts").read_text() == before


def test_F23_a_changed_key_is_not_enrolled(three, hostkeys, tmp_path):
    """
    F23: who is known with another key is refused even with --yes; the file stays as it is.
    """
    hosts, _ = three
    file = tmp_path / "known_hosts"
    file.write_text(known_hosts_line(hosts[0], generate_key()))
    before = file.read_text()
    done = hostkeys("enroll", "web01", "--yes")
    assert done.code == 4
    assert "hostkey.changed" in done.out
    assert file.read_text() == before


@pytest.mark.parametrize("answer", ["yes", "no", "fingerprint", "nonsense"])
def test_a_person_is_asked_about_each_host(fleet, three, tmp_path, answer):
    """
    The question shows fingerprint and picture; yes or the fingerprint itself writes the key.
    """
    hosts, inventory = three
    shown = fingerprint(own_line(fleet, hosts[0]), tmp_path)
    file = tmp_path / "known_hosts"
    words = ("hostkeys", "enroll", "web01", "-i", inventory, "-o", f"UserKnownHostsFile={file}")
    with on_terminal(*words, "-o", "HashKnownHosts=no") as screen:
        screen.read_until("(yes/no/fingerprint)?")
        assert shown in screen.shown
        assert "+--[ED25519 256]--+" in screen.shown
        if answer == "nonsense":
            screen.type("whatever\n")
            screen.read_until("Type yes, no or a fingerprint:")
        screen.type({"fingerprint": shown, "nonsense": "no"}.get(answer, answer) + "\n")
        ended = screen.wait()
    is_yes = answer in ("yes", "fingerprint")
    assert ended.code == (0 if is_yes else 4)
    assert file.exists() == is_yes


# -- replace, remove


def test_replace_lets_a_rebuilt_host_in(fleet, three, hostkeys, tmp_path):
    """
    The new key stands where the old one stood, with its comment; other lines and the old file are
    kept; a second time there is nothing to do.
    """
    hosts, _ = three
    file = tmp_path / "known_hosts"
    old = known_hosts_line(hosts[0], generate_key()).rstrip()
    rest = f"# mine\nnot a line\n{own_line(fleet, hosts[1])}\n"
    file.write_text(f"{old} rack 7\n{rest}")
    assert hostkeys("check", "web01").code == 4
    dry = hostkeys("replace", "web01", "--yes", "-C")
    assert "would be replaced" in dry.out
    assert file.read_text() == f"{old} rack 7\n{rest}"
    done = hostkeys("replace", "web01", "--yes")
    assert done.code == 0
    assert f"{file}:1" in done.out
    assert file.read_text() == f"{own_line(fleet, hosts[0])} rack 7\n{rest}"
    assert (tmp_path / "known_hosts.old").read_text() == f"{old} rack 7\n{rest}"
    again = hostkeys("replace", "web01,web02", "--yes")
    assert again.out.count("| known |") == 2


def test_F24_a_revoked_key_is_never_written(fleet, three, hostkeys, tmp_path):
    """
    F24: neither enroll nor replace takes a key that a line revokes.
    """
    hosts, _ = three
    file = tmp_path / "known_hosts"
    file.write_text(f"@revoked * {own_line(fleet, hosts[0]).split(' ', 1)[1]}\n")
    before = file.read_text()
    for command in ("enroll", "replace"):
        done = hostkeys(command, "web01", "--yes")
        assert done.code == 4
        assert "hostkey.revoked" in done.out
    assert file.read_text() == before


def test_remove_forgets_hosts_and_contacts_nobody(fleet, three, hostkeys, tmp_path):
    """
    Lines of the hosts go, hashed ones too; who is not there is said so, and that is no failure.
    """
    hosts, _ = three
    file = tmp_path / "known_hosts"
    file.write_text("".join(f"{own_line(fleet, host)}\n" for host in hosts[:2]))
    subprocess.run(["ssh-keygen", "-H", "-f", file], check=True, capture_output=True)
    assert "would be removed" in hostkeys("remove", "web01", "--check").out
    done = hostkeys("remove", "web01,web03")
    assert done.code == 0
    assert [line.split(" | ")[:2] for line in done.out.splitlines()] == [
        ["web01", "removed"],
        ["web03", "not found"],
    ]
    assert len(file.read_text().splitlines()) == 1
    assert hostkeys("check", "web02").code == 0


def test_bad_evidence_is_all_told_at_once_and_nobody_is_contacted(hostkeys, tmp_path):
    """
    Every bad line with its number, every bad option, and exit code 2.
    """
    file = tmp_path / "vouched"
    file.write_text("web1 SHA256:short\n\nweb1 ssh-ed25519 AAAA\n@revoked * ssh-ed25519 AAAA\n")
    done = hostkeys("enroll", "all", "--from", str(file), "--fingerprint", "abc", "--from", "/none")
    assert done.code == 2
    for where in (f"{file}:1", f"{file}:3", f"{file}:4", "--fingerprint", "/none"):
        assert f"{where}: " in done.err


def test_a_file_that_cannot_be_written_is_a_failure_of_its_hosts(three, hostkeys, tmp_path):
    """
    The reason is said per host, with exit code 4.
    """
    (tmp_path / "known_hosts").mkdir()
    done = hostkeys("enroll", "web01", "--yes")
    assert done.code == 4
    assert "could not be written" in done.out
