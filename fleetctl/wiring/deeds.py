"""
Which lines of a file need trust, whatever kind of file it turns out to be.

A file that is about to be trusted can be anything, and what it looks like is up to whoever wrote
it. So it is read as everything that may ask for trust.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from fleetctl.model.errors import Problem, UsageError

if TYPE_CHECKING:
    from fleetctl.inventory.entries import Draft

#: What the hint of a problem begins with that trust would solve.
_TRUST = "fleetctl trust "


def demands_in(data: bytes, file: str) -> list[Problem]:
    """
    Return what an ssh_config, an inventory, a file of variables or an expect script with this
    content is refused for.

    Args:
        data: What is to be trusted; the file is not read again, and what it names is not read.
        file: Its name in messages.

    Returns:
        In the order of the lines; none for what is vaulted, whose content nobody sees.
    """
    found = dict.fromkeys(
        (*_of_ssh_config(data, file), *_of_inventory(data, file), *_of_expect(data, file))
    )
    return sorted(found, key=lambda problem: (problem.line or 0, problem.column or 0))


def _of_ssh_config(data: bytes, file: str) -> Iterator[Problem]:
    from fleetctl.sshconfig.parse import Block, Reading, Settings, parse_line
    from fleetctl.sshconfig.trust import condition_objection, objection, trust_hint
    from fleetctl.wiring.dialects import known_dialect

    dialect = known_dialect()
    # No value is looked up: a variable that is not set here could be at the time of use.
    reading = Reading(_AnyVariable(), dialect)
    for number, text in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        try:
            line = parse_line(text, reading)
        except ValueError:
            continue
        match line:
            case Settings():
                subject = line.keyword.name
                effect = objection(line.keyword.key, line.value, dialect)
            case Block():
                subject, effect = "Match exec", condition_objection(line.condition)
            case _:
                continue
        if effect is not None:
            yield Problem(f"{subject} {effect}", file, number, hint=trust_hint(file))


class _AnyVariable(dict[str, str]):
    """An environment in which every variable is set."""

    def __contains__(self, _name: object) -> bool:
        return True

    def __missing__(self, _name: str) -> str:
        return ""


def _of_expect(data: bytes, file: str) -> Iterator[Problem]:
    from fleetctl.wiring.expect import secrets_in

    with suppress(UsageError):
        yield from secrets_in(data, file)


def _of_inventory(data: bytes, file: str) -> Iterator[Problem]:
    from fleetctl.inventory.ini_source import read_ini
    from fleetctl.inventory.vault import is_vaulted
    from fleetctl.inventory.vaults import Vaults
    from fleetctl.inventory.yaml_source import read_yaml

    if is_vaulted(data):
        return
    readings: tuple[Callable[[], Draft], ...] = (
        lambda: read_yaml(data, file, Vaults(), may_do_anything=_nothing),
        lambda: _read_variables(data, file),
        lambda: read_ini(data, file, may_do_anything=_nothing),
    )
    for read in readings:
        try:
            problems = read().problems
        except UsageError as error:
            problems = list(error.problems)
        yield from (each for each in problems if (each.hint or "").startswith(_TRUST))


def _read_variables(data: bytes, file: str) -> Draft:
    """Read a file of group_vars or host_vars."""
    from fleetctl.inventory.assign import Assigner
    from fleetctl.inventory.entries import Contents, Draft, Place
    from fleetctl.inventory.values import Values
    from fleetctl.inventory.variables import Variables
    from fleetctl.inventory.vaults import Vaults
    from fleetctl.inventory.yaml_tree import MapTree, read_tree

    draft, contents = Draft(), Contents()
    tree = read_tree(data, file, draft.problems)
    values = Values(file, draft.problems, Vaults(), is_secret=False)
    variables = Variables(Assigner(draft.problems, draft.warnings, _nothing))
    for key, value in tree.pairs() if isinstance(tree, MapTree) else ():
        place, at = Place(file, key.line, key.column), Place(file, value.line, value.column)
        variables.read(contents, key.text, values.of(value), key=place, at=at)
    return draft


def _nothing() -> bool:
    return False
