"""
Hosts with other users: login shells, sudo, doas and su as on a real machine, by sshd or dropbear.

Each runs in a mount namespace of its own, see `tests.support.namespaces`. It takes root, who may
make such a namespace; without that the tests fail.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import LabError, LabHost, free_endpoints, known_hosts_line, write_private
from fleetctl.lab.processes import process_table, spawn
from fleetctl.lab.readiness import wait_ready
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from tests.support.account_files import (
    ACCOUNTS,
    Account,
    hash_passwords,
    render_doas,
    render_passwd,
    render_shadow,
    render_sudoers,
    write_etc,
)
from tests.support.fleet import Fleet
from tests.support.leaks import child_pids
from tests.support.namespaces import end, enter_argv, inhabitants, inhabitants_of_all
from tests.support.patience import PATIENCE_S

_SSHD_CONFIG: Mapping[str, str | None] = {
    "HostKey": "/etc/ssh/lab_host_key",
    "PidFile": "none",
    "LogLevel": "VERBOSE",
    "Subsystem": "sftp internal-sftp",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
    "PermitRootLogin": "yes",
    "UsePAM": "yes",
    "PrintMotd": "no",
    "PrintLastLog": "no",
    "MaxStartups": "500:1:500",
    "MaxSessions": "100",
}

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Accounts:
    """
    Hosts with the users of `tests.support.account_files`, started when asked for.

    They take the fleet's key and are in its known_hosts. Of every method that takes a host, the
    default is ``host()``.

    Attributes:
        directory: Everything lies here; a host's homes are ``host.home / user``.
    """

    def __init__(self, directory: Path, fleet: Fleet, *, block: int) -> None:
        """
        Args:
            directory: Exists and is empty.
            fleet: Whose key logs in.
            block: Hosts listen in ``127.block.0.0/16``; differs between parallel test runs.
        """
        self.directory = directory.resolve()
        self._fleet = fleet
        self._block = block
        self._placed = 0
        self._options: dict[str, dict[str, str | None]] = {}
        self._started: dict[str, LabHost] = {}
        # Below the 65534 that containers in a user namespace have, away from real users.
        self._first_uid = random.choice(range(40000, 60000, 100))
        self._passwords = {
            account.name: _make_password(account) for account in (Account("root"), *ACCOUNTS)
        }
        self._shadow = ""

    @property
    def users(self) -> Sequence[str]:
        """Everybody who has an account besides root."""
        return tuple(account.name for account in ACCOUNTS)

    @property
    def pids(self) -> frozenset[int]:
        """The daemons running now."""
        return frozenset(host.pid for host in self._started.values() if host.pid is not None)

    def password(self, user: str) -> str:
        """Return a user's password, or root's."""
        return self._passwords[user]

    def uid(self, user: str) -> int:
        """Return a user's number."""
        return 0 if user == "root" else self._first_uid + self.users.index(user)

    def host(self, name: str = "accounts", **options: str | None) -> LabHost:
        """
        Return a host served by sshd, with PAM.

        One that runs already is returned as it is; each name goes with its options.

        Args:
            name: Its name.
            options: Lines of sshd_config to change, None for sshd's own default. ``sudoers`` and
                ``doas`` are lines to add to these files instead.
        """
        wanted = dict(options)
        if name not in self._started:
            files = {"sudoers": options.pop("sudoers", ""), "doas": options.pop("doas", "")}
            argv = [str(self._fleet.sshd_installed.path), "-D", "-e", "-f", "/etc/ssh/sshd_config"]
            self._start(name, argv, files=files, options=options)
            self._options[name] = wanted
        known = self._options[name]
        assert known == wanted, f"there is another host {name} already: choose another name"
        return self._started[name]

    def locked_out(self) -> list[str]:
        """
        Return whom the hosts that all tests share would not let in any more, as ``host:user``.

        A test that changes authorized_keys does so on a host of its own name.
        """
        key = self._fleet.identity.with_suffix(".pub").read_bytes()
        found = []
        for name in {"accounts", "dropbear"} & self._started.keys():
            for user in self.users:
                file = self._started[name].home / user / ".ssh" / "authorized_keys"
                if not file.is_file() or file.read_bytes() != key or file.stat().st_mode & 0o022:
                    found.append(f"{name}:{user}")
        return found

    def dropbear(self, name: str = "dropbear", *flags: str) -> LabHost:
        """
        Return a host served by dropbear, for the same users.

        Args:
            name: Its name; one that runs already is returned as it is.
            flags: Options of dropbear(8) to add.
        """
        if name not in self._started:
            program = shutil.which("dropbear", path=_PATH)
            if program is None:
                raise LabError("these tests need dropbear", hint="scripts/need-parts installs it")
            argv = [program, "-F", "-E", "-r", "/etc/dropbear/lab_host_key", *flags]
            self._start(name, argv, files={})
        return self._started[name]

    def settings(self, user: str, host: LabHost | None = None, **changes: object) -> HostSettings:
        """Return what it takes to log in as a user, with some fields changed."""
        return self._fleet.settings(host or self.host(), **{"user": user, **changes})

    def model_host(self, user: str, host: LabHost | None = None, **changes: object) -> Host:
        """Return the host as the engine takes it, to log in as a user."""
        settings = self.settings(user, host, **changes)
        return Host(name=user, groups=("web", "all"), settings=settings)

    def ssh_argv(self, user: str, *options: str, host: LabHost | None = None) -> list[str]:
        """Return a command line of OpenSSH's client that logs in as a user."""
        argv = self._fleet.ssh_argv(host or self.host(), *options)
        return [*argv[:-1], "-l", user, argv[-1].partition("@")[2]]

    def inventory(
        self, *users: str, host: LabHost | None = None, names: Mapping[str, str] | None = None
    ) -> Path:
        """
        Write an inventory in which each user is a host of group ``web``.

        Args:
            users: Hosts named as the users.
            host: Where they log in.
            names: Name of a host -> user, for more hosts on one machine.
        """
        lab_host = host or self.host()
        hosts = {user: user for user in users} | dict(names or {})
        folder = self.directory / "inventories"
        folder.mkdir(exist_ok=True)
        path = folder / f"{secrets.token_hex(4)}.yml"
        ssh = {
            "HostName": lab_host.address,
            "Port": lab_host.port,
            "IdentityFile": str(self._fleet.identity),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self._fleet.known_hosts),
            "StrictHostKeyChecking": "yes",
            "ConnectTimeout": int(PATIENCE_S),
        }
        members = {name: {"ssh": {"User": user}} for name, user in hosts.items()}
        # JSON is YAML.
        path.write_text(json.dumps({"all": {"ssh": ssh, "children": {"web": {"hosts": members}}}}))
        return path

    def sessions(self, host: LabHost | None = None) -> set[int]:
        """Return the processes of everybody logged in to the host, and all they left behind."""
        found = host or self.host()
        return {pid for pid in inhabitants(found.directory) if pid != found.pid}

    def end_sessions(self, host: LabHost | None = None) -> None:
        """Kill all processes of everybody logged in, and wait until they are gone."""
        found = host or self.host()
        end(lambda: self.sessions(found))

    def stop(self, host: LabHost) -> None:
        """End a host's daemon, its sessions and what they run; the name can be started again."""
        # One that was only just started has no mounts yet by which it would be found.
        pid = self._started.pop(host.name, host).pid
        started = set() if pid is None else {pid}
        end(lambda: inhabitants(host.directory) | (started & child_pids()))
        shutil.rmtree(host.directory)

    def log_sizes(self) -> dict[str, int]:
        """Return how much each daemon has written so far, in bytes."""
        return {name: host.log.stat().st_size for name, host in self._started.items()}

    def logs_since(self, sizes: Mapping[str, int], *, limit_bytes: int = 4096) -> dict[str, str]:
        """Return what each daemon wrote since `log_sizes`, at most the last ``limit_bytes``."""
        written = {
            name: host.log.read_bytes()[sizes.get(name, 0) :][-limit_bytes:]
            for name, host in self._started.items()
        }
        return {name: data.decode(errors="replace") for name, data in written.items() if data}

    def close(self) -> None:
        """End everything and remove the directory."""
        for host in list(self._started.values()):
            self.stop(host)
        shutil.rmtree(self.directory)

    def _start(
        self,
        name: str,
        argv: list[str],
        *,
        files: Mapping[str, str | None],
        options: Mapping[str, str | None] | None = None,
    ) -> None:
        if os.geteuid() != 0:
            raise LabError(
                "hosts with other users need root, to start sshd in a mount namespace",
                hint="run the tests as root, or without these: -m 'not fleet'",
            )
        own = self.directory / name
        [(address, port)] = free_endpoints(1, block=self._block, first=self._placed)
        self._placed += 1
        host = LabHost(name, address, port, home=own / "home", log=own / "daemon.log")
        own.mkdir()
        with ExitStack() as undo:
            undo.callback(self.stop, host)
            self._write_files(host, files)
            if options is None:
                self._write_dropbear(host)
                argv = [*argv, "-p", f"{address}:{port}"]
            else:
                self._write_sshd(host, options)
            pid = spawn([*enter_argv(own), *argv], log=host.log, env={"PATH": _PATH})
            host = self._started[name] = dataclasses.replace(host, pid=pid)
            try:
                wait_ready([host], timeout_s=PATIENCE_S)
            except LabError as error:
                if "mount" not in str(error) and "unshare" not in str(error):
                    raise
                raise LabError(
                    str(error),
                    hint="hosts with other users need root who may unshare(2) and mount(2):"
                    " in a container that is CAP_SYS_ADMIN, without a profile that forbids mounts",
                ) from error
            undo.pop_all()

    def _write_files(self, host: LabHost, files: Mapping[str, str | None]) -> None:
        gid = self._first_uid
        self._shadow = self._shadow or render_shadow(ACCOUNTS, hash_passwords(self._passwords))
        passwd = Path("/etc/passwd").read_text(errors="replace")
        write_etc(
            host.directory / "etc",
            render_passwd(ACCOUNTS, passwd, first_uid=self._first_uid, gid=gid),
            self._shadow,
            gid=gid,
            hostname=socket.gethostname(),
            sudoers=render_sudoers(ACCOUNTS, files.get("sudoers") or ""),
            doas=render_doas(ACCOUNTS, files.get("doas") or ""),
        )
        key = self._fleet.identity.with_suffix(".pub").read_text()
        host.home.mkdir(mode=0o755)
        homes = {"root": host.directory / "root"} | {user: host.home / user for user in self.users}
        for user, home in homes.items():
            (home / ".ssh").mkdir(mode=0o700, parents=True)
            write_private(home / ".ssh" / "authorized_keys", key.encode())
            # Without it, zsh asks whoever logs in for the first time how he wants to have it.
            (home / ".zshrc").touch()
            home.chmod(0o700)
            for path in (home, *home.rglob("*")):
                os.chown(path, self.uid(user), 0 if user == "root" else gid)

    def _write_sshd(self, host: LabHost, options: Mapping[str, str | None]) -> None:
        ssh = host.directory / "etc" / "ssh"
        key = generate_key()
        write_private(ssh / "lab_host_key", key.private)
        lines = {**_SSHD_CONFIG, "ListenAddress": f"{host.address}:{host.port}"}
        if self._fleet.sshd_installed.version >= (9, 8):
            lines["PerSourcePenalties"] = "no"
        # Of a keyword that is written twice the first value counts.
        changed = {keyword.lower() for keyword in options}
        rest = {key: value for key, value in lines.items() if key.lower() not in changed}
        (ssh / "sshd_config").write_text(
            "".join(f"{key} {value}\n" for key, value in {**options, **rest}.items() if value)
        )
        self._know(known_hosts_line(host, key))

    def _write_dropbear(self, host: LabHost) -> None:
        folder = host.directory / "etc" / "dropbear"
        folder.mkdir(mode=0o700, exist_ok=True)
        key = generate_key()
        write_private(host.host_key, key.private)
        # dropbear does not read OpenSSH's keys.
        convert = ("dropbearconvert", "openssh", "dropbear")
        argv = [*convert, str(host.host_key), str(folder / "lab_host_key")]
        subprocess.run(argv, check=True, capture_output=True, timeout=PATIENCE_S)
        self._know(known_hosts_line(host, key))

    def _know(self, line: str) -> None:
        with self._fleet.known_hosts.open("a") as stream:
            stream.write(line)


def _make_password(account: Account) -> str:
    return secrets.token_hex(8) + (" ü\"'$(\\ß" if account.is_awkward else "")


def make_accounts_directory() -> Path:
    """
    Return a new directory for `Accounts`, after ending the hosts of test runs that were killed.

    Directories are named for the process that made them; if it is gone, nobody needs its hosts.
    """
    base = Path(tempfile.gettempdir()) / f"fleetctl-accounts-{os.geteuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    # In this order: the process of a directory that is seen here runs, or is gone for good.
    directories = list(base.iterdir())
    running = {str(process.pid) for process in process_table()}
    for old in directories:
        if old.name.partition("-")[0] not in running:
            end(partial(inhabitants_of_all, old))
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=base))
