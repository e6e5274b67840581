"""
This machine as the target of a command line.
"""

from __future__ import annotations

import pytest

from tests.unit.cli.fakes import FakeEngine, fleetctl


def targets(*words):
    """Type ``ping`` with these words; return the hosts that were to be reached."""
    engine = FakeEngine()
    assert fleetctl("ping", *words, engine=engine) == 0
    return [assignment.host for assignment in engine.runs[0].assignments]


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_this_machine_needs_no_inventory(name):
    """
    Its names mean it, as in Ansible, and nothing is dialled.
    """
    (host,) = targets(name)
    assert (host.name, host.connection) == (name, "local")


def test_this_machine_beside_the_hosts_of_an_inventory():
    """
    With an inventory it is a host among others, but not one of all.
    """
    assert [host.connection for host in targets("-i", "web1,", "web1,localhost")] == [
        "ssh",
        "local",
    ]
    assert [host.name for host in targets("-i", "web1,", "all")] == ["web1"]


def test_a_localhost_that_is_written_down_is_dialled():
    """
    Whoever names it in an inventory says what it is.
    """
    (host,) = targets("-i", "localhost,", "localhost")
    assert host.connection == "ssh"


@pytest.mark.parametrize("pattern", ["all", "web1", "localhost,web1", "local*"])
def test_everything_else_needs_an_inventory(pattern, capsys):
    """
    Without one there are no other hosts.
    """
    assert fleetctl("ping", pattern) == 2
    assert "no inventory given" in capsys.readouterr().err


def test_options_are_checked_although_this_machine_needs_none(capsys):
    """
    A mistake in them is a mistake.
    """
    assert fleetctl("ping", "localhost", "-o", "Prot=22") == 2
    assert "Prot" in capsys.readouterr().err
