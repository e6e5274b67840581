"""
The operation behind ``fleetctl shell --script``: the login shell of a host, fed with a script.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from fleetctl.commands.feeding import PipedScript, PromptedScript, TypedScript
from fleetctl.commands.judgement import judge
from fleetctl.commands.no_shell import without_shell
from fleetctl.commands.prompts import GivenPrompt, OwnPrompt, Prompt
from fleetctl.commands.proof import make_token
from fleetctl.expect.transcript import TranscriptWriter, make_folder, transcript_path
from fleetctl.model.dialogue import Dialogue
from fleetctl.model.errors import FleetError, Problem
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.host import Host
from fleetctl.model.operation import DEFAULT_MAX_OUTPUT_BYTES, Pty, ShellScript
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

#: Bytes of one line that a terminal takes, without its newline; the rest is lost without a word.
#: Source: termios(3), Canonical and noncanonical mode.
MAX_TYPED_LINE_BYTES = 4094

#: Nothing is typed back, a newline stays one, and a line is read as a whole; speeds that every
#: system has: OSPEED, ISPEED, ICANON, ECHO, ONLCR. Source: RFC 4254 section 8.
TYPING_MODES: Mapping[int, int] = {129: 38400, 128: 38400, 51: 1, 53: 0, 72: 0}


@dataclass(frozen=True, slots=True)
class Shell:
    """
    Feed the login shell with lines and judge its end as that of a command.

    Its exit status is that of ``exit`` or, at the end of the script, of the last command; which of
    them cannot be told. With `waits_for_prompt` the outcome's data have ``last_exit_status`` of the
    last command that came back to the prompt, and ``lines_not_typed`` if the shell ended before.

    Attributes:
        script: Its standard input.
        name: What the transcript calls it.
        env: Sent as ``env`` channel requests; one that the server refuses fails the host.
        timeout_s: Limit for the shell, None for none.
        max_output_bytes: Kept per stream.
        pty: Ask for a pseudo-terminal: the shell is interactive then.
        waits_for_prompt: Type a line when the shell asks for it; needs a pty.
        prompt_regex: What its prompt looks like; None lets us set one.
        record: Folder for a transcript per host; None for none.
    """

    script: bytes
    name: str = "script"
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    max_output_bytes: int = DEFAULT_MAX_OUTPUT_BYTES
    pty: bool = False
    waits_for_prompt: bool = False
    prompt_regex: str | None = None
    record: str | None = None

    @property
    def kind(self) -> str:
        return "shell"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Feed it; with ``check`` nothing is sent, because nobody knows what a script changes.

        Raises:
            FleetError: As `Remote.exec`; ``expect.timeout``: it shows no prompt;
                ``expect.failed``: the transcript cannot be written, and nothing ran.
        """
        if check:
            return Outcome(status="skipped")
        data: dict[str, object] = {}
        with self._recorder(remote.host) as recorder:
            result = None
            dialogue = self._dialogue(recorder)
            try:
                result = await remote.shell(self._request(dialogue))
            finally:
                if recorder is not None:
                    recorder.ended(None if result is None else result.exit_status)
        if isinstance(dialogue, PromptedScript):
            data |= dialogue.facts()
        if recorder is not None:
            data["transcript"] = str(transcript_path(self.record or "", remote.host.name))
            if recorder.problem is not None:
                data["transcript_problem"] = recorder.problem
        outcome = await without_shell(remote, judge(result))
        return replace(self._told(outcome), data=data)

    def _request(self, dialogue: Dialogue | None) -> ShellScript:
        return ShellScript(
            self.script if dialogue is None else b"",
            pty=Pty(modes=TYPING_MODES) if self.pty else None,
            timeout_s=self.timeout_s,
            max_output_bytes=self.max_output_bytes,
            env=self.env,
            dialogue=dialogue,
        )

    def _dialogue(self, recorder: TranscriptWriter | None) -> Dialogue | None:
        if not self.pty:
            return None if recorder is None else PipedScript(self.script, recorder)
        lines = [line + b"\n" for line in self.script.removesuffix(b"\n").split(b"\n")]
        if not self.waits_for_prompt:
            return TypedScript(b"".join(lines), recorder)
        prompt: Prompt = OwnPrompt(make_token())
        if self.prompt_regex is not None:
            prompt = GivenPrompt(self.prompt_regex)
        return PromptedScript(lines, prompt, recorder)

    def _told(self, outcome: Outcome) -> Outcome:
        """Return the outcome, failed if the script lacked a variable it was to have."""
        refused = outcome.result.refused_env if outcome.result is not None else ()
        missing = [name for name in self.env if name in refused]
        if outcome.failure is not None or not missing:
            return outcome
        failure = Failure(
            "exec.refused",
            f"the script ran without {', '.join(missing)}, which the server did not take",
            hint="set it in the script, or in AcceptEnv of its sshd_config",
        )
        return replace(outcome, status=status_of(failure.kind), failure=failure)

    def _recorder(self, host: Host) -> AbstractContextManager[TranscriptWriter | None]:
        if self.record is None:
            return nullcontext()
        path = transcript_path(self.record, host.name)
        try:
            make_folder(self.record)
            return TranscriptWriter(
                path,
                title=f"{self.name} on {host.name}",
                command=None,
                pty=Pty() if self.pty else None,
            )
        except OSError as error:
            message = f"the transcript cannot be written: {path}: {error.strerror}"
            raise FleetError(
                "expect.failed", message, hint="give --record another folder"
            ) from None


def problems_of_typing(script: bytes) -> list[Problem]:
    """Return which lines of a script cannot be typed: nobody has to be contacted to see it."""
    return [
        Problem(
            f"the line has {len(line)} bytes, and a terminal takes {MAX_TYPED_LINE_BYTES} at most",
            line=number,
            hint="without --pty lines may be as long as they like",
        )
        for number, line in enumerate(script.split(b"\n"), 1)
        if len(line) > MAX_TYPED_LINE_BYTES
    ]
