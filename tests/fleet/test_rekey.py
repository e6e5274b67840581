"""
New keys in the middle of heavy traffic: nothing is lost, nothing waits, the loop stays awake.

Rule 1 of the loop transport; Paramiko's own code stops for 30 s here (paramiko issue 822).
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from collections.abc import Callable

import paramiko
import pytest
from paramiko.common import MSG_NEWKEYS

from fleetctl.model.result import ExecResult
from tests.support.drive import Connection, connected, run_async, ticking, until
from tests.support.patience import SLACK_S

pytestmark = [pytest.mark.fleet, pytest.mark.slow]

MEBIBYTE = 1024 * 1024
SIZE = 50 * MEBIBYTE

#: Name -> (test host, our own limit in bytes).
LIMITS = {
    "server": ("rekey", None),
    "ours": ("web01", MEBIBYTE),
    "both": ("rekey", MEBIBYTE),
}
CIPHERS = {
    "gcm": {"ciphers": ("aes128-gcm@openssh.com",)},
    "ctr-etm": {"ciphers": ("aes256-ctr",), "macs": ("hmac-sha2-512-etm@openssh.com",)},
    "ctr-mac": {"ciphers": ("aes128-ctr",), "macs": ("hmac-sha2-256",)},
}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def count_new_keys(connection: Connection) -> Callable[[], int]:
    """Count key exchanges from now on."""
    stock = connection.transport._handler_table[MSG_NEWKEYS]
    seen: list[None] = []

    def counted(m):
        seen.append(None)
        stock(m)

    connection.transport._handler_table[MSG_NEWKEYS] = counted
    return lambda: len(seen)


def copy_by_sftp(transport: paramiko.Transport, path: str, data: bytes) -> str:
    """Write a file by blocking SFTP, read it back and return its digest; for worker threads."""
    with paramiko.SFTPClient.from_transport(transport) as sftp:
        sftp.putfo(io.BytesIO(data), path)
        back = io.BytesIO()
        sftp.getfo(path, back)
        sftp.remove(path)
    return digest(back.getvalue())


async def move(connection: Connection, way: str, data: bytes) -> ExecResult:
    """Send the data, or let it be printed, or both."""
    limit = 2 * len(data)
    if way == "up":
        return await connection.exec("sha256sum", stdin=data)
    if way == "down":
        command = f"yes 0123456789abcde | head -c {len(data)}"
        return await connection.exec(command, max_output_bytes=limit)
    return await connection.exec("cat", stdin=data, max_output_bytes=limit)


def check(result: ExecResult, way: str, data: bytes) -> None:
    """Compare what came back; not while the loop is watched, for it takes a while."""
    assert result.exit_status == 0
    if way == "up":
        assert result.stdout.split()[0].decode() == digest(data)
        return
    expected = b"0123456789abcde\n" * (len(data) // 16) if way == "down" else data
    assert result.stdout_bytes == len(data)
    assert digest(result.stdout) == digest(expected)


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("way", ["up", "down", "both"])
def test_keys_are_renewed_under_traffic(fleet, loop, limits, way):
    """
    50 MiB through at least 20 key exchanges, up, down and both ways at once, beside four threads
    with blocking SFTP on the same transport: bytes are exact, and nothing holds up the loop (F52).
    """
    name, own_limit_bytes = LIMITS[limits]
    lab_host = fleet.host(name)
    host = fleet.model_host(lab_host, rekey_limit_bytes=own_limit_bytes)
    data = os.urandom(SIZE)
    pieces = [os.urandom(MEBIBYTE) for _ in range(4)]
    paths = [str(lab_host.home / f"sftp-{number}") for number in range(4)]

    async def main():
        async with connected(host) as connection:
            renewed = count_new_keys(connection)
            async with ticking() as ticker:
                beside = asyncio.gather(
                    *(
                        asyncio.to_thread(copy_by_sftp, connection.transport, path, piece)
                        for path, piece in zip(paths, pieces, strict=True)
                    )
                )
                result = await move(connection, way, data)
                digests = await beside
            check(result, way, data)
            assert digests == [digest(piece) for piece in pieces]
            assert connection.transport.bug is None
            return renewed(), ticker.latest_s

    renewed, latest_s = run_async(main, loop=loop)
    assert renewed >= 20
    assert latest_s < SLACK_S


@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_kind_of_cipher_can_be_stopped_anywhere(fleet, cipher):
    """
    Reads stop and go on at any byte under each way of encrypting a packet, new keys included.
    """
    host = fleet.model_host(fleet.host("rekey"), rekey_limit_bytes=MEBIBYTE // 2, **CIPHERS[cipher])
    data = os.urandom(4 * MEBIBYTE)

    async def main():
        async with connected(host) as connection:
            assert connection.ssh.facts()["cipher"] == CIPHERS[cipher]["ciphers"][0]
            renewed = count_new_keys(connection)
            check(await move(connection, "both", data), "both", data)
            assert renewed() >= 4

    run_async(main)


def test_compression_survives_new_keys(fleet, loop):
    """
    With delayed compression agreed on, login, output and new keys work.
    """
    host = fleet.model_host(fleet.host("rekey"), compression=True)

    async def main():
        async with connected(host) as connection:
            assert connection.transport.remote_compression == "zlib@openssh.com"
            for data in (os.urandom(3 * MEBIBYTE), b"compressible " * 300_000):
                check(await move(connection, "both", data), "both", data)

    run_async(main, loop=loop)


def test_idle_connection_that_renewed_its_keys_still_works(fleet):
    """
    A key exchange asked for by our side while nobody talks wakes the sleeping reader.
    """
    host = fleet.model_host(fleet.host("web01"))

    async def main():
        async with connected(host) as connection:
            renewed = count_new_keys(connection)
            connection.transport.packetizer._trigger_rekey()
            await until(lambda: renewed() == 1)
            assert (await connection.exec("exit 3")).exit_status == 3
            connection.transport.packetizer._trigger_rekey()
            await until(lambda: renewed() == 2)
            assert (await connection.exec("exit 4")).exit_status == 4

    run_async(main)
