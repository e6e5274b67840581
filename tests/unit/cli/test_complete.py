"""
What a shell is offered while a command line is typed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetctl.cli.completion import SHELLS, answer
from fleetctl.cli.main import fleetctl as root
from tests.unit.cli.fakes import fleetctl

INVENTORY = """\
all:
  children:
    web: {hosts: {"web[01:03]": }}
    eu: {hosts: {web01: , db1: }}
"""


@pytest.fixture
def offered(tmp_path, monkeypatch, capsys):
    """Type a line at a bash that replaces its last word as a whole; return what is offered."""
    monkeypatch.chdir(tmp_path)
    Path("hosts.yml").write_text(INVENTORY)

    def complete(line, *, word=None):
        monkeypatch.setenv("COMP_LINE", f"fleetctl {line}")
        monkeypatch.setenv("COMP_WORD", line.rpartition(" ")[2] if word is None else word)
        assert answer(root, "bash_complete") == 0
        out, err = capsys.readouterr()
        assert err == ""
        return [each.partition("\t")[2] for each in out.splitlines() if each]

    return complete


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tru", ["trust"]),
        ("lab st", ["start", "status", "stop"]),
        ("run --format nd", ["ndjson"]),
        ("run --col", ["--color"]),
        ("completion ", ["bash", "zsh", "fish"]),
        ("run -i hosts.yml we", ["web", "web01", "web02", "web03"]),
        ("ping -i hosts.yml d", ["db1"]),
        ("hosts -i hosts.yml @", ["@all", "@eu", "@web"]),
        ("hosts -i hosts.yml web:&e", ["web:&eu"]),
        ("hosts -i hosts.yml web01,!d", ["web01,!db1"]),
        ("hosts -i hosts.yml all -l d", ["db1"]),
        ("hosts -i hosts.yml all --exclude e", ["eu"]),
        ("hosts -i hosts.yml all -l @nofile", ["@nofile"]),
        ("hosts -i ho", ["ho"]),
        ("hosts -i web1,", []),
        ("hosts -i web1,web2, web", ["web1", "web2"]),
        ("run -i hosts.yml web01 -- --", []),
        ("run -i hosts.yml web01 -- we", []),
        ("run -o strict", ["StrictHostKeyChecking="]),
        (
            "run -o StrictHostKeyChecking=a",
            ["StrictHostKeyChecking=ask", "StrictHostKeyChecking=accept-new"],
        ),
        ("run -o port=", []),
        ("run -o nonsense=", []),
        ("run -o Proxy", ["ProxyCommand=", "ProxyJump="]),
        ("run -o PKCS", []),
    ],
)
def test_what_could_stand_at_the_cursor_is_offered(offered, line, expected):
    """
    Commands, options, values, hosts and groups of the chosen inventory, settings, files.
    """
    assert offered(line) == expected


def test_options_are_offered_before_the_dashes(offered):
    """
    Also in the middle of a command that is not complete yet.
    """
    assert set(offered("run -i hosts.yml web01 --")) >= {"--forks", "--inventory", "--debug"}
    assert offered("run --ret") == ["--retries"]


@pytest.mark.parametrize(
    ("line", "word", "expected"),
    [
        ("hosts -i hosts.yml web:d", "d", ["db1"]),
        ("hosts -i hosts.yml web:@e", "@e", ["@eu"]),
        ("hosts -i hosts.yml web:", "", ["all", "eu", "web", "web01", "web02", "web03", "db1"]),
        ("hosts -i hosts.yml 'web:&e", "web:&e", ["web:&eu"]),
        ("run --format=js", "js", ["json"]),
        ("run -o StrictHostKeyChecking=y", "y", ["yes"]),
        (
            "run -o StrictHostKeyChecking=y",
            "StrictHostKeyChecking=y",
            ["StrictHostKeyChecking=yes"],
        ),
    ],
)
def test_only_what_bash_replaces_is_offered(offered, line, word, expected):
    """
    Bash ends words at colons and equal signs, unless they are quoted.
    """
    assert offered(line, word=word) == expected


def test_inventory_comes_from_where_commands_take_it(offered, monkeypatch):
    """
    The variable, then the settings file; without any, nothing is offered.
    """
    assert offered("hosts we") == []
    Path("fleetctl.yml").write_text("inventory: hosts.yml\n")
    Path.cwd().chmod(0o755)
    assert offered("hosts web0") == ["web01", "web02", "web03"]
    monkeypatch.setenv("FLEETCTL_INVENTORY", "env1,")
    assert offered("hosts e") == ["env1"]


@pytest.mark.parametrize(
    "text", ["all: {hosts: {web1: {ssh: {Prot: 1}}}}", "[", "- a", "\x00", "all: {hosts: {}}"]
)
def test_mistakes_are_not_told_into_the_line(offered, text):
    """
    A broken inventory or settings file offers nothing and says nothing.
    """
    Path("hosts.yml").write_text(text)
    assert offered("hosts -i hosts.yml ") == []
    Path("fleetctl.yml").write_text("fork: 1\n")
    assert offered("hosts -i web1, ") == []
    assert offered("nonsense ") == []


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_printed(shell, capsys):
    """
    `fleetctl completion SHELL` prints a script that asks fleetctl.
    """
    assert fleetctl("completion", shell) == 0
    out = capsys.readouterr().out
    assert f"_FLEETCTL_COMPLETE={shell}_complete" in out
    assert "%(" not in out


@pytest.mark.parametrize(
    ("shell", "environ", "printed"),
    [
        (
            "zsh",
            {"COMP_WORDS": "fleetctl hosts -i hosts.yml w", "COMP_CWORD": "4"},
            "plain\nweb\ngroup, 3 hosts\nplain\nweb01\n_\nplain\nweb02\n_\nplain\nweb03\n_\n",
        ),
        (
            "fish",
            {"COMP_WORDS": "fleetctl hosts -i hosts.yml e", "COMP_CWORD": "e"},
            "plain,eu\tgroup, 2 hosts\n",
        ),
    ],
)
def test_zsh_and_fish_get_descriptions_too(shell, environ, printed, tmp_path, monkeypatch, capsys):
    """
    In the form their scripts read.
    """
    monkeypatch.chdir(tmp_path)
    Path("hosts.yml").write_text(INVENTORY)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert answer(root, f"{shell}_complete") == 0
    assert capsys.readouterr().out == printed


def test_an_unknown_shell_is_refused(capsys):
    """
    Exit 2, from the command and from a script that is not ours.
    """
    assert fleetctl("completion", "tcsh") == 2
    assert answer(root, "tcsh_complete") == 2
