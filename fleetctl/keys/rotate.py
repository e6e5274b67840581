"""
A new key in the place of an old one, so that at every moment one of them logs in.

Add the new one; prove it by a login with nothing else, on a host that refuses a key of nobody; take
the old one away with a dead man behind it; log in with the new one again; prove that the old one is
refused. Each step is in a journal before it is taken, and whoever takes it up again goes by what
the host shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from fleetctl.keys.authorized_keys import (
    Edit,
    KeyFileText,
    add_keys,
    parse,
    remove_keys,
)
from fleetctl.keys.change_words import with_words
from fleetctl.keys.deploy_words import show_path
from fleetctl.keys.file_diff import diff_files
from fleetctl.keys.guarded import (
    MAX_TRIES,
    Guarding,
    Way,
    looked,
    session_credential,
    swap_surely,
)
from fleetctl.keys.journal import Entry, Journal
from fleetctl.keys.lockout import Credential, Standing
from fleetctl.keys.place import KeysFile, Look
from fleetctl.keys.revoke import describe, describe_lines, revoke
from fleetctl.keys.rotate_plan import Exchange, Staged
from fleetctl.keys.rotate_proof import prove_new
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import status_of
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome

__all__ = ["LEFT_LOCK_S", "Exchange", "Journals", "RotateKeys", "foresee", "rotate"]

#: So long the lock of a try that died is waited for, in seconds: then hosts take it for left.
LEFT_LOCK_S = 130.0


class Journals(Protocol):
    """Where the hosts of a run have their journals."""

    def of(self, host: str) -> Journal:
        """Return the journal of a host."""
        ...

    def entries(self, host: str) -> Sequence[Entry]:
        """Return what was written down for a host by an earlier try."""
        ...


@dataclass(frozen=True, slots=True)
class RotateKeys:
    """
    Put a new key in the place of an old one, for one user.

    Not for other processes, as the journals are in this one.

    Attributes:
        notes: Host name -> what to say about it besides.
    """

    exchange: Exchange
    way: Way
    journals: Journals
    guarding: Guarding = field(default_factory=Guarding)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "keys.rotate"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or say what would be done.

        Raises:
            FleetError: ``keys.not_proved``: the new key does not log in, and the host is as it was;
                ``keys.unverifiable``; what `KeysFile` raises.
        """
        note = self.notes.get(remote.host.name)
        notes = (note,) if note else ()
        try:
            await remote.connect()
        except FleetError as error:
            if error.kind != "auth.denied" or self.way.target.user is not None:
                raise
            # An earlier try may have come so far that only the new key logs in.
            async with remote.login_with(self.exchange.login(None)) as fresh:
                try:
                    await fresh.connect()
                except FleetError:
                    raise error from None
                return await self._on(fresh, check=check, notes=notes)
        return await self._on(remote, check=check, notes=notes)

    async def _on(self, remote: Remote, *, check: bool, notes: Sequence[str]) -> Outcome:
        file = await self.way.open(remote, self.exchange.old.blobs)
        if check:
            return with_words(await foresee(file, self.exchange, notes=notes), planned=True)
        journal = self.journals.of(remote.host.name)
        guarding = self.guarding
        if earlier := self.journals.entries(remote.host.name):
            await _free_lock(file, earlier)
            guarding = replace(guarding, lock_patience_s=LEFT_LOCK_S)
        outcome = await rotate(remote, file, self.exchange, guarding, journal, notes=notes)
        return with_words(outcome)


async def _free_lock(file: KeysFile, earlier: Sequence[Entry]) -> None:
    """
    Free the lock that an earlier try of this run may have left when it died.

    If it lives after all, its swap finds the lock gone, and changes nothing.
    """
    last = earlier[-1]
    mark = last.facts.get("lock")
    if last.step in ("adding", "removing") and isinstance(mark, str):
        await file.unlock(replace(await file.look(), lock=mark))


async def foresee(file: KeysFile, exchange: Exchange, *, notes: Sequence[str] = ()) -> Outcome:
    """Return what `rotate` would do; changes nothing."""
    look = await file.look()
    text = parse(look.data)
    if not _concerns(look, text, exchange):
        return _nothing_to_do(look, notes)
    added = add_keys(text, [exchange.new_for(look, text)], on_other_options="keep")
    removed = _remove_old(exchange, look, parse(added.data))
    changed = removed.data != (look.data or b"")
    data: dict[str, object] = {
        "user": look.user,
        "path": look.path,
        "file": show_path(look),
        "added": [describe(key) for key in added.added],
        "removed": describe_lines(removed.removed),
        "notes": list(notes),
    }
    diff = diff_files(look.data, removed.data, show_path(look)) if changed else None
    return Outcome("ok", changed, data=data, diff=diff)


async def rotate(
    remote: Remote,
    file: KeysFile,
    exchange: Exchange,
    guarding: Guarding,
    journal: Journal,
    *,
    notes: Sequence[str] = (),
) -> Outcome:
    """
    Exchange the keys in a file; see `RotateKeys`.

    Args:
        remote: Logged in; stays so while the new key is proved, to undo it all.
    """
    await journal.note("planned", new=exchange.new.fingerprint)
    staged = await _stage(file, exchange, guarding, journal)
    if staged is None:
        await journal.note("confirmed", nothing_to_do=True)
        return _nothing_to_do(await file.look(), notes)
    look = staged.look
    await prove_new(remote, file, staged, exchange, guarding, journal)
    standing = await _standing(remote, look, exchange, guarding)
    try:
        outcome = await revoke(
            remote,
            file,
            exchange.old,
            guarding,
            standing=standing,
            journal=journal,
            notes=notes,
        )
    except FleetError as error:
        return _half_way(staged, error, notes)
    data = {
        **outcome.data,
        "added": [describe(key) for key in staged.edit.added],
        "backup": outcome.data["backup"] or (staged.swapped.backup if staged.swapped else None),
    }
    if outcome.failure is None:
        await journal.note("refused", proof=outcome.data["proof"])
        await journal.note("confirmed")
    now = _after_both(staged, exchange)
    changed = staged.swapped is not None or outcome.changed
    diff = diff_files(look.data, now, show_path(look)) if changed else None
    return replace(outcome, changed=changed, data=data, diff=diff)


async def _standing(remote: Remote, look: Look, exchange: Exchange, guarding: Guarding) -> Standing:
    """Return what has logged in so far: from here on it is the new key that counts."""
    session = await session_credential(remote, guarding)
    login = exchange.login(look.user)
    new = Credential(look.user, exchange.new.fingerprint, "publickey", login)
    if look.user != (guarding.manager_of(remote) or look.user):
        return Standing(session, (new,))
    return Standing(new, () if session is None else (session,))


async def _stage(
    file: KeysFile, exchange: Exchange, guarding: Guarding, journal: Journal
) -> Staged | None:
    """Put the new key beside the old one; None if the host has neither."""
    for tries_left in reversed(range(MAX_TRIES)):
        async with looked(file, lock=True, patience_s=guarding.lock_patience_s) as held:
            look = held.look
            text = parse(look.data)
            if not _concerns(look, text, exchange):
                return None
            edit = add_keys(text, [exchange.new_for(look, text)], on_other_options="keep")
            if not edit.changed:
                return Staged(look, edit, None)
            await journal.note("adding", path=look.path, lock=look.lock)
            held.is_used = True
            try:
                swapped = await swap_surely(
                    file, look, edit.data, None, fix_modes=guarding.fix_modes
                )
            except FleetError as error:
                if error.kind == "keys.changed" and tries_left:
                    continue
                raise
        await journal.note("added", backup=swapped.backup)
        return Staged(look, edit, swapped)
    raise AssertionError("the last try returns or raises")


def _half_way(staged: Staged, error: FleetError, notes: Sequence[str]) -> Outcome:
    """Return the outcome of a host that takes the new key, and may take the old one still."""
    failure = replace(
        error.failure,
        message=f"the new key logs in, but the old one was not taken away: {error.failure.message}",
    )
    look, changed = staged.look, staged.swapped is not None
    data: dict[str, object] = {
        "user": look.user,
        "path": look.path,
        "file": show_path(look),
        "added": [describe(key) for key in staged.edit.added],
        "removed": [],
        "notes": list(notes),
    }
    diff = diff_files(look.data, staged.edit.data, show_path(look)) if changed else None
    return Outcome(status_of(failure.kind), changed, data=data, diff=diff, failure=failure)


def _concerns(look: Look, text: KeyFileText, exchange: Exchange) -> bool:
    """Tell whether the file has the old key, or the new one already."""
    return any(exchange.old.has(key) or key.blob == exchange.new.blob for key in text.keys)


def _nothing_to_do(look: Look, notes: Sequence[str]) -> Outcome:
    note = f"the old key is not in {look.path}, so there is nothing to exchange"
    data = {
        "user": look.user,
        "path": look.path,
        "file": show_path(look),
        "added": [],
        "removed": [],
    }
    return Outcome("ok", data={**data, "notes": [*notes, note]})


def _remove_old(exchange: Exchange, look: Look, text: KeyFileText) -> Edit:
    blobs = {*exchange.old.blobs, *(key.blob for key in exchange.old.found_in(look))}
    return remove_keys(text, blobs, also_disabled=exchange.old.also_disabled)


def _after_both(staged: Staged, exchange: Exchange) -> bytes:
    return _remove_old(exchange, staged.look, parse(staged.edit.data)).data
