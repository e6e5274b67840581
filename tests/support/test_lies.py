"""
Peers that lie say what their names promise; otherwise the tests that use them prove nothing.
"""

from __future__ import annotations

import socket
import struct

import pytest

from tests.support.lies import LIES
from tests.support.packets import BANNER
from tests.support.patience import PATIENCE_S
from tests.support.peer_process import peers_apart, tarpits
from tests.support.peers import hostile_peer


def connect(endpoint: tuple[str, int]) -> socket.socket:
    return socket.create_connection(endpoint, PATIENCE_S)


def read(sock: socket.socket, count: int) -> bytes:
    said = b""
    while len(said) < count:
        data = sock.recv(count - len(said))
        assert data, said
        said += data
    return said


def read_packet(sock: socket.socket) -> bytes:
    """Return the payload of a whole packet. Source: RFC 4253 section 6."""
    length, padding = struct.unpack(">IB", read(sock, 5))
    return read(sock, length - 1)[: length - 1 - padding]


@pytest.mark.parametrize(
    ("kind", "numbers", "least_bytes"),
    [
        ("success_before_keys", [52], 1),
        ("drip_packets", [2, 2, 2], 1),
        ("long_kexinit", [20], 20_000),
        ("long_reason", [1], 25_000),
        ("huge_number", [20, 31], 200_000),
        ("huge_host_key", [20, 31], 200_000),
        ("forged_host_key", [20, 31], 100),
    ],
)
def test_messages_are_whole_packets(kind, numbers, least_bytes):
    """
    After the version come well-formed packets with these message numbers, the last one this long:
    what is wrong with them is inside (F16 F17).
    """
    with hostile_peer(kind) as endpoint, connect(endpoint) as sock:
        assert read(sock, len(BANNER)) == BANNER
        payloads = [read_packet(sock) for _ in numbers]
    assert [payload[0] for payload in payloads] == numbers
    assert len(payloads[-1]) >= least_bytes


def test_bad_padding_is_longer_than_its_packet():
    """
    The padding that is announced is not there (F17).
    """
    with hostile_peer("bad_padding") as endpoint, connect(endpoint) as sock:
        length, padding = struct.unpack(">IB", read(sock, len(BANNER) + 5)[len(BANNER) :])
    assert padding > length


def test_storm_of_bytes_is_never_a_whole_packet():
    """
    The packet that is announced does not end (F16).
    """
    with hostile_peer("storm_of_bytes") as endpoint, connect(endpoint) as sock:
        [length] = struct.unpack(">I", read(sock, len(BANNER) + 4)[len(BANNER) :])
        read(sock, length - 104)
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_peers_of_another_process_play_the_same():
    """
    A child process plays every peer that is asked for, each on a port of its own.
    """
    with peers_apart(["silent", *LIES]) as endpoints:
        assert set(endpoints) == {"silent", *LIES}
        assert len(set(endpoints.values())) == len(endpoints)
        with connect(endpoints["forged_host_key"]) as sock:
            assert read(sock, len(BANNER)) == BANNER


def test_tarpits_are_of_five_kinds_and_never_end():
    """
    Silence, half a version, a line each 0.2 s, silence after the version and after a KEXINIT.
    """
    with tarpits(10) as endpoints:
        assert len(set(endpoints)) == 10
        socks = [connect(endpoint) for endpoint in endpoints[:5]]
        said = [b"", b"SSH-2.0-Op", b"one more line\r\n" * 3, BANNER, BANNER]
        for sock, words in zip(socks, said, strict=True):
            assert read(sock, len(words)) == words
        assert read_packet(socks[4])[0] == 20
        for sock in (socks[0], socks[1], socks[3], socks[4]):
            sock.settimeout(0.05)
            with pytest.raises(TimeoutError):
                sock.recv(1)
        for sock in socks:
            sock.close()
