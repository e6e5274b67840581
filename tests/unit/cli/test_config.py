"""
`fleetctl config` and `fleetctl inventory`: what is known about hosts, and which line says so.
"""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest

from fleetctl.model.settings import OPTIONS
from tests.unit.cli.fakes import fleetctl

INVENTORY = """\
all:
  vars: {tz: UTC}
  ssh: {IdentityFile: /keys/fleet, BatchMode: "yes"}
  children:
    web:
      hosts:
        web[1:2]:
        web3: {ssh: {HostName: 10.0.0.3, Port: 2222}, vars: {weight: 2}}
    db: {hosts: {db1: }}
"""


@pytest.fixture
def typed(tmp_path, monkeypatch, capsys):
    """Type a command that must succeed, beside hosts.yml; return what it prints."""
    monkeypatch.chdir(tmp_path)
    Path("hosts.yml").write_text(INVENTORY)

    def run(*words):
        assert fleetctl(*words, "-i", "hosts.yml") == 0
        return capsys.readouterr().out

    return run


def rows(text):
    """Return name -> (value, origin) of the table."""
    return {
        line.split()[0]: tuple(part for part in line.split("  ")[1:] if part)
        for line in text.splitlines()
    }


def test_every_honoured_setting_has_a_row(typed):
    """
    In the order of ssh_config(5), set or not.
    """
    shown = [line.split()[0] for line in typed("config", "web1").splitlines()]
    assert shown == [option.name for option in OPTIONS if option.treatment == "honoured"]


def test_each_setting_says_where_it_comes_from(typed):
    """
    A line of the inventory, an option of the command line, or the default.
    """
    table = rows(typed("config", "web3", "-o", "Ciphers=aes128-ctr,aes256-ctr", "-u", "kim"))
    assert {name: [part.strip() for part in table[name]] for name in table} | {
        "Port": ["2222", "hosts.yml:8"],
        "HostName": ["10.0.0.3", "hosts.yml:8"],
        "IdentityFile": ["/keys/fleet", "hosts.yml:3"],
        "BatchMode": ["yes", "hosts.yml:3"],
        "Ciphers": ["aes128-ctr,aes256-ctr", "-o"],
        "User": ["kim", "--user"],
        "Compression": ["no", "default"],
        "HostKeyAlias": ["-", "default"],
        "PreferredAuthentications": ["publickey,keyboard-interactive,password", "default"],
    } == {name: [part.strip() for part in table[name]] for name in table}


def test_defaults_unlike_those_of_ssh_say_so(typed):
    """
    The three in which fleetctl differs, as long as nothing sets them.
    """
    table = rows(typed("config", "web1"))
    for name, value, ssh_has in (
        ("ConnectTimeout", "10", "none"),
        ("ServerAliveInterval", "15", "0"),
        ("IdentitiesOnly", "yes", "no"),
    ):
        assert [part.strip() for part in table[name]] == [value, f"default (ssh: {ssh_has})"]
    same = rows(typed("config", "web1", "-o", "ServerAliveInterval=15", "-o", "IdentitiesOnly=no"))
    assert same["ServerAliveInterval"][-1].strip() == "-o"
    assert same["IdentitiesOnly"][-1].strip() == "-o"


def test_what_nothing_sets_is_what_will_be_used(typed):
    """
    HostName is the host's name, User is who types.
    """
    table = rows(typed("config", "db1"))
    assert [part.strip() for part in table["HostName"]] == ["db1", "default"]
    assert [part.strip() for part in table["User"]] == [getpass.getuser(), "default"]


def test_json_has_the_types_of_the_settings(typed):
    """
    Numbers are numbers, lists are lists, and nothing is null.
    """
    shown = json.loads(typed("config", "web3", "--format", "json", "-o", "SetEnv=A=1"))
    assert shown["Port"] == {"value": 2222, "origin": "hosts.yml:8"}
    assert shown["BatchMode"] == {"value": True, "origin": "hosts.yml:3"}
    assert shown["IdentityFile"] == {"value": ["/keys/fleet"], "origin": "hosts.yml:3"}
    assert shown["ConnectTimeout"] == {"value": 10.0, "origin": "default"}
    assert shown["HostKeyAlias"] == {"value": None, "origin": "default"}
    assert shown["SetEnv"] == {"value": {"A": "1"}, "origin": "-o"}


@pytest.mark.parametrize("words", [("config",), ("inventory", "show")])
def test_one_host_is_shown_at_a_time(typed, capsys, words):
    """
    A pattern of several hosts is refused with their names.
    """
    assert fleetctl(*words, "web*", "-i", "hosts.yml") == 2
    assert "one host, not 3: web[1-3]" in capsys.readouterr().err
    assert fleetctl(*words, "wbe1", "-i", "hosts.yml") == 2
    assert "did you mean web1?" in capsys.readouterr().err


def test_list_shows_groups_folded(typed):
    """
    One line per group: all first, then by name.
    """
    assert typed("inventory", "list") == (
        "all      4  db1,web[1-3]\ndb       1  db1\nweb      3  web[1-3]\n"
    )
    assert json.loads(typed("inventory", "list", "--format", "json"))["db"] == ["db1"]


def test_show_has_groups_variables_and_what_is_set(typed):
    """
    Settings that nothing sets are left to `fleetctl config`.
    """
    assert typed("inventory", "show", "web3").splitlines() == [
        "web3: 10.0.0.3",
        "groups: web, all",
        'var: tz = "UTC"',
        "var: weight = 2",
        "setting: BatchMode yes  (hosts.yml:3)",
        "setting: HostName 10.0.0.3  (hosts.yml:8)",
        "setting: IdentityFile /keys/fleet  (hosts.yml:3)",
        "setting: Port 2222  (hosts.yml:8)",
    ]
    shown = json.loads(typed("inventory", "show", "web3", "--format", "json"))
    assert (shown["groups"], shown["vars"]) == (["web", "all"], {"tz": "UTC", "weight": 2})
    assert shown["settings"]["Port"] == {"value": 2222, "origin": "hosts.yml:8"}


def test_check_finds_all_mistakes(typed, capsys):
    """
    Exit 0 and a count, or exit 2 and every mistake with its line.
    """
    assert typed("inventory", "check") == "no mistakes: 4 hosts in 3 groups\n"
    Path("hosts.yml").write_text("all: {hosts: {a: {ssh: {Prot: 1}},\n  b: {ssh: {Port: x}}}}\n")
    assert fleetctl("inventory", "check", "-i", "hosts.yml") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "hosts.yml:1:" in err
    assert "hosts.yml:2:" in err


def test_colour_marks_defaults_only_on_a_terminal(typed):
    """
    What is piped has no escape sequences.
    """
    assert "\x1b" not in typed("config", "web1")


def test_variables_are_shown_as_ssh_config_has_them(typed):
    """
    Those that are set with their values, and those to be sent with their patterns.
    """
    shown = rows(typed("config", "web1", "-o", "SetEnv=A=1", "-o", "SendEnv=LC_* B"))
    assert [part.strip() for part in shown["SetEnv"]] == ["A=1", "-o"]
    assert [part.strip() for part in shown["SendEnv"]] == ["LC_* B", "-o"]
    assert rows(typed("config", "web1"))["SetEnv"][0].strip() == "-"
