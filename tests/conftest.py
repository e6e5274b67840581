"""
What every test gets: a home of its own, a guard against leaks, and a real fleet when it asks.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest

from tests.support.fleet import Fleet, make_fleet_directory
from tests.support.leaks import Snapshot, settle

_FLEET = pytest.StashKey[Fleet]()
_LOG_SIZES = pytest.StashKey[Mapping[str, int]]()

hypothesis.settings.register_profile(
    "fleetctl",
    deadline=None,  # machines under load are slow, not wrong
    max_examples=100,
    print_blob=True,
)
hypothesis.settings.load_profile("fleetctl")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Before -m is applied: whoever asks for the fleet needs it, marked or not.
    for item in items:
        if "fleet" in getattr(item, "fixturenames", ()):
            item.add_marker("fleet")


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest, worker_id: str) -> Iterator[Fleet]:
    """Real hosts on loopback, one fleet per xdist worker; without sshd its tests fail."""
    number = int(worker_id.removeprefix("gw")) if worker_id.startswith("gw") else 0
    fleet = Fleet(make_fleet_directory(), block=100 + number % 150)
    request.config.stash[_FLEET] = fleet
    yield fleet
    del request.config.stash[_FLEET]
    fleet.close()


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test after which a thread, child, descriptor, task or transport is left."""
    stash = request.config.stash
    before = Snapshot.take()
    yield
    fleet = stash.get(_FLEET, None)
    leaked = settle(before, fleet.pids if fleet else (), timeout_s=1.0)
    if leaked:
        pytest.fail("the test left behind:\n" + "\n".join(leaked), pytrace=False)


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("homes")
    return (folder / str(number) for number in itertools.count(1))


@pytest.fixture(autouse=True)
def private_home(_homes: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, so that no test reads or writes the developer's files or uses their agent."""
    home = next(_homes)
    home.mkdir(mode=0o700)
    for name in list(os.environ):
        # The choice of the event loop is the test run's, not the developer's.
        if name.startswith(("XDG_", "FLEETCTL_", "SSH_")) and name != "FLEETCTL_LOOP":
            monkeypatch.delenv(name)
    # Nor their ssh_config, nor the system's: ssh finds the home without asking HOME.
    monkeypatch.setenv("FLEETCTL_SSH_CONFIG", "none")
    for name, folder in (
        ("HOME", ""),
        ("XDG_CACHE_HOME", ".cache"),
        ("XDG_CONFIG_HOME", ".config"),
        ("XDG_DATA_HOME", ".local/share"),
        ("XDG_STATE_HOME", ".local/state"),
        ("FLEETCTL_STATE", ".local/state/fleetctl"),
    ):
        monkeypatch.setenv(name, str(home / folder))
    return home


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    fleet = item.config.stash.get(_FLEET, None)
    item.stash[_LOG_SIZES] = fleet.log_sizes() if fleet else {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Show what the daemons wrote during a test that failed."""
    report = yield
    fleet = item.config.stash.get(_FLEET, None)
    if report.failed and fleet:
        for name, text in fleet.logs_since(item.stash.get(_LOG_SIZES, {})).items():
            report.sections.append((f"log of {name}", text))
    return report
