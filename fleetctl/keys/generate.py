"""
New key pairs, in the formats of OpenSSH.
"""

from __future__ import annotations

import base64
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fleetctl.keys.authorized_keys_lines import AuthorizedKey
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret

_PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KeyKind = Literal["ed25519", "rsa", "ecdsa"]

#: Rounds of bcrypt over a passphrase; each is about 10 ms. Source: ssh-keygen(1), ``-a``, has 16
#: (24 since 9.9).
KDF_ROUNDS = 24
RSA_BITS, MIN_RSA_BITS, MAX_RSA_BITS = 3072, 3072, 16384
ECDSA_BITS = (256, 384, 521)
#: Shorter ones ssh-keygen refuses.
MIN_PASSPHRASE = 5


@dataclass(frozen=True, slots=True)
class KeyWish:
    """
    What sort of key is wanted.

    Attributes:
        bits: For RSA 3072 or more, for ECDSA 256, 384 or 521; None for the usual: 3072 and 256.
        comment: For people; stands in the public file.
    """

    kind: KeyKind = "ed25519"
    bits: int | None = None
    comment: str = ""

    def __post_init__(self) -> None:
        """
        Raises:
            UsageError: There are no such keys.
        """
        if self.kind == "ed25519" and self.bits not in (None, 256):
            raise UsageError("an Ed25519 key has 256 bits, always", file="--bits")
        if self.kind == "ecdsa" and self.bits not in (None, *ECDSA_BITS):
            raise UsageError(
                f"an ECDSA key has 256, 384 or 521 bits, not {self.bits}", file="--bits"
            )
        if self.kind == "rsa" and not MIN_RSA_BITS <= (self.bits or RSA_BITS) <= MAX_RSA_BITS:
            raise UsageError(
                f"an RSA key should have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, not {self.bits}",
                file="--bits",
                hint="the usual key today is shorter and stronger: --type ed25519",
            )
        if any(sign in self.comment for sign in "\n\r\0"):
            raise UsageError("the comment has a line break or a zero byte in it", file="--comment")


@dataclass(frozen=True, slots=True)
class NewKey:
    """
    A key pair.

    Attributes:
        private: The text of the private file, in OpenSSH's format.
        public: What hosts are told.
    """

    private: Secret
    public: AuthorizedKey


def generate_key(
    wish: KeyWish, passphrase: Secret | None = None, *, rounds: int = KDF_ROUNDS
) -> NewKey:
    """
    Make a key pair. Blocks: RSA takes a second or more, a passphrase a quarter.

    Args:
        passphrase: None leaves the private key unencrypted.
        rounds: Of bcrypt over the passphrase.

    Raises:
        UsageError: The passphrase is too short.

    Source: OpenSSH PROTOCOL.key; ssh-keygen(1).
    """
    encryption: KeySerializationEncryption = NoEncryption()
    if passphrase is not None and passphrase.reveal():
        word = passphrase.reveal().encode("utf-8", "surrogateescape")
        if len(word) < MIN_PASSPHRASE:
            raise UsageError(f"a passphrase has {MIN_PASSPHRASE} characters or more")
        encryption = PrivateFormat.OpenSSH.encryption_builder().kdf_rounds(rounds).build(word)
    key = _make(wish)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    key_type, encoded = public.split()[:2]
    return NewKey(
        Secret(private.decode("ascii")),
        AuthorizedKey(key_type.decode("ascii"), base64.b64decode(encoded), wish.comment.strip()),
    )


def _make(wish: KeyWish) -> _PrivateKey:
    match wish.kind:
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "rsa":
            return rsa.generate_private_key(65537, wish.bits or RSA_BITS)
        case "ecdsa":
            curves = {256: ec.SECP256R1(), 384: ec.SECP384R1(), 521: ec.SECP521R1()}
            return ec.generate_private_key(curves[wish.bits or ECDSA_BITS[0]])


def save_key(key: NewKey, path: str, *, force: bool = False) -> tuple[str, str]:
    """
    Write a key pair to ``path`` (mode 0600) and ``path.pub`` (0644), both or neither. Blocks.

    Args:
        force: Put them in the place of files that are there.

    Returns:
        Both paths.

    Raises:
        UsageError: One of the files is there, or cannot be written.
    """
    private, public = _files_of(path)
    check_free(path, force=force)
    contents = (
        (private, 0o600, key.private.reveal().encode("ascii")),
        (public, 0o644, key.public.render() + b"\n"),
    )
    made: list[Path] = []
    try:
        if private.parent == _usual_folder():
            private.parent.mkdir(mode=0o700, exist_ok=True)
        for file, mode, data in contents:
            draft = file.with_name(f".{file.name}.{os.urandom(6).hex()}") if force else file
            _write_new(draft, mode, data, made)
        for draft, (file, _, _) in zip(tuple(made), contents, strict=True):
            draft.replace(file)
            made.remove(draft)
    except OSError as error:
        for one in made:
            one.unlink(missing_ok=True)
        raise UsageError(error.strerror or str(error), file=str(private)) from error
    return str(private), str(public)


def _usual_folder() -> Path:
    """Return the folder that is made if it is not there, as ssh-keygen does."""
    return Path("~/.ssh").expanduser()


def _files_of(path: str) -> tuple[Path, Path]:
    private = Path(path).expanduser()
    return private, private.with_name(f"{private.name}.pub")


def check_free(path: str, *, force: bool = False) -> None:
    """
    Look whether a key pair may be written to ``path``. Blocks.

    Raises:
        UsageError: One of the files is there, or the folder is not and is not ``~/.ssh`` either.
    """
    folder = _files_of(path)[0].parent
    if not folder.is_dir() and folder != _usual_folder():
        raise UsageError(
            "No such file or directory",
            file=str(folder),
            hint=f"mkdir -p -m 700 {shlex.quote(str(folder))}",
        )
    there = [one for one in _files_of(path) if one.is_symlink() or one.exists()]
    if there and not force:
        shown = shlex.quote(str(there[0]))
        raise UsageError(
            "the file is there already",
            file=str(there[0]),
            hint=f"choose another name, or see what it is: ssh-keygen -l -f {shown}; "
            "--force puts a new key in its place, and the old one is lost",
        )


def _write_new(file: Path, mode: int, data: bytes, made: list[Path]) -> None:
    """Write a file that is not there yet, readable by nobody else from the first moment."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    made.append(file)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
