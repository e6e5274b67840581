"""
When a key stops working: what people type, and what sshd reads in ``expiry-time``.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SPAN = re.compile(r"(?:[0-9]+[smhdw])+", re.IGNORECASE)
_PART = re.compile(r"([0-9]+)([smhdw])", re.IGNORECASE)
#: The fields of a time by its length, as sshd cuts it. Source: OpenSSH misc.c, parse_absolute_time.
_CUTS = {
    8: ((0, 4), (4, 6), (6, 8)),
    12: ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12)),
    14: ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14)),
}
_RANGES = ((0, 9999), (1, 12), (1, 31), (0, 23), (0, 59), (0, 61))
#: ``strptime`` skips blanks before a number. Source: strptime(3).
_FIELD = re.compile(r" *[0-9]+")
_LAST_YEAR = 9999


@dataclass(frozen=True, slots=True)
class ExpiryTime:
    """
    What ``expiry-time`` says.

    Attributes:
        seconds: Since 1970, as if the time were UTC.
        is_utc: Whether it is; else it is local to the host.
    """

    seconds: int
    is_utc: bool

    def at(self, utc_offset: int) -> int:
        """
        Return seconds since 1970 (UTC) on a host that is so many seconds ahead of UTC.

        Summer time that begins or ends in between is not known: that is an hour more or less.
        """
        return self.seconds if self.is_utc else self.seconds - utc_offset


def parse_expiry_time(value: str) -> ExpiryTime:
    """
    Read the value of ``expiry-time``: ``YYYYMMDD[HHMM[SS]]``, and ``Z`` or ``UTC`` if it is that.

    Raises:
        ValueError: sshd would not take it.

    Source: OpenSSH misc.c, parse_absolute_time (``Z`` since 9.1).
    """
    text, is_utc = value, False
    if len(text) > 1 and text[-1] in "zZ":
        text, is_utc = text[:-1], True
    elif len(text) > 3 and re.fullmatch("[uU][tT][cC]", text[-3:]):
        text, is_utc = text[:-3], True
    fields = [text[begin:end] for begin, end in _CUTS.get(len(text), ())]
    if not fields or not all(_FIELD.fullmatch(field) for field in fields):
        raise ValueError(f"{value!r} is no time such as 20271231 or 202712312359Z")
    numbers = [int(field) for field in fields]
    for number, (least, most) in zip(numbers, _RANGES, strict=False):
        if not least <= number <= most:
            raise ValueError(f"{value!r} is no time: {number} is out of range")
    year, month, day, hour, minute, second = [*numbers, 0, 0, 0][:6]
    if year < 1970:
        raise ValueError(f"{value!r} is before 1970")
    # As mktime(3) does it, the 31st of February is one of the first days of March.
    seconds = calendar.timegm((year, month, 1, hour, minute, second)) + (day - 1) * _UNITS["d"]
    if seconds <= 0:
        raise ValueError(f"{value!r} is the beginning of 1970, which means no time")
    return ExpiryTime(seconds, is_utc)


def render_expiry_time(at: int, *, utc_offset: int | None = None) -> str:
    """
    Return the value of ``expiry-time`` for a moment, in seconds since 1970 (UTC).

    Args:
        utc_offset: Of a host whose sshd is older than 9.1 and knows local times only; None writes
            UTC.
    """
    moment = datetime.fromtimestamp(at + (utc_offset or 0), UTC)
    return f"{moment:%Y%m%d%H%M%S}" + ("Z" if utc_offset is None else "")


def moment_of(text: str, now: int) -> int:
    """
    Return the moment that somebody means, in seconds since 1970 (UTC).

    ``2h``, ``1d12h`` count from now. ``2027-12-31``, ``2027-12-31T18:00``, ``20271231``,
    ``202712311800`` are times of this machine; with ``Z`` or ``+02:00`` they are of that zone.

    Raises:
        ValueError: It is none of those, or is over already.
    """
    if _SPAN.fullmatch(text):
        at = now + sum(int(count) * _UNITS[unit.lower()] for count, unit in _PART.findall(text))
    else:
        at = _absolute(text)
    if at <= now:
        raise ValueError(f"{text!r} is not in the future")
    if at > calendar.timegm((_LAST_YEAR, 1, 1, 0, 0, 0)):
        raise ValueError(f"{text!r} is too far away")
    return at


def _absolute(text: str) -> int:
    try:
        expiry = parse_expiry_time(text)
    except ValueError:
        pass
    else:
        naive = datetime.fromtimestamp(expiry.seconds, UTC).replace(tzinfo=None)
        return expiry.seconds if expiry.is_utc else int(naive.astimezone().timestamp())
    try:
        return int(datetime.fromisoformat(text).astimezone(UTC).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r} is no time: 2h, 30d, 2027-12-31 or 2027-12-31T18:00:00Z"
        ) from None


def describe_moment(at: int) -> str:
    """Return a moment, in seconds since 1970, for people to read."""
    try:
        return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=at):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"second {at} since 1970"
