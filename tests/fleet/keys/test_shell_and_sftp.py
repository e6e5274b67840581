"""
Two ways to one file, at the same time: a shell here, SFTP there.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.keys.over_sftp import SftpKeysFile
from fleetctl.keys.place import Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.errors import FleetError
from tests.fleet.keys.sftp_hosts import USER
from tests.support.drive import run_async
from tests.support.operating import operating_on

pytestmark = pytest.mark.fleet

COUNT = 12


def test_F70_writers_by_a_shell_and_by_sftp_lose_nothing(accounts):
    """
    F70: both know the lock of the other; each line is there once, and nothing is left beside.
    """
    host = accounts.host("sftp-and-shell")
    path = host.home / USER / ".ssh" / "authorized_keys"
    before = path.read_bytes()

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:

            async def add(number: int) -> None:
                run_id = f"20260701T1200{number:02d}-aa"
                kind = SftpKeysFile if number % 2 else ShellKeysFile
                file = kind(remote, Target(), run_id=run_id)
                while True:
                    try:
                        look = await file.look(lock=True)
                        await file.swap(look, (look.data or b"") + b"# line %d\n" % number)
                    except FleetError as error:
                        if error.kind not in ("keys.changed", "keys.busy"):
                            raise
                    else:
                        return

            await asyncio.gather(*(add(number) for number in range(COUNT)))

    try:
        run_async(main)
        added = path.read_bytes().removeprefix(before).splitlines()
        assert sorted(added) == sorted(b"# line %d" % number for number in range(COUNT))
        assert not path.with_name("authorized_keys.fleetctl-lock").exists()
    finally:
        path.write_bytes(before)
