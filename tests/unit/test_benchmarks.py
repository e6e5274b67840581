"""
The benchmark's own parts are right: its SSH server, its relay, and the check of results.

Both servers run as the scripts they are, on loopback.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.support.patience import PATIENCE_S, at_some_pace

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
IDENTIFICATION = b"SSH-2.0-OpenSSH_9.2 bench\r\n"


@dataclass(frozen=True)
class Script:
    """A running script of the benchmark that reports one JSON line at SIGUSR1."""

    process: subprocess.Popen[bytes]

    def report(self) -> dict[str, Any]:
        self.process.send_signal(signal.SIGUSR1)
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@dataclass(frozen=True)
class CheapHost:
    """One address of a running cheap server, and what a client needs."""

    address: str
    port: int
    key: Path
    other_key: Path
    known_hosts: Path
    script: Script

    def ssh(self, *words: str, key: Path | None = None) -> subprocess.CompletedProcess[str]:
        options = {
            "BatchMode": "yes",
            "IdentityFile": key or self.key,
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": self.known_hosts,
            "StrictHostKeyChecking": "yes",
            "Port": self.port,
        }
        pairs = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        argv = ["ssh", "-F", "/dev/null", *pairs, *words]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

    @contextmanager
    def paramiko(self, key: Path | None = None) -> Iterator[paramiko.SSHClient]:
        client = paramiko.SSHClient()
        client.load_host_keys(str(self.known_hosts))
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        try:
            client.connect(
                self.address,
                self.port,
                username="anybody",
                pkey=paramiko.Ed25519Key(filename=str(key or self.key)),
                allow_agent=False,
                look_for_keys=False,
                banner_timeout=PATIENCE_S,
                auth_timeout=PATIENCE_S,
            )
            yield client
        finally:
            client.close()


@contextmanager
def running(script: str, *arguments: str) -> Iterator[Script]:
    argv = [sys.executable, str(BENCHMARKS / script), *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield Script(process)
        finally:
            process.terminate()


def free_port(address: str) -> int:
    with socket.create_server((address, 0)) as listener:
        return int(listener.getsockname()[1])


def make_key(path: Path) -> Path:
    """Write a key pair without ssh-keygen, which a machine that runs these tests may lack."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    path.touch(mode=0o600)
    path.write_bytes(private)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    path.with_suffix(".pub").write_bytes(public + b"\n")
    return path


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CheapHost]:
    folder = tmp_path_factory.mktemp("cheap")
    host_key, key, other = (make_key(folder / name) for name in ("host", "user", "other"))
    address = f"127.{random.randint(16, 239)}.0.1"
    port = free_port(address)
    listen, known_hosts = folder / "listen", folder / "known_hosts"
    listen.write_text(f"{address}:{port}\n")
    public = (folder / "host.pub").read_text()
    known_hosts.write_text(f"[{address}]:{port} {public}")
    with running(
        "cheap_server.py",
        *("--listen", str(listen), "--host-key", str(host_key)),
        *("--authorized-key", f"{key}.pub"),
    ) as script:
        yield CheapHost(address, port, key, other, known_hosts, script)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The benchmark's `tools`, imported as its scripts import each other, and forgotten after."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module("tools")
    # Only its own: what else it was the first to import is one for the whole test run.
    for name in {path.stem for path in BENCHMARKS.glob("*.py")}:
        sys.modules.pop(name, None)


@contextmanager
def relayed(host: CheapHost, folder: Path, delay_ms: float) -> Iterator[tuple[int, Script]]:
    """The port of a relay to ``host`` on the same address, and the relay."""
    port, routes = free_port(host.address), folder / "routes"
    routes.write_text(f"{host.address}:{port} {host.address}:{host.port}\n")
    arguments = ("--routes", str(routes), "--delay-ms", str(delay_ms))
    with running("relay.py", *arguments) as script:
        yield port, script


@pytest.mark.fleet
@pytest.mark.parametrize(
    "algorithms",
    [
        ("-c", "aes128-gcm@openssh.com"),
        ("-c", "aes256-gcm@openssh.com"),
        ("-c", "aes128-ctr", "-m", "hmac-sha2-256"),
        ("-c", "aes256-ctr", "-m", "hmac-sha2-256-etm@openssh.com"),
        ("-o", "RekeyLimit=1K"),
    ],
)
def test_openssh_gets_the_text_of_echo(host: CheapHost, algorithms: tuple[str, ...]):
    """
    The real ssh logs in with every cipher on offer and prints the answer of the cheap server.
    """
    done = host.ssh(*algorithms, host.address, "echo hello there")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello there\n", "")


@pytest.mark.fleet
def test_openssh_gets_the_exit_status(host: CheapHost):
    """
    The exit status travels, so that a tool which drops it would be noticed.
    """
    assert host.ssh(host.address, "exit 7").returncode == 7


@pytest.mark.fleet
def test_openssh_with_another_key_is_refused(host: CheapHost):
    """
    Logins are really checked: a key that is not authorized stays outside.
    """
    done = host.ssh(host.address, "echo in", key=host.other_key)
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_paramiko_runs_commands_one_after_another(host: CheapHost):
    """
    One connection serves several commands, and the client may ask for new keys.
    """
    before = host.script.report()
    with host.paramiko() as client:
        transport = client.get_transport()
        assert transport is not None
        # Not between commands: Paramiko blocks itself if a channel's end meets a rekey (its #822).
        transport.renegotiate_keys()
        for number in range(3):
            _, stdout, _ = client.exec_command(f"echo {number}")
            assert stdout.read() == f"{number}\n".encode()
            assert stdout.channel.recv_exit_status() == 0
    after = host.script.report()
    gained = {name: after[name] - before[name] for name in ("connections", "logins", "execs")}
    assert gained == {"connections": 1, "logins": 1, "execs": 3}


def test_paramiko_with_another_key_is_refused(host: CheapHost):
    """
    The signature decides, not the name of the user.
    """
    with (
        pytest.raises(paramiko.AuthenticationException),
        host.paramiko(host.other_key),
    ):
        pass


def test_large_answers_wait_for_the_window(host: CheapHost):
    """
    No more is sent than the client's window allows, and the rest follows when it opens.
    """
    with host.paramiko() as client:
        transport = client.get_transport()
        assert transport is not None
        channel = transport.open_session(window_size=4096, max_packet_size=4096)
        channel.exec_command(f"echo {'x' * 30_000}")
        assert channel.makefile("rb").read() == b"x" * 30_000 + b"\n"
        assert channel.recv_exit_status() == 0


def test_nonsense_is_answered_by_disconnecting(host: CheapHost):
    """
    A peer that is not SSH, or breaks the protocol, is told so and cut off.
    """
    for sent in (b"GET / HTTP/1.1\r\n", b"SSH-2.0-test\r\n" + b"\xff" * 64):
        with socket.create_connection((host.address, host.port), timeout=PATIENCE_S) as peer:
            peer.sendall(sent)
            with peer.makefile("rb") as answers:
                received = answers.read()
        assert received.startswith(IDENTIFICATION)
        assert b"not an SSH-2 client" in received or b"packet length" in received


@pytest.mark.parametrize("script", ["cheap_server.py", "relay.py"])
def test_nothing_listens_beyond_loopback(host: CheapHost, tmp_path: Path, script: str):
    """
    Neither server opens a port that another machine could reach.
    """
    (tmp_path / "addresses").write_text("0.0.0.0:1 127.0.0.1:1\n")
    keys = ("--host-key", str(host.key), "--authorized-key", f"{host.key}.pub")
    arguments = {
        "cheap_server.py": ("--listen", str(tmp_path / "addresses"), *keys),
        "relay.py": ("--routes", str(tmp_path / "addresses"), "--delay-ms", "1"),
    }
    argv = [sys.executable, str(BENCHMARKS / script), *arguments[script]]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 1
    assert "not a loopback address: 0.0.0.0" in done.stderr


def test_the_relay_delays_and_counts_what_was_waited_for(host: CheapHost, tmp_path: Path):
    """
    The first byte of a server that speaks by itself takes two round trips, TCP's own included.
    """
    with relayed(host, tmp_path, delay_ms=50) as (port, relay):
        started_s = time.monotonic()
        with socket.create_connection((host.address, port), timeout=PATIENCE_S) as peer:
            assert peer.recv(100) == IDENTIFICATION
        waited_s = time.monotonic() - started_s
        counts = await_report(relay)
    assert 0.195 <= waited_s < PATIENCE_S
    assert counts == {"connections": 1, "round_trips": {"2": 1}}


def await_report(relay: Script) -> dict[str, Any]:
    """The relay's counts; it may see the end of the connection a moment later than we."""
    until_s = time.monotonic() + PATIENCE_S
    connections = 0
    while time.monotonic() < until_s:
        counts = relay.report()
        connections += counts["connections"]
        if counts["round_trips"]:
            return {**counts, "connections": connections}
    raise AssertionError("the relay saw no connection end")


def test_a_cold_command_takes_five_round_trips(host: CheapHost, tmp_path: Path):
    """
    Five round trips from nothing to a result on OpenSSH, TCP's included: connect, log in, run.
    """

    def check(pace: float) -> None:
        # Only with a delay that dwarfs what is computed are all round trips waited for.
        with relayed(host, tmp_path, delay_ms=int(40 * pace)) as (port, relay):
            known_hosts, inventory = tmp_path / "known_hosts", tmp_path / "hosts.yml"
            public = host.known_hosts.read_text().split(" ", 1)[1]
            known_hosts.write_text(f"[{host.address}]:{port} {public}")
            inventory.write_text(
                f"all:\n  ssh: {{User: anybody, IdentityFile: {host.key}, ConnectTimeout: 60,"
                f' UserKnownHostsFile: {known_hosts}, StrictHostKeyChecking: "yes"}}\n'
                f"  hosts: {{far: {{ssh: {{HostName: {host.address}, Port: {port}}}}}}}\n"
            )
            argv = [sys.executable, "-m", "fleetctl", "run", "-i", str(inventory), "far"]
            done = subprocess.run(
                [*argv, "--format", "ndjson", "--", "echo hi"],
                env=dict(os.environ),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=2 * PATIENCE_S,
                check=False,
            )
            counts = await_report(relay)
        assert done.returncode == 0, done.stderr
        assert counts == {"connections": 1, "round_trips": {"5": 1}}

    at_some_pace(check)


def test_a_wrong_result_of_any_host_is_found(tools: ModuleType):
    """
    A tool counts only if every host answered exactly once, with status 0 and the right text.
    """
    addresses = ("127.0.0.1", "127.0.0.2")
    nowhere = Path("/nonexistent")
    hosts = tools.Hosts(addresses, 22, "u", nowhere, nowhere, nowhere, nowhere, nowhere)
    right = [tools.Answer(address, 0, "text\n") for address in addresses]
    stranger = tools.Answer("127.0.0.3", 0, "text\n")

    def problem(*answers: object) -> str:
        return tools.find_problem(answers, hosts, "text")

    assert problem(*right) == ""
    assert "1 of 2 hosts have no result" in problem(right[0])
    assert "2 of 2 hosts have no result" in problem()
    assert "more than one" in problem(*right, right[0])
    assert "not asked" in problem(*right, stranger)
    for wrong in (
        tools.Answer(addresses[1], 1, "text\n"),
        tools.Answer(addresses[1], None, "text\n"),
        tools.Answer(addresses[1], 0, "text"),
    ):
        assert "1 wrong results" in problem(right[0], wrong)
