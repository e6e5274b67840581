"""
Known secrets taken out of whatever is about to be shown, sent or stored (S24).

Which secrets are known is told to a `Redactor`; there is one for a command line, and it is handed
to whoever writes. What a secret may look like is `fleetctl.sinks.secret_forms`' business.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping

from fleetctl.model.secret import Secret
from fleetctl.sinks.secret_forms import MAX_FORM_BYTES, forms_of

#: What stands in place of a secret.
MASK = b"[secret]"
#: Up to so many forms each is looked for by itself; more are looked for together.
MAX_SINGLY = 32

_GRAM_BYTES = 4
#: Bytes in which a gram lies whole at a multiple of its size, wherever they begin.
_WINDOW_BYTES = 2 * _GRAM_BYTES - 1
#: Patterns kept; there is one for each set of forms that were found in the same data.
_MAX_PATTERNS = 64

_Pattern = re.Pattern[bytes]


class Redactor:
    """
    Replaces each known secret, in every form of `forms_of`, by ``[secret]``.

    Where several begin at one place the longest is replaced; several in a row become one mask.
    Without a known secret everything is returned as it was given, at no cost. With some, a MiB
    takes about a millisecond for each of the first few, and 10 ms in all from there on, for a
    thousand as for ten (measured).
    """

    def __init__(self) -> None:
        self._secrets: set[Secret] = set()
        self._forms: list[bytes] = []
        self._first_bytes: set[int] = set()
        # Forms that are looked for one by one: all, until there are too many, then short ones.
        self._singly: list[bytes] = []
        # Gram -> the forms of which one is looked for where the gram is found.
        self._by_gram: dict[int, list[bytes]] = {}
        self._grams: set[int] = set()
        self._gram_counts: Counter[int] = Counter()
        self._patterns: dict[tuple[bytes, ...], _Pattern] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known that could be replaced."""
        return not self._forms

    def add(self, *secrets: Secret | None) -> None:
        """Look for these from now on; None, and what is known already, changes nothing."""
        for secret in secrets:
            if secret is None or secret in self._secrets:
                continue
            self._secrets.add(secret)
            for form in forms_of(secret.reveal()):
                self._add_form(form)

    def data(self, data: bytes) -> bytes:
        """Return the bytes without secrets; the same object if there are none in it."""
        if not self._forms or not data:
            return data
        return self._replaced(data, is_last=True)[0]

    def begun(self, data: bytes) -> tuple[bytes, bytes]:
        """
        Return the beginning of a stream without secrets, and what to hold back of it.

        What is held back may be the beginning of a secret; it is shorter than `MAX_FORM_BYTES`, and
        to be given again before what comes next.
        """
        if not self._forms:
            return data, b""
        return self._replaced(data, is_last=False)

    def after_gap(self, data: bytes) -> bytes:
        """
        Return what follows a gap without secrets, nor the end of one that began in the gap.

        An end of fewer than four bytes stays.
        """
        if not self._forms or len(data) < _GRAM_BYTES:
            return data
        beginning, longest = data[:_GRAM_BYTES], 0
        for form in self._forms:
            at = form.find(beginning, 1)
            while at > 0 and len(form) - at > longest:
                if data.startswith(form[at:]):
                    longest = len(form) - at
                at = form.find(beginning, at + 1)
        return self.data(data[longest:])

    def text(self, text: str) -> str:
        """Return the text without secrets; the same object if there are none in it."""
        if not self._forms or not text:
            return text
        given = text.encode("utf-8", "surrogatepass")
        clean = self.data(given)
        if clean is given:
            return text
        try:
            return clean.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:  # a piece of a long secret ends within a character
            return clean.decode("utf-8", "replace")

    def json(self, value: object) -> object:
        """Return a JSON value, keys included, without secrets; the same object if it has none."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            fields = {self.text(str(key)): self.json(each) for key, each in value.items()}
            return value if fields == value else fields
        if isinstance(value, list | tuple):
            items = [self.json(each) for each in value]
            return value if items == list(value) else items
        return value

    # -- looking

    def _replaced(self, data: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
        pattern = self._pattern_for(data)
        begun = len(data) if is_last else self._begin_of_held(data, 0)
        if pattern is None:
            return (data, b"") if begun == len(data) else (data[:begun], data[begun:])
        parts: list[bytes] = []
        place = 0
        while (found := pattern.search(data, place)) is not None and found.start() < begun:
            parts += (data[place : found.start()], MASK)
            place = found.end()
            if place > begun:
                begun = self._begin_of_held(data, place)
        parts.append(data[place:begun])
        return b"".join(parts), data[begun:]

    def _pattern_for(self, data: bytes) -> _Pattern | None:
        """Return what finds the forms that are in the data, or None if none is."""
        found = [form for form in self._singly if form in data]
        if self._by_gram and len(data) >= _WINDOW_BYTES:
            whole = len(data) // _GRAM_BYTES * _GRAM_BYTES
            grams = self._grams.intersection(memoryview(data)[:whole].cast("I"))
            if grams:
                candidates = {form for gram in grams for form in self._by_gram[gram]}
                found += (form for form in candidates if form in data)
        if not found:
            return None
        found.sort(key=lambda form: (-len(form), form))
        key = tuple(found)
        pattern = self._patterns.get(key)
        if pattern is None:
            if len(self._patterns) >= _MAX_PATTERNS:
                self._patterns.clear()
            pattern = re.compile(b"(?:%b)+" % b"|".join(map(re.escape, found)))
            self._patterns[key] = pattern
        return pattern

    def _begin_of_held(self, data: bytes, place: int) -> int:
        """Return where the end of the data begins that may be the beginning of a form."""
        for begin in range(max(place, len(data) - MAX_FORM_BYTES + 1), len(data)):
            if data[begin] not in self._first_bytes:
                continue
            end = data[begin:]
            at = bisect_left(self._forms, end)
            if at < len(self._forms) and self._forms[at] == end:
                at += 1  # whole; but it may also begin a longer one
            if at < len(self._forms) and self._forms[at].startswith(end):
                return begin
        return len(data)

    # -- learning

    def _add_form(self, form: bytes) -> None:
        at = bisect_left(self._forms, form)
        if at < len(self._forms) and self._forms[at] == form:
            return
        self._forms.insert(at, form)
        self._first_bytes.add(form[0])
        self._patterns.clear()
        if len(self._forms) <= MAX_SINGLY:
            insort(self._singly, form)
            return
        if len(self._forms) == MAX_SINGLY + 1:
            self._singly, before = [], self._singly
            for each in before:
                self._look_together(each)
        self._look_together(form)

    def _look_together(self, form: bytes) -> None:
        """
        Look for the form where one of four grams is found that must be there if it is.

        Of three places in it the one is taken whose grams the fewest other forms have.
        """
        if len(form) < _WINDOW_BYTES:
            self._singly.append(form)
            return
        last = len(form) - _WINDOW_BYTES
        windows = [_grams(form, at) for at in dict.fromkeys((last, last // 2, 0))]
        for grams in windows:
            self._gram_counts.update(grams)
        best = min(windows, key=lambda grams: max(self._gram_counts[gram] for gram in grams))
        for gram in best:
            self._by_gram.setdefault(gram, []).append(form)
            self._grams.add(gram)


class RedactedStream:
    """One stream without secrets, however it is cut into pieces."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""

    def add(self, data: bytes) -> bytes:
        """Return what may be shown now; the same object if that is all of it, unchanged."""
        shown, self._held = self._redactor.begun(self._held + data if self._held else data)
        return shown

    def end(self) -> bytes:
        """Return what was held back."""
        held, self._held = self._held, b""
        return self._redactor.data(held)


def _grams(form: bytes, at: int) -> list[int]:
    return [
        int.from_bytes(form[first : first + _GRAM_BYTES], sys.byteorder)
        for first in range(at, at + _GRAM_BYTES)
    ]
