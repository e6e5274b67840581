"""
The ``inventory`` commands beside the tools they are compared with.

``graph``, ``show`` and ``export --format ansible`` print what ``ansible-inventory`` prints for the
same sources.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetctl.inventory.export import graph, host_variables, to_ansible_json
from fleetctl.inventory.load import load_inventory
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret
from tests.cli.shell import fleetctl
from tests.fleet.inventories import HAND_WRITTEN, Maker
from tests.fleet.sshconfig_oracle import VARIABLES
from tests.fleet.test_inventory_oracle import REFUSED_INVENTORIES
from tests.support.patience import TEST_LIMIT_S

pytestmark = pytest.mark.fleet

ORACLE = Path(__file__).with_name("ansible_commands_oracle.py")
EXAMPLES = Path(__file__).resolve().parents[2] / "inventories"
PASSWORD = "example"
VAULT = [(None, Secret(PASSWORD))]
#: Written in our own form: Ansible reads the groups in it, and not what stands below ``ssh:``.
NATIVE = ("small.yml", "nested.yml")
OF_ANSIBLE = ("ansible.yml", "hosts.ini", "directory", "program.sh", "vaulted.yml")


def environment(home: Path) -> dict[str, str]:
    """Return an environment in which nobody's configuration of Ansible counts."""
    config = home / "ansible.cfg"
    config.touch()
    return {
        **{name: text for name, text in os.environ.items() if "ANSIBLE" not in name},
        "ANSIBLE_CONFIG": str(config),
        "ANSIBLE_HOME": str(home / "ansible"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "HOME": str(home),
    }


def ask(questions: Sequence[Mapping[str, object]], home: Path) -> list[Any]:
    """Ask the oracle, in one process."""
    done = subprocess.run(
        [sys.executable, str(ORACLE)],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=TEST_LIMIT_S,
        env=environment(home),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def trusting(_path: Path, _data: bytes) -> bool:
    return True


class Opened:
    """An inventory of ours, and what the commands print of it."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sources = sources
        self.inventory = load_inventory(sources, is_trusted=trusting, vault_secrets=VAULT)
        self.entries = self.inventory.entries
        self.groups = list(self.inventory.groups)
        self.hosts = list(self.inventory.hosts)[:3]

    def commands(self) -> list[list[str]]:
        """Return the command lines of ansible-inventory that `answers` answers."""
        return [
            ["--list"],
            ["--graph"],
            ["--graph", "--vars"],
            *(["--graph", group, "--vars"] for group in self.groups[:4]),
            *(["--host", host] for host in self.hosts),
        ]

    def question(self, home: Path) -> dict[str, object]:
        (home / "pw").write_text(f"{PASSWORD}\n")
        named = [word for source in self.sources for word in ("-i", source)]
        vault = ["--vault-password-file", str(home / "pw")]
        return {"sources": [*named, *vault], "commands": self.commands()}

    def answers(self) -> list[str]:
        inventory, entries = self.inventory, self.entries
        return [
            dumped(to_ansible_json(inventory, reveal=True)),
            "\n".join(graph(inventory)),
            "\n".join(graph(inventory, entries=entries, reveal=True)),
            *(
                "\n".join(graph(inventory, group, entries=entries, reveal=True))
                for group in self.groups[:4]
            ),
            *(
                dumped(host_variables(inventory, inventory.hosts[host], reveal=True))
                for host in self.hosts
            ),
        ]


def dumped(data: object) -> str:
    """Write data as ansible-inventory does."""
    return json.dumps(data, sort_keys=True, indent=4)


def assert_answers(opened: Opened, theirs: Sequence[str | None]) -> None:
    for command, ours, answer in zip(opened.commands(), opened.answers(), theirs, strict=True):
        if answer is None and "--vars" in command and "{1 = 2}" in ours:
            continue  # ansible-inventory fails: names of variables are numbers and text
        assert answer is not None, (opened.sources, command)
        if command[0] != "--graph":
            assert json.loads(ours) == json.loads(answer), (opened.sources, command)
        assert ours.strip() == answer.strip(), (opened.sources, command)


def test_the_worked_examples_are_the_same_to_ansible_inventory(tmp_path):
    """
    ``--list``, ``--graph``, ``--graph --vars`` and ``--host``, byte by byte.
    """
    found = [Opened([str(EXAMPLES / name)]) for name in OF_ANSIBLE]
    found.append(Opened([str(EXAMPLES / name) for name in OF_ANSIBLE]))
    answers = ask([each.question(tmp_path) for each in found], tmp_path)
    for each, theirs in zip(found, answers, strict=True):
        assert_answers(each, theirs)


def test_hand_written_inventories_are_the_same_to_ansible_inventory(tmp_path, monkeypatch):
    """
    Every kind of source and of value.
    """
    found = []
    for number, (sources, files) in enumerate(HAND_WRITTEN.values()):
        for name, text in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip("\n"))
            path.chmod(0o700 if text.startswith("#!") else 0o600)
        found.append(Opened([s if "," in s else str(tmp_path / str(number) / s) for s in sources]))
    answers = ask([each.question(tmp_path) for each in found], tmp_path)
    for each, theirs in zip(found, answers, strict=True):
        assert_answers(each, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_made_up_inventories_are_the_same_to_ansible_inventory(seed, tmp_path):
    """
    YAML, INI, directories, with group_vars and host_vars: every command, or a refusal.
    """
    maker = Maker(1000 + seed)
    found = []
    for number in range(20):
        sources = maker.inventory(tmp_path / str(number))
        try:
            found.append(Opened(sources))
        except UsageError as error:
            messages = [problem.message for problem in error.problems]
            assert all(REFUSED_INVENTORIES.search(message) for message in messages), messages
    assert len(found) >= 14
    answers = ask([each.question(tmp_path) for each in found], tmp_path)
    for each, theirs in zip(found, answers, strict=True):
        assert_answers(each, theirs)


@pytest.mark.parametrize("name", NATIVE)
def test_an_export_of_our_own_form_is_read_by_ansible(name, tmp_path):
    """
    As a program that prints it: the same groups, hosts and variables, settings among them.
    """
    ours = to_ansible_json(load_inventory([str(EXAMPLES / name)], is_trusted=trusting))
    (tmp_path / "listing").write_text(json.dumps(ours))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/listing\n")
    program.chmod(0o700)
    ((theirs,),) = ask([{"sources": ["-i", str(program)], "commands": [["--list"]]}], tmp_path)
    assert json.loads(theirs) == json.loads(json.dumps(ours))


def test_settings_reach_ssh_through_ansibles_variables(tmp_path):
    """
    What an export says of a host makes ssh resolve it as our own settings do.
    """
    (tmp_path / "hosts.yml").write_text(
        "all:\n  hosts:\n    web1:\n      ssh:\n        SetEnv: {A: x y, B: z}\n"
        '        UserKnownHostsFile: [/a, "/b c"]\n        ConnectTimeout: 1m\n'
        "        IdentityFile: [/k1, /k 2]\n"
    )
    listing = to_ansible_json(load_inventory([str(tmp_path / "hosts.yml")], is_trusted=trusting))
    variables: dict[str, str] = listing["_meta"]["hostvars"]["web1"]  # type: ignore[index]
    command = f"ssh -G -F none {variables['ansible_ssh_common_args']} web1"
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, text=True, check=True, env=VARIABLES
    )
    lines = done.stdout.splitlines()
    assert {"setenv A=x y", "setenv B=z", "connecttimeout 60", "identityfile /k 2"} <= set(lines)
    assert "userknownhostsfile /a /b c" in lines
    assert variables["ansible_ssh_private_key_file"] == "/k1"


def test_whole_processes_print_the_same(tmp_path):
    """
    Typed at both programs: the listing, the graph, one host.
    """
    source = str(EXAMPLES / "directory")
    pairs = [
        (("export", "--format", "ansible"), ("--list",)),
        (("graph",), ("--graph",)),
        (("graph", "web", "--vars"), ("--graph", "web", "--vars")),
    ]
    for ours, theirs in pairs:
        done = fleetctl("inventory", *ours, "-i", source)
        assert (done.code, done.err) == (0, "")
        expected = subprocess.run(
            [sys.executable, "-m", "ansible", "inventory", "-i", source, *theirs],
            capture_output=True,
            text=True,
            check=True,
            env=environment(tmp_path),
            timeout=TEST_LIMIT_S,
        )
        assert done.out == expected.stdout
    shown = json.loads(fleetctl("inventory", "show", "db1", "-i", source, "--format", "json").out)
    expected = subprocess.run(
        [sys.executable, "-m", "ansible", "inventory", "-i", source, "--host", "db1"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(tmp_path),
        timeout=TEST_LIMIT_S,
    )
    assert shown["vars"] == json.loads(expected.stdout)
