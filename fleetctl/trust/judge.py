"""
Whether a file may run commands, read secrets and weaken checks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fleetctl.model.errors import Problem, UsageError
from fleetctl.trust.content import digest, is_program
from fleetctl.trust.permissions import Account, find_stranger
from fleetctl.trust.store import Record, TrustStore

#: What the hint of an error that asks for trust begins with, whoever found it.
_COMMAND = "fleetctl trust "


class Trust:
    """
    Judges files for one command line.

    A file is the user's own if it lies in one of their places, or was named by them, and nobody
    else can write to it or its folder. Everything else came with a project, and is trusted only
    with the content it had at ``fleetctl trust``. A program is run by its path, after its content
    was judged: nobody else may be able to put another one there.
    """

    def __init__(
        self,
        *,
        places: Sequence[Path],
        named: Iterable[Path],
        store: TrustStore,
        account: Account,
    ) -> None:
        """
        Args:
            places: Folders whose files are the user's own.
            named: Files, not folders, that the user named on the command line or in a variable.
        """
        self._places = [_plain(place) for place in places]
        self._named = {_plain(path) for path in named}
        self._store = store
        self._account = account
        self._records: Mapping[str, Record] | None = None
        self._changed: dict[str, Record] = {}

    def is_own(self, path: Path) -> bool:
        """Tell whether the file is the user's own."""
        return self._is_claimed(path) and self._stranger(path) is None

    def is_trusted(self, path: Path, data: bytes) -> bool:
        """
        Tell whether a file with this content may do everything.

        Args:
            data: What was read from it; it is not read again.

        Raises:
            UsageError: The records cannot be trusted themselves.
        """
        if self.is_own(path):
            return True
        if self._records is None:
            self._records = self._store.records()
        record = self._records.get(os.path.realpath(path))
        if record is None:
            return False
        if record.sha256 != digest(data):
            self._changed[_plain(path)] = record
            return False
        return not is_program(data) or self._stranger(path) is None

    def explain(self, problem: Problem) -> Problem:
        """Add to an error that asks for trust why there is none, if that is not plain."""
        if problem.file is None or not (problem.hint or "").startswith(_COMMAND):
            return problem
        path = Path(problem.file)
        record = self._changed.get(_plain(path))
        if record is not None:
            day = record.at.astimezone().date()
            return replace(
                problem, message=f"{problem.message}; it changed since it was trusted on {day}"
            )
        is_trusted = os.path.realpath(path) in (self._records or {})
        stranger = self._stranger(path) if is_trusted or self._is_claimed(path) else None
        if stranger is not None:
            return replace(problem, message=f"{problem.message}; it is not yours alone: {stranger}")
        return problem

    def explain_all(self, error: UsageError) -> UsageError:
        """Return the error with each of its problems explained."""
        explained = type(error)(problems=[self.explain(each) for each in error.problems])
        return explained.with_traceback(error.__traceback__)

    def _is_claimed(self, path: Path) -> bool:
        plain = _plain(path)
        return plain in self._named or any(plain.startswith(f"{p}/") for p in self._places)

    def _stranger(self, path: Path) -> str | None:
        try:
            return find_stranger(path, self._account)
        except OSError as error:
            return f"{path}: {error.strerror or error}"


def _plain(path: Path) -> str:
    return os.path.abspath(os.path.expanduser(path))
