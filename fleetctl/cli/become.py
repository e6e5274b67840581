"""
The options for running as another user on the hosts.
"""

from __future__ import annotations

from dataclasses import dataclass

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.options import Command, bundle


@dataclass(frozen=True, slots=True)
class BecomeOptions:
    """Whom to become on the hosts. The fields are the values of the options of the same name."""

    become: bool = False
    become_user: str | None = None
    become_method: str | None = None
    ask_become_pass: bool = False
    become_password_file: str | None = None
    become_exe: str | None = None
    become_flags: str | None = None

    def given(self) -> list[str]:
        """Return the options that mean something only if somebody is become, as written."""
        values = {
            "--become-user": self.become_user,
            "--become-method": self.become_method,
            "--ask-become-pass": self.ask_become_pass or None,
            "--become-password-file": self.become_password_file,
            "--become-exe": self.become_exe,
            "--become-flags": self.become_flags,
        }
        return [option for option, value in values.items() if value is not None]


#: The methods are those of `fleetctl.become.become`.
_BECOME = (
    click.option(
        "-b",
        "--become",
        is_flag=True,
        help="Run as another user there, except where ansible_become says no.",
    ),
    click.option(
        "--become-user", metavar="NAME", help="Whom to become, after logging in.  [default: root]"
    ),
    click.option(
        "--become-method",
        type=click.Choice(("sudo", "su", "doas")),
        help="What changes the user.  [default: sudo]",
    ),
    click.option(
        "-K",
        "--ask-become-pass",
        is_flag=True,
        help="Ask for the password that becoming takes, once for all hosts.",
    ),
    click.option(
        "--become-password-file",
        metavar="FILE|SOURCE",
        shell_complete=complete_path,
        help="Read that password from the first line of a file, or from env:NAME or cmd:COMMAND.",
    ),
    click.option(
        "--become-exe", metavar="PROGRAM", help="Its name or path, if it is not the usual one."
    ),
    click.option(
        "--become-flags", metavar="OPTIONS", help="More options for it, as in --become-flags=-i."
    ),
)


def become_options(command: Command) -> Command:
    """Add the options for running as another user; the command gets them as ``become``."""
    return bundle(command, "become", BecomeOptions, _BECOME)
