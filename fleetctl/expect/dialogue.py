"""
Playing an expect script: waits, answers, and says how it went.

Works over any `fleetctl.model.dialogue.Conversation`: a program on a host, or a recorded one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from fleetctl.expect.backlog import Found, Matcher, RegexMatcher, TextMatcher, TooSlow
from fleetctl.expect.incoming import Incoming, Recorder
from fleetctl.expect.script import (
    Case,
    End,
    EndOfOutput,
    Fail,
    Regex,
    Repeat,
    Script,
    Send,
    SendEof,
    SendSecret,
    Step,
    Text,
    Wait,
    describe,
    describe_all,
)
from fleetctl.expect.template import Template
from fleetctl.inventory.entries import one_line
from fleetctl.model.dialogue import Conversation
from fleetctl.model.errors import FleetError
from fleetctl.model.excerpt import end
from fleetctl.model.failure import Failure
from fleetctl.model.secret import Secret

#: The end-of-file character of a terminal. Source: termios(3), VEOF.
VEOF = "\x04"
#: Bytes of one line that a terminal takes, the newline included; the rest of a longer one is lost
#: without a word. Source: Linux, N_TTY_BUF_SIZE.
MAX_LINE_BYTES = 4095
#: Characters kept of what is captured, from its end.
MAX_CAPTURED = 4096

GetSecret = Callable[[str], Awaitable[Secret | None]]


class _Over(Exception):
    """The script is over before its last step."""


class ExpectDialogue:
    """
    Plays a script once.

    What the program writes is output, up to its end: nothing of it is lost, and secrets that were
    sent are masked in it. When the script has come to its end, so has the input.

    Args:
        values: Variables to begin with, those of the host as ``var:NAME``.
        get_secret: Returns the secret of a source, or None if it cannot be had.
        recorder: Told what happens, or None.

    Attributes:
        captured: Variables that the script captured.
        failure: Why the script did not come to its end although the program did; or None.
        line: The step that was begun last, 0 before the first.
    """

    def __init__(
        self,
        script: Script,
        *,
        values: Mapping[str, str],
        get_secret: GetSecret,
        recorder: Recorder | None = None,
    ) -> None:
        self.captured: dict[str, str] = {}
        self.failure: Failure | None = None
        self.line = 0
        self._script = script
        self._values = {**script.variables, **values}
        self._get_secret = get_secret
        self._recorder = recorder
        self._last_typed = ""

    async def hold(self, conversation: Conversation) -> None:
        """
        Play the script, then take the output to its end.

        Raises:
            FleetError: ``expect.timeout`` or ``expect.failed``.
        """
        incoming = Incoming(conversation, self._recorder, strips_ansi=self._script.strips_ansi)
        await self._mask_what_is_known(incoming)
        with suppress(_Over):
            await self._play(_Talk(conversation, incoming), self._script.steps)
        if not incoming.is_at_end:
            conversation.write_eof()
        while not incoming.is_at_end:
            await incoming.take()
            incoming.find(())

    async def _mask_what_is_known(self, incoming: Incoming) -> None:
        """Mask secrets before they are sent: a host may know them already."""
        for use in self._script.secrets:
            if not use.source.startswith("cmd:"):
                secret = await self._get_secret(use.source)
                if secret is not None:
                    incoming.masks.add(secret.reveal())

    async def _play(self, talk: _Talk, steps: Sequence[Step]) -> None:
        for step in steps:
            self.line = step.line
            await self._do(talk, step)

    async def _do(self, talk: _Talk, step: Step) -> None:
        match step:
            case Wait():
                case = await self._wait(talk, step)
                await self._play(talk, (step.on_timeout or ()) if case is None else case.then)
            case Send():
                text = self._render(talk, step.template, step.line)
                end = self._enter if step.is_line else ""
                await self._type(talk, text + end, text + end, step.line)
            case SendSecret():
                secret = (await self._secret(talk, step)).reveal()
                talk.incoming.masks.add(secret)
                shown = f"{masked(step.source)}{self._enter}"
                await self._type(talk, secret + self._enter, shown, step.line)
            case SendEof():
                await self._end_input(talk, step)
            case Fail():
                message = self._render(talk, step.message, step.line)
                raise self._error(talk, "expect.failed", message, step.line)
            case End():
                raise _Over
            case Repeat():
                await self._repeat(talk, step)

    async def _repeat(self, talk: _Talk, step: Repeat) -> None:
        first = replace(step.first, cases=(step.until, *step.first.cases))
        for number in range(step.most + 1):
            case = await self._wait(talk, first)
            if case is step.until:
                return
            if number < step.most:
                then = (first.on_timeout or ()) if case is None else (*case.then, *step.rest)
                await self._play(talk, then)
        raise self._error(
            talk,
            "expect.failed",
            f"{describe(step.until.awaited)} did not come in {step.most} rounds",
            step.line,
        )

    # -- waiting

    async def _wait(self, talk: _Talk, wait: Wait) -> Case | None:
        """
        Wait for one of the cases; None if none came in time and the step says what to do then.

        Raises:
            FleetError: ``expect.timeout``: it does not say so; ``expect.failed``: a regular
                expression takes too long.
            _Over: The program has ended, which is noted in `failure`.
        """
        now = asyncio.get_running_loop().time
        deadline = now() + wait.timeout_s
        awaited = [case for case in wait.cases if not isinstance(case.awaited, EndOfOutput)]
        matchers = [_matcher(case) for case in awaited]
        talk.incoming.begin()
        is_late = False
        while True:
            found = self._find(talk, wait, matchers)
            if found is not None:
                case = awaited[found.index]
                self._capture(talk, case, found)
                return case
            if talk.incoming.is_at_end:
                return self._ended(talk, wait)
            if is_late or now() >= deadline:
                if wait.on_timeout is not None:
                    return None
                raise self._late(talk, wait)
            try:
                async with asyncio.timeout_at(deadline) as limit:
                    await talk.incoming.take()
            except TimeoutError:
                if not limit.expired():
                    raise
                is_late = True

    def _find(self, talk: _Talk, wait: Wait, matchers: Sequence[Matcher]) -> Found | None:
        try:
            return talk.incoming.find(matchers)
        except TooSlow:
            raise self._error(
                talk,
                "expect.failed",
                f"looking for {describe_all(wait.cases)} in what it writes takes too long",
                wait.line,
                hint="avoid repeats inside repeats, such as (a+)+",
            ) from None

    def _capture(self, talk: _Talk, case: Case, found: Found) -> None:
        for capture in case.captures:
            group = capture.group
            value = found.before.strip() if group is None else found.groups.get(group, "")
            self.captured[capture.variable] = end(talk.incoming.masks.text(value), MAX_CAPTURED)

    def _ended(self, talk: _Talk, wait: Wait) -> Case:
        for case in wait.cases:
            if isinstance(case.awaited, EndOfOutput):
                return case
        message = f"the program ended, and {describe_all(wait.cases)} had not come"
        self.failure = self._error(talk, "expect.eof", message, wait.line).failure
        raise _Over

    def _late(self, talk: _Talk, wait: Wait) -> FleetError:
        message = f"{describe_all(wait.cases)} did not come within {wait.timeout_s:g} s"
        return self._error(talk, "expect.timeout", message, wait.line)

    # -- typing

    @property
    def _enter(self) -> str:
        """What the Enter key sends: terminals make a newline of it."""
        return "\n" if self._script.pty is None else "\r"

    async def _type(self, talk: _Talk, text: str, shown: str, line: int) -> None:
        data = text.encode("utf-8", "surrogateescape")
        longest = max(len(part) for part in data.replace(b"\r", b"\n").split(b"\n"))
        if self._script.pty is not None and longest >= MAX_LINE_BYTES:
            raise self._error(
                talk,
                "expect.failed",
                f"a line of {longest} bytes was to be sent, and a terminal takes less than"
                f" {MAX_LINE_BYTES}",
                line,
                hint="pty: no",
            )
        if self._recorder is not None:
            self._recorder.sent(shown)
        self._last_typed = text[-1:]
        try:
            async with asyncio.timeout(self._script.timeout_s) as limit:
                await talk.conversation.write(data)
        except TimeoutError:
            if not limit.expired():
                raise
            message = f"the program took no input for {self._script.timeout_s:g} s"
            raise self._error(talk, "expect.timeout", message, line) from None

    async def _end_input(self, talk: _Talk, step: SendEof) -> None:
        if self._script.pty is None:
            if self._recorder is not None:
                self._recorder.sent(VEOF)
            talk.conversation.write_eof()
            return
        # In the middle of a line the first one only hands over what was typed.
        times = 1 if self._last_typed in ("", "\r", "\n", VEOF) else 2
        await self._type(talk, VEOF * times, VEOF * times, step.line)

    async def _secret(self, talk: _Talk, step: SendSecret) -> Secret:
        try:
            secret = await self._get_secret(step.source)
        except FleetError as error:
            raise self._error(
                talk, "expect.failed", error.failure.message, step.line, hint=error.failure.hint
            ) from None
        if secret is None:
            raise self._error(talk, "expect.failed", f"there is no {step.source}", step.line)
        return secret

    def _render(self, talk: _Talk, template: Template, line: int) -> str:
        for name in template.names:
            if name in self.captured:
                if not self.captured[name].isprintable():
                    message = f"what was captured as {name} holds control characters"
                    hint = "capture less of it: what a host writes is not typed unseen"
                    raise self._error(talk, "expect.failed", message, line, hint=hint)
            elif name not in self._values:
                message = f"{{{name}}} was not captured on the way here"
                raise self._error(talk, "expect.failed", message, line)
        return template.render({**self._values, **self.captured})

    def _error(
        self, talk: _Talk, kind: str, message: str, line: int, *, hint: str | None = None
    ) -> FleetError:
        shown = talk.incoming.shown
        last = f'; it wrote last: "{shown}"' if shown else "; it wrote nothing"
        return FleetError(kind, one_line(f"{self._script.place(line)}: {message}{last}"), hint=hint)


@dataclass(frozen=True, slots=True)
class _Talk:
    """A conversation, and what is read from it."""

    conversation: Conversation
    incoming: Incoming


def masked(source: str) -> str:
    """Return what stands for a secret in a transcript."""
    return f"[secret {source}]"


def _matcher(case: Case) -> Matcher:
    match case.awaited:
        case Regex(pattern):
            return RegexMatcher(pattern)
        case Text(text):
            return TextMatcher(text)
        case _:
            raise AssertionError("the end of output is not looked for")
