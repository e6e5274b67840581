"""
From options to hosts: settings of the command line, limits from files, and which inventory.
"""

from __future__ import annotations

import json

import pytest

from fleetctl.cli.state import lab_directory
from fleetctl.cli.targets import choose_inventory, parse_option, read_limit
from fleetctl.model.errors import UsageError
from tests.unit.cli.fakes import FakeEngine, fleetctl


def settings_of(*words):
    """Type a command line and return the settings of its only host."""
    engine = FakeEngine()
    assert fleetctl("ping", "-i", "web1,", "web1", *words, engine=engine) == 0
    (assignment,) = engine.runs[0].assignments
    return assignment.host.settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Port=2222", ("Port", ("2222",))),
        ("Port 2222", ("Port", ("2222",))),
        ("Port = 2222", ("Port", ("2222",))),
        ("SetEnv A=1 B=2", ("SetEnv", ("A=1", "B=2"))),
        ('IdentityFile="a b"', ("IdentityFile", ("a b",))),
    ],
)
def test_an_option_is_split_as_ssh_splits_it(text, expected):
    """
    -o takes KEY=VALUE and the form of a line in ssh_config.
    """
    assert parse_option(text) == expected


@pytest.mark.parametrize("text", ["Port", "=1", "", "Port=", 'User="x'])
def test_half_an_option_is_refused(text):
    """
    Without keyword, value or closing quote there is nothing to set.
    """
    with pytest.raises(ValueError, match=r"expected|quote"):
        parse_option(text)


def test_login_options_become_settings(tmp_path):
    """
    -u, -T, --identity and -o are settings that beat the inventory, and say where they come from.
    """
    key = tmp_path / "key"
    key.touch()
    settings = settings_of(
        *("-u", "deploy", "-T", "1m", "--identity", str(key), "-o", "port=2222"),
        *("-o", "StrictHostKeyChecking accept-new"),
    )
    assert settings.user == "deploy"
    assert settings.connect_timeout_s == 60
    assert settings.identity_files == (str(key),)
    assert settings.port == 2222
    assert settings.strict_host_key_checking == "accept-new"
    assert settings.origin["User"] == "--user"
    assert settings.origin["Port"] == "-o"


def test_all_mistakes_of_the_options_are_told_at_once(capsys):
    """
    Wrong keywords, values and files, each with its own line and a hint where there is one.
    """
    code = fleetctl(
        *("ping", "-i", "web1,", "web1", "--identity", "/no/key", "-o", "nonsense"),
        *("-o", "Prot=22", "-o", "Port=abc", "-o", "PKCS11Provider=x", "-T", "soon"),
    )
    assert code == 2
    err = capsys.readouterr().err
    for said in (
        "--identity: there is no such file: /no/key",
        '-o: KEY=VALUE is expected, not "nonsense"',
        '-o: "Prot" is not a keyword of ssh_config',
        "did you mean Port?",
        "-o: Port: a number from 1 to 65535 is expected",
        "-o: PKCS11Provider cannot be used: use the agent: ssh-add -s PROVIDER",
        "--connect-timeout: ConnectTimeout: a time",
    ):
        assert said in err


def test_an_option_without_effect_is_a_warning(capsys):
    """
    A keyword ssh knows and fleetctl does not honour is said once, and the run goes on.
    """
    settings_of("-o", "VisualHostKey=yes", "-o", "VisualHostKey=no")
    assert capsys.readouterr().err.count("warning: -o: VisualHostKey has no effect here") == 1


def test_a_limit_may_be_a_file_of_hosts(tmp_path):
    """
    `--limit @FILE` means the hosts in the lines of the file; comments and blank lines are left out.
    """
    path = tmp_path / "retry"
    path.write_text("web1\n\n# old\n  web2  # here\n")
    assert read_limit(f"@{path}") == "web1,web2"
    engine = FakeEngine()
    words = ("ping", "-i", "web[1-5],", "web*", "--limit", f"@{path}")
    assert fleetctl(*words, engine=engine) == 0
    assert list(engine.operations) == ["web1", "web2"]


def test_a_limit_that_is_no_file_is_a_pattern(tmp_path):
    """
    `--limit @web` is the group if there is no such file.
    """
    assert read_limit("@web") == "@web"
    assert read_limit("web*") == "web*"


def test_a_limit_file_without_hosts_is_an_error(tmp_path):
    """
    An empty file does not mean all hosts.
    """
    path = tmp_path / "empty"
    path.write_text("# nobody\n")
    with pytest.raises(UsageError, match="names no host"):
        read_limit(f"@{path}")


def test_inventory_of_the_environment_is_used_if_none_is_given(tmp_path, monkeypatch, capsys):
    """
    FLEETCTL_INVENTORY stands in for -i; -i beats it.
    """
    monkeypatch.setenv("FLEETCTL_INVENTORY", "env1,")
    assert fleetctl("hosts", "all") == 0
    assert capsys.readouterr().out == "env1\n"
    assert fleetctl("hosts", "-i", "cli1,", "all") == 0
    assert capsys.readouterr().out == "cli1\n"


def test_without_any_inventory_the_ways_to_give_one_are_told(capsys):
    """
    Exit 2 with the three ways: a file, a list, a lab.
    """
    assert fleetctl("hosts", "all") == 2
    err = capsys.readouterr().err
    assert "no inventory given" in err
    for way in ("-i FILE", '-i "web1,web2,"', "fleetctl lab start"):
        assert way in err


def test_a_lab_whose_hosts_are_gone_is_not_taken_for_an_inventory(tmp_path):
    """
    After a reboot the files of a lab are still there, its hosts are not.
    """
    lab = tmp_path / "lab"
    lab.mkdir()
    host = {"name": "web01", "address": "127.0.0.9", "port": 1, "pid": 1}
    state = {"version": 1, "engine": "sshd (x)", "hosts": [host]}
    (lab / "lab.json").write_text(json.dumps(state))
    with pytest.raises(UsageError, match="no inventory given"):
        choose_inventory((), {"FLEETCTL_STATE": str(tmp_path)}, print)


def test_several_inventories_are_joined(capsys):
    """
    -i may be given several times.
    """
    assert fleetctl("hosts", "-i", "a1,", "-i", "b1,", "all") == 0
    assert capsys.readouterr().out == "a1\nb1\n"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"FLEETCTL_STATE": "/s", "XDG_STATE_HOME": "/x"}, "/s/lab"),
        ({"XDG_STATE_HOME": "/x"}, "/x/fleetctl/lab"),
        ({"XDG_STATE_HOME": "relative"}, "{home}/.local/state/fleetctl/lab"),
        ({}, "{home}/.local/state/fleetctl/lab"),
    ],
)
def test_lab_lives_in_the_state_directory(environ, expected, private_home):
    """
    FLEETCTL_STATE, then XDG_STATE_HOME, then its default.
    """
    assert str(lab_directory(environ)) == expected.format(home=private_home)


@pytest.mark.parametrize(
    ("form", "printed"),
    [
        ((), "web1\nweb2\nweb3\n"),
        (("--expand",), "web1\nweb2\nweb3\n"),
        (("--fold",), "web[1-3]\n"),
        (("--count",), "3\n"),
    ],
)
def test_hosts_prints_in_the_form_asked_for(form, printed, capsys):
    """
    One per line for scripts, folded for people, or just how many.
    """
    assert fleetctl("hosts", "-i", "web[1-3],", "web*", *form) == 0
    assert capsys.readouterr().out == printed


def test_a_pattern_that_matches_nothing_is_exit_3(capsys):
    """
    A right pattern without a host is not a success with nobody in it.
    """
    engine = FakeEngine()
    words = ("run", "-i", "web[1-3],", "web*:&web9*", "--", "x")
    assert fleetctl(*words, engine=engine) == 3
    assert engine.runs == []
    assert capsys.readouterr().err.startswith("fleetctl: ")
