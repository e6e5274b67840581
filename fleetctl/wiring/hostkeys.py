"""
Host keys: what looks at them, decides about them, and writes them down.
"""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fleetctl.engine.local import LocalEngine
from fleetctl.keys.evidence import Evidence, parse_evidence, parse_fingerprint
from fleetctl.keys.hostkeys import (
    Decision,
    ScanHostKeys,
    ScannedHost,
    ScannedKey,
    check_failure,
    decide,
    read_scan,
    shared_keys,
)
from fleetctl.model.host import Host
from fleetctl.model.ports import SecretProvider

__all__ = [
    "Decision",
    "Evidence",
    "Learned",
    "ScanHostKeys",
    "ScannedHost",
    "ScannedKey",
    "check_failure",
    "confirm_hosts",
    "decide",
    "forget_hosts",
    "known_hosts_file_of",
    "learn_keys",
    "means_name",
    "name_of",
    "open_scanner",
    "parse_evidence",
    "parse_fingerprint",
    "read_scan",
    "remove_keys",
    "replace_keys",
    "shared_keys",
]


@asynccontextmanager
async def open_scanner(
    *,
    secrets: SecretProvider,
    warn: Callable[[str], None],
    every_key: bool,
    seen_host_keys: Path | None = None,
) -> AsyncIterator[LocalEngine]:
    """
    Make the engine that looks at host keys and logs in to nobody but gateways.

    Everything it opened is closed after.

    Args:
        seen_host_keys: File that remembers which key each host showed, and where; None for none.
    """
    from fleetctl.ssh.connector import SshConnector
    from fleetctl.ssh.host_key_scan import HostKeyScanner
    from fleetctl.ssh.loop import settle_garbage_collector
    from fleetctl.ssh.seen_host_keys import SeenHostKeys

    settle_garbage_collector()
    seen = None if seen_host_keys is None else SeenHostKeys(seen_host_keys)
    ssh = SshConnector(secrets=secrets, warn=warn, environ=os.environ, seen=seen)
    engine = LocalEngine(HostKeyScanner(ssh, every_key=every_key), keep_connections=0)
    try:
        yield engine
    finally:
        await engine.aclose()
        await ssh.aclose()


def means_name(names: str, name: str) -> bool:
    """Does the first field of a known_hosts line mean this name?"""
    from fleetctl.ssh.known_hosts import means

    return means(names.encode("utf-8", "surrogateescape"), name)


def name_of(host: Host) -> str:
    """Return what a host is called in known_hosts."""
    from fleetctl.ssh.host_key_check import host_key_names

    return host_key_names(host)[0]


def known_hosts_file_of(host: Host) -> str | None:
    """Return the file that new keys of a host are written to, or None if there is none."""
    files = host.settings.user_known_hosts_files
    return os.path.expanduser(files[0]) if files else None


@dataclass(frozen=True, slots=True)
class Learned:
    """
    What became of a host in a file.

    Attributes:
        refused: Why nothing was written: the file knows it otherwise by now.
        lines: ``file:line`` of lines taken out or changed.
        kept: ``file:line`` of lines that were left though they mean the host.
    """

    refused: str = ""
    lines: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def learn_keys(
    hosts: Sequence[tuple[Host, Sequence[ScannedKey]]], *, dry_run: bool
) -> Mapping[str, Learned]:
    """
    Write keys of hosts down, each file once.

    Returns:
        Host name -> what became of it.

    Raises:
        OSError: A file cannot be written.
        ValueError: A name cannot stand in a line; nothing was written to that file.
    """
    from fleetctl.ssh.host_key_check import host_key_names
    from fleetctl.ssh.known_hosts_file import NewHost, learn_hosts

    by_file: dict[str, list[tuple[Host, NewHost]]] = {}
    for host, keys in hosts:
        file = known_hosts_file_of(host)
        assert file is not None
        new = NewHost(host_key_names(host), _blobs(keys), host.settings.hash_known_hosts)
        by_file.setdefault(file, []).append((host, new))
    learned = {}
    for file, entries in by_file.items():
        found = learn_hosts(file, [new for _, new in entries], dry_run=dry_run)
        for (host, _), judgement in zip(entries, found, strict=True):
            where = ", ".join(key.where for key in judgement.known)
            refused = "" if judgement.verdict == "trusted" else f"{where}: {judgement.verdict}"
            learned[host.name] = Learned(refused)
    return learned


def replace_keys(host: Host, keys: Sequence[ScannedKey], *, dry_run: bool) -> Learned:
    """
    Let a host have these keys and no others, in all files of the user.

    Raises:
        OSError: A file cannot be written.
        ValueError: The name cannot stand in a line.
    """
    from fleetctl.ssh.known_hosts import load_known_hosts
    from fleetctl.ssh.known_hosts_file import remove_host, replace_host

    name, settings = name_of(host), host.settings
    first, *others = (os.path.expanduser(file) for file in settings.user_known_hosts_files)
    changed = replace_host(
        first, name, _blobs(keys), hashed=settings.hash_known_hosts, dry_run=dry_run
    )
    lines = [f"{first}:{number}" for number in changed.removed]
    kept = list(changed.kept)
    for file in others:
        if os.path.exists(file):
            removed = remove_host(file, name, dry_run=dry_run)
            lines += [f"{file}:{number}" for number in removed.removed]
            kept += removed.kept
    system = load_known_hosts(map(os.path.expanduser, settings.global_known_hosts_files))
    wanted = set(_blobs(keys))
    kept += [key.where for key in system.entries(name) if not key.marker and key.blob not in wanted]
    return Learned(lines=tuple(lines), kept=tuple(kept))


def remove_keys(host: Host, *, dry_run: bool) -> Learned:
    """
    Forget a host in all files of the user.

    Raises:
        OSError: A file cannot be read or written.
    """
    from fleetctl.ssh.known_hosts_file import remove_host

    lines: list[str] = []
    kept: list[str] = []
    for file in map(os.path.expanduser, host.settings.user_known_hosts_files):
        if os.path.exists(file):
            change = remove_host(file, name_of(host), dry_run=dry_run)
            lines += [f"{file}:{number}" for number in change.removed]
            kept += change.kept
    return Learned(lines=tuple(lines), kept=tuple(kept))


def confirm_hosts(file: Path, hosts: Sequence[tuple[Host, Sequence[ScannedKey]]]) -> None:
    """
    Note that somebody vouched for hosts where they are now; what was seen before does not count.

    Args:
        file: Remembers which key each host showed, and where.

    Raises:
        OSError: It cannot be written.
    """
    from fleetctl.ssh.seen_host_keys import Sighting, confirm_sightings

    confirm_sightings(
        file,
        [
            (host, Sighting(name_of(host), {key.key_type: key.sha256 for key in keys}))
            for host, keys in hosts
        ],
    )


def forget_hosts(file: Path, hosts: Sequence[Host]) -> None:
    """
    Forget where hosts were seen, and with which keys.

    Raises:
        OSError: The file cannot be written.
    """
    from fleetctl.ssh.seen_host_keys import forget_hosts as forget

    forget(file, hosts)


def _blobs(keys: Sequence[ScannedKey]) -> tuple[bytes, ...]:
    return tuple(base64.b64decode(key.key) for key in keys)
