"""
What ``inventory import`` makes of an ssh_config is what ``ssh -G`` says, and of ClusterShell's
groups what ``nodeset`` says.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence

import pytest

from fleetctl.inventory.clustershell import import_clustershell
from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.model.errors import UsageError
from fleetctl.model.settings import OPTIONS
from fleetctl.wiring.inventories import import_ssh_config
from tests.fleet.sshconfig_generator import Generator
from tests.fleet.sshconfig_oracle import VARIABLES, Case, World, run_ssh
from tests.fleet.test_inventory_commands_oracle import ask, trusting

pytestmark = pytest.mark.fleet

#: What ssh says in another way: a default that we do not share, and what it prints expanded.
HONOURED = {option.name.lower(): option for option in OPTIONS if option.treatment == "honoured"}
#: ssh replaces their tokens before it prints them; in an inventory they have none any more.
PRINTED_EXPANDED = ("HostName", "IdentityAgent", "UserKnownHostsFile")


def lines_of(answer: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in answer:
        keyword, _, rest = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(rest)
    return found


def as_ssh_prints(name: str, words: Sequence[str], *, each_on_line: bool) -> list[str]:
    texts = [word.replace("%%", "%") for word in words] if name in PRINTED_EXPANDED else list(words)
    return texts if each_on_line else [" ".join(texts)]


def assert_as_ssh(inventory: Inventory, name: str, theirs: Mapping[str, Sequence[str]]) -> int:
    """Compare every setting of an imported host with what ``ssh -G`` printed; return how many."""
    assigned = inventory.assigned(name, False)
    for option, each in assigned.items():
        on_lines = each.option.accumulates or option == "SetEnv"
        if option == "HostName":
            assert [inventory.hosts[name].hostname] == theirs["hostname"]
        else:
            expected = as_ssh_prints(option, each.words, each_on_line=on_lines)
            assert expected == theirs[option.lower()], option
    return len(assigned)


def import_config(world: World, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """Import the ssh_config of a world, and read what was written."""
    for variable, text in {**VARIABLES, "HOME": str(world.home)}.items():
        monkeypatch.setenv(variable, text)
    written = import_ssh_config([str(world.config)], environ=os.environ, is_trusted=trusting)
    path = world.home / "hosts.yml"
    path.write_text(written.text)
    return load_inventory([str(path)], is_trusted=trusting)


def test_hosts_imported_from_odd_files_are_what_ssh_says(tmp_path, monkeypatch):
    """
    Files that nobody would write: every setting that was imported, for every host they name.
    """
    compared = 0
    for seed in range(150):
        case = Generator(seed).case()
        world = World.make(tmp_path / str(seed), Case(case.config, files=case.files))
        try:
            inventory = import_config(world, monkeypatch)
        except UsageError:
            continue
        for name in inventory.hosts:
            answer = world.ask_ssh(name)
            assert not answer.error, (seed, name)
            compared += assert_as_ssh(inventory, name, lines_of(answer.lines))
    assert compared > 50


LINES = """HostName %h.example.com|HostName 10.0.0.7|HostName Inner|Port 22|Port 2222|User bob
User root|IdentityFile ~/.ssh/%r@%n|IdentityFile /k/"a b"|IdentityFile none|IdentitiesOnly yes
ConnectTimeout 1m30s|ServerAliveInterval 15|ServerAliveCountMax 5|StrictHostKeyChecking accept-new
UserKnownHostsFile ~/.ssh/a "/b c" /x%%y|GlobalKnownHostsFile /dev/null|HostKeyAlias Alias
BatchMode no|PreferredAuthentications publickey,password|Ciphers aes128-ctr,aes256-ctr
KexAlgorithms ^curve25519-sha256|HostKeyAlgorithms +ssh-rsa|AddressFamily inet|Compression no
TCPKeepAlive no|SetEnv A=1 "B=x y"|RekeyLimit 1G|ConnectionAttempts 3|HashKnownHosts yes
PubkeyAuthentication yes|PasswordAuthentication no|IdentityAgent ~/agent|CertificateFile ~/c
MACs -hmac-sha1*|BindAddress 127.0.0.1"""
NAMES = ["web1", "web2", "web10", "db-a", "gw.example.com", "10.0.0.9", "X"]
GLOBS = ["web*", "*", "db-?", "!web2", "*.example.com", "!gw*"]


def make_config(seed: int) -> str:
    """Make up a file of blocks that name hosts, overlap and contradict each other."""
    choose = random.Random(seed)
    lines = [line for row in LINES.splitlines() for line in row.split("|")]
    blocks = []
    for number in range(choose.randint(2, 7)):
        names = choose.sample(NAMES, choose.randint(1, 3)) + choose.sample(
            GLOBS, choose.randint(0, 1)
        )
        others = ["Host *", "Match originalhost web*"] if number else []
        head = choose.choice([f"Host {' '.join(names)}"] * 4 + others)
        inside = choose.sample(lines, choose.randint(1, 5))
        blocks.append("\n    ".join([head, *inside]))
    return "\n".join(blocks) + "\n"


@pytest.mark.slow
def test_hosts_imported_from_made_up_files_are_what_ssh_says(tmp_path, monkeypatch):
    """
    Every keyword that is honoured, in blocks that overlap.
    """
    options: set[str] = set()
    compared = 0
    for seed in range(60):
        world = World.make(tmp_path / str(seed), Case(make_config(seed)))
        inventory = import_config(world, monkeypatch)
        assert inventory.hosts
        for name in inventory.hosts:
            answer = world.ask_ssh(name)
            assert not answer.error, (seed, name)
            compared += assert_as_ssh(inventory, name, lines_of(answer.lines))
            options.update(inventory.assigned(name, False))
    assert compared > 1000
    assert len(options) > 25


REALISTIC = """
Include conf.d/*
Host bastion
    HostName bastion.example.com
    User jump
    Port 2222
Host web1 web2 web3 !web4
    HostName %h.internal.example.com
    IdentityFile ~/.ssh/web_%r
Host db-*
    User postgres
Host db-main db-standby
    Port 5022
    StrictHostKeyChecking yes
Match originalhost web3
    User root
Host *
    User deploy
    IdentityFile ~/.ssh/id_ed25519
    ServerAliveInterval 30
    Compression yes
    SetEnv LANG=C "TERM=xterm 256"
    UserKnownHostsFile ~/.ssh/known_hosts ~/.ssh/more
"""


def test_a_file_as_people_write_it_is_imported_whole(tmp_path, monkeypatch):
    """
    Nothing is left out, and whatever differs from ssh's defaults is there.
    """
    (tmp_path / ".ssh" / "conf.d").mkdir(parents=True, mode=0o700)
    (tmp_path / ".ssh" / "conf.d" / "a").write_text("Host extra\n    HostName 192.0.2.7\n")
    config = tmp_path / ".ssh" / "config"
    config.write_text(REALISTIC)
    for path in (config, tmp_path / ".ssh" / "conf.d" / "a"):
        path.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    written = import_ssh_config([str(config)], environ=os.environ, is_trusted=trusting)
    assert written.notes == ()
    (tmp_path / "hosts.yml").write_text(written.text)
    inventory = load_inventory([str(tmp_path / "hosts.yml")], is_trusted=trusting)
    assert set(inventory.hosts) == set("bastion db-main db-standby extra web1 web2 web3".split())

    def ask_ssh(file: str, name: str) -> dict[str, list[str]]:
        done = run_ssh(["ssh", "-G", "-F", file, name], home=tmp_path)
        return lines_of(done.stdout.decode().splitlines())

    for name in inventory.hosts:
        theirs, nothing = ask_ssh(str(config), name), ask_ssh("none", name)
        assert_as_ssh(inventory, name, theirs)
        set_by_file = {
            HONOURED[keyword].name
            for keyword in theirs
            if keyword in HONOURED
            and theirs[keyword] != nothing.get(keyword)
            # Follows from UserKnownHostsFile.
            and keyword != "updatehostkeys"
        }
        assert set_by_file <= set(inventory.assigned(name, False)), name


def make_groups(seed: int) -> dict[str, str]:
    """Make up groups that refer to those made before them, never in a circle."""
    choose = random.Random(seed)
    made: dict[str, str] = {}
    for number in range(choose.randint(2, 7)):
        terms = []
        for _ in range(choose.randint(1, 4)):
            first = choose.randint(0, 9)
            plain = choose.choice(
                [
                    f"n{first}",
                    f"n[{first}-{first + choose.randint(0, 5)}]",
                    f"r[1-2]-n[{first}-{first + 2}]",
                    f"web[{first:02d}-{first + 10:02d}/2]",
                    "gw",
                ]
            )
            terms.append(
                f"@{choose.choice(list(made))}" if made and choose.random() < 0.4 else plain
            )
        text = terms[0]
        for term in terms[1:]:
            text += choose.choice([",", ",", ",", " ", "!", "&", "^"]) + term
        made[f"g{number}"] = text
    if choose.random() < 0.5:
        made["all"] = "n[0-20],gw"
        made["rest"] = f"@*!@{choose.choice(list(made)[:-1])}"
    return made


def test_imported_groups_are_what_nodeset_says(tmp_path):
    """
    Groups inside groups and all operators, from YAML and from lines.
    """
    cases = {seed: make_groups(seed) for seed in range(60)}
    questions = []
    for seed, groups in cases.items():
        folder = tmp_path / str(seed)
        (folder / "d").mkdir(parents=True)
        (folder / "d" / "roles.yaml").write_text(json.dumps({"roles": groups}))
        conf = folder / "groups.conf"
        conf.write_text(f"[Main]\ndefault: roles\nautodir: {folder}/d\nconfdir: {folder}/none\n")
        questions.append({"groups": str(conf), "names": list(groups)})
    for (seed, groups), answers in zip(cases.items(), ask(questions, tmp_path), strict=True):
        lines = "".join(f"{name}: {nodes}\n" for name, nodes in groups.items())
        listed = (tmp_path / str(seed) / "d" / "roles.yaml").read_bytes()
        for files in ({"roles.yaml": listed}, {"local.cfg": lines.encode()}):
            path = tmp_path / str(seed) / "hosts.yml"
            path.write_text(import_clustershell(files).text)
            inventory = load_inventory([str(path)])
            for (name, nodes), theirs in zip(groups.items(), answers, strict=True):
                assert theirs is not None, (seed, name, nodes)
                if name != "all":
                    assert set(inventory.groups[name]) == set(theirs), (seed, name, nodes)
