"""
Every deliberate difference from Ansible's and ClusterShell's inventories, both sides asked.

The numbers are those of ``docs/reference/deviations.md``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleetctl.inventory.export import to_ansible_json
from fleetctl.inventory.load import load_inventory
from fleetctl.inventory.pattern import select
from fleetctl.model.errors import UsageError
from fleetctl.model.nodeset import fold
from tests.fleet import test_inventory_commands_oracle as commands
from tests.fleet import test_inventory_oracle as patterns

pytestmark = pytest.mark.fleet

PATTERN_INVENTORY = """\
gw
[web]
web1
web2
web3
[db]
db1
db2
[x1]
gw
[both]
x1
web1
"""
#: Number, pattern, what Ansible makes of it, and what we do: hosts, or part of the message.
PATTERNS: list[tuple[int, str, str | None, list[str] | str]] = [
    (1, "a*", "db1,db2,gw,web1,web2,web3,x1", '"a*" matches the group "all" too'),
    (1, "web,!a*", None, '"a*" matches the group "all" too'),
    (2, "web,nosuch", "web1,web2,web3", 'no host, group or pattern "nosuch"'),
    (2, "web,!nosuch", "web1,web2,web3", 'no host, group or pattern "nosuch"'),
    (2, "web,z*", "web1,web2,web3", 'no host or group matches "z*"'),
    (2, "web,!z*", "web1,web2,web3", 'no host or group matches "z*"'),
    (3, "", "db1,db2,gw,web1,web2,web3,x1", "the pattern is empty"),
    (3, "web,,db", "db1,db2,web1,web2,web3", "an empty term at column 5"),
    (4, "web[2:1],gw", "gw", '"web[2:1]" counts down'),
    (4, "web[5],gw", None, '"web[5]" means no host: web has 3 hosts'),
    (5, "all,!x1", "db1,db2,web1,web2,web3,x1", '"x1" is a host and a group'),
    (5, "all,&x1", "gw", '"x1" is a host and a group'),
    (6, "web1 web2", "web1,web2", 'no host, group or pattern "web1 web2"'),
    (6, "web[", "web1,web2,web3", 'the "[" at column 4 has no partner'),
    (7, "web:db,gw", "gw", ["db1", "db2", "gw", "web1", "web2", "web3"]),
    (8, "web[:1]", "web1", ["web1", "web2"]),
    (9, "web*[3],gw", "gw,web1", '"web*[3]" means no host: web* has 3 hosts'),
    (10, "web[1-3]", "web2,web3", '"web[1-3]" may mean web[1-3] by name'),
    (11, "@web,gw", "gw", ["gw", "web1", "web2", "web3"]),
    (11, "web!web1,gw", "gw", ["gw", "web2", "web3"]),
]


def test_patterns_that_ansible_reads_otherwise(tmp_path):
    """
    What Ansible drops or widens in silence is an error here; the rest is read as written.
    """
    path = tmp_path / "hosts"
    path.write_text(PATTERN_INVENTORY)
    inventory = load_inventory([str(path)])
    pairs = [(pattern, None) for _, pattern, _, _ in PATTERNS]
    (answers,) = patterns.ask([{"hosts": {"inventory": str(path), "patterns": pairs}}], tmp_path)
    for (number, pattern, theirs, ours), answer in zip(PATTERNS, answers, strict=True):
        found = ",".join(sorted(answer)) if answer else None
        assert found == theirs, (number, pattern)
        if isinstance(ours, list):
            assert sorted(host.name for host in select(inventory, pattern)) == ours
        else:
            with pytest.raises(UsageError) as caught:
                select(inventory, pattern)
            assert ours in str(caught.value), (number, pattern)


EMPTY: list[str] = []
#: Number, name and text of the file, hosts that Ansible has then, part of our message.
FILES: list[tuple[int, str, str, list[str] | None, str]] = [
    (12, "f.ini", "[web]\nweb1\nweb2 x\n", EMPTY, "f.ini:3: name=value is expected"),
    (12, "f.ini", "[web]\nweb1\n[eu:children]\nwbe\n", EMPTY, 'f.ini:4: there is no group "wbe"'),
    (12, "f.ini", "[a:children]\nb\n[b:children]\na\n", EMPTY, "groups form a cycle"),
    (
        12,
        "f.yml",
        "all: {hosts: [web1]}\n",
        EMPTY,
        "f.yml:1:14: the hosts of a group are a mapping",
    ),
    (12, "f.yml", "all: {hosts: {a: }}\n---\na: b\n", EMPTY, "a second document begins here"),
    (12, "f.sh", '#!/bin/sh\necho \'{"web": ["a"]}\'\nexit 3\n', EMPTY, "exit status 3"),
    (12, "f.yml", "", EMPTY, "the file is empty"),
    (13, "f.yml", "all: {hosts: {a: }, host: {b: }}\n", ["a"], '"host" is not a key of a group'),
    (13, "f.yml", "hosts: {a: }\n", EMPTY, '"hosts" stands outside every group'),
    (14, "f.yml", "all:\n  hosts: {a: }\n  hosts: {b: }\n", ["b"], '"hosts" is there twice'),
    (15, "f.ini", "web1\n[web]\nweb1:2222\n", ["web1"], "was mentioned before without port 2222"),
    (
        16,
        "f.ini",
        "a ansible_host=x ansible_ssh_host=y\n",
        ["a"],
        "ansible_ssh_host says HostName y",
    ),
    (
        17,
        "f.sh",
        '#!/bin/sh\necho \'{"web": {"machines": ["a"]}}\'\n',
        ["web"],
        "has none of hosts",
    ),
    (18, "f.toml", "[web.hosts]\nweb1 = {}\n", ["web1"], "TOML inventories are not read"),
    (18, "f.yml", 'all: {hosts: {a: {x: !unsafe "y"}}}\n', ["a"], "the tag !unsafe is not allowed"),
    (19, "f.yml", 'all: {hosts: {"a b": , "-x": }}\n', ["-x", "a b"], '"a b" contains a space'),
    (19, "f.ini", "deploy@web1\n", ["deploy@web1"], "a user does not belong in the name of a host"),
    (20, "f.ini", "a ansible_connection=winrm\n", ["a"], '"winrm" is not supported'),
    (20, "f.ini", "a ansible_port=abc\n", ["a"], "Port: a number from 1 to 65535 is expected"),
    (
        20,
        "f.yml",
        'all: {hosts: {a: {ansible_host: "{{ x }}"}}}\n',
        ["a"],
        "templates are not allowed",
    ),
]


def hosts_in(listing: str) -> list[str]:
    found = json.loads(listing)
    return sorted(
        {host for name in found if name[0] != "_" for host in found[name].get("hosts", ())}
    )


def test_files_that_ansible_reads_in_part_or_not_at_all(tmp_path, monkeypatch):
    """
    With a warning or none, and goes on; here nobody is contacted until the file is right.
    """
    questions = []
    for row, (_, name, text, _, _) in enumerate(FILES):
        path = tmp_path / str(row) / name
        path.parent.mkdir()
        path.write_text(text)
        path.chmod(0o700 if text.startswith("#!") else 0o600)
        questions.append({"sources": ["-i", str(path)], "commands": [["--list"]]})
    answers = commands.ask(questions, tmp_path)
    for row, ((number, name, _, theirs, message), (listing,)) in enumerate(
        zip(FILES, answers, strict=True)
    ):
        assert hosts_in(listing) == theirs, (number, name)
        monkeypatch.chdir(tmp_path / str(row))
        with pytest.raises(UsageError) as caught:
            load_inventory([name], is_trusted=commands.trusting)
        assert message in str(caught.value), (number, name)


def test_a_source_that_is_missing_does_not_stop_ansible(tmp_path):
    """
    Deviation 12: half of the fleet would be left out with a warning.
    """
    good, missing = tmp_path / "good", tmp_path / "missing"
    good.write_text("web1\n")
    sources = ["-i", str(good), "-i", str(missing)]
    ((listing,),) = commands.ask([{"sources": sources, "commands": [["--list"]]}], tmp_path)
    assert hosts_in(listing) == ["web1"]
    with pytest.raises(UsageError, match="there is no such file"):
        load_inventory([str(good), str(missing)])


def test_a_vaulted_value_without_its_password(tmp_path):
    """
    Deviation 21: Ansible fails when the value is used; here, before anything is done.
    """
    path = commands.EXAMPLES / "vaulted.yml"
    question = {"sources": ["-i", str(path)], "commands": [["--list"]]}
    ((listing,),) = commands.ask([question], tmp_path)
    assert hosts_in(listing) == ["db1"]
    with pytest.raises(UsageError, match="there is no vault password"):
        load_inventory([str(path)])


READ_OTHERWISE = [
    (
        22,
        "all: {hosts: {a: {vars: {x: 1}, ssh: {Port: 2222}}}}\n",
        {"a": {"vars": {"x": 1}, "ssh": {"Port": 2222}}},
        {"a": {"x": 1, "ansible_port": 2222}},
    ),
    (23, 'all: {hosts: {"web[1-2]": {x: 1}}}\n', {}, {"web1": {"x": 1}, "web2": {"x": 1}}),
]


def test_files_that_ansible_reads_otherwise(tmp_path):
    """
    Our own form, which Ansible takes for variables, and ClusterShell's ranges, which it refuses.
    """
    questions = []
    for row, (_, text, _, _) in enumerate(READ_OTHERWISE):
        path = tmp_path / f"{row}.yml"
        path.write_text(text)
        questions.append({"sources": ["-i", str(path)], "commands": [["--list"]]})
    answers = commands.ask(questions, tmp_path)
    for row, ((number, _, theirs, ours), (listing,)) in enumerate(
        zip(READ_OTHERWISE, answers, strict=True)
    ):
        assert json.loads(listing)["_meta"]["hostvars"] == theirs, number
        found = to_ansible_json(load_inventory([str(tmp_path / f"{row}.yml")]))
        assert json.loads(json.dumps(found))["_meta"]["hostvars"] == ours, number


NODE_GROUPS = {"node": "node[1-5]", "even": "node[2,4]", "all": "node[1-9],gw"}
NODE_INVENTORY = """\
all:
  hosts:
    node[1-9]:
    gw:
  children:
    node: {hosts: {node1: , node2: , node3: , node4: , node5: }}
    even: {hosts: {node2: , node4: }}
"""
#: Number, node set, what ClusterShell folds it to (None: refused), what we do.
NODE_SETS = [
    (26, "gw,@node!gw", "node[1-5]", "gw,node[1-5]"),
    (26, "gw,@node&@even", "node[2,4]", "gw,node[2,4]"),
    (26, "@node,!@even", None, "node[1,3,5]"),
    (27, "other", "other", 'no host, group or pattern "other"'),
    (27, "gw,@nosuch", "gw", 'no group "@nosuch"'),
    (27, "@node!@nosuch", "node[1-5]", 'no group "@nosuch"'),
    (27, "gw,z*", "gw", 'no host or group matches "z*"'),
    (27, "", "", "the pattern is empty"),
    (28, "node[0-3]", "node[0-3]", "node[1-4]"),
    (28, "node[1-3]", "node[1-3]", '"node[1-3]" may mean node[1-3] by name'),
    (28, "@node[1]", "", "node2"),
    (29, "@@roles", "all,even,node", 'no group "@@roles"'),
]


def test_node_sets_that_clustershell_reads_otherwise(tmp_path):
    """
    Groups and operators inside a term are ClusterShell's; terms are Ansible's.
    """
    folder = Path(tmp_path)
    (folder / "d").mkdir()
    (folder / "d" / "roles.yaml").write_text(json.dumps({"roles": NODE_GROUPS}))
    conf = folder / "groups.conf"
    conf.write_text(f"[Main]\ndefault: roles\nautodir: {folder}/d\nconfdir: {folder}/none\n")
    (folder / "hosts.yml").write_text(NODE_INVENTORY)
    inventory = load_inventory([str(folder / "hosts.yml")])
    texts = [text for _, text, _, _ in NODE_SETS]
    (answers,) = commands.ask([{"groups": str(conf), "texts": texts}], tmp_path)
    for (number, text, theirs, ours), answer in zip(NODE_SETS, answers, strict=True):
        assert answer == theirs, (number, text)
        try:
            found = fold(host.name for host in select(inventory, text))
        except UsageError as error:
            found = str(error)
        assert found == ours or (" " in ours and ours in found), (number, text)
