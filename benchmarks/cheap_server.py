"""
The cheap SSH server: a whole login for about a millisecond of CPU, so that the client's cost shows.

    python cheap_server.py --listen HOSTS --host-key FILE --authorized-key FILE.pub

Prints ``ready`` when every address listens, one JSON line of counters and CPU seconds at each
SIGUSR1, and a last one when SIGTERM ends it. The protocol is in `ssh_login`; this file holds the
command line, the keys and the listeners. Runs no command: see `ssh_channels.answer_command`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import resource
import signal
import socket
from dataclasses import asdict
from functools import partial
from pathlib import Path

import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from nacl import bindings
from ssh_channels import Counters
from ssh_login import KEY_TYPE, Identity, Login
from ssh_negotiation import HostKey
from ssh_packets import string

DEFAULT_IDENTIFICATION = "SSH-2.0-OpenSSH_9.2 bench"
BACKLOG = 1024


def load_host_key(path: Path) -> HostKey:
    """
    Read an unencrypted OpenSSH ed25519 private key.

    Raises:
        SystemExit: It is another kind of key.
    """
    key = load_ssh_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{path}: an ed25519 key is expected")
    public, secret = bindings.crypto_sign_seed_keypair(key.private_bytes_raw())
    return HostKey(secret, string(KEY_TYPE) + string(public))


def load_public_key(path: Path) -> bytes:
    """The blob of an OpenSSH public key file; SystemExit unless it is ed25519."""
    words = path.read_text().split()
    if words[0] != KEY_TYPE.decode():
        raise SystemExit(f"{path}: an ed25519 key is expected")
    return base64.b64decode(words[1])


def parse_addresses(path: Path) -> list[tuple[str, int]]:
    """
    Read ``address:port`` lines.

    Raises:
        SystemExit: An address is not on loopback: this server takes one key and answers anybody.
    """
    pairs = [line.rsplit(":", 1) for line in path.read_text().split()]
    outside = [address for address, _ in pairs if not address.startswith("127.")]
    if outside:
        raise SystemExit(f"{path}: not a loopback address: {outside[0]}")
    return [(address, int(port)) for address, port in pairs]


def report(counters: Counters) -> None:
    """Print one JSON line: counters since the start, CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({**asdict(counters), "cpu_s": usage.ru_utime + usage.ru_stime}), flush=True)


async def serve(addresses: list[tuple[str, int]], identity: Identity) -> None:
    """Listen on every address until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, report, identity.counters)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    servers = []
    for address in addresses:
        listener = socket.create_server(address, backlog=BACKLOG)
        servers.append(await loop.create_server(partial(Login, identity), sock=listener))
    print("ready", flush=True)
    # Connections free themselves; without this the collector walks everything loaded so far.
    gc.collect()
    gc.freeze()
    await stopped.wait()
    for server in servers:
        server.close()
    report(identity.counters)


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--listen", type=Path, required=True, help="file of address:port lines")
    parser.add_argument("--host-key", type=Path, required=True, help="ed25519 private key")
    parser.add_argument("--authorized-key", type=Path, required=True, help="ed25519 public key")
    parser.add_argument("--identification", default=DEFAULT_IDENTIFICATION)
    chosen = parser.parse_args()
    identity = Identity(
        chosen.identification.encode("ascii"),
        load_host_key(chosen.host_key),
        load_public_key(chosen.authorized_key),
        Counters(),
    )
    addresses = parse_addresses(chosen.listen)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(addresses, identity))


if __name__ == "__main__":
    main()
