"""
An inventory written out in the shapes that ansible-inventory prints.
"""

from __future__ import annotations

import json

import pytest

from fleetctl.inventory import export
from fleetctl.inventory.export import graph, host_variables, to_ansible_json
from fleetctl.inventory.load import load_inventory
from fleetctl.model.errors import UsageError
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
SECRETS = (
    "all:\n  vars:\n    ansible_password: hunter2\n    v:\n      - !vault |\n"
    + inline(BY_ANSIBLE, 8)
    + "  hosts: {a: }\n"
)


def trusting(_path, _data):
    return True


def entries(**options):
    return load_inventory(["hosts.yml"], is_trusted=trusting, **options).entries


def plain(inventory, **options):
    return json.loads(json.dumps(to_ansible_json(inventory, **options)))


def test_json_is_what_ansible_inventory_prints(load):
    """
    Groups without hosts or children are left out, hosts of all are in ungrouped.
    """
    assert plain(load(TEXT)) == {
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


def test_the_graph_has_the_variables_that_each_group_and_host_has(load):
    """
    Those of hosts inherited, those of groups their own, by name; a priority is one of them.
    """
    inventory = load("""
    all:
      vars: {v: [1, "x", null]}
      children:
        web: {vars: {w: 1, ansible_group_priority: 7}, hosts: {web1: {t: a}}}
    """)
    assert graph(inventory, entries=entries()) == [
        "@all:",
        "  |--@ungrouped:",
        "  |--@web:",
        "  |  |--web1",
        "  |  |  |--{t = a}",
        "  |  |  |--{v = [1, 'x', None]}",
        "  |  |  |--{w = 1}",
        "  |  |--{ansible_group_priority = 7}",
        "  |  |--{w = 1}",
        "  |--{v = [1, 'x', None]}",
    ]


def test_a_graph_that_grows_without_end_is_refused(load, monkeypatch):
    """
    Groups that meet again and again are drawn once for every way, which doubles a level.
    """
    monkeypatch.setattr(export, "_MOST_LINES", 1000)
    levels = [f"{a}{n}: {{children: {{a{n + 1}: , b{n + 1}: }}}}" for n in range(40) for a in "ab"]
    inventory = load("\n".join([*levels, "a40: {hosts: {h: }}"]))
    with pytest.raises(UsageError) as caught:
        graph(inventory)
    assert str(caught.value).startswith("the graph of all has more than 1000 lines\nhint: draw ")


def test_secrets_are_not_printed(load):
    """
    Vaulted values as they were written; others only on request, as in the variables of one host.
    """
    inventory = load(SECRETS, vault_secrets=[(None, PW)], is_trusted=trusting)
    vaulted = {"__ansible_vault": BY_ANSIBLE}
    masked = {"ansible_password": "[secret]", "v": [vaulted]}
    revealed = {"ansible_password": "hunter2", "v": [vaulted]}
    assert plain(inventory)["_meta"]["hostvars"] == {"a": masked}
    assert plain(inventory, reveal=True)["_meta"]["hostvars"] == {"a": revealed}
    assert host_variables(inventory, inventory.hosts["a"]) == masked
    assert host_variables(inventory, inventory.hosts["a"], reveal=True) == revealed


def test_secrets_are_not_drawn(load):
    """
    A graph has no vaulted text; on request it is decrypted, as Ansible does.
    """
    secrets = [(None, PW)]
    inventory = load(SECRETS, vault_secrets=secrets, is_trusted=trusting)
    found = entries(vault_secrets=secrets)
    hidden = "\n".join(graph(inventory, entries=found))
    assert "{ansible_password = [secret]}" in hidden
    assert "{v = [[secret]]}" in hidden
    shown = "\n".join(graph(inventory, entries=found, reveal=True))
    assert "{ansible_password = hunter2}" in shown
    assert "{v = ['secret']}" in shown


def test_settings_become_variables_that_ansible_reaches_the_host_with(load):
    """
    What Ansible has a variable for, and all else as words for ssh.
    """
    inventory = load("""
    all:
      ssh: {User: deploy, IdentityFile: [~/.ssh/a, "~/.ssh/b c"], Compression: yes}
      hosts:
        web1: {ssh: {HostName: "%h.example.com", Port: 2222, SetEnv: {A: x y, B: z}}}
        web2: {ansible_ssh_common_args: -o ConnectTimeout=5}
    """)
    common = "-o 'IdentityFile=\"~/.ssh/b c\"' -o Compression=yes"
    assert plain(inventory)["_meta"]["hostvars"] == {
        "web1": {
            "ansible_host": "web1.example.com",
            "ansible_port": 2222,
            "ansible_user": "deploy",
            "ansible_ssh_private_key_file": "~/.ssh/a",
            "ansible_ssh_common_args": f"-o 'SetEnv=\"A=x y\" B=z' {common}",
        },
        "web2": {
            "ansible_user": "deploy",
            "ansible_ssh_private_key_file": "~/.ssh/a",
            "ansible_ssh_common_args": f"-o ConnectTimeout=5 {common}",
        },
    }


def test_a_setting_wins_over_the_variable_it_overrules(load):
    """
    A host's own port under ``ssh:`` counts here, and so it must for Ansible.
    """
    inventory = load("""
    all:
      vars: {ansible_ssh_port: 22, ansible_user: a}
      hosts: {web1: {ssh: {Port: 2222}}, web2: }
    """)
    assert plain(inventory)["_meta"]["hostvars"] == {
        "web1": {"ansible_port": 2222, "ansible_user": "a"},
        "web2": {"ansible_ssh_port": 22, "ansible_user": "a"},
    }
