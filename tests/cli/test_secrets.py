"""
What a login takes from the inventory, and what it leaves in the state folder.
"""

from __future__ import annotations

import pytest

from tests.cli.shell import fleetctl
from tests.support.keys import keygen

pytestmark = pytest.mark.fleet


def test_the_password_of_a_host_variable(fleet, tmp_path):
    """
    ansible_password logs in at its host; the password is nowhere in the output.
    """
    host = fleet.host("password-only")
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(
        f"[own]\nweb1 ansible_host={host.address} ansible_port={host.port}"
        f" ansible_user={fleet.user} ansible_password={fleet.password}\n"
    )
    options = ("-o", f"UserKnownHostsFile={fleet.known_hosts}", "-o", "IdentityAgent=none")
    done = fleetctl("ping", "-i", str(inventory), "all", *options, "-vvv")
    assert done.code == 0, done.err
    assert fleet.password not in done.out + done.err


def test_the_password_of_a_program_for_each_host(fleet, tmp_path):
    """
    %n stands for the host's name; the command line comes before the host's own variable.
    """
    script = tmp_path / "password-of"
    script.write_text(f'#!/bin/sh\n[ "$1" = password-only ] && echo {fleet.password}\n')
    script.chmod(0o700)
    words = ("-i", str(fleet.inventory([fleet.host("password-only")])), "all")
    done = fleetctl("ping", *words, "--password-file", f"cmd:{script} %n")
    assert done.code == 0, done.err
    assert fleet.password not in done.out + done.err


def test_a_program_that_fails_fails_the_host_with_its_words(fleet):
    """
    The reason is the program's; what it printed before is not shown.
    """
    words = ("-i", str(fleet.inventory([fleet.host("password-only")])), "all")
    command = "cmd:echo hunter2; echo locked >&2; exit 2"
    done = fleetctl("ping", *words, "--password-file", command)
    assert done.code == 4
    assert "cmd: sh ended with exit status 2: locked" in done.out + done.err
    assert "hunter2" not in (done.out + done.err).replace("echo hunter2", "")


def test_the_key_that_worked_is_remembered(fleet, tmp_path, private_home):
    """
    A fingerprint in the state folder, readable by its owner alone, and no key.
    """
    wrong = keygen(tmp_path / "wrong", "-t", "ed25519")
    host = fleet.host("web01")
    words = ("-i", f"{fleet.user}@{host.address}:{host.port},", "all")
    options = ("-o", f"UserKnownHostsFile={fleet.known_hosts}", "-o", "IdentityAgent=none")
    keys = ("--identity", str(wrong), "--identity", str(fleet.identity))
    for _ in range(2):
        assert fleetctl("ping", *words, *options, *keys).code == 0
    file = private_home / ".local/state/fleetctl/login-keys"
    [line] = file.read_text().splitlines()
    assert line.startswith(f"{fleet.user}@{host.address}:{host.port} SHA256:")
    assert file.stat().st_mode & 0o077 == 0
