"""
What is no file of keys, by each shell: links, pipes, what others may write to.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fleet.keys.remote.by_shell import (
    NEW,
    OLD,
    failure_of,
    run,
    shells,
    swap,
)
from tests.support.key_shells import KeysFolder, keys_folder

pytestmark = pytest.mark.fleet


@shells
@pytest.mark.parametrize("locked", [False, True])
def test_S27_a_link_is_refused(tmp_path, shell, locked):
    """
    The file, or its folder, being a link to something else: nothing is read or made there.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    victim = elsewhere / "authorized_keys"
    victim.write_bytes(b"victim\n")
    folder.path.unlink()
    folder.path.symlink_to(victim)
    error = failure_of(lambda: folder.open().look(lock=locked))
    assert error.kind == "keys.unsafe_path"
    assert str(folder.path) in str(error)
    assert str(victim) in str(error)
    folder.path.unlink()
    folder.path.parent.rmdir()
    folder.path.parent.symlink_to(elsewhere)
    error = failure_of(lambda: folder.open().look(lock=locked))
    assert error.kind == "keys.unsafe_path"
    assert os.listdir(elsewhere) == ["authorized_keys"]


@shells
def test_a_link_is_followed_if_that_is_wanted(tmp_path, shell):
    """
    Once, and the same rules hold where it leads to; the link stays one.
    """
    folder = keys_folder(tmp_path, shell, None)
    (tmp_path / "real").mkdir(mode=0o700)
    real = tmp_path / "real" / "keys"
    real.write_bytes(OLD)
    folder.path.symlink_to("../real/keys")

    async def work() -> None:
        file = folder.open(follow=True)
        look = await file.look(lock=True)
        assert look.path == str(real)
        await file.swap(look, NEW)

    run(work)
    assert real.read_bytes() == NEW
    assert folder.path.is_symlink()
    real.unlink()
    real.symlink_to("keys2")
    (tmp_path / "real" / "keys2").write_bytes(b"")
    assert failure_of(lambda: folder.open(follow=True).look()).kind == "keys.unsafe_path"


@shells
def test_S27_another_name_for_the_file_is_refused(tmp_path, shell):
    """
    A file with a hard link is another file, too.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    os.link(folder.path, tmp_path / "other")
    error = failure_of(lambda: folder.open().look(lock=True))
    assert (error.kind, "2 hard links" in str(error)) == ("keys.unsafe_path", True)
    assert folder.beside == set()


@shells
def test_a_hard_link_of_our_own_is_what_a_crash_left(tmp_path, shell):
    """
    Between the backup and the rename a file has two names; one who comes later removes the backup.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    os.link(folder.path, f"{folder.path}.fleetctl-20260101T000000Z-run-0")
    assert run(folder.open().look).data == OLD
    assert len(folder.beside) == 1
    swap(folder)
    assert folder.path.stat().st_nlink == 1
    assert not any("2026010" in name for name in folder.beside)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_refused(tmp_path, kind):
    """
    A pipe does not make a look wait for ever.
    """
    folder = keys_folder(tmp_path, data=None)
    folder.path.mkdir() if kind == "folder" else os.mkfifo(folder.path)
    assert failure_of(lambda: folder.open().look(lock=True)).kind == "keys.unsafe_path"


def test_a_folder_that_others_may_write_to_is_refused_outside_the_home(tmp_path):
    """
    They could put another file there. In the user's own home that is what a proof finds out.
    """
    folder = keys_folder(tmp_path, data=OLD)
    folder.path.parent.chmod(0o777)
    error = failure_of(lambda: folder.open().look(lock=True))
    assert (error.kind, str(folder.path.parent) in str(error)) == ("keys.unsafe_path", True)
    folder.path.parent.chmod(0o1777)
    assert run(folder.open().look).data == OLD


def test_a_file_that_is_too_long_is_not_read(tmp_path):
    """
    4 MiB are the most.
    """
    folder = keys_folder(tmp_path, data=b"#\n" * (2 * 1024 * 1024 + 1))
    error = failure_of(lambda: folder.open().look(lock=True))
    assert (error.kind, str(len(folder.path.read_bytes())) in str(error)) == (
        "keys.too_large",
        True,
    )
    assert folder.beside == set()


def test_four_megabytes_are_swapped(tmp_path):
    """
    The longest file there may be arrives whole.
    """
    line = b"ssh-ed25519 AAAA %b\n" % (b"x" * 108)
    data = line * (4 * 1024 * 1024 // len(line))
    folder = keys_folder(tmp_path, data=data)
    assert swap(folder, data[:-1] + b"!").after == data[:-1] + b"!"


@pytest.mark.parametrize("path", ["/etc/../etc/x", "%Q/x", "a//b", "../x"])
def test_an_odd_path_is_refused(tmp_path, path):
    """
    What could lead out of where it seems to be is no path for keys.
    """
    folder = keys_folder(tmp_path)
    folder = KeysFolder(Path(path), folder.remote, folder.tools)
    assert failure_of(lambda: folder.open().look()).kind in ("keys.unsafe_path", "keys.read")


@shells
def test_a_mode_without_write_permission_is_kept(tmp_path, shell):
    """
    0400 is a good mode for a file of keys.
    """
    folder = keys_folder(tmp_path, shell, OLD)
    folder.path.chmod(0o400)
    swap(folder)
    assert (folder.path.read_bytes(), folder.path.stat().st_mode & 0o7777) == (NEW, 0o400)


def test_modes_outside_the_home_are_not_mended(tmp_path):
    """
    ``/tmp`` stays open to all, whatever sshd thinks of it.
    """
    folder = keys_folder(tmp_path, data=OLD)
    before = [os.stat(parent).st_mode for parent in folder.path.parents]
    assert swap(folder, fix_modes=True).changed_modes is None
    assert [os.stat(parent).st_mode for parent in folder.path.parents] == before
