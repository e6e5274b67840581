"""
Keys in the files of real users, for tests of who gets in.
"""

from __future__ import annotations

import os
import subprocess

from tests.support.keys import keygen


def public_key(folder, name, *options):
    """Make a key pair; return type and key, without a comment."""
    return " ".join(
        keygen(folder / name, *(options or ("-t", "ed25519")))
        .with_suffix(".pub")
        .read_text()
        .split()[:2]
    )


def fingerprint_of(line):
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", "-"], input=line, capture_output=True, text=True, check=True
    )
    return shown.stdout.split()[1]


def own_file(accounts, host, user, *lines, name="authorized_keys"):
    """Write a file of keys as its user would."""
    home = host.directory / "root" if user == "root" else host.home / user
    path = home / ".ssh" / name
    before = path.stat() if path.exists() else (home / ".ssh").stat()
    path.write_text("".join(f"{line}\n" for line in lines))
    os.chown(path, accounts.uid(user), before.st_gid)
    path.chmod(0o600)
    return path


def inventory(accounts, host, **names):
    return str(accounts.inventory(host=host, names=names))
