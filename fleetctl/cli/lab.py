"""
``fleetctl lab``: a throw-away fleet on loopback.
"""

from __future__ import annotations

import os
import shlex

import click

from fleetctl.cli.errors import say
from fleetctl.cli.state import lab_directory, seen_host_keys_file
from fleetctl.wiring import fold, lab_status, start_lab, stop_lab

EXIT_NO_HOST = 3
EXIT_UNREACHABLE = 4

EXAMPLES = """\b
Examples:
  fleetctl lab start --hosts 20
  fleetctl run 'web*' -- uptime            # without -i, a running lab is used
  fleetctl lab status
  fleetctl lab stop
"""


@click.group(epilog=EXAMPLES)
def lab() -> None:
    """
    A throw-away fleet on this machine.

    Real sshd processes on loopback addresses, each host with a home and a host key of its own; an
    embedded SSH server where no sshd is installed. Stopping it removes everything.
    """


@lab.command(epilog="\b\nExamples:\n  fleetctl lab start\n  fleetctl lab start --hosts 200")
@click.option(
    "--hosts",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="How many hosts.",
)
@click.option("--embedded", is_flag=True, help="Use the embedded server even if there is sshd.")
def start(hosts: int, embedded: bool) -> None:
    """Start a lab and say how to use it."""
    started = start_lab(
        lab_directory(os.environ),
        hosts=hosts,
        embedded=embedded,
        seen_host_keys=seen_host_keys_file(os.environ),
    )
    if started.engine == "embedded" and not embedded:
        say("no sshd is installed here: an embedded SSH server plays the hosts")
    inventory = shlex.quote(str(started.inventory))
    names = fold(host.name for host in started.hosts)
    click.echo(f"{names} ({len(started.hosts)}) started: {started.engine}")
    click.echo("try:")
    click.echo(f"  fleetctl ping -i {inventory} all")
    click.echo(f"  fleetctl run -i {inventory} 'web*' -- uptime")
    click.echo("  fleetctl lab stop")


@lab.command(epilog="\b\nExample:\n  fleetctl lab stop")
def stop() -> None:
    """End the lab's processes and remove its files."""
    was = stop_lab(lab_directory(os.environ), seen_host_keys=seen_host_keys_file(os.environ))
    if was is None:
        click.echo("no lab is there")
        return
    names = fold(host.name for host in was.lab.hosts)
    click.echo(f"{names or 'the lab'} ({len(was.lab.hosts)}) stopped and removed")


@lab.command(epilog="\b\nExample:\n  fleetctl lab status")
def status() -> int:
    """
    Say what runs of the lab.

    Exits with 0 if all hosts run, 3 if there is no lab, 4 if hosts of it are missing.
    """
    found = lab_status(lab_directory(os.environ))
    if found is None:
        click.echo("no lab is there; start one: fleetctl lab start")
        return EXIT_NO_HOST
    total, running = len(found.lab.hosts), len(found.running)
    names = fold(host.name for host in found.lab.hosts)
    click.echo(f"{names or 'no host'} ({total}): {found.lab.engine}, {running} running")
    click.echo(f"inventory: {found.lab.inventory}")
    if running < total or not total:
        missing = {host.name for host in found.lab.hosts} - {host.name for host in found.running}
        say(
            f"not running: {fold(missing) if missing else 'everything'}",
            hint="start it anew: fleetctl lab stop; fleetctl lab start",
        )
        return EXIT_UNREACHABLE
    return 0
