"""
What an operation may do with a host.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from fleetctl.model.finding import Finding
from fleetctl.model.host import Host
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest, ShellScript
from fleetctl.model.redaction import Redaction
from fleetctl.model.result import ExecResult
from fleetctl.model.secret import Secret


class Remote(Protocol):
    """
    One host, logged in to when first needed.

    Implemented by `fleetctl.engine.remote.PooledRemote` and `fleetctl.testing.ScriptedRemote`.
    """

    @property
    def host(self) -> Host: ...

    async def exec(self, request: ExecRequest) -> ExecResult:
        """
        Run one command and wait for its end.

        Raises:
            FleetError: ``resolve`` to ``auth`` before it was sent, ``exec.timeout``,
                ``session.lost`` or ``session.no_status`` after.
        """
        ...

    async def shell(self, script: ShellScript) -> ExecResult:
        """Feed the login shell; same errors as `exec`."""
        ...

    async def become_password(self, user: str) -> Secret | None:
        """
        Return the password with which to become that user on the host, or None.

        Raises:
            FleetError: ``become.unavailable``: the program that knows it failed.
        """
        ...

    async def secret(self, source: str) -> Secret | None:
        """
        Return a secret that an operation names by its source, or None if it cannot be had.

        Args:
            source: ``prompt``, ``file:PATH``, ``env:NAME``, ``cmd:COMMAND``, or ``var:NAME`` for a
                variable of the host.
        """
        ...

    def redaction(self) -> Redaction | None:
        """
        Return what takes the run's secrets out of what an operation writes to files of this
        machine by itself, or None if nobody knows them.
        """
        ...

    def login_with(self, login: Login) -> AbstractAsyncContextManager[Remote]:
        """
        Return the same host, logged in to anew, on connections of its own that are closed at the
        end; nobody is become there. It logs in when first used: `connect` finds out whether that
        works.

        Raises:
            FleetError: From its methods; ``auth.denied`` means that the host does not take the
                credential. ``auth.key_file`` and ``auth.no_method``: it could not be offered.
        """
        ...

    async def connect(self, findings: list[Finding] | None = None) -> Mapping[str, object]:
        """
        Log in without running anything; same errors as `exec` up to ``auth``.

        Args:
            findings: Gets what was found out on the way, of a login that fails too.

        Returns:
            What was agreed on: ``server_version``, ``cipher``, ``host_key_type``, ``auth_method``,
            and ``auth_key``, the fingerprint of the key the host took; None without one.
        """
        ...
