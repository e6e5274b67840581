"""
Known secrets taken out of whatever is about to be shown, sent or stored (S24).

Which secrets are known is told to a `Redactor`; there is one for a command line, and it is handed
to whoever writes. What a secret may look like is `fleetctl.sinks.secret_forms`' business, finding
it `fleetctl.sinks.secret_search`'s.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping

from fleetctl.model.excerpt import CUT
from fleetctl.model.secret import Secret
from fleetctl.sinks.secret_forms import MAX_FORM_BYTES, forms_of
from fleetctl.sinks.secret_search import FormSearch, Span, merged

#: What stands in place of a secret.
MASK = b"[secret]"

#: Parts of secrets beside a gap are known by so many bytes.
_PART_BYTES = 4
_CUT = CUT.encode()
#: Longer ones are no excerpts, and have not more gaps.
_EXCERPT_BYTES = 64 * 1024
_MAX_GAPS = 100
#: Up to so many forms are put into their places one by one.
_FEW_FORMS = 100


class Redactor:
    """
    Replaces each known secret, in every form of `forms_of`, by ``[secret]``.

    Where several overlap, or follow each other without a byte between, they become one mask.
    Without a known secret everything is returned as it was given, at no cost. With some, a MiB
    takes 0.1 ms for the first five and 1 ms for fifty, and about 10 ms for a thousand (measured:
    ``benchmarks/redact.py``).
    """

    def __init__(self) -> None:
        self._secrets: set[Secret] = set()
        self._search = FormSearch()
        # In order, so that those that begin alike stand together.
        self._forms: list[bytes] = []
        self._known: set[bytes] = set()
        self._longest = 0
        self._first_bytes: set[int] = set()
        # Their first byte, and their first two.
        self._beginnings: set[bytes] = set()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is known that could be replaced."""
        return not self._forms

    def add(self, *secrets: Secret | None) -> None:
        """Look for these from now on; None, and what is known already, changes nothing."""
        forms: set[bytes] = set()
        for secret in secrets:
            if secret is not None and secret not in self._secrets:
                self._secrets.add(secret)
                forms |= forms_of(secret.reveal())
        forms -= self._known
        if not forms:
            return
        self._known |= forms
        self._search.add(forms)
        for form in forms:
            self._longest = max(self._longest, len(form))
            self._first_bytes.add(form[0])
            self._beginnings |= {form[:1], form[:2]}
        if len(forms) <= _FEW_FORMS:
            for form in forms:
                insort(self._forms, form)
        else:
            self._forms = sorted(self._known)

    def data(self, data: bytes) -> bytes:
        """
        Return the bytes without secrets; the same object if there are none in it.

        In an excerpt (`fleetctl.model.excerpt`), what was left of a secret beside a gap is one as
        well, unless that is fewer than four bytes.
        """
        if not self._forms or not data:
            return data
        spans: Iterable[Span] = self._search.spans(data)
        if len(data) <= _EXCERPT_BYTES and _CUT in data:
            spans = merged(sorted((*spans, *self._parts_beside_gaps(data))))
        return self._replaced(data, len(data), None, spans)[0]

    def stream(self) -> RedactedStream:
        """Return what takes them out of a stream, however it is cut into pieces."""
        return RedactedStream(self)

    def begun(self, data: bytes, hidden: int | None = None) -> tuple[bytes, bytes, int | None]:
        """
        Return the beginning of a stream without secrets, and what to hold back of it.

        What is held back may be the beginning of a secret; it is shorter than the longest form, and
        to be given again before what comes next.

        Args:
            hidden: The last of what was returned before this piece of the stream.

        Returns:
            What may be shown, the same object if that is all of it, unchanged; what is held back;
            and how many bytes of that the mask stands for that was shown last, or None if it was no
            mask.
        """
        if not self._forms:
            return data, b"", None
        begun = self._begin_of_held(data)
        shown, hidden = self._replaced(data, begun, hidden)
        return shown, data[begun:], hidden

    def rest(self, held: bytes, hidden: int | None) -> bytes:
        """Return the end of a stream without secrets: what was held back of it."""
        return self._replaced(held, len(held), hidden)[0]

    def after_gap(self, data: bytes) -> bytes:
        """
        Return what follows a gap without secrets, nor the end of one that began in the gap.

        An end of fewer than four bytes stays.
        """
        if not self._forms:
            return data
        return self._replaced(data, len(data), self._end_in(data) or None)[0]

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

    def _replaced(
        self, data: bytes, end: int, hidden: int | None, spans: Iterable[Span] | None = None
    ) -> tuple[bytes, int | None]:
        """
        Return the bytes up to an end without secrets, and how far a mask there reaches beyond it.

        Args:
            hidden: The mask before the data stands for so many of its bytes; None without one.
            spans: What to take out; None for what is found.
        """
        parts: list[bytes] = []
        place, is_masked = hidden or 0, hidden is not None
        for first, last in self._search.spans(data) if spans is None else spans:
            if is_masked and first <= place:
                place = max(place, last)
                continue
            if first >= end:
                break
            parts += (data[place:first], MASK)
            place, is_masked = last, True
        if place < end:
            parts.append(data[place:end])
            is_masked = False
        return b"".join(parts), place - end if is_masked else None

    def _parts_beside_gaps(self, data: bytes) -> Iterator[Span]:
        """Yield where the beginning of a form stands before a gap, or the end of one behind it."""
        gap = data.find(_CUT)
        for _ in range(_MAX_GAPS):
            if gap < 0:
                return
            before = data[max(0, gap - MAX_FORM_BYTES) : gap]
            length = len(before) - self._begin_of_held(before)
            if length >= _PART_BYTES:
                yield gap - length, gap
            begin = gap + len(_CUT)
            length = self._end_in(data[begin : begin + MAX_FORM_BYTES])
            if length:
                yield begin, begin + length
            gap = data.find(_CUT, begin)

    def _end_in(self, data: bytes) -> int:
        """Return how many bytes at the beginning of the data are the end of a form."""
        beginning, longest = data[:_PART_BYTES], 0
        if len(beginning) < _PART_BYTES:
            return 0
        for form in self._forms:
            at = form.find(beginning, 1)
            while at > 0 and len(form) - at > longest:
                if data.startswith(form[at:]):
                    longest = len(form) - at
                at = form.find(beginning, at + 1)
        return longest

    def _begin_of_held(self, data: bytes) -> int:
        """Return where the end of the data begins that may be the beginning of a form."""
        skipped = max(0, len(data) - self._longest + 1)
        last_bytes = data[skipped:]
        for begin, first in enumerate(last_bytes):
            if first not in self._first_bytes:
                continue
            if last_bytes[begin : begin + 2] not in self._beginnings:
                continue
            end = last_bytes[begin:]
            at = bisect_left(self._forms, end)
            if at < len(self._forms) and self._forms[at] == end:
                at += 1  # whole; but it may also begin a longer one
            if at < len(self._forms) and self._forms[at].startswith(end):
                return skipped + begin
        return len(data)


class RedactedStream:
    """One stream without secrets, however it is cut into pieces."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held = b""
        self._hidden: int | None = None

    def add(self, data: bytes) -> bytes:
        """Return what may be shown now; the same object if that is all of it, unchanged."""
        data = self._held + data if self._held else data
        shown, self._held, self._hidden = self._redactor.begun(data, self._hidden)
        return shown

    def end(self) -> bytes:
        """Return what was held back."""
        held, self._held = self._held, b""
        return self._redactor.rest(held, self._hidden)
