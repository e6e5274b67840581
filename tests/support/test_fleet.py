"""
The hosts of the test fleet are what their names say, judged by OpenSSH's own client.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
import yaml

from fleetctl.lab.layout import LabError, LabHost
from fleetctl.lab.processes import process_table
from tests.support.fleet import EMBEDDED_METHODS, SSHD_OPTIONS, Fleet, make_fleet_directory
from tests.support.patience import PATIENCE_S


def ssh(
    fleet: Fleet, host: LabHost, command: str, *options: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*fleet.ssh_argv(host, *options), command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        env={**os.environ, **(env or {})},
    )


def test_hosts_are_started_once_and_kept(fleet):
    """
    Asking again, or for fewer, gives the same hosts; asking for more starts only the new ones.
    """
    two = fleet.hosts(2)
    three = fleet.hosts(3)
    assert three[:2] == two
    assert fleet.host("web02") == two[1]
    assert [host.name for host in three] == ["web01", "web02", "web03"]
    assert {host.pid for host in three} <= fleet.pids


def test_ordinary_host_logs_in_with_its_key(fleet):
    """
    The fleet's identity and known_hosts are enough for an ordinary host.
    """
    host = fleet.host("web01")
    done = ssh(fleet, host, "echo ~")
    assert (done.returncode, done.stdout) == (0, f"{host.home}\n")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("key-refused", "Permission denied (publickey)"),
        ("two-factor", "Permission denied (password)"),
        ("password-only", "Permission denied (password)"),
        ("key-and-password", "Permission denied (password)"),
        ("new-key", "HOST IDENTIFICATION HAS CHANGED"),
        ("unknown-key", "Host key verification failed"),
        ("no-sessions", "open failed"),
    ],
)
def test_host_that_refuses(fleet, name, complaint):
    """
    Nobody gets in with a key alone, and the client says why (F22 F23 F26 F30 F36).
    """
    done = ssh(fleet, fleet.host(name), "echo hello")
    assert done.returncode == 255
    assert done.stdout == ""
    assert complaint in done.stderr


@pytest.mark.parametrize("name", ["password-only", "key-and-password"])
def test_host_that_wants_a_password_takes_the_right_one(fleet, tmp_path, name):
    """
    With the fleet's password the login succeeds; with another it does not.
    """
    ask = tmp_path / "ask"
    for password, status in ((fleet.password, 0), ("wrong", 255)):
        ask.write_text(f"#!/bin/sh\necho {password}\n")
        ask.chmod(0o700)
        done = ssh(
            fleet,
            fleet.host(name),
            "true",
            *("-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1"),
            env={"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"},
        )
        assert done.returncode == status, done.stderr


def test_force_command_runs_something_else(fleet):
    """
    The command asked for is not the one that runs (F34).
    """
    assert ssh(fleet, fleet.host("force-command"), "echo asked").stdout == "forced\n"


def test_rekey_host_renews_keys_often(fleet):
    """
    8 MiB of output cost at least four key exchanges beyond the first (F52).
    """
    done = ssh(fleet, fleet.host("rekey"), "head -c 8388608 /dev/zero | tr '\\0' x", "-v")
    assert len(done.stdout) == 8388608
    assert done.stderr.count("SSH2_MSG_NEWKEYS received") >= 5


def test_host_without_sftp_refuses_the_subsystem(fleet):
    """
    The subsystem is absent on nosftp and present elsewhere.
    """
    refused = ssh(fleet, fleet.host("nosftp"), "sftp", "-s")
    assert "subsystem request failed" in refused.stderr
    assert ssh(fleet, fleet.host("web01"), "sftp", "-s").returncode == 0


def test_host_without_pty_refuses_it(fleet):
    """
    The client is told that no pty is to be had on nopty.
    """
    assert "PTY allocation request failed" in ssh(fleet, fleet.host("nopty"), "true", "-tt").stderr


@pytest.mark.parametrize(
    ("name", "limit"), [("tiny-sessions", "maxsessions 1"), ("default-limits", "maxsessions 10")]
)
def test_limits_are_what_sshd_uses(fleet, name, limit):
    """
    By sshd's own account of its configuration (F07 F36).
    """
    argv = [fleet.sshd_installed.path, "-T", "-f", fleet.host(name).config]
    lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    assert limit in lines
    startups = "10:30:100" if name == "default-limits" else "500:1:500"
    assert f"maxstartups {startups}" in lines


def test_slow_login_takes_longer_than_anybody_waits(fleet):
    """
    The login on slow-auth is neither granted nor refused for a while (F19).
    """
    argv = [*fleet.ssh_argv(fleet.host("slow-auth")), "true"]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as client:
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(1.5)
        client.kill()
    fleet.end_sessions(fleet.host("slow-auth"))


def test_every_special_host_starts(fleet):
    """
    No name of the tables has a configuration that sshd refuses.
    """
    for name in (*SSHD_OPTIONS, *EMBEDDED_METHODS):
        assert fleet.host(name).name == name


def test_host_of_the_test_s_own(fleet):
    """
    A test can add lines to sshd_config, and end the host when it is done.
    """
    host = fleet.sshd("with-banner", {"ForceCommand": "echo $LAB_HOST"})
    assert ssh(fleet, host, "x").stdout == "with-banner\n"
    fleet.stop(host)
    assert host.pid not in fleet.pids
    assert f"[{host.address}]:{host.port}" not in fleet.known_hosts.read_text()
    with pytest.raises(KeyError, match="no such test host"):
        fleet.host("with-banner")


def test_host_that_another_test_has_left_is_in_nobodys_way(fleet):
    """
    A test gets the host it asks for, whatever was started under that name before.
    """
    left = fleet.sshd("of-two-tests", {"ForceCommand": "echo first"})
    host = fleet.sshd("of-two-tests", {"ForceCommand": "echo second"})
    assert left.pid not in {process.pid for process in process_table()}
    assert ssh(fleet, host, "x").stdout == "second\n"
    fleet.stop(host)


def test_bad_option_is_reported_with_the_words_of_sshd(fleet):
    """
    A misspelt keyword fails the test at once and leaves no half host behind.
    """
    with pytest.raises(LabError, match="Bad configuration option: MaxSession"):
        fleet.sshd("misspelt", {"MaxSession": "1"})
    host = fleet.sshd("misspelt", {"MaxSessions": "1"})
    fleet.stop(host)


def test_sessions_can_be_ended_under_a_client(fleet):
    """
    The processes of those logged in are found and killed; the host lives on (F43 F50).
    """
    host = fleet.sshd("cut-off", {})
    with subprocess.Popen(
        [*fleet.ssh_argv(host), "echo ready; exec sleep 60"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as client:
        assert client.stdout
        assert client.stdout.readline() == b"ready\n"
        assert len(fleet.sessions(host)) >= 2
        fleet.end_sessions(host)
        assert client.wait(PATIENCE_S) == 255
    assert ssh(fleet, host, "echo alive").stdout == "alive\n"
    fleet.stop(host)


def test_model_host_is_ready_for_the_engine(fleet):
    """
    The settings name the endpoint, the account, the key and strict checking; fields can differ.
    """
    host = fleet.host("web01")
    model = fleet.model_host(host, connect_timeout_s=2.5)
    settings = model.settings
    assert (model.name, model.hostname, settings.port) == ("web01", host.address, host.port)
    assert settings.strict_host_key_checking == "yes"
    assert settings.user_known_hosts_files == (str(fleet.known_hosts),)
    assert settings.identity_files == (str(fleet.identity),)
    assert settings.connect_timeout_s == 2.5
    assert fleet.settings(host).connect_timeout_s == PATIENCE_S


def test_inventory_names_the_hosts_asked_for(fleet):
    """
    The file has just these hosts, with the fleet's key and known_hosts.
    """
    hosts = [fleet.host("web02"), fleet.host("rekey")]
    everything = yaml.safe_load(fleet.inventory(hosts).read_text())["all"]
    assert set(everything["children"]["web"]["hosts"]) == {"web02", "rekey"}
    assert everything["ssh"]["IdentityFile"] == str(fleet.identity)
    assert everything["ssh"]["UserKnownHostsFile"] == str(fleet.known_hosts)


def test_logs_since_a_moment_hold_what_was_written_after_it(fleet):
    """
    What a failed test shows is what the daemons wrote while it ran.
    """
    host = fleet.host("web01")
    sizes = fleet.log_sizes()
    ssh(fleet, host, "true")
    until = time.monotonic() + PATIENCE_S
    while "Accepted publickey" not in fleet.logs_since(sizes).get("web01", ""):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert all(len(text) <= 10 for text in fleet.logs_since(sizes, limit_bytes=10).values())


@pytest.mark.fleet
def test_fleet_of_a_killed_test_run_is_ended_by_the_next(monkeypatch, tmp_path):
    """
    Hosts whose test run is gone are found by its number and ended; those of living runs are not.
    """
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    mine = make_fleet_directory()
    # No system numbers processes this high.
    old = mine.with_name(f"{2**22 + 1}-old")
    old.mkdir()
    orphan = Fleet(old, block=99).host("web01")
    alive = Fleet(mine, block=99)
    alive.host("web01")
    try:
        second = make_fleet_directory()
        assert not old.exists()
        assert orphan.pid not in {process.pid for process in process_table()}
        assert ssh(alive, alive.host("web01"), "echo alive").stdout == "alive\n"
        Path(second).rmdir()
    finally:
        alive.close()


@pytest.mark.fleet
def test_missing_sshd_is_a_failure_not_a_skip(monkeypatch, tmp_path):
    """
    Without an sshd, asking for a host raises.
    """
    monkeypatch.setattr("tests.support.fleet.find_sshd", lambda: None)
    with pytest.raises(LabError, match="the fleet tests need sshd"):
        Fleet(tmp_path, block=99).hosts(1)
