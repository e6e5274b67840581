"""
Which variables a SendEnv chooses.
"""

from __future__ import annotations

import pytest

from fleetctl.ssh.send_env import SentVariables, chosen_variables

ENVIRON = {"LANG": "C", "LC_ALL": "de", "LC_TIME": "x", "PATH": "/bin", "A.B": "1", "a": "2"}


@pytest.mark.parametrize(
    ("patterns", "names"),
    [
        ((), []),
        (("LANG",), ["LANG"]),
        (("LC_*", "LANG"), ["LANG", "LC_ALL", "LC_TIME"]),
        (("lang", "LAN", "ANG"), []),
        (("?",), ["a"]),
        (("A?B", "[a]"), ["A.B"]),
        (("*",), sorted(ENVIRON)),
    ],
)
def test_patterns_choose_names(patterns, names):
    """
    ``*`` and ``?`` are all there is of patterns, and case matters, as in ssh_config(5).
    """
    assert chosen_variables(patterns, ENVIRON) == {name: ENVIRON[name] for name in names}


def test_each_host_gets_what_its_own_SendEnv_chooses():
    """
    Hosts that differ do not get each other's variables, in whatever order they come.
    """
    sent = SentVariables(ENVIRON)
    asked: list[tuple[str, ...]] = [("LANG",), ("LANG",), ("LC_*",), (), ("LANG",)]
    assert [dict(sent.of(patterns)) for patterns in asked] == [
        chosen_variables(patterns, ENVIRON) for patterns in asked
    ]
