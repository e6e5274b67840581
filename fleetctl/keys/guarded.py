"""
A change of authorized_keys that takes something away, so that it cannot lock anybody out.

Under the lock: look, edit, ask the lock-out guard, swap with a dead man behind it. Then log in anew
with a credential that remains, and tell the dead man so; or put the old file back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic

from fleetctl.keys.authorized_keys import Edit, KeyFileText, parse
from fleetctl.keys.confirming import Change, confirm, confirm_earlier
from fleetctl.keys.guarding import Guarded, Guarding, Way, differs
from fleetctl.keys.journal import Journal, NoJournal
from fleetctl.keys.lockout import Credential, Judgement, Moment, Standing, judge_change
from fleetctl.keys.options import ServerVersion
from fleetctl.keys.place import DeadMan, KeysFile, Look, Swapped
from fleetctl.model.errors import FleetError
from fleetctl.model.login import Login
from fleetctl.model.remote import Remote

__all__ = [
    "MAX_TRIES",
    "Guarded",
    "Guarding",
    "Held",
    "Way",
    "WorkOut",
    "change_guarded",
    "looked",
    "session_credential",
    "swap_surely",
]

#: How often a change is worked out anew because somebody else wrote in between.
MAX_TRIES = 5
#: Between two tries to get a lock that somebody has for longer than usual.
LOCK_PAUSE_S = 0.5
#: The phases of a failure after which it is not known whether the host did what it was told.
_CUT = frozenset({"session", "connect", "exec"})

#: Works out the new bytes from what was found; may raise FleetError.
WorkOut = Callable[[Look, KeyFileText], Edit]


async def session_credential(remote: Remote, guarding: Guarding) -> Credential | None:
    """
    Return what the open connection logged in with; None if that is a key of which nothing is known.

    Raises:
        FleetError: ``resolve`` to ``auth``.
    """
    facts = await remote.connect()
    method, key = facts.get("auth_method"), facts.get("auth_key")
    if method == "publickey" and not isinstance(key, str):
        return None
    return Credential(
        user=guarding.manager_of(remote),
        key=key if isinstance(key, str) else None,
        method=str(method or "connection"),
        login=Login(),
    )


async def change_guarded(
    remote: Remote,
    file: KeysFile,
    work_out: WorkOut,
    *,
    guarding: Guarding,
    standing: Standing,
    journal: Journal | None = None,
    check: bool = False,
) -> Guarded:
    """
    Take something away from the file, so that a way in remains.

    Args:
        remote: Logged in to already, to put the old file back over.
        standing: What logged in, in this run; see `session_credential`.
        check: Work it out and ask the guard, and change nothing.

    Returns:
        What was done. A file that needs no change is confirmed too, where a dead man of an earlier
        try waits for that.

    Raises:
        FleetError: ``keys.lockout``: the guard refused, or nobody could log in afterwards and the
            old file was put back; ``keys.restored``; what `KeysFile` and ``work_out`` raise.
    """
    journal = journal or NoJournal()
    for tries_left in reversed(range(MAX_TRIES)):
        async with looked(file, lock=not check, patience_s=guarding.lock_patience_s) as held:
            look = held.look
            text = parse(look.data)
            edit = work_out(look, text)
            judgement = _judge(remote, look, text, edit, guarding, standing)
            refusal = judgement.refusal
            if refusal is not None and differs(look, edit) and not guarding.force:
                raise refusal.error()
            if check:
                return Guarded(look, edit, forced=refusal.message if refusal else None)
            change = Change(remote, file, Guarded(look, edit), guarding)
            if not differs(look, edit):
                held.is_used = True
                await file.unlock(look)
                try:
                    return await confirm_earlier(change, judgement)
                except FleetError as error:
                    if error.kind == "keys.restored" and tries_left:
                        continue  # it has acted just now: what was done is to be done again
                    raise
            await journal.note("removing", path=look.path, lock=look.lock)
            held.is_used = True
            dead_man = None
            seconds = guarding.dead_man_s
            if seconds is not None and refusal is None and not guarding.is_compromised:
                dead_man = DeadMan(seconds)
            try:
                swapped = await swap_surely(
                    file, look, edit.data, dead_man, fix_modes=guarding.fix_modes
                )
            except FleetError as error:
                if error.kind == "keys.changed" and tries_left:
                    continue
                raise
        await journal.note("removed", backup=swapped.backup, guard=swapped.guard)
        done = Guarded(look, edit, swapped, forced=refusal.message if refusal else None)
        try:
            return await confirm(replace(change, done=done), judgement)
        except FleetError as error:
            # The dead man of an earlier try, who waited for the same bytes, was faster.
            if not (error.kind == "keys.restored" and look.waiting and tries_left):
                raise
    raise AssertionError("the last try returns or raises")


@dataclass
class Held:
    """
    A look under the lock.

    Attributes:
        is_used: Whether a swap was begun, after which the lock is free.
    """

    look: Look
    is_used: bool = False


@asynccontextmanager
async def looked(file: KeysFile, *, lock: bool, patience_s: float = 0.0) -> AsyncGenerator[Held]:
    """
    Look at the file; with a lock it is freed at the end, unless a swap has done that.

    Args:
        patience_s: How much longer than a look does by itself to wait for the lock.
    """
    held = Held(await _look(file, lock=lock, patience_s=patience_s))
    try:
        yield held
    except BaseException:
        if lock and not held.is_used:
            # What went wrong is worth more than a lock that is taken over by its age.
            with suppress(FleetError):
                await file.unlock(held.look)
        raise
    if lock and not held.is_used:
        await file.unlock(held.look)


async def _look(file: KeysFile, *, lock: bool, patience_s: float) -> Look:
    until = monotonic() + patience_s
    while True:
        try:
            return await file.look(lock=lock)
        except FleetError as error:
            if error.kind != "keys.busy" or monotonic() >= until:
                raise
        await asyncio.sleep(LOCK_PAUSE_S)


def _judge(
    remote: Remote,
    look: Look,
    text: KeyFileText,
    edit: Edit,
    guarding: Guarding,
    standing: Standing,
) -> Judgement:
    server = ServerVersion.parse(look.server_version)
    return judge_change(
        text,
        parse(edit.data),
        edited_user=look.user,
        manager=guarding.manager_of(remote) or look.user,
        standing=standing,
        moment=Moment(look.clock, look.utc_offset, server),
    )


async def swap_surely(
    file: KeysFile, look: Look, data: bytes, dead_man: DeadMan | None, *, fix_modes: bool
) -> Swapped:
    """
    Swap; where the answer was lost on the way, look whether it was done.

    Raises:
        FleetError: Of `KeysFile.swap`; then it was not done, or cannot be told.
    """
    try:
        return await file.swap(look, data, dead_man=dead_man, fix_modes=fix_modes)
    except FleetError as error:
        if error.failure.phase not in _CUT:
            raise
        try:
            now = await file.look()
        except FleetError:
            raise error from None
        if now.data != data or data == look.data:
            raise
        token = next((one for one in now.waiting if one not in look.waiting), None)
        return Swapped(look.path, None, before=look.data, after=data, token=token)
