"""
Who else can change a file: modes and owners of everything on the way to it.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from types import SimpleNamespace

import pytest

from fleetctl.trust.permissions import Account, find_stranger, stranger_at

ME, MY_GROUP = 1000, 1000
ACCOUNT = Account(ME, MY_GROUP)
FOLDER, FILE, LINK = stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK


def status(mode, uid=ME, gid=MY_GROUP):
    return os.stat_result((mode, 0, 0, 1, uid, gid, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (status(FILE | 0o644), None),
        (status(FILE | 0o600, uid=0, gid=0), None),
        (status(FOLDER | 0o755, uid=0, gid=0), None),
        (status(FILE | 0o664), None),  # the group is ours alone
        (status(FILE | 0o664, gid=60000), "can be written by the group 60000"),
        (status(FILE | 0o646), "can be written by everybody"),
        (status(FILE | 0o644, uid=60000), "belongs to user 60000"),
        (status(FOLDER | 0o775, gid=60000), "can be written by the group 60000"),
        (status(FOLDER | stat.S_ISVTX | 0o777, uid=0), "can be written by everybody"),
        (status(LINK | 0o777), None),
        (status(LINK | 0o777, uid=60000), "belongs to user 60000"),
        (status(FILE | stat.S_ISVTX | 0o666), "can be written by everybody"),
    ],
)
def test_owner_and_mode_decide_who_is_a_stranger(found, said):
    """
    Ours or the superuser's, and writable by no group but our own.
    """
    assert stranger_at(found, ACCOUNT, sticky_is_enough=False) == said


def test_sticky_bit_is_enough_where_others_only_add_files():
    """
    Above the folder of a file, /tmp is no danger; a sticky bit on a file means nothing.
    """
    tmp = status(FOLDER | stat.S_ISVTX | 0o777, uid=0)
    assert stranger_at(tmp, ACCOUNT, sticky_is_enough=True) is None
    assert stranger_at(status(FOLDER | 0o777, uid=0), ACCOUNT, sticky_is_enough=True) is not None
    file = status(FILE | stat.S_ISVTX | 0o666)
    assert stranger_at(file, ACCOUNT, sticky_is_enough=True) is not None


@pytest.fixture
def me():
    return Account(os.geteuid())


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True, mode=0o755)
    (tmp_path / "a").chmod(0o755)
    return place


def test_a_private_file_has_no_stranger(folder, me):
    """
    A file of mode 644 in folders of mode 755 is ours alone.
    """
    file = folder / "config"
    file.write_text("")
    file.chmod(0o644)
    assert find_stranger(file, me) is None
    assert find_stranger(folder, me) is None


@pytest.mark.parametrize("which", ["config", ".", ".."])
def test_file_folder_and_the_folders_above_all_count(folder, me, which):
    """
    Whoever can write to the file, its folder or one above can put another file there.
    """
    file = folder / "config"
    file.write_text("")
    weak = (folder / which).resolve()
    weak.chmod(0o777)
    assert find_stranger(file, me) == f"{weak} can be written by everybody"


def test_sticky_folder_is_accepted_above_but_not_around_the_file(folder, me):
    """
    A file right in a folder like /tmp is not ours alone; one in our own folder in there is.
    """
    file = folder / "config"
    file.write_text("")
    folder.parent.chmod(0o1777)
    assert find_stranger(file, me) is None
    assert find_stranger(folder, me) is None
    folder.chmod(0o1777)
    assert find_stranger(file, me) == f"{folder} can be written by everybody"


def test_both_ends_of_a_link_count(tmp_path, folder, me):
    """
    Where the link lies, where it leads, and links in the middle of the path (S26).
    """
    target = tmp_path / "dotfiles"
    target.mkdir(mode=0o755)
    (target / "config").write_text("")
    (folder / "config").symlink_to("../../dotfiles/config")
    (tmp_path / "way").symlink_to(folder)
    assert find_stranger(folder / "config", me) is None
    assert find_stranger(tmp_path / "way" / "config", me) is None
    target.chmod(0o777)
    assert find_stranger(tmp_path / "way" / "config", me) == f"{target} can be written by everybody"
    target.chmod(0o755)
    folder.chmod(0o777)
    assert find_stranger(tmp_path / "way" / "config", me) == f"{folder} can be written by everybody"


def test_links_in_a_circle_end(folder, me):
    """
    A link to itself is an error, not a hang; so is a missing file.
    """
    (folder / "config").symlink_to("config")
    with pytest.raises(OSError, match="too many links"):
        find_stranger(folder / "config", me)
    with pytest.raises(FileNotFoundError):
        find_stranger(folder / "nothing", me)


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (SimpleNamespace(gr_name="kim", gr_mem=[]), 77),
        (SimpleNamespace(gr_name="kim", gr_mem=["kim"]), 77),
        (SimpleNamespace(gr_name="kim", gr_mem=["eve"]), None),
        (SimpleNamespace(gr_name="staff", gr_mem=[]), None),
    ],
)
def test_a_group_is_private_if_it_is_named_like_its_only_user(monkeypatch, group, expected):
    """
    The habit of one group per user, with umask 002, does not make everything a stranger's.
    """
    user = SimpleNamespace(pw_name="kim", pw_gid=77)
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: user)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: group)
    assert Account.from_process() == Account(os.geteuid(), expected)


def test_a_user_without_a_name_has_no_private_group(monkeypatch):
    """
    In a container the number of the user may have no name.
    """

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert Account.from_process() == Account(os.geteuid())
