"""
Hosts that give SFTP and nothing else, and one user's authorized_keys there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fleetctl.keys.over_sftp import SftpKeysFile
from fleetctl.keys.place import Target
from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from tests.support.drive import run_async
from tests.support.operating import operating_on
from tests.support.patience import PATIENCE_S

USER = "u-sh"
RUN_ID = "20260701T120000-aa"
ONE = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOne one@example.org\n"
TWO = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAITwo two@example.org\n"


def prepared(accounts, name: str, command: str = "internal-sftp", **options) -> LabHost:
    """Return such a host, with a fresh home that has one key in it."""
    host: LabHost = accounts.host(
        name, ForceCommand=command, AuthorizedKeysFile="/etc/ssh/lab_login", **options
    )
    key = (host.home / "admin" / ".ssh" / "authorized_keys").read_bytes()
    (host.directory / "etc" / "ssh" / "lab_login").write_bytes(key)
    home = host.home / USER
    shutil.rmtree(home, ignore_errors=True)
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    (home / ".ssh" / "authorized_keys").write_bytes(ONE)
    own(accounts, home)
    return host


def own(accounts, home: Path) -> None:
    gid = (home.parent / "admin").stat().st_gid
    for path in (home, *home.rglob("*")):
        os.chown(path, accounts.uid(USER), gid)


@contextmanager
def mounted_over_home(accounts, host: LabHost, options: str) -> Iterator[Path]:
    """Mount a small file system over the user's home, in the host only; yields it from here."""
    home = f"/home/{USER}"
    inside = ("nsenter", "--mount", "--target", str(host.pid))
    mount = ("mount", "-t", "tmpfs", "-o", f"mode=755,{options}", "tmpfs", home)
    subprocess.run([*inside, *mount], check=True, timeout=PATIENCE_S)
    seen = Path(f"/proc/{host.pid}/root{home}")
    try:
        (seen / ".ssh").mkdir(mode=0o700)
        (seen / ".ssh" / "authorized_keys").write_bytes(ONE)
        gid = (host.home / "admin").stat().st_gid
        for path in (seen, *seen.rglob("*")):
            os.chown(path, accounts.uid(USER), gid)
        yield seen
    finally:
        accounts.end_sessions(host)
        subprocess.run([*inside, "umount", "-l", home], check=True, timeout=PATIENCE_S)


def on(accounts, host: LabHost, work, target: Target | None = None, **options):
    """Do work with the user's file."""

    async def main():
        async with operating_on(accounts.model_host(USER, host)) as remote:
            file = SftpKeysFile(remote, target or Target(), run_id=RUN_ID, **options)
            return await work(file)

    return run_async(main)


def refusal(accounts, host: LabHost, work, target: Target | None = None, **options) -> FleetError:
    with pytest.raises(FleetError) as caught:
        on(accounts, host, work, target, **options)
    return caught.value


async def change(file: SftpKeysFile, data: bytes = ONE + TWO) -> object:
    return await file.swap(await file.look(lock=True), data)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
