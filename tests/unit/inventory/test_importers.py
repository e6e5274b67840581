"""
Inventories made from what is there: names taken over, and what is left out is said.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.inventory.importers import (
    import_clustershell,
    import_etc_hosts,
    import_known_hosts,
    import_ssh_config,
)
from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_source import read_yaml
from fleetctl.model.errors import UsageError
from fleetctl.model.nodeset import fold


@pytest.fixture
def read(tmp_path: Path):
    def read_text(text: str) -> Inventory:
        (tmp_path / "hosts.yml").write_text(text)
        return load_inventory([str(tmp_path / "hosts.yml")], account=LocalAccount("me", "/me"))

    return read_text


def test_ssh_config_gives_the_hosts_it_names():
    """
    Names without wildcards; settings stay where ssh finds them.
    """
    text = """
    # Host no
    Host web1 web2 "web3"   # the web
        HostName %h.example.com
    host=gw
    Host *.example.com !web1 db?
    Match host web9
    HostKeyAlias x
    Host "open
    Host 2001:db8::1 on 10.0.0.1
    """
    assert import_ssh_config(text) == (
        '# left out: a double quote is not closed: "open\n'
        "all:\n"
        "  hosts:\n"
        "    10.0.0.1:\n"
        '    "2001:db8::1":\n'
        "    gw:\n"
        '    "on":\n'
        "    web[1-3]:\n"
    )


def test_etc_hosts_gives_names_and_addresses(read):
    """
    The first name of a line, with its address; this machine and broadcast are no hosts.
    """
    text = """
    127.0.0.1 localhost
    127.0.1.1 me
    ::1 localhost ip6-localhost
    ff02::1 ip6-allnodes
    0.0.0.0 ads.example.com
    10.0.0.1  web1.example.com web1  # a comment
    10.0.0.2\tweb1.example.com
    2001:db8::1 db1
    10.0.0.3
    nonsense web9
    10.0.0.4 -x
    """
    written = import_etc_hosts(text)
    assert written.startswith('# left out: "-x" begins with "-"\nall:\n')
    hosts = read(written).hosts
    assert {name: host.hostname for name, host in hosts.items()} == {
        "db1": "2001:db8::1",
        "web1.example.com": "10.0.0.1",
    }


def test_known_hosts_gives_names_and_ports(read):
    """
    A name rather than its address; hashed names are counted, patterns and markers left out.
    """
    key = "ssh-ed25519 AAAA"
    text = f"""
    10.0.0.1,web1 {key}
    web1 ecdsa AAAB
    [web1]:2222,[10.0.0.1]:2222 {key}
    [gw]:22 {key}
    [db1.example.com]:2022 {key}
    10.0.0.9 {key}
    *.example.com {key}
    @cert-authority ca.example.com {key}
    @revoked web8 {key}
    |1|abc=|def= {key}
    |1|abd=|def= {key}
    # {key}
    short line
    """
    written = import_known_hosts(text)
    assert written.startswith("# 2 lines with hashed names were left out\nall:\n")
    hosts = read(written).hosts
    assert {name: (host.hostname, host.settings.port) for name, host in hosts.items()} == {
        "10.0.0.9": ("10.0.0.9", 22),
        "gw": ("gw", 22),
        "web1": ("web1", 22),
        "db1.example.com": ("db1.example.com", 2022),
        "web1-2222": ("web1", 2222),
    }


@pytest.mark.parametrize(
    "text",
    [
        "web: web[01-20]\ndb: db[1-2],gw\nfront: @web,gw\nodd: @front!web[01-19]&@web # rest\n"
        "both: @web^web[20-21]\nevery: @*\nnone:\n",
        "roles:\n  web: 'web[01-20]'\n  db: ['db[1-2]', gw]\n  front: '@web,gw'\n"
        "  odd: '@front!web[01-19]&@web'\n  both: '@web^web[20-21]'\n  every: '@*'\n  none: ''\n",
    ],
    ids=["lines", "yaml"],
)
def test_clustershell_groups_keep_their_members(text, read):
    """
    Group references become child groups, operators are worked out.
    """
    inventory = read(import_clustershell(text))
    assert {
        name: fold(hosts) for name, hosts in inventory.groups.items() if name not in ("all",)
    } == {
        "ungrouped": "",
        "web": "web[01-20]",
        "db": "db[1-2],gw",
        "front": "gw,web[01-20]",
        "odd": "web20",
        "both": "web[01-19,21]",
        "every": "db[1-2],gw,web[01-21]",
        "none": "",
    }
    assert inventory.children["front"] == ("web",)


def test_one_of_several_group_sources_is_chosen(read):
    """
    A YAML file may hold several; which one is asked for, not guessed.
    """
    text = "roles: {web: 'w[1-2]'}\nracks: {r1: 'w1', all: 'w[1-9]', a/b: w1}\n"
    assert set(read(import_clustershell(text, "roles")).groups) == {"all", "ungrouped", "web"}
    written = import_clustershell(text, "racks")
    assert written.startswith(
        '# left out: all is every host\n# left out: "a/b" contains "/"\nall:\n'
    )
    for source, said in (
        (None, "there are several group sources: roles, racks; choose one"),
        ("rows", 'there is no group source "rows", but roles, racks'),
    ):
        with pytest.raises(UsageError) as caught:
            import_clustershell(text, source)
        assert str(caught.value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there are no groups"),
        ("just text", "a line `group: nodes` is expected, not `just text`"),
        ("a: @b\nb: @a", "groups form a cycle: a -> b -> a"),
        ("a: @a", "groups form a cycle: a -> a"),
        ("a: x,@b", 'group "a": there is no group "b"'),
        ("a: x[3-1]", 'group "a": "x[3-1]": "3-1" counts down'),
        ("a: x!@b", 'group "a": there is no group "b"'),
    ],
)
def test_groups_that_cannot_be_read_are_explained(text, said):
    """
    The group is named, and nothing is written.
    """
    with pytest.raises(UsageError) as caught:
        import_clustershell(text)
    assert caught.value.problems[0].message == said


@given(st.text('Hosthb127.0:1#|[]*?!@, \n\t"=-x'))
def test_whatever_is_imported_is_an_inventory(text):
    """
    What is written can always be read, names that cannot be are left out.
    """
    written = [import_ssh_config(text), import_etc_hosts(text), import_known_hosts(text)]
    try:
        written.append(import_clustershell(text))
    except UsageError:
        written.append(import_clustershell("a: b"))
    for each in written:
        assert read_yaml(each.encode(), "f", Vaults()).problems == []
