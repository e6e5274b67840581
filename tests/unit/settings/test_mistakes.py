"""
What is wrong with a file of ssh_config, or with a name in it: told with its place, before anybody
is contacted.
"""

from __future__ import annotations

import socket

import pytest

from tests.unit.cli.fakes import fleetctl

#: What stands in line 2 of a file, and what the user reads.
BAD_LINES = {
    "Prot 22": ["Bad configuration option: prot", "hint: did you mean Port?"],
    "Port x": ["Port: Bad port 'x'; a number from 1 to 65535 is expected"],
    "Port 0": ["Port: Bad port '0'; a number from 1 to 65535 is expected"],
    "ConnectTimeout soon": [
        'ConnectTimeout: invalid time value "soon"; "10" or "1m30s" would be one'
    ],
    "ConnectTimeout 0": [
        "ConnectTimeout: a time above 0 is expected: every phase has a deadline here"
    ],
    "Compression maybe": ['Compression: unsupported option "maybe"; one of yes, no is expected'],
    "StrictHostKeyChecking perhaps": None,
    "IdentityFile": ['no argument after keyword "identityfile"; write its value behind it'],
    "User a b": ["User: extra arguments at end of line: b"],
    'User "a': None,
    "ProxyJump a,,b": None,
    "Ciphers rot13": ["Ciphers: Bad algorithms 'rot13'; `ssh -Q ciphers` lists them"],
    "RekeyLimit 3": ["RekeyLimit: RekeyLimit too small; at least 16 bytes are expected"],
    "IdentityFile ${NOT_SET}/k": ["IdentityFile: env var ${NOT_SET} has no value"],
    "IdentityFile /k/%z": None,
    "UserKnownHostsFile ~nobody-here/k": ["UserKnownHostsFile: No such user nobody-here"],
    "Match foo": None,
    "Match host": None,
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_a_bad_line_is_named_with_what_to_write(project, line):
    """
    File and line, the keyword, and what is expected.
    """
    project.write("given", f"User kim\n{line}\n")
    found = project.mistakes("web1,", config="given")
    assert found[0].startswith("given:2: ")
    expected = BAD_LINES[line]
    if expected is not None:
        assert [found[0].removeprefix("given:2: "), *found[1:]] == expected


def test_all_mistakes_are_told_at_once(project):
    """
    Of all files, those of other hosts too.
    """
    project.write("given", "Port x\nHost other\n  Prot 1\n  Compression maybe\n")
    project.write("own", "Foo 1\n")
    project.write("hosts.yml", "ssh_config: own\nall: {hosts: {web1: }}\n")
    places = [
        line.split(" ")[0] for line in project.mistakes(config="given") if line[:5] != "hint:"
    ]
    assert places == ["own:1:", "given:1:", "given:3:", "given:4:"]


def test_mistakes_of_many_hosts_are_told_once(project):
    """
    The same line that is wrong for a thousand hosts is one mistake.
    """
    project.write("given", "ConnectTimeout 0\n")
    assert len(project.mistakes("web[1-50],", config="given")) == 1


@pytest.mark.parametrize("named", ["-F", "inventory"])
def test_a_file_that_cannot_be_read_is_named(project, named):
    """
    Missing, a folder, no file at all: what it is and who names it.
    """
    (project.folder / "folder").mkdir()
    project.write("plain", "")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind("socket")
        for name, said in (
            ("missing", "there is no file missing"),
            ("plain/x", "there is no file plain/x"),
            ("folder", "folder is a folder"),
            ("socket", "Can't open user config file: No such device or address"),
        ):
            if named == "-F":
                found = project.mistakes("web1,", config=name)
                where = "-F: " if name != "socket" else "socket: "
            else:
                project.write("hosts.yml", f"all: {{hosts: {{web1: }}}}\nssh_config: {name}\n")
                found = project.mistakes(config="none")
                where = "hosts.yml:2:1: " if name != "socket" else "socket: "
            assert found[0].startswith(where)
            assert said in found[0]


def test_a_file_too_large_is_refused(project):
    """
    16 MiB are a limit that is named.
    """
    project.write("given", "#" * (16 * 2**20 + 1))
    assert project.mistakes("web1,", config="given") == ["given: larger than 16 MiB"]
    project.write("given", "Port 33\n" + "#" * (16 * 2**20 - 8))
    assert project.settings("web1,", config="given").port == 33


def test_bytes_that_are_not_utf_8_do_no_harm(project, capsys):
    """
    In a comment they mean nothing; in a value they are shown escaped, and nothing fails.
    """
    project.write("given", "# \udcff\nIdentityFile /k/\udce9\n")
    assert project.settings("web1,", config="given").identity_files == ("/k/\udce9",)
    for form in ("text", "json"):
        assert fleetctl("config", "web1", "-i", "web1,", "-F", "given", "--format", form) == 0
    capsys.readouterr()
    project.write("given", "Port \udcff\n")
    (line,) = project.mistakes("web1,", config="given")
    assert line.startswith("given:1: Port: Bad port ")


@pytest.mark.parametrize("config", ["none", "-F FILE", "~/.ssh/config"])
def test_no_file_at_all_is_fine(project, config):
    """
    Neither the user's nor the system's file need be there.
    """
    project.write("given", "")
    chosen = {"none": "none", "-F FILE": "given"}.get(config)
    assert project.settings("web1,", config=chosen).port == 22


UNSAFE = ("-x", "a;b", "$(id)", "`id`", "a|b", "a'b", 'a"b', "a&b", "a<b", "(a)")


@pytest.mark.parametrize("name", UNSAFE)
def test_S18_hops_with_a_name_that_means_something_to_a_shell_are_refused(project, name):
    """
    From -J, from an inventory, from a file: the place is named.
    """
    project.write("given", f"ProxyJump {name}\n")
    assert project.mistakes("web1,", config="given")[0].startswith("given:1: ")
    project.write("hosts.yml", f"all: {{hosts: {{web1: {{ssh: {{ProxyJump: {name!r}}}}}}}}}\n")
    assert project.mistakes(config="none")[0].startswith("hosts.yml:1:")
    assert fleetctl("config", "web1", "-i", "web1,", f"-J{name}") == 2
    assert fleetctl("config", "web1", "-i", "web1,", "-J", f"gate,{name}@gate") == 2


@pytest.mark.parametrize("name", UNSAFE)
def test_S18_addresses_that_mean_something_to_a_shell_are_refused(project, name):
    """
    HostName and HostKeyAlias, from the command line, an inventory or a file.
    """
    for keyword in ("HostName", "HostKeyAlias"):
        quoted = f'"{name}"' if "'" in name else f"'{name}'"
        project.write("given", f"{keyword} {quoted}\n")
        assert project.mistakes("web1,", config="given")[0].startswith("given:1: ")
        project.write("hosts.yml", f"all: {{hosts: {{web1: {{ssh: {{{keyword}: {name!r}}}}}}}}}\n")
        assert project.mistakes(config="none")[0].startswith("hosts.yml:1")
        typed = ("config", "web1", "-i", "web1,", f"-o{keyword}={name}")
        assert fleetctl(*typed) == 2


@pytest.mark.parametrize("name", [name for name in UNSAFE if name != "$(id)"] + ["a -b", "a\\"])
def test_S18_users_that_mean_something_to_a_shell_are_refused(project, capsys, name):
    """
    With and without a file of ssh_config, whoever says so.
    """
    text = name.replace("\\", "\\\\")
    quoted = f"'{text}'" if "'" not in name else f'"{text}"'
    project.write("given", f"User {quoted}\n")
    project.write("empty", "Port 33\n")
    assert project.mistakes("web1,", config="given")[0].startswith("given:1: ")
    for config in ("none", "empty"):
        project.write("hosts.yml", f"all: {{hosts: {{web1: {{ssh: {{User: {name!r}}}}}}}}}\n")
        assert project.mistakes(config=config)[0].startswith("hosts.yml:1")
    assert fleetctl("config", "web1", "-i", "web1,", "-F", "none", f"--user={name}") == 2
    assert "cannot be the name of a user" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["-x", "a;b", "a$(id)", "a`id`", "a|b"])
def test_S18_names_of_the_inventory_that_mean_something_to_a_shell_are_refused(project, name):
    """
    A host cannot be called so, whatever its address.
    """
    project.write("hosts.yml", f"all: {{hosts: {{{name!r}: {{ansible_host: 10.0.0.1}}}}}}\n")
    assert project.mistakes(config="none")[0].startswith("hosts.yml:1")


def test_S18_what_a_token_stands_for_is_checked_too(project):
    """
    A name put together from tokens is refused like one that was written.
    """
    project.write("given", "Match host *\n  HostName %h;id\n")
    assert project.mistakes("web1,", config="given")[0].startswith("given:2: ")


def test_a_canonical_name_that_is_not_found_is_told(project):
    """
    CanonicalizeFallbackLocal no: the host cannot be reached under any name.
    """
    from fleetctl.model.errors import FleetError

    project.write(
        "given",
        "CanonicalizeHostname yes\nCanonicalDomains x.invalid\nCanonicalizeFallbackLocal no\n",
    )
    with pytest.raises(FleetError) as caught:
        project.hosts("web1,", config="given")
    assert caught.value.kind == "resolve.dns"


def test_a_command_of_match_that_never_ends_is_ended(project, monkeypatch):
    """
    Nobody waits for ever for a command that was forgotten; what it started ends with it.
    """
    from fleetctl.settings import commands

    monkeypatch.setattr(commands, "TIMEOUT_S", 0.2)
    project.write("given", 'Match exec "sleep 600 & sleep 600"\n  Port 33\n')
    (line,) = project.mistakes("web1,", config="given")
    assert line.startswith("given:1: Match exec: ")
    assert "was ended by a signal" in line
