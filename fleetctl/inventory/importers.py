"""
Inventories from what is there: /etc/hosts, known_hosts.

Each function returns YAML in our own form, to be looked through and kept, and a note for every
line that could not be taken over. Files are not read here.

Source: hosts(5); sshd(8), SSH_KNOWN_HOSTS FILE FORMAT.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from fleetctl.inventory.entries import ALL, Place
from fleetctl.inventory.names import check_host_name
from fleetctl.inventory.native import ACCUMULATING
from fleetctl.inventory.outline import Key, Outline, gather
from fleetctl.inventory.render import RESERVED_NAMES, Written, render
from fleetctl.inventory.yaml_text import write_words
from fleetctl.model.errors import Problem, UsageError
from fleetctl.model.nodeset import natural_key

_BROADCAST = ipaddress.ip_address("255.255.255.255")
#: What a line of /etc/hosts calls ip6-localnet.
_LOCAL_NET = ipaddress.ip_address("fe00::")
_HASHED_HINT = (
    "leave them out with --skip-hashed and take these names from ssh_config or /etc/hosts; "
    "ssh-keygen -F NAME tells whether a name is among them"
)


@dataclass(slots=True)
class Found:
    """
    Hosts and groups to be written.

    Attributes:
        hosts: The settings of each, as text of YAML.
        groups: The hosts and the child groups of each.
        notes: What could not be taken over.
    """

    hosts: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    notes: list[Problem] = field(default_factory=list)

    def add(self, name: str, settings: Mapping[str, str], place: Place) -> None:
        """Take a host in, unless it is known already; a name that no host can have is noted."""
        if name in self.hosts:
            return
        why = check_name(name)
        if why:
            self.note(place, f"left out: {why}")
        else:
            self.hosts[name] = dict(settings)

    def note(self, place: Place, message: str, *, hint: str | None = None) -> None:
        """Say that something was left out."""
        self.notes.append(place.problem(message, hint=hint))

    def write(self) -> Written:
        """Return the text; what most hosts have in common is said once."""
        names = sorted(self.hosts, key=natural_key)
        hosts: dict[str, dict[Key, str]] = {
            name: {("ssh", key): text for key, text in self.hosts[name].items()} for name in names
        }
        grouped = {host for members, _ in self.groups.values() for host in members}
        below = {child for _, children in self.groups.values() for child in children}
        outline = Outline(
            hosts,
            own_hosts={
                ALL: [name for name in names if name not in grouped],
                **{
                    name: sorted(members, key=natural_key)
                    for name, (members, _) in self.groups.items()
                },
            },
            children={
                ALL: [name for name in self.groups if name not in below],
                **{name: children for name, (_, children) in self.groups.items()},
            },
        )
        gather(outline, {ALL: names}, dict.fromkeys(names, (ALL,)), joined=ACCUMULATING)
        return Written(render(outline), tuple(dict.fromkeys(self.notes)), len(names))


def check_name(name: str) -> str | None:
    """Return why this cannot be the name of a host in what is written, or None if it can."""
    if name in RESERVED_NAMES:
        return f'"{name}" has a meaning of its own in an inventory'
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "a name is not UTF-8 text"
    return check_host_name(name)


def import_etc_hosts(files: Mapping[str, bytes]) -> Written:
    """
    Return the hosts of /etc/hosts, each with the first of its names.

    This machine itself, broadcast and multicast addresses and ``0.0.0.0`` are no hosts.

    Args:
        files: The content of each, by name.
    """
    found = Found()
    known: dict[str, str] = {}
    for place, text in _lines(files):
        words = text.partition("#")[0].split()
        if not words:
            continue
        address, *names = words
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            found.note(place, f'left out: "{address}" is not an address')
            continue
        if not names:
            found.note(place, f"left out: {address} has no name")
        elif not _is_host(parsed):
            continue
        elif known.setdefault(names[0], address) != address:
            found.note(place, f'left out: "{names[0]}" has the address {known[names[0]]} already')
        else:
            found.add(names[0], {"HostName": _address(address)}, place)
    return found.write()


def _is_host(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return not (
        address.is_loopback
        or address.is_multicast
        or address.is_unspecified
        or address in (_BROADCAST, _LOCAL_NET)
    )


def import_known_hosts(files: Mapping[str, bytes], *, skip_hashed: bool = False) -> Written:
    """
    Return the hosts of known_hosts files.

    Args:
        files: The content of each, by name.
        skip_hashed: Leave out lines with hashed names.

    Raises:
        UsageError: There are hashed names, which cannot be read back.
    """
    found = Found()
    hashed: dict[str, list[Place]] = {}
    for place, text in _lines(files):
        words = text.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0].startswith("@"):
            found.note(place, f"left out: {words[0]} is about keys, not about one host")
        elif len(words) < 3:
            found.note(place, "left out: a name, a type and a key are expected")
        elif words[0].startswith("|"):
            hashed.setdefault(place.file, []).append(place)
        else:
            _take_names(words[0], place, found)
    counts = {places[0]: _count_hashed(places, files[file]) for file, places in hashed.items()}
    if counts and not skip_hashed:
        raise UsageError(
            problems=[
                place.problem(f"{count}, which cannot be read back", hint=_HASHED_HINT)
                for place, count in counts.items()
            ]
        )
    for place, count in counts.items():
        found.note(place, f"left out: {count}")
    return found.write()


def _count_hashed(places: Sequence[Place], data: bytes) -> str:
    total = sum(bool(line.strip()) for line in data.split(b"\n"))
    return f"{len(places)} of {total} lines have hashed names"


def _take_names(text: str, place: Place, found: Found) -> None:
    """Take the first name that is no address; the names of a line are one host."""
    names = [_name_and_port(each) for each in text.split(",")]
    usable = [
        each for each in names if not each[0].startswith("!") and not set(each[0]) & set("*?")
    ]
    if not usable:
        found.note(place, f"left out: {text} is a pattern, not the name of a host")
        return
    name, port = min(usable, key=lambda each: _is_address(each[0]))
    if port and not 0 < int(port) < 65536:
        found.note(place, f"left out: {port} is not a port")
        return
    settings = {"Port": port} if port else {}
    if found.hosts.get(name, settings) == settings:
        found.add(name, settings, place)
    else:
        found.add(f"{name}-{port or 22}", {"HostName": _address(name), **settings}, place)


def _address(text: str) -> str:
    """Return a HostName; a ``%`` in it begins a zone and no token."""
    return write_words([without_tokens(text)], as_list=False)


def without_tokens(text: str) -> str:
    """Return the text such that it means itself where tokens are replaced."""
    return text.replace("%", "%%")


def _name_and_port(text: str) -> tuple[str, str | None]:
    match = re.fullmatch(r"\[(.+)\]:([0-9]{1,5})", text)
    if not match:
        return text, None
    return match[1], None if match[2] == "22" else match[2]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _lines(files: Mapping[str, bytes]) -> Iterator[tuple[Place, str]]:
    for file, data in files.items():
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
        for number, line in enumerate(text.split("\n"), 1):
            yield Place(file, number), line.rstrip("\r")
