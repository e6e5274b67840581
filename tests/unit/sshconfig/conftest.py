"""
Configurations made from text, on a machine that exists nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from fleetctl.sshconfig.canonical import Lookup
from fleetctl.sshconfig.config import Config, Run
from fleetctl.sshconfig.load import IsTrusted, Source, load_config
from fleetctl.sshconfig.surroundings import Surroundings

HERE = Surroundings(
    user="me",
    uid=1000,
    home="/home/me",
    host_name="desk.example.com",
    environment={"HOME": "/home/me", "WHO": "someone"},
    addresses=("127.0.0.1", "10.1.2.3", "fe80::1%eth0", "2001:db8::7"),
    find_home={"alice": "/home/alice"}.get,
)

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Return a function that reads texts as files, strongest first: ``user``, ``second`` …"""

    def load(
        *texts: str,
        files: Mapping[str, str] | None = None,
        run: Run | None = None,
        lookup: Lookup | None = None,
        is_trusted: IsTrusted = lambda _path, _data: True,
        surroundings: Surroundings = HERE,
        ignore_unknown: str = "",
    ) -> Config:
        for name, text in (files or {}).items():
            write(tmp_path / name, text)
        sources = [Source(write(tmp_path / name, text)) for name, text in named(texts)]
        environment = {**surroundings.environment, "HOME": str(tmp_path)}
        return load_config(
            [replace(source, checks_owner=False) for source in sources],
            surroundings=replace(surroundings, environment=environment, uid=own_uid(tmp_path)),
            is_trusted=is_trusted,
            run=run,
            lookup=lookup,
            ignore_unknown=ignore_unknown,
        )

    return load


def named(texts: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(("user", "second", "third"), texts, strict=False))


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    return path


def own_uid(path: Path) -> int:
    return path.stat().st_uid
