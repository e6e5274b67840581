"""
Measure how long it takes to read an inventory of many hosts.

    python benchmarks/inventories.py --hosts 10000 --runs 5

Inventories are made in several shapes, in YAML and in INI, and read whole: every host with its
groups, variables and settings. Seconds of CPU of this process are printed, medians of the runs; for
YAML beside what PyYAML's C loader takes for the same text, which only builds dictionaries. The runs
of both alternate. The aims are 2.5 times as much for YAML, and 2 s for 10 000 hosts in INI.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from fleetctl.inventory.load import load_inventory

GROUPS = 50


@dataclass(frozen=True)
class Shape:
    """
    One way to write an inventory.

    Attributes:
        name: For the table.
        suffix: Of the file.
        text: Makes an inventory of so many hosts.
    """

    name: str
    suffix: str
    text: Callable[[int], str]


def in_groups(hosts: int) -> list[tuple[str, list[int]]]:
    return [(f"group{g:02}", list(range(g, hosts, GROUPS))) for g in range(GROUPS)]


def address(n: int) -> str:
    return f"10.{n // 62500}.{n // 250 % 250}.{n % 250}"


def as_yaml(variables: Callable[[int], str]) -> Callable[[int], str]:
    def text(hosts: int) -> str:
        lines = ["all:\n  vars:\n    ansible_user: deploy\n  children:\n"]
        for group, numbers in in_groups(hosts):
            lines.append(f"    {group}:\n      vars:\n        site: {group}\n      hosts:\n")
            lines += [f"        host{n:05}.example.com:{variables(n)}\n" for n in numbers]
        return "".join(lines)

    return text


def as_ini(variables: Callable[[int], str]) -> Callable[[int], str]:
    def text(hosts: int) -> str:
        lines = ["[all:vars]\nansible_user=deploy\n"]
        for group, numbers in in_groups(hosts):
            lines.append(f"[{group}:vars]\nsite={group}\n[{group}]\n")
            lines += [f"host{n:05}.example.com{variables(n)}\n" for n in numbers]
        return "".join(lines)

    return text


SHAPES = (
    Shape("YAML, names", ".yml", as_yaml(lambda _: "")),
    Shape(
        "YAML, address and two variables",
        ".yml",
        as_yaml(
            lambda n: (
                f"\n          ansible_host: {address(n)}\n          rack: r{n % 40}"
                f"\n          weight: {n % 7}"
            )
        ),
    ),
    Shape(
        "YAML, settings of ssh",
        ".yml",
        as_yaml(
            lambda n: (
                f"\n          ssh:\n            HostName: {address(n)}"
                f"\n            Port: {2000 + n}\n          vars:\n            rack: r{n % 40}"
            )
        ),
    ),
    Shape("INI, names", ".ini", as_ini(lambda _: "")),
    Shape(
        "INI, address and two variables",
        ".ini",
        as_ini(lambda n: f" ansible_host={address(n)} rack=r{n % 40} weight={n % 7}"),
    ),
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hosts", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    print(f"{options.hosts} hosts; seconds of CPU, medians of {options.runs} runs\n")
    print("| inventory | MiB | fleetctl (least-most) | PyYAML's C loader | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for shape in SHAPES:
        text = shape.text(options.hosts)
        runs = [measure(shape, text, options.hosts) for _ in range(options.runs)]
        ours, theirs = (sorted(seconds) for seconds in zip(*runs, strict=True))
        is_yaml = shape.suffix == ".yml"
        print(
            f"| {shape.name} | {len(text) / 2**20:.1f} "
            f"| {median(ours):.2f} ({ours[0]:.2f}-{ours[-1]:.2f}) "
            f"| {f'{median(theirs):.2f}' if is_yaml else '-'} "
            f"| {f'{median(ours) / median(theirs):.2f}' if is_yaml else '-'} |",
            flush=True,
        )


def measure(shape: Shape, text: str, hosts: int) -> tuple[float, float]:
    """Return the seconds of CPU of fleetctl, and those of PyYAML."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "hosts").with_suffix(shape.suffix)
        path.write_text(text)
        gc.collect()
        started_s = time.process_time()
        found = load_inventory([str(path)])
        ours_s = time.process_time() - started_s
    if len(found.hosts) != hosts or set(found.groups["group00"]) - set(found.hosts):
        raise SystemExit(f"WRONG: {shape.name}: {len(found.hosts)} hosts")
    del found
    if shape.suffix != ".yml":
        return ours_s, 0.0
    gc.collect()
    started_s = time.process_time()
    yaml.load(text, yaml.CSafeLoader)
    return ours_s, time.process_time() - started_s


if __name__ == "__main__":
    main()
