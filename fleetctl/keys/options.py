"""
Options of keys in authorized_keys: what others need of the files with that name.
"""

from __future__ import annotations

from fleetctl.keys.options_flags import OptionFlags, build_options
from fleetctl.keys.options_from import from_allows, problem_of_from
from fleetctl.keys.options_server import ServerVersion, adapt_options, check_options
from fleetctl.keys.options_syntax import (
    BadOptions,
    KeyOption,
    parse_options,
    problem_of,
    problem_of_all,
    render_options,
    same_options,
)
from fleetctl.keys.options_times import describe_moment, moment_of, parse_expiry_time

__all__ = [
    "BadOptions",
    "KeyOption",
    "OptionFlags",
    "ServerVersion",
    "adapt_options",
    "build_options",
    "check_options",
    "describe_moment",
    "from_allows",
    "moment_of",
    "parse_expiry_time",
    "parse_options",
    "problem_of",
    "problem_of_all",
    "problem_of_from",
    "render_options",
    "same_options",
]
