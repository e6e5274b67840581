"""
One line of a file turned into a step, a condition, or the names of files to include.

No file is read here, and no host is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from fleetctl.model.errors import UsageError
from fleetctl.sshconfig import keywords, state
from fleetctl.sshconfig.arguments import Arguments, Value
from fleetctl.sshconfig.dialect import OPENSSH_9_2, Dialect
from fleetctl.sshconfig.lexer import split_line, split_words
from fleetctl.sshconfig.match import HostCondition, MatchCondition, parse_host, parse_match


@dataclass(frozen=True, slots=True)
class Settings:
    """A line that sets something."""

    keyword: keywords.Keyword
    value: Value

    def step(self, origin: str) -> state.Step:
        return self.keyword.action, self.keyword.key, self.value, origin


@dataclass(frozen=True, slots=True)
class Block:
    """A Host or Match line."""

    condition: HostCondition | MatchCondition


@dataclass(frozen=True, slots=True)
class Include:
    """An Include line, its patterns of paths not yet looked up."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """A keyword that only IgnoreUnknown can save."""

    keyword: str
    hint: str

    def step(self, origin: str) -> state.Step:
        return state.check_unknown, self.keyword, (self.hint,), origin


@dataclass(frozen=True, slots=True)
class Warned:
    """A line without effect that the user should hear of."""

    message: str


Line: TypeAlias = Settings | Block | Include | Unknown | Warned


@dataclass(frozen=True, slots=True)
class Reading:
    """
    What the meaning of a line depends on, beside the line.

    Attributes:
        environment: Environment variables.
        dialect: What ssh supports.
        user: Local user.
        addresses: Of this machine's interfaces.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect = OPENSSH_9_2
    user: str = ""
    addresses: tuple[str, ...] = ()


def parse_line(text: str, reading: Reading) -> Line | None:
    """
    Parse one line.

    Returns:
        None for a blank line, a comment, and a line that sets nothing.

    Raises:
        ValueError: What is wrong, with the keyword where it helps.
    """
    if "\0" in text:
        raise ValueError("a NUL byte is not text; ssh would pass over the rest of the line")
    found = split_line(text)
    if found is None:
        return None
    name, raw = found
    if not raw:
        raise ValueError(f'no argument after keyword "{name}"; write its value behind it')
    words = split_words(raw)
    if name == "host":
        return Block(parse_host(words))
    if name == "match":
        return Block(parse_match(raw, user=reading.user, addresses=reading.addresses))
    if name == "include":
        if "" in words:
            raise ValueError("keyword include empty argument")
        return Include(words)
    if name in keywords.OBSOLETE:
        return None
    if name in keywords.UNSUPPORTED:
        return Warned(f'Unsupported option "{name}"')
    keyword = keywords.find_keyword(name)
    if keyword is None:
        similar = keywords.similar_keywords(name)
        return Unknown(name, f"did you mean {similar[0]}?" if similar else "")
    return _parse_settings(keyword, Arguments(keyword.key, words, raw, *_of(reading)))


def _of(reading: Reading) -> tuple[Mapping[str, str], Dialect]:
    return reading.environment, reading.dialect


def _parse_settings(keyword: keywords.Keyword, arguments: Arguments) -> Settings | None:
    try:
        value = keyword.parse(arguments)
    except ValueError as error:
        raise ValueError(f"{keyword.name}: {error}") from None
    return None if value is None else Settings(keyword, value)


def read_options(
    texts: Iterable[str],
    *,
    origin: str = "-o",
    environment: Mapping[str, str] | None = None,
    dialect: Dialect = OPENSSH_9_2,
) -> tuple[state.Step, ...]:
    """
    Parse options as they stand behind ``-o``, such as ``Port=22``; they come before any file.

    Args:
        texts: One line each.
        origin: Where they were written, for messages and for the origin of their values.
        environment: For values that are expanded while they are read.
        dialect: What ssh supports.

    Raises:
        UsageError: One is wrong, unknown (unless an earlier IgnoreUnknown names it), or not
            possible outside a file.
    """
    steps: list[state.Step] = []
    so_far = state.State()
    for text in texts:
        try:
            line = parse_line(text, Reading(environment or {}, dialect))
        except ValueError as error:
            raise UsageError(f"{text}: {error}", file=origin) from None
        match line:
            case Settings() if line.keyword.action is state.refuse:
                raise UsageError(f"{text}: not possible outside a file", file=origin)
            case Settings():
                steps.append(line.step(origin))
                if line.keyword.key == "ignoreunknown":
                    state.set_first(so_far, "ignoreunknown", line.value, origin)
            case Unknown():
                state.check_unknown(so_far, line.keyword, (line.hint,), origin)
            case Block() | Include():
                raise UsageError(f"{text}: not possible outside a file", file=origin)
    return tuple(steps)
