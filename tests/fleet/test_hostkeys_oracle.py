"""
known_hosts as the real ssh judges it, on generated files and a real sshd.
"""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetctl.ssh.known_hosts import hash_name
from fleetctl.ssh.public_key import key_type_of
from tests.fleet.hostkeys_oracle import Oracle, make_oracle
from tests.unit.ssh.keys import ED25519, RSA, blob

pytestmark = pytest.mark.fleet

EXAMPLES = 320
TYPES = ("ed25519", "ecdsa", "rsa")


@pytest.fixture(scope="module")
def oracles(fleet, tmp_path_factory):
    """A server with one host key, and one with three."""
    folder = tmp_path_factory.mktemp("oracle")
    made = [
        make_oracle(fleet, folder, "oracle-one", ("ed25519",)),
        make_oracle(fleet, folder, "oracle-three", TYPES),
    ]
    yield [oracle for oracle, _ in made]
    for _, host in made:
        fleet.stop(host)


# -- known_hosts files, nearly right more often than not

ALIASES = ("web1", "Web1.Example.Org", "fe80::1", "db_2")
BLANKS = st.sampled_from([b" ", b" ", b" ", b"  ", b"\t", b" \t "])
ENDINGS = st.sampled_from([b"\n", b"\n", b"\n", b"\r\n", b" a comment\n", b" \xe9\xff\n", b"\t#\n"])
PATTERNS = (
    "*",
    "web*",
    "w?b1",
    "?eb1*",
    "*,!web1",
    "!web1,*",
    "!db*,*",
    "*.example.org",
    "[*]:*",
    "*.*.*.*",
    "[127.*",
    "we[b]1",
    "!*",
    "",
    ",web1,",
    "*b*e*1",
    "!!web1,web*",
)


@st.composite
def name_fields(draw, alias: str, address: str, port: int) -> bytes:
    """Return a first field: the host more often than not, in one of the ways to write it."""
    own = [alias, alias.upper(), alias.lower(), address, f"[{address}]:{port}", f"[{alias}]:{port}"]
    names = st.sampled_from([*own, "other.example.org", "web", "10.0.0.1"])
    kind = draw(st.sampled_from(["one", "one", "list", "pattern", "hashed", "damaged hash"]))
    if kind == "one":
        return draw(names).encode()
    if kind == "list":
        return ",".join(draw(st.lists(names, min_size=2, max_size=3))).encode()
    if kind == "pattern":
        return draw(st.sampled_from(PATTERNS)).encode()
    hashed = hash_name(draw(names), draw(st.binary(min_size=20, max_size=20))).encode()
    if kind == "damaged hash":
        cut = draw(st.integers(0, len(hashed)))
        return draw(st.sampled_from([hashed[:cut], hashed[:cut] + b"x", hashed + b",web1", b"|1|"]))
    return hashed


@st.composite
def keys(draw, held: tuple[bytes, ...]) -> bytes:
    """Return ``TYPE BASE64``: a key of the server, another one, or something that is none."""
    key = draw(st.sampled_from([*held, *held, blob(ED25519, 7), blob(RSA, 7)]))
    key_type, encoded = key_type_of(key).encode(), base64.b64encode(key)
    match draw(st.sampled_from(["whole"] * 6 + ["cut", "flip", "type", "longer", "gap", "ssh1"])):
        case "cut":
            encoded = encoded[: draw(st.integers(0, len(encoded)))]
        case "flip":
            at = draw(st.integers(0, len(encoded) - 1))
            encoded = (
                encoded[:at] + draw(st.sampled_from([b"A", b"/", b"!", b"="])) + encoded[at + 1 :]
            )
        case "type":
            key_type = draw(
                st.sampled_from([b"ssh-rsa", b"rsa-sha2-256", b"ssh-dss", b"1024", b"#"])
            )
        case "longer":
            encoded = base64.b64encode(key + b"\0\0\0\x01x")
        case "gap":
            at = draw(st.integers(0, len(encoded)))
            encoded = (
                encoded[:at] + draw(st.sampled_from([b"\r", b"\v", b"\f", b"\0"])) + encoded[at:]
            )
        case "ssh1":
            return b"1024 35 1234567890"
    return key_type + draw(BLANKS) + encoded


@st.composite
def file_contents(draw, oracle: Oracle, alias: str) -> bytes:
    lines = []
    for _ in range(draw(st.integers(0, 5))):
        marker = draw(
            st.sampled_from(
                [b""] * 8 + [b"@revoked ", b"@revoked ", b"@cert-authority ", b"@x ", b"@"]
            )
        )
        indent = draw(st.sampled_from([b"", b"", b"", b" ", b"\t", b"#", b"\v"]))
        names = draw(name_fields(alias, oracle.address, oracle.port))
        line = indent + marker + names + draw(BLANKS) + draw(keys(oracle.keys)) + draw(ENDINGS)
        if draw(st.integers(0, 15)) == 0:
            line = line[: draw(st.integers(0, len(line)))] + b"\n"
        lines.append(line)
    content = b"".join(lines)
    return content[:-1] if content and draw(st.integers(0, 4)) == 0 else content


@given(data=st.data())
@settings(max_examples=EXAMPLES, derandomize=True)
def test_S12_F22_F23_F24_F25_verdicts_are_those_of_ssh(oracles, data):
    """
    S12: on whatever known_hosts files, the key of a server is trusted, unknown, changed or revoked
    for us exactly if it is for ssh.
    """
    oracle = data.draw(st.sampled_from(oracles))
    by_alias = data.draw(st.booleans())
    alias = data.draw(st.sampled_from(ALIASES))
    count = data.draw(st.sampled_from([1, 1, 2, 3]))
    contents = [data.draw(file_contents(oracle, alias)) for _ in range(count)]
    oracle.write([*contents, *[b""] * (3 - count)])
    asked = alias if by_alias else None
    ours, theirs = oracle.ask_us(asked), oracle.ask_ssh(asked)
    if ours == "revoked" and not by_alias:
        # Where [host]:port is known, ssh does not look at what the plain name revokes.
        assert theirs == "revoked" or oracle.revokes_by_plain_name(), contents
    else:
        assert (ours, contents) == (theirs, contents)
