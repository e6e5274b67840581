"""
New key pairs and certificates: from keys of files and of the agent to files.
"""

from __future__ import annotations

import base64
import getpass
import os
import shlex
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fleetctl.keys.certify import (
    CertificateWish,
    certify,
    parse_certificate_options,
    parse_validity,
)
from fleetctl.keys.generate import KeyKind, KeyWish, NewKey, check_free, generate_key, save_key
from fleetctl.keys.options_times import describe_moment
from fleetctl.model.errors import FleetError, Problem, UsageError
from fleetctl.model.secret import Secret
from fleetctl.ssh.fingerprint import fingerprints_of
from fleetctl.ssh.host_certificate import FOREVER

if TYPE_CHECKING:
    from fleetctl.ssh.identity import Identity

__all__ = [
    "Certified",
    "KeyKind",
    "NewKey",
    "ask_for_certificates",
    "check_new_key",
    "describe_key",
    "generate_key",
    "save_key",
]

#: Asked for the passphrase of a file, and told whether it was wrong before; None if there is nobody
#: to ask.
AskPassphrase = Callable[[str, bool], Secret | None]


def check_new_key(
    file: str, kind: KeyKind, bits: int | None, comment: str | None, *, force: bool
) -> KeyWish:
    """
    Return what key is wanted, after a look whether there may be one. Blocks.

    Args:
        comment: None for who and where this is, as ssh-keygen has it.

    Raises:
        UsageError: There are no such keys, or the files are there.
    """
    check_free(file, force=force)
    if comment is None:
        comment = f"{getpass.getuser()}@{socket.gethostname()}"
    return KeyWish(kind, bits, comment)


def describe_key(key: NewKey) -> tuple[str, tuple[str, ...]]:
    """Return the line of ``ssh-keygen -l``, and the picture of ``-v``."""
    found = fingerprints_of(key.public.blob)
    comment = key.public.comment or "no comment"
    return f"{found.bits} {found.sha256} {comment} ({found.label})", found.randomart


@dataclass(frozen=True, slots=True)
class Certified:
    """
    A certificate that was written.

    Attributes:
        file: Where.
        key_type: Type of the certificate.
    """

    file: str
    key_type: str
    wish: CertificateWish

    def describe(self) -> str:
        """Return the line that ``ssh-keygen -s`` prints."""
        wish = self.wish
        whom = f" for {','.join(wish.principals)}" if wish.principals else ""
        return (
            f'Signed {wish.kind} key {self.file}: id "{wish.key_id}" serial {wish.serial}{whom} '
            f"valid {_validity(wish)}"
        )


def _validity(wish: CertificateWish) -> str:
    after, before = wish.valid_after, wish.valid_before
    if after == 0 and before == FOREVER:
        return "forever"
    if after == 0:
        return f"before {describe_moment(before)}"
    if before == FOREVER:
        return f"after {describe_moment(after)}"
    return f"from {describe_moment(after)} to {describe_moment(before)}"


def ask_for_certificates(  # noqa: PLR0913 - what the command line can say
    files: Sequence[str],
    *,
    authority: str,
    key_id: str,
    kind: Literal["user", "host"],
    principals: tuple[str, ...],
    validity: str,
    serial: str,
    options: Sequence[str],
    by_agent: bool,
    environ: Mapping[str, str],
    ask: AskPassphrase,
) -> list[Certified]:
    """
    Certify the keys of these files; each gets a certificate beside it: ``id.pub``, ``id-cert.pub``.

    Args:
        files: Public keys.
        authority: File of the private key of whoever signs; with ``by_agent`` the public one.
        validity: As ``ssh-keygen -V`` has it.
        serial: A number; ``+`` before it counts on with each key.
        options: As ``ssh-keygen -O`` has them.

    Raises:
        UsageError: With everything that is wrong; nothing was written.
    """
    from fleetctl.ssh.loop import run_loop

    wish = _wish(key_id, kind, principals, validity, serial, options)
    keys = _public_keys(files)
    step = 1 if serial.startswith("+") else 0

    # Before the loop runs: somebody may have to be asked.
    file_signer = None if by_agent else _file_signer(authority, ask)

    async def make() -> list[tuple[str, bytes, CertificateWish, str]]:
        if file_signer is not None:
            return await _certify_all(keys, wish, step, file_signer)
        async with _agent_signer(authority, environ) as signer:
            return await _certify_all(keys, wish, step, signer)

    return [_write(file, data, one, comment) for file, data, one, comment in run_loop(make)]


async def _certify_all(
    keys: Sequence[tuple[str, bytes, str]], wish: CertificateWish, step: int, signer: Identity
) -> list[tuple[str, bytes, CertificateWish, str]]:
    """Return the file, the certificate, what it says, and the comment of each key."""
    made = []
    for number, (file, blob, comment) in enumerate(keys):
        one = replace(wish, serial=wish.serial + number * step)
        data = await certify(blob, one, authority=signer.blob, sign=signer.sign)
        made.append((file, data, one, comment))
    return made


def _wish(
    key_id: str,
    kind: Literal["user", "host"],
    principals: tuple[str, ...],
    validity: str,
    serial: str,
    options: Sequence[str],
) -> CertificateWish:
    problems: list[Problem] = []
    after, before, number = 0, FOREVER, 0
    critical: dict[str, str | None] = {}
    extensions: dict[str, str | None] = {}
    try:
        after, before = parse_validity(validity, int(time.time()))
    except ValueError as error:
        problems.append(Problem(str(error), file="--valid"))
    try:
        number = int(serial)
    except ValueError:
        problems.append(Problem(f"{serial!r} is no number", file="--serial"))
    try:
        critical, extensions = parse_certificate_options(options, kind)
    except UsageError as error:
        problems.extend(error.problems)
    wish = CertificateWish(key_id, kind, principals, after, before, number, critical, extensions)
    if problems or wish.problems():
        raise UsageError(problems=[*problems, *wish.problems()])
    return wish


def _public_keys(files: Sequence[str]) -> list[tuple[str, bytes, str]]:
    """Return the file, the blob and the comment of each key."""
    from fleetctl.keys.public_keys import find_public_keys, public_key_path

    problems: list[Problem] = []
    found = []
    for file in files:
        path = public_key_path(file)
        try:
            keys = find_public_keys([path])
        except UsageError as error:
            problems.extend(error.problems)
            continue
        if len(keys) > 1:
            problems.append(Problem("there is more than one key in it", file=path))
        found.append((path, keys[0].key.blob, keys[0].key.comment))
    if problems:
        raise UsageError(problems=problems)
    return found


@asynccontextmanager
async def _agent_signer(authority: str, environ: Mapping[str, str]) -> AsyncIterator[Identity]:
    from fleetctl.ssh.agent import AgentClient, AgentFailed

    path, [(_, blob, _)] = environ.get("SSH_AUTH_SOCK"), _public_keys([authority])
    if not path:
        raise FleetError(
            "auth.agent", "no agent is running", hint="eval $(ssh-agent); ssh-add FILE"
        )
    agent = AgentClient(path)
    try:
        held = [one for one in await agent.identities() if one.blob == blob]
        if not held:
            raise UsageError(
                "the agent does not hold this key",
                file=authority,
                hint=f"ssh-add {shlex.quote(authority.removesuffix('.pub'))}",
            )
        yield held[0]
    except AgentFailed as error:
        raise UsageError(str(error)) from error
    finally:
        await agent.close()


def _file_signer(path: str, ask: AskPassphrase) -> Identity:
    from fleetctl.ssh.key_file import PASSPHRASE_ATTEMPTS, PassphraseNeeded, load_identity_file

    passphrase: Secret | None = None
    path = os.path.expanduser(path)
    for _ in range(PASSPHRASE_ATTEMPTS):
        try:
            return load_identity_file(path, passphrase.reveal() if passphrase else None)
        except FleetError as error:
            raise UsageError(str(error), hint=error.failure.hint) from error
        except PassphraseNeeded:
            before, passphrase = passphrase, ask(path, passphrase is not None)
            if passphrase is None or passphrase == before:
                break
    raise UsageError(
        "the key is encrypted, and there is no passphrase for it, or a wrong one",
        file=path,
        hint="give --passphrase-file FILE, or put the key into an agent and use --agent",
    )


def _write(file: str, data: bytes, wish: CertificateWish, comment: str) -> Certified:
    from fleetctl.ssh.public_key import key_type_of

    target = Path(file.removesuffix(".pub") + "-cert.pub")
    draft = target.with_name(f".{target.name}.{os.urandom(6).hex()}")
    parts = (key_type_of(data), base64.b64encode(data).decode("ascii"), comment)
    line = " ".join(part for part in parts if part) + "\n"
    try:
        draft.write_bytes(line.encode("utf-8", "surrogateescape"))
        draft.chmod(0o644)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise UsageError(error.strerror or str(error), file=str(target)) from error
    return Certified(str(target), key_type_of(data), wish)
