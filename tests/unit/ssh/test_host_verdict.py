"""
What the server is asked to show, what it showed, and certificates no tool here can make.

The verdicts themselves are compared with those of the real ssh, on real servers.
"""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fleetctl.ssh.algorithms import HOST_CERTIFICATES, HOST_KEYS
from fleetctl.ssh.host_certificate import AUTHORITY_SIGNATURES, FOREVER, parse_certificate
from fleetctl.ssh.host_verdict import (
    HostKeyFiles,
    Question,
    judge,
    order_algorithms,
    read_shown_key,
)
from fleetctl.ssh.identity import ssh_mpint, ssh_string
from fleetctl.ssh.key_line import encode_key
from fleetctl.ssh.public_key import MalformedKey, verify_signature
from fleetctl.ssh.revocation import RevokedHostKeys, load_revoked_host_keys
from tests.unit.ssh.keys import ECDSA, ED25519, RSA, blob, known, line

ALL = (*HOST_CERTIFICATES, *HOST_KEYS)


def order(hosts, *names: str, as_set: bool = False, revoked: RevokedHostKeys | None = None):
    files = HostKeyFiles(hosts, revoked or RevokedHostKeys())
    return order_algorithms(ALL, files, names or ("web1",), as_set=as_set)


# -- what is offered


@pytest.mark.parametrize(
    ("types", "first"),
    [
        ((), "ssh-ed25519"),
        ((ECDSA,), "ecdsa-sha2-nistp256"),
        ((RSA,), "rsa-sha2-512"),
        ((RSA, ECDSA), "ecdsa-sha2-nistp256"),
    ],
)
def test_the_server_is_asked_for_a_key_we_know(tmp_path, types, first):
    """
    Algorithms of known keys come first, nothing is lost, and the order is otherwise kept; without
    an authority no certificate is asked for.
    """
    ordered = order(known(tmp_path, *(line("web1", key_type) for key_type in types)))
    assert ordered[0] == first
    assert sorted(ordered) == sorted(HOST_KEYS)
    rest = [name for name in ordered if name in ("ssh-ed25519", "ecdsa-sha2-nistp521")]
    assert rest == ["ssh-ed25519", "ecdsa-sha2-nistp521"]


def test_where_an_authority_is_known_certificates_come_first(tmp_path):
    """
    Then the keys that are known, then the others; elsewhere nothing changes.
    """
    hosts = known(tmp_path, f"@cert-authority web1 {encode_key(blob())}\n", line("web1", RSA))
    ordered = order(hosts)
    assert ordered[: len(HOST_CERTIFICATES)] == HOST_CERTIFICATES
    assert ordered[len(HOST_CERTIFICATES)] == "rsa-sha2-512"
    assert sorted(ordered) == sorted(ALL)
    assert order(hosts, "web2") == HOST_KEYS


def test_where_something_is_revoked_certificates_are_looked_at(tmp_path):
    """
    A key may be revoked by its certificate, so that is asked for; known keys before others.
    """
    hosts = known(tmp_path, f"@revoked web1 {encode_key(blob())}\n", line("web1", RSA))
    ordered = order(hosts)
    assert ordered[:2] == tuple(f"{name}-cert-v01@openssh.com" for name in HOST_KEYS[-2:])
    assert ordered[2] == "rsa-sha2-512"
    assert sorted(ordered) == sorted(ALL)
    lists = RevokedHostKeys(broken=("list cannot be read",))
    assert sorted(order(known(tmp_path), revoked=lists)) == sorted(ALL)


def test_a_type_whose_key_is_revoked_is_not_asked_for_first(tmp_path):
    """
    A host that has one key taken back and another one good is asked for the good one, as by ssh.
    """
    hosts = known(tmp_path, line("web1"), line("web1", RSA), "@revoked " + line("*"))
    plain = [name for name in order(hosts) if name in HOST_KEYS]
    assert plain[:2] == ["rsa-sha2-512", "rsa-sha2-256"]


def test_a_list_of_the_settings_is_taken_as_it_stands(tmp_path):
    """
    HostKeyAlgorithms in an order of its own is that order, as for ssh.
    """
    assert order(known(tmp_path, line("web1", RSA)), as_set=True) == ALL


# -- what was shown


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (blob(RSA), "ssh-ed25519"),
        (blob(), "ecdsa-sha2-nistp256"),
        (blob(), "ssh-ed25519-cert-v01@openssh.com"),
        (blob(RSA), "ssh-rsa-cert-v01@openssh.com"),
        (blob()[:-1], "ssh-ed25519"),
        (blob() + b"x", "ssh-ed25519"),
        (b"", "ssh-ed25519"),
    ],
)
def test_a_server_must_show_what_was_agreed_on(key, algorithm):
    """
    A key of another type, or none, is no answer to the algorithm that was negotiated.
    """
    with pytest.raises(MalformedKey):
        read_shown_key(key, algorithm)


def test_both_signatures_of_rsa_show_the_same_kind_of_key():
    """
    ssh-rsa is the type of the key, rsa-sha2-* are ways to sign with it.
    """
    for algorithm in ("rsa-sha2-256", "rsa-sha2-512"):
        assert read_shown_key(blob(RSA), algorithm).key_type == RSA


# -- certificates by hardware keys


def certificate(authority: bytes, sign) -> bytes:
    """Make a certificate for the key of `blob`. Source: OpenSSH PROTOCOL.certkeys."""
    body = b"".join(
        (
            ssh_string(b"ssh-ed25519-cert-v01@openssh.com"),
            ssh_string(b"nonce"),
            blob()[len(ssh_string(b"ssh-ed25519")) :],
            (7).to_bytes(8, "big"),
            (2).to_bytes(4, "big"),
            ssh_string(b"id"),
            ssh_string(ssh_string(b"web1")),
            bytes(8),
            FOREVER.to_bytes(8, "big"),
            *(ssh_string(b""),) * 3,
            ssh_string(authority),
        )
    )
    return body + ssh_string(sign(body))


def token_message(data: bytes) -> bytes:
    digest = hashlib.sha256
    return digest(b"ssh:").digest() + b"\x01\0\0\0\x05" + digest(data).digest()


def sk_ed25519():
    private = ed25519.Ed25519PrivateKey.generate()
    name = ssh_string(b"sk-ssh-ed25519@openssh.com")
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(data: bytes) -> bytes:
        return name + ssh_string(private.sign(token_message(data))) + b"\x01\0\0\0\x05"

    return name + ssh_string(public) + ssh_string(b"ssh:"), sign


def sk_ecdsa():
    private = ec.generate_private_key(ec.SECP256R1())
    name = ssh_string(b"sk-ecdsa-sha2-nistp256@openssh.com")
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def sign(data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(private.sign(token_message(data), ec.ECDSA(SHA256())))
        return name + ssh_string(ssh_mpint(r) + ssh_mpint(s)) + b"\x01\0\0\0\x05"

    public = name + ssh_string(b"nistp256") + ssh_string(point) + ssh_string(b"ssh:")
    return public, sign


@pytest.mark.parametrize("make", [sk_ed25519, sk_ecdsa])
def test_an_authority_may_be_a_hardware_key(tmp_path, make):
    """
    Its certificates count like others; with any byte changed they are none.
    """
    authority, sign = make()
    made = certificate(authority, sign)
    assert parse_certificate(made).plain_key == blob()
    hosts = known(tmp_path, f"@cert-authority * {encode_key(authority)}\n")
    shown = read_shown_key(made, "ssh-ed25519-cert-v01@openssh.com")
    question = Question(("web1",), principal="web1")
    assert judge(HostKeyFiles(hosts), shown, question, 1e9).verdict == "trusted"
    for at in (60, 120, len(made) - 40, len(made) - 1):
        with pytest.raises(MalformedKey):
            parse_certificate(made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :])
    with pytest.raises(MalformedKey):
        verify_signature(authority, sign(b"this"), b"that")


def test_a_certificate_says_why_it_does_not_count():
    """
    The reason is one that somebody can act on.
    """
    authority, sign = sk_ed25519()
    parsed = parse_certificate(certificate(authority, sign))
    assert parsed.why_not("web1", 1e9, AUTHORITY_SIGNATURES) is None
    assert "web2 is not among" in (parsed.why_not("web2", 1e9, AUTHORITY_SIGNATURES) or "")
    assert "was signed with sk-" in (parsed.why_not("web1", 1e9, ("ssh-ed25519",)) or "")


# -- revocation lists


def test_S06_a_list_without_end_refuses_every_host(tmp_path, monkeypatch):
    """
    S06: a file that is too large to be read is as good as one that cannot be read.
    """
    monkeypatch.setattr("fleetctl.ssh.revocation.MAX_FILE_BYTES", 100)
    file = tmp_path / "revoked"
    file.write_text("# " + "x" * 200)
    revoked = load_revoked_host_keys([str(file)])
    assert "more than" in (revoked.why_revoked(blob(ED25519), None) or "")


def test_S06_known_hosts_without_end_is_unread(tmp_path, monkeypatch):
    """
    S06: a file or a line that does not end is a warning, and what it knows is not known.
    """
    for name, limit in (("MAX_FILE_BYTES", 1000), ("MAX_LINE_BYTES", 100)):
        with monkeypatch.context() as patch:
            patch.setattr(f"fleetctl.ssh.known_hosts.{name}", limit)
            hosts = known(tmp_path, line("web1"), "x" * 2000)
        assert hosts.unread == [f"{tmp_path}/known_hosts"]
        assert hosts.warnings == [f"{tmp_path}/known_hosts: not read: File too large"]


def test_many_bad_lines_are_not_told_one_by_one(tmp_path):
    """
    A file that is none says so in a few lines, however long it is.
    """
    hosts = known(tmp_path, *["rubbish\n"] * 1000, line("web1"))
    assert len(hosts.warnings) == 21
    assert hosts.warnings[-1].endswith("980 more lines like these; skipped")
    assert hosts.entries("web1")
