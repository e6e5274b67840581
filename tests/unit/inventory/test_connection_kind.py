"""
Which hosts are this machine itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetctl.inventory.pattern import select


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        *((kind, "ssh") for kind in ("ssh", "smart", "paramiko", "paramiko_ssh")),
        ("ansible.builtin.ssh", "ssh"),
        ("local", "local"),
        ("ansible.builtin.local", "local"),
    ],
)
def test_ansible_connection_says_how_a_host_is_reached(kind, expected, load):
    """
    What Ansible calls by several names is SSH for us; local is this machine.
    """
    host = load(f"all: {{hosts: {{a: {{ansible_connection: {kind}}}}}}}").hosts["a"]
    assert host.connection == expected


def test_hosts_are_dialled_unless_somebody_says_otherwise(load):
    """
    A host is not this machine for being called localhost, if it was written down.
    """
    hosts = load("all: {hosts: {web1: , localhost: }}").hosts
    assert {host.connection for host in hosts.values()} == {"ssh"}


def test_the_strongest_that_says_it_counts(load, tmp_path):
    """
    It is a variable as any other: the host is stronger than its groups, host_vars are stronger
    than both.
    """
    (tmp_path / "host_vars").mkdir()
    Path(tmp_path, "host_vars", "c.yml").write_text("ansible_connection: local\n")
    hosts = load(
        """
        all:
          children:
            here:
              vars: {ansible_connection: local}
              hosts: {a: , b: {ansible_connection: ssh}}
          hosts: {c: {ansible_connection: ssh}}
        """
    ).hosts
    kinds = {name: host.connection for name, host in hosts.items()}
    assert kinds == {"a": "local", "b": "ssh", "c": "local"}


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_the_implicit_localhost_is_local(name, load):
    """
    By each of its names, whatever a group of everybody says about connections.
    """
    inventory = load("all: {vars: {ansible_connection: ssh}, hosts: {web1: }}")
    (host,) = select(inventory, name)
    assert (host.name, host.connection) == (name, "local")
