"""
``fleetctl trust``: let files that came with a project do what only one's own files may.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from fleetctl.cli.complete import complete_path
from fleetctl.cli.deeds import deeds_of
from fleetctl.cli.own import make_trust, open_store
from fleetctl.model.errors import UsageError
from fleetctl.trust.content import digest, read_files
from fleetctl.trust.permissions import Account, find_stranger
from fleetctl.wiring import one_visible_line

EXAMPLES = """\b
Examples:
  fleetctl trust ssh_config                # with the content it has now
  fleetctl trust inventories               # every file in the folder
  fleetctl trust --list
  fleetctl trust --revoke inventories
"""


@click.command(epilog=EXAMPLES)
@click.argument("paths", nargs=-1, metavar="PATH...", shell_complete=complete_path)
@click.option("--list", "action", flag_value="list", help="Show what is trusted.")
@click.option("--revoke", "action", flag_value="revoke", help="Trust these files no longer.")
def trust(paths: tuple[str, ...], action: str | None) -> None:
    """
    Trust files with the content they have now.

    A file that came with a project may not run commands, read secrets or weaken checks. Look at
    what it would do, then trust it. When it changes, you are asked again.
    """
    match action:
        case "list":
            _list(paths)
        case "revoke":
            _revoke(_at_least_one(paths))
        case _:
            _trust(_at_least_one(paths))


def _at_least_one(paths: Sequence[str]) -> Sequence[str]:
    if not paths:
        raise UsageError("which file?", hint="fleetctl trust FILE, or fleetctl trust --list")
    return paths


def _trust(paths: Sequence[str]) -> None:
    judge, account = make_trust(os.environ), Account.from_process()
    digests: dict[str, str] = {}
    for path in paths:
        for file, data in read_files(Path(path)):
            digests[str(file)] = digest(data)
            click.echo(f"{digests[str(file)]}  {_shown(str(file))}")
            if judge.is_own(file):
                click.echo("  it is your own already")
            if stranger := find_stranger(file, account):
                click.echo(f"  careful: {one_visible_line(stranger)}")
            for deed in deeds_of(file, data):
                click.echo(f"  line {deed.line}: {one_visible_line(deed.message)}")
    if not digests:
        raise UsageError(f"no file is in {' or '.join(paths)}")
    open_store(os.environ).add(digests, datetime.now(UTC))
    click.echo(f"{_count(len(digests))} trusted with this content")


def _revoke(paths: Sequence[str]) -> None:
    wanted = [os.path.realpath(path) for path in paths]
    removed = open_store(os.environ).remove(wanted)
    for path in removed:
        click.echo(_shown(path))
    if not removed:
        raise UsageError(
            f"{' and '.join(paths)} is not trusted", hint="see what is: fleetctl trust --list"
        )
    click.echo(f"{_count(len(removed))} no longer trusted")


def _list(paths: Sequence[str]) -> None:
    roots = [os.path.realpath(path) for path in paths]
    for path, record in sorted(open_store(os.environ).records().items()):
        if roots and not any(path == root or path.startswith(f"{root}/") for root in roots):
            continue
        at = record.at.astimezone().strftime("%Y-%m-%d %H:%M")
        click.echo(f"{record.sha256[:12]}  {at}  {_state(path, record.sha256)}{_shown(path)}")


def _state(path: str, sha256: str) -> str:
    try:
        ((_, data),) = read_files(Path(path))
    except UsageError:
        return "(gone) "
    except ValueError:
        return "(now a folder) "
    return "" if digest(data) == sha256 else "(changed since) "


def _shown(path: str) -> str:
    """Return a path as one would type it here."""
    folder = os.path.realpath(".")
    inside = path.startswith(f"{folder}/")
    return one_visible_line(os.path.relpath(path, folder) if inside else path)


def _count(number: int) -> str:
    return f"{number} file{'' if number == 1 else 's'}"
