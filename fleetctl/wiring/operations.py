"""
Operations, made of plain values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleetctl.model.operation import Operation


def make_ping() -> Operation:
    """Return the operation that only logs in."""
    from fleetctl.commands.ping import Ping

    return Ping()


def make_doctor() -> Operation:
    """Return the operation that looks at everything up to a command; see `fleetctl.commands`."""
    from fleetctl.commands.doctor import Doctor

    return Doctor()


def make_command(
    words: Sequence[str],
    *,
    stdin: bytes,
    env: Mapping[str, str],
    timeout_s: float | None,
    max_output_bytes: int,
    pty: bool,
) -> Operation:
    """Return the operation that runs a command; see `fleetctl.commands.command`."""
    from fleetctl.commands.command import Command, command_line

    return Command(
        line=command_line(words),
        stdin=stdin,
        env=env,
        timeout_s=timeout_s,
        max_output_bytes=max_output_bytes,
        pty=pty,
    )
