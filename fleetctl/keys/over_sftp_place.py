"""
Where a user's authorized_keys is, seen over SFTP, and whether it is safe to work on it.
"""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fleetctl.keys.over_sftp_names import find_backups
from fleetctl.keys.place import MAX_FILE_BYTES, Component, FileKind, Target
from fleetctl.model.errors import FleetError
from fleetctl.ssh.sftp import NAMES, Attributes, SftpClient, SftpError, is_absent

USUAL_PATH = ".ssh/authorized_keys"

_TOKEN = re.compile("%(.)")


@dataclass(frozen=True, slots=True)
class Place:
    """
    A file and the way to it.

    Attributes:
        home: Where the session starts.
        uid: Of the user, as far as owners tell.
        attributes: Of the file; None if it is absent.
        components: See `fleetctl.keys.place.Look`.
        leftovers: Backups that are hard links to the file itself: a crash left them.
    """

    home: str
    uid: int
    path: str
    attributes: Attributes | None
    components: tuple[Component, ...]
    leftovers: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        return posixpath.dirname(self.path)

    @property
    def missing_folders(self) -> list[str]:
        """Folders on the way that are absent, the outermost first."""
        return [one.path for one in self.components[:-1] if one.kind == "absent"]


async def find_place(client: SftpClient, target: Target, user: str) -> Place:
    """
    Find the file, walk the way to it, and look at each part.

    Raises:
        FleetError: ``keys.no_home``, ``keys.unsafe_path``, ``keys.too_large``.
        SftpError: The server refuses to show something.
    """
    home, own = await _find_home(client)
    path = _expand(target.path or USUAL_PATH, home, user, own.uid or 0)
    way = await _walk(client, home, path)
    if target.follow_links and any(one is not None and one.is_link for one in way.values()):
        path = await client.realpath(path)
        way = await _walk(client, home, path)
    if home == "/" and list(way.values())[1] is None:
        raise FleetError(
            "keys.no_home",
            f"the session starts in / and there is no {list(way)[1]}: the account has no home, or"
            " sees only a part of the host",
            hint="make the folder on the host, and give it to the user",
        )
    owners = [own.uid, *(one.uid for one in way.values() if one is not None)]
    # In a part of the host that sshd confines a user to, the home is root's.
    uid = next((owner for owner in owners if owner), 0)
    names = await _names(client, owners)
    components = tuple(_component(at, one, names) for at, one in way.items())
    place = Place(home, uid, path, way[path], components)
    check_owners(place, uid)
    return await _check_links(client, place)


def check_owners(place: Place, uid: int) -> None:
    """
    Demand that everything on the way is the user's or root's, and the file the user's.

    Raises:
        FleetError: ``keys.unsafe_path``.
    """
    *folders, file = place.components
    for one in folders:
        if one.kind not in ("directory", "absent"):
            raise _unsafe(one.path, f"is {_A_KIND[one.kind]}, and not a directory")
    if file.kind not in ("file", "absent"):
        hint = None
        if file.kind == "link":
            hint = "where that is meant: --follow-links"
        raise _unsafe(file.path, f"is {_A_KIND[file.kind]}, and not a regular file", hint)
    for one in place.components:
        allowed = {uid} if one is file else {uid, 0}
        if one.kind != "absent" and one.owner not in allowed:
            raise _unsafe(one.path, f"belongs to {one.owner_name}, and not to the user ({uid})")
    size = place.attributes.size if place.attributes is not None else 0
    if (size or 0) > MAX_FILE_BYTES:
        raise too_large(place.path)


def too_large(path: str) -> FleetError:
    """Return the error of a file that is not read."""
    limit = MAX_FILE_BYTES // 1024 // 1024
    return FleetError("keys.too_large", f"{path} has more than {limit} MiB, and is not touched")


async def lstat_or_none(client: SftpClient, path: str) -> Attributes | None:
    """Return what lies at a path, None if nothing does."""
    try:
        return await client.lstat(path)
    except SftpError as error:
        if is_absent(error):
            return None
        raise


async def read_or_none(client: SftpClient, path: str) -> bytes | None:
    """
    Return what a file has in it, None if there is none.

    Raises:
        FleetError: ``keys.too_large``.
        SftpError: It cannot be read.
    """
    try:
        data = await client.read_file(path, max_bytes=MAX_FILE_BYTES)
    except SftpError as error:
        if is_absent(error):
            return None
        raise
    if data is None:
        raise too_large(path)
    return data


_A_KIND: Mapping[FileKind, str] = {
    "directory": "a directory",
    "file": "a file",
    "link": "a symbolic link",
    "other": "a device, a socket or a pipe",
}


def _unsafe(path: str, what: str, hint: str | None = None) -> FleetError:
    return FleetError("keys.unsafe_path", f"{path} {what}", hint=hint or f"ls -ld {path}")


async def _find_home(client: SftpClient) -> tuple[str, Attributes]:
    try:
        home = await client.realpath(".")
        own = await client.lstat(home)
    except SftpError as error:
        if error.status is None:
            raise
        raise FleetError("keys.no_home", f"the home is not there: {error}") from None
    if not home.startswith("/") or not own.is_directory:
        raise FleetError("keys.no_home", f"the session starts in {home}, which is no directory")
    return posixpath.normpath(home), own


def _expand(configured: str, home: str, user: str, uid: int) -> str:
    """Return the path in full. Source: sshd_config(5), AuthorizedKeysFile and TOKENS."""
    values = {"h": home, "u": user, "U": str(uid), "%": "%"}

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise FleetError("keys.unsafe_path", f"{configured}: unknown token %{match[1]}")
        return values[match[1]]

    path = _TOKEN.sub(value, configured.removeprefix("~/"))
    if not path.startswith("/"):
        path = f"{home}/{path}"
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or path.endswith("/") or "\0" in path:
        raise FleetError("keys.unsafe_path", f"{configured}: not the path of one file")
    return "/" + "/".join(parts)


async def _walk(client: SftpClient, home: str, path: str) -> dict[str, Attributes | None]:
    """Return what lies at each part of the way, from the home or, if it is outside, from ``/``."""
    start = home if path.startswith(home.rstrip("/") + "/") else "/"
    way = [start]
    for part in path.removeprefix(start).strip("/").split("/"):
        way.append(posixpath.join(way[-1], part))
    found = await asyncio.gather(*(lstat_or_none(client, one) for one in way))
    return dict(zip(way, found, strict=True))


async def _names(client: SftpClient, owners: Sequence[int | None]) -> Mapping[int, str]:
    if NAMES not in client.extensions:
        return {}
    return await client.user_names(sorted({owner for owner in owners if owner is not None}))


def _component(path: str, found: Attributes | None, names: Mapping[int, str]) -> Component:
    if found is None:
        return Component(path, "absent")
    kind: FileKind = "other"
    if found.is_directory:
        kind = "directory"
    elif found.is_file:
        kind = "file"
    elif found.is_link:
        kind = "link"
    owner = found.uid or 0
    return Component(path, kind, owner, names.get(owner, str(owner)), found.permissions)


async def _check_links(client: SftpClient, place: Place) -> Place:
    """
    Refuse a file that has other names, unless they are backups that a crash has left.

    Version 3 of SFTP has no number for that; the listing of a folder has, with most servers. Where
    it does not say, the file passes: nothing is ever written into it, only put in its place.

    Raises:
        FleetError: ``keys.unsafe_path``.
    """
    if place.attributes is None:
        return place
    entries = await client.list_directory(place.folder)
    by_path = {posixpath.join(place.folder, entry.name): entry for entry in entries}
    own = by_path.get(place.path)
    links = own.links if own is not None else None
    if own is None or links is None or links == 1:
        return place
    same = tuple(
        backup.path
        for backup in find_backups(place.path, entries)
        if (other := by_path[backup.path]).links == links and other.attributes == own.attributes
    )
    if len(same) != links - 1:
        raise _unsafe(place.path, f"has {links} hard links, and so {links - 1} other names")
    *folders, file = place.components
    return replace(place, components=(*folders, replace(file, links=links)), leftovers=same)
