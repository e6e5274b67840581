"""asyncssh, idle: one connection per host on one loop, held open without keepalive."""

from __future__ import annotations

import asyncio

import asyncssh
import uvloop
from errand import Errand, parse_errand
from idle_clock import SETTLE_S, start_clock


async def hold_all(errand: Errand) -> None:
    """Connect to all, hold, report."""
    options = asyncssh.SSHClientConnectionOptions(
        config=None,
        username=errand.user,
        client_keys=[asyncssh.read_private_key(str(errand.key))],
        known_hosts=asyncssh.read_known_hosts(str(errand.known_hosts)),
        agent_path=None,
        connect_timeout=60,
        login_timeout=60,
        keepalive_interval=0,
    )
    slots = asyncio.Semaphore(errand.concurrency)

    async def connect(address: tuple[str, int]) -> asyncssh.SSHClientConnection:
        async with slots:
            return await asyncssh.connect(*address, options=options)

    connections = await asyncio.gather(*map(connect, errand.addresses))
    await asyncio.sleep(SETTLE_S)
    clock = start_clock()
    await asyncio.sleep(errand.hold_s)
    clock.print_report(sum(not connection.is_closed() for connection in connections))
    for connection in connections:
        connection.close()
    await asyncio.gather(*(connection.wait_closed() for connection in connections))


def main() -> None:
    """Hold on the chosen loop."""
    errand = parse_errand()
    factory = uvloop.new_event_loop if errand.loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(hold_all(errand))


if __name__ == "__main__":
    main()
