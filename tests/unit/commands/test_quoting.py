"""
Which lines are sent as they are, and what those that are not look like.
"""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.commands.quoting import MAX_LINE_BYTES, MAX_WORD, carry, encode, plain_line

#: All that may stand in a line, whatever shell reads it.
SAFE = frozenset(range(32, 127)) - set(b"!")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["uptime"], "uptime"),
        (["ls", "-l", "/tmp", "a b"], "ls -l /tmp 'a b'"),
        (["echo", "it's", "$HOME", ""], """echo 'it'"'"'s' '$HOME' ''"""),
        (["grep", "--color=no", "50%", "a=b"], "grep --color=no 50% a=b"),
        (["echo", "=ls", "%1"], "echo '=ls' '%1'"),
        (["A=b", "x"], "'A=b' x"),
        (["@", "x"], "'@' x"),
        (["x" * MAX_WORD], "x" * MAX_WORD),
    ],
)
def test_plain_words_make_a_line_that_every_shell_splits_alike(words, line):
    """
    As one would type it; with quotes where zsh or csh would see more than POSIX.
    """
    assert plain_line(words) == line


@pytest.mark.parametrize(
    "word", ["!", "a\\b", "\n", "\t", "\x7f", "é", "\udcff", "x" * (MAX_WORD + 1)]
)
def test_what_some_shell_takes_amiss_is_not_plain(word):
    """
    Exclamation marks, backslashes, control characters, all that is not ASCII, and very long words.
    """
    assert plain_line(["echo", word]) is None


def test_a_line_that_is_too_long_is_not_plain():
    """
    It is one argument of the login shell, which has a limit.
    """
    word = "x" * 900
    assert plain_line([word] * 27) is not None
    assert plain_line([word] * 28) is None


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_carried_program_is_the_same_in_sh(text):
    """
    It arrives to the byte, and only safe characters stand in the line.
    """
    line = carry(f"printf %s '{text.replace(chr(39), '')}'")
    assert line is not None
    assert set(line.encode()) <= SAFE
    assert max(map(len, line.split("'"))) <= MAX_WORD
    answer = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert answer.stdout == text.replace("'", "").encode()


def test_a_long_program_is_carried_in_short_words_and_a_longer_one_not_at_all():
    """
    The limit is on the line, whatever the program is.
    """
    line = carry("x" * 24_000)
    assert line is not None
    assert max(map(len, line.split("'"))) <= MAX_WORD
    assert len(line) <= MAX_LINE_BYTES
    assert carry("!" * 6_000) is None


def test_bytes_that_are_no_text_are_bytes():
    """
    As Python hands them over, in surrogates (PEP 383).
    """
    assert encode("é\udcff") == b"\xc3\xa9\xff"
