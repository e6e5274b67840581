"""
What a project's ssh_config may not do before its user said `fleetctl trust` (S23).
"""

from __future__ import annotations

import json

import pytest

from tests.unit.cli.fakes import fleetctl

#: Each line, and what it would do.
FORBIDDEN = {
    "ProxyCommand nc %h %p": "runs a command on this machine",
    'Match exec "touch pwned"': "runs a command on this machine",
    "KnownHostsCommand /bin/keys": "runs a command on this machine",
    "LocalCommand touch pwned": "runs a command on this machine",
    "XAuthLocation /tmp/evil": "runs a command on this machine",
    "PKCS11Provider /tmp/evil.so": "loads code on this machine",
    "SecurityKeyProvider /tmp/evil.so": "loads code on this machine",
    "StrictHostKeyChecking accept-new": "weakens the check of host keys",
    "StrictHostKeyChecking ask": "weakens the check of host keys",
    "StrictHostKeyChecking no": "weakens the check of host keys",
    "UserKnownHostsFile keys": "weakens the check of host keys",
    "GlobalKnownHostsFile keys": "weakens the check of host keys",
    "RevokedHostKeys none": "weakens the check of host keys",
    "NoHostAuthenticationForLocalhost yes": "weakens the check of host keys",
    "VerifyHostKeyDNS yes": "weakens the check of host keys",
    "RequiredRSASize 512": "accepts weak keys",
    "ForwardAgent yes": "lends your keys to the host",
    "Ciphers +3des-cbc": "allows weak algorithms (3des-cbc)",
    "MACs hmac-md5": "allows weak algorithms (hmac-md5)",
    "KexAlgorithms +diffie-hellman-group1-sha1": (
        "allows weak algorithms (diffie-hellman-group1-sha1)"
    ),
    "HostKeyAlgorithms +ssh-rsa": "allows weak algorithms (ssh-rsa)",
    "PubkeyAcceptedAlgorithms +ssh-rsa": "allows weak algorithms (ssh-rsa)",
}
#: Where the forbidden line stands; the other file includes it.
PLACES = ("ssh_config", "part.conf")


@pytest.fixture
def typed(project, capsys):
    """Type `fleetctl config web1`; return the exit code, what was printed, what was complained."""
    project.write("hosts.yml", "ssh_config: ssh_config\nall: {hosts: {web1: }}\n")

    def run(*words):
        code = fleetctl("config", "web1", "-i", "hosts.yml", "--format", "json", *words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def bring(project, line: str, place: str) -> None:
    """Put the line in the project's ssh_config, or in a file that it includes."""
    project.write("ssh_config", f"Include {project.folder}/part.conf\n")
    project.write(place, f"Host web*\n  {line}\n")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("line", FORBIDDEN)
def test_S23_each_forbidden_line_needs_trust(project, typed, capsys, line, place):
    """
    Refused with file, line and what to type; obeyed once trusted; asked again when it changes.
    """
    bring(project, line, place)
    code, out, err = typed()
    assert (code, out) == (2, "")
    subject = "Match exec" if line.startswith("Match") else line.split()[0]
    shown = place if place == "ssh_config" else f"{project.folder}/{place}"
    assert err.splitlines() == [
        f"fleetctl: {shown}:2: {subject} {FORBIDDEN[line]}, which only a trusted file may do",
        f"hint: fleetctl trust {shown}",
    ]
    assert not (project.folder / "pwned").exists()
    assert fleetctl("trust", place) == 0
    assert f"  line 2: {subject} {FORBIDDEN[line]}" in capsys.readouterr().out.splitlines()
    assert typed()[0] == 0
    project.write(place, (project.folder / place).read_text() + "# changed\n")
    code, out, err = typed()
    assert (code, out) == (2, "")
    assert "; it changed since it was trusted on " in err


def test_S23_trusting_a_file_is_not_trusting_what_it_includes(project, typed, capsys):
    """
    Each file has a hash of its own.
    """
    bring(project, "ForwardAgent yes", "part.conf")
    assert fleetctl("trust", "ssh_config") == 0
    capsys.readouterr()
    code, _, err = typed()
    assert code == 2
    assert f"fleetctl trust {project.folder}/part.conf" in err


def test_what_a_trusted_file_says_counts(project, typed, capsys):
    """
    Trust is not only silence: the settings are used.
    """
    bring(project, "ForwardAgent yes", "ssh_config")
    assert fleetctl("trust", "ssh_config") == 0
    capsys.readouterr()
    code, out, _ = typed()
    assert code == 0
    assert json.loads(out)["ForwardAgent"] == {"value": "yes", "origin": "ssh_config:2"}


@pytest.mark.parametrize("line", ["ProxyCommand nc %h %p", "StrictHostKeyChecking no"])
def test_ones_own_files_may_do_everything(project, typed, monkeypatch, line):
    """
    ~/.ssh/config, and a file that the user names with -F or in FLEETCTL_SSH_CONFIG.
    """
    project.write("hosts.yml", "all: {hosts: {web1: }}\n")
    project.write_user(f"{line}\n")
    assert typed()[0] == 0
    project.write("given", f"{line}\n")
    assert typed("-F", "given")[0] == 0
    monkeypatch.setenv("FLEETCTL_SSH_CONFIG", "given")
    code, out, _ = typed()
    assert code == 0
    assert json.loads(out)[line.split()[0]]["origin"] == "given:1"


def test_a_named_file_that_others_can_write_is_not_ones_own(project, typed):
    """
    Group-writable, or in a folder where others may put another file in its place.
    """
    project.write("hosts.yml", "all: {hosts: {web1: }}\n")
    path = project.write("given", "ForwardAgent yes\n")
    path.chmod(0o666)
    code, _, err = typed("-F", "given")
    assert code == 2
    assert "given:1: ForwardAgent lends your keys to the host" in err
    assert "it is not yours alone" in err
    path.chmod(0o600)
    project.folder.chmod(0o777)
    assert typed("-F", "given")[0] == 2
    project.folder.chmod(0o700)
    assert typed("-F", "given")[0] == 0


@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_users_file_that_others_can_write_is_refused_as_by_ssh(project, typed, mode):
    """
    Whatever it says: bad owner or permissions, and how to mend it.
    """
    project.write("hosts.yml", "all: {hosts: {web1: }}\n")
    path = project.write_user("Port 33\n")
    path.chmod(mode)
    code, _, err = typed()
    assert code == 2
    assert f"{path}: Bad owner or permissions" in err
    assert f"chmod go-w {path}" in err


def test_command_line_and_own_inventory_need_no_trust(project, typed):
    """
    -o is typed by the user; an inventory named with -i is theirs, what lies beside it is not.
    """
    project.write(
        "hosts.yml",
        "all: {ssh: {ForwardAgent: 'yes'}, hosts: {web1: {ssh: {Ciphers: +3des-cbc}}}}\n",
    )
    code, out, err = typed("-o", "StrictHostKeyChecking=no", "-o", "ProxyCommand=nc %h %p # x")
    assert (code, err) == (0, "")
    assert json.loads(out)["StrictHostKeyChecking"] == {"value": "no", "origin": "-o"}


def test_all_that_needs_trust_is_said_at_once(project, typed):
    """
    One error for each line of each file.
    """
    include = f"Include {project.folder}/part.conf"
    project.write("ssh_config", f"ForwardAgent yes\n{include}\nMACs hmac-md5\n")
    project.write("part.conf", "ProxyCommand nc\n")
    _, _, err = typed()
    places = [line.split(" ")[1] for line in err.splitlines() if line.startswith("fleetctl: ")]
    assert places == ["ssh_config:1:", f"{project.folder}/part.conf:1:", "ssh_config:3:"]


def test_what_is_stricter_needs_no_trust(project, typed):
    """
    A project may say where to dial, as whom, through whom, and make checks stricter; strong
    algorithms of ssh and of fleetctl are no weak ones.
    """
    project.write(
        "ssh_config",
        "HostName 192.0.2.1\nUser deploy\nPort 33\nIdentityFile ~/.ssh/fleet\n"
        "StrictHostKeyChecking yes\nForwardAgent no\nRequiredRSASize 3072\nMACs -hmac-sha1\n"
        "Ciphers chacha20-poly1305@openssh.com,aes256-ctr\nProxyCommand none\n"
        "KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512@openssh.com\n",
    )
    code, _, err = typed()
    assert (code, err) == (0, "")
