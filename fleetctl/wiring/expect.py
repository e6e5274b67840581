"""
Expect scripts: as operations, and played against transcripts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.operation import Operation

if TYPE_CHECKING:
    from fleetctl.expect.replay import Replayed


@dataclass(frozen=True, slots=True)
class SecretUse:
    """
    A secret that a file names by its source, and where it does.

    Attributes:
        line: From 1, as is column.
    """

    source: str
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Replay:
    """
    One transcript that a script was played against.

    Attributes:
        transcript: Its file.
        problem: What is not as recorded, or did not work; None if all is well.
    """

    transcript: str
    replayed: Replayed
    problem: str | None


def make_expect(
    path: str,
    *,
    is_trusted: Callable[[Path, bytes], bool],
    env: Mapping[str, str],
    timeout_s: float | None,
    max_output_bytes: int,
    record: str | None,
) -> tuple[Operation, Sequence[SecretUse]]:
    """
    Return the operation that plays the script in a file, and the secrets it will ask for.

    Args:
        is_trusted: Says of a path and its content whether the file may name secrets.
        record: Folder for a transcript per host, or None.

    Raises:
        UsageError: All mistakes in the script.
    """
    from fleetctl.commands.expect import Expect
    from fleetctl.expect.read import load_script

    script = load_script(path, is_trusted)
    operation = Expect(
        script, env=env, timeout_s=timeout_s, max_output_bytes=max_output_bytes, record=record
    )
    uses = [SecretUse(use.source, path, use.line, use.column) for use in script.secrets]
    return operation, uses


def replay_expect(
    path: str, transcripts: Sequence[str], variables: Mapping[str, str]
) -> list[Replay]:
    """
    Play the script in a file against transcripts; nobody is contacted and no secret is read.

    Args:
        variables: Those of the host. ``host`` is the name of the transcript's file unless given.

    Raises:
        UsageError: All mistakes in the script, or a file that is no transcript.
    """
    from fleetctl.expect.read import load_script
    from fleetctl.expect.replay import replay
    from fleetctl.expect.transcript import host_of, read_transcript

    script = load_script(path, lambda _path, _data: True)
    missing = [name for name in script.host_variables if name not in variables]
    if missing:
        raise UsageError(
            f"it sends variables of the host, and {' and '.join(missing)} is not given",
            file=path,
            hint=" ".join(f"--var {name}=..." for name in missing),
        )
    found = []
    for name in transcripts:
        transcript = read_transcript(name)
        values = {f"var:{key}": value for key, value in variables.items()}
        values["host"] = variables.get("host", host_of(name))
        replayed = replay(script, transcript, values)
        problem = replayed.difference
        if problem is None and replayed.failure is not None:
            problem = f"{replayed.failure.kind}: {replayed.failure.message}"
        status = transcript.exit_status
        if problem is None and status is not None and status not in script.exit_statuses:
            problem = f"{path}: the program ended with exit status {status} in {name}"
        found.append(Replay(name, replayed, problem))
    return found


def secrets_in(data: bytes, file: str) -> list[Problem]:
    """
    Return what an expect script with this content is refused for while it is not trusted.

    Raises:
        UsageError: It is no expect script.
    """
    from fleetctl.expect.read import read_script, untrusted_secrets

    return list(untrusted_secrets(read_script(data, file)))
