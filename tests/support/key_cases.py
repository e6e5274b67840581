"""
The files of ``tests/cases/authorized_keys``: what stands in an authorized_keys, and who it lets in.

A case is JSON: ``says``; ``text``, in which ``<ed>`` and the like stand for keys; ``logins``: what
``echo asked`` prints for each key when it logs in to sshd, null where it is refused; ``dropbear``:
the same for dropbear, where that is known. Bytes that are no UTF-8 are surrogates.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetctl.keys.authorized_keys import KeyFileText, ServerVersion, liveness, parse
from fleetctl.lab.layout import LabHost
from tests.support.fleet import Fleet
from tests.support.keys import keygen
from tests.support.patience import PATIENCE_S

FOLDER = Path(__file__).resolve().parents[1] / "cases" / "authorized_keys"

#: What is asked for at every login.
ASKED = "echo asked"
PAST, FUTURE = "20200101000000", "20990101000000"
_TOKEN = re.compile(r"<([a-z]+)(?:\.([a-zA-Z]+)|\*([0-9]+))?>")
# Of a token that nobody has: a point of its curve and an application.
_SK_BLOB = (
    "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAICFo/k5LU8863u66YC9eUO2170QduohPURkQnbLa"
    "/dczAAAABHNzaDo="
)
_DSA_BLOB = (
    "AAAAB3NzaC1kc3MAAACBAI1pd5IOnHP/qV8oOezu0/+guYJCG6541ZpJxSdpLpx8hhVC0Ap13D3lRHJpgBlow9u8"
    "v6KRvgXHmVvFfP4WZL8ysVOJN5Hk5RF1InqD9sGM1n9IyhJCJ7SVmc6dtsrXyRChjWNxjxKl2SpZ3WfGXhp/Jveh"
    "kX0sWeYtOquwehbBAAAAFQCe/JDeygVGZfJWmbqi8Ix9VSVpiwAAAIAuAkd9Xj+32/8oBogGrVgZZ4wUGeU3Zepq"
    "GwjdCZN1xM8alfJZ+9dDlwGNXiZioFZIL+eQ2g+FACBoOBm3A3HT3d3bbxqfz2VsrdeyGxCwSjVLkJ9e6TAAIVAG"
    "tXKkB5mAa3is6yRL8cU2AgrXJ9nx0eUrdPVySa4ar0aWqEu+WwAAAIAivD1QO//yK9EVifZrhreA9ZjSTxpchpSI"
    "RY2b7KoAE2cwFsKpGZT/4nQo+N9w0dJ26bbzJB/Ws7tSgE8ojv1rgYKUmTwrZ2dfrXSs/rL0LWjRYfeWo59fOP8D"
    "3NH1lZpTdmR6SZR8/Luha0RdvhiICd/vMafyWKqQhAq9MZlpbQ=="
)


@dataclass(frozen=True)
class Case:
    """
    One file.

    Attributes:
        says: What it is about.
        text: What stands in it, before keys are filled in.
        logins: Name of a key -> what its login prints, None where it is refused.
        dropbear: The same for dropbear, if it is known.
    """

    name: str
    says: str
    text: str
    logins: Mapping[str, str | None]
    dropbear: Mapping[str, str | None]


def load_cases() -> list[Case]:
    """Read all cases, sorted by name."""
    return [_load(file) for file in sorted(FOLDER.glob("*.json"))]


def _load(file: Path) -> Case:
    data = json.loads(file.read_text())
    parts = data["text"] if isinstance(data["text"], list) else [data["text"]]
    text = "".join(p if isinstance(p, str) else p["text"] * p["times"] for p in parts)
    return Case(file.stem, data["says"], text, data["logins"], data.get("dropbear", {}))


class CaseKeys:
    """
    Key pairs for the names in cases.

    Attributes:
        folder: Where they are: ``ed``, ``ed.pub``, ``cert``, ``cert-cert.pub``, and so on.
        user: Whom the certificate is for.
    """

    def __init__(self, folder: Path, user: str) -> None:
        self.folder, self.user = folder, user
        for name, options in {
            "ed": ("-t", "ed25519"),
            "rsa": ("-t", "rsa", "-b", "2048"),
            "ecdsa": ("-t", "ecdsa", "-b", "256"),
            "ca": ("-t", "ed25519"),
            "cert": ("-t", "ed25519"),
            "other": ("-t", "ed25519"),
        }.items():
            keygen(folder / name, *options)
        subprocess.run(
            [
                *("ssh-keygen", "-q", "-s", folder / "ca", "-I", "case", "-n", user),
                folder / "cert.pub",
            ],
            check=True,
        )

    def blob(self, name: str) -> str:
        """Return the base64 of a key's public half."""
        return self._pair(name)[1]

    def _pair(self, name: str) -> tuple[str, str]:
        file = "cert-cert.pub" if name == "cert" else f"{name}.pub"
        fixed = {
            "sk": ("sk-ssh-ed25519@openssh.com", _SK_BLOB),
            "dsa": ("ssh-dss", _DSA_BLOB),
        }
        if name in fixed:
            return fixed[name]
        key_type, blob = (self.folder / file).read_text().split()[:2]
        return key_type, blob

    def fill(self, text: str, *, client: str = "127.0.0.1") -> bytes:
        """Return the bytes of a file."""
        plain = {"user": self.user, "client": client, "past": PAST, "future": FUTURE}

        def of(found: re.Match[str]) -> str:
            name, part, times = found.groups()
            if times:
                return name * int(times)
            if name in plain:
                return plain[name]
            key_type, blob = self._pair(name)
            return {
                None: f"{key_type} {blob}",
                "type": key_type,
                "TYPE": key_type.upper(),
                "blob": blob,
                "bare": blob.rstrip("="),
                "head": blob[:40],
                "tail": blob[40:],
                "bits": _with_extra_bits(blob),
            }[part]

        return _TOKEN.sub(of, text).encode("utf-8", "surrogateescape")

    def predict(
        self, data: bytes, name: str, server: str, *, client: str = "127.0.0.1", at: int
    ) -> str | None:
        """Return what our reading of a file says a login with this key prints."""
        text, offered = parse(data), self.offered(name)
        return predict(text, offered, server, user=self.user, client=client, at=at)

    def offered(self, name: str) -> tuple[str, bool]:
        """Return the base64 that has to be in the file, and whether as an authority."""
        return (self.blob("ca"), True) if name == "cert" else (self.blob(name), False)


def _with_extra_bits(blob: str) -> str:
    """Return base64 that stands for the same bytes, with bits behind the last one."""
    signs = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bare = blob.rstrip("=")
    if bare == blob:
        return blob  # there is no room for any
    return f"{bare[:-1]}{signs[signs.index(bare[-1]) + 1]}{blob[len(bare) :]}"


def predict(
    text: KeyFileText, offered: tuple[str, bool], server: str, *, user: str, client: str, at: int
) -> str | None:
    """Return what a login of a user prints by our reading."""
    blob, as_authority = base64.b64decode(offered[0]), offered[1]
    states = liveness(
        text,
        at=at,
        utc_offset=0,
        server=ServerVersion.parse(server),
        client_address=client,
    )
    for state in states:
        key = state.key
        if state.lets_in and key and key.blob == blob and key.is_authority == as_authority:
            named = [o.value or "" for o in key.options if o.name == "principals"]
            if named and user not in named[0].split(","):
                continue
            forced = [o.value for o in key.options if o.name == "command"]
            return shell(forced[0] or "") if forced else shell(ASKED)
    return None


def shell(command: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, check=False, env=dict(os.environ)
    )
    return done.stdout.decode().rstrip("\n")


def log_in(fleet: Fleet, host: LabHost, key: Path, *, user: str | None = None) -> str | None:
    """
    Log in with one private key by OpenSSH's client, and ask `ASKED`.

    Returns:
        What was printed, None if the server refused the key; all else fails.
    """
    argv = [
        *("ssh", "-F", "/dev/null", "-p", str(host.port), "-i", str(key)),
        *("-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
        *("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={fleet.known_hosts}"),
        *("-o", "PreferredAuthentications=publickey", "-o", "GlobalKnownHostsFile=/dev/null"),
        *("-l", user or fleet.user, host.address, ASKED),
    ]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
    )
    if done.returncode == 255:
        assert b"Permission denied (publickey" in done.stderr, done.stderr
        return None
    return done.stdout.decode().rstrip("\n")
