"""
``fleetctl inventory import``: an inventory of what is there, and what is said about the rest.
"""

from __future__ import annotations

import pytest

from fleetctl.cli.main import main


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder that is one's own."""
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def say(capsys):
    """Type a command line; return its exit code, what it printed and what it said."""

    def run(*words):
        code = main(["inventory", *words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_what_is_imported_can_be_used_at_once(say, project):
    """
    YAML on standard output, warnings with file and line beside it.
    """
    (project / "hosts").write_text("10.0.0.1 web1\n10.0.0.2 web1\n127.0.0.1 localhost\n")
    code, out, err = say("import", "/etc/hosts", "hosts")
    assert code == 0
    assert err == (
        'fleetctl: warning: hosts:2: left out: "web1" has the address 10.0.0.1 already\n'
    )
    (project / "new.yml").write_text(out)
    assert say("show", "web1", "-i", "new.yml")[1].startswith("web1: 10.0.0.1\n")
    assert say("import", "etc_hosts", "hosts", "--output", "new2.yml")[0] == 0
    assert (project / "new2.yml").read_text() == out


def test_usual_files_need_not_be_named(say, private_home):
    """
    ~/.ssh/config and ~/.ssh/known_hosts.
    """
    (private_home / ".ssh").mkdir(mode=0o700)
    (private_home / ".ssh" / "config").write_text("Host gw\n  Port 2222\n")
    (private_home / ".ssh" / "known_hosts").write_text("db1 ssh-ed25519 AAAA\n|1|a|b ssh-rsa A\n")
    assert say("import", "ssh_config")[1] == "all:\n  hosts:\n    gw: {ssh: {Port: 2222}}\n"
    code, out, err = say("import", "known_hosts")
    assert (code, out) == (2, "")
    assert "1 of 2 lines have hashed names, which cannot be read back" in err
    assert "hint: leave them out with --skip-hashed" in err
    assert say("import", "known_hosts", "--skip-hashed")[1] == "all:\n  hosts:\n    db1:\n"


def test_an_inventory_of_ansibles_is_imported_with_its_groups(say, project):
    """
    Whatever Ansible reads: a directory with INI, and variables beside it.
    """
    (project / "inv" / "group_vars").mkdir(parents=True)
    (project / "inv" / "hosts").write_text("[web]\nweb1 ansible_host=10.0.0.1\nweb2\n")
    (project / "inv" / "group_vars" / "web.yml").write_text("tier: front\n")
    assert say("import", "ansible", "inv") == (
        0,
        "all:\n  children:\n    web:\n      vars: {tier: front}\n      hosts:\n"
        '        web1: {vars: {ansible_host: "10.0.0.1"}}\n        web2:\n',
        "",
    )


def test_groups_of_clustershell_are_imported(say, project):
    """
    From the group source that is asked for.
    """
    (project / "g.yaml").write_text("roles: {web: 'w[1-3]'}\nracks: {r1: 'w1'}\n")
    code, _, err = say("import", "clustershell", "g.yaml")
    assert code == 2
    assert "there are several group sources: roles, racks\nhint: choose with --source" in err
    _, out, _ = say("import", "clustershell", "g.yaml", "--source", "roles")
    assert out == "all:\n  children:\n    web:\n      hosts:\n        w[1-3]:\n"


def test_an_import_without_a_host_is_an_error(say, project):
    """
    An empty inventory would be an inventory.
    """
    (project / "config").write_text("Host *\n  Port 22\n")
    code, out, err = say("import", "ssh_config", "config")
    assert (code, out) == (2, "")
    assert "fleetctl: there is no host in config\nhint: a Host line without wildcards" in err
    assert say("import", "clustershell")[0] == 2
    assert say("import", "etc_hosts", "nothing", "more")[2].count("there is no such file") == 2
    code, _, err = say("import", "genders", "file")
    assert code == 2
    assert "ssh_config" in err


def test_S23_an_import_does_not_launder_what_others_wrote(say, project):
    """
    A folder that others can write to: what is in it may not weaken checks on its way through.
    """
    (project / "config").write_text("Host a\n  StrictHostKeyChecking no\n")
    (project / "hosts.ini").write_text("a ansible_ssh_common_args='-o StrictHostKeyChecking=no'\n")
    assert say("import", "ssh_config", "config")[0] == 0
    assert say("import", "ansible", "hosts.ini")[0] == 0
    project.chmod(0o777)
    for words in (("ssh_config", "config"), ("ansible", "hosts.ini")):
        code, out, err = say("import", *words)
        assert (code, out) == (2, "")
        assert f"hint: fleetctl trust {words[1]}" in err
