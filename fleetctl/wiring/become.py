"""
Operations that run as another user, host by host.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.model.operation import Operation
from fleetctl.model.run import Assignment

if TYPE_CHECKING:
    from fleetctl.become.become import Become
    from fleetctl.become.choice import Wish

_BECOME = "ansible_become"


def assign(
    operation: Operation,
    hosts: Sequence[Host],
    *,
    become: bool = False,
    user: str | None = None,
    method: str | None = None,
    exe: str | None = None,
    flags: str | None = None,
    given: Iterable[str] = (),
) -> list[Assignment]:
    """
    Return the operation for each host, as another user where that is wanted.

    Args:
        become: As another user on all hosts but those whose variable says no.
        user: Whom to become; like the others None for what the host's variables say.
        given: Options that mean something only if somebody is become.

    Raises:
        UsageError: All that is wrong in options and variables; nobody was contacted.

    See `fleetctl.become.choice`.
    """
    options = list(given)
    if not become and not any(_BECOME in host.vars for host in hosts):
        _refuse(options)
        return [Assignment(host, operation) for host in hosts]
    from fleetctl.become.choice import Wish

    wish = Wish(become=become, user=user, method=method, exe=exe, flags=flags)
    chosen = _choose_all(hosts, wish)
    if not any(chosen) and not become:
        _refuse(options)
    return [
        Assignment(host, _as_user(operation, become) if become else operation)
        for host, become in zip(hosts, chosen, strict=True)
    ]


def _choose_all(hosts: Sequence[Host], wish: Wish) -> list[Become | None]:
    from fleetctl.become.choice import choose
    from fleetctl.wiring.words import fold

    chosen: list[Become | None] = []
    wrong: dict[str, list[str]] = {}
    for host in hosts:
        problems: list[str] = []
        chosen.append(choose(host, wish, problems))
        for problem in problems:
            wrong.setdefault(problem, []).append(host.name)
    if wrong:
        raise UsageError(
            problems=[
                Problem(message if message.startswith("--") else f"{fold(names)}: {message}")
                for message, names in wrong.items()
            ]
        )
    return chosen


def _refuse(options: Sequence[str]) -> None:
    if options:
        raise UsageError(
            problems=[
                Problem(f"{option} means nothing without --become", hint="add -b")
                for option in options
            ]
        )


def _as_user(operation: Operation, become: Become) -> Operation:
    if operation.kind == "doctor":
        from fleetctl.commands.doctor import Doctor

        assert isinstance(operation, Doctor)
        return replace(operation, become=become)  # it looks at the login first
    from fleetctl.become.remote import AsUser

    return AsUser(operation, become)
