"""
The verdicts of the real ssh on host keys, for comparing with ours.
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetctl.lab.layout import LabHost
from fleetctl.ssh.algorithms import HOST_CERTIFICATES, HOST_KEYS
from fleetctl.ssh.host_verdict import (
    HostKeyFiles,
    Question,
    blob_type_of,
    judge,
    load_host_key_files,
    order_algorithms,
    read_shown_key,
)
from fleetctl.ssh.known_hosts import lookup_names
from fleetctl.ssh.public_key import key_type_of
from tests.support.keys import keygen

ALGORITHMS = (*HOST_CERTIFICATES, *HOST_KEYS)

#: What ssh says -> the verdict, the first that is found.
_SAYINGS = (
    ("REVOKED HOST KEY", "revoked"),
    ("revoked by file", "revoked"),
    ("in revoked keys file", "revoked"),
    ("IDENTIFICATION HAS CHANGED", "changed"),
    ("host key is known for", "unknown"),
    ("not permitted by HostkeyAlgorithms", "unknown"),
    ("Permission denied (", "trusted"),
)


@dataclass(frozen=True)
class Oracle:
    """A real sshd with some host keys, and files to write known_hosts to."""

    folder: Path
    address: str
    port: int
    keys: tuple[bytes, ...]

    @property
    def files(self) -> tuple[str, str, str]:
        """The user's two, and the system's."""
        user, user2, system = (str(self.folder / name) for name in ("user", "user2", "system"))
        return user, user2, system

    def write(self, contents: list[bytes]) -> None:
        for file, content in zip(self.files, contents, strict=True):
            Path(file).write_bytes(content)

    def ask_ssh(self, alias: str | None, *options: str) -> str:
        """Return the verdict of the real ssh."""
        if alias is not None:
            options = (*options, "-o", f"HostKeyAlias={alias}")
        user, user2, system = self.files
        done = subprocess.run(
            [
                *("ssh", "-F", "/dev/null", "-p", str(self.port), *options),
                *("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"),
                *("-o", f"UserKnownHostsFile={user} {user2}"),
                *("-o", f"GlobalKnownHostsFile={system}", "-o", "PreferredAuthentications=none"),
                *("-o", "IdentityAgent=none", "-o", "UpdateHostKeys=no"),
                *("-o", "KexAlgorithms=curve25519-sha256", self.address, "true"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        for words, verdict in _SAYINGS:
            if words in done.stderr:
                return verdict
        raise AssertionError(f"ssh says nothing that is known: {done.stderr}")

    def revokes_by_plain_name(self) -> bool:
        entries = load_host_key_files(self.files, ()).known.entries(self.address)
        return any(key.marker == "@revoked" and key.blob in self.keys for key in entries)

    def ask_us(self, alias: str | None, files: HostKeyFiles | None = None) -> str:
        """Return our verdict on the key the server would show us."""
        files = files or load_host_key_files(self.files, ())
        names = (alias.lower(),) if alias is not None else lookup_names(self.address, self.port)
        offered = order_algorithms(ALGORITHMS, files, names, as_set=False)
        held = {key_type_of(key): key for key in self.keys}
        algorithm = next(name for name in offered if blob_type_of(name) in held)
        shown = read_shown_key(held[blob_type_of(algorithm)], algorithm)
        return judge(files, shown, Question(names, names[0]), 0.0).verdict


def make_oracle(fleet, folder: Path, name: str, types: Sequence[str]) -> tuple[Oracle, LabHost]:
    """Start an sshd with host keys of these types of ssh-keygen."""
    paths = [
        keygen(folder / f"{name}_{key_type}", "-t", key_type, *["-b2048"] * (key_type == "rsa"))
        for key_type in types
    ]
    host = fleet.sshd(name, {"HostKey": "\nHostKey ".join(map(str, paths))})
    keys = tuple(
        base64.b64decode(path.with_name(f"{path.name}.pub").read_text().split()[1])
        for path in paths
    )
    return Oracle(folder, host.address, host.port, keys), host
