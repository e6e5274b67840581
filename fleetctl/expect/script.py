"""
An expect script as plain data: what is waited for, what is sent, what happens otherwise.

How a script is written is `fleetctl.expect.read`'s business; what it does, that of
`fleetctl.expect.dialogue`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from fleetctl.expect.template import Template
from fleetctl.model.operation import Pty

#: Seconds that is waited for each thing unless the script says otherwise.
DEFAULT_TIMEOUT_S = 10.0
#: Rounds of a ``repeat`` unless the script says otherwise.
DEFAULT_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Text:
    """Exactly this text, anywhere in what is written."""

    text: str


@dataclass(frozen=True, slots=True)
class Regex:
    """What this regular expression describes, taken at the first character that completes it."""

    pattern: str


@dataclass(frozen=True, slots=True)
class EndOfOutput:
    """Nothing more will come: the program has ended."""


Awaited: TypeAlias = Text | Regex | EndOfOutput


@dataclass(frozen=True, slots=True)
class Capture:
    """
    What a variable is set to when something awaited has come.

    Attributes:
        variable: Its name.
        group: Name or number of a group of the regular expression; 0 is all that matched; None is
            what was written before that, since the step began.
    """

    variable: str
    group: str | int | None


@dataclass(frozen=True, slots=True)
class Case:
    """One of the things a step waits for, and the steps that follow if it is what comes."""

    awaited: Awaited
    line: int
    captures: tuple[Capture, ...] = ()
    then: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """
    Wait for one of several things; of two that come with the same character the first counts.

    Attributes:
        timeout_s: For the whole wait.
        on_timeout: Done when none of them has come in time, before the script goes on; None fails.
        line: Where it is written, from 1.
    """

    cases: tuple[Case, ...]
    timeout_s: float
    line: int
    on_timeout: tuple[Step, ...] | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """
    Type something.

    Attributes:
        is_line: Press Enter after it.
    """

    template: Template
    line: int
    is_line: bool = True


@dataclass(frozen=True, slots=True)
class SendSecret:
    """Type a secret and press Enter; see `fleetctl.model.remote.Remote.secret` for sources."""

    source: str
    line: int


@dataclass(frozen=True, slots=True)
class SendEof:
    """End the input; on a terminal that is Ctrl-D."""

    line: int


@dataclass(frozen=True, slots=True)
class Fail:
    """Give up: the program is ended, and the host has failed."""

    message: Template
    line: int


@dataclass(frozen=True, slots=True)
class End:
    """Say nothing more; the program goes on to its end by itself."""

    line: int


@dataclass(frozen=True, slots=True)
class Repeat:
    """
    Do steps again and again until something comes.

    Attributes:
        first: What each round begins with; `until` is waited for beside it.
        rest: The other steps of a round.
        until: Ends it; its steps are done then.
        most: Rounds at most.
    """

    first: Wait
    rest: tuple[Step, ...]
    until: Case
    most: int
    line: int


Step: TypeAlias = Wait | Send | SendSecret | SendEof | Fail | End | Repeat


@dataclass(frozen=True, slots=True)
class SecretUse:
    """A secret that a script sends, and where it says so, from 1."""

    source: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Script:
    """
    One expect script.

    Attributes:
        file: Its name in messages.
        command: What is run; None is the login shell.
        pty: The terminal it gets; None is none.
        timeout_s: Of a step that sends; those that wait have their own.
        variables: Set by the script itself.
        host_variables: Names of the variables of the host that it sends.
        secrets: What it sends that nobody may see, each once.
        exit_statuses: Those that mean success.
        strips_ansi: Escape sequences are not looked at when something is waited for.
    """

    file: str
    steps: tuple[Step, ...]
    command: str | None = None
    pty: Pty | None = field(default_factory=Pty)
    timeout_s: float = DEFAULT_TIMEOUT_S
    variables: Mapping[str, str] = field(default_factory=dict)
    host_variables: tuple[str, ...] = ()
    secrets: tuple[SecretUse, ...] = ()
    exit_statuses: tuple[int, ...] = (0,)
    strips_ansi: bool = True

    def place(self, line: int) -> str:
        """Return where a step is written, such as ``passwd.yml:12``."""
        return f"{self.file}:{line}"


def describe(awaited: Awaited) -> str:
    """Return what is waited for in words."""
    match awaited:
        case Text(text):
            return f'"{text}"'
        case Regex(pattern):
            return f"/{pattern}/"
        case _:
            return "the end of the program"


def describe_all(cases: tuple[Case, ...]) -> str:
    """Return ``"a", /b/ or the end of the program``."""
    *others, last = [describe(case.awaited) for case in cases]
    return f"{', '.join(others)} or {last}" if others else last


def templates_of(steps: tuple[Step, ...]) -> Iterator[tuple[Template, int]]:
    """Yield everything with variables in it, and its line."""
    for step in all_steps(steps):
        if isinstance(step, Send):
            yield step.template, step.line
        elif isinstance(step, Fail):
            yield step.message, step.line


def captures_of(steps: tuple[Step, ...]) -> Iterator[Capture]:
    """Yield every capture."""
    for step in all_steps(steps):
        if isinstance(step, Wait):
            for case in step.cases:
                yield from case.captures
        elif isinstance(step, Repeat):
            yield from step.until.captures


def all_steps(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Yield the steps and all steps inside them, in the order of the file."""
    for step in steps:
        yield step
        if isinstance(step, Repeat):
            yield from all_steps((step.first, *step.rest, *step.until.then))
        elif isinstance(step, Wait):
            for case in step.cases:
                yield from all_steps(case.then)
            yield from all_steps(step.on_timeout or ())
