"""
Fingerprints and pictures of keys, as OpenSSH's own tool prints them.
"""

from __future__ import annotations

import base64
import subprocess

import pytest

from fleetctl.ssh.fingerprint import fingerprints_of
from fleetctl.ssh.public_key import MalformedKey, check_public_key
from tests.support.keys import keygen
from tests.unit.ssh.keys import ECDSA, blob

KINDS = [
    ("-t", "ed25519"),
    ("-t", "rsa", "-b", "1024"),
    ("-t", "rsa", "-b", "2049"),
    ("-t", "ecdsa", "-b", "256"),
    ("-t", "ecdsa", "-b", "384"),
    ("-t", "ecdsa", "-b", "521"),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind[1::2]))
def test_fingerprints_are_those_of_ssh_keygen(tmp_path, kind):
    """
    SHA256, MD5, size, type and randomart are printed as ``ssh-keygen -l -v`` prints them.
    """
    for number in range(3):
        public = f"{keygen(tmp_path / f'key{number}', *kind)}.pub"
        with open(public, encoding="ascii") as stream:
            made = fingerprints_of(base64.b64decode(stream.read().split()[1]))
        for digest, ours in (("sha256", made.sha256), ("md5", made.md5)):
            done = subprocess.run(
                ["ssh-keygen", "-l", "-v", "-E", digest, "-f", public],
                capture_output=True,
                text=True,
                check=True,
                timeout=30,
            )
            first, *picture = done.stdout.splitlines()
            bits, theirs, *_, label = first.split()
            assert (str(made.bits), ours, f"({made.label})") == (bits, theirs, label)
            if digest == "sha256":
                assert list(made.randomart) == picture


@pytest.mark.parametrize(
    "damage",
    [
        lambda key: key[:-1],
        lambda key: key + b"x",
        lambda key: b"",
        lambda key: key[:3],
        lambda key: key.replace(b"nistp256", b"nistp384"),
        lambda key: key[:-1] + bytes([key[-1] ^ 1]),
    ],
)
def test_what_ssh_takes_for_no_key_is_none(damage):
    """
    Cut, longer, of another curve than it says, or a point off the curve: no key.
    """
    with pytest.raises(MalformedKey):
        check_public_key(damage(blob(ECDSA)))
