"""
Agents that are slow, locked or picky, and keys that only some hosts may use.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from time import monotonic

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fleetctl.ssh.agent import FAILURE, IDENTITIES_ANSWER, SIGN_RESPONSE, SUCCESS
from fleetctl.ssh.identity import ssh_string, take_string
from tests.support.drive import connected, connecting, failed_login, log_in, run_async
from tests.support.keys import agent, authorize, keygen, listens
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

LIST, SIGN, EXTENSION = 11, 13, 27


@pytest.fixture
def lab_host(fleet):
    return fleet.host("web-auth")


def with_agent(fleet, lab_host, path, **changes):
    settings = {"identity_files": (), "identities_only": False, **changes}
    return fleet.model_host(lab_host, identity_agent=path, **settings)


class ScriptedAgent:
    """
    An agent that answers with a function, and notes what it was asked.

    Attributes:
        requests: Kind of each request, by connection.
    """

    def __init__(self, answer: Callable[[bytes], bytes]) -> None:
        self.answer = answer
        self.requests: list[list[int]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[int] = []
        self.requests.append(mine)
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4), "big")
                request = await reader.readexactly(size)
                mine.append(request[0])
                writer.write(ssh_string(self.answer(request)))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    @asynccontextmanager
    async def listening(self, path: str):
        server = await asyncio.start_unix_server(self.serve, path)
        try:
            yield
        finally:
            server.close()
            await asyncio.sleep(0.01)


def log_in_with(scripted: ScriptedAgent, host) -> str | None:
    async def main():
        async with (
            scripted.listening(host.settings.identity_agent),
            connecting() as connector,
            connected(host, connector=connector) as connection,
        ):
            assert (await connection.exec("exit 7")).exit_status == 7
            return connection.ssh.login.method

    return run_async(main)


def public_blob(key: Ed25519PrivateKey) -> bytes:
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return ssh_string(b"ssh-ed25519") + ssh_string(raw)


def listing(*blobs: bytes) -> bytes:
    packed = b"".join(ssh_string(blob) + ssh_string(b"held") for blob in blobs)
    return bytes([IDENTITIES_ANSWER]) + len(blobs).to_bytes(4, "big") + packed


def authorize_line(lab_host, line: str) -> None:
    with (lab_host.home / ".ssh" / "authorized_keys").open("a") as stream:
        stream.write(f"{line}\n")


def encoded(blob: bytes) -> str:
    import base64

    return base64.b64encode(blob).decode()


def test_a_key_is_signed_with_once_and_only_where_it_is_wanted(fleet, lab_host, tmp_path):
    """
    Of several agent keys the host is asked first which it takes; only that one signs, so that its
    owner is asked for one touch.
    """
    keys = [Ed25519PrivateKey.generate() for _ in range(4)]
    authorize_line(lab_host, f"ssh-ed25519 {encoded(public_blob(keys[2]))}")
    signed: list[bytes] = []

    def answer(request: bytes) -> bytes:
        if request[0] == LIST:
            return listing(*map(public_blob, keys))
        if request[0] != SIGN:
            return bytes([FAILURE])
        blob, rest = take_string(request[1:])
        data, _ = take_string(rest)
        signed.append(blob)
        [key] = [key for key in keys if public_blob(key) == blob]
        signature = ssh_string(b"ssh-ed25519") + ssh_string(key.sign(data))
        return bytes([SIGN_RESPONSE]) + ssh_string(signature)

    host = with_agent(fleet, lab_host, str(tmp_path / "agent"))
    assert log_in_with(ScriptedAgent(answer), host) == "publickey"
    assert signed == [public_blob(keys[2])]


def test_a_key_in_hardware_logs_in_through_the_agent(fleet, lab_host, tmp_path):
    """
    FIDO keys sign with a counter and flags behind; the agent does that, sshd checks it.
    """
    key, application = Ed25519PrivateKey.generate(), b"ssh:"
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    name = b"sk-ssh-ed25519@openssh.com"
    blob = ssh_string(name) + ssh_string(raw) + ssh_string(application)
    authorize_line(lab_host, f"{name.decode()} {encoded(blob)}")

    def answer(request: bytes) -> bytes:
        if request[0] == LIST:
            return listing(blob)
        if request[0] != SIGN:
            return bytes([FAILURE])
        data, _ = take_string(take_string(request[1:])[1])
        flags, counter = b"\x01", (7).to_bytes(4, "big")
        digest = hashlib.sha256(application).digest() + flags + counter
        value = key.sign(digest + hashlib.sha256(data).digest())
        signature = ssh_string(name) + ssh_string(value) + flags + counter
        return bytes([SIGN_RESPONSE]) + ssh_string(signature)

    host = with_agent(fleet, lab_host, str(tmp_path / "agent"))
    assert log_in_with(ScriptedAgent(answer), host) == "publickey"


def test_a_key_whose_owner_says_no_is_followed_by_the_next(fleet, lab_host, tmp_path):
    """
    A refusal to sign is noted, and what else there is is tried.
    """
    refused = Ed25519PrivateKey.generate()
    authorize_line(lab_host, f"ssh-ed25519 {encoded(public_blob(refused))}")

    def answer(request: bytes) -> bytes:
        return listing(public_blob(refused)) if request[0] == LIST else bytes([FAILURE])

    path = str(tmp_path / "agent")
    both = with_agent(fleet, lab_host, path, identity_files=(str(fleet.identity),))
    assert log_in_with(ScriptedAgent(answer), both) == "publickey"
    alone = with_agent(fleet, lab_host, path, identities_only=True)

    async def main():
        async with ScriptedAgent(answer).listening(path), connecting() as connector:
            with pytest.raises(Exception, match="nothing to offer"):
                async with connected(alone, connector=connector):
                    pass

    run_async(main)


def ssh_add(path: str, *words: str, secret: str = "", folder: Path | None = None) -> None:
    env = {**os.environ, "SSH_AUTH_SOCK": path}
    if secret:
        assert folder is not None
        askpass = folder / "askpass"
        askpass.write_text(f"#!/bin/sh\necho {secret}\n")
        askpass.chmod(0o700)
        env |= {"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": "none"}
    subprocess.run(["ssh-add", "-q", *words], env=env, check=True, timeout=10, capture_output=True)


def test_F29_a_locked_agent_has_no_keys(fleet, lab_host, tmp_path):
    """
    F29: ssh-add -x hides the keys; the login goes on without them.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    authorize(lab_host, key)
    with agent(tmp_path, key) as path:
        ssh_add(path, "-x", secret="lock", folder=tmp_path)
        error = failed_login(with_agent(fleet, lab_host, path))
        assert error.kind == "auth.no_method"
        configured = with_agent(fleet, lab_host, path, identity_files=(str(key),))
        assert log_in(configured) == (7, "publickey")


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_F29_a_key_that_wants_a_confirmation(fleet, lab_host, tmp_path, answer):
    """
    F29: ssh-add -c asks its owner at each use; yes logs in, no is a refusal with the reason.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    authorize(lab_host, key)
    asked = tmp_path / "asked"
    askpass = tmp_path / "ask"
    askpass.write_text(f"#!/bin/sh\necho x >> {asked}\nexit {0 if answer == 'yes' else 1}\n")
    askpass.chmod(0o700)
    with confirming_agent(tmp_path, askpass) as path:
        ssh_add(path, "-c", str(key))
        key.unlink()
        host = with_agent(fleet, lab_host, path)
        if answer == "yes":
            assert log_in(host) == (7, "publickey")
        else:
            error = failed_login(host)
            assert error.kind == "auth.denied"
            assert "the agent refuses to sign" in str(error)
    assert asked.read_text() == "x\n"


@contextmanager
def confirming_agent(folder: Path, askpass: Path) -> Iterator[str]:
    """Run an ssh-agent that asks a program for confirmations."""
    path = str(folder / "confirm.sock")
    env = {"PATH": os.defpath, "SSH_ASKPASS": str(askpass), "DISPLAY": "none"}
    words = ["ssh-agent", "-D", "-a", path]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, env=env) as process:
        try:
            until = monotonic() + PATIENCE_S
            while not listens(path):
                assert monotonic() < until
                threading.Event().wait(0.01)
            yield path
        finally:
            process.terminate()


def test_an_agent_that_knows_nothing_of_connections_still_signs(fleet, lab_host, tmp_path):
    """
    Other agents refuse `session-bind`; they are not asked for it again.
    """
    key = Ed25519PrivateKey.generate()
    authorize_line(lab_host, f"ssh-ed25519 {encoded(public_blob(key))}")

    def answer(request: bytes) -> bytes:
        if request[0] == LIST:
            return listing(public_blob(key))
        if request[0] != SIGN:
            return bytes([FAILURE])
        data, _ = take_string(take_string(request[1:])[1])
        signature = ssh_string(b"ssh-ed25519") + ssh_string(key.sign(data))
        return bytes([SIGN_RESPONSE]) + ssh_string(signature)

    scripted = ScriptedAgent(answer)
    host = with_agent(fleet, lab_host, str(tmp_path / "agent"))

    async def main():
        async with scripted.listening(host.settings.identity_agent), connecting() as connector:
            for _ in range(3):
                async with connected(host, connector=connector) as connection:
                    assert connection.ssh.login.method == "publickey"

    run_async(main)
    requests = [kind for mine in scripted.requests for kind in mine]
    assert requests.count(SIGN) == 3
    assert requests.count(EXTENSION) <= 1
    assert SUCCESS not in requests
