"""
Whatever is in an authorized_keys file: reading never fails, and edits change what they say.
"""

from __future__ import annotations

import string

from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.keys.authorized_keys import (
    AuthorizedKey,
    KeyOption,
    ServerVersion,
    add_keys,
    liveness,
    parse,
    remove_keys,
    set_block,
    set_exact,
)
from fleetctl.keys.options import BadOptions, parse_options, render_options, same_options
from fleetctl.keys.options_syntax import split_options

SERVERS = st.sampled_from(
    ["", "OpenSSH_6.6", "OpenSSH_7.4", "OpenSSH_9.2p1", "dropbear_2022.83", "dropbear_2026.92"]
)


def key(number, comment="", options=()):
    blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + number.to_bytes(32, "big")
    return AuthorizedKey("ssh-ed25519", blob, comment, tuple(options))


texts = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]))
comments = texts.map(str.strip)
values = texts.filter(lambda value: not value.endswith("\\"))
options = st.lists(
    st.one_of(
        st.sampled_from(["restrict", "pty", "no-pty", "no-touch-required"]).map(KeyOption),
        st.builds(KeyOption, st.just("command"), values),
        st.builds(KeyOption, st.just("from"), values),
        st.builds(lambda text: KeyOption("environment", f"X={text}"), values),
    ),
    unique_by=lambda option: option.name,
)
keys = st.builds(key, st.integers(0, 5), comments, options)
#: Keys that do not occur in `files`.
new_keys = st.lists(st.builds(key, st.integers(100, 105), comments, options), min_size=1)

_FRAGMENTS = [
    *(b"\n", b"\r\n", b"\r", b"\0", b" ", b"\t", b"#", b'"', b"\\", b",", b"=", b"\xef\xbb\xbf"),
    *(b"restrict ", b'command="', b"cert-authority ", b"frobnicate ", b"ssh-ed25519 ", b"AAAA"),
    *(key(number).render() for number in range(3)),
    key(1).render()[12:],
    key(2, "c", [KeyOption("no-pty")]).render(),
]
files = st.lists(st.one_of(st.sampled_from(_FRAGMENTS), st.binary(max_size=4))).map(b"".join)


@given(st.one_of(files, st.binary()), SERVERS)
def test_reading_never_fails_and_loses_nothing(data, server):
    """
    Any bytes can be read and judged for any server, and come back as they were.
    """
    text = parse(data)
    assert text.data == data
    states = liveness(text, at=2**31, utc_offset=0, server=ServerVersion.parse(server))
    assert [state.line.number for state in states] == [line.number for line in text.lines]


@given(keys)
@example(key(1, "", [KeyOption("command", '\\"a\\\\"')]))
def test_a_key_that_was_written_is_read_as_it_was(one):
    """
    parse(render(key)) is the key.
    """
    [line] = parse(one.render()).lines
    assert (line.kind, line.key) == ("key", one)


@given(files, new_keys)
@example(b"x", [key(100)])
@example(b"x\r", [key(100)])
@example(b"x \t", [key(100)])
@example(b"\r\n\r\nx", [key(100), key(101)])
@example(b"\0", [key(100)])
def test_F66_adding_and_removing_gives_the_original_bytes(data, wanted):
    """
    Keys that were put in can be taken out again without a trace.
    """
    edit = add_keys(parse(data), wanted)
    assert {one.blob for one in parse(edit.data).keys} >= {one.blob for one in wanted}
    after = remove_keys(parse(edit.data), {one.blob for one in wanted})
    assert after.data == data


@given(files, new_keys)
def test_F66_a_block_can_be_made_and_taken_away_without_a_trace(data, wanted):
    """
    A managed block without keys is none.
    """
    edit = set_block(parse(data), "people", wanted)
    again = set_block(parse(edit.data), "people", reversed(wanted), on_other_options="replace")
    assert set_block(parse(again.data), "people", []).data == data


@given(files, st.lists(keys))
def test_every_edit_keeps_the_other_lines(data, wanted):
    """
    Lines without a wanted key are all there, in their order, byte for byte.
    """
    text, blobs = parse(data), {one.blob for one in wanted}
    foreign = [one.raw for one in text.lines if one.key is None or one.key.blob not in blobs]
    for edit in (
        add_keys(text, wanted, on_other_options="replace"),
        remove_keys(text, blobs, also_disabled=True),
    ):
        left = [one.raw for one in parse(edit.data).lines]
        assert [raw for raw in left if raw in foreign][: len(foreign)] == foreign


@given(files, st.lists(keys), st.sampled_from(["keep", "replace"]))
def test_an_edit_is_done_once(data, wanted, mode):
    """
    What was brought to the wanted state is not changed again.
    """
    added = add_keys(parse(data), wanted, on_other_options=mode)
    assert not add_keys(parse(added.data), wanted, on_other_options=mode).changed
    exact = set_exact(parse(data), wanted)
    assert not set_exact(parse(exact.data), wanted).changed
    removed = remove_keys(parse(data), {one.blob for one in wanted})
    assert not remove_keys(parse(removed.data), {one.blob for one in wanted}).changed


@given(files, st.lists(keys))
def test_no_edit_leaves_two_lines_of_a_wanted_key(data, wanted):
    """
    A key that was asked for stands in one line that sshd takes, and that with its options.
    """
    edit = set_exact(parse(data), wanted)
    first = {(one.blob, one.is_authority): one for one in reversed(wanted)}
    found = parse(edit.data).keys
    assert len(found) == len(first)
    for one in found:
        assert same_options(one.options, first[one.blob, one.is_authority].options)


@given(st.text(alphabet=string.ascii_letters + '-=",\\ \t0123456789'))
def test_options_that_are_read_can_be_written(text):
    """
    What sshd takes is written so that it is read the same again; all else is refused.
    """
    split_options(text.encode())
    try:
        found = parse_options(text)
    except BadOptions:
        return
    if all(option.value is None or not option.value.endswith("\\") for option in found):
        assert parse_options(render_options(found)) == found
