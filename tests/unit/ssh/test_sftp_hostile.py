"""
SFTP servers that lie, stall or babble: one clear error each, and never a hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from fleetctl.ssh import sftp as sftp_module
from fleetctl.ssh.sftp import OpenFlags, SftpClient, SftpError
from fleetctl.ssh.sftp_packet import Attributes, Fields, Kind, Status, string, uint32, uint64
from tests.support.drive import run_async
from tests.support.patience import PATIENCE_S
from tests.support.sftp_peer import PlayedRemote, answering, framed, over_played, status, version


@pytest.fixture(autouse=True)
def _short_farewell(monkeypatch):
    monkeypatch.setattr(sftp_module, "FAREWELL_S", 0.05)


def failure(remote: PlayedRemote, work, *, timeout_s: float = PATIENCE_S) -> SftpError:
    with pytest.raises(SftpError) as caught:
        run_async(lambda: over_played(remote, work, timeout_s=timeout_s))
    return caught.value


async def look(client: SftpClient) -> object:
    return await client.stat("x")


async def read(client: SftpClient) -> object:
    return await client.read_file("x", max_bytes=1 << 20)


async def list_it(client: SftpClient) -> object:
    return await client.list_directory("x", max_entries=1000)


HANDLE = string(b"h")


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (b"Welcome to web1!\r\n", "Welcome to web1!"),
        (b"This service allows sftp connections only.\n", "This service allows sftp"),
        (b"\x1b[31mred\x1b[0m alert\n", "red"),
        (uint32(1 << 20), "1048576"),
        (uint32(0), "0 bytes"),
        (framed(Kind.STATUS, uint32(0)), "instead of the version"),
        (framed(Kind.VERSION), "shorter than its fields"),
        (version(number=2), "version 2"),
        (version(number=6), "version 6"),
        (framed(Kind.VERSION, uint32(3), string(b"name only")), "shorter than its fields"),
        (b"x" * 100_000, "xxx"),
    ],
)
def test_F37_what_is_no_sftp_server_is_found_out(first, said):
    """
    Noise of start-up files, other programs, other versions: the message shows what came.
    """
    error = failure(PlayedRemote(lambda packet: first), look)
    assert error.kind == "files.protocol"
    assert said in str(error)
    assert len(str(error)) < 400


LIES: dict[str, tuple[Callable[[int, int, Fields], bytes], Callable[[SftpClient], object]]] = {
    "wrong number": (lambda kind, number, _: status(number + 1, Status.OK), look),
    "wrong kind": (lambda kind, number, _: framed(Kind.DATA, uint32(number), string(b"")), look),
    "a status that is no refusal": (lambda kind, number, _: status(number, Status.OK), look),
    "cut attributes": (lambda kind, number, _: framed(Kind.ATTRS, uint32(number), b"\0"), look),
    "no number": (lambda kind, number, _: framed(Kind.STATUS, b"\0"), look),
    "no code": (lambda kind, number, _: framed(Kind.STATUS, uint32(number)), look),
    "text longer than the packet": (
        lambda kind, number, _: framed(Kind.STATUS, uint32(number), uint32(4), uint32(2**31)),
        look,
    ),
    "unknown kind": (lambda kind, number, _: framed(250, uint32(number)), look),
    "two answers": (lambda kind, number, _: status(number, Status.FAILURE) * 2, look),
    "long packet": (lambda kind, number, _: uint32(256 * 1024 + 1), look),
    "empty packet": (lambda kind, number, _: uint32(0), look),
    "long handle": (
        lambda kind, number, _: framed(Kind.HANDLE, uint32(number), string(bytes(257))),
        read,
    ),
    "a request": (lambda kind, number, _: framed(Kind.OPEN, uint32(number)), look),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_found_out(lie):
    """
    What does not keep to the protocol ends the session with one clear error.
    """
    answer, work = LIES[lie]
    remote = PlayedRemote(answering(answer))
    if lie == "two answers":

        async def twice(client: SftpClient) -> None:
            with pytest.raises(SftpError, match="failure"):
                await client.stat("x")
            await asyncio.sleep(0)
            await client.stat("x")

        work = twice
    error = failure(remote, work)
    assert error.kind == "files.protocol", error


def opening(then: Callable[[int, int, Fields], bytes]) -> Callable[[int, int, Fields], bytes]:
    """Open anything, of a size of 1 MiB, and then lie."""

    def play(kind: int, number: int, fields: Fields) -> bytes:
        if kind in (Kind.OPEN, Kind.OPENDIR):
            return framed(Kind.HANDLE, uint32(number), HANDLE)
        if kind == Kind.FSTAT:
            return framed(Kind.ATTRS, uint32(number), Attributes(size=1 << 20).render())
        if kind == Kind.CLOSE:
            return status(number, Status.OK)
        return then(kind, number, fields)

    return play


@pytest.mark.parametrize(
    "answer",
    [
        lambda kind, number, _: framed(Kind.DATA, uint32(number), string(bytes(32 * 1024 + 1))),
        lambda kind, number, _: framed(Kind.DATA, uint32(number), string(b"")),
        lambda kind, number, _: framed(Kind.DATA, uint32(number), uint32(100) + b"few"),
    ],
    ids=["more than asked for", "nothing", "less than it says"],
)
def test_contents_that_cannot_be_are_found_out(answer):
    """
    More than was asked for, nothing at all, or less than announced.
    """
    assert failure(PlayedRemote(answering(opening(answer))), read).kind == "files.protocol"


def entries(number: int, *names: bytes) -> bytes:
    each = b"".join(string(name) + string(b"") + uint32(0) for name in names)
    return framed(Kind.NAME, uint32(number), uint32(len(names)), each)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (lambda kind, number, _: entries(number, *[b"n"] * 100), "files.failed", "more than"),
        (lambda kind, number, _: entries(number, *[b"."] * 100), "files.failed", "more than"),
        (lambda kind, number, _: entries(number), "files.protocol", "without an entry"),
        (lambda kind, number, _: entries(number, b"../../x"), "files.protocol", "no name"),
        (
            lambda kind, number, _: framed(Kind.NAME, uint32(number), uint32(2**32 - 1)),
            "files.protocol",
            "shorter",
        ),
    ],
    ids=["endless", "endless dots", "empty", "a way out", "a count that lies"],
)
def test_a_directory_without_end_or_sense_is_given_up(answer, kind, said):
    """
    It is bounded, whatever the server says.
    """
    error = failure(PlayedRemote(answering(opening(answer))), list_it)
    assert error.kind == kind
    assert said in str(error)


@pytest.mark.parametrize("count", [0, 2, 2**32 - 1])
def test_a_path_that_is_not_one_is_found_out(count):
    """
    REALPATH and READLINK have one answer.
    """

    async def resolve(client: SftpClient) -> object:
        return await client.realpath(".")

    def play(kind: int, number: int, _: Fields) -> bytes:
        names = (string(b"/") + string(b"") + uint32(0)) * 2
        return framed(Kind.NAME, uint32(number), uint32(count), names)

    assert failure(PlayedRemote(answering(play)), resolve).kind == "files.protocol"


def test_F49_a_server_that_falls_silent_is_given_up():
    """
    Before its version, and at any request; the time is that of one answer.
    """
    for play in (lambda packet: b"", answering(lambda kind, number, _: b"")):
        error = failure(PlayedRemote(play), look, timeout_s=0.05)
        assert error.kind == "files.timeout"
        assert "0.05 s" in str(error)


def test_a_server_that_ends_in_the_middle_of_an_answer_is_given_up():
    """
    Half an answer is none.
    """

    def play(kind: int, number: int, _: Fields) -> bytes | None:
        remote.conversations[0].say(framed(Kind.ATTRS, uint32(number), uint64(0))[:-3])
        return None

    remote = PlayedRemote(answering(play))
    error = failure(remote, look)
    assert (error.kind, "has ended" in str(error)) == ("files.ended", True)


def test_all_that_wait_are_told_when_a_server_breaks_down():
    """
    However many requests are in flight, and those that come later.
    """

    async def work(client: SftpClient) -> None:
        async with asyncio.timeout(PATIENCE_S):
            found = await asyncio.gather(
                *(client.stat(str(number)) for number in range(100)), return_exceptions=True
            )
        assert all(isinstance(each, SftpError) for each in found)
        await client.open("later", OpenFlags.READ)

    def play(kind: int, number: int, _: Fields) -> bytes:
        return b"" if number < 99 else status(5000, Status.OK)

    assert failure(PlayedRemote(answering(play)), work).kind == "files.protocol"


def test_what_a_server_babbles_on_its_standard_error_is_bounded():
    """
    Of a flood of it the end is kept.
    """

    def play(kind: int, number: int, _: Fields) -> None:
        for _number in range(1000):
            remote.conversations[0].say(b"babble " * 1000 + b"\n", "stderr")

    remote = PlayedRemote(answering(play))
    error = failure(remote, look)
    assert "babble" in str(error)
    assert len(str(error)) < 400
