"""
Which commands need a shell.
"""

from __future__ import annotations

import subprocess

import pytest

from fleetctl.ssh.proxy_command import command_argv

PLAIN = [
    "nc web1 22",
    "/usr/bin/nc -X connect -x proxy.example.org:3128 web1 22",
    "ssh -W web1:22 user@gate",
    "prog --option=value a+b a,b %x",
    "  nc   web1  22  ",
]
NEEDS_SHELL = [
    "nc web1 22 2>/dev/null",
    "nc $HOST 22",
    "nc `hostname` 22",
    "nc 'web1' 22",
    'nc "web1" 22',
    "nc web1 22; true",
    "nc web1 22 | tee log",
    "nc web1 22 & wait",
    "nc ~/socket",
    "nc we*1 22",
    "nc we?1 22",
    "nc web[1] 22",
    "nc {a,b}",
    "nc a\\ b",
    "A=1 nc web1 22",
    "nc web1 22 # comment",
    "!nc web1 22",
    "-a name nc web1",
    "nc\tweb1 22",
    "nc web1\n22",
    "nc wéb1 22",
    "(nc web1 22)",
    "",
]


@pytest.mark.parametrize("command", PLAIN)
def test_plain_words_are_run_without_a_shell(command):
    """
    What a shell would only split at spaces is split here, and into the same words.
    """
    argv = command_argv(command, "/bin/sh")
    assert argv == command.split()
    shown = subprocess.run(
        ["/bin/sh", "-c", f"printf '%s\\n' {command}"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines() == argv


@pytest.mark.parametrize("command", NEEDS_SHELL)
def test_whatever_a_shell_might_change_is_left_to_it(command):
    """
    Anything a shell could see a meaning in goes to the user's shell, as ssh does it.
    """
    assert command_argv(command, "/bin/zsh") == ["/bin/zsh", "-c", f"exec {command.strip()}"]
