"""
A host on which everything runs as another user.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

from fleetctl.become.become import Become
from fleetctl.become.dialogue import LEAVE_S, LIMIT_S, BecomeDialogue
from fleetctl.become.marks import Marks
from fleetctl.become.refusal import Attempt, PasswordNeeded
from fleetctl.become.script import (
    RUN_COMMAND,
    RUN_SHELL,
    any_shell,
    fed,
    inner_script,
    outer_script,
)
from fleetctl.model.errors import FleetError
from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, Operation, Pty, ShellScript
from fleetctl.model.redaction import Redaction
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.model.secret import Secret

#: Of the time a command has, what becoming may take, and what leaving if that fails: a limit that
#: is reached before the command began is not the command's.
_BECOME_SHARE = 0.8
_LEAVE_SHARE = 0.1


class BecomingRemote:
    """
    Runs everything as another user; implements `fleetctl.model.remote.Remote`.

    Command lines are read by the login shell of that user, or by ``/bin/sh`` where there is none,
    and start in that user's home.

    - sudo is started once: with ``-n`` where there is no password to be had, else so that it asks
      with words of ours. Where it needs none, because of NOPASSWD or a ticket, it does not ask and
      nothing is written. To try ``-n`` first would cost a round trip, and a line in the host's log
      (and with mail_badpass a mail to its administrator) for each command. A ticket is as good as
      a password, so there is no ``-k``.
    - doas reads passwords from a terminal only. It is tried with ``-n`` and without one first; if
      that is refused, on a terminal that passes every byte on as it is. Both output streams are
      one then.
    - su asks on standard error where it has no terminal.

    A command that a signal ends is reported so by sudo. su and doas make 128 and the number of it,
    as a shell does, and nobody can tell that from an exit status.

    Args:
        remote: Logs in.

    Attributes:
        was_asked: The last program wanted a password.
    """

    def __init__(self, remote: Remote, become: Become) -> None:
        self.was_asked = False
        self._remote = remote
        self._become = become
        self._wants_terminal = False

    @property
    def host(self) -> Host:
        return self._remote.host

    def login_with(self, login: Login) -> AbstractAsyncContextManager[Remote]:
        return self._remote.login_with(login)

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        return await self._remote.connect(findings)

    async def become_password(self, user: str) -> Secret | None:
        return await self._remote.become_password(user)

    async def secret(self, source: str) -> Secret | None:
        return await self._remote.secret(source)

    def redaction(self) -> Redaction | None:
        return self._remote.redaction()

    async def exec(self, request: ExecRequest) -> ExecResult:
        """
        Run one command as the other user; errors as of every `Remote`, and:

        Raises:
            FleetError: ``become.denied``, ``become.timeout``, ``become.unavailable``: the command
                did not run.
        """
        if request.is_subsystem:
            raise FleetError(
                "become.unavailable",
                f"{request.command} is a subsystem of sshd and runs as the user who logged in",
                hint="log in as the other user, or leave --become out",
            )
        password = await self._remote.become_password(self._become.user)
        if password is not None and re.search("[\r\n\0]", password.reveal()):
            raise FleetError(
                "become.denied",
                "the password for becoming holds a line break, and cannot be typed",
                hint="look at the source it comes from",
            )
        attempt = Attempt(self._become, self.host.settings.user or "the login user", password)
        if self._become.method != "doas" or password is None:
            return await self._try(request, attempt, ask=password is not None)
        if not self._wants_terminal and request.pty is None:
            try:
                return await self._try(request, attempt, ask=False)
            except PasswordNeeded:
                self._wants_terminal = True
        return await self._try(request, attempt, ask=True)

    async def shell(self, script: ShellScript) -> ExecResult:
        """Feed the login shell of the other user; same errors as `exec`."""
        return await self.exec(script.as_request())

    async def _try(self, request: ExecRequest, attempt: Attempt, *, ask: bool) -> ExecResult:
        became, dialogue = self._becoming(request, attempt, ask=ask)
        try:
            return await self._remote.exec(became)
        finally:
            self.was_asked = dialogue.was_asked

    def _becoming(
        self, request: ExecRequest, attempt: Attempt, *, ask: bool
    ) -> tuple[ExecRequest, BecomeDialogue]:
        """Return the request that becomes first, and what is said meanwhile."""
        become, marks = self._become, Marks()
        needs_terminal = become.method == "doas" and ask and request.pty is None
        pty = Pty() if needs_terminal else request.pty
        run = RUN_SHELL if request.is_shell else RUN_COMMAND
        # Whoever talks to the command wants a terminal as it is, not one for a number of bytes.
        is_raw = needs_terminal and request.dialogue is None
        start = fed(run, len(request.stdin)) if is_raw else f"exec {run}"
        inner = inner_script(become, marks, start, has_pty=pty is not None, is_raw=is_raw)
        timeout_s = math.inf if request.timeout_s is None else request.timeout_s
        dialogue = BecomeDialogue(
            attempt,
            marks,
            ask=ask,
            has_pty=pty is not None,
            then=request.dialogue,
            limit_s=min(LIMIT_S, _BECOME_SHARE * timeout_s),
            leave_s=min(LEAVE_S, _LEAVE_SHARE * timeout_s),
        )
        line = any_shell(outer_script(become, marks, inner, request.command, ask=ask))

        def end_with(command: str) -> ExecRequest:
            # A password that was refused is not given again. One that was taken may not be known as
            # such yet.
            is_open = dialogue.was_asked and not dialogue.is_refused
            may_ask = ask and (dialogue.has_become or is_open)
            return self._becoming(ExecRequest(command), attempt, ask=may_ask)[0]

        became = replace(
            request, command=line, is_shell=False, pty=pty, dialogue=dialogue, end_with=end_with
        )
        return became, dialogue


@dataclass(frozen=True, slots=True)
class AsUser:
    """
    An operation that runs as another user; an `Operation` itself, of the same kind.
    """

    operation: Operation
    become: Become

    @property
    def kind(self) -> str:
        return self.operation.kind

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """Do it as the other user."""
        return await self.operation.run(BecomingRemote(remote, self.become), check=check)
