"""
UpdateHostKeys: the other keys of a trusted host are learned, with proof, as ssh learns them.
"""

from __future__ import annotations

import base64
import dataclasses
import subprocess

import paramiko
import pytest

from fleetctl.lab.keys import generate_key
from fleetctl.model.host import Host
from fleetctl.ssh.identity import ssh_string
from tests.fleet.hostkeys_oracle import make_oracle
from tests.support.drive import connected, connecting, run_async
from tests.support.patience import PATIENCE_S, at_some_pace
from tests.support.server import Login, paramiko_key, scripted_server
from tests.unit.ssh.keys import ED25519, blob

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module")
def server(fleet, tmp_path_factory):
    """A real sshd with three host keys."""
    folder = tmp_path_factory.mktemp("update")
    oracle, host = make_oracle(fleet, folder, "update-keys", ("ed25519", "ecdsa", "rsa"))
    yield oracle, host
    fleet.stop(host)


def encoded(key: bytes) -> str:
    kind = key[4 : 4 + int.from_bytes(key[:4], "big")].decode()
    return f"{kind} {base64.b64encode(key).decode()}"


def log_in(host: Host, *, warnings: list[str] | None = None) -> None:
    async def main():
        async with (
            connecting(warnings=warnings) as connector,
            connected(host, connector=connector) as connection,
        ):
            assert (await connection.exec("exit 7")).exit_status == 7

    run_async(main)


def log_in_zero(host: Host) -> None:
    async def main():
        async with connected(host) as connection:
            assert (await connection.exec("true")).exit_status == 0

    run_async(main)


def reach(fleet, lab_host, *files: str, update: str = "yes", **changes) -> Host:
    host = fleet.model_host(lab_host, user_known_hosts_files=files, **changes)
    return dataclasses.replace(
        host, settings=dataclasses.replace(host.settings, update_host_keys=update)
    )


def ask_real_ssh(fleet, oracle, lab_host, *files: str, pace: float = 1.0) -> None:
    """Log in with the real ssh and let it update these files; it needs a moment for that."""
    command = f"sleep {pace:g}"
    subprocess.run(
        [
            *("ssh", "-F", "/dev/null", "-p", str(oracle.port), "-i", str(fleet.identity)),
            *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=yes"),
            *("-o", f"UserKnownHostsFile={' '.join(files)}"),
            *("-o", "GlobalKnownHostsFile=/dev/null", f"{fleet.user}@{oracle.address}", command),
        ],
        check=True,
        timeout=2 * PATIENCE_S,
        capture_output=True,
    )


@pytest.mark.parametrize(
    "before",
    [
        "{name} {own}\n",
        "# mine\n{name} {own} a comment\n{name} {old}\nother {old}",
        "{name},10.0.0.7 {own}\n",
        "{name} {own}\n{name} {ecdsa}\n{name} {rsa}\n",
        "{name} {own}\n{name} {old}\nnot a line\n",
        # left alone
        "{pattern} {own}\n",
        "{name},a,b {own}\n",
        "{name} {own}\nother {ecdsa}\n",
        "{name} {own}\n@revoked {name} {old}\n",
        "{name} {own}\n@cert-authority {name} {old}\n",
        "{plain} {own}\n",
    ],
)
def test_S12_the_same_keys_are_learned_and_forgotten_as_by_ssh(fleet, server, tmp_path, before):
    """
    S12: afterwards the file trusts the keys that it trusts after a login with ssh, and both leave
    alone what somebody wrote by hand.
    """
    oracle, lab_host = server
    name = f"[{oracle.address}]:{oracle.port}"
    text = before.format(
        name=name,
        plain=oracle.address,
        pattern=f"[{oracle.address[:-1]}*]:{oracle.port}",
        own=encoded(oracle.keys[0]),
        ecdsa=encoded(oracle.keys[1]),
        rsa=encoded(oracle.keys[2]),
        old=encoded(blob(ED25519, 77)),
    )
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.write_text(text)
    log_in(reach(fleet, lab_host, str(ours)))

    def keys(path) -> set[tuple[str, ...]]:
        return {tuple(line.split()[:3]) for line in path.read_text().splitlines() if line.strip()}

    def check(pace):
        theirs.write_text(text)
        ask_real_ssh(fleet, oracle, lab_host, str(theirs), pace=pace)
        assert {key[-1] for key in keys(ours)} == {key[-1] for key in keys(theirs)}
        assert (ours.read_text() == text) == (theirs.read_text() == text)

    at_some_pace(check)
    kept = [line for line in text.splitlines() if not line.startswith(f"{name} ")]
    assert [line for line in ours.read_text().splitlines() if line in kept] == kept


@pytest.mark.parametrize("how", ["no", "system", "not checked"])
def test_keys_are_not_learned_for_nothing(fleet, server, tmp_path, how):
    """
    Switched off, with a key of the system's file, or with a key that was not checked, no file of
    the user changes.
    """
    oracle, lab_host = server
    line = f"[{oracle.address}]:{oracle.port} {encoded(oracle.keys[0])}\n"
    user, system = tmp_path / "user", tmp_path / "system"
    user.write_text(line if how == "no" else "")
    system.write_text(line if how == "system" else "")
    host = reach(
        fleet,
        lab_host,
        str(user),
        update="no" if how == "no" else "yes",
        global_known_hosts_files=(str(system),),
        strict_host_key_checking="no" if how == "not checked" else "yes",
    )
    before = user.read_text()
    log_in(host)
    assert user.read_text() == before


def test_a_key_that_was_just_learned_brings_the_others(fleet, server, tmp_path):
    """
    accept-new and UpdateHostKeys together know all keys of a host after the first login, hashed if
    that is asked for.
    """
    _, lab_host = server
    file = tmp_path / "known_hosts"
    log_in(
        reach(
            fleet,
            lab_host,
            str(file),
            strict_host_key_checking="accept-new",
            hash_known_hosts=True,
        )
    )
    lines = file.read_text().splitlines()
    assert len(lines) == 3
    assert all(line.startswith("|1|") for line in lines)


def test_UpdateHostKeys_ask_only_says_so(fleet, server, tmp_path):
    """
    Nobody is asked in the middle of a run: the keys are named in a warning, the file stays.
    """
    oracle, lab_host = server
    file = tmp_path / "known_hosts"
    line = f"[{oracle.address}]:{oracle.port} {encoded(oracle.keys[0])}\n"
    file.write_text(line)
    warnings: list[str] = []
    log_in(reach(fleet, lab_host, str(file), update="ask"), warnings=warnings)
    assert file.read_text() == line
    assert len([warning for warning in warnings if "UpdateHostKeys" in warning]) == 1


class Announcing(Login):
    """Announces keys when a session is opened; `prove` answers for them."""

    def __init__(self, keys: list[bytes], prove) -> None:
        super().__init__()
        self.keys, self.prove = keys, prove
        self.transport: paramiko.Transport | None = None

    def check_channel_request(self, kind: str, chanid: int) -> int:
        assert self.transport is not None
        self.transport.global_request("hostkeys-00@openssh.com", self.keys, wait=False)
        return super().check_channel_request(kind, chanid)

    def check_global_request(self, kind: str, msg: paramiko.Message):
        return self.prove(self, msg) if kind == "hostkeys-prove-00@openssh.com" else False


def sign(key: paramiko.PKey, session_id: bytes, public: bytes) -> bytes:
    parts = (b"hostkeys-prove-00@openssh.com", session_id, public)
    return key.sign_ssh_data(b"".join(map(ssh_string, parts))).asbytes()


SECOND = paramiko_key(generate_key())
STRANGER = paramiko_key(generate_key())


@pytest.mark.parametrize(
    ("prove", "is_learned"),
    [
        (lambda s, _: (sign(SECOND, s.transport.session_id, SECOND.asbytes()),), True),
        (lambda s, _: (sign(STRANGER, s.transport.session_id, SECOND.asbytes()),), False),
        (lambda s, _: (sign(SECOND, b"x" * 32, SECOND.asbytes()),), False),
        (lambda s, _: (sign(SECOND, s.transport.session_id, STRANGER.asbytes()),), False),
        (lambda s, _: (b"nonsense",), False),
        (lambda s, _: (sign(SECOND, s.transport.session_id, SECOND.asbytes()), b"more"), False),
        (lambda s, _: True, False),
        (lambda s, _: False, False),
    ],
)
def test_S12_a_key_is_only_learned_with_a_proof(fleet, settings, prove, is_learned):
    """
    S12: a server cannot make us know a key that it does not hold: wrong signatures, those of
    another session or key, none, and a refusal change nothing, and disturb no command.
    """

    def login() -> Announcing:
        transport = served.transports[-1]
        side = Announcing(
            [transport.server_key_dict["ssh-ed25519"].asbytes(), SECOND.asbytes()], prove
        )
        side.transport = transport
        return side

    with scripted_server(settings, login=login) as served:
        file = served.host.settings.user_known_hosts_files[0]
        host = dataclasses.replace(
            served.host,
            settings=dataclasses.replace(served.host.settings, update_host_keys="yes"),
        )

        log_in_zero(host)
        with open(file, encoding="ascii") as stream:
            lines = stream.read().splitlines()
    assert len(lines) == 1 + is_learned
    assert (base64.b64encode(SECOND.asbytes()).decode() in lines[-1]) == is_learned


@pytest.mark.parametrize(
    "announced",
    [
        [],
        [b""],
        [b"\0\0\0\x0bssh-ed25519"],
        [SECOND.asbytes(), SECOND.asbytes()],
        [SECOND.asbytes()]
        + [ssh_string(b"ssh-ed25519") + ssh_string(bytes([n] * 32)) for n in range(40)],
        [ssh_string(b"made-up@example.org") + b"xyz"],
    ],
    ids=["none", "empty", "cut", "twice", "too many", "strange"],
)
def test_S06_a_strange_announcement_changes_nothing(settings, announced):
    """
    S06: whatever a server announces, the command goes on and the file stays as it was.
    """

    def login() -> Announcing:
        side = Announcing(announced, lambda *_: False)
        side.transport = served.transports[-1]
        return side

    with scripted_server(settings, login=login) as served:
        file = served.host.settings.user_known_hosts_files[0]
        with open(file, encoding="ascii") as stream:
            before = stream.read()
        host = dataclasses.replace(
            served.host,
            settings=dataclasses.replace(served.host.settings, update_host_keys="yes"),
        )
        log_in_zero(host)
        with open(file, encoding="ascii") as stream:
            assert stream.read() == before
