"""
Names, addresses and texts of a lab.
"""

from __future__ import annotations

import stat
from ipaddress import ip_address
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from hypothesis import given
from hypothesis import strategies as st

from fleetctl.lab.keys import generate_key
from fleetctl.lab.layout import (
    MAX_HOSTS,
    Lab,
    LabError,
    LabHost,
    check_directory,
    host_names,
    known_hosts_line,
    loopback_address,
    render_inventory,
    write_host,
    write_private,
)


def make_lab(count: int, directory: Path = Path("/labs/one")) -> Lab:
    hosts = tuple(
        LabHost(
            name=name,
            address=f"127.77.0.{number}",
            port=22022,
            home=directory / "hosts" / name / "home",
            log=directory / "hosts" / name / "sshd.log",
        )
        for number, name in enumerate(host_names(count, "web"), start=1)
    )
    return Lab(directory=directory, hosts=hosts, engine="embedded")


@pytest.mark.parametrize(
    ("count", "first", "last"),
    [(1, "web01", "web01"), (99, "web01", "web99"), (200, "web001", "web200")],
)
def test_numbers_have_equal_width(count, first, last):
    """
    Numbers are padded to the width of the largest, at least two digits.
    """
    names = host_names(count, "web")
    assert (len(names), names[0], names[-1]) == (count, first, last)


@pytest.mark.parametrize("count", [0, -1, MAX_HOSTS + 1])
def test_impossible_count_is_refused(count):
    """
    The error says how many hosts a lab can have.
    """
    with pytest.raises(LabError, match=f"1 to {MAX_HOSTS} hosts, not {count}"):
        host_names(count, "web")


@pytest.mark.parametrize("prefix", ["", "Web", "web1", "a b", "-x", "eu", "all", "ungrouped", "ä"])
def test_unusable_prefix_is_refused(prefix):
    """
    A prefix that is no host name, or is the name of another group of the lab, is an error.
    """
    with pytest.raises(LabError, match="cannot be called"):
        host_names(2, prefix)


@given(st.sets(st.integers(0, MAX_HOSTS - 1), min_size=2), st.integers(1, 254))
def test_addresses_are_distinct_and_loopback(indexes, block):
    """
    Each host has its own address in 127.0.0.0/8, never a network or broadcast address of a /24.
    """
    addresses = {loopback_address(index, block=block) for index in indexes}
    assert len(addresses) == len(indexes)
    assert all(ip_address(address).is_loopback for address in addresses)
    assert all(address.rpartition(".")[2] not in {"0", "255"} for address in addresses)


@pytest.mark.parametrize("path", ["/tmp/a b", "/tmp/50%", '/tmp/"x"', "/tmp/a\nb", "/tmp/#x"])
def test_directory_that_sshd_would_misread_is_refused(path):
    """
    A blank or a sign with a meaning in sshd_config is refused before anything is written.
    """
    with pytest.raises(LabError, match=r"cannot be written\s+in sshd_config"):
        check_directory(Path(path))


@pytest.mark.parametrize("path", ["/tmp/lab", "/home/jürgen/.local/state/fleetctl/lab-1"])
def test_ordinary_directory_is_accepted(path):
    """
    Letters of any language, digits and the usual signs are fine.
    """
    check_directory(Path(path))


def test_inventory_has_every_host_with_its_address():
    """
    The inventory is YAML with a group of all hosts, and says how to log in to each.
    """
    inventory = yaml.safe_load(render_inventory(make_lab(3), group="web", user="deploy"))
    everything = inventory["all"]
    assert everything["ssh"] == {
        "User": "deploy",
        "IdentityFile": "/labs/one/id_ed25519",
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": "/labs/one/known_hosts",
        "StrictHostKeyChecking": "yes",
    }
    assert everything["children"]["web"]["hosts"] == {
        f"web0{number}": {"ssh": {"HostName": f"127.77.0.{number}", "Port": 22022}}
        for number in (1, 2, 3)
    }


@pytest.mark.parametrize(
    ("count", "eu", "us"), [(1, {"web01"}, set()), (3, {"web01", "web03"}, {"web02"})]
)
def test_every_host_is_in_one_region(count, eu, us):
    """
    Odd numbers are in eu and even ones in us, even if that leaves a group empty.
    """
    groups = yaml.safe_load(render_inventory(make_lab(count), group="web", user="x"))["all"]
    assert set(groups["children"]["eu"]["hosts"]) == eu
    assert set(groups["children"]["us"]["hosts"]) == us


def test_account_named_like_yaml_stays_text():
    """
    A user called "no" or "1e3" does not become a boolean or a number.
    """
    for user in ("no", "1e3", "a: b", '"'):
        inventory = yaml.safe_load(render_inventory(make_lab(1), group="web", user=user))
        assert inventory["all"]["ssh"]["User"] == user


def test_host_files_are_private_and_belong_together(tmp_path):
    """
    The private host key is for its owner only, and the known_hosts line is for that key.
    """
    (host,) = make_lab(1, tmp_path).hosts
    user_key = generate_key()
    line = write_host(host, user_key)
    assert stat.S_IMODE(host.host_key.stat().st_mode) == 0o600
    private = load_ssh_private_key(host.host_key.read_bytes(), None)
    name, public = line.rstrip("\n").split(" ", 1)
    assert name == "[127.77.0.1]:22022"
    assert load_ssh_public_key(public.encode()) == private.public_key()
    authorized = (host.home / ".ssh" / "authorized_keys").read_text()
    assert authorized == f"{user_key.public} lab\n"


def test_each_key_is_new():
    """
    No two hosts share a host key, and a key's repr does not show its private half.
    """
    (host,) = make_lab(1).hosts
    keys = [generate_key() for _ in range(3)]
    assert len({known_hosts_line(host, key) for key in keys}) == 3
    assert "PRIVATE" not in repr(keys[0])


def test_private_file_never_replaces_another(tmp_path):
    """
    A file that exists is left as it is.
    """
    path = tmp_path / "key"
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_private(path, b"other")
    assert path.read_text() == "mine"
