"""
Commands of another user that are ended from here: by the rights with which they run.
"""

from __future__ import annotations

import asyncio
import time

import pytest

from fleetctl.model.operation import Pty
from tests.support.becoming import IDS, WAYS, Ran, run_on
from tests.support.drive import run_async
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet


@pytest.mark.parametrize("pty", [None, Pty()], ids=["streams", "terminal"])
def test_F55_commands_that_ran_out_of_time_are_gone(accounts, pty):
    """
    F55: the user who logged in may not signal them, so it takes becoming again, in every way there
    is; with all that they had started.
    """
    host = accounts.host("ended")

    async def main() -> list[Ran]:
        return await asyncio.gather(
            *(
                run_on(
                    accounts.model_host(user, host),
                    become,
                    "sleep 600 | sleep 601 & echo begun; sleep 602",
                    password=whose and accounts.password(whose),
                    timeout_s=5.0,
                    pty=pty,
                )
                for user, become, whose in WAYS
            )
        )

    for way, ran in zip(IDS, run_async(main), strict=True):
        assert ran.error is not None, way
        assert (ran.error.kind, ran.ran) == ("exec.timeout", "yes"), way
        assert ran.output.startswith(b"begun"), way
        assert ran.result.gone is True, (way, ran.error.failure)
    until = time.monotonic() + PATIENCE_S
    while accounts.sessions(host):  # sshd's own part of the session takes a moment
        assert time.monotonic() < until
        time.sleep(0.02)
