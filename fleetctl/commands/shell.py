"""
The operation behind ``fleetctl shell --script``: the login shell of a host, fed with a script.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fleetctl.commands.feeding import PipedScript, PromptedScript, TypedScript
from fleetctl.commands.judgement import judge
from fleetctl.commands.no_shell import without_shell
from fleetctl.commands.prompts import GivenPrompt, OwnPrompt, Prompt
from fleetctl.commands.proof import make_token
from fleetctl.commands.recording import facts_of, recording
from fleetctl.commands.refused_env import without_variables
from fleetctl.expect.transcript import TranscriptWriter
from fleetctl.model.dialogue import Dialogue
from fleetctl.model.errors import Problem
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
        pty = Pty() if self.pty else None
        with recording(self.record, remote, what=self.name, command=None, pty=pty) as recorder:
            result = None
            dialogue = self._dialogue(recorder)
            try:
                result = await remote.shell(self._request(dialogue))
            finally:
                if recorder is not None:
                    recorder.ended(None if result is None else result.exit_status)
        if isinstance(dialogue, PromptedScript):
            data |= dialogue.facts()
        data |= facts_of(self.record, remote.host, recorder)
        outcome = await without_shell(remote, judge(result))
        return replace(without_variables(outcome, self.env), data=data)

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
