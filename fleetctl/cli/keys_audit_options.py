"""
The options of ``fleetctl keys audit``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.keys_people import people_option
from fleetctl.cli.options import EFFORT, bundle

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What is asked for, and how it is shown. The fields are the options of the same name."""

    people: str | None
    who: tuple[str, ...]
    keys: tuple[str, ...]
    hosts: str | None
    for_user: tuple[str, ...]
    last: bool
    last_use: bool
    notes: bool
    strict: bool
    keep: bool
    form: Literal["text", "json", "csv", "html"]
    output: str | None
    color: Literal["auto", "always", "never"]
    forks: int
    retries: int

    @property
    def question(self) -> str:
        """What was asked for, if not everything."""
        given = (
            *(f"--who {name}" for name in self.who),
            *(f"--key {key}" for key in self.keys),
            *(f"--for-user {user}" for user in self.for_user),
            *([f"--host {self.hosts}"] if self.hosts else []),
        )
        return " ".join(given)


_OPTIONS = (
    people_option,
    click.option(
        "--who", multiple=True, metavar="NAME", help="Only keys of this person; repeatable."
    ),
    click.option(
        "--key",
        "keys",
        multiple=True,
        metavar="FINGERPRINT",
        help="Only this key, by SHA256:… or the beginning of that; repeatable.",
    ),
    click.option("--host", "hosts", metavar="NAME,…", help="Only these hosts, as in web[01-03]."),
    click.option(
        "--for-user", multiple=True, metavar="NAME", help="Only this user there; repeatable."
    ),
    click.option(
        "--last", is_flag=True, help="Contact nobody: show what the last audit of each host found."
    ),
    click.option(
        "--last-use", is_flag=True, help="Search the hosts' logs for when keys were used."
    ),
    click.option("--notes", is_flag=True, help="Show all notes, not only their number."),
    click.option(
        "--strict",
        is_flag=True,
        help="Exit with 1 if something is bad, should be looked at, or has changed.",
    ),
    click.option(
        "--keep/--no-keep",
        default=True,
        help="Keep the audit to compare the next one with; one of single users is never kept.",
    ),
    click.option(
        "--format",
        "form",
        type=click.Choice(("text", "json", "csv", "html")),
        default="text",
        show_default=True,
        help="For people, for programs, for spreadsheets, or a page that needs nothing beside it.",
    ),
    click.option(
        "--output",
        metavar="FILE",
        shell_complete=complete_path,
        help="Write to this file, readable by you alone.",
    ),
    click.option(
        "--color",
        type=click.Choice(("auto", "always", "never")),
        default="auto",
        show_default=True,
        help="When to use colour; NO_COLOR is honoured.",
    ),
    *EFFORT,
)


def audit_options(command: Command) -> Command:
    """Add the options of the audit; the command gets them as ``options``."""
    return bundle(command, "options", AuditOptions, _OPTIONS)
