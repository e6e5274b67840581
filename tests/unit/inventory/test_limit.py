"""
Limits that are files of patterns, and this machine as a host nobody wrote down.
"""

from __future__ import annotations

import pytest

from fleetctl.inventory.load import Inventory
from fleetctl.inventory.pattern import select
from fleetctl.model.host import Host
from tests.unit.inventory.test_pattern import EMPTY, INVENTORY, SEE, explain, names


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_this_machine_is_there_when_it_is_named(name):
    """
    The implicit localhost is found by each of its names, needs no connection, and is not in all.
    """
    (host,) = select(INVENTORY, name)
    assert host.name == name
    assert host.vars["ansible_connection"] == "local"
    assert name not in names("all")
    assert names(f"web01,{name}") == ["web01", name]
    assert names(f"web01,!{name}") == ["web01"]
    assert explain("local*") == f'3: no host or group matches "local*"{SEE}'


def test_a_localhost_in_the_inventory_is_the_one_that_is_meant():
    """
    As in Ansible every name of this machine means the host the inventory has for it.
    """
    inventory = Inventory({"127.0.0.1": Host("127.0.0.1")}, {"all": ("127.0.0.1",)})
    assert [host.name for host in select(inventory, "localhost")] == ["127.0.0.1"]


def test_a_limit_may_be_a_file_of_patterns(tmp_path, monkeypatch):
    """
    --limit @FILE is a pattern a line; blank lines and comments say nothing.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "failed.txt").write_text("# last night\nweb02\n\n  web01 , db1\n!db1\n")
    assert names("all", limit="@failed.txt") == ["web01", "web02"]
    assert names("web", limit="@failed.txt,web05") == ["web01", "web02", "web05"]
    assert names("web", limit="@failed.txt:!web01") == ["web02"]


def test_at_means_a_group_where_there_is_no_such_file(tmp_path, monkeypatch):
    """
    A file of the name wins over a group in a limit; everywhere else @ is a group.
    """
    monkeypatch.chdir(tmp_path)
    assert names("web", limit="@eu") == ["web01", "web03"]
    (tmp_path / "eu").write_text("web09\n")
    assert names("web", limit="@eu") == ["web09"]
    assert names("@eu") == ["web03", "web01", "db1"]
    assert names("web", exclude="@eu", limit="web0[1-3]".replace("[1-3]", "?"))[0] == "web02"


def test_mistakes_in_a_file_of_patterns_have_file_and_line(tmp_path, monkeypatch):
    """
    Each line is explained as a pattern is, all at once.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_text("web01\nwbe\nxyz*\n")
    assert explain("all", limit="@f") == (
        '2: f:2: no host, group or pattern "wbe"; did you mean web?\n'
        f'f:3: no host or group matches "xyz*"{SEE}'
    )
    (tmp_path / "f").write_text("web01,\nweb[1\n")
    assert explain("all", limit="@f") == (
        f'2: f:1: pattern "web01,": an empty term at column 7{EMPTY}\n'
        'f:2: pattern "web[1": the "[" at column 4 has no partner'
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "2: f: the file names no hosts"),
        (b"# nobody\n", "2: f: the file names no hosts"),
        (b"\xff\n", "2: f: not UTF-8 text"),
    ],
)
def test_a_file_that_names_nobody_does_not_widen_the_run(content, said, tmp_path, monkeypatch):
    """
    An empty file of failed hosts means no host, not all of them (S21).
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").write_bytes(content)
    assert explain("all", limit="@f") == said


def test_a_directory_is_no_file_of_patterns(tmp_path, monkeypatch):
    """
    What cannot be read is said in the words of the system.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "f").mkdir()
    assert explain("all", limit="@f") == "2: f: the file cannot be read: Is a directory"
