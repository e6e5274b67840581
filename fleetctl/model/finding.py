"""
What was found out on the way to a host, phase by phase; a diagnosis is a list of these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FindingVerdict = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """
    One thing that was looked at.

    Attributes:
        phase: ``resolve``, ``connect``, ``version``, ``kex``, ``hostkey``, ``auth``, ``session``,
            ``account`` or ``sftp``.
        verdict: ``skipped`` if something before it failed.
        summary: One line; text of a host in it is not escaped.
        details: Further lines, for people who look closer.
        fix: What to do about it, or None.
        duration_s: Seconds it took, or None if it took none worth saying.
        data: The same for programs; JSON types only.
    """

    phase: str
    verdict: FindingVerdict
    summary: str
    details: tuple[str, ...] = ()
    fix: str | None = None
    duration_s: float | None = None
    data: Mapping[str, object] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """Return all fields, as JSON types."""
        return {
            "phase": self.phase,
            "verdict": self.verdict,
            "summary": self.summary,
            "details": list(self.details),
            "fix": self.fix,
            "duration_s": self.duration_s,
            "data": dict(self.data),
        }
