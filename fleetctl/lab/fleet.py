"""
Starting, looking at and stopping a lab.

A lab belongs to a directory, not to a process: it outlives the command that started it, and any
later command finds it by that directory.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import (
    Lab,
    LabError,
    LabHost,
    check_directory,
    free_endpoints,
    host_names,
    login_user,
    render_inventory,
    write_host,
    write_private,
)
from fleetctl.lab.processes import daemons, end_all, process_table, reap, spawn
from fleetctl.lab.readiness import wait_ready
from fleetctl.lab.sshd import (
    Sshd,
    check_config,
    daemon_argv,
    daemon_env,
    find_sshd,
    is_locked,
    render_config,
)

EMBEDDED = "embedded"

_STATE = "lab.json"
_EMBEDDED_CONFIG = "embedded.json"
_EMBEDDED_LOG = "embedded.log"


@dataclass(frozen=True, slots=True)
class LabStatus:
    """
    A lab and which of its hosts have a living daemon.

    Attributes:
        running: In the order of `lab.hosts`; empty after a reboot.
    """

    lab: Lab
    running: tuple[LabHost, ...]


def start_lab(
    directory: Path, *, hosts: int, prefix: str = "web", prefer_embedded: bool = False
) -> Lab:
    """
    Start a fleet on loopback and wait until every host answers.

    Blocks for at most about 10 s. If anything goes wrong, or the wait is interrupted, nothing is
    left running and the directory is removed.

    Args:
        directory: Made if absent; must be empty.
        hosts: How many.
        prefix: Hosts are ``prefix01`` and so on, in a group ``prefix``.
        prefer_embedded: Use the embedded server even if an sshd is installed.

    Returns:
        The lab; `Lab.engine` says whether real sshd runs.

    Raises:
        LabError: A lab is there already, or it cannot be started.
    """
    directory = _absolute(directory)
    check_directory(directory)
    names = host_names(hosts, prefix)
    _refuse_if_used(directory)
    sshd = None if prefer_embedded else find_sshd()
    try:
        lab = Lab(
            directory=directory,
            hosts=tuple(
                _place(directory, name, address, port, embedded=sshd is None)
                for name, (address, port) in zip(names, free_endpoints(hosts), strict=True)
            ),
            engine=f"sshd ({sshd.name})" if sshd else EMBEDDED,
        )
        _claim(lab)
        with ExitStack() as undo:
            undo.callback(_remove, lab)
            _write_files(lab, group=prefix)
            lab = _start_sshd(lab, sshd) if sshd else _start_embedded(lab)
            _save(lab)
            wait_ready(lab.hosts)
            undo.pop_all()
    except OSError as error:
        raise LabError(f"no lab can be made in {directory}: {error}") from error
    return lab


def lab_status(directory: Path) -> LabStatus | None:
    """Return the lab of a directory and what runs of it, or None if there is none."""
    lab = _load(_absolute(directory))
    if lab is None:
        return None
    found = daemons(process_table(), lab.directory)
    if lab.engine == EMBEDDED:
        running = lab.hosts if found else ()
    else:
        running = tuple(host for host in lab.hosts if str(host.config) in found)
    return LabStatus(lab=lab, running=running)


def stop_lab(directory: Path) -> LabStatus | None:
    """
    End every process of a lab and remove its directory.

    Returns:
        What was there before, or None if there is no lab.

    Raises:
        LabError: A process belongs to another user or does not end.
    """
    status = lab_status(directory)
    if status is not None:
        _remove(status.lab)
    return status


def _absolute(directory: Path) -> Path:
    # Processes are recognised by this path, so it must not change with the way it is written.
    return directory.expanduser().resolve()


def _refuse_if_used(directory: Path) -> None:
    if status := lab_status(directory):
        raise LabError(
            f"a lab is already in {directory}:"
            f" {len(status.running)} of {len(status.lab.hosts)} hosts are running",
            hint="stop it with `fleetctl lab stop`",
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise LabError(
            f"{directory} is in use: it is not a lab and not an empty directory",
            hint="choose another directory",
        )


def _place(directory: Path, name: str, address: str, port: int, *, embedded: bool) -> LabHost:
    own = directory / "hosts" / name
    return LabHost(
        name=name,
        address=address,
        port=port,
        home=own / "home",
        log=directory / _EMBEDDED_LOG if embedded else own / "sshd.log",
    )


def _claim(lab: Lab) -> None:
    """Write the state before anything is started; of two starts at once, one fails here."""
    lab.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    lab.directory.chmod(0o700)
    try:
        write_private(lab.directory / _STATE, _render_state(lab))
    except FileExistsError:
        raise LabError(f"another lab is being started in {lab.directory}") from None


def _save(lab: Lab) -> None:
    new = lab.directory / f"{_STATE}.new"
    write_private(new, _render_state(lab))
    new.replace(lab.directory / _STATE)


def _render_state(lab: Lab) -> bytes:
    hosts = [
        {"name": host.name, "address": host.address, "port": host.port, "pid": host.pid}
        for host in lab.hosts
    ]
    return json.dumps({"version": 1, "engine": lab.engine, "hosts": hosts}).encode()


def _load(directory: Path) -> Lab | None:
    """Return the lab of a directory; one without hosts if its state was cut off by a crash."""
    try:
        text = (directory / _STATE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise LabError(f"the lab in {directory} cannot be read: {error.strerror}") from error
    try:
        state = json.loads(text)
        engine = str(state["engine"])
        hosts = tuple(
            replace(
                _place(
                    directory,
                    str(host["name"]),
                    str(host["address"]),
                    int(host["port"]),
                    embedded=engine == EMBEDDED,
                ),
                pid=host["pid"],
            )
            for host in state["hosts"]
        )
    except (ValueError, TypeError, KeyError):
        return Lab(directory=directory, hosts=(), engine="unknown")
    return Lab(directory=directory, hosts=hosts, engine=engine)


def _write_files(lab: Lab, *, group: str) -> None:
    user_key = generate_key()
    write_private(lab.identity, user_key.private)
    lab.identity.with_suffix(".pub").write_text(f"{user_key.public} lab\n")
    lab.known_hosts.write_text("".join(write_host(host, user_key) for host in lab.hosts))
    lab.inventory.write_text(render_inventory(lab, group=group, user=login_user()))


def _start_sshd(lab: Lab, sshd: Sshd) -> Lab:
    as_root, locked = os.geteuid() == 0, is_locked(login_user())
    for host in lab.hosts:
        host.config.write_text(render_config(host, sshd, as_root=as_root, locked=locked))
    # The configurations differ in names only; what is wrong with one is wrong with all.
    check_config(sshd, lab.hosts[0].config)
    return replace(
        lab,
        hosts=tuple(
            replace(host, pid=spawn(daemon_argv(sshd, host), log=host.log, env=daemon_env(host)))
            for host in lab.hosts
        ),
    )


def _start_embedded(lab: Lab) -> Lab:
    pid = spawn_embedded(lab.hosts, lab.directory / _EMBEDDED_CONFIG, lab.directory / _EMBEDDED_LOG)
    return replace(lab, hosts=tuple(replace(host, pid=pid) for host in lab.hosts))


def spawn_embedded(
    hosts: Sequence[LabHost],
    config: Path,
    log: Path,
    *,
    password: str | None = None,
    methods: Sequence[str] = ("publickey",),
) -> int:
    """
    Start one embedded server for all of the hosts and return its pid.

    Args:
        hosts: Their homes and host keys exist.
        config: Where to write the configuration; must not exist.
        log: Appended to.
        password: What the method ``password`` asks for.
        methods: All of these must succeed, in this order.
    """
    settings = {
        "user": login_user(),
        "methods": list(methods),
        "password": password,
        "hosts": [
            {
                "name": host.name,
                "address": host.address,
                "port": host.port,
                "home": str(host.home),
                "host_key": str(host.host_key),
            }
            for host in hosts
        ],
    }
    write_private(config, json.dumps(settings).encode())
    # The package this code is from, installed or not, and nothing from the working directory.
    env = {
        "PATH": os.defpath,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    argv = [sys.executable, "-P", "-m", "fleetctl.lab.embedded", str(config)]
    return spawn(argv, log=log, env=env)


def _remove(lab: Lab) -> None:
    end_all(lab.directory)
    reap({host.pid for host in lab.hosts if host.pid is not None})
    try:
        shutil.rmtree(lab.directory)
    except OSError as error:
        raise LabError(f"the lab has ended, but its files cannot be removed: {error}") from error
