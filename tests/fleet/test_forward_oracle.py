"""
Forwardings beside OpenSSH's client: what the letters mean, and which addresses are listened on.
"""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleetctl.model.errors import UsageError
from fleetctl.model.forward import Forward, ForwardKind, Place, parse_forward
from fleetctl.wiring.forwards import read_forwards
from tests.support.drive import run_async
from tests.support.forwards import forwarding
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.fleet

SPECS = """
8080:web:80 :8080:web:80 *:8080:web:80 [::1]:8080:web:80 [::]:8080:[2001:db8::7]:80 0:web:80
localhost:8080:web:80 10.0.0.1:8080:10.0.0.2:80 8080:/run/s /run/l:web:80 /run/l:/run/s
[::1]:8080:/run/s *:8080:/run/s 8080:[::1]:80 /run/%n.%p:web:1 8080:web:http ssh:web:ssh
8080 web:80 8080:web 8080:web:0 70000:web:1 8080:web:70000 a:b:c:d:e [::1:80:web:1 :::: 8080:
8080:web: x:web:80 :8080 /run/l *:1080 [::1]:1080 localhost:1080 1080 0 -1 65536 8080::80
/run/l:/run/%%s 8080:a\\:b:80 [a]:[b]:[c]:[d] 8080:we/b:80 8080:${NOT_SET}/x:80 %x:web:1
""".split()
KINDS: dict[str, ForwardKind] = {
    "localforward": "local",
    "remoteforward": "remote",
    "dynamicforward": "dynamic",
}
#: Refused by ssh alone: any free port.
ONLY_OURS = {("L", "0:web:80"), ("D", "0")}


def of_ssh(letter: str, spec: str, host) -> set[Forward] | None:
    """Return what ssh understands, or None if it refuses."""
    done = subprocess.run(
        [
            *("ssh", "-G", "-F", "/dev/null", f"-{letter}", spec),
            *("-p", str(host.settings.port), "-o", f"HostName={host.hostname}"),
            *("-l", host.settings.user, host.name),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        return None
    found = set()
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        if key in KINDS:
            found.add(parse_forward(KINDS[key], value))
    return found


@pytest.mark.parametrize("letter", "LRD")
def test_letters_mean_what_they_mean_to_ssh(host, letter):
    """
    Every spelling is understood, or refused, as by `ssh -G`.
    """
    differences = []
    for spec in SPECS:
        theirs = of_ssh(letter, spec, host)
        try:
            ours = set(read_forwards(host, [(letter, spec)]))
        except UsageError:
            ours = None
        if theirs is not None:
            # A path as listener is printed as dynamic too; see the list of deviations.
            local = {forward.listen for forward in theirs if forward.kind == "local"}
            theirs -= {f for f in theirs if f.kind == "dynamic" and f.listen in local}
        if ours != theirs and (letter, spec) not in ONLY_OURS:
            differences.append((spec, theirs, ours))
    assert differences == []


def listening_on(port: int) -> set[tuple[str, str]]:
    """Return the families and addresses on which this machine listens on a port."""
    found = set()
    for family, table in (("4", "/proc/net/tcp"), ("6", "/proc/net/tcp6")):
        for line in Path(table).read_text().splitlines()[1:]:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == "0A" and int(number, 16) == port:
                words = [address[i : i + 8] for i in range(0, len(address), 8)]
                raw = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
                found.add((family, str(ipaddress.ip_address(raw))))
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("gateway_ports", [False, True])
@pytest.mark.parametrize("family", ["any", "inet"])
def test_the_addresses_listened_on_are_those_of_ssh(fleet, gateway_ports, family):
    """
    No address, an empty one, *, localhost and numbers; with and without GatewayPorts, for both
    families and one.
    """
    binds = ["", ":", "*:", "localhost:", "127.0.0.1:", "127.0.0.5:"]
    binds += ["[::1]:", "[::]:"] if family == "any" else []
    ports = [free_port() for _ in binds]
    lab_host = fleet.host("web01")
    specs = [f"{bind}{port}:x:1" for bind, port in zip(binds, ports, strict=True)]
    options = [word for spec in specs for word in ("-L", spec)]
    switch = "yes" if gateway_ports else "no"
    argv = fleet.ssh_argv(
        lab_host,
        *("-N", "-o", f"GatewayPorts={switch}", "-o", f"AddressFamily={family}"),
        *("-o", "ExitOnForwardFailure=yes", *options),
    )
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE_S
        while not all(map(listening_on, ports)):
            assert time.monotonic() < until
            assert child.poll() is None
            time.sleep(0.02)
        theirs = [listening_on(port) for port in ports]
    finally:
        child.terminate()
        child.wait()
    host = fleet.model_host(lab_host, gateway_ports=gateway_ports, address_family=family)

    async def main():
        async with forwarding(host, *(f"-L {bind}0:x:1" for bind in binds)) as forwards:
            assert all(isinstance(place, Place) for place in forwards.places)
            return [listening_on(port) for port in forwards.ports]

    assert run_async(main) == theirs
