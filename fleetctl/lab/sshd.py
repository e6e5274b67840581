"""
The installed sshd: finding it, what its version knows, and the configuration of one host.

Processes are started in `fleetctl.lab.fleet`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetctl.lab.layout import LabError, LabHost

_ELSEWHERE = (
    "/usr/sbin/sshd",
    "/usr/local/sbin/sshd",
    "/opt/homebrew/sbin/sshd",
    "/opt/homebrew/opt/openssh/sbin/sshd",
    "/usr/local/opt/openssh/sbin/sshd",
)

#: SetEnv, without which hosts cannot have homes of their own.
_OLDEST = (7, 8)


@dataclass(frozen=True, slots=True)
class Sshd:
    """
    An installed sshd.

    Attributes:
        path: Absolute; sshd refuses to start by a relative one.
        name: As it calls itself, ``OpenSSH_9.2p1``.
        version: ``(9, 2)``.
    """

    path: Path
    name: str
    version: tuple[int, int]


def find_sshd() -> Sshd | None:
    """Return the sshd to use, or None if there is none that is recent enough (7.8)."""
    for candidate in (shutil.which("sshd"), *_ELSEWHERE):
        if candidate and os.access(candidate, os.X_OK):
            path = Path(candidate).absolute()
            # Releases before 9.2 do not know -V and print their version with the usage.
            answer = subprocess.run(
                [path, "-V"], capture_output=True, text=True, errors="replace", check=False
            )
            found = parse_version(path, answer.stderr + answer.stdout)
            if found and found.version >= _OLDEST:
                return found
    return None


def parse_version(path: Path, text: str) -> Sshd | None:
    """Return what ``sshd -V`` or its usage says about itself, or None if it is not OpenSSH."""
    match = re.search(r"OpenSSH_(\d+)\.(\d+)\w*", text)
    return Sshd(path, match[0], (int(match[1]), int(match[2]))) if match else None


def render_config(
    host: LabHost,
    sshd: Sshd,
    *,
    as_root: bool,
    locked: bool = False,
    options: Mapping[str, str | None] | None = None,
) -> str:
    """
    Return the sshd_config of a host.

    Args:
        host: Its home and host key need not exist yet.
        sshd: Decides which keywords are known.
        as_root: The daemon runs as root, and root logs in.
        locked: The account has no password, in the way that makes sshd refuse even keys.
        options: Keywords to set instead; None leaves the keyword to sshd's own default.

    Source: sshd_config(5). The first value of a keyword counts, so each is written once.
    """
    lines: dict[str, str | None] = {
        "ListenAddress": f"{host.address}:{host.port}",
        "HostKey": str(host.host_key),
        "PidFile": "none",
        "LogLevel": "VERBOSE",
        # All hosts share one account; what tells them apart is the home.
        "SetEnv": f"HOME={host.home} LAB_HOST={host.name}",
        "AuthorizedKeysFile": str(host.home / ".ssh" / "authorized_keys"),
        "Subsystem": f"sftp internal-sftp -d {host.home}",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "yes" if as_root else None,
        "StrictModes": "no",
        # With PAM it is PAM's business whether an account is locked, and keys are not asked.
        "UsePAM": "yes" if locked else "no",
        "PrintMotd": "no",
        "PrintLastLog": "no",
        # sshd's own limits drop connections at random when a whole fleet is on one machine.
        "MaxStartups": "500:1:500",
        "MaxSessions": "100",
        "PerSourcePenalties": "no" if sshd.version >= (9, 8) else None,
    }
    spelling = {keyword.lower(): keyword for keyword in lines}
    for keyword, value in (options or {}).items():
        lines[spelling.get(keyword.lower(), keyword)] = value
    return "".join(f"{keyword} {value}\n" for keyword, value in lines.items() if value is not None)


def is_locked(user: str, shadow: Path = Path("/etc/shadow")) -> bool:
    """
    Tell whether sshd would refuse the account as locked: ``!`` before its password.

    Containers of some distributions ship root like that. Where the file cannot be read, sshd
    started by the same user cannot read it either, and refuses nobody.
    """
    try:
        lines = shadow.read_text(errors="replace").splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)


def daemon_argv(sshd: Sshd, host: LabHost) -> list[str]:
    """Return a daemon's command line; `fleetctl.lab.processes` knows it by its shape."""
    return [str(sshd.path), "-D", "-e", "-f", str(host.config)]


def daemon_env(host: LabHost) -> dict[str, str]:
    """
    Return the environment of a host's daemon; sessions do not inherit it.

    sshd writes its title over its arguments and environment; without something in the environment
    the title is cut and the path of the configuration lost.
    """
    return {"PATH": os.defpath, "LAB_CONFIG": str(host.config)}


def check_config(sshd: Sshd, config: Path) -> None:
    """
    Let sshd read the configuration of a host.

    As root, the directory that sshd separates privileges in is made if missing: packages leave
    that to the init system, which containers do not have.

    Raises:
        LabError: sshd refuses, with its own words.
    """
    complaint = _complaint(sshd, config)
    missing = re.search(r"Missing privilege separation directory: (\S+)", complaint)
    if missing and os.geteuid() == 0:
        Path(missing[1]).mkdir(mode=0o755, parents=True, exist_ok=True)
        complaint = _complaint(sshd, config)
    if complaint:
        raise LabError(f"{sshd.path} ({sshd.name}) cannot run: {complaint}")


def _complaint(sshd: Sshd, config: Path) -> str:
    answer = subprocess.run(
        [sshd.path, "-t", "-f", config],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if answer.returncode == 0:
        return ""
    return "; ".join(answer.stderr.split("\n")).strip("; \r") or f"exit {answer.returncode}"
