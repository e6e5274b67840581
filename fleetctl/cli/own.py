"""
The judge of files for one command line: what is the user's own here, and what they trusted.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from pathlib import Path

from fleetctl.cli.state import config_directory, state_directory
from fleetctl.trust.judge import Trust
from fleetctl.trust.permissions import Account
from fleetctl.trust.store import TrustStore

SYSTEM_FOLDER = Path("/etc/ssh")
#: Variables whose value is a file that the user chose, as if it were on the command line.
NAMING_VARIABLES = ("FLEETCTL_CONFIG", "FLEETCTL_INVENTORY")


def open_store(environ: Mapping[str, str]) -> TrustStore:
    """Return the records of what this user trusts."""
    return TrustStore(state_directory(environ), Account.from_process())


def make_trust(environ: Mapping[str, str], *, named: Iterable[str] = ()) -> Trust:
    """
    Return the judge.

    Args:
        named: Files named on the command line.
    """
    variables = [environ[name] for name in NAMING_VARIABLES if environ.get(name)]
    homes = dict.fromkeys([os.path.expanduser("~"), _home_of_user()])
    return Trust(
        places=[
            *(Path(home, ".ssh") for home in homes if home),
            SYSTEM_FOLDER,
            config_directory(environ),
        ],
        named=[Path(name) for name in (*named, *variables)],
        store=open_store(environ),
        account=Account.from_process(),
    )


def _home_of_user() -> str | None:
    """Return the home directory that ssh uses, whatever HOME says."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return None
