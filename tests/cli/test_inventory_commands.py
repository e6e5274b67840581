"""
``fleetctl inventory``: what is printed and written, and that secrets are shown on request only.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from fleetctl.cli.completion import answer
from fleetctl.cli.inventory_output import write_output
from fleetctl.cli.main import fleetctl as root
from fleetctl.cli.main import main
from fleetctl.inventory.vault import encrypt
from fleetctl.model.secret import Secret
from tests.cli.shell import fleetctl

INVENTORY = """\
all:
  vars: {tz: Europe/Berlin}
  ssh: {User: deploy}
  children:
    eu:
      children:
        web:
          vars: {tier: front}
          hosts:
            web[1:3]:
            web4: {ssh: {Port: 2222}}
    db: {hosts: {db1: {ansible_password: hunter2, note: "two\\nlines"}}}
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder that is one's own, with an inventory."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    (tmp_path / "hosts.yml").write_text(INVENTORY)
    (tmp_path / "hosts.yml").chmod(0o600)
    monkeypatch.setenv("FLEETCTL_INVENTORY", "hosts.yml")
    return tmp_path


@pytest.fixture
def say(capsys):
    """Type a command line; return its exit code, what it printed and what it said."""

    def run(*words):
        code = main(["inventory", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_groups_are_listed(say):
    """
    Folded for people, all names for programs.
    """
    assert say("list") == (
        0,
        "all      5  db1,web[1-4]\ndb       1  db1\neu       4  web[1-4]\nweb      4  web[1-4]\n",
        "",
    )
    code, out, _ = say("list", "--format", "json")
    assert code == 0
    assert json.loads(out)["db"] == ["db1"]


def test_groups_are_drawn(say):
    """
    All, or one of them; the name may have its @.
    """
    assert say("graph", "eu") == (
        0,
        "@eu:\n  |--@web:\n  |  |--web1\n  |  |--web2\n  |  |--web3\n  |  |--web4\n",
        "",
    )
    assert say("graph", "@eu")[1] == say("graph", "eu")[1]
    assert say("graph")[1].startswith("@all:\n  |--@ungrouped:\n  |--@eu:\n")


def test_a_group_that_is_not_there_is_explained(say):
    """
    With the nearest name, or the command for a host.
    """
    code, out, err = say("graph", "wbe")
    assert (code, out) == (2, "")
    assert err == 'fleetctl: there is no group "wbe"\nhint: did you mean web?\n'
    assert "fleetctl inventory show db1" in say("graph", "db1")[2]


def test_S01_S24_variables_are_drawn_without_secrets_and_on_one_line(say):
    """
    What comes from a file cannot move the cursor; a password is shown on request.
    """
    code, out, err = say("graph", "db", "--vars")
    assert code == 0
    assert out == (
        "@db:\n  |--db1\n  |  |--{ansible_password = [secret]}\n"
        "  |  |--{note = two\\nlines}\n  |  |--{tz = Europe/Berlin}\n"
    )
    assert err == "fleetctl: 1 secret is shown as [secret]; --show-secrets prints them\n"
    code, out, err = say("graph", "db", "--vars", "--show-secrets")
    assert "{ansible_password = hunter2}" in out
    assert err == ""


def test_a_host_is_shown(say):
    """
    Groups, variables, and the settings that the inventory makes, each with its place.
    """
    assert say("show", "web4") == (
        0,
        'web4: web4\ngroups: web, eu, all\nvar: tz = "Europe/Berlin"\nvar: tier = "front"\n'
        "setting: Port 2222  (hosts.yml:11)\nsetting: User deploy  (hosts.yml:3)\n",
        "",
    )
    code, out, _ = say("show", "db1", "--format", "json")
    assert code == 0
    assert json.loads(out) == {
        "name": "db1",
        "address": "db1",
        "groups": ["db", "all"],
        "vars": {"tz": "Europe/Berlin", "ansible_password": "[secret]", "note": "two\nlines"},
        "settings": {"User": {"value": "deploy", "origin": "hosts.yml:3"}},
    }
    assert "hunter2" in say("show", "db1", "--show-secrets")[1]
    code, _, err = say("show", "web*")
    assert (code, err) == (2, "fleetctl: show is for one host, not 4: web[1-4]\n")


def test_vaulted_values_stay_vaulted(say, project):
    """
    With their password, which reading takes, and also where other secrets are shown.
    """
    text = encrypt(b"s3cret", Secret("pw"))
    block = text.replace("\n", "\n      ")
    (project / "vaulted.yml").write_text(
        f"all:\n  hosts: {{a: }}\n  vars:\n    v: !vault |\n      {block}"
    )
    (project / "pw").write_text("pw\n")
    (project / "pw").chmod(0o600)
    source = ("-i", "vaulted.yml", "--vault-password-file", "pw")
    for words in (("show", "a", "--format", "json"), ("export", "--format", "json")):
        for more in ((), ("--show-secrets",)):
            code, out, _ = say(*words, *source, *more)
            assert code == 0
            assert json.dumps(text)[1:-1] in out
    assert "!vault |" in say("export", *source)[1]
    assert "s3cret" in say("graph", "--vars", "--show-secrets", *source)[1]
    code, _, err = say("list", "-i", "vaulted.yml")
    assert code == 2
    assert "--vault-password-file FILE" in err


def test_an_inventory_is_checked(say, project):
    """
    Exit code 0 says that there is no mistake.
    """
    assert say("check") == (0, "no mistakes: 5 hosts in 4 groups\n", "")
    (project / "hosts.yml").write_text("all: {hosts: {a: {ssh: {Prot: 1}}}}")
    code, out, err = say("check")
    assert (code, out) == (2, "")
    assert "did you mean Port?" in err


# -- export


def test_an_export_is_read_again_as_the_same(say, project):
    """
    In our own form, with what was left out said on stderr and in the file.
    """
    code, out, err = say("export", "--output", "again.yml")
    assert (code, out) == (0, "")
    assert err == "fleetctl: warning: db1: ansible_password is a secret; write it anew, vaulted\n"
    text = (project / "again.yml").read_text()
    assert text.startswith("# db1: ansible_password is a secret")
    for words in (("show", "web4"), ("graph",), ("list",)):
        before, after = (say(*words, "-i", file)[1] for file in ("hosts.yml", "again.yml"))
        assert before.split("setting:")[0] == after.split("setting:")[0]


def test_an_export_for_ansible_says_how_many_secrets_it_hides(say):
    """
    JSON on standard output, the note beside it.
    """
    code, out, err = say("export", "--format", "ansible")
    assert code == 0
    variables = json.loads(out)["_meta"]["hostvars"]
    assert variables["db1"]["ansible_password"] == "[secret]"
    assert variables["web4"]["ansible_port"] == 2222
    assert err == "fleetctl: 1 secret is shown as [secret]; --show-secrets prints them\n"
    code, out, err = say("export", "--format", "ansible", "--show-secrets")
    assert json.loads(out)["_meta"]["hostvars"]["db1"]["ansible_password"] == "hunter2"
    assert err == ""


def test_an_export_for_programs_has_everything(say):
    """
    Groups, and each host as ``show`` has it.
    """
    _, out, _ = say("export", "--format", "json")
    found = json.loads(out)
    assert found["groups"]["eu"] == ["web1", "web2", "web3", "web4"]
    _, shown, _ = say("show", "web4", "--format", "json")
    assert found["hosts"]["web4"] == json.loads(shown)


def test_a_file_is_replaced_as_a_whole(say, project, monkeypatch):
    """
    If it cannot be written to the end, the one that was there stays, and nothing is left beside it.
    """
    target = project / "out.yml"
    target.write_text("before")
    target.chmod(0o640)

    def fail(_fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):  # which ends with exit code 6
            write_output("after", "out.yml")
    assert target.read_text() == "before"
    assert sorted(path.name for path in project.iterdir()) == ["hosts.yml", "out.yml"]
    assert say("export", "--output", "out.yml")[0] == 0
    assert target.read_text().startswith("# db1")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_S25_a_file_with_secrets_is_for_its_owner_alone(say, project):
    """
    Whatever the umask is, and whoever could read the file before.
    """
    (project / "open.yml").write_text("")
    (project / "open.yml").chmod(0o644)
    for name in ("open.yml", "new.yml"):
        assert say("export", "--show-secrets", "--output", name)[0] == 0
        assert stat.S_IMODE((project / name).stat().st_mode) == 0o600
        assert "hunter2" in (project / name).read_text()


def test_links_and_devices_are_written_through(say, project):
    """
    A link leads where it led before, and nobody replaces /dev/null.
    """
    (project / "link.yml").symlink_to(project / "real.yml")
    assert say("export", "--output", "link.yml")[0] == 0
    assert (project / "link.yml").is_symlink()
    assert (project / "real.yml").read_text()
    assert say("export", "--output", "/dev/null")[0] == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    code, _, err = say("export", "--output", "missing/out.yml")
    assert code == 2
    assert "fleetctl: missing/out.yml: it cannot be written: No such file or directory\n" in err


# -- the rest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("inventory gr", ["graph"]),
        ("inventory graph ", ["all", "db", "eu", "web"]),
        ("inventory graph w", ["web"]),
        ("inventory graph @w", ["@web"]),
        ("inventory graph db", ["db"]),
        ("inventory import e", ["etc_hosts"]),
        ("inventory export --format a", ["ansible"]),
        ("inventory show web", ["web1", "web2", "web3", "web4"]),
    ],
)
def test_groups_are_offered_where_a_group_is_asked_for(
    line, expected, project, monkeypatch, capsys
):
    """
    And hosts where a host is.
    """
    (project / "hosts.yml").write_text(INVENTORY.replace("ansible_password: hunter2, ", ""))
    monkeypatch.setenv("COMP_LINE", f"fleetctl {line}")
    monkeypatch.setenv("COMP_WORD", line.rpartition(" ")[2])
    assert answer(root, "bash_complete") == 0
    offered = [each.partition("\t")[2] for each in capsys.readouterr().out.splitlines()]
    assert offered == expected


@pytest.mark.parametrize("command", ["list", "graph", "show", "check", "export", "import"])
def test_help_has_examples(command, say):
    """
    Every command says how it is used.
    """
    code, out, _ = say(command, "--help")
    assert code == 0
    assert f"fleetctl inventory {command}" in out.split("Example")[1]


@pytest.mark.fleet
def test_a_whole_process_prints_the_same(project):
    """
    As it is typed: the graph on standard output and nothing else.
    """
    done = fleetctl("inventory", "graph", "web")
    assert (done.code, done.err) == (0, "")
    assert done.out == "@web:\n  |--web1\n  |--web2\n  |--web3\n  |--web4\n"
