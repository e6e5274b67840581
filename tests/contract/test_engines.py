"""
Every engine keeps every promise of `engine_contract.py`.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from fleetctl.engine.local import LocalEngine
from fleetctl.testing import HostScript, ScriptedConnector, run_in_virtual_time
from tests.contract.engine_contract import PROMISES, MakeEngine


@asynccontextmanager
async def pooling(scripts: Mapping[str, HostScript]) -> AsyncIterator[LocalEngine]:
    """The engine of one process, as a long-lived program uses it."""
    engine = LocalEngine(ScriptedConnector(scripts))
    yield engine
    await engine.aclose()


@asynccontextmanager
async def closing(scripts: Mapping[str, HostScript]) -> AsyncIterator[LocalEngine]:
    """The same as the command line uses it: nothing is kept, output is shown as it comes."""
    engine = LocalEngine(ScriptedConnector(scripts), keep_connections=0, live_output=True)
    yield engine
    await engine.aclose()


@pytest.mark.parametrize("make", [pooling, closing], ids=["local", "local-cli"])
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_engine_keeps_its_promise(promise, make: MakeEngine, caplog):
    """
    Whatever an engine is made of, those who use engines can rely on the promise.
    """
    caplog.set_level(logging.CRITICAL, logger="fleetctl.engine.attempt")
    run_in_virtual_time(lambda: promise(make))
