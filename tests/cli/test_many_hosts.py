"""
A thousand hosts on a terminal: what is different is seen at once.
"""

from __future__ import annotations

import re
import termios
from dataclasses import replace

import pytest

from tests.cli.shell import on_terminal

pytestmark = [pytest.mark.fleet, pytest.mark.slow]

COLUMNS = 80
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


def narrow(terminal):
    termios.tcsetwinsize(terminal, (24, COLUMNS))


def test_five_of_a_thousand_hosts_differ(fleet, is_full_size):
    """
    At most 40 lines, none over 80 columns, and those that differ are named. Here 150 hosts; at full
    size 1 000.
    """
    count = 1000 if is_full_size else 150
    few = fleet.hosts(6)
    # Five hosts have one name on the last machine, the others share the rest.
    odd = {n for n in range(count) if n % (count // 5) == 7}
    names = [
        replace(few[5] if n in odd else few[n % 5], name=f"srv{n:04d}.rack{n % 8}.example.net")
        for n in range(count)
    ]
    line = (
        "case $HOME in *web06*) seq 1 300 | sed 's/$/ another/';; *) seq 1 300 |"
        " sed 's/$/ of many lines that are rather long, and longer than a terminal is wide/';; esac"
    )
    words = ("run", "-i", str(fleet.inventory(names)), "srv*", "--yes", "--no-progress", "--", line)
    with on_terminal(*words, prepare=narrow) as screen:
        ended = screen.wait()
    assert ended.code == 0, ended.out[-2000:]
    shown = _ESCAPE.sub("", ended.out).splitlines()
    assert len(odd) == 5
    assert len(shown) <= 40, "\n".join(shown)
    assert max(map(len, shown)) <= COLUMNS
    (odd_class,) = [one for one in shown if one.endswith(" (5) [class 2]")]
    assert ".example.net" in odd_class
    assert f"{count} hosts ok in " in "\n".join(shown)
