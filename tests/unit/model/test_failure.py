"""
The stable table of failure kinds, and the status and exit code each asks for.
"""

from __future__ import annotations

import pytest

from fleetctl.model.failure import KINDS, exit_code_of, status_of

#: The reference of the command line, section "Exit codes", written out kind by kind.
TABLE = {
    ("unreachable", 4): """
        resolve.dns resolve.timeout resolve.gateway
        connect.refused connect.unreachable connect.timeout connect.dropped connect.reset
        banner.timeout banner.too_long banner.not_ssh banner.ssh1
        kex.timeout kex.no_common kex.protocol
        hostkey.unknown hostkey.changed hostkey.revoked
        auth.denied auth.partial auth.timeout auth.no_method auth.too_many auth.key_file
        gateway.lost session.refused session.no_shell
    """,
    ("failed", 1): """
        session.lost session.no_status pty.refused exec.refused forward.refused forward.bind
        exec.nonzero exec.signal become.denied become.timeout become.unavailable expect.timeout
        expect.eof expect.failed
        keys.no_home keys.unsafe_path keys.too_large keys.read keys.protocol keys.busy keys.changed
        keys.write keys.not_atomic keys.no_guard keys.restored keys.conflict keys.option
        keys.not_proved keys.unverifiable keys.still_accepted keys.lockout keys.drift
    """,
    ("timed_out", 1): "exec.timeout",
    ("cancelled", 1): "run.max_fail run.gate run.cancelled",
    ("failed", 5): "worker.lost operation.bug",
}
ROWS = [(kind, *meaning) for meaning, kinds in TABLE.items() for kind in kinds.split()]


def test_the_table_is_whole():
    """
    Scripts match on kinds: none is missing here, none was renamed, none was added in silence.
    """
    assert {kind for kind, *_ in ROWS} == KINDS
    assert len(ROWS) == len(KINDS)


@pytest.mark.parametrize(("kind", "status", "exit_code"), ROWS)
def test_every_kind_has_its_status_and_exit_code(kind, status, exit_code):
    """
    What a failure means for its host and for the whole command.
    """
    assert (status_of(kind), exit_code_of(kind)) == (status, exit_code)


@pytest.mark.parametrize("kind", ["files.no_space", "keys.lockout"])
def test_kinds_of_later_families_are_failures(kind):
    """
    Families with open endings count as failed, exit code 1.
    """
    assert (status_of(kind), exit_code_of(kind)) == ("failed", 1)
