"""
Passwords, passphrases and unknown host keys: from files, and from a person at a terminal.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.cli.shell import LIMIT_S, PROGRAM, fleetctl, on_terminal

pytestmark = pytest.mark.fleet

PATIENT = ("--connect-timeout", "60")


def secret_file(tmp_path, text):
    path = tmp_path / "secret"
    path.write_text(f"{text}\n")
    path.chmod(0o600)
    return str(path)


def only(fleet, name):
    return "-i", str(fleet.inventory([fleet.host(name)])), "all"


def at(fleet, name, *options):
    """Name a host by its address, with nothing known but its host key."""
    host = fleet.host(name)
    address = f"{fleet.user}@{host.address}:{host.port},"
    words = ("-i", address, "all", *PATIENT, "-o", "IdentityAgent=none")
    return (*words, *(word for option in options for word in ("-o", option)))


@pytest.fixture
def locked_key(fleet, tmp_path):
    """A private key that every host takes, with the passphrase ``right``."""
    key = tmp_path / "key"
    key.write_bytes(fleet.identity.read_bytes())
    key.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "right", "-f", str(key)], check=True)
    return str(key)


def test_password_from_a_file(fleet, tmp_path):
    """
    --password-file logs in where only a password does; the password is nowhere in the output.
    """
    words = ("ping", *only(fleet, "password-only"))
    done = fleetctl(*words, "--password-file", secret_file(tmp_path, fleet.password), "-vvv")
    assert done.code == 0, done.err
    assert fleet.password not in done.out + done.err


def test_password_typed_on_a_terminal(fleet):
    """
    -k asks once, without echo.
    """
    with on_terminal("ping", *only(fleet, "password-only"), "-k") as screen:
        screen.read_until("login password: ")
        screen.type(f"{fleet.password}\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert fleet.password not in ended.out
    assert ended.out.count("login password: ") == 1


def test_wrong_password(fleet, tmp_path):
    """
    A password that is refused is auth.denied, exit 4.
    """
    words = ("ping", *only(fleet, "password-only"))
    done = fleetctl(*words, "--password-file", secret_file(tmp_path, "wrong"))
    assert done.code == 4
    assert "auth.denied" in done.err


def test_passphrase_from_a_file(fleet, tmp_path, locked_key):
    """
    --identity-passphrase-file opens the key.
    """
    words = at(fleet, "web01", f"UserKnownHostsFile={fleet.known_hosts}")
    secret = ("--identity-passphrase-file", secret_file(tmp_path, "right"))
    done = fleetctl("ping", *words, "--identity", locked_key, *secret)
    assert done.code == 0, done.err


def test_passphrase_typed_on_a_terminal(fleet, locked_key):
    """
    A mistyped passphrase is asked for again; it is asked for once however many hosts there are.
    """
    hosts = fleet.hosts(3)
    listed = "".join(f"{fleet.user}@{host.address}:{host.port}," for host in hosts)
    known = f"UserKnownHostsFile={fleet.known_hosts}"
    words = ("-i", listed, "all", *PATIENT, "-o", "IdentityAgent=none", "-o", known)
    with on_terminal("ping", *words, "--identity", locked_key) as screen:
        screen.read_until("passphrase of ")
        screen.type("wrong\n")
        screen.read_until("wrong passphrase; passphrase of ")
        screen.type("right\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert ended.out.count("passphrase of ") == 2
    assert ended.out.count("| ok |") + ended.out.count("ok\x1b[0m |") == 3


def test_nobody_is_asked_for_a_passphrase_away_from_a_terminal(fleet, locked_key):
    """
    A job without terminal fails with the key's name and does not hang.
    """
    words = at(fleet, "web01", f"UserKnownHostsFile={fleet.known_hosts}")
    done = subprocess.run(
        ["setsid", "-w", *PROGRAM, "ping", *words, "--identity", locked_key],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 4
    assert locked_key in done.stderr


def test_an_unknown_host_key_is_asked_about_and_remembered(fleet, tmp_path):
    """
    For one host on a terminal, as ssh asks; yes connects and writes the line, next time is silent.
    """
    known = tmp_path / "known_hosts"
    words = at(fleet, "web01", f"UserKnownHostsFile={known}", f"IdentityFile={fleet.identity}")
    with on_terminal("ping", *words) as screen:
        screen.read_until("(yes/no/fingerprint)? ")
        assert "SHA256:" in screen.shown
        screen.type("y\n")
        screen.read_until("Type yes, no or the fingerprint: ")
        screen.type("yes\n")
        ended = screen.wait()
    assert ended.code == 0, ended.out
    assert known.read_text().startswith(f"[{fleet.host('web01').address}]:")
    assert fleetctl("ping", *words).code == 0


def test_a_host_key_that_is_not_trusted_ends_the_login(fleet, tmp_path):
    """
    No means hostkey.unknown; nothing is written.
    """
    known = tmp_path / "known_hosts"
    words = at(fleet, "web01", f"UserKnownHostsFile={known}", f"IdentityFile={fleet.identity}")
    with on_terminal("ping", *words) as screen:
        screen.read_until("(yes/no/fingerprint)? ")
        screen.type("no\n")
        ended = screen.wait()
    assert ended.code == 4
    assert "hostkey.unknown" in ended.out
    assert not known.exists()


def test_accept_new_learns_keys_without_a_question(fleet, tmp_path):
    """
    StrictHostKeyChecking=accept-new is a choice, for any number of hosts.
    """
    known = tmp_path / "known_hosts"
    hosts = fleet.hosts(3)
    listed = "".join(f"{fleet.user}@{host.address}:{host.port}," for host in hosts)
    options = (
        *("-o", f"UserKnownHostsFile={known}", "-o", f"IdentityFile={fleet.identity}"),
        *("-o", "StrictHostKeyChecking=accept-new", *PATIENT),
    )
    assert fleetctl("ping", "-i", listed, "all", *options).code == 0
    assert len(known.read_text().splitlines()) == 3
