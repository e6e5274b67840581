"""
Rows of the tables as records of the store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import sqlalchemy as sa

from fleetctl.model.failure import Failure, Status
from fleetctl.model.result import PhaseTimes, Ran
from fleetctl.store.rows import facts_from_json, reading_row, to_time
from fleetctl.store.types import HostRecord, RunRecord, RunState, StoredOutput


def host_record(row: sa.Row[Any], class_numbers: Mapping[bytes, int]) -> HostRecord:
    """Return the record of a row of the table ``hosts``."""
    with reading_row():
        return _host_record(row, class_numbers)


def _host_record(row: sa.Row[Any], class_numbers: Mapping[bytes, int]) -> HostRecord:
    detail = json.loads(row.detail) if row.detail else {}
    failure = detail.get("failure")
    if failure is not None:
        failure.pop("phase", None)
    return HostRecord(
        name=row.name,
        position=row.position,
        status=cast("Status | None", row.status),
        ran=cast("Ran", row.ran),
        class_number=class_numbers.get(row.class_key) if row.class_key is not None else None,
        changed=bool(row.changed),
        exit_status=row.exit_status,
        exit_signal=row.exit_signal,
        stdout=_stored(row.stdout_hash, row.stdout_sent, row.stdout_kept),
        stderr=_stored(row.stderr_hash, row.stderr_sent, row.stderr_kept),
        truncated=detail.get("truncated", False),
        output_complete=detail.get("output_complete", True),
        gone=detail.get("gone"),
        refused_env=tuple(detail.get("refused_env", ())),
        data=detail.get("data", {}),
        diff=detail.get("diff"),
        failure=None if failure is None else Failure(**failure),
        address=row.address,
        port=row.port,
        user=row.login,
        attempts=row.attempts or 0,
        started_at=to_time(row.started_us),
        finished_at=to_time(row.finished_us),
        duration_s=row.duration_s or 0.0,
        phases=PhaseTimes(*detail.get("phases", ())),
    )


def run_record(row: sa.Row[Any], counts: Mapping[str, int] | None, *, is_live: bool) -> RunRecord:
    """
    Return the record of a row of the table ``runs``.

    Args:
        counts: Status -> hosts; None for those in the row.
    """
    with reading_row():
        return _run_record(row, counts, is_live=is_live)


def _run_record(row: sa.Row[Any], counts: Mapping[str, int] | None, *, is_live: bool) -> RunRecord:
    started_at = to_time(row.started_us)
    assert started_at is not None
    state: RunState = "running" if is_live else "lost"
    return RunRecord(
        id=row.id,
        label=row.label,
        state="finished" if row.finished_us is not None else state,
        started_at=started_at,
        finished_at=to_time(row.finished_us),
        duration_s=row.duration_s,
        check=row.is_check,
        host_count=row.host_count,
        counts=json.loads(row.counts) if counts is None else counts,
        facts=facts_from_json(row.facts),
        interrupted_by=row.interrupted_by,
        exit_code=row.exit_code,
        lost=row.lost,
    )


def _stored(key: bytes | None, sent: int | None, kept: int | None) -> StoredOutput:
    return StoredOutput(key.hex() if key else "", sent or 0, kept or 0)
