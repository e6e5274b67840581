"""
The promises of every `KeysFile`, kept over SFTP by hosts that give no shell.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from functools import partial

import pytest

from fleetctl.keys import over_sftp_lock
from fleetctl.keys.over_sftp import SftpKeysFile
from fleetctl.keys.place import Target
from fleetctl.model.remote import Remote
from tests.contract.keys_file_contract import (
    PROMISES,
    F72_a_cut_link_leaves_one_of_the_versions,
)
from tests.contract.keys_file_place import KeysPlace, Promise
from tests.support.drive import run_async
from tests.support.operating import operating_on

pytestmark = pytest.mark.fleet

USER = "u-sh"
#: What a server of old has not.
DENIED = "posix-rename,fsync,hardlink,lsetstat,statvfs,limits,users-groups-by-id"
#: Server -> its forced command. Where files cannot be replaced at once, a cut may leave none.
SERVERS: Mapping[str, str] = {
    "sftp-only": "internal-sftp",
    "sftp-of-old": f"internal-sftp -P {DENIED}",
}
CASES = [
    (server, promise)
    for server in SERVERS
    for promise in PROMISES
    if (server, promise) != ("sftp-of-old", F72_a_cut_link_leaves_one_of_the_versions)
]


@pytest.mark.parametrize(
    ("server", "promise"), CASES, ids=[f"{server}-{promise.__name__}" for server, promise in CASES]
)
def test_keys_over_sftp_keep_their_promise(accounts, server: str, promise: Promise, monkeypatch):
    """
    Whoever changes keys need not know that a host gives no shell.
    """
    monkeypatch.setattr(over_sftp_lock, "WAIT_S", 2.0)
    host = accounts.host(
        server, ForceCommand=SERVERS[server], AuthorizedKeysFile="/etc/ssh/lab_login"
    )
    home, uid = host.home / USER, accounts.uid(USER)
    gid = (host.home / "admin").stat().st_gid
    # The key that logs in stands elsewhere: whatever is done here, the next test gets in.
    key = (host.home / "admin" / ".ssh" / "authorized_keys").read_bytes()
    (host.directory / "etc" / "ssh" / "lab_login").write_bytes(key)
    shutil.rmtree(home)
    home.mkdir(mode=0o755)
    os.chown(home, uid, gid)

    def make(remote: Remote, target: Target, run_id: str) -> SftpKeysFile:
        return SftpKeysFile(remote, target, run_id=run_id, non_atomic=server == "sftp-of-old")

    async def main() -> None:
        async with operating_on(accounts.model_host(USER, host)) as remote:
            cut = partial(accounts.end_sessions, host)
            await promise(KeysPlace(home, uid, gid, remote, make, cut))

    run_async(main)
