"""Public key blobs and known_hosts lines, for the tests of host keys."""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from fleetctl.ssh.host_verdict import HostKeyFiles, Judgement, Question, ShownKey, judge
from fleetctl.ssh.identity import ssh_string
from fleetctl.ssh.known_hosts import KnownHosts, load_known_hosts, lookup_names

ED25519, RSA, ECDSA = "ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"


def blob(key_type: str = ED25519, seed: int = 1) -> bytes:
    """Return a public key; equal seeds give equal keys within a test run."""
    return _blob(key_type, seed)


@functools.cache
def _blob(key_type: str, seed: int) -> bytes:
    if key_type == ED25519:
        return ssh_string(ED25519.encode()) + ssh_string(hashlib.sha256(bytes([seed])).digest())
    key = (
        rsa.generate_private_key(65537, 1024)
        if key_type == RSA
        else ec.generate_private_key(ec.SECP256R1())
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    return base64.b64decode(public.split()[1])


def line(names: str, key_type: str = ED25519, seed: int = 1, *, end: str = "\n") -> str:
    return f"{names} {key_type} {base64.b64encode(blob(key_type, seed)).decode()}{end}"


def hashed(name: str, salt: bytes = b"s" * 20) -> str:
    """Return a name as `ssh-keygen -H` writes it. Source: ssh-keygen(1), HashKnownHosts."""
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))


def known(tmp_path: Path, *lines: str | bytes) -> KnownHosts:
    """Read a known_hosts file made of these lines."""
    file = tmp_path / "known_hosts"
    file.write_bytes(b"".join(x if isinstance(x, bytes) else x.encode() for x in lines))
    return load_known_hosts([str(file)])


def verdict(
    hosts: KnownHosts, host: str, *, port: int = 22, key_type: str = ED25519, seed: int = 1
) -> str:
    return judgement(hosts, host, port=port, key_type=key_type, seed=seed).verdict


def judgement(
    hosts: KnownHosts, host: str, *, port: int = 22, key_type: str = ED25519, seed: int = 1
) -> Judgement:
    question = Question(lookup_names(host, port), principal=host)
    return judge(HostKeyFiles(hosts), ShownKey(key_type, blob(key_type, seed)), question, 0.0)
