"""
The SFTP client against real servers: OpenSSH's two, a third one, and hosts that give nothing else.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.remote import Remote
from fleetctl.model.trace import Trace
from fleetctl.ssh.sftp import (
    Attributes,
    OpenFlags,
    SftpClient,
    SftpError,
    over_sftp,
)
from tests.support.drive import connected, run_async, until
from tests.support.operating import operating_on

pytestmark = pytest.mark.fleet

KIB = 1024
SIZES = [0, 1, 32 * KIB - 1, 32 * KIB, 32 * KIB + 1, 255 * KIB - 1, 255 * KIB, 255 * KIB + 1]
SIZES += [KIB * KIB + 7]
NEW = OpenFlags.WRITE | OpenFlags.CREAT | OpenFlags.EXCL

#: Server -> its line in sshd_config.
SERVERS = {
    "internal-sftp": "sftp internal-sftp",
    "sftp-server": "sftp /usr/lib/openssh/sftp-server",
}


@pytest.fixture(params=SERVERS)
def server(request, fleet):
    """Each server of OpenSSH, in turn."""
    return fleet.model_host(fleet.sshd(request.param, {"Subsystem": SERVERS[request.param]}))


def do(host, work, *, loop=None, trace=None, **options):
    """Do work over a new connection."""

    async def main():
        async with operating_on(host, trace=trace) as remote:
            return await over_sftp(remote, work, **options)

    return run_async(main, loop=loop)


def test_files_of_all_sizes_arrive_as_they_are(server, loop, tmp_path):
    """
    Written, and read again, byte for byte; with the mode that was asked for from the beginning.
    """
    files = {f"of {size}": random.Random(size).randbytes(size) for size in SIZES}

    async def work(client: SftpClient) -> None:
        for name, data in files.items():
            path = str(tmp_path / name)
            async with client.opened(path, NEW, Attributes(mode=0o600)) as handle:
                await client.write(handle, data)
                await client.fsync(handle)
            found = await client.read_file(path, max_bytes=len(data))
            assert found is not None
            assert hashlib.sha256(found).digest() == hashlib.sha256(data).digest()

    do(server, work, loop=loop)
    for name, data in files.items():
        assert (tmp_path / name).read_bytes() == data
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_a_large_file_goes_both_ways_at_once_with_others(server, loop, tmp_path, is_full_size):
    """
    100 MiB in full size; four files at the same time over one session, and none disturbs another.
    """
    size = (100 if is_full_size else 4) * KIB * KIB
    block = random.Random(1).randbytes(KIB * KIB)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(size // len(block)):
            yield block

    async def copy(client: SftpClient, path: str) -> str:
        async with client.opened(path, NEW) as handle:
            assert await client.write_pieces(handle, pieces()) == size
        digest = hashlib.sha256()
        async with client.opened(path, OpenFlags.READ) as handle:
            async for piece in await client.read(handle):
                digest.update(piece)
        return digest.hexdigest()

    async def work(client: SftpClient) -> list[str]:
        return await asyncio.gather(*(copy(client, str(tmp_path / str(n))) for n in range(4)))

    expected = hashlib.sha256(block * (size // len(block))).hexdigest()
    assert do(server, work, loop=loop) == [expected] * 4
    for number in range(4):
        (tmp_path / str(number)).unlink()


def test_everything_a_server_can_do(server, tmp_path):
    """
    Folders, links, modes, times, renames; each as this machine sees it.
    """

    async def work(client: SftpClient) -> None:
        def at(name: str) -> str:
            return str(tmp_path / name)

        await client.make_directory(at("folder"), 0o750)
        async with client.opened(at("a"), NEW) as handle:
            await client.write(handle, b"abc", offset=2)
            await client.set_handle_attributes(handle, Attributes(mode=0o640))
            assert (await client.fstat(handle)).size == 5
        assert (tmp_path / "a").read_bytes() == b"\0\0abc"
        await client.set_attributes(at("a"), Attributes(size=3, atime=1, mtime=1_000_000_000))
        assert (tmp_path / "a").read_bytes() == b"\0\0a"
        assert (await client.stat(at("a"))).mtime == 1_000_000_000
        assert (await client.stat(at("a"))).permissions == 0o640
        await client.hard_link(at("a"), at("folder/b"))
        await client.symbolic_link("a", at("link"))
        assert os.readlink(at("link")) == "a"
        assert await client.readlink(at("link")) == "a"
        assert (await client.lstat(at("link"))).is_link
        assert (await client.stat(at("link"))).is_file
        await client.set_link_attributes(at("link"), Attributes(atime=5, mtime=6))
        assert int((tmp_path / "link").lstat().st_mtime) == 6
        assert await client.realpath(at("folder/../link")) == at("a")
        entries = {each.name: each for each in await client.list_directory(str(tmp_path))}
        assert set(entries) == {"a", "folder", "link"}
        assert (entries["a"].links, entries["folder"].attributes.is_directory) == (2, True)
        with pytest.raises(SftpError) as refused:
            await client.rename(at("a"), at("folder/b"))
        assert refused.value.kind == "files.failed"
        await client.rename(at("a"), at("c"))
        async with client.opened(at("d"), NEW) as handle:
            await client.write(handle, b"new")
        await client.posix_rename(at("d"), at("c"))
        assert (tmp_path / "c").read_bytes() == b"new"
        assert (await client.file_system(at("c"))).free_bytes > 0
        assert (await client.user_names([0]))[0] == "root"
        await client.remove(at("link"))
        await client.remove(at("folder/b"))
        await client.remove_directory(at("folder"))
        assert [each.name for each in await client.list_directory(str(tmp_path))] == ["c"]
        for refusing in (client.lstat(at("x")), client.remove(at("x")), client.stat(at("c/x"))):
            with pytest.raises(SftpError) as absent:
                await refusing
            assert absent.value.kind == "files.absent"

    do(server, work)


def test_a_folder_of_many_files_is_listed(server, tmp_path):
    """
    Names of any bytes among them, up to the number that was asked for.
    """
    names = {f"file {number}" for number in range(700)} | {"\udcff\udcfe", "ü", "a\nb", "\x1b[31m"}
    for name in names:
        (tmp_path / name).touch()

    async def work(client: SftpClient) -> None:
        assert {each.name for each in await client.list_directory(str(tmp_path))} == names
        with pytest.raises(SftpError, match="more than 100"):
            await client.list_directory(str(tmp_path), max_entries=100)
        assert (await client.lstat(str(tmp_path / "\udcff\udcfe"))).size == 0

    do(server, work)


def test_nothing_of_a_session_is_output(server, tmp_path):
    """
    Whatever the server sends, and though the work fails in the middle: it is a protocol.
    """
    (tmp_path / "large").write_bytes(os.urandom(3 * KIB * KIB))
    heard: list[bytes] = []

    async def stop_early(client: SftpClient) -> None:
        handle = await client.open(str(tmp_path / "large"), OpenFlags.READ)
        async for _ in await client.read(handle):
            raise ZeroDivisionError

    async def main() -> None:
        async with connected(server) as connection:

            class Recording:
                async def exec(self, request):
                    result = await connection.ssh.exec(
                        request, connection.trace, lambda _, data: heard.append(data)
                    )
                    results.append(result)
                    return result

            results: list = []
            with pytest.raises(ZeroDivisionError):
                await over_sftp(cast("Remote", Recording()), stop_early)
            (result,) = results
            assert (result.stdout, result.stdout_bytes, result.stderr) == (b"", 0, b"")
            assert result.exit_status == 0
            assert (await connection.exec("echo next")).stdout == b"next\n"

    run_async(main)
    assert heard == []


def test_memory_stays_within_the_window(server, tmp_path):
    """
    A reader that is slow stops the host: no more than a window of a large file was asked for.
    """
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 * KIB * KIB)

    async def main() -> None:
        async with operating_on(server) as remote:

            async def work(client: SftpClient) -> None:
                async with client.opened(str(path), OpenFlags.READ) as handle:
                    reading = await client.read(handle)
                    await anext(reading)
                    for _ in range(20):
                        await asyncio.sleep(0.02)
                        assert sum(part.size for part in reading._parts) <= 2 * KIB * KIB

            await over_sftp(remote, work)

    run_async(main)


def test_a_session_that_is_cancelled_leaves_nothing_behind(fleet, loop, tmp_path):
    """
    In the middle of an upload: the work removes its file, and the host has no session any more.
    """
    lab_host = fleet.sshd("sftp-cancelled", {"Subsystem": SERVERS["sftp-server"]})
    path = tmp_path / "half"
    trace = Trace()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(100_000)

    async def work(client: SftpClient) -> None:
        try:
            async with client.opened(str(path), NEW) as handle:
                await client.write_pieces(handle, endless())
        except asyncio.CancelledError:
            await client.remove(str(path))
            raise

    async def main() -> None:
        async with operating_on(fleet.model_host(lab_host), trace=trace) as remote:
            task = asyncio.ensure_future(over_sftp(remote, work))
            await until(lambda: path.exists() and path.stat().st_size > KIB * KIB)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not path.exists()
            assert trace.ran == "yes"
            await until(lambda: "sftp-server" not in commands(fleet.sessions(lab_host)))

    run_async(main, loop=loop)


def commands(pids: set[int]) -> str:
    found = []
    for pid in pids:
        try:
            found.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return " ".join(found)


def test_F50_a_link_that_is_cut_is_the_reason(host, loop, tmp_path):
    """
    F50: in the middle of an upload, whichever request was waiting: the link was lost.
    """
    path = tmp_path / "half"

    async def main() -> None:
        async with connected(host) as connection:

            class OneLink:
                async def exec(self, request):
                    return await connection.ssh.exec(request, connection.trace, None)

            async def endless() -> AsyncIterator[bytes]:
                while True:
                    yield bytes(100_000)
                    if path.stat().st_size > KIB * KIB:
                        connection.transport.abort()

            async def work(client: SftpClient) -> None:
                async with client.opened(str(path), NEW) as handle:
                    await client.write_pieces(handle, endless())

            with pytest.raises(FleetError) as caught:
                await over_sftp(cast("Remote", OneLink()), work)
            assert caught.value.kind == "session.lost"

    run_async(main, loop=loop)


def test_a_host_without_sftp_says_what_to_do(fleet):
    """
    The subsystem is refused, with the line for sshd_config.
    """

    async def work(client: SftpClient) -> None:
        raise AssertionError

    with pytest.raises(FleetError) as caught:
        do(fleet.model_host(fleet.host("nosftp")), work)
    assert caught.value.kind == "exec.refused"
    assert caught.value.failure.hint == "on the host: Subsystem sftp internal-sftp in sshd_config"


def test_F37_a_forced_command_that_is_no_sftp_server_is_found_out(fleet):
    """
    What it wrote is in the message.
    """

    async def work(client: SftpClient) -> None:
        raise AssertionError

    with pytest.raises(FleetError) as caught:
        do(fleet.model_host(fleet.host("force-command")), work)
    assert caught.value.kind == "files.protocol"
    assert "forced" in str(caught.value)


def test_F37_a_server_that_stays_after_it_was_found_out_is_ended(fleet):
    """
    One that babbles and never ends is no reason to wait.
    """
    lab_host = fleet.sshd("sftp-babble", {"ForceCommand": "echo welcome; exec sleep 600"})

    async def work(client: SftpClient) -> None:
        raise AssertionError

    with pytest.raises(FleetError, match="welcome"):
        do(fleet.model_host(lab_host), work)
    fleet.end_sessions(lab_host)
