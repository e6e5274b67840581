"""
Measure how long it takes to resolve many hosts against a large ssh_config.

    python benchmarks/resolver.py --hosts 10000 --blocks 1000

The files have two lines per Host block and a few general ones; block n applies to the host n.
Blocks are named in three ways: by whole name, with a wildcard, and by Match. CPU time of this
process is printed, of reading the file and of resolving all hosts apart. The aim is 5 s in all for
Host blocks; those of Match depend on what is known so far, so each is asked for each host.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fleetctl.sshconfig.dump import dump
from fleetctl.sshconfig.load import Source, load_config
from fleetctl.sshconfig.resolve import Resolved, resolve
from fleetctl.sshconfig.surroundings import Surroundings

GENERAL = """
Host *.example.com !bastion.example.com
    ProxyJump bastion.example.com
Host *
    User deploy
    IdentityFile ~/.ssh/fleet_%r
    ControlPath ~/.ssh/cm-%C
    UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/known_hosts.d/%k
    Ciphers -*cbc
    SendEnv LANG LC_*
"""
KINDS: dict[str, Callable[[int], str]] = {
    "whole names": lambda n: f"Host host{n:05}.example.com h{n:05}\n",
    "wildcards": lambda n: f"Host host{n:05}* !host{n:05}.other\n",
    "Match": lambda n: f"Match originalhost host{n:05}.example.com\n",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--blocks", type=int, default=1_000)
    options = parser.parse_args(arguments)
    print(f"{options.hosts} hosts, {options.blocks} blocks; seconds of CPU")
    print(f"{'blocks by':<14}{'read':>8}{'resolve':>10}{'dump':>8}{'sum':>8}")
    for kind, head in KINDS.items():
        read_s, resolve_s, dump_s = measure(head, options.hosts, options.blocks)
        total_s = read_s + resolve_s + dump_s
        print(f"{kind:<14}{read_s:8.2f}{resolve_s:10.2f}{dump_s:8.2f}{total_s:8.2f}")


def measure(head: Callable[[int], str], hosts: int, blocks: int) -> tuple[float, float, float]:
    text = "".join(f"{head(n)}    Port {2000 + n}\n" for n in range(blocks)) + GENERAL
    surroundings = Surroundings.from_process(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config"
        path.write_text(text)
        started_s = time.process_time()
        config = load_config(
            [Source(path, is_required=True)],
            surroundings=surroundings,
            is_trusted=lambda _path, _data: True,
        )
    read_s = time.process_time()
    resolved = [resolve(config, f"host{n:05}.example.com") for n in range(hosts)]
    resolve_s = time.process_time()
    check(resolved, blocks)
    checked_s = time.process_time()
    for one in resolved:
        dump(one)
    return read_s - started_s, resolve_s - read_s, time.process_time() - checked_s


def check(resolved: Sequence[Resolved], blocks: int) -> None:
    for n, one in enumerate(resolved):
        expected = str(2000 + n) if n < blocks else "22"
        if one.values["port"] != (expected,) or one.values["user"] != ("deploy",):
            raise SystemExit(f"WRONG: host {n}")


if __name__ == "__main__":
    main()
