"""
Keeping secrets out of what a program writes, should it write them back.
"""

from __future__ import annotations

import re

#: What stands in place of a secret.
MASK = "[secret]"
#: Shorter ones are left as they are: masking every "1" would tell more than it hides.
MIN_LENGTH = 4


class Masks:
    """The secrets that were sent so far."""

    def __init__(self) -> None:
        self._secrets: list[bytes] = []
        self._any: re.Pattern[bytes] | None = None

    def add(self, secret: str) -> None:
        value = secret.encode()
        if len(secret) >= MIN_LENGTH and value not in self._secrets:
            self._secrets.append(value)
            self._secrets.sort(key=len, reverse=True)
            self._any = re.compile(b"|".join(map(re.escape, self._secrets)))

    def replace(self, data: bytes, *, is_last: bool) -> tuple[bytes, bytes]:
        """
        Mask secrets; of two that begin at the same place the longer.

        Args:
            is_last: Nothing comes after it.

        Returns:
            The data with masks, and what is left at its end because more may make a secret of it.
        """
        if self._any is None:
            return data, b""
        masked = bytearray()
        place = 0
        begun = len(data) if is_last else self._begun(data, 0)
        while (found := self._any.search(data, place)) is not None and found.start() < begun:
            masked += data[place : found.start()] + MASK.encode()
            place = found.end()
            if place > begun:
                begun = self._begun(data, place)
        masked += data[place:begun]
        return bytes(masked), data[begun:]

    def text(self, text: str) -> str:
        """Return text with masks."""
        return self.replace(text.encode(), is_last=True)[0].decode()

    def _begun(self, data: bytes, place: int) -> int:
        """Return where the end of the data begins that may be the beginning of a secret."""
        first = len(data)
        for secret in self._secrets:
            start = data.find(secret[:1], max(place, len(data) - len(secret) + 1))
            while 0 <= start < first:
                if secret.startswith(data[start:]):
                    first = start
                start = data.find(secret[:1], start + 1)
        return first


class MaskedStream:
    """
    Masks secrets in one stream, however they are cut into pieces.

    What may be the beginning of a secret is held back until it is known.
    """

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._held = b""

    def add(self, data: bytes, *, is_last: bool = False) -> bytes:
        """Return what may be shown now; with the last data that is all of it."""
        masked, self._held = self._masks.replace(self._held + data, is_last=is_last)
        return masked
