"""
Inventories to compare with Ansible: written by hand, and made up from a seed.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

#: What it shows -> what to give as -i, and the files.
HAND_WRITTEN: dict[str, tuple[list[str], dict[str, str]]] = {
    "values of every kind": (
        ["hosts"],
        {
            "hosts": r"""
gw:2222 a='x y' b="'5'" c=5 d=True e=false f=None g=[1,2] h="{'a': 1}" i=(1,2) j=1.5 k=1e3
h1 l=0x1f m=010 n=s#c o="p#q" p=1_000 q='' r=-3 s={1:2} t=~/x u=a=b v=\\ w="\"q\"" x=...
[web]
x[:4:2]
web[01:10:3].example.com y=b'bytes' z=1j
[web:vars]
a=5
b = "5"
c=two words # and this
d=5 # five
e='a' 'b'
f=
ansible_group_priority=7
"""
        },
    ),
    "children in any order": (
        ["hosts"],
        {
            "hosts": """
[all:vars]
x=all
[c:vars]
x=c
[top:children]
b
c
a   # last
[a]
h1
[c]
h2
h1
[b:children]
c
d
[d]
[ungrouped:vars]
u=1
"""
        },
    ),
    "yaml of all shapes": (
        ["hosts.yml"],
        {
            "hosts.yml": """
ungrouped: {hosts: {lost: {x: 1}}}
all:
  vars: &v {x: all, list: [1, {a: ~}], date: 2024-01-02, at: 2024-01-02 03:04:05, o: 010, s: 1:30}
  hosts: {gw: , lost: }
  children:
    eu: {children: {web: {hosts: "web[1:2]", vars: {<<: *v, x: web}}, db: }}
    us: {children: web}
    db: {hosts: {"db-[a:c]:5432": {1: 2}, "2001:db8::1": {n: 1.50, b: yes, t: "yes", i: .inf}}}
"""
        },
    ),
    "priority and depth": (
        ["hosts.yml"],
        {
            "hosts.yml": """
a: {hosts: {h: }, vars: {v: a, w: a, ansible_group_priority: 10}}
b: {hosts: {h: }, vars: {v: b, w: b, x: b}}
c: {children: {d: {children: {e: {hosts: {h: }, vars: {w: e, ansible_group_priority: "2"}}}}},
    vars: {x: c}}
f: {children: {e: }, vars: {x: f}}
"""
        },
    ),
    "a directory with all there is": (
        ["inv"],
        {
            "inv/20-ini": "[web]\nweb1 v=ini\nweb3\n[eu:children]\nweb\ndb\n[web:vars]\nv=gini\n",
            "inv/10.yml": "db: {hosts: {db1: {v: yml}}, vars: {v: gyml}}",
            "inv/30/sub.json": '{"web": {"hosts": {"web2": {"v": "json"}, "web4": null}}}',
            "inv/README.md": "no inventory",
            "inv/.hidden": "{",
            "inv/old.bak": "{",
            "inv/group_vars/all": "v: gv-all\nga: 1",
            "inv/group_vars/eu.yml": "v: gv-eu\nge: 1",
            "inv/group_vars/web/b.yml": "v: gv-web-b\nb: 1",
            "inv/group_vars/web/a": "v: gv-web-a\na: 1",
            "inv/group_vars/web/c/d.json": '{"v": "gv-web-d"}',
            "inv/group_vars/web/x.txt": "{",
            "inv/group_vars/ungrouped.yaml": "gu: 1",
            "inv/host_vars/web1.yml": "v: hv\n",
            "inv/host_vars/db1/x.yml": "hv: {a: 1}\n",
            "inv/30/group_vars/all": "v: never",
        },
    ),
    "several sources, merged in order": (
        ["a/hosts", "b", "a/hosts", "web9,gw,"],
        {
            "a/hosts": "[web]\nweb1 v=a w=a\n[web:vars]\ng=a\n[eu:children]\nweb\n",
            "b/hosts.yml": "web: {hosts: {web1: {v: b}, web2: }, vars: {g: b}}",
            "b/x": "[us:children]\nweb\neu\n",
            "a/group_vars/eu": "p: eu-a",
            "b/group_vars/eu": "p: eu-b",
            "a/group_vars/web": "q: web-a",
            "b/group_vars/all": "q: all-b\np: all-b",
            "a/host_vars/web1": "h: a",
            "b/host_vars/web1": "h: b",
        },
    ),
    "connection variables": (
        ["hosts"],
        {
            "hosts": """
a ansible_host=10.0.0.1 ansible_port=22 ansible_user=u ansible_password=p
b ansible_ssh_common_args='-o Port=22 -C' ansible_connection=local ansible_become=yes
c ansible_host_key_checking=False ansible_ssh_retries=3
"""
        },
    ),
    "a program": (
        ["inv.sh"],
        {
            "inv.sh": """#!/bin/sh
cat <<'END'
{"_meta": {"hostvars": {"a": {"x": 1, "y": null}, "b": {"x": "{{ t }}"}}},
 "web": {"hosts": ["a", "b"], "vars": {"v": [1]}, "children": ["low"]},
 "low": ["c", "a"], "none": {"hosts": []}, "all": {"children": ["web", "ungrouped"]},
 "ungrouped": {"hosts": ["d"]}, "p": {"hosts": ["a"], "vars": {"ansible_group_priority": 2}}}
END
"""
        },
    ),
    "a program without _meta": (
        ["inv.sh"],
        {
            "inv.sh": """#!/bin/sh
[ "$1" = --list ] && echo '{"web": {"hosts": ["a", "b"]}}' && exit
[ "$2" = a ] && echo '{"x": 1}'
exit 0
"""
        },
    ),
}

GROUPS = ["web", "db", "eu", "us", "canary", "a_b", "zed"]
HOSTS = ["web1", "web2", "db1", "gw", "h[1:3]", "n[01:03].x", "10.0.0.1", "r[1:2]-[a:b]", "x_y"]
NAMES = ["v1", "v2", "v3", "ansible_user", "ansible_port"]
INI_VALUES = """1 True text [1,2] '[1,2]' '5' "'5'" {'k':1} "{'k':1}" None 1.5 010 a=b 0x10 (1,)
x#y -3 1_000 yes a:b""".split()
YAML_VALUES: list[object] = [1, "text", [1, {"a": 2}], None, True, 1.5, {"k": {"l": 1}}, "0x1"]


class Maker:
    """Makes up inventories from a seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def some(self, words: Sequence[str], least: int, most: int) -> list[str]:
        return self.random.sample(words, self.random.randint(least, min(most, len(words))))

    def value(self, name: str, others: Sequence[object]) -> object:
        if name == "ansible_port":
            return self.random.randint(1, 9999)
        return self.random.choice(["root", "bob"] if name == "ansible_user" else others)

    def ini(self) -> str:
        chance = self.random.random
        order = GROUPS[: self.random.randint(1, 7)]

        def line(host: str) -> str:
            pairs = [f"{v}={self.value(v, INI_VALUES)}" for v in self.some(NAMES, 0, 2)]
            return " ".join([host, *pairs])

        sections: list[list[str]] = []
        for number, group in enumerate(order):
            children = [child for child in order[number + 1 :] if chance() < 0.3]
            if children:
                self.random.shuffle(children)
                sections.append([f"[{group}:children]", *children])
            if chance() < 0.5:
                pairs = [f"{v} = {self.value(v, INI_VALUES)}" for v in self.some(NAMES, 1, 3)]
                if chance() < 0.3:
                    pairs.append(f"ansible_group_priority={self.random.randint(0, 3)}")
                sections.append([f"[{group}:vars]", *pairs])
            sections.append([f"[{group}]", *map(line, self.some(HOSTS, 0, 4))])
        self.random.shuffle(sections)
        first = [f"{line(host)}" for host in self.some(HOSTS, 0, 3)]
        if first and chance() < 0.2:
            name, _, rest = first[0].partition(" ")
            first[0] = f"{name}:{self.random.randint(1, 99)} {rest}"
        sections.append(["[last]", "last"])
        return "\n\n".join("\n".join(section) for section in [first, *sections]) + "\n"

    def yaml(self) -> str:
        chance = self.random.random
        order = GROUPS[: self.random.randint(1, 7)]

        def variables(least: int, most: int) -> dict[str, object]:
            return {v: self.value(v, YAML_VALUES) for v in self.some(NAMES, least, most)}

        def body(number: int, depth: int) -> object:
            made: dict[str, object] = {}
            for part in self.some(["hosts", "children", "vars"], 3, 3):
                if part == "hosts" and chance() < 0.8:
                    made[part] = {h: variables(0, 2) or None for h in self.some(HOSTS, 0, 3)}
                elif part == "vars" and chance() < 0.5:
                    priority = {"ansible_group_priority": self.random.randint(0, 3)}
                    made[part] = {**variables(1, 3), **(priority if chance() < 0.3 else {})}
                elif part == "children" and depth < 3:
                    below = [n for n in range(number + 1, len(order)) if chance() < 0.35]
                    made[part] = {order[n]: body(n, depth + 1) for n in below}
            return made or None

        top = {"all": body(-1, 0)} if chance() < 0.6 else {}
        top.update({g: body(n, 0) for n, g in enumerate(order) if chance() < 0.6})
        return json.dumps({**top, "last": {"hosts": {"last": None}}})

    def vars_files(self, folder: Path) -> None:
        names = {
            "group_vars": ["all", "ungrouped", *GROUPS],
            "host_vars": ["web1", "db1", "gw", "h1", "10.0.0.1"],
        }
        for kind in (each for each in names if self.random.random() < 0.6):
            for name in self.some(names[kind], 0, 6):
                place = folder / kind / name
                place.parent.mkdir(exist_ok=True)
                if self.random.random() < 0.5:
                    ending = self.random.choice(["", ".yml", ".yaml", ".json"])
                    Path(f"{place}{ending}").write_text(json.dumps({"v1": name, "f": name}))
                    continue
                inside = ["a.yml", "b", "c.json", "sub/x.yml", ".hidden", "old~", "no.txt"]
                for file in self.some(inside, 1, 5):
                    (place / file).parent.mkdir(parents=True, exist_ok=True)
                    found = dict.fromkeys(self.some(["v1", "v2", "v4"], 1, 2), f"{name}/{file}")
                    (place / file).write_text(json.dumps(found))

    def inventory(self, folder: Path) -> list[str]:
        """Write an inventory of one to three sources; return what to give as -i."""
        sources = []
        for number in range(self.random.choice([1, 1, 2, 3])):
            place = folder / f"s{number}"
            place.mkdir(parents=True)
            is_directory = self.random.random() < 0.4
            for file in range(self.random.randint(1, 3) if is_directory else 1):
                is_yaml = self.random.random() < 0.5
                path = place / (f"{file}.yml" if is_yaml else f"{file}-hosts")
                path.write_text(self.yaml() if is_yaml else self.ini())
            sources.append(str(place if is_directory else path))
            self.vars_files(place)
        return sources
