"""
Conditions of blocks: the patterns behind Host and the criteria behind Match.

When a condition is asked, and what follows, is the business of `fleetctl.sshconfig.resolve`.

Source: ssh_config(5), Host and Match; ``localnetwork``, ``tagged`` and ``version`` from
OpenSSH 9.4 to 10.0.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from fleetctl.sshconfig.lexer import lower_ascii, next_word
from fleetctl.sshconfig.pattern import (
    Matcher,
    compile_pattern,
    octets,
    parse_pattern_list,
)
from fleetctl.sshconfig.tokens import USUAL_TOKENS, expand

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_UNARY = ("canonical", "final")
_LATER = {"command": "10.0", "sessiontype": "10.0", "version": "10.0"}
_KNOWN = ("all canonical final exec host localnetwork localuser originalhost tagged user").split()


class Subject(Protocol):
    """
    What the criteria ask about, at the moment when the Match line is reached.

    All names are `octets`; names of hosts are in lower case.
    """

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
    def local_user(self) -> str:
        """The user of this process."""

    @property
    def tag(self) -> str:
        """Value of Tag, or empty."""

    @property
    def is_final(self) -> bool:
        """Are the files gone through for the second time?"""

    @property
    def addresses(self) -> tuple[str, ...]:
        """Of this machine's interfaces."""

    def run(self, command: str) -> bool:
        """Run a command, its tokens not yet replaced; True if it exits with 0."""


Check: TypeAlias = Callable[[Subject], object]


@dataclass(frozen=True, slots=True)
class HostCondition:
    """
    The patterns of a Host line.

    Attributes:
        patterns: Whether negated, as written without ``!``, and compiled.
    """

    patterns: tuple[tuple[bool, str, Matcher], ...]

    def applies(self, host: str) -> bool:
        """Does a pattern match, and no negated one? ``host`` as `octets`."""
        is_found = False
        for is_negated, _, matches in self.patterns:
            if matches(host):
                if is_negated:
                    return False
                is_found = True
        return is_found


@dataclass(frozen=True, slots=True)
class Criterion:
    """
    One criterion of a Match line.

    Attributes:
        name: In lower case.
        is_negated: Written with ``!``.
        check: Is it so, before negation?
    """

    name: str
    is_negated: bool
    check: Check


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
        pattern = word.removeprefix("!")
        patterns.append((word.startswith("!"), octets(pattern), compile_pattern(pattern)))
    return HostCondition(tuple(patterns))


def parse_match(text: str) -> MatchCondition:
    """
    Parse the arguments of Match, unsplit.

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
            return MatchCondition((*criteria, Criterion("all", is_negated, lambda _: True)))
        if name in _UNARY:
            criteria.append(Criterion(name, is_negated, lambda subject: subject.is_final))
            continue
        if name not in _KNOWN:
            raise ValueError(_unknown(word.removeprefix("!")))
        argument, rest = next_word(rest) if rest is not None else ("", None)
        if argument.startswith("#") or (not argument and name != "tagged"):
            raise ValueError(f"Missing Match criteria for {word.removeprefix('!')}")
        criteria.append(Criterion(name, is_negated, _parse_check(name, argument)))
    if not criteria:
        raise ValueError("One or more attributes required for Match")
    return MatchCondition(tuple(criteria))


def _unknown(name: str) -> str:
    since = _LATER.get(lower_ascii(name))
    if since:
        return f"Unsupported Match attribute {name} (OpenSSH {since} has it)"
    return f"Unsupported Match attribute {name}; one of {', '.join(_KNOWN)} is expected"


def _parse_check(name: str, argument: str) -> Check:
    if name == "exec":
        # ssh refuses unknown tokens even if the command is not run.
        expand(argument, tokens=dict.fromkeys(USUAL_TOKENS, ""))
        return lambda subject: subject.run(argument)
    if name == "localnetwork":
        networks = _parse_networks(argument)
        return lambda subject: any(_is_inside(text, networks) for text in subject.addresses)
    if name == "tagged" and not argument:
        return lambda subject: not subject.tag
    return _parse_names(name, argument)


def _parse_names(name: str, argument: str) -> Check:
    patterns = parse_pattern_list(argument, lower=name in ("host", "originalhost"))
    matches = patterns.parts[0][1] if patterns.is_single else patterns.matches
    match name:
        case "host":
            return lambda subject: matches(subject.host)
        case "originalhost":
            return lambda subject: matches(subject.original_host)
        case "user":
            return lambda subject: matches(subject.user)
        case "localuser":
            return lambda subject: matches(subject.local_user)
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
