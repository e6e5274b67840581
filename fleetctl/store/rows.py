"""
Results and facts as what the tables have of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from fleetctl.model.codec import failure_to_json
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.store.facts import InputFile, Redact, RunFacts
from fleetctl.store.outputs import Piece, cut

#: More JSON than this is not kept of one host: neither facts nor diff, which are the long ones.
MAX_DETAIL_CHARACTERS = 1024 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NOTHING = ExecResult(exit_status=None)
_CLASS_KEY_BYTES = 16
_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


class Garbled(Exception):
    """A row says what this code would not have written."""


@contextmanager
def reading_row() -> Iterator[None]:
    """
    Give what goes wrong with a row one name.

    Raises:
        Garbled: A number, time or JSON in it makes no sense.
    """
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise Garbled(str(error)) from error


def to_microseconds(at: datetime) -> int:
    """Return an aware time as the tables have it."""
    return (at - _EPOCH) // _MICROSECOND


def to_time(microseconds: int | None) -> datetime | None:
    """Return the time of a column."""
    return None if microseconds is None else _EPOCH + microseconds * _MICROSECOND


def to_json(value: object) -> str:
    """Return JSON in ASCII; what JSON does not know is written as its text."""
    return _encode(value)


class Cleaner:
    """Takes secrets out of whatever is to be stored, and what PostgreSQL does not take."""

    def __init__(self, redact: Redact | None) -> None:
        self._redact = redact

    def bytes(self, data: bytes) -> bytes:
        return self._redact(data) if self._redact is not None and data else data

    def text(self, text: str) -> str:
        """Return text without secrets, for JSON."""
        if self._redact is None or not text:
            return text
        data = self._redact(text.encode("utf-8", "surrogatepass"))
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:  # what was taken out ended within a character
            return data.decode("utf-8", "replace")

    def column(self, text: str) -> str:
        """Return text without secrets, for a column: no NUL, no bytes that are no text."""
        clean = self.text(text)
        if "\0" in clean:
            clean = clean.replace("\0", "\ufffd")
        return clean if clean.isascii() else clean.encode("utf-8", "replace").decode()

    def json(self, value: object) -> object:
        """Return a JSON value, all its texts without secrets."""
        if self._redact is None:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.json(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.json(one) for one in value]
        return value


def facts_to_json(facts: RunFacts, cleaner: Cleaner) -> str:
    """Return the column ``facts``."""
    return to_json(cleaner.json(asdict(facts)))


def facts_from_json(text: str) -> RunFacts:
    """Return what `facts_to_json` was given; fields it does not know are left out."""
    fields = json.loads(text)
    known = {name: fields[name] for name in RunFacts.__dataclass_fields__ if name in fields}
    known["argv"] = tuple(known["argv"])
    known["inputs"] = tuple(InputFile(**one) for one in known.get("inputs", ()))
    return RunFacts(**known)


def host_row(
    result: HostResult, at: datetime, cleaner: Cleaner, output_bytes: int
) -> tuple[dict[str, object], tuple[Piece, Piece]]:
    """
    Return the columns of a result, and what is to be kept of its outputs.

    Args:
        at: When the result was made, aware.
        output_bytes: Kept of each stream.
    """
    outcome = result.outcome
    run = outcome.result or _NOTHING
    stdout = cut(cleaner.bytes(run.stdout), output_bytes)
    stderr = cut(cleaner.bytes(run.stderr), output_bytes)
    settings = result.host.settings
    is_local = result.host.connection == "local"
    exit_signal = None if run.exit_signal is None else cleaner.column(run.exit_signal)
    columns: dict[str, object] = {
        "ran": result.ran,
        "status": outcome.status,
        "class_key": _class_key(result, stdout, stderr),
        "changed": outcome.changed,
        "exit_status": run.exit_status,
        "exit_signal": exit_signal,
        "stdout_hash": stdout.hash,
        "stdout_sent": run.stdout_bytes,
        "stdout_kept": len(stdout.data),
        "stderr_hash": stderr.hash,
        "stderr_sent": run.stderr_bytes,
        "stderr_kept": len(stderr.data),
        "address": result.address,
        "port": None if is_local else settings.port,
        "login": None if is_local or settings.user is None else cleaner.column(settings.user),
        "attempts": result.attempts,
        "started_us": to_microseconds(result.started_at) if result.started_at else None,
        "finished_us": to_microseconds(at),
        "duration_s": result.duration_s,
        "detail": _detail(result, run, cleaner),
    }
    return columns, (stdout, stderr)


def _detail(result: HostResult, run: ExecResult, cleaner: Cleaner) -> str:
    """Return what nobody searches for; what is as usual is left out."""
    outcome, phases = result.outcome, result.phases
    detail: dict[str, object] = {
        "phases": (
            *(phases.resolve_s, phases.connect_s, phases.kex_s),
            *(phases.auth_s, phases.session_s, phases.command_s),
        )
    }
    if outcome.failure is not None:
        detail["failure"] = cleaner.json(failure_to_json(outcome.failure))
    if run.truncated:
        detail["truncated"] = True
    if not run.output_complete:
        detail["output_complete"] = False
    if run.gone is not None:
        detail["gone"] = run.gone
    if run.refused_env:
        detail["refused_env"] = run.refused_env
    long: dict[str, object] = {}
    if outcome.data:
        long["data"] = cleaner.json(outcome.data)
    if outcome.diff is not None:
        long["diff"] = cleaner.text(outcome.diff)
    text = to_json(detail | long)
    return text if len(text) <= MAX_DETAIL_CHARACTERS else to_json(detail)


def _class_key(result: HostResult, stdout: Piece, stderr: Piece) -> bytes:
    """Return what hosts that ended alike and wrote the same have in common, as they are shown."""
    outcome, run = result.outcome, result.outcome.result
    failure = outcome.failure
    likeness = (
        outcome.status,
        result.ran,
        (failure.kind, failure.hop) if failure else None,
        run
        and (
            *(run.exit_status, run.exit_signal, run.stdout_bytes, run.stderr_bytes),
            *(run.output_complete, stdout.whole_hash, stderr.whole_hash),
        ),
        # Without a command there is nothing but this to tell hosts apart.
        outcome.changed if run is None else None,
    )
    return hashlib.blake2b(repr(likeness).encode(), digest_size=_CLASS_KEY_BYTES).digest()
