"""
Putting an older authorized_keys back, of those that lie beside it.

It is a change like any other: what protects from locking oneself out is in
`fleetctl.keys.guarded`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fleetctl.keys.authorized_keys import Edit, KeyFileText, parse
from fleetctl.keys.change_words import said_of_backups, with_words
from fleetctl.keys.deploy_words import show_path
from fleetctl.keys.file_diff import diff_files
from fleetctl.keys.guarded import Guarding, Way, change_guarded, session_credential
from fleetctl.keys.lockout import Standing
from fleetctl.keys.place import Backup, KeysFile, Look
from fleetctl.keys.revoke import describe, describe_lines
from fleetctl.model.codec import render_time
from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome
from fleetctl.ssh.fingerprint import md5_fingerprint


@dataclass(frozen=True, slots=True)
class ListBackups:
    """Say which older versions of one user's authorized_keys there are. Changes nothing."""

    way: Way

    @property
    def kind(self) -> str:
        return "keys.backups"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """Return them in the data, newest first; errors as of `KeysFile.backups`."""
        file = await self.way.open(remote)
        backups = [describe_backup(one) for one in await file.backups()]
        return said_of_backups(backups)


@dataclass(frozen=True, slots=True)
class RestoreKeys:
    """
    Put an older version back.

    Attributes:
        backup: Its number, 1 is the newest; or its path, or the last part of that.
        compromised: Fingerprints of keys that were revoked because others may have them: a version
            with one of them is not put back.
        notes: Host name -> what to say about it besides.
    """

    backup: int | str
    way: Way
    guarding: Guarding = field(default_factory=Guarding)
    compromised: frozenset[str] = frozenset()
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "keys.restore"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or say what would be done.

        Raises:
            FleetError: ``keys.read``: there is no such version; ``keys.conflict``: a compromised
                key is in it; and those of `change_guarded`.
        """
        file = await self.way.open(remote)
        note = self.notes.get(remote.host.name)
        outcome = await restore(remote, file, self, check=check, notes=(note,) if note else ())
        return with_words(outcome, planned=check)


async def restore(
    remote: Remote,
    file: KeysFile,
    what: RestoreKeys,
    *,
    check: bool = False,
    notes: Sequence[str] = (),
) -> Outcome:
    """Put an older version of a file back; see `RestoreKeys`."""
    backup = choose_backup(await file.backups(), what.backup)
    data = await file.read_backup(backup)
    _refuse_compromised(data, what.compromised, backup)
    standing = Standing(await session_credential(remote, what.guarding))

    def work_out(_look: Look, text: KeyFileText) -> Edit:
        return replace_all(text, data)

    done = await change_guarded(
        remote, file, work_out, guarding=what.guarding, standing=standing, check=check
    )
    look = done.look
    facts = {
        **done.data,
        "restored": describe_backup(backup),
        "added": [describe(key) for key in done.edit.added],
        "removed": describe_lines(done.edit.removed),
        "notes": [*notes, *done.notes],
    }
    diff = diff_files(look.data, data, show_path(look)) if done.differs else None
    return Outcome("ok", done.differs, data=facts, diff=diff)


def choose_backup(backups: Sequence[Backup], wanted: int | str) -> Backup:
    """
    Return the backup that is meant.

    Raises:
        FleetError: ``keys.read``: there is none.
    """
    if isinstance(wanted, int):
        if 1 <= wanted <= len(backups):
            return backups[wanted - 1]
    else:
        for backup in backups:
            if wanted in (backup.path, backup.path.rpartition("/")[2]):
                return backup
    count = len(backups)
    there = "there is no backup" if not count else f"there are {count} backups"
    raise FleetError(
        "keys.read",
        f"{there} and no {wanted!r}" if count else there,
        hint="list them: fleetctl keys restore HOST --list" if count else None,
    )


def replace_all(text: KeyFileText, data: bytes) -> Edit:
    """Return the edit that makes a text these bytes; keys count by what they are and may do."""
    new = parse(data)
    before = {(key.blob, frozenset(key.options)) for key in text.keys}
    after = {(key.blob, frozenset(key.options)) for key in new.keys}
    return Edit(
        data,
        added=tuple(key for key in new.keys if (key.blob, frozenset(key.options)) not in before),
        removed=tuple(
            line
            for line in text.lines
            if line.kind == "key"
            and line.key is not None
            and (line.key.blob, frozenset(line.key.options)) not in after
        ),
    )


def describe_backup(backup: Backup) -> dict[str, object]:
    """Return a backup as results show it."""
    at = render_time(datetime.fromtimestamp(backup.at, UTC))
    return {"path": backup.path, "at": at, "run": backup.run_id, "size": backup.size}


def _refuse_compromised(data: bytes, compromised: Collection[str], backup: Backup) -> None:
    for line in parse(data).lines:
        if line.key is None or line.kind != "key":
            continue
        names = {line.key.fingerprint, md5_fingerprint(line.key.blob)}
        if not names.isdisjoint(compromised):
            raise FleetError(
                "keys.conflict",
                f"line {line.number} of {backup.path} has the key {line.key.fingerprint}, which "
                "was revoked as compromised",
                hint="choose another version, or deploy the keys that are missing",
            )
