"""
Journals on the disk of the controller: a folder per run, with its plan and a file per host.

Everything is the user's alone (0700, 0600) from the moment it exists.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from fleetctl.keys.journal import Entry, Step, parse_entries, render_entry
from fleetctl.model.codec import render_time
from fleetctl.model.errors import Problem, UsageError

#: The plan of a run, beside the journals of its hosts.
PLAN = "plan.json"
#: Fingerprints of keys that must never come back, one line of JSON each.
COMPROMISED = "compromised.jsonl"
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_NAME_BYTES = 200
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
#: Nobody's journal is longer: some dozen lines per try.
_MAX_BYTES = 4 * 1024 * 1024

#: Calls a function that blocks, without blocking whoever waits for it.
InThread = Callable[[Callable[[], None]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HostJournal:
    """
    The journal of one host, in a file.

    Attributes:
        path: Of the file; its folder exists.
        in_thread: How to write without holding up the other hosts.
    """

    path: Path
    in_thread: InThread

    async def note(self, step: Step, **facts: object) -> None:
        """Add a line and flush it; see `fleetctl.keys.journal.Journal`."""
        line = render_entry(Entry(step, render_time(datetime.now(UTC)), facts))
        await self.in_thread(lambda: append_line(self.path, line))


@dataclass(frozen=True, slots=True)
class RunJournals:
    """The journals of all hosts of one run."""

    folder: Path
    in_thread: InThread

    def of(self, host: str) -> HostJournal:
        """Return the journal of a host."""
        return HostJournal(self.folder / file_name(host), self.in_thread)

    def entries(self, host: str) -> tuple[Entry, ...]:
        """
        Return what was written down for a host so far; nothing if it was not begun.

        Raises:
            UsageError: The file is damaged or not ours alone.
        """
        path = self.folder / file_name(host)
        try:
            return parse_entries(_read_own(path).decode())
        except FileNotFoundError:
            return ()
        except ValueError as error:
            raise UsageError(f"the journal is damaged: {error}", file=str(path)) from None


def start_run(
    root: Path, run_id: str, plan: Mapping[str, object], in_thread: InThread
) -> RunJournals:
    """
    Make the folder of a run and write down its plan, before any host is touched. Blocks.

    Args:
        root: Where all journals lie; made if it is missing.
        plan: JSON types only, no secrets.

    Raises:
        UsageError: It cannot be written.
    """
    folder = root / _checked(run_id)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        append_line(folder / PLAN, json.dumps(plan, indent=1, sort_keys=True) + "\n")
        _flush_folder(root)
    except OSError as error:
        raise UsageError(
            f"no journal can be kept: {error.strerror}; nobody was contacted",
            file=str(error.filename or folder),
            hint="make room, or name another folder in FLEETCTL_STATE",
        ) from None
    return RunJournals(folder, in_thread)


def open_run(root: Path, run_id: str, in_thread: InThread) -> tuple[RunJournals, dict[str, object]]:
    """
    Return the journals and the plan of a run that was begun. Blocks.

    Lines that a crash left without their ends are cut off.

    Raises:
        UsageError: There is no such run, or its plan was never written whole.
    """
    folder = root / _checked(run_id)
    try:
        plan = json.loads(_read_own(folder / PLAN))
    except FileNotFoundError:
        known = ", ".join(list_runs(root)[:5])
        raise UsageError(
            problems=[
                Problem(
                    f"there is no journal of a run {run_id}",
                    hint=f"the last ones are {known}" if known else None,
                )
            ]
        ) from None
    except ValueError:
        plan = None
    if not isinstance(plan, dict):
        raise UsageError(
            "the plan was not written whole: no host was touched",
            file=str(folder / PLAN),
            hint="type the command again without --resume",
        )
    for path in sorted(folder.glob("*.jsonl")):
        _drop_torn_end(path)
    return RunJournals(folder, in_thread), plan


def list_runs(root: Path) -> list[str]:
    """Return the ids of the runs that have a journal, the last one first. Blocks."""
    try:
        names = [path.name for path in root.iterdir() if (path / PLAN).is_file()]
    except FileNotFoundError:
        return []
    return sorted(names, reverse=True)


def note_compromised(root: Path, fingerprints: Iterable[str], run_id: str) -> None:
    """
    Write down keys that others may have, before they are revoked. Blocks.

    Raises:
        UsageError: It cannot be written; nobody was contacted.
    """
    at = render_time(datetime.now(UTC))
    known = read_compromised(root)
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for fingerprint in fingerprints:
            if fingerprint not in known:
                fields = {"key": fingerprint, "run": run_id, "at": at}
                append_line(root / COMPROMISED, json.dumps(fields) + "\n")
    except OSError as error:
        message = f"it cannot be written: {error.strerror}; nobody was contacted"
        raise UsageError(message, file=str(root / COMPROMISED)) from None


def read_compromised(root: Path) -> frozenset[str]:
    """
    Return the fingerprints of keys that must never come back. Blocks.

    Raises:
        UsageError: The list is damaged or not ours alone: without it nothing can be restored.
    """
    path = root / COMPROMISED
    try:
        lines = _read_own(path).decode().splitlines()
        return frozenset(str(json.loads(line)["key"]) for line in lines)
    except FileNotFoundError:
        return frozenset()
    except (ValueError, KeyError, TypeError):
        raise UsageError("it is not a list of compromised keys", file=str(path)) from None


def file_name(host: str) -> str:
    """
    Return the name of a host's file: readable, and different for every host.

    >>> file_name("web1/../x")
    'web1%2F..%2Fx.jsonl'
    """
    name = quote(host, safe="")
    if len(name) > _NAME_BYTES:
        raise UsageError(f"the name of the host is too long for a journal: {host[:40]}…")
    return f"{'%2E' + name[1:] if name.startswith('.') else name}.jsonl"


def append_line(path: Path, line: str) -> None:
    """
    Add a line in one write and wait until it is on the disk. Blocks.

    Raises:
        OSError: Nothing, or not all of it, was written.
    """
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        data = line.encode()
        is_new = os.fstat(descriptor).st_size == 0
        if os.write(descriptor, data) != len(data):
            raise OSError(28, "No space left on device", str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        _flush_folder(path.parent)


def _drop_torn_end(path: Path) -> None:
    """Cut off a last line that has no end, so that what follows begins a line."""
    whole = _read_own(path).rfind(b"\n") + 1
    if whole != path.stat().st_size:
        os.truncate(path, whole)


def _read_own(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise UsageError("it is not yours alone, so it is not believed", file=str(path))
        if status.st_size > _MAX_BYTES:
            raise UsageError("it is too long for a journal", file=str(path))
        return stream.read()


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked(run_id: str) -> str:
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f'not the id of a run: "{run_id}"', hint="such as 20261121T012233-7f3a")
    return run_id
