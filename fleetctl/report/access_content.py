"""
What a report about who gets in tells: plain data, put together by whoever has the audits.

Text is as it came; `fleetctl.report.access`, and whoever prints it, make it safe to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class KeyRow:
    """
    One key of one user.

    Attributes:
        who: Whose it is; ``?`` if nobody knows, empty if nobody was asked.
        label: Type and size, such as ``RSA 2048``.
        is_open: It lets somebody in.
        details: What else there is to say, a few words each.
    """

    who: str
    label: str
    fingerprint: str
    is_open: bool
    details: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class UserPart:
    """
    Users of some hosts with the same keys.

    Attributes:
        names: At least one.
        notes: About the accounts: that they have sudo, or cannot be logged in to.
        paths: Files with keys; none if each host, or user, has others.
    """

    names: Sequence[str]
    notes: Sequence[str]
    paths: Sequence[str]
    keys: Sequence[KeyRow]


@dataclass(frozen=True, slots=True)
class HostPart:
    """Hosts with the same keys. ``names`` is folded."""

    names: str
    count: int
    users: Sequence[UserPart]
    sources: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FindingRow:
    """
    One finding, on all hosts that have it.

    Attributes:
        severity: ``bad``, ``warning`` or ``note``.
        names: Of the hosts, folded.
        users: On these users; empty for the hosts as such.
    """

    severity: str
    kind: str
    names: str
    count: int
    users: Sequence[str]
    message: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """
    What is different from the last audit.

    Attributes:
        what: ``came``, ``went`` or ``options``.
        before: When the last audit was.
    """

    what: str
    names: str
    count: int
    user: str
    fingerprint: str
    comment: str
    before: datetime


@dataclass(frozen=True, slots=True)
class FailureRow:
    """Hosts of which nothing is known, and why."""

    names: str
    count: int
    message: str


@dataclass(frozen=True, slots=True)
class Access:
    """
    Who gets in, on all hosts that were looked at.

    Attributes:
        at: When, aware.
        question: What was asked for, if not everything: ``--who alice``.
        counts: (number, noun), such as (18, ``hosts``).
        has_people: Somebody says who people are.
        made_by: Program and version.
    """

    at: datetime
    question: str
    counts: Sequence[tuple[int, str]]
    hosts: Sequence[HostPart]
    findings: Sequence[FindingRow]
    changes: Sequence[ChangeRow]
    failures: Sequence[FailureRow]
    has_people: bool
    made_by: str = "fleetctl"

    def count_of(self, severity: str) -> int:
        """Return how many findings are as bad as that."""
        return sum(one.severity == severity for one in self.findings)
