"""A store in a folder of the test."""

from __future__ import annotations

import pytest

from fleetctl.store.types import StoreLocation
from tests.support.recorded import Place


@pytest.fixture
def place(tmp_path):
    return Place(StoreLocation(tmp_path / "state"))


@pytest.fixture
def folder(place):
    return place.location.folder


@pytest.fixture
def database(folder):
    """The path of the database file."""
    return folder / "history.db"
