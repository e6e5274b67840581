"""
Logging in: our own driver of RFC 4252, on one transport, without blocking.

Paramiko's driver takes partial success for success and tries keys in an order of its own, so only
its message codes are used. Keys are signed with here, between phases, never inside the transport.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from paramiko.common import (
    MSG_SERVICE_ACCEPT,
    MSG_USERAUTH_BANNER,
    MSG_USERAUTH_FAILURE,
    MSG_USERAUTH_SUCCESS,
    cMSG_SERVICE_REQUEST,
    cMSG_USERAUTH_REQUEST,
)
from paramiko.message import Message

from fleetctl.model.errors import FleetError
from fleetctl.model.secret import Secret
from fleetctl.ssh.agent import AgentFailed
from fleetctl.ssh.identity import Identity, fingerprint, signature_algorithms, ssh_string
from fleetctl.ssh.loop_transport import LoopTransport, PeerMisbehaved

#: Below sshd's MaxAuthTries of 6, so that a password can still be tried.
MAX_PUBLICKEY_ATTEMPTS = 5
MAX_BANNER_BYTES = 64 * 1024

_MSG_USERAUTH_PK_OK = 60

ReplyKind = Literal["success", "failure", "pk_ok", "ended"]


@dataclass(frozen=True, slots=True)
class Reply:
    """The server's answer to one USERAUTH_REQUEST."""

    kind: ReplyKind
    methods: tuple[str, ...] = ()
    is_partial: bool = False


@dataclass(slots=True)
class LoginReport:
    """
    What was tried, for the error message and for people.

    Attributes:
        method: The method that ended the login, None if it failed.
        tried: One phrase per attempt.
        server_methods: The server's latest list of methods that can continue.
        partial: Methods that succeeded without being enough.
    """

    method: str | None = None
    tried: list[str] = field(default_factory=list)
    server_methods: tuple[str, ...] | None = None
    partial: list[str] = field(default_factory=list)


class AuthDialog:
    """
    Plays the part of Paramiko's AuthHandler: takes the server's messages and resolves a future.

    Source: RFC 4252 sections 5 to 8.
    """

    def __init__(self, transport: LoopTransport) -> None:
        self._transport = transport
        self._reply: asyncio.Future[Reply] | None = None
        self._succeeded = False
        self.banner = b""
        self._handler_table: dict[int, Callable[[Message], None]] = {
            MSG_SERVICE_ACCEPT: lambda _: None,
            MSG_USERAUTH_SUCCESS: self._on_success,
            MSG_USERAUTH_FAILURE: self._on_failure,
            MSG_USERAUTH_BANNER: self._on_banner,
            _MSG_USERAUTH_PK_OK: lambda _: self._settle(Reply("pk_ok")),
        }
        transport.auth_handler = self

    def is_authenticated(self) -> bool:
        return self._succeeded

    def get_username(self) -> str | None:
        return None

    def abort(self) -> None:
        """Called by Paramiko when the transport ends."""
        self._settle(Reply("ended"))

    def request_service(self) -> None:
        self._transport.send(cMSG_SERVICE_REQUEST, "ssh-userauth")

    def send(self, user: str, method: str, *fields: bytes | str | bool) -> asyncio.Future[Reply]:
        """Send one request; the future gives its answer."""
        self._reply = self._transport.loop.create_future()
        if not self._transport.active:
            self._settle(Reply("ended"))
        else:
            self._transport.send(cMSG_USERAUTH_REQUEST, user, "ssh-connection", method, *fields)
        return self._reply

    def _settle(self, reply: Reply) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)

    def _on_success(self, m: Message) -> None:
        if self._reply is None or self._reply.done():
            return  # nobody asked: a server cannot declare us logged in
        self._succeeded = True
        self._transport.authentication_succeeded()
        self._settle(Reply("success"))

    def _on_failure(self, m: Message) -> None:
        methods = tuple(name for name in m.get_list() if name)
        self._settle(Reply("failure", methods, m.get_boolean()))

    def _on_banner(self, m: Message) -> None:
        self.banner = (self.banner + m.get_binary())[:MAX_BANNER_BYTES]


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    What may be offered to one host.

    Attributes:
        methods: Allowed methods, in order of preference.
        identities: Keys, in order.
        signatures: Signature algorithms allowed.
        ask_password: Returns the password, or None; called at most once.
        problems: Why identities that were configured are not in the list.
    """

    user: str
    methods: Sequence[str]
    identities: Sequence[Identity]
    signatures: Sequence[str]
    ask_password: Callable[[], Awaitable[Secret | None]]
    problems: Sequence[FleetError] = ()


class Login:
    """
    One login on one transport, trying methods in order until the server is content.

    Args:
        on_sent: Called right after an attempt was sent that may succeed, in the same loop turn.
        on_refused: Called when such an attempt did not succeed.
    """

    def __init__(
        self,
        transport: LoopTransport,
        credentials: Credentials,
        *,
        on_sent: Callable[[], None],
        on_refused: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._on_sent = on_sent
        self._on_refused = on_refused
        self._dialog = AuthDialog(transport)
        self._identities = deque(credentials.identities[:MAX_PUBLICKEY_ATTEMPTS])
        self._password_left = True
        self._report = LoginReport()

    async def run(self) -> LoginReport:
        """
        Log in. The service request and the first attempt leave together.

        Raises:
            FleetError: An ``auth.*`` kind with the server's methods and what was tried.
        """
        report = self._report
        self._dialog.request_service()
        while True:
            method, reply = await self._next_attempt()
            if reply.kind == "success":
                report.method = method
                return report
            self._on_refused()
            if reply.kind == "ended":
                raise _cut_off(self._transport, self._credentials, report)
            if reply.kind == "pk_ok" and method == "password":
                # Message 60 has another meaning here: SSH_MSG_USERAUTH_PASSWD_CHANGEREQ.
                raise FleetError(
                    "auth.denied",
                    f"{self._credentials.user}: the password has expired, the server wants a new"
                    " password",
                    hint="log in once with ssh and change it",
                )
            report.server_methods = reply.methods
            if reply.is_partial:
                report.partial.append(method)

    async def _next_attempt(self) -> tuple[str, Reply]:
        """Try the next thing there is to try; without any, ask the server for its methods."""
        for method in self._credentials.methods:
            if not self._is_open(method):
                continue
            if method == "publickey":
                reply = await self._try_identities()
            else:
                reply = await self._try_password()
            if reply is not None:
                return method, reply
        if self._report.server_methods is not None:
            raise _denied(self._credentials, self._report)
        return "none", await self._dialog.send(self._credentials.user, "none")

    def _is_open(self, method: str) -> bool:
        methods = self._report.server_methods
        return methods is None or method in methods

    async def _try_password(self) -> Reply | None:
        # Never before the server said that it takes one: the person is asked only if it is of use.
        if not self._password_left or self._report.server_methods is None:
            return None
        self._password_left = False
        password = await self._credentials.ask_password()
        if password is None:
            return None
        self._report.tried.append("password")
        future = self._dialog.send(self._credentials.user, "password", False, password.reveal())
        self._on_sent()
        return await future

    async def _try_identities(self) -> Reply | None:
        """Offer the next key that can be offered; None if there is none left."""
        while self._identities:
            reply = await self._try_identity(self._identities.popleft())
            if reply is not None:
                return reply
        return None

    async def _try_identity(self, identity: Identity) -> Reply | None:
        credentials, tried = self._credentials, self._report.tried
        key_type = identity.key_type.removeprefix("ssh-")
        tried.append(f"{key_type} {fingerprint(identity.blob)} ({identity.label})")
        algorithm = _choose_algorithm(self._transport, identity, credentials.signatures)
        if algorithm is None:
            tried[-1] += ": no signature algorithm in common"
            return None
        key = (algorithm, identity.blob)
        if identity.asks_somebody and len(credentials.identities) > 1:
            reply = await self._dialog.send(credentials.user, "publickey", False, *key)
            if reply.kind != "pk_ok":
                return reply
        signed = b"".join(
            (
                ssh_string(self._transport.session_id),
                cMSG_USERAUTH_REQUEST,
                ssh_string(credentials.user.encode()),
                ssh_string(b"ssh-connection"),
                ssh_string(b"publickey"),
                b"\x01",
                ssh_string(algorithm.encode()),
                ssh_string(identity.blob),
            )
        )
        try:
            signature = await identity.sign(signed, algorithm)
        except (AgentFailed, ValueError) as error:
            tried[-1] += f": {error}"
            return None
        future = self._dialog.send(credentials.user, "publickey", True, *key, signature)
        self._on_sent()
        return await future


def _choose_algorithm(
    transport: LoopTransport, identity: Identity, allowed: Sequence[str]
) -> str | None:
    # server-sig-algs, RFC 8308 section 3.1; a server that sends none takes the best one.
    offered = transport.server_extensions.get("server-sig-algs", b"").decode("ascii", "replace")
    accepted = offered.split(",") if offered else None
    for algorithm in signature_algorithms(identity.key_type):
        is_for_rsa = identity.key_type == "ssh-rsa"
        if algorithm in allowed and (not is_for_rsa or accepted is None or algorithm in accepted):
            return algorithm
    return None


def _denied(credentials: Credentials, report: LoginReport) -> FleetError:
    methods = ",".join(report.server_methods or ()) or "none"
    tried = "; tried " + ", ".join(report.tried) if report.tried else "; nothing to offer"
    if report.partial:
        return FleetError(
            "auth.partial",
            f"{', '.join(report.partial)} accepted, but the server wants {methods} as well{tried}",
            hint="give what is missing: -k asks for the password",
        )
    if credentials.problems and not report.tried:
        return credentials.problems[0]
    problems = "".join(f"; {problem}" for problem in credentials.problems)
    message = f"{credentials.user}: the server allows {methods}{tried}{problems}"
    if not report.tried:
        return FleetError("auth.no_method", message, hint=_missing_hint(report))
    return FleetError("auth.denied", message, hint=_denied_hint(credentials.user, report))


def _missing_hint(report: LoginReport) -> str:
    if "publickey" in (report.server_methods or ()):
        return "set IdentityFile, load a key into the agent, or give --identity FILE"
    return "give the password: -k asks for it, --password-file reads it"


def _denied_hint(user: str, report: LoginReport) -> str:
    if "publickey" in (report.server_methods or ()):
        return f"is the key in {user}'s authorized_keys there, and is {user} the right user (-u)?"
    return "check the user (-u) and the password (-k)"


def _cut_off(transport: LoopTransport, credentials: Credentials, report: LoginReport) -> FleetError:
    error = transport.saved_exception
    if isinstance(error, PeerMisbehaved):
        return FleetError(error.kind, str(error))
    text = transport.disconnected[1] if transport.disconnected else ""
    tried = ", ".join(report.tried) or "nothing yet"
    if "too many" in text.lower():
        return FleetError(
            "auth.too_many",
            f"{credentials.user}: {text}; tried {tried}",
            hint="set IdentityFile to the right key, and IdentitiesOnly yes",
        )
    reason = f": {text}" if text else ""
    return FleetError(
        "auth.denied",
        f"{credentials.user}: the server closed the connection during login{reason}; tried {tried}",
        hint="see the server's log (journalctl -u ssh)",
    )
