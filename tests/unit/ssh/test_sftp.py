"""
The SFTP client against servers that are played: order, sizes, ends.
"""

from __future__ import annotations

import asyncio
import random

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.ssh import sftp as sftp_module
from fleetctl.ssh import sftp_transfer
from fleetctl.ssh.sftp import Attributes, OpenFlags, SftpClient, SftpError
from fleetctl.ssh.sftp_packet import Fields, Kind, Status, string, uint32
from tests.support.drive import run_async, until
from tests.support.sftp_peer import (
    MemoryFiles,
    PlayedConversation,
    PlayedRemote,
    answering,
    framed,
    over_played,
    status,
    version,
)

SIZES = [0, 1, 32 * 1024 - 1, 32 * 1024, 32 * 1024 + 1, 255 * 1024 + 1, 1024 * 1024 + 7]


def run(remote: PlayedRemote, work, **options):
    return run_async(lambda: over_played(remote, work, **options))


def attributes_by_path(kind: int, number: int, fields: Fields) -> bytes:
    """Answer a stat with the path's length as the size."""
    return framed(Kind.ATTRS, uint32(number), Attributes(size=len(fields.string())).render())


@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_many_requests_at_once_get_their_own_answers(pieces):
    """
    However the answers are cut.
    """

    async def work(client: SftpClient) -> None:
        found = await asyncio.gather(*(client.stat("x" * size) for size in range(1, 300)))
        assert [each.size for each in found] == list(range(1, 300))

    run(PlayedRemote(answering(attributes_by_path), pieces=pieces), work)


def test_answers_may_come_in_any_order():
    """
    They are told apart by their numbers.
    """
    waiting: list[bytes] = []

    def play(kind: int, number: int, fields: Fields) -> bytes:
        waiting.append(attributes_by_path(kind, number, fields))
        if len(waiting) < 50:
            return b""
        random.Random(5).shuffle(waiting)
        return b"".join(waiting)

    async def work(client: SftpClient) -> None:
        found = await asyncio.gather(*(client.stat("x" * size) for size in range(1, 51)))
        assert [each.size for each in found] == list(range(1, 51))

    run(PlayedRemote(answering(play)), work)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("most_bytes", [1 << 20, 10_000])
@pytest.mark.parametrize("extensions", [(), ("limits@openssh.com",)])
def test_files_are_read_and_written_whole(size, most_bytes, extensions):
    """
    Whatever their size, and though the server gives less than it was asked for.
    """
    data = random.Random(size).randbytes(size)
    server = MemoryFiles(most_bytes=most_bytes, extensions=extensions)

    async def work(client: SftpClient) -> None:
        async with client.opened("f", OpenFlags.WRITE | OpenFlags.CREAT) as handle:
            await client.write(handle, data)
        assert bytes(server.files["f"]) == data
        assert await client.read_file("f", max_bytes=size) == data
        if size:
            assert await client.read_file("f", max_bytes=size - 1) is None

    remote = PlayedRemote(server.play)
    run(remote, work)
    assert server.handles == {}
    assert remote.conversations[0].kept == b""


def test_a_file_is_written_piece_by_piece(monkeypatch):
    """
    From whatever yields pieces, with no more in flight than the window.
    """
    monkeypatch.setattr(sftp_transfer, "WINDOW_BYTES", 100_000)
    server = MemoryFiles()
    unanswered: list[bytes] = []
    most = 0

    async def pieces():
        for number in range(50):
            yield bytes([number]) * 10_000

    async def work(client: SftpClient) -> int:
        async with client.opened("f", OpenFlags.WRITE) as handle:
            return await client.write_pieces(handle, pieces())

    def play(packet: bytes):
        nonlocal most
        answer = server.play(packet)
        if packet[0] != Kind.WRITE or not isinstance(answer, bytes):
            return answer
        unanswered.append(answer)
        most = max(most, len(unanswered))
        say = remote.conversations[0].say
        asyncio.get_running_loop().call_later(0.001, lambda: say(unanswered.pop(0)))
        return b""

    remote = PlayedRemote(play)
    assert run(remote, work) == 500_000
    assert bytes(server.files["f"]) == b"".join(bytes([n]) * 10_000 for n in range(50))
    assert most == 100_000 // sftp_transfer.SAFE_BYTES


def test_a_file_that_shrinks_and_one_that_grows_are_read_to_their_end():
    """
    The size at the beginning is only what is probable.
    """
    for now, later in ((300_000, 1000), (1000, 300_000), (0, 100_000)):
        server = MemoryFiles({"f": bytearray(b"a" * now)})

        def play(packet: bytes, server=server, later=later):
            answer = server.play(packet)
            if packet[0] == Kind.FSTAT:
                server.files["f"] = bytearray(b"b" * later)
            return answer

        async def work(client: SftpClient) -> bytes | None:
            return await client.read_file("f", max_bytes=1 << 20)

        assert run(PlayedRemote(play), work) == b"b" * later


def test_a_refusal_names_the_path_and_the_reason():
    """
    The server's words are there, and its number for whoever wants to go on.
    """

    def play(kind: int, number: int, fields: Fields) -> bytes:
        return status(number, Status.PERMISSION_DENIED, "go away")

    async def work(client: SftpClient) -> None:
        await client.open("/root/x", OpenFlags.READ)

    with pytest.raises(SftpError) as caught:
        run(PlayedRemote(answering(play)), work)
    assert caught.value.kind == "files.denied"
    assert str(caught.value) == "/root/x: open: permission denied: go away"
    assert (caught.value.status, caught.value.path) == (3, "/root/x")


def test_what_a_server_cannot_do_is_not_asked_of_it():
    """
    An extension that was not offered is refused here.
    """

    async def work(client: SftpClient) -> None:
        await client.posix_rename("a", "b")

    remote = PlayedRemote(answering(attributes_by_path))
    with pytest.raises(SftpError, match="no posix-rename@openssh") as caught:
        run(remote, work)
    assert caught.value.kind == "files.unsupported"
    assert [packet[0] for packet in remote.conversations[0].sent] == [Kind.INIT]


def test_what_the_work_raises_comes_out_and_the_session_has_ended():
    """
    A failure of the work is no failure of the server.
    """

    async def work(client: SftpClient) -> None:
        raise ZeroDivisionError

    remote = PlayedRemote(answering(attributes_by_path))
    with pytest.raises(ZeroDivisionError):
        run(remote, work)
    assert remote.conversations[0].is_over


def test_a_cancelled_request_gets_its_late_handle_closed():
    """
    A file that was opened for nobody does not stay open.
    """
    later: list[bytes] = []
    closed: list[bytes] = []

    def play(kind: int, number: int, fields: Fields) -> bytes:
        if kind == Kind.OPEN:
            later.append(framed(Kind.HANDLE, uint32(number), string(b"late")))
            return b""
        if kind == Kind.CLOSE:
            closed.append(fields.string())
            return status(number, Status.OK)
        return attributes_by_path(kind, number, fields)

    async def work(client: SftpClient) -> None:
        opening = asyncio.ensure_future(client.open("f", OpenFlags.READ))
        await until(lambda: later)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        remote.conversations[0].say(later[0])
        await until(lambda: closed)
        assert (await client.stat("xx")).size == 2

    remote = PlayedRemote(answering(play))
    run(remote, work)
    assert closed == [b"late"]


def test_being_cancelled_lets_the_work_put_its_things_in_order():
    """
    Over the same session; then the cancellation comes out.
    """
    done = []

    async def main() -> None:
        here = asyncio.Event()

        async def work(client: SftpClient) -> None:
            try:
                here.set()
                await asyncio.sleep(600)
            finally:
                done.append((await client.stat("xxx")).size)

        task = asyncio.ensure_future(over_played(remote, work))
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    remote = PlayedRemote(answering(attributes_by_path))
    run_async(main)
    assert done == [3]
    assert remote.conversations[0].is_over


def test_work_that_does_not_stop_when_cancelled_is_left(monkeypatch):
    """
    Putting things in order has an end too.
    """
    monkeypatch.setattr(sftp_module, "CLEAN_UP_S", 0.05)
    released: list[bool] = []

    async def main() -> None:
        here = asyncio.Event()

        async def work(client: SftpClient) -> None:
            here.set()
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                await client.stat("never answered")
            finally:
                released.append(True)

        task = asyncio.ensure_future(over_played(remote, work))
        await here.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    remote = PlayedRemote(answering(lambda kind, number, fields: b""))
    run_async(main)
    assert released == [True]


def test_the_result_counts_though_the_server_does_not_end(monkeypatch):
    """
    What it does after the work is over is nobody's concern; it is ended.
    """
    monkeypatch.setattr(sftp_module, "FAREWELL_S", 0.05)

    async def work(client: SftpClient) -> int:
        return (await client.stat("four")).size or 0

    assert run(PlayedRemote(answering(attributes_by_path), deaf=True), work) == 4


def test_a_host_without_sftp_says_so():
    """
    The refusal of the subsystem is the reason, with what to do about it.
    """

    def play(packet: bytes):
        return FleetError("exec.refused", "the server refused the subsystem request")

    async def work(client: SftpClient) -> None:
        raise AssertionError

    with pytest.raises(FleetError) as caught:
        run(PlayedRemote(play), work)
    assert caught.value.kind == "exec.refused"
    assert "Subsystem sftp" in (caught.value.failure.hint or "")


def test_a_link_that_is_lost_is_the_reason():
    """
    And not that no answer came.
    """

    def play(kind: int, number: int, fields: Fields):
        return FleetError("session.lost", "connection lost: reset")

    async def work(client: SftpClient) -> None:
        await client.stat("x")

    with pytest.raises(FleetError) as caught:
        run(PlayedRemote(answering(play)), work)
    assert caught.value.kind == "session.lost"


def test_a_server_that_ends_says_why_on_its_standard_error():
    """
    What it wrote last is in the message.
    """

    def play(packet: bytes):
        remote.conversations[0].say(b"sftp-server: cannot open /dev/null\n", "stderr")

    async def work(client: SftpClient) -> None:
        raise AssertionError

    remote = PlayedRemote(play)
    with pytest.raises(SftpError, match="cannot open /dev/null") as caught:
        run(remote, work)
    assert caught.value.kind == "files.ended"


def test_extensions_are_known_by_name():
    """
    With their versions.
    """

    async def work(client: SftpClient) -> dict[str, bytes]:
        return dict(client.extensions)

    remote = PlayedRemote(lambda packet: version("fsync@openssh.com", "copy-data"))
    assert run(remote, work) == {"fsync@openssh.com": b"1", "copy-data": b"1"}


def test_a_conversation_is_read_to_its_end_by_nobody_else():
    """
    The peers of these tests end as real ones do.
    """

    async def main() -> None:
        conversation = PlayedConversation(lambda packet: b"")
        conversation.write_eof()
        assert [await conversation.read(), await conversation.read()] == [None, None]

    run_async(main)
