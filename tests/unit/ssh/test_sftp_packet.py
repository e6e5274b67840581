"""
SFTP as bytes: what is written is read back, and what is no SFTP is found out.
"""

from __future__ import annotations

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.ssh.sftp_packet import (
    MAX_PACKET_BYTES,
    Attributes,
    Entry,
    Fields,
    Framer,
    Malformed,
    parse_attributes,
    parse_entries,
    parse_file_system,
    parse_handle,
    parse_path,
    path_bytes,
    path_text,
    string,
    uint32,
    uint64,
)

NUMBERS = st.integers(0, 2**32 - 1)
PAIRS = st.none() | st.tuples(NUMBERS, NUMBERS)


@given(st.none() | st.integers(0, 2**64 - 1), PAIRS, st.none() | NUMBERS, PAIRS)
def test_attributes_are_read_as_they_were_written(size, owner, mode, times):
    """
    Whichever of them are there, and with the largest numbers.
    """
    uid, gid = owner or (None, None)
    atime, mtime = times or (None, None)
    attributes = Attributes(size, uid, gid, mode, atime, mtime)
    fields = Fields(attributes.render())
    assert parse_attributes(fields) == attributes
    assert fields.rest_bytes == 0


def test_extended_attributes_are_passed_over():
    """
    What follows them is read all the same.
    """
    extended = uint32(2) + (string(b"acl@example.org") + string(b"\0" * 9)) * 2
    fields = Fields(uint32(0x80000004) + uint32(0o100644) + extended + b"rest")
    assert parse_attributes(fields) == Attributes(mode=0o100644)
    assert fields.rest_bytes == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        uint32(1) + b"\0" * 7,
        uint32(0x80000000) + uint32(0xFFFFFFFF) + string(b"a"),
        uint32(0x10),
    ],
)
def test_attributes_that_are_none_are_found_out(data):
    """
    Cut off, counts that lie, fields of another version.
    """
    with pytest.raises(Malformed):
        parse_attributes(Fields(data))


def test_the_type_of_a_file_is_told():
    """
    By the bits of st_mode; unknown is none of them.
    """
    folder = Attributes(mode=stat.S_IFDIR | 0o1755)
    assert (folder.is_directory, folder.is_file, folder.is_link) == (True, False, False)
    assert folder.permissions == 0o1755
    assert Attributes(mode=stat.S_IFLNK | 0o777).is_link
    assert not Attributes().is_file


@given(st.binary(max_size=100))
def test_paths_keep_their_bytes(data):
    """
    Whatever bytes a host uses for a name, the same go back.
    """
    assert path_bytes(path_text(data)) == data


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20), st.data())
def test_packets_are_whole_however_they_arrive(packets, data):
    """
    The same packets come out, wherever the stream was cut.
    """
    stream = b"".join(uint32(len(packet)) + packet for packet in packets)
    framer, at = Framer(), 0
    found: list[bytes] = []
    while at < len(stream):
        size = data.draw(st.integers(1, 200))
        found += framer.feed(stream[at : at + size])
        at += size
    assert found == packets


@pytest.mark.parametrize("size", [0, MAX_PACKET_BYTES + 1, 0x4D657373, 2**32 - 1])
def test_a_packet_of_an_impossible_length_is_found_out_at_once(size):
    """
    Nothing is waited for, or kept, of a packet that is too long, nor of an empty one.
    """
    framer = Framer()
    with pytest.raises(Malformed, match=str(size)):
        list(framer.feed(uint32(size)))


def test_the_longest_packet_is_taken():
    """
    256 KiB, as OpenSSH.
    """
    packet = bytes(MAX_PACKET_BYTES)
    assert list(Framer().feed(uint32(len(packet)) + packet)) == [packet]


@given(st.binary(max_size=200))
def test_no_answer_makes_a_parser_stumble(data):
    """
    Whatever a host sends, it is read or called malformed.
    """
    for parse in (parse_attributes, parse_entries, parse_path, parse_handle, parse_file_system):
        try:
            parse(Fields(data))
        except Malformed:
            continue


def entry(name: bytes, long_name: bytes = b"", attributes: bytes = uint32(0)) -> bytes:
    return string(name) + string(long_name) + attributes


@pytest.mark.parametrize("name", [b"", b"a/b", b"../x", b"a\0b", b"n" * 1025])
def test_names_that_are_none_are_found_out(name):
    """
    A server does not get to choose where a file lands.
    """
    with pytest.raises(Malformed):
        parse_entries(Fields(uint32(1) + entry(name)))


@pytest.mark.parametrize(
    ("long_name", "links"),
    [
        ("-rw-------    3 root     root      3145735 Nov 21 21:00 x", 3),
        ("drwxr-xr-x+  12 root root 5 Nov 21 21:00 x", 12),
        ("-rw-------    ? 0        0               7 Nov 21 21:00 x", None),
        ("", None),
        ("x", None),
        ("owner 3 something", None),
        ("-rw------- ٣ root", None),
    ],
)
def test_hard_links_are_counted_where_a_listing_says(long_name, links):
    """
    SFTP has no number for them; the long name has, with most servers.
    """
    assert Entry("x", Attributes(), long_name).links == links


def test_a_file_system_is_read():
    """
    Free room is in blocks of the fragment size.
    """
    values = [4096, 512, 1000, 900, 800, 50, 40, 30, 7, 1, 255]
    found = parse_file_system(Fields(b"".join(map(uint64, values))))
    assert (found.free_bytes, found.free_inodes, found.inodes) == (800 * 512, 30, 50)
    assert found.is_read_only
