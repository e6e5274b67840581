"""
Certificates of ours, on a real sshd.
"""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.cli.shell import fleetctl
from tests.support.key_cases import log_in
from tests.support.keys import agent, keygen
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.fixture
def folder(tmp_path):
    """A folder with an authority ``ca`` and a key ``id``."""
    for name in ("ca", "id"):
        keygen(tmp_path / name, "-t", "ed25519")
    return tmp_path


@pytest.fixture
def judge(fleet, folder):
    """A host that trusts the authority, and no key."""
    host = fleet.sshd("certificate-judge", {"TrustedUserCAKeys": str(folder / "ca.pub")})
    (host.home / ".ssh" / "authorized_keys").write_text("")
    return host


def certify(folder, *words, ca="ca"):
    done = fleetctl("keys", "certify", str(folder / "id"), "--ca", str(folder / ca), *words)
    assert done.code == 0, done.err
    return done.out


def test_a_certificate_of_ours_logs_in(fleet, judge, folder):
    """
    For its principal, until it is over; not without it, and not for somebody else.
    """
    assert log_in(fleet, judge, folder / "id") is None
    said = certify(folder, "--id", "me", "--principals", f"x,{fleet.user}", "--valid", "+1h")
    assert 'id "me" serial 0 for x,' in said
    assert log_in(fleet, judge, folder / "id") == "asked"
    certify(folder, "--id", "me", "--principals", "nobody-else")
    assert log_in(fleet, judge, folder / "id") is None
    certify(folder, "--id", "me", "--any-principal", "--valid", "-2d:-1d")
    assert log_in(fleet, judge, folder / "id") is None


def test_options_of_a_certificate_hold(fleet, judge, folder):
    """
    A forced command runs instead, and another address is refused.
    """
    words = ("--id", "me", "--principals", fleet.user)
    certify(folder, *words, "--option", "force-command=echo forced")
    assert log_in(fleet, judge, folder / "id") == "forced"
    certify(folder, *words, "--option", "source-address=192.0.2.0/24")
    assert log_in(fleet, judge, folder / "id") is None
    certify(folder, *words, "--option", "critical:unheard-of@example.org")
    assert log_in(fleet, judge, folder / "id") is None


def test_an_agent_signs_for_the_authority(fleet, judge, folder, monkeypatch):
    """
    The private key of the authority need not be in a file.
    """
    with agent(folder, folder / "ca") as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        (folder / "ca").unlink()
        certify(folder, "--id", "me", "--principals", fleet.user, "--agent", ca="ca.pub")
    assert log_in(fleet, judge, folder / "id") == "asked"


@pytest.mark.parametrize(("kind", "bits"), [("rsa", "3072"), ("ecdsa", "521")])
def test_a_generated_key_with_a_generated_authority_logs_in(fleet, folder, kind, bits):
    """
    Everything by ourselves: the key, the authority, the certificate.
    """
    for name in ("ca2", "id2"):
        words = ("--type", kind, "--bits", bits, "--no-passphrase")
        assert fleetctl("keys", "generate", str(folder / name), *words).code == 0
    host = fleet.sshd("generated-judge", {"TrustedUserCAKeys": str(folder / "ca2.pub")})
    (host.home / ".ssh" / "authorized_keys").write_bytes((folder / "id2.pub").read_bytes())
    assert log_in(fleet, host, folder / "id2") == "asked"
    (host.home / ".ssh" / "authorized_keys").write_text("")
    assert log_in(fleet, host, folder / "id2") is None
    flags = ("--id", "x", "--principals", fleet.user)
    done = fleetctl("keys", "certify", str(folder / "id2"), "--ca", str(folder / "ca2"), *flags)
    assert done.code == 0
    assert log_in(fleet, host, folder / "id2") == "asked"


def test_a_hosts_certificate_vouches_for_it(fleet, folder):
    """
    Ssh knows a host by the line of its authority in known_hosts, for the names in the certificate.
    """
    host = fleet.host("web01")
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", host.host_key], capture_output=True, check=True, text=True
    ).stdout
    (folder / "host.pub").write_text(public)
    words = ("--host", "--id", "web", "--principals", "web.example.org,web")
    done = fleetctl(
        *("keys", "certify", str(folder / "host.pub"), "--ca", str(folder / "ca")), *words
    )
    assert done.code == 0, done.err
    (folder / "known").write_text(f"@cert-authority * {(folder / 'ca.pub').read_text()}")
    sshd = shlex.join(
        (
            *(str(fleet.sshd_installed.path), "-i", "-f", str(host.config)),
            *("-o", f"HostCertificate={folder / 'host-cert.pub'}"),
        )
    )
    for name, code in (("web", 0), ("db", 255)):
        argv = [
            *("ssh", "-F", "/dev/null", "-i", str(fleet.identity), "-o", "BatchMode=yes"),
            *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={folder / 'known'}"),
            *("-o", "IdentityAgent=none", "-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", f"ProxyCommand={sshd}", "-l", fleet.user, name, "true"),
        ]
        ended = subprocess.run(argv, capture_output=True, check=False, timeout=PATIENCE_S)
        assert ended.returncode == code, ended.stderr
