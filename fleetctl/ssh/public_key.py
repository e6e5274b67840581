"""
Public key blobs: what is a well-formed one, and is a signature made with it.

Knows no files and no hosts; certificates are `fleetctl.ssh.host_certificate`'s business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from fleetctl.model.excerpt import beginning

CERTIFICATE_SUFFIX = "-cert-v01@openssh.com"
SK_ED25519 = "sk-ssh-ed25519@openssh.com"
SK_ECDSA = "sk-ecdsa-sha2-nistp256@openssh.com"

#: Two strings: the type, and the key of 32 bytes.
ED25519_PREFIX = b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
ED25519_BLOB_BYTES = len(ED25519_PREFIX) + 32
#: As ssh has it: a shorter RSA key is no key. Source: OpenSSH, SSH_RSA_MINIMUM_MODULUS_SIZE.
MIN_RSA_BITS = 1024
#: And a longer number is none. Source: OpenSSH, SSHBUF_MAX_BIGNUM.
MAX_NUMBER_BITS = 16 * 1024


class MalformedKey(ValueError):
    """The bytes are not what they should be; the text says why."""


class BlobReader:
    """
    Takes the fields of a blob one after another.

    Raises:
        MalformedKey: From every method, if the bytes end too early.

    Source: RFC 4251 section 5.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def position(self) -> int:
        return self._position

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._data)

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes."""
        end = self._position + size
        if end > len(self._data):
            raise MalformedKey("it ends in the middle of a field")
        data = self._data[self._position : end]
        self._position = end
        return data

    def number(self, size: int = 4) -> int:
        """Return an unsigned integer of this many bytes."""
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        """Return a string that is a name; bytes that are no ASCII are replaced."""
        return self.string().decode("ascii", "replace")

    def strings(self) -> Iterator[bytes]:
        """Yield strings up to the end."""
        while not self.is_at_end:
            yield self.string()

    def mpint(self) -> int:
        """Return a positive multiple precision integer."""
        data = self.string()
        if data[:1] >= b"\x80":
            raise MalformedKey("a number is negative")
        value = int.from_bytes(data, "big")
        if value.bit_length() > MAX_NUMBER_BITS:
            raise MalformedKey("a number is too long")
        return value

    def expect_end(self) -> None:
        if not self.is_at_end:
            raise MalformedKey("something follows its last field")


@dataclass(frozen=True, slots=True)
class _Curve:
    """
    y^2 = x^3 - 3x + b over the integers modulo p.

    Source: FIPS 186-4, appendix D.1.2.
    """

    name: str
    bits: int
    p: int
    b: int
    make: Callable[[], ec.EllipticCurve]
    hash: Callable[[], hashes.HashAlgorithm]


_CURVES: Mapping[str, _Curve] = {
    f"ecdsa-sha2-{curve.name}": curve
    for curve in (
        _Curve(
            "nistp256",
            256,
            2**256 - 2**224 + 2**192 + 2**96 - 1,
            0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
            ec.SECP256R1,
            hashes.SHA256,
        ),
        _Curve(
            "nistp384",
            384,
            2**384 - 2**128 - 2**96 + 2**32 - 1,
            0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
            ec.SECP384R1,
            hashes.SHA384,
        ),
        _Curve(
            "nistp521",
            521,
            2**521 - 1,
            0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
            ec.SECP521R1,
            hashes.SHA512,
        ),
    )
}


def _take_rsa(reader: BlobReader) -> None:
    exponent, modulus = reader.mpint(), reader.mpint()
    if not exponent or modulus.bit_length() < MIN_RSA_BITS:
        raise MalformedKey(f"an RSA key of {modulus.bit_length()} bits is too short")


def _take_ed25519(reader: BlobReader) -> None:
    if len(reader.string()) != 32:
        raise MalformedKey("an Ed25519 key has 32 bytes")


def _take_ecdsa(reader: BlobReader, key_type: str) -> None:
    curve = _CURVES[key_type]
    if reader.text() != curve.name:
        raise MalformedKey("its curve is not the one of its type")
    point, size = reader.string(), (curve.bits + 7) // 8
    if len(point) != 1 + 2 * size or point[0] != 4:
        raise MalformedKey("it is no uncompressed point")
    x, y = (int.from_bytes(part, "big") for part in (point[1 : 1 + size], point[1 + size :]))
    # A coordinate of half the length is no accident, says OpenSSH's sshkey_ec_validate_public.
    if min(x.bit_length(), y.bit_length()) <= curve.bits // 2 or max(x, y) >= curve.p:
        raise MalformedKey("its point is out of range")
    if (y * y - x * x * x + 3 * x - curve.b) % curve.p:
        raise MalformedKey("its point is not on the curve")


def _take_dsa(reader: BlobReader) -> None:
    for _ in "pqgy":
        reader.mpint()


def take_key_fields(reader: BlobReader, key_type: str) -> None:
    """
    Take what follows the type of a public key of this plain type.

    Raises:
        MalformedKey: It is not well-formed, or the type is not known.

    Source: RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4, OpenSSH PROTOCOL.u2f.
    """
    match key_type:
        case "ssh-ed25519":
            _take_ed25519(reader)
        case "ssh-rsa":
            _take_rsa(reader)
        case "ecdsa-sha2-nistp256" | "ecdsa-sha2-nistp384" | "ecdsa-sha2-nistp521":
            _take_ecdsa(reader, key_type)
        case "sk-ssh-ed25519@openssh.com":
            _take_ed25519(reader)
            reader.string()
        case "sk-ecdsa-sha2-nistp256@openssh.com":
            _take_ecdsa(reader, "ecdsa-sha2-nistp256")
            reader.string()
        case "ssh-dss":
            _take_dsa(reader)
        case _:
            raise MalformedKey(f"keys of type {beginning(key_type, 64)} are not known")


def key_type_of(blob: bytes) -> str:
    """Return the type a blob begins with, whatever follows; empty if there is none."""
    size = int.from_bytes(blob[:4], "big")
    name = blob[4 : 4 + size]
    return name.decode("ascii", "replace") if len(name) == size else ""


def check_public_key(blob: bytes) -> str:
    """
    Return the type of a plain public key.

    Raises:
        MalformedKey: ssh would not take it for a key.
    """
    if len(blob) == ED25519_BLOB_BYTES and blob.startswith(ED25519_PREFIX):
        return "ssh-ed25519"
    reader = BlobReader(blob)
    key_type = reader.text()
    take_key_fields(reader, key_type)
    reader.expect_end()
    return key_type


def key_bits(blob: bytes) -> int:
    """
    Return the size of a key or of the key in a certificate, as ``ssh-keygen -l`` prints it.

    Raises:
        MalformedKey: It is none.
    """
    reader = BlobReader(blob)
    key_type = reader.text()
    if key_type.endswith(CERTIFICATE_SUFFIX):
        key_type = key_type.removesuffix(CERTIFICATE_SUFFIX)
        reader.string()
    match key_type:
        case "ssh-rsa":
            reader.mpint()
            return reader.mpint().bit_length()
        case "ssh-dss":
            return reader.mpint().bit_length()
        case _ if key_type in _CURVES:
            return _CURVES[key_type].bits
    return 256


_RSA_HASHES: Mapping[str, Callable[[], hashes.HashAlgorithm]] = {
    "rsa-sha2-256": hashes.SHA256,
    "rsa-sha2-512": hashes.SHA512,
}


def verify_signature(blob: bytes, signature: bytes, data: bytes) -> str:
    """
    Check that a signature over these bytes was made with this public key.

    Returns:
        The signature's algorithm.

    Raises:
        MalformedKey: It was not, or it is of an algorithm that is not accepted, such as SHA-1.

    Source: RFC 4253 section 6.6, RFC 5656 section 3.1.2, RFC 8332, RFC 8709, OpenSSH PROTOCOL.u2f.
    """
    reader, signed = BlobReader(blob), BlobReader(signature)
    key_type, algorithm = reader.text(), signed.text()
    value = signed.string()
    if key_type in (SK_ED25519, SK_ECDSA):
        trailer = signed.take(5)  # flags and counter
    signed.expect_end()
    expected = tuple(_RSA_HASHES) if key_type == "ssh-rsa" else (key_type,)
    if algorithm not in expected:
        raise MalformedKey(f"a signature of type {beginning(algorithm, 64)} is not accepted")
    try:
        match key_type:
            case "ssh-rsa":
                _verify_rsa(reader, value, data, _RSA_HASHES[algorithm]())
            case "ssh-ed25519":
                ed25519.Ed25519PublicKey.from_public_bytes(reader.string()).verify(value, data)
            case "sk-ssh-ed25519@openssh.com":
                point = reader.string()
                message = _token_message(reader.string(), trailer, data)
                ed25519.Ed25519PublicKey.from_public_bytes(point).verify(value, message)
            case "sk-ecdsa-sha2-nistp256@openssh.com":
                reader.string()
                point = reader.string()
                message = _token_message(reader.string(), trailer, data)
                _verify_ecdsa("ecdsa-sha2-nistp256", point, value, message)
            case _ if key_type in _CURVES:
                reader.string()
                _verify_ecdsa(key_type, reader.string(), value, data)
            case _:
                raise MalformedKey(f"keys of type {beginning(key_type, 64)} are not known")
    except InvalidSignature:
        raise MalformedKey("the signature is wrong") from None
    except ValueError as error:
        raise MalformedKey(str(error) or "the key cannot be used") from None
    return algorithm


def _verify_rsa(
    reader: BlobReader, value: bytes, data: bytes, digest: hashes.HashAlgorithm
) -> None:
    exponent, modulus = reader.mpint(), reader.mpint()
    key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    # Some signers leave leading zeros out.
    key.verify(
        value.rjust((modulus.bit_length() + 7) // 8, b"\0"), data, padding.PKCS1v15(), digest
    )


def _verify_ecdsa(key_type: str, point: bytes, value: bytes, data: bytes) -> None:
    curve = _CURVES[key_type]
    numbers = BlobReader(value)
    r, s = numbers.mpint(), numbers.mpint()
    numbers.expect_end()
    key = ec.EllipticCurvePublicKey.from_encoded_point(curve.make(), point)
    key.verify(encode_dss_signature(r, s), data, ec.ECDSA(curve.hash()))


def _token_message(application: bytes, trailer: bytes, data: bytes) -> bytes:
    return hashlib.sha256(application).digest() + trailer + hashlib.sha256(data).digest()
