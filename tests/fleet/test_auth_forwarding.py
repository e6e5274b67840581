"""
What an agent is told about connections, and the agent as programs on a host see it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from fleetctl.model.errors import FleetError
from tests.support.drive import connected, failed_login, log_in, run_async
from tests.support.keys import agent, authorize, keygen

pytestmark = pytest.mark.fleet


@pytest.fixture
def lab_host(fleet):
    return fleet.host("web-auth")


def with_agent(fleet, lab_host, path, **changes):
    settings = {"identity_files": (), "identities_only": False, **changes}
    return fleet.model_host(lab_host, identity_agent=path, **settings)


def known_by_name(fleet, lab_host, folder: Path) -> Path:
    """Write a known_hosts file that knows a host's key under its name, as ssh-add wants it."""
    [line] = [
        line
        for line in fleet.known_hosts.read_text().splitlines()
        if line.startswith(f"[{lab_host.address}]:{lab_host.port} ")
    ]
    file = folder / "known"
    file.write_text(f"{lab_host.name} {line.split(' ', 1)[1]}\n")
    return file


def test_a_key_meant_for_one_host_works_there_only(fleet, lab_host, tmp_path):
    """
    ssh-add -h ties a key to a host; the agent is shown, by `session-bind`, which host asks.
    """
    other = fleet.host("web01")
    key = keygen(tmp_path / "key", "-t", "ed25519")
    authorize(lab_host, key)
    authorize(other, key)
    with agent(tmp_path) as path:
        known = known_by_name(fleet, lab_host, tmp_path)
        subprocess.run(
            ["ssh-add", "-q", "-h", lab_host.name, "-H", known, key],
            env={**os.environ, "SSH_AUTH_SOCK": path},
            check=True,
            timeout=10,
        )
        key.unlink()
        assert log_in(with_agent(fleet, lab_host, path)) == (7, "publickey")
        error = failed_login(with_agent(fleet, other, path))
    assert "the agent refuses to sign" in str(error)


def seen_there(host, *commands: str):
    """Run commands on one connection; return the output of each."""

    async def main():
        async with connected(host) as connection:
            return [(await connection.exec(command)).stdout.decode() for command in commands]

    return run_async(main)


@pytest.fixture
def forwarded(fleet, lab_host, tmp_path):
    """A host to which an agent with one key is forwarded, and the key's fingerprint."""
    key = keygen(tmp_path / "held", "-t", "ed25519")
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", key], capture_output=True, check=True, text=True
    )
    with agent(tmp_path, key) as path:
        host = fleet.model_host(lab_host, forward_agent=path)
        yield host, key, shown.stdout.split()[1]


def test_programs_on_the_host_see_the_agent(forwarded):
    """
    ssh-add there lists the key, in each session, one after the other and both at once.
    """
    host, _, fingerprint = forwarded
    outputs = seen_there(
        host, "ssh-add -l", "ssh-add -l", "ssh-add -l & ssh-add -l; wait", "ssh-add -L | wc -l"
    )
    assert [output.count(fingerprint) for output in outputs] == [1, 1, 2, 0]
    assert outputs[3].strip() == "1"


def test_programs_on_the_host_can_sign(forwarded):
    """
    ssh-keygen there signs with the key, and the signature is good.
    """
    host, key, _ = forwarded
    public = key.with_name(f"{key.name}.pub").read_text().strip()
    sign = (
        f"cd $HOME && echo {shlex.quote(public)} > k.pub && echo text > t && rm -f t.sig && "
        "ssh-keygen -q -Y sign -n test -f k.pub t && ssh-keygen -Y check-novalidate -n test -s "
        "t.sig < t"
    )
    [output] = seen_there(host, sign)
    assert "Good" in output


def test_S09_programs_on_the_host_cannot_change_the_agent(forwarded):
    """
    S09: adding, removing and locking are refused, and so is loading a library into the agent
    (CVE-2023-38408).
    """
    host, _, fingerprint = forwarded
    outputs = seen_there(
        host,
        "ssh-add -D 2>&1; echo $?",
        "ssh-add -s /usr/lib/x86_64-linux-gnu/libc.so.6 </dev/null 2>&1; echo $?",
        "ssh-keygen -q -t ed25519 -N '' -f $HOME/n 2>&1; ssh-add $HOME/n 2>&1; rm $HOME/n*; echo .",
        "ssh-add -l",
    )
    assert outputs[0].strip().endswith("1")
    assert outputs[1].strip().endswith("1")
    assert "refused" in outputs[2]
    assert outputs[3].splitlines() == [
        line for line in outputs[3].splitlines() if fingerprint in line
    ]


def test_S09_without_forward_agent_there_is_no_agent_there(fleet, lab_host, tmp_path):
    """
    S09: an agent that is used to log in is not shown to the host.
    """
    key = keygen(tmp_path / "key", "-t", "ed25519")
    authorize(lab_host, key)
    with agent(tmp_path, key) as path:
        [output] = seen_there(
            with_agent(fleet, lab_host, path), 'echo "[$SSH_AUTH_SOCK]"; ssh-add -l 2>&1'
        )
    assert output.startswith("[]\n")


def test_F29_an_agent_that_is_gone_refuses_programs_there(fleet, lab_host, tmp_path):
    """
    F29: the socket is there and nobody behind it: programs get a refusal, the connection stays.
    """
    host = fleet.model_host(lab_host, forward_agent=str(tmp_path / "gone"))
    outputs = seen_there(host, "ssh-add -l 2>&1; echo $?", "echo still here")
    assert "refused" in outputs[0]
    assert outputs[1] == "still here\n"


def test_a_key_meant_for_a_way_works_on_that_way(fleet, lab_host, tmp_path):
    """
    A key tied to one host and to another behind it logs in there through the forwarded agent, and
    nowhere else: the request itself names the host.
    """
    behind, elsewhere = fleet.host("web01"), fleet.host("web02")
    key = keygen(tmp_path / "key", "-t", "ed25519")
    for each in (lab_host, behind, elsewhere):
        authorize(each, key)
    known = tmp_path / "both"
    known.write_text(
        "".join(
            known_by_name(fleet, each, tmp_path).read_text()
            for each in (lab_host, behind, elsewhere)
        )
    )
    with agent(tmp_path) as path:
        subprocess.run(
            [
                *("ssh-add", "-q", "-H", known, "-h", lab_host.name),
                *("-h", f"{lab_host.name}>{behind.name}", key),
            ],
            env={**os.environ, "SSH_AUTH_SOCK": path},
            check=True,
            timeout=10,
        )
        key.unlink()
        first = with_agent(fleet, lab_host, path, forward_agent=path)

        async def main():
            async with connected(first) as connection:
                there = (await connection.exec("echo $SSH_AUTH_SOCK")).stdout
                socket = there.decode().strip()
                async with connected(with_agent(fleet, behind, socket)) as second:
                    assert (await second.exec("exit 7")).exit_status == 7
                with pytest.raises(FleetError, match=r"refuses to sign|nothing to offer"):
                    async with connected(with_agent(fleet, elsewhere, socket)):
                        pass

        run_async(main)
