"""
What every `fleetctl.keys.place.KeysFile` promises, whatever works on the host.

Each promise is a coroutine function that is given a `KeysPlace`: a user's home on a real host that
lies on this machine, and what opens the file there. `test_keys_over_sftp.py` runs one
implementation through all of them; another one needs a test over `PROMISES` with its own place:

    @pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
    def test_..._keeps_its_promise(accounts, promise):
        async def main() -> None:
            async with operating_on(accounts.model_host("u-sh", host)) as remote:
                make = lambda remote, target, run_id: ShellKeysFile(remote, target, run_id=run_id)
                await promise(KeysPlace(home, uid, gid, remote, make, cut))

The home is emptied before; the tests must run as root, who may write there.
"""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import suppress

import pytest

from fleetctl.keys.place import BACKUPS_KEPT, Look
from fleetctl.model.errors import FleetError
from tests.contract.keys_file_looking import LOOKING
from tests.contract.keys_file_place import ONE, TWO, KeysPlace, Promise, change, refused

#: Bytes that must travel as they are.
AWKWARD = {
    "empty": b"",
    "no final newline": ONE + TWO.rstrip(b"\n"),
    "CRLF": ONE.replace(b"\n", b"\r\n") + TWO,
    "every byte": bytes(range(256)) * 9 + b"'\"$(touch x)`\\\n",
    "only newlines": b"\n\n\n",
    "looks like an answer": b"EOF\n.\n-- \nend\n" + ONE,
    "large": (ONE * 2000)[: 100_000 + 7],
}


# -- changing


async def a_missing_file_is_made(place: KeysPlace) -> None:
    swapped = await change(place.open(), ONE)
    assert (swapped.before, swapped.after, swapped.backup) == (None, ONE, None)
    assert place.path.read_bytes() == ONE
    for path, mode in ((place.path.parent, 0o700), (place.path, 0o600)):
        info = path.stat()
        assert (info.st_mode & 0o7777, info.st_uid) == (mode, place.uid)
    assert (place.beside(), place.kept()) == (set(), [])


async def F66_all_bytes_travel_as_they_are(place: KeysPlace) -> None:
    place.write(ONE)
    file, before = place.open(), ONE
    for name, data in AWKWARD.items():
        look = await file.look(lock=True)
        assert look.data == before, name
        swapped = await file.swap(look, data)
        assert (swapped.before, swapped.after) == (before, data), name
        assert place.path.read_bytes() == data, name
        assert place.beside() == set()
        before = data


async def the_mode_and_the_owner_stay(place: KeysPlace) -> None:
    for mode in (0o600, 0o640, 0o644, 0o400):
        place.write(ONE, mode=mode)
        await change(place.open(), TWO)
        info = place.path.stat()
        assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (mode, place.uid, place.gid)
        assert place.path.read_bytes() == TWO


async def F63_modes_that_sshd_objects_to_are_mended_if_that_is_wanted(place: KeysPlace) -> None:
    place.write(ONE, mode=0o664)
    place.path.parent.chmod(0o777)
    file = place.open()
    look = await file.look(lock=True)
    swapped = await file.swap(look, TWO)
    assert not swapped.changed_modes
    assert [place.path.parent.stat().st_mode & 0o777, place.path.stat().st_mode & 0o777] == [
        0o777,
        0o664,
    ]
    look = await file.look(lock=True)
    swapped = await file.swap(look, ONE, fix_modes=True)
    assert dict(swapped.changed_modes or {}) == {
        look.path: 0o664,
        look.path.rpartition("/")[0]: 0o777,
    }
    assert [place.path.parent.stat().st_mode & 0o777, place.path.stat().st_mode & 0o777] == [
        0o755,
        0o644,
    ]
    await file.swap_back(swapped)
    assert place.path.read_bytes() == TWO
    assert [place.path.parent.stat().st_mode & 0o777, place.path.stat().st_mode & 0o777] == [
        0o777,
        0o664,
    ]


async def somebody_elses_change_is_not_lost(place: KeysPlace) -> None:
    for data in (ONE, None):
        if data is not None:
            place.write(data)
        else:
            place.path.unlink()
        file = place.open()
        look = await file.look(lock=True)
        place.write(ONE + TWO)
        error = await refused("keys.changed", file.swap(look, TWO))
        assert error.failure.retryable
        assert place.path.read_bytes() == ONE + TWO
        assert place.beside() == set()
        # Nothing stands in the way of another try.
        await change(file, TWO)
        assert place.path.read_bytes() == TWO


async def somebody_elses_removal_is_not_undone(place: KeysPlace) -> None:
    place.write(ONE)
    file = place.open()
    look = await file.look(lock=True)
    place.path.unlink()
    await refused("keys.changed", file.swap(look, TWO))
    assert not place.path.exists()


# -- the lock


async def F70_a_lock_keeps_others_out(place: KeysPlace) -> None:
    place.write(ONE)
    first, second = place.open(), place.open("20260701T120001-bb")
    look = await first.look(lock=True)
    error = await refused("keys.busy", second.look(lock=True))
    assert error.failure.retryable
    assert "20260701T120000-aa" in str(error)
    assert (await second.look()).data == ONE
    await first.swap(look, TWO)
    look = await second.look(lock=True)
    assert look.data == TWO
    await second.unlock(look)
    assert place.beside() == set()


async def a_lock_that_is_waited_for_is_had(place: KeysPlace) -> None:
    place.write(ONE)
    first, second = place.open(), place.open("20260701T120001-bb")
    look = await first.look(lock=True)
    waiting = asyncio.ensure_future(second.look(lock=True))
    await first.swap(look, TWO)
    look = await waiting
    assert look.data == TWO
    await second.unlock(look)


async def F72_a_lock_that_was_left_is_taken_over(place: KeysPlace) -> None:
    await _take_over(place)


async def F72_a_lock_that_was_left_while_it_was_taken_over_is_too(place: KeysPlace) -> None:
    await _take_over(place, "taken")


async def _take_over(place: KeysPlace, *folders: str) -> None:
    place.write(ONE)
    lock = place.path.with_name("authorized_keys.fleetctl-lock")
    old = time.time() - 7200
    lock.mkdir()
    (lock / "note").write_text(f"{'a' * 32} nowhere 20260701T120000-cc {int(old)}\n")
    (lock / "new").write_bytes(b"half a ke")
    for name in folders:
        (lock / name).mkdir()
    for path in (lock, *lock.iterdir()):
        os.chown(path, place.uid, place.gid)
        os.utime(path, (old, old))
    await change(place.open(), TWO)
    assert place.path.read_bytes() == TWO
    assert place.beside() == set()


async def F70_many_at_once_lose_nothing(place: KeysPlace) -> None:
    place.write(ONE)
    lines = [b"ssh-ed25519 AAAA%02d\n" % number for number in range(6)]

    async def add(number: int) -> None:
        file = place.open(f"20260701T1200{number:02d}-aa")
        while True:
            try:
                look = await file.look(lock=True)
                await file.swap(look, (look.data or b"") + lines[number])
            except FleetError as error:
                if error.kind not in ("keys.changed", "keys.busy"):
                    raise
            else:
                return

    await asyncio.gather(*(add(number) for number in range(len(lines))))
    assert sorted(place.path.read_bytes().splitlines(keepends=True)) == sorted([ONE, *lines])
    assert place.beside() == set()


async def F70_the_lock_of_a_taker_over_is_respected(place: KeysPlace) -> None:
    place.write(ONE)
    first, second = place.open(), place.open("20260701T120001-bb")
    look = await first.look(lock=True)
    lock = place.path.with_name("authorized_keys.fleetctl-lock")
    note = (lock / "note").read_text().split()
    # As if it had been held for hours.
    (lock / "note").write_text(" ".join([*note[:3], str(int(time.time()) - 7200)]) + "\n")
    for path in (lock, *lock.iterdir()):
        os.utime(path, (time.time() - 7200,) * 2)
    other = await second.look(lock=True)
    with pytest.raises(FleetError):
        await first.swap(look, TWO)
    assert place.path.read_bytes() == ONE
    await second.swap(other, TWO)
    assert place.path.read_bytes() == TWO


# -- backups


async def the_last_versions_are_kept(place: KeysPlace) -> None:
    place.write(b"version 0\n")
    file = place.open()
    for number in range(1, BACKUPS_KEPT + 3):
        await change(file, b"version %d\n" % number)
    backups = await file.backups()
    assert len(backups) == BACKUPS_KEPT == len(place.kept())
    found = [await file.read_backup(backup) for backup in backups]
    last = BACKUPS_KEPT + 2
    assert found == [b"version %d\n" % (last - 1 - age) for age in range(BACKUPS_KEPT)]
    assert {backup.run_id for backup in backups} == {"20260701T120000-aa"}
    assert all(abs(backup.at - time.time()) < 3600 for backup in backups)
    assert [backup.size for backup in backups] == [len(data) for data in found]
    place.kept()[0].unlink()
    await refused("keys.read", file.read_backup(backups[-1]))


async def a_swap_is_undone(place: KeysPlace) -> None:
    place.write(ONE, mode=0o640)
    file = place.open()
    swapped = await change(file, TWO)
    await file.swap_back(swapped)
    info = place.path.stat()
    assert (place.path.read_bytes(), info.st_mode & 0o777) == (ONE, 0o640)
    assert place.beside() == set()


async def a_file_that_was_made_is_removed_again(place: KeysPlace) -> None:
    file = place.open()
    swapped = await change(file, ONE)
    await file.swap_back(swapped)
    assert not place.path.exists()
    assert not place.path.parent.exists() or place.beside() == set()


async def what_others_did_after_a_swap_is_not_undone(place: KeysPlace) -> None:
    place.write(ONE)
    file = place.open()
    swapped = await change(file, TWO)
    place.write(TWO + ONE)
    await refused("keys.changed", file.swap_back(swapped))
    assert place.path.read_bytes() == TWO + ONE
    assert place.beside() == set()


# -- cuts


async def F72_a_cut_link_leaves_one_of_the_versions(place: KeysPlace) -> None:
    for number in range(12):
        place.write(ONE)
        file = place.open()
        look: Look = await file.look(lock=True)
        swapping = asyncio.ensure_future(file.swap(look, TWO))
        await asyncio.sleep(0.004 * number)
        place.cut()
        with suppress(FleetError):
            await swapping
        assert place.path.read_bytes() in (ONE, TWO)
        # The same controller goes on.
        look = await file.look(lock=True)
        await file.swap(look, ONE + TWO)
        assert place.path.read_bytes() == ONE + TWO
        assert place.path.stat().st_nlink == 1
        assert place.beside() == set()


PROMISES: tuple[Promise, ...] = (
    *LOOKING,
    a_missing_file_is_made,
    F66_all_bytes_travel_as_they_are,
    the_mode_and_the_owner_stay,
    F63_modes_that_sshd_objects_to_are_mended_if_that_is_wanted,
    somebody_elses_change_is_not_lost,
    somebody_elses_removal_is_not_undone,
    F70_a_lock_keeps_others_out,
    a_lock_that_is_waited_for_is_had,
    F72_a_lock_that_was_left_is_taken_over,
    F72_a_lock_that_was_left_while_it_was_taken_over_is_too,
    F70_many_at_once_lose_nothing,
    F70_the_lock_of_a_taker_over_is_respected,
    the_last_versions_are_kept,
    a_swap_is_undone,
    a_file_that_was_made_is_removed_again,
    what_others_did_after_a_swap_is_not_undone,
    F72_a_cut_link_leaves_one_of_the_versions,
)
