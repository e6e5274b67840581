"""
The controller dies in the middle of a rotation: nobody is locked out, and a rerun finishes (F72).
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fleetctl.keys.journal import is_finished
from fleetctl.keys.journal_file import RunJournals, open_run
from fleetctl.model.errors import FleetError
from fleetctl.ssh.blocking import in_thread
from tests.fleet.keys.killed_rotation import POINTS
from tests.fleet.keys.rotating import RUN, Pair, Seat, journals_in, make_pair
from tests.support.drive import connected, connecting, run_async
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

ROOT = Path(__file__).resolve().parents[3]
#: Between two logins of somebody who has to get in all the time.
PROBE_S = 0.05
OK = '{"status": "ok"'
#: Dead men act while the test still looks.
DEAD_MAN_S = 6
#: One for each point, with shells of every kind.
USERS = (
    *("u-sh", "u-dash", "u-bash", "u-ash", "u-ksh", "u-zsh", "u-csh", "u-tcsh", "u-fish"),
    *("admin", "nosudo", "limited", "lecture", "usepty", "insults", "one-try"),
)


@dataclass
class Watch:
    """
    Somebody who logs in again and again, with the old key or with the new one.

    Attributes:
        logins: How often that worked.
        locked_out: What went wrong when neither key was taken.
    """

    seat: Seat
    old: Pair
    new: Pair
    logins: int = 0
    locked_out: list[str] = field(default_factory=list)
    is_over: bool = False

    async def run(self) -> None:
        async with connecting() as connector:
            while not self.is_over:
                failed = []
                for pair in (self.old, self.new):
                    try:
                        async with connected(
                            self.seat.host(pair), connector=connector, open_session=False
                        ):
                            self.logins += 1
                            break
                    except FleetError as error:
                        failed.append(f"{error.kind}: {error}")
                else:
                    self.locked_out.append("; ".join(failed))
                await asyncio.sleep(PROBE_S)


async def rotate(
    seat: Seat, old: Pair, new: Pair, journals: RunJournals, point: str | None
) -> tuple[int, str]:
    """Run the program; return its exit status and what it said."""
    given = {
        "point": point,
        "name": seat.user,
        "settings": {
            "hostname": seat.lab_host.address,
            "port": seat.lab_host.port,
            "user": seat.user,
            "identity_files": [str(old.path)],
            "identities_only": True,
            "identity_agent": "none",
            "strict_host_key_checking": "yes",
            "user_known_hosts_files": list(seat.host(old).settings.user_known_hosts_files),
            "global_known_hosts_files": [],
            "connect_timeout_s": PATIENCE_S,
        },
        "new": new.line.decode().strip(),
        "new_file": str(new.path),
        "old": old.line.decode().strip(),
        "old_file": str(old.path),
        "journals": str(journals.folder),
        "dead_man_s": DEAD_MAN_S,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.fleet.keys.killed_rotation", json.dumps(given)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def live_through(seat: Seat, old: Pair, new: Pair, folder: Path, point: str) -> None:
    """Die at a point, go on, and assert what must hold."""
    seat.write(old.line)
    journals = journals_in(folder / seat.user)
    watch = Watch(seat, old, new)
    watching = asyncio.create_task(watch.run())
    try:
        code, said = await rotate(seat, old, new, journals, point)
        assert code == -signal.SIGKILL, f"it did not come to {point!r}: {said}"
        journals, _ = open_run(folder / seat.user / "journals", RUN, in_thread)
        if not is_finished(journals.entries(seat.user)):
            code, said = await rotate(seat, old, new, journals, None)
            assert said.startswith(OK), said
        assert is_finished(journals.entries(seat.user))
        # A dead man that was left behind would bring the old key back.
        await asyncio.sleep(DEAD_MAN_S + 1)
    finally:
        watch.is_over = True
        await watching
    assert seat.file.read_bytes() == new.line, point
    assert watch.locked_out == [], point
    assert watch.logins > 10


def test_F72_no_death_of_the_controller_locks_anybody_out(accounts, tmp_path, is_full_size):
    """
    At every named point the controller is killed with -9, while somebody logs in every 50 ms with
    the old key or the new one, which always works; the next try ends with the new key alone, and no
    dead man brings the old one back.
    """
    old, new = make_pair(tmp_path, "old"), make_pair(tmp_path, "new")
    lab_host = accounts.host("rotating")

    # A lock of which the journal knows nothing is taken over after two minutes.
    slow = {"look 1 done", "look 2 done"} if not is_full_size else set()
    points = [point for point in POINTS if point not in slow]

    async def main() -> list[str]:
        ends = await asyncio.gather(
            *(
                live_through(Seat(accounts, user, lab_host), old, new, tmp_path, point)
                for user, point in zip(USERS, points, strict=False)
            ),
            return_exceptions=True,
        )
        return [f"{p}: {end!r}" for p, end in zip(points, ends, strict=True) if end is not None]

    failed = run_async(main, limit_s=10 * PATIENCE_S)
    assert not failed, "\n".join(failed)
