"""
The same questions asked of us and of the real Ansible and ClusterShell.

Whatever the others answer, we answer the same or refuse; what is refused, and why, is listed here.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fleetctl.inventory.export import graph, to_ansible_json
from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.pattern import select
from fleetctl.inventory.vault import decrypt, encrypt
from fleetctl.model.errors import NothingMatched, UsageError
from fleetctl.model.nodeset import expand, fold
from fleetctl.model.secret import Secret
from tests.fleet.inventories import HAND_WRITTEN, Maker
from tests.support.patience import TEST_LIMIT_S

pytestmark = pytest.mark.fleet

ORACLE = Path(__file__).with_name("ansible_oracle.py")
EXAMPLES = Path(__file__).resolve().parents[2] / "inventories"
#: The refusals that random inventories may meet: a port that Ansible would drop in silence.
REFUSED_INVENTORIES = re.compile(r"was mentioned before without port")
#: Those of random patterns: a* being every host, web0[13] the 14th host of web0, and !x1 a group.
REFUSED_PATTERNS = re.compile(
    r'matches the group "all" too|no host or group web013|"x1" is a host and a group'
)


def ask(questions: Sequence[Mapping[str, object]], home: Path) -> list[Any]:
    """Ask the oracle, in one process, with nobody's configuration."""
    config = home / "ansible.cfg"
    config.touch()
    done = subprocess.run(
        [sys.executable, str(ORACLE)],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=TEST_LIMIT_S,
        env={
            **{name: text for name, text in os.environ.items() if "ANSIBLE" not in name},
            "ANSIBLE_CONFIG": str(config),
            "ANSIBLE_HOME": str(home / "ansible"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "HOME": str(home),
        },
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def about(sources: Iterable[str], *options: str) -> dict[str, object]:
    """Return the question what an inventory is to Ansible."""
    return {"inventory": [*(word for each in sources for word in ("-i", each)), *options]}


def assert_same(inventory: Inventory, answer: tuple[str, str] | None) -> None:
    """Compare with what ansible-inventory printed, the order of groups and hosts included."""
    assert answer is not None
    listed, drawn = answer
    assert json.loads(json.dumps(to_ansible_json(inventory, reveal=True))) == json.loads(listed)
    assert graph(inventory) == drawn.rstrip("\n").split("\n")


# -- inventories


def test_hand_written_inventories_are_what_ansible_inventory_says(tmp_path, monkeypatch):
    """
    Every kind of source, compared as JSON and as a graph.
    """
    questions = []
    for number, (sources, files) in enumerate(HAND_WRITTEN.values()):
        for name, text in files.items():
            path = tmp_path / str(number) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.lstrip("\n"))
            path.chmod(0o700 if text.startswith("#!") else 0o600)
        places = [s if "," in s else str(tmp_path / str(number) / s) for s in sources]
        questions.append(about(places))
    for number, (what, answer) in enumerate(
        zip(HAND_WRITTEN, ask(questions, tmp_path), strict=True)
    ):
        monkeypatch.chdir(tmp_path / str(number))
        print(what)
        assert_same(load_inventory(HAND_WRITTEN[what][0]), answer)


def test_the_worked_examples_that_ansible_reads_are_the_same_to_it(tmp_path):
    """
    What the guide shows as Ansible's form is Ansible's form.
    """
    places = [str(EXAMPLES / name) for name in ("ansible.yml", "hosts.ini", "directory")]
    for place, answer in zip(places, ask([about([p]) for p in places], tmp_path), strict=True):
        assert_same(load_inventory([place]), answer)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_made_up_inventories_are_what_ansible_inventory_says(seed, tmp_path):
    """
    Groups, order of hosts and children, precedence of variables: the same, or refused.
    """
    maker = Maker(seed)
    cases = [maker.inventory(tmp_path / str(number)) for number in range(30)]
    answers = ask([about(sources) for sources in cases], tmp_path)
    refused = 0
    for sources, answer in zip(cases, answers, strict=True):
        try:
            inventory = load_inventory(sources)
        except UsageError as error:
            others = [p for p in error.problems if not REFUSED_INVENTORIES.search(p.message)]
            refused += 1
        else:
            print(sources)
            others = []
            assert_same(inventory, answer)
        assert others == []
    assert refused <= 10


# -- patterns

PATTERN_INVENTORY = """
gw
api9.example.com
[web]
web[01:12]
[db]
db[1:3]
[node]
node[1:5]
[eu:children]
web
db
[us]
node[2:4]
10.0.0.1
[canary]
web03
db2
fe80::1
[none]
[both]
x1
[x1]
gw
"""
TERMS = """all * web db node eu us canary none gw web03 db1 web0* db* web?1 ~web0[1-3] ~(web|db)1?1
~.*1$ web[0] web[-1] eu[0:2] eu[2:] web[3:5] node[1:2] all[0] all[-1] *[2:3] web*[1] ungrouped
localhost 127.0.0.1 10.0.0.1 api9.example.com web0[13] w*b* ~n ungrouped[0] us[0] canary[0:1] 10.*
*.example.com node? [wd]* a* n* u* ~e us[1-2] eu[10:99] e? db[0:0] x1 x*""".split()


def test_patterns_select_what_ansible_selects(tmp_path):
    """
    The same hosts in the same order, for every kind of term and 1000 combinations; or refused.
    """
    path = tmp_path / "hosts"
    path.write_text(PATTERN_INVENTORY)
    choose = random.Random(7)
    patterns = list(TERMS)
    for _ in range(1000):
        signs = [choose.choice(["", "", "", "&", "!", "!"]) for _ in range(choose.randint(1, 4))]
        terms = [sign + choose.choice(TERMS) for sign in signs]
        patterns.append(choose.choice([",", ":", ", "]).join(terms))
    patterns += ["fe80::1", "fe80::1,web01", "web,!fe80::1", "web[0],web[-1],!web01"]
    inventory = load_inventory([str(path)])
    pairs = [(pattern, None) for pattern in patterns]
    (answers,) = ask([{"hosts": {"inventory": str(path), "patterns": pairs}}], tmp_path)
    same = 0
    for pattern, theirs in zip(patterns, answers, strict=True):
        try:
            ours = [host.name for host in select(inventory, pattern)]
        except UsageError as error:
            if any(REFUSED_PATTERNS.search(problem.message) for problem in error.problems):
                continue
            ours = None
        assert ours == theirs, pattern
        same += ours is not None
    assert same > 0.6 * len(patterns)


def test_limits_select_what_ansible_selects(tmp_path):
    """
    A pattern, a file of patterns, and both at once.
    """
    path, failed = tmp_path / "hosts", tmp_path / "failed"
    path.write_text(PATTERN_INVENTORY)
    failed.write_text("web03\n\nnode*\n!node4\ndb\n")
    cases = [
        (pattern, limit)
        for pattern in ("all", "web,db", "eu:!web01", "us")
        for limit in ("web*", "eu:&canary", "!web", f"@{failed}", f"@{failed},gw", f"@{failed},!db")
    ]
    inventory = load_inventory([str(path)])
    (answers,) = ask([{"hosts": {"inventory": str(path), "patterns": cases}}], tmp_path)
    for (pattern, limit), theirs in zip(cases, answers, strict=True):
        try:
            ours = [host.name for host in select(inventory, pattern, limit=limit)]
        except NothingMatched:
            ours = None
        assert ours == theirs, (pattern, limit)


# -- node sets


def make_node_sets(seed: int, count: int) -> list[str]:
    choose = random.Random(seed)

    def ranges() -> str:
        width = choose.choice([1, 1, 2, 3])
        items = []
        for _ in range(choose.randint(1, 3)):
            first = choose.randint(0, 15)
            last = first + choose.randint(0, 9)
            one, both = f"{first:0{width}d}", f"{first:0{width}d}-{last:0{width}d}"
            items.append(choose.choice([one, both, f"{both}/{choose.randint(1, 3)}"]))
        return f"[{','.join(items)}]"

    shapes = ["node{}", "r{}-n{}", "{}x", "a{}b{}c{}", "h", "web{}.x", "10.0.{}.{}"]
    made = []
    for _ in range(count):
        terms = []
        for shape in choose.choices(shapes, k=choose.randint(1, 3)):
            numbers = [
                choose.choice([ranges(), ranges(), str(choose.randint(0, 12))])
                for _ in range(shape.count("{}"))
            ]
            terms.append(shape.format(*numbers))
        made.append(",".join(terms))
    return made


ODD_NODE_SETS = """n[1-05] n[3-1] n[01-5] n[1-2]m[03-04] n[1-5/0] n[1,,2] n[] a,b, n[0-3] n[00-03]
n[9-10] n[09-10] n[1-3]5 n1[2-3] [1-3] 0[1-3] n[5] n[05] a[1-2]b[1-2],a3b3 n08,n09,n10,n8,n9
web[1-1000] n[8-010] n[100-99] n[99-100] n[1-3],n[2-5] n[098-102] n[1-10/3] n[1-2,2-3,7]""".split()


def test_node_sets_are_what_nodeset_says(tmp_path):
    """
    Expanded to the same names; folded to what each of us reads as the same names.
    """
    texts = [*ODD_NODE_SETS, *make_node_sets(3, 250)]
    answers = ask([{kind: text} for text in texts for kind in ("expand", "fold")], tmp_path)
    folded: list[tuple[str, set[str]]] = []
    same = 0
    for number, text in enumerate(texts):
        expanded, theirs = answers[2 * number : 2 * number + 2]
        if expanded is None or theirs is None:
            with pytest.raises(ValueError, match=r"."):
                expand(text)
            continue
        names = set(expanded)
        assert set(expand(text)) == names, text
        assert set(expand(theirs)) == names, theirs
        folded.append((fold(names), names))
        same += folded[-1][0] == theirs
    read = ask([{"expand": text} for text, _ in folded], tmp_path)
    for (text, names), expanded in zip(folded, read, strict=True):
        assert set(expanded) == names, text
    assert same > 0.8 * len(folded)  # the rest differs in the order of terms only


# -- vaults


def test_vaults_are_exchanged_with_ansible_vault(tmp_path):
    """
    What either writes the other reads: values in an inventory, and whole files, both formats.
    """
    (tmp_path / "pw").write_text("pässword\n")
    secret = Secret("pässword")
    value = encrypt("grün".encode(), secret, "prod")
    inner = "".join(f"          {line}\n" for line in value.splitlines())
    (tmp_path / "hosts.yml").write_text(f"all:\n  hosts:\n    a:\n      x: !vault |\n{inner}")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all").write_text(encrypt(b"y: [1, two]\nz: text", secret))
    (tmp_path / "plain").write_bytes(b"bytes \xff")
    sources = [str(tmp_path / "hosts.yml")]
    options = ("--vault-id", f"prod@{tmp_path / 'pw'}")
    (answer,) = ask([about(sources, *options)], tmp_path)
    inventory = load_inventory(sources, vault_secrets=[("prod", secret)])
    assert_same(inventory, answer)
    assert inventory.hosts["a"].vars == {
        "x": Secret("grün"),
        "y": [1, Secret("two")],
        "z": Secret("text"),
    }
    for name, given in (
        ("1.1", ("--vault-password-file", str(tmp_path / "pw"))),
        ("1.2", ("--vault-id", f"x@{tmp_path / 'pw'}", "--encrypt-vault-id", "x")),
    ):
        written = str(tmp_path / name)
        subprocess.run(
            [
                *(sys.executable, "-m", "ansible", "vault", "encrypt", *given),
                *("--output", written, str(tmp_path / "plain")),
            ],
            check=True,
            capture_output=True,
            env={**os.environ, "HOME": str(tmp_path), "ANSIBLE_HOME": str(tmp_path)},
        )
        text = Path(written).read_text()
        assert text.startswith(f"$ANSIBLE_VAULT;{name};AES256")
        assert decrypt(text, [(None, secret)]) == b"bytes \xff"
