"""
Who may log in to a host with which key: every authorised key of every user, in one go.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from fleetctl.keys.audit_content import HostAudit
from fleetctl.keys.audit_judge import judge_host
from fleetctl.keys.audit_program import MAX_ANSWER_BYTES, make_program, read_records
from fleetctl.keys.audit_read import FoundHost, read_host
from fleetctl.keys.hearing import Quiet
from fleetctl.keys.options import ServerVersion
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

#: The login shell sees only these words, which all of them take alike; the program follows by
#: standard input.
_COMMAND = "exec sh -s"
#: For ten thousand users whose settings differ.
_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class AuditKeys:
    """
    Look at the authorised keys of a host. Changes nothing, so it does the same in check mode.

    As root it sees those of everybody; as somebody else only its own.

    Attributes:
        users: Only these; empty for all.
        with_logins: Search the logs of the host for when keys were used last.
    """

    users: tuple[str, ...] = ()
    with_logins: bool = False

    @property
    def kind(self) -> str:
        return "keys.audit"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Look; the host is ok if that worked, whatever was found.

        Raises:
            FleetError: Of `look_at_host`.
        """
        _, audit = await look_at_host(remote, users=self.users, with_logins=self.with_logins)
        return Outcome("ok", data=audit.to_json())


async def look_at_host(
    remote: Remote, *, users: tuple[str, ...] = (), with_logins: bool = False
) -> tuple[FoundHost, HostAudit]:
    """
    Return what is on a host, as found and as judged.

    Raises:
        FleetError: ``session.no_shell``: no command runs there; ``keys.too_large``, and
            ``keys.protocol``: something else answered; ``resolve`` to ``session``,
            ``exec.timeout``.
    """
    facts = await remote.connect()
    server = str(facts.get("server_version") or "")
    is_dropbear = ServerVersion.parse(server).is_dropbear
    mark = secrets.token_hex(16)
    result = await Quiet(remote).exec(
        ExecRequest(
            _COMMAND,
            stdin=make_program(mark, users=users, log=with_logins, is_dropbear=is_dropbear),
            timeout_s=_TIMEOUT_S,
            max_output_bytes=2 * MAX_ANSWER_BYTES,
        )
    )
    if result.truncated or len(result.stdout) > MAX_ANSWER_BYTES:
        raise FleetError(
            "keys.too_large",
            f"what it has about keys is more than {MAX_ANSWER_BYTES // 1024 // 1024} MiB",
            hint="look at fewer users at a time: --user NAME",
        )
    found = read_host(read_records(result.stdout, mark))
    return found, judge_host(remote.host.name, found, server)
