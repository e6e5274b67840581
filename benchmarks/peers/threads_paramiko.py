"""Plain Paramiko as most scripts use it: one SSHClient per host in a pool of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import paramiko
from errand import Errand, parse_errand, print_failure, print_result

# Host, exit status, standard output.
Result = tuple[str, int, str]


def run_host(
    errand: Errand, key: paramiko.PKey, known: paramiko.HostKeys, address: tuple[str, int]
) -> Result | None:
    """Connect, check the host key, run the command; None, and a line on stderr, if that fails."""
    host, port = address
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    name = f"[{host}]:{port}"
    # The file is read once: per client it would cost half a millisecond a line.
    for kind, host_key in (known.lookup(name) or {}).items():
        client.get_host_keys().add(name, kind, host_key)
    try:
        client.connect(
            host,
            port,
            username=errand.user,
            pkey=key,
            allow_agent=False,
            look_for_keys=False,
            timeout=60,
            banner_timeout=60,
            auth_timeout=60,
        )
        _, stdout, _ = client.exec_command(errand.command)
        text = stdout.read().decode()
        return host, stdout.channel.recv_exit_status(), text
    except (OSError, paramiko.SSHException) as error:
        print_failure(host, error)
        return None
    finally:
        client.close()


def main() -> None:
    """Run the errand."""
    errand = parse_errand()
    key = paramiko.Ed25519Key(filename=str(errand.key))
    known = paramiko.HostKeys(str(errand.known_hosts))
    with ThreadPoolExecutor(errand.concurrency) as pool:
        # Printed by one thread: lines of several would run into each other.
        for result in pool.map(partial(run_host, errand, key, known), errand.addresses):
            if result is not None:
                print_result(*result)


if __name__ == "__main__":
    main()
