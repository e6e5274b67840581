"""
What is said of a host that was brought to what is declared: lines, data, and what failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fleetctl.keys.authorized_keys import AuthorizedKey
from fleetctl.keys.file_diff import diff_files
from fleetctl.keys.guarded import Guarded
from fleetctl.keys.options import render_options
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.result import ExecResult, Outcome
from fleetctl.ssh.fingerprint import label_of


@dataclass(frozen=True, slots=True)
class Shown:
    """A key in a line; ``person`` is empty if nobody knows whose it is."""

    key: AuthorizedKey
    person: str = ""

    def lines(self, *, with_options: bool) -> Iterator[str]:
        """Yield ``ED25519 SHA256:… alice@laptop``, and its options in a line of their own."""
        key = self.key
        comment = key.comment if key.comment != self.person else ""
        yield " ".join(part for part in (label_of(key.key_type), key.fingerprint, comment) if part)
        if with_options:
            yield render_options(key.options) or "no options"

    def to_json(self) -> dict[str, object]:
        """Return it as JSON types."""
        key = self.key
        return {
            "type": key.key_type,
            "fingerprint": key.fingerprint,
            "comment": key.comment,
            "options": render_options(key.options),
            "person": self.person or None,
        }


@dataclass(frozen=True, slots=True)
class Synced:
    """
    What became of one file.

    Attributes:
        path: Empty if it was not found out.
        unchanged: How many of the declared keys were right.
        doubts: Why keys that are there now would not log in.
    """

    user: str
    path: str
    mode: str | None = None
    added: tuple[Shown, ...] = ()
    changed_options: tuple[Shown, ...] = ()
    removed: tuple[Shown, ...] = ()
    unchanged: int = 0
    differs: bool = False
    diff: str = ""
    backup: str | None = None
    guard: str | None = None
    confirmed_by: str | None = None
    doubts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    failure: Failure | None = None


def describe(
    user: str,
    mode: str | None,
    whose: Mapping[bytes, str],
    done: Guarded,
    doubts: tuple[str, ...],
) -> Synced:
    """
    Return what became of a file.

    Args:
        whose: Blob of a key -> who has it.
    """
    edit = done.edit

    def shown(key: AuthorizedKey) -> Shown:
        return Shown(key, whose.get(key.blob, ""))

    return Synced(
        user=user,
        path=done.look.path,
        mode=mode,
        added=tuple(map(shown, edit.added)),
        changed_options=tuple(shown(one.key) for one in edit.replaced),
        removed=tuple(shown(line.key) for line in edit.removed if line.key is not None),
        unchanged=len(edit.unchanged),
        differs=done.differs,
        diff=diff_files(done.look.data, edit.data, done.look.path) if done.differs else "",
        backup=done.swapped.backup if done.swapped else None,
        guard=done.swapped.guard if done.swapped else None,
        confirmed_by=done.confirmed_by,
        doubts=doubts,
        notes=(*done.notes, *([f"forced, although {done.forced}"] if done.forced else [])),
    )


def sum_up(done: Sequence[Synced], notes: Sequence[str], *, of: int, planned: bool) -> Outcome:
    """
    Return the outcome of a host.

    Args:
        of: How many files there were to bring to what is declared.
        planned: Nothing was done.
    """
    text = "".join(f"{line}\n" for line in _lines(done, notes, planned=planned))
    said = text.encode("utf-8", "surrogateescape")
    failed = [one for one in done if one.failure is not None]
    failure = _join(failed, left=of - len(done)) if failed else None
    return Outcome(
        "ok" if failure is None else status_of(failure.kind),
        changed=any(one.differs and one.failure is None for one in done),
        result=ExecResult(exit_status=None, stdout=said, stdout_bytes=len(said)),
        data={"users": [_to_json(one) for one in done], "notes": list(notes)},
        diff="".join(one.diff for one in done) or None,
        failure=failure,
    )


def _lines(done: Sequence[Synced], notes: Sequence[str], *, planned: bool) -> Iterator[str]:
    for one in done:
        yield from _lines_of(one, "would be " if planned else "")
    if not done:
        yield "nothing is declared for it"
    elif not any(one.differs or one.failure is not None for one in done):
        yield "as declared"
    for note in notes:
        yield f"note: {note}"


def _lines_of(one: Synced, would: str) -> Iterator[str]:
    for what, some, with_options in (
        ("added", one.added, None),
        ("given other options", one.changed_options, True),
        ("removed", one.removed, False),
    ):
        for shown in some:
            person = f" {shown.person}" if shown.person else ""
            yield f"{would}{what} for {one.user}:{person}"
            options = bool(shown.key.options) if with_options is None else with_options
            yield from (f"  {line}" for line in shown.lines(with_options=options))
    for note in (*one.doubts, *one.notes):
        yield f"note: {one.user}: {note}"
    if one.failure is not None:
        yield f"failed for {one.user}: {one.failure.message}"


def _join(failed: Sequence[Synced], *, left: int) -> Failure:
    """Return one failure for all; the kind and hint are those of the first."""
    first = failed[0].failure
    assert first is not None
    parts = [f"{one.user}: {one.failure.message}" for one in failed if one.failure is not None]
    if left:
        parts.append(f"{left} more were not tried")
    retryable = all(one.failure is not None and one.failure.retryable for one in failed)
    return Failure(first.kind, "; ".join(parts), hint=first.hint, retryable=retryable)


def _to_json(one: Synced) -> dict[str, object]:
    failure = one.failure
    return {
        "user": one.user,
        "path": one.path,
        "mode": one.mode,
        "changed": one.differs and failure is None,
        "added": [shown.to_json() for shown in one.added],
        "other_options": [shown.to_json() for shown in one.changed_options],
        "removed": [shown.to_json() for shown in one.removed],
        "unchanged": one.unchanged,
        "backup": one.backup,
        "guard": one.guard,
        "confirmed_by": one.confirmed_by,
        "doubts": list(one.doubts),
        "notes": list(one.notes),
        "failure": None
        if failure is None
        else {"kind": failure.kind, "message": failure.message, "hint": failure.hint},
    }
