"""
Settings files on the command line: they stand in for options that are not given.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S
from tests.unit.cli.fakes import FakeEngine, fleetctl


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder of ours, in which we stand."""
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    monkeypatch.chdir(folder)
    return folder


def write(text, path="fleetctl.yml"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def run_of(*words):
    """Type a run; return what the engine got."""
    engine = FakeEngine()
    assert fleetctl("run", *words, "--", "true", engine=engine) == 0
    (run,) = engine.runs
    return run


def test_settings_stand_in_for_options(project):
    """
    Forks, retries, label, timeout, output limit and inventory come from fleetctl.yml.
    """
    write(
        "forks: 7\nretries: 2\nlabel: nightly\ntimeout: 1m\nmax_output: 1K\ninventory: 'a,b'\n"
        "format: stream\n"
    )
    run = run_of("all")
    assert (run.limits.forks, run.limits.retries, run.label) == (7, 2, "nightly")
    assert [each.host.name for each in run.assignments] == ["a", "b"]
    operation = run.assignments[0].operation
    assert (operation.timeout_s, operation.max_output_bytes) == (60, 1024)


def test_command_line_wins_over_settings(project):
    """
    What is typed counts, also when it is the built-in default.
    """
    write("forks: 7\nlabel: nightly\ninventory: 'a,b'\ntimeout: 1m\n")
    run = run_of("all", "-f", "100", "-i", "c,", "--timeout", "5")
    assert (run.limits.forks, run.label) == (100, "nightly")
    assert [each.host.name for each in run.assignments] == ["c"]
    assert run.assignments[0].operation.timeout_s == 5


def test_environment_wins_over_settings_for_the_inventory(project, monkeypatch):
    """
    FLEETCTL_INVENTORY is nearer than a file.
    """
    write("inventory: 'a,'\n")
    monkeypatch.setenv("FLEETCTL_INVENTORY", "b,")
    assert [each.host.name for each in run_of("all").assignments] == ["b"]


def test_format_of_the_settings_is_used(project, capsys):
    """
    `format: json` makes every run print JSON; commands with other formats are not concerned.
    """
    write("format: json\ninventory: 'a,'\n")
    run_of("all")
    assert capsys.readouterr().out.startswith('{"hosts":')
    assert fleetctl("hosts", "all") == 0
    assert capsys.readouterr().out == "a\n"


def test_connect_timeout_of_the_settings_is_a_weak_default(project):
    """
    It replaces the built-in one; an inventory or -T is stronger.
    """
    write("connect_timeout: 3\n")
    write("all: {hosts: {a: , b: {ssh: {ConnectTimeout: 5}}}}", "hosts.yml")

    def timeouts(*words):
        run = run_of("-i", "hosts.yml", "all", *words)
        return {
            each.host.name: (
                each.host.settings.connect_timeout_s,
                each.host.settings.origin["ConnectTimeout"],
            )
            for each in run.assignments
        }

    assert timeouts() == {"a": (3.0, "fleetctl.yml:1"), "b": (5.0, "hosts.yml:1")}
    assert timeouts("-T", "9") == {
        "a": (9.0, "--connect-timeout"),
        "b": (9.0, "--connect-timeout"),
    }


def test_users_settings_are_read_too(project, private_home):
    """
    What the project leaves open is taken from ~/.config/fleetctl/config.yml.
    """
    write("forks: 3\ninventory: 'a,'\n", private_home / ".config/fleetctl/config.yml")
    write("forks: 7\n")
    run = run_of("all")
    assert run.limits.forks == 7
    assert run.assignments[0].host.name == "a"


def test_mistakes_in_settings_are_told_before_anybody_is_contacted(project, capsys):
    """
    Exit 2 with all of them; the help still works.
    """
    write("fork: 7\nretries: x\n")
    engine = FakeEngine()
    assert fleetctl("run", "-i", "a,", "all", "--", "true", engine=engine) == 2
    assert engine.runs == []
    assert capsys.readouterr().err == (
        'fleetctl: fleetctl.yml:1:1: "fork" is not a setting\n'
        "hint: did you mean forks?\n"
        'fleetctl: fleetctl.yml:2:10: retries: a whole number is expected, not "x"\n'
    )
    assert fleetctl("run", "--help") == 0


@pytest.mark.parametrize("line", ["confirm_above: 5", "history: no"])
def test_S23_project_settings_that_weaken_checks_need_trust(project, capsys, line):
    """
    An error with line and command; after the command it works; after a change it asks again.
    """
    write(f"{line}\ninventory: 'a,'\n")
    assert fleetctl("hosts", "all") == 2
    err = capsys.readouterr().err
    assert err.startswith("fleetctl: fleetctl.yml:1:1: ")
    assert "which only a trusted file may do\nhint: fleetctl trust fleetctl.yml\n" in err
    assert fleetctl("trust", "fleetctl.yml") == 0
    assert fleetctl("hosts", "all") == 0
    write(f"{line}\ninventory: 'b,'\n")
    capsys.readouterr()
    assert fleetctl("hosts", "all") == 2
    assert "which only a trusted file may do; it changed since it was trusted on 20" in (
        capsys.readouterr().err
    )


def test_the_users_own_settings_need_no_trust(project, private_home, monkeypatch):
    """
    ~/.config/fleetctl/config.yml is one's own, and so is a file that FLEETCTL_CONFIG names.
    """
    own = private_home / ".config/fleetctl/config.yml"
    write("history: no\ninventory: 'a,'\n", own)
    assert fleetctl("hosts", "all") == 0
    own.unlink()
    write("history: no\ninventory: 'b,'\n", "mine.yml")
    monkeypatch.setenv("FLEETCTL_CONFIG", "mine.yml")
    assert fleetctl("hosts", "all") == 0


def test_settings_that_others_can_write_are_not_ones_own(project, private_home, capsys):
    """
    Even in ~/.config/fleetctl, a file of mode 666 needs trust, and the error says why.
    """
    own = private_home / ".config/fleetctl/config.yml"
    write("history: no\ninventory: 'a,'\n", own)
    own.chmod(0o666)
    assert fleetctl("hosts", "all") == 2
    assert f"it is not yours alone: {own} can be written by everybody" in capsys.readouterr().err


def test_S26_settings_in_a_folder_for_everybody_are_ignored(project, capsys):
    """
    With a warning, once, and the command goes on.
    """
    write("inventory: 'a,'\n")
    project.chmod(0o777)
    assert fleetctl("hosts", "-i", "b,", "all") == 0
    out, err = capsys.readouterr()
    assert out == "b\n"
    assert err.count("warning: fleetctl.yml: ignored, because everybody can write") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("-i", "a,", "-u", "-oProxyCommand=x"),
        ("-i", "a,", "-u", "kim;reboot"),
        ("-i", "a,", "-u", "$(reboot)"),
        ("-i", "a,", "-o", "User=`id`"),
        ("-i", "-x@a,"),
        ("-i", "a,kim|sh@b,"),
    ],
)
def test_S18_user_names_that_ssh_refuses_are_refused(words, capsys):
    """
    A name that could become an option or a command elsewhere never gets that far.
    """
    engine = FakeEngine()
    assert fleetctl("ping", *words, "all", engine=engine) == 2
    assert engine.runs == []
    assert "cannot be the name of a user" in capsys.readouterr().err


def test_user_names_that_ssh_takes_are_taken():
    """
    Dots, dashes inside, domains of Windows and a dollar at the end are no commands.
    """
    for user in ("kim.lee", "web-01", "DOMAIN\\kim", "kim@corp", "host$"):
        assert fleetctl("ping", "-i", "a,", "-u", user, "all", engine=FakeEngine()) == 0


def test_without_settings_files_nothing_is_loaded_for_them(tmp_path):
    """
    Neither pydantic nor YAML nor the records of trust cost those who have no settings.
    """
    script = (
        "import sys; from fleetctl.cli.main import main; main(['hosts', '-i', 'a,', 'all']);"
        "print([m for m in ('pydantic', 'yaml', 'fleetctl.trust.store') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.stdout == "a\n[]\n"
