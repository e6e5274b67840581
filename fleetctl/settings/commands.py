"""
What reading ssh_config may ask of this machine: a command of ``Match exec``, and the DNS.

Both block; whether a file may run commands is decided by whoever reads it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Mapping

#: ssh waits for ever; nobody may wait here for a command that was forgotten.
TIMEOUT_S = 30.0

_FAMILIES = {"any": socket.AF_UNSPEC, "inet": socket.AF_INET, "inet6": socket.AF_INET6}


def run_command(command: str, environment: Mapping[str, str]) -> int:
    """
    Run a command in the user's shell, without input and with its output thrown away.

    Returns:
        Its exit status, negative if a signal or `TIMEOUT_S` ended it.

    Source: ssh_config(5), Match exec; OpenSSH's ``execute_in_shell``.
    """
    shell = environment.get("SHELL") or "/bin/sh"
    with subprocess.Popen(  # noqa: S603 - only a trusted file gets this far
        [shell, "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,
    ) as process:
        try:
            return process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            return -signal.SIGKILL
        finally:
            if process.poll() is None:
                # The whole group: what the shell started must not outlive it.
                os.killpg(process.pid, signal.SIGKILL)


def look_up_name(name: str, family: str) -> str | None:
    """
    Ask for the canonical name of a host.

    Args:
        family: ``any``, ``inet`` or ``inet6``.

    Returns:
        Empty if the answer has none; None if there is no such name.
    """
    try:
        found = socket.getaddrinfo(
            name, None, _FAMILIES[family], socket.SOCK_STREAM, 0, socket.AI_CANONNAME
        )
    except (OSError, UnicodeError):
        return None
    return found[0][3]
