"""
The lock-out guard: whether a change of authorized_keys leaves a way in.

A decision about plain values; who logs in to prove a credential, and who changes the file, is
somebody else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fleetctl.keys.authorized_keys import KeyFileText, KeyOption, liveness
from fleetctl.keys.options import ServerVersion
from fleetctl.model.errors import FleetError
from fleetctl.model.login import Login

#: Why a change is refused. ``session_key``: it takes away the key that this session logged in
#: with. ``restricted``: it leaves that key, but not what it may do now. ``only_way``: the account
#: that is edited is the one that manages the host, and nothing that was proved would log in to it.
Reason = Literal["session_key", "restricted", "only_way"]


@dataclass(frozen=True, slots=True)
class Credential:
    """
    What a host let in, in this run.

    Attributes:
        user: Whom it logged in; empty if that is not known, and then it counts as the one whose
            keys are changed.
        key: Fingerprint of the key, ``SHA256:…``; None for a password and other methods.
        method: ``publickey``, ``password``, …
        login: How to use it again.
    """

    user: str
    key: str | None
    method: str
    login: Login

    @property
    def shown(self) -> str:
        """What messages call it."""
        return f"key {self.key}" if self.key is not None else self.method


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What has logged in to a host, in this run.

    Attributes:
        session: What the connection that does the work logged in with; None if that is not known.
        proved: What else.
    """

    session: Credential | None = None
    proved: tuple[Credential, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Why a change must not be made.

    Attributes:
        message: One line.
        hint: What to do instead.
    """

    reason: Reason
    message: str
    hint: str

    def error(self) -> FleetError:
        """Return it as the failure of the host."""
        return FleetError("keys.lockout", self.message, hint=self.hint)


@dataclass(frozen=True, slots=True)
class Judgement:
    """
    What the guard found.

    Attributes:
        remaining: Credentials that were proved and that the change does not touch; the session's
            own first.
        refusal: None if the change may be made.
    """

    remaining: tuple[Credential, ...]
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """
    When, and by which rules, a file is read.

    Attributes:
        at: The host's clock, in seconds since 1970 (UTC).
        utc_offset: Of the host's time zone, in seconds.
        server: The host's.
    """

    at: int
    utc_offset: int
    server: ServerVersion


def judge_change(
    before: KeyFileText,
    after: KeyFileText,
    *,
    edited_user: str,
    manager: str,
    standing: Standing,
    moment: Moment,
) -> Judgement:
    """
    Say whether a way in remains after the change that was proved by a login in this run.

    A key that is not live in the file as it is came in by another place, and so does not go with
    this one. A key that stays, but with other options than before, does not count: what it may do
    then was not proved.

    Args:
        before: The file as it is.
        after: As it is going to be.
        edited_user: Whose file it is.
        manager: Who logs in to do the work, and will have to again.
        standing: What has logged in.

    Source: the promise of the guide; ssh-copy-id removes nothing.
    """
    rights_before = _rights(before, moment)
    rights_after = _rights(after, moment)

    def remains(one: Credential) -> bool:
        if one.user not in (edited_user, "") or one.key is None or one.key not in rights_before:
            return True
        return rights_after.get(one.key) == rights_before[one.key]

    session = standing.session
    known = standing.proved if session is None else (session, *standing.proved)
    remaining = tuple(one for one in known if remains(one))
    if session is not None and not remains(session):
        reason: Reason = "restricted" if session.key in rights_after else "session_key"
        return Judgement(remaining, _refuse(reason, session.shown, edited_user))
    if edited_user == manager and not any(one.user in (manager, "") for one in remaining):
        return Judgement(remaining, _refuse("only_way", "", manager))
    return Judgement(remaining)


def _rights(text: KeyFileText, moment: Moment) -> dict[str, frozenset[KeyOption]]:
    """Return the options of each key that logs in, by its fingerprint; the first line counts."""
    states = liveness(text, at=moment.at, utc_offset=moment.utc_offset, server=moment.server)
    rights: dict[str, frozenset[KeyOption]] = {}
    for state in states:
        if state.key is not None and state.state in ("live", "conditional"):
            rights.setdefault(state.key.fingerprint, frozenset(state.key.options))
    return rights


def _refuse(reason: Reason, shown: str, user: str) -> Refusal:
    match reason:
        case "session_key":
            return Refusal(
                reason,
                f"this session logged in as {user} with the {shown}, which the change takes away",
                "log in with another key, --identity FILE, or put a new one in its place: "
                "fleetctl keys rotate",
            )
        case "restricted":
            return Refusal(
                reason,
                f"the change gives other options to the {shown}, with which this session logged "
                f"in as {user}",
                "log in with another key: --identity FILE",
            )
        case "only_way":
            return Refusal(
                reason,
                f"no way in to {user} would remain that was proved by a login",
                "deploy a key and log in with it first: fleetctl keys deploy, --identity FILE",
            )
