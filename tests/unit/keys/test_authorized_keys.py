"""
What stands in an authorized_keys file, and what it is worth.
"""

from __future__ import annotations

import base64
import time

import pytest

from fleetctl.keys.authorized_keys import (
    AuthorizedKey,
    BadOptions,
    KeyOption,
    ServerVersion,
    liveness,
    parse,
)
from tests.support.key_cases import CaseKeys, load_cases

CASES = load_cases()
NOW = 1_800_000_000  # 2027-01-15 08:00:00 UTC
NEWEST = ServerVersion()


def blob_of(number: int) -> bytes:
    return b"\0\0\0\x0bssh-ed25519\0\0\0\x20" + number.to_bytes(32, "big")


def text_of(number: int) -> str:
    return f"ssh-ed25519 {base64.b64encode(blob_of(number)).decode()}"


ALICE, BOB = text_of(1), text_of(2)


@pytest.fixture(scope="module")
def case_keys(tmp_path_factory):
    return CaseKeys(tmp_path_factory.mktemp("case-keys"), "root")


def states_of(text, *, server="OpenSSH_9.2p1", at=NOW, utc_offset=0, client_address=None):
    return liveness(
        parse(text.encode()),
        at=at,
        utc_offset=utc_offset,
        server=ServerVersion.parse(server),
        client_address=client_address,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_F66_our_reading_says_who_is_let_in(case, case_keys):
    """
    What real servers do with each file of the cases is what we predict.
    """
    data, now = case_keys.fill(case.text), int(time.time())
    for server, truth in (("OpenSSH_9.2p1", case.logins), ("dropbear_2022.83", case.dropbear)):
        assert truth == {name: case_keys.predict(data, name, server, at=now) for name in truth}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_F66_a_text_gives_its_bytes_back(case, case_keys):
    """
    Whatever is in a file, not a byte of it is lost by reading.
    """
    data = case_keys.fill(case.text)
    assert parse(data).data == data


def test_an_absent_file_is_an_empty_one():
    """
    Without a file nobody is let in, and nothing breaks.
    """
    assert parse(None).lines == ()
    assert parse(None).data == b""


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"{ALICE} alice", "key"),
        (f"#{ALICE} alice", "disabled"),
        (f"## restrict {ALICE}", "disabled"),
        (f"# was {ALICE} until May", "disabled"),
        ("# the keys of the team", "comment"),
        ("# ssh-ed25519 AAAA", "comment"),
        ("\r", "blank"),
        ("\t ", "blank"),
        (f"frobnicate {ALICE}", "dead"),
        ("hello", "dead"),
    ],
)
def test_each_line_is_of_one_kind(line, kind):
    """
    Keys, commented keys, lines that sshd skips, comments and blank lines are told apart.
    """
    assert parse(line.encode()).lines[0].kind == kind


@pytest.mark.parametrize(
    ("line", "problem", "options"),
    [
        (f"\ufeff{ALICE} alice", "a byte order mark stands before it", ()),
        (
            ALICE.replace("ssh-ed25519", "SSH-ED25519") + " alice",
            "the type is not in lower case: SSH-ED25519",
            (),
        ),
        (
            f"no_pty,from=* {ALICE} alice",
            "no_pty: no option of authorized_keys; is no-pty meant?",
            (KeyOption("no_pty"), KeyOption("from", "*")),
        ),
        (
            f'command="a",command="b" {ALICE} alice',
            "command: the option may stand once only",
            (KeyOption("command", "a"), KeyOption("command", "b")),
        ),
        (
            ALICE.replace("ssh-ed25519", "ssh-rsa") + " alice",
            "the key is not of the type that stands before it",
            (KeyOption("ssh-rsa"),),
        ),
        (
            f'command="a b {ALICE} alice',
            "the quotes of its options are not closed",
            (KeyOption("command", "a b"),),
        ),
    ],
)
def test_a_line_that_sshd_skips_still_shows_its_key(line, problem, options):
    """
    A key in a dead line can be found and taken out, and the reason why it is dead is said.
    """
    [found] = parse(line.encode()).lines
    assert found.kind == "dead"
    assert found.problem == problem
    assert found.key == AuthorizedKey("ssh-ed25519", blob_of(1), "alice", options)


def test_lines_of_one_key_are_found_whatever_stands_around_it():
    """
    Identity is type and blob: comment, options, spacing and being commented out do not matter.
    """
    text = parse(
        (
            f"{ALICE}\nno-pty  {ALICE} x\n{BOB} bob\n#{ALICE}\nwrong {ALICE}\n"
            f"cert-authority {ALICE}\n"
        ).encode()
    )
    assert [line.number for line in text.keys_of(blob_of(1))] == [1, 2, 4, 5, 6]


def test_numbers_and_line_ends_are_those_of_the_file():
    """
    Lines are numbered as editors do it, and each keeps its own end.
    """
    text = parse(f"{ALICE}\r\n\n{BOB}".encode())
    assert [(line.number, line.eol) for line in text.lines] == [(1, b"\r\n"), (2, b"\n"), (3, b"")]


def test_a_key_is_written_as_it_stands_in_a_file():
    """
    Options, type, blob and comment, with quotes in values escaped.
    """
    options = (KeyOption("restrict"), KeyOption("command", 'echo "a b"'))
    key = AuthorizedKey("ssh-ed25519", blob_of(1), "alice", options)
    line = f'restrict,command="echo \\"a b\\"" {ALICE} alice'.encode()
    assert key.render() == line
    assert parse(line).lines[0].key == key


@pytest.mark.parametrize(
    "key",
    [
        AuthorizedKey("ssh-ed25519", blob_of(1), f"alice\n{BOB}"),
        AuthorizedKey("ssh-ed25519", blob_of(1), "ali\0ce"),
        AuthorizedKey("ssh-ed25519", blob_of(1), "", (KeyOption("command", f"a\n{BOB}"),)),
        AuthorizedKey("ssh-ed25519", blob_of(1), "", (KeyOption("command", "a\\"),)),
        AuthorizedKey("ssh-ed25519", blob_of(1), "", (KeyOption(f"restrict {BOB}"),)),
        AuthorizedKey("ssh-ed25519", blob_of(1), "", (KeyOption("no-pty", "x"),)),
    ],
)
def test_what_would_smuggle_in_another_line_is_refused(key):
    """
    No comment, option or value makes a second key of one.
    """
    with pytest.raises(BadOptions):
        key.render()


def test_of_two_lines_with_one_key_the_first_counts():
    """
    A line behind one with the same key never does, and says which counts.
    """
    first, second = states_of(f'command="date" {ALICE}\n{ALICE} alice\n')
    assert (first.state, second.state) == ("live", "shadowed")
    assert second.shadowed_by == 1
    assert second.why == "line 1 has the same key, and counts"


def test_a_line_for_some_addresses_leaves_the_next_one_in_force():
    """
    From elsewhere the second line counts, so that it is not shadowed.
    """
    text = f'from="10.0.0.0/8" {ALICE}\n{ALICE}\n'
    assert [one.state for one in states_of(text)] == ["conditional", "live"]
    assert [one.state for one in states_of(text, client_address="10.1.2.3")] == [
        "live",
        "shadowed",
    ]
    assert [one.state for one in states_of(text, client_address="192.0.2.1")] == [
        "elsewhere",
        "live",
    ]
    assert states_of(text)[0].why == "only from 10.0.0.0/8"


@pytest.mark.parametrize("patterns", ["10.0.0.0/33", "10.0.0.1/8,*", "", "*,,*", "!10.0.0.1"])
def test_a_line_that_lets_nobody_in_is_dead(patterns):
    """
    Where no address whatever would do, the line is as good as not there.
    """
    first, second = states_of(f'from="{patterns}" {ALICE}\n{ALICE}\n')
    assert (first.state, second.state) == ("dead", "live")


@pytest.mark.parametrize(
    ("value", "at", "utc_offset", "state"),
    [
        ("20270115080000", NOW, 0, "live"),
        ("20270115080000", NOW + 1, 0, "expired"),
        ("20270115080000Z", NOW + 1, 3600, "expired"),
        # It is nine o'clock there already.
        ("20270115083000", NOW, 3600, "expired"),
        ("20270115083000", NOW, -3600, "live"),
        ("202701150800", NOW + 1, 0, "expired"),
        ("20270116", NOW, 0, "live"),
        ("20270114utc", NOW, 0, "expired"),
    ],
)
def test_a_time_is_the_hosts_own_unless_it_says_utc(value, at, utc_offset, state):
    """
    Sshd takes expiry-time for local, and lets the key in during the very second.
    """
    [found] = states_of(f'expiry-time="{value}" {ALICE}', at=at, utc_offset=utc_offset)
    assert found.state == state
    assert found.expires is not None


@pytest.mark.parametrize(
    ("options", "server", "state"),
    [
        ("restrict", "OpenSSH_7.1p2", "dead"),
        ("restrict", "OpenSSH_7.2", "live"),
        ('expiry-time="20990101"', "OpenSSH_7.6p1", "dead"),
        ('expiry-time="20990101"', "SSH-2.0-OpenSSH_7.7p1 Debian-4", "live"),
        ('expiry-time="20990101Z"', "OpenSSH_9.0p1", "dead"),
        ('expiry-time="20990101Z"', "OpenSSH_9.1p1", "live"),
        ('permitlisten="22"', "OpenSSH_7.7", "dead"),
        ("verify-required", "OpenSSH_8.3", "dead"),
        ("no-touch-required", "OpenSSH_8.2", "live"),
        ('command="a",command="b"', "OpenSSH_7.6", "dead"),
        ("restrict", "dropbear_2020.81", "dead"),
        ("restrict", "dropbear_2022.82", "live"),
        ("no-pty", "dropbear", "live"),
        ('from="*"', "dropbear_2025.89", "dead"),
        ("restrict", "AsyncSSH_2.14", "live"),
    ],
)
def test_a_server_skips_lines_with_options_it_does_not_know(options, server, state):
    """
    Whether a line counts depends on the server's version.
    """
    [found] = states_of(f"{options} {ALICE}", server=server)
    assert found.state == state, found.why


def test_a_dsa_key_counts_only_where_it_was_allowed(case_keys):
    """
    OpenSSH takes none without being told, and since 10.0 none at all.
    """
    line = case_keys.fill("<dsa> old").decode()
    assert states_of(line)[0].state == "conditional"
    assert states_of(line, server="OpenSSH_10.0p2")[0].state == "dead"


def test_an_authority_is_a_class_of_its_own():
    """
    A line that makes a key an authority neither lets the key in nor stands in its way.
    """
    text = f'cert-authority,principals="ops" {ALICE}\n{ALICE}\n'
    authority, key = states_of(text)
    assert (authority.state, key.state) == ("authority", "live")
    assert authority.why == "certificates for the principals ops"


@pytest.mark.parametrize(
    ("server", "most"), [("OpenSSH_7.1", 8191), ("OpenSSH_7.7", 16383), ("OpenSSH_7.8", None)]
)
def test_older_sshds_skip_long_lines(server, most):
    """
    A key with a long command, or a very long comment, lets nobody in there.
    """
    for size in (8191, 8192, 16383, 16384, 100_000):
        line = f"{ALICE} ".ljust(size - 1, "x") + "\n"
        expected = "dead" if most is not None and size > most else "live"
        assert states_of(line, server=server)[0].state == expected


def test_newer_dropbears_stop_at_300_lines():
    """
    A key beyond lets nobody in there; lines that end in CRLF count twice.
    """
    old, new = "dropbear_2025.89", "dropbear_2026.92"
    text = "\n" * 299 + f"{ALICE}\n{BOB}\n"
    assert [one.state for one in states_of(text, server=new)[-2:]] == ["live", "dead"]
    assert [one.state for one in states_of(text, server=old)[-2:]] == ["live", "live"]
    assert states_of("\r\n" * 200 + f"{ALICE}\n", server=new)[-1].state == "dead"


def test_ten_thousand_lines_are_read_in_no_time():
    """
    Reading and judging grows with the size of a file, not with its square.
    """
    data = "".join(f'restrict,command="x{n}" {text_of(n)} c{n}\n' for n in range(10_000)).encode()
    begin = time.process_time()
    states = liveness(parse(data), at=NOW, utc_offset=0, server=NEWEST)
    assert time.process_time() - begin < 10
    assert all(state.state == "live" for state in states)


@pytest.mark.parametrize(
    "line",
    [
        b'"' * 100_000,
        b'\\"' * 50_000,
        b"," * 100_000,
        b'command="' * 10_000,
        b"AAAA" * 25_000,
        b"AAAAC3NzaC1lZDI1NTE5AAAAIA " * 4_000,
        b"#" + b"AAAA= " * 20_000,
        b"ssh-ed25519 " * 10_000,
        b" " * 100_000 + b"x",
        b'from="' + b"*?" * 40_000 + b'" ' + ALICE.encode(),
    ],
)
def test_S05_no_line_makes_reading_slow(line):
    """
    A hostile line of 100 kB costs no more than its length.
    """
    begin = time.process_time()
    liveness(parse(line), at=NOW, utc_offset=0, server=NEWEST)
    liveness(parse(line), at=NOW, utc_offset=0, server=ServerVersion.parse("dropbear_2022.83"))
    assert time.process_time() - begin < 5
