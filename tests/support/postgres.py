"""
A PostgreSQL server of the tests' own: a throw-away cluster, on a free loopback port.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.patience import PATIENCE_S

_NAME = "fleetctl_test"


@contextmanager
def run_postgres() -> Iterator[str]:
    """Start a server, give the URL of an empty database's server, and remove everything after."""
    folder = Path(tempfile.mkdtemp(prefix="fleetctl-pg-"))
    try:
        owner = _unprivileged(folder)
        data = folder / "data"
        _initialise(data, owner)
        port = _free_port()
        server = _start(folder, data, port, owner)
        try:
            _wait(server, folder, port)
            yield f"postgresql://{_NAME}@127.0.0.1:{port}/postgres"
        finally:
            server.send_signal(signal.SIGINT)  # disconnect everybody and end
            server.wait(PATIENCE_S)
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> str:
    places = [os.environ["PATH"], *sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join(places))
    assert found, f"{name} is needed: scripts/need-parts"
    return found


def _unprivileged(folder: Path) -> str | None:
    """Give the folder to a user that the server accepts, if we are one it does not."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(folder, user.pw_uid, user.pw_gid)
            return name
    raise AssertionError("no user to run PostgreSQL as")


def _initialise(data: Path, owner: str | None) -> None:
    options = ("--auth=trust", f"--username={_NAME}", "--encoding=UTF8", "--locale=C", "--no-sync")
    done = subprocess.run(
        [_program("initdb"), "-D", data, *options],
        check=False,
        user=owner,
        group=owner and _group(owner),
        extra_groups=[] if owner else None,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _group(owner: str) -> int:
    return pwd.getpwnam(owner).pw_gid


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _start(folder: Path, data: Path, port: int, owner: str | None) -> subprocess.Popen[bytes]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "fsync": "off",
        "shared_buffers": "16MB",
        "max_connections": 20,
    }
    words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [_program("postgres"), "-D", data, *words],
            user=owner,
            group=owner and _group(owner),
            extra_groups=[] if owner else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _wait(server: subprocess.Popen[bytes], folder: Path, port: int) -> None:
    """Wait until the server lets somebody in."""
    import psycopg

    until = time.monotonic() + PATIENCE_S
    while True:
        assert server.poll() is None, (folder / "log").read_text()
        try:
            psycopg.connect(f"postgresql://{_NAME}@127.0.0.1:{port}/postgres").close()
        except psycopg.OperationalError:
            assert time.monotonic() < until, (folder / "log").read_text()
            time.sleep(0.05)
        else:
            return


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """Make an empty database on a server, and give its URL."""
    import psycopg

    name = f"history_{os.getpid()}_{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield server.rpartition("/")[0] + "/" + name
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
