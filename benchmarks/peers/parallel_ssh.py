"""
parallel-ssh with its native client (libssh2 under gevent).

It has no check of host keys, so its figures lack that work.
"""

from __future__ import annotations

from errand import parse_errand, print_failure, print_result
from pssh.clients import ParallelSSHClient  # type: ignore[import-untyped] # it ships no types


def main() -> None:
    """Run the errand; all hosts share one port."""
    errand = parse_errand()
    client = ParallelSSHClient(
        [host for host, _ in errand.addresses],
        port=errand.addresses[0][1],
        user=errand.user,
        pkey=str(errand.key),
        pool_size=errand.concurrency,
        allow_agent=False,
        identity_auth=False,
        num_retries=1,
        timeout=60,
    )
    results = client.run_command(errand.command, stop_on_errors=False)
    client.join(results)
    for result in results:
        if result.exception is not None:
            print_failure(str(result.host), result.exception)
        else:
            text = "".join(f"{line}\n" for line in result.stdout)
            print_result(result.host, result.exit_code, text)


if __name__ == "__main__":
    main()
