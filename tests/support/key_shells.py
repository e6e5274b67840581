"""
Programs that change keys, run by each POSIX shell there is without a network.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fleetctl.keys.place import Target
from fleetctl.keys.remote.program import DEFAULT_PATH
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from tests.support.shells import POSIX_SHELLS, ShellRemote, with_sh

#: What may be called sh on a host; mksh where it is installed.
SHELLS: Sequence[str] = tuple(POSIX_SHELLS) + (("mksh",) if shutil.which("mksh") else ())


def sh_argv(name: str) -> tuple[str, ...]:
    """Return what starts a shell of that name as sh."""
    return POSIX_SHELLS.get(name, (name,))


def remote_with_sh(name: str, folder: Path) -> ShellRemote:
    """Return an account on a system whose sh is that one."""
    if name in POSIX_SHELLS:
        return with_sh(name, folder)
    programs = folder / f"bin-{name}"
    programs.mkdir(exist_ok=True)
    sh = programs / "sh"
    if not sh.exists():
        sh.symlink_to(shutil.which(name) or name)
    environ = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}
    return ShellRemote(("sh",), environ)


@dataclass
class LocalMachine:
    """
    A `Remote` whose host is this machine, as the user who runs the tests.

    Attributes:
        shell: Runs what is asked for.
        version: What its server calls itself.
        sent: The programs, in order.
    """

    shell: ShellRemote
    version: str = "OpenSSH_9.2p1"
    host: Host = field(default_factory=lambda: Host("local"))
    sent: list[bytes] = field(default_factory=list)

    async def exec(self, request: ExecRequest) -> ExecResult:
        self.sent.append(request.stdin)
        return await self.shell.exec(request)

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        return {"server_version": self.version}

    @asynccontextmanager
    async def login_with(self, login: Login) -> AsyncGenerator[LocalMachine]:
        yield self

    async def become_password(self, user: str) -> Secret | None:
        return None

    def redaction(self) -> None:
        return None

    async def secret(self, source: str) -> Secret | None:
        return None


@dataclass
class KeysFolder:
    """
    A folder with an authorized_keys on this machine, and who works on it.

    Attributes:
        path: The file.
        tools: Where the programs look for others.
    """

    path: Path
    remote: LocalMachine
    tools: str = DEFAULT_PATH

    def open(self, *, run_id: str = "run-1", **options: object) -> ShellKeysFile:
        target = Target(path=str(self.path), follow_links=bool(options.pop("follow", False)))
        return ShellKeysFile(
            self.remote,  # type: ignore[arg-type] # it has no login shell
            target,
            run_id=run_id,
            path=self.tools,
            **options,  # type: ignore[arg-type] # named by tests
        )

    @property
    def beside(self) -> set[str]:
        """Names of what lies beside the file."""
        return {entry.name for entry in self.path.parent.iterdir()} - {self.path.name}


def keys_folder(folder: Path, shell: str = "dash", data: bytes | None = b"") -> KeysFolder:
    """Return a new one below a folder of the test."""
    own = folder / ".ssh"
    own.mkdir(mode=0o700)
    path = own / "authorized_keys"
    if data is not None:
        path.write_bytes(data)
        path.chmod(0o600)
    tools = f"{folder / f'bin-{shell}'}:{DEFAULT_PATH}"
    return KeysFolder(path, LocalMachine(remote_with_sh(shell, folder)), tools)
