"""
A list of hosts given on the command line, ``-i "web1,deploy@db1:2222,"``, as a `Draft`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from fleetctl.inventory.assign import Assigner
from fleetctl.inventory.entries import UNGROUPED, Contents, Draft, Place
from fleetctl.inventory.names import parse_address, write_out
from fleetctl.inventory.variables import Variables
from fleetctl.model.errors import Problem

_OUTSIDE_BRACKETS = re.compile(r"(?:[^\[\],]|\[[^\]]*\]?|\])+")


def read_literal(text: str, file: str) -> Draft:
    """
    Read hosts separated by commas; a comma at the end is for a list of one.

    Each is ``host``, ``user@host``, ``host:port`` or ``[v6]:port`` and may have ranges.

    Args:
        text: The list.
        file: What to call it in messages and origins.

    Returns:
        What was understood, with all mistakes in its problems.
    """
    draft = Draft()
    variables = Variables(Assigner(draft.problems, draft.warnings))
    place = Place(file)
    group = draft.group(UNGROUPED, place)
    for match in _OUTSIDE_BRACKETS.finditer(text):
        part = match[0].strip()
        if not part:
            continue
        contents = Contents()
        for name in _read_part(part, contents, variables, place):
            group.hosts[name] = None
            known = draft.hosts.setdefault(name, contents)
            if known.vars != contents.vars:
                draft.problems.append(
                    place.problem(
                        f"{name} is listed twice, with another user or port",
                        hint="give each a name of its own in a file: "
                        f"{name}-2: {{ssh: {{HostName: {name}, Port: 2222}}}}",
                    )
                )
    if not draft.hosts and not draft.problems:
        draft.problems.append(Problem("the list of hosts is empty", file))
    return draft


def _read_part(part: str, contents: Contents, variables: Variables, place: Place) -> Sequence[str]:
    address = parse_address(part)
    try:
        names = write_out(address)
    except ValueError as error:
        variables.assigner.problems.append(place.problem(str(error)))
        return ()
    if address.user is not None:
        variables.read(contents, "ansible_user", address.user, key=place, at=place)
    if address.port is not None:
        variables.read_port(contents, address.port, place)
    return names
