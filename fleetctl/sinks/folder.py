"""
A folder with the output of every host, byte for byte: ``HOST.stdout``, ``HOST.stderr``,
``HOST.json``.

The folder and its files are the user's alone. A folder that has something in it is refused, so no
run writes over another's files. If the run sends output as it comes, all of it is here, also what
is above ``--max-output``; else what was kept. ``_run.json`` comes last: with it, the folder is
complete.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping

from fleetctl.model.codec import render_time, result_to_json
from fleetctl.model.errors import UsageError
from fleetctl.model.events import Event, HostFinished, Output, RunFinished, RunStarted, Stream
from fleetctl.model.result import ExecResult, HostResult
from fleetctl.sinks.host_files import file_stems, marked

RUN_FILE = "_run.json"

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MORE = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")


def open_folder(path: str) -> int:
    """
    Return a descriptor of a folder to write in, made if it is missing.

    Raises:
        UsageError: It cannot be made, is a link, has something in it, or is not the user's alone
            to write in.
    """
    option = "--output-dir"
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}", file=option, hint="name a folder that can be made"
        ) from None
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(
            f"{path} is not a folder: {error.strerror}", file=option, hint="name a new folder"
        ) from None
    try:
        facts = os.fstat(folder)
        if facts.st_uid != os.geteuid() or facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise UsageError(
                f"{path} is not yours alone to write in", file=option, hint=f"chmod 700 {path}"
            )
        with os.scandir(folder) as entries:
            if next(entries, None) is not None:
                raise UsageError(
                    f"{path} is not empty, and nothing is written over",
                    file=option,
                    hint="name a new folder",
                )
    except BaseException:
        os.close(folder)
        raise
    return folder


class FolderSink:
    """
    Writes files into a folder; a file that cannot be written ends it with an OSError.

    Args:
        folder: From `open_folder`; closed by `close`.
        path: What it is called in messages.
        local_user: As for `result_to_json`.
    """

    def __init__(self, folder: int, path: str, *, local_user: str | None = None) -> None:
        self._folder = folder
        self._path = path
        self._local_user = local_user
        self._started: RunStarted | None = None
        self._stems: dict[str, str] = {}
        # Host -> bytes written of each stream; gone when the host has finished.
        self._written: dict[str, dict[Stream, int]] = {}

    def handle(self, event: Event) -> None:
        """
        Write output and results.

        Raises:
            OSError: A file cannot be written, such as on a full disk; it names the file.
        """
        match event:
            case RunStarted():
                self._started = event
                self._stems = file_stems(host.name for host in event.hosts)
            case Output():
                self._append(event.host.name, event.stream, event.data)
            case HostFinished():
                self._finish(event.result)
            case RunFinished():
                self._write_run(event)

    def close(self) -> None:
        """Close the folder."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def _stem(self, name: str) -> str:
        return self._stems.get(name) or marked(name)

    def _append(self, name: str, stream: Stream, data: bytes) -> None:
        written = self._written.setdefault(name, {})
        is_new = stream not in written
        written[stream] = written.get(stream, 0) + len(data)
        self._write(f"{self._stem(name)}.{stream}", data, _NEW_FILE if is_new else _MORE)

    def _finish(self, result: HostResult) -> None:
        name = result.host.name
        written = self._written.pop(name, {})
        run = result.outcome.result
        files: dict[str, str] = {}
        for stream in _STREAMS:
            file = f"{self._stem(name)}.{stream}"
            if stream in written:
                files[stream] = file
            elif run is not None:
                files[stream] = file
                kept = run.stdout if stream == "stdout" else run.stderr
                self._write(file, kept, _NEW_FILE)
                written[stream] = len(kept)
        fields = result_to_json(result, local_user=self._local_user)
        for text in ("stdout", "stdout_b64", "stderr", "stderr_b64"):
            fields.pop(text, None)
        fields["truncated"] = run is not None and _is_short(run, written)
        fields["files"] = files
        self._write_json(f"{self._stem(name)}.json", fields)

    def _write_run(self, finished: RunFinished) -> None:
        started = self._started
        fields = {
            "run": finished.run_id,
            "label": started.label if started is not None else None,
            "started_at": render_time(started.at) if started is not None else None,
            "finished_at": render_time(finished.at),
            "duration_s": round(finished.duration_s, 6),
            "counts": dict(finished.counts),
            "interrupted_by": finished.interrupted_by,
            "hosts": self._stems,
        }
        self._write_json(RUN_FILE, fields)

    def _write_json(self, file: str, fields: Mapping[str, object]) -> None:
        # Names with lone surrogates stay readable as escapes.
        self._write(file, (json.dumps(fields, indent=1) + "\n").encode("ascii"), _NEW_FILE)

    def _write(self, file: str, data: bytes, flags: int) -> None:
        try:
            descriptor = os.open(file, flags, 0o600, dir_fd=self._folder)
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
            finally:
                os.close(descriptor)
        except OSError as error:
            raise OSError(error.errno, error.strerror, os.path.join(self._path, file)) from None


def _is_short(run: ExecResult, written: Mapping[Stream, int]) -> bool:
    """Tell whether less of an output is in its file than the host sent."""
    return written["stdout"] < run.stdout_bytes or written["stderr"] < run.stderr_bytes
