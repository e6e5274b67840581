"""
Looking at host keys without logging in, over the engine as the command does.
"""

from __future__ import annotations

import dataclasses

import pytest

from fleetctl.engine.local import LocalEngine
from fleetctl.keys.hostkeys import ScanHostKeys, read_scan
from fleetctl.model.events import HostFinished
from fleetctl.model.run import Assignment, Run
from fleetctl.ssh.host_key_scan import HostKeyScanner
from tests.support.drive import connecting, run_async
from tests.support.keys import fingerprint, own_line
from tests.support.patience import at_some_pace
from tests.support.peers import hostile_peer

pytestmark = pytest.mark.fleet


def scan(*hosts, every_key: bool = True):
    """Return the results by name."""

    async def main():
        async with connecting() as connector:
            engine = LocalEngine(HostKeyScanner(connector, every_key=every_key), keep_connections=0)
            run = Run("1", "scan", [Assignment(host, ScanHostKeys()) for host in hosts])
            found = {}
            async for event in engine.execute(run):
                if isinstance(event, HostFinished):
                    found[event.result.host.name] = event.result
            await engine.aclose()
            return found

    return run_async(main)


def test_S10_nobody_is_logged_in_to(fleet, tmp_path):
    """
    S10: a scan ends after the key exchange; the server sees no user and no attempt.
    """
    hosts = fleet.hosts(3)
    since = {host.name: host.log.stat().st_size for host in hosts}
    found = scan(*(fleet.model_host(host) for host in hosts))
    for host in hosts:
        scanned = read_scan(found[host.name])
        assert scanned.verdict == "trusted"
        assert [key.sha256 for key in scanned.keys] == [
            fingerprint(own_line(fleet, host), tmp_path)
        ]
        log = host.log.read_bytes()[since[host.name] :].decode()
        words = ("Accepted", "Failed", "authenticating", "publickey", "userauth")
        assert not [line for line in log.splitlines() if any(word in line for word in words)]


def test_a_scan_goes_through_gateways(fleet):
    """
    A host behind a gateway is looked at through it; the gateway itself must be trusted.
    """
    gateway, behind = fleet.hosts(2)
    hop = fleet.settings(gateway)
    host = fleet.model_host(behind, gateways=(hop,))
    [scanned] = [read_scan(result) for result in scan(host).values()]
    assert scanned.verdict == "trusted"
    unknown = dataclasses.replace(hop, user_known_hosts_files=())
    result = scan(fleet.model_host(behind, gateways=(unknown,)))[behind.name]
    assert result.outcome.failure.kind == "hostkey.unknown"
    assert result.outcome.failure.hop is not None


@pytest.mark.parametrize(
    ("peer", "kinds"),
    [
        ("http", {"banner.not_ssh"}),
        ("stall_mid_kex", {"kex.timeout"}),
        # whether the end or the reset is seen first is not ours to say
        ("close", {"connect.dropped", "connect.reset"}),
    ],
)
def test_F10_a_scan_of_something_else_fails_as_a_login_would(fleet, peer, kinds):
    """
    F10: what is no ssh server, stalls or goes away has the same failure as in a run.
    """
    with hostile_peer(peer) as (address, port):

        def check(pace):
            host = fleet.model_host(fleet.host("web01"))
            settings = dataclasses.replace(
                host.settings, hostname=address, port=port, connect_timeout_s=2 * pace
            )
            [result] = scan(dataclasses.replace(host, settings=settings)).values()
            assert result.outcome.failure.kind in kinds
            assert result.ran == "no"

        at_some_pace(check)
