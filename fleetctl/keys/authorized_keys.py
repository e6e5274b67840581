"""
authorized_keys: what others need of the files with that name.

Reading is byte for byte what sshd does: `parse` says what is in each line, `liveness` what it is
worth on some server at some time. Every edit is a function of the text that was read.
"""

from __future__ import annotations

from fleetctl.keys.authorized_keys_block import block_names, set_block
from fleetctl.keys.authorized_keys_draft import Edit, KeyConflict, OnOtherOptions, Replacement
from fleetctl.keys.authorized_keys_edit import add_keys, remove_keys, set_exact
from fleetctl.keys.authorized_keys_lines import (
    AuthorizedKey,
    KeyFileText,
    Line,
    LineKind,
    parse,
    read_line,
)
from fleetctl.keys.authorized_keys_live import LETS_IN, LineState, State, liveness
from fleetctl.keys.options_server import ServerVersion
from fleetctl.keys.options_syntax import BadOptions, KeyOption

__all__ = [
    "LETS_IN",
    "AuthorizedKey",
    "BadOptions",
    "Edit",
    "KeyConflict",
    "KeyFileText",
    "KeyOption",
    "Line",
    "LineKind",
    "LineState",
    "OnOtherOptions",
    "Replacement",
    "ServerVersion",
    "State",
    "add_keys",
    "block_names",
    "liveness",
    "parse",
    "read_line",
    "remove_keys",
    "set_block",
    "set_exact",
]
