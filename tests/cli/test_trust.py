"""
Trust and settings, typed at the real program.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shell import fleetctl


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project that somebody else wrote; we stand in it."""
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    monkeypatch.chdir(folder)
    Path("hosts.yml").write_text("all: {hosts: {web1: , web2: }}\n")
    return folder


def test_S23_from_refusal_to_trust_and_back(project):
    """
    Refused, trusted with the line of the hint, used, changed, refused again, revoked.
    """
    Path("fleetctl.yml").write_text("inventory: hosts.yml\nhistory: no\n")
    refused = fleetctl("hosts", "all")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "fleetctl: fleetctl.yml:2:1: history keeps runs out of the history, "
        "which only a trusted file may do\n"
        "hint: fleetctl trust fleetctl.yml\n"
    )
    hint = refused.err.splitlines()[-1].removeprefix("hint: fleetctl ").split()
    assert fleetctl(*hint).code == 0
    assert fleetctl("hosts", "all").out == "web1\nweb2\n"

    Path("fleetctl.yml").write_text("inventory: hosts.yml\nhistory: no\nforks: 1\n")
    changed = fleetctl("hosts", "all")
    assert changed.code == 2
    assert "; it changed since it was trusted on 20" in changed.err

    assert fleetctl("trust", "fleetctl.yml").code == 0
    assert fleetctl("hosts", "all").code == 0
    assert fleetctl("trust", "--revoke", "fleetctl.yml").code == 0
    assert fleetctl("hosts", "all").code == 2


def test_S25_a_state_folder_of_somebody_else_is_refused(project, private_home):
    """
    What is trusted is not read from where others can write.
    """
    Path("fleetctl.yml").write_text("inventory: hosts.yml\nhistory: no\n")
    assert fleetctl("trust", "fleetctl.yml").code == 0
    (private_home / ".local/state/fleetctl").chmod(0o777)
    refused = fleetctl("hosts", "all")
    assert refused.code == 2
    assert "can be written by everybody, so what is trusted cannot be kept here" in refused.err


def test_every_command_reads_the_settings(project):
    """
    A mistake in fleetctl.yml stops commands that would use it, not the help.
    """
    Path("fleetctl.yml").write_text("inventroy: hosts.yml\n")
    for words in (("hosts", "all"), ("ping", "all"), ("run", "all", "--", "true")):
        done = fleetctl(*words)
        assert done.code == 2
        assert "did you mean inventory?" in done.err
    assert fleetctl("--help").code == 0
    assert fleetctl("run", "--help").code == 0
