"""
Inventories whose addresses were swapped: what is meant for one host is not offered to another.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import LabHost
from fleetctl.model.errors import FleetError
from fleetctl.model.settings import HostSettings
from fleetctl.ssh.connector import SshConnector
from fleetctl.ssh.seen_host_keys import SeenHostKeys
from tests.cli.shell import fleetctl
from tests.support.drive import Secrets, connected, run_async
from tests.support.keys import keygen
from tests.support.patience import PATIENCE_S
from tests.support.server import Login, scripted_server

pytestmark = pytest.mark.fleet


@pytest.fixture
def two(fleet):
    """Two hosts that nobody else logs in to."""
    return fleet.host("web-swap-a"), fleet.host("web-swap-b")


def write_inventory(fleet, path: Path, addresses: dict[str, LabHost], **ssh: object) -> None:
    """Write an inventory in which each name has the address of a host."""
    hosts = [dataclasses.replace(host, name=name) for name, host in addresses.items()]
    text = fleet.inventory(hosts).read_text()
    for keyword, value in ssh.items():
        lines = [f"    {keyword}: {value}" if f" {keyword}: " in x else x for x in text.split("\n")]
        text = "\n".join(lines)
    path.write_text(text)


def logged(host: LabHost, since: int) -> list[str]:
    """Return what sshd logged about logins since its log had that size."""
    words = ("Accepted", "Failed", "user=", "Postponed", "key ", "userauth")
    text = host.log.read_bytes()[since:].decode(errors="replace")
    return [each for each in text.splitlines() if any(word in each for word in words)]


def kinds(done) -> dict[str, str | None]:
    return {
        name: each["failure"] and each["failure"]["kind"] for name, each in done.results().items()
    }


@pytest.mark.parametrize("strictness", ["yes", "accept-new"])
def test_S15_a_swapped_inventory_is_refused(fleet, two, tmp_path, strictness):
    """
    S15: both hosts are in known_hosts, and both are refused before anything is offered; who vouches
    for the move is let through.
    """
    a, b = two
    inventory = tmp_path / "inventory.yml"
    words = ("-i", str(inventory), "-o", f"StrictHostKeyChecking={strictness}")
    write_inventory(fleet, inventory, {"a": a, "b": b})
    assert kinds(fleetctl("ping", *words, "all", "--format", "json")) == {"a": None, "b": None}

    write_inventory(fleet, inventory, {"a": b, "b": a})
    since = [host.log.stat().st_size for host in two]
    done = fleetctl("ping", *words, "all", "--format", "json")
    assert done.code == 4
    assert kinds(done) == {"a": "hostkey.changed", "b": "hostkey.changed"}
    assert [logged(*each) for each in zip(two, since, strict=True)] == [[], []]
    failure = done.results()["a"]["failure"]
    assert f"it was at {a.address} port {a.port} with SHA256:" in failure["message"]
    assert f"{b.address} port {b.port} shows SHA256:" in failure["message"]
    assert failure["hint"].endswith("fleetctl hostkeys replace a")

    checked = fleetctl("hostkeys", "check", *words, "all")
    assert checked.code == 4
    assert checked.out.count("| changed |") == 2
    assert "shows SHA256:" in checked.out
    assert fleetctl("hostkeys", "replace", *words, "all", "--yes", "--check").code == 0
    assert fleetctl("ping", *words, "all").code == 4
    before = fleet.known_hosts.read_text()
    assert fleetctl("hostkeys", "replace", *words, "a", "--yes").code == 0
    assert fleet.known_hosts.read_text() == before
    assert kinds(fleetctl("ping", *words, "all", "--format", "json")) == {
        "a": None,
        "b": "hostkey.changed",
    }
    assert fleetctl("hostkeys", "remove", *words, "b", "-o", "UserKnownHostsFile=x").code == 0
    assert fleetctl("ping", *words, "all").code == 0


def test_S15_an_unknown_host_in_the_place_of_a_known_one(fleet, two, tmp_path):
    """
    S15: with accept-new a name that moves to a host nobody knows is refused as well; enrolling that
    host confirms the move.
    """
    a, b = two
    inventory, known_hosts = tmp_path / "inventory.yml", tmp_path / "known_hosts"
    words = (
        *("-i", str(inventory), "-o", f"UserKnownHostsFile={known_hosts}"),
        *("-o", "StrictHostKeyChecking=accept-new", "-o", "HashKnownHosts=no"),
    )
    write_inventory(fleet, inventory, {"a": a})
    assert fleetctl("ping", *words, "a").code == 0
    write_inventory(fleet, inventory, {"a": b})
    since = b.log.stat().st_size
    assert kinds(fleetctl("ping", *words, "a", "--format", "json")) == {"a": "hostkey.changed"}
    assert logged(b, since) == []
    assert len(known_hosts.read_text().splitlines()) == 1
    assert fleetctl("hostkeys", "enroll", *words, "a", "--yes").code == 0
    assert fleetctl("ping", *words, "a").code == 0


def test_S15_a_host_that_moved_is_the_same_host(fleet, two, tmp_path):
    """
    S15: one key at two addresses is one host, and one inventory does not speak for another.
    """
    a, b = two
    key = tmp_path / "key"
    key.write_bytes(a.host_key.read_bytes())
    key.chmod(0o600)
    twin = fleet.sshd("swap-twin", {"HostKey": str(key)})
    known_hosts = tmp_path / "known_hosts"
    public = subprocess.run(
        ["ssh-keygen", "-y", "-f", key], capture_output=True, check=True, text=True
    ).stdout
    known_hosts.write_text(f"{fleet.known_hosts.read_text()}[{twin.address}]:{twin.port} {public}")
    options = ("-o", f"UserKnownHostsFile={known_hosts}")
    inventory, other = tmp_path / "inventory.yml", tmp_path / "other.yml"
    for host in (a, twin, a):
        write_inventory(fleet, inventory, {"a": host})
        assert fleetctl("ping", "-i", str(inventory), *options, "a").code == 0
    fleet.stop(twin)
    write_inventory(fleet, other, {"a": b})
    assert fleetctl("ping", "-i", str(other), *options, "a").code == 0


def test_S15_certified_hosts_may_be_anywhere(fleet, tmp_path):
    """
    S15: whom an authority vouches for is not held to a place.
    """
    authority = keygen(tmp_path / "ca", "-t", "ed25519")
    hosts = []
    for name in ("swap-cert-a", "swap-cert-b"):
        key = keygen(tmp_path / name, "-t", "ed25519")
        subprocess.run(
            ["ssh-keygen", "-q", "-s", authority, "-I", name, "-h", key.with_name(f"{name}.pub")],
            check=True,
            timeout=PATIENCE_S,
        )
        hosts.append(fleet.sshd(name, {"HostKey": f"{key}\nHostCertificate {key}-cert.pub"}))
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(f"@cert-authority * {authority.with_name('ca.pub').read_text()}")
    inventory = tmp_path / "inventory.yml"
    codes = []
    for a, b in (hosts, reversed(hosts)):
        write_inventory(fleet, inventory, {"a": a, "b": b})
        done = fleetctl(
            "ping", "-i", str(inventory), "-o", f"UserKnownHostsFile={known_hosts}", "all"
        )
        codes.append((done.code, done.out, done.err))
    for host in hosts:
        fleet.stop(host)
    assert [code for code, *_ in codes] == [0, 0], codes


def test_S15_a_password_goes_to_nobody_else(tmp_path):
    """
    S15: of two servers that take passwords each gets its own, and none after the swap.
    """
    got: list[str] = []

    class Passwords(Login):
        def get_allowed_auths(self, username):
            return "password"

        def check_auth_password(self, username, password):
            got.append(password)
            return 0

    reach = HostSettings(identity_agent="none", connect_timeout_s=PATIENCE_S)

    def log_in(server, name):
        settings = dataclasses.replace(
            server.host.settings,
            origin={"HostName": "inventory.yml:1"},
            # One file knows both.
            user_known_hosts_files=tuple(
                file for each in (one, other) for file in each.host.settings.user_known_hosts_files
            ),
        )
        host = dataclasses.replace(server.host, name=name, settings=settings)

        async def main():
            connector = SshConnector(
                secrets=Secrets(login=f"of {name}"), seen=SeenHostKeys(tmp_path / "seen")
            )
            try:
                async with connected(host, connector=connector):
                    return None
            except FleetError as error:
                return error.kind
            finally:
                await connector.aclose()

        return run_async(main)

    with (
        scripted_server(reach, login=Passwords) as one,
        scripted_server(reach, login=Passwords) as other,
    ):
        assert [log_in(one, "a"), log_in(other, "b")] == [None, None]
        assert got == ["of a", "of b"]
        got.clear()
        assert [log_in(other, "a"), log_in(one, "b")] == ["hostkey.changed"] * 2
        assert got == []
        assert [log_in(one, "a"), log_in(other, "b")] == [None, None]


def test_S15_a_new_lab_is_not_taken_for_a_swap(tmp_path, private_home):
    """
    S15: a lab has other keys at other addresses each time, under the same names; starting one
    forgets the one before.
    """
    state = Path(os.environ["FLEETCTL_STATE"])
    inventory = state / "lab" / "inventory.yml"
    state.mkdir(parents=True)
    stale = generate_key().public.split()[1][:43]
    (state / "seen-host-keys").write_text(
        f"{inventory}\tweb01\t[127.0.0.9]:9\tssh-ed25519 SHA256:{stale}\n"
    )
    try:
        assert fleetctl("lab", "start", "--hosts", "1").code == 0
        assert fleetctl("ping", "web01").code == 0
        assert str(inventory) in (state / "seen-host-keys").read_text()
    finally:
        assert fleetctl("lab", "stop").code == 0
    assert (state / "seen-host-keys").read_text() == ""
