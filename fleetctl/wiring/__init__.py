"""
Assembly: the only place that names concrete classes.

Everything is imported where it is needed, so that a command pays only for what it uses. No
behaviour of its own beyond choosing: which inventory, which sinks, which engine.
"""

from fleetctl.wiring.become import assign
from fleetctl.wiring.deeds import demands_in
from fleetctl.wiring.hosts import (
    Selection,
    dump_settings,
    find_hosts,
    is_safe_user,
    is_this_machine,
    names_in,
    split_words,
)
from fleetctl.wiring.labs import lab_status, start_lab, stop_lab
from fleetctl.wiring.operations import (
    check_script,
    make_command,
    make_conditions,
    make_connect,
    make_doctor,
    make_ping,
    make_script,
    make_shell,
)
from fleetctl.wiring.run import open_engine, run_loop
from fleetctl.wiring.screen import LIVE_FORMATS, ColorChoice, Format, Screen, View
from fleetctl.wiring.words import (
    fold,
    make_redactor,
    one_visible_line,
    redact_cut_output,
    visible_text,
)

__all__ = [
    "LIVE_FORMATS",
    "ColorChoice",
    "Format",
    "Screen",
    "Selection",
    "View",
    "assign",
    "check_script",
    "demands_in",
    "dump_settings",
    "find_hosts",
    "fold",
    "is_safe_user",
    "is_this_machine",
    "lab_status",
    "make_command",
    "make_conditions",
    "make_connect",
    "make_doctor",
    "make_ping",
    "make_redactor",
    "make_script",
    "make_shell",
    "names_in",
    "one_visible_line",
    "open_engine",
    "redact_cut_output",
    "run_loop",
    "split_words",
    "start_lab",
    "stop_lab",
    "visible_text",
]
