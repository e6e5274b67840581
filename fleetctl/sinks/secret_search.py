"""
Finding many byte strings at once: which places of some bytes a known secret covers (S24).

What is done about them is `fleetctl.sinks.redact`'s business. ADR 0016 says why this library, and
how the strings are divided.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from fleetctl.sinks.secret_forms import MAX_FORM_BYTES

if TYPE_CHECKING:
    from ahocorasick_rs import BytesAhoCorasick, MatchKind

#: From and up to which byte.
Span: TypeAlias = tuple[int, int]

#: So many at once are found with vector instructions, 20 times faster than more are.
FEW = 64
#: Up to so many groups of a few cost less than one group of all.
MAX_FEWS = 8
#: Data is looked at in blocks of this many bytes: it bounds what is noted about one.
BLOCK_BYTES = 64 * 1024

_GROWTH = 4


class FormSearch:
    """
    Finds byte strings of at most `MAX_FORM_BYTES` in data, however many are known.

    Some may be added at any time. Up to `FEW` times `MAX_FEWS` are in groups of a few; of more,
    each large group is a few times larger than the next, so that each string is put into only a
    handful of them in its life.
    """

    def __init__(self) -> None:
        self._new: list[bytes] = []
        self._large: list[_Group] = []
        self._few: list[_Group] = []

    @property
    def sizes(self) -> list[int]:
        """How many are looked for together, for each group."""
        return [len(group.forms) for group in (*self._large, *self._few)]

    def add(self, forms: Iterable[bytes]) -> None:
        """Look for these as well; none of them is known yet."""
        self._new += forms

    def spans(self, data: bytes) -> Iterator[Span]:
        """
        Yield where something is found, in order.

        What overlaps, or follows without a byte between, is one.
        """
        if self._new:
            self._take_in()
        return merged(self._found(data))

    def _found(self, data: bytes) -> Iterator[Span]:
        """Yield what each group finds, by where it begins."""
        groups = (*self._large, *self._few)
        view = memoryview(data)
        for at in range(0, len(data), BLOCK_BYTES):
            window = view[at : at + BLOCK_BYTES + MAX_FORM_BYTES - 1]
            found = [span for group in groups for span in group.spans(window)]
            for first, last in sorted(found):
                # What begins in the next block is found there.
                if first < BLOCK_BYTES:
                    yield at + first, at + last

    def _take_in(self) -> None:
        forms, self._new = sorted(self._new), []
        while self._few and len(self._few[-1].forms) <= min(len(forms), FEW - len(forms)):
            forms += self._few.pop().forms
        if len(forms) + sum(len(group.forms) for group in self._few) <= MAX_FEWS * FEW:
            self._few += (_Group(forms[at : at + FEW]) for at in range(0, len(forms), FEW))
            return
        forms += (form for group in self._few for form in group.forms)
        self._few = []
        while self._large and len(self._large[-1].forms) < _GROWTH * len(forms):
            forms += self._large.pop().forms
        self._large.append(_Group(forms))


def merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield the places that spans cover, which come by where they begin; neighbours are one."""
    begin, end = 0, -1
    for first, last in spans:
        if first <= end:
            end = max(end, last)
            continue
        if end > 0:
            yield begin, end
        begin, end = first, last
    if end > 0:
        yield begin, end


class _Group:
    """
    Strings that are looked for together.

    Most data has none of them. To learn that is much cheaper than to learn all places, for which
    there are automata of their own, made when they are needed first.
    """

    def __init__(self, forms: list[bytes]) -> None:
        # Imported here: most runs know no secret.
        from ahocorasick_rs import MatchKind

        self.forms = forms
        self._any = _automaton(forms, MatchKind.LeftmostFirst)
        self._places: _Places | None = None

    def spans(self, data: memoryview) -> list[Span]:
        """Return where any of them stands, in any order; overlaps are one."""
        if not self._any.find_matches_as_indexes(data):
            return []
        if self._places is None:
            self._places = _Places(self.forms)
        return self._places.spans(data)


class _Places:
    """
    All places of some strings.

    Every match that is noted costs more than many bytes that are searched, and data that repeats
    itself may have some for each byte. So what tells nothing is not looked for: a string that the
    others cover wherever it stands; and matches within what others cover already.
    """

    def __init__(self, forms: list[bytes]) -> None:
        from ahocorasick_rs import MatchKind

        # The shortest first: where a string repeats itself, they follow each other.
        telling = sorted(_telling(forms), key=len)
        self._longest = len(telling[-1])
        self._apart = _automaton(telling, MatchKind.LeftmostFirst)
        self._all = _automaton(telling, MatchKind.Standard)

    def spans(self, data: memoryview) -> list[Span]:
        """Return where any of them stands; overlaps are one."""
        runs = list(merged(found[1:] for found in self._apart.find_matches_as_indexes(data)))
        # What is missing yet begins in a run and goes on behind it.
        windows = [
            (max(begin, end - self._longest + 1), end + self._longest - 1) for begin, end in runs
        ]
        if 2 * sum(last - first for first, last in windows) > len(data):
            return _covered(self._all, data, 0)
        found = list(runs)
        for first, last in windows:
            found += _covered(self._all, data[first:last], first)
        return found


def _telling(forms: list[bytes]) -> list[bytes]:
    """Return the strings without those that others cover wherever they stand."""
    from ahocorasick_rs import MatchKind

    every = _automaton(forms, MatchKind.Standard)
    return [form for form in forms if not _is_covered(form, every)]


def _is_covered(form: bytes, every: BytesAhoCorasick) -> bool:
    whole = (0, len(form))
    places = (found[1:] for found in every.find_matches_as_indexes(form, overlapping=True))
    return list(merged(sorted(place for place in places if place != whole))) == [whole]


def _covered(automaton: BytesAhoCorasick, data: memoryview, offset: int) -> list[Span]:
    """Return what overlapping matches cover, in any order."""
    found = automaton.find_matches_as_indexes(data, overlapping=True)
    if not found:
        return []
    spans = []
    # They come by where they end.
    _, begin, end = found.pop()
    for _, first, last in reversed(found):
        if last < begin:
            spans.append((offset + begin, offset + end))
            begin, end = first, last
        elif first < begin:
            begin = first
    spans.append((offset + begin, offset + end))
    return spans


def _automaton(forms: list[bytes], kind: MatchKind) -> BytesAhoCorasick:
    from ahocorasick_rs import BytesAhoCorasick

    return BytesAhoCorasick(forms, kind)
