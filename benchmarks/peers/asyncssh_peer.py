"""asyncssh, on uvloop or plain asyncio: one connection per host, limited by a semaphore."""

from __future__ import annotations

import asyncio

import asyncssh
import uvloop
from errand import Errand, parse_errand, print_failure, print_result


async def run_host(
    errand: Errand,
    options: asyncssh.SSHClientConnectionOptions,
    slots: asyncio.Semaphore,
    address: tuple[str, int],
) -> None:
    """Connect, check the host key, run the command, print the result."""
    host, port = address
    async with slots:
        try:
            async with asyncssh.connect(host, port, options=options) as connection:
                result = await connection.run(errand.command)
                print_result(host, result.exit_status, str(result.stdout))
        except (OSError, asyncssh.Error) as error:
            print_failure(host, error)


async def run_all(errand: Errand) -> None:
    """Run the errand on every host."""
    # Keys and known_hosts are read once, and so are the options made.
    options = asyncssh.SSHClientConnectionOptions(
        config=None,
        username=errand.user,
        client_keys=[asyncssh.read_private_key(str(errand.key))],
        known_hosts=asyncssh.read_known_hosts(str(errand.known_hosts)),
        agent_path=None,
        connect_timeout=60,
        login_timeout=60,
    )
    slots = asyncio.Semaphore(errand.concurrency)
    await asyncio.gather(
        *(run_host(errand, options, slots, address) for address in errand.addresses)
    )


def main() -> None:
    """Run the errand on the chosen loop."""
    errand = parse_errand()
    factory = uvloop.new_event_loop if errand.loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(run_all(errand))


if __name__ == "__main__":
    main()
