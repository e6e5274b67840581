"""
The operation behind ``fleetctl shell --expect``: a scripted dialogue with a program on the host.

Judges how it ended; what the dialogue does is `fleetctl.expect`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fleetctl.commands.judgement import judge
from fleetctl.commands.no_shell import no_shell_of
from fleetctl.commands.recording import facts_of, recording
from fleetctl.commands.refused_env import without_variables
from fleetctl.expect.dialogue import ExpectDialogue
from fleetctl.expect.script import Script
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.host import Host
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES, ExecRequest, ShellScript
from fleetctl.model.remote import Remote
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Expect:
    """
    Play an expect script with its command, or with the login shell.

    The host is ok if the script came to its end and the program ended with an exit status that the
    script takes for success. The outcome's data have ``captured``: variable -> text.

    Attributes:
        env: Sent as ``env`` channel requests; one that the server refuses fails the host.
        timeout_s: Limit for the whole, None for none; each step has its own.
        max_output_bytes: Kept per stream.
        record: Folder for a transcript per host; None for none.
    """

    script: Script
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    record: str | None = None

    @property
    def kind(self) -> str:
        return "expect"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Play it; with ``check`` nothing is sent, because nobody knows what a dialogue changes.

        Raises:
            FleetError: As `Remote.exec`; ``expect.failed``: the host has not what the script sends,
                or the transcript cannot be written. Nothing ran then.
        """
        if check:
            return Outcome(status="skipped")
        values = values_of(self.script, remote.host)
        await self._need_secrets(remote)
        script = self.script
        with recording(
            self.record, remote, what=script.file, command=script.command, pty=script.pty
        ) as recorder:
            dialogue = ExpectDialogue(
                script, values=values, get_secret=remote.secret, recorder=recorder
            )
            try:
                outcome = self._judge(await self._start(remote, dialogue), dialogue.failure)
            except FleetError as error:
                if error.failure.phase != "expect":
                    raise
                outcome = _failed(error.failure, error.result)
            if recorder is not None:
                recorder.ended(outcome.result.exit_status if outcome.result else None)
        data = facts_of(self.record, remote.host, recorder)
        if dialogue.captured:
            data["captured"] = dict(dialogue.captured)
        return replace(without_variables(outcome, self.env), data=data)

    async def _start(self, remote: Remote, dialogue: ExpectDialogue) -> ExecResult:
        script = self.script
        if script.command is None:
            return await remote.shell(
                ShellScript(
                    b"",
                    pty=script.pty,
                    timeout_s=self.timeout_s,
                    max_output_bytes=self.max_output_bytes,
                    env=self.env,
                    dialogue=dialogue,
                )
            )
        return await remote.exec(
            ExecRequest(
                script.command,
                pty=script.pty,
                timeout_s=self.timeout_s,
                max_output_bytes=self.max_output_bytes,
                env=self.env,
                dialogue=dialogue,
            )
        )

    def _judge(self, result: ExecResult, failure: Failure | None) -> Outcome:
        if failure is None:
            if result.exit_status in self.script.exit_statuses and result.exit_signal is None:
                return Outcome(status="ok", changed=True, result=result)
            outcome = judge(result)
            if outcome.failure is not None:
                return outcome
            failure = Failure("exec.nonzero", f"exit status {result.exit_status}")
            return _failed(failure, result)
        no_shell = no_shell_of(result)
        if no_shell is not None:
            return _failed(no_shell, result)
        return _failed(replace(failure, hint=_how_it_ended(result)), result)

    async def _need_secrets(self, remote: Remote) -> None:
        """Look up what can be looked up now: half a dialogue may be worse than none."""
        for use in self.script.secrets:
            if use.source.startswith("var:") and await remote.secret(use.source) is None:
                name = use.source.removeprefix("var:")
                raise FleetError(
                    "expect.failed",
                    f"{self.script.place(use.line)}: the host has no variable {name}",
                    hint=f"set it in the inventory: fleetctl inventory show {remote.host.name}",
                )


def values_of(script: Script, host: Host) -> dict[str, str]:
    """
    Return the variables that a script gets from a host.

    Raises:
        FleetError: ``expect.failed``: it lacks one, or one cannot be sent openly.
    """
    values = {"host": host.name}
    for name in script.host_variables:
        value = host.vars.get(name)
        if isinstance(value, Secret):
            raise FleetError(
                "expect.failed",
                f"{script.file}: the variable {name} is secret",
                hint=f"send_secret: var:{name}",
            )
        if not isinstance(value, str | int | float) or isinstance(value, bool):
            problem = "is not set" if value is None else "is neither text nor a number"
            raise FleetError("expect.failed", f"{script.file}: the variable {name} {problem}")
        values[f"var:{name}"] = str(value)
    return values


def _failed(failure: Failure, result: ExecResult | None) -> Outcome:
    return Outcome(
        status=status_of(failure.kind),
        changed=result is not None,
        result=result,
        failure=failure,
    )


def _how_it_ended(result: ExecResult) -> str:
    if result.exit_signal is not None:
        return f"it was killed by signal {result.exit_signal}"
    if result.exit_status is None:
        return "it ended without an exit status"
    return f"it ended with exit status {result.exit_status}"
