"""
Directories of inventories, and group_vars and host_vars beside them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.inventory.vault import encrypt
from fleetctl.model.errors import UsageError
from fleetctl.model.secret import Secret

ME = LocalAccount("me", "/home/me")


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def lay_out(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def load(*sources: str, **options) -> Inventory:
    return load_inventory(sources or ("inv",), account=ME, **options)


def refusal(*sources: str) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load(*sources)
    return str(caught.value).splitlines()


def warnings(inventory: Inventory) -> list[str]:
    return [str(warning) for warning in inventory.warnings]


def test_a_directory_is_its_files_in_sorted_order():
    """
    YAML, INI and directories inside together; the later file wins.
    """
    lay_out(
        {
            "inv/20-hosts": "[web]\nweb1 x=20\nweb2\n",
            "inv/10.yml": "web: {hosts: {web1: {x: 10, y: 10}}}",
            "inv/30/more.json": '{"web": {"hosts": {"web1": {"z": 30}}}}',
            "inv/5.ini": "web1 x=5 z=5\n",
        }
    )
    inventory = load()
    assert inventory.hosts["web1"].vars == {"x": 5, "y": 10, "z": 5}
    assert inventory.groups["web"] == ("web1", "web2")
    assert inventory.groups["ungrouped"] == ()


def test_what_ansible_passes_over_is_passed_over():
    """
    Hidden files, notes, backups and the like are no inventories.
    """
    junk = "README.md notes.txt a.rst .hidden hosts.bak hosts~ old.orig x.retry x.cfg x.swp x.pyc"
    lay_out({f"inv/{name}": "{no inventory" for name in junk.split()})
    lay_out({"inv/hosts": "web1\n", "inv/vars_plugins/x": "{", "inv/group_vars/x.txt": "{"})
    assert list(load().hosts) == ["web1"]


def test_an_empty_directory_is_an_error():
    """
    No hosts by accident is no inventory.
    """
    lay_out({"inv/README.md": ""})
    assert refusal() == [
        "inv: there is no inventory in this directory",
        "hint: group_vars, host_vars, hidden files, *.txt, *.md and *.cfg are passed over",
    ]


def test_a_file_that_cannot_be_read_is_not_passed_over():
    """
    Where Ansible warns and goes on without a file, we stop with the places of all mistakes.
    """
    lay_out({"inv/a.yml": "all: 5", "inv/b": "[web:childern]\n", "inv/c.yml": "x: [\n"})
    os.symlink("/nowhere", "inv/d.yml")
    assert [line.partition(": ")[0] for line in refusal() if not line.startswith("hint")] == [
        "inv/a.yml:1:6",
        "inv/b:1",
        "inv/c.yml:2:1",
        "inv/d.yml",
    ]


def test_directories_in_a_circle_end():
    """
    A link to a directory above is not followed forever.
    """
    lay_out({"inv/hosts": "web1\n"})
    os.symlink(".", "inv/again")
    assert refusal() == [f"inv/{'again/' * 17}: more than 16 directories deep".replace("/:", ":")]


def test_a_group_of_an_earlier_file_may_be_referred_to():
    """
    As in Ansible INI files know the groups of the sources before them, not after.
    """
    lay_out({"inv/1": "[web]\nweb1\n", "inv/2": "[eu:children]\nweb\n[web:vars]\nx=1\n"})
    inventory = load()
    assert inventory.groups["eu"] == ("web1",)
    assert inventory.hosts["web1"].vars == {"x": 1}
    assert refusal("inv/2", "inv/1")[0] == 'inv/2:2: there is no group "web"'


VARS = {
    "inv/hosts.yml": """
all:
  vars: {v: file all}
  children:
    far: {vars: {v: file far}, children: {near: {vars: {v: file near}, hosts: {h: {v: file h}}}}}
""",
    "inv/group_vars/all.yml": "v: gv all",
    "inv/group_vars/far": "v: gv far",
    "inv/group_vars/near.json": '{"v": "gv near"}',
    "inv/host_vars/h.yaml": "v: hv h",
}


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ([], "hv h"),
        (["host_vars/h.yaml"], "file h"),
        (["host_vars/h.yaml", "file h"], "gv near"),
        (["host_vars/h.yaml", "file h", "near.json"], "gv far"),
        (["host_vars/h.yaml", "file h", "near.json", "vars/far"], "gv all"),
        (["host_vars/h.yaml", "file h", "near.json", "vars/far", "all.yml"], "file near"),
        (["host_vars", "file h", "near.json", "vars/far", "all.yml", "file near"], "file far"),
        (["_vars", "file h", "file near", "file far"], "file all"),
    ],
)
@pytest.mark.parametrize("source", ["inv", "inv/hosts.yml"])
def test_files_of_variables_count_more_than_the_inventory(without, expected, source):
    """
    group_vars/all beats every group in the inventory file, host_vars the host; as in Ansible.
    """
    kept = {name: text for name, text in VARS.items() if not any(w in name for w in without)}
    for word in without:
        if word.startswith("file "):
            kept["inv/hosts.yml"] = kept["inv/hosts.yml"].replace(f"v: {word}", "w: 0")
    lay_out(kept)
    assert load(source).hosts["h"].vars["v"] == expected


def test_files_of_a_later_source_count_more():
    """
    A parent's file beside the later source beats a child's beside the earlier.
    """
    lay_out(
        {
            "a/hosts": "[far:children]\nnear\n[near]\nh\n",
            "b/hosts": "h\n",
            "a/group_vars/near": "v: near a\nw: near a",
            "b/group_vars/far": "v: far b",
            "a/host_vars/h": "x: a",
            "b/host_vars/h": "x: b",
        }
    )
    assert load("a", "b").hosts["h"].vars == {"v": "far b", "w": "near a", "x": "b"}
    assert load("b", "a").hosts["h"].vars == {"v": "near a", "w": "near a", "x": "a"}
    assert load("a/hosts", "b", "a").hosts["h"].vars["x"] == "a"


def test_a_directory_of_variables_is_read_in_sorted_order():
    """
    Files and directories below it, hidden ones and other endings aside.
    """
    lay_out(
        {
            "inv/hosts": "h\n",
            "inv/group_vars/all/b.yml": "x: b\nb: 1",
            "inv/group_vars/all/a": "x: a\na: 1",
            "inv/group_vars/all/c/z.json": '{"x": "c", "c": 1}',
            "inv/group_vars/all/.hidden": "{",
            "inv/group_vars/all/backup~": "{",
            "inv/group_vars/all/notes.txt": "{",
            "inv/group_vars/all/conf.d/x.yml": "{",
            "inv/group_vars/all/empty.yml": "# nothing\n",
        }
    )
    assert load().hosts["h"].vars == {"x": "c", "a": 1, "b": 1, "c": 1}


def test_settings_in_files_of_variables_have_their_origin():
    """
    Connection variables are settings wherever they are written.
    """
    lay_out(
        {
            "inv/hosts": "[web]\nh ansible_port=22\n",
            "inv/group_vars/web.yml": "---\nansible_user: deploy\nansible_port: 2222\n",
            "inv/host_vars/h.yml": "\nansible_host: 10.0.0.1\n",
        }
    )
    settings = load().hosts["h"].settings
    assert settings.origin == {
        "HostName": "inv/host_vars/h.yml:2",
        "Port": "inv/hosts:2",
        "User": "inv/group_vars/web.yml:2",
    }


def test_this_machine_has_variables_too():
    """
    group_vars/all and host_vars/localhost count for the localhost nobody wrote down.
    """
    lay_out(
        {
            "inv/hosts": "h\n",
            "inv/group_vars/all": "a: 1",
            "inv/host_vars/localhost": "b: 1",
        }
    )
    assert load().localhost.vars == {"ansible_connection": "local", "a": 1, "b": 1}


def test_a_file_that_nobody_reads_is_a_warning():
    """
    A second file of a name, a slip in a name, and what has no effect there.
    """
    lay_out(
        {
            "inv/hosts": "[webservers]\nh\n[db]\ni\n",
            "inv/group_vars/db.yml": "ansible_group_priority: 5\nssh: {User: x}\n",
            "inv/group_vars/db/x.yml": "x: 1",
            "inv/group_vars/webserver.yml": "x: 1",
            "inv/group_vars/other.yml": "x: 1",
        }
    )
    assert warnings(load()) == [
        "inv/group_vars/db.yml: not read, because there is db\n"
        "hint: keep one of them, or put both into the directory db",
        'inv/group_vars/webserver.yml: nothing is called "webserver"\n'
        "hint: did you mean webservers.yml?",
    ]
    Path("inv/group_vars/db/x.yml").unlink()
    Path("inv/group_vars/db").rmdir()
    assert warnings(load())[:2] == [
        "inv/group_vars/db.yml:1:1: ansible_group_priority has no effect here\n"
        "hint: Ansible reads it from the inventory itself only",
        "inv/group_vars/db.yml:2:1: ssh is an ordinary variable here\n"
        "hint: write settings into the inventory itself, or as ansible_* variables",
    ]


def test_mistakes_in_files_of_variables_are_shown_with_the_others():
    """
    Each with file and line, all at once.
    """
    lay_out(
        {
            "inv/hosts": "[web]\nh x\n",
            "inv/group_vars/all.yml": "- a\n",
            "inv/group_vars/web.yml": "a: 1\na: 2\nansible_port: 0\n",
            "inv/host_vars/h.yml": "x: [\n",
        }
    )
    assert [line for line in refusal() if not line.startswith("hint")] == [
        'inv/hosts:2: name=value is expected after the name of a host, not "x"',
        "inv/group_vars/all.yml: a file of variables is a mapping",
        'inv/group_vars/web.yml:2:1: "a" is there twice; the first is in line 1',
        'inv/group_vars/web.yml:3:15: Port: a number from 1 to 65535 is expected, not "0"',
        "inv/host_vars/h.yml:2:1: not YAML: did not find expected node content",
    ]


def test_a_vaulted_file_of_variables():
    """
    What group_vars/all/vault.yml is for.
    """
    pw = Secret("pw")
    lay_out(
        {
            "inv/hosts": "h\n",
            "inv/group_vars/all/vars.yml": "user: me",
            "inv/group_vars/all/vault.yml": encrypt(b"password: x\nansible_user: u\nn: 1", pw),
        }
    )
    host = load(vault_secrets=[(None, pw)]).hosts["h"]
    assert host.vars == {"user": "me", "password": Secret("x"), "ansible_user": "u", "n": 1}
    assert refusal()[0] == (
        "inv/group_vars/all/vault.yml:1: this is vaulted, and there is no vault password"
    )


def test_files_beside_a_named_file_are_not_named():
    """
    What lies beside an inventory came with it: it may not weaken checks unless trusted.
    """
    lay_out({"inv/hosts": "h\n", "inv/group_vars/all": "ansible_host_key_checking: false"})
    for source in ("inv/hosts", "inv"):
        assert refusal(source) == [
            "inv/group_vars/all:1:1: StrictHostKeyChecking weakens the check of host keys, "
            "which only a file you trust may do",
            "hint: fleetctl trust inv/group_vars/all",
        ]
    host = load(is_trusted=lambda path, _data: path.name == "all").hosts["h"]
    assert host.settings.strict_host_key_checking == "no"


def test_a_thousand_files_of_variables_are_found_in_one_look(monkeypatch):
    """
    The folder is listed once, not asked for every host.
    """
    lay_out({"inv/hosts": "h[1:1000]\n", "inv/host_vars/h7": "x: 7"})
    listed: list[str] = []
    listdir = os.listdir

    def note_and_list(path: str) -> list[str]:
        listed.append(str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", note_and_list)
    assert load().hosts["h7"].vars == {"x": 7}
    assert listed == ["inv", "inv/host_vars"]
