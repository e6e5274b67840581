"""
The SFTP client against a server that is none of OpenSSH's.
"""

from __future__ import annotations

import os

import paramiko
import pytest

from fleetctl.ssh.sftp import POSIX_RENAME, OpenFlags, SftpClient, SftpError, over_sftp
from tests.support.drive import run_async
from tests.support.operating import operating_on
from tests.support.server import scripted_server

pytestmark = pytest.mark.fleet

KIB = 1024
NEW = OpenFlags.WRITE | OpenFlags.CREAT | OpenFlags.EXCL


class _Files(paramiko.SFTPServerInterface):
    """Files of this machine, as Paramiko's server gives them."""

    def open(self, path, flags, attr):
        descriptor = os.open(path, flags, attr.st_mode or 0o600)
        mode = "rb+" if flags & os.O_RDWR else "wb" if flags & os.O_WRONLY else "rb"
        stream = os.fdopen(descriptor, mode)
        handle = paramiko.SFTPHandle(flags)
        handle.readfile = handle.writefile = stream
        return handle

    def stat(self, path):
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def remove(self, path):
        os.unlink(path)
        return paramiko.SFTP_OK


def test_another_implementation_is_understood(settings, tmp_path):
    """
    Paramiko's server: other extensions, no limits, and it ends without an exit status.
    """

    def prepare(transport: paramiko.Transport) -> None:
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files)

    data = os.urandom(300 * KIB + 5)

    async def work(client: SftpClient) -> bytes | None:
        assert POSIX_RENAME not in client.extensions
        path = str(tmp_path / "x")
        async with client.opened(path, NEW) as handle:
            await client.write(handle, data)
        with pytest.raises(SftpError) as caught:
            await client.lstat(str(tmp_path / "y"))
        assert caught.value.kind == "files.absent"
        return await client.read_file(path, max_bytes=1 << 20)

    async def main() -> bytes | None:
        async with operating_on(server.host) as remote:
            return await over_sftp(remote, work)

    with scripted_server(settings, prepare=prepare) as server:
        assert run_async(main) == data
