"""
Files of ssh_config, as typed: -F, -J, an inventory's own file, and what is printed of them.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.cli.shell import LIMIT_S, fleetctl

pytestmark = pytest.mark.fleet


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current folder, which is one's own."""
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask_ssh(*words):
    """Return what the real ssh prints."""
    return subprocess.run(
        ["ssh", "-G", *words], capture_output=True, check=True, timeout=LIMIT_S
    ).stdout.decode()


def test_a_host_of_the_file_is_logged_in_to(fleet, project):
    """
    Address, port, user, key and known_hosts all come from -F; the inventory is only a name.
    """
    (host,) = fleet.hosts(1)
    settings = fleet.settings(host)
    Path("config").write_text(
        "Host web*\n"
        f"  HostName {host.address}\n  Port {host.port}\n  User {settings.user}\n"
        f"  IdentityFile {settings.identity_files[0]}\n  IdentityAgent none\n"
        f"  UserKnownHostsFile {settings.user_known_hosts_files[0]}\n"
        "  StrictHostKeyChecking yes\n  ConnectTimeout 60\n"
    )
    ran = fleetctl("run", "-i", "web1,", "-F", "config", "all", "--format", "json", "--", "echo up")
    assert ran.code == 0, ran.err
    assert ran.results()["web1"]["stdout"] == "up\n"
    assert ran.results()["web1"]["address"] == host.address
    named = {"FLEETCTL_SSH_CONFIG": "config"}
    again = fleetctl("run", "-i", "web1,", "all", "-T", "60", "--", "true", env=named)
    assert again.code == 0, again.err


def test_the_shape_of_ssh_is_that_of_ssh(project):
    """
    --format ssh, with options and a jump host, is what ssh prints for the same words.
    """
    Path("config").write_text(
        "Host web*\n  User deploy\n  IdentityFile ~/.ssh/%h\n  SendEnv LANG\n"
    )
    options = ("-o", "Port=2222", "-o", "ServerAliveInterval=1m", "-o", "Ciphers=+3des-cbc")
    words = ("-F", "config", *options, "-J", "u@gate:23")
    ours = fleetctl("config", "web1", "-i", "web1,", *words, "--format", "ssh")
    assert ours.code == 0, ours.err
    assert ours.out == ask_ssh(*words, "web1")


def test_each_value_says_where_it_comes_from(project):
    """
    The inventory's own file, -F and the command line, in one answer.
    """
    Path("hosts.yml").write_text("ssh_config: own\nall: {hosts: {web1: {ssh: {Port: 1}}}}\n")
    Path("own").write_text("User a\nIdentityFile /k/own\n")
    Path("given").write_text("User b\nIdentityFile /k/given\nConnectTimeout 3\n")
    done = fleetctl(
        "config", "web1", "-i", "hosts.yml", "-F", "given", "-J", "gate", "--format", "json"
    )
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    said = {name: shown[name] for name in shown if shown[name]["origin"] != "default"}
    assert {name: (each["value"], each["origin"]) for name, each in said.items()} == {
        "ConnectTimeout": (3.0, "given:3"),
        "IdentityFile": (["/k/own", "/k/given"], "own:2, given:2"),
        "Port": (1, "hosts.yml:2"),
        "ProxyJump": ("gate", "-J"),
        "User": ("a", "own:1"),
    }


def test_S23_a_projects_file_runs_nothing_before_it_is_trusted(project):
    """
    Not even to find out which settings count; then it does, and a change asks again.
    """
    Path("hosts.yml").write_text("ssh_config: own\nall: {hosts: {web1: }}\n")
    Path("own").write_text('Match exec "touch ran"\n  Port 33\n')
    words = ("config", "web1", "-i", "hosts.yml", "--format", "json")
    refused = fleetctl(*words)
    assert (refused.code, refused.out) == (2, "")
    assert "own:1: Match exec runs a command on this machine" in refused.err
    assert "hint: fleetctl trust own" in refused.err
    assert not Path("ran").exists()
    trusted = fleetctl("trust", "own")
    assert "line 1: Match exec runs a command on this machine" in trusted.out
    assert json.loads(fleetctl(*words).out)["Port"] == {"value": 33, "origin": "own:2"}
    assert Path("ran").exists()
    with open("own", "a") as stream:
        stream.write("User kim\n")
    again = fleetctl(*words)
    assert again.code == 2
    assert "it changed since it was trusted" in again.err


def test_names_of_hosts_alone_need_no_ssh_config(project):
    """
    `fleetctl hosts` and completion neither read the files nor complain about them.
    """
    Path("hosts.yml").write_text("ssh_config: missing\nall: {hosts: {web1: }}\n")
    assert fleetctl("hosts", "all", "-i", "hosts.yml").out == "web1\n"
    refused = fleetctl("run", "all", "-i", "hosts.yml", "--", "true")
    assert (refused.code, refused.out) == (2, "")
    assert "hosts.yml:1:1: ssh_config: there is no file missing" in refused.err


def test_bytes_that_are_not_utf_8_are_shown_escaped(project):
    """
    A path of Latin-1 in the file is no reason to fail.
    """
    Path("config").write_bytes(b"# \xe9\nIdentityFile /k/\xe9\n")
    for form in ("text", "json"):
        done = fleetctl("config", "web1", "-i", "web1,", "-F", "config", "--format", form)
        assert done.code == 0, done.err
        assert "config:2" in done.out


def test_a_warning_is_said_once(project):
    """
    However often the files are read for one command.
    """
    Path("config").write_text("VisualHostKey yes\n")
    for form in ("text", "ssh"):
        options = ("-o", "LogLevel=QUIET", "--format", form)
        told = fleetctl("config", "web1", "-i", "web1,", "-F", "none", *options)
        assert told.err == "fleetctl: warning: -o: LogLevel has no effect here\n"
    done = fleetctl("config", "web1", "-i", "web1,", "-F", "config")
    assert done.code == 0
    assert done.err == "fleetctl: warning: config: VisualHostKey has no effect here\n"
