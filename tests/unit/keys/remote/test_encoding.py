"""
Bytes on their way into a shell's program, judged by the shells themselves.
"""

from __future__ import annotations

import random
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetctl.keys.remote.encoding import cksum, printing, quote
from tests.support.key_shells import SHELLS, sh_argv
from tests.support.patience import PATIENCE_S

ALL = bytes(range(256))


def run(shell: str, program: str) -> bytes:
    argv = [*sh_argv(shell), "-s"]
    done = subprocess.run(
        argv, input=program.encode(), capture_output=True, timeout=PATIENCE_S, check=True
    )
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "data",
    [b"", b"-n\n", b"%s %d %%\\n\\\\'\n", ALL, ALL[::-1] * 40, b"-" * 9000, b"no end of line"],
    ids=["nothing", "option", "format", "all", "many", "dashes", "no-eol"],
)
def test_every_shell_prints_exactly_the_bytes(shell, data):
    """
    NUL, CR, 8-bit bytes, quotes and per cent signs arrive as they are.
    """
    assert run(shell, printing("data", data) + "data\n") == data


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_arrive(data):
    """
    The same for bytes that nobody has thought of.
    """
    assert run("dash", printing("data", data) + "data\n") == data


@pytest.mark.parametrize("shell", SHELLS)
def test_a_megabyte_arrives(shell):
    """
    A long file is many lines of a program, and no argument is too long for any shell.
    """
    data = random.Random(1).randbytes(300_000)
    assert run(shell, printing("data", data) + "data\n") == data


@pytest.mark.parametrize("shell", SHELLS)
def test_a_word_is_one_word(shell):
    """
    What is told to a program is data, whatever it looks like.
    """
    text = 'it\'s $(id) `id` "x" \\ \n * ! ~ # ü'
    assert run(shell, f"printf %s {quote(text)}\n").decode() == text


@pytest.mark.parametrize("data", [b"", b"a", ALL, b"\n" * 70_000], ids=len)
def test_the_checksum_is_that_of_cksum(data):
    """
    A host's own tool comes to the same number.
    """
    done = subprocess.run(["cksum"], input=data, capture_output=True, check=True)
    assert done.stdout.split() == [b"%d" % cksum(data), b"%d" % len(data)]
