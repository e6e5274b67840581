"""
Measure how long it takes to resolve many hosts against a large ssh_config.

    python benchmarks/resolver.py --hosts 10000 --runs 5

Configurations of about 2 000 lines are made in many shapes, read once, and asked for every host.
Seconds of CPU of this process are printed, medians of the runs: reading the files, resolving all
hosts, and reading 40 keywords of each as they are used. Every answer is checked. The aim is 5 s in
all for every shape.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

from resolver_shapes import Shape, all_shapes, host

from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.parse import read_options
from fleetctl.sshconfig.resolve import Resolved, resolve
from fleetctl.sshconfig.surroundings import Surroundings

#: What a program wants to know about a host before it dials.
KEYWORDS = (
    "AddressFamily BatchMode BindAddress CASignatureAlgorithms CertificateFile Ciphers Compression "
    "ConnectionAttempts ConnectTimeout ForwardAgent GlobalKnownHostsFile HashKnownHosts "
    "HostKeyAlgorithms HostKeyAlias HostName IdentitiesOnly IdentityAgent IdentityFile IPQoS "
    "KbdInteractiveAuthentication KexAlgorithms LogLevel MACs NoHostAuthenticationForLocalhost "
    "NumberOfPasswordPrompts PasswordAuthentication Port PreferredAuthentications ProxyCommand "
    "ProxyJump PubkeyAcceptedAlgorithms PubkeyAuthentication RekeyLimit RequiredRSASize "
    "ServerAliveCountMax ServerAliveInterval SetEnv StrictHostKeyChecking User UserKnownHostsFile"
).split()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help="shapes with this in their name")
    options = parser.parse_args(arguments)
    print(f"{options.hosts} hosts; seconds of CPU, medians of {options.runs} runs\n")
    print("| configuration | lines | read | resolve | 40 keywords | sum (least-most) |")
    print("| --- | --- | --- | --- | --- | --- |")
    for shape in all_shapes():
        if options.only in shape.name:
            runs = [measure(shape, options.hosts) for _ in range(options.runs)]
            parts = " | ".join(f"{median(part):.2f}" for part in zip(*runs, strict=True))
            sums = sorted(map(sum, runs))
            lines = sum(text.count("\n") for text in (shape.config, *shape.files.values()))
            print(
                f"| {shape.name} | {lines} | {parts} "
                f"| {median(sums):.2f} ({sums[0]:.2f}-{sums[-1]:.2f}) |",
                flush=True,
            )


def measure(shape: Shape, hosts: int) -> tuple[float, float, float]:
    """Return the seconds of CPU for reading, resolving, and using what was found."""
    names = [host(n) for n in range(hosts)]
    overrides = [read_options(shape.options(n)) for n in range(hosts)]
    gc.collect()
    with tempfile.TemporaryDirectory() as home:
        started_s = time.process_time()
        config = load_config(
            [Source(write(shape, Path(home)), is_required=True)],
            surroundings=replace(Surroundings.from_process(os.environ), environment={"HOME": home}),
            is_trusted=lambda _path, _data: True,
            lookup=lambda name, _family: name,
        )
    read_s = time.process_time()
    resolved = [
        resolve(config, name, overrides=given) for name, given in zip(names, overrides, strict=True)
    ]
    resolved_s = time.process_time()
    for one in resolved:
        for keyword in KEYWORDS:
            one.expanded(keyword)
    used_s = time.process_time()
    check(shape, resolved)
    return read_s - started_s, resolved_s - read_s, used_s - resolved_s


def write(shape: Shape, home: Path) -> Path:
    folder = home / ".ssh"
    folder.mkdir(mode=0o700)
    for name, text in {"config": shape.config, **shape.files}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    return folder / "config"


def check(shape: Shape, resolved: Sequence[Resolved]) -> None:
    for n, one in enumerate(resolved):
        expected = (str(shape.port(n)),)
        if one.values["port"] != expected:
            raise SystemExit(f"WRONG: {shape.name}, {host(n)}: {one.values['port']}")


if __name__ == "__main__":
    main()
