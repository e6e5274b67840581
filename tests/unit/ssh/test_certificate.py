"""
User certificates: what ssh-keygen writes is what is read; anything else is no certificate.
"""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.model.errors import FleetError
from fleetctl.ssh.certificate import (
    CERTIFIED_TYPES,
    parse_certificate,
    plain_key,
    read_certificate_file,
)
from tests.support.keys import keygen


def certify(folder: Path, key_options: str, *options: str) -> tuple[Path, Path]:
    """Return a key and its certificate."""
    authority, key = (
        keygen(folder / "ca", "-t", "ed25519"),
        keygen(folder / "key", *key_options.split()),
    )
    words = [
        "ssh-keygen",
        "-q",
        "-s",
        str(authority),
        "-I",
        "the id",
        "-n",
        "root,deploy",
        *options,
    ]
    subprocess.run([*words, f"{key}.pub"], check=True, timeout=30)
    return key, folder / "key-cert.pub"


def blob_of(path: Path | str) -> bytes:
    return base64.b64decode(Path(path).read_text().split()[1])


@pytest.mark.parametrize(
    "options", ["-t ed25519", "-t rsa -b 2048", "-t ecdsa -b 256", "-t ecdsa -b 521"]
)
def test_certificates_of_every_type_are_read(tmp_path, options):
    """
    Type, id, principals, times, and the very key that was signed.
    """
    key, path = certify(tmp_path, options, "-V", "20260101000000Z:20270101000000Z")
    found = read_certificate_file(str(path))
    assert found.key_type in CERTIFIED_TYPES
    assert found.blob == blob_of(path)
    assert found.plain_blob == blob_of(f"{key}.pub") == plain_key(found.blob)
    assert (found.key_id, found.principals) == ("the id", ("root", "deploy"))
    assert (found.valid_after, found.valid_before) == (1767225600, 1798761600)


def test_a_certificate_may_be_valid_for_ever(tmp_path):
    """
    Without -V it never ends.
    """
    found = read_certificate_file(str(certify(tmp_path, "-t ed25519")[1]))
    assert (found.valid_after, found.valid_before) == (0, None)
    assert found.problem_at(0) is None
    assert found.problem_at(2.0**40) is None


def test_times_are_checked_to_the_second(tmp_path):
    """
    Valid from the first second, no longer from the last; the message has the time in UTC.
    """
    path = certify(tmp_path, "-t ed25519", "-V", "20260101000000Z:20270101000000Z")[1]
    found = read_certificate_file(str(path))
    assert found.problem_at(1767225600) is None
    assert found.problem_at(1798761599) is None
    early, late = found.problem_at(1767225599), found.problem_at(1798761600)
    assert early is not None
    assert str(early) == f"{path}: the certificate is not valid before 2026-01-01 00:00:00Z"
    assert late is not None
    assert str(late) == f"{path}: the certificate expired at 2027-01-01 00:00:00Z"


@pytest.mark.parametrize("content", [b"", b"one-word", b"ssh-ed25519 ====", b"x " + b"A" * 99])
def test_a_file_that_is_no_certificate_says_so(tmp_path, content):
    """
    The path, the reason, and the command that shows what it is.
    """
    path = tmp_path / "cert.pub"
    path.write_bytes(content)
    with pytest.raises(FleetError, match="not a certificate that can be used") as caught:
        read_certificate_file(str(path))
    assert caught.value.failure.hint == f"see what it is: ssh-keygen -L -f {path}"


def test_a_public_key_is_no_certificate(tmp_path):
    """
    A .pub file named by mistake is told apart, and stays a plain key.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    with pytest.raises(FleetError, match="ssh-ed25519 is not a type of certificate"):
        read_certificate_file(f"{key}.pub")
    assert plain_key(blob_of(f"{key}.pub")) == blob_of(f"{key}.pub")


def test_a_missing_file_is_told_by_its_cause(tmp_path):
    """
    Whoever looks for certificates that need not exist can tell.
    """
    with pytest.raises(FleetError) as caught:
        read_certificate_file(str(tmp_path / "none"))
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_every_cut_of_a_certificate_is_an_error(tmp_path):
    """
    A damaged certificate is never taken for a whole one, wherever it ends.
    """
    blob = read_certificate_file(str(certify(tmp_path, "-t ecdsa -b 256")[1])).blob
    needed = blob.index(b"deploy") + len(b"deploy") + 16
    for size in range(needed):
        with pytest.raises(ValueError, match=r".+"):
            parse_certificate(blob[:size], "")


@given(st.sampled_from(sorted(CERTIFIED_TYPES)), st.binary(max_size=200))
def test_any_bytes_are_a_certificate_or_an_error(key_type, rest):
    """
    What an agent sends is never a bug of ours.
    """
    blob = len(key_type).to_bytes(4, "big") + key_type.encode() + rest
    plain_key(blob)
