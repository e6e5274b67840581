"""
What is asked of this machine is answered, and nothing else is.
"""

from __future__ import annotations

import os
import pwd

from fleetctl.sshconfig.interfaces import list_addresses
from fleetctl.sshconfig.surroundings import Surroundings


def test_the_process_is_looked_at_once():
    """
    User, home and groups come from the user database, variables from the caller only.
    """
    here = Surroundings.from_process({"A": "b"})
    entry = pwd.getpwuid(os.getuid())
    assert (here.user, here.uid, here.home) == (entry.pw_name, entry.pw_uid, entry.pw_dir)
    assert here.environment == {"A": "b"}
    assert here.include_home == entry.pw_dir
    assert here.find_home(entry.pw_name) == entry.pw_dir
    assert here.find_home("no such user") is None
    assert not here.is_private_group(2**31 - 7)


def test_home_of_includes_is_the_variable():
    """
    HOME counts for relative Includes, as in ssh.
    """
    assert Surroundings.from_process({"HOME": "/x"}).include_home == "/x"
    assert Surroundings.from_process({"HOME": ""}).include_home == pwd.getpwuid(os.getuid()).pw_dir


def test_addresses_are_those_of_interfaces_that_are_up():
    """
    The loopback address is always among them, and none is there twice.
    """
    found = list_addresses()
    assert "127.0.0.1" in found
    assert len(set(found)) == len(found)
