"""
Exceptions of fleetctl.

::

    Exception
    ├── FleetError          one host, one phase; becomes a Failure in engine/attempt.py
    └── UsageError          bad input; raised before any host is contacted (exit 2)
        └── NothingMatched  no host matched (exit 3)

A non-zero exit status of a remote command is a value, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleetctl.model.failure import Failure
from fleetctl.model.result import ExecResult


class FleetError(Exception):
    """
    A failure of one phase on one host.

    Attributes:
        failure: The value that ends up in the host's result.
        result: What a command had done until then, if one was running.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        hint: str | None = None,
        retryable: bool = False,
        hop: str | None = None,
        result: ExecResult | None = None,
    ) -> None:
        super().__init__(message)
        self.result = result
        self.failure = Failure(kind=kind, message=message, hint=hint, retryable=retryable, hop=hop)

    @property
    def kind(self) -> str:
        return self.failure.kind


@dataclass(frozen=True, slots=True)
class Problem:
    """
    One mistake in what the user wrote.

    Attributes:
        message: Subject, what is wrong and why, in one line.
        file: Path as the user would recognise it, or a description such as ``--limit``.
        line: Line number from 1, or None.
        column: Column number from 1, or None.
        hint: What to write instead, or None.
    """

    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None
    hint: str | None = None

    @property
    def where(self) -> str:
        """``file:line:column`` as far as known, else the empty string."""
        parts = [self.file, self.line, self.column]
        return ":".join(str(p) for p in parts[: parts.index(None) if None in parts else 3])

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.file else self.message
        return f"{text}\nhint: {self.hint}" if self.hint else text


class UsageError(Exception):
    """
    What the user asked for cannot be done as written; no host was contacted.

    Attributes:
        problems: All mistakes found, in the order of the file.
        exit_code: 2, or 3 for `NothingMatched`.
    """

    exit_code = 2

    def __init__(
        self,
        message: str = "",
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        problems: Iterable[Problem] = (),
    ) -> None:
        found: Sequence[Problem] = tuple(problems) or (
            Problem(message=message, file=file, line=line, column=column, hint=hint),
        )
        super().__init__("\n".join(str(problem) for problem in found))
        self.problems: tuple[Problem, ...] = tuple(found)


class NothingMatched(UsageError):
    """The pattern is right but selects no host."""

    exit_code = 3
