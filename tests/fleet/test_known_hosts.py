"""
known_hosts files in use: what is read, learnt and written.
"""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from time import monotonic

import pytest

from fleetctl.ssh.connect import AskHostKey, HostKeyQuestion
from tests.support.drive import connected, connecting, failed_login, run_async
from tests.support.keys import fingerprint, own_line
from tests.support.patience import at_some_pace

pytestmark = pytest.mark.fleet


def knows(file: Path, lab_host) -> bool:
    """Ask OpenSSH's own tool whether a file knows a host."""
    name = f"[{lab_host.address}]:{lab_host.port}"
    done = subprocess.run(
        ["ssh-keygen", "-F", name, "-f", file], capture_output=True, text=True, check=False
    )
    return done.returncode == 0 and len(done.stdout.splitlines()) == 2


def connect(host, *, ask: AskHostKey | None = None, warnings: list[str] | None = None) -> None:
    async def main():
        async with (
            connecting(ask_host_key=ask, warnings=warnings) as connector,
            connected(host, connector=connector) as connection,
        ):
            assert (await connection.exec("exit 7")).exit_status == 7

    run_async(main)


# -- learned


@pytest.mark.parametrize("hashed", [False, True])
def test_accept_new_writes_one_line(fleet, tmp_path, hashed):
    """
    A new key is written once, as a line OpenSSH finds too, hashed if asked for; from then on the
    host is trusted strictly.
    """
    lab_host = fleet.host("web01")
    file = tmp_path / "new" / "known_hosts"
    host = fleet.model_host(
        lab_host,
        strict_host_key_checking="accept-new",
        user_known_hosts_files=(str(file),),
        hash_known_hosts=hashed,
    )
    for _ in range(2):
        connect(host)
        assert len(file.read_text().splitlines()) == 1
    assert knows(file, lab_host)
    assert file.read_text().startswith("|1|" if hashed else f"[{lab_host.address}]:")
    assert file.stat().st_mode & 0o777 == 0o600
    connect(fleet.model_host(lab_host, user_known_hosts_files=(str(file),)))


def test_accept_new_in_the_home(fleet, private_home, tmp_path, monkeypatch):
    """
    The default files are below the home of the user, not below a directory called ~.
    """
    monkeypatch.chdir(tmp_path)
    host = fleet.model_host(
        fleet.host("web01"),
        strict_host_key_checking="accept-new",
        user_known_hosts_files=("~/.ssh/known_hosts", "~/.ssh/known_hosts2"),
    )
    connect(host)
    assert knows(private_home / ".ssh" / "known_hosts", fleet.host("web01"))
    assert list(tmp_path.iterdir()) == []


def test_accept_new_keeps_what_is_there(fleet, tmp_path):
    """
    Comments, odd lines and a missing last newline stay as they are; the line is added behind.
    """
    lab_host = fleet.host("web01")
    file = tmp_path / "known_hosts"
    content = b"# mine\n\nnot a line\n\xff\xfe\nlast without newline"
    file.write_bytes(content)
    host = fleet.model_host(
        lab_host, strict_host_key_checking="accept-new", user_known_hosts_files=(str(file),)
    )
    connect(host)
    assert file.read_bytes() == content + b"\n" + own_line(fleet, lab_host).encode() + b"\n"


def test_many_hosts_learn_into_one_file(fleet, tmp_path):
    """
    Hosts that are met at the same time each get their line, whole.
    """
    file = tmp_path / "known_hosts"
    lab_hosts = fleet.hosts(8)

    async def main():
        async with connecting() as connector:

            async def one(lab_host):
                host = fleet.model_host(
                    lab_host,
                    strict_host_key_checking="accept-new",
                    user_known_hosts_files=(str(file),),
                )
                async with connected(host, connector=connector):
                    pass

            await asyncio.gather(*(one(lab_host) for lab_host in lab_hosts * 2))

    run_async(main)
    assert sorted(file.read_text().splitlines()) == sorted(
        own_line(fleet, lab_host) for lab_host in lab_hosts
    )


def test_file_that_cannot_be_written(fleet, tmp_path):
    """
    A key that was accepted but cannot be written is a warning; the host is reached.
    """
    warnings: list[str] = []
    (tmp_path / "file").write_text("")
    host = fleet.model_host(
        fleet.host("web01"),
        strict_host_key_checking="accept-new",
        user_known_hosts_files=(str(tmp_path / "file" / "known_hosts"),),
    )
    connect(host, warnings=warnings)
    assert any("was not written" in warning for warning in warnings)


@pytest.mark.parametrize("answer", [True, False])
def test_person_is_asked(fleet, tmp_path, answer):
    """
    The question shows name, address, type and fingerprint. Yes writes the key and is not asked
    again; no refuses.
    """
    lab_host = fleet.host("web01")
    file = tmp_path / "known_hosts"
    questions: list[HostKeyQuestion] = []

    async def ask(question: HostKeyQuestion) -> bool:
        questions.append(question)
        return answer

    host = fleet.model_host(
        lab_host, strict_host_key_checking="ask", user_known_hosts_files=(str(file),)
    )
    if answer:
        connect(host, ask=ask)
        connect(host, ask=ask)
        assert knows(file, lab_host)
    else:
        assert failed_login(host, ask_host_key=ask).kind == "hostkey.unknown"
        assert not file.exists()
    [question] = questions
    assert (question.host, question.address) == (host, lab_host.address)
    assert question.key_type == "ssh-ed25519"
    assert question.fingerprint == fingerprint(own_line(fleet, lab_host), tmp_path)


def test_answer_counts_for_the_rest_of_the_process(fleet, tmp_path):
    """
    A host that is connected to again by the same connector is not asked about again.
    """
    questions: list[HostKeyQuestion] = []

    async def ask(question: HostKeyQuestion) -> bool:
        questions.append(question)
        return True

    host = fleet.model_host(
        fleet.host("web01"),
        strict_host_key_checking="ask",
        user_known_hosts_files=(str(tmp_path / "known_hosts"),),
    )

    async def main():
        async with connecting(ask_host_key=ask) as connector:
            for _ in range(2):
                async with connected(host, connector=connector):
                    pass

    run_async(main)
    assert len(questions) == 1


def test_person_is_not_hurried(fleet, tmp_path):
    """
    The time somebody takes to compare fingerprints does not count against the host.
    """

    def check(pace):
        async def ask(question: HostKeyQuestion) -> bool:
            await asyncio.sleep(1.3 * pace)
            return True

        host = fleet.model_host(
            fleet.host("web01"),
            strict_host_key_checking="ask",
            user_known_hosts_files=(str(tmp_path / f"known_hosts-{pace:g}"),),
            connect_timeout_s=pace,
        )
        started = monotonic()
        connect(host, ask=ask)
        assert monotonic() - started > 1.2 * pace

    at_some_pace(check)


def test_not_checking_is_loud(fleet):
    """
    StrictHostKeyChecking no reaches an unknown host with a warning, and writes nothing.
    """
    lab_host = fleet.host("unknown-key")
    before = fleet.known_hosts.read_bytes()
    warnings: list[str] = []
    connect(fleet.model_host(lab_host, strict_host_key_checking="no"), warnings=warnings)
    assert len(warnings) == 1
    assert "was not checked" in warnings[0]
    assert fleet.known_hosts.read_bytes() == before


# -- reading the files


def test_bad_lines_are_warnings(fleet, tmp_path):
    """
    Lines that are not understood are named and skipped, the rest counts, and no byte of the file
    changes (F25).
    """
    lab_host = fleet.host("web01")
    line = own_line(fleet, lab_host)
    bad = [
        b"torn ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI",
        b"just words",
        b"@unknown-marker host ssh-ed25519 AAAA",
        b"\xff\xfe\x00 binary",
        b"|1|bad|hash ssh-ed25519 AAAA",
    ]
    content = b"# fine\n" + b"\n".join(bad) + b"\n" + line.encode() + b"\n"
    file = tmp_path / "known_hosts"
    file.write_bytes(content)
    warnings: list[str] = []
    connect(fleet.model_host(lab_host, user_known_hosts_files=(str(file),)), warnings=warnings)
    assert [warning.split(": ")[0] for warning in warnings] == [
        f"{file}:{number}" for number in range(2, 7)
    ]
    assert file.read_bytes() == content


def test_torn_line_of_the_host_does_not_vouch_for_it(fleet, tmp_path):
    """
    Half a line of the right host fails closed (F25).
    """
    lab_host = fleet.host("web01")
    file = tmp_path / "known_hosts"
    file.write_text(own_line(fleet, lab_host)[:-8] + "\n")
    error = failed_login(fleet.model_host(lab_host, user_known_hosts_files=(str(file),)))
    assert error.kind == "hostkey.unknown"


def test_file_that_cannot_be_read(fleet, tmp_path):
    """
    An unreadable file is a warning and knows nobody: the host is refused (F25).
    """
    warnings: list[str] = []
    host = fleet.model_host(fleet.host("web01"), user_known_hosts_files=(str(tmp_path),))
    assert failed_login(host, warnings=warnings).kind == "hostkey.unknown"
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{tmp_path}: not read")


def test_key_known_by_the_plain_name(fleet, tmp_path):
    """
    As ssh does, a host on another port is also found under its name alone.
    """
    lab_host = fleet.host("web01")
    file = tmp_path / "known_hosts"
    file.write_text(f"{lab_host.address} {own_line(fleet, lab_host).split(' ', 1)[1]}\n")
    connect(fleet.model_host(lab_host, user_known_hosts_files=(str(file),)))


def test_key_known_by_an_alias(fleet, tmp_path):
    """
    HostKeyAlias is the name that is looked up, and the only one.
    """
    lab_host = fleet.host("web01")
    file = tmp_path / "known_hosts"
    file.write_text(f"cluster-a {own_line(fleet, lab_host).split(' ', 1)[1]}\n")
    files = (str(file),)
    connect(fleet.model_host(lab_host, user_known_hosts_files=files, host_key_alias="Cluster-A"))
    error = failed_login(fleet.model_host(lab_host, host_key_alias="cluster-b"))
    assert error.kind == "hostkey.unknown"
    assert "cluster-b" in str(error)


def test_server_is_asked_for_the_key_that_is_known(fleet, tmp_path):
    """
    A server with two host keys shows the one known_hosts has, not the type we like best.
    """
    keys = []
    for key_type in ("ed25519", "rsa"):
        path = tmp_path / key_type
        subprocess.run(["ssh-keygen", "-q", "-t", key_type, "-N", "", "-f", path], check=True)
        keys.append(path)
    lab_host = fleet.sshd("two-keys", {"HostKey": f"{keys[0]}\nHostKey {keys[1]}"})
    public = (tmp_path / "rsa.pub").read_text().split()
    file = tmp_path / "known_hosts"
    file.write_text(f"[{lab_host.address}]:{lab_host.port} {public[0]} {public[1]}\n")
    host = fleet.model_host(lab_host, user_known_hosts_files=(str(file),))

    async def main():
        async with connected(host) as connection:
            return connection.ssh.facts()["host_key_type"]

    assert run_async(main) in ("rsa-sha2-512", "rsa-sha2-256")
    fleet.stop(lab_host)
