"""
Which way is taken to the keys of a host.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.keys.opening import ShellOrSftp, open_keys_file
from fleetctl.keys.over_sftp import SftpKeysFile
from fleetctl.keys.place import Look, Target
from fleetctl.keys.remote.shell_file import ShellKeysFile
from fleetctl.model.errors import FleetError
from fleetctl.testing import ScriptedRemote, exited


class OneWay:
    """The part of a `KeysFile` that is asked here."""

    def __init__(self, error: FleetError | None = None) -> None:
        self.error = error
        self.looks = 0

    async def look(self, *, lock: bool = False) -> Look:
        self.looks += 1
        if self.error is not None:
            raise self.error
        return Look("u", 1, "/h", "/bin/sh", "/h/k", b"", "", ())

    async def unlock(self, look: Look) -> None:
        self.looks += 1


def run(shell: OneWay, sftp: OneWay) -> None:
    async def main() -> None:
        file = ShellOrSftp(shell, sftp)  # type: ignore[arg-type] # a part of it
        look = await file.look()
        await file.unlock(look)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["session.no_shell", "keys.protocol", "exec.refused"])
def test_F35_without_a_shell_it_is_sftp_from_then_on(kind):
    """
    The shell is asked once.
    """
    shell, sftp = OneWay(FleetError(kind, "none")), OneWay()
    run(shell, sftp)
    assert (shell.looks, sftp.looks) == (1, 2)


def test_with_a_shell_it_is_never_sftp():
    """
    A file that is refused by the shell's rules is not tried by others.
    """
    shell, sftp = OneWay(), OneWay()
    run(shell, sftp)
    assert (shell.looks, sftp.looks) == (2, 0)
    refused = OneWay(FleetError("keys.unsafe_path", "a link"))
    with pytest.raises(FleetError, match="a link"):
        run(refused, sftp)
    assert sftp.looks == 0


def test_with_neither_it_is_the_shell_that_is_missing():
    """
    The user is told why the shell failed; that there is no SFTP either is the smaller part.
    """
    shell = OneWay(FleetError("session.no_shell", "its shell is nologin"))
    with pytest.raises(FleetError, match="nologin"):
        run(shell, OneWay(FleetError("exec.refused", "no subsystem")))


@pytest.mark.parametrize(
    ("how", "made"), [("auto", ShellOrSftp), ("shell", ShellKeysFile), ("sftp", SftpKeysFile)]
)
def test_a_way_may_be_demanded(how, made):
    """
    Nothing is sent before the first look.
    """
    remote = ScriptedRemote({"exec sh -s": exited()})
    file = asyncio.run(open_keys_file(remote, Target(), run_id="r", how=how))
    assert isinstance(file, made)
    assert remote.requests == []
