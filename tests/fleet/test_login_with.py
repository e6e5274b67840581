"""
A login apart from all others: what one credential is worth, on real sshd.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetctl.model.errors import FleetError
from fleetctl.model.login import Login
from fleetctl.model.operation import ExecRequest
from fleetctl.model.secret import Secret
from fleetctl.model.trace import Trace
from fleetctl.ssh.key_file import read_public_blob
from tests.support.drive import run_async
from tests.support.keys import agent, authorize, fingerprint, keygen
from tests.support.operating import operating_on

pytestmark = pytest.mark.fleet

QUICK = ("-t", "ed25519")


def test_the_key_that_is_named_logs_in_and_is_the_only_one_offered(fleet, loop, tmp_path):
    """
    A new key is tried alone, on a connection of its own that is closed after; the host knows which.
    """
    lab_host = fleet.sshd("proving", {})
    new, other = keygen(tmp_path / "new", *QUICK), keygen(tmp_path / "other", *QUICK)
    authorize(lab_host, new)

    async def main() -> None:
        async with operating_on(fleet.model_host(lab_host)) as remote:
            assert (await remote.connect())["auth_key"] != fingerprint_of(new)
            async with remote.login_with(Login(identity_file=str(new))) as fresh:
                assert (await fresh.connect())["auth_key"] == fingerprint_of(new)
                first = await remote.exec(ExecRequest("echo $PPID"))
                second = await fresh.exec(ExecRequest("echo $PPID"))
                assert first.stdout != second.stdout
            with pytest.raises(FleetError) as refused:
                async with remote.login_with(Login(identity_file=str(other))) as fresh:
                    await fresh.connect()
            assert refused.value.kind == "auth.denied"
            assert str(refused.value).count("SHA256:") == 1

    def fingerprint_of(path):
        return fingerprint((tmp_path / f"{path.name}.pub").read_text(), tmp_path)

    run_async(main, loop=loop)


def test_a_key_in_memory_can_be_tried(fleet, loop, tmp_path):
    """
    The private half need not be in any file.
    """
    lab_host = fleet.sshd("proving", {})
    key = keygen(tmp_path / "memory", *QUICK)
    text = Secret(key.read_text())
    key.unlink()

    async def main() -> None:
        async with operating_on(fleet.model_host(lab_host)) as remote:
            with pytest.raises(FleetError, match="made for this login"):
                async with remote.login_with(Login(private_key=text)) as fresh:
                    await fresh.connect()
            authorize(lab_host, key)
            async with remote.login_with(Login(private_key=text)) as fresh:
                assert (await fresh.connect())["auth_method"] == "publickey"

    run_async(main, loop=loop)


def test_a_blob_means_the_key_of_the_agent_or_of_a_file_that_is_configured(fleet, loop, tmp_path):
    """
    Of an agent full of keys, exactly the one with that blob is offered.
    """
    lab_host = fleet.sshd("proving", {"MaxAuthTries": "1"})
    keys = [keygen(tmp_path / f"agent{number}", *QUICK) for number in range(4)]
    authorize(lab_host, keys[2])
    blobs = [read_public_blob(str(key)) for key in keys]

    async def main(socket: str) -> None:
        environ = {"SSH_AUTH_SOCK": socket}
        host = fleet.model_host(lab_host, identity_agent="SSH_AUTH_SOCK")
        async with operating_on(host, environ=environ) as remote:
            async with remote.login_with(Login(key=blobs[2])) as fresh:
                assert (await fresh.connect())["auth_method"] == "publickey"
            with pytest.raises(FleetError) as refused:
                async with remote.login_with(Login(key=blobs[0])) as fresh:
                    await fresh.connect()
            assert refused.value.kind in ("auth.denied", "auth.too_many")
        unknown = replace(host.settings, identity_agent="none")
        async with operating_on(replace(host, settings=unknown)) as remote:
            with pytest.raises(FleetError, match="private half") as missing:
                async with remote.login_with(Login(key=blobs[2])) as fresh:
                    await fresh.connect()
            assert missing.value.kind == "auth.key_file"

    with agent(tmp_path, *keys) as socket:
        run_async(lambda: main(socket), loop=loop)


def test_without_a_credential_it_is_the_usual_way_on_a_new_connection(fleet, loop):
    """
    Whether the managing login still works is found out by logging in, not by looking at what is
    open.
    """
    lab_host = fleet.sshd("proving", {})

    async def main() -> None:
        trace = Trace()
        async with operating_on(fleet.model_host(lab_host), trace=trace) as remote:
            first = await remote.exec(ExecRequest("echo $PPID"))
            async with remote.login_with(Login()) as fresh:
                second = await fresh.exec(ExecRequest("echo $PPID"))
            assert first.stdout != second.stdout
            async with remote.login_with(Login(user="no-such-user")) as fresh:
                with pytest.raises(FleetError) as nobody:
                    await fresh.connect()
            assert nobody.value.kind.startswith("auth.")
        assert trace.ran == "yes"

    run_async(main, loop=loop)
