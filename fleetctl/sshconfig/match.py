"""
Conditions of blocks: the patterns behind Host and the criteria behind Match.

When a condition is asked, and what follows, is the business of `fleetctl.sshconfig.resolve`.

Source: ssh_config(5), Host and Match; ``localnetwork``, ``tagged`` and ``version`` from
OpenSSH 9.4 to 10.0.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fleetctl.sshconfig.lexer import lower_ascii, next_word
from fleetctl.sshconfig.pattern import PatternList, octets, parse_pattern_list
from fleetctl.sshconfig.tokens import USUAL_TOKENS, expand

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNARY = ("canonical", "final")
_ABOUT_THIS_MACHINE = ("localnetwork", "localuser")
_LATER = {"command": "10.0", "sessiontype": "10.0", "version": "10.0"}
_KNOWN = ("all canonical final exec host localnetwork localuser originalhost tagged user").split()


class Subject(Protocol):
    """
    What the criteria ask about, at the moment when the Match line is reached.

    All names are `octets`; names of hosts are in lower case, but for the one that Host asks for.
    """

    @property
    def name(self) -> str:
        """Name as given, or the name to be dialled when the files are gone through again."""

    @property
    def original_host(self) -> str:
        """Name as given."""

    @property
    def host(self) -> str:
        """Name to be dialled as known so far."""

    @property
    def user(self) -> str:
        """Remote user as known so far."""

    @property
    def tag(self) -> str:
        """Value of Tag, or empty."""

    @property
    def is_final(self) -> bool:
        """Are the files gone through for the second time?"""

    def run(self, command: str) -> bool:
        """Run a command, its tokens not yet replaced; True if it exits with 0."""


Check: TypeAlias = Callable[[Subject], object]


def always(_: Subject) -> bool:
    """Check what holds for every host."""
    return True


def never(_: Subject) -> bool:
    """Check what holds for no host."""
    return False


@dataclass(frozen=True, slots=True)
class HostCondition:
    """The patterns of a Host line."""

    patterns: PatternList

    def applies(self, subject: Subject) -> bool:
        """Does a pattern match, and no negated one?"""
        return self.patterns.matches(subject.name)

    @property
    def is_constant(self) -> bool:
        """Does it apply to every host?"""
        return self.patterns.matches_everything


@dataclass(frozen=True, slots=True)
class Criterion:
    """
    One criterion of a Match line.

    Attributes:
        name: In lower case.
        is_negated: Written with ``!``.
        check: Is it so, before negation? `always` or `never` if that does not depend on the host.
        patterns: What a name is compared with, if nothing else is asked.
    """

    name: str
    is_negated: bool
    check: Check
    patterns: PatternList | None = None

    @property
    def constant(self) -> bool | None:
        """Whether it holds for every host or for none; None if that depends on the host."""
        if self.check is always:
            return not self.is_negated
        return self.is_negated if self.check is never else None


@dataclass(frozen=True, slots=True)
class MatchCondition:
    """The criteria of a Match line, in order."""

    criteria: tuple[Criterion, ...]

    def applies(self, subject: Subject) -> bool:
        """Do all criteria hold? After the first that fails nothing is asked and no command run."""
        for criterion in self.criteria:
            if bool(criterion.check(subject)) is criterion.is_negated:
                return False
        return True

    @property
    def is_constant(self) -> bool:
        """Does it apply to every host?"""
        return all(criterion.constant for criterion in self.criteria)

    def asks(self, name: str) -> bool:
        """Is a criterion of that name among them?"""
        return any(criterion.name == name for criterion in self.criteria)


def parse_host(words: tuple[str, ...]) -> HostCondition:
    """
    Parse the arguments of Host.

    Raises:
        ValueError: One is empty.
    """
    patterns = []
    for word in words:
        if not word:
            raise ValueError("keyword host empty argument")
        patterns.append((word.startswith("!"), octets(word.removeprefix("!"))))
    return HostCondition(PatternList.make(patterns))


def parse_match(text: str, *, user: str = "", addresses: Sequence[str] = ()) -> MatchCondition:
    """
    Parse the arguments of Match, unsplit.

    Args:
        text: What stands behind the keyword.
        user: Local user, for ``localuser``.
        addresses: Of this machine's interfaces, for ``localnetwork``.

    Raises:
        ValueError: A criterion is unknown, lacks its argument or has a bad one, or ``all`` stands
            beside others than ``canonical`` and ``final``.
    """
    criteria: list[Criterion] = []
    rest: str | None = text
    while rest:
        word, rest = next_word(rest)
        if not word or word.startswith("#"):
            break
        is_negated = word.startswith("!")
        name = lower_ascii(word.removeprefix("!"))
        if name == "all":
            following = next_word(rest)[0] if rest else ""
            # ssh lets one other criterion stand before it, whichever that is.
            if len(criteria) > 1 or (following and not following.startswith("#")):
                raise ValueError(f"'{word}' cannot be combined with other Match attributes")
            return MatchCondition((*criteria, Criterion("all", is_negated, always)))
        if name in _UNARY:
            criteria.append(Criterion(name, is_negated, lambda subject: subject.is_final))
            continue
        if name not in _KNOWN:
            raise ValueError(_unknown(word.removeprefix("!")))
        argument, rest = next_word(rest) if rest is not None else ("", None)
        if argument.startswith("#") or (not argument and name != "tagged"):
            raise ValueError(f"Missing Match criteria for {word.removeprefix('!')}")
        if name in _ABOUT_THIS_MACHINE:
            holds = _is_so_here(name, argument, user, addresses)
            criteria.append(Criterion(name, is_negated, always if holds else never))
        else:
            criteria.append(_parse_criterion(name, argument, is_negated=is_negated))
    if not criteria:
        raise ValueError("One or more attributes required for Match")
    return MatchCondition(tuple(criteria))


def _unknown(name: str) -> str:
    since = _LATER.get(lower_ascii(name))
    if since:
        return f"Unsupported Match attribute {name} (OpenSSH {since} has it)"
    return f"Unsupported Match attribute {name}; one of {', '.join(_KNOWN)} is expected"


def _is_so_here(name: str, argument: str, user: str, addresses: Sequence[str]) -> bool:
    if name == "localuser":
        return parse_pattern_list(argument).matches(octets(user))
    networks = _parse_networks(argument)
    return any(_is_inside(text, networks) for text in addresses)


def _parse_criterion(name: str, argument: str, *, is_negated: bool) -> Criterion:
    if name == "exec":
        # ssh refuses unknown tokens even if the command is not run.
        expand(argument, tokens=dict.fromkeys(USUAL_TOKENS, ""))
        return Criterion(name, is_negated, lambda subject: subject.run(argument))
    if name == "tagged" and not argument:
        return Criterion(name, is_negated, lambda subject: not subject.tag)
    patterns = parse_pattern_list(argument, lower=name in ("host", "originalhost"))
    return Criterion(name, is_negated, _compare(name, patterns), patterns)


def _compare(name: str, patterns: PatternList) -> Check:
    matches = patterns.matcher
    match name:
        case "host":
            return lambda subject: matches(subject.host)
        case "originalhost":
            return lambda subject: matches(subject.original_host)
        case "user":
            return lambda subject: matches(subject.user)
        case _:  # an untagged host is matched by nothing but the empty argument
            return lambda subject: subject.tag and matches(subject.tag)


def _parse_networks(text: str) -> tuple[Network, ...]:
    networks = []
    for part in text.split(","):
        if re.fullmatch(r"[0-9A-Fa-f.:/]+", part) is None or re.search(r"/.*[^0-9]", part):
            raise ValueError(f'Invalid network entry "{part}"; 10.0.0.0/8 would be one')
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError as error:
            raise ValueError(f'Invalid network entry "{part}": {error}') from None
    return tuple(networks)


def _is_inside(text: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return any(address in network for network in networks)
