"""
Why something did not work on one host, as a value; and the stable table of failure kinds.

A kind is ``phase.reason``. Scripts match on it, so a kind is never renamed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "failed", "unreachable", "timed_out", "cancelled", "skipped"]

#: Every failure kind. The family with an open ending (``files.*``) is added by its feature.
KINDS: frozenset[str] = frozenset(
    """
    resolve.dns resolve.timeout resolve.gateway
    connect.refused connect.unreachable connect.timeout connect.dropped connect.reset
    banner.timeout banner.too_long banner.not_ssh banner.ssh1
    kex.timeout kex.no_common kex.protocol
    hostkey.unknown hostkey.changed hostkey.revoked
    auth.denied auth.partial auth.timeout auth.no_method auth.too_many auth.key_file
    gateway.lost
    session.refused session.no_shell session.lost session.no_status
    pty.refused exec.refused forward.refused forward.bind
    exec.nonzero exec.signal exec.timeout
    become.denied become.timeout become.unavailable
    expect.timeout expect.eof expect.failed
    keys.no_home keys.unsafe_path keys.too_large keys.read keys.protocol keys.busy keys.changed
    keys.write keys.not_atomic keys.no_guard keys.restored keys.conflict keys.option keys.not_proved
    keys.unverifiable keys.still_accepted keys.lockout keys.drift
    run.max_fail run.gate run.cancelled
    worker.lost operation.bug
    """.split()
)

_UNREACHABLE_PHASES = frozenset(
    {"resolve", "connect", "banner", "kex", "hostkey", "auth", "gateway"}
)
_UNREACHABLE_KINDS = frozenset({"session.refused", "session.no_shell"})
_CANCELLED_KINDS = frozenset({"run.max_fail", "run.gate", "run.cancelled"})
_INTERNAL_KINDS = frozenset({"worker.lost", "operation.bug"})


@dataclass(frozen=True, slots=True)
class Failure:
    """
    Why a host has no good result.

    Attributes:
        kind: ``phase.reason``, one of the stable kinds (or ``files.*``).
        message: One line, cause first, without the host's name; may hold text a host sent.
        hint: What to do next, ideally a command that can be pasted; or None.
        retryable: True if trying again without changing anything may work.
        hop: Name of the gateway at which it happened; None for the host itself.
    """

    kind: str
    message: str
    hint: str | None = None
    retryable: bool = False
    hop: str | None = None

    @property
    def phase(self) -> str:
        """The part of the kind before the dot."""
        return self.kind.partition(".")[0]


def status_of(kind: str) -> Status:
    """
    Return the host status that a failure of this kind means.

    Source: docs of the command line, section "Exit codes".
    """
    if kind.partition(".")[0] in _UNREACHABLE_PHASES or kind in _UNREACHABLE_KINDS:
        return "unreachable"
    if kind == "exec.timeout":
        return "timed_out"
    if kind in _CANCELLED_KINDS:
        return "cancelled"
    return "failed"


def exit_code_of(kind: str) -> int:
    """Return the process exit code that a failure of this kind asks for: 1, 4 or 5."""
    if kind in _INTERNAL_KINDS:
        return 5
    return 4 if status_of(kind) == "unreachable" else 1
