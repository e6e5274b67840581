"""
The hosts that the benchmark runs on: keys, addresses, and the servers that answer there.

Everything lives in one temporary directory and on loopback addresses ``127.A.0.1`` and up, with a
random A, so that two benchmarks at once do not meet. What is measured there is decided by `bench`.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from measure import cpu_of_tree_s, descendants

HERE = Path(__file__).resolve().parent
# sshd takes no more than 16 ListenAddress lines (MAX_LISTEN_SOCKS).
ADDRESSES_PER_SSHD = 16
READY_TIMEOUT_S = 30.0
SSHD_CONFIG = """\
HostKey {directory}/host_key
PidFile none
UsePAM no
StrictModes no
UseDNS no
AuthorizedKeysFile {directory}/user_key.pub
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 1000
LogLevel ERROR
# sshd 9 prefers sntrup761, which only ssh has: it would cost ssh 100 ms of CPU a login.
KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org
# The shell must not read the start files of whoever runs the benchmark.
SetEnv HOME={directory}/home
"""


@dataclass(frozen=True)
class Hosts:
    """Some hosts of one server, and the files that tell the tools about them."""

    addresses: tuple[str, ...]
    port: int
    user: str
    key: Path
    lines: Path
    names: Path
    known_hosts: Path
    inventory: Path


@dataclass(frozen=True)
class Workspace:
    """The temporary directory with the keys, made fresh for each benchmark."""

    directory: Path
    second_octet: int = field(default_factory=lambda: random.randint(16, 239))

    def create_keys(self) -> None:
        """Make a host key and a user key, both ed25519, and an empty home."""
        (self.directory / "home").mkdir()
        for name in ("host_key", "user_key"):
            path = str(self.directory / name)
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", path],
                check=True,
            )

    def addresses(self, count: int, third_octet: int) -> tuple[str, ...]:
        """The first ``count`` addresses, 250 to a third octet."""
        return tuple(
            f"127.{self.second_octet}.{third_octet + n // 250}.{1 + n % 250}" for n in range(count)
        )

    def free_port(self) -> int:
        """A port below the ephemeral ones that nobody listens on for all of loopback."""
        while True:
            port = random.randint(20000, 32000)
            with socket.socket() as probe:
                try:
                    probe.bind((f"127.{self.second_octet}.0.1", port))
                except OSError:
                    continue
                return port

    def describe_hosts(self, label: str, addresses: Sequence[str], port: int) -> Hosts:
        """Write the hosts file, the known_hosts file and the inventory of some hosts."""
        lines, names, known_hosts, inventory = (
            self.directory / f"{label}.{kind}" for kind in ("hosts", "names", "known_hosts", "yml")
        )
        kind, blob = (self.directory / "host_key.pub").read_text().split()[:2]
        lines.write_text("".join(f"{address}:{port}\n" for address in addresses))
        names.write_text("".join(f"{address}\n" for address in addresses))
        known_hosts.write_text("".join(f"[{a}]:{port} {kind} {blob}\n" for a in addresses))
        key = self.directory / "user_key"
        entries = "".join(
            f'    "{a}": {{ssh: {{HostName: "{a}", Port: {port}}}}}\n' for a in addresses
        )
        inventory.write_text(
            "all:\n"
            "  ssh:\n"
            f"    User: {getpass.getuser()}\n"
            f"    IdentityFile: {key}\n"
            f"    UserKnownHostsFile: {known_hosts}\n"
            '    StrictHostKeyChecking: "yes"\n'
            f"  hosts:\n{entries}"
        )
        return Hosts(
            tuple(addresses), port, getpass.getuser(), key, lines, names, known_hosts, inventory
        )


@dataclass(frozen=True)
class Script:
    """A running `cheap_server` or `relay`: reports one JSON line when asked."""

    process: subprocess.Popen[bytes]

    def report(self) -> Mapping[str, object]:
        """Its counters now."""
        self.process.send_signal(signal.SIGUSR1)
        return dict(json.loads(self._stdout().readline()))

    def cpu_s(self) -> float:
        """CPU seconds it has used."""
        return cpu_of_tree_s(self.process.pid)

    def _stdout(self) -> IO[bytes]:
        assert self.process.stdout is not None
        return self.process.stdout


@dataclass(frozen=True)
class Sshds:
    """The running sshd listeners."""

    processes: tuple[subprocess.Popen[bytes], ...]

    def cpu_s(self) -> float:
        """CPU seconds of the listeners and of every login they have waited for."""
        self._settle()
        return sum(cpu_of_tree_s(process.pid) for process in self.processes)

    def _settle(self) -> None:
        # A login counts once its listener has reaped it.
        deadline_s = time.monotonic() + 5
        while time.monotonic() < deadline_s:
            if all(len(descendants(process.pid)) == 1 for process in self.processes):
                return
            time.sleep(0.02)


@contextmanager
def run_script(script: str, *arguments: str) -> Iterator[Script]:
    """Run one of our servers until the block ends; RuntimeError if it does not get ready."""
    argv = [sys.executable, str(HERE / script), *arguments]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{script} did not start")
        yield Script(process)
    finally:
        _end([process])


@contextmanager
def run_cheap_server(workspace: Workspace, hosts: Hosts) -> Iterator[Script]:
    """Run the cheap server on all ``hosts``."""
    directory = workspace.directory
    with run_script(
        "cheap_server.py",
        *("--listen", str(hosts.lines)),
        *("--host-key", str(directory / "host_key")),
        *("--authorized-key", str(directory / "user_key.pub")),
    ) as script:
        yield script


@contextmanager
def run_relay(
    workspace: Workspace, listen: Hosts, target: Hosts, delay_ms: float
) -> Iterator[Script]:
    """Relay every host of ``listen`` to its counterpart in ``target``."""
    routes = workspace.directory / "relay.routes"
    pairs = zip(listen.addresses, target.addresses, strict=True)
    routes.write_text("".join(f"{a}:{listen.port} {b}:{target.port}\n" for a, b in pairs))
    with run_script("relay.py", "--routes", str(routes), "--delay-ms", str(delay_ms)) as script:
        yield script


@contextmanager
def run_sshd(workspace: Workspace, hosts: Hosts) -> Iterator[Sshds]:
    """
    Run real sshd listeners on all ``hosts``, 16 addresses each.

    Raises:
        RuntimeError: There is no sshd, or it does not start; its log is in the message.
    """
    sshd = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if sshd is None:
        raise RuntimeError("no sshd is installed")
    if os.geteuid() == 0:
        # Made at boot by the service's unit; sshd refuses to start without it.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    directory = workspace.directory
    common = SSHD_CONFIG.format(directory=directory) + _penalties_line(sshd, directory)
    log = directory / "sshd.log"
    processes = []
    try:
        for start in range(0, len(hosts.addresses), ADDRESSES_PER_SSHD):
            config = directory / f"sshd_config.{start}"
            some = hosts.addresses[start : start + ADDRESSES_PER_SSHD]
            listen = "".join(f"ListenAddress {address}:{hosts.port}\n" for address in some)
            config.write_text(common + listen)
            with log.open("ab") as stderr:
                argv = [sshd, "-D", "-e", "-f", str(config)]
                processes.append(subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=stderr))
        _await_listening(hosts, log)
        yield Sshds(tuple(processes))
    finally:
        _end(processes)


def _penalties_line(sshd: str, directory: Path) -> str:
    """Switch off PerSourcePenalties where sshd knows it (9.8 and later): all logins are ours."""
    line = "PerSourcePenalties no\n"
    probe = directory / "sshd_config.probe"
    probe.write_text(SSHD_CONFIG.format(directory=directory) + line)
    argv = [sshd, "-t", "-f", str(probe)]
    known = subprocess.run(argv, capture_output=True, check=False).returncode == 0
    return line if known else ""


def _await_listening(hosts: Hosts, log: Path) -> None:
    deadline_s = time.monotonic() + READY_TIMEOUT_S
    for address in hosts.addresses[::-ADDRESSES_PER_SSHD] + hosts.addresses[:1]:
        while True:
            try:
                socket.create_connection((address, hosts.port), timeout=1).close()
                break
            except OSError as error:
                if time.monotonic() > deadline_s:
                    raise RuntimeError(f"sshd did not start: {log.read_text()}") from error
                time.sleep(0.02)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
