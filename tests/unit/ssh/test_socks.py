"""
The server's side of SOCKS 4, 4a and 5: bytes in, bytes out.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.ssh.socks import MAX_TEXT_BYTES, SocksError, SocksRequest, SocksServer

GREETING = b"\x05\x01\x00"
GREETED = b"\x05\x00"

#: What a client sends -> version, host and port it asks for.
REQUESTS = {
    b"\x04\x01\x00\x50\x0a\x00\x00\x09me\0": (4, "10.0.0.9", 80),
    b"\x04\x01\x01\xbb\x00\x00\x00\x07\0web.example\0": (4, "web.example", 443),
    b"\x04\x01\x00\x50\x00\x00\x00\x00\0": (4, "0.0.0.0", 80),
    GREETING + b"\x05\x01\x00\x01\x0a\x00\x00\x09\x00\x50": (5, "10.0.0.9", 80),
    GREETING + b"\x05\x01\x00\x03\x03web\x1f\x90": (5, "web", 8080),
    GREETING + b"\x05\x01\x00\x03\xff" + b"n" * 255 + b"\0\x01": (5, "n" * 255, 1),
    GREETING + b"\x05\x01\x00\x04" + bytes(15) + b"\x01\x00\x16": (5, "::1", 22),
    b"\x05\x03\x02\x01\x00" + b"\x05\x01\x00\x03\x03web\x1f\x90": (5, "web", 8080),
    GREETING + "\x05\x01\x00\x03\x05bücher"[:4].encode() + b"\x07b\xc3\xbccher\0\x50": (
        5,
        "bücher",
        80,
    ),
}

#: What a client sends -> what it is told before it is left.
REFUSALS = {
    b"GET / HTTP/1.1\r\n": b"",
    b"\x04\x02\x00\x50\x0a\x00\x00\x09\0": b"\0\x5b" + bytes(6),
    b"\x04\x01\x00\x50\x00\x00\x00\x07\0\0": b"\0\x5b" + bytes(6),
    b"\x04\x01\x00\x50\x0a\x00\x00\x09" + b"u" * (MAX_TEXT_BYTES + 2): b"\0\x5b" + bytes(6),
    b"\x05\x01\x02": b"\x05\xff",
    b"\x05\x00": b"\x05\xff",
    GREETING + b"\x05\x02\x00\x01\x0a\x00\x00\x09\x00\x50": b"\x05\x07\x00\x01" + bytes(6),
    GREETING + b"\x05\x03\x00\x01\x0a\x00\x00\x09\x00\x50": b"\x05\x07\x00\x01" + bytes(6),
    GREETING + b"\x05\x01\x00\x02\x0a\x00\x00\x09\x00\x50": b"\x05\x08\x00\x01" + bytes(6),
    GREETING + b"\x05\x01\x00\x03\x00\x00\x50": b"\x05\x01\x00\x01" + bytes(6),
    GREETING + b"\x05\x01\x07\x03\x03web\x00\x50": b"\x05\x01\x00\x01" + bytes(6),
    GREETING + b"\x04\x01\x00\x03\x03web\x00\x50": b"\x05\x01\x00\x01" + bytes(6),
}


@pytest.mark.parametrize("sent", REQUESTS, ids=str)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_a_request_is_understood_however_it_is_cut(sent, piece):
    """
    What stands behind the request is left for the other end.
    """
    server, answered, found = SocksServer(), b"", None
    data = sent + b"rest"
    for start in range(0, len(data), piece):
        if found is not None:
            assert data[start:] == b"rest"[-len(data[start:]) :]
            break
        found, answer = server.feed(data[start : start + piece])
        answered += answer
    assert found == SocksRequest(*REQUESTS[sent])
    assert answered == (GREETED if sent[0] == 5 else b"")
    if piece == 10_000:
        assert server.rest == b"rest"


def conversation(sent: bytes, piece: int) -> bytes:
    """Return what a client is told until it is left."""
    server, told = SocksServer(), b""
    try:
        for start in range(0, len(sent), piece):
            told += server.feed(sent[start : start + piece])[1]
    except SocksError as error:
        return told + error.answer
    pytest.fail("it was not refused")


@pytest.mark.parametrize("sent", REFUSALS, ids=str)
@pytest.mark.parametrize("piece", [1, 10_000])
def test_what_there_is_not_is_refused_with_its_code(sent, piece):
    """
    RFC 1928 has a code for each; ssh closes the connection without one.
    """
    assert (
        conversation(sent, piece)
        == (GREETED if sent.startswith(GREETING) else b"") + REFUSALS[sent]
    )


@pytest.mark.parametrize(
    ("outcome", "four", "five"),
    [
        ("connected", 90, 0),
        ("failed", 91, 1),
        ("prohibited", 91, 2),
        ("network unreachable", 91, 3),
        ("host unreachable", 91, 4),
        ("refused", 91, 5),
    ],
)
def test_the_outcome_is_told_in_the_words_of_the_version(outcome, four, five):
    """
    Addresses in answers are zero, as those of OpenSSH.
    """
    server = SocksServer()
    assert server.answer(SocksRequest(4, "h", 1), outcome) == bytes([0, four]) + bytes(6)
    assert server.answer(SocksRequest(5, "h", 1), outcome) == bytes([5, five, 0, 1]) + bytes(6)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_garbage_costs_little_memory_and_ends(pieces):
    """
    Whatever comes, the server holds no more than a request needs and one piece.
    """
    server = SocksServer()
    for piece in pieces:
        try:
            request, _ = server.feed(piece)
        except SocksError:
            return
        if request is not None:
            return
        assert len(server._read) <= 2 * MAX_TEXT_BYTES + 300
