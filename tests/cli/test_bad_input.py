"""
Everything that can be wrong, typed at the real program: each gives one helpful error.
"""

from __future__ import annotations

import base64
import os
import subprocess

import pytest

from tests.cli.shell import LIMIT_S, PROGRAM, fleetctl
from tests.support.patience import PACES
from tests.support.peers import hostile_peer


@pytest.fixture
def inventory_of(tmp_path):
    """Write an inventory; return the words that give it."""

    def write(text):
        path = tmp_path / "hosts.yml"
        path.write_text(text)
        return "-i", str(path)

    return write


def refused(*words):
    """Run a command that must contact nobody; return what it said."""
    done = fleetctl("run", *words, "--", "true")
    assert done.code == 2
    assert done.out == ""
    assert "Traceback" not in done.err
    assert all(line.startswith(("fleetctl: ", "hint: ")) for line in done.err.splitlines())
    return done.err


# -- before anybody is contacted


def test_unknown_host_in_a_pattern():
    """
    A name that is not in the inventory is named, with the nearest one that is.
    """
    said = refused("-i", "web01,web02,", "web01,wbe02")
    assert said == 'fleetctl: no host, group or pattern "wbe02"; did you mean web02?\n'


def test_typo_in_an_exclusion():
    """
    Leaving out a host that is not there would leave nobody out.
    """
    assert "web03" in refused("-i", "web01,web02,", "all", "--exclude", "web03")


@pytest.mark.parametrize("pattern", ["", " ", ",", "web01,,web02", "!"])
def test_empty_pattern(pattern):
    """
    An empty pattern, or an empty term in one, selects nobody by mistake.
    """
    assert refused("-i", "web01,web02,", pattern)


def test_inventory_that_is_not_yaml(inventory_of):
    """
    The place of the first mistake is named.
    """
    said = refused(*inventory_of("all:\n  hosts: {web1: [\n"), "all")
    assert "hosts.yml:" in said


def test_inventory_with_duplicate_keys(inventory_of):
    """
    YAML would take the last one silently; both lines are named.
    """
    said = refused(*inventory_of("all:\n  hosts:\n    web1: {}\n    web1: {}\n"), "all")
    assert "hosts.yml:4:" in said
    assert "web1" in said


def test_inventory_with_a_cycle_of_groups(inventory_of):
    """
    Groups that contain each other are named.
    """
    said = refused(
        *inventory_of("a: {children: {b: {}}, hosts: {web1: {}}}\nb: {children: {a: {}}}\n"), "all"
    )
    assert "hosts.yml:" in said
    assert "a" in said


def test_inventory_with_an_unknown_ssh_keyword(inventory_of):
    """
    File, line and the keyword that was meant.
    """
    said = refused(*inventory_of("all:\n  hosts:\n    web1: {ssh: {Prot: 22}}\n"), "all")
    assert "hosts.yml:3:" in said
    assert "did you mean Port?" in said


def test_all_mistakes_of_an_inventory_at_once(inventory_of):
    """
    Two mistakes, two lines.
    """
    said = refused(
        *inventory_of("all:\n  ssh: {Prot: 22}\n  hosts:\n    web1: {ssh: {Port: x}}\n"), "all"
    )
    assert "hosts.yml:2:" in said
    assert "hosts.yml:4:" in said


def test_missing_inventory_file(tmp_path):
    """
    The file is named; a list of hosts is written with a comma.
    """
    said = refused("-i", str(tmp_path / "nope.yml"), "all")
    assert "nope.yml: there is no such file" in said
    assert "hint: " in said


def test_no_host_matched():
    """
    A right pattern without hosts is exit 3.
    """
    done = fleetctl("run", "-i", "web01,web02,", "web*:!web*", "--", "true")
    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith("fleetctl: ")


def test_missing_identity_file_on_the_command_line():
    """
    A key that was named and is not there is noticed before anybody is contacted (F28).
    """
    said = refused("-i", "web01,", "all", "--identity", "/no/such/key")
    assert "there is no such file: /no/such/key" in said


# -- on a host


#: How a peer ends for which this machine had no time.
TOO_SLOW = ("connect.timeout", "banner.timeout", "kex.timeout")


def failed(*words, kind, code, line="true"):
    """Run a command that must fail in this way (or one of these); return its only result."""
    kinds = (kind,) if isinstance(kind, str) else kind
    done = fleetctl("run", *words, "--format", "json", "--", line)
    assert done.code == code, done.err
    assert "Traceback" not in done.err
    (result,) = done.results().values()
    assert result["failure"]["kind"] in kinds, result["failure"]
    assert result["failure"]["kind"] in done.err
    assert result["host"] in done.err
    return result


def only(fleet, name):
    return "-i", str(fleet.inventory([fleet.host(name)])), "all"


def at(address, *, limit_s):
    """Return the words that name a peer no inventory knows, and the limits for it."""
    host, port = address
    return "-i", f"{host}:{port},", "all", "-T", f"{limit_s:g}", "-o", "UserKnownHostsFile=none"


@pytest.mark.fleet
def test_missing_identity_file_of_the_inventory(fleet):
    """
    A key that cannot be read is named with its path (F28).
    """
    words = only(fleet, "web01")
    inventory = words[1]
    with open(inventory) as stream:
        text = stream.read().replace(str(fleet.identity), "/no/such/key")
    with open(inventory, "w") as stream:
        stream.write(text)
    result = failed(*words, kind="auth.key_file", code=4)
    assert "/no/such/key" in result["failure"]["message"]
    assert result["ran"] == "no"


@pytest.mark.fleet
def test_wrong_passphrase(fleet, tmp_path):
    """
    The passphrase of the file does not fit: the key is named, nobody is asked (F28).
    """
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "right", "-f", str(key)], check=True)
    secret = tmp_path / "passphrase"
    secret.write_text("wrong\n")
    secret.chmod(0o600)
    host = fleet.host("web01")
    words = (
        *("-i", f"{host.address}:{host.port},", "all", "--identity", str(key)),
        *("--identity-passphrase-file", str(secret)),
        *("-o", f"UserKnownHostsFile={fleet.known_hosts}", "-o", "IdentityAgent=none"),
    )
    result = failed(*words, kind="auth.key_file", code=4)
    assert str(key) in result["failure"]["message"]
    assert "passphrase" in result["failure"]["message"]


def test_connection_refused():
    """
    Nobody listens: said at once (F04).
    """
    result = failed(*at(("127.0.0.1", 1), limit_s=LIMIT_S), kind="connect.refused", code=4)
    assert result["status"] == "unreachable"


@pytest.mark.parametrize(
    ("peer", "kinds"),
    [
        ("silent", ["banner.timeout"]),
        ("drip_banner", ["banner.timeout"]),
        ("http", ["banner.not_ssh"]),
        # Our first bytes cross with the close; unread, they make the kernel answer with a reset.
        ("close", ["connect.dropped", "connect.reset"]),
        ("ssh1", ["banner.ssh1"]),
        ("flood_lines", ["banner.too_long"]),
        ("stall_mid_kex", ["kex.timeout"]),
    ],
)
def test_a_peer_that_does_not_play_along(peer, kinds):
    """
    Silent, dripping, not SSH, closed before its banner, too old, flooding, stalled: each is told
    apart, at the deadline or before, and with a hint (F06 F07 F10 F11 F12 F13 F15).
    """
    with hostile_peer(peer) as address:
        for limit_s in PACES:
            result = failed(*at(address, limit_s=limit_s), kind=(*kinds, *TOO_SLOW), code=4)
            if result["failure"]["kind"] in kinds:
                break
    assert result["failure"]["kind"] in kinds
    assert result["ran"] == "no"
    assert result["failure"]["hint"]


@pytest.mark.fleet
def test_host_key_changed(fleet):
    """
    Old and new fingerprint, the line of known_hosts, and what to do; nothing was offered (F23).
    """
    sizes = fleet.log_sizes()
    result = failed(*only(fleet, "new-key"), kind="hostkey.changed", code=4)
    message = result["failure"]["message"]
    assert message.count("SHA256:") == 2
    assert f"{fleet.known_hosts}:" in message
    assert result["failure"]["hint"]
    assert "userauth" not in fleet.logs_since(sizes).get("new-key", "")


@pytest.mark.fleet
def test_host_key_unknown(fleet):
    """
    Away from a terminal an unknown key is refused, with its fingerprint (F22).
    """
    result = failed(*only(fleet, "unknown-key"), kind="hostkey.unknown", code=4)
    assert "SHA256:" in result["failure"]["message"]
    assert result["failure"]["hint"]


@pytest.mark.fleet
def test_auth_denied(fleet):
    """
    What was offered, what the server allows, and what to check (F26).
    """
    result = failed(*only(fleet, "key-refused"), kind="auth.denied", code=4)
    assert "publickey" in result["failure"]["message"]
    assert result["failure"]["hint"]


@pytest.mark.fleet
def test_command_not_found(fleet):
    """
    127 is explained; it is the command's failure, not the host's.
    """
    result = failed(*only(fleet, "web01"), kind="exec.nonzero", code=1, line="no-such-command")
    assert result["exit_status"] == 127
    assert "PATH" in result["failure"]["hint"]
    assert "no-such-command" in result["stderr"]


@pytest.mark.fleet
def test_killed_by_a_signal(fleet):
    """
    The signal is named, and there is no exit status (F44).
    """
    result = failed(*only(fleet, "web01"), kind="exec.signal", code=1, line="kill -KILL $$")
    assert (result["exit_status"], result["exit_signal"]) == (None, "KILL")


@pytest.mark.fleet
def test_output_that_is_not_utf8(fleet):
    """
    JSON has the exact bytes beside a readable text; people see an escape (F41).
    """
    words = only(fleet, "web01")
    line = r"printf 'a\377\0b\n'"
    result = fleetctl("run", *words, "--format", "json", "--", line).results()["web01"]
    assert base64.b64decode(result["stdout_b64"]) == b"a\xff\x00b\n"
    assert result["stdout"] == "a\ufffd\x00b\n"
    done = fleetctl("run", *words, "--format", "stream", "--", line)
    assert done.out == "web01: a\\xff\\x00b\n"


@pytest.mark.fleet
def test_20_mb_on_both_streams_at_once(fleet):
    """
    Neither stream blocks the other, and both are counted to the byte (F40).
    """
    size = 20_000_000
    line = f"head -c {size} /dev/zero & head -c {size} /dev/zero >&2; wait"
    words = (*only(fleet, "web01"), "--max-output", "64K", "--format", "json", "--", line)
    done = fleetctl("run", *words)
    assert done.code == 0
    result = done.results()["web01"]
    assert (result["stdout_bytes"], result["stderr_bytes"]) == (size, size)
    assert result["truncated"] is True


@pytest.mark.fleet
def test_a_background_child_that_holds_stdout(fleet):
    """
    The run ends a moment after the command, not with the child, and says so (F46).
    """
    words = (*only(fleet, "web01"), "--format", "json", "--", "sleep 600 & echo hi")
    done = fleetctl("run", *words)
    assert done.code == 0
    result = done.results()["web01"]
    assert (result["exit_status"], result["stdout"]) == (0, "hi\n")
    assert result["output_complete"] is False
    fleet.end_sessions(fleet.host("web01"))


@pytest.mark.fleet
def test_one_bad_host_does_not_hurt_the_others(fleet):
    """
    The exit code is the worst, the other results are whole.
    """
    hosts = [*fleet.hosts(2), fleet.host("key-refused")]
    words = ("-i", str(fleet.inventory(hosts)), "all", "--format", "json", "--", "echo hi")
    done = fleetctl("run", *words)
    assert done.code == 4
    assert {name: result["status"] for name, result in done.results().items()} == {
        "web01": "ok",
        "web02": "ok",
        "key-refused": "unreachable",
    }


@pytest.mark.fleet
def test_a_reader_who_leaves(fleet):
    """
    `| head -1` ends quietly with 141 (F54).
    """
    words = only(fleet, "web01")
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as stdout:
        done = subprocess.run(
            [*PROGRAM, "run", *words, "--", "echo hi"],
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=LIMIT_S,
        )
    assert done.returncode == 141
    assert b"pipe" not in done.stderr.lower()
