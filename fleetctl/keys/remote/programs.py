"""
The programs, by what they are for: which files of ``sh/`` they consist of and what they are told.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleetctl.keys.place import BACKUPS_KEPT, MAX_FILE_BYTES, DeadMan, Target
from fleetctl.keys.remote.encoding import cksum, printing, quote
from fleetctl.keys.remote.program import Body, Program, assemble, read_part
from fleetctl.keys.remote.read_look import Place

#: A lock that is older was left by somebody who is gone, in seconds.
LOCK_LIMIT_S = 120
#: A lock without a note has none a moment after it was made, if its maker was stopped there.
NOTELESS_LIMIT_S = 4
#: Seconds a program waits on the host for a guard to begin, or to act.
PATIENCE_S = 10

#: What is used if it is there; a look says which are.
TOOLS = "restorecon getfacl setfacl lsattr chattr cmp cksum sync setsid nohup systemd-run at"
#: How a guard may be left on a host, the first that is there and works.
WAYS = ("setsid", "nohup", "systemd-run", "at")


@dataclass(frozen=True, slots=True)
class Guard:
    """
    A dead man, before it is left on a host.

    Attributes:
        id: Its name there; they sort by time.
        token: Whoever knows it may tell it that all is well.
    """

    id: str
    token: str
    seconds: int

    @classmethod
    def of(cls, dead_man: DeadMan, *, id: str, token: str) -> Guard:  # noqa: A002 - its name
        return cls(id, token, math.ceil(dead_man.seconds))


@dataclass(frozen=True, slots=True)
class Change:
    """
    What a swap is to do.

    Attributes:
        data: The new bytes; None to remove the file.
        modes: Path -> its mode before and after.
        extra: Name of a backup that is not needed any more, or the empty string.
        forget: The old version is not worth a backup.
    """

    data: bytes | None
    modes: Mapping[str, tuple[int, int]]
    extra: str = ""
    forget: bool = False


@dataclass(frozen=True, slots=True)
class Programs:
    """
    Makes them for one target.

    Attributes:
        run_id: One word.
        path: Where they look for other programs.
        hints: Base64 of keys: of several files the one with such a key is meant.
    """

    target: Target
    run_id: str
    path: str
    hints: Sequence[str] = ()

    def look(self, *, server: str, token: str) -> Program:
        """
        Args:
            server: ``dropbear``, or anything else.
            token: Of the lock that is to be taken; empty for none.
        """
        asked = {
            "server": server,
            "given": self.target.path or "",
            "hints": "\n".join(self.hints),
            "user": self.target.user or "",
            "most": str(MAX_FILE_BYTES),
        }
        told = {
            **self._lock(token),
            "follow": "1" if self.target.follow_links else "",
            "most": str(MAX_FILE_BYTES),
            "wanted": TOOLS,
        }
        first = ("surroundings", "prelude", "who", "account", "source", "where", "choose")
        then = ("walk", "traces", "lock", "source", "look")
        if self.target.user is None:
            return assemble(self.path, Body((*first, *then), {**asked, **told}))
        return assemble(
            self.path,
            Body(first, asked),
            then=Body(("surroundings", "prelude", *then), told),
        )

    def swap(self, place: Place, token: str, change: Change, guard: Guard | None) -> Program:
        data = change.data or b""
        told = {
            **self._lock(token),
            "removing": "1" if change.data is None else "",
            "sum": str(cksum(data)),
            "bytes": str(len(data)),
            "guard_id": guard.id if guard else "",
            "most_backups": str(BACKUPS_KEPT),
            "extra": change.extra,
            "forget": "1" if change.forget else "",
        }
        functions = (printing("data", data), *_chmods(change.modes))
        return self._at(place, ("lock", "guarded", "swap"), told, functions)

    def arm(
        self,
        place: Place,
        token: str,
        data: bytes,
        guard: Guard,
        ways: Sequence[str],
        *,
        alone: bool,
    ) -> Program:
        """
        Args:
            data: The bytes after the swap.
            alone: The login is for this program alone: the guard has to outlive it.
            ways: Those of `WAYS` that may be tried.
        """
        own = {
            "path_list": self.path,
            "dir": place.folder,
            "name": place.name,
            "guard_id": guard.id,
            "seconds": str(guard.seconds),
            "patience": str(PATIENCE_S),
            "run_id": self.run_id,
        }
        assignments = "".join(f"{name}={quote(value)}\n" for name, value in own.items())
        program = assignments + "".join(map(read_part, ("surroundings", "traces", "guard")))
        told = {
            **self._lock(token),
            "guard_id": guard.id,
            "guard": guard.token,
            "seconds": str(guard.seconds),
            "ways": " ".join(ways),
            "alone": "1" if alone else "",
        }
        functions = (printing("data", data), printing("guard_program", program.encode()))
        return self._at(place, ("lock", "arm"), told, functions)

    def settle(self, place: Place, token: str, *, action: str) -> Program:
        """
        Args:
            token: The guard's.
            action: ``confirm``, or ``back``.
        """
        told = {"guard": token, "action": action, "patience": str(PATIENCE_S)}
        return self._at(place, ("guarded", "settle"), told)

    def unlock(self, place: Place, token: str) -> Program:
        return self._at(place, ("lock", "unlock"), self._lock(token))

    def backups(self, place: Place, *, name: str = "") -> Program:
        """
        Args:
            name: Of one to be read; empty to list them.
        """
        return self._at(place, ("backups",), {"wanted": name})

    def _lock(self, token: str) -> dict[str, str]:
        return {
            "token": token,
            "run_id": self.run_id,
            "limit": str(LOCK_LIMIT_S),
            "noteless": str(NOTELESS_LIMIT_S),
            "patience": str(PATIENCE_S),
        }

    def _at(
        self,
        place: Place,
        parts: Sequence[str],
        told: Mapping[str, str],
        functions: Sequence[str] = (),
    ) -> Program:
        """Return a program for a place that a look has found."""
        where = {
            "user": place.user,
            "uid": str(place.uid),
            "stay": "1" if place.stays else "",
            "dir": place.folder,
            "name": place.name,
            "path": place.path,
        }
        then = ("enter", "traces", *parts)
        if self.target.user is None:
            all_parts = ("surroundings", "prelude", "who", "self", *then)
            return assemble(self.path, Body(all_parts, {**where, **told}, functions))
        unset = dict.fromkeys(("home", "others", "known", "principals", "how"), "")
        return assemble(
            self.path,
            Body(("surroundings", "prelude", "who"), {**where, **unset}),
            then=Body(("surroundings", "prelude", *then), {**where, **told}, functions),
        )


def _chmods(modes: Mapping[str, tuple[int, int]]) -> tuple[str, str]:
    """Return the functions that change modes and change them back."""
    there = [f"chmod {after:04o} {quote(path)}" for path, (_, after) in modes.items()]
    back = [f"chmod {before:04o} {quote(path)}" for path, (before, _) in modes.items()]
    return (
        f"modes() {{\n{' && '.join(there) or ':'}\n}}\n",
        "modes_back() {\n" + ("\n".join(back) or ":") + "\n}\n",
    )
