"""
Whether an inventory is what it was.
"""

from __future__ import annotations

import hashlib

import pytest

from fleetctl.inventory.content import hash_sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts.yml").write_text("all: {hosts: {web1: }}\n")
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "a.ini").write_text("web1\n")
    (tmp_path / "inventory" / "b.ini").write_text("web2\n")
    return tmp_path


def test_a_file_is_its_content_and_a_list_its_text(folder):
    """
    The hash of a file is what sha256sum says.
    """
    data = (folder / "hosts.yml").read_bytes()
    assert list(hash_sources(["hosts.yml", "web1,web2"])) == [
        ("inventory", "hosts.yml", hashlib.sha256(data).hexdigest()),
        ("inventory", "web1,web2", hashlib.sha256(b"web1,web2").hexdigest()),
    ]


def test_a_folder_is_the_files_that_are_read_from_it(folder):
    """
    A changed, new or renamed file counts; one that is passed over does not.
    """

    def now():
        return list(hash_sources(["inventory"]))

    before = now()
    assert [(role, path) for role, path, _ in before] == [("inventory", "inventory")]
    (folder / "inventory" / "README.md").write_text("nothing\n")
    (folder / "inventory" / ".b.ini.swp").write_text("nothing\n")
    assert now() == before
    (folder / "inventory" / "b.ini").write_text("web3\n")
    assert now() != before
    (folder / "inventory" / "b.ini").write_text("web2\n")
    assert now() == before
    (folder / "inventory" / "b.ini").rename(folder / "inventory" / "c.ini")
    assert now() != before


def test_variables_beside_it_count(folder):
    """
    group_vars and host_vars are entries of their own, so that one can say which has changed.
    """
    (folder / "group_vars" / "web").mkdir(parents=True)
    (folder / "group_vars" / "web" / "main.yml").write_text("x: 1\n")
    first = list(hash_sources(["hosts.yml"]))
    assert [(role, path) for role, path, _ in first] == [
        ("inventory", "hosts.yml"),
        ("vars", "group_vars"),
    ]
    (folder / "group_vars" / "web" / "main.yml").write_text("x: 2\n")
    second = list(hash_sources(["hosts.yml"]))
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_what_cannot_be_read_is_left_out(folder):
    """
    Whoever loads the inventory says what is wrong with it.
    """
    (folder / "loop").symlink_to("loop")
    assert list(hash_sources(["missing.yml", "loop"])) == []
