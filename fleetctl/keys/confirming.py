"""
Confirming a change that took something away: a fresh login with a credential that remains, told to
the dead man that waits for it; or the old file is put back.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fleetctl.keys.guarding import Guarded, Guarding
from fleetctl.keys.lockout import Judgement
from fleetctl.keys.place import KeysFile, Swapped
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure
from fleetctl.model.login import Login
from fleetctl.model.remote import Remote


@dataclass(frozen=True, slots=True)
class Change:
    """A change that was made, and what it takes to confirm it."""

    remote: Remote
    file: KeysFile
    done: Guarded
    guarding: Guarding

    @property
    def is_own(self) -> bool:
        """Whether the file belongs to whoever logs in: a fresh login has become nobody else."""
        return self.guarding.manager_of(self.remote) in (self.done.look.user, "")

    async def tell(self, tokens: Sequence[str], over: Remote) -> None:
        """Tell dead men that all is well."""
        look, swapped = self.done.look, self.done.swapped
        after = swapped.after if swapped is not None else self.done.edit.data
        for token in tokens:
            await self.file.confirm(Swapped(look.path, None, None, after, token), over)


async def confirm(change: Change, judgement: Judgement) -> Guarded:
    """
    Log in with what remains and tell the dead man; put the old file back if that fails.

    Dead men of earlier tries are told too: they may wait for the same bytes.
    """
    done, guarding = change.done, change.guarding
    assert done.swapped is not None
    earlier, own = done.look.waiting, done.swapped.token
    if judgement.refusal is not None or guarding.is_compromised:
        # Nothing that they would bring back may come back.
        await change.tell(earlier, change.remote)
        earlier = ()
    if judgement.refusal is not None:
        return done
    tokens = (*earlier, own) if own is not None else earlier
    login, shown = _witness(judgement)
    try:
        await _log_in(change, login, tokens)
    except FleetError as error:
        if error.kind == "keys.restored":
            raise
        raise await _put_back(change, error.failure) from None
    return replace(done, confirmed_by=shown)


async def confirm_earlier(change: Change, judgement: Judgement) -> Guarded:
    """
    Confirm what an earlier try did and could not confirm: else the old file comes back later.

    Raises:
        FleetError: Nobody could log in; the dead men are left to do their work.
    """
    done = change.done
    if not done.look.waiting:
        return done
    login, shown = _witness(judgement)
    await _log_in(change, login, done.look.waiting)
    note = "an earlier try had not been confirmed, and is now"
    return replace(done, confirmed_by=shown, notes=(note,))


def _witness(judgement: Judgement) -> tuple[Login, str]:
    """Return the login that is to confirm a change, and what to call it."""
    if not judgement.remaining:
        return Login(), "usual way in"
    return judgement.remaining[0].login, judgement.remaining[0].shown


async def _log_in(change: Change, login: Login, tokens: Sequence[str]) -> None:
    """Log in anew, patiently: that is what matters. The dead men are told then."""
    for delay_s in (*change.guarding.delays_s, None):
        async with change.remote.login_with(login) as fresh:
            try:
                await fresh.connect()
                await change.tell(tokens, fresh if change.is_own else change.remote)
            except FleetError as error:
                if delay_s is None or not error.failure.retryable or error.kind == "keys.restored":
                    raise
            else:
                return
        await asyncio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311 - jitter


async def _put_back(change: Change, why: Failure) -> FleetError:
    """Return what the host failed with, after trying to undo the change."""
    swapped, host = change.done.swapped, change.remote.host.name
    assert swapped is not None
    what = f"after the change nobody could log in: {why.message}"
    if why.phase == "keys":
        what = f"the change could not be confirmed: {why.message}"
    if change.guarding.is_compromised:
        return FleetError(
            "keys.lockout",
            f"{what}; the old file has a compromised key in it and stays away",
            hint="go there by the console, or a session that is open",
        )
    try:
        await change.file.swap_back(swapped)
    except FleetError as error:
        rest = f"the old file could not be put back from here: {error.failure.message}"
        if swapped.token is not None:
            rest += f"; the host itself does that after {change.guarding.dead_man_s} s"
        return FleetError("keys.lockout", f"{what}; {rest}", hint=f"fleetctl keys restore {host}")
    return FleetError(
        "keys.lockout",
        f"{what}; the old file is back",
        hint=f"find out why: fleetctl doctor {host}",
    )
