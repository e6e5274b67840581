"""
fleetctl's connection layer, idle: one connection per host, held open without keepalive.

Uses `fleetctl.ssh` directly, because no command keeps connections open while nothing runs.
"""

from __future__ import annotations

import asyncio

from errand import Errand, parse_errand
from idle_clock import SETTLE_S, start_clock

from fleetctl.model.challenge import Challenge
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from fleetctl.model.settings import HostSettings
from fleetctl.model.trace import Trace
from fleetctl.ssh.connection import SshConnection
from fleetctl.ssh.connector import SshConnector
from fleetctl.ssh.loop import run_loop


class NoSecrets:
    """The key has no passphrase, and no password is ever offered."""

    async def password(self, host: Host, user: str) -> Secret | None:
        """None."""
        return None

    async def answers(self, host: Host, user: str, challenge: Challenge) -> None:
        """None."""

    async def passphrase(self, path: str, attempt: int) -> Secret | None:
        """None."""
        return None


async def hold_all(errand: Errand) -> None:
    """Connect to all, hold, report."""
    connector = SshConnector(secrets=NoSecrets())
    slots = asyncio.Semaphore(errand.concurrency)

    async def connect(address: tuple[str, int]) -> SshConnection:
        settings = HostSettings(
            hostname=address[0],
            port=address[1],
            user=errand.user,
            identity_files=(str(errand.key),),
            connect_timeout_s=60,
            strict_host_key_checking="yes",
            user_known_hosts_files=(str(errand.known_hosts),),
            server_alive_interval_s=0,
        )
        async with slots:
            host = Host(address[0], settings=settings)
            return await connector.connect(host, Trace(), open_session=False)

    connections = await asyncio.gather(*map(connect, errand.addresses))
    await asyncio.sleep(SETTLE_S)
    clock = start_clock()
    await asyncio.sleep(errand.hold_s)
    clock.print_report(sum(connection.is_open for connection in connections))
    await asyncio.gather(*(connection.close() for connection in connections))
    await connector.aclose()


def main() -> None:
    """Hold on the loop the command line would choose."""
    errand = parse_errand()
    run_loop(lambda: hold_all(errand), choice=errand.loop)


if __name__ == "__main__":
    main()
