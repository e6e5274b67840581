"""
Hostile peers do what their names say; otherwise the tests that use them prove nothing.
"""

from __future__ import annotations

import socket
import struct
import time
from contextlib import suppress

import pytest

from tests.support.patience import PATIENCE_S
from tests.support.peers import BANNER, SCRIPTS, hostile_peer, packet


def connect(endpoint: tuple[str, int]) -> socket.socket:
    return socket.create_connection(endpoint, PATIENCE_S)


def first_bytes(kind: str, count: int) -> bytes:
    """Return the first bytes of what a peer says; fewer, and ``[end]``, where it ends before."""
    with hostile_peer(kind) as endpoint, connect(endpoint) as sock:
        return read(sock, count)


def read(sock: socket.socket, count: int) -> bytes:
    said = b""
    while len(said) < count:
        data = sock.recv(count - len(said))
        if not data:
            return said + b"[end]"
        said += data
    return said


def ends_with_reset(sock: socket.socket) -> bool:
    try:
        while sock.recv(65536):
            pass
    except ConnectionResetError:
        return True
    return False


@pytest.mark.parametrize(
    ("kind", "expected", "is_over"),
    [
        ("silent", b"", False),
        ("close", b"", True),
        ("half_banner", b"SSH-2.0-Op", False),
        ("ssh1", b"SSH-1.5-OldServer_1.0\n", False),
        ("stall_after_banner", BANNER, False),
        ("zero_packet", BANNER + bytes(16), False),
        ("maxstartups", b"Exceeded MaxStartups\r\n", True),
    ],
)
def test_quiet_peer_says_exactly_this(kind, expected, is_over):
    """
    What the peer sends is what its fault row asks for, and nothing after it (F06 F07 F09 F13 F17).
    """
    with hostile_peer(kind) as endpoint, connect(endpoint) as sock:
        assert read(sock, len(expected)) == expected
        if is_over:
            assert sock.recv(1) == b""
            return
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("http", b"HTTP/1.1 400"),
        ("binary_banner", bytes(range(256))),
        ("escape_lines", b"\x1b]0;owned"),
        ("garbage_after_banner", BANNER + b"\xff\xfe"),
        ("huge_packet", BANNER + b"\xff\xff\xff\xf0"),
        ("flood_no_newline", b"x" * 4096),
        ("flood_lines", b"no banner yet\r\n" * 200),
        ("ignore_flood", BANNER),
    ],
)
def test_talking_peer_starts_like_this(kind, start):
    """
    Peers that send much begin with what names them (F11 F12 F14 F16 F17).
    """
    assert first_bytes(kind, len(start)) == start


@pytest.mark.parametrize("kind", ["flood_no_newline", "flood_lines", "huge_packet", "ignore_flood"])
def test_flood_goes_on(kind):
    """
    A flood is more than any limit before authentication: at least 2 MiB (F11 F16 F17).
    """
    assert len(first_bytes(kind, 2 * 1024 * 1024)) == 2 * 1024 * 1024


@pytest.mark.parametrize(
    ("kind", "drip"), [("drip_banner", 1), ("endless_lines", 3), ("drip_kex", 1)]
)
def test_dripping_peer_goes_on_slowly(kind, drip):
    """
    Each 0.2 s brings a little more, so that a timeout per read never fires (F10 F16).
    """
    before = BANNER if kind == "drip_kex" else b""
    started = time.monotonic()
    said = first_bytes(kind, len(before) + 4 * drip)
    assert time.monotonic() - started >= 0.5
    assert said.startswith(before)
    assert len(said) == len(before) + 4 * drip


def test_reset_peer_resets():
    """
    The connection ends with RST, not with an end of file (F08); it may be there already when the
    connect returns.
    """
    with hostile_peer("reset") as endpoint:
        try:
            sock = connect(endpoint)
        except ConnectionResetError:
            return
        with sock:
            assert ends_with_reset(sock)


def test_disconnect_is_a_well_formed_message_with_escapes():
    """
    The reason of the DISCONNECT message holds bytes that must never reach a terminal (F14).
    """
    said = first_bytes("disconnect", 4096)
    assert said.startswith(BANNER)
    length, _, number = struct.unpack_from(">IBB", said, len(BANNER))
    assert number == 1
    assert len(said) == len(BANNER) + 4 + length + len(b"[end]")
    assert b"\x1b]0;owned" in said


@pytest.mark.parametrize(
    ("kind", "offer"),
    [
        ("stall_mid_kex", b"curve25519-sha256"),
        ("reset_mid_kex", b"curve25519-sha256"),
        ("no_common_kex", b"made-up-kex@example.org"),
        ("no_common_hostkey", b"made-up-key@example.org"),
        ("weak_only", b"diffie-hellman-group1-sha1"),
    ],
)
def test_key_exchange_peer_offers_what_it_says(kind, offer):
    """
    After the banner comes one whole KEXINIT with the offer in it (F15 F18 F20 F21).
    """
    with hostile_peer(kind) as endpoint, connect(endpoint) as sock:
        assert read(sock, len(BANNER)) == BANNER
        (length,) = struct.unpack(">I", read(sock, 4))
        said = read(sock, length)
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert said[1] == 20
    assert len(said) == length
    assert offer in said


def test_reset_in_key_exchange_waits_for_the_client():
    """
    The reset comes when the client has identified itself, in the middle of the exchange (F18).
    """
    with hostile_peer("reset_mid_kex") as endpoint, connect(endpoint) as sock:
        assert read(sock, len(BANNER)) == BANNER
        sock.sendall(b"SSH-2.0-test\r\n")
        assert ends_with_reset(sock)


@pytest.mark.parametrize("size", range(1, 40))
def test_packets_have_legal_padding(size):
    """
    Whole packets are a multiple of 8 and have 4 to 255 bytes of padding (RFC 4253 section 6).
    """
    made = packet(bytes(size))
    length, padding = struct.unpack_from(">IB", made)
    assert len(made) % 8 == 0
    assert len(made) == 4 + length
    assert padding >= 4
    assert length == 1 + size + padding


def test_peer_with_visitors_ends_at_once():
    """
    Leaving the block ends every visitor, though none of them has left.
    """
    socks = []
    started = time.monotonic()
    with hostile_peer("silent") as endpoint:
        socks = [connect(endpoint) for _ in range(20)]
    assert time.monotonic() - started < PATIENCE_S
    for sock in socks:
        # Those still in the backlog see a reset instead of an end of file.
        with sock, suppress(ConnectionResetError):
            assert sock.recv(1) == b""


def test_unknown_peer_is_refused():
    """
    A misspelt name fails the test that uses it.
    """
    with pytest.raises(KeyError), hostile_peer("silnet"):
        pass
    assert "silent" in SCRIPTS
