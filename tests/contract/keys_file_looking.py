"""
What every `fleetctl.keys.place.KeysFile` promises of looking: what is seen, and what is refused.

A part of `keys_file_contract.py`.
"""

from __future__ import annotations

import os
import time

from fleetctl.keys.place import MAX_FILE_BYTES
from tests.contract.keys_file_place import ONE, TWO, KeysPlace, Promise, change, refused

# -- looking


async def a_look_says_what_is_there(place: KeysPlace) -> None:
    place.write(ONE, mode=0o640)
    look = await place.open().look()
    assert (look.data, look.uid, look.lock) == (ONE, place.uid, None)
    home, folder, file = look.components
    assert [one.kind for one in look.components] == ["directory", "directory", "file"]
    assert {one.owner for one in look.components} <= {place.uid, 0}
    assert (home.path, folder.path, file.path) == (
        look.home,
        f"{look.home.rstrip('/')}/.ssh",
        look.path,
    )
    assert (folder.mode, file.mode, file.links) == (0o700, 0o640, 1)
    assert look.server_version.startswith(("OpenSSH", "dropbear"))


async def a_look_changes_nothing(place: KeysPlace) -> None:
    for data in (None, ONE):
        if data is not None:
            place.write(data)
        before = place.state()
        assert (await place.open().look()).data == data
        assert place.state() == before


async def a_look_with_a_lock_that_is_freed_leaves_nothing(place: KeysPlace) -> None:
    for data in (None, ONE):
        if data is not None:
            place.write(data)
        before = place.state()
        file = place.open()
        look = await file.look(lock=True)
        assert look.lock is not None
        assert abs(look.clock - time.time()) < 3600
        assert place.state() != before
        await file.unlock(look)
        assert place.state() == before


async def a_missing_file_is_seen_as_missing(place: KeysPlace) -> None:
    look = await place.open().look()
    assert (look.data, look.checksum) == (None, "")
    assert look.components[-1].kind == "absent"
    assert await place.open().backups() == ()


async def a_second_file_of_keys_is_named(place: KeysPlace) -> None:
    place.write(ONE)
    second = place.path.with_name("authorized_keys2")
    second.write_bytes(TWO)
    os.chown(second, place.uid, place.gid)
    sources = (await place.open().look()).sources
    assert TWO in {source.data for source in sources}


async def another_path_is_found(place: KeysPlace) -> None:
    for wanted in ("~/keys/of me", "%h/keys/of me", "keys/of me"):
        file = place.open(path=wanted)
        await change(file, ONE)
        path = place.home / "keys" / "of me"
        assert path.read_bytes() == ONE
        path.unlink()
    await refused("keys.unsafe_path", place.open(path="../elsewhere").look())


async def a_file_that_is_too_large_is_not_read(place: KeysPlace) -> None:
    place.write(b"")
    with place.path.open("r+b") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    await refused("keys.too_large", place.open().look())


# -- what is not safe


async def S27_links_are_refused(place: KeysPlace) -> None:
    place.write(ONE)
    target = place.home / "elsewhere"
    place.path.rename(target)
    place.path.symlink_to(target)
    error = await refused("keys.unsafe_path", place.open().look(lock=True))
    assert "authorized_keys" in str(error)
    assert "link" in str(error)
    assert place.path.is_symlink()
    assert target.read_bytes() == ONE
    assert place.beside() == set()


async def S27_a_folder_that_is_a_link_is_refused(place: KeysPlace) -> None:
    place.write(ONE)
    place.path.parent.rename(place.home / "real")
    (place.home / ".ssh").symlink_to("real")
    await refused("keys.unsafe_path", place.open().look(lock=True))


async def a_link_is_followed_where_that_is_wanted(place: KeysPlace) -> None:
    place.write(ONE)
    real = place.home / "real"
    place.path.parent.rename(real)
    place.path.parent.symlink_to("real")
    file = place.open(follow_links=True)
    await change(file, TWO)
    assert (real / "authorized_keys").read_bytes() == TWO
    assert place.path.parent.is_symlink()


async def S27_hard_links_are_refused(place: KeysPlace) -> None:
    place.write(ONE)
    other = place.home / "other"
    other.hardlink_to(place.path)
    error = await refused("keys.unsafe_path", place.open().look(lock=True))
    assert "hard link" in str(error)
    assert other.read_bytes() == ONE


async def a_backup_that_a_crash_has_left_is_no_reason(place: KeysPlace) -> None:
    place.write(ONE)
    left = place.path.with_name("authorized_keys.fleetctl-20260701T120000Z-20260701T115959-bb")
    left.hardlink_to(place.path)
    await change(place.open(), TWO)
    assert place.path.read_bytes() == TWO
    assert [path.read_bytes() for path in place.kept()] == [ONE]
    assert place.path.stat().st_nlink == 1


async def S27_foreign_owners_are_refused(place: KeysPlace) -> None:
    place.write(ONE)
    stranger = place.uid + 5000
    os.chown(place.path, stranger, place.gid)
    place.path.chmod(0o644)
    error = await refused("keys.unsafe_path", place.open().look(lock=True))
    assert "authorized_keys" in str(error)
    os.chown(place.path, place.uid, place.gid)
    place.path.parent.chmod(0o777)
    os.chown(place.path.parent, stranger, place.gid)
    await refused("keys.unsafe_path", place.open().look())
    os.chown(place.path.parent, place.uid, place.gid)
    place.path.parent.chmod(0o700)
    await change(place.open(), TWO)


async def a_folder_in_place_of_the_file_is_refused(place: KeysPlace) -> None:
    place.path.mkdir(parents=True)
    for path in (place.path.parent, place.path):
        os.chown(path, place.uid, place.gid)
    await refused("keys.unsafe_path", place.open().look())


LOOKING: tuple[Promise, ...] = (
    a_look_says_what_is_there,
    a_look_changes_nothing,
    a_look_with_a_lock_that_is_freed_leaves_nothing,
    a_missing_file_is_seen_as_missing,
    a_second_file_of_keys_is_named,
    another_path_is_found,
    a_file_that_is_too_large_is_not_read,
    S27_links_are_refused,
    S27_a_folder_that_is_a_link_is_refused,
    a_link_is_followed_where_that_is_wanted,
    S27_hard_links_are_refused,
    a_backup_that_a_crash_has_left_is_no_reason,
    S27_foreign_owners_are_refused,
    a_folder_in_place_of_the_file_is_refused,
)
