"""
What was written and not yet waited for, and looking for things in it.

Where a match is found does not depend on the pieces in which the text came: it is found at the
first character that completes it. The text is looked at in blocks that count from where the wait
began, each with the block before it; a match is never longer than what is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import thread_time
from typing import Protocol

import regex

#: Characters of a block; what is kept of unmatched text is at most two of them.
BLOCK = 4096
#: Seconds of CPU that one look with a regular expression may take.
MAX_LOOK_S = 0.1
#: Seconds of CPU that a step may spend on looks, and what each further block adds.
STEP_CREDIT_S = 0.5
BLOCK_CREDIT_S = 0.002


class TooSlow(Exception):
    """A regular expression takes too long on what was written."""


@dataclass(frozen=True, slots=True)
class Match:
    """
    Where something is.

    Attributes:
        complete_at: Index after the character that completed it.
        start: Index of its first character.
        end: Index after its last character, which only lookahead makes differ from `complete_at`.
        groups: By name and by number; 0 is all of it. Groups that took no part are missing.
    """

    complete_at: int
    start: int
    end: int
    groups: Mapping[str | int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Credit:
    """Seconds of CPU that are left for one step."""

    left_s: float = STEP_CREDIT_S

    def add_block(self) -> None:
        self.left_s = min(STEP_CREDIT_S, self.left_s + BLOCK_CREDIT_S)


class Matcher(Protocol):
    """Looks for one thing."""

    def first(self, text: str, low: int, seen: int, high: int, credit: Credit) -> Match | None:
        """
        Return what is completed first behind `seen`, within ``text[low:high]``.

        Raises:
            TooSlow: It takes too long.
        """
        ...


@dataclass(frozen=True, slots=True)
class TextMatcher:
    """Looks for a text, no longer than a block."""

    wanted: str

    def first(self, text: str, low: int, seen: int, high: int, _credit: Credit) -> Match | None:
        start = text.find(self.wanted, max(low, seen - len(self.wanted) + 1), high)
        if start < 0:
            return None
        end = start + len(self.wanted)
        return Match(end, start, end, {0: self.wanted})


class RegexMatcher:
    """Looks for a regular expression to which `fleetctl.expect.pattern` has no objection."""

    def __init__(self, pattern: str) -> None:
        self._regex = regex.compile(pattern, regex.MULTILINE)

    def first(self, text: str, low: int, seen: int, high: int, credit: Credit) -> Match | None:
        found = self._look(text, low, high, credit)
        if found is None:
            return None
        # What is complete stays complete, so the first moment can be found by halving.
        no, yes = seen, high
        while yes - no > 1:
            middle = (no + yes) // 2
            earlier = self._look(text, low, middle, credit)
            if earlier is None:
                no = middle
            else:
                yes, found = middle, earlier
        every: dict[str | int, str | None] = {0: found[0]}
        every.update(found.groupdict())
        every.update(enumerate(found.groups(), 1))
        groups = {name: value for name, value in every.items() if value is not None}
        return Match(yes, found.start(), found.end(), groups)

    def _look(self, text: str, low: int, high: int, credit: Credit) -> regex.Match[str] | None:
        if credit.left_s <= 0:
            raise TooSlow
        before = thread_time()
        try:
            return self._regex.search(text, low, high, timeout=MAX_LOOK_S)
        except TimeoutError:
            raise TooSlow from None
        finally:
            credit.left_s -= thread_time() - before


@dataclass(frozen=True, slots=True)
class Found:
    """
    What came first.

    Attributes:
        index: Which of the matchers found it.
        groups: See `Match`.
        before: What was written before it since the wait began, or the end of that.
    """

    index: int
    groups: Mapping[str | int, str]
    before: str


class Backlog:
    """Text that was written and not yet waited for; all but the end of it may be gone."""

    def __init__(self) -> None:
        # The first character is what came before, for ^ and for lookbehind.
        self._text = "\n"
        self._gone = 0  # characters of this wait that are no longer kept
        self._seen = 0  # characters of this wait that were looked at
        self._credit = Credit()

    def add(self, text: str) -> None:
        self._text += text

    def begin(self) -> None:
        """A new wait begins, with what the last one left."""
        self._gone = self._seen = 0
        self._credit = Credit()

    def find(self, matchers: Sequence[Matcher]) -> Found | None:
        """
        Return what comes first, of several that come at once the first; it is taken out.

        Call it again when there is more text. Without matchers the text is let go.

        Raises:
            TooSlow: A matcher takes too long.
        """
        while True:
            total = self._gone + len(self._text) - 1
            block_end = (self._seen // BLOCK + 1) * BLOCK
            end = min(block_end, total)
            if end == self._seen:
                self._forget_before((self._seen // BLOCK - 1) * BLOCK)
                return None
            found = self._look(matchers, end)
            if found is not None:
                return found
            self._seen = end
            if end == block_end:
                self._credit.add_block()

    def _look(self, matchers: Sequence[Matcher], end: int) -> Found | None:
        shift = 1 - self._gone
        low = max(0, (self._seen // BLOCK - 1) * BLOCK) + shift
        high = end + shift
        best: tuple[int, Match] | None = None
        for index, matcher in enumerate(matchers):
            match = matcher.first(self._text, low, self._seen + shift, high, self._credit)
            if match is not None:
                best, high = (index, match), match.complete_at - 1
                if high <= self._seen + shift:
                    break
        if best is None:
            return None
        index, match = best
        before = self._text[1 : match.start]
        self._text = self._text[match.end - 1 :]
        self.begin()
        return Found(index, match.groups, before)

    def _forget_before(self, position: int) -> None:
        excess = position - self._gone
        if excess > 0:
            self._text = self._text[excess:]
            self._gone = position
