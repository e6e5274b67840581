"""
A rotation by a controller that dies at a named point: a program for the tests.

Its argument is JSON: what `main` takes. It ends with SIGKILL, by its own hand, or with the outcome
on standard output.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fleetctl.keys.authorized_keys import parse
from fleetctl.keys.guarded import Guarding, Way
from fleetctl.keys.journal import Entry, Journal, Step
from fleetctl.keys.journal_file import RunJournals
from fleetctl.keys.place import Backup, DeadMan, KeysFile, Look, Swapped
from fleetctl.keys.revoke import Doomed
from fleetctl.keys.rotate import Exchange, RotateKeys
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.remote import Remote
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.blocking import in_thread
from fleetctl.ssh.loop import run_loop
from tests.support.operating import operating_on

#: Where a controller may die: between any two steps, and while the host is at work.
POINTS = (
    "planned",
    "look 1 done",
    "adding",
    "during swap 1",
    "swap 1 done",
    "added",
    "proved",
    "look 2 done",
    "removing",
    "during swap 2",
    "swap 2 done",
    "removed",
    "confirm",
    "confirm done",
    "refused",
    "confirmed",
)
#: A program on a host takes longer than that, and has begun by then.
DURING_S = 0.15


@dataclass
class Fate:
    """Where it ends; None lets it live."""

    point: str | None

    def meet(self, point: str) -> None:
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)

    async def overtake(self, point: str) -> None:
        """Die while something else goes on."""
        await asyncio.sleep(DURING_S)
        self.meet(point)


@dataclass(frozen=True)
class FatedJournal:
    journal: Journal
    fate: Fate

    async def note(self, step: Step, **facts: object) -> None:
        await self.journal.note(step, **facts)
        self.fate.meet(step)


@dataclass(frozen=True)
class FatedJournals:
    journals: RunJournals
    fate: Fate

    def of(self, host: str) -> FatedJournal:
        return FatedJournal(self.journals.of(host), self.fate)

    def entries(self, host: str) -> tuple[Entry, ...]:
        return self.journals.entries(host)


class FatedFile:
    """A `KeysFile` whose steps are points at which the controller may die."""

    def __init__(self, file: KeysFile, fate: Fate) -> None:
        self._file = file
        self._fate = fate
        self._looks = self._swaps = 0

    async def look(self, *, lock: bool = False) -> Look:
        look = await self._file.look(lock=lock)
        self._looks += 1
        self._fate.meet(f"look {self._looks} done")
        return look

    async def swap(
        self,
        look: Look,
        data: bytes,
        *,
        dead_man: DeadMan | None = None,
        fix_modes: bool = False,
    ) -> Swapped:
        self._swaps += 1
        death = asyncio.create_task(self._fate.overtake(f"during swap {self._swaps}"))
        swapped = await self._file.swap(look, data, dead_man=dead_man, fix_modes=fix_modes)
        death.cancel()
        self._fate.meet(f"during swap {self._swaps}")  # the host was faster
        self._fate.meet(f"swap {self._swaps} done")
        return swapped

    async def swap_back(self, swapped: Swapped) -> None:
        await self._file.swap_back(swapped)

    async def confirm(self, swapped: Swapped, over: Remote) -> None:
        self._fate.meet("confirm")
        await self._file.confirm(swapped, over)
        self._fate.meet("confirm done")

    async def unlock(self, look: Look) -> None:
        await self._file.unlock(look)

    async def backups(self) -> tuple[Backup, ...]:
        return await self._file.backups()

    async def read_backup(self, backup: Backup) -> bytes:
        return await self._file.read_backup(backup)


@dataclass(frozen=True, slots=True)
class FatedWay(Way):
    fate: Fate | None = None

    async def open(self, remote: Remote, hint_blobs: Collection[bytes] = ()) -> KeysFile:
        assert self.fate is not None
        return FatedFile(await Way.open(self, remote, hint_blobs), self.fate)


def main(
    *,
    point: str | None,
    name: str,
    settings: Mapping[str, Any],
    new: str,
    new_file: str,
    old: str,
    old_file: str,
    journals: str,
    dead_man_s: int,
) -> dict[str, object]:
    """
    Rotate the key of one user.

    Args:
        point: One of `POINTS`, or None.
        settings: Of the host.
        new: Line of the new public key; ``old`` is that of the old one.
        journals: Folder of the run's journals.
    """
    fate = Fate(point)
    [new_key] = parse(new.encode()).keys
    [old_key] = parse(old.encode()).keys
    settings = {key: tuple(v) if isinstance(v, list) else v for key, v in settings.items()}
    operation = RotateKeys(
        Exchange(
            new_key,
            new_file,
            Doomed((old_key.blob,), private_files={old_key.fingerprint: old_file}),
        ),
        FatedWay(Path(journals).name, fate=fate),
        FatedJournals(RunJournals(Path(journals), in_thread), fate),
        Guarding(dead_man_s=dead_man_s),
    )
    host = replace(Host(name), settings=HostSettings(**settings))

    async def run() -> dict[str, object]:
        async with operating_on(host) as remote:
            try:
                outcome = await operation.run(remote, check=False)
            except FleetError as error:
                return {"status": "raised", "why": f"{error.kind}: {error}"}
            why = outcome.failure
            return {"status": outcome.status, "why": why and f"{why.kind}: {why.message}"}

    return run_loop(run)


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
