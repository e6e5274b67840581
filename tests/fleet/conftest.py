"""
What fleet tests share beyond the fleet itself.
"""

from __future__ import annotations

import pytest

from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.ssh import session as session_module
from tests.support.drive import LOOPS
from tests.support.fleet import Fleet
from tests.support.patience import PATIENCE_S, SLACK_S


@pytest.fixture(autouse=True)
def _patient_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for what comes after an exit status: it may be late on a machine under load."""
    monkeypatch.setattr(session_module, "DRAIN_S", SLACK_S)
    monkeypatch.setattr(session_module, "MAX_DRAIN_S", PATIENCE_S)


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
