"""
Host keys of real servers: who is refused, and that nothing is offered before.
"""

from __future__ import annotations

import asyncio
import subprocess

import paramiko
import pytest

from fleetctl.lab.keys import generate_key
from fleetctl.model.errors import FleetError
from fleetctl.ssh.connect import HostKeyQuestion
from tests.support.drive import connected, failed_login, run_async
from tests.support.keys import fingerprint, keygen, own_line
from tests.support.server import paramiko_key, scripted_server

pytestmark = pytest.mark.fleet


def auth_lines(lab_host, since: int) -> list[str]:
    """Return what sshd logged about logins since its log had that size."""
    text = lab_host.log.read_bytes()[since:].decode(errors="replace")
    return [
        line
        for line in text.splitlines()
        if any(word in line for word in ("Accepted", "Failed", "user=", "Postponed", "key "))
    ]


# -- refused


def test_unknown_host_key(fleet, tmp_path):
    """
    A host nobody knows is refused with its fingerprint and the command to add it, and nothing is
    offered to it (F22).
    """
    lab_host = fleet.host("unknown-key")
    since = lab_host.log.stat().st_size
    error = failed_login(fleet.model_host(lab_host))
    assert error.kind == "hostkey.unknown"
    public = lab_host.host_key
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", public], capture_output=True, check=True, text=True
    )
    assert shown.stdout.split()[1] in str(error)
    assert "fleetctl hostkeys enroll unknown-key" in (error.failure.hint or "")
    assert auth_lines(lab_host, since) == []
    assert not error.failure.retryable


def test_changed_host_key(fleet, tmp_path):
    """
    Both fingerprints and the line that knows better are shown, and no login is attempted (F23).
    """
    lab_host = fleet.host("new-key")
    since = lab_host.log.stat().st_size
    line = own_line(fleet, lab_host)
    number = fleet.known_hosts.read_text().splitlines().index(line) + 1
    error = failed_login(fleet.model_host(lab_host))
    assert error.kind == "hostkey.changed"
    sent = subprocess.run(
        ["ssh-keygen", "-l", "-f", lab_host.host_key], capture_output=True, check=True, text=True
    ).stdout.split()[1]
    assert str(error) == (
        f"host key changed: {fleet.known_hosts}:{number} has {fingerprint(line, tmp_path)}, "
        f"server sent {sent}"
    )
    assert "fleetctl hostkeys replace new-key" in (error.failure.hint or "")
    assert auth_lines(lab_host, since) == []


@pytest.mark.parametrize("strictness", ["ask", "accept-new", "no"])
def test_changed_host_key_is_refused_however_lax_the_settings(fleet, strictness):
    """
    No value of StrictHostKeyChecking accepts a key that contradicts a known one (F23).
    """

    async def yes(question: HostKeyQuestion) -> bool:
        return True

    before = fleet.known_hosts.read_bytes()
    host = fleet.model_host(fleet.host("new-key"), strict_host_key_checking=strictness)
    before = fleet.known_hosts.read_bytes()
    assert failed_login(host, ask_host_key=yes).kind == "hostkey.changed"
    assert fleet.known_hosts.read_bytes() == before


@pytest.mark.parametrize("strictness", ["yes", "ask", "accept-new", "no"])
def test_revoked_host_key(fleet, tmp_path, strictness):
    """
    A revoked key is refused even where it is also known as good, whatever the settings (F24).
    """
    # One that nobody else logs in to: a login that was given up may be logged late.
    lab_host = fleet.host("web-revoked")
    file = tmp_path / "known_hosts"
    line = own_line(fleet, lab_host)
    file.write_text(f"{line}\n@revoked * {line.split(' ', 1)[1]}\n")
    since = lab_host.log.stat().st_size
    host = fleet.model_host(
        lab_host, user_known_hosts_files=(str(file),), strict_host_key_checking=strictness
    )
    error = failed_login(host)
    assert error.kind == "hostkey.revoked"
    assert f"{file}:2 revokes the key" in str(error)
    assert auth_lines(lab_host, since) == []


def test_asking_nobody_refuses(fleet):
    """
    With `ask` and no person, an unknown key is refused; in batch mode even with one.
    """
    lab_host = fleet.host("unknown-key")

    async def yes(question: HostKeyQuestion) -> bool:
        return True

    host = fleet.model_host(lab_host, strict_host_key_checking="ask")
    assert failed_login(host).kind == "hostkey.unknown"
    batch = fleet.model_host(lab_host, strict_host_key_checking="ask", batch_mode=True)
    assert failed_login(batch, ask_host_key=yes).kind == "hostkey.unknown"


# -- later key exchanges


@pytest.mark.parametrize("same", [True, False])
def test_S12_key_of_a_later_exchange(fleet, same):
    """
    A key exchange in the middle of the connection must bring the same host key; another one ends
    the connection.
    """
    other = paramiko_key(generate_key())

    async def main():
        async with connected(server.host) as connection:
            assert (await connection.exec("true")).exit_status == 0
            theirs = server.transports[0]
            if not same:
                theirs.server_key_dict = {}
                theirs.add_server_key(other)
            await asyncio.to_thread(renegotiate, theirs)
            if same:
                assert (await connection.exec("true")).exit_status == 0
                return
            await asyncio.wait_for(asyncio.shield(connection.transport.ended), 5)
            with pytest.raises(FleetError, match="host key changed") as caught:
                await connection.exec("true")
            assert caught.value.kind == "session.lost"

    def renegotiate(theirs):
        try:
            theirs.renegotiate_keys()
        except (EOFError, OSError, paramiko.SSHException):
            assert not same

    with scripted_server(fleet.settings(fleet.host("web01"))) as server:
        run_async(main)


# -- what else decides


@pytest.mark.parametrize("strictness", ["ask", "accept-new"])
def test_F25_a_file_that_cannot_be_read_accepts_nobody_new(fleet, tmp_path, strictness):
    """
    F25: it may know the host with another key, so no unknown key is accepted or asked about.
    """

    async def yes(question: HostKeyQuestion) -> bool:
        raise AssertionError("nobody is to be asked")

    host = fleet.model_host(
        fleet.host("unknown-key"),
        strict_host_key_checking=strictness,
        user_known_hosts_files=(str(tmp_path / "new"), str(tmp_path)),
    )
    error = failed_login(host, ask_host_key=yes)
    assert error.kind == "hostkey.unknown"
    assert f"{tmp_path} cannot be read" in str(error)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("alias", [None, "web1"])
def test_NoHostAuthenticationForLocalhost(fleet, tmp_path, alias):
    """
    On a loopback address even a changed key is taken, as by ssh; with an alias it is not.
    """
    lab_host = fleet.host("new-key")
    host = fleet.model_host(
        lab_host, no_host_authentication_for_localhost=True, host_key_alias=alias
    )
    if alias is not None:
        assert failed_login(host).kind == "hostkey.unknown"
        return

    async def main():
        async with connected(host) as connection:
            return (await connection.exec("exit 7")).exit_status

    assert run_async(main) == 7


def test_RequiredRSASize_refuses_a_short_host_key(fleet, tmp_path):
    """
    A key that is known, but too short for the settings, is refused before anything is offered.
    """
    key = keygen(tmp_path / "rsa", "-t", "rsa", "-b", "2048")
    lab_host = fleet.sshd("short-rsa", {"HostKey": str(key)})
    since = lab_host.log.stat().st_size
    public = key.with_name("rsa.pub").read_text().split()
    file = tmp_path / "known_hosts"
    file.write_text(f"[{lab_host.address}]:{lab_host.port} {public[0]} {public[1]}\n")
    error = failed_login(
        fleet.model_host(lab_host, user_known_hosts_files=(str(file),), required_rsa_size=3072)
    )
    assert error.kind == "kex.no_common"
    assert "2048 bits" in str(error)
    assert auth_lines(lab_host, since) == []
    fleet.stop(lab_host)


def test_a_host_whose_name_is_a_pattern_is_not_written(fleet, tmp_path):
    """
    S13: what an inventory calls a host cannot become a line for all hosts.
    """
    host = fleet.model_host(
        fleet.host("web01"),
        strict_host_key_checking="accept-new",
        user_known_hosts_files=(str(tmp_path / "known_hosts"),),
        host_key_alias="*",
    )
    error = failed_login(host)
    assert error.kind == "hostkey.unknown"
    assert "cannot be written to known_hosts" in str(error)
    assert not (tmp_path / "known_hosts").exists() or not (tmp_path / "known_hosts").read_text()
