"""
How a command ended, as an outcome: exit status 0 is ok, everything else failed.
"""

from __future__ import annotations

from fleetctl.model.failure import Failure, status_of
from fleetctl.model.result import ExecResult, Outcome

#: What a POSIX shell says about a command it could not start, and what ssh says of itself.
#: Source: POSIX.1-2017, Shell Command Language, 2.8.2 Exit Status for Commands; ssh(1).
_STATUS_HINTS = {
    126: "126 means that the command was found but could not be executed: check its mode and "
    "its #! line",
    127: "127 means that the host found no such command: check the spelling and the PATH of "
    "non-interactive logins there",
    255: "255 is the command's own; if the command is ssh, it could not connect",
}
#: Source: signal(7).
_SIGNAL_HINTS = {
    "KILL": "the kernel does that when memory runs out, or somebody did it there: see dmesg",
    "XCPU": "its time on the processor was used up: ulimit -t",
    "XFSZ": "a file became larger than allowed: ulimit -f",
    "SEGV": "the command has a bug, or lacks memory: dmesg",
    "PIPE": "it wrote to a reader that had ended",
    "SYS": "the kernel there does not have, or allow, a system call",
}


def judge(result: ExecResult) -> Outcome:
    """Turn the end of a command into an outcome. A command that ran counts as a change."""
    failure = _failure(result)
    status = status_of(failure.kind) if failure else "ok"
    return Outcome(status=status, changed=True, result=result, failure=failure)


def _failure(result: ExecResult) -> Failure | None:
    if result.exit_signal is not None:
        return Failure(
            "exec.signal",
            f"killed by signal {result.exit_signal}",
            hint=_SIGNAL_HINTS.get(result.exit_signal),
        )
    if result.exit_status is None:
        return Failure(
            "session.no_status",
            "the command ended without an exit status",
            hint="the server closed the session itself: look for it in the log of sshd there",
        )
    if result.exit_status == 0:
        return None
    return Failure(
        "exec.nonzero",
        f"exit status {result.exit_status}",
        hint=_STATUS_HINTS.get(result.exit_status),
    )
