"""
Transcripts of dialogues: asciicast files, which ``asciinema play`` shows as a film.

Known secrets are taken out of everything in one.

Source: asciicast v2 and v3, docs.asciinema.org/manual/asciicast. Of v3, where times count from the
event before, only reading is known here.
"""

from __future__ import annotations

import codecs
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Literal, Self, TypeAlias
from urllib.parse import unquote

from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.events import Stream
from fleetctl.model.operation import Pty
from fleetctl.model.redaction import Redaction

#: Larger files are not read.
MAX_BYTES = 64 * 1024 * 1024
SUFFIX = ".cast"
_MAX_NAME_LENGTH = 200
_CUT_NAME_LENGTH = 100
#: Characters, or seconds, after which what happened is written.
_FLUSH_SIZE = 64 * 1024
_FLUSH_S = 1.0
_PLAIN = re.compile(r"[A-Za-z0-9._-]")

#: Output, input, and the exit status, which only v3 knows and players of v2 pass over.
Code: TypeAlias = Literal["o", "i", "x"]


@dataclass(frozen=True, slots=True)
class Event:
    """
    One moment of a dialogue.

    Attributes:
        at_s: Seconds since the beginning.
        line: Where it stands in the file, from 1.
    """

    at_s: float
    code: Code
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """
    A recorded dialogue.

    Attributes:
        file: Its name in messages.
        events: In order of time.
    """

    file: str
    events: tuple[Event, ...]

    @property
    def exit_status(self) -> int | None:
        """How the program ended, if that was recorded."""
        ends = [event.text for event in self.events if event.code == "x"]
        return int(ends[-1]) if ends and re.fullmatch(r"[0-9]{1,3}", ends[-1]) else None


class TranscriptWriter:
    """
    Writes a transcript while a dialogue goes on; an event is a line.

    Use it in a ``with`` statement. A disk that is full ends the transcript, not the dialogue. The
    file is open only while something is written: there may be one for each of a thousand hosts.

    Attributes:
        problem: Why it is not complete, or None.
    """

    def __init__(
        self,
        path: Path,
        *,
        title: str,
        command: str | None,
        pty: Pty | None,
        redaction: Redaction | None = None,
    ) -> None:
        """
        Args:
            redaction: Takes secrets out; None where none are known.

        Raises:
            OSError: The file cannot be made. It replaces one that is there, and only its owner can
                read it.
        """
        self.problem: str | None = None
        self._redaction = redaction
        self._output: dict[Stream, _Track] = {}
        self._input = _Track(redaction)
        self._started = monotonic()
        self._path = path
        self._unwritten: list[str] = []
        self._unwritten_size = 0
        self._written_at = self._started
        os.close(_open_private(path, os.O_TRUNC))
        size = pty or Pty()
        header: dict[str, object] = {
            "version": 2,
            "width": size.columns,
            "height": size.rows,
            "title": _Track(redaction).whole(title),
        }
        if command is not None:
            header["command"] = _Track(redaction).whole(command)
        if pty is not None:
            header["env"] = {"TERM": pty.term}
        self._write(header)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write_rest()
        self._flush()

    def received(self, stream: Stream, data: bytes) -> None:
        """The program wrote this; what may be the beginning of a secret comes with the next."""
        if stream not in self._output:
            self._output[stream] = _Track(self._redaction)
        self._event("o", self._output[stream].add(data))

    def sent(self, text: str) -> None:
        """This was typed."""
        self._event("i", self._input.add(text.encode("utf-8", "surrogateescape")))

    def ended(self, exit_status: int | None) -> None:
        """The program has ended; None if nobody knows how."""
        self._write_rest()
        if exit_status is not None:
            self._event("x", str(exit_status))

    def _write_rest(self) -> None:
        self._event("i", self._input.end())
        for track in self._output.values():
            self._event("o", track.end())

    def _event(self, code: Code, text: str) -> None:
        if text:
            self._write([round(monotonic() - self._started, 6), code, text])

    def _write(self, value: object) -> None:
        if self.problem is not None:
            return
        line = json.dumps(value, ensure_ascii=False) + "\n"
        self._unwritten.append(line)
        self._unwritten_size += len(line)
        if self._unwritten_size > _FLUSH_SIZE or monotonic() - self._written_at > _FLUSH_S:
            self._flush()

    def _flush(self) -> None:
        if not self._unwritten or self.problem is not None:
            return
        text = "".join(self._unwritten)
        self._unwritten.clear()
        self._unwritten_size, self._written_at = 0, monotonic()
        try:
            fd = _open_private(self._path, os.O_APPEND)
            with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
        except OSError as error:
            self.problem = error.strerror or str(error)


class _Track:
    """What one side writes, as text without secrets."""

    def __init__(self, redaction: Redaction | None) -> None:
        self._stream = None if redaction is None else redaction.stream()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, data: bytes) -> str:
        return self._decoder.decode(data if self._stream is None else self._stream.add(data))

    def end(self) -> str:
        rest = b"" if self._stream is None else self._stream.end()
        text = self._decoder.decode(rest, final=True)
        self._decoder.reset()
        return text

    def whole(self, text: str) -> str:
        return self.add(text.encode("utf-8", "surrogateescape")) + self.end()


def transcript_path(folder: str, host: str) -> Path:
    """
    Return where the transcript of a host belongs.

    Whatever the host is called, it is a plain file in the folder and nobody else's: characters that
    mean something to a file system are written as ``%2F``, and long names end with a hash.
    """
    name = "".join(
        char if _PLAIN.fullmatch(char) else "".join(f"%{byte:02X}" for byte in _bytes(char))
        for char in host
    )
    if name.startswith("."):
        name = f"%2E{name[1:]}"
    if len(name) > _MAX_NAME_LENGTH:
        name = f"{name[:_CUT_NAME_LENGTH]}-{sha256(_bytes(host)).hexdigest()[:32]}"
    return Path(folder, name + SUFFIX)


def host_of(path: str) -> str:
    """Return the host that a transcript is named for; see `transcript_path`."""
    return unquote(Path(path).name.removesuffix(SUFFIX))


def make_folder(folder: str) -> None:
    """
    Make the folder for transcripts, which only its owner can look into, unless it is there.

    Raises:
        OSError: It cannot be made.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)


def read_transcript(path: str) -> Transcript:
    """
    Read an asciicast file.

    Raises:
        UsageError: It cannot be read, or is none; with the line.
    """
    try:
        with Path(path).expanduser().open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"it cannot be read: {error.strerror}", file=path) from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"larger than {MAX_BYTES // 1024**2} MiB", file=path)
    return parse_transcript(data, path)


def parse_transcript(data: bytes, file: str) -> Transcript:
    """
    Parse an asciicast; events of kinds that mean nothing here are left out.

    Raises:
        UsageError: It is none; with the line.
    """
    lines = data.decode("utf-8", "replace").split("\n")
    header = _json(lines[0], file, 1)
    version = header.get("version") if isinstance(header, dict) else None
    if version not in (2, 3):
        raise UsageError(
            "not an asciicast of version 2 or 3",
            file=file,
            line=1,
            hint="make one: fleetctl shell HOST --expect FILE --record FOLDER",
        )
    events: list[Event] = []
    before_s = 0.0
    for number, line in enumerate(lines[1:], 2):
        if not line.strip() or (version == 3 and line.startswith("#")):
            continue
        match _json(line, file, number):
            case [float() | int() as time, str(code), text, *_] if _is_time(time):
                at_s = before_s + float(time) if version == 3 else float(time)
                before_s = max(before_s, at_s)
                if code in ("o", "i", "x"):
                    events.append(Event(before_s, _code(code), str(text), number))
            case _:
                raise UsageError("not an event: [time, code, text]", file=file, line=number)
    return Transcript(file, tuple(events))


def _is_time(time: float) -> bool:
    return not isinstance(time, bool) and 0 <= time < 1e9


def _code(code: str) -> Code:
    return "o" if code == "o" else "i" if code == "i" else "x"


def _json(line: str, file: str, number: int) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        problem = Problem("not JSON", file, number, hint="an asciicast is one JSON value per line")
        raise UsageError(problems=[problem]) from None


def _open_private(path: Path, flag: int) -> int:
    flags = flag | os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    fd = os.open(path, flags, 0o600)
    os.fchmod(fd, 0o600)
    return fd


def _bytes(char: str) -> bytes:
    return char.encode("utf-8", "surrogateescape")


def inputs_of(events: Sequence[Event]) -> str:
    """Return everything that was typed."""
    return "".join(event.text for event in events if event.code == "i")
