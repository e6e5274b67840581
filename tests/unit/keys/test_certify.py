"""
Certificates, compared with those of ssh-keygen.
"""

from __future__ import annotations

import base64
import os
import subprocess
import time

import pytest

from fleetctl.keys.certify import (
    USER_EXTENSIONS,
    CertificateWish,
    certify,
    parse_certificate_options,
    parse_validity,
)
from fleetctl.model.errors import UsageError
from fleetctl.ssh.host_certificate import FOREVER, parse_certificate
from fleetctl.ssh.identity import signature_algorithms
from fleetctl.ssh.key_file import load_identity_file
from tests.support.drive import run_async
from tests.support.key_cases import CaseKeys
from tests.support.keys import keygen

TYPES = {
    "ed25519": ("-t", "ed25519"),
    "rsa": ("-t", "rsa", "-b", "2048"),
    "p256": ("-t", "ecdsa", "-b", "256"),
    "p384": ("-t", "ecdsa", "-b", "384"),
    "p521": ("-t", "ecdsa", "-b", "521"),
}
NOW = 1_800_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a key of each type, and an authority of each."""
    found = tmp_path_factory.mktemp("certify")
    for name, options in TYPES.items():
        keygen(found / name, *options)
        keygen(found / f"ca_{name}", *options)
    return found


def blob_of(file):
    return base64.b64decode(file.read_text().split()[1])


def listing(file):
    """Return what ``ssh-keygen -L`` prints, without the name of the file."""
    shown = subprocess.run(
        ["ssh-keygen", "-L", "-f", file], capture_output=True, check=True, text=True
    )
    return shown.stdout.splitlines()[1:]


def ours(folder, key, authority, wish):
    """Certify a key; return the file."""
    signer = load_identity_file(str(folder / authority), None)
    blob = key if isinstance(key, bytes) else blob_of(folder / f"{key}.pub")
    made = run_async(lambda: certify(blob, wish, authority=signer.blob, sign=signer.sign))
    assert parse_certificate(made).authority == signer.blob
    file = folder / "ours-cert.pub"
    size = int.from_bytes(made[:4], "big")
    file.write_text(f"{made[4 : 4 + size].decode()} {base64.b64encode(made).decode()} x\n")
    return file


def theirs(folder, key, authority, *options):
    """Certify a key with ssh-keygen; return the file."""
    subprocess.run(
        ["ssh-keygen", "-q", "-s", folder / authority, *options, folder / f"{key}.pub"],
        check=True,
        env={**os.environ, "TZ": "UTC"},
    )
    return folder / f"{key}-cert.pub"


@pytest.mark.parametrize("authority", TYPES)
@pytest.mark.parametrize("key", TYPES)
def test_ours_are_as_those_of_ssh_keygen(folder, key, authority):
    """
    ssh-keygen -L prints the same of both, for every type of key and of authority.
    """
    wish = CertificateWish(
        "alice at work",
        principals=("alice", "ops"),
        valid_after=NOW,
        valid_before=NOW + 3600,
        serial=2**64 - 1,
    )
    validity = ("-V", "20270115080000:20270115090000")
    expected = theirs(
        *(folder, key, f"ca_{authority}"),
        *("-I", "alice at work", "-n", "alice,ops", "-z", str(2**64 - 1), *validity),
    )
    assert listing(ours(folder, key, f"ca_{authority}", wish)) == listing(expected)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["clear"],
        ["no-pty", "no-x11-forwarding"],
        ["clear", "permit-PTY", "permit-x11-forwarding"],
        ["force-command=echo 'a b'", "source-address=10.0.0.0/8,::1/128"],
        ["verify-required", "no-touch-required"],
        ["verify-required", "no-touch-required", "clear"],
        ["no-touch-required", "touch-required", "verify-required", "no-verify-required"],
        ["critical:x@example.org=1", "extension:z@example.org", "extension:a@example.org=b"],
        ["extension:e@example.org="],
    ],
)
@pytest.mark.parametrize("kind", ["user", "host"])
def test_options_are_as_those_of_ssh_keygen(folder, words, kind):
    """
    Each way to write an option means what it means there, byte for byte.
    """
    critical, extensions = parse_certificate_options(words, kind)
    wish = CertificateWish("x", kind, critical=critical, extensions=extensions)
    made = ours(folder, "ed25519", "ca_ed25519", wish)
    options = [part for word in words for part in ("-O", word)]
    host = ["-h"] if kind == "host" else []
    expected = theirs(folder, "ed25519", "ca_ed25519", "-I", "x", *host, *options)
    assert listing(made) == listing(expected)
    assert _without_nonce(made) == _without_nonce(expected)


def _without_nonce(file):
    """Return the blob from behind the nonce to before the signature."""
    blob = blob_of(file)
    size = int.from_bytes(blob[:4], "big")
    nonce = 4 + size + 4 + 32
    signed = len(blob) - (4 + 4 + len("ssh-ed25519") + 4 + 64)
    return blob[:size], blob[nonce:signed]


@pytest.mark.parametrize(
    "words",
    [
        ["frobnicate"],
        ["pty"],
        ["force-command="],
        ["force-command=a", "force-command=b"],
        ["source-address=10.0.0.1/8"],
        ["source-address=example.org"],
        ["source-address=10.0.0.0/8,"],
        ["no-pty=yes"],
        ["critical:"],
    ],
)
def test_what_is_no_option_is_refused(words):
    """
    And so does ssh-keygen.
    """
    with pytest.raises(UsageError):
        parse_certificate_options(words)


@pytest.mark.parametrize(
    "text",
    [
        "always:forever",
        "always:20300101Z",
        "20260101Z:202612312359Z",
        "20260101000000Z:forever",
        "0x0:0xffffffffffffffff",
        "0x10:0x6a000000",
        "20260101:20270101",
    ],
)
def test_a_validity_is_as_that_of_ssh_keygen(folder, text):
    """
    Fixed times in each form give the same certificate; local ones are this machine's.
    """
    after, before = parse_validity(text, NOW)
    made = ours(
        folder,
        "ed25519",
        "ca_ed25519",
        CertificateWish("x", valid_after=after, valid_before=before),
    )
    subprocess.run(
        [
            *("ssh-keygen", "-q", "-s", folder / "ca_ed25519", "-I", "x", "-V", text),
            folder / "ed25519.pub",
        ],
        check=True,
    )
    assert _without_nonce(made) == _without_nonce(folder / "ed25519-cert.pub")


@pytest.mark.parametrize(
    ("text", "after", "before"),
    [
        ("+52w", NOW - 60, NOW + 52 * 7 * 86400),
        ("+1h30m", NOW - 60, NOW + 5400),
        ("-1d:+1d", NOW - 86400, NOW + 86400),
        ("+60:+120", NOW + 60, NOW + 120),
        ("always:+1d", 0, NOW + 86400),
        ("-1D:forever", NOW - 86400, FOREVER),
    ],
)
def test_spans_count_from_now(text, after, before):
    """
    A span alone begins a minute ago, for clocks that are behind.
    """
    found = parse_validity(text, NOW)
    assert abs(found[0] - after) <= 60
    assert found[1] == before


@pytest.mark.parametrize(
    "text",
    ["", "52w", "+", "+2x", ":", "always:", ":forever", "forever:always", "20270101:20260101"],
)
def test_what_is_no_validity_is_refused(text):
    """
    Neither words that mean nothing nor an end before the beginning.
    """
    with pytest.raises(ValueError, match=r"time|over"):
        parse_validity(text, NOW)


def test_a_hardware_tokens_key_can_be_certified(folder, tmp_path):
    """
    The public half is all that is needed.
    """
    blob = base64.b64decode(CaseKeys(tmp_path, "root").blob("sk"))
    shown = listing(ours(folder, blob, "ca_ed25519", CertificateWish("token")))
    assert "sk-ssh-ed25519-cert-v01@openssh.com user certificate" in shown[0]


@pytest.mark.parametrize(
    "wish",
    [
        CertificateWish(""),
        CertificateWish("x", principals=("a", "")),
        CertificateWish("x", principals=("a",) * 257),
        CertificateWish("x", serial=2**64),
        CertificateWish("x", valid_after=2, valid_before=2),
    ],
)
def test_a_certificate_that_nobody_could_use_is_not_made(folder, wish):
    """
    Each mistake names its flag.
    """
    with pytest.raises(UsageError) as caught:
        ours(folder, "ed25519", "ca_ed25519", wish)
    assert str(caught.value.problems[0].file).startswith("--")


def test_a_certificate_is_not_certified(folder):
    """
    Only plain keys are.
    """
    theirs(folder, "ed25519", "ca_ed25519", "-I", "x")
    with pytest.raises(UsageError, match="cannot be used"):
        ours(folder, "ed25519-cert", "ca_ed25519", CertificateWish("x"))


def test_a_signature_of_somebody_else_is_found_out(folder):
    """
    What the agent returns is checked before it is written down.
    """
    signer = load_identity_file(str(folder / "ca_p256"), None)
    other = load_identity_file(str(folder / "ca_ed25519"), None)
    blob = blob_of(folder / "ed25519.pub")
    with pytest.raises(UsageError, match="is no certificate"):
        run_async(
            lambda: certify(blob, CertificateWish("x"), authority=other.blob, sign=signer.sign)
        )


def test_a_user_may_do_the_usual_things():
    """
    What ssh-keygen allows by default.
    """
    assert tuple(CertificateWish("x").extensions) == USER_EXTENSIONS
    assert signature_algorithms("ssh-rsa")[0] == "rsa-sha2-512"
    assert parse_validity("+1d", int(time.time()))[1] > time.time()
