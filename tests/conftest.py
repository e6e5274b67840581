"""
What every test gets: a home of its own, a guard against leaks, and a real fleet when it asks.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import hypothesis
import pytest

from fleetctl.ssh.loop import run_loop
from tests.support.accounts import Accounts, make_accounts_directory
from tests.support.fleet import Fleet, make_fleet_directory
from tests.support.leaks import Snapshot, settle
from tests.support.patience import SLACK_S

_FLEET = pytest.StashKey[Fleet]()
_ACCOUNTS = pytest.StashKey[Accounts]()
_LOG_SIZES = pytest.StashKey[Mapping[str, int]]()

hypothesis.settings.register_profile(
    "fleetctl",
    deadline=None,  # machines under load are slow, not wrong
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    derandomize=True,  # what passed passes again; --hypothesis-profile=explore looks for more
    max_examples=100,
    print_blob=True,
)
hypothesis.settings.register_profile(
    "explore",
    hypothesis.settings.get_profile("fleetctl"),
    derandomize=False,
    max_examples=1000,
)
hypothesis.settings.load_profile("fleetctl")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-size",
        action="store_true",
        help="prove the large numbers at their full size; takes minutes",
    )


async def _nothing() -> None:
    """Run on a loop once."""


def pytest_configure() -> None:
    # libuv makes a pipe for signals when the first loop runs, and keeps it: no test left that.
    run_loop(_nothing, choice="uvloop")
    # Whoever starts the tests in the background may ignore these; children would inherit that.
    # Those that Python itself ignores stay so.
    for number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:
        if signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # Before -m is applied: whoever asks for the fleet needs it, marked or not.
    for item in items:
        if "fleet" in getattr(item, "fixturenames", ()):
            item.add_marker("fleet")


@pytest.fixture(scope="session")
def fleet(request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Real hosts on loopback, one fleet per xdist worker; without sshd its tests fail."""
    # By process: the workers of one run differ, and so do runs at the same time.
    fleet = Fleet(make_fleet_directory(), block=100 + os.getpid() % 150)
    request.config.stash[_FLEET] = fleet
    yield fleet
    del request.config.stash[_FLEET]
    fleet.close()


@pytest.fixture(scope="session")
def accounts(request: pytest.FixtureRequest, fleet: Fleet) -> Iterator[Accounts]:
    """Real hosts with other users, by sshd and dropbear; without root its tests fail."""
    accounts = Accounts(make_accounts_directory(), fleet, block=10 + os.getpid() % 60)
    request.config.stash[_ACCOUNTS] = accounts
    yield accounts
    del request.config.stash[_ACCOUNTS]
    accounts.close()


def _daemons(stash: pytest.Stash) -> list[Fleet | Accounts]:
    """Return what has started daemons so far in this test run."""
    found = (stash.get(_FLEET, None), stash.get(_ACCOUNTS, None))
    return [hosts for hosts in found if hosts]


@pytest.fixture(autouse=True)
def _nothing_is_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test after which a thread, child, descriptor, task or transport is left."""
    stash = request.config.stash
    before = Snapshot.take()
    yield
    pids = {pid for hosts in _daemons(stash) for pid in hosts.pids}
    leaked = settle(before, pids, timeout_s=SLACK_S)
    if leaked:
        pytest.fail("the test left behind:\n" + "\n".join(leaked), pytrace=False)
    accounts = stash.get(_ACCOUNTS, None)
    if accounts is not None and "accounts" in request.fixturenames and accounts.locked_out():
        pytest.fail(f"the test locked out: {', '.join(accounts.locked_out())}", pytrace=False)


@pytest.fixture(scope="session")
def is_full_size(request: pytest.FixtureRequest) -> bool:
    """Whether tests of large numbers take the largest, and not a fraction that proves the same."""
    return bool(request.config.getoption("--full-size"))


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
    item.stash[_LOG_SIZES] = {
        name: size
        for hosts in _daemons(item.config.stash)
        for name, size in hosts.log_sizes().items()
    }


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Show what the daemons wrote during a test that failed."""
    report = yield
    if report.failed:
        for hosts in _daemons(item.config.stash):
            for name, text in hosts.logs_since(item.stash.get(_LOG_SIZES, {})).items():
                report.sections.append((f"log of {name}", text))
    return report
