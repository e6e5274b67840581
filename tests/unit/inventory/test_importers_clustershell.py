"""
Inventories made from the groups of ClusterShell.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetctl.inventory.clustershell import import_clustershell
from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.model.errors import UsageError
from fleetctl.model.nodeset import fold


@pytest.fixture
def read(tmp_path: Path):
    def read_text(text: str) -> Inventory:
        (tmp_path / "hosts.yml").write_text(text)
        return load_inventory([str(tmp_path / "hosts.yml")])

    return read_text


LINES = """\
web: web[01-20]
db: db[1-2],gw
front: @web,gw
odd: @front!web[01-19]&@web # rest
both: @web^web[20-21]
every: @*
none:
web: web21
"""
YAML = """\
roles:
  web: 'web[01-21]'
  db: ['db[1-2]', gw]
  front: '@web,gw'
  odd: '@front!web[01-19]&@web'
  both: '@web^web[20-21]'
  every: '@*'
  none: ''
"""


@pytest.mark.parametrize(("name", "text"), [("local.cfg", LINES), ("roles.yaml", YAML)])
def test_groups_keep_their_members(name, text, read):
    """
    Group references become child groups, operators are worked out.
    """
    written = import_clustershell({name: text.encode()})
    assert written.notes == ()
    inventory = read(written.text)
    assert {group: fold(hosts) for group, hosts in inventory.groups.items()} == {
        "all": "db[1-2],gw,web[01-21]",
        "ungrouped": "",
        "web": "web[01-21]",
        "db": "db[1-2],gw",
        "front": "gw,web[01-21]",
        "odd": "web[20-21]",
        "both": "web[01-19]",
        "every": "db[1-2],gw,web[01-21]",
        "none": "",
    }
    assert inventory.children["front"] == ("web",)


def test_one_of_several_group_sources_is_chosen(read):
    """
    Which one is asked for, not guessed; the others may be referred to.
    """
    text = b"roles: {web: 'w[1-2],@racks:r2'}\nracks: {r1: w1, r2: w9, all: 'w[1-9]', a/b: w1}\n"
    files = {"f.yaml": text}
    inventory = read(import_clustershell(files, "roles").text)
    assert dict(inventory.groups) == {
        "all": ("w1", "w2", "w9"),
        "ungrouped": (),
        "web": ("w1", "w2", "w9"),
    }
    written = import_clustershell(files, "racks")
    assert [(note.where, note.message) for note in written.notes] == [
        ("f.yaml:2:45", 'left out, but not its hosts: "a/b" contains "/"')
    ]
    assert fold(read(written.text).groups["all"]) == "w[1-9]"
    for source, said in (
        (None, "there are several group sources: roles, racks\nhint: choose with --source"),
        ("rows", 'there is no group source "rows", but roles, racks'),
    ):
        with pytest.raises(UsageError) as caught:
            import_clustershell(files, source)
        assert str(caught.value) == said


def test_everybody_is_who_the_group_all_has(read):
    """
    ``@*`` is the group ``all`` where a source has it, as for ClusterShell; it need not name the
    others.
    """
    text = "all: n[1-3]\nweb: n1,x\nrest: @*!@web\n"
    inventory = read(import_clustershell({"f": text.encode()}).text)
    assert fold(inventory.groups["rest"]) == "n[2-3]"
    assert fold(inventory.groups["all"]) == "n[1-3],x"
    assert fold(inventory.groups["ungrouped"]) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there are no groups"),
        ("just text", "f:1: a line `group: nodes` is expected, not `just text`"),
        ("[Main]\ndefault: local", "f:1: this is groups.conf, which says where groups come from"),
        ("a: @b\nb: @a", "f:1: groups form a cycle: a -> b -> a"),
        ("a: @a", "f:1: groups form a cycle: a -> a"),
        ("x: 1\na: x,@b", 'f:2: there is no group "b"'),
        ("a: x[3-1]", 'f:1: "x[3-1]": "3-1" counts down'),
        ("a: x!@b", 'f:1: there is no group "b"'),
        ("a: x,,y", "f:1: a node is missing in `x,,y`"),
        ("a: w*", "f:1: `w*` stands for nodes that other groups name"),
        ("---\n- a", "f:2:1: a mapping of group sources is expected"),
        ("---\na: b", 'f:2:1: "a" has no groups below it'),
        ("---\na: {b: {c: d}}", 'f:2:8: group "b": a node set is expected'),
        ("---\na: {b: [", "f:3:1: not YAML"),
    ],
)
def test_groups_that_cannot_be_read_are_explained(text, said):
    """
    The place is named, and nothing is written.
    """
    with pytest.raises(UsageError) as caught:
        import_clustershell({"f": text.encode()})
    problem = caught.value.problems[0]
    where = f"{problem.where}: " if problem.where else ""
    assert f"{where}{problem.message}".startswith(said)


def test_aliases_that_blow_up_are_refused():
    """
    Nine lists of nine lists of nine: the limits of every YAML file hold here (S16).
    """
    lines = ["r:", "  a: &a [n1,n2,n3,n4,n5,n6,n7,n8,n9]"]
    for name, before in zip("bcdefghi", "abcdefgh", strict=True):
        lines.append(f"  {name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    with pytest.raises(UsageError, match="aliases stand for more than"):
        import_clustershell({"f.yaml": "\n".join(lines).encode()})
