"""
Keys and agents made with OpenSSH's own tools.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from tests.support.patience import PATIENCE_S


def keygen(path: Path, *options: str, passphrase: str = "") -> Path:
    """Make a key pair with OpenSSH's own tool."""
    subprocess.run(
        ["ssh-keygen", "-q", "-f", path, "-N", passphrase, "-C", path.name, *options],
        check=True,
        timeout=PATIENCE_S,
    )
    return path


def authorize(lab_host, *keys: Path) -> None:
    with (lab_host.home / ".ssh" / "authorized_keys").open("a") as stream:
        for key in keys:
            stream.write(key.with_name(f"{key.name}.pub").read_text())


@contextmanager
def agent(folder: Path, *keys: Path) -> Iterator[str]:
    """Run a real ssh-agent that holds these keys, and yield its socket."""
    path = str(folder / "agent.sock")
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        try:
            until = monotonic() + PATIENCE_S
            while not listens(path):
                assert monotonic() < until
                threading.Event().wait(0.01)
            for key in keys:
                subprocess.run(
                    ["ssh-add", "-q", key],
                    env={**os.environ, "SSH_AUTH_SOCK": path},
                    check=True,
                    timeout=PATIENCE_S,
                )
            yield path
        finally:
            process.terminate()


def listens(path: str) -> bool:
    """Tell whether an agent can be asked: its socket is there a moment before that."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def own_line(fleet, lab_host) -> str:
    """Return the line of known_hosts that vouches for a host."""
    [line] = [
        line
        for line in fleet.known_hosts.read_text().splitlines()
        if line.startswith(f"[{lab_host.address}]:{lab_host.port} ")
    ]
    return line


def fingerprint(line: str, folder: Path) -> str:
    """Return the fingerprint of a known_hosts line by OpenSSH's own tool."""
    file = folder / "line"
    file.write_text(line + "\n")
    listing = subprocess.run(
        ["ssh-keygen", "-l", "-f", file], capture_output=True, check=True, text=True
    )
    return listing.stdout.split()[1]
