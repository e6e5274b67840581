"""
``people.yml`` on the command line: where it is, and what it means for the hosts of an inventory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.errors import say
from fleetctl.cli.inputs import SOURCES
from fleetctl.cli.options import TargetOptions
from fleetctl.cli.targets import look_up
from fleetctl.model.errors import Problem

if TYPE_CHECKING:
    from fleetctl.wiring.access import Declared, HostState, People
    from fleetctl.wiring.hosts import Selection

Command = TypeVar("Command", bound=Callable[..., Any])

#: Read if it is there and nothing else is named.
DEFAULT_FILE = "people.yml"


def people_option(command: Command) -> Command:
    """Add the option that names the file; the command gets it as ``people``."""
    return click.option(
        "--people",
        metavar="FILE",
        shell_complete=complete_path,
        help="Who people are, and what they may get to.  [default: people.yml here, or beside the "
        "inventory]",
    )(command)


@dataclass(frozen=True, slots=True)
class Wishes:
    """
    What a file says, and what that means here.

    Attributes:
        hosts: What each host is to have, by its name.
    """

    people: People
    declared: Declared
    hosts: Mapping[str, HostState]

    @property
    def never(self) -> dict[bytes, str]:
        """Blobs of keys that must be nowhere, and whose they are."""
        return self.people.never


def find_people(given: str | None) -> str | None:
    """
    Return the file to read: the one given, else ``people.yml`` here or beside an inventory.

    The inventories are those that the command has used.
    """
    if given is not None:
        return given
    sources = click.get_current_context().meta.get(SOURCES, ())
    beside = [
        Path(source) if Path(source).is_dir() else Path(source).parent
        for source in sources
        if "," not in source
    ]
    for folder in (Path(), *beside):
        if (folder / DEFAULT_FILE).is_file():
            return str(folder / DEFAULT_FILE)
    return None


def read_wishes(path: str, targets: TargetOptions) -> Wishes:
    """
    Read the file and apply it to the inventory that the command has used; its warnings are said.

    Raises:
        UsageError: All mistakes in it.
    """
    from fleetctl.wiring.access import declare, hosts_of_patterns, load_people

    people = load_people(path)
    for warning in people.warnings:
        say(f"warning: {warning.where}: {warning.message}", hint=warning.hint)
    sources = click.get_current_context().meta.get(SOURCES, ())
    # They were chosen, and what is odd about them was said, when the hosts were looked up.
    same = replace(targets, inventory=tuple(sources), limit=None, exclude=None)

    def ask(selection: Selection, is_trusted: Any) -> Mapping[str, Any]:
        patterns = dict.fromkeys(rule.hosts for rule in people.rules)
        return hosts_of_patterns(selection, patterns, _ignore, is_trusted)

    found = look_up("all", same, None, ask)
    declared, hosts = declare(people, found)
    return Wishes(people, declared, hosts)


def _ignore(_: Problem) -> None:
    """Nothing is said twice."""
