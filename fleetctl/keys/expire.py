"""
Removing the keys whose time is over, and proof that they are refused.

The time is in the line itself: as ``expiry-time``, which sshd goes by too, or in the comment, where
`fleetctl.keys.grant` put it for an sshd that does not know that option.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from fleetctl.keys.authorized_keys import (
    AuthorizedKey,
    Edit,
    KeyFileText,
    Line,
    liveness,
    parse,
    remove_keys,
)
from fleetctl.keys.change_words import with_words
from fleetctl.keys.deploy_words import show_path
from fleetctl.keys.file_diff import diff_files
from fleetctl.keys.guarded import Guarding, Way, change_guarded, session_credential
from fleetctl.keys.lockout import Standing
from fleetctl.keys.options import ServerVersion
from fleetctl.keys.place import KeysFile, Look
from fleetctl.keys.revoke import Doomed, describe_lines, judge_gone
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

_MARK = re.compile(r"(?:^|\s)fleetctl-until=(\d{8}T\d{6}Z)(?:\s|$)")


@dataclass(frozen=True, slots=True)
class ExpireKeys:
    """
    Remove the lines whose time is over from one user's authorized_keys.

    Attributes:
        now: Seconds since 1970 (UTC), for hosts whose clock cannot be read.
        notes: Host name -> what to say about it besides.
    """

    way: Way
    now: int
    guarding: Guarding = field(default_factory=Guarding)
    private_files: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "keys.expire"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or say what would be done.

        Raises:
            FleetError: Of `change_guarded`. A key that still logs in is ``keys.still_accepted``.
        """
        file = await self.way.open(remote)
        note = self.notes.get(remote.host.name)
        outcome = await expire(remote, file, self, check=check, notes=(note,) if note else ())
        return with_words(outcome, planned=check)


async def expire(
    remote: Remote,
    file: KeysFile,
    what: ExpireKeys,
    *,
    check: bool = False,
    notes: Sequence[str] = (),
) -> Outcome:
    """Remove what is due from a file; see `ExpireKeys`."""
    standing = Standing(await session_credential(remote, what.guarding))

    def work_out(look: Look, text: KeyFileText) -> Edit:
        return remove_lines(text, due_lines(look, text, look.clock or what.now))

    done = await change_guarded(
        remote, file, work_out, guarding=what.guarding, standing=standing, check=check
    )
    data: dict[str, object] = {**done.data, "removed": describe_lines(done.edit.removed)}
    data["notes"] = [*notes, *done.notes]
    diff = (
        diff_files(done.look.data, done.edit.data, show_path(done.look)) if done.differs else None
    )
    outcome = Outcome("ok", done.differs, data=data, diff=diff)
    if check:
        return outcome
    gone = _gone(done.edit)
    doomed = Doomed(tuple(key.blob for key in gone), private_files=what.private_files)
    return await judge_gone(remote, done, doomed, gone, what.guarding, outcome)


def due_lines(look: Look, text: KeyFileText, now: int) -> tuple[Line, ...]:
    """
    Return the lines with a key whose time is over.

    Args:
        now: Seconds since 1970 (UTC), by the host's clock.
    """
    server = ServerVersion.parse(look.server_version)
    states = liveness(text, at=now, utc_offset=look.utc_offset, server=server)
    due = []
    for state in states:
        if state.line.kind not in ("key", "dead") or state.line.key is None:
            continue
        until = until_of(state.line.key)
        is_over = state.expires is not None and state.expires < now
        if is_over or (until is not None and until <= now):
            due.append(state.line)
    return tuple(due)


def until_of(key: AuthorizedKey) -> int | None:
    """
    Return when a key is to be removed, by its comment; None if that says nothing.

    >>> until_of(AuthorizedKey("", b"", "alice fleetctl-until=20261121T140000Z"))
    1795269600
    """
    found = _MARK.search(key.comment)
    if found is None:
        return None
    try:
        return int(datetime.strptime(found[1], "%Y%m%dT%H%M%S%z").timestamp())
    except ValueError:
        return None


def mark_until(key: AuthorizedKey, until: int) -> AuthorizedKey:
    """Return a key whose comment says when it is to be removed, in seconds since 1970 (UTC)."""
    comment = _MARK.sub(" ", key.comment).strip()
    mark = f"fleetctl-until={datetime.fromtimestamp(until, UTC):%Y%m%dT%H%M%SZ}"
    return replace(key, comment=f"{comment} {mark}".strip())


def remove_lines(text: KeyFileText, lines: Sequence[Line]) -> Edit:
    """Return the edit that takes out these lines, and no other line with the same key."""
    numbers = {line.number for line in lines}
    only = tuple(line if line.number in numbers else replace(line, key=None) for line in text.lines)
    blobs = {line.key.blob for line in lines if line.key is not None}
    return remove_keys(KeyFileText(only), blobs)


def _gone(edit: Edit) -> tuple[AuthorizedKey, ...]:
    """Return the keys of which no line is left."""
    left = {key.blob for key in parse(edit.data).keys}
    gone = {line.key.blob: line.key for line in edit.removed if line.key is not None}
    return tuple(key for blob, key in gone.items() if blob not in left)
