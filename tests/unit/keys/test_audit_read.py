"""
The answers of the audit's program: framed by a mark nobody can forge, and read as data.
"""

from __future__ import annotations

import pytest

from fleetctl.keys.audit_judge import judge_host
from fleetctl.keys.audit_program import MAX_ANSWER_BYTES, make_program, read_records
from fleetctl.keys.audit_read import (
    read_host,
    read_listing,
    read_logins,
    read_settings,
    read_sudo,
)
from fleetctl.keys.place import MAX_FILE_BYTES
from fleetctl.model.errors import FleetError
from tests.unit.keys.fakes import make_key

MARK = "0123456789abcdef"
KEY = make_key("key")


def answer(*records, banner=b""):
    """Return what the program would write."""
    parts = [banner]
    for head, body in records:
        parts.append(f"\n{MARK} {head}\n".encode() + body)
    return b"".join(parts)


LISTING = (
    b"drwxr-xr-x 20 0 0 4096 Nov 21 14:12 /\n"
    b"drwxr-xr-x 3 0 0 4096 Nov 21 14:12 /home\n"
    b"drwxr-xr-x 3 1000 1000 4096 Nov 21 14:12 /home/deploy\n"
    b"drwx------ 2 1000 1000 4096 Nov 21 14:12 /home/deploy/.ssh\n"
    b"-rw------- 1 1000 1000 100 Nov 21 14:12 /home/deploy/.ssh/authorized_keys\n"
)
USERS = b"root:x:0:0:root:/root:/bin/bash\ndeploy:x:1000:1000::/home/deploy:/bin/sh\n"
PATH = "/home/deploy/.ssh/authorized_keys"


def one_user(data, *, settings=b"strictmodes yes\n", listing=LISTING, status="0", shadow=b""):
    return answer(
        ("who 0 root", b""),
        ("clock 1795262400 +0130", b""),
        ("users", USERS),
        ("groups", b"deploy:x:1000:\nwheel:x:10:deploy,other\n"),
        ("shadow", shadow),
        ("sshd /etc/ssh/sshd_config", b""),
        ("settings", settings),
        ("user root", b""),
        ("user deploy", b""),
        ("file authorizedkeysfile", b""),
        (f"path {PATH}", listing),
        ("data", data),
        (f"end {status}", b""),
        ("sudo", b""),
        ("done", b""),
        banner=b"Welcome!\nwho 0 toor\n",
    )


def judged(data, **options):
    found = read_host(read_records(one_user(data, **options), MARK))
    return judge_host("web1", found, "OpenSSH_9.2p1")


def test_an_answer_becomes_accounts_files_and_keys():
    """
    Banners before the first answer are left out; bytes of files are exact.
    """
    records = list(read_records(one_user(KEY.line + b"\xff\r\n"), MARK))
    [data] = [one.body for one in records if one.kind == "data"]
    assert data == KEY.line + b"\xff\r\n"
    found = read_host(records)
    assert (found.uid, found.login, found.utc_offset) == (0, "root", 5400)
    [_, user] = found.users
    assert user.account.groups == ("deploy", "wheel")
    assert [one.path for one in user.files[0].components][-1] == PATH


def test_a_file_cannot_forge_an_answer():
    """
    What looks like one of ours has another mark, or none.
    """
    forged = b"\nfedcba9876543210 user root\nuser root\n" + KEY.line
    [user] = judged(forged).users
    assert (user.name, len(user.keys)) == ("deploy", 1)


def test_a_shell_that_runs_nothing_and_an_answer_that_is_cut_are_told_apart():
    """
    The one is session.no_shell with what was said in its place, the other keys.protocol.
    """
    with pytest.raises(FleetError, match=r"not available") as caught:
        list(read_records(b"This account is not available.\n", MARK))
    assert caught.value.kind == "session.no_shell"
    with pytest.raises(FleetError) as caught:
        list(read_records(one_user(KEY.line)[:-20], MARK))
    assert caught.value.kind == "keys.protocol"


def test_the_program_is_one_function_and_one_call():
    """
    So a transfer that is cut runs nothing; names are checked before they are put into it.
    """
    program = make_program(MARK, users=("deploy", "svc$"))
    assert program.startswith(b"fleetctl_audit() {")
    assert program.endswith(
        f"fleetctl_audit {MARK} openssh - 'deploy' 'svc$' </dev/null; exit\n".encode()
    )
    assert b"@" not in program.replace(b"$@", b"").replace(b'"$@"', b"")
    for bad in ("a b", "-x", "a'b", "", "$(id)"):
        with pytest.raises(ValueError, match="no name"):
            make_program(MARK, users=(bad,))


def test_F63_modes_and_owners_decide_whether_keys_count():
    """
    F63: as sshd judges the way from the home on, whatever lies above it.
    """
    assert judged(KEY.line).users[0].keys[0].state == "live"
    wide = LISTING.replace(b"drwxr-xr-x 3 1000", b"drwxrwxr-x 3 1000")
    key = judged(KEY.line, listing=wide).users[0].keys[0]
    assert key.state == "barred"
    assert "/home/deploy (mode 0775" in key.why
    above = LISTING.replace(
        b"drwxr-xr-x 3 0 0 4096 Nov 21 14:12 /home\n", b"drwxrwxrwx 3 0 0 1 Nov 21 14:12 /home\n"
    )
    assert judged(KEY.line, listing=above).users[0].keys[0].state == "live"
    user = judged(KEY.line, listing=wide, settings=b"strictmodes no\n").users[0]
    assert user.keys[0].state == "live"
    assert "sshd does not mind" in user.files[0].problems[0]


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        (b"pubkeyauthentication no\n", "PubkeyAuthentication"),
        (b"denyusers deploy\n", "DenyUsers"),
        (b"allowusers root\nallowusers other\n", "AllowUsers"),
        (b"allowgroups admins\n", "AllowGroups"),
        (b"pubkeyacceptedalgorithms rsa-sha2-512\n", "PubkeyAcceptedAlgorithms"),
    ],
)
def test_settings_that_let_nobody_in_bar_the_key(settings, word):
    """
    The key is right, and still does not log in; the reason is named.
    """
    key = judged(KEY.line, settings=settings).users[0].keys[0]
    assert (key.state, word in key.why) == ("barred", True)


def test_a_locked_password_bars_only_without_pam():
    """
    Source: OpenSSH auth.c, allowed_user.
    """
    shadow = b"deploy:!:\n"
    locked = judged(KEY.line, settings=b"usepam no\n", shadow=shadow).users[0]
    assert locked.keys[0].state == "barred"
    assert judged(KEY.line, settings=b"usepam yes\n", shadow=shadow).users[0].keys[0].is_open
    expired = judged(KEY.line, shadow=b"deploy:$:100\n").users[0]
    assert "expired" in expired.keys[0].why


def test_a_file_that_is_too_long_or_unreadable_has_no_keys_and_says_why():
    """
    Longer than the limit is not parsed at all.
    """
    [user] = judged(b"x" * (MAX_FILE_BYTES + 1)).users
    assert (user.keys, "4 MiB" in user.files[0].unread) == ((), True)
    [user] = judged(b"", status="66").users
    assert user.files[0].is_refused
    assert MAX_ANSWER_BYTES > 10 * MAX_FILE_BYTES


def test_listings_survive_hostile_names():
    """
    A link's target may look like anything; its name is what was asked for.
    """
    body = (
        b"lrwxrwxrwx 1 1000 1000 9 Nov 21 14:12 /home/a/.ssh -> /x -> /y\n"
        b"drwxr-x--T+ 2 0 0 1 Jan  1  2020 /home/a b\n"
        b"total nonsense\n"
    )
    found = {one.path: one for one in read_listing(body, {1000: "a"})}
    assert found["/home/a/.ssh"].kind == "link"
    assert (found["/home/a b"].mode, found["/home/a b"].owner_name) == (0o1750, "0")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("User a is not allowed to run sudo on web1.", "none"),
        ("User a may run the following commands on web1:\n    (ALL : ALL) ALL\n", "all"),
        ("User a may run the following commands on web1:\n    (ALL) NOPASSWD: ALL\n", "all"),
        ("User a may run the following commands on web1:\n    (root) /usr/bin/id\n", "some"),
        ("User a may run the following commands on web1:\n    (www) ALL\n", "some"),
        ("sudo: a password is required", "unknown"),
        ("", "unknown"),
    ],
)
def test_rights_of_sudo_are_told_apart(text, meaning):
    """
    Source: sudo(8), -l -U.
    """
    assert read_sudo(text.encode()) == meaning


def test_settings_that_add_up_are_joined():
    """
    Of the others the first counts.
    """
    assert read_settings(b"allowusers a\nallowusers b\nusepam yes\nusepam no\n\n") == {
        "allowusers": "a b",
        "usepam": "yes",
    }


def test_logins_by_key_are_read_from_both_kinds_of_log():
    """
    Lines that only look alike are not.
    """
    rest = f"port 5 ssh2: ED25519 {KEY.fingerprint}"
    lines = "\n".join(
        (
            f"Nov 21 14:12:01 web1 sshd[77]: Accepted publickey for deploy from 10.0.0.1 {rest}",
            f"2026-11-21T14:12:01+01:00 web1 sshd-x[77]: Accepted publickey for a from ::1 {rest}",
            f"Nov 21 14:12:01 web1 evil: sshd[1]: Accepted publickey for root from x {rest}",
            "Nov 21 14:12:01 web1 sshd[77]: Accepted password for deploy from ::1 port 5 ssh2",
        )
    )
    assert [(one.user, one.at) for one in read_logins(lines.encode())] == [
        ("deploy", "Nov 21 14:12:01"),
        ("a", "2026-11-21T14:12:01+01:00"),
    ]
