"""
Which value counts: command line, inventory, its ssh_config, the user's, the system's, default.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.fakes import fleetctl

#: Strongest first: what says it, and the origin that is shown. Every one says another port.
LEVELS = (
    ("-o", "-o"),
    ("host", "hosts.yml:8"),
    ("group", "hosts.yml:5"),
    ("all", "hosts.yml:2"),
    ("later", "later/ssh_config:1"),
    ("earlier", "earlier/ssh_config:1"),
    ("user", "{home}/.ssh/config:1"),
    ("system", "{system}:1"),
)


def inventory(said: dict[str, int]) -> str:
    def block(level: str) -> str:
        return f"{{Port: {said[level]}}}" if level in said else "{}"

    return (
        "all:\n"
        f"  ssh: {block('all')}\n"
        "  children:\n"
        "    web:\n"
        f"      ssh: {block('group')}\n"
        "      hosts:\n"
        "        web1:\n"
        f"          ssh: {block('host')}\n"
    )


@pytest.mark.parametrize("strongest", range(len(LEVELS) + 1))
def test_the_strongest_who_says_it_counts(project, strongest):
    """
    Each level, with all weaker ones saying something else; the origin is the line that counts.
    """
    said = {level: 1000 + n for n, (level, _) in enumerate(LEVELS) if n >= strongest}
    project.write("hosts.yml", inventory(said))
    for source in ("earlier", "later"):
        project.write(f"{source}/hosts.yml", "ssh_config: ssh_config\n")
        port = f"Port {said[source]}\n" if source in said else ""
        project.write(f"{source}/ssh_config", port)
    if "user" in said:
        project.write_user(f"Port {said['user']}\n")
    if "system" in said:
        project.write_system(f"Port {said['system']}\n")
    options = [f"Port={said['-o']}"] if "-o" in said else []
    found = project.settings("hosts.yml", "earlier/hosts.yml", "later/hosts.yml", options=options)
    if not said:
        assert (found.port, found.origin.get("Port")) == (22, None)
        return
    level, origin = LEVELS[strongest]
    assert found.port == said[level]
    assert found.origin["Port"] == origin.format(home=project.home, system=project.system)


def test_a_file_named_stands_for_those_of_user_and_system(project):
    """
    -F FILE is read instead of both, -F none instead of anything; the inventory's own stays.
    """
    project.write_user("Port 1\nUser user\n")
    project.write_system("Port 2\nCompression yes\n")
    project.write("given", "Port 3\n")
    project.write("own", "User own\n")
    project.write("hosts.yml", "ssh_config: own\nall: {hosts: {web1: }}\n")
    without = project.settings(config="given")
    assert (without.port, without.user, without.compression) == (3, "own", False)
    nothing = project.settings(config="none")
    assert (nothing.port, nothing.user) == (22, "own")
    both = project.settings()
    assert (both.port, both.user, both.compression) == (1, "own", True)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (("-u", "kim"), "User", "kim"),
        (("-T", "7"), "ConnectTimeout", 7.0),
        (("-J", "gate:23"), "ProxyJump", "gate:23"),
        (("-o", "User=kim"), "User", "kim"),
    ],
)
def test_letters_of_the_command_line_are_options(project, capsys, words, name, value):
    """
    -u, -T and -J stand where -o stands; the origin is what was typed.
    """
    project.write_user("Host web1\nUser a\nConnectTimeout 1\nProxyJump b\n")
    project.write(
        "hosts.yml", "all: {hosts: {web1: {ssh: {User: c, ConnectTimeout: 2, ProxyJump: d}}}}\n"
    )
    typed = ("config", "web1", "-i", "hosts.yml", *words, "--format", "json")
    assert fleetctl(*typed) == 0
    shown = json.loads(capsys.readouterr().out)
    origins = {"-u": "--user", "-T": "--connect-timeout"}
    assert shown[name] == {"value": value, "origin": origins.get(words[0], words[0])}


@pytest.mark.parametrize(
    ("option", "attribute"),
    [("IdentityFile", "identity_files"), ("CertificateFile", "certificate_files")],
)
def test_lists_of_files_add_up(project, option, attribute):
    """
    All of them in the order of strength, each once, with the origin of each.
    """
    project.write(
        "hosts.yml",
        f"all: {{ssh: {{{option}: [/k/all, /k/both]}}, hosts: "
        f"{{web1: {{ssh: {{{option}: /k/host}}}}}}}}\n",
    )
    project.write("given", f"{option} /k/both\n{option} /k/%h\nHost x\n{option} /k/x\n")
    found = project.settings(config="given", options=[f"{option}=/k/option"])
    assert getattr(found, attribute) == ("/k/option", "/k/host", "/k/all", "/k/both", "/k/web1")
    assert found.origin[option].split(", ") == ["-o", "hosts.yml:1", "given:2"]


def test_match_sees_what_the_inventory_says(project):
    """
    User, HostName and Port of the inventory are what criteria and their tokens are compared with.
    """
    project.write(
        "hosts.yml",
        "all: {hosts: {web1: {ssh: {User: deploy, HostName: '%h.example.org', Port: 2200}}}}\n",
    )
    project.write(
        "given",
        "Match user deploy\n  ConnectTimeout 1\n"
        "Match host web1.example.org\n  ServerAliveInterval 2\n"
        "Match originalhost web1\n  ServerAliveCountMax 3\n"
        'Match exec "test %h-%n-%p-%r = web1.example.org-web1-2200-deploy"\n  Compression yes\n'
        "Match final host web1.example.org\n  HashKnownHosts yes\n"
        "Match host web1\n  BatchMode yes\n"
        "Host web1\n  TCPKeepAlive no\n",
    )
    found = project.settings(config="given")
    assert (found.connect_timeout_s, found.server_alive_interval_s) == (1, 2)
    assert (found.server_alive_count_max, found.compression) == (3, True)
    assert (found.hash_known_hosts, found.batch_mode) == (True, False)
    assert found.tcp_keep_alive is False


def test_a_host_with_ansible_host_is_asked_for_by_that_address(project):
    """
    As Ansible calls ssh; a HostName in the file then replaces it, as it does for Ansible.
    """
    project.write("hosts.ini", "web1 ansible_host=10.0.0.1\nweb2 ansible_host=10.0.0.2\n")
    project.write(
        "given",
        "Host web1 web2\n  User name\nHost 10.0.0.*\n  User address\nHost 10.0.0.2\n  HostName x\n",
    )
    found = project.hosts("hosts.ini", config="given")
    assert {name: host.settings.user for name, host in found.items()} == {
        "web1": "address",
        "web2": "address",
    }
    assert found["web1"].settings.hostname == "10.0.0.1"
    assert found["web1"].settings.origin["HostName"] == "hosts.ini:1"
    assert found["web2"].settings.hostname == "x"
    assert found["web2"].settings.origin["HostName"] == "given:6"


def test_a_native_address_leaves_the_name(project):
    """
    `ssh: {HostName: …}` is `ssh -o HostName=… NAME`: Host patterns are about the name.
    """
    project.write("hosts.yml", "all: {hosts: {web1: {ssh: {HostName: 10.0.0.1}}}}\n")
    project.write("given", "Host web1\n  User name\nHost 10.*\n  Port 33\n")
    found = project.settings(config="given")
    assert (found.hostname, found.user, found.port) == ("10.0.0.1", "name", 22)


def test_tokens_mean_the_same_in_inventory_and_file(project, monkeypatch):
    """
    %h %n %p %r %C %d ~ and ${NAME}, whoever wrote them.
    """
    monkeypatch.setenv("WHO", "someone")
    tokens = "%h/%n/%p/%r/%C/%k/${WHO}"
    text = "{HostName: h, Port: 33, User: r%s}"
    project.write("a.yml", "all: {hosts: {web1: {ssh: " + text % "" + "}}}\n")
    more = f", IdentityFile: '~/{tokens}', UserKnownHostsFile: '%d/{tokens}'"
    project.write("b.yml", "all: {hosts: {web1: {ssh: " + text % more + "}}}\n")
    project.write("given", f"IdentityFile ~/{tokens}\nUserKnownHostsFile %d/{tokens}\n")
    from_file = project.settings("a.yml", config="given")
    from_inventory = project.settings("b.yml", config="none")
    assert from_file.identity_files == from_inventory.identity_files
    assert from_file.user_known_hosts_files == from_inventory.user_known_hosts_files
    (path,) = from_file.identity_files
    parts = Path(path).relative_to(project.home).parts
    assert parts[:4] == ("h", "web1", "33", "r")
    assert (len(parts[4]), parts[5:]) == (40, ("web1", "someone"))


def test_known_hosts_lie_in_the_home_of_the_user_database(project, monkeypatch):
    """
    Not in that of HOME, whether or not there is a file of ssh_config.
    """
    monkeypatch.setenv("HOME", "/elsewhere")
    project.write("given", "Port 33\n")
    for config in ("none", "given"):
        found = project.settings("web1,", config=config)
        assert found.user_known_hosts_files[0] == f"{project.home}/.ssh/known_hosts"


def test_no_file_in_a_list_of_files_is_no_file(project):
    """
    `IdentityFile none` among others is not the name of a key.
    """
    project.write("given", "IdentityFile none\nIdentityFile /k/a\nCertificateFile None\n")
    found = project.settings("web1,", config="given")
    assert (found.identity_files, found.certificate_files) == (("/k/a",), ())


def test_names_in_capitals_are_dialled_as_ssh_dials_them(project):
    """
    In lower case, with and without a file.
    """
    project.write("given", "Port 33\n")
    for config in ("none", "given"):
        assert project.settings("Web1,", config=config).hostname == "web1"


def test_taking_an_algorithm_away_brings_none_in(project):
    """
    + - ^ change the default list of fleetctl, not that of ssh, which has weaker ones in it; names
    that only one of them knows are no mistakes.
    """
    from fleetctl.ssh.algorithms import CIPHERS, KEX, MACS

    project.write(
        "given",
        "MACs -hmac-sha2-512*\nCiphers ^aes256-ctr\nKexAlgorithms +diffie-hellman-group14-sha1\n"
        "Host b\n  KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512\n",
    )
    found = project.settings("a,", config="given")
    assert found.macs == tuple(name for name in MACS if not name.startswith("hmac-sha2-512"))
    assert found.ciphers == tuple(dict.fromkeys(("aes256-ctr", *CIPHERS)))
    assert found.kex_algorithms == (*KEX, "diffie-hellman-group14-sha1")
    asked = project.settings("b,", config="none", options=["MACs=-hmac-sha2-512*"])
    assert asked.macs == found.macs
    assert project.settings(
        "b,", config="none", options=["KexAlgorithms=mlkem768x25519-sha256"]
    ).kex_algorithms == ("mlkem768x25519-sha256",)


def test_ignored_words_can_be_named_on_the_command_line(project):
    """
    -o IgnoreUnknown stands before all files.
    """
    project.write("given", "Novelty 1\nPort 33\n")
    assert project.settings("web1,", config="given", options=["IgnoreUnknown=nov*"]).port == 33
    assert project.mistakes("web1,", config="given")[0].startswith(
        "given:1: Bad configuration option: novelty"
    )
