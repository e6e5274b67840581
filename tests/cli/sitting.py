"""
Sitting at a terminal on which `fleetctl connect` runs.
"""

from __future__ import annotations

import os
import termios
import time

from fleetctl.terminal.modes import encode_modes
from tests.support.patience import PATIENCE_S

#: A shell that shows a prompt nobody else shows; computed, so that typing it is not seeing it.
PROMPT = 'PS1=ready; PS1="<$PS1>"\r'


def modes_of(screen):
    """Return the modes of the terminal that fleetctl runs on, as they are now."""
    return encode_modes(termios.tcgetattr(screen.master))


def is_raw(screen):
    return modes_of(screen)[53] == 0 and modes_of(screen)[50] == 0


def wait_until(condition):
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def log_in(screen):
    """Wait until the shell on the host is ready."""
    screen.read_until("# " if os.geteuid() == 0 else "$ ")
    screen.type(PROMPT)
    screen.read_until("<ready>")


def start_cat(screen):
    """Run cat on the host, and wait until the terminal there is as cat wants it."""
    screen.type("echo be''gun; cat\r")
    screen.read_until("begun")
