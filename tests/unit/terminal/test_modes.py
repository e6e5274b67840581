"""
Terminal modes: from termios to the wire and back, as ssh and sshd do it.
"""

from __future__ import annotations

import os
import termios
from collections.abc import Iterator

import pytest

from fleetctl.terminal.modes import apply_modes, encode_modes, raw_attributes

ECHO, ICRNL, ONLCR, ISIG, VINTR, VERASE = 53, 36, 72, 50, 1, 3


@pytest.fixture
def terminal() -> Iterator[int]:
    """A terminal as the system makes it."""
    master, slave = os.openpty()
    yield slave
    os.close(master)
    os.close(slave)


def test_a_usual_terminal(terminal):
    """
    Ctrl-C interrupts, typing is echoed, newlines become CR LF; characters that are off are 255.
    """
    modes = encode_modes(termios.tcgetattr(terminal))
    assert {opcode: modes[opcode] for opcode in (ECHO, ICRNL, ONLCR, ISIG, VINTR, VERASE)} == {
        ECHO: 1,
        ICRNL: 1,
        ONLCR: 1,
        ISIG: 1,
        VINTR: 3,
        VERASE: 127,
    }
    assert modes[6] == 255  # VEOL
    assert list(modes)[:2] == [129, 128]
    assert all(0 < opcode < 160 and 0 <= value < 2**32 for opcode, value in modes.items())


def test_what_was_encoded_can_be_applied(terminal):
    """
    A terminal that gets another's modes behaves like it.
    """
    changes = {ECHO: 0, ICRNL: 0, VERASE: 8, VINTR: 255, 42: 1, 91: 1}
    attributes = apply_modes(termios.tcgetattr(terminal), changes)
    termios.tcsetattr(terminal, termios.TCSANOW, attributes)
    found = encode_modes(termios.tcgetattr(terminal))
    assert {opcode: found[opcode] for opcode in changes} == changes
    assert found[ISIG] == 1


def test_applying_leaves_its_argument_and_what_nobody_knows_alone(terminal):
    """
    Opcodes of other systems are skipped.
    """
    attributes = termios.tcgetattr(terminal)
    changed = apply_modes(attributes, {VINTR: 5, 159: 1, 16: 7, 128: 9600})
    assert attributes == termios.tcgetattr(terminal)
    assert changed[6][termios.VINTR] == b"\x05"


def test_raw_is_byte_for_byte(terminal):
    """
    Nothing is echoed, translated, interpreted or kept back, in either direction.
    """
    termios.tcsetattr(terminal, termios.TCSANOW, raw_attributes(termios.tcgetattr(terminal)))
    modes = encode_modes(termios.tcgetattr(terminal))
    off = (ECHO, ICRNL, ISIG, 51, 59, 38, 70)
    assert [modes[opcode] for opcode in off] == [0] * len(off)
