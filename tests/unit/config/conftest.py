"""
A settings file from text, and the mistakes in one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fleetctl.config.load import Default, load_settings
from fleetctl.model.errors import UsageError

Load = Callable[..., dict[str, Default]]
Mistakes = Callable[..., list[str]]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Load text as the file fleetctl.yml of the current folder; it is trusted unless said."""
    monkeypatch.chdir(tmp_path)

    def load_text(text: str | bytes, *, trusted: bool = True) -> dict[str, Default]:
        data = text if isinstance(text, bytes) else text.encode()
        Path("fleetctl.yml").write_bytes(data)

        def is_trusted(path: Path, seen: bytes) -> bool:
            assert (path, seen) == (Path("fleetctl.yml"), data)
            return trusted

        return load_settings([Path("fleetctl.yml")], is_trusted)

    return load_text


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    """Load text that is wrong; return the lines the user would read."""

    def load_wrong(text: str | bytes, *, trusted: bool = True) -> list[str]:
        with pytest.raises(UsageError) as caught:
            load(text, trusted=trusted)
        return str(caught.value).splitlines()

    return load_wrong
