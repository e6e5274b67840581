"""
What fleet tests share beyond the fleet itself.
"""

from __future__ import annotations

import pytest

from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from tests.support.drive import LOOPS
from tests.support.fleet import Fleet


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    """Both kinds of event loop, one after the other."""
    kind: str = request.param
    return kind


@pytest.fixture
def host(fleet: Fleet) -> Host:
    """An ordinary host that is known and takes our key."""
    return fleet.model_host(fleet.host("web01"))


@pytest.fixture
def settings(fleet: Fleet) -> HostSettings:
    """Settings with a key, for servers of a test's own."""
    return fleet.settings(fleet.host("web01"))
