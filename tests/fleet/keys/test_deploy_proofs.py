"""
Proofs by logging in anew, on real sshd.
"""

from __future__ import annotations

import asyncio

import pytest

from fleetctl.keys.prove import negative_control, prove, runs_commands
from fleetctl.model.login import Login
from tests.support.drive import run_async
from tests.support.keys import authorize, keygen
from tests.support.operating import operating_on

pytestmark = pytest.mark.fleet

QUICK = ("-t", "ed25519")
PATIENTLY = (0.1,) * 60


def test_a_key_proves_what_it_may_do_and_no_more(fleet, loop, tmp_path):
    """
    A command, a login, or nothing; and a random key nothing.
    """
    host = fleet.sshd("proofs", {})
    free, forced, none = (keygen(tmp_path / name, *QUICK) for name in ("free", "forced", "none"))
    authorize(host, free)
    with (host.home / ".ssh" / "authorized_keys").open("a") as stream:
        stream.write('command="echo menu" ' + forced.with_suffix(".pub").read_text())

    async def main():
        async with operating_on(fleet.model_host(host)) as remote:
            verdicts = {}
            for key in (free, forced, none):
                proof = await prove(remote, Login(identity_file=str(key)))
                verdicts[key.name] = proof.verdict
                if key is forced:
                    assert proof.answer == "menu"
            missing = await prove(remote, Login(identity_file=str(tmp_path / "nowhere")))
            control = await negative_control(remote, fleet.user)
            return verdicts, missing.verdict, control.verdict, await runs_commands(remote)

    verdicts, missing, control, runs = run_async(main, loop=loop)
    assert verdicts == {"free": "ran", "forced": "authenticated", "none": "refused"}
    assert (missing, control, runs) == ("unproved", "refused", True)


def test_F07_a_server_that_drops_connections_is_asked_until_it_has_room(fleet):
    """
    MaxStartups drops nearly all of them at once; every proof comes through all the same.
    """
    host = fleet.sshd("proofs-crowded", {"MaxStartups": "1:90:3"})

    async def main():
        async with operating_on(fleet.model_host(host)) as remote:
            login = Login(identity_file=str(fleet.identity))
            proofs = [prove(remote, login, delays_s=PATIENTLY) for _ in range(8)]
            return await asyncio.gather(*proofs)

    assert {proof.verdict for proof in run_async(main)} == {"ran"}


def test_S11_a_control_of_another_type_where_ed25519_may_not_be_offered(fleet):
    """
    PubkeyAcceptedAlgorithms of this side decides what can be offered at all.
    """
    host = fleet.model_host(
        fleet.sshd("proofs", {}), pubkey_accepted_algorithms=("ecdsa-sha2-nistp256",)
    )

    async def main():
        async with operating_on(host) as remote:
            return await negative_control(remote, fleet.user)

    proof = run_async(main)
    assert proof.verdict == "refused"
    assert proof.failure is not None
    assert "ecdsa" in proof.failure.message
