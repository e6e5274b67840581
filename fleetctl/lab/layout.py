"""
What a lab consists of and where its files lie: values, names, addresses and the texts it writes.

Starting and ending processes is not here: see `fleetctl.lab.fleet`.
"""

from __future__ import annotations

import errno
import json
import os
import pwd
import random
import re
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fleetctl.lab.keys import KeyPair, generate_key
from fleetctl.model.errors import UsageError

MAX_HOSTS = 1000

#: Below the ranges that Linux (32768) and macOS (49152) hand out to outgoing connections.
_PORTS = range(20000, 32000)

#: Group names the inventory of a lab uses for itself.
_RESERVED = frozenset({"all", "ungrouped", "eu", "us"})


class LabError(UsageError):
    """The lab cannot be started, stopped or looked at as asked."""


@dataclass(frozen=True, slots=True)
class LabHost:
    """
    One host of a lab.

    Attributes:
        name: Its name in the lab's inventory.
        address: The loopback address it listens on.
        port: Its TCP port.
        home: What ``~`` is for everybody who logs in.
        log: What its daemon wrote; shared by all hosts of an embedded server.
        pid: Its daemon; None until started.
    """

    name: str
    address: str
    port: int
    home: Path
    log: Path
    pid: int | None = None

    @property
    def directory(self) -> Path:
        """Where its configuration and host key lie."""
        return self.home.parent

    @property
    def config(self) -> Path:
        """The sshd_config it is started with; absent in an embedded lab."""
        return self.directory / "sshd_config"

    @property
    def host_key(self) -> Path:
        """Its private host key."""
        return self.directory / "host_key"


@dataclass(frozen=True, slots=True)
class Lab:
    """
    A lab on disk.

    Attributes:
        directory: Absolute; everything the lab owns lies in it.
        hosts: In the order of their names.
        engine: ``sshd (OpenSSH_9.2)`` or ``embedded``.
    """

    directory: Path
    hosts: tuple[LabHost, ...]
    engine: str

    @property
    def inventory(self) -> Path:
        """A fleetctl inventory of all hosts, ready for ``-i``."""
        return self.directory / "inventory.yml"

    @property
    def known_hosts(self) -> Path:
        """The host keys of all hosts."""
        return self.directory / "known_hosts"

    @property
    def identity(self) -> Path:
        """The private key that logs in everywhere."""
        return self.directory / "id_ed25519"


def login_user() -> str:
    """Return the account every host of a lab logs in to: the one that runs this process."""
    return pwd.getpwuid(os.geteuid()).pw_name


def check_directory(directory: Path) -> None:
    """
    Refuse paths that sshd cannot be told about.

    Raises:
        LabError: The path holds white space or a character with a meaning in sshd_config.

    Source: sshd splits the arguments of ``internal-sftp -d`` at blanks without honouring quotes
    and expands ``%`` in them.
    """
    if not re.fullmatch(r"[\w./+@:,=~-]+", str(directory)):
        raise LabError(
            f"the lab cannot live in {directory}: blanks, quotes and % cannot be written"
            " in sshd_config",
            hint="choose a directory with a plainer name",
        )


def host_names(count: int, prefix: str) -> list[str]:
    """
    Return ``web01`` to ``web20``: numbers padded to equal width, at least two digits.

    Raises:
        LabError: The count or the prefix cannot be used.
    """
    if not 1 <= count <= MAX_HOSTS:
        raise LabError(f"a lab has 1 to {MAX_HOSTS} hosts, not {count}")
    if not re.fullmatch(r"[a-z][a-z-]*", prefix) or prefix in _RESERVED:
        raise LabError(
            f'hosts cannot be called "{prefix}01": a prefix is lower-case letters and "-",'
            f" and none of {', '.join(sorted(_RESERVED))}"
        )
    width = max(2, len(str(count)))
    return [f"{prefix}{number:0{width}d}" for number in range(1, count + 1)]


def loopback_address(index: int, *, block: int) -> str:
    """Return the loopback address number ``index`` (from 0) of ``127.block.0.0/16``."""
    return f"127.{block}.{index // 250}.{index % 250 + 1}"


def free_endpoints(count: int, *, block: int = 77, first: int = 0) -> list[tuple[str, int]]:
    """
    Return one free (address, port) per host.

    Distinct addresses with one port, or, where only 127.0.0.1 exists, distinct ports.

    Args:
        count: How many.
        block: Addresses are from ``127.block.0.0/16``.
        first: Number of the first address, from 0.

    Raises:
        LabError: No free port was found.
    """
    addresses = [loopback_address(index, block=block) for index in range(first, first + count)]
    if not _is_local(addresses[0]):
        return _distinct_ports(count)
    for port in random.sample(_PORTS, 50):
        endpoints = [(address, port) for address in addresses]
        if _all_free(endpoints):
            return endpoints
    raise LabError("no TCP port is free on all loopback addresses of the lab")


def _distinct_ports(count: int) -> list[tuple[str, int]]:
    endpoints: list[tuple[str, int]] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if len(endpoints) == count:
            break
        if _all_free([("127.0.0.1", port)]):
            endpoints.append(("127.0.0.1", port))
    if len(endpoints) < count:
        raise LabError(f"127.0.0.1 has only {len(endpoints)} free TCP ports, not {count}")
    return endpoints


def _is_local(address: str) -> bool:
    # Linux answers for all of 127.0.0.0/8, macOS and the BSDs only for what is configured.
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            return False
    return True


def _all_free(endpoints: Iterable[tuple[str, int]]) -> bool:
    with ExitStack() as sockets:
        for endpoint in endpoints:
            probe = sockets.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(endpoint)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                return False
    return True


def write_private(path: Path, data: bytes) -> None:
    """
    Create a file only its owner can read.

    Raises:
        FileExistsError: It exists.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(data)


def write_host(host: LabHost, user_key: KeyPair) -> str:
    """
    Create a host's directory: its home with authorized_keys, and its host key.

    Returns:
        The host's line for known_hosts.
    """
    (host.home / ".ssh").mkdir(mode=0o700, parents=True)
    write_private(host.home / ".ssh" / "authorized_keys", f"{user_key.public} lab\n".encode())
    host_key = generate_key()
    write_private(host.host_key, host_key.private)
    return known_hosts_line(host, host_key)


def known_hosts_line(host: LabHost, host_key: KeyPair) -> str:
    """Return the line of known_hosts that vouches for the key on this host."""
    return f"[{host.address}]:{host.port} {host_key.public}\n"


def render_inventory(lab: Lab, *, group: str, user: str) -> str:
    """
    Return the lab's inventory.

    Every host is in ``group``; those with odd numbers are also in ``eu``, the others in ``us``.
    """
    # JSON strings are YAML strings: nothing in a path can be taken for YAML.
    lines = [
        "# Written by `fleetctl lab start`, removed by `fleetctl lab stop`.",
        "all:",
        "  ssh:",
        f"    User: {json.dumps(user)}",
        f"    IdentityFile: {json.dumps(str(lab.identity))}",
        '    IdentitiesOnly: "yes"',
        f"    UserKnownHostsFile: {json.dumps(str(lab.known_hosts))}",
        '    StrictHostKeyChecking: "yes"',
        "  children:",
        f"    {group}:",
        "      hosts:",
        *(
            f"        {host.name}: {{ssh: {{HostName: {host.address}, Port: {host.port}}}}}"
            for host in lab.hosts
        ),
        *_render_group("eu", lab.hosts[0::2]),
        *_render_group("us", lab.hosts[1::2]),
    ]
    return "\n".join(lines) + "\n"


def _render_group(name: str, hosts: Sequence[LabHost]) -> list[str]:
    if not hosts:
        return [f"    {name}: {{hosts: {{}}}}"]
    return [f"    {name}:", "      hosts:", *(f"        {host.name}:" for host in hosts)]
