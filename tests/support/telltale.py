"""
A host that tells every secret it could know, in every way that programs write them.

And who looks whether one of them got anywhere.
"""

from __future__ import annotations

import base64
import html
import json
import random
import re
import shlex
import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, quote_plus

import paramiko
from paramiko import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL, InteractiveQuery

from fleetctl.model.settings import HostSettings
from tests.support.server import Login, Server, scripted_server

_LETTERS = string.ascii_letters + string.digits
#: What makes a program quote, escape or encode.
_AWKWARD = " '\"$<&>\\/+%é~"
#: A part of a secret that is shorter tells little.
_TELLING = 10


def _lower(quoted: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quoted)


ENCODINGS: Mapping[str, Callable[[str], bytes]] = {
    "as it is": lambda v: v.encode(),
    "base64": lambda v: base64.b64encode(v.encode()),
    "base64 of a line": lambda v: base64.b64encode(v.encode() + b"\n"),
    "base64 after one byte": lambda v: base64.b64encode(b"u" + v.encode() + b":x"),
    "base64 after two bytes": lambda v: base64.b64encode(b"u:" + v.encode() + b"x"),
    "base64 for URLs": lambda v: base64.urlsafe_b64encode(b"me:" + v.encode()),
    "URL": lambda v: quote(v, safe="").encode(),
    "URL path": lambda v: quote(v).encode(),
    "form": lambda v: quote_plus(v).encode(),
    "URL in lower case": lambda v: _lower(quote(v, safe="")).encode(),
    "JSON": lambda v: json.dumps({"token": v}).encode(),
    "JSON in UTF-8": lambda v: json.dumps([v], ensure_ascii=False).encode(),
    "quoted by shlex": lambda v: shlex.quote(v).encode(),
    "quoted for sh": lambda v: ("'" + v.replace("'", "'\\''") + "'").encode(),
    "hex": lambda v: v.encode().hex().encode(),
    "HEX": lambda v: v.encode().hex().upper().encode(),
    "repr": lambda v: repr(v).encode(),
    "HTML": lambda v: html.escape(v).encode(),
}


def make_canary(chance: random.Random) -> str:
    """Return a secret nobody else has: letters and digits around what must be quoted."""
    first, last = ("".join(chance.choices(_LETTERS, k=12)) for _ in range(2))
    return f"{first}{chance.choice(_AWKWARD)}{chance.choice(_AWKWARD)}{last}"


def tell(canaries: Iterable[str]) -> bytes:
    """Return what a host prints that tells all it knows: a line for each secret and encoding."""
    return b"".join(
        b"%b: <%b>\n" % (how.encode(), encode(value))
        for value in canaries
        for how, encode in ENCODINGS.items()
    )


def tell_lines(value: str) -> bytes:
    """Return what a host prints that shows a text of several lines with their numbers."""
    return b"".join(b"%d:%b\n" % (n, line.encode()) for n, line in enumerate(value.splitlines()))


def traces_of_lines(value: str, data: bytes) -> list[str]:
    """Return the lines of a private key of which the data have a good part."""
    lines = [line for line in value.splitlines() if not line.startswith("-----")]
    return [line for line in lines if any(part in data for part in _parts(line.encode()))]


def _parts(line: bytes) -> Iterator[bytes]:
    return (line[at : at + 2 * _TELLING] for at in range(0, len(line) - 2 * _TELLING, _TELLING))


def traces(value: str, data: bytes) -> list[str]:
    """Return the ways in which the secret, or a good part of it, is in the data."""
    found = [how for how, encode in ENCODINGS.items() if encode(value) in data]
    # The letters at both ends look the same however it is quoted.
    for part in (value[:12], value[-12:]):
        for at in range(len(part) - _TELLING + 1):
            telling = part[at : at + _TELLING]
            if telling.encode() in data:
                found.append(f"the part {telling!r}")
            if telling.encode().hex().encode() in data.lower():
                found.append(f"the part {telling!r} in hex")
    raw = value.encode()
    for before in range(3):
        # The groups of digits that hold nothing but bytes of the secret.
        digits = base64.b64encode(bytes(before) + raw)
        groups = digits[4 * -(-before // 3) : 4 * ((before + len(raw)) // 3)]
        if any(groups[at : at + 16] in data for at in range(0, len(groups) - 12, 4)):
            found.append(f"digits of base64 after {before} bytes")
    return sorted(set(found))


def files_below(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file and its content."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path, path.read_bytes()


@dataclass(eq=False)
class Telltale(Login):
    """
    Wants a key, then a password, then the answer to a question; then tells what it was told to.

    Attributes:
        words: What it shows on both streams, in its banner, and above its question.
        password: The one that is right.
        answer: The same.
        question: What it asks for that.
        questions: So many lines it asks for before it tells.
        ends: ``status``; ``signal`` or ``disconnect``, whose texts tell as well.
    """

    words: bytes
    password: str
    answer: str
    question: str = "Verification code: "
    questions: int = 0
    ends: str = "status"
    got: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._methods = ["publickey", "password", "keyboard-interactive"]

    def get_banner(self) -> tuple[str, str]:
        return self.words.decode().replace("\n", "\r\n"), "en"

    def get_allowed_auths(self, username: str) -> str:
        return self._methods[0]

    def _passed(self, method: str, is_right: bool) -> int:
        if not is_right or self._methods[0] != method:
            return int(AUTH_FAILED)
        self._methods.pop(0)
        return int(AUTH_PARTIALLY_SUCCESSFUL if self._methods else AUTH_SUCCESSFUL)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._passed("publickey", True)

    def check_auth_password(self, username: str, password: str) -> int:
        return self._passed("password", password == self.password)

    def check_auth_interactive(self, username: str, submethods: str) -> InteractiveQuery:
        query = InteractiveQuery("A code", self.words.decode())
        query.add_prompt(self.question, echo=False)
        return query

    def check_auth_interactive_response(self, responses: Sequence[str]) -> int:
        return self._passed("keyboard-interactive", list(responses) == [self.answer])

    def check_channel_pty_request(self, *_: object) -> bool:
        return True

    def check_channel_env_request(self, *_: object) -> bool:
        return True

    def run(self, channel: paramiko.Channel, command: bytes) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            for number in range(self.questions):
                channel.sendall(b"word %d? " % number)
                line = b""
                while not line.endswith((b"\n", b"\r")):
                    line += channel.recv(1)
                self.got.append(line.decode().rstrip("\r\n"))
            # In pieces that cut secrets in two.
            for at in range(0, len(self.words), 997):
                channel.sendall(self.words[at : at + 997])
                channel.sendall_stderr(self.words[at : at + 997])
            self._end(channel)

    def _end(self, channel: paramiko.Channel) -> None:
        transport = channel.get_transport()
        text = self.words.decode()
        message = paramiko.Message()
        if self.ends == "disconnect":
            message.add_byte(bytes([paramiko.common.MSG_DISCONNECT]))
            message.add_int(11)
            message.add_string(text)
            message.add_string("en")
            transport._send_user_message(message)
            return
        if self.ends == "signal":
            message.add_byte(bytes([paramiko.common.MSG_CHANNEL_REQUEST]))
            message.add_int(channel.remote_chanid)
            message.add_string("exit-signal")
            message.add_boolean(False)
            message.add_string("TERM")
            message.add_boolean(False)
            message.add_string(text)
            message.add_string("en")
            transport._send_user_message(message)
        else:
            channel.send_exit_status(0)
        channel.close()


@contextmanager
def telltale_host(make: Callable[[], Telltale]) -> Iterator[Server]:
    """Serve on a loopback port until the block ends."""
    with scripted_server(HostSettings(), login=make) as server:
        yield server
