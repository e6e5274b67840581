"""
The promises of the store, kept by SQLite in a folder.
"""

from __future__ import annotations

import pytest

from fleetctl.store.types import StoreLocation
from tests.contract.store_contract import PROMISES
from tests.support.recorded import Place, run_async


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_sqlite_keeps_the_promise(promise, tmp_path):
    """
    What a store promises is so in the state folder.
    """
    run_async(lambda: promise(Place(StoreLocation(tmp_path / "state"))))
