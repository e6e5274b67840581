"""
An inventory of any kind as one file in our own form, which means the same when it is read again.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.native import to_yaml
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_source import read_yaml
from fleetctl.model.errors import UsageError
from fleetctl.model.host import Host
from fleetctl.model.secret import Secret
from tests.fleet.inventories import Maker
from tests.unit.inventory.test_vault import BY_ANSIBLE, PW, inline

EXAMPLES = Path(__file__).resolve().parents[3] / "inventories"
NO_INVENTORIES = {"README.md", "people.yml"}
VAULT = [(None, Secret("example"))]


def trusting(_path: Path, _data: bytes) -> bool:
    return True


def written(*sources: str, reveal: bool = False, vault_secrets=()):
    """Load sources and write them out; return both."""
    options = {"is_trusted": trusting, "vault_secrets": vault_secrets}
    inventory = load_inventory(sources, **options)
    return inventory, to_yaml(inventory, inventory.entries, reveal=reveal)


def said(inventory: Inventory, name: str) -> dict[str, object]:
    return {option: each.value for option, each in inventory.assigned(name, False).items()}


def assert_same(one: Inventory, other: Inventory) -> None:
    """Compare what two inventories mean, but for where it was written."""
    assert set(one.hosts) == set(other.hosts)
    for name, host in one.hosts.items():
        again = other.hosts[name]
        assert (again.groups, again.vars) == (host.groups, host.vars), name
        assert [*map(repr, again.vars.values())] == [
            repr(again.vars[variable]) for variable in again.vars
        ]
        assert said(other, name) == said(one, name), name
    assert other.groups == one.groups
    assert other.own_hosts == one.own_hosts
    assert other.children == one.children
    assert list(other.ssh_configs) == [path.absolute() for path in one.ssh_configs]
    assert {each.message for each in other.warnings} <= {each.message for each in one.warnings}


def round_trip(folder: Path, *sources: str, vault_secrets=()) -> str:
    inventory, text = written(*sources, reveal=True, vault_secrets=vault_secrets)
    assert text.notes == ()
    path = folder / "again" / "hosts.yml"  # where no group_vars lies beside it
    path.parent.mkdir(exist_ok=True)
    path.write_text(text.text)
    assert_same(
        inventory, load_inventory([str(path)], is_trusted=trusting, vault_secrets=vault_secrets)
    )
    return text.text


@pytest.mark.parametrize("name", sorted({p.name for p in EXAMPLES.iterdir()} - NO_INVENTORIES))
def test_every_example_survives_being_written_as_one_file(name, tmp_path):
    """
    Native YAML, Ansible's YAML and INI, a directory, a program, vaulted values.
    """
    round_trip(tmp_path, str(EXAMPLES / name), vault_secrets=VAULT)


def test_all_examples_at_once_survive_being_written_as_one_file(tmp_path):
    """
    Several sources that contradict each other are one file in the end.
    """
    names = sorted({p.name for p in EXAMPLES.iterdir()} - NO_INVENTORIES - {"ansible.yml"})
    round_trip(tmp_path, *(str(EXAMPLES / name) for name in names), vault_secrets=VAULT)


SOURCE = """
ssh_config: [./ssh_config, /etc/other]
all:
  ssh: {User: deploy, ConnectTimeout: 10}
  vars: {tz: Europe/Berlin, here: "yes", empty: ~}
  hosts: {gw: }
  children:
    eu:
      vars: {region: eu, ansible_group_priority: 5}
      children:
        web:
          ssh: {Port: 2200, IdentityFile: [~/.ssh/a, "%d/b"]}
          hosts:
            web[01:20]: {ssh: {SetEnv: {A: "x y"}}}
            web21: {ssh: {HostName: 10.0.3.21, Port: 2222}, vars: {tz: UTC}}
            web[22:24]:
    us:
      vars: {region: us}
      children: {web: }
      hosts: {us-a: , web01: }
"""


def test_what_a_group_says_is_written_at_the_group(tmp_path, monkeypatch):
    """
    A host says only what differs from its groups; hosts that say the same are folded.
    """
    monkeypatch.chdir(tmp_path)
    Path("hosts.yml").write_text(SOURCE)
    assert round_trip(tmp_path, "hosts.yml") == dedent(f"""\
        ssh_config: ["{tmp_path}/ssh_config", "/etc/other"]
        all:
          vars: {{tz: Europe/Berlin, here: "yes", empty: null}}
          ssh: {{User: deploy, ConnectTimeout: 10}}
          hosts:
            gw:
          children:
            eu:
              vars: {{region: eu, ansible_group_priority: 5}}
              children:
                web:
                  ssh: {{Port: 2200, IdentityFile: [~/.ssh/a, "%d/b"]}}
                  hosts:
                    web[01-20]: {{ssh: {{SetEnv: ["A=x y"]}}}}
                    web21: {{vars: {{tz: UTC}}, ssh: {{HostName: 10.0.3.21, Port: 2222}}}}
                    web[22-24]:
            us:
              vars: {{region: us}}
              hosts:
                us-a:
                web01:
              children:
                web:
        """)


def test_who_has_the_last_word_does_not_change(tmp_path, monkeypatch):
    """
    group_vars counts more than the inventory and less than a host: written as one file, the host
    must say what would else be lost.
    """
    monkeypatch.chdir(tmp_path)
    Path("hosts").write_text(
        "[web]\nweb1 v=host\nweb2\n[web:vars]\nv=inventory\n[eu:children]\nweb\n"
    )
    Path("group_vars").mkdir()
    Path("group_vars/eu").write_text("v: files\nw: files\nansible_group_priority: 3\n")
    Path("host_vars").mkdir()
    Path("host_vars/web2.yml").write_text("w: 1\n")
    text = round_trip(tmp_path, "hosts")
    assert "vars: {v: inventory}" in text
    assert "web1: {vars: {v: host, ansible_group_priority: 3}}" in text
    assert "web2: {vars: {v: files, w: 1, ansible_group_priority: 3}}" in text


def test_variables_of_groups_without_hosts_are_kept(tmp_path, monkeypatch):
    """
    Nobody inherits them today, and somebody may tomorrow.
    """
    monkeypatch.chdir(tmp_path)
    Path("hosts.yml").write_text("empty: {vars: {x: 1}, ssh: {Port: 22}}\nweb: {hosts: {a: }}\n")
    assert "    empty:\n      vars: {x: 1}\n      ssh: {Port: 22}\n" in round_trip(
        tmp_path, "hosts.yml"
    )


def test_settings_and_variables_that_disagree_are_told_apart(tmp_path, monkeypatch):
    """
    At one place they would contradict each other: what does not count is left out, and said.
    """
    monkeypatch.chdir(tmp_path)
    Path("hosts.yml").write_text(
        "all:\n  vars: {ansible_port: 22, ansible_ssh_common_args: -o Port=22 -C}\n"
        "  hosts:\n    web[1:2]: {ssh: {Port: 2222}}\n    web3:\n"
    )
    inventory, text = written("hosts.yml")
    assert [problem.message for problem in text.notes] == [
        "web[1-2]: ansible_port was left out: what counts is written as a setting",
        "web[1-2]: ansible_ssh_common_args was left out: what counts is written as a setting",
    ]
    Path("again.yml").write_text(text.text)
    again = load_inventory(["again.yml"])
    assert {name: said(again, name) for name in again.hosts} == {
        name: said(inventory, name) for name in inventory.hosts
    }
    assert again.hosts["web1"].vars == {}
    assert again.hosts["web3"].vars == inventory.hosts["web3"].vars


def test_a_list_that_variables_and_settings_make_together_is_written_as_one(tmp_path, monkeypatch):
    """
    IdentityFile adds up over both spellings, which one place cannot have.
    """
    monkeypatch.chdir(tmp_path)
    Path("hosts.yml").write_text(
        "all:\n  ssh: {IdentityFile: a}\n  hosts: {web1: {ansible_private_key_file: b}, web2: }\n"
    )
    inventory, text = written("hosts.yml")
    assert "web1: {ssh: {IdentityFile: [b, a]}}" in text.text
    Path("again.yml").write_text(text.text)
    again = load_inventory(["again.yml"])
    assert said(again, "web1") == said(inventory, "web1") == {"IdentityFile": ("b", "a")}
    assert said(again, "web2") == said(inventory, "web2")


def test_secrets_in_yaml_stay_vaulted(load, tmp_path):
    """
    One that was written openly is left out, and said to be; on request it is written.
    """
    text = "all:\n  hosts:\n    a:\n      ansible_password: hunter2\n      p: !vault |\n" + inline(
        BY_ANSIBLE, 8
    )
    load(text, vault_secrets=[(None, PW)], is_trusted=trusting)
    _, hidden = written("hosts.yml", vault_secrets=[(None, PW)])
    assert hidden.text.startswith("# a: ansible_password is a secret; write it anew, vaulted\n")
    assert hidden.notes[0].message == "a: ansible_password is a secret; write it anew, vaulted"
    assert "hunter2" not in hidden.text
    (tmp_path / "again.yml").write_text(hidden.text)
    again = load_inventory([str(tmp_path / "again.yml")], vault_secrets=[(None, PW)])
    assert again.hosts["a"].vars == {"p": Secret("secret")}
    _, shown = written("hosts.yml", vault_secrets=[(None, PW)], reveal=True)
    assert 'ansible_password: "hunter2"' in shown.text


def test_a_secret_inside_a_value_is_left_out_with_it(load):
    """
    A file vaulted as a whole makes secrets of all its text, however deep.
    """
    from fleetctl.inventory.vault import encrypt

    load("all: {hosts: {a: }}")
    Path("group_vars").mkdir()
    Path("group_vars/all").write_text(encrypt(b"list: [1, {deep: text}]\nn: 1\n", PW))
    _, text = written("hosts.yml", vault_secrets=[(None, PW)])
    assert "text" not in text.text
    assert "# a: list is a secret; write it anew, vaulted\n" in text.text


def test_names_that_mean_something_in_yaml_are_refused(tmp_path, monkeypatch):
    """
    An INI inventory may have a group of that name; one in YAML could not be read again.
    """
    monkeypatch.chdir(tmp_path)
    Path("hosts").write_text("[hosts]\na\n[web]\nvars\n")
    with pytest.raises(UsageError) as caught:
        written("hosts")
    assert [problem.message for problem in caught.value.problems] == [
        'group "hosts": this word has a meaning of its own in a YAML inventory',
        'host "vars": this word has a meaning of its own in a YAML inventory',
    ]


def test_groups_nested_deeper_than_a_reader_goes_are_written_flat(tmp_path, monkeypatch):
    """
    However deep they are nested, the file can be read.
    """
    monkeypatch.chdir(tmp_path)
    levels = [f"[g{n}:children]\ng{n + 1}" for n in range(60)]
    Path("hosts").write_text("\n".join([*levels, "[g60]", "h[1:3]"]))
    text = round_trip(tmp_path, "hosts")
    assert len(re.findall(r"^g\d+:$", text, re.MULTILINE)) > 2


@pytest.mark.parametrize("seed", range(4))
def test_made_up_inventories_survive_being_written_as_one_file(seed, tmp_path):
    """
    Several sources, INI and YAML, with group_vars and host_vars beside them.
    """
    maker = Maker(100 + seed)
    for number in range(12):
        folder = tmp_path / str(number)
        sources = maker.inventory(folder)
        with contextlib.suppress(UsageError):  # what Ansible would drop in silence
            round_trip(folder, *sources)


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.dates(),
        st.datetimes().map(lambda at: at.replace(fold=0)),
        st.binary(max_size=5),
        st.text(st.characters(exclude_categories=["Cs"])),
        st.sampled_from(
            "yes No on ~ null 1 1.5 1e3 0x1 2024-01-02 = << - a:b a#b .inf y N".split()
        ),
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
    inventory = Inventory(
        {"a": Host("a", ("ungrouped", "all"), found)},
        {"all": ("a",), "ungrouped": ("a",)},
        own_hosts={"ungrouped": ("a",)},
        children={"all": ("ungrouped",)},
    )
    text = to_yaml(inventory, {}).text
    draft = read_yaml(text.encode(), "f", Vaults())
    assert draft.problems == []
    assert draft.hosts["a"].vars == found
    assert repr(draft.hosts["a"].vars) == repr(found)


def test_an_inventory_without_hosts_is_written():
    """
    There is nothing to say, and it is YAML.
    """
    empty = to_yaml(Inventory({}, {"all": (), "ungrouped": ()}), {})
    assert (empty.text, empty.hosts) == ("all:\n  hosts: {}\n", 0)
