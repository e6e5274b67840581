"""
A second look at a host on which a key does not log in: what speaks against it besides the file.

Asked only when a proof has failed. What the answers mean is `fleetctl.keys.why`'s business.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetctl.keys.hearing import Quiet
from fleetctl.keys.why_settings import parse_sshd_config
from fleetctl.model.errors import FleetError
from fleetctl.model.operation import ExecRequest
from fleetctl.model.remote import Remote

LOOK_TIMEOUT_S = 20.0
MAX_ANSWER_BYTES = 1024 * 1024

# Reads and changes nothing; what a host has not is left out. One function that is called in the
# last line: a transfer that is cut runs nothing.
_PROGRAM = r"""
fleetctl_evidence() {
LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
export LC_ALL PATH
unset CDPATH ENV BASH_ENV
umask 077
mark=$1 user=$2 shell=$3
say() { printf '\n%s %s\n' "$mark" "$1"; }
say groups; id -Gn "$user" 2>/dev/null
say client; printf '%s' "$SSH_CONNECTION"
say status; passwd -S "$user" 2>/dev/null </dev/null
say shell; if [ -z "$shell" ] || [ -x "$shell" ]; then printf good; else printf missing; fi
for f in /etc/nologin /var/run/nologin; do [ -e "$f" ] && { say nologin; printf '%s' "$f"; }; done
[ -d "/home/.ecryptfs/$user" ] && { say encrypted; printf '%s' "/home/.ecryptfs/$user"; }
say enforcing; cat /sys/fs/selinux/enforce 2>/dev/null
say settings
grep -h -i '^[[:space:]]*include' /etc/ssh/sshd_config >/dev/null 2>&1 &&
  cat /etc/ssh/sshd_config.d/*.conf 2>/dev/null
cat /etc/ssh/sshd_config 2>/dev/null
say end
}
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What is known of an account and of the server besides a `Look`.

    Attributes:
        settings: Of sshd_config, lower-case names; empty where it cannot be read.
        groups: Names of the user's groups.
        address: From where the host sees us come; empty if that is not known.
        is_locked: The account's password is locked; None if that is not known.
        has_shell: The login shell can be executed.
        nologin: The file that keeps everybody but root out, or None.
        encrypted: Where the contents of an encrypted home lie, or None.
        is_enforcing: SELinux is on.
    """

    settings: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    address: str = ""
    is_locked: bool | None = None
    has_shell: bool = True
    nologin: str | None = None
    encrypted: str | None = None
    is_enforcing: bool = False


async def look_for_evidence(remote: Remote, user: str, shell: str) -> Evidence:
    """
    Ask the host; where it cannot be asked, because no command runs there, return what that is.

    Args:
        user: Whose key does not log in.
        shell: The user's login shell.
    """
    mark = secrets.token_hex(12)
    words = " ".join(shlex.quote(word) for word in ("fleetctl_evidence", mark, user, shell))
    program = f"{_PROGRAM}{words}\n".encode("utf-8", "surrogateescape")
    request = ExecRequest(
        "exec sh -s", stdin=program, timeout_s=LOOK_TIMEOUT_S, max_output_bytes=MAX_ANSWER_BYTES
    )
    try:
        result = await Quiet(remote).exec(request)
    except FleetError:
        return Evidence()
    return read_evidence(result.stdout, mark)


def read_evidence(answer: bytes, mark: str) -> Evidence:
    """Return what the program found; nothing if something else answered."""
    found: dict[str, bytes] = {}
    for part in answer.split(b"\n" + mark.encode() + b" ")[1:]:
        name, _, value = part.partition(b"\n")
        found.setdefault(name.decode("ascii", "replace"), value)
    if "end" not in found:
        return Evidence()
    text = {name: value.decode("utf-8", "replace").strip() for name, value in found.items()}
    status = text["status"].split()
    return Evidence(
        settings=parse_sshd_config(found["settings"]),
        groups=tuple(text["groups"].split()),
        address=(text["client"].split() or [""])[0],
        is_locked=status[1] in ("L", "LK") if len(status) > 1 else None,
        has_shell=text["shell"] != "missing",
        nologin=text.get("nologin"),
        encrypted=text.get("encrypted"),
        is_enforcing=text["enforcing"] == "1",
    )
