"""
The messages of a login: sends requests, and hands the server's answers to whoever waits.

Paramiko's driver takes partial success for success and tries keys in an order of its own, so only
its message codes are used. What the server sends is bounded here. Source: RFC 4252, RFC 4256.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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

from fleetctl.model.challenge import Challenge, Prompt
from fleetctl.model.excerpt import beginning, first_bytes
from fleetctl.model.secret import Secret
from fleetctl.ssh.identity import take_string
from fleetctl.ssh.loop_transport import LoopTransport

MAX_BANNER_BYTES = 64 * 1024
MAX_METHODS = 16
MAX_NAME_LENGTH = 64
#: More questions than a person would answer, and longer ones than they would read.
MAX_PROMPTS = 16
MAX_PROMPT_LENGTH = 1024
MAX_INSTRUCTION_LENGTH = 4096

#: PK_OK, PASSWD_CHANGEREQ or INFO_REQUEST, as the method has it.
_MSG_OF_METHOD = 60
_MSG_INFO_RESPONSE = b"\x3d"

ReplyKind = Literal["success", "failure", "pk_ok", "new_password", "challenge", "ended"]


@dataclass(frozen=True, slots=True)
class Reply:
    """
    The server's answer to one request.

    Attributes:
        methods: With ``failure``: what can continue.
        is_partial: With ``failure``: the method succeeded and is not enough.
        challenge: With ``challenge``: what is asked; None if it cannot be read.
    """

    kind: ReplyKind
    methods: tuple[str, ...] = ()
    is_partial: bool = False
    challenge: Challenge | None = None


class AuthDialog:
    """
    Plays the part of Paramiko's AuthHandler: takes the server's messages and resolves a future.

    Attributes:
        banner: What the server said to people, at most 64 KiB.
    """

    def __init__(self, transport: LoopTransport) -> None:
        self._transport = transport
        self._reply: asyncio.Future[Reply] | None = None
        self._method = ""
        self._succeeded = False
        self.banner = b""
        self._handler_table: dict[int, Callable[[Message], None]] = {
            MSG_SERVICE_ACCEPT: lambda _: None,
            MSG_USERAUTH_SUCCESS: self._on_success,
            MSG_USERAUTH_FAILURE: self._on_failure,
            MSG_USERAUTH_BANNER: self._on_banner,
            _MSG_OF_METHOD: self._on_message_of_method,
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
        self._method = method
        return self._transmit(cMSG_USERAUTH_REQUEST, user, "ssh-connection", method, *fields)

    def respond(self, answers: Sequence[Secret]) -> asyncio.Future[Reply]:
        """Answer the questions of a challenge, in order. Source: RFC 4256 section 3.4."""
        revealed = (answer.reveal().encode(errors="surrogateescape") for answer in answers)
        return self._transmit(_MSG_INFO_RESPONSE, len(answers), *revealed)

    def _transmit(self, kind: bytes, *fields: bytes | str | int | bool) -> asyncio.Future[Reply]:
        self._reply = self._transport.loop.create_future()
        if not self._transport.active:
            self._settle(Reply("ended"))
        else:
            self._transport.send(kind, *fields)
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
        names = m.get_binary().decode("ascii", "replace").split(",")[:MAX_METHODS]
        methods = tuple(beginning(name, MAX_NAME_LENGTH) for name in names if name)
        self._settle(Reply("failure", methods, m.get_boolean()))

    def _on_banner(self, m: Message) -> None:
        self.banner = first_bytes(self.banner + m.get_binary(), MAX_BANNER_BYTES)

    def _on_message_of_method(self, m: Message) -> None:
        if self._method == "keyboard-interactive":
            self._settle(Reply("challenge", challenge=parse_info_request(m.get_remainder())))
        elif self._method == "password":
            self._settle(Reply("new_password"))
        else:
            self._settle(Reply("pk_ok"))


def parse_info_request(data: bytes) -> Challenge | None:
    """
    Return what an INFO_REQUEST asks, or None if it is damaged or asks too much.

    Args:
        data: The message behind its number. Source: RFC 4256 section 3.2.
    """
    try:
        name, rest = take_string(data)
        instruction, rest = take_string(rest)
        _language, rest = take_string(rest)
        count, rest = int.from_bytes(rest[:4], "big"), rest[4:]
        if count > MAX_PROMPTS:
            return None
        prompts = []
        for _ in range(count):
            text, rest = take_string(rest)
            echo, rest = rest[:1], rest[1:]
            shown = beginning(text.decode("utf-8", "replace"), MAX_PROMPT_LENGTH)
            prompts.append(Prompt(shown, is_hidden=echo != b"\x01"))
    except ValueError:
        return None
    return Challenge(
        prompts=tuple(prompts),
        name=beginning(name.decode("utf-8", "replace"), MAX_NAME_LENGTH),
        instruction=beginning(instruction.decode("utf-8", "replace"), MAX_INSTRUCTION_LENGTH),
    )
