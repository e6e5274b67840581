"""
The operation behind ``fleetctl doctor``: reach a host phase by phase, and say what was found.

Changes nothing. Its data hold the findings, of a failed login too.
"""

from __future__ import annotations

import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic

from fleetctl.become.become import Become
from fleetctl.become.remote import BecomingRemote
from fleetctl.commands.account import read_account, script
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import beginning, first_bytes
from fleetctl.model.failure import status_of
from fleetctl.model.finding import Finding
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

#: In the order in which they are gone through; becoming another user comes last, if it is wanted.
PHASES = ("resolve", "connect", "version", "kex", "hostkey", "auth", "session", "account", "sftp")
#: Nothing that is looked at on the host takes longer.
LOOK_TIMEOUT_S = 20.0
MAX_OUTPUT_BYTES = 256 * 1024

_SFTP_INIT = struct.pack(">IBI", 5, 1, 3)
_SFTP_VERSION = 2
_NO_SHELL = ("not available", "nologin", "no shell", "not allowed", "disabled")


@dataclass(frozen=True, slots=True)
class Doctor:
    """
    Look at everything between here and a command on the host.

    Attributes:
        become: As whom the command is to run, if not as the user who logs in.
    """

    become: Become | None = None

    @property
    def kind(self) -> str:
        return "doctor"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Return what was found; the host is ok if a command and all before it work.

        The data are ``findings``, a list of `fleetctl.model.finding.Finding` as JSON types.
        """
        findings: list[Finding] = []
        error: FleetError | None = None
        try:
            facts = await remote.connect(findings)
            await _try_session(remote, findings)
            if facts.get("connection") != "local":
                await _try_sftp(remote, findings)
            if self.become is not None:
                await _try_become(remote, findings, self.become)
        except FleetError as caught:
            error = caught
            known = findings.pop() if findings and findings[-1].verdict == "failed" else None
            findings.append(_failed(caught, known))
        _skip_the_rest(findings, PHASES if self.become is None else (*PHASES, "become"))
        return Outcome(
            status="ok" if error is None else status_of(error.kind),
            data={"findings": [each.to_json() for each in findings]},
            failure=error.failure if error is not None else None,
        )


async def _try_session(remote: Remote, findings: list[Finding]) -> None:
    """Run a script that looks at the account."""
    marker = secrets.token_hex(8)
    began = monotonic()
    result = await remote.exec(
        ExecRequest(
            command="sh -s",
            stdin=script(marker),
            timeout_s=LOOK_TIMEOUT_S,
            max_output_bytes=MAX_OUTPUT_BYTES,
        )
    )
    took_s = monotonic() - began
    shown = (result.stdout + result.stderr).decode("utf-8", "replace")
    if result.exit_status and any(words in shown.lower() for words in _NO_SHELL):
        raise FleetError(
            "session.no_shell",
            f"the account has no shell: {beginning(shown.strip().splitlines()[0], 200)}",
            hint="on the host: usermod -s /bin/sh USER",
        )
    findings.append(Finding("session", "ok", "a command runs", duration_s=took_s))
    refused = [str(key) for each in findings for key in _strings(each.data.get("refused"))]
    findings.extend(read_account(result.stdout, marker, refused))


def _strings(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


async def _try_sftp(remote: Remote, findings: list[Finding]) -> None:
    """
    Ask the SFTP server for its version.

    Source: draft-ietf-secsh-filexfer-02 section 4, SSH_FXP_INIT.
    """
    began = monotonic()
    try:
        result = await remote.exec(
            ExecRequest(
                command="sftp",
                is_subsystem=True,
                stdin=_SFTP_INIT,
                timeout_s=LOOK_TIMEOUT_S,
                max_output_bytes=MAX_OUTPUT_BYTES,
            )
        )
    except FleetError as error:
        summary = f"no SFTP: {error.failure.message}"
        fix = "on the host: Subsystem sftp internal-sftp in sshd_config"
        findings.append(Finding("sftp", "warning", summary, fix=fix))
        return
    reply = result.stdout
    if len(reply) >= 9 and reply[4] == _SFTP_VERSION:
        version = int.from_bytes(reply[5:9], "big")
        summary = f"SFTP version {version}"
        findings.append(Finding("sftp", "ok", summary, duration_s=monotonic() - began))
        return
    text = first_bytes(reply, 80).decode("utf-8", "replace").strip()
    findings.append(
        Finding(
            "sftp",
            "warning",
            "what answers is no SFTP server",
            details=(f"it wrote: {text}",) if text else (),
            fix="does a start-up file of the account's shell write something? it must not",
        )
    )


async def _try_become(remote: Remote, findings: list[Finding], become: Become) -> None:
    """Run a command as the other user, and see who that is."""
    marker = secrets.token_hex(8)
    becoming = BecomingRemote(remote, become)
    began = monotonic()
    result = await becoming.exec(
        ExecRequest(
            command=f"printf %s {marker}; id -un",
            timeout_s=LOOK_TIMEOUT_S,
            max_output_bytes=MAX_OUTPUT_BYTES,
        )
    )
    took_s = monotonic() - began
    how = "with a password" if becoming.was_asked else "without a password"
    name = result.stdout.rpartition(marker.encode())[2].decode("utf-8", "replace").strip()
    if name == become.user:
        summary = f"{name} by {become.program}, {how}"
        findings.append(Finding("become", "ok", summary, duration_s=took_s))
        return
    summary = f"{become.program} became {name or 'somebody'}, and not {become.user}"
    fix = "do the two names stand for one user? see id there"
    findings.append(Finding("become", "warning", summary, fix=fix, duration_s=took_s))


def _failed(error: FleetError, known: Finding | None) -> Finding:
    """Return what failed, with what is known about it besides."""
    failure = error.failure
    phase = failure.phase
    phases = {"banner": "version", "gateway": "connect", "exec": "session", "pty": "session"}
    hop = f" (at {failure.hop})" if failure.hop else ""
    return Finding(
        phases.get(phase, phase),
        "failed",
        f"{failure.kind}{hop}: {failure.message}",
        details=known.details if known is not None else (),
        fix=failure.hint,
        data={**(known.data if known is not None else {}), "kind": failure.kind},
    )


def _skip_the_rest(findings: list[Finding], phases: Sequence[str]) -> None:
    seen = {each.phase for each in findings}
    last = max((phases.index(phase) for phase in seen if phase in phases), default=-1)
    if findings and findings[-1].verdict == "failed":
        findings.extend(Finding(phase, "skipped", "not reached") for phase in phases[last + 1 :])
