"""
known_hosts under any input: what is written is found again, and rubbish trusts nobody.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.ssh.host_verdict import HostKeyFiles, Question, ShownKey, judge
from fleetctl.ssh.key_line import encode_key
from fleetctl.ssh.known_hosts import KnownHosts, load_known_hosts, lookup_names
from fleetctl.ssh.known_hosts_file import check_name, learn_key, render_line
from tests.unit.ssh.keys import ECDSA, ED25519, RSA, blob

TYPES = (ED25519, RSA, ECDSA)

hosts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9.:_-]{0,20}", fullmatch=True)
ports = st.sampled_from([22, 2222, 65535])
key_types = st.sampled_from(TYPES)
seeds = st.integers(1, 3)
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


def read(file: Path, content: bytes) -> KnownHosts:
    file.write_bytes(content)
    return load_known_hosts([str(file)])


def verdict(known: KnownHosts, names, key_type: str, seed: int) -> str:
    question = Question(names, principal=names[0])
    return judge(
        HostKeyFiles(known), ShownKey(key_type, blob(key_type, seed)), question, 0.0
    ).verdict


@given(hosts, ports, key_types, seeds, st.booleans(), st.lists(lines, max_size=4))
def test_a_line_that_was_written_is_found_again(folder, host, port, key_type, seed, hashed, others):
    """
    Parsing a rendered line trusts exactly its key, for its host and port, among whatever lines.
    """
    names = lookup_names(host, port)
    text = render_line(names[0], blob(key_type, seed), hashed=hashed)
    comments = b"".join(b"# %s\n" % other for other in others)
    known = read(folder / "rendered", comments + text.encode() + comments)
    assert known.warnings == []
    assert verdict(known, names, key_type, seed) == "trusted"
    for other_type in TYPES:
        assert verdict(known, names, other_type, 4) == "changed"
    assert verdict(known, (f"{names[0]}x",), key_type, seed) == "unknown"


@given(st.lists(lines, max_size=6))
def test_rubbish_neither_raises_nor_trusts(folder, rubbish):
    """
    Whatever a file holds, reading it ends, and a key that does not stand in it is never trusted.
    """
    known = read(folder / "rubbish", b"\n".join(rubbish))
    for host in ("web1", "", "*", "|1|"):
        assert verdict(known, lookup_names(host, 2222), ED25519, 4) != "trusted"


@given(st.binary(max_size=200) | st.lists(lines, max_size=4).map(b"\n".join), key_types, seeds)
def test_adding_never_changes_what_stands_there(folder, before, key_type, seed):
    """
    Every byte of the file is kept, at most one newline and one line are added, and it is believed.
    """
    file, key, name = folder / "added", blob(key_type, seed), "new.example.org"
    file.write_bytes(before)
    text = render_line(name, key, hashed=False)
    found = learn_key(str(file), (name,), key, hashed=False).verdict
    after = file.read_bytes()
    if found == "trusted" and after != before:
        newline = b"\n" if before and not before.endswith(b"\n") else b""
        assert after == before + newline + text.encode()
        assert verdict(load_known_hosts([str(file)]), (name,), key_type, seed) == "trusted"
    else:
        assert after == before


@given(st.text(max_size=12))
def test_a_name_that_may_be_written_is_one_field_and_no_pattern(name):
    """
    Whatever an inventory calls a host, its line says that name or is not written.
    """
    try:
        check_name(name)
    except ValueError:
        return
    text = render_line(name, blob(), hashed=False)
    assert text.split(" ")[0] == name
    assert len(text.splitlines()) == 1
    assert not set(name) & set("*?!,#@|")


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
    text = f"{','.join(patterns)} {encode_key(blob())}\n"
    known = read(folder / "patterns", text.encode())
    assert (verdict(known, (name,), ED25519, 1) == "trusted") == expected
