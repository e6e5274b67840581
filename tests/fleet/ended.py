"""
What tests of ending commands share: commands that are hard to end, and who runs on a host.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from fleetctl.model.errors import FleetError
from tests.support.drive import Connection, connected, run_async
from tests.support.patience import at_some_pace


def programs(accounts, host=None) -> list[str]:
    """Return the names of what runs on a host besides servers and shells that looked."""
    names = []
    for pid in accounts.sessions(host):
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text()
            name, _, rest = stat.partition("(")[2].rpartition(") ")
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if rest[0] not in "ZX" and words[:2] != [b"sh", b"-s"]:
                names.append(name)
    return sorted(name for name in names if name not in ("sshd", "dropbear"))


def sleepers(accounts, host=None) -> set[str]:
    """Return the arguments of all sleeps that run on a host."""
    found = set()
    for pid in accounts.sessions(host):
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if words[0].endswith(b"sleep"):
                found.add(words[1].decode())
    return found


COMMANDS = {
    "plain": "sleep 600",
    "pipeline": "sleep 600 | sleep 600",
    "background": "sleep 600 & wait",
    "orphan": "(sleep 600 &); sleep 600",
    "own session": "setsid sleep 600 & wait",
    "orphans of an own session": "setsid sh -c '(sleep 600 &); sleep 600' & wait",
    "deaf": "trap '' TERM; sleep 600; sleep 600",
    "nohup": "nohup sleep 600 >/dev/null 2>&1 & wait",
}


async def timed_out(
    connection: Connection, command: str, *, limit_s: float = 1.0, **fields: object
) -> FleetError:
    """Run a command into its time limit, after it has said ``on``."""
    heard = bytearray()
    with pytest.raises(FleetError) as caught:
        await connection.exec(
            f"echo on; {command}",
            timeout_s=limit_s,
            on_output=lambda _, data: heard.extend(data),
            **fields,
        )
    assert caught.value.kind == "exec.timeout"
    assert heard.startswith(b"on"), "the time limit of this test is too short"
    return caught.value


def assert_gone(error: FleetError, left: list[str]) -> None:
    assert left == [], str(error)
    assert "it was ended" in str(error)
    assert error.result is not None
    assert error.result.gone is True


def ended_as(accounts, user, command, host=None, **fields) -> tuple[FleetError, list[str]]:
    """Run a command into its time limit; return the error, and what runs on the host then."""

    async def main(pace):
        async with connected(accounts.model_host(user, host)) as connection:
            error = await timed_out(connection, command, limit_s=0.5 * pace, **fields)
            return error, programs(accounts, host)

    return at_some_pace(lambda pace: run_async(lambda: main(pace)))
