"""
Taking keys away from hosts, and proof that they are refused then.

What protects from locking oneself out is in `fleetctl.keys.guarded`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from fleetctl.keys.authorized_keys import AuthorizedKey, Edit, KeyFileText, Line, parse, remove_keys
from fleetctl.keys.change_words import with_words
from fleetctl.keys.deploy_words import show_path
from fleetctl.keys.file_diff import diff_files
from fleetctl.keys.guarded import Guarded, Guarding, Way, change_guarded, session_credential
from fleetctl.keys.journal import Journal
from fleetctl.keys.lockout import Standing
from fleetctl.keys.place import KeysFile, Look
from fleetctl.keys.prove import prove_refused
from fleetctl.model.errors import FleetError
from fleetctl.model.failure import Failure, status_of
from fleetctl.model.login import Login
from fleetctl.model.remote import Remote
from fleetctl.model.result import Outcome
from fleetctl.ssh.fingerprint import md5_fingerprint

#: What became of a key that was taken away: ``unproved`` where its private half is not here.
RefusalVerdict = Literal["refused", "accepted", "unproved"]


@dataclass(frozen=True, slots=True)
class Doomed:
    """
    Which keys are to go.

    Attributes:
        blobs: Whole keys.
        fingerprints: ``SHA256:…`` or ``MD5:…``; stand for what a host has of them.
        also_disabled: Lines that are commented out go too.
        private_files: Fingerprint (SHA256) -> the file of this machine with the private half, to
            prove with; for the others the agent and the host's settings are asked.
    """

    blobs: tuple[bytes, ...] = ()
    fingerprints: tuple[str, ...] = ()
    also_disabled: bool = False
    private_files: Mapping[str, str] = field(default_factory=dict)

    def found_in(self, look: Look) -> tuple[AuthorizedKey, ...]:
        """Return those of them that are in the file, or in another place of keys; each once."""
        found: dict[bytes, AuthorizedKey] = {}
        for data in (look.data, *(source.data for source in look.sources)):
            for line in parse(data).lines:
                if line.key is not None and self.has(line.key):
                    found.setdefault(line.key.blob, line.key)
        return tuple(found.values())

    def has(self, key: AuthorizedKey) -> bool:
        """Tell whether a key is one of them."""
        if key.blob in self.blobs or key.fingerprint in self.fingerprints:
            return True
        return md5_fingerprint(key.blob) in self.fingerprints

    def login(self, key: AuthorizedKey, user: str) -> Login:
        """Return how to try one of them."""
        path = self.private_files.get(key.fingerprint)
        if path is not None:
            return Login(user, identity_file=path)
        return Login(user, key=key.blob)


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """
    Another place that lets a key in.

    Attributes:
        setting: As in `KeySource`; ``cert-authority`` for a line of the file itself.
        keys: Fingerprints of those that are there for certain; empty where nobody can tell, as of
            certificates and of a command's answers.
    """

    setting: str
    path: str
    keys: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return all fields, as JSON types."""
        return {"setting": self.setting, "path": self.path, "keys": list(self.keys)}


@dataclass(frozen=True, slots=True)
class RevokeKeys:
    """
    Take keys away from one user's authorized_keys, and prove that they are refused.

    Attributes:
        notes: Host name -> what to say about it besides.
    """

    doomed: Doomed
    way: Way
    guarding: Guarding = field(default_factory=Guarding)
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        return "keys.revoke"

    async def run(self, remote: Remote, *, check: bool) -> Outcome:
        """
        Do it, or say what would be done.

        Raises:
            FleetError: Of `change_guarded`. A key that still logs in afterwards is a failure of the
                outcome, ``keys.still_accepted``: what was taken away stays away.
        """
        file = await self.way.open(remote, self.doomed.blobs)
        note = self.notes.get(remote.host.name)
        outcome = await revoke(
            remote, file, self.doomed, self.guarding, check=check, notes=(note,) if note else ()
        )
        return with_words(outcome, planned=check)


async def revoke(
    remote: Remote,
    file: KeysFile,
    doomed: Doomed,
    guarding: Guarding,
    *,
    standing: Standing | None = None,
    journal: Journal | None = None,
    check: bool = False,
    notes: Sequence[str] = (),
) -> Outcome:
    """
    Take keys away from a file; see `RevokeKeys`.

    Args:
        standing: What logged in, in this run; found out if it is not given.
    """
    if standing is None:
        standing = Standing(await session_credential(remote, guarding))
    gone: dict[bytes, AuthorizedKey] = {}

    def work_out(look: Look, text: KeyFileText) -> Edit:
        gone.clear()
        gone.update({key.blob: key for key in doomed.found_in(look)})
        blobs = {*doomed.blobs, *gone}
        return remove_keys(text, blobs, also_disabled=doomed.also_disabled)

    done = await change_guarded(
        remote,
        file,
        work_out,
        guarding=guarding,
        standing=standing,
        journal=journal,
        check=check,
    )
    look, edit = done.look, done.edit
    data: dict[str, object] = {**done.data, "removed": describe_lines(edit.removed)}
    data["notes"] = [*notes, *done.notes]
    diff = diff_files(look.data, edit.data, show_path(look)) if done.differs else None
    outcome = Outcome("ok", done.differs, data=data, diff=diff)
    if check:
        elsewhere = find_elsewhere(look, gone)
        return replace(outcome, data={**data, "elsewhere": [one.to_json() for one in elsewhere]})
    return await judge_gone(remote, done, doomed, tuple(gone.values()), guarding, outcome)


async def judge_gone(
    remote: Remote,
    done: Guarded,
    doomed: Doomed,
    keys: Sequence[AuthorizedKey],
    guarding: Guarding,
    outcome: Outcome,
) -> Outcome:
    """
    Prove that keys are refused now, and return the outcome with what came of that.

    Args:
        done: How they were removed.
        outcome: Of the removal, which stays as it is.
    """
    look = done.look
    elsewhere = find_elsewhere(look, [key.blob for key in keys])
    data = {**outcome.data, "elsewhere": [place.to_json() for place in elsewhere]}
    try:
        verdicts = await prove_gone(remote, doomed, keys, look.user, guarding)
    except FleetError as error:
        failure = _unknown_if_refused(error, changed=done.swapped is not None)
        return replace(outcome, status=status_of(failure.kind), data=data, failure=failure)
    data["proof"] = verdicts
    still = _still_accepted(remote.host.name, look, keys, verdicts, elsewhere)
    status = "ok" if still is None else status_of(still.kind)
    return replace(outcome, status=status, data=data, failure=still)


async def prove_gone(
    remote: Remote,
    doomed: Doomed,
    keys: Collection[AuthorizedKey],
    user: str,
    guarding: Guarding,
) -> dict[str, RefusalVerdict]:
    """
    Try each key in a fresh login.

    Returns:
        By fingerprint. A key that is taken as one of several factors is accepted.

    Raises:
        FleetError: The host could not be asked.
    """
    verdicts: dict[str, RefusalVerdict] = {}
    for key in keys:
        login = doomed.login(key, user)
        proof = await prove_refused(remote, login, delays_s=guarding.delays_s)
        if proof.logs_in or proof.is_partial:
            verdicts[key.fingerprint] = "accepted"
        else:
            verdicts[key.fingerprint] = "refused" if proof.verdict == "refused" else "unproved"
    return verdicts


def find_elsewhere(look: Look, blobs: Collection[bytes]) -> tuple[Elsewhere, ...]:
    """
    Return the places besides the file's own lines that let one of these keys in, or may.

    Source: sshd_config(5), AuthorizedKeysFile, AuthorizedKeysCommand, TrustedUserCAKeys.
    """
    found = []
    own = parse(look.data)
    if any(key.is_authority for key in own.keys):
        found.append(Elsewhere("cert-authority", look.path))
    for source in look.sources:
        if source.setting in ("authorizedkeysfile", "authorized_keys2"):
            if source.path == look.path:
                continue
            live = parse(source.data).keys
            there = dict.fromkeys(key.fingerprint for key in live if key.blob in blobs)
            if there:
                found.append(Elsewhere(source.setting, source.path, tuple(there)))
            if any(key.is_authority for key in live):
                found.append(Elsewhere("cert-authority", source.path))
        elif source.setting in ("authorizedkeyscommand", "trustedusercakeys"):
            found.append(Elsewhere(source.setting, source.path))
    return tuple(found)


def describe(key: AuthorizedKey) -> dict[str, object]:
    """Return a key as results show it; the comment may hold anything."""
    return {"type": key.key_type, "fingerprint": key.fingerprint, "comment": key.comment}


def describe_lines(lines: Sequence[Line]) -> list[dict[str, object]]:
    """Return the keys of lines as results show them, with the numbers of the lines."""
    return [{**describe(line.key), "line": line.number} for line in lines if line.key is not None]


def _unknown_if_refused(error: FleetError, *, changed: bool) -> Failure:
    done = "the key is gone from the file" if changed else "the key is not in the file"
    return Failure(
        "keys.not_proved",
        f"{done}, but whether it is refused is not known: {error.failure.message}",
        hint="type the same command again: it changes nothing twice",
        retryable=error.failure.retryable,
    )


def _still_accepted(
    host: str,
    look: Look,
    keys: Sequence[AuthorizedKey],
    verdicts: Mapping[str, RefusalVerdict],
    elsewhere: Sequence[Elsewhere],
) -> Failure | None:
    """Return why the host is not ok: a key logs in, or is in another file for certain."""
    for key in keys:
        verdict = verdicts[key.fingerprint]
        certain = [place for place in elsewhere if key.fingerprint in place.keys]
        if verdict == "accepted" or (verdict == "unproved" and certain):
            break
    else:
        return None
    what = f"{key.fingerprint} still logs in as {look.user}"
    if certain:
        path = certain[0].path
        return Failure(
            "keys.still_accepted",
            f"{what}: it is in {path} as well",
            hint=f"fleetctl keys revoke {host} --target-path {path} "
            f"--fingerprint {key.fingerprint}",
        )
    others = ", ".join(f"{place.setting} {place.path}" for place in elsewhere)
    return Failure(
        "keys.still_accepted",
        f"{what}, though it is no longer in {look.path}"
        + (f"; it may come by {others}" if others else "; nothing that was found lets it in"),
        hint=f"fleetctl keys audit {host}",
    )
