"""
Certificates: what ``ssh-keygen -s`` makes, from a public key, an authority and a wish.

Who signs is the caller's business: a file, an agent, a hardware token behind one.

Source: OpenSSH PROTOCOL.certkeys; ssh-keygen.c, do_ca_sign.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from fleetctl.keys.options_times import parse_expiry_time
from fleetctl.model.errors import Problem, UsageError
from fleetctl.ssh.host_certificate import FOREVER, MAX_PRINCIPALS, parse_certificate
from fleetctl.ssh.public_key import CERTIFICATE_SUFFIX, MalformedKey, check_public_key

_USER, _HOST = 1, 2
_NONCE_BYTES = 32
_MAX_SERIAL = 2**64 - 1
#: A certificate begins a minute early, for clocks that are not quite right.
_BACKDATED_S = 59
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"[0-9]+|(?:[0-9]+[smhdw])+", re.IGNORECASE)

#: What a user's certificate allows if nothing else is said.
USER_EXTENSIONS = (
    "permit-X11-forwarding",
    "permit-agent-forwarding",
    "permit-port-forwarding",
    "permit-pty",
    "permit-user-rc",
)
_FLAGS = {name.lower(): name for name in USER_EXTENSIONS}

#: Takes what is to be signed and a signature algorithm; returns a signature blob.
Sign = Callable[[bytes, str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class CertificateWish:
    """
    What a certificate is to say.

    Attributes:
        key_id: For the logs of servers (``-I``).
        kind: For whom (``-h`` for a host).
        principals: Names it is for (``-n``); empty for any.
        valid_after: Seconds since 1970, inclusive.
        valid_before: Seconds since 1970, exclusive.
        critical: What a server must know or refuse: name -> value, None for a flag.
        extensions: What a server may leave aside, in the same form.
    """

    key_id: str
    kind: Literal["user", "host"] = "user"
    principals: tuple[str, ...] = ()
    valid_after: int = 0
    valid_before: int = FOREVER
    serial: int = 0
    critical: Mapping[str, str | None] = field(default_factory=dict)
    extensions: Mapping[str, str | None] = field(
        default_factory=lambda: dict.fromkeys(USER_EXTENSIONS)
    )

    def problems(self) -> tuple[Problem, ...]:
        """Return what is wrong with it."""
        found = []
        if not self.key_id:
            found.append(Problem("a certificate has a name for the logs", file="--id"))
        if any(not name for name in self.principals):
            found.append(Problem("a name between the commas is empty", file="--principals"))
        if len(self.principals) > MAX_PRINCIPALS:
            found.append(Problem(f"more than {MAX_PRINCIPALS} names", file="--principals"))
        if not 0 <= self.serial <= _MAX_SERIAL:
            found.append(Problem("a serial number has 64 bits", file="--serial"))
        if not 0 <= self.valid_after < self.valid_before <= FOREVER:
            found.append(Problem("it would never be valid", file="--valid"))
        return tuple(found)


async def certify(
    blob: bytes, wish: CertificateWish, *, authority: bytes, sign: Sign, nonce: bytes | None = None
) -> bytes:
    """
    Return the blob of a certificate.

    Args:
        blob: The public key that is certified.
        authority: The public key of whoever signs.
        sign: Signs with that key.
        nonce: Random bytes; None takes new ones.

    Raises:
        UsageError: The wish cannot be fulfilled, or a key is none, or a certificate itself.
        FleetError: From ``sign``.
    """
    problems = list(wish.problems())
    for name, one in (("the key", blob), ("the key of the authority", authority)):
        try:
            check_public_key(one)
        except MalformedKey as error:
            problems.append(Problem(f"{name} cannot be used: {error}"))
    if problems:
        raise UsageError(problems=problems)
    key_type = check_public_key(authority)
    algorithm = "rsa-sha2-512" if key_type == "ssh-rsa" else key_type
    unsigned = _unsigned(blob, wish, authority, nonce or os.urandom(_NONCE_BYTES))
    certificate = unsigned + _string(await sign(unsigned, algorithm))
    try:
        parse_certificate(certificate)
    except MalformedKey as error:
        raise UsageError(f"what was signed is no certificate: {error}") from error
    return certificate


def _unsigned(blob: bytes, wish: CertificateWish, authority: bytes, nonce: bytes) -> bytes:
    plain_type = check_public_key(blob)
    fields = blob[len(_string(plain_type.encode())) :]
    return b"".join(
        (
            _string(certificate_type(plain_type).encode()),
            _string(nonce),
            fields,
            wish.serial.to_bytes(8, "big"),
            (_HOST if wish.kind == "host" else _USER).to_bytes(4, "big"),
            _string(_bytes(wish.key_id)),
            _string(b"".join(_string(_bytes(name)) for name in wish.principals)),
            wish.valid_after.to_bytes(8, "big"),
            wish.valid_before.to_bytes(8, "big"),
            _string(_pack(wish.critical)),
            _string(_pack(wish.extensions)),
            _string(b""),
            _string(authority),
        )
    )


def certificate_type(plain_type: str) -> str:
    """Return the type of certificates for keys of a type."""
    return plain_type.removesuffix("@openssh.com") + CERTIFICATE_SUFFIX


def _pack(options: Mapping[str, str | None]) -> bytes:
    """Pack options in the order of their names, as they have to be."""
    packed = []
    for name in sorted(options, key=_bytes):
        value = options[name]
        packed.append(_string(_bytes(name)))
        packed.append(_string(b"" if value is None else _string(_bytes(value))))
    return b"".join(packed)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def parse_validity(text: str, now: int) -> tuple[int, int]:
    """
    Return from when, and until when: ``+52w``, ``always:forever``, ``-1d:+52w``,
    ``20260101:20270101Z``, ``0x0:0xffff``. Times without ``Z`` are those of this machine.

    Raises:
        ValueError: It is none of those, or is empty.

    Source: ssh-keygen(1), ``-V``; ssh-keygen.c, parse_cert_times.
    """
    if text.startswith("+") and ":" not in text:
        return (now - _BACKDATED_S) // 60 * 60, now + _span(text[1:])
    begin, colon, end = text.partition(":")
    if not (begin and colon and end):
        raise ValueError(f"{text!r} is no time such as +52w or always:forever")
    after, before = _moment(begin, now, "always", 0), _moment(end, now, "forever", FOREVER)
    if before <= after:
        raise ValueError(f"{text!r} is over before it begins")
    return after, before


def _moment(text: str, now: int, word: str, meaning: int) -> int:
    if text == word:
        return meaning
    if text[0] in "+-":
        at = now + _span(text[1:]) * (-1 if text[0] == "-" else 1)
        if at < 0:
            raise ValueError(f"{text!r} is before 1970")
        return at
    if text.startswith("0x"):
        value = int(text, 16)
        if value > FOREVER:
            raise ValueError(f"{text!r} is too large")
        return value
    expiry = parse_expiry_time(text)
    if expiry.is_utc:
        return expiry.seconds
    naive = datetime.fromtimestamp(expiry.seconds, UTC).replace(tzinfo=None)
    return int(naive.astimezone().timestamp())


def _span(text: str) -> int:
    if not _SPAN.fullmatch(text):
        raise ValueError(f"{text!r} is no span of time such as 52w or 1d12h")
    if text.isdigit():
        return int(text)
    return sum(
        int(count) * _UNITS[unit.lower()]
        for count, unit in re.findall(r"([0-9]+)([smhdw])", text, re.IGNORECASE)
    )


def parse_certificate_options(
    words: Sequence[str], kind: Literal["user", "host"] = "user"
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """
    Read what ``-O`` says: critical options and extensions.

    Args:
        words: In their order: ``clear``, ``no-pty``, ``permit-pty``, ``force-command=CMD``,
            ``source-address=LIST``, ``verify-required``, ``no-touch-required``,
            ``critical:NAME[=VALUE]``, ``extension:NAME[=VALUE]``.
        kind: A host's certificate begins without any.

    Raises:
        UsageError: With all that are none.

    Source: ssh-keygen(1), ``-O``; ssh-keygen.c, add_cert_option.
    """
    critical: dict[str, str | None] = {}
    extensions: dict[str, str | None] = dict.fromkeys(USER_EXTENSIONS) if kind == "user" else {}
    problems = []
    for word in words:
        problem = _take_option(word, critical, extensions)
        if problem is not None:
            problems.append(Problem(problem, file="--option"))
    if problems:
        raise UsageError(problems=problems)
    return critical, extensions


def _take_option(
    word: str, critical: dict[str, str | None], extensions: dict[str, str | None]
) -> str | None:
    """Note one option; return what is wrong with it."""
    name, equals, value = word.partition("=")
    lower = name.lower()
    place, colon, own_name = name.partition(":")
    if colon and place.lower() in ("critical", "extension"):
        own = critical if place.lower() == "critical" else extensions
        own[own_name] = value if equals else None
        return None if own_name else f"{word}: a name is missing"
    if equals and lower in ("force-command", "source-address"):
        if lower in critical:
            return f"{lower}: it may stand once only"
        critical[lower] = value
        return _problem_of_value(lower, value)
    if equals:
        return f"{word}: no such option of certificates"
    return _take_flag(lower, critical, extensions)


def _take_flag(
    name: str, critical: dict[str, str | None], extensions: dict[str, str | None]
) -> str | None:
    permitted = _FLAGS.get(name) or _FLAGS.get(f"permit-{name.removeprefix('no-')}")
    if name == "clear":
        for each in (*USER_EXTENSIONS, "no-touch-required"):
            extensions.pop(each, None)
        critical.pop("verify-required", None)
    elif name in _FLAGS and permitted is not None:
        extensions[permitted] = None
    elif name.startswith("no-") and permitted is not None:
        extensions.pop(permitted, None)
    elif name == "no-touch-required":
        extensions[name] = None
    elif name == "touch-required":
        extensions.pop("no-touch-required", None)
    elif name == "verify-required":
        critical[name] = None
    elif name == "no-verify-required":
        critical.pop("verify-required", None)
    else:
        return f"{name}: no such option of certificates"
    return None


def _problem_of_value(name: str, value: str) -> str | None:
    if not value:
        return f"{name}: a value is missing"
    if name != "source-address":
        return None
    for each in value.split(","):
        try:
            ipaddress.ip_network(each)
        except ValueError:
            return f"{name}: {each or 'an empty word'} is no address and no network"
    return None
