"""
INI inventories: what they mean, and every mistake with its line.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fleetctl.inventory.ini_source import read_ini
from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.model.errors import UsageError
from fleetctl.model.nodeset import fold
from tests.support.patience import least_cpu_s

ME = LocalAccount("me", "/home/me")


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def load_text(text: str | bytes) -> Inventory:
        data = text if isinstance(text, bytes) else dedent(text).lstrip("\n").encode()
        Path("hosts").write_bytes(data)
        return load_inventory(["hosts"], account=ME)

    return load_text


def test_sections_hosts_and_children(load):
    """
    Hosts before the first section are in no group; a child may be declared after its parent.
    """
    inventory = load(
        """
        bastion ansible_host=192.0.2.1   # the way in
        [eu:children]
        web
        db          # too
        [web]
        web[01:03]:2222 weight=2
        [db:hosts]
        db-[a:b].example.com
        ; the end
        """
    )
    assert {group: fold(names) for group, names in inventory.groups.items()} == {
        "all": "bastion,db-a.example.com,db-b.example.com,web[01-03]",
        "ungrouped": "bastion",
        "eu": "db-a.example.com,db-b.example.com,web[01-03]",
        "web": "web[01-03]",
        "db": "db-a.example.com,db-b.example.com",
    }
    web = inventory.hosts["web02"]
    assert web.vars == {"weight": 2, "ansible_port": 2222}
    assert web.settings.port == 2222
    assert web.settings.origin == {"Port": "hosts:6"}
    assert inventory.hosts["bastion"].hostname == "192.0.2.1"
    assert inventory.warnings == ()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", 5),
        ("0", 0),
        ("-3", -3),
        ("010", "010"),
        ("1_000", 1000),
        ("0x1f", 31),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("True", True),
        ("true", "true"),
        ("None", None),
        ("text", "text"),
        ("10.0.0.1", "10.0.0.1"),
        ("~/x", "~/x"),
        ("a=b", "a=b"),
        ("", ""),
        ("'a b'", "a b"),
        ("\"'5'\"", "5"),
        ("[1,2]", [1, 2]),
        ("(1,)", [1]),
        ("\"{'a': [1]}\"", {"a": [1]}),
        ("{1:2}", {"1": 2}),
        ("1j", "1j"),
        ("...", "..."),
        ("\"b'x'\"", "x"),
        ("set()", []),
        (r"a\ b", "a b"),
        (r'"\\d+"', r"\d+"),
    ],
)
def test_values_of_hosts_are_python_literals_or_text(written, value, load):
    """
    What Ansible's own reader makes of a value, types included.
    """
    found = load(f"h x={written}\n").hosts["h"].vars["x"]
    assert found == value
    assert type(found) is type(value)


def test_values_of_groups_are_literals_too(load):
    """
    Ansible's documentation calls them text, its reader does not; a # is part of the value.
    """
    inventory = load(
        """
        [web]
        h
        [web:vars]
        n=5
        q = "5"
        s=two words # and this
        c=5 # a comment to Python
        l=[1, 'a b']
        """
    )
    assert inventory.hosts["h"].vars == {
        "n": 5,
        "q": "5",
        "s": "two words # and this",
        "c": 5,
        "l": [1, "a b"],
    }
    assert [str(warning) for warning in inventory.warnings] == [
        "hosts:6: the comment is part of the value of s\nhint: put the comment on a line of its own"
    ]


def test_a_password_cut_short_by_a_comment_is_a_warning(load):
    """
    Ansible drops what follows a # inside a word without saying so.
    """
    inventory = load('h a=x#y b="p#q" c=1 # it\'s fine\ni a=1#\n')
    assert inventory.hosts["h"].vars == {"a": "x"}
    assert [str(warning) for warning in inventory.warnings] == [
        'hosts:1: "#y" is a comment, and not part of the value\n'
        'hint: quote a value with "#", or put a space before the comment',
        'hosts:2: "#" is a comment, and not part of the value\n'
        'hint: quote a value with "#", or put a space before the comment',
    ]


def test_a_later_mention_of_a_host_wins(load):
    """
    The variables of all its lines count, the last of each name.
    """
    inventory = load("[a]\nh x=1 y=1 ansible_user=a\n[b]\nh x=2 ansible_user=b\n")
    assert inventory.hosts["h"].vars == {"x": 2, "y": 1, "ansible_user": "b"}
    assert inventory.hosts["h"].settings.user == "b"
    assert inventory.hosts["h"].settings.origin == {"User": "hosts:4"}


def test_priority_of_groups(load):
    """
    ansible_group_priority decides between groups of one depth, and is no variable.
    """
    inventory = load("[a]\nh\n[b]\nh\n[a:vars]\nx=a\nansible_group_priority=2\n[b:vars]\nx=b\n")
    assert inventory.hosts["h"].vars == {"x": "a"}
    assert inventory.hosts["h"].groups == ("a", "b", "all")


def test_comments_need_not_be_utf_8(load):
    """
    As in Ansible a comment in another encoding harms nobody.
    """
    assert list(load(b"# gr\xfc\xdfe\n; \xff\nweb1\n").hosts) == ["web1"]


@given(
    st.lists(
        st.one_of(
            st.sampled_from(
                "[a] [b:vars] [a:children] [c b h[1:3] h:22 h x=1 x=[1 ansible_port=2 = :".split()
            ),
            st.text("[]:=#;'\"\\ abx1\n\t{}(),", max_size=12),
            st.text(max_size=8),
        ),
        max_size=8,
    )
)
@example(["x=" + "(" * 500])
@example(["h x=" + "9" * 5000])
def test_any_text_is_read_or_explained(lines):
    """
    There is no third outcome, and every problem has a line.
    """
    data = "\n".join(lines).encode("utf-8", "surrogatepass")
    try:
        problems = read_ini(data, "f").problems
    except UsageError as error:
        problems = [each for each in error.problems if each.message != "the file is empty"]
    for problem in problems:
        assert problem.file == "f"
        assert problem.line
        assert problem.message.isprintable()


def test_time_grows_with_the_number_of_hosts(tmp_path):
    """
    10 000 lines with three settings each cost about ten times what 1000 do, not a hundred times.
    """
    path = tmp_path / "hosts"

    def load_hosts(count: int) -> Inventory:
        path.write_text(
            "[web]\n"
            + "".join(
                f"web{n:05d} ansible_host=10.{n >> 16}.{n >> 8 & 255}.{n & 255} "
                f"ansible_port={2000 + n % 100} ansible_user=user{n % 7}\n"
                for n in range(count)
            )
        )
        return load_inventory([str(path)], account=ME)

    inventory = load_hosts(10_000)
    assert len(inventory.hosts) == 10_000
    assert inventory.hosts["web09999"].settings.port == 2099
    few_s = least_cpu_s(lambda: load_hosts(1000))
    assert least_cpu_s(lambda: load_hosts(10_000), tries=2) < 40 * few_s
