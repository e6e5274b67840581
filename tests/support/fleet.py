"""
The fleet of the tests: real sshd processes, and embedded servers for what needs a password.

Hosts start when a test first asks for them and end with the test run. Tests name what they need,
``fleet.hosts(3)`` or ``fleet.host("rekey")``, and never see a path or choose a port.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from fleetctl.lab.fleet import spawn_embedded
from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import (
    Lab,
    LabError,
    LabHost,
    free_endpoints,
    known_hosts_line,
    login_user,
    render_inventory,
    write_host,
    write_private,
)
from fleetctl.lab.processes import end_all, owned, process_table, reap, spawn
from fleetctl.lab.readiness import wait_ready
from fleetctl.lab.sshd import (
    Sshd,
    check_config,
    daemon_argv,
    daemon_env,
    find_sshd,
    is_locked,
    render_config,
)
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from tests.support.patience import PATIENCE_S

#: Special host -> what its sshd_config says differently. None means sshd's own default.
SSHD_OPTIONS: Mapping[str, Mapping[str, str | None]] = {
    # sshd's own limits: connections beyond ten that are not logged in yet are dropped at random
    "default-limits": {"MaxStartups": "10:30:100", "MaxSessions": None},
    # runs something else than what was asked for
    "force-command": {"ForceCommand": "echo forced"},
    # takes no key at all
    "key-refused": {"AuthorizedKeysFile": "none"},
    # its host key is not the one in known_hosts
    "new-key": {},
    # refuses every session
    "no-sessions": {"MaxSessions": "0"},
    "nopty": {"PermitTTY": "no"},
    "nosftp": {"Subsystem": None},
    # new keys after every MiB
    "rekey": {"RekeyLimit": "1M none"},
    # sits on the login for a minute
    "slow-auth": {
        "AuthorizedKeysFile": "none",
        "AuthorizedKeysCommand": "/bin/sleep 60",
        "AuthorizedKeysCommandUser": login_user(),
    },
    "tiny-sessions": {"MaxSessions": "1"},
    # takes the key, then wants a password nobody has
    "two-factor": {
        "AuthenticationMethods": "publickey,password",
        "PasswordAuthentication": "yes",
    },
    # is not in known_hosts
    "unknown-key": {},
}

#: Special host -> the methods that must all succeed. sshd would need an account with a password.
EMBEDDED_METHODS: Mapping[str, Sequence[str]] = {
    "embedded": ("publickey",),
    "password-only": ("password",),
    "key-and-password": ("publickey", "password"),
}


class Fleet:
    """
    Hosts on loopback, started when asked for.

    Attributes:
        directory: Everything the fleet writes lies here.
        identity: The private key that logs in everywhere.
        known_hosts: Host keys of all hosts started so far.
        user: Whom to log in as.
        password: What ``password-only`` and ``key-and-password`` ask for.
    """

    def __init__(self, directory: Path, *, block: int) -> None:
        """
        Args:
            directory: Exists and is empty.
            block: Hosts listen in ``127.block.0.0/16``; differs between parallel test runs.
        """
        self.directory = directory.resolve()
        self.identity = self.directory / "id_ed25519"
        self.known_hosts = self.directory / "known_hosts"
        self.user = login_user()
        self.password = secrets.token_hex(8)
        self._block = block
        self._user_key = generate_key()
        self._started: dict[str, LabHost] = {}
        self._placed = 0
        self._sshd: Sshd | None = None
        write_private(self.identity, self._user_key.private)
        self.identity.with_suffix(".pub").write_text(f"{self._user_key.public} test\n")
        self.known_hosts.touch(mode=0o600)

    @property
    def pids(self) -> frozenset[int]:
        """The daemons running now."""
        return frozenset(host.pid for host in self._started.values() if host.pid is not None)

    @property
    def sshd_installed(self) -> Sshd:
        """
        The sshd in use.

        Raises:
            LabError: There is none. Tests fail then; they are never skipped.
        """
        self._sshd = self._sshd or find_sshd()
        if self._sshd is None:
            raise LabError("the fleet tests need sshd", hint="install the OpenSSH server")
        return self._sshd

    def hosts(self, count: int) -> list[LabHost]:
        """Return ``web01`` to the number asked for, started together."""
        names = [f"web{number:02d}" for number in range(1, count + 1)]
        self._start_sshd({name: {} for name in names if name not in self._started})
        return [self._started[name] for name in names]

    def host(self, name: str) -> LabHost:
        """Return an ordinary host such as ``web01``, or a special one of the tables above."""
        if name not in self._started:
            if name in EMBEDDED_METHODS:
                self._start_embedded(name, EMBEDDED_METHODS[name])
            elif name in SSHD_OPTIONS or name.startswith("web"):
                self._start_sshd({name: SSHD_OPTIONS.get(name, {})})
            else:
                raise KeyError(f"no such test host: {name}")
        return self._started[name]

    def sshd(self, name: str, options: Mapping[str, str | None]) -> LabHost:
        """
        Start a host of the test's own, with other lines in its sshd_config.

        One of that name that another test has left is ended first.
        """
        if name in self._started:
            self.stop(self._started[name])
        self._start_sshd({name: options})
        return self._started[name]

    def stop(self, host: LabHost) -> None:
        """End a host's daemon, its sessions and what they run; the name can be started again."""
        _end_all(host.directory)
        self._started.pop(host.name, None)
        shutil.rmtree(host.directory)
        lines = self.known_hosts.read_text().splitlines(keepends=True)
        own = f"[{host.address}]:{host.port} "
        self.known_hosts.write_text("".join(line for line in lines if not line.startswith(own)))

    def sessions(self, host: LabHost) -> set[int]:
        """Return the processes of everybody logged in to the host now, and of what they run."""
        assert host.pid is not None
        return owned(process_table(), host.directory) - {host.pid}

    def end_sessions(self, host: LabHost, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal all processes of everybody logged in, and wait until they are gone."""
        until = time.monotonic() + PATIENCE_S
        while pids := self.sessions(host):
            assert time.monotonic() < until, f"sessions of {host.name} do not end: {pids}"
            for pid in pids:
                # It may have ended since the table was read.
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            time.sleep(0.02)

    def settings(self, host: LabHost, **changes: object) -> HostSettings:
        """Return what it takes to log in to a host, with some fields changed."""
        settings = HostSettings(
            hostname=host.address,
            port=host.port,
            user=self.user,
            identity_files=(str(self.identity),),
            identities_only=True,
            identity_agent="none",
            strict_host_key_checking="yes",
            user_known_hosts_files=(str(self.known_hosts),),
            global_known_hosts_files=(),
            connect_timeout_s=PATIENCE_S,
        )
        return dataclasses.replace(settings, **changes)  # type: ignore[arg-type] # named by tests

    def model_host(self, host: LabHost, **changes: object) -> Host:
        """Return the host as the engine takes it, with some of its settings changed."""
        return Host(name=host.name, groups=("web", "all"), settings=self.settings(host, **changes))

    def inventory(self, hosts: Iterable[LabHost]) -> Path:
        """Write an inventory of these hosts in groups ``web``, ``eu`` and ``us``."""
        folder = self.directory / "inventories"
        folder.mkdir(exist_ok=True)
        path = folder / f"{secrets.token_hex(4)}.yml"
        lab = Lab(directory=self.directory, hosts=tuple(hosts), engine="tests")
        lines = render_inventory(lab, group="web", user=self.user).splitlines(keepends=True)
        lines.insert(lines.index("  ssh:\n") + 1, f"    ConnectTimeout: {PATIENCE_S:.0f}\n")
        path.write_text("".join(lines))
        return path

    def ssh_argv(self, host: LabHost, *options: str) -> list[str]:
        """Return a command line of OpenSSH's client; of two equal options it takes the first."""
        return [
            *("ssh", *options, "-F", "/dev/null", "-p", str(host.port), "-i", str(self.identity)),
            *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
            *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "GlobalKnownHostsFile=/dev/null", f"{self.user}@{host.address}"),
        ]

    def log_sizes(self) -> dict[str, int]:
        """Return how much each daemon has written so far, in bytes."""
        return {
            name: host.log.stat().st_size
            for name, host in self._started.items()
            if host.log.exists()
        }

    def logs_since(self, sizes: Mapping[str, int], *, limit_bytes: int = 4096) -> dict[str, str]:
        """Return what each daemon wrote since `log_sizes`, at most the last ``limit_bytes``."""
        written = {}
        for name, host in self._started.items():
            if host.log.exists():
                data = host.log.read_bytes()[sizes.get(name, 0) :]
                if data:
                    written[name] = data[-limit_bytes:].decode(errors="replace")
        return written

    def close(self) -> None:
        """End everything and remove the directory."""
        _end_all(self.directory)
        reap(self.pids)
        shutil.rmtree(self.directory)

    def _place(self, name: str) -> LabHost:
        assert name not in self._started, f"{name} is running already"
        own = self.directory / "hosts" / name
        [(address, port)] = free_endpoints(1, block=self._block, first=self._placed)
        self._placed += 1
        return LabHost(
            name=name, address=address, port=port, home=own / "home", log=own / "daemon.log"
        )

    def _write(self, host: LabHost) -> None:
        line = write_host(host, self._user_key)
        if host.name == "new-key":
            line = known_hosts_line(host, generate_key())
        if host.name != "unknown-key":
            with self.known_hosts.open("a") as stream:
                stream.write(line)

    def _start_sshd(self, wanted: Mapping[str, Mapping[str, str | None]]) -> None:
        hosts = [self._place(name) for name in wanted]
        with ExitStack() as undo:
            for host, options in zip(hosts, wanted.values(), strict=True):
                undo.callback(self.stop, host)
                self._write(host)
                host.config.write_text(
                    render_config(
                        host,
                        self.sshd_installed,
                        as_root=os.geteuid() == 0,
                        locked=is_locked(self.user),
                        options=options,
                    )
                )
            for host in hosts[:1]:
                check_config(self.sshd_installed, host.config)
            wait_ready([self._spawn(host) for host in hosts], timeout_s=PATIENCE_S)
            undo.pop_all()

    def _spawn(self, host: LabHost) -> LabHost:
        argv = daemon_argv(self.sshd_installed, host)
        return self._remember(host, spawn(argv, log=host.log, env=daemon_env(host)))

    def _start_embedded(self, name: str, methods: Sequence[str]) -> None:
        host = self._place(name)
        with ExitStack() as undo:
            undo.callback(self.stop, host)
            self._write(host)
            pid = spawn_embedded(
                [host],
                host.directory / "embedded.json",
                host.log,
                password=self.password,
                methods=methods,
            )
            wait_ready([self._remember(host, pid)], timeout_s=PATIENCE_S)
            undo.pop_all()

    def _remember(self, host: LabHost, pid: int) -> LabHost:
        started = dataclasses.replace(host, pid=pid)
        self._started[host.name] = started
        return started


def _end_all(directory: Path) -> None:
    """End every process of a fleet; under load even KILL takes effect late."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return end_all(directory)
        except LabError:
            if time.monotonic() > until:
                raise


def make_fleet_directory() -> Path:
    """
    Return a new directory for a fleet, after ending the fleets of test runs that were killed.

    Directories are named for the process that made them; if it is gone, nobody needs its hosts.
    """
    base = Path(tempfile.gettempdir()) / f"fleetctl-tests-{os.geteuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    # In this order: the process of a directory that is seen here runs, or is gone for good.
    directories = list(base.iterdir())
    running = {str(process.pid) for process in process_table()}
    for old in directories:
        if old.name.partition("-")[0] not in running:
            _end_all(old.resolve())
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=base))
