"""Plain Paramiko, idle: one SSHClient per host, a thread each, held open without keepalive."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import paramiko
from errand import Errand, parse_errand
from idle_clock import SETTLE_S, start_clock


def connect(
    errand: Errand, key: paramiko.PKey, known: paramiko.HostKeys, address: tuple[str, int]
) -> paramiko.SSHClient:
    """A client that is logged in."""
    host, port = address
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    name = f"[{host}]:{port}"
    for kind, host_key in (known.lookup(name) or {}).items():
        client.get_host_keys().add(name, kind, host_key)
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
    return client


def main() -> None:
    """Connect to all, hold, report."""
    errand = parse_errand()
    key = paramiko.Ed25519Key(filename=str(errand.key))
    known = paramiko.HostKeys(str(errand.known_hosts))
    with ThreadPoolExecutor(errand.concurrency) as pool:
        logins = [pool.submit(connect, errand, key, known, a) for a in errand.addresses]
    clients = [login.result() for login in logins]
    time.sleep(SETTLE_S)
    clock = start_clock()
    time.sleep(errand.hold_s)
    transports = [client.get_transport() for client in clients]
    clock.print_report(sum(t is not None and t.is_active() for t in transports))
    for client in clients:
        client.close()


if __name__ == "__main__":
    main()
