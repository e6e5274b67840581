"""
What the look at an account makes of what a host answers, whatever it answers.
"""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.commands.account import read_account, script


def findings(text, refused=()):
    output = f"marker\tword\nuid\t1000\n{text}".encode()
    return list(read_account(output, "word", refused))


def said(text, refused=()):
    return [(each.verdict, each.summary, each.fix) for each in findings(text, refused)]


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_script_changes_nothing_and_ends_well(shell, tmp_path):
    """
    In an empty home it writes facts only, leaves no file, and exits with 0.
    """
    done = subprocess.run(
        [shell, "-s"],
        input=script("word"),
        capture_output=True,
        check=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert done.stdout.startswith(b"marker\tword\n")
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []
    assert b"missing\t" + str(tmp_path).encode() + b"/.ssh/authorized_keys\n" in done.stdout


def test_files_that_others_can_write_are_found():
    """
    Group and others, by the mode that ls shows; what only the owner can write is good.
    """
    text = (
        "file\tdrwxrwxr-x\t1000\t/home/kim\n"
        "file\tdrwx------\t1000\t/home/kim/.ssh\n"
        "file\t-rw-rw-rw-\t1000\t/home/kim/.ssh/authorized_keys\n"
    )
    fixes = [each.fix for each in findings(text) if each.verdict == "failed"]
    assert fixes == [
        "on the host: chmod go-w /home/kim",
        "on the host: chmod go-w /home/kim/.ssh/authorized_keys",
    ]


def test_files_of_somebody_else_are_found():
    """
    The account and root may own them, nobody else.
    """
    text = "file\tdrwx------\t0\t/home/kim\nfile\tdrwx------\t33\t/home/kim/.ssh\n"
    failed = [each for each in findings(text) if each.verdict == "failed"]
    assert [each.fix for each in failed] == ["on the host: chown 1000 /home/kim/.ssh"]


def test_keys_that_were_refused_are_compared_with_those_that_are_there():
    """
    One that is missing is to be added; for one that is there something else is the reason.
    """
    text = "keygen\tyes\nkey\tSHA256:a\n"
    warnings = [each for each in findings(text, ["SHA256:a", "SHA256:b"]) if each.fix]
    assert [each.summary for each in warnings] == [
        "SHA256:a is in authorized_keys, and was refused nevertheless",
        "SHA256:b, which was refused, is not in authorized_keys",
    ]


def test_what_the_server_says_about_itself_is_read():
    """
    Keys turned off, and a file that keeps everybody out.
    """
    text = "nologin\t/etc/nologin\nsshd pubkeyauthentication\tno\n"
    fixes = [each.fix for each in findings(text) if each.verdict == "warning"]
    assert fixes == [
        "on the host: PubkeyAuthentication yes in sshd_config, then reload sshd",
        "on the host: rm /etc/nologin",
    ]


@given(st.binary(max_size=300))
def test_S08_any_answer_is_only_data(output):
    """
    Whatever a host writes instead, there is a finding and no error.
    """
    for data in (output, b"marker\tword\n" + output):
        assert list(read_account(data, "word", ["SHA256:a"])) or data.startswith(b"marker")
