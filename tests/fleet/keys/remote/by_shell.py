"""
Working on an authorized_keys of this machine by programs for sh, for tests by every shell.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fleetctl.keys.place import Swapped
from fleetctl.model.errors import FleetError
from tests.support.key_shells import SHELLS, KeysFolder
from tests.support.patience import PATIENCE_S, TEST_LIMIT_S

OLD = b"ssh-ed25519 AAAA old\r\n# \xff\x00 odd\n"
NEW = b"ssh-ed25519 AAAA old\r\n# \xff\x00 odd\nssh-ed25519 BBBB it's 100% \\new\n"


shells = pytest.mark.parametrize("shell", SHELLS)


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(TEST_LIMIT_S):
            return await work()

    return asyncio.run(bounded())


def failure_of(work: Callable[[], Awaitable[Any]]) -> FleetError:
    with pytest.raises(FleetError) as caught:
        run(work)
    return caught.value


def swap(folder: KeysFolder, data: bytes = NEW, **options: Any) -> Swapped:
    async def work() -> Swapped:
        file = folder.open()
        return await file.swap(await file.look(lock=True), data, **options)

    swapped = run(work)
    assert isinstance(swapped, Swapped)
    return swapped


async def confirm(folder: KeysFolder, swapped: Swapped) -> None:
    await folder.open().confirm(swapped, folder.remote)  # type: ignore[arg-type]


def guard_pid(folder: KeysFolder) -> int:
    [path] = folder.path.parent.glob("*-guard-*/pid")
    return int(path.read_text())


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "what the test waits for does not happen"
        time.sleep(0.02)
