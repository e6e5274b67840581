"""
The files of a machine that has other accounts: users with their shells and passwords, and what
sudo, doas, su and PAM may do for them.

Everything is a text made from values; who writes and mounts it is `tests.support.accounts`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.patience import PATIENCE_S

#: Login shells that are links to something on this machine: name below /etc/login-shells -> target.
LINKED_SHELLS: Mapping[str, str] = {"ash": "/bin/busybox"}


@dataclass(frozen=True, slots=True)
class Account:
    """
    One user of the machine.

    Attributes:
        name: Whom to log in as; the home is ``/home/<name>``.
        shell: The login shell.
        sudoers: The user's lines in sudoers.
        doas: The user's lines in doas.conf.
        is_expired: The password must be changed before anything else.
        is_awkward: The password holds blanks, quotes and letters beyond ASCII.
    """

    name: str
    shell: str = "/bin/bash"
    sudoers: str = ""
    doas: str = ""
    is_expired: bool = False
    is_awkward: bool = False


def _sudoer(name: str, defaults: str = "", *, is_expired: bool = False) -> Account:
    """A user who may run everything with a password, under these Defaults."""
    lines = f"Defaults:{name} {defaults}\n" if defaults else ""
    return Account(name, sudoers=f"{lines}{name} ALL=(ALL:ALL) ALL\n", is_expired=is_expired)


#: Everybody besides root, who has a password for su.
ACCOUNTS: Sequence[Account] = (
    Account("u-sh", "/bin/sh"),
    Account("u-dash", "/bin/dash"),
    Account("u-bash", "/bin/bash"),
    Account("u-ash", "/etc/login-shells/ash"),
    Account("u-ksh", "/bin/ksh"),
    Account("u-zsh", "/bin/zsh"),
    Account("u-csh", "/bin/csh"),
    Account("u-tcsh", "/bin/tcsh"),
    Account("u-fish", "/usr/bin/fish"),
    Account("u-nologin", "/usr/sbin/nologin"),
    Account("u-false", "/bin/false"),
    _sudoer("admin"),
    Account("awkward", sudoers="awkward ALL=(ALL:ALL) ALL\n", is_awkward=True),
    Account("nopass", sudoers="nopass ALL=(ALL:ALL) NOPASSWD: ALL\n"),
    Account("nosudo"),
    Account("limited", sudoers="limited ALL=(root) /usr/bin/id\n"),
    _sudoer("tty", "requiretty"),
    Account(
        "tty-nopass",
        sudoers="Defaults:tty-nopass requiretty\ntty-nopass ALL=(ALL:ALL) NOPASSWD: ALL\n",
    ),
    _sudoer("lecture", "lecture=always"),
    _sudoer("usepty", "use_pty"),
    _sudoer("rootpw", "rootpw"),
    _sudoer("targetpw", "targetpw"),
    _sudoer("one-try", "passwd_tries=1"),
    _sudoer("insults", "insults"),
    _sudoer("expired", is_expired=True),
    Account("doas-pass", doas="permit doas-pass\n"),
    Account("doas-persist", doas="permit persist doas-persist\n"),
    Account("doas-nopass", doas="permit nopass doas-nopass\n"),
    Account("doas-deny", doas="deny doas-deny\n"),
)

_SUDOERS = """\
Defaults env_reset
Defaults !mailto
Defaults !use_pty
Defaults lecture=never
Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
root ALL=(ALL:ALL) ALL
"""

#: Of its own, because that of this machine may ask a directory service. Refusals are not delayed.
_PAM = """\
auth required pam_unix.so nodelay
account required pam_unix.so
password required pam_unix.so sha512
session required pam_unix.so
"""

_PAM_SU = "auth sufficient pam_rootok.so\n" + _PAM

_NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"


def render_passwd(accounts: Sequence[Account], own: str, *, first_uid: int, gid: int) -> str:
    """Return passwd(5): the system's accounts of ``own``, and these from ``first_uid`` on."""
    lines = [f"{line}\n" for line in own.splitlines() if _is_of_system(line)]
    users = [
        f"{account.name}:x:{uid}:{gid}:{account.name}:/home/{account.name}:{account.shell}\n"
        for uid, account in enumerate(accounts, start=first_uid)
    ]
    return "".join(["root:x:0:0:root:/root:/bin/bash\n", *lines, *users])


def _is_of_system(line: str) -> bool:
    uid = line.split(":")[2:3]
    return bool(uid) and uid[0].isdecimal() and (0 < int(uid[0]) < 1000 or uid[0] == "65534")


def render_shadow(accounts: Sequence[Account], hashes: Mapping[str, str]) -> str:
    """
    Return shadow(5) of root and these accounts; ``hashes`` has a password's hash for each.

    A password of an expired account was last changed on day 0: it must be changed.
    """
    days = {account.name: 0 if account.is_expired else 19000 for account in accounts}
    return "".join(
        f"{name}:{hashes[name]}:{day}:0:99999:7:::\n"
        for name, day in {"root": 19000, **days}.items()
    )


def render_sudoers(accounts: Sequence[Account], extra: str) -> str:
    """Return sudoers(5); what is extra comes last, and in sudoers the last match counts."""
    return _SUDOERS + "".join(account.sudoers for account in accounts) + extra


def render_doas(accounts: Sequence[Account], extra: str) -> str:
    """Return doas.conf(5); what is extra comes last, and in doas.conf the last match counts."""
    return "".join(account.doas for account in accounts) + extra


def hash_passwords(passwords: Mapping[str, str]) -> dict[str, str]:
    """Return each name's password as SHA-512 crypt(5)."""
    answer = subprocess.run(
        ["openssl", "passwd", "-6", "-stdin"],
        input="".join(f"{password}\n" for password in passwords.values()),
        capture_output=True,
        check=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return dict(zip(passwords, answer.stdout.splitlines(), strict=True))


def write_etc(
    etc: Path, passwd: str, shadow: str, *, gid: int, hostname: str, sudoers: str, doas: str
) -> None:
    """Put these accounts in a copy of this machine's /etc."""
    subprocess.run(["cp", "-a", "/etc", etc], check=True, timeout=PATIENCE_S)
    for name in ("nologin", "environment", "motd", "legal", "gshadow"):
        (etc / name).unlink(missing_ok=True)
    shells = sorted({line.rsplit(":", 1)[1] for line in passwd.splitlines()})
    with (etc / "group").open("a") as stream:
        stream.write(f"accounts:x:{gid}:\n")
    _write(etc / "passwd", passwd)
    _write(etc / "shadow", shadow, mode=0o600)
    _write(etc / "shells", "".join(f"{shell}\n" for shell in shells))
    _write(etc / "nsswitch.conf", _NSSWITCH)
    _write(etc / "hosts", f"127.0.0.1 localhost {hostname}\n::1 localhost\n")
    _write(etc / "sudoers", sudoers, mode=0o440)
    _write(etc / "doas.conf", doas, mode=0o400)
    for service in ("sshd", "sudo", "sudo-i", "doas", "passwd", "login", "other"):
        _write(etc / "pam.d" / service, _PAM)
    for service in ("su", "su-l"):
        _write(etc / "pam.d" / service, _PAM_SU)
    (etc / "login-shells").mkdir(mode=0o755)
    for name, target in LINKED_SHELLS.items():
        (etc / "login-shells" / name).symlink_to(target)


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    # What is there may be a link to a file of this machine.
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)
