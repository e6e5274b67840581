"""
``fleetctl keys certify``: certificates for keys, signed by an authority of one's own.
"""

from __future__ import annotations

import os

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.keys_passphrase import ask_passphrase, given_passphrase
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret
from fleetctl.wiring import one_visible_line

EXAMPLES = """\b
Examples:
  fleetctl keys certify id_ed25519.pub --ca ca --id alice --principals alice --valid +52w
  fleetctl keys certify ci.pub --ca ca --id ci --principals deploy --valid +8h \\
    --option clear --option source-address=10.0.0.0/8
  fleetctl keys certify ssh_host_ed25519_key.pub --ca ca.pub --agent --host \\
    --id web1 --principals web1,web1.example.org
"""


@click.command(epilog=EXAMPLES)
@click.argument("files", nargs=-1, required=True, shell_complete=complete_path)
@click.option(
    "--ca",
    required=True,
    metavar="FILE",
    shell_complete=complete_path,
    help="Private key of the authority; with --agent its public key.",
)
@click.option("--agent", "by_agent", is_flag=True, help="The agent has the authority's key.")
@click.option(
    "--passphrase-file",
    metavar="FILE|SOURCE",
    shell_complete=complete_path,
    help="Read the passphrase of the authority's key from the first line of a file, or from "
    "env:NAME or cmd:COMMAND.  [default: ask]",
)
@click.option(
    "--id", "key_id", required=True, metavar="TEXT", help="Whom it is for, for the logs of servers."
)
@click.option(
    "--principals",
    multiple=True,
    metavar="NAME,…",
    help="Users it logs in as, or names of the host; repeatable.",
)
@click.option(
    "--any-principal", is_flag=True, help="It is for every name: a user's logs in as anybody."
)
@click.option("--host", "is_for_host", is_flag=True, help="The keys are hosts', not users'.")
@click.option(
    "--valid",
    "validity",
    default="always:forever",
    show_default=True,
    metavar="SPAN|FROM:TO",
    help="+52w, -1d:+52w, 20260101:20270101Z, always:forever.",
)
@click.option(
    "--serial", default="0", show_default=True, metavar="[+]N", help="+N counts on with each key."
)
@click.option(
    "--option",
    "options",
    multiple=True,
    metavar="OPTION",
    help="As ssh-keygen -O: clear, no-pty, permit-pty, force-command=CMD, source-address=LIST, "
    "verify-required, critical:NAME=VALUE, extension:NAME=VALUE; repeatable.",
)
def certify(
    files: tuple[str, ...],
    *,
    ca: str,
    by_agent: bool,
    passphrase_file: str | None,
    key_id: str,
    principals: tuple[str, ...],
    any_principal: bool,
    is_for_host: bool,
    validity: str,
    serial: str,
    options: tuple[str, ...],
) -> None:
    """
    Sign public keys as ssh-keygen -s does: id.pub gets its certificate in id-cert.pub.

    Hosts accept a user's with TrustedUserCAKeys, or a line `cert-authority …` in authorized_keys;
    users accept a host's with `@cert-authority …` in known_hosts.
    """
    from fleetctl.wiring.key_pairs import ask_for_certificates

    names = tuple(name for text in principals for name in text.split(","))
    if bool(names) == any_principal:
        raise UsageError(
            "--principals and --any-principal cannot be combined"
            if names
            else "a certificate without principals is for every name",
            hint="say which: --principals NAME,…; or --any-principal, if that is meant",
        )

    def passphrase(path: str, was_wrong: bool) -> Secret | None:
        return (
            ask_passphrase(path, again=was_wrong)
            if passphrase_file is None
            else given_passphrase(passphrase_file)
        )

    made = ask_for_certificates(
        files,
        authority=ca,
        key_id=key_id,
        kind="host" if is_for_host else "user",
        principals=names,
        validity=validity,
        serial=serial,
        options=options,
        by_agent=by_agent,
        environ=os.environ,
        ask=passphrase,
    )
    for one in made:
        click.echo(one_visible_line(one.describe()))
