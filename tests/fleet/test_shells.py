"""
Commands and scripts through every login shell, and with one sh or another: byte for byte.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetctl.commands.command import Command
from fleetctl.commands.conditions import Conditions
from fleetctl.commands.quoting import plain_line
from fleetctl.commands.script import Script
from fleetctl.model.result import ExecResult, Outcome
from tests.support.shells import (
    LOGIN_SHELLS,
    POSIX_SHELLS,
    SHOW_ARGUMENTS,
    login_shell,
    perform,
    shown,
    with_sh,
    write_program,
)

pytestmark = pytest.mark.fleet

ALL_BYTES = bytes(range(1, 256)).decode("utf-8", "surrogateescape")
AWKWARD = (
    *("", "-n", "--", "a b", "it's", '"', "$HOME", "`id`", "*", "~", "{a,b}", "=ls", "%1", "a=b"),
    *("!!", "a!b", "a\\b", "a\\\\b", "\\'", "'\\", "\\\n", "\n", "x\n\n", "\t", "\x7f\x01", "#"),
    *("\udcc3(", "@", "[a]", "a;b", "&", "|", "(", "<(x)", "^", "\r\n", "\\0101", "%s", "-e"),
)


def result_of(outcome: Outcome) -> ExecResult:
    assert outcome.result is not None
    return outcome.result


@pytest.fixture(params=LOGIN_SHELLS)
def account(request, tmp_path):
    return login_shell(request.param, tmp_path)


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return str(write_program(tmp_path_factory.mktemp("bin") / "show", SHOW_ARGUMENTS))


def test_awkward_words_arrive_as_they_are(account, program):
    """
    Several words are arguments, whatever the login shell takes them for.
    """
    outcome = perform(Command(words=(program, *AWKWARD)), account)
    assert (outcome.status, result_of(outcome).stdout) == ("ok", shown(*AWKWARD))


def test_every_byte_arrives(account, program):
    """
    Each of the 255 that an argument may have: alone, between letters, twice, and all at once.
    """
    words = [word for byte in ALL_BYTES for word in (byte, f"a{byte}b", byte * 2)]
    outcome = perform(Command(words=(program, *words, ALL_BYTES, ALL_BYTES[::-1])), account)
    assert result_of(outcome).stdout == shown(*words, ALL_BYTES, ALL_BYTES[::-1])


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
@pytest.mark.parametrize("name", LOGIN_SHELLS)
def test_the_locale_does_not_matter(name, locale, program, tmp_path):
    """
    Bytes are bytes, whether the shell takes them for characters or not.
    """
    account = login_shell(name, tmp_path, LC_ALL=locale)
    words = (ALL_BYTES, "ä€\U0001f600", "\udcff\udcfe", "\udce2\udc82")
    assert result_of(perform(Command(words=(program, *words)), account)).stdout == shown(*words)


@pytest.mark.parametrize("name", LOGIN_SHELLS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    words=st.lists(
        st.binary(max_size=40).map(
            lambda data: data.replace(b"\0", b"").decode("utf-8", "surrogateescape")
        )
        | st.text(alphabet="'\"\\!$`\n ab=%~#@*", max_size=12),
        min_size=1,
        max_size=20,
    )
)
def test_any_words_arrive(name, words, program, tmp_path_factory):
    """
    No list of characters is forgotten.
    """
    account = login_shell(name, tmp_path_factory.mktemp("account"))
    assert result_of(perform(Command(words=(program, *words)), account)).stdout == shown(*words)


@pytest.mark.parametrize("size", [1_001, 20_000, 100_000])
def test_long_arguments_arrive(account, program, size):
    """
    There is no room for a word of ten thousand bytes in csh, nor for 128 KiB in a line of Linux.
    """
    noise = random.Random(size).randbytes(size).replace(b"\0", b"!")
    words = ("x" * size, noise.decode("utf-8", "surrogateescape"))
    outcome = perform(Command(words=(program, *words), stdin=b"rest"), account)
    assert result_of(outcome).stdout == shown(*words)


def test_plain_words_need_no_sh(account, program):
    """
    They are sent as one would type them, and the login shell starts the program itself.
    """
    words = ("a b", "it's", "$HOME", "", "--x=y", "a=b", "*", "=ls", "%1", "~")
    line = plain_line([program, *words])
    assert line is not None
    assert result_of(perform(Command(line), account)).stdout == shown(*words)
    assert account.requests[0].command == line


def test_conditions_are_met_for_lines_and_for_words(account, tmp_path):
    """
    Environment, folder, umask and niceness.
    """
    folder = tmp_path / "it's a folder!"
    folder.mkdir()
    conditions = Conditions({"A": "it's; $(x)!\n!", "B": "2 3"}, str(folder), 0o027, 5)
    ask = 'printf "%s|%s|%s|%s|%s" "$A" "$B" "$(pwd)" "$(umask)" "$(nice)"; exit 3'
    seen = f"it's; $(x)!\n!|2 3|{folder}|0027|5".encode()
    outcome = perform(Command(words=("sh", "-c", ask), conditions=conditions), account)
    assert (result_of(outcome).exit_status, result_of(outcome).stdout) == (3, seen)
    line = f"sh -c '{ask}'"
    outcome = perform(Command(line, conditions=conditions), account)
    assert (result_of(outcome).exit_status, result_of(outcome).stdout) == (3, seen)


@pytest.mark.parametrize(
    ("name", "line", "answer"),
    [
        ("fish", "set -l a yes; echo $a; string length abc", b"yes\n3\n"),
        ("tcsh", "set a = yes; echo $a; echo $?tcsh", b"yes\n1\n"),
        ("csh", "set a = yes\nforeach i ($a)\necho $i\nend", b"yes\n"),
        ("zsh", "a=(x yes); echo $a[2]", b"yes\n"),
        ("bash", "a=(x yes); echo ${a[1]}", b"yes\n"),
        ("ksh", "a=(x yes); print ${a[1]}", b"yes\n"),
    ],
)
def test_a_line_is_read_by_the_login_shell(name, line, answer, tmp_path):
    """
    In its own language, under other conditions too.
    """
    for conditions in (Conditions(), Conditions(umask=0o077)):
        outcome = perform(Command(line, conditions=conditions), login_shell(name, tmp_path))
        assert result_of(outcome).stdout == answer, outcome


@pytest.mark.parametrize("shell", ["", "/usr/sbin/nologin", "/bin/false", "/no/such/shell"])
def test_without_a_shell_of_its_own_sh_reads_the_line(shell, tmp_path):
    """
    As who becomes another user may be told of a shell that is none.
    """
    account = login_shell("dash", tmp_path, SHELL=shell)
    command = Command('a=1; echo "$a"', conditions=Conditions(umask=0o077))
    assert result_of(perform(command, account)).stdout == b"1\n"


def test_a_path_of_its_own_does_not_hide_sh(account):
    """
    The command gets the PATH it was given; what starts it does not depend on it.
    """
    conditions = Conditions({"PATH": "/nowhere"})
    for command in (
        Command(words=("/bin/echo", "x!"), conditions=conditions),
        Command("/bin/echo x\\!", conditions=conditions),
        Script("x.sh", b"echo 'x!'\n", conditions=conditions),
    ):
        outcome = perform(command, account)
        assert (result_of(outcome).stdout, result_of(outcome).stderr) == (b"x!\n", b"")


def test_input_follows_the_words_to_the_byte(account):
    """
    What is sent to start the command is not mixed with its standard input.
    """
    data = bytes(range(256)) * 2000
    words = ("sh", "-c", "cat; exit 4", "y" * 120_000)
    outcome = perform(Command(words=words, stdin=data), account)
    assert (result_of(outcome).exit_status, result_of(outcome).stdout) == (4, data)


NOISE = {
    "bash": ("noise.sh", "echo noise; echo more >&2\n", "BASH_ENV"),
    "zsh": (".zshenv", "echo noise; echo more >&2\n", None),
    "csh": (".cshrc", "echo noise\nsh -c 'echo more >&2'\n", None),
    "tcsh": (".tcshrc", "echo noise\nsh -c 'echo more >&2'\n", None),
    "fish": (".config/fish/config.fish", "echo noise; echo more >&2\n", None),
}


@pytest.mark.parametrize("name", NOISE)
def test_F37_what_start_up_files_write_is_kept_apart(name, tmp_path):
    """
    It is no output of a command or script that we start; whoever wants it finds it in the data.
    """
    path, text, variable = NOISE[name]
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text)
    account = login_shell(name, tmp_path, **({variable: str(tmp_path / path)} if variable else {}))
    assert b"noise" in result_of(perform(Command("echo hello"), account)).stdout
    for operation in (
        Command("echo hello", conditions=Conditions(umask=0o077)),
        Command(words=("echo", "hello!"[:5]), conditions=Conditions(umask=0o077)),
        Script("x.sh", b"echo hello\n"),
    ):
        outcome = perform(operation, account)
        assert (result_of(outcome).stdout, result_of(outcome).stderr) == (b"hello\n", b"")
        told = outcome.data["shell_noise"]
        assert isinstance(told, str)
        assert "noise" in told
        assert "more" in told


def test_a_line_that_the_shell_cannot_read_is_no_success(account):
    """
    What it writes about that is kept; fish has exit status 0 for it.
    """
    outcome = perform(Command("echo (((;", conditions=Conditions(umask=0o077)), account)
    assert outcome.status == "failed"
    assert result_of(outcome).stderr


HEX = b'printf %s "$3" | od -An -v -tx1 | tr -d " \\n"'
SCRIPTS = {
    "sh": b'read -r x; echo "$0 $# $x"; cat; ' + HEX + b"; exit 7",
    "bash": b'#!/bin/bash -eu\necho "$#"; read -r x; echo "$x"; cat; '
    + HEX
    + b"; false; echo no\n",
    "python": b"#!/usr/bin/env python3\nimport os, sys\nprint(len(sys.argv) - 1)\n"
    b"sys.stdout.write(sys.stdin.read())\nprint(os.fsencode(sys.argv[3]).hex())\nsys.exit(5)\n",
}
ENDS = {"sh": (7, "x.sh 3 line 1"), "bash": (1, "3"), "python": (5, "3")}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_scripts_get_arguments_and_input_as_they_are(account, kind):
    """
    Every byte of an argument, and of the input no byte more or less.
    """
    script = Script("x.sh", SCRIPTS[kind], ("a b!", "", ALL_BYTES), b"line 1\nline 2\n")
    outcome = perform(script, account)
    status, first = ENDS[kind]
    lines = result_of(outcome).stdout.decode().splitlines()
    assert (result_of(outcome).exit_status, lines[0]) == (status, first), outcome
    assert lines[-2] == "line 2"
    assert lines[-1] == ALL_BYTES.encode("utf-8", "surrogateescape").hex()


@pytest.mark.parametrize("name", POSIX_SHELLS)
@pytest.mark.parametrize("kind", SCRIPTS)
def test_scripts_run_whatever_sh_is(name, kind, tmp_path):
    """
    dash, bash, busybox, ksh and zsh all serve as sh somewhere.
    """
    script = Script("x.sh", SCRIPTS[kind], ("a b!", "", ALL_BYTES), b"line 1\nline 2\n")
    outcome = perform(script, with_sh(name, tmp_path))
    lines = result_of(outcome).stdout.decode().splitlines()
    assert result_of(outcome).exit_status == ENDS[kind][0], outcome
    assert lines[-2:] == ["line 2", ALL_BYTES.encode("utf-8", "surrogateescape").hex()]


@pytest.mark.parametrize("name", POSIX_SHELLS)
def test_words_and_conditions_whatever_sh_is(name, tmp_path, program):
    """
    The same for commands, the long ones too.
    """
    account = with_sh(name, tmp_path)
    for words in ((ALL_BYTES, *AWKWARD), ("!" * 60_000, ALL_BYTES)):
        command = Command(words=(program, *words), conditions=Conditions({"A": "b"}, "/", 0o22, 1))
        outcome = perform(command, account)
        assert (outcome.status, result_of(outcome).stdout) == ("ok", shown(*words)), outcome


@pytest.mark.parametrize("name", POSIX_SHELLS)
def test_the_text_of_a_script_is_kept_whatever_sh_is(name, tmp_path):
    """
    Bytes that some shells use for themselves, trailing blank lines, and a here-document.
    """
    text = bytes(byte for byte in range(1, 256) if byte != ord("'"))
    code = b"printf %s '" + text + b"'\ncat <<\\E\n$HOME \\\nE\n\n\n"
    outcome = perform(Script("x", code), with_sh(name, tmp_path))
    assert result_of(outcome).stdout == text + b"$HOME \\\n"


@pytest.mark.parametrize("first", [b"#!/bin/sh\n", b"#!/bin/bash\n"])
def test_a_script_of_a_megabyte(account, first):
    """
    No part of it is ever an argument.
    """
    text = b"# sixty-four bytes in a line, so many of them that it hurts.....\n" * 16_000
    code = first + b": <<\\X\n" + text + b"X\nread -r x; echo $x; exit 9\n"
    outcome = perform(Script("x", code, stdin=b"in\n"), account)
    assert (result_of(outcome).exit_status, result_of(outcome).stdout) == (9, b"in\n")
