"""
known_hosts under any input: what is written is found again, and rubbish trusts nobody.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.ssh.hostkeys import (
    KnownHosts,
    add_line,
    load_known_hosts,
    lookup_names,
    render_line,
)
from fleetctl.ssh.identity import ssh_string

TYPES = ("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256")

hosts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,20}", fullmatch=True)
ports = st.sampled_from([22, 2222, 65535])
key_types = st.sampled_from(TYPES)
bodies = st.binary(min_size=1, max_size=40)
# Pieces of known_hosts lines, so that lines are nearly right more often than not.
pieces = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(
        b"web1 |*|[web1]:2222 |!web1,*|@revoked |@cert-authority |@| |\t|\r|,|#||1|a|b "
        b"|ssh-ed25519 |AAAAC3NzaC1lZDI1NTE5AAAAIDl\n|=|\xff|\x1c|\xc2\x85".split(b"|")
    ),
)
lines = st.lists(pieces, max_size=8).map(b"".join).filter(lambda text: b"\n" not in text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("hostkeys")


def blob(key_type: str, body: bytes) -> bytes:
    return ssh_string(key_type.encode()) + ssh_string(body)


def read(file: Path, content: bytes) -> KnownHosts:
    file.write_bytes(content)
    return load_known_hosts([str(file)])


@given(hosts, ports, key_types, bodies, st.booleans(), st.lists(lines, max_size=4))
def test_a_line_that_was_written_is_found_again(folder, host, port, key_type, body, hashed, others):
    """
    Parsing a rendered line trusts exactly its key, for its host and port, among whatever lines.
    """
    names, key = lookup_names(host, port), blob(key_type, body)
    text = render_line(names[0], key_type, key, hashed=hashed)
    comments = b"".join(b"# %s\n" % other for other in others)
    known = read(folder / "rendered", comments + text.encode() + comments)
    assert known.warnings == []
    assert known.judge(names, key_type, key).verdict == "trusted"
    assert known.judge(names, key_type, blob(key_type, body + b"x")).verdict == "changed"
    for other_type in TYPES:
        other_key = blob(other_type, b"x" + body)
        assert known.judge(names, other_type, other_key).verdict == "changed"
    assert known.judge((f"{names[0]}x",), key_type, key).verdict == "unknown"


@given(st.lists(lines, max_size=6))
def test_rubbish_neither_raises_nor_trusts(folder, rubbish):
    """
    Whatever a file holds, reading it ends, and a key that does not stand in it is never trusted.
    """
    known = read(folder / "rubbish", b"\n".join(rubbish))
    key = blob("ssh-ed25519", b"not in the file")
    for host in ("web1", "", "*", "|1|"):
        assert known.judge(lookup_names(host, 2222), "ssh-ed25519", key).verdict != "trusted"


@given(st.binary(max_size=200) | st.lists(lines, max_size=4).map(b"\n".join), key_types, bodies)
def test_adding_never_changes_what_stands_there(folder, before, key_type, body):
    """
    Every byte of the file is kept, at most one newline and one line are added, and it is believed.
    """
    file, key = folder / "added", blob(key_type, body)
    file.write_bytes(before)
    text = render_line("new.example.org", key_type, key, hashed=False)
    verdict = add_line(str(file), ("new.example.org",), text, key_type, key).verdict
    after = file.read_bytes()
    if verdict == "trusted" and after != before:
        newline = b"\n" if before and not before.endswith(b"\n") else b""
        assert after == before + newline + text.encode()
        known = load_known_hosts([str(file)])
        assert known.judge(("new.example.org",), key_type, key).verdict == "trusted"
    else:
        assert after == before


def matches(pattern: str, name: str) -> bool:
    """Match as OpenSSH's match_pattern does: ``*`` and ``?`` only. Source: ssh_config(5)."""
    if not pattern:
        return not name
    if pattern[0] == "*":
        return any(matches(pattern[1:], name[start:]) for start in range(len(name) + 1))
    return bool(name) and pattern[0] in ("?", name[0]) and matches(pattern[1:], name[1:])


@given(
    st.lists(st.text("ab*?![].-", min_size=1, max_size=6), min_size=1, max_size=3),
    st.text("ab[]!.-", min_size=1, max_size=6),
)
def test_patterns_match_as_in_openssh(folder, patterns, name):
    """
    A list of patterns matches if one does and no negated one does.
    """
    positive = [p for p in patterns if not p.startswith("!")]
    negated = [p[1:] for p in patterns if p.startswith("!")]
    expected = any(matches(p, name) for p in positive) and not any(
        matches(p, name) for p in negated
    )
    key = blob("ssh-ed25519", b"key")
    text = render_line(",".join(patterns), "ssh-ed25519", key, hashed=False)
    known = read(folder / "patterns", text.encode())
    assert (known.judge((name,), "ssh-ed25519", key).verdict == "trusted") == expected
