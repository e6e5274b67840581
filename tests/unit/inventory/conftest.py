"""
An inventory from text, and the mistakes in one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.model.errors import UsageError

Load = Callable[..., Inventory]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load text as the file hosts.yml of the current directory; the user is me."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str | bytes, **options) -> Inventory:
        data = text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
        Path("hosts.yml").write_bytes(data)
        return load_inventory(["hosts.yml"], account=LocalAccount("me", "/home/me"), **options)

    return load_text


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    """Load text that is wrong; return the lines the user would read."""

    def load_wrong(text: str | bytes, **options) -> list[str]:
        with pytest.raises(UsageError) as caught:
            load(text, **options)
        assert caught.value.exit_code == 2
        return str(caught.value).splitlines()

    return load_wrong
