"""
A transcript per host, for operations that talk to programs.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from fleetctl.expect.transcript import TranscriptWriter, make_folder, transcript_path
from fleetctl.model.errors import FleetError
from fleetctl.model.host import Host
from fleetctl.model.operation import Pty
from fleetctl.model.remote import Remote


def recording(
    folder: str | None, remote: Remote, *, what: str, command: str | None, pty: Pty | None
) -> AbstractContextManager[TranscriptWriter | None]:
    """
    Return what records a dialogue with a host, as a context manager.

    Args:
        folder: Where the transcript goes; None for none.
        what: What is played, for its title.

    Raises:
        FleetError: ``expect.failed``: it cannot be written.
    """
    if folder is None:
        return nullcontext()
    name = remote.host.name
    path = transcript_path(folder, name)
    try:
        make_folder(folder)
        return TranscriptWriter(
            path,
            title=f"{what} on {name}",
            command=command,
            pty=pty,
            redaction=remote.redaction(),
        )
    except OSError as error:
        message = f"the transcript cannot be written: {path}: {error.strerror}"
        raise FleetError("expect.failed", message, hint="give --record another folder") from None


def facts_of(
    folder: str | None, host: Host, recorder: TranscriptWriter | None
) -> dict[str, object]:
    """Return what a result says about its transcript: where it is, and why it is not complete."""
    if folder is None or recorder is None:
        return {}
    facts: dict[str, object] = {"transcript": str(transcript_path(folder, host.name))}
    if recorder.problem is not None:
        facts["transcript_problem"] = recorder.problem
    return facts
