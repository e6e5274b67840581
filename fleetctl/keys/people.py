"""
Who may log in where: people with their keys, and rules that say which hosts and users they get.

Plain values. `fleetctl.keys.people_file` reads them from ``people.yml``; which hosts a pattern
means is told to `resolve`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from fleetctl.keys.authorized_keys import AuthorizedKey
from fleetctl.keys.options import KeyOption
from fleetctl.model.errors import Problem

#: ``block``: only the lines between our markers are ours. ``exact``: every line is.
Mode = Literal["block", "exact"]

#: What the managed block in authorized_keys is called.
BLOCK = "people"

#: What may be said several times for one key. Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT.
_REPEATABLE = frozenset({"environment", "permitlisten", "permitopen"})
_EXPIRY = "expiry-time"


@dataclass(frozen=True, slots=True)
class Spot:
    """Where something stands; line and column from 1."""

    file: str
    line: int
    column: int = 1

    def problem(self, message: str, hint: str | None = None) -> Problem:
        """Return a mistake at this place."""
        return Problem(message, self.file, self.line, self.column, hint)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class PersonKey:
    """
    One key of a person.

    Attributes:
        key: With the options it has wherever it goes.
    """

    key: AuthorizedKey
    spot: Spot


@dataclass(frozen=True, slots=True)
class Person:
    """
    Somebody, or something that logs in by itself.

    Attributes:
        name: Unique; what reports call them.
        is_absent: Their keys must be nowhere.
    """

    name: str
    keys: tuple[PersonKey, ...]
    spot: Spot
    is_absent: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """
    Who gets to which users of which hosts.

    Attributes:
        people: Names; teams are people here.
        hosts: A pattern.
        users: Names on the hosts.
        options: For these keys there, besides those they have anyway.
        mode: None if another rule, or the file, decides.
    """

    people: tuple[str, ...]
    hosts: str
    users: tuple[str, ...]
    spot: Spot
    options: tuple[KeyOption, ...] = ()
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class People:
    """
    All that ``people.yml`` says.

    Attributes:
        mode: Where no rule says.
        warnings: What is allowed, but not good.
    """

    file: str
    people: Mapping[str, Person]
    rules: tuple[Rule, ...]
    mode: Mode = "block"
    warnings: tuple[Problem, ...] = ()

    @property
    def owners(self) -> dict[bytes, Person]:
        """Whose key it is, by its blob."""
        return {key.key.blob: person for person in self.people.values() for key in person.keys}

    @property
    def never(self) -> dict[bytes, str]:
        """Blobs of keys that must be nowhere, and whose they are."""
        return {blob: person.name for blob, person in self.owners.items() if person.is_absent}


@dataclass(frozen=True, slots=True)
class Granted:
    """A key that somebody is to have, with all its options; ``spot`` is that of the rule."""

    person: str
    key: AuthorizedKey
    spot: Spot


@dataclass(frozen=True, slots=True)
class UserState:
    """
    What one user's authorized_keys is to have.

    Attributes:
        keys: In the order of the file that says so.
        spot: The first rule that is about this user.
    """

    user: str
    mode: Mode
    keys: tuple[Granted, ...]
    spot: Spot


@dataclass(frozen=True, slots=True)
class HostState:
    """What one host is to have: its users by name."""

    users: Mapping[str, UserState] = field(default_factory=dict)


def resolve(
    people: People, hosts_of: Mapping[str, Sequence[str]], problems: list[Problem]
) -> dict[str, HostState]:
    """
    Return what each host is to have.

    Args:
        hosts_of: Names of the hosts that each pattern of the rules means.
        problems: Gets the rules that contradict each other.

    Returns:
        By name of the host; only hosts that a rule is about.
    """
    said: set[Problem] = set()
    granted = [_granted(people, rule, said) for rule in people.rules]
    about: dict[str, dict[str, list[int]]] = {}
    for number, rule in enumerate(people.rules):
        for host in hosts_of.get(rule.hosts, ()):
            for user in rule.users:
                about.setdefault(host, {}).setdefault(user, []).append(number)
    # Most hosts are alike: what the same rules say of a user is worked out once.
    states: dict[tuple[str, tuple[int, ...]], UserState] = {}
    hosts = {}
    for host, users in about.items():
        found = {}
        for user, numbers in users.items():
            same = user, tuple(numbers)
            if same not in states:
                rules = [(people.rules[number], granted[number]) for number in numbers]
                states[same] = _join(user, rules, people.mode, said)
            found[user] = states[same]
        hosts[host] = HostState(found)
    problems.extend(sorted(said, key=lambda problem: (problem.line or 0, problem.message)))
    return hosts


def _granted(people: People, rule: Rule, said: set[Problem]) -> tuple[Granted, ...]:
    granted = []
    for name in rule.people:
        person = people.people[name]
        if person.is_absent:
            continue
        for own in person.keys:
            options = merge_options(own.key.options, rule.options)
            if options is None:
                said.add(
                    rule.spot.problem(
                        f"a key of {name} has one of these options already, with another value"
                        f" (line {own.spot.line})",
                        "say it in one of both places",
                    )
                )
                continue
            granted.append(Granted(name, replace(own.key, options=options), rule.spot))
    return tuple(granted)


def merge_options(
    own: Sequence[KeyOption], more: Sequence[KeyOption]
) -> tuple[KeyOption, ...] | None:
    """
    Return the options of a key where a rule adds some; of two ends the earlier counts.

    None if they contradict each other.
    """
    merged = list(own)
    for option in more:
        if option in merged:
            continue
        same = next((old for old in merged if old.name == option.name), None)
        if same is None or option.name in _REPEATABLE:
            merged.append(option)
        elif option.name == _EXPIRY:
            merged[merged.index(same)] = min(same, option, key=lambda one: one.value or "")
        else:
            return None
    return tuple(merged)


def _join(
    user: str,
    rules: Sequence[tuple[Rule, Sequence[Granted]]],
    mode: Mode,
    said: set[Problem],
) -> UserState:
    keys: dict[bytes, Granted] = {}
    for rule, granted in rules:
        for grant in granted:
            other = keys.setdefault(grant.key.blob, grant)
            if set(other.key.options) != set(grant.key.options):
                said.add(
                    rule.spot.problem(
                        f"{grant.person} gets to {user} with other options than by the rule in"
                        f" line {other.spot.line}",
                        "let one rule say it, or give both the same options",
                    )
                )
    with_mode = [rule for rule, _ in rules if rule.mode is not None]
    for rule in with_mode[1:]:
        if rule.mode != with_mode[0].mode:
            said.add(
                rule.spot.problem(
                    f"{user} is {rule.mode} here and {with_mode[0].mode} by the rule in line"
                    f" {with_mode[0].spot.line}",
                    "a file is managed in one way only",
                )
            )
    chosen = with_mode[0].mode if with_mode else None
    return UserState(user, chosen or mode, tuple(keys.values()), rules[0][0].spot)
