"""
Logging in with keys: files in all formats, and agents.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fleetctl.lab.layout import write_private
from fleetctl.model.trace import Trace
from fleetctl.ssh import key_file
from fleetctl.ssh.key_file import PASSPHRASE_ATTEMPTS
from tests.support.drive import Secrets, connected, connecting, failed_login, log_in, run_async
from tests.support.keys import agent, authorize, keygen

pytestmark = pytest.mark.fleet


@pytest.fixture
def lab_host(fleet):
    return fleet.host("web-auth")


# -- key files


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
@pytest.mark.parametrize(
    "options",
    [
        "-t ed25519",
        "-t rsa -b 2048",
        "-t rsa -b 2048 -m PEM",
        "-t rsa -b 2048 -m PKCS8",
        "-t ecdsa -b 256",
        "-t ecdsa -b 384 -m PEM",
        "-t ecdsa -b 521 -m PKCS8",
    ],
)
def test_key_file_of_every_format(fleet, lab_host, tmp_path, options, passphrase):
    """
    Ed25519, RSA and ECDSA keys log in from OpenSSH, PEM and PKCS#8 files, encrypted or not.
    """
    key = keygen(tmp_path / "key", *options.split(), passphrase=passphrase)
    authorize(lab_host, key)
    secrets = Secrets(passphrases=[passphrase] if passphrase else [])
    host = fleet.model_host(lab_host, identity_files=(str(key),))
    assert log_in(host, secrets=secrets) == (7, "publickey")
    assert len(secrets.asked) == (1 if passphrase else 0)


def test_ed25519_key_in_pkcs8(fleet, lab_host, tmp_path):
    """
    The form other tools write, which Paramiko refuses, is read too.
    """
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "key"
    write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    (tmp_path / "key.pub").write_bytes(public + b"\n")
    authorize(lab_host, path)
    assert log_in(fleet.model_host(lab_host, identity_files=(str(path),))) == (7, "publickey")


def test_second_try_of_the_passphrase_is_enough(fleet, lab_host, tmp_path):
    """
    After a wrong passphrase the person is asked again.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519", passphrase="right")
    authorize(lab_host, key)
    secrets = Secrets(passphrases=["wrong", "right"])
    host = fleet.model_host(lab_host, identity_files=(str(key),))
    assert log_in(host, secrets=secrets) == (7, "publickey")


@pytest.mark.parametrize("options", ["-t ed25519", "-t rsa -b 2048 -m PEM", "-t ecdsa -m PKCS8"])
def test_wrong_passphrase(fleet, lab_host, tmp_path, options):
    """
    A wrong passphrase names the file, and is not taken for a broken file (F28).
    """
    key = keygen(tmp_path / "key", *options.split(), passphrase="right")
    secrets = Secrets(passphrases=["wrong"] * 10)
    error = failed_login(fleet.model_host(lab_host, identity_files=(str(key),)), secrets=secrets)
    assert (error.kind, str(error)) == ("auth.key_file", f"{key}: wrong passphrase")
    assert len(secrets.asked) == PASSPHRASE_ATTEMPTS


def test_no_passphrase(fleet, lab_host, tmp_path):
    """
    An encrypted key that nobody can open says so, with what to do (F28).
    """
    key = keygen(tmp_path / "key", "-t", "ed25519", passphrase="right")
    error = failed_login(fleet.model_host(lab_host, identity_files=(str(key),)))
    assert error.kind == "auth.key_file"
    assert str(key) in str(error)
    assert "encrypted" in str(error)
    assert "ssh-add" in (error.failure.hint or "")


def unreadable_files(folder: Path) -> dict[str, Path]:
    """Make files that are no usable identity: what the error says -> the file."""
    shared = keygen(folder / "shared", "-t", "ed25519")
    shared.chmod(0o644)
    garbage = folder / "garbage"
    write_private(garbage, b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n")
    empty = folder / "empty"
    write_private(empty, b"")
    cut = folder / "cut"
    write_private(cut, keygen(folder / "whole", "-t", "ed25519").read_bytes()[:200])
    return {
        "others may read": shared,
        "no such identity file": folder / "missing",
        "not a private key": garbage,
        "not a private key that": empty,
        "not a private": cut,
        "directory": folder,
    }


def test_files_that_are_no_identity(fleet, lab_host, tmp_path):
    """
    Each kind of unusable file is refused by name with the reason; it is never offered (F28).
    """
    for reason, path in unreadable_files(tmp_path).items():
        error = failed_login(fleet.model_host(lab_host, identity_files=(str(path),)))
        assert error.kind == "auth.key_file", path
        assert str(path) in str(error)
        assert reason in str(error).lower(), str(error)
        assert not error.failure.retryable


def test_unusable_file_does_not_keep_a_good_one_from_being_tried(fleet, lab_host, tmp_path):
    """
    One configured file that cannot be read is no reason not to offer the next (F28).
    """
    files = (str(tmp_path / "missing"), str(fleet.identity))
    assert log_in(fleet.model_host(lab_host, identity_files=files)) == (7, "publickey")


def test_each_file_is_loaded_once(fleet, tmp_path, monkeypatch):
    """
    Many hosts share the work and the question: a file is read once, its passphrase asked for once,
    whatever else differs between the hosts.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519", passphrase="right")
    lab_hosts = fleet.hosts(4)
    for lab_host in lab_hosts:
        authorize(lab_host, key)
    loads: list[tuple[str, bool]] = []
    load = key_file.load_identity_file

    def counted(path, passphrase):
        loads.append((path, passphrase is not None))
        return load(path, passphrase)

    monkeypatch.setattr(key_file, "load_identity_file", counted)
    secrets = Secrets(passphrases=["right"])
    others = [(), (str(fleet.identity),)]
    hosts = [
        fleet.model_host(lab_host, identity_files=(str(key), *others[number % 2]))
        for number, lab_host in enumerate(lab_hosts)
    ]

    async def main():
        async with connecting(secrets=secrets) as connector:

            async def one(host):
                async with connected(host, connector=connector) as connection:
                    assert (await connection.exec("exit 7")).exit_status == 7

            for _ in range(2):
                await asyncio.gather(*(one(host) for host in hosts))

    run_async(main)
    assert sorted(loads) == sorted(
        [(str(key), False), (str(key), True), (str(fleet.identity), False)]
    )
    assert len(secrets.asked) == 1


def test_default_identities_are_found_in_the_home(fleet, lab_host, private_home):
    """
    Without IdentityFile the usual files are tried; those that do not exist are no problem.
    """
    (private_home / ".ssh").mkdir(mode=0o700)
    authorize(lab_host, keygen(private_home / ".ssh" / "id_ed25519", "-t", "ed25519"))
    warnings: list[str] = []

    async def main():
        async with connecting(warnings=warnings) as connector:
            host = fleet.model_host(lab_host, identity_files=(), identities_only=None)
            async with connected(host, connector=connector) as connection:
                return connection.ssh.login.method

    assert run_async(main) == "publickey"
    assert warnings == []


# -- agents


@pytest.mark.parametrize("options", ["-t ed25519", "-t rsa -b 2048", "-t ecdsa"])
def test_key_of_the_agent(fleet, lab_host, tmp_path, options):
    """
    A key only the agent holds logs in, whatever its type.
    """
    key = keygen(tmp_path / "key", *options.split())
    authorize(lab_host, key)
    with agent(tmp_path, key) as path:
        key.unlink()
        host = fleet.model_host(
            lab_host, identity_files=(), identities_only=False, identity_agent=path
        )
        assert log_in(host) == (7, "publickey")


def test_agent_signs_for_a_configured_file(fleet, lab_host, tmp_path):
    """
    With IdentitiesOnly the agent's key is used for a file whose private half is encrypted or away;
    nobody is asked for a passphrase.
    """
    key, other = keygen(tmp_path / "key", "-t", "ed25519"), keygen(tmp_path / "other")
    authorize(lab_host, key)
    with agent(tmp_path, other, key) as path:
        key.unlink()
        secrets = Secrets()
        host = fleet.model_host(
            lab_host, identity_files=(str(key),), identities_only=True, identity_agent=path
        )
        assert log_in(host, secrets=secrets) == (7, "publickey")
    assert secrets.asked == []


def test_hosts_with_different_files_share_the_agent(fleet, tmp_path):
    """
    The agent is asked for its keys once, and every host that connects meanwhile gets them.
    """
    first, second = fleet.hosts(2)
    key = keygen(tmp_path / "key", "-t", "ed25519")
    authorize(first, key)
    authorize(second, key)
    with agent(tmp_path, key) as path:
        hosts = [
            fleet.model_host(
                lab_host,
                identity_files=(str(tmp_path / f"missing-{lab_host.name}"),),
                identities_only=False,
                identity_agent=path,
            )
            for lab_host in (first, second)
        ]

        async def main():
            async with connecting() as connector:
                traces = [Trace(), Trace()]
                links = await asyncio.gather(
                    *(
                        connector.connect(host, trace, open_session=False)
                        for host, trace in zip(hosts, traces, strict=True)
                    )
                )
                for link in links:
                    await link.close()
                return [link.login.method for link in links]

        assert run_async(main) == ["publickey", "publickey"]


def test_dead_agent(fleet, lab_host, tmp_path):
    """
    A socket nobody listens on is a warning, once; the configured file is used (F29).
    """
    path = str(tmp_path / "dead.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
    warnings: list[str] = []
    host = fleet.model_host(lab_host, identities_only=False, identity_agent=path)

    async def main():
        async with connecting(warnings=warnings) as connector:
            for _ in range(2):
                async with connected(host, connector=connector) as connection:
                    assert (await connection.exec("exit 7")).exit_status == 7

    run_async(main)
    assert len(warnings) == 1
    assert path in warnings[0]
    assert "refused" in warnings[0]


def test_silent_agent(fleet, tmp_path):
    """
    An agent that takes the question and never answers is asked once, not per host (F29).
    """
    path = str(tmp_path / "silent.sock")
    warnings: list[str] = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        hosts = [
            fleet.model_host(lab_host, identities_only=False, identity_agent=path)
            for lab_host in fleet.hosts(3)
        ]

        async def main():
            async with connecting(warnings=warnings) as connector:
                for host in hosts:
                    async with connected(host, connector=connector) as connection:
                        assert (await connection.exec("exit 7")).exit_status == 7

        run_async(main)
        listener.setblocking(False)
        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert len(warnings) == 1
    assert "no answer" in warnings[0]


def test_too_many_keys_in_the_agent(fleet, tmp_path):
    """
    The server's limit is named when it was hit; with IdentityFile the right key goes first and
    logs in (F27).
    """
    lab_host = fleet.sshd("few-tries", {"MaxAuthTries": "3"})
    keys = [keygen(tmp_path / f"key{number}", "-t", "ed25519") for number in range(8)]
    authorize(lab_host, keys[7])
    with agent(tmp_path, *keys) as path:
        host = fleet.model_host(
            lab_host, identity_files=(), identities_only=False, identity_agent=path
        )
        error = failed_login(host)
        assert error.kind == "auth.too_many"
        assert "IdentitiesOnly" in (error.failure.hint or "")
        configured = fleet.model_host(
            lab_host,
            identity_files=(str(keys[7]),),
            identities_only=False,
            identity_agent=path,
        )
        assert log_in(configured) == (7, "publickey")
