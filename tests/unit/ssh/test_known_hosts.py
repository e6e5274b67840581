"""
known_hosts: the verdicts of ssh on a host key, and lines that are added without harm.

The verdicts were compared with those of OpenSSH 9.2 on real servers.
"""

from __future__ import annotations

import pytest

from fleetctl.ssh.identity import fingerprint
from fleetctl.ssh.known_hosts import load_known_hosts, lookup_names
from fleetctl.ssh.known_hosts_file import learn_key
from tests.unit.ssh.keys import ECDSA, ED25519, RSA, blob, hashed, judgement, known, line, verdict


def test_a_key_that_stands_there_is_trusted(tmp_path):
    """
    The name and the key of a line make a trusted host.
    """
    assert verdict(known(tmp_path, line("web1")), "web1") == "trusted"


def test_names_are_compared_without_case(tmp_path):
    """
    Host names have no case, in the file or on the command line.
    """
    assert verdict(known(tmp_path, line("Web1,DB1")), "WEB1") == "trusted"
    assert verdict(known(tmp_path, line("WEB*")), "web1") == "trusted"


def test_F22_a_host_without_a_line_is_unknown(tmp_path):
    """
    F22: no line, no trust; similar names do not count.
    """
    hosts = known(tmp_path, line("web10,web1.example.org"))
    assert verdict(hosts, "web1") == "unknown"


def test_F23_another_key_is_a_changed_key(tmp_path):
    """
    F23: a known host with another key has changed, and the judgement names the line that knows it.
    """
    found = judgement(known(tmp_path, "# mine\n", line("web1", seed=2)), "web1")
    assert found.verdict == "changed"
    (key,) = found.known
    assert key.where == f"{tmp_path}/known_hosts:2"
    assert key.fingerprint == fingerprint(blob(seed=2))


def test_S12_a_key_of_another_type_is_a_changed_key(tmp_path):
    """
    S12: who cannot show the key that is known does not pass by showing one of another type.
    """
    hosts = known(tmp_path, line("web1", ECDSA), line("web1", RSA, seed=3))
    found = judgement(hosts, "web1", key_type=ED25519)
    assert found.verdict == "changed"
    assert {key.key_type for key in found.known} == {ECDSA, RSA}


def test_a_changed_key_is_compared_with_its_own_type_first(tmp_path):
    """
    The message names the line with the key of the same type before the others.
    """
    hosts = known(tmp_path, line("web1", RSA), line("web1", ED25519, seed=2))
    found = judgement(hosts, "web1", key_type=ED25519)
    assert [key.key_type for key in found.known] == [ED25519, RSA]


def test_any_of_several_keys_will_do(tmp_path):
    """
    A host may have several keys, also of one type, on lines anywhere.
    """
    hosts = known(tmp_path, line("web1", seed=2), line("web1", RSA), line("w*", seed=3))
    assert verdict(hosts, "web1", seed=2) == "trusted"
    assert verdict(hosts, "web1", seed=3) == "trusted"
    assert verdict(hosts, "web1", key_type=RSA) == "trusted"
    assert verdict(hosts, "web1", seed=4) == "changed"


def test_hashed_names_are_found(tmp_path):
    """
    A hashed line counts like a plain one, with and without a port.
    """
    hosts = known(tmp_path, line(hashed("web1")), line(hashed("[web2]:2222"), seed=2))
    assert verdict(hosts, "web1") == "trusted"
    assert verdict(hosts, "web1", seed=9) == "changed"
    assert verdict(hosts, "web2", port=2222, seed=2) == "trusted"
    assert verdict(hosts, "web2", seed=2) == "unknown"


def test_another_port_has_a_name_of_its_own(tmp_path):
    """
    A key known for [host]:port says nothing about port 22 or another port.
    """
    hosts = known(tmp_path, line("[web1]:2222"))
    assert verdict(hosts, "web1", port=2222) == "trusted"
    assert verdict(hosts, "web1") == "unknown"
    assert verdict(hosts, "web1", port=2200) == "unknown"
    assert lookup_names("Web1", 22) == ("web1",)
    assert lookup_names("fe80::1", 2222) == ("[fe80::1]:2222", "fe80::1")


def test_the_plain_name_can_only_confirm_another_port(tmp_path):
    """
    Without a line for [host]:port the plain name's key is trusted, but another key is just unknown.
    """
    hosts = known(tmp_path, line("web1"))
    assert verdict(hosts, "web1", port=2222) == "trusted"
    found = judgement(hosts, "web1", port=2222, seed=2)
    assert found.verdict == "unknown"
    assert [key.line for key in found.known] == [1]


def test_a_line_for_the_port_decides_alone(tmp_path):
    """
    Where [host]:port is known, the plain name's key does not count.
    """
    hosts = known(tmp_path, line("[web1]:2222", seed=2), line("web1"))
    assert verdict(hosts, "web1", port=2222) == "changed"


@pytest.mark.parametrize(
    ("names", "host", "expected"),
    [
        ("*", "web1", "trusted"),
        ("*.example.org", "web1.example.org", "trusted"),
        ("*.example.org", "web1.example.com", "unknown"),
        ("web?", "web1", "trusted"),
        ("web?", "web10", "unknown"),
        ("web*,!web1", "web1", "unknown"),
        ("!web1,web*", "web1", "unknown"),
        ("web*,!web1", "web2", "trusted"),
        ("!web1", "web2", "unknown"),
        ("!!web1,web*", "web1", "trusted"),
        ("[10.0.0.*]:2222", "10.0.0.7", "unknown"),
        ("we[b]*", "web1", "unknown"),
    ],
)
def test_wildcards_and_negations(tmp_path, names, host, expected):
    """
    Patterns mean what sshd(8) says: * and ? only, and a negated match wins over all others.
    """
    assert verdict(known(tmp_path, line(names)), host) == expected


def test_wildcards_match_names_with_a_port(tmp_path):
    """
    Brackets of [host]:port are plain characters in a pattern.
    """
    hosts = known(tmp_path, line("[10.0.0.*]:2222"))
    assert verdict(hosts, "10.0.0.7", port=2222) == "trusted"
    assert verdict(hosts, "10.0.0.7", port=2223) == "unknown"


@pytest.mark.parametrize("names", ["web1", "*", "web*,!db1", hashed("web1"), "db1,web1"])
def test_F24_a_revoked_key_is_refused(tmp_path, names):
    """
    F24: a @revoked line wins over any line that trusts the same key, however it names the host.
    """
    hosts = known(tmp_path, line("web1"), f"@revoked {line(names)}")
    found = judgement(hosts, "web1")
    assert found.verdict == "revoked"
    assert found.known[0].line == 2
    assert found.known[0].marker == "@revoked"


@pytest.mark.parametrize("names", ["db1", "web*,!web1", hashed("db1"), "|1|bad"])
def test_a_key_revoked_for_others_is_not_revoked_here(tmp_path, names):
    """
    @revoked counts for the hosts it names.
    """
    hosts = known(tmp_path, line("web1"), f"@revoked {line(names)}")
    assert verdict(hosts, "web1") == "trusted"


def test_a_key_revoked_for_the_plain_name_is_refused_on_every_port(tmp_path):
    """
    A stolen key is not accepted because sshd listens elsewhere; ssh is less careful here.
    """
    hosts = known(tmp_path, line("[web1]:2222"), f"@revoked {line('web1')}")
    assert verdict(hosts, "web1", port=2222) == "revoked"


def test_a_revoked_line_trusts_nobody(tmp_path):
    """
    The key of a @revoked line is not known for the host, only refused.
    """
    hosts = known(tmp_path, f"@revoked {line('web1')}")
    assert verdict(hosts, "web1", seed=2) == "unknown"


def test_certificate_authorities_are_left_alone(tmp_path):
    """
    Certificates are not judged here: such a line neither trusts, nor changes, nor warns.
    """
    hosts = known(tmp_path, f"@cert-authority {line('*')}")
    assert verdict(hosts, "web1") == "unknown"
    assert hosts.warnings == []


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (f"@trusted {line('web1')}", "unknown marker @trusted"),
        ("web1\n", "not a known_hosts line"),
        ("web1 ssh-ed25519\n", "not a known_hosts line"),
        ("web1 ssh-ed25519 AAAA!\n", "not a known_hosts line"),
        (line("web1")[:-20] + "\n", "not a known_hosts line"),
        (line("web1", RSA).replace(RSA, ED25519), "not a known_hosts line"),
        (b"web1 ssh-\xff AAAA\n", "not a known_hosts line"),
        (line("|1|no-digest"), "not a hashed name"),
        (line("|1|a|b"), "not a hashed name"),
        ("@revoked\n", "not a known_hosts line"),
        (b"\x1c\n", "not a known_hosts line"),
        (b"\xc2\x85\n", "not a known_hosts line"),
    ],
)
def test_F25_a_line_that_is_not_understood_is_a_warning(tmp_path, bad, why):
    """
    F25: it is skipped with file and line, trusts nobody, and hurts no other line.
    """
    hosts = known(tmp_path, line("web2"), bad, line("web3"))
    [warning] = hosts.warnings
    assert warning.startswith(f"{tmp_path}/known_hosts:2: {why}")
    assert warning.endswith("; skipped")
    assert verdict(hosts, "web1") == "unknown"
    assert verdict(hosts, "web2") == verdict(hosts, "web3") == "trusted"


def test_lines_are_read_as_ssh_reads_them(tmp_path):
    """
    CRLF, indents, tabs, comments in any encoding and a missing last newline are all fine.
    """
    hosts = known(
        tmp_path,
        line("web1", end="\r\n"),
        "  \t" + line("web2"),
        line("web3").replace(" ", "\t"),
        line("web4", end=" caf").encode() + b"\xe9 \x85\n",
        "# web9 is gone\n\n   \n",
        line("web5", end=""),
    )
    assert hosts.warnings == []
    assert {verdict(hosts, f"web{n}") for n in range(1, 6)} == {"trusted"}


def test_keys_of_ssh_1_are_skipped_in_silence(tmp_path):
    """
    Lines of the protocol nobody speaks any more are no news.
    """
    assert known(tmp_path, "web1 1024 35 1234567890\n").warnings == []


def test_F25_files_that_are_missing_or_unreadable(tmp_path):
    """
    F25: a missing file is an empty one; one that cannot be read is a warning and trusts nobody.
    """
    hosts = load_known_hosts([str(tmp_path / "none"), str(tmp_path)])
    assert hosts.warnings == [f"{tmp_path}: not read: Is a directory"]
    assert verdict(hosts, "web1") == "unknown"


def test_all_files_count(tmp_path):
    """
    The user's and the system's files are one set of keys.
    """
    first, second = tmp_path / "user", tmp_path / "system"
    first.write_text(line("web1", seed=2))
    second.write_text(line("web1") + f"@revoked {line('*', seed=3)}")
    hosts = load_known_hosts([str(first), str(second)])
    assert [verdict(hosts, "web1", seed=n) for n in (1, 2, 3)] == ["trusted", "trusted", "revoked"]


def test_a_large_file_is_read_to_its_end(tmp_path):
    """
    A line behind 66 MiB of others counts, above all one that revokes.
    """
    file = tmp_path / "known_hosts"
    comment = "#" + "x" * 8190 + "\n"
    with file.open("w") as stream:
        for _ in range(66 * 1024 * 1024 // len(comment)):
            stream.write(comment)
        stream.write(line("web1") + "@revoked " + line("*", seed=2))
    hosts = load_known_hosts([str(file)])
    assert verdict(hosts, "web1") == "trusted"
    assert verdict(hosts, "web1", seed=2) == "revoked"


@pytest.mark.parametrize("is_hashed", [False, True])
def test_an_added_line_is_believed_the_next_time(tmp_path, is_hashed):
    """
    What was learned is trusted from then on; a hashed line does not show the name.
    """
    file, names = tmp_path / "new" / "known_hosts", lookup_names("web1", 2222)
    assert learn_key(str(file), names, blob(), hashed=is_hashed).verdict == "trusted"
    assert ("web1" in file.read_text()) != is_hashed
    assert verdict(load_known_hosts([str(file)]), "web1", port=2222) == "trusted"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("before", [b"", b"# note\r\n", b"torn li", b"\xff\xfe", b"\n\n"])
def test_S13_adding_a_line_keeps_every_byte_that_was_there(tmp_path, before):
    """
    S13: a last line without newline is ended first; nothing that stood there is touched.
    """
    file = tmp_path / "known_hosts"
    file.write_bytes(before)
    learn_key(str(file), ("web1",), blob(), hashed=False)
    separator = b"\n" if before and not before.endswith(b"\n") else b""
    assert file.read_bytes() == before + separator + line("web1").encode()


def test_S13_a_host_that_became_known_meanwhile_is_not_added_again(tmp_path):
    """
    S13: the same key twice is one line; with another key, whoever comes second refuses.
    """
    file = tmp_path / "known_hosts"
    names = ("web1",)
    for _ in range(2):
        assert learn_key(str(file), names, blob(), hashed=False).verdict == "trusted"
    other = learn_key(str(file), names, blob(RSA), hashed=False)
    assert other.verdict == "changed"
    assert file.read_text() == line("web1")


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    """
    The caller learns that nothing was stored.
    """
    with pytest.raises(IsADirectoryError):
        learn_key(str(tmp_path), ("web1",), blob(), hashed=False)


def test_a_learned_key_is_trusted_at_once(tmp_path):
    """
    The next connection of this process believes it without reading the file again.
    """
    hosts = known(tmp_path, line("db1", seed=2))
    assert verdict(hosts, "web1", port=2222) == "unknown"
    hosts.learn("[web1]:2222", ED25519, blob(), "known_hosts")
    assert verdict(hosts, "web1", port=2222) == "trusted"
    assert verdict(hosts, "web1", port=2222, seed=2) == "changed"
    assert verdict(hosts, "db1", seed=2) == "trusted"


def test_a_key_may_be_added_to_nowhere():
    """
    UserKnownHostsFile /dev/null forgets what it learns, and that is no error.
    """
    assert learn_key("/dev/null", ("web1",), blob(), hashed=False).verdict == "trusted"


def test_base64_of_a_known_key_is_shown_as_its_fingerprint(tmp_path):
    """
    People compare fingerprints as ssh-keygen prints them, not base64.
    """
    (key,) = known(tmp_path, line("web1")).entries("web1")
    assert key.blob == blob()
    assert key.fingerprint.startswith("SHA256:")
