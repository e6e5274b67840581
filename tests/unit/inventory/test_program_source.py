"""
What programs print, as an inventory.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.program_source import read_program
from fleetctl.inventory.vaults import Vaults
from fleetctl.model.secret import Secret
from tests.unit.inventory.test_program import program, refusal
from tests.unit.inventory.test_vault import BY_ANSIBLE


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(printed: object, **options) -> Inventory:
    Path("printed").write_text(json.dumps(printed))
    program("cat printed")
    return load_inventory(["inv.sh"], **options)


def mistakes(printed: object) -> list[str]:
    Path("printed").write_text(json.dumps(printed))
    return refusal("cat printed")


def test_what_a_program_prints_is_an_inventory():
    """
    Groups with hosts, vars and children, a bare list of hosts, and the variables in _meta.
    """
    inventory = load(
        {
            "_meta": {
                "hostvars": {"web1": {"ansible_host": "10.0.0.1", "n": 1}},
                "profile": "inventory_legacy",
                "more": [],
            },
            "all": {"children": ["ungrouped", "eu"], "vars": {"a": 1}},
            "eu": {"children": ["web", "none"], "unknown": "key", "hosts": []},
            "web": ["web1", "web2"],
            "none": {},
            "ungrouped": {"hosts": ["gw"]},
            "prio": {"hosts": ["web1"], "vars": {"ansible_group_priority": 3, "n": 2}},
        }
    )
    assert inventory.groups == {
        "all": ("gw", "web1", "web2"),
        "ungrouped": ("gw",),
        "eu": ("web1", "web2"),
        "web": ("web1", "web2"),
        "none": (),
        "prio": ("web1",),
    }
    web1 = inventory.hosts["web1"]
    assert web1.vars == {"a": 1, "ansible_host": "10.0.0.1", "n": 1}
    assert web1.settings.origin == {"HostName": "inv.sh"}
    assert inventory.warnings == ()


def test_without_meta_the_program_is_asked_for_each_host():
    """
    --host once for every host; printing nothing means there are no variables.
    """
    program(
        """
        echo "$@" >> asked
        case $1:$2 in
            --list:) echo '{"web": ["a", "b"]}' ;;
            --host:a) echo '{"x": 1}' ;;
        esac
        """
    )
    inventory = load_inventory(["inv.sh"])
    assert {name: host.vars for name, host in inventory.hosts.items()} == {"a": {"x": 1}, "b": {}}
    assert Path("asked").read_text() == "--list\n--host a\n--host b\n"


def test_vaulted_values_of_programs_are_secrets():
    """
    As ansible-inventory itself prints them.
    """
    inventory = load(
        {
            "_meta": {"hostvars": {"a": {"p": {"__ansible_vault": BY_ANSIBLE}}}},
            "web": {"hosts": ["a"], "vars": {"t": {"__ansible_unsafe": "{{ x }}"}}},
        },
        vault_secrets=[(None, Secret("pw"))],
    )
    assert inventory.hosts["a"].vars == {"p": Secret("secret"), "t": "{{ x }}"}


def test_mistakes_in_what_is_printed_are_shown_at_once():
    """
    All of them, each with the group it is in.
    """
    assert mistakes(
        {
            "_meta": {"hostvars": {"b": 5}},
            "a/b": [],
            "nohosts": {"ansible_user": "x"},
            "text": "web1",
            "list": {"hosts": "web1", "vars": [], "children": {}},
            "names": {"hosts": ["-x", 5, None]},
            "more": {"hosts": ["a b", "all", "b"], "children": ["all", "x:y"]},
            "settings": {"vars": {"ansible_port": 0, "ansible_group_priority": "high"}},
        }
    ) == [
        'inv.sh: this cannot be the name of a group: "a/b" contains "/"',
        'inv.sh: group "nohosts" has none of hosts, vars and children',
        'hint: print {"nohosts": {"hosts": []}} for a group without hosts',
        'inv.sh: group "text" has none of hosts, vars and children',
        'hint: print {"text": {"hosts": []}} for a group without hosts',
        'inv.sh: the hosts of group "list" are not a list of names',
        'inv.sh: the variables of group "list" are no mapping',
        'inv.sh: the children of group "list" are not a list of names',
        'inv.sh: the hosts of group "names" are not a list of names',
        'inv.sh: group "more": this cannot be the name of a host: "a b" contains a space',
        'inv.sh: group "more": this cannot be the name of a host: '
        '"all" is a group that every inventory has',
        'inv.sh: group "more": this cannot be the name of a child group: '
        '"all" has every group in it, "more" too',
        'inv.sh: group "more": this cannot be the name of a child group: '
        '":" is not allowed in "x:y"',
        'inv.sh: Port: a number from 1 to 65535 is expected, not "0"',
        'inv.sh: ansible_group_priority: a number is expected, not "high"',
        'inv.sh: the variables of host "b" are no mapping',
    ]


@pytest.mark.parametrize("meta", [5, [], {}, {"hostvars": 5}, {"hostvars": None}])
def test_meta_must_be_what_it_is(meta):
    """
    A program that means to give variables and does not is in error.
    """
    assert mistakes({"_meta": meta}) == ['inv.sh: "hostvars" of "_meta" is no mapping']


def test_variables_of_hosts_in_no_group_are_a_warning():
    """
    Ansible drops them without a word.
    """
    inventory = load({"_meta": {"hostvars": {"x": {}, "a": {}}}, "web": ["a"]})
    assert [str(warning) for warning in inventory.warnings] == [
        "inv.sh: 1 hosts with variables are in no group, such as x"
    ]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["hosts", "vars", "children", "_meta", "hostvars"]), st.text()
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=30,
)


@given(st.one_of(st.binary(), json_values.map(lambda value: json.dumps(value).encode())))
@example(b"[" * 100_000)
@example(b'{"_meta": {"hostvars": {}}, "a": {"hosts": ["\\ud800"]}}')
@example(b"9" * 5000)
def test_anything_printed_is_read_or_explained(data):
    """
    Whatever a program prints, there is a draft, and each problem is one line.
    """
    draft = read_program(lambda *_arguments: data, "p", Vaults())
    for problem in draft.problems:
        assert problem.file == "p"
        assert problem.message.isprintable()
