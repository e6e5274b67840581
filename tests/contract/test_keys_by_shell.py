"""
The promises of every `KeysFile`, kept by the program that runs in a shell of the host.
"""

from __future__ import annotations

import os
import shutil
from functools import partial

import pytest

from fleetctl.keys.place import Target
from fleetctl.keys.remote import shell_file
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.remote import Remote
from tests.contract.keys_file_contract import PROMISES
from tests.contract.keys_file_place import KeysPlace, Promise
from tests.support.drive import run_async
from tests.support.operating import operating_on

pytestmark = pytest.mark.fleet

USER = "u-sh"


@pytest.mark.parametrize("promise", PROMISES, ids=[promise.__name__ for promise in PROMISES])
def test_keys_by_a_shell_keep_their_promise(accounts, promise: Promise, monkeypatch):
    """
    Whoever changes keys need not know that a shell does it.
    """
    monkeypatch.setattr(shell_file, "WAIT_S", 2.0)
    host = accounts.host("keys-by-shell", AuthorizedKeysFile="/etc/ssh/lab_login")
    home, uid = host.home / USER, accounts.uid(USER)
    gid = (host.home / "admin").stat().st_gid
    # The key that logs in stands elsewhere: whatever is done here, the next test gets in.
    key = (host.home / "admin" / ".ssh" / "authorized_keys").read_bytes()
    (host.directory / "etc" / "ssh" / "lab_login").write_bytes(key)
    shutil.rmtree(home)
    home.mkdir(mode=0o755)
    os.chown(home, uid, gid)

    def make(remote: Remote, target: Target, run_id: str) -> ShellKeysFile:
        return ShellKeysFile(remote, target, run_id=run_id)

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:
            cut = partial(accounts.end_sessions, host)
            await promise(KeysPlace(home, uid, gid, remote, make, cut))

    run_async(main)
