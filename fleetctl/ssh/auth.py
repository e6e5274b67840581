"""
Logging in: our own driver of RFC 4252, on one transport, without blocking.

Tries methods in the order of preference until the server is content; several factors follow one
another on the same transport. Keys sign here, between phases, never inside the transport.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial

from fleetctl.model.challenge import Challenge, Prompt
from fleetctl.model.errors import FleetError
from fleetctl.model.secret import Secret
from fleetctl.ssh.agent import AgentFailed
from fleetctl.ssh.auth_dialog import AuthDialog, Reply
from fleetctl.ssh.certificate import plain_key
from fleetctl.ssh.identity import Identity, SessionBinding, fingerprint
from fleetctl.ssh.key_offer import (
    HOSTBOUND,
    HOSTBOUND_EXTENSION,
    PUBLICKEY,
    Offer,
    choose_offer,
    signed_data,
)
from fleetctl.ssh.login_report import (
    LoginReport,
    cut_off,
    denied,
    endless,
    password_expired,
    unreadable_question,
)
from fleetctl.ssh.loop_transport import LoopTransport, PeerMisbehaved

__all__ = ["MAX_PUBLICKEY_ATTEMPTS", "Credentials", "Login", "LoginReport"]

#: Below sshd's MaxAuthTries of 6, so that a password can still be tried.
MAX_PUBLICKEY_ATTEMPTS = 5
#: A server that is not content after so many requests never will be.
MAX_REQUESTS = 24
#: Rounds of questions in one login; RFC 4256 has no limit.
MAX_ROUNDS = 16


async def _nobody(_challenge: Challenge) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    What may be offered to one host.

    Attributes:
        methods: Allowed methods, in order of preference.
        identities: Keys, in order.
        signatures: Algorithms keys may be offered with.
        ask_password: Returns the password, or None; called at most once.
        answer: Answers a challenge, all prompts in order, or returns None.
        password_prompts: How often a password or a challenge is tried.
        question: What a person is asked when the password was wrong or is not known.
        key_accepted: Told the fingerprint of a key the server accepted.
        forward_agent: Socket of the agent that programs on the host may use; None for none.
        problems: Why identities that were configured are not in the list.
    """

    user: str
    methods: Sequence[str]
    identities: Sequence[Identity]
    signatures: Sequence[str]
    ask_password: Callable[[], Awaitable[Secret | None]]
    answer: Callable[[Challenge], Awaitable[Sequence[Secret] | None]] = _nobody
    password_prompts: int = 3
    question: str = "password: "
    key_accepted: Callable[[str], None] = lambda _: None
    forward_agent: str | None = None
    problems: Sequence[FleetError] = ()


class Login:
    """
    One login on one transport, trying methods in order until the server is content.

    Args:
        on_sent: Called right after an attempt was sent that may succeed, in the same loop turn.
        on_refused: Called when such an attempt did not succeed.
        asking: Entered while somebody may be thinking about a question or touching a key: the
            caller's deadline should stand still.
        binding: What an agent is told about the connection before it signs, or None.
        is_verified: The host's key was checked; if not, it gets no password and no answers.
        report: Filled in as the login goes on.
    """

    def __init__(
        self,
        transport: LoopTransport,
        credentials: Credentials,
        *,
        on_sent: Callable[[], None],
        on_refused: Callable[[], None],
        asking: Callable[[], AbstractContextManager[object]] = nullcontext,
        binding: SessionBinding | None = None,
        is_verified: bool = True,
        report: LoginReport | None = None,
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._on_sent = on_sent
        self._on_refused = on_refused
        self._asking = asking
        self._binding = binding
        self._is_verified = is_verified
        self._dialog = AuthDialog(transport)
        self._identities = deque(credentials.identities)
        self._offered = 0
        self._passwords_asked = 0
        self._challenges_tried = 0
        self._refused: set[Secret] = set()
        self._requests = 0
        self._report = report or LoginReport()

    async def run(self) -> LoginReport:
        """
        Log in. The service request and the first attempt leave together.

        Raises:
            FleetError: An ``auth.*`` kind with the server's methods and what was tried.
        """
        report, user = self._report, self._credentials.user
        self._dialog.request_service()
        while True:
            method, reply = await self._next_attempt()
            report.banner = self._dialog.banner
            if reply.kind == "success":
                report.method = method
                return report
            self._on_refused()
            if reply.kind == "ended":
                error = self._transport.saved_exception
                if isinstance(error, PeerMisbehaved):
                    raise FleetError(error.kind, str(error))
                raise cut_off(user, report, self._transport.disconnected)
            if reply.kind == "new_password":
                raise password_expired(user)
            if reply.kind == "challenge":
                raise unreadable_question(user)
            report.server_methods = reply.methods
            if reply.is_partial:
                report.partial.append(method)
                # If it is asked for again, then it is another one's turn, or another secret's.
                self._passwords_asked = self._challenges_tried = 0
                self._refused.clear()
                report.unanswered = None

    async def _next_attempt(self) -> tuple[str, Reply]:
        """Try the next thing there is to try; without any, ask the server for its methods."""
        report = self._report
        self._requests += 1
        if self._requests > MAX_REQUESTS:
            raise endless(self._credentials.user, report)
        for method in self._credentials.methods:
            if report.server_methods is None and method != "publickey":
                break  # a person is asked only if it is of use
            if report.server_methods is not None and method not in report.server_methods:
                continue
            if method == "publickey":
                reply = await self._try_identities()
            elif not self._is_verified:
                report.is_withheld = True
                continue
            elif method == "password":
                reply = await self._try_password()
            else:
                reply = await self._try_challenge()
            if reply is not None:
                return method, reply
        if report.server_methods is not None:
            report.left_out = len(self._identities)
            raise denied(self._credentials.user, report, self._credentials.problems)
        return "none", await self._dialog.send(self._credentials.user, "none")

    # -- password, RFC 4252 section 8

    async def _try_password(self) -> Reply | None:
        """Send the next password that was not refused; None if there is none."""
        while self._passwords_asked < self._credentials.password_prompts:
            attempt, self._passwords_asked = self._passwords_asked, self._passwords_asked + 1
            with self._asking():
                password = await self._get_password(attempt)
            if password is None:
                self._passwords_asked = self._credentials.password_prompts
            elif password not in self._refused:
                self._refused.add(password)
                self._report.tried.append("password")
                future = self._dialog.send(
                    self._credentials.user,
                    "password",
                    False,
                    password.reveal().encode(errors="surrogateescape"),
                )
                self._on_sent()
                return await future
        return None

    async def _get_password(self, attempt: int) -> Secret | None:
        password = await self._credentials.ask_password() if attempt == 0 else None
        if password is not None:
            return password
        prompt = Prompt(self._credentials.question, is_hidden=True)
        answers = await self._credentials.answer(Challenge((prompt,), attempt=attempt))
        return answers[0] if answers else None

    # -- keyboard-interactive, RFC 4256

    async def _try_challenge(self) -> Reply | None:
        """Let the server ask, and answer; None if the method is of no use any more."""
        if self._challenges_tried >= self._credentials.password_prompts:
            return None
        attempt, self._challenges_tried = self._challenges_tried, self._challenges_tried + 1
        reply = await self._dialog.send(self._credentials.user, "keyboard-interactive", "", "")
        if reply.kind == "failure":
            self._challenges_tried = self._credentials.password_prompts
            return reply  # it lists the method and asks nothing
        for _ in range(MAX_ROUNDS):
            if reply.kind != "challenge" or reply.challenge is None:
                break
            answers = await self._answer(replace(reply.challenge, attempt=attempt))
            if answers is None:
                # The next request takes the question back. Source: RFC 4256 section 3.1.
                self._challenges_tried = self._credentials.password_prompts
                if not (reply.challenge.wants_password and self._refused):
                    self._report.unanswered = reply.challenge
                return None
            if reply.challenge.prompts:
                self._report.tried.append("keyboard-interactive")
                self._report.unanswered = None
            reply = await self._dialog.respond(answers)
        return reply

    async def _answer(self, challenge: Challenge) -> Sequence[Secret] | None:
        if not challenge.prompts:
            return ()
        with self._asking():
            answers = await self._credentials.answer(challenge)
            if answers is None and challenge.wants_password and challenge.attempt == 0:
                password = await self._credentials.ask_password()
                answers = None if password is None else (password,)
        if answers is None or len(answers) != len(challenge.prompts):
            return None
        if challenge.wants_password:
            # A password that was refused counts once, not once for each method that takes it.
            if answers[0] in self._refused:
                return None
            self._refused.add(answers[0])
        return answers

    # -- publickey, RFC 4252 section 7

    async def _try_identities(self) -> Reply | None:
        """Offer the next key that can be offered; None if there is none left."""
        while self._identities and self._offered < MAX_PUBLICKEY_ATTEMPTS:
            identity = self._identities.popleft()
            reply = await self._try_identity(identity)
            if reply is None:
                continue
            if reply.kind == "success" or reply.is_partial:
                self._report.key = fingerprint(plain_key(identity.blob))
                self._credentials.key_accepted(self._report.key)
            else:
                self._offered += 1
            return reply
        return None

    async def _try_identity(self, identity: Identity) -> Reply | None:
        credentials, tried = self._credentials, self._report.tried
        tried.append(_describe(identity))
        offer = choose_offer(
            identity.key_type,
            credentials.signatures,
            self._transport.server_extensions.get("server-sig-algs"),
        )
        if offer is None:
            tried[-1] += ": no signature algorithm in common"
            return None
        method, fields = self._request_for(identity, offer)
        request = partial(self._dialog.send, credentials.user, method)
        if identity.asks_somebody and len(credentials.identities) > 1:
            reply = await request(False, *fields)
            if reply.kind != "pk_ok":
                return reply
        data = signed_data(self._transport.session_id, credentials.user, method, fields)
        try:
            with self._asking() if identity.asks_somebody else nullcontext():
                signature = await identity.sign(data, offer.signature, self._binding)
        except (AgentFailed, ValueError) as error:
            tried[-1] += f": {error}"
            return None
        future = request(True, *fields, signature)
        self._on_sent()
        return await future

    def _request_for(self, identity: Identity, offer: Offer) -> tuple[str, tuple[bytes | str, ...]]:
        """Return method and fields; an agent's key says which host it is for, if that can be."""
        fields = (offer.algorithm, identity.blob)
        is_known = HOSTBOUND_EXTENSION in self._transport.server_extensions
        if self._binding is None or not identity.asks_somebody or not is_known:
            return PUBLICKEY, fields
        return HOSTBOUND, (*fields, self._binding.host_key)


def _describe(identity: Identity) -> str:
    """Return type, fingerprint of the key itself and origin, as ``ssh -v`` names a key."""
    key_type = identity.key_type.removeprefix("ssh-").replace("-cert-v01@openssh.com", "-cert")
    return f"{key_type} {fingerprint(plain_key(identity.blob))} ({identity.label})"
