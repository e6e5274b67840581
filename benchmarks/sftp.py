"""
Measure how fast one large file goes to a host and back over SFTP, and what it costs here.

    python benchmarks/sftp.py --mib 100 --runs 3

Beside fleetctl's client: OpenSSH's `sftp` and Paramiko's SFTPClient (`put`, `get`), each a process
of its own, over a real sshd on loopback with internal-sftp; all with aes128-gcm@openssh.com.
Files are in memory where there is /dev/shm. Of the time and the CPU of each process those of the
same with an empty file are taken away: start-up and login are not what is measured. Printed is a
table in Markdown, best of the runs; the sum of what arrived is compared each time.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from measure import Measurement, run_measured  # noqa: E402

CIPHER = "aes128-gcm@openssh.com"
MEMORY = "/dev/shm" if os.path.isdir("/dev/shm") else None
PIECE_BYTES = 1024 * 1024
CLIENTS = ("fleetctl", "sftp", "paramiko")
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Place:
    """Where the server listens, and what logs in."""

    address: str
    port: int
    user: str
    identity: Path
    known_hosts: Path

    def options(self) -> list[str]:
        """Return them as options of this script."""
        fields = (self.address, str(self.port), self.user, str(self.identity), self.known_hosts)
        return [*map(str, fields)]


def by_fleetctl(place: Place, way: str, local: Path, remote: str) -> None:
    from fleetctl.model.host import Host
    from fleetctl.model.settings import HostSettings
    from fleetctl.model.trace import Trace
    from fleetctl.ssh.connector import SshConnector
    from fleetctl.ssh.loop import run_loop
    from fleetctl.ssh.sftp import OpenFlags, SftpClient, over_sftp

    settings = HostSettings(
        hostname=place.address,
        port=place.port,
        user=place.user,
        identity_files=(str(place.identity),),
        identities_only=True,
        identity_agent="none",
        strict_host_key_checking="yes",
        user_known_hosts_files=(str(place.known_hosts),),
        global_known_hosts_files=(),
        ciphers=(CIPHER,),
    )

    async def pieces() -> AsyncIterator[bytes]:
        with local.open("rb") as stream:
            while piece := stream.read(PIECE_BYTES):
                yield piece

    async def work(client: SftpClient) -> None:
        if way == "put":
            async with client.opened(remote, OpenFlags.WRITE | OpenFlags.CREAT) as handle:
                await client.write_pieces(handle, pieces())
            return
        async with client.opened(remote, OpenFlags.READ) as handle:
            with local.open("wb") as stream:
                async for piece in await client.read(handle):
                    stream.write(piece)

    async def main() -> None:
        connector = SshConnector(secrets=None)  # type: ignore[arg-type]  # there is nothing to ask
        link = await connector.connect(Host("bench", settings=settings), Trace(), open_session=True)

        class Remote:
            async def exec(self, request: object) -> object:
                return await link.exec(request, Trace(), None)  # type: ignore[arg-type]

        try:
            await over_sftp(Remote(), work)  # type: ignore[arg-type]  # a part of a Remote
        finally:
            await link.close()
            await connector.aclose()

    run_loop(main)


def by_paramiko(place: Place, way: str, local: Path, remote: str) -> None:
    import paramiko

    paramiko.Transport._preferred_ciphers = (CIPHER,)
    with paramiko.SSHClient() as client:
        client.load_host_keys(str(place.known_hosts))
        client.connect(
            place.address,
            place.port,
            place.user,
            key_filename=str(place.identity),
            allow_agent=False,
            look_for_keys=False,
        )
        with client.open_sftp() as sftp:
            if way == "put":
                sftp.put(str(local), remote)
            else:
                sftp.get(remote, str(local))


def by_sftp(place: Place, way: str, local: Path, remote: str) -> None:
    options = {
        "IdentityFile": place.identity,
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": place.known_hosts,
        "StrictHostKeyChecking": "yes",
        "Ciphers": CIPHER,
    }
    argv = ["sftp", "-q", "-F", "/dev/null", "-P", str(place.port), "-b", "-"]
    for name, value in options.items():
        argv += ["-o", f"{name}={value}"]
    words = (way, local, remote) if way == "put" else (way, remote, local)
    batch = " ".join(map(str, words)) + "\n"
    argv.append(f"{place.user}@{place.address}")
    subprocess.run(argv, input=batch, text=True, check=True, stdout=subprocess.DEVNULL)


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def measure(place: Place, client: str, way: str, source: Path, folder: Path) -> Measurement:
    """Copy a file with one client, in a process of its own, and compare what arrived."""
    target = folder / "copy"
    target.unlink(missing_ok=True)
    local, remote = (source, target) if way == "put" else (target, source)
    script = [sys.executable, str(Path(__file__)), "--one", client, way, str(local), str(remote)]
    errors = folder / "errors"
    measured = run_measured(
        [*script, *place.options()], os.environ, folder / "output", errors, TIMEOUT_S
    )
    if measured.exit_code != 0:
        raise SystemExit(f"{client} {way} failed:\n{errors.read_text()}")
    if digest(source) != digest(target):
        raise SystemExit(f"{client} {way}: what arrived is something else")
    return measured


def compare(place: Place, folder: Path, size_bytes: int, runs: int) -> None:
    large, empty = folder / "large", folder / "empty"
    empty.touch()
    with large.open("wb") as stream:
        for _ in range(size_bytes // PIECE_BYTES):
            stream.write(os.urandom(PIECE_BYTES))
    mib = size_bytes / PIECE_BYTES
    print("| client | way | MiB/s | CPU s / 100 MiB | peak RSS MiB |")
    print("|---|---|---:|---:|---:|")
    for way in ("put", "get"):
        for client in CLIENTS:
            bases = [measure(place, client, way, empty, folder) for _ in range(runs)]
            found = [measure(place, client, way, large, folder) for _ in range(runs)]
            wall_s = min(one.wall_s for one in found) - min(one.wall_s for one in bases)
            cpu_s = min(one.cpu_s for one in found) - min(one.cpu_s for one in bases)
            rss = max(one.largest_rss_bytes for one in found) / PIECE_BYTES
            print(
                f"| {client} | {way} | {mib / wall_s:.0f} | {cpu_s * 100 / mib:.2f} | {rss:.0f} |"
            )


def serve(mib: int, runs: int) -> None:
    """Start sshd, and compare the clients."""
    from tests.support.fleet import Fleet

    with tempfile.TemporaryDirectory(prefix="bench-sftp-", dir=MEMORY) as name:
        folder = Path(name)
        (folder / "fleet").mkdir()
        (folder / "files").mkdir()
        fleet = Fleet(folder / "fleet", block=99)
        try:
            host = fleet.sshd("bench", {"Subsystem": "sftp internal-sftp"})
            place = Place(host.address, host.port, fleet.user, fleet.identity, fleet.known_hosts)
            compare(place, folder / "files", mib * PIECE_BYTES, runs)
        finally:
            fleet.close()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--mib", type=int, default=100, help="size of the file")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--one", nargs=9, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.one is None:
        serve(given.mib, given.runs)
        return
    client, way, local, remote, address, port, user, identity, known_hosts = given.one
    place = Place(address, int(port), user, Path(identity), Path(known_hosts))
    copy = {"fleetctl": by_fleetctl, "sftp": by_sftp, "paramiko": by_paramiko}[client]
    copy(place, way, Path(local), remote)


if __name__ == "__main__":
    main()
