"""
A public key in text: ``TYPE BASE64 [COMMENT]``, as known_hosts and lists of keys have it.

Source: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT; OpenSSH sshkey.c, sshkey_read.
"""

from __future__ import annotations

import base64
import binascii
import re

from fleetctl.ssh.host_certificate import is_certificate, parse_certificate
from fleetctl.ssh.public_key import ED25519_PREFIX, MalformedKey, check_public_key, key_type_of

_FIELDS = re.compile(rb"([^ \t]+)[ \t]+([^ \t]+)[ \t]*(.*)", re.DOTALL)
#: What base64 may have in it besides its alphabet, says b64_pton: white space of C.
_WHITE_SPACE = b"\n\v\f\r"
#: Names of signatures that ssh takes for the type of the key.
_RSA_NAMES = frozenset({b"rsa-sha2-256", b"rsa-sha2-512"})


def read_key(text: bytes) -> tuple[str, bytes, bytes]:
    """
    Read a key and what follows it.

    Returns:
        The type the blob has, the blob, and the comment without the blanks before it.

    Raises:
        MalformedKey: ssh would not take it for a key.
    """
    found = _FIELDS.match(text)
    if found is None:
        raise MalformedKey("a type and a key are expected")
    written, encoded, comment = found.groups()
    return *decode_key(written, encoded), comment


def decode_key(written: bytes, encoded: bytes) -> tuple[str, bytes]:
    """
    Return the type and the blob of a key.

    Args:
        written: The type that stands before it.
        encoded: The blob in base64.

    Raises:
        MalformedKey: ssh would not take it for a key.
    """
    encoded = encoded.translate(None, _WHITE_SPACE)
    try:
        blob = binascii.a2b_base64(encoded, strict_mode=True)
    except binascii.Error:
        raise MalformedKey("the key is not base64") from None
    if binascii.b2a_base64(blob, newline=False) != encoded:
        # Padding too much, or bits behind the last byte. Source: b64_pton(3) of OpenSSH.
        raise MalformedKey("the key is not base64 as it should be")
    if written == b"ssh-ed25519" and blob.startswith(ED25519_PREFIX):
        return check_public_key(blob), blob
    key_type = key_type_of(blob)
    if key_type.encode() != written and not (key_type == "ssh-rsa" and written in _RSA_NAMES):
        raise MalformedKey("the key is not of the type that stands before it")
    if is_certificate(key_type):
        parse_certificate(blob)
    else:
        check_public_key(blob)
    return key_type, blob


def encode_key(blob: bytes) -> str:
    """Return ``TYPE BASE64``."""
    return f"{key_type_of(blob)} {base64.b64encode(blob).decode('ascii')}"
