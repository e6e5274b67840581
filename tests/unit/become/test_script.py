"""
The lines that are sent: they mean the same to every login shell, and start what they should.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetctl.become.become import METHODS, Become
from fleetctl.become.marks import Marks
from fleetctl.become.script import RUN_COMMAND, any_shell, fed, inner_script, outer_script

#: Login shells -> how one of them is started. Those that are missing are tried on real hosts.
SHELLS = {
    name: words
    for name, words in {
        "sh": ["sh"],
        "dash": ["dash"],
        "bash": ["bash"],
        "ash": ["busybox", "ash"],
        "ksh": ["ksh"],
        "zsh": ["zsh"],
        "csh": ["csh", "-f"],
        "tcsh": ["tcsh", "-f"],
        "fish": ["fish", "--no-config"],
    }.items()
    if shutil.which(words[0])
}

#: What a script may hold: anything but NUL.
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40
) | st.text("'\"\\!$`\n\t %~#*?[]{}()<>|&;^=-", max_size=40)


def run(shell, line):
    done = subprocess.run(
        [*SHELLS[shell], "-c", line], capture_output=True, check=False, timeout=60, cwd="/"
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_means_the_same_in_every_login_shell(shell):
    """
    Quotes, backslashes, `!`, `$`, newlines, percent signs and bytes that are no UTF-8.
    """
    text = "it's !x !! \\n \\\\ \\' \"$HOME\" `x` $(y) %s %% ~ *\n\n\té\x01\x7f" + "\udcff"
    script = f"printf %s {shlex.quote(text)}; echo end >&2; exit 7"
    status, stdout, stderr = run(shell, any_shell(script))
    assert (status, stdout, stderr) == (7, text.encode("utf-8", "surrogateescape"), b"end\n")


@given(text=TEXTS, shell=st.sampled_from(sorted(SHELLS)))
@settings(max_examples=60)
def test_any_text_survives(text, shell):
    """
    Byte for byte.
    """
    status, stdout, _ = run(shell, any_shell(f"printf %s {shlex.quote(text)}"))
    assert (status, stdout) == (0, text.encode())


@given(text=TEXTS)
def test_a_line_has_only_bytes_that_no_shell_reads_differently(text):
    """
    One line of ASCII, in which no single quote, `!` or odd backslash stands.
    """
    line = any_shell(f"printf %s {shlex.quote(text)}")
    inside = line.split("'")[-2]
    assert line.isascii()
    assert line.isprintable()
    assert "!" not in line
    assert inside.count("\\") == inside.count("\\0")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ask", [False, True])
def test_S10_neither_prompt_nor_marks_stand_in_what_is_sent(method, ask):
    """
    S10: a shell that shows its line before it runs it does not say them.
    """
    marks = Marks()
    become = Become(method=method)
    inner = inner_script(become, marks, RUN_COMMAND, has_pty=False, is_raw=False)
    sent = outer_script(become, marks, inner, "uptime", ask=ask).encode()
    for mark in (marks.started, marks.missing, marks.became, marks.question):
        assert mark.text not in sent


def test_no_two_programs_have_the_same_marks():
    """
    What one host has seen says nothing about the next one.
    """
    texts = [
        mark.text
        for marks in (Marks(), Marks())
        for mark in (marks.started, marks.missing, marks.became, marks.question)
    ]
    assert len(set(texts)) == len(texts) == 8


@pytest.mark.parametrize(
    ("become", "ask", "words"),
    [
        (Become(), False, ["sudo", "-n", "-H", "-u", "root", "--"]),
        (Become(), True, ["sudo", "-S", "-p", "PROMPT", "-H", "-u", "root", "--"]),
        (
            Become("o'neil; x", exe="/opt/su do", flags=("-i", "-HSn", "--preserve-env=A B")),
            False,
            ["/opt/su do", "-n", "-H", "-i", "--preserve-env=A B", "-u", "o'neil; x", "--"],
        ),
        (Become("db", "su"), True, ["su", "-l", "-s", "/bin/sh", "-c"]),
        (Become("db", "su", flags=("-", "-l", "-m")), True, ["su", "-l", "-s", "/bin/sh", "-m"]),
        (Become("db", "doas"), False, ["doas", "-n", "-u", "db", "--", "/bin/sh", "-c"]),
        (Become("db", "doas", flags=("-n",)), True, ["doas", "-u", "db", "--", "/bin/sh"]),
    ],
)
def test_what_is_started(become, ask, words):
    """
    Names and flags are single words, whatever stands in them; the options we decide are ours.
    """
    marks = Marks()
    script = outer_script(become, marks, "true", "uptime", ask=ask)
    started = shlex.split(script.rpartition("; exec ")[2])
    words = [marks.question.argument if word == "PROMPT" else word for word in words]
    assert started[: len(words)] == words
    if become.method == "su":
        assert started[-6:-4] == ["--", become.user]


def test_input_for_a_terminal_is_counted():
    """
    Nothing is read behind the bytes that were sent; without any, the command is started directly.
    """
    assert fed("cat", 0) == "exec cat </dev/null"
    assert fed("cat", 7) == "head -c 7 | cat"


def test_a_program_that_is_missing_is_said_by_ourselves():
    """
    Not by the shell, whose words differ.
    """
    marks = Marks()
    script = outer_script(Become(exe="/no/such/sudo"), marks, "true", "uptime", ask=False)
    status, stdout, stderr = run("sh", any_shell(script))
    assert (status, stdout, stderr) == (127, b"", marks.started.text + marks.missing.text)
