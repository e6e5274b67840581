"""
Inventories made from ssh_config: the hosts it names, with what it sets for them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from textwrap import dedent

import pytest

from fleetctl.inventory.load import load_inventory
from fleetctl.model.errors import UsageError
from fleetctl.wiring.inventories import import_ssh_config


def trusting(_path: Path, _data: bytes) -> bool:
    return True


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """Import text as the file config of the current directory, with files beside it."""
    monkeypatch.chdir(tmp_path)

    def run(text, *, is_trusted=trusting, **files):
        for name, content in {"config": text, **files}.items():
            Path(name).write_text(dedent(content).lstrip("\n"))
            Path(name).chmod(0o600)
        return import_ssh_config(["config"], environ=os.environ, is_trusted=is_trusted)

    return run


def notes(written):
    return [f"{note.where}: {note.message}" for note in written.notes]


def test_named_hosts_have_what_counts_for_them(imported):
    """
    The first value that is found, from every block that applies; said once if most hosts have it.
    """
    written = imported("""
    Host gw
        HostName gate.example.com
        Port 2222
    Host web1 web2 web3
        HostName %h.example.com
        IdentityFile ~/.ssh/web
    Host web3
        User root
    Host *
        User deploy
        IdentityFile ~/.ssh/fleet
        ServerAliveInterval 1m
    """)
    assert notes(written) == []
    assert written.hosts == 4
    assert written.text == dedent("""\
        all:
          ssh: {HostName: "%h.example.com", User: deploy, ServerAliveInterval: 60}
          hosts:
            gw: {ssh: {HostName: gate.example.com, Port: 2222, IdentityFile: ~/.ssh/fleet}}
            web[1-2]: {ssh: {IdentityFile: [~/.ssh/web, ~/.ssh/fleet]}}
            web3: {ssh: {User: root, IdentityFile: [~/.ssh/web, ~/.ssh/fleet]}}
        """)


def test_what_is_written_is_read_as_it_was_meant(imported):
    """
    Percent signs, several files, quoted words, words that YAML would take for something else.
    """
    written = imported("""
    Host a
        HostName fe80::1%%eth0
        UserKnownHostsFile "/x/%%y" "~/b c"
        IdentityFile ~/.ssh/%r@%h
        SetEnv A=1 "B=x y"
        StrictHostKeyChecking off
        HostKeyAlias on
    """)
    Path("hosts.yml").write_text(written.text)
    inventory = load_inventory(["hosts.yml"], is_trusted=trusting)
    settings = inventory.hosts["a"].settings
    assert inventory.hosts["a"].hostname == "fe80::1%eth0"
    assert settings.user_known_hosts_files[0] == "/x/%y"
    assert settings.user_known_hosts_files[1].endswith("/b c")
    assert settings.identity_files[0].endswith("@fe80::1%eth0")
    assert settings.set_env == {"A": "1", "B": "x y"}
    assert settings.strict_host_key_checking == "no"
    assert settings.host_key_alias == "on"


def test_every_line_that_is_not_taken_is_named(imported):
    """
    What has no effect here, what is wrong for us, blocks of nobody, names that no host can have.
    """
    written = imported("""
    Host a b
        ControlMaster auto
        ConnectionAttempts 2000
        GSSAPIAuthentication yes
        GSSAPIAuthentication no
    Host vars "c d"
        User x
    Host *.example.com
        User y
    Match host nobody
        User z
    Host c
        HostbasedAuthentication no
        ConnectTimeout none
    """)
    assert [re.sub("(used: ).*", r"\1", note) for note in notes(written)] == [
        "config:2: left out: ControlMaster has no effect here",
        'config:3: left out: ConnectionAttempts: a number from 1 to 1000 is expected, not "2000"',
        "config:4: left out: GSSAPIAuthentication cannot be used: ",
        'config:6: left out: "vars" has a meaning of its own in an inventory',
        'config:6: left out: "c d" contains a space',
        'config:6: left out: what follows `Host vars "c d"` counts for no host that is named',
        "config:8: left out: what follows `Host *.example.com` counts for no host that is named",
        "config:10: left out: what follows `Match host nobody` counts for no host that is named",
    ]
    assert written.text == "all:\n  hosts:\n    a:\n    b:\n    c:\n"


def test_included_files_name_hosts_too(imported, tmp_path):
    """
    Under the conditions under which they are included.
    """
    written = imported(
        f"""
        Host a b
            Include {tmp_path}/more
        Host b
            User late
        """,
        more="User early\nHost c\n  Port 5\n",
    )
    assert written.text == dedent("""\
        all:
          hosts:
            a: {ssh: {User: early}}
            b: {ssh: {User: early}}
            c:
        """)
    assert notes(written) == [
        f"{tmp_path}/more:2: left out: what follows `Host c` counts for no host that is named",
        "config:3: left out: what follows `Host b` counts for no host that is named",
    ]


def test_no_command_is_run_to_find_out_what_counts(imported, tmp_path):
    """
    A host for which Match exec is asked is left out, even if the file is trusted.
    """
    written = imported(f"""
    Host a
        Port 1
    Host b
        Port 2
    Match originalhost b exec "touch {tmp_path}/ran"
        User x
    """)
    assert not (tmp_path / "ran").exists()
    assert written.text == "all:\n  hosts:\n    a: {ssh: {Port: 1}}\n"
    assert notes(written)[0].startswith("config:5: left out: b: Match exec runs a command on this")


def test_a_file_that_is_not_trusted_brings_nothing_that_runs_commands(imported):
    """
    What is imported would be one's own: an import must not launder a project's ssh_config.
    """
    with pytest.raises(UsageError) as caught:
        imported("Host a\n  StrictHostKeyChecking no\n", is_trusted=lambda _path, _data: False)
    (problem,) = caught.value.problems
    assert problem.where == "config:2"
    assert problem.hint == "fleetctl trust config"


def test_mistakes_of_the_file_are_shown(imported):
    """
    All of them, as ssh would complain.
    """
    with pytest.raises(UsageError) as caught:
        imported("Host a\n  Prot 22\n  Port x\n")
    assert [problem.where for problem in caught.value.problems] == ["config:2", "config:3"]
