"""
The last look before many hosts, or protected ones, are changed.
"""

from __future__ import annotations

import pytest

from tests.cli.shell import fleetctl, on_terminal

CLOSED = "-o Port=9 -o ConnectTimeout=1 -o StrictHostKeyChecking=no".split()


@pytest.fixture
def inventory(tmp_path):
    """Three hosts that nobody serves; one of them is protected, and many are asked about."""
    path = tmp_path / "hosts.yml"
    path.write_text(
        "all:\n  hosts:\n    web[1:2]: {ssh: {HostName: 127.0.0.1}}\n"
        "    db1: {ssh: {HostName: 127.0.0.1}, vars: {protected: true}}\n"
    )
    return path


@pytest.mark.parametrize("words", [["all"], ["*"], ["~.*"], ["all", "-l", "~db.*"], ["all:!web1"]])
def test_a_protected_host_must_be_named(inventory, words):
    """
    A group, a wildcard or an expression does not name it: nobody is contacted.
    """
    done = fleetctl("run", "-i", str(inventory), *words, *CLOSED, "--", "true")
    assert done.code == 2
    assert "db1 is protected and was not named" in done.err
    assert "-x 'db1'" in done.err


@pytest.mark.parametrize(
    "words", [["all,db1"], ["db1"], ["db[1-1]"], ["all", "-l", "db1"], ["all", "-x", "db1"]]
)
def test_who_names_a_protected_host_means_it(inventory, words):
    """
    In the pattern or in the limit, spelt out or as a range of numbers; or it is left out.
    """
    done = fleetctl("run", "-i", str(inventory), *words, *CLOSED, "--", "true")
    assert done.code == 4


def test_looking_is_not_changing(inventory):
    """
    Nobody is protected from a ping.
    """
    assert fleetctl("ping", "-i", str(inventory), "all", *CLOSED).code == 4


@pytest.mark.parametrize(("answer", "code"), [("2", 4), ("y", 2), ("", 2), ("3", 2)])
def test_many_hosts_are_confirmed_by_their_number(inventory, tmp_path, monkeypatch, answer, code):
    """
    On a terminal, with the hosts folded; anything but the number contacts nobody.
    """
    config = tmp_path / "config" / "fleetctl"
    config.mkdir(parents=True)
    (config / "config.yml").write_text("confirm_above: 1\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    words = ("run", "-i", str(inventory), "web*", *CLOSED, "--", "true")
    with on_terminal(*words) as screen:
        screen.read_until("Type their number to go on")
        screen.type(f"{answer}\r")
        ended = screen.wait()
    assert ended.code == code
    with on_terminal(*words[:-2], "--yes", "--", "true") as screen:
        ended = screen.wait()
    assert ended.code == 4
    assert fleetctl(*words).code == 4  # a script has decided already
