"""
``fleetctl doctor`` on hosts that work and on hosts of which each is broken in one way.
"""

from __future__ import annotations

import json
import shutil
import socket

import pytest

from tests.cli.shell import fleetctl

pytestmark = pytest.mark.fleet

PHASES = ["resolve", "connect", "version", "kex", "hostkey", "auth", "session", "account", "sftp"]


def diagnose(fleet, name, *words):
    """Return exit code and findings of one host of the fleet."""
    inventory = str(fleet.inventory([fleet.host(name)]))
    return diagnosis("-i", inventory, name, *words)


def diagnosis(*words):
    done = fleetctl("doctor", *words, "--format", "json", "-T", "60")
    (result,) = json.loads(done.out)["hosts"]
    return done.code, result["data"]["findings"]


def phase(findings, name):
    return [each for each in findings if each["phase"] == name]


def verdicts(findings):
    found: dict[str, str] = {}
    for each in findings:
        found.setdefault(each["phase"], each["verdict"])
    return found


def test_a_good_host_is_good_in_every_phase(fleet):
    """
    All phases in order, each ok, with times, the algorithms of both sides and the host key's line.
    """
    code, findings = diagnose(fleet, "web01")
    assert code == 0
    assert list(dict.fromkeys(each["phase"] for each in findings)) == PHASES
    assert {each["verdict"] for each in findings} == {"ok"}
    (kex,) = phase(findings, "kex")
    assert kex["data"]["kex"] in kex["data"]["offered_by_host"]["kex"]
    assert any(line.startswith("ciphers, we offer: ") for line in kex["details"])
    (key,) = phase(findings, "hostkey")
    assert f"known at {fleet.known_hosts}:" in key["summary"]
    (login,) = phase(findings, "auth")
    assert login["data"]["method"] == "publickey"
    assert all(phase(findings, name)[0]["duration_s"] >= 0 for name in ("kex", "auth", "session"))


def test_people_see_a_line_for_each_phase(fleet):
    """
    In text: a title, a line a phase, nothing about what is good in detail unless asked for.
    """
    inventory = str(fleet.inventory([fleet.host("web01")]))
    short = fleetctl("doctor", "-i", inventory, "web01")
    assert short.code == 0, short.err
    title, *lines = short.out.rstrip().splitlines()
    assert title.startswith("web01 (127.")
    assert all(line.startswith("  ok ") for line in lines)
    full = fleetctl("doctor", "-i", inventory, "web01", "-v")
    assert len(full.out.splitlines()) > len(lines) + 5
    assert "ciphers, the host offers: " in full.out


def test_F01_a_name_that_is_not_found():
    """
    Nothing was tried after the name service; the kind is said, and what to look at.
    """
    code, findings = diagnosis("-i", "nowhere.invalid,", "all")
    assert code == 4
    assert findings[0]["phase"] == "resolve"
    assert findings[0]["verdict"] == "failed"
    assert findings[0]["data"]["kind"] == "resolve.dns"
    assert [each["verdict"] for each in findings[1:]] == ["skipped"] * (len(PHASES) - 1)


def test_F04_a_closed_port():
    """
    The name was found, the port answers no.
    """
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        code, findings = diagnosis("-i", f"127.0.0.1:{port},", "all")
    assert code == 4
    assert verdicts(findings)["resolve"] == "ok"
    (connect,) = phase(findings, "connect")
    assert connect["data"]["kind"] == "connect.refused"
    assert connect["fix"]


def test_F22_an_unknown_host_key(fleet):
    """
    Keys were agreed on, and no login was tried: the fingerprint, and the command that enrolls it.
    """
    code, findings = diagnose(fleet, "unknown-key")
    assert code == 4
    found = verdicts(findings)
    assert found["kex"] == "ok"
    assert found["auth"] == "skipped"
    (key,) = phase(findings, "hostkey")
    assert "SHA256:" in key["summary"]
    assert "fleetctl hostkeys enroll unknown-key" in key["fix"]


def test_F23_a_changed_host_key(fleet):
    """
    Both fingerprints, and how to replace the old one after checking.
    """
    code, findings = diagnose(fleet, "new-key")
    assert code == 4
    (key,) = phase(findings, "hostkey")
    assert key["data"]["kind"] == "hostkey.changed"
    assert key["summary"].count("SHA256:") == 2
    assert "hostkeys replace" in key["fix"]


def test_F26_a_key_that_is_refused(fleet):
    """
    Each key that was offered, what the server takes instead, and what to do.
    """
    code, findings = diagnose(fleet, "key-refused")
    assert code == 4
    (login,) = phase(findings, "auth")
    assert login["verdict"] == "failed"
    assert any("SHA256:" in line for line in login["details"])
    assert login["data"]["refused"]
    assert login["fix"]


def test_F34_another_command_runs(fleet):
    """
    What answers is not what was sent, and the finding says where to look.
    """
    code, findings = diagnose(fleet, "force-command")
    assert code == 0
    (account,) = phase(findings, "account")
    assert account["verdict"] == "failed"
    assert "it wrote: forced" in account["details"]
    assert "ForceCommand" in account["fix"]


def test_F36_no_session_to_be_had(fleet):
    """
    Logged in, and the server opens no session.
    """
    code, findings = diagnose(fleet, "no-sessions")
    assert code == 4
    found = verdicts(findings)
    assert (found["auth"], found["session"], found["sftp"]) == ("ok", "failed", "skipped")


def test_a_host_without_sftp_is_only_warned_about(fleet):
    """
    Commands work without it.
    """
    code, findings = diagnose(fleet, "nosftp")
    assert code == 0
    (sftp,) = phase(findings, "sftp")
    assert sftp["verdict"] == "warning"
    assert "Subsystem sftp" in sftp["fix"]


def test_modes_that_make_sshd_refuse_keys_are_found(fleet, tmp_path):
    """
    Logged in with one key, it shows what keeps every other out: with the command that mends it.
    """
    host = fleet.host("web02")
    folder = host.home / ".ssh"
    keys = folder / "authorized_keys"
    spare = tmp_path / "authorized_keys"
    shutil.copy2(keys, spare)
    try:
        keys.chmod(0o666)
        _, findings = diagnose(fleet, "web02")
    finally:
        keys.chmod(spare.stat().st_mode & 0o777)
    bad = [each for each in phase(findings, "account") if each["verdict"] == "failed"]
    login = phase(findings, "auth")[0]
    # A strict sshd refuses the login; one that is not lets it in and the look inside tells.
    if login["verdict"] == "ok":
        assert [each["fix"] for each in bad] == [f"on the host: chmod go-w {keys}"]
    else:
        assert "authorized_keys" in login["fix"]


def test_several_hosts_each_have_their_block(fleet):
    """
    Hosts are given one by one; one that is broken makes the exit code 4.
    """
    inventory = str(fleet.inventory([fleet.host("web01"), fleet.host("unknown-key")]))
    done = fleetctl("doctor", "-i", inventory, "web01", "unknown-key")
    assert done.code == 4
    assert done.out.count("\n\n") == 2
    assert "fix: " in done.out


def test_this_machine_has_a_session_and_an_account():
    """
    Without SSH there is nothing before them and no SFTP.
    """
    code, findings = diagnosis("localhost")
    assert code == 0
    assert {each["phase"] for each in findings} == {"session", "account"}
