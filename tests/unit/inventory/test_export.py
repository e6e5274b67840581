"""
An inventory written out: as ansible-inventory prints it, and as YAML that means the same.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.inventory.export import graph, to_ansible_json, to_yaml
from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_source import read_yaml
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from tests.unit.inventory.test_vault import BY_ANSIBLE, PW, inline

TEXT = """
all:
  vars: {everywhere: true}
  hosts: {gw: }
  children:
    eu:
      children:
        web: {hosts: {web1: {day: 2024-01-02, list: [1, {yes: 1.5}]}, web2: }}
        db:
    us: {hosts: {web2: }, vars: {x: "a: b"}}
    lonely:
"""


def test_json_is_what_ansible_inventory_prints(load):
    """
    Groups without hosts or children are left out, hosts of all are in ungrouped.
    """
    shown = json.loads(json.dumps(to_ansible_json(load(TEXT))))
    assert shown == {
        "_meta": {
            "hostvars": {
                "gw": {"everywhere": True},
                "web1": {
                    "everywhere": True,
                    "day": "2024-01-02",
                    "list": [1, {"true": 1.5}],
                },
                "web2": {"everywhere": True, "x": "a: b"},
            },
            "profile": "inventory_legacy",
        },
        "all": {"children": ["ungrouped", "eu", "us", "lonely"]},
        "ungrouped": {"hosts": ["gw"]},
        "eu": {"children": ["web", "db"]},
        "web": {"hosts": ["web1", "web2"]},
        "us": {"hosts": ["web2"]},
    }


def test_the_graph_is_what_ansible_inventory_draws(load):
    """
    Child groups before hosts, two more columns a level.
    """
    inventory = load(TEXT)
    assert graph(inventory) == [
        "@all:",
        "  |--@ungrouped:",
        "  |  |--gw",
        "  |--@eu:",
        "  |  |--@web:",
        "  |  |  |--web1",
        "  |  |  |--web2",
        "  |  |--@db:",
        "  |--@us:",
        "  |  |--web2",
        "  |--@lonely:",
    ]
    assert graph(inventory, "web") == ["@web:", "  |--web1", "  |--web2"]
    with pytest.raises(KeyError):
        graph(inventory, "nothing")


def test_secrets_are_not_printed(load):
    """
    Vaulted values as they were written; others only on request.
    """
    inventory = load(
        "all:\n  vars:\n    ansible_password: hunter2\n    v:\n      - !vault |\n"
        + inline(BY_ANSIBLE, 8)
        + "  hosts: {a: }\n",
        vault_secrets=[(None, PW)],
    )
    vaulted = {"__ansible_vault": BY_ANSIBLE}
    shown = json.loads(json.dumps(to_ansible_json(inventory)))
    assert shown["_meta"]["hostvars"] == {"a": {"ansible_password": "[secret]", "v": [vaulted]}}
    revealed = json.loads(json.dumps(to_ansible_json(inventory, reveal=True)))
    assert revealed["_meta"]["hostvars"] == {"a": {"ansible_password": "hunter2", "v": [vaulted]}}


def read_back(text: str, tmp_path: Path, **options) -> Inventory:
    path = tmp_path / "again.yml"
    path.write_text(text)
    return load_inventory([str(path)], account=LocalAccount("me", "/home/me"), **options)


def test_yaml_means_the_same_hosts_groups_and_variables(load, tmp_path):
    """
    What is imported from Ansible can be read again, and nothing has changed.
    """
    inventory = load(TEXT)
    again = read_back(to_yaml(inventory), tmp_path)
    assert to_ansible_json(again)["_meta"] == to_ansible_json(inventory)["_meta"]
    assert {name: set(hosts) for name, hosts in again.groups.items()} == {
        name: set(hosts) for name, hosts in inventory.groups.items()
    }
    assert again.warnings == ()


def test_secrets_in_yaml_stay_vaulted(load, tmp_path):
    """
    One that was written openly is left out, and said to be.
    """
    inventory = load(
        "all:\n  hosts:\n    a:\n      ansible_password: hunter2\n      p: !vault |\n"
        + inline(BY_ANSIBLE, 8),
        vault_secrets=[(None, PW)],
    )
    text = to_yaml(inventory)
    assert text.startswith("# a: ansible_password is a secret; write it anew, vaulted\n")
    assert "hunter2" not in text
    again = read_back(text, tmp_path, vault_secrets=[(None, PW)])
    assert again.hosts["a"].vars == {"p": Secret("secret")}


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.dates(),
        st.binary(max_size=5),
        st.text(st.characters(exclude_categories=["Cs"])),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), values, max_size=3))
def test_any_value_survives_being_written_as_yaml(found):
    """
    Types and text are read as they were written.
    """
    inventory = Inventory({"a": Host("a", vars=found)}, {"all": ("a",), "ungrouped": ("a",)})
    text = to_yaml(inventory)
    draft = read_yaml(text.encode(), "f", Vaults())
    assert draft.problems == []
    assert draft.hosts["a"].vars == found


def test_an_inventory_without_hosts_is_written():
    """
    There is nothing to say, and it is YAML.
    """
    assert (
        to_yaml(Inventory({}, {"all": (), "ungrouped": ()}))
        == "all:\n  hosts: {}\n  children: {}\n"
    )
