"""
A project with an inventory, the files of ssh beside it, and what comes of both.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fleetctl.inventory.assign import split_words
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.host import Host
from fleetctl.model.settings import HostSettings
from fleetctl.wiring import Selection, dump_settings, find_hosts, hosts


@dataclass
class Project:
    """
    A current folder with files, and a home that ssh would find.

    Attributes:
        home: Of the user, in the user database too.
        system: The system's ssh_config; there is none unless it is written.
        warnings: What the last question was warned of.
    """

    folder: Path
    home: Path
    system: Path
    warnings: list[Problem] = field(default_factory=list)

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project, for its owner alone."""
        return _write(self.folder / name, text)

    def write_user(self, text: str) -> Path:
        """Write ~/.ssh/config."""
        path = self.home / ".ssh" / "config"
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return _write(path, text)

    def write_system(self, text: str) -> Path:
        """Write the system's ssh_config."""
        return _write(self.system, text)

    def hosts(
        self,
        *sources: str,
        options: Sequence[str] = (),
        config: str | None = None,
        pattern: str = "all",
        is_trusted: bool = True,
    ) -> Mapping[str, Host]:
        """
        Find and settle hosts.

        Args:
            sources: Files, or lists; one without comma and line break is a file.
            options: ``Port=22``, as behind ``-o``.
            config: As behind ``-F``; None reads the user's and the system's.
        """
        self.warnings.clear()
        selection = self._selection(sources, options, config, pattern)
        found = find_hosts(selection, self.warnings.append, lambda _path, _data: is_trusted)
        return {host.name: host for host in found}

    def settings(self, *sources: str, **more) -> HostSettings:
        """Settle the only host."""
        (host,) = self.hosts(*sources, **more).values()
        return host.settings

    def dump(
        self, *sources: str, options: Sequence[str] = (), config: str | None = None
    ) -> dict[str, str]:
        """Return what ``ssh -G`` would print for the only host; of equal names the last line."""
        selection = self._selection(sources, options, config, "all")
        (text,) = dump_settings(selection, self.warnings.append, lambda _path, _data: True)
        return dict(line.split(" ", 1) for line in text.splitlines())

    def mistakes(self, *sources: str, **more) -> list[str]:
        """Ask what is wrong; return the lines that the user would read."""
        with pytest.raises(UsageError) as caught:
            self.hosts(*sources, **more)
        return str(caught.value).splitlines()

    def _selection(
        self, sources: Sequence[str], options: Sequence[str], config: str | None, pattern: str
    ) -> Selection:
        pairs = [option.split("=", 1) for option in options]
        return Selection(
            sources or ("hosts.yml",),
            pattern,
            overrides=[(name, split_words(value), "-o") for name, value in pairs],
            ssh_config=config,
        )


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    path.chmod(0o600)
    return path


@pytest.fixture
def project(tmp_path: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in the current folder, and the private home in the user database."""
    folder = tmp_path / "project"
    folder.mkdir(mode=0o700)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("FLEETCTL_SSH_CONFIG")
    system = tmp_path / "etc" / "ssh_config"
    monkeypatch.setattr(hosts, "SYSTEM_SSH_CONFIG", system)
    put_home_in_database(private_home, monkeypatch)
    return Project(folder, private_home, system)


def put_home_in_database(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the user database say that the user of this process lives there."""
    real = pwd.getpwuid

    def getpwuid(uid: int) -> pwd.struct_passwd:
        entry = real(uid)
        if uid != os.getuid():
            return entry
        return pwd.struct_passwd((*entry[:5], str(home), entry[6]))

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
