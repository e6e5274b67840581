"""
``fleetctl keys generate``: a key pair in two files, and its fingerprint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.keys_passphrase import new_passphrase
from fleetctl.wiring import one_visible_line

if TYPE_CHECKING:
    from fleetctl.wiring.key_pairs import KeyKind

EXAMPLES = """\b
Examples:
  fleetctl keys generate ~/.ssh/fleet_ed25519
  fleetctl keys generate ci_key --no-passphrase --comment ci@example.org
  fleetctl keys generate old_key --type rsa --bits 4096 --passphrase-file secret
"""


@click.command(epilog=EXAMPLES)
@click.argument("file", shell_complete=complete_path)
@click.option(
    "--type",
    "kind",
    type=click.Choice(("ed25519", "rsa", "ecdsa")),
    default="ed25519",
    show_default=True,
    help="Algorithm; rsa and ecdsa for what knows no better.",
)
@click.option(
    "--bits",
    type=int,
    metavar="N",
    help="Size: rsa 3072 to 16384, ecdsa 256, 384 or 521.  [default: 3072, 256]",
)
@click.option("--comment", metavar="TEXT", help="For people.  [default: user@host]")
@click.option(
    "--passphrase-file",
    metavar="FILE|SOURCE",
    shell_complete=complete_path,
    help="Read the passphrase from the first line of a file, or from env:NAME or cmd:COMMAND.  "
    "[default: ask]",
)
@click.option("--no-passphrase", is_flag=True, help="Do not encrypt the private key.")
@click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    default=24,
    show_default=True,
    help="Rounds of the passphrase's key derivation; more make guessing, and use, slower.",
)
@click.option("--force", is_flag=True, help="Put them in the place of keys that are there.")
def generate(
    file: str,
    kind: KeyKind,
    bits: int | None,
    comment: str | None,
    passphrase_file: str | None,
    no_passphrase: bool,
    rounds: int,
    force: bool,
) -> None:
    """
    Make a key pair: FILE for nobody else, and FILE.pub for hosts.

    Both are in OpenSSH's format. Nothing that is there is overwritten.
    """
    from fleetctl.wiring.key_pairs import check_new_key, describe_key, generate_key, save_key

    wish = check_new_key(file, kind, bits, comment, force=force)
    passphrase = new_passphrase(file, passphrase_file, without=no_passphrase)
    key = generate_key(wish, passphrase, rounds=rounds)
    private, public = save_key(key, file, force=force)
    line, picture = describe_key(key)
    click.echo(f"private key: {one_visible_line(private)}")
    click.echo(f"public key:  {one_visible_line(public)}")
    click.echo(one_visible_line(line))
    for row in picture:
        click.echo(row)
