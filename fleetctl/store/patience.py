"""
Writing into a store that may be locked, full, broken or out of reach, without losing the run.

What cannot be written is held in memory, within a bound, and tried again with what comes next; what
is lost in the end is counted. Everything here blocks.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from time import monotonic

from fleetctl.model.errors import UsageError
from fleetctl.model.result import HostResult
from fleetctl.store.facts import Retention, StoreError, StoreLimits
from fleetctl.store.writer import Batch, RunWriter

#: Time from one try to the next while the store is in trouble, and how long each of them waits for
#: other writers.
RETRY_PAUSE_S = 5.0
RETRY_LOCK_S = 1.0
#: Runs forgotten at the end of one, at most: nobody waits long for that.
MOST_FORGOTTEN = 20

log = logging.getLogger(__name__)


class PatientWriter:
    """
    Writes through a `RunWriter`; no method raises anything but `open`.

    Attributes:
        lost: After `close`: what is not in the store, in words; None if everything is.
        end_is_written: The end of the run is in the store.
    """

    def __init__(self, writer: RunWriter, limits: StoreLimits) -> None:
        self.lost: str | None = None
        self.end_is_written = False
        self._writer = writer
        self._limits = limits
        self._held = Batch()
        self._held_bytes = 0
        self._trouble: str | None = None
        self._retry_at = 0.0
        self._without_output = 0
        self._without_result = 0
        self._remarks: list[str] = []

    def open(self) -> None:
        """
        Put the run into the store.

        Raises:
            UsageError: Others could write there, it is not ours, or newer; nothing was written.
        """
        try:
            self._writer.open()
        except StoreError as error:
            self._begin_trouble(error)

    def write(self, batch: Batch) -> None:
        """Commit a batch, or hold it."""
        self._hold(batch)
        if self._trouble is None or monotonic() >= self._retry_at:
            self._write_held()

    def take_remarks(self) -> list[str]:
        """Return what the operator should know and was not told yet, a line each."""
        remarks = self._writer.remarks + self._remarks
        self._writer.remarks.clear()
        self._remarks.clear()
        return remarks

    def close(self, exit_code: int | None = None, retention: Retention | None = None) -> None:
        """
        Try once more what is held, write the last words and let go of the store.

        Args:
            retention: What is forgotten after a run that is wholly recorded; None for nothing.
        """
        try:
            if self._trouble is not None:
                self._write_held()
            self.lost = self._what_is_lost()
            try:
                self._writer.end(exit_code, self.lost)
            except StoreError as error:
                self.lost = self.lost or f"how the run ended is not in the history: {error}"
            self._writer.let_go(is_over=self.end_is_written)
            if retention is not None and self.lost is None and self.end_is_written:
                with suppress(StoreError):
                    self._writer.forget(retention, MOST_FORGOTTEN)
        finally:
            self._writer.close()

    def _write_held(self) -> None:
        batch = self._held
        try:
            if self._trouble is not None:
                self._writer.wait_at_most(RETRY_LOCK_S)
            self._write(batch)
        except (StoreError, UsageError) as error:
            self._begin_trouble(error)
            return
        self._held, self._held_bytes = Batch(), 0
        self.end_is_written = self.end_is_written or batch.end is not None
        if self._trouble is not None:
            self._trouble = None
            self._writer.say(is_whole=True)
            self._remarks.append("the history can be written again; what was held is in it now")

    def _write(self, batch: Batch) -> None:
        """Commit a batch; one bad result must not take the others with it."""
        try:
            self._writer.write(batch)
        except (StoreError, UsageError):
            raise
        except Exception as bug:
            log.error("a batch cannot be recorded", exc_info=bug)
            for part in batch.parts():
                self._write_part(part)

    def _write_part(self, part: Batch) -> None:
        try:
            self._writer.write(part)
        except (StoreError, UsageError):
            raise
        except Exception as bug:
            log.error("one record is left out", exc_info=bug)
            self._without_result += len(part.results)

    def _hold(self, batch: Batch) -> None:
        for index, (result, at) in enumerate(batch.results):
            size = _output_bytes(result)
            if self._trouble is not None and self._held_bytes + size > self._limits.memory_bytes:
                batch.results[index] = (_without_output(result), at)
                self._without_output += 1
                continue
            self._held_bytes += size
        self._held.add(batch)

    def _begin_trouble(self, error: StoreError | UsageError) -> None:
        # Before anything is let go: what may run from now on is not in the database.
        self._writer.say(is_whole=False)
        self._writer.disconnect()
        if self._trouble is None:
            self._remarks.append(f"{error}; the run goes on, and its results are held in memory")
            if isinstance(error, StoreError) and error.hint:
                self._remarks.append(f"hint: {error.hint}")
        self._trouble = str(error)
        self._retry_at = monotonic() + RETRY_PAUSE_S

    def _what_is_lost(self) -> str | None:
        missing = len(self._held.results) + self._without_result
        if self._trouble is not None and not self._writer.is_begun:
            return f"this run is not in the history: {self._trouble}"
        cause = f": {self._trouble}" if self._trouble else ""
        if missing:
            return f"the results of {missing} hosts are not in the history{cause}"
        if self._trouble is not None:
            return f"the end of this run is not in the history{cause}"
        if self._without_output:
            return f"the output of {self._without_output} hosts is not in the history"
        return None


def _output_bytes(result: HostResult) -> int:
    run = result.outcome.result
    return len(run.stdout) + len(run.stderr) if run is not None else 0


def _without_output(result: HostResult) -> HostResult:
    run = result.outcome.result
    if run is None:
        return result
    empty = replace(run, stdout=b"", stderr=b"")
    return replace(result, outcome=replace(result.outcome, result=empty))
