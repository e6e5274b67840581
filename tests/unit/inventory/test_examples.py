"""
The worked examples are what they say they are.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleetctl.inventory.load import load_inventory
from fleetctl.inventory.pattern import select
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.model.nodeset import fold
from fleetctl.model.secret import Secret

FOLDER = Path(__file__).resolve().parents[3] / "inventories"
NO_INVENTORIES = {"README.md", "people.yml"}
ME = LocalAccount("me", "/home/me")
GROUPS = {
    "small.yml": {"all": "db1,web[01-21]", "ungrouped": "", "web": "web[01-21]", "db": "db1"},
    "nested.yml": {
        "all": "rack[1-2]-n[1-4],us-a,us-b,us-c",
        "ungrouped": "",
        "eu": "rack[1-2]-n[1-4]",
        "eu_racks": "rack[1-2]-n[1-4]",
        "us": "us-a,us-b,us-c",
        "canary": "rack1-n1,us-a",
        "databases": "us-c",
    },
    "ansible.yml": {
        "all": "bastion.example.com,db-a,db-b,db-c,db-main,"
        "www[01,08,15,22,29,36,43,50].example.com",
        "ungrouped": "bastion.example.com",
        "webservers": "www[01,08,15,22,29,36,43,50].example.com",
        "dbservers": "db-a,db-b,db-c,db-main",
    },
    "hosts.ini": {
        "all": "bastion,db-a.example.com,db-b.example.com,db-c.example.com,web[01-21]",
        "ungrouped": "bastion",
        "web": "web[01-21]",
        "db": "db-a.example.com,db-b.example.com,db-c.example.com",
        "eu": "db-a.example.com,db-b.example.com,db-c.example.com,web[01-21]",
    },
    "directory": {
        "all": "db[1-2],web[1-3]",
        "ungrouped": "",
        "web": "web[1-3]",
        "db": "db[1-2]",
        "eu": "db[1-2],web[1-3]",
    },
    "program.sh": {"all": "gw,web[1-2]", "ungrouped": "", "web": "web[1-2]", "eu": "gw,web[1-2]"},
    "vaulted.yml": {"all": "db1", "ungrouped": "db1"},
}
VAULT = [(None, Secret("example"))]


def trust_all(_path: Path, _data: bytes) -> bool:
    """Trust the examples, whoever else can write to this checkout."""
    return True


@pytest.mark.parametrize("name", sorted({p.name for p in FOLDER.iterdir()} - NO_INVENTORIES))
def test_every_example_loads_with_these_groups(name, monkeypatch):
    """
    No example has a mistake or a warning, and each has the hosts it shows.
    """
    monkeypatch.chdir(FOLDER.parent)
    inventory = load_inventory(
        [f"inventories/{name}"],
        account=ME,
        is_trusted=trust_all,
        vault_secrets=VAULT,
    )
    assert {group: fold(hosts) for group, hosts in inventory.groups.items()} == GROUPS[name]
    assert inventory.warnings == ()


def test_the_small_example_has_the_settings_it_shows(monkeypatch):
    """
    The example of the reference means what the reference says.
    """
    monkeypatch.chdir(FOLDER.parent)
    hosts = load_inventory(["inventories/small.yml"], account=ME).hosts
    web21, db1 = hosts["web21"], hosts["db1"]
    assert (web21.hostname, web21.settings.port, web21.settings.user) == (
        "10.0.3.21",
        2222,
        "deploy",
    )
    assert web21.vars == {"tz": "Europe/Berlin", "weight": 2}
    assert web21.settings.identity_files == ("/home/me/.ssh/fleet_ed25519",)
    assert web21.settings.origin == {
        "HostName": "inventories/small.yml:9",
        "Port": "inventories/small.yml:9",
        "User": "inventories/small.yml:4",
        "IdentityFile": "inventories/small.yml:4",
        "ConnectTimeout": "inventories/small.yml:4",
    }
    assert db1.hostname == "10.0.4.1"
    assert hosts["web01"].hostname == "web01"


def test_the_nested_example_shows_tokens(monkeypatch):
    """
    One line of settings serves every host of a group.
    """
    monkeypatch.chdir(FOLDER.parent)
    inventory = load_inventory(["inventories/nested.yml"], account=ME, is_trusted=trust_all)
    host = inventory.hosts["rack2-n3"]
    assert host.hostname == "rack2-n3.eu.example.com"
    assert host.settings.identity_files == ("/home/me/.ssh/eu_deploy", "/home/me/.ssh/fleet")
    assert host.vars == {"ntp": "ntp.eu.example.com", "region": "eu"}


def test_the_directory_shows_who_has_the_last_word(monkeypatch):
    """
    Files of variables beside the inventory, for groups and for one host.
    """
    monkeypatch.chdir(FOLDER.parent)
    hosts = load_inventory(["inventories/directory"], account=ME).hosts
    assert hosts["web1"].vars == {
        "ntp": "ntp.example.com",
        "ansible_user": "deploy",
        "http_port": 80,
        "tier": "front",
    }
    assert hosts["db1"].settings.user == "postgres"
    assert hosts["db1"].settings.origin == {
        "HostName": "inventories/directory/host_vars/db1.yml:1",
        "User": "inventories/directory/host_vars/db1.yml:2",
    }


def test_the_ini_example_has_the_settings_it_shows(monkeypatch):
    """
    What stands behind a name and below [group:vars] means what it means to Ansible.
    """
    monkeypatch.chdir(FOLDER.parent)
    web21 = load_inventory(["inventories/hosts.ini"], account=ME).hosts["web21"]
    assert web21.settings.origin == {
        "HostName": "inventories/hosts.ini:6",
        "Port": "inventories/hosts.ini:6",
        "User": "inventories/hosts.ini:12",
        "ConnectTimeout": "inventories/hosts.ini:13",
        "Compression": "inventories/hosts.ini:13",
    }
    assert web21.vars["http_port"] == 8081


def test_the_vaulted_example_opens_with_the_password_it_tells():
    """
    The value is a secret, and the password the one in the file's comment.
    """
    inventory = load_inventory([str(FOLDER / "vaulted.yml")], vault_secrets=VAULT)
    assert inventory.hosts["db1"].vars == {"db_password": Secret("hunter2")}


def test_every_example_on_the_page_loads(tmp_path, monkeypatch):
    """
    What the README shows can be copied.
    """
    monkeypatch.chdir(tmp_path)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```(yaml|ini)\n(.*?)```", page, flags=re.DOTALL)
    assert len(examples) >= 5
    for kind, example in examples:
        Path(f"hosts.{kind}").write_text(example)
        inventory = load_inventory([f"hosts.{kind}"], account=ME)
        assert inventory.hosts
        assert inventory.warnings == ()


def test_every_pattern_on_the_page_selects_something():
    """
    The patterns the README shows are understood with the hosts they name.
    """
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    table = page[page.index("| pattern |") :]
    patterns = [
        p for row in re.findall(r"^\| (`.*?) \|", table, re.M) for p in re.findall(r"`(.+?)`", row)
    ]
    assert len(patterns) >= 14
    inventory = load_inventory([str(FOLDER / "small.yml")], account=ME)
    grouped = type(inventory)(inventory.hosts, {**inventory.groups, "eu": ("web03", "web04")})
    for pattern in patterns:
        assert select(grouped, pattern)
