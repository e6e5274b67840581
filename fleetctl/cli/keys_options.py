"""
The options that commands about user keys share: what a key may do, whose file it is, what proves
it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.options import LoginOptions, TargetOptions, bundle
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host

if TYPE_CHECKING:
    from fleetctl.wiring.keys import FoundKey, KeyOption

Command = TypeVar("Command", bound=Callable[..., Any])

#: Of keys that come from standard input.
MAX_STDIN_BYTES = 4 * 1024 * 1024
#: What ``restrict`` takes away and ``--allow`` gives back.
_PERMISSIONS = ("pty", "port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc")


@dataclass(frozen=True, slots=True)
class KeyLineOptions:
    """What the keys may do. The fields are the values of the options of the same name."""

    restrict: bool = False
    allow: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    command: str | None = None
    expires: str | None = None
    principals: tuple[str, ...] = ()
    cert_authority: bool = False
    environment: tuple[str, ...] = ()
    permitopen: tuple[str, ...] = ()
    permitlisten: tuple[str, ...] = ()
    tunnel: str | None = None
    no_touch_required: bool = False
    verify_required: bool = False
    literal: tuple[str, ...] = ()

    def parsed(self) -> tuple[KeyOption, ...]:
        """
        Return the options as they stand before a key.

        Raises:
            UsageError: With everything that is wrong with them.
        """
        from fleetctl.wiring.keys import make_key_options

        return make_key_options(
            restrict=self.restrict,
            allowed=self.allow,
            forbidden=self.forbid,
            sources=_split(self.sources),
            command=self.command,
            expires=self.expires,
            principals=_split(self.principals),
            cert_authority=self.cert_authority,
            environment=self.environment,
            permitopen=self.permitopen,
            permitlisten=self.permitlisten,
            tunnel=self.tunnel,
            no_touch_required=self.no_touch_required,
            verify_required=self.verify_required,
            literal=self.literal,
        )


def _split(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part for value in values for part in value.split(",") if part)


@dataclass(frozen=True, slots=True)
class KeyPlaceOptions:
    """Whose authorized_keys, and how to get at it."""

    for_user: str | None = None
    target_path: str | None = None
    follow_links: bool = False
    sftp: bool = False
    non_atomic: bool = False


@dataclass(frozen=True, slots=True)
class Verify:
    """
    How the keys are proved.

    Attributes:
        how: ``login``; ``parse``: the file is read as sshd reads it; ``none``.
        sample: So many hosts by logging in, the others as ``parse``; None for all alike.
    """

    how: Literal["login", "parse", "none"] = "login"
    sample: int | None = None


def _parse_verify(ctx: click.Context, param: click.Parameter, text: str) -> Verify:
    """
    Parse ``login``, ``parse``, ``none`` or ``sample=N``.

    Raises:
        click.BadParameter: It is none of them.
    """
    if text in ("login", "parse", "none"):
        return Verify(text)  # type: ignore[arg-type]  # mypy does not narrow by ``in``
    if found := re.fullmatch(r"sample=([1-9][0-9]{0,8})", text):
        return Verify("parse", int(found[1]))
    raise click.BadParameter(f'login, parse, none or sample=N, not "{text}"', ctx, param)


_LINE = (
    click.option("--restrict", is_flag=True, help="Take everything away but running commands."),
    click.option(
        "--allow",
        multiple=True,
        type=click.Choice(_PERMISSIONS),
        help="Give this back after --restrict; repeatable.",
    ),
    click.option(
        "--forbid",
        multiple=True,
        type=click.Choice(_PERMISSIONS),
        help="Take only this away; repeatable.",
    ),
    click.option(
        "--from",
        "sources",
        multiple=True,
        metavar="PATTERN,…",
        help="Only from these addresses, networks or names; !PATTERN excludes; repeatable.",
    ),
    click.option(
        "--command", metavar="CMD", help="Run this in the place of whatever is asked for."
    ),
    click.option(
        "--expires",
        metavar="TIME|SPAN",
        help="Until then: 2h, 30d, 2027-01-31, 202701312359Z. Needs OpenSSH 7.7.",
    ),
    click.option(
        "--cert-authority", is_flag=True, help="The keys are authorities that sign others."
    ),
    click.option(
        "--principals",
        multiple=True,
        metavar="NAME,…",
        help="Names that certificates of an authority must be for.",
    ),
    click.option(
        "--env",
        "environment",
        multiple=True,
        metavar="K=V",
        help="Set a variable; where PermitUserEnvironment allows it; repeatable.",
    ),
    click.option(
        "--permitopen",
        multiple=True,
        metavar="HOST:PORT",
        help="Forward local ports only to there; repeatable.",
    ),
    click.option(
        "--permitlisten",
        multiple=True,
        metavar="[HOST:]PORT",
        help="Forward remote ports only from there; repeatable.",
    ),
    click.option("--tunnel", metavar="N", help="Use this tun device."),
    click.option("--no-touch-required", is_flag=True, help="A FIDO key need not be touched."),
    click.option("--verify-required", is_flag=True, help="A FIDO key must ask for its PIN."),
    click.option(
        "--option",
        "literal",
        multiple=True,
        metavar="OPTIONS",
        help="Options as they stand in the file, such as 'no-pty,tunnel=\"1\"'; repeatable.",
    ),
)

_PLACE = (
    click.option(
        "--for-user",
        metavar="NAME",
        help="The keys of this user, not of whoever logs in; takes root, or --become.",
    ),
    click.option(
        "-t",
        "--target-path",
        metavar="PATH",
        help="The file, from the user's home; may have %h and %u.  [default: what sshd reads]",
    ),
    click.option(
        "--follow-links",
        is_flag=True,
        help="Where the file is a symbolic link, change what it leads to; else it is refused.",
    ),
    click.option("-s", "--sftp", is_flag=True, help="By SFTP, without running anything there."),
    click.option(
        "--non-atomic",
        is_flag=True,
        help="By SFTP also where the server cannot put a file in the place of another in one step.",
    ),
)

verify_option = click.option(
    "--verify",
    callback=_parse_verify,
    default="login",
    show_default=True,
    metavar="login|sample=N|parse|none",
    help="What proves a key: logging in with it; on N hosts only; reading the file; nothing.",
)

fix_modes_option = click.option(
    "--fix-modes",
    is_flag=True,
    help="Mend owners and modes for which sshd refuses all keys (StrictModes).",
)

key_option = click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="FILE",
    shell_complete=complete_path,
    help="Public key, or a file with many; .pub is added to the name of a private one; - for "
    "standard input; repeatable.  [default: the keys of the agent]",
)


def keys_of(words: Sequence[str], line: KeyLineOptions) -> tuple[FoundKey, ...]:
    """
    Return the keys of ``--key``, or else those of the agent, with the options that were asked for.

    Raises:
        UsageError: With everything that is wrong with them.
    """
    from fleetctl.wiring.keys import agent_keys, find_keys, with_options

    options = line.parsed()
    if words:
        stdin = sys.stdin.buffer.read(MAX_STDIN_BYTES) if "-" in words else b""
        found = find_keys(words, stdin=stdin)
    else:
        found = agent_keys(os.environ)
    return with_options(found, options)


def login_targets(pattern: str, targets: TargetOptions, login: LoginOptions) -> tuple[Host, ...]:
    """
    Return the hosts whose keys are meant.

    Raises:
        UsageError: As `targets_of`; or one is this machine itself, which nobody logs in to.
    """
    from fleetctl.cli.targets import targets_of
    from fleetctl.wiring import fold

    hosts = targets_of(pattern, targets, login)
    local = [host.name for host in hosts if host.connection == "local"]
    if local:
        raise UsageError(
            f"{fold(local)}: commands run on this machine itself, and no key logs in to it",
            hint=f"leave it out: -x {local[0]}; or reach it by SSH: ansible_connection=ssh",
        )
    return hosts


def key_line_options(command: Command) -> Command:
    """Add the options of a key's line; the command gets them as ``line``."""
    return bundle(command, "line", KeyLineOptions, _LINE)


def key_place_options(command: Command) -> Command:
    """Add the options that say whose file it is; the command gets them as ``place``."""
    return bundle(command, "place", KeyPlaceOptions, _PLACE)
