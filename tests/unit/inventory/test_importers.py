"""
Inventories made from /etc/hosts and known_hosts: names taken over, and what is left out is said.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.inventory.clustershell import import_clustershell
from fleetctl.inventory.importers import import_etc_hosts, import_known_hosts
from fleetctl.inventory.load import Inventory, load_inventory
from fleetctl.inventory.tokens import LocalAccount
from fleetctl.inventory.vaults import Vaults
from fleetctl.inventory.yaml_source import read_yaml
from fleetctl.model.errors import UsageError

KEY = "ssh-ed25519 AAAA"


@pytest.fixture
def read(tmp_path: Path):
    def read_text(text: str) -> Inventory:
        (tmp_path / "hosts.yml").write_text(text)
        return load_inventory([str(tmp_path / "hosts.yml")], account=LocalAccount("me", "/me"))

    return read_text


def notes(written):
    return [f"{note.where}: {note.message}" for note in written.notes]


def test_etc_hosts_gives_names_and_addresses(read):
    """
    The first name of a line, with its address; this machine and broadcast are no hosts.
    """
    text = b"""\
127.0.0.1 localhost
127.0.1.1 me
::1 localhost ip6-localhost
fe00::0 ip6-localnet
ff02::1 ip6-allnodes
255.255.255.255 broadcasthost
0.0.0.0 ads.example.com
10.0.0.1  web1.example.com web1  # a comment
2001:db8::1 db1
fe80::7%eth0 near\r
   # nothing

"""
    written = import_etc_hosts({"hosts": text})
    assert notes(written) == []
    hosts = read(written.text).hosts
    assert {name: host.hostname for name, host in hosts.items()} == {
        "db1": "2001:db8::1",
        "near": "fe80::7%eth0",
        "web1.example.com": "10.0.0.1",
    }


def test_lines_of_etc_hosts_that_are_not_taken_are_named():
    """
    Each with its file and line, and why.
    """
    text = (
        b"10.0.0.1 a\n10.0.0.2 a\n10.0.0.3\nnonsense b\n10.0.0.4 -x\n10.0.0.5 \xff\n999.0.0.1 c\n"
    )
    written = import_etc_hosts({"hosts": text, "more": b"10.0.0.6 vars\n10.0.0.1 a\n"})
    assert notes(written) == [
        'hosts:2: left out: "a" has the address 10.0.0.1 already',
        "hosts:3: left out: 10.0.0.3 has no name",
        'hosts:4: left out: "nonsense" is not an address',
        'hosts:5: left out: "-x" begins with "-"',
        "hosts:6: left out: a name is not UTF-8 text",
        'hosts:7: left out: "999.0.0.1" is not an address',
        'more:1: left out: "vars" has a meaning of its own in an inventory',
    ]
    assert written.text == "all:\n  hosts:\n    a: {ssh: {HostName: 10.0.0.1}}\n"
    assert written.hosts == 1


def test_known_hosts_gives_names_and_ports(read):
    """
    A name rather than its address; several keys of a host are one host.
    """
    text = f"""\
10.0.0.1,web1 {KEY}
web1 ecdsa AAAB a comment
[web1]:2222,[10.0.0.1]:2222 {KEY}
[gw]:22 {KEY}
[db1.example.com]:2022 {KEY}
10.0.0.9 {KEY}
[fe80::1%eth0]:2222 {KEY}
fe80::1%eth0 {KEY}
*.example.com,ok.example.com,!no.example.com {KEY}
# {KEY}

"""
    written = import_known_hosts({"known_hosts": text.encode()})
    assert notes(written) == []
    hosts = read(written.text).hosts
    assert {name: (host.hostname, host.settings.port) for name, host in hosts.items()} == {
        "10.0.0.9": ("10.0.0.9", 22),
        "fe80::1%eth0": ("fe80::1%eth0", 2222),
        "fe80::1%eth0-22": ("fe80::1%eth0", 22),
        "gw": ("gw", 22),
        "ok.example.com": ("ok.example.com", 22),
        "web1": ("web1", 22),
        "db1.example.com": ("db1.example.com", 2022),
        "web1-2222": ("web1", 2222),
    }


def test_lines_of_known_hosts_that_are_not_taken_are_named():
    """
    Markers, patterns, torn lines.
    """
    text = f"""\
@cert-authority *.example.com {KEY}
@revoked web8 {KEY}
*.example.com {KEY}
short line
[web9]:70000 {KEY}
"""
    assert notes(import_known_hosts({"f": text.encode()})) == [
        "f:1: left out: @cert-authority is about keys, not about one host",
        "f:2: left out: @revoked is about keys, not about one host",
        "f:3: left out: *.example.com is a pattern, not the name of a host",
        "f:4: left out: a name, a type and a key are expected",
        "f:5: left out: 70000 is not a port",
    ]


def test_hashed_names_are_an_error_with_a_way_out():
    """
    They cannot be read back: half an inventory must not pass for a whole one, unless it is asked
    for.
    """
    text = f"web1 {KEY}\n|1|abc=|def= {KEY}\n|1|abd=|def= {KEY}\n"
    with pytest.raises(UsageError) as caught:
        import_known_hosts({"f": text.encode(), "g": b""})
    (problem,) = caught.value.problems
    assert (problem.where, problem.message) == (
        "f:2",
        "2 of 3 lines have hashed names, which cannot be read back",
    )
    assert "--skip-hashed" in str(problem.hint)
    written = import_known_hosts({"f": text.encode()}, skip_hashed=True)
    assert notes(written) == ["f:2: left out: 2 of 3 lines have hashed names"]
    assert written.text == "all:\n  hosts:\n    web1:\n"


@given(st.text('Hosthb127.0:1#|[]*?!@, \n\t"=-x%'))
def test_whatever_is_imported_is_an_inventory(text):
    """
    What is written can always be read, names that cannot be are left out.
    """
    files = {"f": text.encode()}
    written = [import_etc_hosts(files), import_known_hosts(files, skip_hashed=True)]
    with contextlib.suppress(UsageError):
        written.append(import_clustershell(files))
    for each in written:
        draft = read_yaml(each.text.encode(), "f", Vaults())
        assert draft.problems == []
        assert len(draft.hosts) == each.hosts
