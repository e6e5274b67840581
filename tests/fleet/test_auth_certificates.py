"""
Logging in with user certificates that ssh-keygen signed: of files, of agents, good and bad.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.drive import Secrets, failed_login, log_in
from tests.support.keys import agent, keygen

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Path:
    return keygen(tmp_path_factory.mktemp("authority") / "ca", "-t", "ed25519")


@pytest.fixture(scope="module")
def lab_host(fleet, authority):
    """A host that takes no key but what the authority certifies."""
    host = fleet.sshd(
        "certified", {"AuthorizedKeysFile": "none", "TrustedUserCAKeys": f"{authority}.pub"}
    )
    yield host
    fleet.stop(host)


def certify(authority: Path, key: Path, user: str, *options: str) -> Path:
    """Sign a key; return the certificate, which lies beside it."""
    words = ["ssh-keygen", "-q", "-s", str(authority), "-I", "somebody", "-n", user, *options]
    subprocess.run([*words, f"{key}.pub"], check=True, timeout=30)
    return key.with_name(f"{key.name}-cert.pub")


@pytest.mark.parametrize("options", ["-t ed25519", "-t rsa -b 2048", "-t ecdsa -b 384"])
def test_a_certificate_beside_its_key_logs_in(fleet, lab_host, authority, tmp_path, options):
    """
    Without CertificateFile, KEY-cert.pub is found for keys of every type; RSA signs with SHA-2.
    """
    key = keygen(tmp_path / "key", *options.split())
    certify(authority, key, fleet.user)
    host = fleet.model_host(lab_host, identity_files=(str(key),))
    assert log_in(host) == (7, "publickey")


def test_a_certificate_named_by_certificate_file_logs_in(fleet, lab_host, authority, tmp_path):
    """
    CertificateFile may lie anywhere; its key is found among the identities. With it nothing is
    looked for beside the keys, as in ssh.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    certificate = certify(authority, key, fleet.user).rename(tmp_path / "elsewhere.pub")
    named = fleet.model_host(
        lab_host, identity_files=(str(key),), certificate_files=(str(certificate),)
    )
    assert log_in(named) == (7, "publickey")
    beside = keygen(tmp_path / "beside", "-t", "ed25519")
    certify(authority, beside, fleet.user)
    error = failed_login(
        fleet.model_host(
            lab_host, identity_files=(str(beside),), certificate_files=(str(certificate),)
        )
    )
    assert "there is no private key for this certificate" in str(error)


def test_the_key_of_a_certificate_may_be_in_the_agent(fleet, lab_host, authority, tmp_path):
    """
    A certificate file and a private key that only the agent has log in together.
    """
    key = keygen(tmp_path / "key", "-t", "rsa", "-b", "2048")
    with agent(tmp_path, key) as path:
        certificate = certify(authority, key, fleet.user)
        key.unlink()
        host = fleet.model_host(
            lab_host,
            identity_files=(),
            certificate_files=(str(certificate),),
            identities_only=True,
            identity_agent=path,
        )
        assert log_in(host) == (7, "publickey")


@pytest.mark.parametrize("options", ["-t ed25519", "-t rsa -b 2048"])
def test_a_certificate_of_the_agent_logs_in(fleet, lab_host, authority, tmp_path, options):
    """
    ssh-add loads KEY-cert.pub together with its key; both files may then go.
    """
    key = keygen(tmp_path / "key", *options.split())
    certificate = certify(authority, key, fleet.user)
    with agent(tmp_path, key) as path:
        key.unlink()
        certificate.unlink()
        host = fleet.model_host(
            lab_host, identity_files=(), identities_only=False, identity_agent=path
        )
        assert log_in(host) == (7, "publickey")


def test_a_certificate_for_an_encrypted_key_costs_one_question(
    fleet, lab_host, authority, tmp_path
):
    """
    The passphrase is asked for once, not for the key and again for its certificate.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519", passphrase="right")
    certify(authority, key, fleet.user)
    secrets = Secrets(passphrases=["right"])
    host = fleet.model_host(lab_host, identity_files=(str(key),))
    assert log_in(host, secrets=secrets) == (7, "publickey")
    assert len(secrets.asked) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("-V", "20200101:20200201"), "the certificate expired at 2020-0"),
        (("-V", "20900101:20900201"), "the certificate is not valid before 20"),
        (("-h",), "this certificate is for a host"),
    ],
    ids=["expired", "too early", "for a host"],
)
def test_a_certificate_that_is_of_no_use_is_named(
    fleet, lab_host, authority, tmp_path, options, text
):
    """
    It is not offered, and the refusal of its key says what is wrong with the certificate.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    certificate = certify(authority, key, fleet.user, *options)
    error = failed_login(fleet.model_host(lab_host, identity_files=(str(key),)))
    assert error.kind == "auth.denied"
    assert f"{certificate}: " in str(error)
    assert text in str(error)
    assert "-cert SHA256" not in str(error)


def test_a_certificate_for_somebody_else_is_refused_by_the_server(
    fleet, lab_host, authority, tmp_path
):
    """
    Principals are the server's to judge; the refusal names the certificate that was tried.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    certificate = certify(authority, key, "somebody-else")
    error = failed_login(fleet.model_host(lab_host, identity_files=(str(key),)))
    assert error.kind == "auth.denied"
    assert "ed25519-cert SHA256:" in str(error)
    assert str(certificate) in str(error)


def test_certificates_are_left_out_where_settings_do_not_allow_them(
    fleet, lab_host, authority, tmp_path
):
    """
    PubkeyAcceptedAlgorithms names certificates by themselves, as in ssh.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    certify(authority, key, fleet.user)
    host = fleet.model_host(
        lab_host, identity_files=(str(key),), pubkey_accepted_algorithms=("ssh-ed25519",)
    )
    assert "no signature algorithm in common" in str(failed_login(host))
