"""
The ssh_config that systems come with: understood on the spot, and as its reader understands it.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fleetctl.wiring.hosts
from fleetctl.settings.vendor_file import read_vendor_file
from fleetctl.wiring import Selection, find_hosts

DEBIAN = """\
# This is the ssh client system-wide configuration file.

Include {folder}/*.conf

Host *
#   ForwardAgent no
    SendEnv LANG LC_*
    HashKnownHosts yes
    GSSAPIAuthentication yes
"""


@pytest.fixture
def system_file(tmp_path, monkeypatch):
    """The system's file, somewhere else, and a user without one."""
    path = tmp_path / "ssh_config"
    path.write_text(DEBIAN.format(folder=tmp_path / "ssh_config.d"))
    monkeypatch.setattr(fleetctl.wiring.hosts, "SYSTEM_SSH_CONFIG", path)
    monkeypatch.setattr(fleetctl.wiring.hosts, "_user_ssh_config", lambda: tmp_path / "none")
    return path


def test_debians_file_is_understood(system_file):
    """
    What counts has its line; the rest has no effect.
    """
    assert read_vendor_file(system_file) == [
        ("SendEnv", ("LANG", "LC_*"), f"{system_file}:7"),
        ("HashKnownHosts", ("yes",), f"{system_file}:8"),
    ]


def test_no_file_says_nothing(tmp_path):
    """
    That is as good as an empty one.
    """
    assert read_vendor_file(tmp_path / "none") == []


@pytest.mark.parametrize(
    "line",
    [
        "Port 2222",
        "Host web*",
        "Host * !web",
        "Match all",
        "SendEnv=LANG",
        'SendEnv "LANG"',
        "SendEnv COLORTERM",  # a second one: they add up
        "HashKnownHosts=yes",
        "HashKnownHosts maybe",
        "HashKnownHosts yes # why",
        "Include other",
        "GSSAPIAuthentication",
        "\x00",
        "Gr\u00fc\u00dfe",
    ],
)
def test_whatever_else_there_is_needs_the_reader(system_file, line):
    """
    Settings, blocks for some hosts, other ways to write, and mistakes.
    """
    system_file.write_text(f"{system_file.read_text()}{line}\n", encoding="utf-8")
    assert read_vendor_file(system_file) is None


def test_files_that_are_included_need_the_reader(system_file, tmp_path):
    """
    An empty folder says nothing; a file in it might.
    """
    folder = tmp_path / "ssh_config.d"
    folder.mkdir()
    assert read_vendor_file(system_file) is not None
    (folder / "10.conf").touch()
    assert read_vendor_file(system_file) is None


def found(path, monkeypatch, *, in_full, overrides=()):
    selection = Selection([str(path)], "all", overrides=overrides)
    with monkeypatch.context() as patch:
        if in_full:
            patch.setattr(fleetctl.wiring.hosts, "_vendor_defaults", lambda _selection: None)
        return find_hosts(selection, lambda _warning: None, lambda _path, _data: True)


def test_hosts_are_as_with_the_reader(system_file, tmp_path, monkeypatch):
    """
    Whether HashKnownHosts is said by the inventory, by the command line, or by nobody else.
    """
    path = tmp_path / "hosts.yml"
    path.write_text(
        "all:\n  hosts: {a: , b: {ssh: {HashKnownHosts: no, Port: 23}}}\n"
        "  children: {g: {ssh: {User: kim}, hosts: {c: {ansible_host: 10.0.0.1}}}}\n"
    )
    for overrides in (
        (),
        [("HashKnownHosts", ("no",), "-o")],
        [("SendEnv", ("X", "LANG"), "-o")],
        [("SendEnv", ("-LC_*",), "-o")],
    ):
        short, full = (
            found(path, monkeypatch, in_full=in_full, overrides=overrides)
            for in_full in (False, True)
        )
        assert short == full
        assert [dict(host.settings.origin) for host in short] == [
            dict(host.settings.origin) for host in full
        ]
    (settings, *_) = [host.settings for host in found(path, monkeypatch, in_full=False)]
    assert settings.hash_known_hosts
    assert settings.send_env == ("LANG", "LC_*")


def test_an_inventory_with_jump_hosts_is_read_in_full(system_file, tmp_path, monkeypatch):
    """
    A jump host has settings of its own, which may come from the file.
    """
    path = tmp_path / "hosts.yml"
    path.write_text("all: {ssh: {ProxyJump: gw}, hosts: {a: }}\n")
    (host,) = found(path, monkeypatch, in_full=False)
    assert [hop.hash_known_hosts for hop in host.settings.gateways] == [True]


@given(st.text(max_size=60))
def test_any_text_is_understood_or_left_to_the_reader(text):
    """
    There is no third way.
    """
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ssh_config")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        assert read_vendor_file(path) is None or not text.strip("# \n").startswith("Port")
