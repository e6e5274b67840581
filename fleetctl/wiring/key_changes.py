"""
Operations that take keys away or exchange them, made of plain values; and the journals of those.
"""

from __future__ import annotations

import base64
import getpass
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, cast

from fleetctl.keys.guarding import Guarding, How, Way
from fleetctl.keys.journal import NoJournals, is_finished
from fleetctl.keys.journal_file import (
    RunJournals,
    note_compromised,
    open_run,
    read_compromised,
    start_run,
)
from fleetctl.keys.place import DEAD_MAN_S, Target
from fleetctl.keys.revoke import Doomed, RevokeKeys
from fleetctl.keys.rotate import Journals
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.result import HostResult

if TYPE_CHECKING:
    from fleetctl.keys.deploy import DeployKeys
    from fleetctl.keys.public_keys import FoundKey
    from fleetctl.keys.rotate import Exchange

__all__ = [
    "DEAD_MAN_S",
    "NO_JOURNALS",
    "FoundKey",
    "Journals",
    "Removal",
    "Rotation",
    "Way",
    "begin_rotation",
    "candidates_in",
    "choose_doomed",
    "find_keys_of_owner",
    "make_exchange",
    "make_expire",
    "make_find_keys",
    "make_grant",
    "make_list_backups",
    "make_restore",
    "make_revoke",
    "make_rotate",
    "make_way",
    "moment_of",
    "notes_of_addresses",
    "read_public_keys",
    "remember_compromised",
    "resume_rotation",
    "with_name",
]

#: Below the state folder.
_FOLDER = "keys"
#: For what changes nothing, and so has no journal.
NO_JOURNALS = NoJournals()


@dataclass(frozen=True, slots=True)
class Removal:
    """
    How keys are taken away.

    Attributes:
        dead_man_s: None leaves no dead man on the hosts.
        force: Whatever the lock-out guard says.
    """

    fix_modes: bool = False
    dead_man_s: int | None = DEAD_MAN_S
    force: bool = False

    def guarding(self, *, compromised: bool = False) -> Guarding:
        """Return it as operations take it."""
        return Guarding(
            local_user=_local_user(),
            dead_man_s=self.dead_man_s,
            is_compromised=compromised,
            force=self.force,
            fix_modes=self.fix_modes,
        )


def make_way(
    run_id: str,
    *,
    user: str | None = None,
    path: str | None = None,
    follow_links: bool = False,
    sftp: bool = False,
    non_atomic: bool = False,
) -> Way:
    """
    Return whose authorized_keys is meant, and how to get at it; see `fleetctl.keys.guarding`.

    Args:
        run_id: Backups are named with it.
        user: None for whoever logs in, or is become.
    """
    target = Target(user, path, follow_links=follow_links)
    return Way(run_id, target, "sftp" if sftp else "auto", non_atomic=non_atomic)


def read_public_keys(words: Sequence[str]) -> tuple[FoundKey, ...]:
    """
    Read public keys from files, or the command line itself. Blocks.

    Raises:
        UsageError: With everything that is wrong in them.
    """
    from fleetctl.keys.public_keys import find_public_keys

    return find_public_keys(words)


def with_name(found: Sequence[FoundKey], name: str) -> tuple[FoundKey, ...]:
    """Return the keys with somebody's name for a comment, where they have none."""
    return tuple(
        replace(one, key=replace(one.key, comment=one.key.comment or name)) for one in found
    )


def moment_of(text: str, now: int) -> int:
    """
    Return until when a key is let in, in seconds since 1970 (UTC).

    Raises:
        UsageError: It is no time, or over already.
    """
    from fleetctl.keys.options import moment_of as parse

    try:
        return parse(text, now)
    except ValueError as error:
        raise UsageError(str(error), file="--for", hint="--for 2h") from None


def find_keys_of_owner(path: str, owner: str) -> tuple[FoundKey, ...]:
    """
    Return the keys that a people.yml has of somebody. Blocks.

    Raises:
        UsageError: The file has mistakes, or they are not in it.
    """
    from fleetctl.keys.people_file import load_people
    from fleetctl.keys.public_keys import FoundKey

    people = load_people(path)
    person = people.people.get(owner)
    if person is None:
        near = get_close_matches(owner, people.people, 1)
        hint = f"did you mean {near[0]}?" if near else None
        raise UsageError(f'there is no "{owner}" in it', file=path, hint=hint)
    if not person.keys:
        problem = person.spot.problem(f"{owner} has no keys")
        raise UsageError(problems=[problem])
    return tuple(FoundKey(one.key, str(one.spot)) for one in person.keys)


def make_find_keys(comment: str, way: Way) -> Operation:
    """Return the operation that looks for comments; see `fleetctl.keys.candidates`."""
    from fleetctl.keys.candidates import FindKeys

    return FindKeys(comment, way)


def candidates_in(results: Sequence[HostResult]) -> dict[tuple[str, str], list[str]]:
    """Return (fingerprint, comment) of the keys that `make_find_keys` found -> names of hosts."""
    found: dict[tuple[str, str], list[str]] = {}
    for result in results:
        keys = cast("Sequence[Mapping[str, object]]", result.outcome.data.get("keys") or ())
        for key in keys:
            names = found.setdefault((str(key["fingerprint"]), str(key["comment"])), [])
            if result.host.name not in names:
                names.append(result.host.name)
    return found


def choose_doomed(
    keys: Sequence[FoundKey], fingerprints: Sequence[str] = (), *, also_disabled: bool = False
) -> Doomed:
    """Return which keys are to go, with their private halves as far as those are here."""
    private = {one.key.fingerprint: one.identity_file for one in keys if one.identity_file}
    return Doomed(
        blobs=tuple(one.key.blob for one in keys),
        fingerprints=tuple(fingerprints),
        also_disabled=also_disabled,
        private_files=private,
    )


def make_revoke(
    doomed: Doomed, way: Way, removal: Removal, *, compromised: bool, hosts: Sequence[Host]
) -> Operation:
    """Return the operation that takes keys away; see `fleetctl.keys.revoke`."""
    guarding = removal.guarding(compromised=compromised)
    return RevokeKeys(doomed, way, guarding, notes=notes_of_addresses(hosts, way))


def make_restore(
    backup: str, way: Way, removal: Removal, *, state: Path, hosts: Sequence[Host]
) -> Operation:
    """
    Return the operation that puts an older file back; see `fleetctl.keys.restore`.

    Raises:
        UsageError: The list of compromised keys cannot be believed.
    """
    from fleetctl.keys.restore import RestoreKeys

    return RestoreKeys(
        int(backup) if backup.isdecimal() else backup,
        way,
        removal.guarding(),
        compromised=read_compromised(state / _FOLDER),
        notes=notes_of_addresses(hosts, way),
    )


def make_list_backups(way: Way) -> Operation:
    """Return the operation that lists older files; see `fleetctl.keys.restore`."""
    from fleetctl.keys.restore import ListBackups

    return ListBackups(way)


def make_expire(way: Way, removal: Removal, *, hosts: Sequence[Host]) -> Operation:
    """Return the operation that removes what is due; see `fleetctl.keys.expire`."""
    from fleetctl.keys.expire import ExpireKeys

    return ExpireKeys(
        way, int(time.time()), removal.guarding(), notes=notes_of_addresses(hosts, way)
    )


def make_grant(deploy: Operation, until: int, *, removed_by_us: bool) -> Operation:
    """Return the operation that lets keys in for a while; see `fleetctl.keys.grant`."""
    from fleetctl.keys.grant import GrantKeys

    return GrantKeys(cast("DeployKeys", deploy), until, removed_by_us=removed_by_us)


def make_rotate(rotation: Rotation, journals: Journals, *, hosts: Sequence[Host]) -> Operation:
    """Return the operation that exchanges keys; see `fleetctl.keys.rotate`."""
    from fleetctl.keys.rotate import RotateKeys

    guarding = rotation.removal.guarding()
    notes = notes_of_addresses(hosts, rotation.way)
    return RotateKeys(rotation.exchange, rotation.way, journals, guarding, notes=notes)


def make_exchange(new: FoundKey, new_file: str, old: Doomed) -> Exchange:
    """Return which key takes the place of which."""
    from fleetctl.keys.rotate import Exchange

    return Exchange(new.key, new_file, old)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation as its plan has it: all that is needed to go on with it."""

    exchange: Exchange
    way: Way
    removal: Removal
    hosts: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Return the plan: JSON types, and no secret; private halves stay in their files."""
        old = self.exchange.old
        return {
            "kind": "keys.rotate",
            "hosts": list(self.hosts),
            "new": self.exchange.new.render().decode("utf-8", "surrogateescape"),
            "new_file": self.exchange.new_file,
            "old": [base64.b64encode(blob).decode() for blob in old.blobs],
            "old_fingerprints": list(old.fingerprints),
            "old_files": dict(old.private_files),
            "also_disabled": old.also_disabled,
            "user": self.way.target.user,
            "path": self.way.target.path,
            "follow_links": self.way.target.follow_links,
            "how": self.way.how,
            "non_atomic": self.way.non_atomic,
            "fix_modes": self.removal.fix_modes,
            "dead_man_s": self.removal.dead_man_s,
        }


def begin_rotation(rotation: Rotation, *, state: Path) -> RunJournals:
    """
    Write the plan down, before any host is touched. Blocks.

    Raises:
        UsageError: It cannot be written.
    """
    from fleetctl.ssh.blocking import in_thread

    return start_run(state / _FOLDER, rotation.way.run_id, rotation.to_json(), in_thread)


def resume_rotation(run_id: str, *, state: Path) -> tuple[Rotation, RunJournals, tuple[str, ...]]:
    """
    Return a rotation that was begun, its journals, and the hosts that are not done. Blocks.

    Raises:
        UsageError: There is no such run, or its journal is damaged.
    """
    from fleetctl.keys.authorized_keys import parse
    from fleetctl.keys.rotate import Exchange
    from fleetctl.ssh.blocking import in_thread

    journals, plan = open_run(state / _FOLDER, run_id, in_thread)
    text = str(plan["new"]).encode("utf-8", "surrogateescape")
    old = Doomed(
        blobs=tuple(base64.b64decode(blob) for blob in cast("Sequence[str]", plan["old"])),
        fingerprints=tuple(cast("Sequence[str]", plan["old_fingerprints"])),
        also_disabled=bool(plan["also_disabled"]),
        private_files=cast("Mapping[str, str]", plan["old_files"]),
    )
    target = Target(
        cast("str | None", plan["user"]),
        cast("str | None", plan["path"]),
        follow_links=bool(plan["follow_links"]),
    )
    rotation = Rotation(
        Exchange(parse(text).keys[0], str(plan["new_file"]), old),
        Way(run_id, target, cast("How", plan["how"]), non_atomic=bool(plan["non_atomic"])),
        Removal(
            fix_modes=bool(plan["fix_modes"]), dead_man_s=cast("int | None", plan["dead_man_s"])
        ),
        tuple(cast("Sequence[str]", plan["hosts"])),
    )
    left = tuple(name for name in rotation.hosts if not is_finished(journals.entries(name)))
    return rotation, journals, left


def remember_compromised(fingerprints: Sequence[str], run_id: str, *, state: Path) -> None:
    """
    Write down keys that must never come back. Blocks.

    Raises:
        UsageError: It cannot be written.
    """
    note_compromised(state / _FOLDER, fingerprints, run_id)


def notes_of_addresses(hosts: Sequence[Host], way: Way) -> dict[str, str]:
    """
    Return what to say of hosts that have address, port and user in common with others: by name.

    Such names may be one machine; changes of one file wait for each other there, by its lock.
    """
    names: dict[tuple[object, ...], list[str]] = {}
    for host in hosts:
        settings = host.settings
        user = way.target.user or settings.user
        place = host.hostname.lower(), settings.port, settings.proxy_jump, user
        names.setdefault(place, []).append(host.name)
    return {
        name: f"the same address as {', '.join(other for other in group if other != name)}: "
        "changes of one file wait for each other, by the lock beside it"
        for group in names.values()
        if len(group) > 1
        for name in group
    }


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this uid
        return ""
