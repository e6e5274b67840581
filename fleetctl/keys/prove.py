"""
Proof that a key logs in, or that it does not: fresh logins with one credential and nothing else.

What the proofs are for, and what follows from them, is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fleetctl.keys.hearing import Quiet
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning
from fleetctl.model.failure import Failure
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.secret import Secret

Verdict = Literal["ran", "authenticated", "refused", "unproved"]

#: Seconds before each further try, of a host that drops connections it has no room for.
RETRY_DELAYS_S: tuple[float, ...] = (0.3, 0.6, 1.2, 2.4, 4.8)
#: For a command that prints one word.
NONCE_TIMEOUT_S = 20.0
MAX_ANSWER_BYTES = 64 * 1024
#: What is kept of words that came in place of the nonce.
MAX_SHOWN_LENGTH = 200

_REFUSALS = frozenset({"auth.denied", "auth.partial", "auth.too_many"})
_NOT_HERE = frozenset({"auth.key_file", "auth.no_method"})
#: Phases in which a session fails after the login worked, and the kind that says nothing about it.
_AFTER_LOGIN = frozenset({"session", "exec"})
_LOST = "session.lost"
#: Says `fleetctl.ssh.auth` of a key that it cannot offer: then nothing was refused.
_NOT_OFFERED = "no signature algorithm in common"
_CONTROL_RSA_BITS = 2048

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Proof:
    """
    What came of one fresh login.

    Attributes:
        verdict: ``ran``: logged in, and a command ran. ``authenticated``: logged in, and no command
            was tried, or something else answered. ``refused``: the host does not take the
            credential, or not alone. ``unproved``: it could not be offered from here.
        user: Who was to be logged in.
        failure: Why not; for ``authenticated`` why no command ran, None if none was tried.
        answer: What came in place of the nonce, one line, bounded; may hold anything.
    """

    verdict: Verdict
    user: str
    failure: Failure | None = None
    answer: str = ""

    @property
    def logs_in(self) -> bool:
        """Whether the host let the credential in."""
        return self.verdict in ("ran", "authenticated")

    @property
    def is_partial(self) -> bool:
        """Whether the credential was taken as one of several that the host wants."""
        return self.failure is not None and self.failure.kind == "auth.partial"


async def prove(
    remote: Remote,
    login: Login,
    *,
    runs_command: bool = True,
    delays_s: Sequence[float] = RETRY_DELAYS_S,
) -> Proof:
    """
    Log in with one credential and nothing else, and run a command that prints a nonce.

    Args:
        login: Without a credential it is the host's own way.
        runs_command: Whether to try one; not where the key, or the host, forces a command, which
            would run instead.
        delays_s: Before each further try, while the host drops connections.

    Raises:
        FleetError: The host was not reached, or the connection was lost; its key is not trusted;
            ``auth.timeout``. Nothing is known about the credential then.
    """
    return await _patiently(lambda: _prove(remote, login, runs_command=runs_command), delays_s)


async def prove_refused(
    remote: Remote, login: Login, *, delays_s: Sequence[float] = RETRY_DELAYS_S
) -> Proof:
    """
    Try one credential that should be refused; nothing is run if it is not.

    The caller looks at the verdict: only ``refused`` without `Proof.is_partial` is what it says.
    Errors as of `prove`.
    """
    return await prove(remote, login, runs_command=False, delays_s=delays_s)


async def negative_control(
    remote: Remote, user: str, *, delays_s: Sequence[float] = RETRY_DELAYS_S
) -> Proof:
    """
    Make sure that the host refuses a key made this moment, which nobody can have authorised.

    Without it a host that accepts everything would prove every key. It is an Ed25519 key; where the
    settings of the host do not allow such a key to be offered, ECDSA, then RSA.

    Args:
        user: Whom to log in as.

    Raises:
        FleetError: ``keys.unverifiable``: the host took it, or no key could be offered; otherwise
            as of `prove`.
    """
    proof = Proof("unproved", user)
    for make in (_make_ed25519, _make_ecdsa, _make_rsa):
        proof = await prove_refused(remote, Login(user, private_key=make()), delays_s=delays_s)
        if proof.logs_in or proof.is_partial:
            raise FleetError(
                "keys.unverifiable",
                f"the host took a key for {user} that was made this moment and is nowhere"
                " authorised: that another key is taken proves nothing",
                hint="is it the right host? look at AuthorizedKeysCommand and PAM there",
            )
        if proof.verdict == "refused" and _NOT_OFFERED not in _message_of(proof):
            return proof
    raise FleetError(
        "keys.unverifiable",
        f"no key could be offered that the host should refuse: {_message_of(proof)}",
        hint="look at PubkeyAcceptedAlgorithms: fleetctl config HOST",
    )


def _message_of(proof: Proof) -> str:
    return proof.failure.message if proof.failure is not None else ""


async def _prove(remote: Remote, login: Login, *, runs_command: bool) -> Proof:
    user = login.user or remote.host.settings.user or ""
    async with remote.login_with(login) as fresh:
        try:
            await fresh.connect()
        except FleetError as error:
            if error.kind in _REFUSALS:
                is_void = _NOT_OFFERED in error.failure.message and login.private_key is None
                return Proof("unproved" if is_void else "refused", user, error.failure)
            if error.kind in _NOT_HERE:
                return Proof("unproved", user, error.failure)
            raise
        if not runs_command:
            return Proof("authenticated", user)
        return await _ask_for_nonce(fresh, user)


async def runs_commands(remote: Remote) -> bool:
    """
    Tell whether a command runs where one is logged in already, and nothing else in its place.

    Raises:
        FleetError: The connection was lost.
    """
    nonce = secrets.token_hex(16)
    request = ExecRequest(
        f"echo {nonce}", timeout_s=NONCE_TIMEOUT_S, max_output_bytes=MAX_ANSWER_BYTES
    )
    try:
        result = await Quiet(remote).exec(request)
    except FleetError as error:
        if error.failure.phase in _AFTER_LOGIN and error.kind != _LOST:
            return False
        raise
    return nonce.encode() in result.stdout


async def _ask_for_nonce(fresh: Remote, user: str) -> Proof:
    nonce = secrets.token_hex(16)
    request = ExecRequest(
        f"echo {nonce}", timeout_s=NONCE_TIMEOUT_S, max_output_bytes=MAX_ANSWER_BYTES
    )
    try:
        result = await fresh.exec(request)
    except FleetError as error:
        if error.failure.phase in _AFTER_LOGIN and error.kind != _LOST:
            return Proof("authenticated", user, error.failure)
        raise
    if nonce.encode() in result.stdout:
        return Proof("ran", user)
    words = " ".join((result.stdout + result.stderr).decode("utf-8", "replace").split())
    answer = beginning(words, MAX_SHOWN_LENGTH)
    message = f"something else answered than the command: {answer}" if answer else "no command ran"
    return Proof("authenticated", user, Failure("session.no_shell", message), answer)


async def _patiently(act: Callable[[], Awaitable[T]], delays_s: Sequence[float]) -> T:
    """
    Do it; where the host had no room for the connection, again after a while.

    Source: sshd_config(5), MaxStartups: connections that are not logged in are dropped at random.
    """
    for delay_s in delays_s:
        try:
            return await act()
        except FleetError as error:
            if not error.failure.retryable or error.kind.endswith(".timeout"):
                raise
            # Chance only keeps many hosts, or many runs, from coming back at once.
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311
    return await act()


def _make_ed25519() -> Secret:
    return _private_text(ed25519.Ed25519PrivateKey.generate())


def _make_ecdsa() -> Secret:
    return _private_text(ec.generate_private_key(ec.SECP256R1()))


def _make_rsa() -> Secret:
    return _private_text(rsa.generate_private_key(65537, _CONTROL_RSA_BITS))


def _private_text(
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
) -> Secret:
    data = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return Secret(data.decode("ascii"))
