"""
Running things as another user on real hosts, the way an operation does.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleetctl.become.become import Become
from fleetctl.become.remote import BecomingRemote
from fleetctl.model.errors import FleetError
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from tests.support.drive import Connection, connected, run_async

ROOT = Become()
SU = Become(method="su")
DOAS = Become(method="doas")

#: Who may become root, how, and whose password that takes; None for nobody's.
WAYS = [
    ("admin", ROOT, "admin"),
    ("nopass", ROOT, None),
    ("lecture", ROOT, "lecture"),
    ("usepty", ROOT, "usepty"),
    ("insults", ROOT, "insults"),
    ("one-try", ROOT, "one-try"),
    ("awkward", ROOT, "awkward"),
    ("rootpw", ROOT, "root"),
    ("targetpw", ROOT, "root"),
    ("root", ROOT, None),
    ("admin", SU, "root"),
    ("root", SU, None),
    ("doas-pass", DOAS, "doas-pass"),
    ("doas-persist", DOAS, "doas-persist"),
    ("doas-nopass", DOAS, None),
]
IDS = [f"{user}-{become.method}" for user, become, _ in WAYS]
ways = pytest.mark.parametrize(("user", "become", "whose"), WAYS, ids=IDS)

#: On the host's terminal, both streams are one; so they are for doas with a password.
WHO = "id -un; pwd; echo $HOME $SHELL; echo problem >&2; exit 3"
SAID = b"root\n/root\n/root /bin/bash\n"


@dataclass
class LoggedIn:
    """
    A `Remote` over one connection.

    Attributes:
        password: What `become_password` returns.
        requests: What was sent, in order.
    """

    connection: Connection
    host: Host
    password: str | None = None
    requests: list[ExecRequest] = field(default_factory=list)

    async def exec(self, request: ExecRequest) -> ExecResult:
        self.requests.append(request)
        return await self.connection.ssh.exec(request, self.connection.trace, None)

    async def shell(self, script: ShellScript) -> ExecResult:
        raise NotImplementedError

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        raise NotImplementedError

    def login_with(self, login: Login) -> AbstractAsyncContextManager[Remote]:
        raise NotImplementedError

    async def become_password(self, user: str) -> Secret | None:
        return None if self.password is None else Secret(self.password)

    def redaction(self) -> None:
        return None

    async def secret(self, source: str) -> Secret | None:
        raise NotImplementedError


@dataclass
class Ran:
    """
    How a command went as another user.

    Attributes:
        result: What came back, of a command that failed too.
        error: Why it failed, or None.
        ran: As in `fleetctl.model.result.Ran`.
        requests: What was sent for it.
    """

    result: ExecResult
    error: FleetError | None
    ran: str
    requests: list[ExecRequest]

    @property
    def output(self) -> bytes:
        """Both streams of what was started."""
        return self.result.stdout + self.result.stderr


async def run_on(
    host: Host, become: Become, command: str, *, password: str | None = None, **fields: Any
) -> Ran:
    """Run one command as another user, on a connection of its own."""
    async with connected(host) as connection:
        remote = LoggedIn(connection, host, password)
        becoming = BecomingRemote(remote, become)
        try:
            result = await becoming.exec(ExecRequest(command, **fields))
        except FleetError as error:
            result = error.result or ExecResult(exit_status=None)
            return Ran(result, error, connection.trace.ran, remote.requests)
        return Ran(result, None, connection.trace.ran, remote.requests)


def run_as(
    host: Host, become: Become, command: str, *, loop: str | None = None, **options: Any
) -> Ran:
    """Do that on a loop of its own."""
    return run_async(lambda: run_on(host, become, command, **options), loop=loop)


def refused(host: Host, become: Become, **options: Any) -> FleetError:
    """Return why somebody cannot be become; nothing ran and nothing is output."""
    ran = run_as(host, become, "echo ran", **options)
    if ran.error is None:
        pytest.fail(f"it did run: {ran.result}")
    assert (ran.ran, ran.output) == ("no", b"")
    return ran.error
