"""
A state folder, and files that came with a project.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleetctl.trust.permissions import Account
from fleetctl.trust.store import TrustStore

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def account() -> Account:
    return Account(os.geteuid())


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the state is; made only when something is trusted."""
    return tmp_path / "home" / "state"


@pytest.fixture
def store(state: Path, account: Account) -> TrustStore:
    return TrustStore(state, account)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def now() -> datetime:
    return NOW
