"""
The driver of the login against servers that answer anything: it ends, and gives nothing away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from paramiko.message import Message

from fleetctl.model.challenge import Challenge
from fleetctl.model.errors import FleetError
from fleetctl.model.secret import Secret
from fleetctl.ssh.auth import MAX_PUBLICKEY_ATTEMPTS, MAX_REQUESTS, Credentials, Login
from fleetctl.ssh.auth_dialog import AuthDialog
from fleetctl.ssh.identity import SessionBinding, ssh_string

REQUEST, FAILURE, SUCCESS, BANNER, OF_METHOD, RESPONSE = 50, 51, 52, 53, 60, 61
METHODS = ("publickey", "keyboard-interactive", "password")


@dataclass(frozen=True)
class Key:
    """A key that signs with its name."""

    label: str
    asks_somebody: bool = False
    key_type: str = "ssh-ed25519"

    @property
    def blob(self) -> bytes:
        return ssh_string(b"ssh-ed25519") + ssh_string(self.label.encode())

    async def sign(
        self, data: bytes, algorithm: str, binding: SessionBinding | None = None
    ) -> bytes:
        await asyncio.sleep(0)
        return self.label.encode()


@dataclass
class Server:
    """
    Stands in for the transport: answers each request with the next of the answers.

    Attributes:
        answers: Number of the message, and what is behind it.
        requests: Method and further fields of each request; answers to questions as ``answers``.
    """

    answers: list[tuple[int, bytes]]
    requests: list[tuple[object, ...]] = field(default_factory=list)
    active: bool = True
    session_id: bytes = b"session"
    saved_exception: BaseException | None = None
    disconnected: tuple[int, str] | None = None
    server_extensions: dict[str, bytes] = field(default_factory=dict)
    auth_handler: AuthDialog | None = None

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def send(self, kind: bytes, *fields: bytes | str | int | bool) -> None:
        if kind[0] == REQUEST:
            self.requests.append(fields[2:])
        elif kind[0] == RESPONSE:
            self.requests.append(("answers", *fields[1:]))
        else:
            return  # the request for the service
        self.loop.call_soon(self._answer)

    def _answer(self) -> None:
        handler = self.auth_handler
        assert handler is not None
        while True:
            if not self.answers:
                self.active = False
                handler.abort()
                return
            number, rest = self.answers.pop(0)
            handler._handler_table[number](Message(rest))
            if number != BANNER:
                return

    def authentication_succeeded(self) -> None:
        """Delayed compression would begin."""


def log_in(
    server: Server, *, keys: Sequence[Key] = (), password: str | None = None, words: str = ""
) -> str | FleetError:
    """Return the method that ended the login, or why it failed."""

    async def ask_password() -> Secret | None:
        return None if password is None else Secret(password)

    async def answer(challenge: Challenge) -> Sequence[Secret] | None:
        return [Secret(words)] * len(challenge.prompts) if words else None

    async def main() -> str | FleetError:
        credentials = Credentials(
            user="somebody",
            methods=METHODS,
            identities=keys,
            signatures=("ssh-ed25519",),
            ask_password=ask_password,
            answer=answer,
        )
        login = Login(
            server,  # type: ignore[arg-type] # stands in for it
            credentials,
            on_sent=lambda: None,
            on_refused=lambda: None,
        )
        try:
            report = await login.run()
        except FleetError as error:
            return error
        return report.method or ""

    return asyncio.run(main())


def failure(*methods: str, partial: bool = False) -> tuple[int, bytes]:
    return FAILURE, ssh_string(",".join(methods).encode()) + bytes([partial])


def question(*texts: str) -> tuple[int, bytes]:
    prompts = b"".join(ssh_string(text.encode()) + b"\0" for text in texts)
    return OF_METHOD, ssh_string(b"") * 3 + len(texts).to_bytes(4, "big") + prompts


def sent(server: Server) -> list[object]:
    """Return the method of each request."""
    return [request[0] for request in server.requests]


ANSWERS = st.one_of(
    st.builds(
        failure,
        st.sampled_from((*METHODS, "hostbased", "")),
        st.sampled_from((*METHODS, "x" * 1000)),
        partial=st.booleans(),
    ),
    st.just((SUCCESS, b"")),
    st.builds(question, st.sampled_from(("Password: ", "Code: "))),
    st.just(question()),
    st.tuples(st.sampled_from((FAILURE, BANNER, OF_METHOD)), st.binary(max_size=40)),
)


@given(
    answers=st.lists(ANSWERS, max_size=60),
    keys=st.integers(0, 8),
    asks=st.booleans(),
    words=st.sampled_from(("", "words")),
)
def test_any_server_comes_to_an_end(answers, keys, asks, words):
    """
    Whatever is answered, the login succeeds or fails with a kind, in a bounded number of requests.
    """
    server = Server(list(answers))
    held = [Key(f"key{number}", asks) for number in range(keys)]
    ended = log_in(server, keys=held, password="pw", words=words)
    if isinstance(ended, FleetError):
        assert ended.kind in ("auth.denied", "auth.partial", "auth.no_method", "auth.too_many")
        assert "pw" not in str(ended)
        assert len(str(ended)) < 10_000
    else:
        assert ended in (*METHODS, "none")
    requests = [method for method in sent(server) if method != "answers"]
    assert len(requests) <= 2 * MAX_REQUESTS
    assert requests.count("publickey") <= 2 * keys


@given(
    answers=st.lists(
        st.builds(failure, st.sampled_from(METHODS), st.sampled_from(METHODS)), max_size=40
    ),
    keys=st.integers(0, 8),
)
def test_a_server_that_refuses_everything_learns_little(answers, keys):
    """
    No secret before the methods are known, only to methods that are listed, each secret once, and
    five keys at most.
    """
    server = Server([*answers, failure("none-of-them")])
    listed = [None, *(rest for _, rest in answers)]
    log_in(server, keys=[Key(f"key{number}") for number in range(keys)], password="pw")
    methods = sent(server)
    for method, names in zip(methods, listed, strict=False):
        if names is None:
            assert method in ("publickey", "none")
        else:
            assert str(method).encode() in names
    assert methods.count("password") <= 1
    assert methods.count("publickey") <= MAX_PUBLICKEY_ATTEMPTS


def test_a_key_whose_owner_is_asked_signs_only_where_the_server_takes_it():
    """
    The query without signature comes first when there are several; the second request is signed.
    """
    keys = [Key("one", asks_somebody=True), Key("two", asks_somebody=True)]
    server = Server([failure("publickey"), (OF_METHOD, b""), (SUCCESS, b"")])
    assert log_in(server, keys=keys) == "publickey"
    assert [(request[1], request[-1]) for request in server.requests] == [
        (False, keys[0].blob),
        (False, keys[1].blob),
        (True, b"two"),
    ]


def test_a_password_that_was_refused_once_is_not_sent_in_another_way():
    """
    First as the answer to a question, then not again as a password.
    """
    both = failure("keyboard-interactive", "password")
    server = Server([both, question("Password: "), both, question("Password: "), both])
    ended = log_in(server, password="pw")
    assert isinstance(ended, FleetError)
    assert ended.kind == "auth.denied"
    assert [request for request in server.requests if b"pw" in request] == [("answers", b"pw")]


def test_success_that_nobody_asked_for_is_none():
    """
    A server cannot end the dialogue by declaring success before a request.
    """
    server = Server([(BANNER, ssh_string(b"hello")), failure("password")])

    async def main() -> bool:
        dialog = AuthDialog(server)  # type: ignore[arg-type] # stands in for it
        dialog._handler_table[SUCCESS](Message(b""))
        return dialog.is_authenticated()

    assert asyncio.run(main()) is False


def test_the_words_of_the_server_are_in_the_refusal():
    """
    F32: what the server says to people, such as that an account is locked, bounded and in one line.
    """
    server = Server(
        [
            (BANNER, ssh_string(b"Account\r\nlocked.\n" + b"x" * 10_000)),
            failure("password"),
            failure("password"),
        ]
    )
    ended = log_in(server, password="pw")
    assert isinstance(ended, FleetError)
    assert "; it says: Account locked. xxx" in str(ended)
    assert len(str(ended)) < 400
