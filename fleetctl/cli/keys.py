"""
``fleetctl keys``: who may log in with which key. Each command has a file of its own.
"""

from __future__ import annotations

import click

from fleetctl.cli.lazy import LazyCommands

#: Command -> its module, and its line in ``fleetctl keys --help``.
COMMANDS = {
    "generate": ("keys_generate", "Make a key pair: ed25519, or RSA or ECDSA where it must be."),
    "certify": ("keys_certify", "Sign a public key as ssh-keygen -s does."),
    "deploy": ("keys_deploy", "Let keys log in to every host of a pattern, and prove that."),
    "revoke": ("keys_revoke", "Take keys away again, and prove that they are refused."),
    "rotate": ("keys_rotate", "Put a new key in the place of an old one, locking nobody out."),
    "grant": ("keys_grant", "Let a key log in for a while."),
    "expire": ("keys_expire", "Remove the keys whose time is over."),
    "sync": ("keys_sync", "Make hosts take the keys that people.yml says, and no others."),
    "audit": ("keys_audit", "Show who may log in where, and what is wrong with that."),
    "restore": ("keys_restore", "Put an older authorized_keys back."),
}

EXAMPLES = """\b
Examples:
  fleetctl keys generate ~/.ssh/fleet_ed25519
  fleetctl keys deploy 'web*' --key ~/.ssh/fleet_ed25519.pub -k
  fleetctl keys revoke all --fingerprint SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU
  fleetctl keys rotate all --old ~/.ssh/old.pub --new ~/.ssh/fleet_ed25519
  fleetctl keys audit all --who alice
"""


@click.group(cls=LazyCommands, table=COMMANDS, epilog=EXAMPLES)
def keys() -> None:
    """
    Who may log in with which key: on many hosts, without locking anybody out.

    What is changed is proved by logging in, and changed back where it does not hold.
    """
