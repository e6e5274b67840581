"""
One host that answers from a script, for tests of one operation.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from fleetctl.model.errors import FleetError
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.redaction import Redaction
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret
from fleetctl.testing.answers import FACTS, Answer, Matcher, find_answer


class ScriptedRemote:
    """
    A `fleetctl.model.remote.Remote` that answers from a script, for tests of one operation.

    >>> remote = ScriptedRemote({"uname -r": exited(stdout=b"6.1.0")})
    >>> asyncio.run(remote.exec(ExecRequest("uname -r"))).stdout
    b'6.1.0'
    >>> remote.commands
    ['uname -r']

    Args:
        answers: Command line -> answer. The text of a `ShellScript` is answered in the same way.
        login_failure: Raised by everything that needs a login, instead of an answer.
        facts: What `connect` returns.
        secrets: Source -> what `secret` returns; ``become`` is the one of `become_password`.
        redaction: What `redaction` returns.
        log_in: Says which remote a login made anew leads to; None for this one.

    Attributes:
        requests: Everything that was asked, in order.
        logins: How often `connect` was called.
        fresh_logins: What `login_with` was given, in order.
    """

    def __init__(
        self,
        answers: Mapping[Matcher, Answer] | None = None,
        *,
        host: Host | None = None,
        login_failure: FleetError | None = None,
        facts: Mapping[str, object] = FACTS,
        secrets: Mapping[str, str] | None = None,
        log_in: Callable[[Login], Remote] | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        self.requests: list[ExecRequest | ShellScript] = []
        self.logins = 0
        self.fresh_logins: list[Login] = []
        self._answers = dict(answers or {})
        self._host = host or Host("scripted")
        self._login_failure = login_failure
        self._facts = facts
        self._secrets = dict(secrets or {})
        self._log_in = log_in
        self._redaction = redaction

    @property
    def host(self) -> Host:
        return self._host

    @property
    def commands(self) -> list[str]:
        """The command lines that were asked for, in order."""
        return [r.command for r in self.requests if isinstance(r, ExecRequest)]

    async def exec(self, request: ExecRequest) -> ExecResult:
        return self._answer(request, request.command)

    async def shell(self, script: ShellScript) -> ExecResult:
        return self._answer(script, script.script.decode())

    @asynccontextmanager
    async def login_with(self, login: Login) -> AsyncGenerator[Remote]:
        self.fresh_logins.append(login)
        yield self._log_in(login) if self._log_in is not None else self

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        self.logins += 1
        if self._login_failure is not None:
            raise self._login_failure
        return self._facts

    async def become_password(self, user: str) -> Secret | None:
        return await self.secret("become")

    async def secret(self, source: str) -> Secret | None:
        return Secret(self._secrets[source]) if source in self._secrets else None

    def redaction(self) -> Redaction | None:
        return self._redaction

    def _answer(self, request: ExecRequest | ShellScript, text: str) -> ExecResult:
        if self._login_failure is not None:
            raise self._login_failure
        self.requests.append(request)
        return find_answer(self._answers, text)
